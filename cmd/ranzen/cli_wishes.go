package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// AppCmd groups the apps.
type AppCmd struct {
	Add    AppAddCmd    `cmd:"" help:"Make an app of the App Store known, or take an in-house app in."`
	List   AppListCmd   `cmd:"" help:"List the apps."`
	Remove AppRemoveCmd `cmd:"" help:"Remove an app that is assigned to nobody."`
}

type appDoc struct {
	Tenant   string `json:"tenant"`
	Name     string `json:"name"`
	AdamID   string `json:"adam_id"`
	BundleID string `json:"bundle_id"`
	Source   string `json:"source"`
	Version  int64  `json:"version"`
	Short    string `json:"short_version"`
	Bundle   string `json:"bundle_version"`
}

// shown is an in-house app's version as people read it.
func (a appDoc) shown() string {
	switch {
	case a.Source != "in-house":
		return ""
	case a.Short == "":
		return a.Bundle
	}
	return a.Short + " (" + a.Bundle + ")"
}

// AppAddCmd is `ranzen app add`.
type AppAddCmd struct {
	Remote
	ForTenant
	Planning
	Name      string `required:"" placeholder:"N" help:"Name to assign it by."`
	AdamID    string `placeholder:"ID" help:"The number in its App Store address: …/id409183694."`
	BundleID  string `placeholder:"B" help:"Its bundle identifier: com.apple.Keynote."`
	IPA       string `name:"ipa" placeholder:"FILE" help:"The .ipa of an in-house app. The same name again is a new version."`
	HoldsData bool   `help:"It keeps what children make with it only on the iPad: it is never removed without ranzen removal confirm."`
}

// Run adds the app.
func (c *AppAddCmd) Run(ctx context.Context, e env) error {
	switch store := c.AdamID != "" || c.BundleID != ""; {
	case c.IPA != "" && store:
		return usagef("Say --ipa FILE for an in-house app, or --adam-id and --bundle-id for one of the App Store, not both.")
	case c.IPA != "":
		return c.inHouse(ctx, e)
	case c.AdamID == "" || c.BundleID == "":
		return usagef("Which app? Say --adam-id ID and --bundle-id B for one of the App Store, or --ipa FILE for an in-house app.")
	case len(c.planning()) > 0:
		return usagef("An app of the App Store has no versions here, so --dry-run, --plan, --rollout and --soak are for --ipa FILE. Making it known changes nothing on devices; ranzen assign does.")
	}
	body := map[string]any{"name": c.Name, "adam_id": c.AdamID, "bundle_id": c.BundleID, "holds_data": c.HoldsData}
	return c.do(e, func(api *client) error { return api.post(ctx, "/apps", c.into(body), nil) },
		func(api *client) {
			api.line("App %s is known. Assign it with: ranzen assign %s --to SCOPE", c.Name, c.Name)
		})
}

// AppListCmd is `ranzen app list`.
type AppListCmd struct {
	Remote
	ForTenant
}

// Run prints the apps.
func (c *AppListCmd) Run(ctx context.Context, e env) error {
	var list []appDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[appDoc](ctx, api, "/apps", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "TENANT", "SOURCE", "VERSION", "ADAM ID", "BUNDLE ID")
		for _, a := range list {
			t.add(a.Name, a.Tenant, a.Source, a.shown(), a.AdamID, a.BundleID)
		}
		api.print(t, "There are no apps.")
	})
}

// AppRemoveCmd is `ranzen app remove`.
type AppRemoveCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The app's name."`
}

// Run removes the app.
func (c *AppRemoveCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.delete(ctx, withQuery(at("apps", c.Name), c.query())) },
		func(api *client) { api.line("App %s is removed.", c.Name) })
}

// GroupCmd groups the groups.
type GroupCmd struct {
	Create GroupCreateCmd `cmd:"" help:"Make a group."`
	List   GroupListCmd   `cmd:"" help:"List the groups."`
	Show   GroupShowCmd   `cmd:"" help:"Show a group, what is assigned to it, and of which devices its rule does not know."`
	Rule   GroupRuleCmd   `cmd:"" help:"Give a group another rule."`
	Add    GroupAddCmd    `cmd:"" help:"Put devices into a group."`
	Drop   GroupDropCmd   `cmd:"" help:"Take devices out of a group."`
	Remove GroupRemoveCmd `cmd:"" help:"Remove a group; its devices stay. What is assigned to it goes by a plan only."`
}

type groupDoc struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant"`
	Name      string    `json:"name"`
	Rule      string    `json:"rule"`
	Devices   int64     `json:"devices"`
	Unknown   int64     `json:"unknown"`
	CreatedAt time.Time `json:"created_at"`
}

// GroupCreateCmd is `ranzen group create`.
type GroupCreateCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The group's name."`
	Rule string `placeholder:"RULE" help:"Who is in it, such as: os_version < 18.2 and not class = 3b. Fields: model, os_version, supervised, state, site, school, class, cart, last_seen; has ITEM, lacks ITEM, in GROUP. Default: who is put in."`
}

// Run makes the group.
func (c *GroupCreateCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"name": c.Name}
	if c.Rule != "" {
		body["rule"] = c.Rule
	}
	var g groupDoc
	return c.do(e, func(api *client) error { return api.post(ctx, "/groups", c.into(body), &g) }, func(api *client) {
		if c.Rule == "" {
			api.line("Group %s is there.", c.Name)
			return
		}
		api.line("Group %s is there, with %s by its rule.", c.Name, count(g.Devices, "device"))
		g.doubt(api)
	})
}

// doubt tells of how many devices the rule does not know.
func (g groupDoc) doubt(api *client) {
	if g.Unknown > 0 {
		api.hint("Of %s nobody knows whether the rule takes them in: see ranzen group show.", count(g.Unknown, "device"))
	}
}

// GroupShowCmd is `ranzen group show`.
type GroupShowCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The group's name."`
}

// Run prints the group, what is assigned to it, and the devices of which its rule
// does not know.
func (c *GroupShowCmd) Run(ctx context.Context, e env) error {
	var doc struct {
		Group    groupDoc `json:"group"`
		Unknowns []struct {
			Device  string `json:"device"`
			Missing string `json:"missing"`
			In      bool   `json:"in"`
		} `json:"unknowns"`
		Assignments []assignmentDoc `json:"assignments"`
	}
	return c.do(e, func(api *client) error { return api.get(ctx, at("groups", c.Name), c.query(), &doc) }, func(api *client) {
		g := doc.Group
		api.facts("name", g.Name, "rule", g.Rule, "devices", fmt.Sprint(g.Devices), "not known", fmt.Sprint(g.Unknown), "since", moment(g.CreatedAt))
		if len(doc.Assignments) > 0 {
			api.print(assignmentsTable(doc.Assignments), "")
		}
		t := newTable("DEVICE", "NOT KNOWN", "IN UNTIL THEN")
		for _, d := range doc.Unknowns {
			t.add(d.Device, d.Missing, yesNo(&d.In))
		}
		if len(doc.Unknowns) > 0 {
			api.print(t, "")
		}
	})
}

// GroupRuleCmd is `ranzen group rule`.
type GroupRuleCmd struct {
	Remote
	ForTenant
	Planning
	Name string `arg:"" help:"The group's name."`
	Rule string `arg:"" help:"Who is in it from now on."`
}

// Run sets the rule.
func (c *GroupRuleCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("groups", c.Name, "rule"), with(c.query(), c.planning())), map[string]any{"rule": c.Rule}, &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("Group %s has its new rule.", c.Name)
		api.planned(doc)
	})
}

// GroupListCmd is `ranzen group list`.
type GroupListCmd struct {
	Remote
	ForTenant
}

// Run prints the groups.
func (c *GroupListCmd) Run(ctx context.Context, e env) error {
	var list []groupDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[groupDoc](ctx, api, "/groups", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "TENANT", "DEVICES", "RULE")
		for _, g := range list {
			t.add(g.Name, g.Tenant, fmt.Sprint(g.Devices), g.Rule)
		}
		api.print(t, "There are no groups.")
	})
}

// GroupAddCmd is `ranzen group add`.
type GroupAddCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The group's name."`
	Many
	Planning
}

// Run adds all or none.
func (c *GroupAddCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("groups", c.Name, "add"), document(c.query(), c.Planning, false)), map[string]any{"devices": c.IDs}, &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("%s now in group %s.", count(int64(len(c.IDs)), "device"), c.Name)
		api.planned(doc)
	})
}

// GroupDropCmd is `ranzen group drop`.
type GroupDropCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The group's name."`
	Many
	Planning
}

// Run drops all or none.
func (c *GroupDropCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("groups", c.Name, "drop"), document(c.query(), c.Planning, false)), map[string]any{"devices": c.IDs}, &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("%s no longer in group %s.", count(int64(len(c.IDs)), "device"), c.Name)
		api.planned(doc)
	})
}

// GroupRemoveCmd is `ranzen group remove`.
type GroupRemoveCmd struct {
	Remote
	ForTenant
	DryRun bool   `help:"Only say what would go, and from which devices."`
	Plan   string `placeholder:"HASH" help:"Remove it with what is assigned to it, if that still does what the plan with this hash says."`
	Name   string `arg:"" help:"The group's name."`
}

// Run removes the group.
func (c *GroupRemoveCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	planning := Planning{DryRun: c.DryRun, Plan: c.Plan}.planning()
	return c.do(e, func(api *client) error {
		return api.call(ctx, http.MethodDelete, withQuery(at("groups", c.Name), with(c.query(), planning)), nil, &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			if doc.Devices == 0 { // it may be in use by wishes that reach nobody
				api.line("Nothing was changed. Do just this with: --plan %s", doc.Hash)
			}
			return
		}
		api.line("Group %s is removed.", c.Name)
		api.planned(doc)
	})
}
