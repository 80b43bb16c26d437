package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// CartCmd groups the carts.
type CartCmd struct {
	Add      CartAddCmd      `cmd:"" help:"Make a cart at a site."`
	List     CartListCmd     `cmd:"" help:"List the carts."`
	Set      CartSetCmd      `cmd:"" help:"Change a cart, or which classes use it."`
	Card     CartCardCmd     `cmd:"" help:"Print the card of a cart."`
	Handover CartHandoverCmd `cmd:"" help:"Print the protocol for handing a cart over."`
}

// CartAddCmd is `ranzen cart add`.
type CartAddCmd struct {
	Remote
	ForTenant
	Code  string `arg:"" help:"Second part of its devices' names: K03."`
	Site  string `required:"" placeholder:"S" help:"Code of its site."`
	Slots int    `required:"" placeholder:"N" help:"How many slots it has."`
	Room  string `placeholder:"R" help:"The room it stands in."`
	Label string `placeholder:"TEXT" help:"What is written on it."`
}

// Run makes the cart.
func (c *CartAddCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"code": c.Code, "site": c.Site, "slots": c.Slots, "room": c.Room, "label": c.Label}
	var x worldDoc
	return c.do(e, func(api *client) error { return api.post(ctx, "/carts", c.into(body), &x) },
		func(api *client) { api.line("Cart %s is there.", x.Name) })
}

// CartListCmd is `ranzen cart list`.
type CartListCmd struct {
	Remote
	ForTenant
}

// Run prints the carts.
func (c *CartListCmd) Run(ctx context.Context, e env) error {
	return c.lists(ctx, e, "/carts", c.ForTenant, "There are no carts.", []string{"CART", "LABEL", "DEVICES", "ROOM", "CLASSES", "TENANT"},
		func(x worldDoc) []string {
			return []string{x.Name, x.Label, outOf(x.Devices, x.Slots), x.Room, strings.Join(x.Classes, ","), x.Tenant}
		})
}

// CartSetCmd is `ranzen cart set`.
type CartSetCmd struct {
	Remote
	Cart    string   `arg:"" help:"Site and cart: SAT-K03."`
	Label   *string  `placeholder:"TEXT" help:"What is written on it."`
	Slots   *int     `placeholder:"N" help:"How many slots it has."`
	Room    *string  `placeholder:"R" help:"The room it stands in; empty: none."`
	Classes []string `name:"class" placeholder:"C" help:"A class that uses it: 3b, or SCHOOL/3b. May be there many times; says all of them."`
	None    bool     `name:"no-class" help:"No class uses it."`
}

// Run changes the cart.
func (c *CartSetCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{}
	put(body, "label", c.Label)
	put(body, "slots", c.Slots)
	put(body, "room", c.Room)
	switch {
	case c.None && len(c.Classes) > 0:
		return usagef("--class and --no-class say different things.")
	case c.None:
		body["classes"] = []string{}
	case len(c.Classes) > 0:
		body["classes"] = c.Classes
	}
	if len(body) == 0 {
		return usagef("Say what shall be different: --label, --slots, --room or --class.")
	}
	var x worldDoc
	return c.do(e, func(api *client) error { return api.call(ctx, http.MethodPatch, at("carts", c.Cart), body, &x) },
		func(api *client) { api.line("Cart %s is changed.", x.Name) })
}

// DevicePlaceCmd is `ranzen device place`.
type DevicePlaceCmd struct {
	Remote
	One
	Site  *string `placeholder:"S" help:"Code of the site; empty: none."`
	Room  *string `placeholder:"R" help:"Room of the site; empty: none."`
	Cart  *string `placeholder:"K" help:"Site and cart: SAT-K03; empty: none."`
	Slot  *int    `placeholder:"N" help:"Slot in the cart; it gets the name of its slot. 0: none."`
	Class *string `placeholder:"C" help:"Class: 3b, or SCHOOL/3b; empty: none."`
	Planning
}

// Run says where the device belongs.
func (c *DevicePlaceCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{}
	put(body, "site", c.Site)
	put(body, "room", c.Room)
	put(body, "cart", c.Cart)
	put(body, "slot", c.Slot)
	put(body, "class", c.Class)
	if len(body) == 0 {
		return usagef("Say where it belongs: --cart SAT-K03 --slot 7, --site S, --room R or --class C.")
	}
	var d struct {
		deviceDoc
		Plan planDoc `json:"plan"`
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery(at("devices", c.ID, "place"), c.planning()), body, &d)
	},
		func(api *client) {
			if c.DryRun {
				api.plan(d.Plan)
				return
			}
			api.planned(d.Plan)
			api.facts("serial", d.Serial, "name", d.Name, "site", d.Site, "cart", d.Cart, "slot", d.slot(), "class", d.Class)
		})
}

func (d *deviceDoc) slot() string {
	if d.Slot == 0 {
		return ""
	}
	return fmt.Sprint(d.Slot)
}

// DeviceStateCmd is `ranzen device state`.
type DeviceStateCmd struct {
	Remote
	One
	State      string `arg:"" help:"ordered, delivered, inventoried, ready, in_use, in_inspection, defective, in_repair, missing, stolen, retired, …; German words are understood."`
	Reason     string `placeholder:"TEXT" help:"Why; it stays in the audit log."`
	Police     string `placeholder:"REF" help:"Reference of the police report, of a stolen one."`
	Receipt    string `placeholder:"REF" help:"Receipt of the disposal, or of the new owner."`
	ReplacedBy string `placeholder:"SERIAL" help:"Serial number of the device that came back for it."`
	Confirm    bool   `help:"Go on although the funding still binds it."`
}

// Run takes the device on, if the server's evidence allows it.
func (c *DeviceStateCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{
		"state": c.State, "reason": c.Reason, "police": c.Police, "receipt": c.Receipt, "replaced_by": c.ReplacedBy, "confirm": c.Confirm,
	}
	var d deviceDoc
	return c.do(e, func(api *client) error { return api.post(ctx, at("devices", c.ID, "state"), body, &d) },
		func(api *client) { api.line("%s is %s.", d.Serial, d.AssetState) })
}

// DeviceTagCmd is `ranzen device tag`.
type DeviceTagCmd struct {
	Remote
	One
	Tag string `arg:"" help:"The asset tag on its sticker."`
}

// Run gives the device its tag.
func (c *DeviceTagCmd) Run(ctx context.Context, e env) error {
	var d deviceDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, at("devices", c.ID, "tag"), map[string]any{"tag": c.Tag}, &d)
	},
		func(api *client) { api.line("%s bears %s.", d.Serial, d.AssetTag) })
}
