package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ADEProfileCmd groups the enrollment profiles.
type ADEProfileCmd struct {
	Create   ADEProfileCreateCmd   `cmd:"" help:"Make an enrollment profile."`
	List     ADEProfileListCmd     `cmd:"" help:"List the enrollment profiles."`
	Show     ADEProfileShowCmd     `cmd:"" help:"Show an enrollment profile."`
	Set      ADEProfileSetCmd      `cmd:"" help:"Change an enrollment profile; iPads get the new one when they are erased the next time."`
	Remove   ADEProfileRemoveCmd   `cmd:"" help:"Remove an enrollment profile that nobody gets."`
	Assign   ADEProfileAssignCmd   `cmd:"" help:"Say who gets an enrollment profile, in place of the one before."`
	Unassign ADEProfileUnassignCmd `cmd:"" help:"Take an enrollment profile back; Apple keeps what it assigned."`
	State    ADEProfileStateCmd    `cmd:"" help:"Show by serial number which profile is wanted and what Apple says."`
}

type adeProfileDoc struct {
	ID           string          `json:"id"`
	Tenant       string          `json:"tenant"`
	Name         string          `json:"name"`
	Definition   json.RawMessage `json:"definition"`
	Baseline     []string        `json:"baseline"`
	MinOS        string          `json:"min_os"`
	ReleaseAfter int64           `json:"release_after"`
	To           []string        `json:"to"`
	UpdatedAt    time.Time       `json:"updated_at"`
	Warnings     []string        `json:"warnings"`
}

func (p adeProfileDoc) after() string { return (time.Duration(p.ReleaseAfter) * time.Second).String() }

// ADEWish is what can be said of an enrollment profile.
type ADEWish struct {
	Definition   string    `placeholder:"FILE.json" help:"Apple's keys as one JSON object; the server adds its own."`
	Skip         []string  `placeholder:"PANE" help:"Panes of Setup Assistant to leave out, or all."`
	Baseline     []string  `placeholder:"NAME" help:"Profiles and apps that must be observed before the iPad leaves Setup Assistant."`
	MinOS        string    `name:"min-os" placeholder:"V" help:"Older iPads update themselves first: 18.5."`
	ReleaseAfter *duration `placeholder:"DURATION" help:"After this a person may release an iPad without its baseline: 30m."`
}

func (w ADEWish) body(e env) (map[string]any, error) {
	body := map[string]any{}
	if w.Definition != "" {
		b, err := e.readFile(w.Definition)
		if err != nil {
			return nil, err
		}
		if !json.Valid(b) {
			return nil, usagef("%s is no JSON document.", w.Definition)
		}
		body["definition"] = json.RawMessage(b)
	}
	if len(w.Skip) > 0 {
		body["skip"] = w.Skip
	}
	if len(w.Baseline) > 0 {
		body["baseline"] = slices.DeleteFunc(w.Baseline, func(s string) bool { return s == "" })
	}
	if w.MinOS != "" {
		body["min_os"] = w.MinOS
	}
	if w.ReleaseAfter != nil {
		body["release_after"] = int64(time.Duration(*w.ReleaseAfter) / time.Second)
	}
	return body, nil
}

func tellADEProfile(p *adeProfileDoc, what string) func(api *client) {
	return func(api *client) {
		for _, w := range p.Warnings {
			api.line("Note: %s", w)
		}
		api.line("Enrollment profile %s "+what, p.Name)
	}
}

// ADEProfileCreateCmd is `ranzen ade profile create`.
type ADEProfileCreateCmd struct {
	Remote
	ForTenant
	ADEWish
	Name string `arg:"" help:"Name to assign it by; iPads show it."`
}

// Run makes the profile.
func (c *ADEProfileCreateCmd) Run(ctx context.Context, e env) error {
	body, err := c.body(e)
	if err != nil {
		return err
	}
	body["name"] = c.Name
	if c.Tenant != "" {
		body["tenant"] = c.Tenant
	}
	var p adeProfileDoc
	return c.do(e, func(api *client) error { return api.post(ctx, "/ade/profiles", body, &p) },
		tellADEProfile(&p, "is there. Say who gets it with: ranzen ade profile assign NAME --to tenant:T|site:S|delivery:D"))
}

// ADEProfileSetCmd is `ranzen ade profile set`.
type ADEProfileSetCmd struct {
	Remote
	ForTenant
	ADEWish
	Name string `arg:"" help:"The enrollment profile's name or id."`
}

// Run changes the profile.
func (c *ADEProfileSetCmd) Run(ctx context.Context, e env) error {
	body, err := c.body(e)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return usagef("Say what to change: --definition, --skip, --baseline, --min-os or --release-after.")
	}
	var p adeProfileDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("ade", "profiles", c.Name), c.query()), body, &p)
	}, tellADEProfile(&p, "is changed. iPads get it when they are erased the next time."))
}

// ADEProfileListCmd is `ranzen ade profile list`.
type ADEProfileListCmd struct {
	Remote
	ForTenant
}

// Run prints the profiles.
func (c *ADEProfileListCmd) Run(ctx context.Context, e env) error {
	var list []adeProfileDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[adeProfileDoc](ctx, api, "/ade/profiles", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "TENANT", "TO", "BASELINE", "MIN OS", "CHANGED")
		for _, p := range list {
			t.add(p.Name, p.Tenant, strings.Join(p.To, ","), fmt.Sprint(len(p.Baseline)), p.MinOS, api.ago(p.UpdatedAt))
		}
		api.print(t, "There are no enrollment profiles.")
	})
}

// ADEProfileShowCmd is `ranzen ade profile show`.
type ADEProfileShowCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The enrollment profile's name or id."`
}

// Run prints the profile.
func (c *ADEProfileShowCmd) Run(ctx context.Context, e env) error {
	var p adeProfileDoc
	return c.do(e, func(api *client) error {
		return api.get(ctx, at("ade", "profiles", c.Name), c.query(), &p)
	}, func(api *client) {
		api.facts("name", p.Name, "tenant", p.Tenant, "to", strings.Join(p.To, ", "), "baseline", strings.Join(p.Baseline, ", "), "min os", p.MinOS,
			"release after", p.after(), "definition", string(p.Definition), "changed", moment(p.UpdatedAt), "id", p.ID)
	})
}

// ADEProfileRemoveCmd is `ranzen ade profile remove`.
type ADEProfileRemoveCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The enrollment profile's name or id."`
}

// Run removes the profile.
func (c *ADEProfileRemoveCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.delete(ctx, withQuery(at("ade", "profiles", c.Name), c.query()))
	}, func(api *client) { api.line("Enrollment profile %s is removed.", c.Name) })
}

// ADEProfileAssignCmd is `ranzen ade profile assign`.
type ADEProfileAssignCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The enrollment profile's name or id."`
	To   string `required:"" placeholder:"SCOPE" help:"tenant:T, site:S or delivery:D. A delivery counts more than a site, a site more than a tenant."`
}

// Run assigns the profile.
func (c *ADEProfileAssignCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("ade", "profiles", c.Name, "assign"), c.query()), map[string]any{"to": c.To}, nil)
	}, func(api *client) {
		api.line("%s gets the enrollment profile %s. Apple is told within seconds; see: ranzen ade profile state", c.To, c.Name)
	})
}

// ADEProfileUnassignCmd is `ranzen ade profile unassign`.
type ADEProfileUnassignCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The enrollment profile's name or id."`
	From string `required:"" aliases:"to" placeholder:"SCOPE" help:"tenant:T, site:S or delivery:D."`
}

// Run takes the profile back.
func (c *ADEProfileUnassignCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("ade", "profiles", c.Name, "unassign"), c.query()), map[string]any{"to": c.From}, nil)
	}, func(api *client) {
		api.line("%s no longer gets the enrollment profile %s.", c.From, c.Name)
	})
}

type adeDeviceDoc struct {
	Serial     string     `json:"serial"`
	Token      string     `json:"token"`
	Tenant     string     `json:"tenant"`
	Model      string     `json:"model"`
	Status     string     `json:"status"`
	Profile    string     `json:"profile"`
	AppleState string     `json:"apple_state"`
	Result     string     `json:"result"`
	Problem    string     `json:"problem"`
	AskedAt    *time.Time `json:"asked_at"`
	RetryAt    *time.Time `json:"retry_at"`
}

// word is why a serial number has not what it should, as far as one word tells.
func (d adeDeviceDoc) word() string {
	switch d.Status {
	case "confirmed", "removed", "no_profile", "missing", "moved", "other_tenant":
		return ""
	case "refused":
		return d.Problem
	}
	return d.Result
}

// ADEProfileStateCmd is `ranzen ade profile state`.
type ADEProfileStateCmd struct {
	Remote
	ForTenant
	Limited
	Serial string `arg:"" optional:"" help:"One serial number; else all are listed."`
	Status string `placeholder:"S" help:"Only those in this status: confirmed, asked, waiting, throttled, failed, refused, no_profile, missing, moved, other_tenant, removed."`
	Token  string `name:"for" placeholder:"NAME" help:"Only those of one server token, by its name or id."`
}

// Run prints serial numbers.
func (c *ADEProfileStateCmd) Run(ctx context.Context, e env) error {
	q := c.query()
	for key, v := range map[string]string{"serial": c.Serial, "status": c.Status, "token": c.Token} {
		if v != "" {
			q.Set(key, v)
		}
	}
	return c.list(ctx, e, q)
}

func (c *ADEProfileStateCmd) list(ctx context.Context, e env, q url.Values) error {
	var list []adeDeviceDoc
	more := false
	return c.do(e, func(api *client) (err error) {
		list, more, err = listing[adeDeviceDoc](ctx, api, "/ade/devices", q, c.Limit)
		return err
	}, func(api *client) {
		t := newTable("SERIAL", "STATUS", "PROFILE", "APPLE SAYS", "ANSWER", "ASKED", "AGAIN", "TOKEN", "MODEL")
		for _, d := range list {
			again := ""
			if d.Status != "confirmed" && d.RetryAt != nil && d.RetryAt.After(api.now) {
				again = api.ago(*d.RetryAt)
			}
			t.add(d.Serial, d.Status, d.Profile, d.AppleState, d.word(), api.agoOf(d.AskedAt), again, d.Token, d.Model)
		}
		api.print(t, "Apple lists no such serial number.")
		if more {
			api.hint("There are more: --limit 0 shows all.")
		}
	})
}
