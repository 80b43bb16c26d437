package certs

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/smallstep/pkcs7"
	scepx509 "github.com/smallstep/scep/x509util"
)

// maxSCEP bounds a request. One with an RSA-4096 key has about 5 kB.
const maxSCEP = 64 << 10

// What GetCACaps answers (RFC 8894, 3.5.2). Renewal is there because some
// clients refuse a CA without it; a renewal needs a challenge all the same.
const scepCapabilities = "AES\nPOSTPKIOperation\nRenewal\nSHA-256\nSCEPStandard\n"

// SCEP's attributes (RFC 8894, 3.2.1) and the values of them that occur here.
const (
	scepPKCSReq = "19"
	scepRenewal = "17"
	scepCertRep = "3"
	scepSuccess = "0"
	scepFailure = "2"

	scepBadAlg          = "0"
	scepBadMessageCheck = "1"
	scepBadRequest      = "2"
)

func scepOID(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, n}
}

// Last arcs of SCEP's attributes below 2.16.840.1.113733.1.9.
const (
	scepMessageType    = 2
	scepPKIStatus      = 3
	scepFailInfo       = 4
	scepSenderNonce    = 5
	scepRecipientNonce = 6
	scepTransactionID  = 7
)

// refused is a SCEP request that can be answered, with a failure.
type refused struct {
	info   string // failInfo
	text   string // for whoever debugs a client; says nothing about challenges
	reason string // for our count
}

func (e refused) Error() string { return "scep: " + e.text }

// SCEP serves RFC 8894 at one address, by GET and POST. It never answers 401 or
// 5xx to anything that was sent: what can be parsed gets a certificate or a
// signed failure, the rest 400.
func (r *Room) SCEP() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		query, err := url.ParseQuery(q.URL.RawQuery)
		if err != nil {
			http.Error(w, "The query can not be read.", http.StatusBadRequest)
			return
		}
		operation := query.Get("operation")
		switch {
		case q.Method == http.MethodGet && operation == "GetCACaps":
			reply(w, "text/plain", []byte(scepCapabilities))
		case q.Method == http.MethodGet && operation == "GetCACert":
			r.serveCACert(w, q)
		case q.Method == http.MethodGet && operation == "PKIOperation":
			body, err := decodeMessage(query.Get("message"))
			if err != nil {
				r.unreadable(w, "The message is not base64.")
				return
			}
			r.servePKI(w, q, body)
		case q.Method == http.MethodPost && operation == "PKIOperation":
			body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxSCEP))
			if err != nil {
				r.unreadable(w, "The message can not be read or is too long.")
				return
			}
			r.servePKI(w, q, body)
		case q.Method != http.MethodGet && q.Method != http.MethodPost:
			w.Header().Set("Allow", "GET, POST")
			http.Error(w, "SCEP uses GET and POST.", http.StatusMethodNotAllowed)
		default:
			http.Error(w, "The operation is not GetCACaps, GetCACert or PKIOperation.", http.StatusBadRequest)
		}
	})
}

func reply(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // whoever has gone away will ask again
}

// decodeMessage reads the base64 of a GET. Clients differ in what they escape:
// a plus sign may arrive as a space, the alphabet may be that of URLs, escapes
// may be doubled, padding missing.
func decodeMessage(s string) ([]byte, error) {
	if len(s) > 2*maxSCEP {
		return nil, errMalformed
	}
	if strings.Contains(s, "%") {
		u, err := url.PathUnescape(s)
		if err != nil {
			return nil, errMalformed
		}
		s = u
	}
	s = strings.NewReplacer(" ", "+", "-", "+", "_", "/", "=", "", "\r", "", "\n", "").Replace(s)
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || len(b) > maxSCEP {
		return nil, errMalformed
	}
	return b, nil
}

// serveCACert gives the certificate that requests are encrypted to, which also
// signs the answers, and the one that issues.
func (r *Room) serveCACert(w http.ResponseWriter, q *http.Request) {
	both := append(append([]byte{}, r.ra.cert.Raw...), r.inter.cert.Raw...)
	p7, err := pkcs7.DegenerateCertificate(both)
	if err != nil {
		r.broken(w, q, fmt.Errorf("wrap the CA's certificates: %w", err))
		return
	}
	reply(w, "application/x-x509-ca-ra-cert", p7)
}

// broken is the answer when it is our fault; the client will ask again.
func (r *Room) broken(w http.ResponseWriter, q *http.Request, err error) {
	r.slog.LogAttrs(q.Context(), slog.LevelError, "certificate request not answered", slog.String("error", err.Error()))
	w.Header().Set("Retry-After", "5")
	http.Error(w, "Not now.", http.StatusServiceUnavailable)
}

func (r *Room) unreadable(w http.ResponseWriter, why string) {
	r.Refuse("scep.unreadable", "", "")
	http.Error(w, why, http.StatusBadRequest)
}

func (r *Room) servePKI(w http.ResponseWriter, q *http.Request, body []byte) {
	msg, err := parseSCEP(body)
	if err != nil {
		r.unreadable(w, "The message is not a signed SCEP message.")
		return
	}
	cert, err := r.enrol(q.Context(), msg)
	var why refused
	if errors.As(err, &why) {
		r.Refuse("scep."+why.reason, "", "")
		out, err := r.certRep(msg, nil, why)
		if err != nil {
			r.broken(w, q, err)
			return
		}
		reply(w, "application/x-pki-message", out)
		return
	}
	if err != nil {
		r.broken(w, q, err)
		return
	}
	out, err := r.success(msg, cert)
	if err != nil {
		r.broken(w, q, err)
		return
	}
	reply(w, "application/x-pki-message", out)
}

// scepMessage is a request whose signature is in order. That proves nothing but
// that it arrived whole: the certificate is usually the client's own.
type scepMessage struct {
	kind        string
	transaction asn1.RawValue // given back as it came, whatever kind of string it is
	nonce       asn1.RawValue
	envelope    []byte
	signer      *x509.Certificate // the answer is encrypted to its key
}

func parseSCEP(body []byte) (scepMessage, error) {
	signed, err := parseSigned(body)
	if err != nil {
		return scepMessage{}, err
	}
	msg := scepMessage{envelope: signed.content}
	if msg.signer, err = signed.signerCertificate(); err != nil {
		return scepMessage{}, err
	}
	if err := signed.verify(signed.content, msg.signer.PublicKey); err != nil {
		return scepMessage{}, err
	}
	_, kind := asn1.Unmarshal(signed.attribute(scepOID(scepMessageType)), &msg.kind)
	_, transaction := asn1.Unmarshal(signed.attribute(scepOID(scepTransactionID)), &msg.transaction)
	_, nonce := asn1.Unmarshal(signed.attribute(scepOID(scepSenderNonce)), &msg.nonce)
	if errors.Join(kind, transaction, nonce) != nil || odd(msg.transaction, 255) || odd(msg.nonce, 64) {
		return scepMessage{}, errMalformed
	}
	return msg, nil
}

func odd(v asn1.RawValue, longest int) bool {
	return v.IsCompound || len(v.Bytes) == 0 || len(v.Bytes) > longest
}

// enrol opens the envelope and issues. Everything that is wrong with an envelope
// has one answer, so that the answers decrypt nothing for anybody.
func (r *Room) enrol(ctx context.Context, msg scepMessage) (*x509.Certificate, error) {
	if msg.kind != scepPKCSReq && msg.kind != scepRenewal {
		return nil, refused{scepBadRequest, "only PKCSReq and RenewalReq are served", "unsupported"}
	}
	if key, ok := msg.signer.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < minRSABits {
		return nil, refused{scepBadAlg, "the signer needs an RSA key of 2048 to 4096 bits", "key"}
	}
	csr, challenge, err := r.openRequest(msg.envelope)
	if err != nil {
		return nil, refused{scepBadMessageCheck, "the envelope can not be opened or holds no request", "envelope"}
	}
	if key, ok := csr.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < minRSABits || key.N.BitLen() > maxRSABits {
		return nil, refused{scepBadAlg, "an identity needs an RSA key of 2048 to 4096 bits", "key"}
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, refused{scepBadMessageCheck, "the request is not signed with its own key", "request"}
	}
	cert, err := r.issue(ctx, csr, challenge)
	if why, ok := errors.AsType[errChallenge](err); ok {
		return nil, refused{scepBadRequest, "the challenge is not accepted; fetch a new profile", "challenge-" + string(why)}
	}
	return cert, err
}

func (r *Room) openRequest(envelope []byte) (csr *x509.CertificateRequest, challenge string, err error) {
	// The intermediate counts only where it is RSA: some clients encrypt to it then.
	plain, err := openEnvelope(envelope, r.ra, r.inter)
	if err != nil {
		return nil, "", err
	}
	if csr, err = x509.ParseCertificateRequest(plain); err != nil {
		return nil, "", err
	}
	err = guarded(func() error {
		challenge, err = scepx509.ParseChallengePassword(plain)
		return err
	})
	return csr, challenge, err
}

func (r *Room) success(msg scepMessage, cert *x509.Certificate) ([]byte, error) {
	bare, err := pkcs7.DegenerateCertificate(cert.Raw)
	if err != nil {
		return nil, fmt.Errorf("wrap an identity: %w", err)
	}
	sealed, err := envelope(bare, msg.signer)
	if err != nil {
		return nil, fmt.Errorf("encrypt an identity: %w", err)
	}
	return r.sealRep(msg, sealed, []*x509.Certificate{cert}, scepSuccess)
}

func (r *Room) certRep(msg scepMessage, content []byte, why refused) ([]byte, error) {
	return r.sealRep(msg, content, nil, scepFailure,
		pkcs7.Attribute{Type: scepOID(scepFailInfo), Value: why.info},
		pkcs7.Attribute{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1}, // failInfoText, RFC 8894, 3.2.1.4.1
			Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(why.text)}})
}

// sealRep signs a CertRep. The issued certificate goes in front of the signer's:
// step CA and micromdm do so, and clients were seen to rely on it.
func (r *Room) sealRep(msg scepMessage, content []byte, first []*x509.Certificate, status string, more ...pkcs7.Attribute) ([]byte, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("answer a SCEP request: %w", err)
	}
	return signCMS(content, r.ra, first, nil, append([]pkcs7.Attribute{
		{Type: scepOID(scepTransactionID), Value: msg.transaction},
		{Type: scepOID(scepMessageType), Value: scepCertRep},
		{Type: scepOID(scepPKIStatus), Value: status},
		{Type: scepOID(scepSenderNonce), Value: nonce},
		{Type: scepOID(scepRecipientNonce), Value: msg.nonce},
	}, more...))
}
