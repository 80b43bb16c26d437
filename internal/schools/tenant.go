package schools

import (
	"context"
	"fmt"
	"regexp"
	"slices"

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
	all, err := allTenants(ctx, q)
	if err != nil {
		return Tenant{}, err
	}
	var fits []Tenant
	for _, t := range all {
		if (own == "" || t.ID == own) && (asked == "" || t.ID == asked || t.Code == asked) {
			fits = append(fits, t)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case asked != "" || len(fits) == 0:
		return Tenant{}, unknownTenant()
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
	if err := t.check(); err != nil {
		return Tenant{}, err
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

var (
	tenantCode = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	tagPrefix  = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,7}$`)
)

// Tenants lists the tenants that somebody of the tenant own may see: that one,
// or with "" all.
func (r *Room) Tenants(ctx context.Context, q sqldb.Queryer, own string) ([]Tenant, error) {
	all, err := allTenants(ctx, q)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t Tenant) bool { return own != "" && t.ID != own }), nil
}

// TenantChange is what shall be different about a tenant; nil stays. Its code
// stays: it is in people's scripts.
type TenantChange struct {
	Name, Legal, TagPrefix *string
}

// SetTenant changes a tenant. Tags that were given keep their prefix.
func (r *Room) SetTenant(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, id string, change TenantChange) error {
	t, err := lockTenant(ctx, tx, id)
	if err != nil {
		return err
	}
	set(&t.Name, change.Name)
	set(&t.Legal, change.Legal)
	set(&t.TagPrefix, change.TagPrefix)
	if t.Name, err = cleanName("name", t.Name); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	if err := updateTenant(ctx, tx, t, r.clock.Now()); err != nil {
		return err
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "tenant.set", Subject: "tenant:" + id,
		Detail: map[string]any{"name": t.Name, "legal": t.Legal, "tag_prefix": t.TagPrefix}})
}

func (t Tenant) check() error {
	switch t.Legal {
	case "gdpr", "kdg", "dsg-ekd":
	default:
		return fault.New(fault.Invalid, "tenant.legal", "A tenant's data protection law is gdpr, kdg (Catholic) or dsg-ekd (Protestant).").On("legal")
	}
	if !tagPrefix.MatchString(t.TagPrefix) {
		return fault.New(fault.Invalid, "tenant.tag-prefix", "The prefix of asset tags has 1 to 8 capital letters and digits, and begins with a letter.").On("tag_prefix")
	}
	return nil
}
