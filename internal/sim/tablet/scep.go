package tablet

import (
	"bytes"
	"context"
	"crypto"
	_ "crypto/md5" // registers crypto.MD5
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smallstep/pkcs7"
)

// scepClient fetches an identity (RFC 8894) as the SCEP payload of a profile
// orders it.
type scepClient struct {
	http  *http.Client
	url   string
	now   func() time.Time
	caps  []string
	certs []*x509.Certificate // of GetCACert
}

// SCEP's signed attributes (RFC 8894, 3.2.1).
func scepOID(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, n}
}

const (
	messageType   = 2
	pkiStatus     = 3
	failInfo      = 4
	senderNonce   = 5
	recipientNonc = 6
	transactionID = 7
)

const maxAnswer = 4 << 20

// fetchIdentity does the whole exchange with a fresh key.
func (c *scepClient) fetchIdentity(ctx context.Context, key *rsa.PrivateKey, p scepPayload) (*Identity, error) {
	caps, err := c.get(ctx, "GetCACaps", p.name)
	if err != nil {
		return nil, err
	}
	c.caps = strings.Fields(string(caps))
	if err := c.readAuthority(ctx, p.name); err != nil {
		return nil, err
	}
	if !c.can("SHA-256") {
		return nil, errors.New("SCEP: the authority does not offer SHA-256")
	}
	csr, err := p.request(key)
	if err != nil {
		return nil, err
	}
	if !p.knows(c.certs) {
		return nil, errors.New("SCEP: no certificate of GetCACert has the CAFingerprint of the payload")
	}
	own, err := selfSigned(key, csr, c.now())
	if err != nil {
		return nil, err
	}
	to := c.recipient()
	if to == nil {
		return nil, errors.New("SCEP: the authority has no RSA certificate to encrypt to")
	}
	sealed, err := envelop(csr.Raw, to, c.can("AES"))
	if err != nil {
		return nil, fmt.Errorf("SCEP: %w", err)
	}
	message, nonce, txn, err := wrap(sealed, key, own)
	if err != nil {
		return nil, err
	}
	answer, err := c.send(ctx, message)
	if err != nil {
		return nil, err
	}
	issued, err := c.open(answer, own, key, nonce, txn)
	if err != nil {
		return nil, err
	}
	return identityOf(issued, key)
}

func (c *scepClient) can(what string) bool {
	return slices.Contains(c.caps, what) || slices.Contains(c.caps, "SCEPStandard")
}

func (c *scepClient) get(ctx context.Context, operation, message string) ([]byte, error) {
	u, err := url.Parse(c.url)
	if err != nil {
		return nil, fmt.Errorf("SCEP: the URL of the payload: %w", err)
	}
	q := u.Query()
	q.Set("operation", operation)
	if message != "" {
		q.Set("message", message)
	}
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("SCEP: %w", err)
	}
	return c.do(req, operation)
}

func (c *scepClient) do(req *http.Request, what string) ([]byte, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("SCEP %s: %w", what, err)
	}
	defer func() { _ = res.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("SCEP %s: %w", what, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("SCEP %s: the server answered %s", what, res.Status)
	}
	return body, nil
}

func (c *scepClient) readAuthority(ctx context.Context, name string) error {
	b, err := c.get(ctx, "GetCACert", name)
	if err != nil {
		return err
	}
	if cert, err := x509.ParseCertificate(b); err == nil {
		c.certs = []*x509.Certificate{cert}
		return nil
	}
	p7, err := pkcs7.Parse(b)
	if err != nil {
		return fmt.Errorf("SCEP GetCACert: neither a certificate nor a list of them: %w", err)
	}
	if c.certs = p7.Certificates; len(c.certs) == 0 {
		return errors.New("SCEP GetCACert: an empty list")
	}
	return nil
}

// recipient is the certificate to encrypt to: a registration authority's if
// there is one, else the authority's own.
func (c *scepClient) recipient() *x509.Certificate {
	var best *x509.Certificate
	for _, cert := range c.certs {
		if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
			continue
		}
		if best == nil || !cert.IsCA && cert.KeyUsage&x509.KeyUsageKeyEncipherment != 0 {
			best = cert
		}
	}
	return best
}

func (c *scepClient) send(ctx context.Context, message []byte) ([]byte, error) {
	if !c.can("POSTPKIOperation") {
		return c.get(ctx, "PKIOperation", base64.StdEncoding.EncodeToString(message))
	}
	u, err := url.Parse(c.url)
	if err != nil {
		return nil, fmt.Errorf("SCEP: the URL of the payload: %w", err)
	}
	q := u.Query()
	q.Set("operation", "PKIOperation")
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("SCEP: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-pki-message")
	return c.do(req, "PKIOperation")
}

// wrap signs the enveloped request with the key that asks.
func wrap(sealed []byte, key *rsa.PrivateKey, own *x509.Certificate) (message, nonce []byte, txn string, err error) {
	nonce = make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, nil, "", fmt.Errorf("SCEP: draw a nonce: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, "", fmt.Errorf("SCEP: %w", err)
	}
	h := sha256.Sum256(public)
	txn = hex.EncodeToString(h[:])
	sd, err := pkcs7.NewSignedData(sealed)
	if err != nil {
		return nil, nil, "", fmt.Errorf("SCEP: %w", err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	err = sd.AddSigner(own, key, pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{
		{Type: scepOID(transactionID), Value: txn},
		{Type: scepOID(messageType), Value: "19"}, // PKCSReq
		{Type: scepOID(senderNonce), Value: nonce},
	}})
	if err != nil {
		return nil, nil, "", fmt.Errorf("SCEP: sign the request: %w", err)
	}
	if message, err = sd.Finish(); err != nil {
		return nil, nil, "", fmt.Errorf("SCEP: sign the request: %w", err)
	}
	return message, nonce, txn, nil
}

// open checks the answer and takes the certificate out of it.
func (c *scepClient) open(answer []byte, own *x509.Certificate, key *rsa.PrivateKey, nonce []byte, txn string) (*x509.Certificate, error) {
	p7, err := pkcs7.Parse(answer)
	if err != nil {
		return nil, fmt.Errorf("SCEP: read the answer: %w", err)
	}
	if len(p7.Certificates) == 0 { // the signer may be left out when GetCACert gave it
		p7.Certificates = c.certs
	}
	if err := p7.Verify(); err != nil {
		return nil, fmt.Errorf("SCEP: the answer's signature: %w", err)
	}
	if signer := p7.GetOnlySigner(); signer == nil || !slices.ContainsFunc(c.certs, signer.Equal) {
		return nil, errors.New("SCEP: the answer is not signed by a certificate of GetCACert")
	}
	var status, kind, backTxn string
	var back []byte
	for n, v := range map[int]any{messageType: &kind, pkiStatus: &status, recipientNonc: &back, transactionID: &backTxn} {
		if err := p7.UnmarshalSignedAttribute(scepOID(n), v); err != nil {
			return nil, fmt.Errorf("SCEP: attribute %d of the answer: %w", n, err)
		}
	}
	switch {
	case kind != "3":
		return nil, fmt.Errorf("SCEP: the answer is a message of type %q, not CertRep", kind)
	case !bytes.Equal(back, nonce):
		return nil, errors.New("SCEP: the answer has another nonce than the request")
	case backTxn != txn:
		return nil, errors.New("SCEP: the answer has another transaction than the request")
	case status != "0":
		var why string
		_ = p7.UnmarshalSignedAttribute(scepOID(failInfo), &why) // only with a failure
		return nil, fmt.Errorf("SCEP: refused, pkiStatus %s, failInfo %q", status, why)
	}
	inner, err := pkcs7.Parse(p7.Content)
	if err != nil {
		return nil, fmt.Errorf("SCEP: read the envelope: %w", err)
	}
	plain, err := inner.Decrypt(own, key)
	if err != nil {
		return nil, fmt.Errorf("SCEP: open the envelope: %w", err)
	}
	list, err := pkcs7.Parse(plain)
	if err != nil {
		return nil, fmt.Errorf("SCEP: read the certificates: %w", err)
	}
	for _, cert := range list.Certificates {
		if key.PublicKey.Equal(cert.PublicKey) {
			return cert, nil
		}
	}
	return nil, errors.New("SCEP: no certificate for the key that asked")
}

func identityOf(cert *x509.Certificate, key *rsa.PrivateKey) (*Identity, error) {
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the certificate does not belong to the key")
	}
	return &Identity{Cert: cert, Key: key}, nil
}

func selfSigned(key *rsa.PrivateKey, csr *x509.CertificateRequest, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, fmt.Errorf("SCEP: draw a serial number: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, RawSubject: csr.RawSubject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	raw, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("SCEP: make the requester's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("SCEP: %w", err)
	}
	return cert, nil
}

// scepPayload is what a profile orders.
type scepPayload struct {
	url, name, challenge string
	subject              pkix.RDNSequence
	fingerprint          []byte
}

func (p scepPayload) request(key *rsa.PrivateKey) (*x509.CertificateRequest, error) {
	subject, err := asn1.Marshal(p.subject)
	if err != nil {
		return nil, fmt.Errorf("SCEP: write the subject: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("SCEP: %w", err)
	}
	// x509.CreateCertificateRequest cannot write a challengePassword (RFC 2985,
	// 5.4.1), so the request is put together here.
	attributes := []byte{tagContext0, 0}
	if p.challenge != "" {
		attributes = der(tagContext0, der(tagSequence, derOID("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"),
			der(tagSet, der(0x0c, []byte(p.challenge))))) // UTF8String
	}
	info := der(tagSequence, []byte{tagInteger, 1, 0}, subject, public, attributes)
	h := sha256.Sum256(info)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, h[:])
	if err != nil {
		return nil, fmt.Errorf("SCEP: sign the request: %w", err)
	}
	const sha256WithRSA = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
	raw := der(tagSequence, info, algorithm(sha256WithRSA), der(0x03, []byte{0}, signature))
	csr, err := x509.ParseCertificateRequest(raw)
	if err != nil {
		return nil, fmt.Errorf("SCEP: %w", err)
	}
	return csr, nil
}

// knows tells whether one of the authority's certificates has the fingerprint
// that the payload wants: MD5, SHA-1 or SHA-256, by its length.
func (p scepPayload) knows(certs []*x509.Certificate) bool {
	if len(p.fingerprint) == 0 {
		return true
	}
	for _, c := range certs {
		for _, h := range []crypto.Hash{crypto.MD5, crypto.SHA1, crypto.SHA256} {
			if bytes.Equal(sum(h, c.Raw), p.fingerprint) {
				return true
			}
		}
	}
	return false
}

// readSCEP takes what is needed out of a SCEP payload that passed the schema.
func readSCEP(payload map[string]any) (scepPayload, error) {
	c := dict(payload, "PayloadContent")
	p := scepPayload{url: text(c, "URL"), name: text(c, "Name"), challenge: text(c, "Challenge")}
	p.fingerprint, _ = c["CAFingerprint"].([]byte)
	u, err := url.Parse(p.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return p, fmt.Errorf("the SCEP payload's URL %q is no HTTP address", p.url)
	}
	if size, ok := whole(c, "Keysize"); ok && size != 2048 {
		return p, fmt.Errorf("a key of %d bits was ordered; this tablet makes keys of 2048", size)
	} else if !ok {
		return p, errors.New("Keysize is missing: an iPad makes a key of 1024 bits then, which no server should take")
	}
	if kind := text(c, "Key Type"); kind != "" && kind != "RSA" {
		return p, fmt.Errorf("Key Type is %q; iPads do SCEP with RSA only", kind)
	}
	p.subject, err = readSubject(list(c, "Subject"))
	return p, err
}

func readSubject(subject []any) (pkix.RDNSequence, error) {
	short := map[string]asn1.ObjectIdentifier{
		"C": {2, 5, 4, 6}, "L": {2, 5, 4, 7}, "ST": {2, 5, 4, 8}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "CN": {2, 5, 4, 3},
	}
	out := pkix.RDNSequence{}
	for _, set := range subject {
		var rdn pkix.RelativeDistinguishedNameSET
		pairs, _ := set.([]any)
		for _, p := range pairs {
			pair, _ := p.([]any)
			if len(pair) != 2 {
				return nil, errors.New("the subject of the SCEP payload is not a list of lists of pairs")
			}
			name, _ := pair[0].(string)
			value, _ := pair[1].(string)
			oid, ok := short[name]
			if !ok {
				for _, n := range strings.Split(name, ".") {
					i, err := strconv.Atoi(n)
					if err != nil {
						return nil, fmt.Errorf("the subject of the SCEP payload names the unknown attribute %q", name)
					}
					oid = append(oid, i)
				}
			}
			rdn = append(rdn, pkix.AttributeTypeAndValue{Type: oid, Value: value})
		}
		out = append(out, rdn)
	}
	return out, nil
}
