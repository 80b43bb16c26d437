package profiles_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

var errOnlyTried = errors.New("only tried")

// try tells what a change would do, and keeps nothing of it.
func (w *world) try(change func(ctx context.Context, tx *sqldb.Tx) error) profiles.Plan {
	w.Helper()
	var p profiles.Plan
	err := w.db.Do(w.Context(), func(tx *sqldb.Tx) (err error) {
		if p, err = w.room.Propose(w.Context(), tx, profiles.Asked{DryRun: true}, change); err != nil {
			return err
		}
		return errOnlyTried
	})
	if !errors.Is(err, errOnlyTried) {
		w.Fatal(err)
	}
	return p
}

// apply makes a change as asked.
func (w *world) apply(a profiles.Asked, change func(ctx context.Context, tx *sqldb.Tx) error) (p profiles.Plan, err error) {
	w.Helper()
	err = w.db.Do(w.Context(), func(tx *sqldb.Tx) (err error) {
		p, err = w.room.Propose(w.Context(), tx, a, change)
		return err
	})
	return p, err
}

func (w *world) assigning(scope profiles.Scope, names ...string) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := w.room.Assign(ctx, tx, "user:test", "", names, scope)
		return err
	}
}

func (w *world) unassigning(scope profiles.Scope, names ...string) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := w.room.Unassign(ctx, tx, "user:test", "", names, scope)
		return err
	}
}

func actions(p profiles.Plan) map[string]int {
	out := map[string]int{}
	for _, c := range p.Changes {
		out[c.Action+" "+c.Item]++
	}
	return out
}

func TestAPlanSaysWhatWouldHappenAndChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(3)
		w.addWiFi("wlan", "Schule")
		p := w.try(w.assigning(all, "wlan"))
		if p.Devices != 3 || actions(p)["install wlan"] != 3 || p.Hash == "" {
			t.Fatalf("the plan is %+v", p)
		}
		if again := w.try(w.assigning(all, "wlan")); again.Hash != p.Hash {
			t.Error("the same plan has another hash")
		}
		as, err := w.room.Assignments(t.Context(), w.db, "")
		w.must(err)
		if len(as) != 0 {
			t.Errorf("looking assigned: %+v", as)
		}
		if n, err := w.room.Reconcile(t.Context()); n != 0 || err != nil {
			t.Errorf("looking marked %d tablets (%v)", n, err)
		}
	})
}

func TestAPlanOlderThanTheWorldIsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(3)
		w.addWiFi("wlan", "Schule")
		p := w.try(w.assigning(all, "wlan"))
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE enrollments SET state = 'unenrolled' WHERE id = ?`, ids[0])
			return err
		})
		_, err := w.apply(profiles.Asked{Hash: p.Hash}, w.assigning(all, "wlan"))
		if fault.CodeOf(err) != "plan.moved" {
			t.Fatalf("a plan for a tablet that is gone: %v", err)
		}
		as, err := w.room.Assignments(t.Context(), w.db, "")
		w.must(err)
		if len(as) != 0 {
			t.Error("refused, and assigned all the same")
		}
		if _, err := w.apply(profiles.Asked{Hash: w.try(w.assigning(all, "wlan")).Hash}, w.assigning(all, "wlan")); err != nil {
			t.Errorf("the plan of now: %v", err)
		}
	})
}

func TestWhatIsDoneTwiceIsAnEmptyPlan(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(3)
		w.addWiFi("wlan", "Schule")
		_, err := w.apply(profiles.Asked{}, w.assigning(all, "wlan"))
		w.must(err)
		if p := w.try(w.assigning(all, "wlan")); p.Devices != 0 || len(p.Changes) != 0 {
			t.Errorf("done already, and planned again: %+v", p.Changes)
		}
	})
}

func TestTheOnlyNetworkIsNotTakenSilently(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(2)
		w.addWiFi("old", "Schule")
		w.addWiFi("new", "Schule-neu")
		_, err := w.apply(profiles.Asked{}, w.assigning(all, "old"))
		w.must(err)
		p := w.try(w.unassigning(all, "old"))
		if len(p.Hazards) != 1 || p.Hazards[0].Code != "only-wifi" || p.Hazards[0].Devices != 2 {
			t.Errorf("hazards are %+v", p.Hazards)
		}
		p = w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			if err := w.assigning(all, "new")(ctx, tx); err != nil {
				return err
			}
			return w.unassigning(all, "old")(ctx, tx)
		})
		if len(p.Hazards) != 1 || p.Hazards[0].Code != "other-wifi" {
			t.Errorf("hazards of an exchange are %+v", p.Hazards)
		}
	})
}

func TestAnExclusionIsStrongerThanAnyWish(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(2)
		w.addWiFi("wlan", "Schule")
		one := profiles.Scope{Kind: "device", ID: "d" + ids[0]}
		w.do(func(tx *sqldb.Tx) error {
			if _, err := w.room.Exclude(t.Context(), tx, "user:test", "", []string{"wlan"}, one); err != nil {
				return err
			}
			_, err := w.room.Assign(t.Context(), tx, "user:test", "", []string{"wlan"}, all)
			return err
		})
		w.plan()
		var there []string
		w.must(w.db.Select(t.Context(), &there, `SELECT enrollment_id FROM device_items WHERE desired IS NOT NULL`))
		if len(there) != 1 || there[0] != ids[1] {
			t.Errorf("it is wished on %v", there)
		}
		_, err := w.apply(profiles.Asked{}, w.assigning(one, "wlan"))
		if fault.CodeOf(err) != "assignment.opposite" {
			t.Errorf("assigned where it is excluded: %v", err)
		}
		if p := w.try(w.unassigning(one, "wlan")); actions(p)["install wlan"] != 1 {
			t.Errorf("taking the exclusion back: %+v", p.Changes)
		}
	})
}

func TestWhatNeedsSupervisionIsBlockedWithoutIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(3)
		raw := []byte(`<?xml version="1.0"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadIdentifier</key><string>lock</string><key>PayloadVersion</key><integer>1</integer>
			<key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.app.lock</string><key>PayloadIdentifier</key><string>lock.1</string>
			<key>PayloadUUID</key><string>U1</string><key>PayloadVersion</key><integer>1</integer>
			<key>App</key><dict><key>Identifier</key><string>com.example.exam</string></dict></dict></array></dict></plist>`)
		w.do(func(tx *sqldb.Tx) error {
			for i, v := range []any{false, nil} { // not supervised, and not known
				if _, err := tx.Exec(t.Context(), `UPDATE enrollments SET supervised = ? WHERE id = ?`, v, ids[i]); err != nil {
					return err
				}
			}
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "lock", raw)
			return err
		})
		p := w.try(w.assigning(all, "lock"))
		if len(p.Blocked) != 1 || p.Blocked[0].DeviceID != "d"+ids[0] || actions(p)["install lock"] != 2 {
			t.Errorf("blocked are %+v, changes %v", p.Blocked, actions(p))
		}
		w.assign(all, "lock")
		w.plan()
		if s, reason := w.state(ids[0], "profile"); s != "blocked" || !strings.Contains(reason, "supervised") {
			t.Errorf("it is %s: %s", s, reason)
		}
		pad := w.pad(ids[0])
		pad.session()
		if count(pad.took, "InstallProfile") != 0 {
			t.Error("it was sent all the same")
		}
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE enrollments SET supervised = TRUE WHERE id = ?`, ids[0])
			if err != nil {
				return err
			}
			return w.room.Mark(t.Context(), tx, ids[0])
		})
		w.plan()
		if s, _ := w.state(ids[0], "profile"); s != "pending" {
			t.Errorf("supervised now, it is %s", s)
		}
	})
}

// One changed profile of 10,000 tablets must be planned in under a second; what
// is not touched must not cost.
func BenchmarkPreviewOfOneChange(b *testing.B) {
	for _, fleet := range []int{1000, 10000, 100000} {
		for _, touched := range []int{100, 10000} {
			if touched > fleet {
				continue
			}
			b.Run(fmt.Sprintf("fleet=%d/touched=%d", fleet, touched), func(b *testing.B) {
				sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) { benchmarkPreview(b, db, fleet, touched) })
			})
		}
	}
}

func benchmarkPreview(b *testing.B, db *sqldb.DB, fleet, touched int) {
	w := newWorld(b, db)
	ids := w.enrolled(fleet)
	var g schools.Group
	w.do(func(tx *sqldb.Tx) (err error) {
		if g, err = w.schools.CreateGroup(b.Context(), tx, "user:test", "", "some"); err != nil {
			return err
		}
		devices := make([]string, touched)
		for i := range devices {
			devices[i] = "d" + ids[i*(fleet/touched)]
		}
		return w.schools.AddToGroup(b.Context(), tx, "user:test", g.ID, devices...)
	})
	w.addWiFi("wlan", "v0")
	_, err := w.apply(profiles.Asked{Rollout: profiles.RolloutNow}, w.assigning(profiles.Scope{Kind: "group", ID: g.ID}, "wlan"))
	w.must(err)
	w.plan()
	raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "v1", Password: "correct horse", AutoJoin: true})
	w.must(err)
	w.analyzed()
	b.ResetTimer()
	for range b.N {
		p := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(ctx, tx, "user:test", "", "wlan", raw)
			return err
		})
		if p.Devices != touched {
			b.Fatalf("%d of %d are touched", p.Devices, touched)
		}
	}
}
