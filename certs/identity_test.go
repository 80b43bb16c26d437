package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// issue makes an identity and gives its record.
func issue(t testing.TB, db *sqldb.DB, r *certs.Room, d *tablet, g certs.Grant) certs.Identity {
	t.Helper()
	cert, err := d.enroll(t, r.SCEP(), challenge(t, db, r, g))
	if err != nil {
		t.Fatal(err)
	}
	return lookup(t, db, r, certs.PresentedOf(cert).Hash)
}

func lookup(t testing.TB, db *sqldb.DB, r *certs.Room, hash string) certs.Identity {
	t.Helper()
	id, err := r.Lookup(t.Context(), db, hash)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIdentity(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		ctx := t.Context()
		d := newTablet(t, 2048)
		pin := func(id certs.Identity, enrollment string, generation int64) error {
			return try(t, db, func(tx *sqldb.Tx) error { return r.Pin(ctx, tx, id.Hash, enrollment, generation) })
		}
		state := func(id certs.Identity) certs.State { return lookup(t, db, r, id.Hash).State }

		t.Run("a certificate that is nobody's is foreign", func(t *testing.T) {
			if _, err := r.Lookup(ctx, db, "00"); fault.CodeOf(err) != "certificate.foreign" {
				t.Error(err)
			}
			// The CA's own certificates are no identities either.
			for _, c := range caCerts(t, r.SCEP()) {
				if _, err := r.Lookup(ctx, db, certs.PresentedOf(c).Hash); fault.CodeOf(err) != "certificate.foreign" {
					t.Error(err)
				}
			}
		})
		t.Run("the next one pinned retires the one before", func(t *testing.T) {
			first := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "a"})
			second := issue(t, db, r, d, certs.Grant{Purpose: certs.Renew, EnrollmentID: "a", Generation: 1})
			for range 2 { // a repeat changes nothing
				if err := pin(first, "a", 1); err != nil {
					t.Fatal(err)
				}
			}
			if state(first) != certs.Pinned || state(second) != certs.Issued {
				t.Fatalf("%s, %s", state(first), state(second))
			}
			if err := pin(second, "a", 1); err != nil {
				t.Fatal(err)
			}
			got := lookup(t, db, r, first.Hash)
			if got.State != certs.Retired || got.Reason != "replaced" || got.EndedAt.IsZero() || state(second) != certs.Pinned {
				t.Errorf("%+v, %s", got, state(second))
			}
			if err := pin(first, "a", 1); fault.CodeOf(err) != "certificate.not-pinnable" {
				t.Errorf("a retired one came back: %v", err)
			}
			if state(second) != certs.Pinned {
				t.Error("a refused pin retired the identity in use")
			}
		})
		t.Run("a tablet known by its UDID keeps its enrollment, not the reserved one", func(t *testing.T) {
			id := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "reserved", LinkID: "l"})
			if err := pin(id, "known", 4); err != nil {
				t.Fatal(err)
			}
			got := lookup(t, db, r, id.Hash)
			if got.EnrollmentID != "known" || got.Generation != 4 || got.LinkID != "l" {
				t.Errorf("%+v", got)
			}
		})
		t.Run("a renewed identity never becomes another device's", func(t *testing.T) {
			id := issue(t, db, r, d, certs.Grant{Purpose: certs.Renew, EnrollmentID: "b", Generation: 1})
			if err := pin(id, "c", 1); fault.CodeOf(err) != "certificate.not-pinnable" {
				t.Error(err)
			}
			own := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "b0"})
			if err := pin(own, "b0", 1); err != nil {
				t.Fatal(err)
			}
			if err := pin(own, "c", 1); fault.CodeOf(err) != "certificate.not-pinnable" {
				t.Errorf("a pinned one moved: %v", err)
			}
		})
		t.Run("a new life leaves nothing of what the old one was owed", func(t *testing.T) {
			old := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "w"})
			if err := pin(old, "w", 1); err != nil {
				t.Fatal(err)
			}
			renewed := issue(t, db, r, d, certs.Grant{Purpose: certs.Renew, EnrollmentID: "w", Generation: 1})
			open := challenge(t, db, r, certs.Grant{Purpose: certs.Renew, EnrollmentID: "w", Generation: 1})
			fresh := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "w-reserved"})
			if err := pin(fresh, "w", 2); err != nil {
				t.Fatal(err)
			}
			if state(old) != certs.Retired || state(renewed) != certs.Retired || state(fresh) != certs.Pinned {
				t.Errorf("%s, %s, %s", state(old), state(renewed), state(fresh))
			}
			if _, err := d.enroll(t, r.SCEP(), open); err == nil {
				t.Error("a challenge of the old life still yields")
			}
		})
		t.Run("retiring all leaves other enrollments alone", func(t *testing.T) {
			one := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "x"})
			two := issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "y"})
			do(t, db, func(tx *sqldb.Tx) error { return r.RetireAll(ctx, tx, "x", "checked out") })
			if state(one) != certs.Retired || state(two) != certs.Issued {
				t.Errorf("%s, %s", state(one), state(two))
			}
			if err := pin(one, "x", 1); fault.CodeOf(err) != "certificate.not-pinnable" {
				t.Error(err)
			}
		})
		t.Run("those that end are due, soonest first, and nobody else", func(t *testing.T) {
			for _, id := range []string{"due1", "due2"} {
				if err := pin(issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: id}), id, 1); err != nil {
					t.Fatal(err)
				}
				clk.Forward(time.Hour)
			}
			issue(t, db, r, d, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "never pinned"})
			due, err := r.Due(ctx, db, clk.Now().Add(366*day), 100)
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range due {
				if id.State != certs.Pinned || (i > 0 && id.NotAfter.Before(due[i-1].NotAfter)) {
					t.Errorf("%d: %+v", i, id)
				}
			}
			if n := len(due); n < 2 || due[n-1].EnrollmentID != "due2" {
				t.Errorf("%+v", due)
			}
			if due, _ = r.Due(ctx, db, clk.Now().Add(300*day), 100); len(due) != 0 {
				t.Errorf("too early: %d", len(due))
			}
			if due, _ = r.Due(ctx, db, clk.Now().Add(366*day), 1); len(due) != 1 {
				t.Errorf("limit: %d", len(due))
			}
		})
		t.Run("lists filter by enrollment and state", func(t *testing.T) {
			all, err := r.List(ctx, db, certs.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			one, _ := r.List(ctx, db, certs.Filter{EnrollmentID: "w"})
			pinned, _ := r.List(ctx, db, certs.Filter{EnrollmentID: "w", State: certs.Pinned})
			few, _ := r.List(ctx, db, certs.Filter{Limit: 2})
			if len(all) < 10 || len(one) != 3 || len(pinned) != 1 || len(few) != 2 {
				t.Errorf("%d, %d, %d, %d", len(all), len(one), len(pinned), len(few))
			}
		})
	})
}

func TestRevocation(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		ctx := t.Context()
		d := newTablet(t, 2048)
		fetch := func() ([]byte, *x509.RevocationList) {
			t.Helper()
			w := httptest.NewRecorder()
			r.CRL().ServeHTTP(w, httptest.NewRequest("GET", "/crl", nil))
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/pkix-crl" {
				t.Fatalf("%d %s", w.Code, w.Header())
			}
			list, err := x509.ParseRevocationList(w.Body.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			return w.Body.Bytes(), list
		}
		_, first := fetch()
		bad, err := d.enroll(t, r.SCEP(), challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "bad"}))
		if err != nil {
			t.Fatal(err)
		}
		good, err := d.enroll(t, r.SCEP(), challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "good"}))
		if err != nil {
			t.Fatal(err)
		}
		serial := bad.SerialNumber.String()
		for range 2 { // twice is the same as once
			do(t, db, func(tx *sqldb.Tx) error { return r.Revoke(ctx, tx, "user:anna", serial, "keyCompromise") })
		}

		t.Run("what was revoked is on the very next list", func(t *testing.T) {
			der, list := fetch()
			if list.Number.Cmp(new(big.Int).Add(first.Number, big.NewInt(1))) != 0 {
				t.Errorf("number %s after %s", list.Number, first.Number)
			}
			if len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(bad.SerialNumber) != 0 ||
				list.RevokedCertificateEntries[0].ReasonCode != 1 {
				t.Fatalf("%+v", list.RevokedCertificateEntries)
			}
			ca := caCerts(t, r.SCEP())
			if err := list.CheckSignatureFrom(ca[1]); err != nil {
				t.Error(err)
			}
			files := map[string][]byte{
				"crl": der, "bad": pemOf(bad), "good": pemOf(good), "inter": pemOf(ca[1]),
				"chain": append(pemOf(ca[1]), r.RootPEM()...),
			}
			if out, err := openssl(t, files, "crl", "-inform", "DER", "-in", "crl", "-CAfile", "inter", "-noout", "-verify"); err != nil || !strings.Contains(out, "verify OK") {
				t.Errorf("openssl crl: %s", out)
			}
			// openssl wants the list in PEM beside the chain.
			text, err := openssl(t, files, "crl", "-inform", "DER", "-in", "crl")
			if err != nil {
				t.Fatal(text)
			}
			files["crlpem"] = []byte(text)
			if out, err := openssl(t, files, "verify", "-attime", at(time.Hour), "-crl_check", "-CRLfile", "crlpem", "-CAfile", "chain", "good"); err != nil {
				t.Errorf("good: %s", out)
			}
			if out, err := openssl(t, files, "verify", "-attime", at(time.Hour), "-crl_check", "-CRLfile", "crlpem", "-CAfile", "chain", "bad"); err == nil || !strings.Contains(out, "revoked") {
				t.Errorf("bad: %s", out)
			}
		})
		t.Run("asked again it is the same list until half of its time has passed", func(t *testing.T) {
			_, a := fetch()
			clk.Forward(3 * day)
			_, b := fetch()
			clk.Forward(day)
			_, c := fetch()
			if a.Number.Cmp(b.Number) != 0 || b.Number.Cmp(c.Number) >= 0 || !c.NextUpdate.After(clk.Now().Add(6*day)) {
				t.Errorf("%s, %s, %s until %s", a.Number, b.Number, c.Number, c.NextUpdate)
			}
		})
		t.Run("a revoked one stays revoked", func(t *testing.T) {
			hash := certs.PresentedOf(bad).Hash
			do(t, db, func(tx *sqldb.Tx) error { return r.RetireAll(ctx, tx, "bad", "wiped") })
			if got := lookup(t, db, r, hash); got.State != certs.Revoked || got.Reason != "keyCompromise" {
				t.Errorf("%+v", got)
			}
			if err := try(t, db, func(tx *sqldb.Tx) error { return r.Pin(ctx, tx, hash, "bad", 1) }); fault.CodeOf(err) != "certificate.not-pinnable" {
				t.Error(err)
			}
		})
		t.Run("an unknown serial number is said to be unknown", func(t *testing.T) {
			err := try(t, db, func(tx *sqldb.Tx) error { return r.Revoke(ctx, tx, "user:anna", "12", "") })
			if fault.CodeOf(err) != "certificate.unknown" {
				t.Error(err)
			}
		})
		t.Run("other methods are refused", func(t *testing.T) {
			w := httptest.NewRecorder()
			r.CRL().ServeHTTP(w, httptest.NewRequest("POST", "/crl", nil))
			if w.Code != http.StatusMethodNotAllowed {
				t.Error(w.Code)
			}
		})
	})
}

func TestRefusals(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		ctx := t.Context()
		flush := func() []certs.Refusal {
			t.Helper()
			if err := r.FlushRefusals(ctx); err != nil {
				t.Fatal(err)
			}
			list, err := r.Refusals(ctx, db, 1000)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		r.Refuse("retired", "aa", "e1")
		r.Refuse("retired", "aa", "e1")
		clk.Forward(time.Minute)
		r.Refuse("foreign", "bb", "")
		if got := flush(); len(got) != 2 || got[0].Reason != "foreign" || got[1].Count != 2 || got[1].EnrollmentID != "e1" {
			t.Fatalf("%+v", got)
		}
		clk.Forward(time.Minute)
		r.Refuse("retired", "aa", "e1")
		got := flush()
		if len(got) != 2 || got[0].Count != 3 || !got[0].FirstAt.Equal(now()) || !got[0].LastAt.Equal(clk.Now()) {
			t.Fatalf("%+v", got)
		}
		if c := r.RefusalCounts(); c["retired"] != 3 || c["foreign"] != 1 {
			t.Errorf("%v", c)
		}

		t.Run("a flood of strangers fills nothing, and every one is counted", func(t *testing.T) {
			for range 5000 {
				r.Refuse("foreign", sqldb.NewID(), "")
			}
			got := flush()
			var sum int64
			for _, f := range got {
				if f.Reason == "foreign" {
					sum += f.Count
				}
			}
			if len(got) > 60 || sum != 5001 {
				t.Errorf("%d rows, %d counted", len(got), sum)
			}
		})
		t.Run("what could not be written is not lost", func(t *testing.T) {
			before := r.RefusalCounts()["retired"]
			r.Refuse("retired", "late", "e9")
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if err := r.FlushRefusals(gone); err == nil {
				t.Error("no error")
			}
			found := false
			for _, f := range flush() {
				found = found || (f.Hash == "late" && f.Count == 1)
			}
			if !found || r.RefusalCounts()["retired"] != before+1 {
				t.Error("lost or counted twice")
			}
		})
		t.Run("old ones are forgotten", func(t *testing.T) {
			clk.Forward(100 * day)
			r.Refuse("foreign", "new", "")
			flush()
			if err := r.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			if got := flush(); len(got) != 1 || got[0].Hash != "new" {
				t.Errorf("%d rows", len(got))
			}
		})
	})
}

func TestServerCertificate(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		roots := x509.NewCertPool()
		roots.AddCert(r.Root())
		for _, host := range []string{"mdm.example.org:8443", "127.0.0.1", "[::1]:443"} {
			get := r.ServerCertificate(host)
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: get, Time: clk.Now})
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: http.NotFoundHandler()}
			go func() { _ = srv.Serve(listener) }()
			name := map[string]string{"mdm.example.org:8443": "mdm.example.org", "127.0.0.1": "127.0.0.1", "[::1]:443": "::1"}[host]
			handshake := func() *x509.Certificate {
				t.Helper()
				conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name, Time: clk.Now})
				if err != nil {
					t.Fatalf("%s: %v", host, err)
				}
				defer conn.Close()
				return conn.ConnectionState().PeerCertificates[0]
			}
			first := handshake()
			clk.Forward(59 * day)
			if !handshake().Equal(first) {
				t.Errorf("%s: renewed too early", host)
			}
			clk.Forward(2 * day)
			if next := handshake(); next.Equal(first) || !next.NotAfter.After(clk.Now().Add(89*day)) {
				t.Errorf("%s: not renewed 30 days before its end", host)
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestProfileSigningCertificateIsRenewedBeforeItEnds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		rooms := []*certs.Room{open(t, db, clk, certs.P256), open(t, db, clk, certs.P256)}
		clk.Forward(700 * day)
		for _, r := range rooms {
			if err := r.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			signed, err := r.SignCMS([]byte("<plist/>"))
			if err != nil {
				t.Fatal(err)
			}
			out, err := openssl(t, map[string][]byte{"p": signed, "root": r.RootPEM()}, "cms", "-verify", "-inform", "DER", "-in", "p",
				"-CAfile", "root", "-purpose", "any", "-attime", at(1300*day))
			if err != nil {
				t.Error(out)
			}
		}
	})
}
