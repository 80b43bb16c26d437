package schools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// Seen is what a list from outside says of a device. Empty is not said.
type Seen struct{ Serial, Model, Color, OrderNo string }

// EnsureAll is [Room.Ensure] for a list: devices that are not known are made for
// the tenant in the given state, and what is not known yet about the others is
// filled in. It gives the tenant's devices by serial number, whose rows are held
// until the commit, and the serial numbers that belong to other tenants, of
// which nothing is changed. A serial number that can be none is a fault.
func (r *Room) EnsureAll(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID string, state AssetState, list []Seen) (ours map[string]Device, foreign []string, err error) {
	seen := make(map[string]Seen, len(list))
	serials := make([]string, 0, len(list))
	for _, s := range list {
		if s.Serial, err = NormalSerial(s.Serial); err != nil {
			return nil, nil, err
		}
		if _, twice := seen[s.Serial]; !twice {
			serials = append(serials, s.Serial)
		}
		seen[s.Serial] = s
	}
	ours = make(map[string]Device, len(serials))
	for part := range chunks(serials) {
		rows, err := r.ensurePart(ctx, tx, actor, tenantID, state, part, seen)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range rows {
			if d.TenantID == tenantID {
				ours[d.Serial] = d
			} else {
				foreign = append(foreign, d.Serial)
			}
		}
	}
	return ours, foreign, nil
}

func (r *Room) ensurePart(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID string, state AssetState, serials []string, seen map[string]Seen) ([]Device, error) {
	now := r.clock.Now()
	known, err := lockSerials(ctx, tx, serials)
	if err != nil {
		return nil, err
	}
	if missing := len(serials) - len(known); missing > 0 {
		fresh := map[string]bool{} // ids
		have := map[string]bool{}
		for _, d := range known {
			have[d.Serial] = true
		}
		var add []Device
		for _, s := range serials {
			if !have[s] {
				d := Device{ID: sqldb.NewID(), TenantID: tenantID, Serial: s, AssetState: state}
				d.learn(seen[s])
				fresh[d.ID] = true
				add = append(add, d)
			}
		}
		if err := insertDevices(ctx, tx, add, now); err != nil {
			return nil, err
		}
		if known, err = lockSerials(ctx, tx, serials); err != nil {
			return nil, err
		}
		var events []audit.Event
		for _, d := range known {
			if fresh[d.ID] { // not somebody else's, a moment earlier
				events = append(events, audit.Event{Actor: actor, Action: "device.add", Subject: "device:" + d.ID, Detail: map[string]any{"serial": d.Serial}})
			}
		}
		if err := r.audit.AppendMany(ctx, tx, events); err != nil {
			return nil, err
		}
	}
	var news []Device
	for i := range known {
		if d := &known[i]; d.TenantID == tenantID && d.learn(seen[d.Serial]) {
			news = append(news, *d)
		}
	}
	return known, setSeen(ctx, tx, news, now)
}

// learn fills in what is not known yet, and tells whether that was anything.
func (d *Device) learn(s Seen) (news bool) {
	for dst, value := range map[*string]string{&d.Model: s.Model, &d.Color: s.Color, &d.OrderNo: s.OrderNo} {
		if *dst == "" && value != "" {
			*dst, news = value, true
		}
	}
	return news
}

func lockSerials(ctx context.Context, tx *sqldb.Tx, serials []string) ([]Device, error) {
	var rows []deviceRow
	err := tx.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.serial IN (?) ORDER BY d.serial`+tx.ForUpdate(), serials)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	out := make([]Device, len(rows))
	for i, row := range rows {
		out[i] = row.device()
	}
	return out, nil
}

// insertDevices leaves those alone whose serial number somebody else brought in
// this moment.
func insertDevices(ctx context.Context, tx *sqldb.Tx, devices []Device, now time.Time) error {
	for part := range slices.Chunk(devices, maxValues/10) {
		args := make([]any, 0, 10*len(part))
		for _, d := range part {
			args = append(args, d.ID, d.TenantID, d.Serial, d.Model, d.Color, d.OrderNo, string(d.AssetState), sqldb.At(now), sqldb.At(now), sqldb.At(now))
		}
		values := strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?), `, len(part)), `, `)
		_, err := tx.Exec(ctx, `INSERT INTO devices (id, tenant_id, serial, model, color, order_no, asset_state, state_at, created_at, updated_at) VALUES `+values+
			` ON CONFLICT (serial) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("add devices: %w", err)
		}
	}
	return nil
}

func setSeen(ctx context.Context, tx *sqldb.Tx, devices []Device, now time.Time) error {
	for part := range slices.Chunk(devices, maxValues/4) {
		args := []any{sqldb.At(now)}
		for _, d := range part {
			args = append(args, d.ID, d.Model, d.Color, d.OrderNo)
		}
		values := strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?), `, len(part)), `, `)
		// Both databases call the columns of VALUES column1 and so on.
		_, err := tx.Exec(ctx, `UPDATE devices SET model = v.column2, color = v.column3, order_no = v.column4, updated_at = ?
			FROM (VALUES `+values+`) v WHERE devices.id = v.column1`, args...)
		if err != nil {
			return fmt.Errorf("write what a list says of devices: %w", err)
		}
	}
	return nil
}
