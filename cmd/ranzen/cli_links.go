package main

import (
	"context"
	"time"
)

// LinkCmd groups the enrollment links.
type LinkCmd struct {
	Create LinkCreateCmd `cmd:"" help:"Make an enrollment link; its address goes to whoever holds the iPads."`
	List   LinkListCmd   `cmd:"" help:"List the enrollment links."`
	Revoke LinkRevokeCmd `cmd:"" help:"End a link; iPads that came by it stay enrolled."`
}

type linkDoc struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	URL        string     `json:"url"`
	ProfileURL string     `json:"profile_url"`
	Group      string     `json:"group"`
	ExpiresAt  *time.Time `json:"expires_at"`
	MaxUses    int64      `json:"max_uses"`
	Uses       int64      `json:"uses"`
	RevokedAt  *time.Time `json:"revoked_at"`
	Warning    string     `json:"warning"`
}

// LinkCreateCmd is `ranzen link create`.
type LinkCreateCmd struct {
	Remote
	ForTenant
	Name    string   `required:"" placeholder:"TEXT" help:"What the link is for: \"delivery August\"."`
	Group   string   `placeholder:"G" help:"Group that its iPads join."`
	Expires duration `default:"72h" placeholder:"TIME" help:"How long it is open: 30m, 72h, 14d."`
	MaxUses int      `placeholder:"N" help:"How many enrollments it allows; 0 is any number."`
}

// Run prints the address.
func (c *LinkCreateCmd) Run(ctx context.Context, e env) error {
	if c.MaxUses < 0 {
		return usagef("--max-uses is 0 or more.")
	}
	body := map[string]any{"name": c.Name, "expires_in": int64(time.Duration(c.Expires) / time.Second)}
	if c.Group != "" {
		body["group"] = c.Group
	}
	if c.MaxUses > 0 {
		body["max_uses"] = c.MaxUses
	}
	var l linkDoc
	return c.do(e, func(api *client) error { return api.post(ctx, "/links", c.into(body), &l) }, func(api *client) {
		uses := "any number of times"
		if l.MaxUses > 0 {
			uses = count(l.MaxUses, "enrollment")
		}
		api.facts("page", l.URL, "profile", l.ProfileURL, "group", l.Group, "open until", momentOf(l.ExpiresAt), "for", uses, "id", l.ID)
		if l.Warning != "" {
			api.hint("ranzen: %s", plain(l.Warning))
		}
	})
}

// LinkListCmd is `ranzen link list`.
type LinkListCmd struct {
	Remote
	ForTenant
}

// Run prints the links, newest first.
func (c *LinkListCmd) Run(ctx context.Context, e env) error {
	var links []linkDoc
	return c.do(e, func(api *client) (err error) {
		links, _, err = listing[linkDoc](ctx, api, "/links", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("ID", "NAME", "GROUP", "USES", "OPEN UNTIL", "STATE", "PAGE")
		for _, l := range links {
			state := "open"
			switch {
			case l.RevokedAt != nil:
				state = "revoked"
			case l.ExpiresAt != nil && !api.now.Before(*l.ExpiresAt):
				state = "expired"
			case l.MaxUses > 0 && l.Uses >= l.MaxUses:
				state = "used up"
			}
			t.add(l.ID, l.Name, l.Group, outOf(l.Uses, l.MaxUses), momentOf(l.ExpiresAt), state, l.URL)
		}
		api.print(t, "There are no enrollment links. Make one with: ranzen link create --name TEXT")
	})
}

// LinkRevokeCmd is `ranzen link revoke`.
type LinkRevokeCmd struct {
	Remote
	ForTenant
	ID string `arg:"" help:"The link's id or name: see ranzen link list."`
}

// Run ends the link.
func (c *LinkRevokeCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("links", c.ID, "revoke"), c.query()), nil, nil)
	},
		func(api *client) { api.line("The link is closed. iPads that came by it stay enrolled.") })
}
