package main

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Planning is how a change of wishes is made; every command that changes wishes
// embeds it.
type Planning struct {
	DryRun bool   `help:"Only say what it would do to each device."`
	Plan   string `placeholder:"HASH" help:"Do it only if it still does what the plan with this hash says."`

	Rollout string        `enum:"now,rings," default:"" placeholder:"now|rings" help:"At once, or ring by ring: one device of each site, a tenth, the rest. Default: rings for 50 devices and more."`
	Soak    time.Duration `placeholder:"5m" help:"How long a ring must have been good before the next one opens."`
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
		q.Set("soak", strconv.FormatInt(int64((p.Soak+time.Second-1)/time.Second), 10))
	}
	return q
}

type planDoc struct {
	Hash    string      `json:"hash"`
	Devices int64       `json:"devices"`
	InScope int64       `json:"in_scope"`
	Changes []changeDoc `json:"changes"`
	Blocked []changeDoc `json:"blocked"`
	Hazards []hazardDoc `json:"hazards"`
	Waiting []hazardDoc `json:"waiting"`
	Limits  []limitDoc  `json:"limits"`

	Rollout   string `json:"rollout"`
	RolloutID string `json:"rollout_id"`
}

type changeDoc struct {
	Device string `json:"device"`
	Kind   string `json:"kind"`
	Item   string `json:"item"`
	Action string `json:"action"`
	Reason string `json:"reason"`
}

type limitDoc struct {
	Item    string `json:"item"`
	Text    string `json:"text"`
	Devices int64  `json:"devices"`
}

type hazardDoc struct {
	Code    string `json:"code"`
	Text    string `json:"text"`
	Devices int64  `json:"devices"`
}

// plan prints what a change would do.
func (c *client) plan(doc planDoc) {
	c.print(changesTable(slices.Concat(doc.Changes, doc.Blocked)), "Nothing would change on any device.")
	c.planned(doc)
	if doc.Devices > 0 {
		if doc.Rollout == "rings" {
			c.line("It would reach the devices ring by ring, one of each site first.")
		}
		c.line("%s touched. Nothing was changed. Do just this with: --plan %s", count(doc.Devices, "device"), doc.Hash)
	}
}

// manyRows is from how many changes on those that are alike share a row: nobody
// reads a row for each device of a town. The JSON has them all.
const manyRows = 20

// changesTable lists changes, by device or, where these are many, alike ones together.
func changesTable(list []changeDoc) *table {
	if len(list) <= manyRows {
		t := newTable("DEVICE", "ACTION", "ITEM", "WHY")
		for _, ch := range list {
			t.add(ch.Device, ch.Action, ch.Item, ch.Reason)
		}
		return t
	}
	t := newTable("DEVICES", "ACTION", "ITEM", "WHY", "WHICH")
	alike, order := map[changeDoc][]string{}, []changeDoc{}
	for _, ch := range list {
		of := ch
		of.Device = ""
		if alike[of] == nil {
			order = append(order, of)
		}
		alike[of] = append(alike[of], ch.Device)
	}
	for _, of := range order {
		who := alike[of]
		slices.Sort(who)
		which := strings.Join(who[:min(len(who), 5)], ", ")
		if len(who) > 5 {
			which += ", …"
		}
		t.add(strconv.Itoa(len(who)), of.Action, of.Item, of.Reason, which)
	}
	return t
}

// planned prints what a person should know of a change, made or not.
func (c *client) planned(doc planDoc) {
	for _, h := range slices.Concat(doc.Hazards, doc.Waiting) {
		c.hint("%s", h.Text)
	}
	for _, l := range doc.Limits {
		c.hint("%s on %s: %s", plain(l.Item), count(l.Devices, "device"), plain(l.Text))
	}
	if doc.RolloutID != "" {
		c.line("It reaches the devices ring by ring, one of each site first. Watch it with: ranzen rollout show %s", doc.RolloutID)
	}
}
