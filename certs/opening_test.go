package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// rows is what the room keeps, as text to compare.
func rows(t testing.TB, db *sqldb.DB) []string {
	t.Helper()
	var out []string
	for _, q := range []string{
		`SELECT name FROM ca_keys ORDER BY name`, `SELECT hash FROM certificates ORDER BY hash`,
		`SELECT topic FROM push_certificates ORDER BY id`, `SELECT CAST(number AS TEXT) FROM crl`,
	} {
		var part []string
		if err := db.Select(t.Context(), &part, q); err != nil {
			t.Fatal(err)
		}
		out = append(out, part...)
	}
	return out
}

func TestOpening(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		cfg := certs.Config{PublicURL: "https://mdm.example.org"}
		t.Run("a setting that makes no sense is refused before anything is written", func(t *testing.T) {
			for _, cfg := range []certs.Config{{}, {PublicURL: "mdm.example.org"}, {PublicURL: "ftp://x"}, {PublicURL: "https://x", KeyKind: "dsa"}} {
				if _, err := certs.New(t.Context(), db, clk, vault(t), nil, cfg); fault.KindOf(err) != fault.Invalid {
					t.Errorf("%+v: %v", cfg, err)
				}
			}
			if got := rows(t, db); len(got) != 0 {
				t.Errorf("written: %q", got)
			}
		})
		first := open(t, db, clk, certs.P256)
		before := rows(t, db)
		t.Run("the sealing key of another database is named as what is wrong, and changes nothing", func(t *testing.T) {
			other, err := certs.NewVault(bytes.Repeat([]byte{8}, certs.SealKeySize))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := certs.New(t.Context(), db, clk, other, nil, cfg); fault.CodeOf(err) != "seal.wrong-key" || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			if got := rows(t, db); !slices.Equal(got, before) {
				t.Errorf("%q became %q", before, got)
			}
		})
		t.Run("opened again it is the same CA, and another kind of key changes nothing", func(t *testing.T) {
			again := open(t, db, clk, certs.RSA2048)
			if !bytes.Equal(first.RootPEM(), again.RootPEM()) || !slices.Equal(rows(t, db), before) {
				t.Error("another CA")
			}
		})
		t.Run("a sealed key moved to another row does not open", func(t *testing.T) {
			move := `UPDATE ca_keys SET key_sealed = (SELECT key_sealed FROM ca_keys WHERE name = ?), cert_der = (SELECT cert_der FROM ca_keys WHERE name = ?) WHERE name = ?`
			err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), move, "root", "root", "signer")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := certs.New(t.Context(), db, clk, vault(t), nil, cfg); fault.CodeOf(err) != "seal.wrong-key" {
				t.Errorf("%v", err)
			}
		})
	})
	if _, err := certs.NewVault([]byte("short")); fault.CodeOf(err) != "seal.key-size" {
		t.Errorf("a short key: %v", err)
	}
}

func TestTwoProcessesRevoke(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		ctx := t.Context()
		rooms := []*certs.Room{open(t, db, clk, certs.P256), open(t, db, clk, certs.P256)}
		fetch := func(r *certs.Room) *x509.RevocationList {
			w := httptest.NewRecorder()
			r.CRL().ServeHTTP(w, httptest.NewRequest("GET", "/crl", nil))
			list, err := x509.ParseRevocationList(w.Body.Bytes())
			if w.Code != http.StatusOK || err != nil {
				t.Errorf("%d %v", w.Code, err)
				return &x509.RevocationList{}
			}
			return list
		}
		t.Run("what one revokes is on the other's next list", func(t *testing.T) {
			for i := range 4 {
				id := issue(t, db, rooms[i%2], newTablet(t, 2048), certs.Grant{Purpose: certs.Enroll, EnrollmentID: sqldb.NewID()})
				do(t, db, func(tx *sqldb.Tx) error { return rooms[i%2].Revoke(ctx, tx, "user:anna", id.Serial, "") })
				if list := fetch(rooms[(i+1)%2]); len(list.RevokedCertificateEntries) != i+1 {
					t.Errorf("%d on the list after %d", len(list.RevokedCertificateEntries), i+1)
				}
			}
		})
		t.Run("while many read, a number is never given to two lists and nothing is missing", func(t *testing.T) {
			var serials []string
			d := newTablet(t, 2048)
			for range 12 {
				serials = append(serials, issue(t, db, rooms[0], d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: sqldb.NewID()}).Serial)
			}
			start := fetch(rooms[0]).Number.Int64()
			var mu sync.Mutex
			seen := map[int64]int{} // number of a list: its length
			var wg sync.WaitGroup
			for i, serial := range serials {
				wg.Go(func() {
					r := rooms[i%2]
					if err := db.Do(ctx, func(tx *sqldb.Tx) error { return r.Revoke(ctx, tx, "user:anna", serial, "") }); err != nil {
						t.Error(err)
					}
					list := fetch(rooms[(i+1)%2])
					found := false
					for _, e := range list.RevokedCertificateEntries {
						found = found || e.SerialNumber.String() == serial
					}
					if !found {
						t.Error("revoked, but not on the list fetched after")
					}
					mu.Lock()
					defer mu.Unlock()
					n := list.Number.Int64()
					if length, ok := seen[n]; ok && length != len(list.RevokedCertificateEntries) {
						t.Errorf("two lists with number %d", n)
					}
					seen[n] = len(list.RevokedCertificateEntries)
				})
			}
			wg.Wait()
			last := fetch(rooms[0])
			if len(last.RevokedCertificateEntries) != 16 || last.Number.Int64() > start+12 {
				t.Errorf("%d on list %s", len(last.RevokedCertificateEntries), last.Number)
			}
		})
		t.Run("both count the same strangers at once", func(t *testing.T) {
			var wg sync.WaitGroup
			for round := range 5 {
				for _, r := range rooms {
					wg.Go(func() {
						for i := range 300 {
							r.Refuse("retired", fmt.Sprintf("h%03d", i), "e")
						}
						if err := r.FlushRefusals(ctx); err != nil {
							t.Errorf("round %d: %v", round, err)
						}
					})
				}
			}
			wg.Wait()
			for _, r := range rooms {
				if err := r.FlushRefusals(ctx); err != nil {
					t.Error(err)
				}
			}
			list, err := rooms[0].Refusals(ctx, db, 1000)
			if err != nil || len(list) != 300 {
				t.Fatalf("%d rows, %v", len(list), err)
			}
			for _, f := range list {
				if f.Count != 10 {
					t.Fatalf("%+v", f)
				}
			}
		})
	})
}

// The fall-back for clients that do not get along with P-256 must do all that
// the default does.
func TestCAOfRSA(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.RSA2048)
		for _, c := range append(r.Chain(), caCerts(t, r.SCEP())...) {
			if c.PublicKeyAlgorithm != x509.RSA {
				t.Errorf("%s is not RSA", c.Subject)
			}
		}
		d := newTablet(t, 2048)
		cert, err := d.enroll(t, r.SCEP(), challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "r"}))
		if err != nil {
			t.Fatal(err)
		}
		do(t, db, func(tx *sqldb.Tx) error {
			return r.Revoke(t.Context(), tx, "user:anna", cert.SerialNumber.String(), "superseded")
		})
		w := httptest.NewRecorder()
		r.CRL().ServeHTTP(w, httptest.NewRequest("GET", "/crl", nil))
		files := map[string][]byte{"crl": w.Body.Bytes(), "inter": pemOf(r.Chain()[1]), "chain": append(r.RootPEM(), pemOf(r.Chain()[1])...), "leaf": pemOf(cert)}
		text, err := openssl(t, files, "crl", "-inform", "DER", "-in", "crl", "-CAfile", "inter", "-verify")
		if err != nil {
			t.Fatal(text)
		}
		files["pem"] = []byte(text)
		if out, err := openssl(t, files, "verify", "-attime", at(0), "-crl_check", "-CRLfile", "pem", "-CAfile", "chain", "leaf"); err == nil {
			t.Errorf("revoked, but: %s", out)
		}
		roots := x509.NewCertPool()
		roots.AddCert(r.Root())
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.TLS = &tls.Config{GetCertificate: r.ServerCertificate("mdm.example.org"), Time: clk.Now}
		srv.StartTLS()
		defer srv.Close()
		conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "mdm.example.org", Time: clk.Now})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	})
}

func TestRevokingOurOwn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		var serials []string
		if err := db.Select(t.Context(), &serials, `SELECT serial FROM certificates WHERE kind = 'signer'`); err != nil || len(serials) != 1 {
			t.Fatalf("%q %v", serials, err)
		}
		for _, serial := range []string{"", "12\x00", "\xff", "0x12", "-1", "1e5", "99999999999999999999999999999999999999999999999999999999999999"} {
			err := try(t, db, func(tx *sqldb.Tx) error { return r.Revoke(t.Context(), tx, "user:anna", serial, "") })
			if fault.CodeOf(err) != "certificate.unknown" {
				t.Errorf("%q: %v", serial, err)
			}
		}
		do(t, db, func(tx *sqldb.Tx) error { return r.Revoke(t.Context(), tx, "user:anna", serials[0], "") })
	})
}

func TestIssuingStopsWithTheDatabase(t *testing.T) {
	db := sqldbtest.SQLite(t)
	clk := clock.At(now())
	r, err := certs.New(t.Context(), db, clk, vault(t), audit.New(db, clk), certs.Config{PublicURL: "https://mdm.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	h := r.SCEP()
	d := newTablet(t, 2048)
	msg := d.message(t, h, challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "e"}), "19")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(gone, "POST", "/scep?operation=PKIOperation", bytes.NewReader(msg)))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d", w.Code)
	}
	if _, err := d.read(h, post(h, msg), caCerts(t, h)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
