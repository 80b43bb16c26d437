package certs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micromdm/scep/v2/cryptoutil/x509util"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func scepAttr(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, n}
}

// pki makes a request with attributes of one's choice.
func (d *tablet) pki(t testing.TB, envelope []byte, kind, transaction, nonce any) []byte {
	t.Helper()
	sum := sha256.Sum256(envelope)
	attrs := [][]byte{attribute(t, pkcs7.OIDAttributeContentType, pkcs7.OIDData), attribute(t, pkcs7.OIDAttributeMessageDigest, sum[:])}
	for n, v := range map[int]any{2: kind, 7: transaction, 5: nonce} {
		if v != nil {
			attrs = append(attrs, attribute(t, scepAttr(n), v))
		}
	}
	return handmade{content: envelope, attrs: attrs, inOrder: true}.sign(t, d, d.self, envelope)
}

// envelopeOf takes the envelope out of a request that a library made.
func envelopeOf(t testing.TB, msg []byte) []byte {
	t.Helper()
	p7, err := pkcs7.Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	return p7.Content
}

func printable(s string) asn1.RawValue {
	return asn1.RawValue{Tag: asn1.TagPrintableString, Bytes: []byte(s)}
}

func TestOddSCEPMessages(t *testing.T) {
	db := sqldbtest.SQLite(t)
	r := open(t, db, clock.At(now()), certs.P256)
	h := r.SCEP()
	d := newTablet(t, 2048)
	envelope := envelopeOf(t, d.message(t, h, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "odd"}), scep.PKCSReq))
	nonce := make([]byte, 16)
	raw := func(tag int, b string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(b)} }

	t.Run("a transaction comes back as it came, whatever it is made of", func(t *testing.T) {
		for name, id := range map[string]asn1.RawValue{
			"printable":           printable("2A7B"),
			"UTF-8":               raw(asn1.TagUTF8String, "schlüssel"),
			"T61, not UTF-8":      raw(asn1.TagT61String, "\xff\xfe"),
			"broken UTF-8":        raw(asn1.TagUTF8String, "\xff"),
			"a NUL":               raw(asn1.TagIA5String, "a\x00b"),
			"not even printable":  raw(asn1.TagPrintableString, "\x01*"),
			"octets":              raw(asn1.TagOctetString, "\x00\x01"),
			"as long as may be":   printable(strings.Repeat("7", 255)),
			"base64 as iPads use": printable("q1WmDJ/2+A=="),
		} {
			w := post(h, d.pki(t, envelope, printable("19"), id, nonce))
			if w.Code != http.StatusOK {
				t.Errorf("%s: %d", name, w.Code)
				continue
			}
			if whole := marshal(t, id); !bytes.Contains(w.Body.Bytes(), whole) {
				t.Errorf("%s: not given back", name)
			}
		}
	})
	t.Run("what lacks what an answer needs is 400", func(t *testing.T) {
		id, kind := printable("1"), printable("19")
		for name, msg := range map[string][]byte{
			"no type":                  d.pki(t, envelope, nil, id, nonce),
			"no transaction":           d.pki(t, envelope, kind, nil, nonce),
			"no nonce":                 d.pki(t, envelope, kind, id, nil),
			"a type that is a number":  d.pki(t, envelope, 19, id, nonce),
			"an empty transaction":     d.pki(t, envelope, kind, printable(""), nonce),
			"a long transaction":       d.pki(t, envelope, kind, printable(strings.Repeat("7", 256)), nonce),
			"a transaction of parts":   d.pki(t, envelope, kind, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: []byte{5, 0}}, nonce),
			"an empty nonce":           d.pki(t, envelope, kind, id, []byte{}),
			"a long nonce":             d.pki(t, envelope, kind, id, make([]byte, 65)),
			"a signature, no message":  sign(t, d, d.self, idle, pkcs7.OIDDigestAlgorithmSHA256, true),
			"certificates, no message": bare(t, d.self),
		} {
			if w := post(h, msg); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
	})
	t.Run("what is signed but can not be served is a signed failure", func(t *testing.T) {
		for name, tt := range map[string]struct {
			envelope []byte
			kind     any
			why      string
		}{
			"another type":         {envelope, printable("20"), "badRequest"},
			"an unknown type":      {envelope, printable("nonsense"), "badRequest"},
			"no envelope":          {[]byte("hello"), printable("19"), "badMessageCheck"},
			"an envelope cut off":  {envelope[:len(envelope)/2], printable("19"), "badMessageCheck"},
			"an envelope of depth": {bytes.Repeat([]byte{0x30, 0x80}, 20_000), printable("19"), "badMessageCheck"},
			"padding that is none": {append(bytes.Clone(envelope[:len(envelope)-1]), envelope[len(envelope)-1]^0x55), printable("19"), "badMessageCheck"},
		} {
			w := post(h, d.pki(t, tt.envelope, tt.kind, printable("1"), nonce))
			if _, err := d.read(h, w, caCerts(t, h)); !errors.Is(err, errFailed) || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("each that was not served is counted", func(t *testing.T) {
		if c := r.RefusalCounts(); c["scep.unreadable"] != 11 || c["scep.unsupported"] != 2 || c["scep.envelope"] != 4 {
			t.Errorf("%v", c)
		}
	})
}

// Some clients take any certificate of the answer to GetCACert that can encrypt.
func TestEnvelopeToTheIntermediateOfAnRSACA(t *testing.T) {
	db := sqldbtest.SQLite(t)
	r := open(t, db, clock.At(now()), certs.RSA2048)
	h := r.SCEP()
	d := newTablet(t, 2048)
	ca := caCerts(t, h)
	for name, to := range map[string][]*x509.Certificate{"the SCEP one": ca[:1], "the intermediate": ca[1:], "both": ca} {
		csr := d.csr(t, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: sqldb.NewID()}))
		msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{MessageType: scep.PKCSReq, Recipients: to, SignerKey: d.key, SignerCert: d.self})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.read(h, post(h, msg.Raw), ca); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequestsSignedWithSHA1(t *testing.T) {
	db := sqldbtest.SQLite(t)
	r := open(t, db, clock.At(now()), certs.P256)
	h := r.SCEP()
	d := newTablet(t, 2048)
	ch := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "old"})
	conf := "[req]\nprompt=no\ndistinguished_name=dn\nattributes=at\n[dn]\nCN=x\n[at]\nchallengePassword=" + ch + "\n"
	out, err := openssl(t, map[string][]byte{"k": pemKey(t, d.key), "conf": []byte(conf)}, "req", "-new", "-sha1", "-config", "conf", "-key", "k", "-outform", "DER")
	if err != nil {
		t.Fatal(out)
	}
	csr, err := x509.ParseCertificateRequest([]byte(out))
	if err != nil || csr.SignatureAlgorithm != x509.SHA1WithRSA {
		t.Fatal(csr, err)
	}
	msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{MessageType: scep.PKCSReq, Recipients: caCerts(t, h), SignerKey: d.key, SignerCert: d.self},
		scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.read(h, post(h, msg.Raw), caCerts(t, h)); err != nil {
		t.Error(err)
	}
}

func TestRepeatedRequests(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		h := r.SCEP()
		ctx := t.Context()

		t.Run("a key that spent two challenges gets for each its own again", func(t *testing.T) {
			d := newTablet(t, 2048)
			enroll := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "two"})
			renew := challenge(t, db, r, certs.Grant{Purpose: certs.Renew, EnrollmentID: "two", Generation: 1})
			want := map[string]*x509.Certificate{}
			for _, ch := range []string{enroll, renew, enroll, renew, enroll} {
				cert, err := d.enroll(t, h, ch)
				if err != nil {
					t.Fatal(err)
				}
				if want[ch] == nil {
					want[ch] = cert
				} else if !bytes.Equal(cert.Raw, want[ch].Raw) {
					t.Fatal("the certificate of another challenge")
				}
			}
			if lookup(t, db, r, certs.PresentedOf(want[enroll]).Hash).Purpose != certs.Enroll ||
				lookup(t, db, r, certs.PresentedOf(want[renew]).Hash).Purpose != certs.Renew {
				t.Error("purposes mixed up")
			}
		})
		t.Run("also when the tablet turned out to be a known one", func(t *testing.T) {
			d := newTablet(t, 2048)
			ch := challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "reserved"})
			first, err := d.enroll(t, h, ch)
			if err != nil {
				t.Fatal(err)
			}
			do(t, db, func(tx *sqldb.Tx) error { return r.Pin(ctx, tx, certs.PresentedOf(first).Hash, "known", 3) })
			again, err := d.enroll(t, h, ch)
			if err != nil || !bytes.Equal(first.Raw, again.Raw) {
				t.Errorf("%v", err)
			}
		})
		t.Run("an identity that has run out is renewed like any other", func(t *testing.T) {
			d := newTablet(t, 2048)
			old := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "late"})
			do(t, db, func(tx *sqldb.Tx) error { return r.Pin(ctx, tx, old.Hash, "late", 1) })
			clk.Forward(400 * day)
			due, err := r.Due(ctx, db, clk.Now().Add(30*day), 10)
			if err != nil || !slices.ContainsFunc(due, func(id certs.Identity) bool { return id.Hash == old.Hash }) {
				t.Errorf("not due: %+v %v", due, err)
			}
			fresh := issue(t, db, r, newTablet(t, 2048), certs.Grant{Purpose: certs.Renew, EnrollmentID: "late", Generation: 1})
			if !fresh.NotAfter.Equal(clk.Now().Add(365*day)) || fresh.Generation != 1 {
				t.Errorf("%+v", fresh)
			}
			if lookup(t, db, r, old.Hash).State != certs.Pinned {
				t.Error("the old identity ended before the new one was seen")
			}
			do(t, db, func(tx *sqldb.Tx) error { return r.Pin(ctx, tx, fresh.Hash, "late", 1) })
			if due, _ := r.Due(ctx, db, clk.Now().Add(30*day), 10); len(due) != 1 || due[0].EnrollmentID != "known" {
				t.Errorf("still due: %+v", due)
			}
		})
	})
}

// A person debugs a certificate with openssl, so it must read every part.
func TestOpenSSLReadsWhatSCEPAnswers(t *testing.T) {
	for _, kind := range []string{certs.P256, certs.RSA2048} {
		db := sqldbtest.SQLite(t)
		r := open(t, db, clock.At(now()), kind)
		h := r.SCEP()
		d := newTablet(t, 2048)
		der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
			ChallengePassword: challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "o"}),
		}, d.key)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		ca := caCerts(t, h)
		msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{MessageType: scep.PKCSReq, Recipients: ca[:1], SignerKey: d.key, SignerCert: d.self})
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{
			"rep": post(h, msg.Raw).Body.Bytes(), "chain": append(r.RootPEM(), pemOf(ca[1])...), "self": pemOf(d.self), "key": pemKey(t, d.key),
		}
		dir := t.TempDir()
		inner, bag := filepath.Join(dir, "inner"), filepath.Join(dir, "bag")
		for _, args := range [][]string{
			{"cms", "-verify", "-inform", "DER", "-in", "rep", "-binary", "-CAfile", "chain", "-purpose", "any", "-attime", at(time.Hour), "-out", inner},
			{"cms", "-decrypt", "-inform", "DER", "-in", inner, "-binary", "-recip", "self", "-inkey", "key", "-out", bag},
		} {
			if out, err := openssl(t, files, args...); err != nil {
				t.Fatalf("%s, openssl %s: %s", kind, args[1], out)
			}
		}
		out, err := exec.CommandContext(t.Context(), "openssl", "pkcs7", "-inform", "DER", "-in", bag, "-print_certs", "-noout").CombinedOutput()
		if err != nil || !strings.Contains(strings.ReplaceAll(string(out), " ", ""), "CN=o") {
			t.Errorf("%s: %s", kind, out)
		}
	}
}
