package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	kitlog "github.com/go-kit/kit/log"
	scepclient "github.com/micromdm/scep/v2/client"
	"github.com/smallstep/scep"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func TestSCEP(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		h := r.SCEP()
		d := newTablet(t, 2048)
		grant := certs.Grant{Purpose: certs.Enroll, EnrollmentID: "e1", LinkID: "l1"}

		t.Run("a challenge yields an identity of its enrollment, whatever the request claims", func(t *testing.T) {
			cert, err := d.enroll(t, h, challenge(t, db, r, grant))
			if err != nil {
				t.Fatal(err)
			}
			if got := cert.Subject.String(); got != "CN=e1" {
				t.Errorf("subject %s", got)
			}
			if len(cert.DNSNames) != 0 {
				t.Errorf("names of the request went in: %v", cert.DNSNames)
			}
			if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
				t.Errorf("usage %v", cert.ExtKeyUsage)
			}
			if want := now().Add(365 * day); !cert.NotAfter.Equal(want) {
				t.Errorf("ends %s, want %s", cert.NotAfter, want)
			}
			if len(cert.CRLDistributionPoints) != 1 || cert.CRLDistributionPoints[0] != "https://mdm.example.org/crl" {
				t.Errorf("revocation list at %v", cert.CRLDistributionPoints)
			}
			id, err := r.Lookup(t.Context(), db, certs.PresentedOf(cert).Hash)
			if err != nil {
				t.Fatal(err)
			}
			if id.EnrollmentID != "e1" || id.LinkID != "l1" || id.Purpose != certs.Enroll || id.State != certs.Issued || id.Generation != 0 {
				t.Errorf("recorded %+v", id)
			}
		})

		t.Run("the answer is encrypted with AES and signed with SHA-256", func(t *testing.T) {
			d := newTablet(t, 2048)
			w := post(h, d.message(t, h, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "aes"}), scep.PKCSReq))
			out, err := openssl(t, map[string][]byte{"m": w.Body.Bytes()}, "cms", "-cmsout", "-print", "-inform", "DER", "-in", "m", "-noout")
			if err != nil {
				t.Fatal(out)
			}
			if strings.Contains(out, "sha1") || !strings.Contains(out, "sha256") {
				t.Error("not signed with SHA-256 only")
			}
			// 2.16.840.1.101.3.4.1.2, AES-128-CBC, lies in the signed content.
			if !bytes.Contains(w.Body.Bytes(), []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02}) {
				t.Error("not encrypted with AES-128-CBC")
			}
		})

		t.Run("the same key may ask again for ten minutes and gets the same", func(t *testing.T) {
			d := newTablet(t, 2048)
			ch := challenge(t, db, r, certs.Grant{Purpose: certs.Renew, EnrollmentID: "again", Generation: 3})
			first, err := d.enroll(t, h, ch)
			if err != nil {
				t.Fatal(err)
			}
			clk.Forward(9 * time.Minute)
			second, err := d.enroll(t, h, ch)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Raw, second.Raw) {
				t.Error("another certificate")
			}
			clk.Forward(2 * time.Minute)
			if _, err := d.enroll(t, h, ch); !errors.Is(err, errFailed) {
				t.Errorf("after eleven minutes: %v", err)
			}
		})

		t.Run("a challenge seen by someone else yields nothing", func(t *testing.T) {
			ch := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "seen"})
			if _, err := newTablet(t, 2048).enroll(t, h, ch); err != nil {
				t.Fatal(err)
			}
			if _, err := newTablet(t, 2048).enroll(t, h, ch); !errors.Is(err, errFailed) {
				t.Errorf("the second key: %v", err)
			}
			if list, _ := r.List(t.Context(), db, certs.Filter{EnrollmentID: "seen"}); len(list) != 1 {
				t.Errorf("%d certificates", len(list))
			}
		})

		t.Run("expired, voided, wrong and missing challenges get a signed failure", func(t *testing.T) {
			late := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "late", TTL: time.Minute})
			void := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "void"})
			do(t, db, func(tx *sqldb.Tx) error { return r.VoidChallenges(t.Context(), tx, "void") })
			clk.Forward(time.Minute)
			for name, ch := range map[string]string{"expired": late, "voided": void, "wrong": "nonsense", "missing": ""} {
				if _, err := d.enroll(t, h, ch); !errors.Is(err, errFailed) {
					t.Errorf("%s: %v", name, err)
				}
			}
			counts := r.RefusalCounts()
			if counts["scep.challenge-expired"] != 1 || counts["scep.challenge-voided"] != 1 || counts["scep.challenge-unknown"] != 2 {
				t.Errorf("counted %v", counts)
			}
		})

		t.Run("a challenge voided after use does not answer again", func(t *testing.T) {
			d := newTablet(t, 2048)
			ch := challenge(t, db, r, certs.Grant{Purpose: certs.Renew, EnrollmentID: "void2"})
			if _, err := d.enroll(t, h, ch); err != nil {
				t.Fatal(err)
			}
			do(t, db, func(tx *sqldb.Tx) error { return r.VoidChallenges(t.Context(), tx, "void2") })
			if _, err := d.enroll(t, h, ch); !errors.Is(err, errFailed) {
				t.Errorf("%v", err)
			}
		})

		t.Run("a revoked or retired certificate is never handed out again", func(t *testing.T) {
			for name, end := range map[string]func(tx *sqldb.Tx, id certs.Identity) error{
				"revoked": func(tx *sqldb.Tx, id certs.Identity) error {
					return r.Revoke(t.Context(), tx, "user:anna", id.Serial, "stolen")
				},
				"retired": func(tx *sqldb.Tx, id certs.Identity) error {
					return r.RetireAll(t.Context(), tx, id.EnrollmentID, "wiped")
				},
			} {
				d := newTablet(t, 2048)
				ch := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: name})
				cert, err := d.enroll(t, h, ch)
				if err != nil {
					t.Fatal(err)
				}
				id, err := r.Lookup(t.Context(), db, certs.PresentedOf(cert).Hash)
				if err != nil {
					t.Fatal(err)
				}
				do(t, db, func(tx *sqldb.Tx) error { return end(tx, id) })
				if _, err := d.enroll(t, h, ch); !errors.Is(err, errFailed) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})

		t.Run("many at once with one key get one certificate", func(t *testing.T) {
			d := newTablet(t, 2048)
			msg := d.message(t, h, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "rush"}), scep.PKCSReq)
			ca := caCerts(t, h)
			var wg sync.WaitGroup
			hashes := make([]string, 8)
			for i := range hashes {
				wg.Go(func() {
					cert, err := d.read(h, post(h, msg), ca)
					if err != nil {
						t.Error(err)
						return
					}
					hashes[i] = certs.PresentedOf(cert).Hash
				})
			}
			wg.Wait()
			for _, hash := range hashes {
				if hash != hashes[0] {
					t.Fatal("more than one certificate for one challenge")
				}
			}
			if list, _ := r.List(t.Context(), db, certs.Filter{EnrollmentID: "rush"}); len(list) != 1 {
				t.Errorf("%d rows", len(list))
			}
		})

		t.Run("a request to renew is answered as any other", func(t *testing.T) {
			d := newTablet(t, 2048)
			msg := d.message(t, h, challenge(t, db, r, certs.Grant{Purpose: certs.Renew, EnrollmentID: "r", Generation: 2}), scep.RenewalReq)
			cert, err := d.read(h, post(h, msg), caCerts(t, h))
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := r.Lookup(t.Context(), db, certs.PresentedOf(cert).Hash); id.Purpose != certs.Renew || id.Generation != 2 {
				t.Errorf("recorded %+v", id)
			}
		})
	})
}

func TestUnfitKeysGetASignedFailure(t *testing.T) {
	db := sqldbtest.SQLite(t)
	r := open(t, db, clock.At(now()), certs.P256)
	h := r.SCEP()
	ch := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "weak"})

	if _, err := newTablet(t, 1024).enroll(t, h, ch); !errors.Is(err, errFailed) || !strings.Contains(err.Error(), "badAlg") {
		t.Errorf("RSA-1024: %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	d := newTablet(t, 2048)
	msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{
		MessageType: scep.PKCSReq, Recipients: caCerts(t, h), SignerKey: d.key, SignerCert: d.self,
	}, scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.read(h, post(h, msg.Raw), caCerts(t, h)); !errors.Is(err, errFailed) || !strings.Contains(err.Error(), "badAlg") {
		t.Errorf("P-256: %v", err)
	}
	if _, err := d.enroll(t, h, ch); err != nil {
		t.Errorf("unfit keys spent the challenge: %v", err)
	}
}

func TestSCEPOverHTTP(t *testing.T) {
	db := sqldbtest.SQLite(t)
	clk := clock.At(now())
	for _, kind := range []string{certs.P256, certs.RSA2048} {
		t.Run("micromdm's client gets an identity, CA "+kind, func(t *testing.T) {
			db := sqldbtest.SQLite(t)
			r := open(t, db, clk, kind)
			srv := httptest.NewServer(r.SCEP())
			defer srv.Close()
			client, err := scepclient.New(srv.URL, kitlog.NewNopLogger())
			if err != nil {
				t.Fatal(err)
			}
			for _, capability := range []string{"AES", "SHA-256", "POSTPKIOperation", "SCEPStandard"} {
				if !client.Supports(capability) {
					t.Errorf("does not offer %s", capability)
				}
			}
			raw, n, err := client.GetCACert(t.Context(), "")
			if err != nil || n < 2 {
				t.Fatalf("%d certificates, %v", n, err)
			}
			ca, err := scep.CACerts(raw)
			if err != nil {
				t.Fatal(err)
			}
			d := newTablet(t, 2048)
			csr := d.csr(t, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "m"}))
			msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{MessageType: scep.PKCSReq, Recipients: ca, SignerKey: d.key, SignerCert: d.self},
				scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
			if err != nil {
				t.Fatal(err)
			}
			out, err := client.PKIOperation(t.Context(), msg.Raw)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := scep.ParsePKIMessage(out, scep.WithCACerts(ca))
			if err != nil || rep.PKIStatus != scep.SUCCESS {
				t.Fatalf("%+v, %v", rep, err)
			}
			if err := rep.DecryptPKIEnvelope(d.self, d.key); err != nil {
				t.Fatal(err)
			}
			chain := append(pemOf(ca[1]), pemOf(ca[0])...)
			text, err := openssl(t, map[string][]byte{"leaf": pemOf(rep.CertRepMessage.Certificate), "chain": chain, "root": r.RootPEM()},
				"verify", "-attime", at(time.Hour), "-purpose", "sslclient", "-CAfile", "root", "-untrusted", "chain", "leaf")
			if err != nil {
				t.Errorf("openssl: %s", text)
			}
		})
	}

	r := open(t, db, clk, certs.P256)
	h := r.SCEP()
	t.Run("a GET may spell its base64 in many ways", func(t *testing.T) {
		d := newTablet(t, 2048)
		std := base64.StdEncoding.EncodeToString(d.message(t, h, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "get"}), scep.PKCSReq))
		for name, text := range map[string]string{
			"escaped":         url.QueryEscape(std),
			"plus left bare":  strings.ReplaceAll(std, "=", "%3D"),
			"URL alphabet":    strings.NewReplacer("+", "-", "/", "_").Replace(url.QueryEscape(strings.NewReplacer("+", "-", "/", "_").Replace(std))),
			"no padding":      url.QueryEscape(strings.TrimRight(std, "=")),
			"escaped twice":   url.QueryEscape(url.QueryEscape(std)),
			"broken in lines": url.QueryEscape(std[:100] + "\r\n" + std[100:]),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/scep?operation=PKIOperation&message="+text, nil))
			if _, err := d.read(h, w, caCerts(t, h)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})

	t.Run("what is no SCEP message is 400, never 401 or 5xx", func(t *testing.T) {
		good := newTablet(t, 2048).message(t, h, "x", scep.PKCSReq)
		tampered := bytes.Clone(good)
		tampered[len(tampered)-10] ^= 1
		deep := bytes.Repeat([]byte{0x30, 0x80}, 30_000)
		for name, q := range map[string]*http.Request{
			"no operation":      httptest.NewRequest("GET", "/scep", nil),
			"unknown operation": httptest.NewRequest("GET", "/scep?operation=GetNextCACert", nil),
			"posted GetCACert":  httptest.NewRequest("POST", "/scep?operation=GetCACert", nil),
			"bad query":         httptest.NewRequest("GET", "/scep?operation=PKIOperation;x=1", nil),
			"no message":        httptest.NewRequest("GET", "/scep?operation=PKIOperation", nil),
			"message no base64": httptest.NewRequest("GET", "/scep?operation=PKIOperation&message=!!!", nil),
			"empty body":        httptest.NewRequest("POST", "/scep?operation=PKIOperation", nil),
			"text":              httptest.NewRequest("POST", "/scep?operation=PKIOperation", strings.NewReader("hello")),
			"tampered":          httptest.NewRequest("POST", "/scep?operation=PKIOperation", bytes.NewReader(tampered)),
			"cut off":           httptest.NewRequest("POST", "/scep?operation=PKIOperation", bytes.NewReader(good[:len(good)/2])),
			"too long":          httptest.NewRequest("POST", "/scep?operation=PKIOperation", bytes.NewReader(make([]byte, 70_000))),
			"nested deeply":     httptest.NewRequest("POST", "/scep?operation=PKIOperation", bytes.NewReader(deep)),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, q)
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("PUT", "/scep?operation=PKIOperation", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("PUT: %d", w.Code)
		}
	})

	t.Run("an envelope for another CA is a signed failure", func(t *testing.T) {
		other := open(t, sqldbtest.SQLite(t), clk, certs.P256)
		d := newTablet(t, 2048)
		msg := d.message(t, other.SCEP(), challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "o"}), scep.PKCSReq)
		if _, err := d.read(h, post(h, msg), caCerts(t, h)); !errors.Is(err, errFailed) || !strings.Contains(err.Error(), "badMessageCheck") {
			t.Errorf("%v", err)
		}
	})
}

func TestTwoProcesses(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		rooms := make([]*certs.Room, 4)
		var wg sync.WaitGroup
		for i := range rooms {
			wg.Go(func() { rooms[i] = open(t, db, clk, certs.P256) })
		}
		wg.Wait()
		t.Run("that start at once on an empty database agree on one CA and one topic", func(t *testing.T) {
			topics := map[string]bool{}
			for _, r := range rooms {
				if !bytes.Equal(r.RootPEM(), rooms[0].RootPEM()) {
					t.Error("another root")
				}
				if !bytes.Equal(caCerts(t, r.SCEP())[0].Raw, caCerts(t, rooms[0].SCEP())[0].Raw) {
					t.Error("another SCEP certificate")
				}
				topic, placeholder, err := r.Topic(t.Context(), db)
				if err != nil || !placeholder {
					t.Error(placeholder, err)
				}
				topics[topic] = true
			}
			if len(topics) != 1 {
				t.Errorf("topics %v", topics)
			}
		})
		t.Run("issue by turns", func(t *testing.T) {
			d := newTablet(t, 2048)
			for i := range 6 {
				ch := challenge(t, db, rooms[i%2], certs.Grant{Purpose: certs.Enroll, EnrollmentID: sqldb.NewID()})
				first, err := d.enroll(t, rooms[(i+1)%2].SCEP(), ch)
				if err != nil {
					t.Fatal(err)
				}
				again, err := d.enroll(t, rooms[i%2].SCEP(), ch)
				if err != nil || !bytes.Equal(first.Raw, again.Raw) {
					t.Fatalf("the other process answered differently: %v", err)
				}
			}
		})
	})
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
