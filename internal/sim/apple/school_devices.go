package apple

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // as Apple's certificates are
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// deviceAuthority issues the identities that iPads sign their machine info with.
// As Apple's, its chain is signed with SHA-1 and long over.
type deviceAuthority struct {
	root, ca   *x509.Certificate
	rootKey    *rsa.PrivateKey
	key        *rsa.PrivateKey
	begin, end time.Time
	// One key for all leaves: a key each would be most of the work of a fleet, and
	// nobody tells them apart by it.
	leafKey *rsa.PrivateKey
	leafPEM []byte
	issued  *sync.Map // serial -> chain PEM
}

func newDeviceAuthority(now time.Time) (d deviceAuthority, err error) {
	d.begin, d.end, d.issued = now.AddDate(-12, 0, 0), now.AddDate(-5, 0, 0), &sync.Map{}
	for _, k := range []**rsa.PrivateKey{&d.rootKey, &d.key, &d.leafKey} {
		if *k, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return d, fmt.Errorf("make a simulated authority's key: %w", err)
		}
	}
	root := pkix.Name{Country: []string{"US"}, Organization: []string{"Simulated Apple (not Apple)"}, CommonName: "Simulated Apple Root"}
	if d.root, err = d.sign(root, root, &d.rootKey.PublicKey, d.rootKey, true); err != nil {
		return d, err
	}
	ca := pkix.Name{Country: []string{"US"}, Organization: []string{"Simulated Apple (not Apple)"}, CommonName: "Simulated iPhone Device CA"}
	if d.ca, err = d.sign(ca, root, &d.key.PublicKey, d.rootKey, true); err != nil {
		return d, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(d.leafKey)
	if err != nil {
		return d, fmt.Errorf("write a simulated iPad's key: %w", err)
	}
	d.leafPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return d, nil
}

// sign writes a certificate with SHA-1 and RSA, which the standard library does
// not any more: the template is signed with SHA-256 first, and the signature and
// its algorithm are then replaced.
func (d deviceAuthority) sign(subject, issuer pkix.Name, public *rsa.PublicKey, by *rsa.PrivateKey, isCA bool) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 72))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: d.begin, NotAfter: d.end, BasicConstraintsValid: true, IsCA: isCA,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, SignatureAlgorithm: x509.SHA256WithRSA}
	if isCA {
		t.KeyUsage = x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, t, &x509.Certificate{Subject: issuer}, public, by)
	if err != nil {
		return nil, fmt.Errorf("sign a simulated certificate: %w", err)
	}
	var parts struct {
		TBS asn1.RawValue
		Alg pkix.AlgorithmIdentifier
		Sig asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return nil, fmt.Errorf("read a simulated certificate: %w", err)
	}
	sha256RSA := []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b}
	tbs := replaceOnce(parts.TBS.FullBytes, sha256RSA, append(sha256RSA[:len(sha256RSA)-1:len(sha256RSA)-1], 0x05))
	sum := sha1.Sum(tbs) //nolint:gosec // as Apple's are
	if parts.Sig.Bytes, err = rsa.SignPKCS1v15(rand.Reader, by, crypto.SHA1, sum[:]); err != nil {
		return nil, fmt.Errorf("sign a simulated certificate: %w", err)
	}
	parts.TBS, parts.Sig.BitLength = asn1.RawValue{FullBytes: tbs}, 8*len(parts.Sig.Bytes)
	parts.Alg.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	if der, err = asn1.Marshal(parts); err != nil {
		return nil, fmt.Errorf("write a simulated certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read a simulated certificate: %w", err)
	}
	return cert, nil
}

func replaceOnce(b, old, with []byte) []byte {
	for i := 0; i+len(old) <= len(b); i++ {
		if string(b[i:i+len(old)]) == string(old) {
			out := append([]byte{}, b...)
			copy(out[i:], with)
			return out
		}
	}
	return b
}

// identity is the chain of one iPad, leaf first, and its key, as PEM.
func (d deviceAuthority) identity(serial string) (chain, key []byte, err error) {
	if known, ok := d.issued.Load(serial); ok {
		return known.([]byte), d.leafPEM, nil
	}
	ca := pkix.Name{Country: []string{"US"}, Organization: []string{"Simulated Apple (not Apple)"}, CommonName: "Simulated iPhone Device CA"}
	leaf, err := d.sign(pkix.Name{CommonName: "00000000-" + serial}, ca, &d.leafKey.PublicKey, d.key, false)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range []*x509.Certificate{leaf, d.ca} {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	d.issued.Store(serial, chain)
	return chain, d.leafPEM, nil
}

// activation is what an iPad that was just switched on asks Apple: who am I, and
// who manages me? It is plain HTTP, for tablets live in another process:
//
//	GET /activation/SERIAL  {"profile": {…} or null, "identity": {"cert_pem": "…", "key_pem": "…"}}
func (s *School) activation() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /activation/{serial}", func(w http.ResponseWriter, r *http.Request) {
		serial := r.PathValue("serial")
		chain, key, err := s.devices.identity(serial)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts.Activations++
		var profile map[string]any
		if d := s.owned[serial]; d != nil && d.profile != "" {
			if p := s.profiles[d.profile]; p != nil {
				profile = map[string]any{"profile_uuid": d.profile}
				for k, v := range p.body {
					profile[k] = v
				}
				if d.status != "pushed" {
					d.status, d.pushed = "pushed", s.now()
					s.tell(d.server, serial, "modified")
				}
			}
		}
		answer(w, map[string]any{"profile": profile, "identity": map[string]any{"cert_pem": string(chain), "key_pem": string(key)}})
	})
	return mux
}

// Identity gives an iPad's identity, for tests that sign by themselves.
func (s *School) Identity(serial string) (chainPEM, keyPEM []byte, err error) {
	return s.devices.identity(serial)
}
