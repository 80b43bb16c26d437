package main

import (
	"context"
	"net/url"
	"time"
)

// SecretCmd groups the secrets that files refer to.
type SecretCmd struct {
	Set    SecretSetCmd    `cmd:"" help:"Keep a secret that files refer to as stored:NAME."`
	List   SecretListCmd   `cmd:"" help:"List their names."`
	Remove SecretRemoveCmd `cmd:"" help:"Forget one; profiles that were made with it keep it."`
}

// SecretSetCmd is `ranzen secret set`.
type SecretSetCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"Its name: letters, digits, dots, dashes, underscores."`
	File string `required:"" placeholder:"FILE" help:"File whose only content it is; - reads standard input."`
}

// Run stores the secret.
func (c *SecretSetCmd) Run(ctx context.Context, e env) error {
	value, err := e.readSecret(c.File)
	if err != nil {
		return err
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, "/secrets", c.into(map[string]any{"name": c.Name, "value": value.Open()}), nil)
	}, func(api *client) { api.line("Secret %s is stored. Files refer to it as stored:%s", c.Name, c.Name) })
}

// SecretListCmd is `ranzen secret list`.
type SecretListCmd struct {
	Remote
	ForTenant
}

// Run prints the names.
func (c *SecretListCmd) Run(ctx context.Context, e env) error {
	var list []struct {
		Name      string    `json:"name"`
		UpdatedAt time.Time `json:"updated_at"`
	}
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[struct {
			Name      string    `json:"name"`
			UpdatedAt time.Time `json:"updated_at"`
		}](ctx, api, "/secrets", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "SINCE")
		for _, s := range list {
			t.add(s.Name, moment(s.UpdatedAt))
		}
		api.print(t, "No secrets are stored.")
	})
}

// SecretRemoveCmd is `ranzen secret remove`.
type SecretRemoveCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"Its name."`
}

// Run forgets the secret.
func (c *SecretRemoveCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.delete(ctx, withQuery(at("secrets", c.Name), c.query())) },
		func(api *client) { api.line("Secret %s is forgotten.", c.Name) })
}

type appliedDoc struct {
	planDoc
	Edits []struct {
		What   string `json:"what"`
		Name   string `json:"name"`
		Action string `json:"action"`

		Warnings []findingDoc `json:"warnings"`
	} `json:"edits"`
}

func (c *client) edits(doc appliedDoc) {
	t := newTable("ACTION", "WHAT", "NAME")
	for _, x := range doc.Edits {
		t.add(x.Action, x.What, x.Name)
		c.warnings(x.Name, x.Warnings)
	}
	c.print(t, "The files say what is wished already.")
}

// PlanCmd is `ranzen plan`.
type PlanCmd struct {
	Remote
	ForTenant
	Dir       string `arg:"" help:"Folder with desired state as .yaml files."`
	RemoveAll bool   `help:"It is meant that nothing shall be left."`
}

// Run tells what applying the files would do. Its exit status is 4 if it would
// change anything.
func (c *PlanCmd) Run(ctx context.Context, e env) error {
	doc, err := readState(c.Dir)
	if err != nil {
		return err
	}
	var out appliedDoc
	err = c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/document", document(c.query(), Planning{DryRun: true}, c.RemoveAll)), doc, &out)
	}, func(api *client) {
		api.edits(out)
		if len(out.Edits) > 0 {
			api.plan(out.planDoc)
		}
		if len(out.Edits) > 0 && out.Devices == 0 {
			api.line("Do just this with: ranzen apply %s --plan %s", c.Dir, out.Hash)
		}
	})
	if err == nil && len(out.Edits) > 0 {
		return &exitError{status: exitPlanned}
	}
	return err
}

func document(q url.Values, p Planning, removeAll bool) url.Values {
	for k, v := range p.planning() {
		q[k] = v
	}
	if removeAll {
		q.Set("remove_all", "true")
	}
	return q
}

// ApplyCmd is `ranzen apply`.
type ApplyCmd struct {
	Remote
	ForTenant
	Planning
	Dir       string `arg:"" help:"Folder with desired state as .yaml files."`
	RemoveAll bool   `help:"It is meant that nothing shall be left."`
}

// Run makes what is wished what the files say, all or nothing.
func (c *ApplyCmd) Run(ctx context.Context, e env) error {
	doc, err := readState(c.Dir)
	if err != nil {
		return err
	}
	var out appliedDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/document", document(c.query(), c.Planning, c.RemoveAll)), doc, &out)
	}, func(api *client) {
		api.edits(out)
		if c.DryRun {
			api.plan(out.planDoc)
			return
		}
		api.planned(out.planDoc)
	})
}

// ExportStateCmd is `ranzen export DIR`.
type ExportStateCmd struct {
	Remote
	ForTenant
	Dir string `arg:"" help:"Folder to write desired state to, as .yaml files."`
}

// Run writes what is wished as files.
func (c *ExportStateCmd) Run(ctx context.Context, e env) error {
	var doc stateDoc
	files := 0
	return c.do(e, func(api *client) (err error) {
		if err = api.get(ctx, "/document", c.query(), &doc); err != nil {
			return err
		}
		files, err = writeState(c.Dir, doc)
		return err
	}, func(api *client) {
		api.line("%s written to %s. Secrets stand there as stored:NAME; applying the files changes nothing.", count(int64(files), "file"), c.Dir)
	})
}
