package schools

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

type deviceRow struct {
	ID            string     `db:"id"`
	TenantID      string     `db:"tenant_id"`
	Serial        string     `db:"serial"`
	AssetTag      string     `db:"asset_tag"`
	Name          string     `db:"name"`
	Model         string     `db:"model"`
	AssetState    string     `db:"asset_state"`
	StateAt       sqldb.Time `db:"state_at"`
	DeliveryID    string     `db:"delivery_id"`
	SiteID        string     `db:"site_id"`
	PlaceID       string     `db:"room_id"`
	CartID        string     `db:"cart_id"`
	Slot          int        `db:"slot"`
	ClassID       string     `db:"class_id"`
	Capacity      string     `db:"capacity"`
	Color         string     `db:"color"`
	PartNo        string     `db:"part_no"`
	OrderNo       string     `db:"order_no"`
	DeliveryNote  string     `db:"delivery_note"`
	Box           string     `db:"box"`
	BoughtOn      string     `db:"bought_on"`
	PriceCents    *int64     `db:"price_cents"`
	Funding       string     `db:"funding"`
	BindingUntil  string     `db:"binding_until"`
	WarrantyUntil string     `db:"warranty_until"`
	LoanType      string     `db:"loan_type"`
	Pseudonym     string     `db:"pseudonym"`
	Note          string     `db:"note"`
	ReplacedBy    string     `db:"replaced_by"`
	CreatedAt     sqldb.Time `db:"created_at"`
}

func (r deviceRow) device() Device {
	return Device{
		ID: r.ID, TenantID: r.TenantID, Serial: r.Serial, AssetTag: r.AssetTag, Name: r.Name, Model: r.Model,
		AssetState: AssetState(r.AssetState), StateAt: r.StateAt.Time, DeliveryID: r.DeliveryID,
		Position: Position{SiteID: r.SiteID, PlaceID: r.PlaceID, CartID: r.CartID, Slot: r.Slot, ClassID: r.ClassID},
		Capacity: r.Capacity, Color: r.Color, PartNo: r.PartNo, OrderNo: r.OrderNo, DeliveryNote: r.DeliveryNote, Box: r.Box,
		BoughtOn: r.BoughtOn, PriceCents: r.PriceCents, Funding: r.Funding, BindingUntil: r.BindingUntil,
		WarrantyUntil: r.WarrantyUntil, LoanType: r.LoanType, Pseudonym: r.Pseudonym, Note: r.Note,
		ReplacedBy: r.ReplacedBy, CreatedAt: r.CreatedAt.Time,
	}
}

const deviceColumns = `d.id, d.tenant_id, d.serial, COALESCE(d.asset_tag, '') AS asset_tag, d.name, d.model, d.asset_state, d.state_at,
	COALESCE(d.delivery_id, '') AS delivery_id, COALESCE(d.site_id, '') AS site_id, COALESCE(d.room_id, '') AS room_id,
	COALESCE(d.cart_id, '') AS cart_id, COALESCE(d.slot, 0) AS slot, COALESCE(d.class_id, '') AS class_id,
	d.capacity, d.color, d.part_no, d.order_no, d.delivery_note, d.box, d.bought_on, d.price_cents, d.funding, d.binding_until,
	d.warranty_until, d.loan_type, d.pseudonym, d.note, COALESCE(d.replaced_by, '') AS replaced_by, d.created_at`

func insertDevice(ctx context.Context, tx *sqldb.Tx, id, tenantID, serial, model string, state AssetState, now time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO devices (id, tenant_id, serial, name, model, asset_state, state_at, created_at, updated_at) VALUES (?, ?, ?, '', ?, ?, ?, ?, ?)
		ON CONFLICT (serial) DO NOTHING`, id, tenantID, serial, model, string(state), sqldb.At(now), sqldb.At(now), sqldb.At(now))
	if err != nil {
		return false, fmt.Errorf("add device: %w", err)
	}
	return n == 1, nil
}

func setState(ctx context.Context, tx *sqldb.Tx, id string, state AssetState, replacedBy string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE devices SET asset_state = ?, state_at = ?, replaced_by = COALESCE(NULLIF(?, ''), replaced_by), updated_at = ? WHERE id = ?`,
		string(state), sqldb.At(now), replacedBy, sqldb.At(now), id)
	if err != nil {
		return fmt.Errorf("write the state of a device: %w", err)
	}
	return nil
}

// setPosition writes where a device is and what it is called there.
func setPosition(ctx context.Context, tx *sqldb.Tx, id string, p Position, name string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE devices SET site_id = NULLIF(?, ''), room_id = NULLIF(?, ''), cart_id = NULLIF(?, ''), slot = NULLIF(CAST(? AS BIGINT), 0),
			class_id = NULLIF(?, ''), name = ?, updated_at = ? WHERE id = ?`,
		p.SiteID, p.PlaceID, p.CartID, p.Slot, p.ClassID, name, sqldb.At(now), id)
	if err != nil {
		return fmt.Errorf("write the position of a device: %w", err)
	}
	return nil
}

func setTag(ctx context.Context, tx *sqldb.Tx, id, tag string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE devices SET asset_tag = NULLIF(?, ''), updated_at = ? WHERE id = ?`, tag, sqldb.At(now), id)
	if err != nil {
		return fmt.Errorf("write the asset tag of a device: %w", err)
	}
	return nil
}

// inSlot gives the device in a slot.
func inSlot(ctx context.Context, q sqldb.Queryer, cartID string, slot int) (Device, bool, error) {
	var rows []deviceRow
	if err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.cart_id = ? AND d.slot = ?`, cartID, slot); err != nil {
		return Device{}, false, fmt.Errorf("look into a slot: %w", err)
	}
	if len(rows) == 0 {
		return Device{}, false, nil
	}
	return rows[0].device(), true, nil
}

// byTag gives the device, of any tenant, that bears a tag.
func byTag(ctx context.Context, q sqldb.Queryer, tag string) (Device, bool, error) {
	var rows []deviceRow
	if err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.asset_tag = ?`, tag); err != nil {
		return Device{}, false, fmt.Errorf("look for an asset tag: %w", err)
	}
	if len(rows) == 0 {
		return Device{}, false, nil
	}
	return rows[0].device(), true, nil
}

// inCart gives the devices of a cart by slot, those without one last.
func inCart(ctx context.Context, q sqldb.Queryer, cartID string) ([]Device, error) {
	var rows []deviceRow
	err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.cart_id = ? ORDER BY COALESCE(d.slot, 1000), d.serial`, cartID)
	if err != nil {
		return nil, fmt.Errorf("list the devices of a cart: %w", err)
	}
	out := make([]Device, len(rows))
	for i, row := range rows {
		out[i] = row.device()
	}
	return out, nil
}
