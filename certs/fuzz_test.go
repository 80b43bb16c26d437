package certs_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// FuzzSCEP: whatever is posted is answered 200 or 400.
func FuzzSCEP(f *testing.F) {
	db := sqldbtest.SQLite(f)
	r := open(f, db, clock.At(now()), certs.P256)
	h := r.SCEP()
	d := newTablet(f, 2048)
	good := d.message(f, h, challenge(f, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "f"}), scep.PKCSReq)
	f.Add(good)
	f.Add(d.message(f, h, "", scep.RenewalReq))
	f.Add(indefinite(f, good, 3))
	f.Add(sign(f, d, d.self, idle, pkcs7.OIDDigestAlgorithmSHA256, true))
	f.Add(bare(f, d.self))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if w := post(h, body); w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("status %d", w.Code)
		}
		q := httptest.NewRequest("GET", "/scep?operation=PKIOperation&message="+url.QueryEscape(string(body)), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("status %d by GET", w.Code)
		}
	})
}

// FuzzSCEPRequest mutates what lies behind signature and encryption, where
// FuzzSCEP seldom gets: envelope, request and transaction.
func FuzzSCEPRequest(f *testing.F) {
	db := sqldbtest.SQLite(f)
	r := open(f, db, clock.At(now()), certs.P256)
	h := r.SCEP()
	d := newTablet(f, 2048)
	to := caCerts(f, h)[0]
	csr := d.csr(f, challenge(f, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "f"})).Raw
	good, err := certs.Envelope(csr, to)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, csr, []byte("2A7B"), byte(asn1.TagPrintableString))
	f.Add(indefinite(f, good, 4), d.csr(f, "").Raw, []byte{0xff}, byte(asn1.TagT61String))
	f.Add(good[:100], d.self.Raw, []byte("a\x00b"), byte(asn1.TagUTF8String))
	f.Add([]byte{}, []byte{0x30, 0}, []byte{0}, byte(asn1.TagBMPString))
	f.Fuzz(func(t *testing.T, envelope, plain, transaction []byte, kind byte) {
		sealed, err := certs.Envelope(plain, to)
		if err != nil {
			t.Fatal(err)
		}
		id := asn1.RawValue{Tag: int(kind & 0x1e), Bytes: transaction}
		for _, e := range [][]byte{envelope, sealed} {
			msg := d.pki(t, e, printable("19"), id, []byte("0123456789abcdef"))
			if w := post(h, msg); w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
				t.Errorf("status %d", w.Code)
			}
		}
	})
}

// FuzzVerifySignature: nothing verifies but what was signed, and nothing crashes.
func FuzzVerifySignature(f *testing.F) {
	r := open(f, sqldbtest.SQLite(f), clock.At(now()), certs.P256)
	d := newTablet(f, 2048)
	hash := certs.PresentedOf(d.self).Hash
	der := sign(f, d, d.self, idle, pkcs7.OIDDigestAlgorithmSHA256, true)
	f.Add(der, idle)
	f.Add(indefinite(f, der, 4), idle)
	f.Add(sign(f, d, d.self, idle, pkcs7.OIDDigestAlgorithmSHA1, false), idle)
	f.Add(bare(f, d.self), []byte{})
	f.Add([]byte{0x30, 0x80, 0, 0}, []byte("x"))
	f.Add([]byte{0x3f, 0xff, 0xff}, []byte(nil))
	f.Fuzz(func(t *testing.T, der, body []byte) {
		p, err := r.VerifySignature(base64.StdEncoding.EncodeToString(der), body)
		if err == nil && p.Hash == hash && !bytes.Equal(body, idle) {
			t.Error("a body that was never signed is accepted")
		}
		_, _ = r.VerifySignature(string(der), body)
		_, _, _ = certs.UnwrapCMS(der)
		_, _ = certs.ParseHeader(string(der))
	})
}

// FuzzPushCertificate: whatever file is given, it is named and refused, or taken.
func FuzzPushCertificate(f *testing.F) {
	db := sqldbtest.SQLite(f)
	r := open(f, db, clock.At(now()), certs.P256)
	d := newTablet(f, 2048)
	key := pemKey(f, d.key)
	f.Add(apple(f, &d.key.PublicKey, topicA, "APSP:1", -day, 365*day), key)
	f.Add(apple(f, &d.key.PublicKey, "", "MDM Vendor: Example", -day, day), key)
	f.Add(pemOf(d.self), pemOf(d.self))
	f.Add(d.self.Raw, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"), []byte(nil))
	f.Add([]byte("PHBsaXN0Lz4="), []byte("x"))
	f.Add([]byte{0x30, 3, 2, 1, 3}, []byte{0x30, 0})
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		err := try(t, db, func(tx *sqldb.Tx) error {
			_, err := r.ImportPush(t.Context(), tx, "user:f", cert, key)
			return err
		})
		if k := fault.KindOf(err); err != nil && k != fault.Invalid && k != fault.Conflict {
			t.Errorf("%v", err)
		}
	})
}
