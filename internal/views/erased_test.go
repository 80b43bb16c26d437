package views

import (
	"testing"

	"ranzen/internal/clock"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func TestPain24AfterAnEraseNothingOfTheEarlierLifeIsShownAsPresent(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, now := t.Context(), sqldb.At(noon)
		err := db.Do(ctx, func(tx *sqldb.Tx) error {
			for _, s := range []struct {
				text string
				args []any
			}{
				{`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES ('d1', 'tenant-1', 'SERIAL1', ?, ?)`, []any{now, now}},
				{`INSERT INTO enrollments (id, device_id, udid, generation, state, enrolled_at, created_at, updated_at) VALUES ('e1', 'd1', 'u', 3, 'enrolled', ?, ?, ?)`, []any{now, now, now}},
				{`INSERT INTO profiles (id, name, identifier, version, created_at, updated_at) VALUES ('p1', 'WLAN', 'x', 2, ?, ?), ('p2', 'Old', 'y', 1, ?, ?)`, []any{now, now, now, now}},
				{`INSERT INTO assignments (id, item_kind, item_id, scope_kind, scope_id, created_by, created_at) VALUES ('a1', 'profile', 'p1', 'all', '', 'user:x', ?)`, []any{now}},
				{`INSERT INTO device_items (enrollment_id, item_kind, item_id, generation, desired, sent, sent_at, acknowledged_at, observed, observed_at, state, updated_at)
					VALUES ('e1', 'profile', 'p1', 3, 2, 2, ?, ?, 2, ?, 'installed', ?)`, []any{now, now, now, now}},
				{`INSERT INTO device_items (enrollment_id, item_kind, item_id, generation, sent, sent_at, observed, observed_at, state, updated_at)
					VALUES ('e1', 'profile', 'p2', 3, 1, ?, 1, ?, 'removing', ?)`, []any{now, now, now}},
				{`INSERT INTO observations (enrollment_id, kind, generation, body, observed_at) VALUES ('e1', 'profile.list', 3, '[]', ?)`, []any{now}},
			} {
				if _, err := tx.Exec(ctx, s.text, s.args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r := New(db, clock.At(noon))
		for _, life := range []struct {
			state, first, second, filter string
			observed                     bool
			fits                         int
		}{
			{"enrolled", "installed", "removing", "item-state:installed", true, 1},
			{"erased", "pending", "removed", "item-state:installed", false, 0},
			{"erased", "pending", "removed", "item-state:pending", false, 1},
			{"unenrolled", "pending", "removed", "item:Old", false, 0},
		} {
			if err := db.Do(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE enrollments SET state = ? WHERE id = 'e1'`, life.state)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			d, err := r.Device(ctx, "", "SERIAL1")
			if err != nil || len(d.Items) != 2 {
				t.Fatal(err, d.Items)
			}
			old, wlan := d.Items[0], d.Items[1]
			if wlan.State != life.first || (wlan.Observed != nil) != life.observed || (wlan.AcknowledgedAt != nil) != life.observed || old.State != life.second || (old.Observed != nil) != life.observed {
				t.Errorf("%s: %+v %+v", life.state, wlan, old)
			}
			if _, told := d.Inventory["profile.list"]; told != life.observed {
				t.Errorf("%s: its list is shown: %v", life.state, told)
			}
			list, _, err := r.Devices(ctx, "", life.filter, Page{})
			if err != nil || len(list) != life.fits {
				t.Errorf("%s: %d devices fit %s: %v", life.state, len(list), life.filter, err)
			}
			w, err := r.Why(ctx, db, "d1", "WLAN", "en", []schools.Scope{}, nil, nil)
			if err != nil || w.Items[0].State != life.first {
				t.Errorf("%s: why says %+v %v", life.state, w, err)
			}
		}
	})
}
