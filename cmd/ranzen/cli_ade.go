package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"
)

// ADECmd groups Automated Device Enrollment.
type ADECmd struct {
	Key     ADEKeyCmd     `cmd:"" help:"Make a key for an MDM server in Apple School Manager, and print the certificate to upload there."`
	Token   ADETokenCmd   `cmd:"" help:"Server tokens of Apple School Manager."`
	Sync    ADESyncCmd    `cmd:"" help:"Have Apple asked at once."`
	Profile ADEProfileCmd `cmd:"" help:"Enrollment profiles: what iPads do in Setup Assistant, and who gets which."`
}

// ADETokenCmd groups the server tokens.
type ADETokenCmd struct {
	Import        ADEImportCmd `cmd:"" help:"Take the .p7m file that Apple School Manager gave out."`
	Show          ADEShowCmd   `cmd:"" help:"Show the tokens, when they end, and how reading Apple's lists goes."`
	AcceptMissing ADEAcceptCmd `cmd:"" help:"Believe that what is missing in Apple's list is gone from there; the devices stay."`
	Remove        ADERemoveCmd `cmd:"" help:"Forget a token and its key; nothing changes at Apple."`
}

// ForTenant says whose names a command speaks.
type ForTenant struct {
	Tenant string `placeholder:"T" help:"Code of the tenant, where there are several."`
}

// query is the tenant for an address.
func (t ForTenant) query() url.Values {
	q := url.Values{}
	if t.Tenant != "" {
		q.Set("tenant", t.Tenant)
	}
	return q
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

type adeTokenDoc struct {
	ID           string           `json:"id"`
	Tenant       string           `json:"tenant"`
	Name         string           `json:"name"`
	Imported     bool             `json:"imported"`
	ServerName   string           `json:"server_name"`
	Organization string           `json:"organization"`
	ExpiresAt    *time.Time       `json:"expires_at"`
	SyncedAt     *time.Time       `json:"synced_at"`
	FullAt       *time.Time       `json:"full_at"`
	DueAt        *time.Time       `json:"due_at"`
	Reading      bool             `json:"reading"`
	Problem      string           `json:"problem"`
	ProblemText  string           `json:"problem_text"`
	ProblemAt    *time.Time       `json:"problem_at"`
	Missing      int64            `json:"missing"`
	Counts       map[string]int64 `json:"counts"`
}

// ADEKeyCmd is `ranzen ade key`.
type ADEKeyCmd struct {
	Remote
	ForTenant
	Name string `required:"" placeholder:"N" help:"Name of the server token, such as the organization's. The same name gives the same certificate."`
	Out  string `placeholder:"FILE" help:"Write the certificate there instead of printing it; it must not exist."`
}

// Run prints the certificate, PEM.
func (c *ADEKeyCmd) Run(ctx context.Context, e env) error {
	if c.Out != "" {
		if _, err := os.Lstat(c.Out); !errors.Is(err, fs.ErrNotExist) {
			return usagef("%s exists already. Name another file.", c.Out)
		}
	}
	var doc struct {
		Certificate string `json:"certificate"`
	}
	return c.do(e, func(api *client) error {
		body := map[string]any{"name": c.Name}
		if c.Tenant != "" {
			body["tenant"] = c.Tenant
		}
		if err := api.post(ctx, "/ade/tokens", body, &doc); err != nil {
			return err
		}
		if c.Out == "" {
			return nil
		}
		return writeWhole(c.Out, []byte(doc.Certificate), 0o644)
	}, func(api *client) {
		if c.Out != "" {
			api.line("The certificate is in %s. In Apple School Manager, add an MDM server, upload it there, download the server token and import it with: ranzen ade token import FILE", c.Out)
			return
		}
		_, _ = api.stdout.Write([]byte(doc.Certificate)) // as with every print
	})
}

// ADEImportCmd is `ranzen ade token import`.
type ADEImportCmd struct {
	Remote
	ForTenant
	File string `arg:"" help:"The .p7m file of Apple School Manager."`
	Name string `placeholder:"N" help:"Name of the key it was made for; without it all are tried."`
}

// Run imports the token.
func (c *ADEImportCmd) Run(ctx context.Context, e env) error {
	b, err := e.readFile(c.File)
	if err != nil {
		return err
	}
	q := c.query()
	if c.Name != "" {
		q.Set("name", c.Name)
	}
	var t adeTokenDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/ade/tokens/import", q), upload{"application/pkcs7-mime", b}, &t)
	}, func(api *client) {
		api.line("The server token %s is in use until %s: server %s of %s. Its devices appear within a minute; see: ranzen ade token show", t.Name, momentOf(t.ExpiresAt), t.ServerName, t.Organization)
	})
}

// ADEShowCmd is `ranzen ade token show`.
type ADEShowCmd struct {
	Remote
	ForTenant
}

// Run prints the tokens, one after the other.
func (c *ADEShowCmd) Run(ctx context.Context, e env) error {
	var list []adeTokenDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[adeTokenDoc](ctx, api, "/ade/tokens", c.query(), 0)
		return err
	}, func(api *client) {
		if len(list) == 0 {
			api.line("There are no server tokens. Begin with: ranzen ade key --name N")
		}
		for i, t := range list {
			if i > 0 {
				api.line("")
			}
			t.print(api)
		}
	})
}

func (t adeTokenDoc) print(api *client) {
	if !t.Imported {
		api.facts("name", t.Name, "tenant", t.Tenant, "state", "the key is there; upload its certificate and import the token", "id", t.ID)
		return
	}
	pairs := []string{
		"name", t.Name, "tenant", t.Tenant, "server", t.ServerName, "organization", t.Organization,
		"ends", momentOf(t.ExpiresAt) + " (" + api.agoOf(t.ExpiresAt) + ")", "last sync", api.agoOf(t.SyncedAt), "whole list", api.agoOf(t.FullAt),
	}
	if t.Reading {
		pairs = append(pairs, "now", "the whole list is being read")
	}
	if t.Problem != "" {
		pairs = append(pairs, "problem", t.ProblemText, "since", momentOf(t.ProblemAt), "tried again", api.agoOf(t.DueAt))
	}
	if t.Missing > 0 {
		pairs = append(pairs, "missing", fmt.Sprintf("%d devices are not in Apple's list; nothing was removed. See: ranzen ade profile state --status missing", t.Missing))
	}
	for _, status := range []string{"confirmed", "asked", "waiting", "throttled", "failed", "refused", "no_profile", "missing", "moved", "other_tenant", "removed"} {
		if n := t.Counts[status]; n > 0 {
			pairs = append(pairs, status, fmt.Sprint(n))
		}
	}
	api.facts(append(pairs, "id", t.ID)...)
}

// ADEAcceptCmd is `ranzen ade token accept-missing`.
type ADEAcceptCmd struct {
	Remote
	ForTenant
	Token string `arg:"" help:"The token's name or id."`
}

// Run accepts.
func (c *ADEAcceptCmd) Run(ctx context.Context, e env) error {
	var doc struct {
		Removed int64 `json:"removed"`
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("ade", "tokens", c.Token, "accept-missing"), c.query()), nil, &doc)
	}, func(api *client) {
		api.line("%s no longer counted as this server's at Apple. The devices themselves stay.", count(doc.Removed, "serial number"))
	})
}

// ADERemoveCmd is `ranzen ade token remove`.
type ADERemoveCmd struct {
	Remote
	ForTenant
	Token string `arg:"" help:"The token's name or id."`
	Yes   bool   `help:"Do not ask."`
}

// Run removes the token once the person has typed its name.
func (c *ADERemoveCmd) Run(ctx context.Context, e env) error {
	if !c.Yes {
		if err := e.confirm(fmt.Sprintf("The key is thrown away, and a token of Apple's for it can not be read again. Type %s to remove it: ", c.Token), c.Token); err != nil {
			return err
		}
	}
	return c.do(e, func(api *client) error {
		return api.delete(ctx, withQuery(at("ade", "tokens", c.Token), c.query()))
	}, func(api *client) { api.line("The server token %s is removed. Its devices stay.", c.Token) })
}

// ADESyncCmd is `ranzen ade sync`.
type ADESyncCmd struct {
	Remote
	ForTenant
	Token string `name:"for" placeholder:"NAME" help:"Name or id of one server token; else all are asked."`
	Full  bool   `help:"Read the whole list again."`
}

// Run asks for all tokens or for one.
func (c *ADESyncCmd) Run(ctx context.Context, e env) error {
	n := 0
	return c.do(e, func(api *client) error {
		ids := []string{c.Token}
		if c.Token == "" {
			var err error
			if ids, err = c.imported(ctx, api); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if err := api.post(ctx, withQuery(at("ade", "tokens", id, "sync"), c.query()), map[string]any{"full": c.Full}, nil); err != nil {
				return err
			}
			n++
		}
		return nil
	}, func(api *client) {
		api.line("Apple is asked about %s within seconds. See: ranzen ade token show", count(int64(n), "server token"))
	})
}

func (c *ADESyncCmd) imported(ctx context.Context, api *client) (ids []string, err error) {
	list, _, err := listing[adeTokenDoc](ctx, api, "/ade/tokens", c.query(), 0)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if t.Imported {
			ids = append(ids, t.ID)
		}
	}
	if len(ids) == 0 {
		return nil, failedf("There is no server token yet. Begin with: ranzen ade key --name N")
	}
	return ids, nil
}
