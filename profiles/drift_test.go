package profiles_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/sqldb"
)

func (w *world) retry(deviceID, what string) (out []string, err error) {
	err = w.db.Do(w.Context(), func(tx *sqldb.Tx) error {
		out, err = w.room.Retry(w.Context(), tx, "user:test", deviceID, what)
		return err
	})
	return out, err
}

// undoes has a tablet lose all its profiles and show that at its next list.
func (p *pad) undoes() {
	p.w.Helper()
	clear(p.profiles)
	p.w.clk.Forward(61 * time.Minute)
	p.w.plan()
	p.session()
}

func TestATabletThatUndoesTheSameFiveTimesInADayIsLeftAloneAndReported(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.settled()
		w.clk.Forward(25 * time.Hour)
		for n := range 4 {
			p.undoes()
			p.settled()
			if s, why := w.state(id, "profile"); s != "installed" || len(p.profiles) != 1 {
				t.Fatalf("undone %d times, it is not repaired: %s %q", n+1, s, why)
			}
		}
		p.undoes()
		w.plan()
		p.session()
		s, why := w.state(id, "profile")
		if s != "failed" || !strings.Contains(why, "5 times within a day") || len(p.profiles) != 0 {
			t.Fatalf("it is not left alone: %s %q %v", s, why, p.profiles)
		}
		w.clk.Forward(2 * time.Hour)
		w.plan()
		p.session()
		if slices.Contains(p.took, "InstallProfile") {
			t.Errorf("it is not left alone: %v", p.took)
		}
		if out, err := w.retry("d"+id, ""); err != nil || !slices.Equal(out, []string{"Wi-Fi"}) {
			t.Fatalf("retry: %v %v", out, err)
		}
		p.settled()
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("after the retry it is %s", s)
		}
	})
}

func TestOnceADayIsRepairedForEver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.settled()
		for n := range 8 {
			w.clk.Forward(25 * time.Hour)
			p.undoes()
			p.settled()
			if s, why := w.state(id, "profile"); s != "installed" {
				t.Fatalf("day %d: %s %q", n, s, why)
			}
		}
	})
}

func TestLeftAloneEndsByItselfAfterADay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.settled()
		w.clk.Forward(25 * time.Hour)
		for range 5 {
			p.undoes()
			if s, _ := w.state(id, "profile"); s == "failed" {
				break
			}
			p.settled()
		}
		w.clk.Forward(25 * time.Hour)
		p.settled()
		if s, why := w.state(id, "profile"); s != "installed" {
			t.Errorf("the next day it is %s %q", s, why)
		}
	})
}

func TestWhatIsNamedIsSentOnceMoreAlthoughItIsThere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.settled()
		if _, err := w.retry("d"+id, ""); code(err) != "retry.nothing" {
			t.Errorf("nothing waits, and: %v", err)
		}
		if _, err := w.retry("d"+id, "other"); code(err) != "item.unknown" {
			t.Errorf("unknown: %v", err)
		}
		if _, err := w.retry("nobody", ""); code(err) != "device.not-enrolled" {
			t.Errorf("no device: %v", err)
		}
		for range 2 { // twice is once
			if out, err := w.retry("d"+id, "Wi-Fi"); err != nil || len(out) != 1 {
				t.Fatalf("%v %v", out, err)
			}
		}
		w.plan()
		p.session()
		if n := count(p.took, "InstallProfile"); n != 1 {
			t.Errorf("sent %d times: %v", n, p.took)
		}
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("it is %s", s)
		}
	})
}

func TestRetryDoesNotOpenTheGate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, ids := w.withData()
		id := ids[0]
		if _, err := w.retry("d"+id, "Keynote"); code(err) != "retry.nothing" {
			t.Errorf("retry of what waits for a confirmation: %v", err)
		}
		p.settled()
		if len(p.apps) != 1 {
			t.Error("the app is gone")
		}
	})
}
