package main

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// DeviceWhyCmd is `ranzen device why`.
type DeviceWhyCmd struct {
	Remote
	ID   string `arg:"" help:"Serial number, asset tag, UDID or id."`
	What string `arg:"" optional:"" help:"Name of a profile or app. Default: all."`
	Lang string `enum:"de,en" default:"en" help:"Language of the sentences: de or en."`
}

type whyDoc struct {
	Item     string `json:"item"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	WaitsFor string `json:"waits_for"`
	NextStep string `json:"next_step"`
	Text     string `json:"text"`
	Evidence []struct {
		What   string    `json:"what"`
		At     time.Time `json:"at"`
		Source string    `json:"source"`
		Text   string    `json:"text"`
	} `json:"evidence"`
}

type whyDeviceDoc struct {
	Device   string            `json:"device"`
	State    string            `json:"enrollment_state"`
	LastSeen *time.Time        `json:"last_seen"`
	Items    []json.RawMessage `json:"items"`
}

// Run prints the chain. With a name the JSON is that item's alone.
func (c *DeviceWhyCmd) Run(ctx context.Context, e env) error {
	q := url.Values{"lang": {c.Lang}}
	if c.What != "" {
		q.Set("what", c.What)
	}
	var doc whyDeviceDoc
	return c.do(e, func(api *client) error {
		if err := api.get(ctx, at("devices", c.ID, "why"), q, &doc); err != nil {
			return err
		}
		if c.What == "" || len(doc.Items) == 0 {
			return nil
		}
		api.docs = []json.RawMessage{doc.Items[0]}
		return nil
	}, func(api *client) {
		if len(doc.Items) == 0 {
			api.line("Nothing is assigned to %s, and nothing is on it that Ranzen brought.", doc.Device)
			return
		}
		for _, raw := range doc.Items {
			var w whyDoc
			if json.Unmarshal(raw, &w) != nil {
				continue
			}
			api.line("%s %s: %s", w.Kind, w.Item, w.State)
			api.line("  %s", w.Text)
			if c.What == "" {
				continue
			}
			t := newTable("WHEN", "WHAT", "SOURCE", "")
			for _, p := range w.Evidence {
				t.add(moment(p.At), p.What, p.Source, p.Text)
			}
			api.print(t, "Nothing is known of it yet.")
		}
	})
}
