package profiles_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/commands"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

func TestAPlanTellsWhoGetsItLaterAndWhy(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(10)
		now := w.clk.Now()
		w.do(func(tx *sqldb.Tx) error {
			for id, seen := range map[string]time.Time{ids[0]: now, ids[1]: now.Add(-41 * 24 * time.Hour), ids[2]: now.Add(-8 * 24 * time.Hour)} {
				if _, err := tx.Exec(w.Context(), `INSERT INTO contacts (enrollment_id, last_seen) VALUES (?, ?)`, id, sqldb.At(seen)); err != nil {
					return err
				}
			}
			for id, set := range map[string]string{ids[3]: `lost_mode = TRUE`, ids[4]: `state = 'erased'`, ids[5]: `state = 'unenrolled'`, ids[8]: `state = 'enrolling'`, ids[9]: `state = 'held'`} {
				if _, err := tx.Exec(w.Context(), `UPDATE enrollments SET `+set+` WHERE id = ?`, id); err != nil {
					return err
				}
			}
			for _, id := range []string{ids[0], ids[6], ids[7]} {
				if _, err := w.queue.Add(w.Context(), tx, commands.Command{EnrollmentID: id, Generation: 1, Kind: "device.erase", RequestType: "EraseDevice", DedupeKey: "device.erase", Origin: "user:test"}); err != nil {
					return err
				}
			}
			for _, text := range []string{`UPDATE commands SET state = 'uncertain' WHERE enrollment_id IN (?, ?)`, `UPDATE enrollments SET generation = 2 WHERE id = ? AND id <> ?`} { // that of a life before says nothing
				if _, err := tx.Exec(w.Context(), text, ids[0], ids[7]); err != nil {
					return err
				}
			}
			for serial, state := range map[string]schools.AssetState{"RZTESTNEW": schools.Delivered, "RZTESTOLD": schools.Disposed} {
				if _, err := tx.Exec(w.Context(), `INSERT INTO devices (id, tenant_id, serial, asset_state, created_at, updated_at) VALUES (?, 'tenant-1', ?, ?, 0, 0)`, "d"+serial, serial, string(state)); err != nil {
					return err
				}
			}
			return nil
		})
		w.addWiFi("Wi-Fi", "Sandtal")
		waiting := func(p profiles.Plan) (out []string) {
			for _, h := range p.Waiting {
				if h.Devices != len(h.Serials) || strings.Contains(h.Text, "1 iPad ") != (h.Devices == 1) || strings.Contains(h.Text, "iPads ") != (h.Devices > 1) {
					t.Errorf("%+v", h)
				}
				out = append(out, h.Code+" "+strings.Join(h.Serials, ","))
				if h.Code == "silent" && !strings.Contains(h.Text, "41 days") {
					t.Errorf("it does not say how long: %s", h.Text)
				}
			}
			return out
		}
		for _, scope := range []profiles.Scope{all, {Kind: "tenant", ID: "tenant-1"}} {
			p := w.try(w.assigning(scope, "Wi-Fi"))
			want := []string{"silent RZTEST000001,RZTEST000002", "erase_requested RZTEST000006", "erase_uncertain RZTEST000007", "lost RZTEST000003", "known RZTESTNEW",
				"enrolling RZTEST000008", "held RZTEST000009", "erased RZTEST000004", "unenrolled RZTEST000005"}
			if got := waiting(p); p.Devices != 6 || !slices.Equal(got, want) {
				t.Errorf("%s: %d touched, waiting\n%q, want\n%q", scope.Kind, p.Devices, got, want)
			}
		}
		w.assign(all, "Wi-Fi")
		if p := w.try(w.assigning(profiles.Scope{Kind: "tenant", ID: "tenant-1"}, "Wi-Fi")); len(p.Waiting) != 0 {
			t.Errorf("what was wished before waits once more: %+v", p.Waiting)
		}
		if got := waiting(w.try(w.unassigning(all, "Wi-Fi"))); !slices.Equal(got, []string{"silent RZTEST000001,RZTEST000002", "erase_requested RZTEST000006", "erase_uncertain RZTEST000007", "lost RZTEST000003"}) {
			t.Errorf("of a wish that ends: %q", got)
		}
	})
}

func TestAGroupThatGoesWithItsWishIsNoHindrance(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(1)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.do(func(tx *sqldb.Tx) error {
			g, err := w.schools.CreateGroup(t.Context(), tx, "user:test", "", "some")
			if err != nil {
				return err
			}
			if err := w.schools.AddToGroup(t.Context(), tx, "user:test", g.ID, "d"+ids[0]); err != nil {
				return err
			}
			_, err = w.room.Assign(t.Context(), tx, "user:test", "", []string{"Wi-Fi"}, profiles.Scope{Kind: "group", ID: g.ID})
			return err
		})
		d := w.export()
		d.Assignments, d.Groups = []profiles.DocAssignment{}, []profiles.DocGroup{}
		if edits, _, err := w.applying(d, true); err != nil || len(edits) != 2 {
			t.Errorf("it did %v (%v)", edits, err)
		}
	})
}

// What a group wishes goes with it as if it were unassigned: what holds data stays
// at its gate, and what the group was spared comes.
func TestAGroupGoesWithWhatIsAssignedToItByItsPlan(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(2)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.addWiFi("Spared", "Elsewhere")
		w.addApp("Keynote")
		var g schools.Group
		w.do(func(tx *sqldb.Tx) (err error) {
			if err := w.room.SetHoldsData(t.Context(), tx, "user:test", "", "Keynote", true); err != nil {
				return err
			}
			if g, err = w.schools.CreateGroup(t.Context(), tx, "user:test", "", "some"); err != nil {
				return err
			}
			return w.schools.AddToGroup(t.Context(), tx, "user:test", g.ID, "d"+ids[0])
		})
		of := profiles.Scope{Kind: "group", ID: g.ID}
		w.assign(of, "Wi-Fi", "Keynote")
		w.assign(all, "Spared")
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.Exclude(t.Context(), tx, "user:test", "", []string{"Spared"}, of)
			return err
		})
		w.plan()
		p := w.pad(ids[0])
		p.session()
		w.plan()
		if len(p.profiles) != 1 || p.apps["com.apple.Keynote"] != "Managed" {
			t.Fatalf("before, it has %v and %v", p.profiles, p.apps)
		}
		removing := func(ctx context.Context, tx *sqldb.Tx) error {
			if err := w.room.UnassignGroup(ctx, tx, "user:test", "", g); err != nil {
				return err
			}
			return w.schools.RemoveGroup(ctx, tx, "user:test", g.ID)
		}
		plan := w.try(removing)
		if got := actions(plan); len(got) != 3 || got["remove Wi-Fi"] != 1 || got["ask Keynote"] != 1 || got["install Spared"] != 1 || plan.Devices != 1 {
			t.Errorf("its plan: %v on %d", got, plan.Devices)
		}
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.Propose(t.Context(), tx, profiles.Asked{Hash: plan.Hash}, removing)
			return err
		})
		for range 3 {
			w.plan()
			p.session()
		}
		if state, _ := w.state(ids[0], "app"); p.apps["com.apple.Keynote"] != "Managed" || state != "blocked" || len(p.profiles) != 1 {
			t.Errorf("after, it has %v and %v, and the app is %s", p.profiles, p.apps, state)
		}
		if got := actions(w.try(func(context.Context, *sqldb.Tx) error { return nil })); len(got) != 0 {
			t.Errorf("a second plan: %v", got)
		}
		list, err := w.room.AssignmentsTo(t.Context(), w.db, of)
		if err != nil || len(list) != 0 {
			t.Errorf("left are %v (%v)", list, err)
		}
	})
}

// What a group is spared comes to its devices when it goes, to those that are away
// when they are back: whoever is away is named, but for those that something else
// still spares.
func TestAPlanNamesWhoGetsLaterWhatTheirGroupWasSpared(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(8)
		now := w.clk.Now()
		w.addWiFi("Spared", "Elsewhere")
		group := func(name string, members ...string) (g schools.Group) {
			w.do(func(tx *sqldb.Tx) (err error) {
				if g, err = w.schools.CreateGroup(t.Context(), tx, "user:test", "", name); err != nil {
					return err
				}
				return w.schools.AddToGroup(t.Context(), tx, "user:test", g.ID, members...)
			})
			return g
		}
		w.do(func(tx *sqldb.Tx) error {
			for id, set := range map[string]string{ids[1]: `lost_mode = TRUE`, ids[2]: `state = 'erased'`, ids[3]: `state = 'unenrolled'`, ids[4]: `state = 'enrolling'`, ids[5]: `state = 'erased'`, ids[6]: `state = 'held'`} {
				if _, err := tx.Exec(w.Context(), `UPDATE enrollments SET `+set+` WHERE id = ?`, id); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(w.Context(), `INSERT INTO contacts (enrollment_id, last_seen) VALUES (?, ?)`, ids[0], sqldb.At(now.Add(-9*24*time.Hour))); err != nil {
				return err
			}
			_, err := tx.Exec(w.Context(), `INSERT INTO devices (id, tenant_id, serial, asset_state, created_at, updated_at) VALUES ('dNEW', 'tenant-1', 'RZTESTNEW', 'delivered', 0, 0)`)
			return err
		})
		members := []string{"d" + ids[0], "d" + ids[1], "d" + ids[2], "d" + ids[3], "d" + ids[4], "d" + ids[5], "d" + ids[6], "dNEW"}
		some, other := group("some", members...), group("other", "d"+ids[5])
		awayOnly := group("away", "d"+ids[2], "dNEW")
		w.assign(all, "Spared")
		excluding := func(g schools.Group) func(ctx context.Context, tx *sqldb.Tx) error {
			return func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := w.room.Exclude(ctx, tx, "user:test", "", []string{"Spared"}, profiles.Scope{Kind: "group", ID: g.ID})
				return err
			}
		}
		removing := func(g schools.Group) func(ctx context.Context, tx *sqldb.Tx) error {
			return func(ctx context.Context, tx *sqldb.Tx) error {
				if err := w.room.UnassignGroup(ctx, tx, "user:test", "", g); err != nil {
					return err
				}
				return w.schools.RemoveGroup(ctx, tx, "user:test", g.ID)
			}
		}
		waits := func(what string, p profiles.Plan, want ...string) {
			t.Helper()
			var got []string
			for _, h := range p.Waiting {
				got = append(got, h.Code+" "+strings.Join(h.Serials, ","))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: waiting are\n%q, want\n%q", what, got, want)
			}
		}
		if p := w.try(excluding(some)); p.Devices != 2 {
			t.Errorf("an exclusion touches %d", p.Devices)
		} else {
			waits("an exclusion", p, "silent RZTEST000000", "lost RZTEST000001")
		}
		for _, g := range []schools.Group{some, other} {
			w.do(func(tx *sqldb.Tx) error { return excluding(g)(t.Context(), tx) })
		}
		here := []string{"silent RZTEST000000", "lost RZTEST000001"}
		all := append(slices.Clone(here), "known RZTESTNEW", "enrolling RZTEST000004", "held RZTEST000006", "erased RZTEST000002", "unenrolled RZTEST000003")
		waits("the exclusion taken back", w.try(w.unassigning(profiles.Scope{Kind: "group", ID: some.ID}, "Spared")), all...)
		waits("the group removed", w.try(removing(some)), all...)
		waits("another group with somebody who stays spared", w.try(removing(other)))
		waits("both", w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			if err := removing(some)(ctx, tx); err != nil {
				return err
			}
			return removing(other)(ctx, tx)
		}), append(slices.Clone(here), "known RZTESTNEW", "enrolling RZTEST000004", "held RZTEST000006", "erased RZTEST000002,RZTEST000005", "unenrolled RZTEST000003")...)
		waits("a group that is spared nothing", w.try(removing(awayOnly)))

		// One of whom nobody is enrolled marks nobody.
		w.do(func(tx *sqldb.Tx) error {
			if err := removing(some)(t.Context(), tx); err != nil {
				return err
			}
			return excluding(awayOnly)(t.Context(), tx)
		})
		waits("of whom all are away", w.try(removing(awayOnly)), "known RZTESTNEW", "erased RZTEST000002")
		waits("one that is made and removed at once", w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			g, err := w.schools.CreateGroup(ctx, tx, "user:test", "", "short")
			if err == nil {
				err = w.schools.AddToGroup(ctx, tx, "user:test", g.ID, "dNEW")
			}
			if err == nil {
				err = excluding(g)(ctx, tx)
			}
			if err == nil {
				err = removing(g)(ctx, tx)
			}
			return err
		}))

		// The same by a document that names the group no more.
		d := w.export()
		d.Assignments = slices.DeleteFunc(d.Assignments, func(a profiles.DocAssignment) bool {
			return strings.Contains(a.To, awayOnly.ID) || strings.Contains(a.To, "away")
		})
		d.Groups = slices.DeleteFunc(d.Groups, func(g profiles.DocGroup) bool { return g.Name == "away" })
		_, p, err := w.applying(d, false)
		w.must(err)
		waits("by a document", p, "known RZTESTNEW", "erased RZTEST000002")
	})
}
