package main

import (
	"context"
	"slices"
	"strings"
	"time"
)

// AssignCmd is `ranzen assign`.
type AssignCmd struct {
	Remote
	ForTenant
	Names   []string `arg:"" name:"name" help:"Profiles and apps."`
	To      string   `required:"" placeholder:"SCOPE" help:"all, tenant:T, school:S, site:S, class:C, cart:K, group:G or device:ID."`
	Exclude bool     `help:"Keep them from there instead, whatever else assigns them."`
	Planning
}

// checkScope refuses what cannot be a scope, before anything is sent.
func checkScope(s string) error {
	kind, id, has := strings.Cut(s, ":")
	kinds := []string{"tenant", "school", "site", "class", "cart", "group", "device"}
	if s == "all" || has && id != "" && slices.Contains(kinds, kind) {
		return nil
	}
	return usagef("%q is no scope: write all, tenant:T, school:S, site:S, class:C, cart:K, group:NAME or device:ID.", plain(s))
}

// Run assigns all names or none.
func (c *AssignCmd) Run(ctx context.Context, e env) error {
	if err := checkScope(c.To); err != nil {
		return err
	}
	path, said := "/assignments", "assigned to"
	if c.Exclude {
		path, said = "/assignments/exclude", "excluded from"
	}
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(path, c.planning()), c.into(map[string]any{"names": c.Names, "to": c.To}), &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("%s: %s %s, which is %s today.", strings.Join(c.Names, ", "), said, c.To, count(doc.InScope, "device"))
		api.planned(doc)
	})
}

// UnassignCmd is `ranzen unassign`.
type UnassignCmd struct {
	Remote
	ForTenant
	Names []string `arg:"" name:"name" help:"Profiles and apps."`
	From  string   `required:"" aliases:"to" placeholder:"SCOPE" help:"all, tenant:T, school:S, site:S, class:C, cart:K, group:G or device:ID."`
	Planning
}

// Run takes all assignments away or none.
func (c *UnassignCmd) Run(ctx context.Context, e env) error {
	if err := checkScope(c.From); err != nil {
		return err
	}
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/assignments/remove", c.planning()), c.into(map[string]any{"names": c.Names, "to": c.From}), &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("%s: no longer assigned to %s, which is %s today.", strings.Join(c.Names, ", "), c.From, count(doc.InScope, "device"))
		api.planned(doc)
	})
}

// AssignmentCmd groups the assignments.
type AssignmentCmd struct {
	List AssignmentListCmd `cmd:"" help:"List what is assigned to whom."`
}

// AssignmentListCmd is `ranzen assignment list`.
type AssignmentListCmd struct {
	Remote
	ForTenant
}

type assignmentDoc struct {
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	To        string    `json:"to"`
	Exclude   bool      `json:"exclude"`
	By        string    `json:"by"`
	CreatedAt time.Time `json:"created_at"`
}

// Run prints the assignments.
func (c *AssignmentListCmd) Run(ctx context.Context, e env) error {
	var list []assignmentDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[assignmentDoc](ctx, api, "/assignments", c.query(), 0)
		return err
	}, func(api *client) { api.print(assignmentsTable(list), "Nothing is assigned.") })
}

func assignmentsTable(list []assignmentDoc) *table {
	t := newTable("KIND", "NAME", "TO", "BY", "SINCE")
	for _, a := range list {
		to := a.To
		if a.Exclude {
			to = "not " + to
		}
		t.add(a.Kind, a.Name, to, a.By, moment(a.CreatedAt))
	}
	return t
}
