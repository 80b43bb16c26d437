package enroll

import (
	"context"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// ADEWish says that the devices of a scope get an enrollment profile: those of a
// delivery by its wish, else by that of their site, else by that of their tenant.
type ADEWish struct {
	Kind, ScopeID string // "tenant", "site", "delivery"
	ProfileID, By string
	At            time.Time
}

// WishADE gives an enrollment profile to a scope of a tenant, in place of the one
// it had.
func (r *Room) WishADE(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, p ADEProfile, scopeTenant, kind, scopeID string) error {
	if p.TenantID != "" && p.TenantID != scopeTenant {
		return fault.New(fault.Conflict, "ade-profile.other-tenant",
			"The enrollment profile %q belongs to another tenant than %s. Make one for that tenant, or one of the provider's.", p.Name, kind).On("to")
	}
	w := ADEWish{Kind: kind, ScopeID: scopeID, ProfileID: p.ID, By: string(actor), At: r.Clock.Now()}
	if err := upsertADEWish(ctx, tx, w); err != nil {
		return err
	}
	return r.record(ctx, tx, actor, "ade-profile.assign", "ade-profile:"+p.ID, map[string]any{"to": kind + ":" + scopeID})
}

// UnwishADE takes an enrollment profile back from a scope. What Apple has
// assigned stays there until another wish is for it.
func (r *Room) UnwishADE(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, p ADEProfile, kind, scopeID string) error {
	n, err := deleteADEWish(ctx, tx, kind, scopeID, p.ID)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.NotFound, "ade-profile.not-assigned", "The enrollment profile %q is not what this %s gets.", p.Name, kind).On("to")
	}
	return r.record(ctx, tx, actor, "ade-profile.unassign", "ade-profile:"+p.ID, map[string]any{"to": kind + ":" + scopeID})
}

// ADEWishes lists all wishes.
func (r *Room) ADEWishes(ctx context.Context, q sqldb.Queryer) ([]ADEWish, error) {
	return adeWishes(ctx, q, "")
}
