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
	DryRun  bool          // only say what it would do; the caller rolls back
	Hash    string        // of the plan that was looked at: another one is refused
	Rollout string        // "now", "rings", or "" for rings where many tablets are touched
	Soak    time.Duration // how long a ring must stay good; 0 is DefaultSoak
}

// Limits of a change.
const (
	// ManyDevices is from how many tablets on a change goes out in rings unless
	// somebody says otherwise.
	ManyDevices = 50
	// DefaultSoak is how long a ring must stay good before the next one opens.
	DefaultSoak = 5 * time.Minute
)

// Op is one step of the way back: what a change did, the other way round.
type Op struct {
	Do       string `json:"do"` // "assign", "unassign", "publish"
	Kind     string `json:"kind"`
	ItemID   string `json:"item_id"`
	Scope    Scope  `json:"scope"`
	TenantID string `json:"tenant_id,omitempty"`
	Exclude  bool   `json:"exclude,omitempty"`
	Version  int64  `json:"version,omitempty"`
	By       string `json:"by,omitempty"` // whose wish it was
}

// collector learns what a change touches while it is made.
type collector struct {
	ids    map[string]bool
	things map[thing]bool
	whole  bool // devices or groups changed: everything wished of them may differ
	undo   []Op
	notes  []string // what changes in the wishes themselves, for the hash
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

// undoable notes the inverse of what was just done.
func (r *Room) undoable(ctx context.Context, op Op) {
	if c := collecting(ctx); c != nil {
		c.undo = append(c.undo, op)
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
// is derived again by Reconcile once tx is committed. With DryRun the caller must
// roll back. What goes out now, unseen, is not worked out: its plan is empty.
//
// Faults: those of change; plan.moved, rollout.unknown.
func (r *Room) Propose(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, a Asked, change func(ctx context.Context, tx *sqldb.Tx) error) (Plan, error) {
	if a.Rollout != "" && a.Rollout != "now" && a.Rollout != "rings" {
		return Plan{}, fault.New(fault.Invalid, "rollout.unknown", "A change goes out now or in rings, not %q.", a.Rollout).On("rollout")
	}
	c := &collector{ids: map[string]bool{}, things: map[thing]bool{}}
	if err := change(context.WithValue(ctx, collectorKey{}, c), tx); err != nil {
		return Plan{}, err
	}
	if a.Rollout == "now" && a.Hash == "" && !a.DryRun {
		return Plan{}, nil // nobody asked what it does
	}
	p, err := r.preview(ctx, tx, c)
	if err != nil {
		return Plan{}, err
	}
	if a.Hash != "" && a.Hash != p.Hash {
		return Plan{}, fault.New(fault.Conflict, "plan.moved",
			"Something changed since the plan was made, so that it would do something else now. Nothing was changed: look at the new plan, then apply that.").On("plan")
	}
	if a.DryRun || a.Rollout == "now" || p.reach() == 0 || a.Rollout == "" && p.Devices < ManyDevices {
		return p, nil
	}
	soak := a.Soak
	if soak == 0 {
		soak = DefaultSoak
	}
	slices.Reverse(c.undo) // last done, first undone
	p.Rollout, err = r.beginRollout(ctx, tx, by, tenantID, p.title(), p.Changes, c.undo, soak)
	return p, err
}

// reach is how many changes something can be sent for.
func (p Plan) reach() (n int) {
	for _, c := range p.Changes {
		if c.Action == ActInstall || c.Action == ActUpdate || c.Action == ActRemove {
			n++
		}
	}
	return n
}

func (p Plan) title() string {
	first := p.Changes[0]
	text := fmt.Sprintf("%s %s", first.Action, first.Item)
	kinds := map[string]bool{}
	for _, c := range p.Changes {
		kinds[c.Kind+c.ItemID+c.Action] = true
	}
	if n := len(kinds) - 1; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
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
