package profiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// undo takes back one thing that a change did to the wishes.
type undo struct {
	Do      string         `json:"do"` // "unassign", "assign", "publish"
	Kind    string         `json:"kind"`
	ItemID  string         `json:"item_id"`
	Version int64          `json:"version,omitempty"` // to publish; 0: none
	Wish    *assignmentRow `json:"wish,omitempty"`
}

// undoable notes how to take back what was just done.
func (r *Room) undoable(ctx context.Context, u undo) {
	if c := collecting(ctx); c != nil {
		c.undo = append(c.undo, u)
	}
}

// Abort ends a roll-out and takes its change back: tablets of the rings that were
// open go back to what was wished before. a may be a dry run, which tells that.
//
// Faults: rollout.unknown, rollout.ended, plan.moved.
func (r *Room) Abort(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, id string, a Asked) (Plan, error) {
	row, err := r.openRollout(ctx, tx, tenantID, id)
	if err != nil {
		return Plan{}, err
	}
	a.Rollout, a.undoing = "now", true
	return r.Propose(ctx, tx, a, func(ctx context.Context, tx *sqldb.Tx) error {
		var list []undo
		if err := json.Unmarshal([]byte(row.Undo), &list); err != nil {
			return fmt.Errorf("read how to take a change back: %w", err)
		}
		for _, u := range slices.Backward(list) {
			if err := r.takeBack(ctx, tx, by, u); err != nil {
				return err
			}
		}
		return r.endRollout(ctx, tx, by, row, "aborted")
	})
}

// endRollout has nobody held back by it any more, and has all its tablets planned.
func (r *Room) endRollout(ctx context.Context, tx *sqldb.Tx, by audit.Actor, row rolloutRow, state string) error {
	var all []string
	for ring := range int64(rings) {
		ids, err := inRing(ctx, tx, row.ID, ring)
		if err != nil {
			return fmt.Errorf("end a roll-out: %w", err)
		}
		all = append(all, ids...)
	}
	row.State, row.EndedAt = state, sqldb.At(r.Clock.Now())
	if err := dropRolloutDevices(ctx, tx, row.ID); err != nil {
		return fmt.Errorf("end a roll-out: %w", err)
	}
	if err := updateRollout(ctx, tx, row); err != nil {
		return fmt.Errorf("end a roll-out: %w", err)
	}
	if err := r.record(ctx, tx, by, "rollout.abort", "rollout:"+row.ID, map[string]any{"title": row.Title, "ring": row.Ring}); err != nil {
		return err
	}
	return r.mark(ctx, tx, all...)
}

func (r *Room) takeBack(ctx context.Context, tx *sqldb.Tx, by audit.Actor, u undo) error {
	switch u.Do {
	case "unassign":
		if err := deleteAssignmentByID(ctx, tx, u.Wish.ID); err != nil {
			return fmt.Errorf("take a wish back: %w", err)
		}
	case "assign":
		w := u.Wish
		s := Scope{w.ScopeKind, w.ScopeID}
		if err := insertAssignment(ctx, tx, w.ID, item{Kind: u.Kind, ID: u.ItemID}, s, w.TenantID, w.Exclude, w.By, w.At.Time); err != nil {
			return fmt.Errorf("bring a wish back: %w", err)
		}
	case "publish":
		if u.Kind == kindApp {
			return r.reuse(ctx, tx, by, u)
		}
		return r.republish(ctx, tx, by, u)
	}
	r.touch(ctx, thing{u.Kind, u.ItemID})
	ids, err := r.inScope(ctx, tx, Scope{u.Wish.ScopeKind, u.Wish.ScopeID})
	if err != nil {
		return err
	}
	action := map[string]string{"unassign": u.Kind + ".unassign", "assign": u.Kind + ".assign"}[u.Do]
	if err := r.record(ctx, tx, by, action, u.Kind+":"+u.ItemID, map[string]any{"scope": u.Wish.ScopeKind, "scope_id": u.Wish.ScopeID, "rollout": "aborted"}); err != nil {
		return err
	}
	return r.mark(ctx, tx, ids...)
}

func (r *Room) republish(ctx context.Context, tx *sqldb.Tx, by audit.Actor, u undo) error {
	p, err := lockProfile(ctx, tx, u.ItemID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil // it was removed since
	}
	if err != nil {
		return fmt.Errorf("find profile: %w", err)
	}
	if u.Version > 0 {
		return r.publish(ctx, tx, by, &p, u.Version)
	}
	p.Version, p.Draft, p.UpdatedAt = 0, p.Last, sqldb.At(r.Clock.Now())
	if err := saveProfile(ctx, tx, p, false); err != nil {
		return fmt.Errorf("take a version back: %w", err)
	}
	return r.markItem(ctx, tx, kindProfile, p.ID)
}

// reuse has an in-house app be wished in its former version again. Tablets that
// have the later one keep it: see fulfils.
func (r *Room) reuse(ctx context.Context, tx *sqldb.Tx, by audit.Actor, u undo) error {
	v, err := fileOf(ctx, tx, u.ItemID, u.Version)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil // it was removed since
	}
	if err != nil {
		return fmt.Errorf("find a version of an app: %w", err)
	}
	a, err := appByID(ctx, tx, u.ItemID)
	if err != nil {
		return fmt.Errorf("find app: %w", err)
	}
	_, err = r.useVersion(ctx, tx, by, a, v)
	return err
}

// stepEvery is how often roll-outs are looked at.
const stepEvery = 5 * time.Second
