package main

import (
	"fmt"
	"net/url"
	"time"
)

// Planning is how a change of wishes is made; every command that changes wishes
// embeds it.
type Planning struct {
	DryRun  bool          `help:"Only say what it would do to each device."`
	Plan    string        `placeholder:"HASH" help:"Do it only if it still does what the plan with this hash says."`
	Rollout string        `enum:",now,rings" default:"" help:"now: to all at once. rings: to one device of each site, then a tenth, then the rest. Left out, it is rings from 50 devices on."`
	Soak    time.Duration `placeholder:"5m" help:"How long a ring must stay good before the next one opens."`
}

func (p Planning) planning() url.Values {
	q := url.Values{}
	if p.DryRun {
		q.Set("dry_run", "true")
	}
	if p.Plan != "" {
		q.Set("plan", p.Plan)
	}
	if p.Rollout != "" {
		q.Set("rollout", p.Rollout)
	}
	if p.Soak > 0 {
		q.Set("soak", p.Soak.String())
	}
	return q
}

type planDoc struct {
	Hash      string       `json:"hash"`
	Devices   int64        `json:"devices"`
	InScope   int64        `json:"in_scope"`
	Changes   []changeDoc  `json:"changes"`
	Blocked   []changeDoc  `json:"blocked"`
	Unknown   []unknownDoc `json:"unknown"`
	Hazards   []hazardDoc  `json:"hazards"`
	Conflicts []hazardDoc  `json:"conflicts"`
	Rollout   string       `json:"rollout"`
}

type changeDoc struct {
	Device string `json:"device"`
	Kind   string `json:"kind"`
	Item   string `json:"item"`
	Action string `json:"action"`
	Reason string `json:"reason"`
}

type unknownDoc struct {
	Group   string `json:"group"`
	Device  string `json:"device"`
	Missing string `json:"missing"`
}

type hazardDoc struct {
	Code    string `json:"code"`
	Text    string `json:"text"`
	Devices int64  `json:"devices"`
}

// plan prints what a change would do.
func (c *client) plan(doc planDoc) {
	t := newTable("DEVICE", "ACTION", "ITEM", "WHY")
	for _, list := range [][]changeDoc{doc.Changes, doc.Blocked} {
		for _, ch := range list {
			t.add(ch.Device, ch.Action, ch.Item, ch.Reason)
		}
	}
	c.print(t, "Nothing would change on any device.")
	for _, u := range doc.Unknown {
		c.line("Unknown: whether %s is in group %s, since %s is not known of it. It stays as it is.", u.Device, u.Group, u.Missing)
	}
	c.planned(doc)
	if doc.Devices > 0 {
		c.line("%s touched. Nothing was changed. Do just this with: --plan %s", count(doc.Devices, "device"), doc.Hash)
	}
}

// planned prints what a person should know of a change, made or not.
func (c *client) planned(doc planDoc) {
	for _, list := range [][]hazardDoc{doc.Hazards, doc.Conflicts} {
		for _, h := range list {
			c.hint("%s", h.Text)
		}
	}
	if doc.Rollout != "" {
		c.line("%s", fmt.Sprintf("It goes out in rings. See how far it is with: ranzen rollout show %s", doc.Rollout))
	}
}
