package views

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

// Cart is a cart with all that is printed of it.
type Cart struct {
	Name                          string // "SAT-K03"
	Tenant, School, Site, Address string // names
	Place                         string
	Delivery                      string // of its devices; "" if there are several or none
	Classes                       []string
	Devices                       []InCart
	CheckedAt                     time.Time // last pack check; zero: none
	Complete                      bool      // it found all
}

// InCart is a device in a slot.
type InCart struct {
	Slot   int    `db:"slot"`
	Name   string `db:"name"`
	Tag    string `db:"asset_tag"`
	Serial string `db:"serial"`
	Model  string `db:"model"`
}

// Cart reads a cart with its devices by slot. It costs five statements.
func (r *Room) Cart(ctx context.Context, q sqldb.Queryer, id string) (Cart, error) {
	var row struct {
		Code    string `db:"code"`
		Site    string `db:"site_code"`
		Name    string `db:"site_name"`
		Address string `db:"address"`
		School  string `db:"school_name"`
		Tenant  string `db:"tenant_name"`
		Place   string `db:"place"`
	}
	err := q.Get(ctx, &row, `
		SELECT c.code, s.code AS site_code, s.name AS site_name, s.address, x.name AS school_name, t.name AS tenant_name,
			COALESCE(p.name, '') AS place
		FROM carts c JOIN sites s ON s.id = c.site_id JOIN schools x ON x.id = s.school_id JOIN tenants t ON t.id = c.tenant_id
		LEFT JOIN rooms p ON p.id = c.room_id WHERE c.id = ?`, id)
	if err != nil {
		return Cart{}, fmt.Errorf("read a cart: %w", err)
	}
	out := Cart{Name: row.Site + "-" + row.Code, Tenant: row.Tenant, School: row.School, Site: row.Name, Address: row.Address, Place: row.Place}
	err = q.Select(ctx, &out.Classes, `SELECT k.name FROM cart_classes m JOIN classes k ON k.id = m.class_id WHERE m.cart_id = ? ORDER BY k.name`, id)
	if err != nil {
		return Cart{}, fmt.Errorf("read the classes of a cart: %w", err)
	}
	err = q.Select(ctx, &out.Devices, `
		SELECT d.slot, d.name, COALESCE(d.asset_tag, '') AS asset_tag, d.serial, d.model
		FROM devices d WHERE d.cart_id = ? AND d.slot IS NOT NULL ORDER BY d.slot`, id)
	if err != nil {
		return Cart{}, fmt.Errorf("read the devices of a cart: %w", err)
	}
	var deliveries []string
	err = q.Select(ctx, &deliveries, `
		SELECT DISTINCT y.code FROM devices d JOIN deliveries y ON y.id = d.delivery_id WHERE d.cart_id = ? LIMIT 2`, id)
	if err != nil {
		return Cart{}, fmt.Errorf("read the delivery of a cart: %w", err)
	}
	if len(deliveries) == 1 {
		out.Delivery = deliveries[0]
	}
	var checks []struct {
		At       sqldb.Time `db:"at"`
		Complete bool       `db:"complete"`
	}
	if err := q.Select(ctx, &checks, `SELECT k.at, k.complete FROM pack_checks k WHERE k.cart_id = ? ORDER BY k.id DESC LIMIT 1`, id); err != nil {
		return Cart{}, fmt.Errorf("read the pack check of a cart: %w", err)
	}
	for _, c := range checks {
		out.CheckedAt, out.Complete = c.At.Time, c.Complete
	}
	return out, nil
}

// TagsOf gives the asset tags of a delivery's devices, in order.
func (r *Room) TagsOf(ctx context.Context, q sqldb.Queryer, deliveryID string) ([]string, error) {
	var tags []string
	err := q.Select(ctx, &tags, `SELECT d.asset_tag FROM devices d WHERE d.delivery_id = ? AND d.asset_tag IS NOT NULL ORDER BY d.asset_tag`, deliveryID)
	if err != nil {
		return nil, fmt.Errorf("read the asset tags of a delivery: %w", err)
	}
	return tags, nil
}
