package profiles

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Scope is for whom something is wished: "all", or "tenant", "school", "site",
// "class", "cart", "group" or "device" with its id.
type Scope struct{ Kind, ID string }

// Assignment is a wish.
type Assignment struct {
	ID         string
	Kind, Name string // "profile" or "app", and its name
	ItemID     string
	Exclude    bool   // it is kept from the scope, whatever else wishes it
	TenantID   string // whose wish it is; "": the provider's
	CreatedBy  string
	Scope      Scope
	CreatedAt  time.Time
}

// Assign wishes profiles and apps onto a scope, all of them or none, and tells
// how many tablets that is today. What is wished already stays. A tenant may
// wish for its own scopes; what is a tenant's goes to its own scopes only.
func (r *Room) Assign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, names []string, s Scope) (int, error) {
	return r.assign(ctx, tx, by, tenantID, names, s, false)
}

// Exclude keeps profiles and apps from a scope, whatever else wishes them there.
// It is taken back as an assignment is.
func (r *Room) Exclude(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, names []string, s Scope) (int, error) {
	return r.assign(ctx, tx, by, tenantID, names, s, true)
}

func (r *Room) assign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, names []string, s Scope, exclude bool) (int, error) {
	action := map[bool]string{false: "assign", true: "exclude"}[exclude]
	return r.change(ctx, tx, by, tenantID, names, s, action, func(it item, owner string) error {
		if it.TenantID != "" && it.TenantID != owner {
			return fault.New(fault.Conflict, "assignment.other-tenant",
				"%s belongs to a tenant and goes to no device of others. Name a scope of that tenant, such as tenant:CODE.", it.Name).On("to")
		}
		had, err := assignmentsAt(ctx, tx, it, s)
		if err != nil {
			return fmt.Errorf("find assignments: %w", err)
		}
		for _, a := range had {
			if a.TenantID == tenantID && a.Exclude != exclude {
				return fault.New(fault.Conflict, "assignment.opposite",
					"%s is %s there already. Take that back first: ranzen unassign.", it.Name, map[bool]string{true: "excluded", false: "assigned"}[a.Exclude]).On("to")
			}
			if a.TenantID == tenantID {
				return nil
			}
		}
		id := sqldb.NewID()
		r.undoable(ctx, undo{Do: "unassign", Kind: it.Kind, ItemID: it.ID, Wish: &assignmentRow{ID: id, ScopeKind: s.Kind, ScopeID: s.ID}})
		return insertAssignment(ctx, tx, id, it, s, tenantID, exclude, string(by), r.Clock.Now())
	})
}

// Unassign takes wishes back, all of them or none: those of a tenant, or
// everybody's for "". What nobody wishes any more is removed from the tablets.
func (r *Room) Unassign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, names []string, s Scope) (int, error) {
	whose := tenantID
	if whose == "" {
		whose = everybody
	}
	return r.unassign(ctx, tx, by, tenantID, names, s, whose)
}

// everybody is whose wishes the provider takes back.
const everybody = "*"

// unassign takes back the wishes of whose: a tenant, "" the provider, or everybody.
func (r *Room) unassign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, names []string, s Scope, whose string) (int, error) {
	return r.change(ctx, tx, by, tenantID, names, s, "unassign", func(it item, _ string) error {
		had, err := assignmentsAt(ctx, tx, it, s)
		if err != nil {
			return fmt.Errorf("find assignments: %w", err)
		}
		n, err := deleteAssignment(ctx, tx, it, s, whose)
		if err != nil {
			return err
		}
		for _, a := range had {
			if whose == everybody || a.TenantID == whose {
				r.undoable(ctx, undo{Do: "assign", Kind: it.Kind, ItemID: it.ID, Wish: &a})
			}
		}
		if n > 0 {
			return nil
		}
		if len(had) > 0 {
			return schools.MayChange(tenantID, "")
		}
		return fault.New(fault.NotFound, "assignment.unknown", "%s is not assigned there. See `ranzen assignment list`.", it.Name)
	})
}

// UnassignGroup takes back all that is assigned to a group or excluded from it,
// before it is removed. What it had is planned anew as a whole, at once: no
// roll-out could give back wishes for a group that is gone.
//
// Faults: tenant.provider-owned.
func (r *Room) UnassignGroup(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, g schools.Group) error {
	s := Scope{"group", g.ID}
	rows, err := assignmentsTo(ctx, tx, s)
	if err != nil || len(rows) == 0 {
		return err
	}
	tablets, err := r.inScope(ctx, tx, s)
	if err != nil {
		return err
	}
	for _, a := range rows {
		if err := schools.MayChange(tenantID, a.TenantID); err != nil {
			return err
		}
		r.touch(ctx, thing{a.Kind, a.ItemID})
		r.note(ctx, "unassign "+a.ID)
		if _, err := deleteAssignment(ctx, tx, item{Kind: a.Kind, ID: a.ItemID}, s, a.TenantID); err != nil {
			return fmt.Errorf("take back an assignment: %w", err)
		}
		detail := map[string]any{"name": a.Name, "scope": s.Kind, "scope_id": s.ID, "devices": len(tablets)}
		if err := r.record(ctx, tx, by, a.Kind+".unassign", a.Kind+":"+a.ItemID, detail); err != nil {
			return err
		}
	}
	return r.Mark(ctx, tx, tablets...)
}

func (r *Room) change(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, names []string, s Scope, action string, do func(it item, owner string) error) (int, error) {
	called, err := r.Schools.Called(ctx, tx, []schools.Scope{schools.Scope(s)})
	if err != nil {
		return 0, err
	}
	owner := called[schools.Scope(s)].TenantID // "" for all, and for a group of the provider's
	if err := schools.MayChange(tenantID, owner); err != nil {
		return 0, err
	}
	tablets, err := r.inScope(ctx, tx, s)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		it, err := r.itemNamed(ctx, tx, tenantID, name, "")
		if err != nil {
			return 0, err
		}
		r.touch(ctx, thing{it.Kind, it.ID})
		if err := do(it, owner); err != nil {
			return 0, err
		}
		detail := map[string]any{"name": it.Name, "scope": s.Kind, "scope_id": s.ID, "devices": len(tablets)}
		if err := r.record(ctx, tx, by, it.Kind+"."+action, it.Kind+":"+it.ID, detail); err != nil {
			return 0, err
		}
	}
	return len(tablets), r.mark(ctx, tx, tablets...)
}

// inScope lists the enrolled tablets in a scope that a change is about.
func (r *Room) inScope(ctx context.Context, tx *sqldb.Tx, s Scope) ([]string, error) {
	if c := collecting(ctx); c != nil {
		c.scopes[s] = true
	}
	return r.Facts.InScope(ctx, tx, s)
}

// item is a profile or an app.
type item struct {
	Kind     string `db:"kind"`
	ID       string `db:"id"`
	TenantID string `db:"tenant_id"`
	Name     string `db:"name"`
}

// itemNamed finds what a name means to a tenant, or to the provider for "", as
// schools.Choose does. kind "" takes both kinds.
func (r *Room) itemNamed(ctx context.Context, q sqldb.Queryer, tenantID, name, kind string) (item, error) {
	rows, err := itemsNamed(ctx, q, tenantID, name)
	if err != nil {
		return item{}, fmt.Errorf("find profiles and apps: %w", err)
	}
	if kind != "" {
		rows = slices.DeleteFunc(rows, func(it item) bool { return it.Kind != kind })
	}
	it, fits := schools.Choose(tenantID, rows, func(it item) string { return it.TenantID })
	switch fits {
	case 0:
		return item{}, unknown(kind, name)
	case 1:
		return it, nil
	}
	return item{}, fault.New(fault.Conflict, "item.ambiguous", "%d tenants have a profile or app called %s. Say which one with --tenant.", fits, it.Name).On("names")
}

// Find tells what a name means to a tenant, or to the provider for "".
func (r *Room) Find(ctx context.Context, q sqldb.Queryer, tenantID, name string) (kind, id string, err error) {
	it, err := r.itemNamed(ctx, q, tenantID, name, "")
	return it.Kind, it.ID, err
}

func unknown(kind, name string) *fault.Fault {
	switch kind {
	case kindProfile:
		return fault.New(fault.NotFound, "profile.unknown", "There is no profile %s. See `ranzen profile list` for those there are.", mdm.Clean(name))
	case kindApp:
		return fault.New(fault.NotFound, "app.unknown", "There is no app %s. See `ranzen app list` for those there are.", mdm.Clean(name))
	}
	return fault.New(fault.NotFound, "item.unknown", "There is no profile and no app called %s. See `ranzen profile list` and `ranzen app list`.", mdm.Clean(name)).On("names")
}

// Assignments lists the wishes that concern a tenant: those for its scopes, for
// groups of the provider's and for all. "" lists all wishes.
func (r *Room) Assignments(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Assignment, error) {
	rows, err := allAssignments(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list assignments: %w", err)
	}
	var scopes []schools.Scope
	for _, a := range rows {
		scopes = append(scopes, schools.Scope{Kind: a.ScopeKind, ID: a.ScopeID})
	}
	called, err := r.Schools.Called(ctx, q, scopes)
	if err != nil {
		return nil, err
	}
	out := make([]Assignment, 0, len(rows))
	for i, a := range rows {
		to, known := called[scopes[i]]
		if tenantID != "" && a.ScopeKind != "all" && (!known || (to.TenantID != "" && to.TenantID != tenantID)) {
			continue
		}
		out = append(out, a.assignment())
	}
	return out, nil
}

// AssignmentsTo lists what is assigned to just this scope or excluded from it.
func (r *Room) AssignmentsTo(ctx context.Context, q sqldb.Queryer, s Scope) ([]Assignment, error) {
	rows, err := assignmentsTo(ctx, q, s)
	if err != nil {
		return nil, fmt.Errorf("list assignments: %w", err)
	}
	out := make([]Assignment, 0, len(rows))
	for _, a := range rows {
		out = append(out, a.assignment())
	}
	return out, nil
}

// Mark has tablets planned anew: their wish or their state may have changed.
func (r *Room) Mark(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error {
	if c := collecting(ctx); c != nil && len(enrollmentIDs) > 0 {
		c.whole = true
	}
	return r.mark(ctx, tx, enrollmentIDs...)
}

// mark is Mark where only items change that were touched.
func (r *Room) mark(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error {
	if c := collecting(ctx); c != nil {
		for _, id := range enrollmentIDs {
			c.ids[id] = true
		}
	}
	if len(enrollmentIDs) == 0 {
		return nil
	}
	now := r.Clock.Now()
	if err := r.MarkAt(ctx, tx, now, enrollmentIDs...); err != nil {
		return err
	}
	tx.AfterCommit(r.poke)
	return nil
}

// MarkAt has tablets planned at a time, or earlier if that is marked.
func (r *Room) MarkAt(ctx context.Context, tx *sqldb.Tx, at time.Time, enrollmentIDs ...string) error {
	for ids := enrollmentIDs; len(ids) > 0; {
		part := ids[:min(chunk, len(ids))]
		ids = ids[len(part):]
		if err := upsertMarks(ctx, tx, part, r.Clock.Now(), at); err != nil {
			return fmt.Errorf("mark tablets: %w", err)
		}
	}
	return nil
}

// markItem marks all tablets for whom an item is wished: it has a new version.
func (r *Room) markItem(ctx context.Context, tx *sqldb.Tx, kind, id string) error {
	r.touch(ctx, thing{kind, id})
	scopes, err := scopesOf(ctx, tx, kind, id)
	if err != nil {
		return err
	}
	for _, s := range scopes {
		ids, err := r.inScope(ctx, tx, s)
		if err != nil {
			return err
		}
		if err := r.mark(ctx, tx, ids...); err != nil {
			return err
		}
	}
	return nil
}
