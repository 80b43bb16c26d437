package schools

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Scope is a set of devices that wishes are about: Kind "tenant", "school",
// "site", "class", "cart", "group" or "device", and whose id.
type Scope struct{ Kind, ID string }

// Called is what people know a scope by.
type Called struct {
	TenantID string // whose it is; "": the provider's group
	Name     string // as the scope is written: a code, name or serial number
}

// Compare orders scopes by kind and id.
func (s Scope) Compare(o Scope) int {
	return cmp.Or(cmp.Compare(s.Kind, o.Kind), cmp.Compare(s.ID, o.ID))
}

// Called gives names and owners of scopes, one statement per kind and 500. What
// is no more is missing from it.
func (r *Room) Called(ctx context.Context, q sqldb.Queryer, scopes []Scope) (map[Scope]Called, error) {
	texts := map[string]string{
		"tenant": `SELECT t.id, t.id AS tenant_id, t.code AS name FROM tenants t WHERE t.id IN (?)`,
		"school": `SELECT s.id, s.tenant_id, s.code AS name FROM schools s WHERE s.id IN (?)`,
		"site":   `SELECT s.id, s.tenant_id, s.code AS name FROM sites s WHERE s.id IN (?)`,
		"class": `SELECT k.id, k.tenant_id, s.code || '/' || k.name || '/' || k.school_year AS name
			FROM classes k JOIN schools s ON s.id = k.school_id WHERE k.id IN (?)`,
		"cart":   `SELECT c.id, c.tenant_id, s.code || '-' || c.code AS name FROM carts c JOIN sites s ON s.id = c.site_id WHERE c.id IN (?)`,
		"group":  `SELECT g.id, g.tenant_id, g.name FROM device_groups g WHERE g.id IN (?)`,
		"device": `SELECT d.id, d.tenant_id, d.serial AS name FROM devices d WHERE d.id IN (?)`,
		// No scope of wishes for profiles and apps, but of those for enrollment profiles.
		"delivery": `SELECT x.id, x.tenant_id, x.code AS name FROM deliveries x WHERE x.id IN (?)`,
	}
	ids := map[string][]string{}
	for _, s := range scopes {
		ids[s.Kind] = append(ids[s.Kind], s.ID)
	}
	out := make(map[Scope]Called, len(scopes))
	for kind, text := range texts {
		for part := range chunks(ids[kind]) {
			var rows []struct {
				ID       string `db:"id"`
				TenantID string `db:"tenant_id"`
				Name     string `db:"name"`
			}
			if err := q.Select(ctx, &rows, text, part); err != nil {
				return nil, fmt.Errorf("read the names of scopes: %w", err)
			}
			for _, row := range rows {
				out[Scope{kind, row.ID}] = Called{row.TenantID, row.Name}
			}
		}
	}
	return out, nil
}

// leg is one way by which a device d belongs to scopes of a kind.
type leg struct{ kind, column, join string }

// legs are all of them. Both directions are made of this one list: who is in a
// scope, and in which scopes somebody is. A cart lends its site, and the classes
// that use it, to the devices in it; a school has the devices of its sites and
// of its classes.
func legs() []leg {
	const (
		cart    = ` JOIN carts c ON c.id = d.cart_id`
		classes = ` JOIN cart_classes k ON k.cart_id = d.cart_id`
	)
	return []leg{
		{"tenant", "d.tenant_id", ""},
		{"site", "d.site_id", ""},
		{"site", "c.site_id", cart},
		{"class", "d.class_id", ""},
		{"class", "k.class_id", classes},
		{"school", "s.school_id", ` JOIN sites s ON s.id = d.site_id`},
		{"school", "s.school_id", cart + ` JOIN sites s ON s.id = c.site_id`},
		{"school", "l.school_id", ` JOIN classes l ON l.id = d.class_id`},
		{"school", "l.school_id", classes + ` JOIN classes l ON l.id = k.class_id`},
		{"cart", "d.cart_id", ""},
		{"group", "m.group_id", ` JOIN device_group_members m ON m.device_id = d.id`},
		{"device", "d.id", ""},
	}
}

// DevicesInScope gives the ids of the devices in a scope, sorted. What there is
// not has none in it, but for a group: that one is a fault.
func (r *Room) DevicesInScope(ctx context.Context, q sqldb.Queryer, kind, id string) ([]string, error) {
	if kind == "group" {
		return r.DevicesIn(ctx, q, id)
	}
	var parts []string
	var args []any
	if kind == "all" {
		parts = append(parts, `SELECT d.id AS device_id FROM devices d`)
	}
	for _, l := range legs() {
		if l.kind == kind {
			parts = append(parts, `SELECT d.id AS device_id FROM devices d`+l.join+` WHERE `+l.column+` = ?`)
			args = append(args, id)
		}
	}
	if len(parts) == 0 {
		return nil, fault.New(fault.Invalid, "scope.unknown",
			"%q is no scope; say all, tenant, school, site, class, cart, group or device.", kind)
	}
	var ids []string
	if err := q.Select(ctx, &ids, strings.Join(parts, ` UNION `)+` ORDER BY device_id`, args...); err != nil {
		return nil, fmt.Errorf("list the devices of a %s: %w", kind, err)
	}
	return ids, nil
}

// ScopesOf gives the scopes that each device is in, the one of itself among
// them. Unknown devices are missing from it. It costs one statement per 500.
func (r *Room) ScopesOf(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string][]Scope, error) {
	var parts []string
	for _, l := range legs() {
		parts = append(parts, `SELECT d.id AS device_id, '`+l.kind+`' AS kind, `+l.column+` AS id FROM d`+l.join+` WHERE `+l.column+` IS NOT NULL`)
	}
	text := `WITH d AS (SELECT v.id, v.tenant_id, v.site_id, v.cart_id, v.class_id FROM devices v WHERE v.id IN (?)) ` +
		strings.Join(parts, ` UNION ALL `)
	out := make(map[string][]Scope, len(deviceIDs))
	for part := range chunks(deviceIDs) {
		var rows []struct {
			DeviceID string `db:"device_id"`
			Kind     string `db:"kind"`
			ID       string `db:"id"`
		}
		if err := q.Select(ctx, &rows, text, part); err != nil {
			return nil, fmt.Errorf("list the scopes of devices: %w", err)
		}
		for _, row := range rows {
			out[row.DeviceID] = append(out[row.DeviceID], Scope{row.Kind, row.ID})
		}
	}
	for id, scopes := range out { // a few each; a database sorts all of them together
		slices.SortFunc(scopes, Scope.Compare)
		out[id] = slices.Compact(scopes)
	}
	return out, nil
}

// TenantOf is the tenant among the scopes of a device, "" for none.
func TenantOf(scopes []Scope) string {
	i := slices.IndexFunc(scopes, func(s Scope) bool { return s.Kind == "tenant" })
	if i < 0 {
		return ""
	}
	return scopes[i].ID
}
