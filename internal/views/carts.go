package views

import (
	"context"
	"fmt"

	"ranzen/internal/sqldb"
)

// CartLine is one cart in a list.
type CartLine struct {
	ID      string   `json:"id" db:"id"`
	Tenant  string   `json:"tenant" db:"tenant"`
	Site    string   `json:"site" db:"site" doc:"Its site's code"`
	Room    string   `json:"room" db:"room" doc:"Where it stands"`
	Code    string   `json:"code" db:"code" example:"K03"`
	Name    string   `json:"name" db:"name" example:"SAT-K03" doc:"How it is called in scopes, filters and device names"`
	Label   string   `json:"label" db:"label"`
	Slots   int      `json:"slots" db:"slots"`
	Devices int64    `json:"devices" db:"devices" doc:"How many belong in it"`
	Classes []string `json:"classes" doc:"Which use it: SCHOOL/3b/2026/27"`
}

const cartsSQL = `
	SELECT c.id, t.code AS tenant, s.code AS site, COALESCE(r.name, '') AS room, c.code, s.code || '-' || c.code AS name, c.label, c.slots,
		(SELECT COUNT(*) FROM devices d WHERE d.cart_id = c.id) AS devices
	FROM carts c JOIN sites s ON s.id = c.site_id JOIN tenants t ON t.id = c.tenant_id LEFT JOIN rooms r ON r.id = c.room_id
	WHERE CAST(? AS TEXT) = '' OR c.tenant_id = ? ORDER BY t.code, s.code, c.code`

// Carts lists the carts of a tenant, or all for "". It costs two statements.
func (r *Room) Carts(ctx context.Context, q sqldb.Queryer, tenantID string) ([]CartLine, error) {
	var carts []CartLine
	if err := q.Select(ctx, &carts, cartsSQL, tenantID, tenantID); err != nil {
		return nil, fmt.Errorf("list carts: %w", err)
	}
	var uses []struct {
		CartID string `db:"cart_id"`
		Class  string `db:"class"`
	}
	err := q.Select(ctx, &uses, `SELECT m.cart_id, x.code || '/' || k.name || '/' || k.school_year AS class
		FROM cart_classes m JOIN classes k ON k.id = m.class_id JOIN schools x ON x.id = k.school_id
		WHERE CAST(? AS TEXT) = '' OR k.tenant_id = ? ORDER BY class`, tenantID, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list the classes of carts: %w", err)
	}
	of := map[string][]string{}
	for _, u := range uses {
		of[u.CartID] = append(of[u.CartID], u.Class)
	}
	for i := range carts {
		if carts[i].Classes = of[carts[i].ID]; carts[i].Classes == nil {
			carts[i].Classes = []string{}
		}
	}
	return carts, nil
}
