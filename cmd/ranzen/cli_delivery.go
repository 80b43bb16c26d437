package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// DeliveryCmd groups the deliveries.
type DeliveryCmd struct {
	Create  DeliveryCreateCmd  `cmd:"" help:"Expect a delivery."`
	List    DeliveryListCmd    `cmd:"" help:"List the deliveries."`
	Show    DeliveryShowCmd    `cmd:"" help:"One delivery."`
	Set     DeliverySetCmd     `cmd:"" help:"Change a delivery; close or cancel it."`
	Close   DeliveryCloseCmd   `cmd:"" help:"Close a delivery: nothing more is scanned into it."`
	Compare DeliveryCompareCmd `cmd:"" help:"Lay the reseller's file, Apple and what was scanned beside each other."`
	Board   DeliveryBoardCmd   `cmd:"" help:"The staging board: what is finished, and why the rest is not."`
	Tags    DeliveryTagsCmd    `cmd:"" help:"Reserve asset tags to print."`
	Labels  DeliveryLabelsCmd  `cmd:"" help:"Print asset labels to a PDF."`
	Pack    DeliveryPackCmd    `cmd:"" help:"Check what is in a cart: asset tags or serial numbers from standard input, one a line."`
}

type deliveryDoc struct {
	ID       string `json:"id"`
	Code     string `json:"code"`
	Expected int    `json:"expected"`
	State    string `json:"state"`
	Supplier string `json:"supplier"`
	OrderNo  string `json:"order_no"`
	Funding  string `json:"funding"`
	Note     string `json:"note"`

	BindingUntil string `json:"binding_until"`
}

// DeliveryFacts are what is known of a delivery beforehand.
type DeliveryFacts struct {
	Expected     *int    `placeholder:"N" help:"How many were ordered."`
	Site         *string `placeholder:"S" help:"Where most of it goes."`
	OrderNo      *string `placeholder:"NO" help:"Order number."`
	Supplier     *string `placeholder:"NAME" help:"Who delivers; a company, not a person."`
	Funding      *string `placeholder:"TEXT" help:"Which money pays for it."`
	BindingUntil *string `placeholder:"DAY" help:"Last day on which the funding binds it: 2030-07-31."`
	Note         *string `placeholder:"TEXT" help:"Anything else, but no person's name."`
}

func (f DeliveryFacts) body() map[string]any {
	b := map[string]any{}
	if f.Expected != nil {
		b["expected"] = *f.Expected
	}
	for key, v := range map[string]*string{"site": f.Site, "order_no": f.OrderNo, "supplier": f.Supplier, "funding": f.Funding, "binding_until": f.BindingUntil, "note": f.Note} {
		if v != nil {
			b[key] = *v
		}
	}
	return b
}

// DeliveryCreateCmd is `ranzen delivery create`.
type DeliveryCreateCmd struct {
	Remote
	Code   string `arg:"" help:"What it is called: L-2026-01."`
	Tenant string `placeholder:"T" help:"Whose it is; needed when there are several tenants."`
	DeliveryFacts
}

// Run makes the delivery.
func (c *DeliveryCreateCmd) Run(ctx context.Context, e env) error {
	body := c.body()
	body["code"] = c.Code
	if c.Tenant != "" {
		body["tenant"] = c.Tenant
	}
	return c.do(e, func(api *client) error { return api.post(ctx, "/deliveries", body, nil) },
		func(api *client) {
			api.line("Delivery %s is expected. Take in the reseller's file with: ranzen import devices FILE --delivery %s", c.Code, c.Code)
		})
}

// DeliveryListCmd is `ranzen delivery list`.
type DeliveryListCmd struct{ Remote }

// Run prints the deliveries.
func (c *DeliveryListCmd) Run(ctx context.Context, e env) error {
	var list []deliveryDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[deliveryDoc](ctx, api, "/deliveries", nil, 0)
		return err
	}, func(api *client) {
		t := newTable("CODE", "STATE", "EXPECTED", "SUPPLIER", "ORDER")
		for _, d := range list {
			t.add(d.Code, d.State, fmt.Sprint(d.Expected), d.Supplier, d.OrderNo)
		}
		api.print(t, "There are no deliveries.")
	})
}

// OneDelivery names a delivery.
type OneDelivery struct {
	Delivery string `arg:"" help:"Its code."`
}

// DeliveryShowCmd is `ranzen delivery show`.
type DeliveryShowCmd struct {
	Remote
	OneDelivery
}

// Run prints the delivery.
func (c *DeliveryShowCmd) Run(ctx context.Context, e env) error {
	var d deliveryDoc
	return c.do(e, func(api *client) error { return api.get(ctx, at("deliveries", c.Delivery), nil, &d) },
		func(api *client) {
			api.facts("delivery", d.Code, "state", d.State, "expected", fmt.Sprint(d.Expected), "supplier", d.Supplier, "order", d.OrderNo,
				"funding", d.Funding, "bound until", d.BindingUntil, "note", d.Note)
		})
}

// DeliverySetCmd is `ranzen delivery set`.
type DeliverySetCmd struct {
	Remote
	OneDelivery
	State *string `enum:"open,closed,cancelled" placeholder:"STATE" help:"open, closed or cancelled."`
	DeliveryFacts
}

// Run changes the delivery.
func (c *DeliverySetCmd) Run(ctx context.Context, e env) error {
	body := c.body()
	if c.State != nil {
		body["state"] = *c.State
	}
	return c.do(e, func(api *client) error { return api.call(ctx, "PATCH", at("deliveries", c.Delivery), body, nil) },
		func(api *client) { api.line("Delivery %s is changed.", c.Delivery) })
}

// DeliveryCloseCmd is `ranzen delivery close`.
type DeliveryCloseCmd struct {
	Remote
	OneDelivery
}

// Run closes the delivery.
func (c *DeliveryCloseCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.call(ctx, "PATCH", at("deliveries", c.Delivery), map[string]any{"state": "closed"}, nil)
	}, func(api *client) {
		api.line("Delivery %s is closed. Open it again with: ranzen delivery set %s --state open", c.Delivery, c.Delivery)
	})
}

type comparedDoc struct {
	Items []struct {
		Serial    string     `json:"serial"`
		ListedAt  *time.Time `json:"listed_at"`
		AtApple   bool       `json:"at_apple"`
		Confirmed bool       `json:"profile_confirmed"`
		ScannedAt *time.Time `json:"scanned_at"`
		AssetTag  string     `json:"asset_tag"`
		Name      string     `json:"name"`
		Missing   []string   `json:"missing"`
		Other     string     `json:"other_delivery"`
		Unasked   bool       `json:"unasked"`
	} `json:"items"`
	Totals struct {
		Expected  int `json:"expected"`
		Listed    int `json:"listed"`
		AtApple   int `json:"at_apple"`
		Confirmed int `json:"profile_confirmed"`
		Scanned   int `json:"scanned"`
		Complete  int `json:"complete"`
	} `json:"totals"`
}

// DeliveryCompareCmd is `ranzen delivery compare`.
type DeliveryCompareCmd struct {
	Remote
	OneDelivery
	All  bool   `help:"List those that all three sides know, too."`
	CSV  bool   `name:"csv" help:"Write what is missing, and where, as a file for the reseller."`
	Lang string `enum:"de,en" default:"de" help:"Language of that file: de or en."`
}

// Run prints the comparison.
func (c *DeliveryCompareCmd) Run(ctx context.Context, e env) error {
	if c.CSV && c.JSON {
		return usagef("Say --json or --csv, not both.")
	}
	if c.CSV {
		api, err := c.open(e)
		if err != nil {
			return err
		}
		raw, err := api.ask(ctx, "GET", at("deliveries", c.Delivery, "missing.csv")+"?lang="+c.Lang, nil)
		if err != nil {
			return err
		}
		_, err = e.stdout.Write(raw)
		return err
	}
	var doc comparedDoc
	return c.do(e, func(api *client) error {
		return api.get(ctx, at("deliveries", c.Delivery, "compare"), nil, &doc)
	}, func(api *client) {
		t := newTable("SERIAL", "FILE", "APPLE", "PROFILE", "SCANNED", "TAG", "NAME", "NOTE")
		for _, d := range doc.Items {
			if len(d.Missing) > 0 || c.All {
				note := ""
				switch {
				case d.Other != "":
					note = "also in " + d.Other
				case d.Unasked:
					note = "Apple has it under the order number"
				}
				t.add(d.Serial, tick(d.ListedAt != nil), tick(d.AtApple), tick(d.Confirmed), tick(d.ScannedAt != nil), d.AssetTag, d.Name, note)
			}
		}
		empty := "All three sides know all of it."
		if len(doc.Items) == 0 {
			empty = "No side knows a device of it yet."
		}
		api.print(t, empty)
		n := doc.Totals
		api.hint("%d expected; %d in the file, %d at Apple (%d with their profile), %d scanned; %d known to all three.", n.Expected, n.Listed, n.AtApple, n.Confirmed, n.Scanned, n.Complete)
	})
}

func tick(yes bool) string {
	if yes {
		return "yes"
	}
	return "MISSING"
}

// DeliveryTagsCmd is `ranzen delivery tags`.
type DeliveryTagsCmd struct {
	Remote
	OneDelivery
	Count int `required:"" placeholder:"N" help:"How many."`
}

// Run reserves tags and prints them.
func (c *DeliveryTagsCmd) Run(ctx context.Context, e env) error {
	var doc struct {
		Tags []string `json:"tags"`
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, at("deliveries", c.Delivery, "tags"), map[string]any{"count": c.Count}, &doc)
	}, func(api *client) {
		for _, tag := range doc.Tags {
			api.line("%s", tag)
		}
	})
}

// DeliveryLabelsCmd is `ranzen delivery labels`.
type DeliveryLabelsCmd struct {
	Remote
	OneDelivery
	Format string   `enum:"62x29,50x25,a4" default:"62x29" help:"Millimetres of one label on a roll, or a4."`
	Tags   []string `placeholder:"TAG" help:"Reserved tags; without: those of the delivery's devices."`
	Out    string   `required:"" placeholder:"FILE" help:"Where the PDF goes."`
}

// Run writes the PDF.
func (c *DeliveryLabelsCmd) Run(ctx context.Context, e env) error {
	path := at("deliveries", c.Delivery, "labels.pdf") + "?format=" + c.Format
	if len(c.Tags) > 0 {
		path += "&tags=" + strings.Join(c.Tags, ",")
	}
	return c.paper(ctx, e, path, c.Out)
}

// paper fetches a PDF into a file.
func (r *Remote) paper(ctx context.Context, e env, path, file string) error {
	api, err := r.open(e)
	if err != nil {
		return err
	}
	raw, err := api.ask(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil { //nolint:gosec // labels are no secret
		return failedf("%s cannot be written: %s.", plain(file), reasonOf(err))
	}
	if api.json {
		return api.document(map[string]any{"file": file, "bytes": len(raw)})
	}
	api.line("%s is written.", plain(file))
	return nil
}

type packDoc struct {
	Expected   int           `json:"expected"`
	Present    []packItemDoc `json:"present"`
	Missing    []packItemDoc `json:"missing"`
	Unexpected []packItemDoc `json:"unexpected"`
	Unknown    []packItemDoc `json:"unknown"`
	Complete   bool          `json:"complete"`
}

type packItemDoc struct {
	Serial string `json:"serial"`
	Tag    string `json:"tag"`
	Name   string `json:"name"`
}

// DeliveryPackCmd is `ranzen delivery pack`.
type DeliveryPackCmd struct {
	Remote
	Cart string `arg:"" help:"Site and cart: SAT-K03."`
}

// Run checks the cart; exit status 1 when something is amiss.
func (c *DeliveryPackCmd) Run(ctx context.Context, e env) error {
	texts, err := e.lines()
	if err != nil {
		return err
	}
	var doc packDoc
	err = c.do(e, func(api *client) error {
		return api.post(ctx, at("carts", c.Cart, "pack"), map[string]any{"texts": texts}, &doc)
	}, func(api *client) {
		api.line("%d of %d are in %s.", len(doc.Present), doc.Expected, c.Cart)
		for _, list := range []struct {
			what  string
			items []packItemDoc
		}{{"Missing", doc.Missing}, {"Belongs elsewhere", doc.Unexpected}, {"Unknown", doc.Unknown}} {
			for _, i := range list.items {
				api.line("%s: %s", list.what, strings.Join(strings.Fields(i.Name+" "+i.Tag+" "+i.Serial), " · "))
			}
		}
	})
	if err == nil && !doc.Complete {
		return failedf("The cart %s is not complete.", c.Cart)
	}
	return err
}
