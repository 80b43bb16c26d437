package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

type commandDoc struct {
	ID          string     `json:"id"`
	Device      string     `json:"device"`
	Serial      string     `json:"serial"`
	Kind        string     `json:"kind"`
	RequestType string     `json:"request_type"`
	Item        string     `json:"item"`
	State       string     `json:"state"`
	Origin      string     `json:"origin"`
	Reason      string     `json:"reason"`
	Attempts    int64      `json:"attempts"`
	CreatedAt   time.Time  `json:"created_at"`
	SentAt      *time.Time `json:"sent_at"`
	FinishedAt  *time.Time `json:"finished_at"`
}

// CommandsCmd is `ranzen commands`.
type CommandsCmd struct {
	Remote
	Limited
	Device string `placeholder:"ID" help:"Only those of this device."`
	State  string `placeholder:"S" help:"Only those in this state: queued, sent, deferred, done, failed, dropped, superseded, expired, uncertain or unreadable."`
}

// Run prints the queue, newest first.
func (c *CommandsCmd) Run(ctx context.Context, e env) error {
	q := url.Values{}
	if c.Device != "" {
		q.Set("device", c.Device)
	}
	if c.State != "" {
		q.Set("state", c.State)
	}
	var list []commandDoc
	more := false
	return c.do(e, func(api *client) (err error) {
		list, more, err = listing[commandDoc](ctx, api, "/commands", q, c.Limit)
		return err
	}, func(api *client) {
		t := newTable("ID", "SERIAL", "KIND", "STATE", "AGE", "BY", "REASON")
		for _, k := range list {
			t.add(k.ID, k.Serial, k.Kind, k.State, length(api.now.Sub(k.CreatedAt)), k.Origin, k.Reason)
		}
		api.print(t, "No command fits.")
		if more {
			api.hint("There are more: --limit 0 shows all.")
		}
	})
}

// CommandCmd groups what is done with one command.
type CommandCmd struct {
	Show   CommandShowCmd   `cmd:"" help:"Show a command."`
	Cancel CommandCancelCmd `cmd:"" help:"Take a command back that was not handed over yet."`
}

// CommandShowCmd is `ranzen command show`.
type CommandShowCmd struct {
	Remote
	ID string `arg:"" help:"The command's id: see ranzen commands."`
}

// Run prints the command.
func (c *CommandShowCmd) Run(ctx context.Context, e env) error {
	var k commandDoc
	return c.do(e, func(api *client) error { return api.get(ctx, at("commands", c.ID), nil, &k) }, func(api *client) {
		api.facts("id", k.ID, "device", k.Serial, "kind", k.Kind, "Apple's name", k.RequestType, "about", k.Item, "state", k.State, "reason", k.Reason,
			"ordered", moment(k.CreatedAt)+" by "+k.Origin, "handed over", momentOf(k.SentAt), "attempts", fmt.Sprint(k.Attempts), "ended", momentOf(k.FinishedAt))
	})
}

// CommandCancelCmd is `ranzen command cancel`.
type CommandCancelCmd struct {
	Remote
	ID string `arg:"" help:"The command's id: see ranzen commands."`
}

// Run takes the command back.
func (c *CommandCancelCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.post(ctx, at("commands", c.ID, "cancel"), nil, nil) },
		func(api *client) { api.line("Command %s is taken back.", c.ID) })
}

// StatusCmd is `ranzen status`.
type StatusCmd struct{ Remote }

// Run prints what the server says of itself.
func (c *StatusCmd) Run(ctx context.Context, e env) error {
	var doc statusDoc
	return c.do(e, func(api *client) error { return api.get(ctx, "/status", nil, &doc) }, func(api *client) { doc.tell(api) })
}
