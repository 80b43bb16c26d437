package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// RolloutCmd groups the changes on their way.
type RolloutCmd struct {
	List   RolloutListCmd   `cmd:"" help:"List changes that reach devices ring by ring."`
	Show   RolloutShowCmd   `cmd:"" help:"Show how far a roll-out is."`
	Pause  RolloutPauseCmd  `cmd:"" help:"Keep the next rings closed."`
	Resume RolloutResumeCmd `cmd:"" help:"Go on with one that was paused, or that halted and was looked at."`
	Abort  RolloutAbortCmd  `cmd:"" help:"End a roll-out and take its change back."`
}

type rolloutDoc struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	Ring      int       `json:"ring"`
	By        string    `json:"by"`
	CreatedAt time.Time `json:"created_at"`
	Rings     []struct {
		Devices int      `json:"devices"`
		Good    *int     `json:"good"`
		Bad     *int     `json:"bad"`
		Serials []string `json:"serials"`
	} `json:"rings"`
}

// RolloutListCmd is `ranzen rollout list`.
type RolloutListCmd struct {
	Remote
}

// Run prints the roll-outs, newest first.
func (c *RolloutListCmd) Run(ctx context.Context, e env) error {
	var list []rolloutDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[rolloutDoc](ctx, api, "/rollouts", nil, 0)
		return err
	}, func(api *client) {
		t := newTable("ID", "WHAT", "STATE", "RING", "BY", "SINCE", "WHY")
		for _, r := range list {
			t.add(r.ID, r.Title, r.State, fmt.Sprint(r.Ring), r.By, moment(r.CreatedAt), r.Reason)
		}
		api.print(t, "There are no roll-outs.")
	})
}

// RolloutShowCmd is `ranzen rollout show`.
type RolloutShowCmd struct {
	Remote
	ID string `arg:"" help:"The roll-out's id."`
}

func (r rolloutDoc) print(api *client) {
	api.facts("what", r.Title, "state", r.State, "why", r.Reason, "open ring", fmt.Sprint(r.Ring), "by", r.By, "since", moment(r.CreatedAt))
	t := newTable("RING", "DEVICES", "GOOD", "BAD", "WHICH")
	names := []string{"0 one of each site", "1 a tenth", "2 the rest"}
	for i, ring := range r.Rings {
		t.add(names[min(i, len(names)-1)], fmt.Sprint(ring.Devices), countText(ring.Good), countText(ring.Bad), strings.Join(ring.Serials, " "))
	}
	api.print(t, "")
	if r.State == "done" || r.State == "aborted" {
		api.hint("It has ended. What each device has by now says: ranzen who NAME")
	}
}

// countText is a number that may not be counted.
func countText(n *int) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// Run prints the rings.
func (c *RolloutShowCmd) Run(ctx context.Context, e env) error {
	var r rolloutDoc
	return c.do(e, func(api *client) error { return api.get(ctx, at("rollouts", c.ID), nil, &r) }, func(api *client) { r.print(api) })
}

// RolloutPauseCmd is `ranzen rollout pause`.
type RolloutPauseCmd struct {
	Remote
	ID string `arg:"" help:"The roll-out's id."`
}

// Run pauses it.
func (c *RolloutPauseCmd) Run(ctx context.Context, e env) error {
	var r rolloutDoc
	return c.do(e, func(api *client) error { return api.post(ctx, at("rollouts", c.ID, "pause"), nil, &r) }, func(api *client) { r.print(api) })
}

// RolloutResumeCmd is `ranzen rollout resume`.
type RolloutResumeCmd struct {
	Remote
	ID string `arg:"" help:"The roll-out's id."`
}

// Run lets it go on.
func (c *RolloutResumeCmd) Run(ctx context.Context, e env) error {
	var r rolloutDoc
	return c.do(e, func(api *client) error { return api.post(ctx, at("rollouts", c.ID, "resume"), nil, &r) }, func(api *client) { r.print(api) })
}

// RolloutAbortCmd is `ranzen rollout abort`.
type RolloutAbortCmd struct {
	Remote
	ID     string `arg:"" help:"The roll-out's id."`
	DryRun bool   `help:"Only say what going back does to each device. One that has a new version of an app keeps it."`
	Plan   string `placeholder:"HASH" help:"Do it only if it still does what the plan with this hash says."`
}

// Run takes the change back.
func (c *RolloutAbortCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("rollouts", c.ID, "abort"), Planning{DryRun: c.DryRun, Plan: c.Plan}.planning()), nil, &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("The roll-out is aborted, and its change is taken back.")
		api.planned(doc)
	})
}
