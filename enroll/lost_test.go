package enroll_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/sqldb"
)

func (w *world) lose(e enroll.Enrollment, l enroll.Lost) (string, error) {
	w.t.Helper()
	return w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		return w.enroll.EnableLost(ctx, tx, admin, e.DeviceID, l)
	})
}

func (w *world) find(e enroll.Enrollment) (string, error) {
	w.t.Helper()
	return w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		return w.enroll.DisableLost(ctx, tx, admin, e.DeviceID)
	})
}

func (w *world) locate(e enroll.Enrollment) (string, error) {
	w.t.Helper()
	return w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		return w.enroll.Locate(ctx, tx, admin, e.DeviceID)
	})
}

func TestALostTabletIsLockedLocatedAndFound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		_, err := w.locate(e)
		wantCode(t, err, "device.not-lost") // pain 32
		_, err = w.find(e)
		wantCode(t, err, "device.not-lost")
		if _, err := w.lose(e, enroll.Lost{Message: "Please call us", Phone: "040 1234", Footnote: "Gymnasium"}); err != nil {
			t.Fatal(err)
		}
		_, err = w.locate(e)
		wantCode(t, err, "device.not-lost-yet")
		w.clk.Forward(time.Minute)
		h := d.idle()
		body := carried(t, h)
		if h.RequestType != "EnableLostMode" || body["Message"] != "Please call us" || body["PhoneNumber"] != "040 1234" || body["Footnote"] != "Gymnasium" {
			t.Errorf("got %s %v", h.RequestType, body)
		}
		next := d.report("Acknowledged", h.ID, "")
		got := d.enrollment()
		if !got.LostMode || !got.LostAt.Equal(monday()) || !got.LostAcknowledgedAt.Equal(w.clk.Now()) || !got.LostObservedAt.Equal(monday()) {
			t.Errorf("after the acknowledgement: %+v", got)
		}
		if next == nil || next.Kind != "device.information" {
			t.Fatalf("the truth is not asked in the same session: %+v", next)
		}
		d.report("Acknowledged", next.ID, information(inLostMode+isSupervised))
		if got := d.enrollment(); !got.LostMode || !got.LostObservedAt.Equal(w.clk.Now()) {
			t.Errorf("after the observation: %+v", got)
		}
		if _, err := w.enroll.Location(t.Context(), w.db, e.DeviceID); err == nil {
			t.Error("a place is known that nobody told")
		}
		if _, err := w.locate(e); err != nil {
			t.Fatal(err)
		}
		d.works(nil)
		p, err := w.enroll.Location(t.Context(), w.db, e.DeviceID)
		if err != nil || p.Latitude != 53.55 || p.Longitude != 9.99 || !p.ObservedAt.Equal(w.clk.Now()) {
			t.Errorf("got %+v, %v", p, err)
		}
		t.Run("a place is forgotten after a week", func(t *testing.T) {
			w.clk.Forward(7 * 24 * time.Hour)
			_, err := w.enroll.Location(t.Context(), w.db, e.DeviceID)
			wantCode(t, err, "location.none")
			if err := w.enroll.QueueInventory(t.Context()); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := w.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM locations`); err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
		if _, err := w.find(e); err != nil {
			t.Fatal(err)
		}
		d.works(answers{"device.information": information(notLost + isSupervised)})
		if got := d.enrollment(); got.LostMode || !got.LostAt.IsZero() || !got.LostObservedAt.Equal(w.clk.Now()) {
			t.Errorf("after it was found: %+v", got)
		}
	})
}

func TestWhatALostTabletShowsMustBeShowable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, e := supervisedTablet(w, 1)
		for _, tt := range []struct {
			l    enroll.Lost
			code string
		}{
			{enroll.Lost{}, "lost.message"},
			{enroll.Lost{Message: "  ", Footnote: "only this"}, "lost.message"},
			{enroll.Lost{Message: "a\x00b"}, "text.characters"},
			{enroll.Lost{Message: "\xff"}, "text.characters"},
			{enroll.Lost{Message: strings.Repeat("ü", 501)}, "text.long"},
			{enroll.Lost{Message: "x", Phone: "1\x1b[2J"}, "text.characters"},
		} {
			_, err := w.lose(e, tt.l)
			wantCode(t, err, tt.code)
		}
		if _, err := w.lose(e, enroll.Lost{Message: strings.Repeat("ü", 500)}); err != nil {
			t.Error(err)
		}
	})
}

func TestATabletFoundBeforeItHeardThatItIsLostHearsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		if _, err := w.lose(e, enroll.Lost{Message: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.find(e); err != nil {
			t.Fatal(err)
		}
		for _, kind := range d.works(answers{"device.information": information(notLost)}) {
			if kind == "lost.enable" {
				t.Error("it was locked")
			}
		}
	})
}

func TestALostTabletThatIsEnrolledAgainIsLostAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		if _, err := w.lose(e, enroll.Lost{Message: "Please call us"}); err != nil {
			t.Fatal(err)
		}
		d.works(answers{"device.information": information(inLostMode)})
		d.enrolls(w.link(enroll.LinkSpec{})) // a thief erased it, and somebody enrolls it
		if got := d.enrollment(); got.LostMode || got.LostAt.IsZero() {
			t.Errorf("got %+v", got)
		}
		h := d.idle()
		if h == nil || h.Kind != "lost.enable" || carried(t, h)["Message"] != "Please call us" {
			t.Fatalf("the first it hears is %+v", h)
		}
		wantCode(t, func() error { _, err := w.locate(e); return err }(), "device.not-lost-yet")
		d.report("Acknowledged", h.ID, "")
		if _, err := w.find(e); err != nil {
			t.Fatal(err)
		}
		d.works(answers{"device.information": information(notLost)})
		d.enrolls(w.link(enroll.LinkSpec{}))
		if h := d.idle(); h.Kind == "lost.enable" {
			t.Error("a found tablet was locked")
		}
	})
}

func TestAPlaceThatIsNoneIsUnreadable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		if _, err := w.lose(e, enroll.Lost{Message: "x"}); err != nil {
			t.Fatal(err)
		}
		d.works(answers{"device.information": information(inLostMode)})
		for _, answer := range []string{``, `<key>Latitude</key><string>here</string>`, `<key>Latitude</key><real>nan</real><key>Longitude</key><real>1</real>`} {
			id, err := w.locate(e)
			if err != nil {
				t.Fatal(err)
			}
			d.works(answers{"lost.locate": answer})
			if state, reason := w.commandState(id); state != "unreadable" {
				t.Errorf("%q: %s, %s", answer, state, reason)
			}
		}
	})
}
