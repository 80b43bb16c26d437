package profiles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
)

// verdict is what a roll-out has done to one tablet so far.
type verdict struct {
	id     string
	ring   int
	met    bool      // it was given something since its ring opened, or is good
	good   bool      // its own lists show what is wished
	at     time.Time // when the last of these lists came
	proven bool      // it has shown so again after it was asked for a sign of life
	bad    string    // failed, or silent since it was given something: why
}

// judge looks at the tablets of the open rings. It is pure.
func judge(items []rolloutItem, o rolloutRow, now time.Time) []verdict {
	by := map[string]*verdict{}
	for _, it := range items {
		if it.Accepted {
			continue
		}
		v := by[it.EnrollmentID]
		if v == nil {
			v = &verdict{id: it.EnrollmentID, ring: int(it.Ring), good: true, proven: true}
			by[it.EnrollmentID] = v
		}
		it.judge(v, o, now)
	}
	out := make([]verdict, 0, len(by))
	for _, id := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[id])
	}
	return out
}

// judge takes one item into the verdict on its tablet.
func (it rolloutItem) judge(v *verdict, o rolloutRow, now time.Time) {
	gone := it.State == "" || it.State == removed || it.State == blocked && it.Desired == nil
	good := gone
	if it.Target != nil {
		good = it.State == installed && fulfils(it.Kind, it.Observed, *it.Target)
	}
	handed := it.SentAt.After(o.OpenedAt.Time)
	v.met = v.met || handed || good
	if it.ObservedAt.After(v.at) {
		v.at = it.ObservedAt.Time
	}
	if good {
		if it.State != "" && it.ObservedAt.Before(o.CheckedAt.Time) {
			v.proven = false
		}
		return
	}
	v.good, v.proven = false, false
	late := now.Add(-patience - o.wait())
	switch {
	case (it.State == failed || it.State == blocked) && it.UpdatedAt.After(o.OpenedAt.Time):
		v.bad = it.Reason
	case handed && it.SentAt.Before(late) && !it.ObservedAt.After(it.SentAt.Time):
		v.bad = "It has said nothing since it was given it."
	}
}

func (o rolloutRow) wait() time.Duration { return time.Duration(o.Soak) * time.Millisecond }

// What a roll-out does next.
type rolloutMove struct {
	halt  string   // why
	who   []string // tablets it is about
	check bool     // ask for a sign of life
	open  bool     // the next ring
}

// next decides. At least half of a ring must be good, since tablets lie switched
// off in carts for weeks; and nothing that was met may be bad or under way.
func next(all []verdict, o rolloutRow, now time.Time) rolloutMove {
	var good, unproven, bad []string
	var reason string
	var last time.Time
	total, busy := 0, 0
	for _, v := range all {
		if v.bad != "" {
			bad, reason = append(bad, v.id), v.bad
		}
		if v.ring != int(o.Ring) {
			continue
		}
		total++
		switch {
		case v.good:
			good = append(good, v.id)
			if !v.proven {
				unproven = append(unproven, v.id)
			}
			if v.at.After(last) {
				last = v.at
			}
		case v.met:
			busy++
		}
	}
	switch {
	case len(bad) > 0:
		return rolloutMove{halt: reason, who: bad}
	case busy > 0 || 2*len(good) < total:
		if lost := o.lost(unproven, now); lost != nil {
			return *lost
		}
		return rolloutMove{}
	case o.CheckedAt.IsZero() && total > 0:
		return rolloutMove{check: !now.Before(latest(last, o.OpenedAt.Time).Add(o.wait())), who: good}
	case len(unproven) > 0:
		if lost := o.lost(unproven, now); lost != nil {
			return *lost
		}
		return rolloutMove{}
	}
	return rolloutMove{open: true}
}

// lost halts when tablets do not answer that were good and asked for a sign of
// life: what they got may have cut them off.
func (o rolloutRow) lost(unproven []string, now time.Time) *rolloutMove {
	if o.CheckedAt.IsZero() || len(unproven) == 0 || now.Before(o.CheckedAt.Add(patience)) {
		return nil
	}
	return &rolloutMove{halt: "They had it and have said nothing since: they may have lost their network.", who: unproven}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// StepRollouts moves each running roll-out one step on, if it is time.
func (r *Room) StepRollouts(ctx context.Context) error {
	ids, err := runningRollouts(ctx, r.DB)
	if err != nil {
		return fmt.Errorf("list running roll-outs: %w", err)
	}
	for _, id := range ids {
		if err := r.DB.Do(ctx, func(tx *sqldb.Tx) error { return r.step(ctx, tx, id) }); err != nil {
			return fmt.Errorf("move roll-out %s on: %w", id, err)
		}
	}
	return nil
}

func (r *Room) step(ctx context.Context, tx *sqldb.Tx, id string) error {
	o, err := rolloutByID(ctx, tx, "", id, tx.SkipLocked())
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && o.State != "running" {
		return nil // another process is at it, or a person was faster
	}
	if err != nil {
		return err
	}
	items, err := rolloutItems(ctx, tx, id, o.Ring)
	if err != nil {
		return err
	}
	now := r.Clock.Now()
	m := next(judge(items, o, now), o, now)
	switch {
	case m.halt != "":
		return r.halt(ctx, tx, o, m)
	case m.check:
		o.CheckedAt = sqldb.At(now)
		if err := r.askLife(ctx, tx, items, m.who, now); err != nil {
			return err
		}
		return updateRollout(ctx, tx, o)
	case m.open:
		return r.openNext(ctx, tx, o)
	}
	return nil
}

// halt stops a roll-out and says why, with the serial numbers of some tablets.
func (r *Room) halt(ctx context.Context, tx *sqldb.Tx, o rolloutRow, m rolloutMove) error {
	known, err := r.Facts.Facts(ctx, tx, m.who)
	if err != nil {
		return err
	}
	var serials []string
	for _, e := range m.who[:min(len(m.who), hazardSerials)] {
		serials = append(serials, known[e].Serial)
	}
	o.State = "halted"
	o.Reason = fmt.Sprintf("%s (%s): %s", counted(len(m.who), "1 iPad", "%d iPads"), strings.Join(serials, ", "), m.halt)
	if err := updateRollout(ctx, tx, o); err != nil {
		return err
	}
	return r.record(ctx, tx, audit.System, "rollout.halt", "rollout:"+o.ID, map[string]any{"ring": o.Ring, "devices": len(m.who), "reason": m.halt})
}

// askLife asks tablets for the lists that prove what they have.
func (r *Room) askLife(ctx context.Context, tx *sqldb.Tx, items []rolloutItem, ids []string, now time.Time) error {
	kinds := map[[2]string]bool{}
	generation := map[string]int64{}
	for _, it := range items {
		if slices.Contains(ids, it.EnrollmentID) && it.State != "" {
			kinds[[2]string{it.EnrollmentID, thing{Kind: it.Kind}.list()}] = true
			if it.Kind == kindApp { // which version of an in-house app is there only this one says
				kinds[[2]string{it.EnrollmentID, listInstalled}] = true
			}
			generation[it.EnrollmentID] = it.Generation
		}
	}
	var cs []commands.Command
	for k := range kinds {
		cs = append(cs, commands.Command{EnrollmentID: k[0], Generation: generation[k[0]], Kind: k[1], DedupeKey: k[1], Origin: origin, NotBefore: now})
	}
	slices.SortFunc(cs, func(a, b commands.Command) int {
		return strings.Compare(a.EnrollmentID+a.Kind, b.EnrollmentID+b.Kind)
	})
	_, err := r.Queue.Add(ctx, tx, cs...)
	return err
}

// openNext opens the next ring that has tablets in it. With the last one the
// roll-out has ended: nothing holds anybody back any more.
func (r *Room) openNext(ctx context.Context, tx *sqldb.Tx, o rolloutRow) error {
	now := r.Clock.Now()
	var ids []string
	for len(ids) == 0 && o.Ring < rest {
		o.Ring++
		var err error
		if ids, err = inRing(ctx, tx, o.ID, o.Ring); err != nil {
			return err
		}
	}
	o.OpenedAt, o.CheckedAt = sqldb.At(now), sqldb.Time{}
	action := "rollout.open"
	if o.Ring == rest {
		o.State, o.EndedAt, action = "done", sqldb.At(now), "rollout.done"
		if err := dropRolloutDevices(ctx, tx, o.ID); err != nil {
			return err
		}
	}
	if err := updateRollout(ctx, tx, o); err != nil {
		return err
	}
	if err := r.record(ctx, tx, audit.System, action, "rollout:"+o.ID, map[string]any{"ring": o.Ring, "devices": len(ids)}); err != nil {
		return err
	}
	return r.mark(ctx, tx, ids...)
}
