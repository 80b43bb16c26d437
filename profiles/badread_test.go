package profiles_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// loaded is a tablet that has two profiles and an app, all wished.
func loaded(w *world) *pad {
	w.Helper()
	p := w.pad(w.enrolled(1)[0])
	w.addWiFi("one", "One")
	w.addWiFi("two", "Two")
	w.addApp("Keynote")
	w.assign(all, "one", "two", "Keynote")
	p.settled()
	if len(p.profiles) != 2 || len(p.apps) != 1 {
		w.Fatalf("it has %v and %v", p.profiles, p.apps)
	}
	return p
}

// everything is what planning may write, as text.
func (w *world) everything() (text string) {
	w.Helper()
	for _, q := range []string{
		`SELECT id || kind || state FROM commands ORDER BY 1`,
		`SELECT enrollment_id || item_id || state || COALESCE(desired, 0) || reason FROM device_items ORDER BY 1`,
	} {
		var rows []string
		w.must(w.db.Select(w.Context(), &rows, q))
		text += fmt.Sprintln(rows)
	}
	return text
}

func TestAListWithHalfOfWhatIsThereRemovesNothingAndCountsAsUndone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := loaded(w)
		before := len(p.profiles)
		removals := 0
		half := true
		p.answer = func(rt string, _ map[string]any) map[string]any {
			switch {
			case rt == "RemoveProfile" || rt == "RemoveApplication":
				removals++
			case rt == "ProfileList" && half:
				for id, u := range p.profiles {
					return map[string]any{"ProfileList": []any{map[string]any{"PayloadIdentifier": id, "PayloadUUID": u, "IsManaged": true}}}
				}
			case rt == "ManagedApplicationList" && half:
				return map[string]any{"ManagedApplicationList": map[string]any{}}
			}
			return nil
		}
		w.clk.Forward(25 * time.Hour)
		w.plan()
		p.session()
		half = false
		var undone int64
		w.must(w.db.Get(t.Context(), &undone, `SELECT COUNT(*) FROM device_items WHERE undone NOT IN ('', '[]')`))
		if undone != 2 {
			t.Errorf("%d items count as undone, of a profile and an app that a list lacked", undone)
		}
		w.clk.Forward(time.Hour)
		p.settled()
		if removals != 0 || len(p.profiles) != before || len(p.apps) != 1 {
			t.Errorf("%d were removed; it has %v and %v", removals, p.profiles, p.apps)
		}
		var open int64
		w.must(w.db.Get(t.Context(), &open, `SELECT COUNT(*) FROM device_items WHERE state <> 'installed'`))
		if open != 0 {
			t.Errorf("%d items are not installed after it showed all", open)
		}
	})
}

func TestAProfileThatAListLackedIsRemovedOnceItShows(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := loaded(w)
		half := true
		p.answer = func(rt string, _ map[string]any) map[string]any {
			switch {
			case rt == "RemoveProfile" && half:
				return map[string]any{"Status": "NotNow"}
			case rt == "ProfileList" && half:
				return map[string]any{"ProfileList": []any{}}
			}
			return nil
		}
		w.unassign(all, "one")
		w.clk.Forward(25 * time.Hour)
		w.plan()
		p.session()
		half = false
		w.clk.Forward(25 * time.Hour)
		p.settled()
		if len(p.profiles) != 1 {
			t.Errorf("nobody wishes one, and it has %v", p.profiles)
		}
	})
}

// ended is a context that ends by itself when it was looked at so many times.
type ended struct {
	context.Context
	left atomic.Int64
	end  context.CancelFunc
}

// Done implements context.Context.
func (e *ended) Done() <-chan struct{} {
	if e.left.Add(-1) == 0 {
		e.end()
	}
	return e.Context.Done()
}

// A failed read is never an empty wish.
func TestAReadThatFailsWhilePlanningQueuesNothingAndRemovesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := loaded(w)
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, p.id) })
		before := w.everything()
		rename := func(from, to string) {
			t.Helper()
			w.do(func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to)
				return err
			})
		}
		for _, table := range []string{"assignments", "profiles", "profile_versions", "apps", "app_versions", "rollouts", "rollout_devices", "devices", "enrollments", "observations"} {
			rename(table, "away")
			n, err := w.room.Reconcile(t.Context())
			perr := w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := w.room.Propose(t.Context(), tx, profiles.Asked{}, w.unassigning(all, "one")); err != nil {
					return err
				}
				return errOnlyTried
			})
			rename("away", table)
			if n != 0 || err == nil || errors.Is(perr, errOnlyTried) && table != "observations" { // a plan needs no lists
				t.Errorf("without %s: planned %d, %v; and a change %v", table, n, err, perr)
			}
			if after := w.everything(); after != before {
				t.Fatalf("without %s:\n%s\nbefore:\n%s", table, after, before)
			}
		}
		broken := 0
		for left := int64(1); ; left++ {
			ctx, cancel := context.WithCancel(t.Context())
			e := &ended{Context: ctx, end: cancel}
			e.left.Store(left)
			_, err := w.room.Reconcile(e)
			cancel()
			if err == nil {
				break
			}
			broken++
			if after := w.everything(); after != before {
				t.Fatalf("ended at look %d (%v):\n%s\nbefore:\n%s", left, err, after, before)
			}
		}
		if broken < 10 {
			t.Errorf("it was broken off at %d places only", broken)
		}
		p.session()
		if len(p.profiles) != 2 || len(p.apps) != 1 {
			t.Errorf("it has %v and %v", p.profiles, p.apps)
		}
	})
}
