package certs_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/micromdm/scep/v2/cryptoutil/x509util"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

var day = 24 * time.Hour

func now() time.Time { return time.Date(2026, 9, 1, 7, 45, 0, 0, time.UTC) }

func vault(t testing.TB) *certs.Vault {
	t.Helper()
	v, err := certs.NewVault(bytes.Repeat([]byte{7}, certs.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func open(t testing.TB, db *sqldb.DB, clk clock.Clock, kind string) *certs.Room {
	t.Helper()
	r, err := certs.New(t.Context(), db, clk, vault(t), audit.New(db, clk), certs.Config{PublicURL: "https://mdm.example.org/", KeyKind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func challenge(t testing.TB, db *sqldb.DB, r *certs.Room, g certs.Grant) string {
	t.Helper()
	if g.TTL == 0 {
		g.TTL = time.Hour
	}
	var ch fault.Secret
	do(t, db, func(tx *sqldb.Tx) (err error) {
		ch, err = r.NewChallenge(t.Context(), tx, g)
		return err
	})
	return ch.Open()
}

func do(t testing.TB, db *sqldb.DB, fn func(tx *sqldb.Tx) error) {
	t.Helper()
	if err := db.Do(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func try(t testing.TB, db *sqldb.DB, fn func(tx *sqldb.Tx) error) error {
	t.Helper()
	return db.Do(t.Context(), fn)
}

// tablet is a SCEP client with a key of its own.
type tablet struct {
	key  *rsa.PrivateKey
	self *x509.Certificate
}

func newTablet(t testing.TB, bits int) *tablet {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "self"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	self, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tablet{key, self}
}

// claim is what a tablet says about itself, and what must not be believed.
func (d *tablet) csr(t testing.TB, ch string) *x509.CertificateRequest {
	t.Helper()
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{
			Subject:  pkix.Name{CommonName: "somebody-else", Organization: []string{"Another School"}},
			DNSNames: []string{"mdm.example.org"},
		},
		ChallengePassword: ch,
	}, d.key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func caCerts(t testing.TB, h http.Handler) []*x509.Certificate {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/scep?operation=GetCACert&message=ignored", nil))
	list, err := scep.CACerts(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (d *tablet) message(t testing.TB, h http.Handler, ch string, kind scep.MessageType) []byte {
	t.Helper()
	msg, err := scep.NewCSRRequest(d.csr(t, ch), &scep.PKIMessage{
		MessageType: kind, Recipients: caCerts(t, h), SignerKey: d.key, SignerCert: d.self,
	}, scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
	if err != nil {
		t.Fatal(err)
	}
	return msg.Raw
}

func post(h http.Handler, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/scep?operation=PKIOperation", bytes.NewReader(body)))
	return w
}

var errFailed = errors.New("the CA answered with a failure")

// read opens an answer as a client does: signed by the CA's SCEP certificate.
func (d *tablet) read(h http.Handler, w *httptest.ResponseRecorder, ca []*x509.Certificate) (*x509.Certificate, error) {
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", w.Code, w.Body)
	}
	msg, err := scep.ParsePKIMessage(w.Body.Bytes(), scep.WithCACerts(ca))
	if err != nil {
		return nil, err
	}
	if msg.PKIStatus != scep.SUCCESS {
		return nil, fmt.Errorf("%w: %s", errFailed, msg.FailInfo)
	}
	if err := msg.DecryptPKIEnvelope(d.self, d.key); err != nil {
		return nil, err
	}
	return msg.CertRepMessage.Certificate, nil
}

func (d *tablet) enroll(t testing.TB, h http.Handler, ch string) (*x509.Certificate, error) {
	t.Helper()
	return d.read(h, post(h, d.message(t, h, ch, scep.PKCSReq)), caCerts(t, h))
}

// openssl runs openssl with the given files at hand, at the test's time.
func openssl(t testing.TB, files map[string][]byte, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func at(d time.Duration) string { return strconv.FormatInt(now().Add(d).Unix(), 10) }

var (
	oidSHA256 = []byte{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}
	oidMD5    = []byte{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x7f} // same length, no known digest
)

func pemKey(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// resign makes a certificate with the names and number of like, for d's key,
// signed by d itself.
func resign(t testing.TB, like *x509.Certificate, d *tablet, from, to time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: like.SerialNumber, Subject: like.Issuer, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &d.key.PublicKey, d.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// bare is a signed message that nobody signed.
func bare(t testing.TB, cert *x509.Certificate) []byte {
	t.Helper()
	b, err := pkcs7.DegenerateCertificate(cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func twoSigners(t testing.TB, d *tablet, cert *x509.Certificate, body []byte) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData(body)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sd.AddSigner(cert, d.key, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	sd.Detach()
	b, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// attribute is one of a message's attributes, as DER.
func attribute(t testing.TB, kind asn1.ObjectIdentifier, value any) []byte {
	t.Helper()
	inner, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(t, 0x30, marshal(t, kind), wrap(t, 0x31, inner))
}

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	b, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wrap puts parts under a tag of one byte.
func wrap(t testing.TB, tag byte, parts ...[]byte) []byte {
	t.Helper()
	return marshal(t, asn1.RawValue{
		Class: int(tag >> 6), Tag: int(tag & 0x1f), IsCompound: tag&0x20 != 0, Bytes: bytes.Join(parts, nil),
	})
}

// handmade is a signed message with what no library would write.
type handmade struct {
	content   []byte   // attached when not nil
	attrs     [][]byte // nil: the body itself is signed
	inOrder   bool     // sign the attributes sorted, but send them as they are
	hideAttrs bool     // sign the attributes, but leave them out
	keyID     []byte   // name the certificate by it
	more      [][]byte // further certificates
}

func (m handmade) sign(t testing.TB, d *tablet, cert *x509.Certificate, body []byte) []byte {
	t.Helper()
	signed := body
	if m.attrs != nil {
		attrs := slices.Clone(m.attrs)
		if m.inOrder {
			slices.SortFunc(attrs, bytes.Compare)
		}
		signed = wrap(t, 0x31, attrs...)
	}
	sum := sha256.Sum256(signed)
	signature, err := rsa.SignPKCS1v15(nil, d.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	id := wrap(t, 0x30, cert.RawIssuer, marshal(t, cert.SerialNumber))
	if m.keyID != nil {
		id = wrap(t, 0x80, m.keyID)
	}
	algorithm := wrap(t, 0x30, marshal(t, pkcs7.OIDDigestAlgorithmSHA256))
	var attrs []byte
	if m.attrs != nil && !m.hideAttrs {
		attrs = wrap(t, 0xa0, m.attrs...)
	}
	signer := wrap(t, 0x30, marshal(t, 1), id, algorithm, attrs, wrap(t, 0x30, marshal(t, pkcs7.OIDEncryptionAlgorithmRSA)), marshal(t, signature))
	var content []byte
	if m.content != nil {
		content = wrap(t, 0xa0, marshal(t, m.content))
	}
	return wrap(t, 0x30, marshal(t, pkcs7.OIDSignedData), wrap(t, 0xa0, wrap(t, 0x30, marshal(t, 1), wrap(t, 0x31, algorithm),
		wrap(t, 0x30, marshal(t, pkcs7.OIDData), content), wrap(t, 0xa0, append([][]byte{cert.Raw}, m.more...)...), wrap(t, 0x31, signer))))
}
