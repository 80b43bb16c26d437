package schools

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

type schoolRow struct {
	ID       string `db:"id"`
	TenantID string `db:"tenant_id"`
	Code     string `db:"code"`
	Name     string `db:"name"`
}

func (r schoolRow) value() School { return School(r) }

type siteRow struct {
	ID       string `db:"id"`
	TenantID string `db:"tenant_id"`
	SchoolID string `db:"school_id"`
	Code     string `db:"code"`
	Name     string `db:"name"`
	Address  string `db:"address"`
}

func (r siteRow) value() Site { return Site(r) }

type placeRow struct {
	ID       string `db:"id"`
	TenantID string `db:"tenant_id"`
	SiteID   string `db:"site_id"`
	Name     string `db:"name"`
}

func (r placeRow) value() Place { return Place(r) }

type cartRow struct {
	ID       string `db:"id"`
	TenantID string `db:"tenant_id"`
	SiteID   string `db:"site_id"`
	PlaceID  string `db:"room_id"`
	Code     string `db:"code"`
	Label    string `db:"label"`
	Slots    int    `db:"slots"`
}

func (r cartRow) value() Cart { return Cart(r) }

type classRow struct {
	ID       string `db:"id"`
	TenantID string `db:"tenant_id"`
	SchoolID string `db:"school_id"`
	Name     string `db:"name"`
	Year     string `db:"school_year"`
}

func (r classRow) value() Class { return Class(r) }

const (
	selectSchool = `SELECT x.id, x.tenant_id, x.code, x.name FROM schools x WHERE (? = '' OR x.tenant_id = ?)`
	selectSite   = `SELECT x.id, x.tenant_id, x.school_id, x.code, x.name, x.address FROM sites x WHERE (? = '' OR x.tenant_id = ?)`
	selectPlace  = `SELECT x.id, x.tenant_id, x.site_id, x.name FROM rooms x WHERE (? = '' OR x.tenant_id = ?)`
	selectCart   = `SELECT x.id, x.tenant_id, x.site_id, COALESCE(x.room_id, '') AS room_id, x.code, x.label, x.slots
		FROM carts x WHERE (? = '' OR x.tenant_id = ?)`
	selectClass = `SELECT x.id, x.tenant_id, x.school_id, x.name, x.school_year FROM classes x WHERE (? = '' OR x.tenant_id = ?)`
)

// list reads rows of a tenant, "" for all, with what follows on the WHERE.
func list[V any, R interface{ value() V }](ctx context.Context, q sqldb.Queryer, what, query, tenantID, rest string, args ...any) ([]V, error) {
	var rows []R
	if err := q.Select(ctx, &rows, query+rest, append([]any{tenantID, tenantID}, args...)...); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	out := make([]V, len(rows))
	for i, row := range rows {
		out[i] = row.value()
	}
	return out, nil
}

// only gives the one of a list.
func only[V any](all []V, err error, none, several *fault.Fault) (V, error) {
	var zero V
	switch {
	case err != nil:
		return zero, err
	case len(all) == 0:
		return zero, none
	case len(all) > 1:
		return zero, several
	}
	return all[0], nil
}

func schoolByID(ctx context.Context, q sqldb.Queryer, tenantID, id string) (School, error) {
	all, err := list[School, schoolRow](ctx, q, "schools", selectSchool, tenantID, ` AND x.id = ?`, id)
	return only(all, err, unknownSchool(id), ambiguousSchool(id))
}

func siteByID(ctx context.Context, q sqldb.Queryer, tenantID, id string) (Site, error) {
	all, err := list[Site, siteRow](ctx, q, "sites", selectSite, tenantID, ` AND x.id = ?`, id)
	return only(all, err, unknownSite(id), ambiguousSite(id))
}

func placeByID(ctx context.Context, q sqldb.Queryer, tenantID, id string) (Place, error) {
	all, err := list[Place, placeRow](ctx, q, "rooms", selectPlace, tenantID, ` AND x.id = ?`, id)
	return only(all, err, unknownPlace(id), unknownPlace(id))
}

func cartByID(ctx context.Context, q sqldb.Queryer, tenantID, id string) (Cart, error) {
	all, err := list[Cart, cartRow](ctx, q, "carts", selectCart, tenantID, ` AND x.id = ?`, id)
	return only(all, err, unknownCart(id), ambiguousCart(id))
}

// lockCart holds a cart until the commit: who puts something into it goes one
// after the other.
func lockCart(ctx context.Context, tx *sqldb.Tx, tenantID, id string) (Cart, error) {
	all, err := list[Cart, cartRow](ctx, tx, "carts", selectCart, tenantID, ` AND x.id = ?`+tx.ForUpdate(), id)
	return only(all, err, unknownCart(id), ambiguousCart(id))
}

func classByID(ctx context.Context, q sqldb.Queryer, tenantID, id string) (Class, error) {
	all, err := list[Class, classRow](ctx, q, "classes", selectClass, tenantID, ` AND x.id = ?`, id)
	return only(all, err, unknownClass(id), ambiguousClass(id))
}

// add runs an INSERT that does nothing when the code or name is taken.
func add(ctx context.Context, tx *sqldb.Tx, what string, taken *fault.Fault, query string, args ...any) error {
	n, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("add %s: %w", what, err)
	}
	if n == 0 {
		return taken
	}
	return nil
}

func insertSchool(ctx context.Context, tx *sqldb.Tx, x School, now time.Time) error {
	return add(ctx, tx, "school", schoolExists(x.Code), `INSERT INTO schools (id, tenant_id, code, name, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, code) DO NOTHING`,
		x.ID, x.TenantID, x.Code, x.Name, sqldb.At(now), sqldb.At(now))
}

func insertSite(ctx context.Context, tx *sqldb.Tx, x Site, now time.Time) error {
	return add(ctx, tx, "site", siteExists(x.Code), `INSERT INTO sites (id, tenant_id, school_id, code, name, address, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, code) DO NOTHING`,
		x.ID, x.TenantID, x.SchoolID, x.Code, x.Name, x.Address, sqldb.At(now), sqldb.At(now))
}

func insertPlace(ctx context.Context, tx *sqldb.Tx, x Place, now time.Time) error {
	return add(ctx, tx, "room", placeExists(x.Name), `INSERT INTO rooms (id, tenant_id, site_id, name, created_at)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT (site_id, name) DO NOTHING`,
		x.ID, x.TenantID, x.SiteID, x.Name, sqldb.At(now))
}

func insertCart(ctx context.Context, tx *sqldb.Tx, x Cart, now time.Time) error {
	return add(ctx, tx, "cart", cartExists(x.Code), `INSERT INTO carts (id, tenant_id, site_id, room_id, code, label, slots, created_at, updated_at)
		VALUES (?, ?, ?, NULLIF(?, ''), ?, ?, ?, ?, ?) ON CONFLICT (site_id, code) DO NOTHING`,
		x.ID, x.TenantID, x.SiteID, x.PlaceID, x.Code, x.Label, x.Slots, sqldb.At(now), sqldb.At(now))
}

func updateCart(ctx context.Context, tx *sqldb.Tx, x Cart, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE carts SET room_id = NULLIF(?, ''), label = ?, slots = ?, updated_at = ? WHERE id = ?`,
		x.PlaceID, x.Label, x.Slots, sqldb.At(now), x.ID)
	if err != nil {
		return fmt.Errorf("change cart: %w", err)
	}
	return nil
}

func insertClass(ctx context.Context, tx *sqldb.Tx, x Class, now time.Time) error {
	return add(ctx, tx, "class", classExists(x.Name, x.Year), `INSERT INTO classes (id, tenant_id, school_id, name, school_year, created_at)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (school_id, school_year, name) DO NOTHING`,
		x.ID, x.TenantID, x.SchoolID, x.Name, x.Year, sqldb.At(now))
}

func replaceCartClasses(ctx context.Context, tx *sqldb.Tx, cartID string, classIDs []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM cart_classes WHERE cart_id = ?`, cartID); err != nil {
		return fmt.Errorf("empty the classes of a cart: %w", err)
	}
	for part := range chunks(classIDs) {
		_, err := tx.Exec(ctx, `INSERT INTO cart_classes (cart_id, class_id) SELECT CAST(? AS TEXT), l.id FROM classes l WHERE l.id IN (?)`, cartID, part)
		if err != nil {
			return fmt.Errorf("write the classes of a cart: %w", err)
		}
	}
	return nil
}

// classIDsOf gives the classes that use a cart.
func classIDsOf(ctx context.Context, q sqldb.Queryer, cartID string) ([]string, error) {
	var ids []string
	if err := q.Select(ctx, &ids, `SELECT k.class_id FROM cart_classes k WHERE k.cart_id = ? ORDER BY k.class_id`, cartID); err != nil {
		return nil, fmt.Errorf("read the classes of a cart: %w", err)
	}
	return ids, nil
}
