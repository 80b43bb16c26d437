package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Versioning is how a new version of a profile is made.
type Versioning struct {
	Planning
	Draft bool `help:"Keep it until it is published: no device gets it before."`
}

func (v Versioning) versioning() url.Values {
	q := v.planning()
	if v.Draft {
		q.Set("draft", "true")
	}
	return q
}

// with is what several parts of a command say in an address.
func with(parts ...url.Values) url.Values {
	all := url.Values{}
	for _, p := range parts {
		for k, v := range p {
			all[k] = v
		}
	}
	return all
}

// ProfilePublishCmd is `ranzen profile publish`.
type ProfilePublishCmd struct {
	Remote
	ForTenant
	Planning
	Name    string `arg:"" help:"The profile's name."`
	Version int64  `placeholder:"N" help:"Which version; an older one rolls back. Default: the draft."`
}

// Run publishes the version.
func (c *ProfilePublishCmd) Run(ctx context.Context, e env) error {
	q := with(c.query(), c.planning())
	if c.Version != 0 {
		q.Set("version", strconv.FormatInt(c.Version, 10))
	}
	var p savedDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("profiles", c.Name)+"/publish", q), nil, &p)
	}, tellProfile(Versioning{Planning: c.Planning}, &p))
}

// ProfileRollbackCmd is `ranzen profile rollback`.
type ProfileRollbackCmd struct {
	Remote
	ForTenant
	Planning
	Name string `arg:"" help:"The profile's name."`
}

// Run publishes what was published before.
func (c *ProfileRollbackCmd) Run(ctx context.Context, e env) error {
	var p savedDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("profiles", c.Name)+"/rollback", with(c.query(), c.planning())), nil, &p)
	}, tellProfile(Versioning{Planning: c.Planning}, &p))
}

// ProfileHistoryCmd is `ranzen profile history`.
type ProfileHistoryCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The profile's name."`
}

type versionDoc struct {
	Version     int64      `json:"version"`
	State       string     `json:"state"`
	Payloads    []string   `json:"payloads"`
	By          string     `json:"by"`
	CreatedAt   time.Time  `json:"created_at"`
	PublishedBy string     `json:"published_by"`
	PublishedAt *time.Time `json:"published_at"`
}

// Run prints the versions, newest first.
func (c *ProfileHistoryCmd) Run(ctx context.Context, e env) error {
	var list []versionDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[versionDoc](ctx, api, at("profiles", c.Name)+"/versions", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("VERSION", "STATE", "MADE", "BY", "PUBLISHED", "BY", "PAYLOADS")
		for _, v := range list {
			published := "never"
			if v.PublishedAt != nil {
				published = moment(*v.PublishedAt)
			}
			t.add(fmt.Sprint(v.Version), v.State, moment(v.CreatedAt), v.By, published, v.PublishedBy, strings.Join(v.Payloads, ","))
		}
		api.print(t, "There are no versions.")
	})
}

// ProfileDiffCmd is `ranzen profile diff`.
type ProfileDiffCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The profile's name."`
	From int64  `placeholder:"N" help:"The older version. Default: what devices have before the other."`
	To   int64  `placeholder:"N" help:"The newer version. Default: the draft, or else the published one."`
}

type diffDoc struct {
	From        int64 `json:"from"`
	To          int64 `json:"to"`
	Differences []struct {
		Path string `json:"path"`
		From any    `json:"from"`
		To   any    `json:"to"`
	} `json:"differences"`
}

// Run prints the differences, without secrets.
func (c *ProfileDiffCmd) Run(ctx context.Context, e env) error {
	q := c.query()
	for key, v := range map[string]int64{"from": c.From, "to": c.To} {
		if v != 0 {
			q.Set(key, strconv.FormatInt(v, 10))
		}
	}
	var d diffDoc
	return c.do(e, func(api *client) error {
		return api.get(ctx, at("profiles", c.Name)+"/diff", q, &d)
	}, func(api *client) {
		t := newTable("WHERE", fmt.Sprintf("VERSION %d", d.From), fmt.Sprintf("VERSION %d", d.To))
		for _, x := range d.Differences {
			t.add(x.Path, said(x.From), said(x.To))
		}
		api.print(t, "The versions say the same.")
	})
}

// said is a value of a profile in one line.
func said(v any) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(v)
}
