package profiles_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

func TestAPlanTellsWhoGetsItLaterAndWhy(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(6)
		now := w.clk.Now()
		w.do(func(tx *sqldb.Tx) error {
			for id, seen := range map[string]time.Time{ids[0]: now, ids[1]: now.Add(-41 * 24 * time.Hour), ids[2]: now.Add(-8 * 24 * time.Hour)} {
				if _, err := tx.Exec(w.Context(), `INSERT INTO contacts (enrollment_id, last_seen) VALUES (?, ?)`, id, sqldb.At(seen)); err != nil {
					return err
				}
			}
			for id, set := range map[string]string{ids[3]: `lost_mode = TRUE`, ids[4]: `state = 'erased'`, ids[5]: `state = 'unenrolled'`} {
				if _, err := tx.Exec(w.Context(), `UPDATE enrollments SET `+set+` WHERE id = ?`, id); err != nil {
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
				if h.Devices != len(h.Serials) || !strings.Contains(h.Text, "iPads") {
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
			want := []string{"silent RZTEST000001,RZTEST000002", "lost RZTEST000003", "known RZTESTNEW", "erased RZTEST000004", "unenrolled RZTEST000005"}
			if got := waiting(p); p.Devices != 4 || !slices.Equal(got, want) {
				t.Errorf("%s: %d touched, waiting\n%q, want\n%q", scope.Kind, p.Devices, got, want)
			}
		}
		w.assign(all, "Wi-Fi")
		if p := w.try(w.assigning(profiles.Scope{Kind: "tenant", ID: "tenant-1"}, "Wi-Fi")); len(p.Waiting) != 0 {
			t.Errorf("what was wished before waits once more: %+v", p.Waiting)
		}
		if got := waiting(w.try(w.unassigning(all, "Wi-Fi"))); !slices.Equal(got, []string{"silent RZTEST000001,RZTEST000002", "lost RZTEST000003"}) {
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
