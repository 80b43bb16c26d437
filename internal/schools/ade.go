package schools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// bulkRows is how many rows one INSERT carries.
const bulkRows = 100

// EnsureOrdered makes a device of each serial number that is none yet: one that
// Apple knows and nobody has seen. What is there already stays as it is, whoever's
// it is. Serial numbers that could be none are left out. It costs a few
// statements for each hundred.
func (r *Room) EnsureOrdered(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID string, serials []string) error {
	var all []string
	for _, s := range serials {
		if normal, err := NormalSerial(s); err == nil {
			all = append(all, normal)
		}
	}
	known := map[string]bool{}
	for part := range chunks(all) {
		var have []string
		if err := tx.Select(ctx, &have, `SELECT d.serial FROM devices d WHERE d.serial IN (?)`, part); err != nil {
			return fmt.Errorf("look for devices: %w", err)
		}
		for _, s := range have {
			known[s] = true
		}
	}
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	all = slices.DeleteFunc(all, func(s string) bool { return known[s] })
	now := sqldb.At(r.clock.Now())
	for part := range slices.Chunk(all, bulkRows) {
		ids := make([]string, len(part))
		var args []any
		for i, serial := range part {
			ids[i] = sqldb.NewID()
			args = append(args, ids[i], tenantID, serial, string(Ordered), now, now, now)
		}
		_, err := tx.Exec(ctx, `INSERT INTO devices (id, tenant_id, serial, asset_state, state_at, created_at, updated_at) VALUES `+
			strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?, ?), `, len(part)), ", ")+` ON CONFLICT (serial) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("add devices: %w", err)
		}
		if err := r.toldOf(ctx, tx, actor, ids); err != nil {
			return err
		}
	}
	return nil
}

// toldOf writes of those ids that another request was not first with.
func (r *Room) toldOf(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, ids []string) error {
	var made []struct {
		ID     string `db:"id"`
		Serial string `db:"serial"`
	}
	if err := tx.Select(ctx, &made, `SELECT d.id, d.serial FROM devices d WHERE d.id IN (?) ORDER BY d.serial`, ids); err != nil {
		return fmt.Errorf("read the devices that were added: %w", err)
	}
	events := make([]audit.Event, len(made))
	for i, m := range made {
		events[i] = audit.Event{Actor: actor, Action: "device.add", Subject: "device:" + m.ID, Detail: map[string]any{"serial": m.Serial}}
	}
	return r.audit.AppendMany(ctx, tx, events)
}
