package schools_test

import (
	"context"
	"strings"
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

func TestTheWorldIsBuiltAndFoundByWhatPeopleSay(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		ctx, q := t.Context(), s.db
		foreign := s.foreign("DMQXFREMD1").TenantID
		var there schools.Cart
		var old, same schools.Class
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			other, err := s.room.AddSchool(ctx, tx, admin, schools.School{TenantID: foreign, Code: "GS", Name: "Theirs"})
			if err != nil {
				return err
			}
			site, err := s.room.AddSite(ctx, tx, admin, schools.Site{SchoolID: other.ID, Code: "SAT", Name: "Theirs"})
			if err != nil {
				return err
			}
			if there, err = s.room.AddCart(ctx, tx, admin, schools.Cart{SiteID: site.ID, Code: "K03", Slots: 2}); err != nil {
				return err
			}
			if old, err = s.room.AddClass(ctx, tx, admin, schools.Class{SchoolID: s.school.ID, Name: "3b", Year: "2025/26"}); err != nil {
				return err
			}
			second, err := s.room.AddSchool(ctx, tx, admin, schools.School{TenantID: tenant, Code: "WIE", Name: "Second"})
			if err != nil {
				return err
			}
			same, err = s.room.AddClass(ctx, tx, admin, schools.Class{SchoolID: second.ID, Name: "4a", Year: "2026/27"})
			if err != nil {
				return err
			}
			_, err = s.room.AddClass(ctx, tx, admin, schools.Class{SchoolID: s.school.ID, Name: "4a", Year: "2026/27"})
			return err
		})
		ref := func(kind, tenantID, ref string) (id string, err error) {
			switch kind {
			case "school":
				x, err := s.room.SchoolByRef(ctx, q, tenantID, ref)
				return x.ID, err
			case "site":
				x, err := s.room.SiteByRef(ctx, q, tenantID, ref)
				return x.ID, err
			case "cart":
				x, err := s.room.CartByRef(ctx, q, tenantID, ref)
				return x.ID, err
			case "class":
				x, err := s.room.ClassByRef(ctx, q, tenantID, ref)
				return x.ID, err
			}
			x, err := s.room.DeliveryByRef(ctx, q, tenantID, ref)
			return x.ID, err
		}
		for _, test := range []struct{ kind, tenantID, ref, want, code string }{
			{"school", tenant, " gs", s.school.ID, ""},
			{"school", tenant, s.school.ID, s.school.ID, ""},
			{"school", "", "GS", "", "school.ambiguous"},
			{"school", foreign, s.school.ID, "", "school.unknown"},
			{"site", tenant, "sat", s.site.ID, ""},
			{"site", "", "SAT", "", "site.ambiguous"},
			{"site", foreign, s.site.ID, "", "site.unknown"},
			{"cart", tenant, "sat-k03", s.k03.ID, ""},
			{"cart", tenant, "K03", s.k03.ID, ""},
			{"cart", tenant, s.k03.ID, s.k03.ID, ""},
			{"cart", tenant, there.ID, "", "cart.unknown"},
			{"cart", foreign, "SAT-K03", there.ID, ""},
			{"cart", foreign, "SAT-K01", "", "cart.unknown"},
			{"cart", "", "SAT-K03", "", "cart.ambiguous"},
			{"cart", "", "SAT-K01", s.k01.ID, ""},
			{"class", tenant, "3b", s.class.ID, ""},
			{"class", tenant, "3B", s.class.ID, ""},
			{"class", tenant, "gs/3b", s.class.ID, ""},
			{"class", tenant, "GS/3b/2025/26", old.ID, ""},
			{"class", tenant, old.ID, old.ID, ""},
			{"class", tenant, "4a", "", "class.ambiguous"},
			{"class", tenant, "WIE/4a", same.ID, ""},
			{"class", tenant, "GS/3b/2024/25", "", "class.unknown"},
			{"class", foreign, "3b", "", "class.unknown"},
			{"delivery", tenant, "l-1", s.delivery.ID, ""},
			{"delivery", tenant, s.delivery.ID, s.delivery.ID, ""},
			{"delivery", foreign, s.delivery.ID, "", "delivery.unknown"},
		} {
			got, err := ref(test.kind, test.tenantID, test.ref)
			if wantCode(t, err, test.code); got != test.want {
				t.Errorf("%s %q of %q: got %q, want %q", test.kind, test.ref, test.tenantID, got, test.want)
			}
		}
		for _, kind := range []string{"school", "site", "cart", "class", "delivery"} {
			for _, bad := range []string{"", " ", "-", "/", "//", "%", "a\x00b", "\xff", "'", "nothing"} {
				_, err := ref(kind, "", bad)
				wantCode(t, err, kind+".unknown")
			}
		}
	})
}

func TestWhatTheWorldRefuses(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		foreign := s.foreign("DMQXFREMD1")
		x := func(add func(ctx context.Context, tx *sqldb.Tx) error) error { return s.try(add) }
		site := func(v schools.Site) error {
			return x(func(ctx context.Context, tx *sqldb.Tx) error { _, err := s.room.AddSite(ctx, tx, admin, v); return err })
		}
		cart := func(v schools.Cart) error {
			return x(func(ctx context.Context, tx *sqldb.Tx) error { _, err := s.room.AddCart(ctx, tx, admin, v); return err })
		}
		class := func(v schools.Class) error {
			return x(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := s.room.AddClass(ctx, tx, admin, v)
				return err
			})
		}
		delivery := func(v schools.Delivery) error {
			return x(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := s.room.AddDelivery(ctx, tx, admin, v)
				return err
			})
		}
		school := func(v schools.School) error {
			return x(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := s.room.AddSchool(ctx, tx, admin, v)
				return err
			})
		}
		for code, errs := range map[string][]error{
			"school.exists":     {school(schools.School{TenantID: tenant, Code: "GS", Name: "x"})},
			"tenant.unknown":    {school(schools.School{Code: "A", Name: "x"}), delivery(schools.Delivery{TenantID: "nobody", Code: "A"})},
			"school.unknown":    {site(schools.Site{SchoolID: "nowhere", Code: "A", Name: "x"}), site(schools.Site{TenantID: foreign.TenantID, SchoolID: s.school.ID, Code: "A", Name: "x"}), class(schools.Class{TenantID: foreign.TenantID, SchoolID: s.school.ID, Name: "3c", Year: "2026/27"})},
			"site.exists":       {site(schools.Site{SchoolID: s.school.ID, Code: "sat", Name: "x"})},
			"cart.exists":       {cart(schools.Cart{SiteID: s.site.ID, Code: "k03", Slots: 1})},
			"cart.slots":        {cart(schools.Cart{SiteID: s.site.ID, Code: "K09"}), cart(schools.Cart{SiteID: s.site.ID, Code: "K09", Slots: 101}), cart(schools.Cart{SiteID: s.site.ID, Code: "K09", Slots: -1})},
			"room.unknown":      {cart(schools.Cart{SiteID: s.site.ID, Code: "K09", Slots: 1, PlaceID: "nowhere"})},
			"site.unknown":      {cart(schools.Cart{TenantID: foreign.TenantID, SiteID: s.site.ID, Code: "K09", Slots: 1}), delivery(schools.Delivery{TenantID: foreign.TenantID, Code: "A", SiteID: s.site.ID})},
			"class.exists":      {class(schools.Class{SchoolID: s.school.ID, Name: "3b", Year: "2026/27"})},
			"class.year":        {class(schools.Class{SchoolID: s.school.ID, Name: "3b", Year: "2026"}), class(schools.Class{SchoolID: s.school.ID, Name: "3b", Year: "2026/28"})},
			"class.name":        {class(schools.Class{SchoolID: s.school.ID, Name: "3/b", Year: "2026/27"})},
			"code.characters":   {site(schools.Site{SchoolID: s.school.ID, Code: "SA-T", Name: "x"}), site(schools.Site{SchoolID: s.school.ID, Code: "", Name: "x"}), school(schools.School{TenantID: tenant, Code: "ABCDEFGHIJKLM", Name: "x"}), cart(schools.Cart{SiteID: s.site.ID, Code: "Ö1", Slots: 1})},
			"name.empty":        {site(schools.Site{SchoolID: s.school.ID, Code: "A"})},
			"text.characters":   {site(schools.Site{SchoolID: s.school.ID, Code: "A", Name: "x", Address: "a\x00"})},
			"delivery.exists":   {delivery(schools.Delivery{TenantID: tenant, Code: "L-1"})},
			"delivery.code":     {delivery(schools.Delivery{TenantID: tenant, Code: "L 1"}), delivery(schools.Delivery{TenantID: tenant})},
			"delivery.expected": {delivery(schools.Delivery{TenantID: tenant, Code: "A", Expected: -1})},
			"delivery.day":      {delivery(schools.Delivery{TenantID: tenant, Code: "A", BindingUntil: "31.07.2030"})},
		} {
			for _, err := range errs {
				wantCode(t, err, code)
			}
		}
	})
}

func TestADeviceIsPutWhereItsTenantIsAndNowhereElse(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		d, foreign := s.device("DMQX0000A1"), s.foreign("DMQXFREMD1")
		var room schools.Place
		var second schools.Site
		s.do(func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if room, err = s.room.AddPlace(ctx, tx, admin, schools.Place{SiteID: s.site.ID, Name: "101"}); err != nil {
				return err
			}
			second, err = s.room.AddSite(ctx, tx, admin, schools.Site{SchoolID: s.school.ID, Code: "WIE", Name: "Wiesental"})
			return err
		})
		for _, test := range []struct {
			code string
			p    schools.Position
		}{
			{"cart.unknown", schools.Position{CartID: "nowhere"}},
			{"site.unknown", schools.Position{SiteID: "nowhere"}},
			{"room.unknown", schools.Position{PlaceID: "nowhere"}},
			{"class.unknown", schools.Position{ClassID: "nowhere"}},
			{"position.slot", schools.Position{Slot: 1}},
			{"slot.range", schools.Position{CartID: s.k03.ID, Slot: 5}},
			{"slot.range", schools.Position{CartID: s.k03.ID, Slot: -1}},
			{"position.site", schools.Position{SiteID: second.ID, CartID: s.k03.ID}},
			{"position.place", schools.Position{SiteID: second.ID, PlaceID: room.ID}},
		} {
			wantCode(t, s.put(d.ID, test.p), test.code)
			if got := s.get(d.ID); got != d {
				t.Errorf("%+v made %+v", test.p, got)
			}
		}
		for _, p := range []schools.Position{{CartID: s.k03.ID}, {SiteID: s.site.ID}, {PlaceID: room.ID}, {ClassID: s.class.ID}} {
			if err := s.put(foreign.ID, p); fault.KindOf(err) != fault.NotFound {
				t.Errorf("another tenant's device in %+v: %v", p, err)
			}
		}
		all := schools.Position{PlaceID: room.ID, CartID: s.k03.ID, Slot: 2, ClassID: s.class.ID}
		if err := s.put(d.ID, all); err != nil {
			t.Fatal(err)
		}
		all.SiteID = s.site.ID
		if got := s.get(d.ID); got.Position != all || got.Name != "SAT-K03-02" {
			t.Errorf("got %+v", got)
		}
		err := s.put(s.device("DMQX0000A2").ID, schools.Position{CartID: s.k03.ID, Slot: 2})
		wantCode(t, err, "slot.taken")
		if f, _ := fault.Of(err); !strings.Contains(f.Text, d.Serial) || !strings.Contains(f.Text, "SAT-K03-02") {
			t.Errorf("%q does not say who is where", f.Text)
		}
		// The cart cannot shrink away from under it.
		one := 1
		wantCode(t, s.try(func(ctx context.Context, tx *sqldb.Tx) error {
			return s.room.SetCart(ctx, tx, admin, s.k03.ID, schools.CartChange{Slots: &one})
		}), "cart.slots-used")
		s.do(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.Rename(ctx, tx, admin, d.ID, "Beamer") })
		if err := s.put(d.ID, schools.Position{}); err != nil {
			t.Fatal(err)
		}
		if got := s.get(d.ID); got.Position != (schools.Position{}) || got.Name != "Beamer" {
			t.Errorf("a name that was not the slot's is lost: %+v", got)
		}
	})
}

func TestTenantsAndCartsAreChanged(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		foreign := s.foreign("DMQXFREMD1")
		set := func(id string, change schools.TenantChange) error {
			return s.try(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.SetTenant(ctx, tx, admin, id, change) })
		}
		kdg, bad, prefix, name := "kdg", "bdsg", "MU", " Musterdorf "
		if err := set(tenant, schools.TenantChange{Legal: &kdg, TagPrefix: &prefix, Name: &name}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, set(tenant, schools.TenantChange{Legal: &bad}), "tenant.legal")
		wantCode(t, set(tenant, schools.TenantChange{TagPrefix: &kdg}), "tenant.tag-prefix")
		wantCode(t, set("nobody", schools.TenantChange{}), "tenant.unknown")
		mine, err := s.room.Tenants(t.Context(), s.db, tenant)
		if err != nil || len(mine) != 1 || mine[0] != (schools.Tenant{ID: tenant, Code: "default", Name: "Musterdorf", Legal: "kdg", TagPrefix: "MU"}) {
			t.Errorf("got %+v, %v", mine, err)
		}
		if all, err := s.room.Tenants(t.Context(), s.db, ""); err != nil || len(all) != 2 || all[1].ID != foreign.TenantID {
			t.Errorf("got %+v, %v", all, err)
		}
		if tag := s.tags(1)[0]; !strings.HasPrefix(tag, "MU-26-000001-") {
			t.Errorf("the tag is %s", tag)
		}
		classes := func(ids ...string) error {
			return s.try(func(ctx context.Context, tx *sqldb.Tx) error {
				return s.room.SetCartClasses(ctx, tx, admin, s.k03.ID, ids)
			})
		}
		for _, ids := range [][]string{{s.class.ID, s.class.ID}, {}, {s.class.ID}} {
			if err := classes(ids...); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, classes(s.class.ID, "nowhere"), "class.unknown")
		got, err := s.room.CartClasses(t.Context(), s.db, s.k03.ID)
		if wantList(t, "classes", got, s.class.ID); err != nil {
			t.Error(err)
		}
	})
}
