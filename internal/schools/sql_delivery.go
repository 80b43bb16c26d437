package schools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

type deliveryRow struct {
	ID           string     `db:"id"`
	TenantID     string     `db:"tenant_id"`
	Code         string     `db:"code"`
	Expected     int        `db:"expected"`
	State        string     `db:"state"`
	SiteID       string     `db:"site_id"`
	OrderNo      string     `db:"order_no"`
	Supplier     string     `db:"supplier"`
	Funding      string     `db:"funding"`
	BindingUntil string     `db:"binding_until"`
	Note         string     `db:"note"`
	CreatedAt    sqldb.Time `db:"created_at"`
}

func (r deliveryRow) value() Delivery {
	return Delivery{r.ID, r.TenantID, r.Code, r.Expected, r.State, r.SiteID, r.OrderNo, r.Supplier, r.Funding, r.BindingUntil, r.Note, r.CreatedAt.Time}
}

const selectDelivery = `SELECT x.id, x.tenant_id, x.code, x.expected, x.state, COALESCE(x.site_id, '') AS site_id, x.order_no, x.supplier,
	x.funding, x.binding_until, x.note, x.created_at FROM deliveries x WHERE (? = '' OR x.tenant_id = ?)`

func lockDelivery(ctx context.Context, tx *sqldb.Tx, id string) (Delivery, error) {
	all, err := list[Delivery, deliveryRow](ctx, tx, "deliveries", selectDelivery, "", ` AND x.id = ?`+tx.ForUpdate(), id)
	return only(all, err, unknownDelivery(id), ambiguousDelivery(id))
}

func insertDelivery(ctx context.Context, tx *sqldb.Tx, x Delivery) error {
	return add(ctx, tx, "delivery", deliveryExists(x.Code), `
		INSERT INTO deliveries (id, tenant_id, code, expected, state, site_id, order_no, supplier, funding, binding_until, note, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, NULLIF(?, ''), ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, code) DO NOTHING`,
		x.ID, x.TenantID, x.Code, x.Expected, x.State, x.SiteID, x.OrderNo, x.Supplier, x.Funding, x.BindingUntil, x.Note,
		sqldb.At(x.CreatedAt), sqldb.At(x.CreatedAt))
}

func updateDelivery(ctx context.Context, tx *sqldb.Tx, x Delivery, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE deliveries SET expected = ?, state = ?, site_id = NULLIF(?, ''), order_no = ?, supplier = ?, funding = ?,
		binding_until = ?, note = ?, updated_at = ? WHERE id = ?`,
		x.Expected, x.State, x.SiteID, x.OrderNo, x.Supplier, x.Funding, x.BindingUntil, x.Note, sqldb.At(now), x.ID)
	if err != nil {
		return fmt.Errorf("change delivery: %w", err)
	}
	return nil
}

// listSerials keeps at most maxValues serial numbers as named by the reseller.
func listSerials(ctx context.Context, tx *sqldb.Tx, x Delivery, serials []string, now time.Time) error {
	for part := range slices.Chunk(serials, maxValues/3) {
		values := strings.TrimSuffix(strings.Repeat(`(?, ?, ?), `, len(part)), `, `)
		args := make([]any, 0, 3*len(part))
		for _, s := range part {
			args = append(args, x.ID, s, sqldb.At(now))
		}
		_, err := tx.Exec(ctx, `INSERT INTO delivery_serials (delivery_id, serial, listed_at) VALUES `+values+`
			ON CONFLICT (delivery_id, serial) DO UPDATE SET listed_at = COALESCE(delivery_serials.listed_at, excluded.listed_at)`, args...)
		if err != nil {
			return fmt.Errorf("list serial numbers: %w", err)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE devices SET delivery_id = ?, updated_at = ? WHERE tenant_id = ? AND delivery_id IS NULL AND serial IN (?)`,
		x.ID, sqldb.At(now), x.TenantID, serials)
	if err != nil {
		return fmt.Errorf("write the delivery of devices: %w", err)
	}
	return nil
}
