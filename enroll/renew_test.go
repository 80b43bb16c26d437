package enroll_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/sqldb"
)

const day = 24 * time.Hour

// a certificate lives a year; thirty days before its end the renewal begins.
func TestARenewalIsQueuedInTimeAndAgainEachDayUntilItIsDone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		pass := func(here bool) []string {
			t.Helper()
			if here {
				w.enroll.Seen(e.ID)
				if err := w.enroll.FlushSeen(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.enroll.QueueRenewals(t.Context()); err != nil {
				t.Fatal(err)
			}
			return w.open(e)
		}
		id, err := w.certs.Lookup(t.Context(), w.db, d.hash)
		if err != nil {
			t.Fatal(err)
		}
		w.clk.Forward(id.NotAfter.Sub(w.clk.Now()) - 30*day - time.Minute)
		wantList(t, "31 days before", pass(true))
		w.clk.Forward(2 * time.Minute)
		for range 5 {
			wantList(t, "30 days before", pass(true), "identity.renew")
		}
		t.Run("one that does not answer is asked again", func(t *testing.T) { // pain 11
			h := d.next("identity.renew")
			d.report("Error", h.ID, errorChain(1, "MCInstallationErrorDomain", "no"))
			w.clk.Forward(time.Hour)
			wantList(t, "an hour later", pass(true))
			w.clk.Forward(day)
			wantList(t, "a day later, not here", pass(false), "identity.renew")
		})
		t.Run("an Acknowledged without the new certificate is no renewal", func(t *testing.T) {
			h := d.next("identity.renew")
			d.report("Acknowledged", h.ID, "")
			w.clk.Forward(day + time.Minute)
			wantList(t, "a day later", pass(true), "identity.renew")
		})
		t.Run("done is done", func(t *testing.T) {
			d.install(payloadOf(t, d.next("identity.renew")))
			d.must(d.authenticate())
			w.clk.Forward(2 * day)
			if got := pass(true); slices.Contains(got, "identity.renew") {
				// The one that was handed over and not answered is offered once more.
				d.works(nil)
			}
			w.clk.Forward(2 * day)
			wantList(t, "renewed", pass(true))
		})
	})
}

func TestARenewalCarriesTheVeryProfileTheTabletHas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, _ := w.enrolled(1)
		first := w.read(w.profile(w.link(enroll.LinkSpec{})))
		renewed := w.read(w.renewal(d))
		if first.PayloadUUID != renewed.PayloadUUID || first.PayloadIdentifier != renewed.PayloadIdentifier || len(first.PayloadContent) != len(renewed.PayloadContent) {
			t.Errorf("first %+v, renewed %+v", first, renewed)
		}
		for i, p := range first.PayloadContent {
			q := renewed.PayloadContent[i]
			if p.PayloadType == "com.apple.security.scep" {
				p.PayloadContent.(map[string]any)["Challenge"], q.PayloadContent.(map[string]any)["Challenge"] = "", ""
			}
			if a, b := fmt.Sprintf("%+v", p), fmt.Sprintf("%+v", q); a != b {
				t.Errorf("first %s\nrenewed %s", a, b)
			}
		}
	})
}

// Weeks in a drawer leave one renewal, not one a day that takes the place of the
// day before's.
func TestARenewalThatWaitsIsNotMadeAnew(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, e := plainTablet(w, 1)
		w.clk.Forward(340 * day)
		for range 10 {
			if err := w.enroll.QueueRenewals(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.clk.Forward(day + time.Minute)
		}
		var n int
		err := w.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM commands WHERE enrollment_id = ? AND kind = 'identity.renew'`, e.ID)
		if err != nil || n != 1 {
			t.Errorf("%d renewals, %v", n, err)
		}
	})
}

func TestAnUnenrolledTabletIsNotRenewed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, e := plainTablet(w, 1)
		w.do(func(tx *sqldb.Tx) error { return w.enroll.Unmanage(t.Context(), tx, admin, e.DeviceID, "sold") })
		w.clk.Forward(350 * day)
		if err := w.enroll.QueueRenewals(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantList(t, "waiting", w.open(e), "device.information")
	})
}

// A tablet that lay in a drawer over its certificate's end comes back by the
// renewal: the door tells the queue that its identity is expired.
func TestARenewedIdentityOfAnExpiredOneKeepsTheEnrollment(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		w.clk.Forward(400 * day)
		if err := w.enroll.QueueRenewals(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.install(payloadOf(t, d.next("identity.renew")))
		d.must(d.tokenUpdate())
		if got := d.enrollment(); got.Generation != e.Generation || d.state() != certs.Pinned {
			t.Errorf("got %+v, certificate %s", got, d.state())
		}
	})
}
