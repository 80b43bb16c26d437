package profiles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Asked is how a person wants a change to be made. The zero value does it.
type Asked struct {
	DryRun bool   // only say what it would do; the caller rolls back
	Hash   string // of the plan that was looked at: another one is refused

	Rollout  string        // "now", "rings"; "": rings from ManyDevices on
	Soak     time.Duration // that a ring must have been good; 0 is DefaultSoak
	By       audit.Actor   // whose the roll-out is
	TenantID string        // of By; "": the provider's

	undoing bool // a roll-out is aborted: what it is about may change
}

// How a change reaches tablets.
const (
	RolloutNow   = "now"
	RolloutRings = "rings"
)

// ManyDevices is from how many tablets on a change is large: its plan warns of
// their number, and is worked out only when it is asked for.
const ManyDevices = 50

// collector learns what a change touches while it is made.
type collector struct {
	ids    map[string]bool
	things map[thing]bool
	scopes map[Scope]bool // that the change is about
	whole  bool           // devices or groups changed: everything wished of them may differ
	notes  []string       // what changes in the wishes themselves, for the hash
	undo   []undo         // how to take the change back, in the order in which it was made
}

type collectorKey struct{}

func collecting(ctx context.Context) *collector {
	c, _ := ctx.Value(collectorKey{}).(*collector)
	return c
}

// touch notes that a change is about single items, so that its plan looks at
// these only. Who touches marks with mark, not with Mark.
func (r *Room) touch(ctx context.Context, th thing) {
	if c := collecting(ctx); c != nil {
		c.things[th] = true
	}
}

// note has a change of the wishes themselves count for the plan's hash.
func (r *Room) note(ctx context.Context, text string) {
	if c := collecting(ctx); c != nil {
		c.notes = append(c.notes, text)
	}
}

// Propose makes a change and tells what it does to tablets: before is what
// everybody else sees, after is what tx sees. Nothing is sent here; what differs
// is derived again by Reconcile once tx is committed. A large change of profiles
// and apps reaches tablets in rings, unless it shall not; changes of tablets and
// groups reach them at once. With DryRun the caller must roll back. The plan of a
// large change that is made at once and that nobody asked for is empty.
//
// Faults: those of change; plan.moved, rollout.running, rollout.places.
func (r *Room) Propose(ctx context.Context, tx *sqldb.Tx, a Asked, change func(ctx context.Context, tx *sqldb.Tx) error) (Plan, error) {
	c := &collector{ids: map[string]bool{}, things: map[thing]bool{}, scopes: map[Scope]bool{}}
	if err := change(context.WithValue(ctx, collectorKey{}, c), tx); err != nil {
		return Plan{}, err
	}
	if !a.undoing {
		if err := r.free(ctx, r.DB, c.things); err != nil {
			return Plan{}, err
		}
	}
	if a.Rollout == RolloutRings && c.whole {
		return Plan{}, fault.New(fault.Invalid, "rollout.places", "Moving devices and changing groups takes effect at once; only changes of profiles and apps go in rings.").On("rollout")
	}
	atOnce := a.Rollout == RolloutNow || c.whole
	if atOnce && len(c.ids) >= ManyDevices && a.Hash == "" && !a.DryRun {
		return Plan{Rollout: RolloutNow}, nil // nobody asked, and it would take longer than the change
	}
	p, err := r.preview(ctx, tx, c)
	if err != nil {
		return Plan{}, err
	}
	if a.Hash != "" && a.Hash != p.Hash {
		return Plan{}, fault.New(fault.Conflict, "plan.moved",
			"Something changed since the plan was made, so that it would do something else now. Nothing was changed: look at the new plan, then apply that.").On("plan")
	}
	if p.Rollout = RolloutNow; atOnce || p.Devices == 0 || a.Rollout == "" && p.Devices < ManyDevices {
		p.warnOfMany(!atOnce)
		return p, nil
	}
	if p.Rollout = RolloutRings; !a.DryRun {
		p.RolloutID, err = r.begin(ctx, tx, a, p, c)
	}
	return p, err
}

// hash is the same for the same consequences, whoever works them out and when.
func (p Plan) hash(notes []string) string {
	h := sha256.New()
	for _, n := range notes {
		fmt.Fprintf(h, "%q\n", n)
	}
	for _, list := range [][]Change{p.Changes, p.Blocked} {
		for _, c := range list {
			fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s\x00%s\x00%s\n", c.DeviceID, c.Kind, c.owner, c.Item, c.Action, c.from, c.to)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func sorted[K interface{ ~string }](set map[K]bool) []K { return slices.Sorted(maps.Keys(set)) }
