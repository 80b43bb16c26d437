package profiles_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

func (w *world) ruleGroup(name, rule string) (g schools.Group) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) (err error) {
		g, err = w.room.CreateRuleGroup(w.Context(), tx, "user:test", "", name, rule)
		return err
	})
	return g
}

func (w *world) tells(id, column string, value any) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.Context(), `UPDATE enrollments SET `+column+` = ?, updated_at = ? WHERE id = ?`, value, sqldb.At(w.clk.Now()), id)
		return err
	})
}

func (w *world) regroup(since time.Time) {
	w.Helper()
	w.must(w.room.RegroupSince(w.Context(), since))
}

func (w *world) in(g schools.Group) []string {
	w.Helper()
	ids, err := w.schools.DevicesIn(w.Context(), w.db, g.ID)
	w.must(err)
	return ids
}

// An unknown fact removed installed profiles elsewhere; here it changes nothing,
// and is named.
func TestPain30AnUnknownFactNeitherAddsNorRemoves(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		ids := w.enrolled(3)
		w.tells(ids[0], "os_version", "18.1")
		w.tells(ids[1], "os_version", "17.2")
		g := w.ruleGroup("new", "os_version >= 18")
		if got := w.in(g); !slices.Equal(got, []string{"d" + ids[0]}) {
			t.Fatalf("in the group: %v", got)
		}
		w.addWiFi("wlan", "School")
		w.assign(profiles.Scope{Kind: "group", ID: g.ID}, "wlan")
		w.plan()
		p := w.pad(ids[0])
		p.session()
		if len(p.profiles) != 1 {
			t.Fatal("the profile of the group is not there")
		}
		doubt := func() map[string]bool {
			list, err := w.schools.Doubts(t.Context(), db, g.ID, "")
			w.must(err)
			out := map[string]bool{}
			for _, d := range list {
				if d.Missing != "os_version" {
					t.Errorf("%s lacks %q", d.Serial, d.Missing)
				}
				out[d.DeviceID] = d.In
			}
			return out
		}
		if got := doubt(); len(got) != 1 || got["d"+ids[2]] {
			t.Errorf("not known: %v", got)
		}
		w.clk.Forward(time.Hour)
		w.tells(ids[0], "os_version", "") // nobody knows any more
		w.regroup(w.clk.Now().Add(-time.Minute))
		w.plan()
		p.session()
		if got := doubt(); len(got) != 2 || !got["d"+ids[0]] {
			t.Errorf("not known: %v", got)
		}
		if slices.Contains(p.took, "RemoveProfile") || len(p.profiles) != 1 {
			t.Error("an unknown fact removed a profile")
		}
		w.tells(ids[0], "os_version", "17.9")
		w.regroup(w.clk.Now().Add(-time.Minute))
		w.plan()
		p.session()
		if len(p.profiles) != 0 {
			t.Error("it left the group and keeps its profile")
		}
	})
}

func TestAGroupFollowsWhatIsObservedOnTablets(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		ids := w.enrolled(2)
		w.addWiFi("wlan", "School")
		without := w.ruleGroup("without", "lacks wlan")
		w.ruleGroup("with", "not in without")
		if n, _ := w.schools.Doubts(t.Context(), db, without.ID, ""); len(n) != 2 {
			t.Errorf("before any list came %d of 2 are unknown", len(n))
		}
		w.assign(profiles.Scope{Kind: "device", ID: "d" + ids[0]}, "wlan")
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, ids...) })
		w.plan()
		for _, id := range ids {
			w.pad(id).session()
		}
		w.plan()
		w.regroup(time.Time{})
		if got := w.in(without); !slices.Equal(got, []string{"d" + ids[1]}) {
			t.Errorf("without: %v", got)
		}
		groups, err := w.schools.Groups(t.Context(), db, "")
		w.must(err)
		for _, g := range groups {
			if got := w.in(g); g.Name == "with" && !slices.Equal(got, []string{"d" + ids[0]}) {
				t.Errorf("with: %v", got)
			}
		}
	})
}

func TestAChangedRuleIsPlannedLikeAnyOtherChange(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		ids := w.enrolled(2)
		for i, v := range []string{"18.1", "17.2"} {
			w.tells(ids[i], "os_version", v)
		}
		g := w.ruleGroup("new", "os_version >= 18")
		w.addWiFi("wlan", "School")
		w.assign(profiles.Scope{Kind: "group", ID: g.ID}, "wlan")
		w.plan()
		w.pad(ids[0]).session()
		plan := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			return w.room.SetRule(ctx, tx, "user:test", g, "os_version < 18")
		})
		if got := actions(plan); got["remove wlan"] != 1 || got["install wlan"] != 1 || len(plan.Hazards) == 0 {
			t.Errorf("%v %+v", got, plan.Hazards)
		}
		if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return w.schools.AddToGroup(t.Context(), tx, "user:test", g.ID, "d"+ids[1])
		}); code(err) != "group.rule" {
			t.Errorf("a device was put by hand where a rule decides: %v", err)
		}
		if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return w.room.SetRule(t.Context(), tx, "user:test", g, "in new")
		}); code(err) != "rule.cycle" {
			t.Errorf("a group asks for itself: %v", err)
		}
	})
}
