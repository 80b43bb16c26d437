package schools_test

import (
	"context"
	"testing"

	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

const tenant = "tenant-1"

// school is a small world: school GS, site SAT, carts K01 and K03 with four
// slots, class 3b, delivery L-1 for that site.
type school struct {
	*world
	school   schools.School
	site     schools.Site
	k01, k03 schools.Cart
	class    schools.Class
	delivery schools.Delivery
}

func build(w *world) *school {
	s := &school{world: w}
	w.do(func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if s.school, err = w.room.AddSchool(ctx, tx, admin, schools.School{TenantID: tenant, Code: "gs", Name: "Grundschule"}); err != nil {
			return err
		}
		if s.site, err = w.room.AddSite(ctx, tx, admin, schools.Site{SchoolID: s.school.ID, Code: "sat", Name: "Saartal"}); err != nil {
			return err
		}
		for code, cart := range map[string]*schools.Cart{"K01": &s.k01, "K03": &s.k03} {
			if *cart, err = w.room.AddCart(ctx, tx, admin, schools.Cart{SiteID: s.site.ID, Code: code, Slots: 4}); err != nil {
				return err
			}
		}
		if s.class, err = w.room.AddClass(ctx, tx, admin, schools.Class{SchoolID: s.school.ID, Name: "3b", Year: "2026/27"}); err != nil {
			return err
		}
		s.delivery, err = w.room.AddDelivery(ctx, tx, admin, schools.Delivery{TenantID: tenant, Code: "l-1", Expected: 3, SiteID: s.site.ID,
			Funding: "Land", BindingUntil: "2030-07-31", OrderNo: "4711"})
		return err
	})
	return s
}

func inSchool(t *testing.T, f func(t *testing.T, s *school)) {
	t.Helper()
	each(t, func(t *testing.T, w *world) { f(t, build(w)) })
}

func (s *school) scan(texts ...string) (res schools.ScanResult, err error) {
	s.t.Helper()
	err = s.try(func(ctx context.Context, tx *sqldb.Tx) error {
		res, err = s.room.Scan(ctx, tx, admin, s.delivery.ID, texts)
		return err
	})
	return res, err
}

func (s *school) mustScan(texts ...string) schools.ScanResult {
	s.t.Helper()
	res, err := s.scan(texts...)
	if err != nil {
		s.t.Fatalf("scan %q: %v", texts, err)
	}
	return res
}

func (s *school) undo(scanID string) (id string, err error) {
	s.t.Helper()
	err = s.try(func(ctx context.Context, tx *sqldb.Tx) error {
		id, err = s.room.UndoScan(ctx, tx, admin, s.delivery.ID, scanID)
		return err
	})
	return id, err
}

func (s *school) put(id string, p schools.Position) error {
	s.t.Helper()
	return s.try(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.Put(ctx, tx, admin, id, p) })
}

func (s *school) move(id string, to schools.AssetState, ev schools.Evidence) error {
	s.t.Helper()
	return s.try(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.Move(ctx, tx, admin, id, to, ev) })
}

func (s *school) get(id string) schools.Device {
	s.t.Helper()
	d, err := s.room.Find(s.t.Context(), s.db, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *school) foreign(serial string) (d schools.Device) {
	s.t.Helper()
	s.do(func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := s.room.AddTenant(ctx, tx, admin, schools.Tenant{Code: "other", Name: "Other"})
		if err != nil && fault.CodeOf(err) != "tenant.exists" {
			return err
		}
		other, err := s.room.TenantFor(ctx, tx, "", "other")
		if err != nil {
			return err
		}
		d, err = s.room.Ensure(ctx, tx, admin, other.ID, serial, "")
		return err
	})
	return d
}

func (s *school) tags(n int) (tags []string) {
	s.t.Helper()
	s.do(func(ctx context.Context, tx *sqldb.Tx) error {
		t, err := s.room.TenantFor(ctx, tx, tenant, "")
		if err != nil {
			return err
		}
		tags, err = s.room.NextTags(ctx, tx, admin, t, n)
		return err
	})
	return tags
}

func warnings(res schools.ScanResult) (codes []string) {
	for _, w := range res.Warnings {
		codes = append(codes, w.Code)
	}
	return codes
}
