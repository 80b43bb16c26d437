package views_test

import (
	"testing"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/internal/views"
)

func TestADeviceIsFoundByItsTagHoweverItIsTyped(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, clk := t.Context(), clock.At(time.Date(2026, 9, 7, 7, 45, 0, 0, time.UTC))
		room := schools.New(clk, audit.New(db, clk))
		var tag string
		var d schools.Device
		err := db.Do(ctx, func(tx *sqldb.Tx) error {
			tenant, err := room.TenantFor(ctx, tx, "", "")
			if err != nil {
				return err
			}
			tags, err := room.NextTags(ctx, tx, audit.System, tenant, 1)
			if err != nil {
				return err
			}
			tag = tags[0]
			if d, err = room.Ensure(ctx, tx, audit.System, tenant.ID, "DMQX0000A1", ""); err != nil {
				return err
			}
			return room.SetTag(ctx, tx, audit.System, d.ID, tag)
		})
		if err != nil {
			t.Fatal(err)
		}
		v := views.New(db, clk)
		for _, ref := range []string{tag, "rv-26-000001", "RV-26-000001", "dmqx0000a1", d.ID} {
			if id, err := v.Resolve(ctx, db, sqldbtest.Tenant, ref); id != d.ID || err != nil {
				t.Errorf("%q: got %q, %v", ref, id, err)
			}
			if _, err := v.Resolve(ctx, db, "another", ref); fault.CodeOf(err) != "device.unknown" {
				t.Errorf("%q of another tenant: %v", ref, err)
			}
		}
		if _, err := v.Resolve(ctx, db, "", "RV-26-000002"); fault.CodeOf(err) != "device.unknown" {
			t.Errorf("got %v", err)
		}
	})
}
