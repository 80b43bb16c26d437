package profiles

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
)

// origin is who orders what the plan orders.
const origin = audit.System

// Reconcile plans up to 500 marked tablets and tells how many it looked at.
// Marks, items and commands change in one transaction; a mark that is made
// meanwhile waits for it and is found by the next call.
func (r *Room) Reconcile(ctx context.Context) (int, error) {
	due, err := anyDue(ctx, r.DB, r.Clock.Now()) // most seconds there is nothing, and nothing is written
	if err != nil || !due {
		return 0, err
	}
	n := 0
	err = r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		now := r.Clock.Now()
		marks, err := takeMarks(ctx, tx, now, chunk)
		if n = len(marks); err != nil || n == 0 {
			return err
		}
		ids := make([]string, n)
		for i, m := range marks {
			ids[i] = m.EnrollmentID
		}
		tablets, err := r.gather(ctx, tx, ids)
		if err != nil {
			return err
		}
		return r.apply(ctx, tx, ids, tablets, now)
	})
	if err != nil {
		return 0, fmt.Errorf("plan marked tablets: %w", err)
	}
	return n, nil
}

// apply plans each tablet and writes it all set-wise. Each keeps a mark for the
// next time somebody must look at it.
func (r *Room) apply(ctx context.Context, tx *sqldb.Tx, ids []string, tablets map[string]tablet, now time.Time) error {
	var orders []commands.Command
	var rows []itemRow
	again := map[time.Time][]string{}
	settled := make([]string, 0, len(ids))
	for _, id := range ids {
		o, changed, next := plan(tablets[id], now)
		orders, rows = append(orders, o...), append(rows, changed...)
		if next.IsZero() {
			settled = append(settled, id)
		} else {
			next = next.Truncate(time.Minute).Add(time.Minute) // few different times are few statements
			if soon := now.Add(time.Minute); next.Before(soon) {
				next = soon
			}
			again[next] = append(again[next], id)
		}
	}
	if err := upsertItems(ctx, tx, rows); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	if _, err := r.Queue.Add(ctx, tx, orders...); err != nil {
		return err
	}
	if err := dropMarks(ctx, tx, settled); err != nil {
		return fmt.Errorf("take marks away: %w", err)
	}
	for at, list := range again {
		if err := moveMarks(ctx, tx, at, list); err != nil {
			return fmt.Errorf("mark tablets for later: %w", err)
		}
	}
	return nil
}

// gather reads what planning needs to know, set-wise.
func (r *Room) gather(ctx context.Context, q sqldb.Queryer, ids []string) (map[string]tablet, error) {
	known, err := r.Facts.Facts(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	devices := make([]string, 0, len(known))
	for _, f := range known {
		devices = append(devices, f.DeviceID)
	}
	scopes, err := r.Schools.ScopesOf(ctx, q, devices)
	if err != nil {
		return nil, err
	}
	wished, err := r.wishesOf(ctx, q, known, scopes, nil)
	if err != nil {
		return nil, err
	}
	open, err := r.Queue.Open(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	networks, err := networkProfiles(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("find profiles with a network: %w", err)
	}
	nets := make(map[string]bool, len(networks))
	for _, id := range networks {
		nets[id] = true
	}
	out := make(map[string]tablet, len(known))
	for id, f := range known {
		out[id] = tablet{facts: f, nets: nets, wish: wished[id], has: map[thing]itemRow{}, open: open[id], lists: map[string]time.Time{}}
	}
	if err := r.gatherState(ctx, q, ids, out); err != nil {
		return nil, err
	}
	if err := r.gatherOlder(ctx, q, out); err != nil {
		return nil, err
	}
	return out, r.gatherPlaces(ctx, q, out)
}

// gatherPlaces tells what items are to an iPad that are there and not wished.
func (r *Room) gatherPlaces(ctx context.Context, q sqldb.Queryer, out map[string]tablet) error {
	left := map[string]bool{}
	for _, t := range out {
		for th, row := range t.has {
			if _, wished := t.wish[th]; !wished && row.State != removed {
				left[th.ID] = true
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	places, err := calledOf(ctx, q, sorted(left))
	if err != nil {
		return fmt.Errorf("read what items are to an iPad: %w", err)
	}
	for id, t := range out {
		t.place = places
		out[id] = t
	}
	return nil
}

func (r *Room) gatherState(ctx context.Context, q sqldb.Queryer, ids []string, out map[string]tablet) error {
	rows, err := itemsOf(ctx, q, ids)
	if err != nil {
		return fmt.Errorf("read items: %w", err)
	}
	for _, row := range rows {
		if t, ok := out[row.EnrollmentID]; ok && row.Generation == t.facts.Generation {
			t.has[row.thing()] = row
		}
	}
	lists, err := listsOf(ctx, q, ids)
	if err != nil {
		return fmt.Errorf("read lists: %w", err)
	}
	for _, l := range lists {
		if t, ok := out[l.EnrollmentID]; ok && l.Generation == t.facts.Generation {
			t.lists[l.Kind] = l.At.Time
		}
	}
	return nil
}
