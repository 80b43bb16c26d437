package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

type tileDoc struct {
	Serial         string `json:"serial"`
	Tag            string `json:"tag"`
	Name           string `json:"name"`
	State          string `json:"state"`
	ProfilesDone   int    `json:"profiles_done"`
	ProfilesWanted int    `json:"profiles_wanted"`
	AppsDone       int    `json:"apps_done"`
	AppsWanted     int    `json:"apps_wanted"`
	Reason         *struct {
		TextEN string `json:"text_en"`
	} `json:"reason"`
}

type boardDoc struct {
	Tiles  []tileDoc      `json:"tiles"`
	Totals map[string]int `json:"totals"`
}

// DeliveryBoardCmd is `ranzen delivery board`.
type DeliveryBoardCmd struct {
	Remote
	OneDelivery
	Watch bool `help:"Stay, and show what changes."`
}

// Run prints the board.
func (c *DeliveryBoardCmd) Run(ctx context.Context, e env) error {
	if !c.Watch {
		var doc boardDoc
		return c.do(e, func(api *client) error {
			return api.get(ctx, at("deliveries", c.Delivery, "board"), nil, &doc)
		}, func(api *client) { api.board(doc) })
	}
	if c.JSON {
		return usagef("--watch is for people; with --json ask again, or follow /deliveries/%s/board/events.", c.Delivery)
	}
	api, err := c.open(e)
	if err != nil {
		return err
	}
	return api.watch(ctx, c.Delivery)
}

// watchEvery is how often a person sees something new.
const watchEvery = 2 * time.Second

// watch shows the board whenever it changes, until the person ends it. A server
// that restarts meanwhile is waited for.
func (c *client) watch(ctx context.Context, delivery string) error {
	for last, lost := "", false; ; {
		var doc boardDoc
		err := c.get(ctx, at("deliveries", delivery, "board"), nil, &doc)
		c.docs = nil
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the person ended it
		case err != nil && (last == "" || !offline(err)):
			return err
		case err != nil && !lost:
			c.hint("No connection; trying again. What is shown is old.")
		}
		if lost = err != nil; !lost {
			if text := c.frame(doc); text != last {
				fmt.Fprint(c.stdout, text) //nolint:errcheck // as with every print
				last = text
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// maxTold is how many devices in need are named under the numbers.
const maxTold = 15

// frame is the board in a few lines: how far it is, and who needs somebody. A
// terminal shows it in place of the one before.
func (c *client) frame(doc boardDoc) string {
	const width = 40
	full := 0
	if all := doc.Totals["devices"]; all > 0 {
		full = width * doc.Totals["ready"] / all
	}
	var b strings.Builder
	if c.colour {
		b.WriteString("\x1b[H\x1b[2J")
	}
	fmt.Fprintf(&b, "[%s%s] %s\n", strings.Repeat("#", full), strings.Repeat(".", width-full), boardLine(doc))
	told := 0
	for _, d := range doc.Tiles {
		if d.Reason == nil || d.State != "stuck" && d.State != "held" {
			continue
		}
		if told++; told <= maxTold {
			name := strings.Join(strings.Fields(d.Name+" "+d.Tag+" "+d.Serial), " ")
			fmt.Fprintf(&b, "  %s: %s\n", plain(name), plain(d.Reason.TextEN))
		}
	}
	if told > maxTold {
		fmt.Fprintf(&b, "  and %d more\n", told-maxTold)
	}
	return b.String()
}

func (c *client) board(doc boardDoc) {
	t := newTable("NAME", "TAG", "SERIAL", "STATE", "PROFILES", "APPS", "WHY")
	for _, d := range doc.Tiles {
		why := ""
		if d.Reason != nil {
			why = d.Reason.TextEN
		}
		t.add(d.Name, d.Tag, d.Serial, d.State, fmt.Sprintf("%d/%d", d.ProfilesDone, d.ProfilesWanted), fmt.Sprintf("%d/%d", d.AppsDone, d.AppsWanted), why)
	}
	c.print(t, "The delivery holds no device yet.")
	c.hint("%s", boardLine(doc))
}

func boardLine(doc boardDoc) string {
	n := doc.Totals
	return fmt.Sprintf("%d of %d ready; %d known, %d with their profile, %d enrolled, %d at profiles, %d at apps; %d stuck, %d held",
		n["ready"], n["devices"], n["known"], n["profile_confirmed"], n["enrolled"], n["profiles"], n["apps"], n["stuck"], n["held"])
}
