package profiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Rings of a roll-out. The first has one tablet of each site.
const (
	canaries = iota
	tenth
	rest
	rings
)

// DefaultSoak is how long a ring must have been good before the next one opens.
// Ours: long enough for a tablet to lose its network and be missed.
const DefaultSoak = 5 * time.Minute

// patience is how long after a tablet was given something, or asked for a sign of
// life, it may say nothing before its roll-out halts, beside the soak.
const patience = 15 * time.Minute

// Rollout is a change on its way through the fleet.
type Rollout struct {
	ID, TenantID, Title string
	State               string // running, paused, halted, done, aborted
	Reason              string // why it halted
	Ring                int    // the open one, from 0
	Soak                time.Duration
	CreatedBy           string
	CreatedAt           time.Time
	OpenedAt            time.Time // the open ring
	EndedAt             time.Time
	Rings               []Ring
}

// Ring is a part of the tablets of a roll-out.
type Ring struct {
	Devices int      `json:"devices"`
	Good    *int     `json:"good" doc:"Observed as wished; null where it is not counted: in lists, and once the roll-out has ended"`
	Bad     *int     `json:"bad" doc:"Failed, or silent since; null as good is"`
	Serials []string `json:"serials" doc:"The first ten of the bad ones"`
}

// begin makes a roll-out of what a change does: until their ring opens, tablets
// keep what was wished before.
func (r *Room) begin(ctx context.Context, tx *sqldb.Tx, a Asked, p Plan, c *collector) (string, error) {
	now, id := r.Clock.Now(), sqldb.NewID()
	by := map[string][]Change{}
	devices, names := map[string]string{}, map[string]bool{}
	for _, ch := range p.Changes {
		if ch.Action != ActNone {
			by[ch.EnrollmentID], devices[ch.EnrollmentID], names[ch.Item] = append(by[ch.EnrollmentID], ch), ch.DeviceID, true
		}
	}
	ring, sizes, err := r.ringsOf(ctx, tx, id, devices)
	if err != nil {
		return "", err
	}
	var rows []rolloutDevice
	for e, list := range by {
		for _, ch := range list {
			rows = append(rows, rolloutDevice{RolloutID: id, EnrollmentID: e, Kind: ch.Kind, ItemID: ch.ItemID, Ring: int64(ring[e]), Before: ch.From, Target: ch.To})
		}
	}
	undo, err := json.Marshal(c.undo)
	if err != nil {
		return "", fmt.Errorf("write how to take a change back: %w", err)
	}
	size, err := json.Marshal(sizes)
	if err != nil {
		return "", fmt.Errorf("write the sizes of rings: %w", err)
	}
	title := strings.Join(sorted(names), ", ")
	row := rolloutRow{
		ID: id, TenantID: a.TenantID, Title: title, State: "running", Soak: int64(a.soak() / time.Millisecond), OpenedAt: sqldb.At(now),
		Undo: string(undo), Sizes: string(size), By: string(a.By), CreatedAt: sqldb.At(now),
	}
	if err := insertRollout(ctx, tx, row, rows); err != nil {
		if sqldb.IsUnique(err) { // somebody else was a moment faster
			return "", fault.New(fault.Conflict, "rollout.running", "Another roll-out of %s has just begun. See `ranzen rollout list`.", mdm.Clean(title))
		}
		return "", fmt.Errorf("begin a roll-out: %w", err)
	}
	return id, r.record(ctx, tx, a.By, "rollout.begin", "rollout:"+id, map[string]any{"title": title, "devices": len(by), "canaries": sizes[canaries]})
}

func (a Asked) soak() time.Duration {
	if a.Soak > 0 {
		return a.Soak
	}
	return DefaultSoak
}

// ringsOf sorts tablets into rings: one of each site, a tenth of the others, and
// the rest. Which ones is by chance, and stays so for one roll-out.
func (r *Room) ringsOf(ctx context.Context, q sqldb.Queryer, id string, devices map[string]string) (map[string]int, [rings]int, error) {
	var sizes [rings]int
	ids := slices.Sorted(maps.Values(devices))
	scopes, err := r.Schools.ScopesOf(ctx, q, ids)
	if err != nil {
		return nil, sizes, err
	}
	order := slices.SortedFunc(maps.Keys(devices), func(x, y string) int {
		if a, b := dice(id, x), dice(id, y); a != b {
			return map[bool]int{true: -1, false: 1}[a < b]
		}
		return strings.Compare(x, y)
	})
	met, out := map[string]bool{}, make(map[string]int, len(devices))
	for _, e := range order {
		if site := siteOf(scopes[devices[e]]); !met[site] {
			met[site], out[e] = true, canaries
			sizes[canaries]++
		}
	}
	left := len(order) - len(out)
	few := (left + 9) / 10
	for _, e := range order {
		if _, is := out[e]; is {
			continue
		}
		if out[e] = rest; sizes[tenth] < few {
			out[e] = tenth
		}
		sizes[out[e]]++
	}
	return out, sizes, nil
}

func siteOf(scopes []schools.Scope) string {
	for _, kind := range []string{"site", "tenant"} {
		for _, s := range scopes {
			if s.Kind == kind {
				return s.ID
			}
		}
	}
	return ""
}

func dice(id, enrollment string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id + "/" + enrollment)) //nolint:errcheck // a hash takes everything
	return h.Sum64()
}

// overlay puts what was wished before in the place of what is, on tablets whose
// ring is still closed.
func (r *Room) overlay(ctx context.Context, q sqldb.Queryer, out map[string]map[thing]wanted, only map[thing]bool) error {
	ids := slices.Sorted(maps.Keys(out))
	for part := range slices.Chunk(ids, chunk) {
		rows, err := closedOf(ctx, q, part)
		if err != nil {
			return fmt.Errorf("read roll-outs: %w", err)
		}
		for _, row := range rows {
			th := thing{row.Kind, row.ItemID}
			if only != nil && !only[th] {
				continue
			}
			if row.Before == nil {
				delete(out[row.EnrollmentID], th)
				continue
			}
			t, err := readTraits(row.Traits)
			if err != nil {
				return err
			}
			out[row.EnrollmentID][th] = wanted{Version: *row.Before, Name: row.Name, Owner: row.Owner, Place: row.Place, Traits: &t, HoldsData: row.HoldsData}
		}
	}
	return nil
}

// free refuses to change what is on its way already.
func (r *Room) free(ctx context.Context, q sqldb.Queryer, things map[thing]bool) error {
	for th := range things {
		title, id, err := rolling(ctx, q, th)
		if errors.Is(err, sqldb.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("find roll-outs: %w", err)
		}
		return fault.New(fault.Conflict, "rollout.running",
			"A roll-out of %s is not finished (ranzen rollout show %s). Wait for it, or abort it first: ranzen rollout abort.", mdm.Clean(title), id)
	}
	return nil
}

func rolloutUnknown(id string) *fault.Fault {
	return fault.New(fault.NotFound, "rollout.unknown", "There is no roll-out %s. See `ranzen rollout list`.", mdm.Clean(id)).On("rollout")
}

// Rollouts lists those that a tenant's people began, or all for "", newest first.
func (r *Room) Rollouts(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Rollout, error) {
	rows, err := allRollouts(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list roll-outs: %w", err)
	}
	out := make([]Rollout, 0, len(rows))
	for _, row := range rows {
		one, err := row.rollout()
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// Rollout shows one with the state of its rings.
func (r *Room) Rollout(ctx context.Context, q sqldb.Queryer, tenantID, id string) (Rollout, error) {
	row, err := rolloutByID(ctx, q, tenantID, id, "")
	if errors.Is(err, sqldb.ErrNoRows) {
		return Rollout{}, rolloutUnknown(id)
	}
	if err != nil {
		return Rollout{}, fmt.Errorf("read a roll-out: %w", err)
	}
	out, err := row.rollout()
	if err != nil || !row.EndedAt.IsZero() {
		return out, err
	}
	items, err := rolloutItems(ctx, q, id, row.Ring)
	if err != nil {
		return out, fmt.Errorf("read a roll-out: %w", err)
	}
	for i := range out.Rings {
		out.Rings[i].Good, out.Rings[i].Bad = new(int), new(int)
	}
	bad := map[string]int{}
	for _, d := range judge(items, row, r.Clock.Now()) {
		ring := &out.Rings[d.ring]
		switch {
		case d.bad != "":
			*ring.Bad++
			bad[d.id] = d.ring
		case d.good:
			*ring.Good++
		}
	}
	known, err := r.Facts.Facts(ctx, q, slices.Sorted(maps.Keys(bad)))
	if err != nil {
		return out, err
	}
	for _, e := range slices.Sorted(maps.Keys(bad)) {
		if ring := &out.Rings[bad[e]]; len(ring.Serials) < hazardSerials {
			ring.Serials = append(ring.Serials, known[e].Serial)
		}
	}
	return out, nil
}

// Pause keeps the next rings closed; Resume goes on, past what is bad by now.
//
// Faults: rollout.unknown, rollout.ended.
func (r *Room) Pause(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, id string) error {
	row, err := r.openRollout(ctx, tx, tenantID, id)
	if err != nil || row.State != "running" { // what halted stands still already, and stays what a person has to look at
		return err
	}
	row.State = "paused"
	if err := updateRollout(ctx, tx, row); err != nil {
		return fmt.Errorf("pause a roll-out: %w", err)
	}
	return r.record(ctx, tx, by, "rollout.pause", "rollout:"+id, nil)
}

// Resume lets a roll-out go on that was paused, or halted: what is bad in its open
// ring is looked over from now on, since a person has looked at it.
//
// Faults: rollout.unknown, rollout.ended.
func (r *Room) Resume(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, id string) error {
	row, err := r.openRollout(ctx, tx, tenantID, id)
	if err != nil {
		return err
	}
	now := r.Clock.Now()
	items, err := rolloutItems(ctx, tx, id, row.Ring)
	if err != nil {
		return fmt.Errorf("read a roll-out: %w", err)
	}
	var accepted []string
	for _, d := range judge(items, row, now) {
		if d.bad != "" || row.State == "halted" && d.met && !(d.good && d.proven) {
			accepted = append(accepted, d.id)
		}
	}
	if err := acceptDevices(ctx, tx, id, accepted); err != nil {
		return fmt.Errorf("resume a roll-out: %w", err)
	}
	row.State, row.Reason, row.CheckedAt = "running", "", sqldb.Time{}
	if err := updateRollout(ctx, tx, row); err != nil {
		return fmt.Errorf("resume a roll-out: %w", err)
	}
	return r.record(ctx, tx, by, "rollout.resume", "rollout:"+id, map[string]any{"looked_over": len(accepted)})
}

// openRollout locks one that has not ended.
func (r *Room) openRollout(ctx context.Context, tx *sqldb.Tx, tenantID, id string) (rolloutRow, error) {
	row, err := rolloutByID(ctx, tx, tenantID, id, tx.ForUpdate())
	if errors.Is(err, sqldb.ErrNoRows) {
		return row, rolloutUnknown(id)
	}
	if err != nil {
		return row, fmt.Errorf("read a roll-out: %w", err)
	}
	if row.State == "done" || row.State == "aborted" {
		return row, fault.New(fault.Conflict, "rollout.ended", "The roll-out of %s has ended. To go back, take the change back: ranzen profile rollback, ranzen unassign.", mdm.Clean(row.Title))
	}
	return row, nil
}
