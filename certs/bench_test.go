package certs_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// BenchmarkSCEP is a PKIOperation in the server: the client's own work is not
// counted.
func BenchmarkSCEP(b *testing.B) {
	for _, kind := range []string{certs.P256, certs.RSA2048} {
		b.Run(kind, func(b *testing.B) {
			sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
				r := open(b, db, clock.At(now()), kind)
				h := r.SCEP()
				d := newTablet(b, 2048)
				for b.Loop() {
					b.StopTimer()
					msg := d.message(b, h, challenge(b, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: sqldb.NewID()}), scep.PKCSReq)
					b.StartTimer()
					if w := post(h, msg); w.Code != http.StatusOK {
						b.Fatal(w.Code)
					}
				}
			})
		})
	}
}

func BenchmarkVerifySignature(b *testing.B) {
	db := sqldbtest.SQLite(b)
	r := open(b, db, clock.At(now()), certs.P256)
	d := newTablet(b, 2048)
	cert, err := d.enroll(b, r.SCEP(), challenge(b, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "s"}))
	if err != nil {
		b.Fatal(err)
	}
	header := base64.StdEncoding.EncodeToString(sign(b, d, cert, idle, pkcs7.OIDDigestAlgorithmSHA256, true))
	b.Run("fresh", func(b *testing.B) {
		i := 0
		for b.Loop() {
			// Trailing spaces are not part of the signature, but of what is remembered.
			i++
			if _, err := r.VerifySignature(fmt.Sprintf("%s%*s", header, i%12_000, ""), idle); err != nil {
				b.Fatal(err)
			}
			if i%12_000 == 0 {
				b.StopTimer()
				r = open(b, db, clock.At(now()), certs.P256)
				b.StartTimer()
			}
		}
	})
	b.Run("repeated", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.VerifySignature(header, idle); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSignProfile(b *testing.B) {
	r := open(b, sqldbtest.SQLite(b), clock.At(now()), certs.P256)
	profile := make([]byte, 20_000)
	for b.Loop() {
		if _, err := r.SignCMS(profile); err != nil {
			b.Fatal(err)
		}
	}
}
