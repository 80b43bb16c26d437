package schools

import (
	"context"
	"fmt"
	"regexp"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Tenant owns devices and answers for them: a municipality, a diocese.
type Tenant struct {
	ID        string
	Code      string // what people type
	Name      string
	Legal     string // "gdpr", "kdg", "dsg-ekd"
	TagPrefix string // of its asset tags
}

// TenantFor gives the tenant that somebody works for. own is the tenant the
// person is bound to, "" for the provider's people; asked is what was typed, a
// code or id. Who may choose and does not gets the only tenant there is.
//
// Faults: tenant.unknown (also for a foreign one), tenant.required.
func (r *Room) TenantFor(ctx context.Context, q sqldb.Queryer, own, asked string) (Tenant, error) {
	var rows []struct {
		ID        string `db:"id"`
		Code      string `db:"code"`
		Name      string `db:"name"`
		Legal     string `db:"legal"`
		TagPrefix string `db:"tag_prefix"`
	}
	if err := q.Select(ctx, &rows, `SELECT t.id, t.code, t.name, t.legal, t.tag_prefix FROM tenants t ORDER BY t.code`); err != nil {
		return Tenant{}, fmt.Errorf("read tenants: %w", err)
	}
	var fits []Tenant
	for _, t := range rows {
		if (own == "" || t.ID == own) && (asked == "" || t.ID == asked || t.Code == asked) {
			fits = append(fits, Tenant(t))
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case asked != "" || len(fits) == 0:
		return Tenant{}, fault.New(fault.NotFound, "tenant.unknown", "There is no tenant of that name. See `ranzen tenant list`.").On("tenant")
	}
	return Tenant{}, fault.New(fault.Invalid, "tenant.required", "There are several tenants: say which one with --tenant.").On("tenant")
}

// AddTenant makes a tenant. Its code is what people type: lower-case letters,
// digits and hyphens.
func (r *Room) AddTenant(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, t Tenant) (Tenant, error) {
	var err error
	if t.Name, err = cleanName("name", t.Name); err != nil {
		return Tenant{}, err
	}
	if !tenantCode.MatchString(t.Code) {
		return Tenant{}, fault.New(fault.Invalid, "tenant.code", "A tenant's code has 1 to 32 lower-case letters, digits and hyphens, and begins with a letter.").On("code")
	}
	if t.Legal == "" {
		t.Legal = "gdpr"
	}
	if t.TagPrefix == "" {
		t.TagPrefix = "RV"
	}
	t.ID = sqldb.NewID()
	now := sqldb.At(r.clock.Now())
	n, err := tx.Exec(ctx, `INSERT INTO tenants (id, code, name, legal, tag_prefix, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (code) DO NOTHING`, t.ID, t.Code, t.Name, t.Legal, t.TagPrefix, now, now)
	if err != nil {
		return Tenant{}, fmt.Errorf("add tenant: %w", err)
	}
	if n == 0 {
		return Tenant{}, fault.New(fault.Conflict, "tenant.exists", "There is a tenant %s already.", t.Code).On("code")
	}
	return t, r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "tenant.add", Subject: "tenant:" + t.ID, Detail: map[string]any{"code": t.Code, "name": t.Name}})
}

var tenantCode = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
