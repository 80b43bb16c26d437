package schools

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// undoStep is what an import did to one device.
type undoStep struct {
	ID            string
	Fresh         bool `json:",omitempty"`
	Before, After Device
}

// write stores what the file says, with few statements for each hundred devices.
func (im *importer) write(ctx context.Context, tx *sqldb.Tx, actor audit.Actor) ([]string, error) {
	now := im.clock.Now()
	var steps []undoStep
	var fresh, changed []Device
	var ids, serials []string
	for _, x := range im.devices {
		serials = append(serials, x.after.Serial)
		if im.spec.DeliveryID != "" && x.after.DeliveryID == "" {
			x.after = im.fromDelivery(x.after)
		}
		if !x.fresh && x.after == x.before {
			continue
		}
		if x.fresh || x.after.AssetState != x.before.AssetState {
			x.after.StateAt = now
		}
		if x.fresh {
			x.after.CreatedAt = now
			fresh = append(fresh, x.after)
		} else {
			changed = append(changed, x.after)
		}
		steps = append(steps, undoStep{x.after.ID, x.fresh, x.before, x.after})
		ids = append(ids, x.after.ID)
	}
	if len(steps) > 0 {
		if err := rewrite(ctx, tx, changed, now); err != nil {
			return nil, err
		}
		if err := insertDevices(ctx, tx, fresh, now); err != nil {
			return nil, err
		}
		if err := im.told(ctx, tx, actor); err != nil {
			return nil, err
		}
		if err := im.keepImport(ctx, tx, actor, steps); err != nil {
			return nil, err
		}
	}
	if im.spec.DeliveryID != "" {
		if err := im.List(ctx, tx, actor, im.spec.DeliveryID, serials); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// fromDelivery gives a device what is known of its delivery.
func (im *importer) fromDelivery(d Device) Device {
	d.DeliveryID = im.delivery.ID
	for field, value := range map[*string]string{&d.OrderNo: im.delivery.OrderNo, &d.Funding: im.delivery.Funding, &d.BindingUntil: im.delivery.BindingUntil} {
		if *field == "" {
			*field = value
		}
	}
	if d.SiteID == "" && d.Position == (Position{ClassID: d.ClassID}) {
		d.SiteID = im.delivery.SiteID
	}
	return d
}

// told writes what happened to each device into its history.
func (im *importer) told(ctx context.Context, tx *sqldb.Tx, actor audit.Actor) error {
	var events []audit.Event
	for _, x := range im.devices {
		changes := im.atlas.differences(x.before, x.after)
		if !x.fresh && len(changes) == 0 {
			continue
		}
		detail := map[string]any{"serial": x.after.Serial}
		for _, c := range changes {
			if c.Field != colNote {
				detail[c.Field] = c.New
			}
		}
		action := "device.import"
		if x.fresh {
			action = "device.add"
		}
		events = append(events, audit.Event{Actor: actor, Action: action, Subject: "device:" + x.after.ID, Detail: detail})
	}
	return im.audit.AppendMany(ctx, tx, events)
}

func (im *importer) keepImport(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, steps []undoStep) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(steps); err != nil {
		return fmt.Errorf("keep what undoes an import: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("keep what undoes an import: %w", err)
	}
	id := sqldb.NewID()
	_, err := tx.Exec(ctx, `INSERT INTO imports (id, tenant_id, by_actor, at, created, changed, unchanged, undo) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id, im.spec.TenantID, string(actor), sqldb.At(im.clock.Now()), im.report.New, im.report.Changed, im.report.Unchanged, b.Bytes())
	if err != nil {
		return fmt.Errorf("keep an import: %w", err)
	}
	im.report.ImportID = id
	return im.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "devices.import", Subject: "import:" + id,
		Detail: map[string]any{"new": im.report.New, "changed": im.report.Changed, "unchanged": im.report.Unchanged}})
}

// UndoImport takes an import back: each device is as it was before, and one that
// the import made is cancelled, for a serial number that was once known stays
// known. If something else has changed one of them since, nothing is taken back.
//
// Faults: import.unknown, import.undone, import.moved-on.
func (r *Room) UndoImport(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, importID string) ([]string, error) {
	var row struct {
		TenantID string     `db:"tenant_id"`
		Undo     []byte     `db:"undo"`
		UndoneAt sqldb.Time `db:"undone_at"`
	}
	err := tx.Get(ctx, &row, `SELECT i.tenant_id, i.undo, i.undone_at FROM imports i WHERE i.id = ?`+tx.ForUpdate(), importID)
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && tenantID != "" && row.TenantID != tenantID {
		return nil, fault.New(fault.NotFound, "import.unknown", "There is no such import.")
	}
	if err != nil {
		return nil, fmt.Errorf("read an import: %w", err)
	}
	if !row.UndoneAt.IsZero() {
		return nil, fault.New(fault.Conflict, "import.undone", "This import is taken back already.")
	}
	steps, err := readUndo(row.Undo)
	if err != nil {
		return nil, err
	}
	now := r.clock.Now()
	back, ids, err := r.backwards(ctx, tx, steps, now)
	if err != nil {
		return nil, err
	}
	if err := rewrite(ctx, tx, back, now); err != nil {
		if sqldb.IsUnique(err) {
			return nil, fault.New(fault.Conflict, "import.moved-on", "A slot or an asset tag that the devices had before is taken by now. Nothing was taken back.").With(err)
		}
		return nil, err
	}
	events := make([]audit.Event, len(ids))
	for i, id := range ids {
		events[i] = audit.Event{Actor: actor, Action: "device.import-undo", Subject: "device:" + id, Detail: map[string]any{"import": importID}}
	}
	if err := r.audit.AppendMany(ctx, tx, events); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE imports SET undone_at = ? WHERE id = ?`, sqldb.At(now), importID); err != nil {
		return nil, fmt.Errorf("undo an import: %w", err)
	}
	return ids, r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "devices.import-undo", Subject: "import:" + importID, Detail: map[string]any{"devices": len(ids)}})
}

func readUndo(b []byte) (steps []undoStep, err error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(z).Decode(&steps)
	}
	if err != nil {
		return nil, fmt.Errorf("read what undoes an import: %w", err)
	}
	return steps, nil
}

// backwards gives the devices as they were before an import.
func (r *Room) backwards(ctx context.Context, tx *sqldb.Tx, steps []undoStep, now time.Time) (back []Device, ids []string, err error) {
	serials := make([]string, len(steps))
	for i, s := range steps {
		serials[i] = s.After.Serial
	}
	current, err := knownSerials(ctx, tx, serials, tx.ForUpdate())
	if err != nil {
		return nil, nil, err
	}
	for _, s := range steps {
		d, there := current[s.After.Serial]
		if !there || !sameThing(d, s.After) {
			return nil, nil, fault.New(fault.Conflict, "import.moved-on", "%s was changed since. Nothing was taken back; correct it with another file.", s.After.label())
		}
		was := s.Before
		if s.Fresh {
			was = Device{ID: d.ID, TenantID: d.TenantID, Serial: d.Serial, AssetState: Cancelled, StateAt: now, CreatedAt: d.CreatedAt}
		}
		back, ids = append(back, was), append(ids, d.ID)
	}
	return back, ids, nil
}

// sameThing compares two states of a device in all that an import may write. Times
// lose what the database does not keep.
func sameThing(a, b Device) bool {
	a.StateAt, b.StateAt, a.CreatedAt, b.CreatedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if (a.PriceCents == nil) != (b.PriceCents == nil) || a.PriceCents != nil && *a.PriceCents != *b.PriceCents {
		return false
	}
	a.PriceCents, b.PriceCents = nil, nil
	return a == b
}

// knownSerials gives the devices, of any tenant, with these serial numbers.
func knownSerials(ctx context.Context, q sqldb.Queryer, serials []string, lock string) (map[string]Device, error) {
	out := make(map[string]Device, len(serials))
	for part := range chunks(serials) {
		var rows []deviceRow
		if err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.serial IN (?) ORDER BY d.serial`+lock, part); err != nil {
			return nil, fmt.Errorf("read devices: %w", err)
		}
		for _, row := range rows {
			out[row.Serial] = row.device()
		}
	}
	return out, nil
}

// holdersOf gives the devices that bear one of these tags or are in one of these
// carts.
func holdersOf(ctx context.Context, q sqldb.Queryer, tags, carts []string) (out []Device, err error) {
	for column, values := range map[string][]string{"asset_tag": tags, "cart_id": carts} {
		for part := range chunks(values) {
			var rows []deviceRow
			if err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.`+column+` IN (?)`, part); err != nil {
				return nil, fmt.Errorf("look for tags and slots: %w", err)
			}
			for _, row := range rows {
				out = append(out, row.device())
			}
		}
	}
	return out, nil
}

// insertDevices adds whole devices.
func insertDevices(ctx context.Context, tx *sqldb.Tx, all []Device, now time.Time) error {
	const group = `(?, ?, ?, NULLIF(?, ''), ?, ?, ?, ?, NULLIF(?, ''), NULLIF(?, ''), NULLIF(?, ''), NULLIF(?, ''), NULLIF(CAST(? AS BIGINT), 0), NULLIF(?, ''), ?, ?, ?, ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, ?, ?, ?, ?, ?, ?)`
	for part := range slices.Chunk(all, 15) { // 30 values each
		var args []any
		for _, d := range part {
			args = append(args, d.ID, d.TenantID, d.Serial, d.AssetTag, d.Name, d.Model, string(d.AssetState), sqldb.At(d.StateAt), d.DeliveryID,
				d.SiteID, d.PlaceID, d.CartID, d.Slot, d.ClassID, d.Capacity, d.Color, d.PartNo, d.OrderNo, d.DeliveryNote, d.Box, d.BoughtOn,
				d.PriceCents, d.Funding, d.BindingUntil, d.WarrantyUntil, d.LoanType, d.Pseudonym, d.Note, sqldb.At(now), sqldb.At(now))
		}
		_, err := tx.Exec(ctx, `INSERT INTO devices (id, tenant_id, serial, asset_tag, name, model, asset_state, state_at, delivery_id,
			site_id, room_id, cart_id, slot, class_id, capacity, color, part_no, order_no, delivery_note, box, bought_on,
			price_cents, funding, binding_until, warranty_until, loan_type, pseudonym, note, created_at, updated_at) VALUES `+
			strings.TrimSuffix(strings.Repeat(group+", ", len(part)), ", "), args...)
		if err != nil {
			return fmt.Errorf("add devices: %w", err)
		}
	}
	return nil
}

// rewrite stores devices that are known, all of what an import may change. Tags
// and slots are given up first, so that devices can swap them.
func rewrite(ctx context.Context, tx *sqldb.Tx, all []Device, now time.Time) error {
	ids := make([]string, len(all))
	for i, d := range all {
		ids[i] = d.ID
	}
	for part := range chunks(ids) {
		if _, err := tx.Exec(ctx, `UPDATE devices SET asset_tag = NULL, slot = NULL WHERE id IN (?)`, part); err != nil {
			return fmt.Errorf("write devices: %w", err)
		}
	}
	const group = `(?, ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, ?, ?, ?, ?)`
	for part := range slices.Chunk(all, 19) { // 26 values each
		var args []any
		for _, d := range part {
			args = append(args, d.ID, d.AssetTag, d.Name, d.Model, string(d.AssetState), sqldb.At(d.StateAt), d.DeliveryID, d.SiteID, d.PlaceID, d.CartID,
				d.Slot, d.ClassID, d.Capacity, d.Color, d.PartNo, d.OrderNo, d.DeliveryNote, d.Box, d.BoughtOn, d.PriceCents, d.Funding, d.BindingUntil,
				d.WarrantyUntil, d.LoanType, d.Pseudonym, d.Note)
		}
		_, err := tx.Exec(ctx, `
			WITH n (id, tag, name, model, state, state_at, delivery, site, room, cart, slot, class, capacity, color, part, ordered, dnote, box, bought, price,
				funding, binding, warranty, loan, pseudonym, note) AS (VALUES `+strings.TrimSuffix(strings.Repeat(group+", ", len(part)), ", ")+`)
			UPDATE devices SET asset_tag = NULLIF(n.tag, ''), name = n.name, model = n.model, asset_state = n.state, state_at = n.state_at,
				delivery_id = NULLIF(n.delivery, ''), site_id = NULLIF(n.site, ''), room_id = NULLIF(n.room, ''), cart_id = NULLIF(n.cart, ''),
				slot = NULLIF(n.slot, 0), class_id = NULLIF(n.class, ''), capacity = n.capacity, color = n.color, part_no = n.part, order_no = n.ordered,
				delivery_note = n.dnote, box = n.box, bought_on = n.bought, price_cents = n.price, funding = n.funding, binding_until = n.binding,
				warranty_until = n.warranty, loan_type = n.loan, pseudonym = n.pseudonym, note = n.note, updated_at = CAST(? AS BIGINT)
			FROM n WHERE devices.id = n.id`, append(args, sqldb.At(now))...)
		if err != nil {
			return fmt.Errorf("write devices: %w", err)
		}
	}
	return nil
}
