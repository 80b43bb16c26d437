package profiles

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Codes of conflicts.
const (
	sameNetwork      = "wifi-same-ssid"
	otherRestriction = "restriction"
	otherPasscode    = "passcode"
	secondOfOne      = "single-payload"
)

// Conflict is what profiles that are wished of one tablet disagree about, and what
// comes of it there.
type Conflict struct {
	Code      string          `json:"code" enum:"wifi-same-ssid,restriction,passcode,single-payload"`
	Key       string          `json:"key" doc:"What they disagree about: a key of the payload, the SSID, or the payload type"`
	Items     []Disagreeing   `json:"items"`
	Effective json.RawMessage `json:"effective" doc:"The value that holds on the iPad; null where that is undefined, and for a whole payload"`
	Undefined bool            `json:"undefined" doc:"Apple does not say which of them holds; mostly the one installed last"`
	Text      string          `json:"text"`
	Devices   int             `json:"devices,omitempty" doc:"On how many; not of a single device"`
	Serials   []string        `json:"serials,omitempty" doc:"The first ten of them"`

	id string // the same for the same conflict on whatever tablet
}

// Disagreeing is one of them.
type Disagreeing struct {
	ItemID  string          `json:"item_id"`
	Item    string          `json:"item" doc:"Name of the profile"`
	Version int64           `json:"version"`
	Value   json.RawMessage `json:"value" doc:"What it says; null for a whole payload, which may hold a secret"`

	is string // of a whole payload, by which they are told apart
}

// Cursor names a conflict in a list; it is the same from one call to the next.
func (c Conflict) Cursor() string {
	sum := sha256.Sum256([]byte(c.id))
	return hex.EncodeToString(sum[:12])
}

// about is what a conflict may be about.
type about struct{ code, key string }

// conflicts compares all that is wished of one tablet. It is pure; what cannot be
// there, and what does nothing there, disagrees with nothing.
func conflicts(wish map[thing]wanted) []Conflict {
	said := map[about][]Disagreeing{}
	for th, w := range wish {
		if !w.rivals() {
			continue
		}
		add := func(code, key string, d Disagreeing) {
			d.ItemID, d.Item, d.Version = th.ID, w.Name, w.Version
			said[about{code, key}] = append(said[about{code, key}], d)
		}
		values := func(code, payloadType string, s settings) {
			for key, v := range s {
				if !w.Fit.idle(payloadType, key) {
					add(code, key, Disagreeing{Value: v})
				}
			}
		}
		values(otherRestriction, restrictionsType, w.Traits.Restrictions)
		values(otherPasscode, passcodeType, w.Traits.Passcode)
		for ssid, digest := range w.Traits.Networks {
			add(sameNetwork, ssid, Disagreeing{is: digest})
		}
		for kind, digest := range w.Traits.Singles {
			add(secondOfOne, kind, Disagreeing{is: digest})
		}
	}
	var out []Conflict
	for what, items := range said {
		if slices.ContainsFunc(items, func(d Disagreeing) bool { return d.content() != items[0].content() }) {
			out = append(out, conflictOf(what, items))
		}
	}
	slices.SortFunc(out, func(a, b Conflict) int {
		return cmp.Or(strings.Compare(a.Code, b.Code), strings.Compare(a.Key, b.Key))
	})
	return out
}

// rivals tells whether an item may disagree with another at all.
func (w wanted) rivals() bool {
	return w.Blocked == "" && w.Traits != nil && len(w.Traits.Restrictions)+len(w.Traits.Passcode)+len(w.Traits.Networks)+len(w.Traits.Singles) > 0
}

// idle tells whether a key does nothing on the tablet.
func (f *fit) idle(payloadType, key string) bool {
	return f != nil && slices.ContainsFunc(f.lacks, func(l lack) bool { return l.need.Path == payloadType && slices.Contains(l.need.Keys, key) })
}

func (d Disagreeing) content() string { return string(d.Value) + d.is }

func conflictOf(what about, items []Disagreeing) Conflict {
	slices.SortFunc(items, func(a, b Disagreeing) int {
		return cmp.Or(strings.Compare(a.Item, b.Item), strings.Compare(a.ItemID, b.ItemID))
	})
	c := Conflict{Code: what.code, Key: what.key, Items: items, Undefined: true}
	values := make([]json.RawMessage, len(items))
	id := []string{c.Code, c.Key}
	for i, d := range items {
		values[i] = d.Value
		id = append(id, d.ItemID, d.content())
	}
	of := map[string]string{otherRestriction: restrictionsType, otherPasscode: passcodeType}[c.Code]
	if v, told := combine(ruleOf(of, c.Key), values); told {
		c.Effective, c.Undefined = v, false
	}
	c.id, c.Text = strings.Join(id, "\x00"), c.text()
	return c
}

// names are the items, as people write them.
func (c Conflict) names() string {
	names := make([]string, len(c.Items))
	for i, d := range c.Items {
		names[i] = d.Item
	}
	if n := len(names) - 5; n > 0 {
		names = append(names[:5], fmt.Sprintf("%d more", n))
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

const undefined = " Apple does not say which holds, mostly the one installed last: take one of them back."

func (c Conflict) text() string {
	switch c.Code {
	case sameNetwork:
		return fmt.Sprintf("%s have different settings for the Wi-Fi network %s.", c.names(), c.Key) + undefined
	case secondOfOne:
		return fmt.Sprintf("%s each hold a payload %s, of which an iPad takes one, and they differ.", c.names(), c.Key) + undefined
	}
	say := make([]string, 0, len(c.Items))
	for _, d := range c.Items[:min(5, len(c.Items))] {
		say = append(say, d.Item+": "+spoken(d.Value))
	}
	s := fmt.Sprintf("%s disagree on %s (%s).", c.names(), c.Key, strings.Join(say, "; "))
	if c.Undefined {
		return s + undefined
	}
	return s + fmt.Sprintf(" On the iPad %s holds.", spoken(c.Effective))
}

// clasher works out each set of profiles once, of which there are few in the
// largest fleet.
type clasher struct {
	known map[string][]Conflict
	fits  map[*fit]int
}

func newClasher() *clasher { return &clasher{known: map[string][]Conflict{}, fits: map[*fit]int{}} }

// maxClashes bounds what is remembered of a fleet in which no two are alike.
const maxClashes = 10_000

// of is conflicts; the answer is shared, not to be changed.
func (c *clasher) of(wish map[thing]wanted) []Conflict {
	var buf [8]thing
	list := buf[:0]
	for th, w := range wish {
		if w.rivals() {
			list = append(list, th)
		}
	}
	if len(list) < 2 {
		return nil
	}
	slices.SortFunc(list, compareThings)
	key := make([]byte, 0, 48*len(list))
	for _, th := range list {
		w := wish[th]
		n, met := c.fits[w.Fit]
		if !met {
			n = len(c.fits)
			c.fits[w.Fit] = n
		}
		key = append(append(key, th.ID...), ' ')
		key = append(strconv.AppendInt(key, w.Version, 10), ' ')
		key = append(strconv.AppendInt(key, int64(n), 10), '\n')
	}
	got, met := c.known[string(key)]
	if !met {
		if len(c.known) == maxClashes {
			clear(c.known)
		}
		got = conflicts(wish)
		c.known[string(key)] = got
	}
	return got
}

// weighConflicts finds what disagrees after a change and did not before.
func (w *weigher) weighConflicts(f DeviceFacts, before, after map[thing]wanted) {
	now := w.clashes.of(after)
	if len(now) == 0 {
		return
	}
	old := map[string]bool{}
	for _, c := range w.clashes.of(before) {
		old[c.id] = true
	}
	warned := map[string]bool{}
	for _, c := range now {
		if old[c.id] {
			continue
		}
		g := w.brings.of(c)
		if !warned[g.id] {
			warned[g.id] = true
			if g.devices++; len(g.serials) < hazardSerials {
				g.serials = append(g.serials, f.Serial)
			}
		}
	}
}

// brought gathers the conflicts that a change brings by who disagrees: two
// profiles may differ in a hundred keys, and that is one thing to know.
type brought map[string]*clash

type clash struct {
	id      string
	one     Conflict
	keys    map[string]bool
	devices int
	serials []string
}

func (b brought) of(c Conflict) *clash {
	id := c.id
	if c.Code == otherRestriction || c.Code == otherPasscode {
		parts := []string{c.Code, strconv.FormatBool(c.Undefined)}
		for _, d := range c.Items {
			parts = append(parts, d.ItemID, strconv.FormatInt(d.Version, 10))
		}
		id = strings.Join(parts, "\x00")
	}
	g := b[id]
	if g == nil {
		g = &clash{id: id, one: c, keys: map[string]bool{}}
		b[id] = g
	}
	g.keys[c.Key] = true
	return g
}

// maxBrought is how many hazards one plan tells of conflicts.
const maxBrought = 20

// hazards are the conflicts a change brings, in words, those first that concern most.
func (b brought) hazards() []Hazard {
	list := slices.SortedFunc(maps.Values(b), func(x, y *clash) int {
		return cmp.Or(y.devices-x.devices, strings.Compare(x.id, y.id))
	})
	out := make([]Hazard, 0, min(len(list), maxBrought))
	for _, g := range list[:min(len(list), maxBrought)] {
		text := g.one.text()
		if keys := slices.Sorted(maps.Keys(g.keys)); len(keys) > 1 {
			say := "On the iPad the stricter holds."
			if g.one.Undefined {
				say = strings.TrimSpace(undefined)
			}
			text = fmt.Sprintf("%s disagree on %d keys: %s. %s", g.one.names(), len(keys), spoken(set(keys)), say)
		}
		out = append(out, Hazard{Code: "conflict", Devices: g.devices, Serials: g.serials, Text: counted(g.devices, "On 1 iPad: ", "On %d iPads: ") + text})
	}
	if n := len(list) - maxBrought; n > 0 {
		out[maxBrought-1].Text += fmt.Sprintf(" And %d more conflicts; ranzen conflicts shows them once it is done.", n)
	}
	return out
}
