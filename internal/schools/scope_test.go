package schools_test

import (
	"context"
	"slices"
	"testing"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Two tenants; school S1 has site A with cart K1 (used by class 3b of S2), and
// class 1a. What is in which scope is written by hand here, device by device.
func TestScopesAreTheSameFromBothSides(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.do(func(ctx context.Context, tx *sqldb.Tx) error {
			for _, text := range []string{
				`INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES ('t2', 'two', 'Two', 0, 0)`,
				`INSERT INTO schools (id, tenant_id, code, name, created_at, updated_at) VALUES ('S1', 'tenant-1', 'S1', 'S1', 0, 0), ('S2', 'tenant-1', 'S2', 'S2', 0, 0)`,
				`INSERT INTO sites (id, tenant_id, school_id, code, name, created_at, updated_at) VALUES ('A', 'tenant-1', 'S1', 'A', 'A', 0, 0)`,
				`INSERT INTO classes (id, tenant_id, school_id, name, school_year, created_at) VALUES ('1a', 'tenant-1', 'S1', '1a', '2026/27', 0), ('3b', 'tenant-1', 'S2', '3b', '2026/27', 0)`,
				`INSERT INTO carts (id, tenant_id, site_id, code, slots, created_at, updated_at) VALUES ('K1', 'tenant-1', 'A', 'K1', 20, 0, 0)`,
				`INSERT INTO cart_classes (cart_id, class_id) VALUES ('K1', '3b')`,
				`INSERT INTO device_groups (id, name, created_at) VALUES ('G', 'G', 0)`,
				`INSERT INTO devices (id, tenant_id, serial, site_id, cart_id, class_id, created_at, updated_at) VALUES
					('bare', 'tenant-1', 'AAAA0001', NULL, NULL, NULL, 0, 0), ('atA', 'tenant-1', 'AAAA0002', 'A', NULL, NULL, 0, 0),
					('inK1', 'tenant-1', 'AAAA0003', 'A', 'K1', NULL, 0, 0), ('onlyK1', 'tenant-1', 'AAAA0004', NULL, 'K1', NULL, 0, 0),
					('of1a', 'tenant-1', 'AAAA0005', NULL, NULL, '1a', 0, 0), ('other', 't2', 'AAAA0006', NULL, NULL, NULL, 0, 0)`,
				`INSERT INTO device_group_members (group_id, device_id, added_at) VALUES ('G', 'bare', 0), ('G', 'other', 0)`,
			} {
				if _, err := tx.Exec(ctx, text); err != nil {
					return err
				}
			}
			return nil
		})
		want := map[string][]schools.Scope{
			"bare":   {{"device", "bare"}, {"group", "G"}, {"tenant", "tenant-1"}},
			"atA":    {{"device", "atA"}, {"school", "S1"}, {"site", "A"}, {"tenant", "tenant-1"}},
			"inK1":   {{"cart", "K1"}, {"class", "3b"}, {"device", "inK1"}, {"school", "S1"}, {"school", "S2"}, {"site", "A"}, {"tenant", "tenant-1"}},
			"onlyK1": {{"cart", "K1"}, {"class", "3b"}, {"device", "onlyK1"}, {"school", "S1"}, {"school", "S2"}, {"site", "A"}, {"tenant", "tenant-1"}},
			"of1a":   {{"class", "1a"}, {"device", "of1a"}, {"school", "S1"}, {"tenant", "tenant-1"}},
			"other":  {{"device", "other"}, {"group", "G"}, {"tenant", "t2"}},
		}
		ids := []string{"nobody"}
		in := map[schools.Scope][]string{}
		for id, scopes := range want {
			ids = append(ids, id)
			for _, s := range scopes {
				in[s] = append(in[s], id)
			}
		}
		got, err := w.room.ScopesOf(t.Context(), w.db, ids)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("got the scopes of %d devices, want %d", len(got), len(want))
		}
		for id, scopes := range want {
			if !slices.Equal(got[id], scopes) {
				t.Errorf("%s is in %v, want %v", id, got[id], scopes)
			}
		}
		if tenant := schools.TenantOf(got["other"]); tenant != "t2" {
			t.Errorf("the tenant of other is %q", tenant)
		}
		for s, devices := range in {
			slices.Sort(devices)
			got, err := w.room.DevicesInScope(t.Context(), w.db, s.Kind, s.ID)
			if err != nil || !slices.Equal(got, devices) {
				t.Errorf("in %v are %v (%v), want %v", s, got, err, devices)
			}
		}
	})
}
