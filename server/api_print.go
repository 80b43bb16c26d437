package server

import (
	"bytes"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/auth"
	"ranzen/internal/print"
	"ranzen/internal/sqldb"
)

// pdf is an answer that is a paper.
type pdf struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

// draws registers a paper.
func draws[I any](s *Server, api huma.API, op operation, name string, draw func(ctx context.Context, in *I, b *bytes.Buffer) error) {
	h := s.document(op)
	h.Responses["200"] = &huma.Response{Description: "A PDF", Content: map[string]*huma.MediaType{"application/pdf": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}
	huma.Register(api, h, func(ctx context.Context, in *I) (*pdf, error) {
		var b bytes.Buffer
		if err := draw(ctx, in, &b); err != nil {
			return nil, problemOf(ctx, err)
		}
		return &pdf{"application/pdf", `inline; filename="` + name + `"`, b.Bytes()}, nil
	})
}

// InLanguage says in which language a paper is.
type InLanguage struct {
	Lang string `query:"lang" enum:"de,en" default:"de" doc:"Language of the paper"`
}

// OneCart names a cart in the path.
type OneCart struct {
	Cart named `path:"cart" doc:"Site and cart: SAT-K03"`
}

type labelsOf struct {
	OneDelivery
	InLanguage
	Tags   []string `query:"tags" maxItems:"500" doc:"These asset tags, reserved or not yet stuck on; without: those of the delivery's devices"`
	Format string   `query:"format" enum:"62x29,50x25,a4" default:"62x29" doc:"Millimetres of one label on a roll, or a4: sheets of 24"`
}

type paperOf struct {
	OneCart
	InLanguage
}

// apiPrint is what goes onto paper.
func (s *Server) apiPrint(api huma.API) {
	draws(s, api, operation{http.MethodGet, "/deliveries/{delivery}/labels.pdf", "printLabels", auth.Look, "The asset labels of a delivery", "deliveries", false}, "labels.pdf", s.printLabels)
	draws(s, api, operation{http.MethodGet, "/carts/{cart}/card.pdf", "printCartCard", auth.Look, "The card of a cart", "world", false}, "card.pdf", s.printCard)
	draws(s, api, operation{http.MethodGet, "/carts/{cart}/handover.pdf", "printHandOver", auth.Look, "The protocol for handing a cart over", "world", false}, "handover.pdf", s.printHandOver)
}

func (s *Server) printLabels(ctx context.Context, in *labelsOf, b *bytes.Buffer) error {
	var labels []print.Label
	err := s.DB.Read(ctx, func(q sqldb.Queryer) error {
		d, err := s.Schools.DeliveryByRef(ctx, q, own(ctx), in.Delivery.text)
		if err != nil {
			return err
		}
		owner, err := s.Schools.TenantFor(ctx, q, own(ctx), d.TenantID)
		if err != nil {
			return err
		}
		tags := in.Tags
		if len(tags) == 0 {
			tags, err = s.views.TagsOf(ctx, q, d.ID)
		}
		for _, tag := range tags {
			labels = append(labels, print.Label{Tag: tag, Owner: owner.Name})
		}
		return err
	})
	if err != nil {
		return err
	}
	return print.Labels(b, in.Lang, in.Format, s.Clock.Now().Local(), labels)
}

// card gathers what is printed of a cart.
func (s *Server) card(ctx context.Context, q sqldb.Queryer, ref string) (print.HandOver, error) {
	c, err := s.Schools.CartByRef(ctx, q, own(ctx), ref)
	if err != nil {
		return print.HandOver{}, err
	}
	content, err := s.views.Cart(ctx, q, c.ID)
	if err != nil {
		return print.HandOver{}, err
	}
	h := print.HandOver{
		Card: print.Card{
			Owner: content.Tenant, School: content.School, Site: content.Site, Address: content.Address, Cart: content.Name, Label: c.Label,
			Place: content.Place, Classes: content.Classes, At: s.Clock.Now().Local(),
		},
		Delivery: content.Delivery, PackCheckAt: content.CheckedAt.Local(), Complete: content.Complete,
	}
	if content.CheckedAt.IsZero() {
		h.PackCheckAt = content.CheckedAt
	}
	in := map[int]print.Slot{}
	for _, d := range content.Devices {
		in[d.Slot] = print.Slot{Number: d.Slot, Name: d.Name, Tag: d.Tag, Serial: d.Serial, Model: d.Model}
	}
	for n := 1; n <= c.Slots; n++ {
		slot := in[n]
		slot.Number = n
		h.Slots = append(h.Slots, slot)
	}
	return h, nil
}

func (s *Server) printCard(ctx context.Context, in *paperOf, b *bytes.Buffer) error {
	h, err := s.card(ctx, s.DB, in.Cart.text)
	if err != nil {
		return err
	}
	return print.CartCard(b, in.Lang, h.Card)
}

func (s *Server) printHandOver(ctx context.Context, in *paperOf, b *bytes.Buffer) error {
	h, err := s.card(ctx, s.DB, in.Cart.text)
	if err != nil {
		return err
	}
	return print.HandOverProtocol(b, in.Lang, h)
}
