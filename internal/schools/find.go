package schools

import (
	"context"
	"strings"
	"unicode/utf8"

	"ranzen/internal/sqldb"
)

// Lists of one tenant's world, by code; tenantID "" is all tenants.

// Schools lists schools.
func (r *Room) Schools(ctx context.Context, q sqldb.Queryer, tenantID string) ([]School, error) {
	return list[School, schoolRow](ctx, q, "schools", selectSchool, tenantID, ` ORDER BY x.code, x.id`)
}

// Sites lists sites.
func (r *Room) Sites(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Site, error) {
	return list[Site, siteRow](ctx, q, "sites", selectSite, tenantID, ` ORDER BY x.code, x.id`)
}

// Places lists rooms by site and name.
func (r *Room) Places(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Place, error) {
	return list[Place, placeRow](ctx, q, "rooms", selectPlace, tenantID, ` ORDER BY x.site_id, x.name`)
}

// Carts lists carts by site and code.
func (r *Room) Carts(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Cart, error) {
	return list[Cart, cartRow](ctx, q, "carts", selectCart, tenantID, ` ORDER BY x.site_id, x.code`)
}

// Classes lists classes, the newest school year first.
func (r *Room) Classes(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Class, error) {
	return list[Class, classRow](ctx, q, "classes", selectClass, tenantID, ` ORDER BY x.school_year DESC, x.name, x.school_id`)
}

// CartClasses gives the ids of the classes that use a cart.
func (r *Room) CartClasses(ctx context.Context, q sqldb.Queryer, cartID string) ([]string, error) {
	return classIDsOf(ctx, q, cartID)
}

// askable tells whether a database may be asked for ref.
func askable(ref string) bool {
	return ref != "" && len(ref) <= 255 && utf8.ValidString(ref) && !strings.ContainsRune(ref, 0)
}

// SchoolByRef gives a school by its id or code.
func (r *Room) SchoolByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (School, error) {
	ref = strings.TrimSpace(ref)
	if !askable(ref) {
		return School{}, unknownSchool(ref)
	}
	all, err := list[School, schoolRow](ctx, q, "schools", selectSchool, tenantID, ` AND (x.id = ? OR x.code = ?)`, ref, strings.ToUpper(ref))
	return only(all, err, unknownSchool(ref), ambiguousSchool(ref))
}

// SiteByRef gives a site by its id or code.
func (r *Room) SiteByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (Site, error) {
	ref = strings.TrimSpace(ref)
	if !askable(ref) {
		return Site{}, unknownSite(ref)
	}
	all, err := list[Site, siteRow](ctx, q, "sites", selectSite, tenantID, ` AND (x.id = ? OR x.code = ?)`, ref, strings.ToUpper(ref))
	return only(all, err, unknownSite(ref), ambiguousSite(ref))
}

// CartByRef gives a cart by its id, by site and code as in "SAT-K03", or by its
// code alone.
func (r *Room) CartByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (Cart, error) {
	ref = strings.TrimSpace(ref)
	if !askable(ref) {
		return Cart{}, unknownCart(ref)
	}
	rest, args := ` AND (x.id = ? OR x.code = ?)`, []any{ref, strings.ToUpper(ref)}
	if site, code, both := strings.Cut(strings.ToUpper(ref), "-"); both {
		rest += ` OR (? = '' OR x.tenant_id = ?) AND x.code = ? AND x.site_id IN (SELECT s.id FROM sites s WHERE s.code = ?)`
		args = append(args, tenantID, tenantID, code, site)
	}
	all, err := list[Cart, cartRow](ctx, q, "carts", selectCart, tenantID, rest, args...)
	return only(all, err, unknownCart(ref), ambiguousCart(ref))
}

// ClassByRef gives a class by its id, as "3b", "SCHOOL/3b" or
// "SCHOOL/3b/2026/27". Without the year it is the newest of that name.
func (r *Room) ClassByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (Class, error) {
	ref = strings.TrimSpace(ref)
	if !askable(ref) {
		return Class{}, unknownClass(ref)
	}
	parts := strings.SplitN(ref, "/", 3)
	rest, args := ` AND x.id = ?`, []any{ref}
	switch len(parts) {
	case 1:
		rest, args = ` AND (x.id = ? OR LOWER(x.name) = LOWER(?))`, []any{ref, ref}
	default:
		rest, args = ` AND LOWER(x.name) = LOWER(?) AND x.school_id IN (SELECT s.id FROM schools s WHERE s.code = ? OR s.id = ?)`,
			[]any{parts[1], strings.ToUpper(parts[0]), parts[0]}
		if len(parts) == 3 {
			rest, args = rest+` AND x.school_year = ?`, append(args, parts[2])
		}
	}
	all, err := list[Class, classRow](ctx, q, "classes", selectClass, tenantID, rest+` ORDER BY x.school_year DESC, x.id`, args...)
	newest := all
	for i, c := range all {
		if c.Year != all[0].Year {
			newest = all[:i]
			break
		}
	}
	return only(newest, err, unknownClass(ref), ambiguousClass(ref))
}
