package main

import (
	"context"
	"net/http"
	"time"
)

// VariableCmd groups what people define to stand in profiles.
type VariableCmd struct {
	Set    VariableSetCmd    `cmd:"" help:"Say what stands in the place of a variable."`
	List   VariableListCmd   `cmd:"" help:"List the variables, without what they stand for."`
	Remove VariableRemoveCmd `cmd:"" help:"Remove a variable."`
}

// VariableSetCmd is `ranzen variable set`.
type VariableSetCmd struct {
	Remote
	ForTenant
	Planning
	Name  string `arg:"" help:"Its name without the $, such as SUPPORT_PHONE."`
	Value string `arg:"" help:"What stands in its place."`
}

// Run sets it.
func (c *VariableSetCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/variables", c.planning()), c.into(map[string]any{"name": c.Name, "value": c.Value}), &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("$%s is set.", c.Name)
		api.planned(doc)
	})
}

// VariableListCmd is `ranzen variable list`.
type VariableListCmd struct {
	Remote
	ForTenant
}

type variableDoc struct {
	Tenant    string    `json:"tenant"`
	Name      string    `json:"name"`
	By        string    `json:"by"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Run prints the variables.
func (c *VariableListCmd) Run(ctx context.Context, e env) error {
	var list []variableDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[variableDoc](ctx, api, "/variables", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "TENANT", "BY", "SET")
		for _, v := range list {
			t.add("$"+v.Name, v.Tenant, v.By, moment(v.UpdatedAt))
		}
		api.print(t, "No variables are defined. $DEVICE_NAME, $SERIAL, $ASSET_TAG, $SITE, $CLASS, $CART and $SLOT are there always.")
	})
}

// VariableRemoveCmd is `ranzen variable remove`.
type VariableRemoveCmd struct {
	Remote
	ForTenant
	Planning
	Name string `arg:"" help:"Its name without the $."`
}

// Run removes it.
func (c *VariableRemoveCmd) Run(ctx context.Context, e env) error {
	var doc planDoc
	return c.do(e, func(api *client) error {
		return api.call(ctx, http.MethodDelete, withQuery(at("variables", c.Name), with(c.query(), c.planning())), nil, &doc)
	}, func(api *client) {
		if c.DryRun {
			api.plan(doc)
			return
		}
		api.line("$%s is removed.", c.Name)
		api.planned(doc)
	})
}
