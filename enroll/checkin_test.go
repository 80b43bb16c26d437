package enroll_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newWorld(t, db)) })
}

func TestATabletComesIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.schools.CreateGroup(t.Context(), tx, admin, "", "3b")
			return err
		})
		l := w.link(enroll.LinkSpec{Group: "3b"})
		d := w.tablet(1)
		d.fetch(l)
		d.must(d.authenticate())
		e := d.enrollment()
		if e.State != enroll.Enrolling || e.Generation != 1 || e.UDID != d.udid || !e.Placeholder || e.LinkID != l.ID {
			t.Errorf("after Authenticate: %+v", e)
		}
		if got := w.marks(); len(got) != 0 {
			t.Errorf("a tablet that only said Authenticate was planned for: %v", got)
		}
		first := d.tokenUpdate()
		first.UnlockToken = []byte("unlock")
		d.must(first)
		e = d.enrollment()
		if e.State != enroll.Enrolled || !e.EnrolledAt.Equal(monday()) || !e.HasUnlockToken || e.Supervised != nil {
			t.Errorf("after TokenUpdate: %+v", e)
		}
		wantList(t, "marks", w.marks(), e.ID)
		wantList(t, "waiting", w.open(e), "device.information", "device.security", "device.certificates")
		if d.state() != certs.Pinned {
			t.Errorf("the certificate is %s", d.state())
		}
		groups, err := w.schools.GroupsOf(t.Context(), w.db, []string{e.DeviceID})
		if err != nil || len(groups[e.DeviceID]) != 1 {
			t.Errorf("groups %v, %v", groups, err)
		}

		t.Run("a later TokenUpdate brings a token, takes nothing and starts nothing", func(t *testing.T) {
			d.works(nil)
			w.clk.Forward(time.Hour)
			later := d.tokenUpdate()
			later.Token[0] = 99
			d.must(later)
			now := d.enrollment()
			if !now.HasUnlockToken || !now.EnrolledAt.Equal(monday()) {
				t.Errorf("got %+v", now)
			}
			wantList(t, "marks", w.marks())
			wantList(t, "waiting", w.open(e))
		})
		t.Run("the link has one use, however often it was fetched", func(t *testing.T) {
			d.fetch(l)
			links, err := w.enroll.Links(t.Context(), w.db, "")
			if err != nil || len(links) != 1 || links[0].Uses != 1 {
				t.Errorf("got %+v, %v", links, err)
			}
		})
		wantList(t, "audit trail", w.events("device:"+e.DeviceID), "device.add", "enrollment.begin", "enrollment.complete")
	})
}

func TestNoNameOfAPersonIsStored(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		d.works(answers{"device.information": information(`<key>DeviceName</key><string>iPad von Lena Beispiel</string>`)})
		for table, columns := range map[string]string{
			"devices": "name || model", "enrollments": "model || os_version", "inventory": "body", "audit_events": "detail || subject",
		} {
			var all []string
			if err := w.db.Select(t.Context(), &all, `SELECT `+columns+` FROM `+table); err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, "Lena") }); i >= 0 {
				t.Errorf("%s holds %q", table, all[i])
			}
		}
		_ = e
	})
}

// life is a tablet with something of everything that an earlier life leaves.
func life(t *testing.T, w *world) (*tablet, enroll.Enrollment) {
	t.Helper()
	d, e := supervisedTablet(w, 1)
	w.refresh(e)
	d.works(answers{"device.information": information(isSupervised + inLostMode)})
	d.must(&mdm.CheckIn{MessageType: "SetBootstrapToken", BootstrapToken: []byte("bootstrap")})
	e = d.enrollment()
	if !e.LostMode || e.Supervised == nil || !e.HasBootstrapToken || !e.HasBypassCode {
		t.Fatalf("the tablet is not as the test wants it: %+v", e)
	}
	w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		return w.enroll.Restart(ctx, tx, admin, e.DeviceID)
	})
	return d, e
}

func TestACertificateForANewEnrollmentBeginsANewLife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := life(t, w)
		old := d.hash
		d.fetch(w.link(enroll.LinkSpec{}))
		d.must(d.authenticate())
		now := d.enrollment()
		if now.ID != e.ID || now.Generation != 2 || now.State != enroll.Enrolling {
			t.Errorf("got %+v", now)
		}
		if now.LostMode || now.Supervised != nil || now.HasUnlockToken || now.HasBootstrapToken || !now.EnrolledAt.IsZero() {
			t.Errorf("something of the old life is left: %+v", now)
		}
		if !now.HasBypassCode {
			t.Error("the bypass code is gone, and an Activation Lock outlives an erase")
		}
		wantList(t, "waiting", w.open(e))
		if id, err := w.certs.Lookup(t.Context(), w.db, old); err != nil || id.State != certs.Retired {
			t.Errorf("the old certificate is %s, %v", id.State, err)
		}
		var targets []string
		if err := w.db.Select(t.Context(), &targets, `SELECT enrollment_id FROM push_targets`); err != nil || len(targets) != 0 {
			t.Errorf("it can still be woken under its old token: %v, %v", targets, err)
		}
		d.must(d.tokenUpdate())
		wantList(t, "waiting", w.open(e), "device.information", "device.security", "device.certificates")
	})
}

// Pain 12, both ways round.
func TestARenewalIsNoNewLife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := life(t, w)
		waiting := w.open(e)
		old := d.hash
		renewal := w.renewal(d)
		d.install(renewal)
		d.must(d.authenticate())
		d.must(d.tokenUpdate())
		now := d.enrollment()
		if now.Generation != 1 || !now.LostMode || now.Supervised == nil || !now.HasUnlockToken || !now.HasBootstrapToken {
			t.Errorf("the renewal lost something: %+v", now)
		}
		if got := w.open(e); !slices.Equal(without(got, "identity.renew"), waiting) {
			t.Errorf("waiting before %v, after %v", waiting, got)
		}
		if id, err := w.certs.Lookup(t.Context(), w.db, old); err != nil || id.State != certs.Retired || d.state() != certs.Pinned {
			t.Errorf("the old certificate is %s, the new one %s, %v", id.State, d.state(), err)
		}
		links, err := w.enroll.Links(t.Context(), w.db, "")
		if err != nil || links[0].Uses != 1 {
			t.Errorf("a renewal used the link: %+v, %v", links, err)
		}
	})
}

func without(list []string, drop string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == drop })
}

// renewal is the profile that a renewal puts on a tablet.
func (w *world) renewal(d *tablet) []byte {
	w.t.Helper()
	w.clk.Forward(336 * 24 * time.Hour)
	w.enroll.Seen(d.enrollment().ID)
	if err := w.enroll.FlushSeen(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.enroll.QueueRenewals(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return payloadOf(w.t, d.next("identity.renew"))
}

func TestARenewedCertificateMayShowFirstOnAnyMessage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		d.install(w.renewal(d))
		d.must(d.tokenUpdate())
		if now := d.enrollment(); d.state() != certs.Pinned || now.Generation != e.Generation {
			t.Errorf("certificate %s, generation %d", d.state(), now.Generation)
		}
	})
}

func TestAWipeWhileARenewalIsPendingIsANewLife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		stale := *d
		stale.install(w.renewal(d)) // fetched, never shown
		unused := payloadOf(t, d.next("identity.renew"))
		d.fetch(w.link(enroll.LinkSpec{}))
		d.must(d.authenticate())
		d.must(d.tokenUpdate())
		if now := d.enrollment(); now.Generation != e.Generation+1 || now.State != enroll.Enrolled {
			t.Errorf("got %+v", now)
		}
		t.Run("the renewed certificate of the old life is refused", func(t *testing.T) {
			for _, m := range []*mdm.CheckIn{stale.authenticate(), stale.tokenUpdate()} {
				_, err := stale.send(m)
				if k := fault.KindOf(err); k != fault.Invalid {
					t.Errorf("%s: got %v", m.MessageType, err)
				}
			}
			if now := d.enrollment(); now.Generation != e.Generation+1 {
				t.Errorf("generation %d", now.Generation)
			}
		})
		t.Run("a renewal fetched before and used after yields nothing", func(t *testing.T) {
			if _, err := w.scep(w.read(unused).challenge(t)); err == nil {
				t.Error("the CA issued a certificate")
			}
		})
	})
}

func TestARepeatClearsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := life(t, w)
		waiting := w.open(e)
		d.must(d.authenticate()) // from a backup of itself, or the answer was lost
		d.must(d.tokenUpdate())
		now := d.enrollment()
		if now.Generation != 1 || now.State != enroll.Enrolled || !now.LostMode || !now.HasUnlockToken || !now.HasBootstrapToken {
			t.Errorf("got %+v", now)
		}
		wantList(t, "waiting", w.open(e), waiting...)
	})
}

func TestTheSameAuthenticateSentByTwoConnectionsAtOnceIsOneLife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for n := range 5 {
			d := w.tablet(n + 1)
			l := w.link(enroll.LinkSpec{MaxUses: 1})
			d.fetch(l)
			id, err := w.certs.Lookup(t.Context(), w.db, d.hash)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			errs := make([]error, 4)
			for i := range errs {
				m := d.authenticate()
				wg.Go(func() {
					errs[i] = w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
						_, err := w.enroll.CheckIn(t.Context(), tx, id, m)
						return err
					})
				})
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			if e := d.enrollment(); e.Generation != 1 {
				t.Errorf("generation %d", e.Generation)
			}
		}
	})
}

func TestUserChannelOfASharedIPadIsIgnored(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		m := d.tokenUpdate()
		m.UserID, m.Token = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", []byte("another token, of the user channel")
		if reply := d.must(m); reply != nil {
			t.Errorf("got %q", reply)
		}
		d.must(&mdm.CheckIn{MessageType: "CheckOut", UserID: "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"})
		if now := d.enrollment(); now.State != enroll.Enrolled || now.Generation != e.Generation {
			t.Errorf("got %+v", now)
		}
	})
}

func TestTabletLeaves(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := life(t, w)
		d.must(&mdm.CheckIn{MessageType: "CheckOut"})
		now := d.enrollment()
		if now.State != enroll.Unenrolled || now.EndedAt.IsZero() || d.state() != certs.Retired {
			t.Errorf("got %+v, certificate %s", now, d.state())
		}
		wantList(t, "waiting", w.open(e))
		if reply := d.must(&mdm.CheckIn{MessageType: "CheckOut"}); reply != nil {
			t.Errorf("said twice: %q", reply)
		}
		_, err := d.send(d.tokenUpdate())
		wantCode(t, err, "certificate.earlier-life")
		_, err = w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Restart(ctx, tx, admin, e.DeviceID)
		})
		wantCode(t, err, "device.not-enrolled")
		t.Run("and comes back", func(t *testing.T) {
			if now := d.enrolls(w.link(enroll.LinkSpec{})); now.ID != e.ID || now.Generation != 2 || now.State != enroll.Enrolled || !now.EndedAt.IsZero() {
				t.Errorf("got %+v", now)
			}
		})
	})
}

func TestASwappedBoardTakesThePlaceOfTheOldOneWhenAPersonSaysSo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		w.do(func(tx *sqldb.Tx) error {
			return w.enroll.Unmanage(t.Context(), tx, admin, e.DeviceID, "board swapped")
		})
		repaired := w.tablet(2)
		repaired.serial = d.serial
		now := repaired.enrolls(w.link(enroll.LinkSpec{}))
		if now.ID == e.ID || now.DeviceID != e.DeviceID || now.UDID != repaired.udid || now.State != enroll.Enrolled {
			t.Errorf("got %+v", now)
		}
		if d.state() != certs.Retired {
			t.Errorf("the old identity is %s", d.state())
		}
	})
}
