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
			api.line("%s: %s, %d expected. Supplier %s, order %s, funding %s. %s", d.Code, d.State, d.Expected, d.Supplier, d.OrderNo, d.Funding, d.Note)
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
	All bool `help:"List those that all three sides know, too."`
	CSV bool `name:"csv" help:"Write what is missing as CSV for the reseller: serial number, order, and who misses it."`
}

// Run prints the comparison.
func (c *DeliveryCompareCmd) Run(ctx context.Context, e env) error {
	var doc comparedDoc
	return c.do(e, func(api *client) error {
		return api.get(ctx, at("deliveries", c.Delivery, "compare"), nil, &doc)
	}, func(api *client) {
		if c.CSV {
			fmt.Fprint(api.stdout, "Seriennummer;Lieferschein;fehlt bei\r\n") //nolint:errcheck // as with every print
			for _, d := range doc.Items {
				if len(d.Missing) > 0 {
					fmt.Fprintf(api.stdout, "%s;%s;%s\r\n", d.Serial, plain(c.Delivery), strings.Join(d.Missing, ", ")) //nolint:errcheck // as with every print
				}
			}
			return
		}
		t := newTable("SERIAL", "FILE", "APPLE", "PROFILE", "SCANNED", "TAG", "NAME", "NOTE")
		for _, d := range doc.Items {
			if len(d.Missing) > 0 || c.All {
				note := ""
				if d.Other != "" {
					note = "also in " + d.Other
				}
				t.add(d.Serial, tick(d.ListedAt != nil), tick(d.AtApple), tick(d.Confirmed), tick(d.ScannedAt != nil), d.AssetTag, d.Name, note)
			}
		}
		api.print(t, "All three sides know all of it.")
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

type tileDoc struct {
	Serial         string `json:"serial"`
	Tag            string `json:"tag"`
	Name           string `json:"name"`
	State          string `json:"state"`
	ProfilesDone   int    `json:"profiles_done"`
	ProfilesWanted int    `json:"profiles_wanted"`
	AppsDone       int    `json:"apps_done"`
	AppsWanted     int    `json:"apps_wanted"`
	Reason         *struct {
		TextEN string `json:"text_en"`
	} `json:"reason"`
}

type boardDoc struct {
	Tiles  []tileDoc      `json:"tiles"`
	Totals map[string]int `json:"totals"`
}

// DeliveryBoardCmd is `ranzen delivery board`.
type DeliveryBoardCmd struct {
	Remote
	OneDelivery
	Watch bool `help:"Stay and show the numbers again when they change."`
}

// Run prints the board.
func (c *DeliveryBoardCmd) Run(ctx context.Context, e env) error {
	if !c.Watch {
		var doc boardDoc
		return c.do(e, func(api *client) error {
			return api.get(ctx, at("deliveries", c.Delivery, "board"), nil, &doc)
		}, func(api *client) { api.board(doc) })
	}
	api, err := c.open(e)
	if err != nil {
		return err
	}
	last := ""
	for {
		var doc boardDoc
		if err := api.get(ctx, at("deliveries", c.Delivery, "board"), nil, &doc); err != nil {
			return err
		}
		if line := boardLine(doc); line != last {
			api.line("%s", line)
			last = line
		}
		api.docs = nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

func (c *client) board(doc boardDoc) {
	t := newTable("NAME", "TAG", "SERIAL", "STATE", "PROFILES", "APPS", "WHY")
	for _, d := range doc.Tiles {
		why := ""
		if d.Reason != nil {
			why = d.Reason.TextEN
		}
		t.add(d.Name, d.Tag, d.Serial, d.State, fmt.Sprintf("%d/%d", d.ProfilesDone, d.ProfilesWanted), fmt.Sprintf("%d/%d", d.AppsDone, d.AppsWanted), why)
	}
	c.print(t, "The delivery holds no device yet.")
	c.hint("%s", boardLine(doc))
}

func boardLine(doc boardDoc) string {
	n := doc.Totals
	return fmt.Sprintf("%d of %d ready; %d known, %d with their profile, %d enrolled, %d at profiles, %d at apps; %d stuck, %d held",
		n["ready"], n["devices"], n["known"], n["profile_confirmed"], n["enrolled"], n["profiles"], n["apps"], n["stuck"], n["held"])
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
		for what, items := range map[string][]packItemDoc{"Missing": doc.Missing, "Belongs elsewhere": doc.Unexpected, "Unknown": doc.Unknown} {
			for _, i := range items {
				api.line("%s: %s", what, strings.Join(strings.Fields(i.Name+" "+i.Tag+" "+i.Serial), " · "))
			}
		}
	})
	if err == nil && !doc.Complete {
		return failedf("The cart %s is not complete.", c.Cart)
	}
	return err
}
