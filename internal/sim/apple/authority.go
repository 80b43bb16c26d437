package apple

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// uid is the attribute of the subject that holds the topic (RFC 4519, 2.39).
func uid() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1} }

// lifetime is that of Apple's push certificates.
const lifetime = 365 * 24 * time.Hour

// topicOf makes a topic from a seed, so that a demo that is told again has its
// topic again.
func topicOf(seed uint64) string {
	h := sha256.Sum256(fmt.Appendf(nil, "ranzen simulated topic %d", seed))
	return fmt.Sprintf("com.apple.mgmt.External.%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func topicIn(c *x509.Certificate) string {
	for _, n := range c.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(uid()) {
			return s
		}
	}
	return ""
}

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
	der  []byte // the key, PKCS #8
}

func (p pair) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key, Leaf: p.cert}
}

func (p pair) pem() (certPEM, keyPEM []byte) {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p.der})
}

// authority stands for all of Apple's: it signs the service's own certificate
// and push certificates.
type authority struct {
	pair
	now time.Time
}

func newAuthority(now time.Time) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("make the simulated Apple's key: %w", err)
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Simulated Apple (not Apple)"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	a := authority{now: now}
	a.pair, err = a.issue(t, nil, key)
	return a, err
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue signs a certificate for key; without a parent, by itself.
func (a authority) issue(t, parent *x509.Certificate, key crypto.Signer) (pair, error) {
	signer := a.key
	if parent == nil {
		parent, signer = t, key
	}
	cert, err := a.sign(t, parent, key.Public(), signer)
	if err != nil {
		return pair{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("write a simulated certificate's key: %w", err)
	}
	return pair{cert: cert, key: key, der: der}, nil
}

func (a authority) sign(t, parent *x509.Certificate, public any, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	t.SerialNumber, t.NotBefore, t.NotAfter = serial, a.now.Add(-time.Hour), a.now.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("sign a simulated certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read a simulated certificate: %w", err)
	}
	return cert, nil
}

func (a authority) serverPair(host string) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("make the push service's key: %w", err)
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: "simulated push service"}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	}
	return a.issue(t, a.cert, key)
}

// pushTemplate is a push certificate as Apple issues them, as far as matters.
func pushTemplate(topic string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{
			CommonName: "APSP:" + topic[max(0, len(topic)-36):], Country: []string{"US"},
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: uid(), Value: topic}},
		},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func (a authority) pushPair(topic string) (pair, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048) // Apple's are RSA
	if err != nil {
		return pair{}, fmt.Errorf("make the push certificate's key: %w", err)
	}
	return a.issue(pushTemplate(topic), a.cert, key)
}

func (a authority) signRequest(csrPEM []byte, topic string) ([]byte, error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil {
		return nil, errors.New("the certificate request is not PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check the certificate request: %w", err)
	}
	cert, err := a.sign(pushTemplate(topic), a.cert, csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
}
