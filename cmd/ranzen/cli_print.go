package main

import "context"

// CartCardCmd is `ranzen cart card`.
type CartCardCmd struct {
	Remote
	Cart string `arg:"" help:"Site and cart: SAT-K03."`
	Lang string `enum:"de,en" default:"de" help:"de or en."`
	Out  string `required:"" placeholder:"FILE" help:"Where the PDF goes."`
}

// Run writes the PDF.
func (c *CartCardCmd) Run(ctx context.Context, e env) error {
	return c.paper(ctx, e, at("carts", c.Cart, "card.pdf")+"?lang="+c.Lang, c.Out)
}

// CartHandoverCmd is `ranzen cart handover`.
type CartHandoverCmd struct {
	Remote
	Cart string `arg:"" help:"Site and cart: SAT-K03."`
	Lang string `enum:"de,en" default:"de" help:"de or en."`
	Out  string `required:"" placeholder:"FILE" help:"Where the PDF goes."`
}

// Run writes the PDF.
func (c *CartHandoverCmd) Run(ctx context.Context, e env) error {
	return c.paper(ctx, e, at("carts", c.Cart, "handover.pdf")+"?lang="+c.Lang, c.Out)
}
