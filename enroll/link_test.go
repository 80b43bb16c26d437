package enroll_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/sqldb"
)

func TestLinks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		open := func(code string) error {
			_, err := w.enroll.OpenLink(t.Context(), w.db, code)
			return err
		}
		t.Run("a code works in capitals too, since teachers type", func(t *testing.T) {
			l := w.link(enroll.LinkSpec{})
			if err := open(strings.ToUpper(l.Code)); err != nil {
				t.Error(err)
			}
			if len(l.Code) < 26 || l.URL != publicURL+"/enroll/"+l.Code || l.ProfileURL != l.URL+"/profile" {
				t.Errorf("got %+v", l)
			}
			if !l.ExpiresAt.Equal(monday().Add(72 * time.Hour)) {
				t.Errorf("expires at %s", l.ExpiresAt)
			}
			if !strings.Contains(l.Warning, "push-cert import") {
				t.Errorf("nobody is warned that there is no push certificate: %q", l.Warning)
			}
		})
		t.Run("no code, a wrong one and a very long one are unknown", func(t *testing.T) {
			for _, code := range []string{"", "abc", "x\x00y", "\xff", strings.Repeat("a", 10_000)} {
				wantCode(t, open(code), "link.unknown")
			}
		})
		t.Run("the code is stored sealed and shown again", func(t *testing.T) {
			l := w.link(enroll.LinkSpec{Name: "sealed"})
			links, err := w.enroll.Links(t.Context(), w.db, "")
			if err != nil || links[0].URL != l.URL || links[0].Name != "sealed" {
				t.Fatalf("got %+v, %v", links, err)
			}
			var row struct {
				Hash   string `db:"code_hash"`
				Sealed []byte `db:"code_sealed"`
			}
			if err := w.db.Get(t.Context(), &row, `SELECT code_hash, code_sealed FROM links WHERE id = ?`, l.ID); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(row.Hash, l.Code) || strings.Contains(string(row.Sealed), l.Code) {
				t.Error("the code is in the database")
			}
		})
		t.Run("revoked by its name or its id, twice is once", func(t *testing.T) {
			byName, byID := w.link(enroll.LinkSpec{Name: "by name"}), w.link(enroll.LinkSpec{Name: "by id"})
			for _, ref := range []string{"by name", byID.ID, byID.ID} {
				w.do(func(tx *sqldb.Tx) error { return w.enroll.RevokeLink(t.Context(), tx, admin, "", ref) })
			}
			wantCode(t, open(byName.Code), "link.revoked")
			wantCode(t, open(byID.Code), "link.revoked")
			wantList(t, "audit trail", w.events("link:"+byID.ID), "link.create", "link.revoke")
			for _, ref := range []string{"", "nobody", "a\x00b"} {
				wantCode(t, w.try(func(tx *sqldb.Tx) error { return w.enroll.RevokeLink(t.Context(), tx, admin, "", ref) }), "link.unknown")
			}
		})
		t.Run("two of one name must be told apart", func(t *testing.T) {
			w.link(enroll.LinkSpec{Name: "twin"})
			w.link(enroll.LinkSpec{Name: "twin"})
			wantCode(t, w.try(func(tx *sqldb.Tx) error { return w.enroll.RevokeLink(t.Context(), tx, admin, "", "twin") }), "link.ambiguous")
		})
		t.Run("what cannot be is refused", func(t *testing.T) {
			for _, tt := range []struct {
				spec enroll.LinkSpec
				code string
			}{
				{enroll.LinkSpec{Name: " "}, "link.name"},
				{enroll.LinkSpec{Name: "a\nb"}, "link.name"},
				{enroll.LinkSpec{Name: "a\x00b"}, "link.name"},
				{enroll.LinkSpec{Name: strings.Repeat("ä", 201)}, "link.name"},
				{enroll.LinkSpec{Name: "x", Expires: -time.Hour}, "link.expires"},
				{enroll.LinkSpec{Name: "x", Expires: time.Second}, "link.expires"},
				{enroll.LinkSpec{Name: "x", Expires: 10 * 366 * 24 * time.Hour}, "link.expires"},
				{enroll.LinkSpec{Name: "x", MaxUses: -1}, "link.max-uses"},
				{enroll.LinkSpec{Name: "x", Group: "nobody"}, "group.unknown"},
				{enroll.LinkSpec{Name: "x", Group: "a\x00"}, "group.unknown"},
			} {
				err := w.try(func(tx *sqldb.Tx) error {
					_, err := w.enroll.CreateLink(t.Context(), tx, admin, tt.spec)
					return err
				})
				wantCode(t, err, tt.code)
			}
		})
		t.Run("expired, also for whoever looks at the very moment", func(t *testing.T) {
			l := w.link(enroll.LinkSpec{Expires: time.Hour})
			d := w.tablet(7)
			d.fetch(l)
			w.clk.Forward(time.Hour)
			wantCode(t, open(l.Code), "link.expired")
			t.Run("but what was fetched in time may still be installed", func(t *testing.T) {
				d.must(d.authenticate())
			})
		})
	})
}

func TestALinksUsesAreEnrollments(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.link(enroll.LinkSpec{MaxUses: 1})
		first, second := w.tablet(1), w.tablet(2)
		first.fetch(l)
		second.fetch(l) // a messenger's preview, or the second of two iPads
		first.must(first.authenticate())
		first.must(first.authenticate()) // the answer was lost
		_, err := second.send(second.authenticate())
		wantCode(t, err, "link.used-up")
		_, err = w.enroll.OpenLink(t.Context(), w.db, l.Code)
		wantCode(t, err, "link.used-up")
		t.Run("a link revoked after the fetch enrolls nobody", func(t *testing.T) {
			l := w.link(enroll.LinkSpec{})
			second.fetch(l)
			w.do(func(tx *sqldb.Tx) error { return w.enroll.RevokeLink(t.Context(), tx, admin, "", l.ID) })
			_, err := second.send(second.authenticate())
			wantCode(t, err, "link.revoked")
			if second.state() != certs.Issued {
				t.Errorf("the certificate is %s", second.state())
			}
			if err := w.enroll.FlushSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantList(t, "audit trail", w.events("link:"+l.ID), "link.create", "link.revoke", "enrollment.refuse")
		})
	})
}

func TestAGroupWhoseLinkStillWorksStays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var group string
		w.do(func(tx *sqldb.Tx) error {
			g, err := w.schools.CreateGroup(t.Context(), tx, admin, "", "3b")
			group = g.ID
			return err
		})
		l := w.link(enroll.LinkSpec{Group: "3b"})
		remove := func(tx *sqldb.Tx) error {
			if err := w.enroll.ReleaseGroup(t.Context(), tx, group); err != nil {
				return err
			}
			return w.schools.RemoveGroup(t.Context(), tx, admin, group)
		}
		wantCode(t, w.try(remove), "group.in-use")
		w.do(func(tx *sqldb.Tx) error { return w.enroll.RevokeLink(t.Context(), tx, admin, "", l.ID) })
		w.do(remove)
	})
}

// The keys and values are Apple's: com.apple.mdm, com.apple.security.scep and
// com.apple.security.root of its schema as of 2026-09. The golden file is the
// whole profile; a change of it is a change that iPads must accept as an update
// of the profile they have (pain 13).
func TestTheEnrollmentProfileIsTheSameForEver(t *testing.T) {
	got, err := enroll.SampleProfile("https://mdm.example.org", "Gymnasium Musterstadt", []byte("root certificate"),
		"com.apple.mgmt.External.0b3d5b1c-2a6e-4f6e-8e55-8d2f9b1f7a10", "one-time challenge")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "enrollment.mobileconfig")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the profile is not the one in %s:\n%s", path, got)
	}
}

func TestAPersonalProfile(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.link(enroll.LinkSpec{})
		a, b := w.read(w.profile(l)), w.read(w.profile(l))
		if a.challenge(t) == b.challenge(t) {
			t.Error("two fetches got the same challenge")
		}
		if a.PayloadUUID != b.PayloadUUID || a.PayloadIdentifier != "ranzen.enrollment" {
			t.Errorf("identifiers differ: %+v, %+v", a, b)
		}
		var scepUUID string
		for _, p := range a.PayloadContent {
			switch p.PayloadType {
			case "com.apple.security.scep":
				scepUUID = p.PayloadUUID
			case "com.apple.mdm":
				if p.IdentityCertificateUUID != scepUUID || p.AccessRights != 8191 || !p.SignMessage || !p.CheckOutWhenRemoved ||
					len(p.ServerCapabilities) != 1 || p.ServerCapabilities[0] != "com.apple.mdm.bootstraptoken" ||
					p.ServerURL != publicURL+"/mdm/command" || p.CheckInURL != publicURL+"/mdm/checkin" || strings.Contains(p.ServerURL, "?") {
					t.Errorf("got %+v", p)
				}
			}
		}
	})
}

func TestTheRoomRefusesAnAddressNoIPadTakes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, u := range []string{"", "http://mdm.example.org", "mdm.example.org", "https://", "https://\x7f"} {
			deps := w.deps
			deps.PublicURL = u
			_, err := enroll.New(deps)
			wantCode(t, err, "url.public")
		}
		deps := w.deps
		deps.Marker = nil
		if _, err := enroll.New(deps); err == nil || !strings.Contains(err.Error(), "Marker") {
			t.Errorf("a room without a marker: %v", err)
		}
	})
}

func TestAnEnrollmentThatBrokeOffAndBeginsAgainUsesItsLinkOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.link(enroll.LinkSpec{MaxUses: 1})
		d := w.tablet(1)
		d.fetch(l)
		again := *d
		again.fetch(l)
		d.must(d.authenticate()) // and the network is gone
		again.must(again.authenticate())
		again.must(again.tokenUpdate())
		if e := d.enrollment(); e.State != enroll.Enrolled || e.Generation != 2 {
			t.Errorf("got %+v", e)
		}
		links, err := w.enroll.Links(t.Context(), w.db, "")
		if err != nil || links[0].Uses != 1 {
			t.Errorf("got %+v, %v", links, err)
		}
	})
}
