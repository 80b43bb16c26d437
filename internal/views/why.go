package views

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Why is why a device has, lacks or waits for one profile or app.
type Why struct {
	Item     string     `json:"item"`
	Kind     string     `json:"kind" enum:"profile,app"`
	State    string     `json:"state" enum:"pending,sent,acknowledged,installed,removing,removed,failed,blocked,draft,excluded,not_assigned"`
	Version  int64      `json:"version" doc:"The version wished; 0: none"`
	Because  []Because  `json:"because" doc:"The assignments that speak of this device"`
	LastSeen *time.Time `json:"last_seen" doc:"When the device was last in contact"`
	WaitsFor string     `json:"waits_for" doc:"What it waits for, in words; empty: nothing"`
	Code     string     `json:"code" doc:"The same, for programs"`
	Evidence []Proof    `json:"evidence" doc:"What is known, oldest first"`
	NextStep string     `json:"next_step" doc:"The one safest thing to do; empty: nothing"`
	Limits   []WhyLimit `json:"limits" doc:"What of a profile does nothing on this device"`
	Text     string     `json:"text" doc:"All of it in plain language"`

	Conflicts []WhyConflict `json:"conflicts" doc:"What it and other profiles on the device disagree about"`
}

// Because is one assignment.
type Because struct {
	Assignment string    `json:"assignment" doc:"Its id"`
	Scope      string    `json:"scope" example:"class:SAT/3b/2026/27"`
	Exclude    bool      `json:"exclude" doc:"It keeps the item from the device"`
	By         string    `json:"by"`
	At         time.Time `json:"at"`
}

// Proof is one thing that is known, from when and whom.
type Proof struct {
	What   string    `json:"what" enum:"assigned,queued,sent,not_now,acknowledged,observed,absent,undone,error,contact"`
	At     time.Time `json:"at"`
	Source string    `json:"source" example:"ProfileList"`
	Text   string    `json:"text,omitempty"`
}

// WhyDevice is why a device has what it has.
type WhyDevice struct {
	Device   string     `json:"device" doc:"Its serial number"`
	State    string     `json:"enrollment_state"`
	LastSeen *time.Time `json:"last_seen"`
	Items    []Why      `json:"items"`
}

// whyCommand is the newest command about an item.
type whyCommand struct {
	DedupeKey  string     `db:"dedupe_key"`
	State      string     `db:"state"`
	Status     string     `db:"status"`
	NotBefore  sqldb.Time `db:"not_before"`
	CreatedAt  sqldb.Time `db:"created_at"`
	SentAt     sqldb.Time `db:"sent_at"`
	AnsweredAt sqldb.Time `db:"answered_at"`
	Errors     string     `db:"errors"`
}

// whyRollout is a roll-out that keeps an item as it was.
type whyRollout struct {
	Kind   string `db:"item_kind"`
	ItemID string `db:"item_id"`
	Ring   int64  `db:"ring"`
	ID     string `db:"id"`
	Open   int64  `db:"open_ring"`
	State  string `db:"state"`
	Reason string `db:"reason"`
}

type whyWish struct {
	ID        string     `db:"id"`
	Kind      string     `db:"item_kind"`
	ItemID    string     `db:"item_id"`
	Name      string     `db:"name"`
	Version   int64      `db:"version"`
	Owner     string     `db:"owner"`
	ScopeKind string     `db:"scope_kind"`
	ScopeID   string     `db:"scope_id"`
	Exclude   bool       `db:"exclude"`
	By        string     `db:"created_by"`
	At        sqldb.Time `db:"created_at"`
}

const whyWishOf = `SELECT a.id, a.item_kind, a.item_id, COALESCE(p.name, x.name, a.item_id) AS name, COALESCE(p.version, x.version, 1) AS version,
		COALESCE(p.tenant_id, x.tenant_id, '') AS owner, a.scope_kind, a.scope_id, a.exclude, a.created_by, a.created_at
	FROM assignments a LEFT JOIN profiles p ON a.item_kind = 'profile' AND p.id = a.item_id
	LEFT JOIN apps x ON a.item_kind = 'app' AND x.id = a.item_id`

const whyWishes = whyWishOf + `
	WHERE a.scope_kind = 'all' OR a.scope_kind IN ('tenant', 'school', 'site', 'class', 'cart', 'group', 'device') AND a.scope_id IN (?)
	ORDER BY a.created_at, a.id`

// whyCase is all that is known of one item on one device.
type whyCase struct {
	device  Detail
	row     *Item // what was planned and seen; nil: not yet
	wishes  []whyWish
	called  map[schools.Scope]schools.Called
	command *whyCommand
	held    *whyRollout // by a roll-out whose ring for this device is closed
	kind    string
	id      string
	name    string
	version int64
	needs   []catalogue.Need // of the published version
	clashes []Clash          // of all that is wished of the device
}

// Why tells of one profile or app, or with what "" of all that are wished of a
// device or on it: why it is there, is not, or waits. in are the scopes that the
// device is in, called their names; clashes what is wished of it disagrees about;
// lang is "de" or "en". It costs the same few statements whatever the size of the
// fleet.
func (r *Room) Why(ctx context.Context, q sqldb.Queryer, deviceID, what, lang string, in []schools.Scope, called map[schools.Scope]schools.Called, clashes []Clash) (WhyDevice, error) {
	d, err := r.detail(ctx, q, deviceID)
	if err != nil {
		return WhyDevice{}, err
	}
	cases, err := r.whyCases(ctx, q, d, what, in, called)
	if err != nil {
		return WhyDevice{}, err
	}
	out := WhyDevice{Device: d.Serial, State: d.State, LastSeen: d.LastSeen, Items: []Why{}}
	now := r.clk.Now()
	for _, c := range cases {
		c.clashes = clashes
		out.Items = append(out.Items, c.why(now, lang))
	}
	return out, nil
}

func (r *Room) whyCases(ctx context.Context, q sqldb.Queryer, d Detail, what string, in []schools.Scope, called map[schools.Scope]schools.Called) ([]*whyCase, error) {
	ids := []string{d.ID}
	for _, s := range in {
		ids = append(ids, s.ID)
	}
	var rows []whyWish
	if err := q.Select(ctx, &rows, whyWishes, ids); err != nil {
		return nil, fmt.Errorf("why: %w", err)
	}
	tenant, by := schools.TenantOf(in), map[string]*whyCase{}
	at := func(kind, id, name string) *whyCase {
		k := kind + ":" + id
		if by[k] == nil {
			by[k] = &whyCase{device: d, called: called, kind: kind, id: id, name: name}
		}
		return by[k]
	}
	for _, w := range rows {
		if w.concerns(in) {
			c := at(w.Kind, w.ItemID, w.Name)
			c.wishes, c.version = append(c.wishes, w), w.Version
		}
	}
	for i, it := range d.Items {
		at(it.Kind, it.ID, it.Name).row = &d.Items[i]
	}
	if what != "" {
		if err := r.onlyNamed(ctx, q, what, tenant, by, at); err != nil {
			return nil, err
		}
	}
	list := make([]*whyCase, 0, len(by))
	for _, c := range by {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *whyCase) int {
		return cmp.Or(strings.Compare(b.kind, a.kind), strings.Compare(a.name, b.name), strings.Compare(a.id, b.id))
	})
	if err := r.whyNeeds(ctx, q, list); err != nil {
		return nil, err
	}
	if err := r.whyRollouts(ctx, q, d, by); err != nil {
		return nil, err
	}
	return list, r.whyCommands(ctx, q, d, by)
}

// whyRollouts finds what keeps items as they were until a ring opens.
func (r *Room) whyRollouts(ctx context.Context, q sqldb.Queryer, d Detail, by map[string]*whyCase) error {
	var rows []whyRollout
	err := q.Select(ctx, &rows, `SELECT d.item_kind, d.item_id, d.ring, o.id, o.ring AS open_ring, o.state, o.reason
		FROM rollout_devices d JOIN rollouts o ON o.id = d.rollout_id WHERE d.enrollment_id = ? AND d.ring > o.ring`, d.EnrollmentID)
	if err != nil {
		return fmt.Errorf("why: %w", err)
	}
	for i, row := range rows {
		if c := by[row.Kind+":"+row.ItemID]; c != nil {
			c.held = &rows[i]
		}
	}
	return nil
}

// onlyNamed leaves what a person asked for, although nobody may wish it there.
func (r *Room) onlyNamed(ctx context.Context, q sqldb.Queryer, what, tenant string, by map[string]*whyCase, at func(kind, id, name string) *whyCase) error {
	what = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(what, ""), "\x00", ""))
	var rows []struct {
		Kind string `db:"kind"`
		ID   string `db:"id"`
		Name string `db:"name"`
	}
	err := q.Select(ctx, &rows, `SELECT 'profile' AS kind, p.id, p.name FROM profiles p WHERE p.name = ? AND p.removed_at IS NULL AND p.tenant_id IN ('', ?)
		UNION ALL SELECT 'app', x.id, x.name FROM apps x WHERE x.name = ? AND x.removed_at IS NULL AND x.tenant_id IN ('', ?)`, what, tenant, what, tenant)
	if err != nil {
		return fmt.Errorf("why: %w", err)
	}
	for _, row := range rows {
		at(row.Kind, row.ID, row.Name)
	}
	for k, c := range by {
		if c.name != what {
			delete(by, k)
		}
	}
	if len(by) == 0 {
		return fault.New(fault.NotFound, "item.unknown", "There is no profile and no app called %s. See `ranzen profile list` and `ranzen app list`.", mdm.Clean(what)).On("what")
	}
	return nil
}

// whyCommands finds the newest command about each item.
func (r *Room) whyCommands(ctx context.Context, q sqldb.Queryer, d Detail, by map[string]*whyCase) error {
	keys := make([]string, 0, len(by))
	for k := range by {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for part := range slices.Chunk(keys, 500) {
		var rows []whyCommand
		err := q.Select(ctx, &rows, `SELECT k.dedupe_key, k.state, k.status, k.not_before, k.created_at, k.sent_at, k.answered_at, k.errors FROM commands k
			WHERE k.id IN (SELECT MAX(x.id) FROM commands x WHERE x.enrollment_id = ? AND x.generation = ? AND x.dedupe_key IN (?) GROUP BY x.dedupe_key)`,
			d.EnrollmentID, d.Generation, part)
		if err != nil {
			return fmt.Errorf("why: %w", err)
		}
		for i := range rows {
			by[rows[i].DedupeKey].command = &rows[i]
		}
	}
	return nil
}

func (c *whyCase) why(now time.Time, lang string) Why {
	w := Why{Item: c.name, Kind: c.kind, State: c.state(), Because: c.because(), LastSeen: c.device.LastSeen, Evidence: c.evidence(now, lang)}
	if w.State != "not_assigned" && w.State != "excluded" && w.State != "removed" {
		w.Version = c.version
		if c.row != nil && c.row.Version > 0 {
			w.Version = c.row.Version
		}
	}
	waits, next := c.waits(now, w.State)
	in := func(t text) string {
		if lang == "de" {
			return t.de
		}
		return t.en
	}
	if waits != nil {
		w.Code, w.WaitsFor = waits.Code, in(text{waits.TextDE, waits.TextEN})
	}
	w.NextStep = in(next)
	w.Limits, w.Conflicts = c.limits(w.State, lang), c.conflicts(lang)
	said := []string{in(c.reason(w.State)), w.WaitsFor, w.NextStep}
	for _, l := range w.Limits {
		said = append(said, l.Text)
	}
	said = append(said, sentences(w.Conflicts, lang)...)
	w.Text = strings.TrimSpace(strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), " "))
	return w
}

// wished tells whether an assignment brings the item, and none keeps it away.
func (c *whyCase) wished() (yes, kept bool) {
	for _, w := range c.wishes {
		if w.Exclude {
			kept = true
		} else {
			yes = true
		}
	}
	return yes && !kept, kept
}

func (c *whyCase) state() string {
	wished, kept := c.wished()
	switch {
	case wished && c.version == 0 && (c.row == nil || !c.row.Desired):
		return "draft"
	case c.row != nil && (c.row.Desired || c.row.State != "removed"):
		return c.row.State
	case wished:
		return "pending"
	case c.row != nil && c.row.Observed != nil:
		return c.row.State
	case kept:
		return "excluded"
	case c.row != nil && c.row.SentAt != nil:
		return "removed"
	}
	return "not_assigned"
}

func (c *whyCase) because() []Because {
	out := []Because{}
	for _, w := range c.wishes {
		out = append(out, Because{Assignment: w.ID, Scope: c.scope(w), Exclude: w.Exclude, By: w.By, At: w.At.Time})
	}
	return out
}

// scope is how people write it.
func (c *whyCase) scope(w whyWish) string {
	if w.ScopeKind == "all" {
		return "all"
	}
	return w.ScopeKind + ":" + cmp.Or(c.called[schools.Scope{Kind: w.ScopeKind, ID: w.ScopeID}].Name, w.ScopeID)
}

func (c *whyCase) evidence(now time.Time, lang string) []Proof {
	out := []Proof{}
	add := func(what string, at *time.Time, source, text string) {
		if at != nil && !at.IsZero() {
			out = append(out, Proof{what, *at, source, text})
		}
	}
	for _, w := range c.wishes {
		if !w.Exclude {
			add("assigned", &w.At.Time, "assignment "+w.ID, c.scope(w))
		}
	}
	if k := c.command; k != nil {
		add("queued", &k.CreatedAt.Time, "server", "")
		if k.State == "deferred" || k.Status == "NotNow" {
			add("not_now", &k.AnsweredAt.Time, "device", "NotNow")
		}
		for _, e := range c.errors() {
			add("error", &k.AnsweredAt.Time, "device", appleError(e, lang))
		}
	}
	if it := c.row; it != nil {
		list := map[string]string{"profile": "ProfileList", "app": "ManagedApplicationList"}[c.kind]
		add("sent", it.SentAt, "server", "")
		add("acknowledged", it.AcknowledgedAt, "device", "Acknowledged")
		if it.Observed != nil {
			add("observed", it.ObservedAt, list, fmt.Sprintf("version %d", *it.Observed))
		} else {
			add("absent", it.ObservedAt, list, "")
		}
		for i := range it.Undone {
			add("undone", &it.Undone[i], list, "")
		}
	}
	add("contact", c.device.LastSeen, "device", "")
	slices.SortStableFunc(out, func(a, b Proof) int { return a.At.Compare(b.At) })
	return out
}

// errors is Apple's chain in the newest answer.
func (c *whyCase) errors() (chain []mdm.ErrorItem) {
	if c.command != nil && c.command.Errors != "" {
		_ = json.Unmarshal([]byte(c.command.Errors), &chain) // written by us; shown without rather than not at all
	}
	return chain
}
