package main

import (
	"context"
	"fmt"
	"strings"
)

// WhoCmd is `ranzen who`.
type WhoCmd struct {
	Remote
	ForTenant
	Name  string `arg:"" help:"Name of a profile or app."`
	Limit int    `placeholder:"N" help:"Show at most so many. Default: all."`
}

type holderDoc struct {
	Serial   string `json:"serial"`
	Version  int64  `json:"version"`
	Observed *int64 `json:"observed"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Because  []struct {
		Scope   string `json:"scope"`
		Exclude bool   `json:"exclude"`
	} `json:"because"`
}

// Run prints who has it, and by which assignments.
func (c *WhoCmd) Run(ctx context.Context, e env) error {
	var list []holderDoc
	var more bool
	return c.do(e, func(api *client) (err error) {
		list, more, err = listing[holderDoc](ctx, api, at("items", c.Name, "devices"), c.query(), c.Limit)
		return err
	}, func(api *client) {
		t := newTable("DEVICE", "STATE", "WISHED", "SEEN", "BECAUSE OF", "REASON")
		for _, h := range list {
			t.add(h.Serial, h.State, versionText(h.Version), seenText(h.Observed), h.because(), h.Reason)
		}
		api.print(t, "No enrolled device has "+c.Name+" or is to have it.")
		if more {
			api.hint("There are more than these %d.", len(list))
		}
	})
}

func (h holderDoc) because() string {
	var by []string
	for _, b := range h.Because {
		if b.Exclude {
			b.Scope = "not " + b.Scope
		}
		by = append(by, b.Scope)
	}
	return strings.Join(by, ", ")
}

func versionText(v int64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprint(v)
}

// seenText is the version that the device showed.
func seenText(v *int64) string {
	switch {
	case v == nil:
		return "-"
	case *v == 0:
		return "other"
	}
	return fmt.Sprint(*v)
}
