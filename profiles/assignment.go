package profiles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Scope is for whom something is wished: "all", or "tenant", "school", "site",
// "class", "cart", "group" or "device" with its id.
type Scope struct{ Kind, ID string }

// Assignment is a wish.
type Assignment struct {
	Kind, Name string // "profile" or "app", and its name
	CreatedBy  string
	Scope      Scope
	CreatedAt  time.Time
}

// Assign wishes profiles and apps onto a scope, all of them or none, and tells
// how many tablets that is today. What is wished already stays.
func (r *Room) Assign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, names []string, s Scope) (int, error) {
	return r.change(ctx, tx, by, names, s, "assign", func(it item) error {
		return insertAssignment(ctx, tx, it, s, string(by), r.Clock.Now())
	})
}

// Unassign takes wishes back, all of them or none. What nobody wishes any more
// is removed from the tablets.
func (r *Room) Unassign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, names []string, s Scope) (int, error) {
	return r.change(ctx, tx, by, names, s, "unassign", func(it item) error {
		n, err := deleteAssignment(ctx, tx, it, s)
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "assignment.unknown", "%s is not assigned there. See `ranzen assignment list`.", it.Name)
		}
		return err
	})
}

func (r *Room) change(ctx context.Context, tx *sqldb.Tx, by audit.Actor, names []string, s Scope, action string, do func(item) error) (int, error) {
	tablets, err := r.Facts.InScope(ctx, tx, s)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		it, err := r.itemNamed(ctx, tx, name)
		if err != nil {
			return 0, err
		}
		if err := do(it); err != nil {
			return 0, err
		}
		detail := map[string]any{"name": it.Name, "scope": s.Kind, "scope_id": s.ID, "devices": len(tablets)}
		if err := r.record(ctx, tx, by, it.Kind+"."+action, it.Kind+":"+it.ID, detail); err != nil {
			return 0, err
		}
	}
	return len(tablets), r.Mark(ctx, tx, tablets...)
}

// item is a profile or an app.
type item struct {
	Kind string `db:"kind"`
	ID   string `db:"id"`
	Name string `db:"name"`
}

func (r *Room) itemNamed(ctx context.Context, q sqldb.Queryer, name string) (item, error) {
	p, err := profileNamed(ctx, q, name, "")
	if err == nil {
		return item{kindProfile, p.ID, p.Name}, nil
	}
	if !errors.Is(err, sqldb.ErrNoRows) {
		return item{}, fmt.Errorf("find profile: %w", err)
	}
	a, err := appNamed(ctx, q, name)
	if errors.Is(err, sqldb.ErrNoRows) {
		return item{}, fault.New(fault.NotFound, "item.unknown", "There is no profile and no app called %s. See `ranzen profile list` and `ranzen app list`.", mdm.Clean(name)).On("names")
	}
	if err != nil {
		return item{}, fmt.Errorf("find app: %w", err)
	}
	return item{kindApp, a.ID, a.Name}, nil
}

// Assignments lists all wishes.
func (r *Room) Assignments(ctx context.Context, q sqldb.Queryer) ([]Assignment, error) {
	rows, err := allAssignments(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list assignments: %w", err)
	}
	out := make([]Assignment, 0, len(rows))
	for _, a := range rows {
		out = append(out, Assignment{Kind: a.Kind, Name: a.Name, CreatedBy: a.By, Scope: Scope{a.ScopeKind, a.ScopeID}, CreatedAt: a.At.Time})
	}
	return out, nil
}

// Mark has tablets planned anew: their wish or their state may have changed.
func (r *Room) Mark(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error {
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
	scopes, err := scopesOf(ctx, tx, kind, id)
	if err != nil {
		return err
	}
	for _, s := range scopes {
		ids, err := r.Facts.InScope(ctx, tx, s)
		if err != nil {
			return err
		}
		if err := r.Mark(ctx, tx, ids...); err != nil {
			return err
		}
	}
	return nil
}
