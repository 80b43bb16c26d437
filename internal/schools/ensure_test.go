package schools_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

func TestAListOfDevicesIsTakenInAsOne(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		old := s.device("DMQX000001")
		foreign := s.foreign("DMQX000002")
		var list []schools.Seen
		for i := range 700 {
			list = append(list, schools.Seen{Serial: fmt.Sprintf(" dmqx%06d", i), Model: "iPad15,7", Color: "SILVER"})
		}
		list = append(list, schools.Seen{Serial: "DMQX000003", Model: "another line of the same"})
		ensure := func() (ours map[string]schools.Device) {
			s.do(func(ctx context.Context, tx *sqldb.Tx) error {
				var others []string
				var err error
				ours, others, err = s.room.EnsureAll(ctx, tx, admin, tenant, schools.Ordered, list)
				wantList(t, "other tenants'", others, foreign.Serial)
				return err
			})
			return ours
		}
		first := ensure()
		if len(first) != 699 {
			t.Fatalf("got %d devices", len(first))
		}
		if d := first[old.Serial]; d.ID != old.ID || d.AssetState != schools.Inventoried || d.Model != "iPad15,7" || s.get(old.ID) != d {
			t.Errorf("the known device became %+v, kept as %+v", d, s.get(old.ID))
		}
		if d := first["DMQX000699"]; d.AssetState != schools.Ordered || d.TenantID != tenant || d.Color != "SILVER" || s.get(d.ID) != d {
			t.Errorf("a new device is %+v, kept as %+v", d, s.get(d.ID))
		}
		if d := s.get(foreign.ID); d != foreign {
			t.Errorf("the foreign device became %+v", d)
		}
		wantList(t, "audit trail of a new one", s.events("device:"+first["DMQX000699"].ID), "device.add")
		wantList(t, "audit trail of the known one", s.events("device:"+old.ID), "device.add")
		again := ensure()
		for serial, d := range first {
			if again[serial] != d {
				t.Fatalf("the second time made of %+v\n%+v", d, again[serial])
			}
		}
		wantCode(t, s.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, _, err := s.room.EnsureAll(ctx, tx, admin, tenant, schools.Ordered, []schools.Seen{{Serial: "Ä"}})
			return err
		}), "device.serial")
	})
}

func TestAResellersFileIsListedOnce(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		mine, foreign := s.device("DMQX000001"), s.foreign("DMQX000002")
		var serials []string
		for i := range 600 {
			serials = append(serials, fmt.Sprintf("dmqx%06d", i))
		}
		for range 2 {
			s.do(func(ctx context.Context, tx *sqldb.Tx) error {
				return s.room.List(ctx, tx, admin, s.delivery.ID, serials)
			})
		}
		var n int
		if err := s.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM delivery_serials WHERE listed_at IS NOT NULL AND scanned_at IS NULL`); err != nil || n != 600 {
			t.Errorf("%d are listed, %v", n, err)
		}
		if got := s.get(mine.ID).DeliveryID; got != s.delivery.ID {
			t.Errorf("the delivery of ours is %q", got)
		}
		if got := s.get(foreign.ID).DeliveryID; got != "" {
			t.Errorf("the delivery of the other tenant's is %q", got)
		}
		// A listed serial number is known to a scanner, however short it is.
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			return s.room.List(ctx, tx, admin, s.delivery.ID, []string{"S9Z"})
		})
		if res := s.mustScan("ss9z"); res.Serial != "S9Z" {
			t.Errorf("got %+v", res)
		}
		res := s.mustScan(s.tags(1)[0], "DMQX999999")
		if !slices.Contains(warnings(res), "scan.not-listed") {
			t.Errorf("got %+v", res)
		}
		if _, err := s.undo(res.ScanID); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM delivery_serials`); err != nil || n != 601 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}
