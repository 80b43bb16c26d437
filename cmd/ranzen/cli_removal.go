package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// RemovalCmd groups the removals that wait for a person.
type RemovalCmd struct {
	List    RemovalListCmd    `cmd:"" help:"List apps that nobody assigns any more and that stay, since removing them loses data."`
	Confirm RemovalConfirmCmd `cmd:"" help:"Have such an app go, with what was made with it."`
	Cancel  RemovalCancelCmd  `cmd:"" help:"Keep such an app although its removal was confirmed."`
}

// RemovalListCmd is `ranzen removal list`.
type RemovalListCmd struct {
	Remote
	ForTenant
}

type removalDoc struct {
	App         string     `json:"app"`
	Tenant      string     `json:"tenant"`
	Devices     int64      `json:"devices"`
	Serials     []string   `json:"serials"`
	State       string     `json:"state"`
	ConfirmedBy string     `json:"confirmed_by"`
	RemoveAfter *time.Time `json:"remove_after"`
}

// Run prints what stays, and until when.
func (c *RemovalListCmd) Run(ctx context.Context, e env) error {
	var list []removalDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[removalDoc](ctx, api, "/removals", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("APP", "TENANT", "DEVICES", "GOES", "CONFIRMED BY", "ON")
		for _, r := range list {
			goes := "not before it is confirmed"
			if r.RemoveAfter != nil {
				goes = moment(*r.RemoveAfter)
			}
			t.add(r.App, r.Tenant, fmt.Sprint(r.Devices), goes, r.ConfirmedBy, strings.Join(r.Serials, " "))
		}
		api.print(t, "No app waits to be removed.")
	})
}

// RemovalConfirmCmd is `ranzen removal confirm`.
type RemovalConfirmCmd struct {
	Remote
	ForTenant
	App   string `arg:"" help:"The app's name."`
	Count int    `required:"" placeholder:"N" help:"On how many devices it stays, as ranzen removal list says."`
	Grace int    `default:"30" placeholder:"DAYS" help:"Days until it goes. Until then assigning it again keeps it."`
}

// Run confirms the removal.
func (c *RemovalConfirmCmd) Run(ctx context.Context, e env) error {
	var done struct {
		RemoveAfter time.Time `json:"remove_after"`
	}
	body := c.into(map[string]any{"app": c.App, "count": c.Count, "grace_days": c.Grace})
	return c.do(e, func(api *client) error { return api.post(ctx, "/removals/confirm", body, &done) }, func(api *client) {
		api.line("%s goes from %s on %s, with what was made with it. To keep it: ranzen removal cancel.", c.App, count(int64(c.Count), "device"), moment(done.RemoveAfter))
	})
}

// RemovalCancelCmd is `ranzen removal cancel`.
type RemovalCancelCmd struct {
	Remote
	ForTenant
	App string `arg:"" help:"The app's name."`
}

// Run takes the confirmation back.
func (c *RemovalCancelCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.post(ctx, "/removals/cancel", c.into(map[string]any{"app": c.App}), nil)
	}, func(api *client) { api.line("%s stays.", c.App) })
}
