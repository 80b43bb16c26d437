package profiles

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Plan is what a change does to tablets, before it does it.
type Plan struct {
	Hash    string   `json:"hash" doc:"Say it when applying: if something moved since, nothing is changed"`
	Devices int      `json:"devices" doc:"How many are touched"`
	Changes []Change `json:"changes"`
	Blocked []Change `json:"blocked" doc:"Wished, and cannot be there; the reason says why"`
	Hazards []Hazard `json:"hazards"`
	Waiting []Hazard `json:"waiting" doc:"Who gets it later than the others, and why"`
	Limits  []Limit  `json:"limits" doc:"What of a profile does nothing on some of the devices that get it"`

	Rollout   string `json:"rollout" enum:"now,rings" doc:"Whether it reaches the devices at once, or ring by ring"`
	RolloutID string `json:"rollout_id,omitempty" doc:"The roll-out that it began"`
}

// What happens to an item on a tablet.
const (
	ActInstall  = "install"
	ActUpdate   = "update"
	ActRemove   = "remove"
	ActAsk      = "ask"      // wished no more; it stays until a person confirms that its data is lost
	ActWithdraw = "withdraw" // wished no more, and it was not there yet
	ActNone     = "none"     // wished from now on, and there already
)

// Change is what happens to one item on one tablet.
type Change struct {
	DeviceID     string `json:"device_id"`
	EnrollmentID string `json:"-"`
	Serial       string `json:"device" doc:"Its serial number"`
	Kind         string `json:"kind" enum:"profile,app"`
	ItemID       string `json:"item_id"`
	Item         string `json:"item" doc:"Name of the profile or app"`
	Action       string `json:"action" enum:"install,update,remove,ask,withdraw,none,blocked"`
	Reason       string `json:"reason"`
	From         *int64 `json:"from" doc:"Version that was wished before"`
	To           *int64 `json:"to"`
	HoldsData    bool   `json:"holds_data,omitempty"`

	owner, from, to string // for the hash: whose item it is, and what is in the versions
}

// Hazard is what somebody should know before.
type Hazard struct {
	Code    string   `json:"code"`
	Text    string   `json:"text"`
	Devices int      `json:"devices"`
	Serials []string `json:"serials" doc:"The first ten of them"`
}

// Short is the plan without the lists that are as long as the fleet.
func (p Plan) Short() Plan {
	p.Changes, p.Blocked = []Change{}, []Change{}
	if p.Hazards == nil {
		p.Hazards = []Hazard{}
	}
	if p.Waiting == nil {
		p.Waiting = []Hazard{}
	}
	if p.Limits == nil {
		p.Limits = []Limit{}
	}
	return p
}

// look is all that a preview compares, of one side.
type look struct {
	facts  map[string]DeviceFacts
	scopes map[string][]schools.Scope
	wish   map[string]map[thing]wanted
}

// preview compares what is wished of the touched tablets before and after.
func (r *Room) preview(ctx context.Context, tx *sqldb.Tx, c *collector) (Plan, error) {
	p := Plan{Changes: []Change{}, Blocked: []Change{}, Hazards: []Hazard{}, Waiting: []Hazard{}, Limits: []Limit{}}
	ids := sorted(c.ids)
	var only map[thing]bool
	if !c.whole {
		var err error
		if only, err = r.withNetworks(ctx, tx, c.things); err != nil {
			return p, err
		}
		if err = r.withRivals(ctx, tx, c.things, only); err != nil {
			return p, err
		}
	}
	after, err := r.look(ctx, tx, ids, only, nil)
	if err != nil {
		return p, err
	}
	var same *look
	if !c.whole {
		same = &after // only items changed: the tablets are what they were
	}
	before, err := r.look(ctx, r.DB, ids, only, same)
	if err != nil {
		return p, err
	}
	touched := c.things
	if c.whole {
		touched = nil
	}
	has, err := r.itemsNow(ctx, tx, ids, touched)
	if err != nil {
		return p, err
	}
	w := weigher{plan: &p, hazards: map[string]*Hazard{}, waiting: map[string]*Hazard{}, limits: map[lack]*Limit{}, clashes: newClasher(), brings: brought{}}
	for _, id := range ids {
		f, known := after.facts[id]
		if !known || !f.Active {
			continue
		}
		w.tablet(f, before.wish[id], after.wish[id], has[id], c)
	}
	if err := r.whoWaits(ctx, tx, c, &w); err != nil {
		return p, err
	}
	w.finish()
	if err := r.warnOfDrafts(ctx, tx, c.things, &p); err != nil {
		return p, err
	}
	p.Hash = p.hash(c.notes)
	return p, nil
}

// look reads one side; of tablets what is told already is not read again.
func (r *Room) look(ctx context.Context, q sqldb.Queryer, ids []string, only map[thing]bool, told *look) (l look, err error) {
	if told != nil {
		l.facts, l.scopes = told.facts, told.scopes
	} else {
		if l.facts, err = r.Facts.Facts(ctx, q, ids); err != nil {
			return l, err
		}
		devices := make([]string, 0, len(l.facts))
		for _, f := range l.facts {
			devices = append(devices, f.DeviceID)
		}
		slices.Sort(devices)
		if l.scopes, err = r.Schools.ScopesOf(ctx, q, devices); err != nil {
			return l, err
		}
	}
	l.wish, err = r.wishesOf(ctx, q, l.facts, l.scopes, only)
	return l, err
}

// withNetworks adds all profiles with a Wi-Fi network where one of them is
// touched: whether it was the only one is not told by itself.
func (r *Room) withNetworks(ctx context.Context, q sqldb.Queryer, things map[thing]bool) (map[thing]bool, error) {
	out := make(map[thing]bool, len(things))
	touched := false
	ids, err := networkProfiles(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("find profiles with a network: %w", err)
	}
	for th := range things {
		out[th] = true
		touched = touched || slices.Contains(ids, th.ID)
	}
	if touched {
		for _, id := range ids {
			out[thing{kindProfile, id}] = true
		}
	}
	return out, nil
}

func idsOf(things map[thing]bool) []string {
	ids := make([]string, 0, len(things))
	for th := range things {
		ids = append(ids, th.ID)
	}
	slices.Sort(ids)
	return ids
}

func (r *Room) itemsNow(ctx context.Context, q sqldb.Queryer, ids []string, only map[thing]bool) (map[string]map[thing]itemRow, error) {
	out := make(map[string]map[thing]itemRow, len(ids))
	names := idsOf(only)
	for part := range slices.Chunk(ids, chunk) {
		rows, err := itemsAmong(ctx, q, part, names)
		if err != nil {
			return nil, fmt.Errorf("read items: %w", err)
		}
		for _, row := range rows {
			if out[row.EnrollmentID] == nil {
				out[row.EnrollmentID] = map[thing]itemRow{}
			}
			out[row.EnrollmentID][row.thing()] = row
		}
	}
	return out, nil
}

// weigher turns two wishes into changes.
type weigher struct {
	plan    *Plan
	hazards map[string]*Hazard
	waiting map[string]*Hazard
	limits  map[lack]*Limit
	clashes *clasher
	brings  brought
	touched []DeviceFacts
}

func (w *weigher) tablet(f DeviceFacts, before, after map[thing]wanted, has map[thing]itemRow, c *collector) {
	things := tablet{wish: after, has: has}.things()
	for th := range before {
		if !slices.Contains(things, th) {
			things = append(things, th)
		}
	}
	slices.SortFunc(things, compareThings)
	n := len(w.plan.Changes)
	for _, th := range things {
		if !c.whole && !c.things[th] {
			continue
		}
		row, there := has[th]
		if there && row.Generation != f.Generation {
			row, there = itemRow{}, false
		}
		old, was := before[th]
		now, is := after[th]
		if ch, changed := weigh(old, was, now, is, row, there); changed {
			ch.DeviceID, ch.EnrollmentID, ch.Serial, ch.Kind, ch.ItemID = f.DeviceID, f.EnrollmentID, f.Serial, th.Kind, th.ID
			w.add(ch, now)
		}
	}
	if len(w.plan.Changes) > n {
		w.touched = append(w.touched, f)
		w.weighNetworks(f, before, after, c)
		w.weighConflicts(f, before, after)
	}
}

func (w *weigher) add(ch Change, now wanted) {
	if ch.Action != ActNone && now.Blocked != "" {
		ch.Action, ch.Reason = blocked, now.Blocked
		w.plan.Blocked = append(w.plan.Blocked, ch)
		return
	}
	w.plan.Changes = append(w.plan.Changes, ch)
	w.limit(ch, now)
	if ch.Action == ActAsk {
		w.warn("data-lost", ch.Serial)
	}
}

// weigh tells what becomes of one item.
func weigh(old wanted, was bool, now wanted, is bool, row itemRow, there bool) (Change, bool) {
	present := there && (row.Observed != nil || row.Sent != nil && row.State != removed)
	var ch Change
	if was {
		ch.From, ch.Item, ch.owner, ch.from, ch.HoldsData = &old.Version, old.Name, old.Owner, old.content(), old.HoldsData
	}
	if is {
		ch.To, ch.Item, ch.owner, ch.to, ch.HoldsData = &now.Version, now.Name, now.Owner, now.content(), now.HoldsData
	}
	switch {
	case was && is && old.content() == now.content() && old.Version == now.Version && old.Render == now.Render && old.Blocked == now.Blocked:
		return ch, false
	case is && there && fulfils(row.Kind, row.Observed, now.Version) && row.SeenRender == now.Render:
		ch.Action, ch.Reason = ActNone, "It is on the iPad already."
		if *row.Observed != now.Version {
			ch.Reason = "It is on the iPad in a later version, and iPadOS does not go back to an earlier one of an app."
		}
	case is && was && present && old.Version == now.Version && old.Render != now.Render:
		ch.Action, ch.Reason = ActUpdate, "Other values stand in it for this iPad now."
	case is && present:
		ch.Action, ch.Reason = ActUpdate, fmt.Sprintf("Version %d takes the place of the one that is there.", now.Version)
	case is:
		ch.Action, ch.Reason = ActInstall, "It is wished from now on."
		if was {
			ch.Reason = fmt.Sprintf("Version %d is wished now, and none is there yet.", now.Version)
		}
	case !was:
		return ch, false
	case present && (old.HoldsData || row.HoldsData):
		ch.Action, ch.Reason = ActAsk, "Nobody wishes it any more. It stays, with what was made with it, until its removal is confirmed (ranzen removal confirm)."
	case present:
		ch.Action, ch.Reason = ActRemove, "Nobody wishes it any more."
	default:
		ch.Action, ch.Reason = ActWithdraw, "Nobody wishes it any more, and it is not there yet."
	}
	return ch, true
}

// content tells versions apart by what is in them.
func (w wanted) content() string {
	digest := ""
	if w.Traits != nil {
		digest = w.Traits.Digest
	}
	if digest == "" {
		digest = strconv.FormatInt(w.Version, 10)
	}
	return digest + w.Render
}

func compareThings(a, b thing) int {
	if a.Kind != b.Kind {
		return strings.Compare(b.Kind, a.Kind)
	}
	return strings.Compare(a.ID, b.ID)
}
