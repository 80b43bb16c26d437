package main

import (
	"context"
	"strings"
	"time"
)

// HoldCmd groups the second enrollments of a serial number.
type HoldCmd struct {
	List   HoldListCmd   `cmd:"" help:"List what waits for a person."`
	Admit  HoldAdmitCmd  `cmd:"" help:"Let the second one in; the first is no longer managed."`
	Reject HoldRejectCmd `cmd:"" help:"Send the second one away."`
}

type holdDoc struct {
	ID        string    `json:"id"`
	Serial    string    `json:"serial"`
	Name      string    `json:"name"`
	Reason    string    `json:"reason"`
	UDID      string    `json:"udid"`
	OtherUDID string    `json:"other_udid"`
	Model     string    `json:"model"`
	OSVersion string    `json:"os_version"`
	OpenedAt  time.Time `json:"opened_at"`
}

func (h holdDoc) why() string {
	same := "another iPad, or its board was swapped"
	if h.UDID == h.OtherUDID {
		same = "the same iPad, set up again"
	}
	if h.Reason == "spoke-after" {
		return "the first one spoke after it; " + same
	}
	return "the first one spoke in the last 24 hours and no erase was ordered; " + same
}

// HoldListCmd is `ranzen hold list`.
type HoldListCmd struct{ Remote }

// Run prints the holds.
func (c *HoldListCmd) Run(ctx context.Context, e env) error {
	var list []holdDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[holdDoc](ctx, api, "/holds", nil, 0)
		return err
	}, func(api *client) {
		t := newTable("ID", "SERIAL", "NAME", "SINCE", "WHY")
		for _, h := range list {
			t.add(h.ID, h.Serial, h.Name, moment(h.OpenedAt), h.why())
		}
		api.print(t, "Nothing is held.")
	})
}

// OneHold names a hold.
type OneHold struct {
	ID string `arg:"" help:"The hold, as ranzen hold list shows it."`
}

// HoldAdmitCmd is `ranzen hold admit`.
type HoldAdmitCmd struct {
	Remote
	OneHold
}

// Run lets it in.
func (c *HoldAdmitCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.post(ctx, at("holds", c.ID, "admit"), nil, nil) },
		func(api *client) { api.line("It is let in; the one that was there before is no longer managed.") })
}

// HoldRejectCmd is `ranzen hold reject`.
type HoldRejectCmd struct {
	Remote
	OneHold
}

// Run sends it away.
func (c *HoldRejectCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.post(ctx, at("holds", c.ID, "reject"), nil, nil) },
		func(api *client) { api.line("It is sent away at its next contact.") })
}

// DeviceReleaseCmd is `ranzen device release`.
type DeviceReleaseCmd struct {
	Remote
	One
	Reason string `required:"" placeholder:"TEXT" help:"Why it may go without all it should have; it stays in the audit log."`
}

// Run lets it out of Setup Assistant.
func (c *DeviceReleaseCmd) Run(ctx context.Context, e env) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usagef("Say why with --reason TEXT: it stays in the audit log.")
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, at("devices", c.ID, "release"), map[string]any{"reason": c.Reason}, nil)
	}, func(api *client) { api.line("%s leaves Setup Assistant at its next contact.", c.ID) })
}
