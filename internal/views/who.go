package views

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Holder is an enrolled device that has a profile or app or is to have it.
type Holder struct {
	ID         string     `json:"id"`
	Serial     string     `json:"serial"`
	Version    int64      `json:"version" doc:"The version wished; 0: it shall go"`
	Observed   *int64     `json:"observed" doc:"The version seen in the device's own list; null: not there; 0: there, version unknown"`
	ObservedAt *time.Time `json:"observed_at"`
	State      string     `json:"state" enum:"pending,sent,acknowledged,installed,removing,failed,blocked"`
	Reason     string     `json:"reason"`
	Because    []Because  `json:"because" doc:"The assignments that speak of this device; none brings it where it shall go"`
}

// Holders lists the enrolled devices of a tenant, or of all for "", that have an
// item or are to have it, by serial number; next is the cursor of the next page.
// Because is for Explain to fill in.
func (r *Room) Holders(ctx context.Context, q sqldb.Queryer, kind, itemID, tenant string, p Page) (out []Holder, next string, err error) {
	var rows []struct {
		ID         string     `db:"id"`
		Serial     string     `db:"serial"`
		Desired    int64      `db:"desired"`
		Observed   *int64     `db:"observed"`
		ObservedAt sqldb.Time `db:"observed_at"`
		State      string     `db:"state"`
		Reason     string     `db:"reason"`
	}
	// By serial number from the cursor on: a page costs the devices it passes, and
	// what one of them has is found by its key.
	err = q.Select(ctx, &rows, `SELECT d.id, d.serial, COALESCE(i.desired, 0) AS desired, i.observed, i.observed_at, i.state, i.reason
		FROM devices d JOIN enrollments e ON e.device_id = d.id AND e.state = 'enrolled'
			JOIN device_items i ON i.enrollment_id = e.id AND i.generation = e.generation AND i.item_kind = ? AND i.item_id = ?
		WHERE (i.desired IS NOT NULL OR i.state <> 'removed') AND d.serial > ? AND (CAST(? AS TEXT) = '' OR d.tenant_id = ?)
		ORDER BY d.serial LIMIT ?`, kind, itemID, p.After, tenant, tenant, p.limit()+1)
	if err != nil {
		return nil, "", fmt.Errorf("list who has it: %w", err)
	}
	if len(rows) > p.limit() {
		rows = rows[:p.limit()]
		next = rows[len(rows)-1].Serial
	}
	out = make([]Holder, 0, len(rows))
	for _, row := range rows {
		out = append(out, Holder{row.ID, row.Serial, row.Desired, row.Observed, when(row.ObservedAt), row.State, row.Reason, []Because{}})
	}
	return out, next, nil
}

// Explain tells of each holder of an item by which assignments. in are the scopes
// that the devices are in, called their names.
func (r *Room) Explain(ctx context.Context, q sqldb.Queryer, kind, itemID string, holders []Holder, in map[string][]schools.Scope, called map[schools.Scope]schools.Called) error {
	var rows []whyWish
	if err := q.Select(ctx, &rows, whyWishOf+` WHERE a.item_kind = ? AND a.item_id = ? ORDER BY a.created_at, a.id`, kind, itemID); err != nil {
		return fmt.Errorf("list what is assigned: %w", err)
	}
	for i, h := range holders {
		c := whyCase{called: called, wishes: slices.DeleteFunc(slices.Clone(rows), func(w whyWish) bool { return !w.concerns(in[h.ID]) })}
		holders[i].Because = c.because()
	}
	return nil
}

// concerns tells whether an assignment speaks of a device that is in these scopes.
func (w whyWish) concerns(in []schools.Scope) bool {
	applies := w.ScopeKind == "all" || slices.Contains(in, schools.Scope{Kind: w.ScopeKind, ID: w.ScopeID})
	return applies && (w.Owner == "" || w.Owner == schools.TenantOf(in))
}
