package server

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/schools"
	"ranzen/internal/sheet"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

type delivery struct {
	ID           string    `json:"id"`
	Tenant       string    `json:"tenant_id"`
	Code         string    `json:"code" example:"L-2026-01"`
	Expected     int       `json:"expected" doc:"How many were ordered"`
	State        string    `json:"state" enum:"open,closed,cancelled"`
	SiteID       string    `json:"site_id" doc:"Where most of it goes"`
	OrderNo      string    `json:"order_no"`
	Supplier     string    `json:"supplier"`
	Funding      string    `json:"funding"`
	BindingUntil string    `json:"binding_until" doc:"Last day on which the funding binds it"`
	Note         string    `json:"note"`
	CreatedAt    time.Time `json:"created_at"`
}

func deliveryOf(d schools.Delivery) delivery {
	return delivery{d.ID, d.TenantID, d.Code, d.Expected, d.State, d.SiteID, d.OrderNo, d.Supplier, d.Funding, d.BindingUntil, d.Note, d.CreatedAt}
}

// OneDelivery names a delivery in the path.
type OneDelivery struct {
	Delivery named `path:"delivery" doc:"Code or id"`
}

func (s *Server) oneDelivery(ctx context.Context, q sqldb.Queryer, ref named) (schools.Delivery, error) {
	return s.Schools.DeliveryByRef(ctx, q, own(ctx), ref.text)
}

type newDelivery struct {
	Body struct {
		Tenant       string `json:"tenant,omitempty" maxLength:"255" doc:"Code or id; needed when there are several"`
		Code         string `json:"code" maxLength:"255"`
		Expected     int    `json:"expected,omitempty" minimum:"0"`
		Site         string `json:"site,omitempty" maxLength:"255"`
		OrderNo      string `json:"order_no,omitempty" maxLength:"255"`
		Supplier     string `json:"supplier,omitempty" maxLength:"255"`
		Funding      string `json:"funding,omitempty" maxLength:"255"`
		BindingUntil string `json:"binding_until,omitempty" maxLength:"255"`
		Note         string `json:"note,omitempty" maxLength:"2000"`
	}
}

type setDelivery struct {
	OneDelivery
	Body struct {
		Expected     *int    `json:"expected,omitempty" minimum:"0"`
		State        *string `json:"state,omitempty" enum:"open,closed,cancelled"`
		Site         *string `json:"site,omitempty" maxLength:"255"`
		OrderNo      *string `json:"order_no,omitempty" maxLength:"255"`
		Supplier     *string `json:"supplier,omitempty" maxLength:"255"`
		Funding      *string `json:"funding,omitempty" maxLength:"255"`
		BindingUntil *string `json:"binding_until,omitempty" maxLength:"255"`
		Note         *string `json:"note,omitempty" maxLength:"2000"`
	}
}

// apiDeliveries is pallets, scanners and boards.
func (s *Server) apiDeliveries(api huma.API) {
	read(s, api, operation{http.MethodGet, "/deliveries", "listDeliveries", auth.Look, "List the deliveries, newest first", "deliveries", false},
		func(ctx context.Context, in *Paged) (list[delivery], error) {
			all, err := s.Schools.Deliveries(ctx, s.DB, own(ctx))
			return few(in, mapped(all, deliveryOf), func(d delivery) string { return d.ID }), err
		})
	read(s, api, operation{http.MethodGet, "/deliveries/{delivery}", "getDelivery", auth.Look, "One delivery", "deliveries", false},
		func(ctx context.Context, in *OneDelivery) (delivery, error) {
			d, err := s.oneDelivery(ctx, s.DB, in.Delivery)
			return deliveryOf(d), err
		})
	write(s, api, operation{http.MethodPost, "/deliveries", "createDelivery", auth.Change, "Expect a delivery", "deliveries", false}, s.createDelivery)
	write(s, api, operation{http.MethodPatch, "/deliveries/{delivery}", "setDelivery", auth.Change, "Change a delivery", "deliveries", false}, s.setDelivery)
	read(s, api, operation{http.MethodGet, "/deliveries/{delivery}/compare", "compareDelivery", auth.Look, "A delivery by its three sides: file, Apple, scanned", "deliveries", false},
		func(ctx context.Context, in *OneDelivery) (views.Comparison, error) {
			d, err := s.oneDelivery(ctx, s.DB, in.Delivery)
			if err != nil {
				return views.Comparison{}, err
			}
			return s.views.Compare(ctx, d.ID)
		})
	read(s, api, operation{http.MethodGet, "/deliveries/{delivery}/board", "getBoard", auth.Look, "The staging board: one state a device, and why", "deliveries", false},
		func(ctx context.Context, in *OneDelivery) (views.Board, error) {
			d, err := s.oneDelivery(ctx, s.DB, in.Delivery)
			if err != nil {
				return views.Board{}, err
			}
			return s.views.Board(ctx, d.ID)
		})
	s.apiMissing(api)
	s.apiBoardEvents(api)
	s.apiScans(api)
	s.apiPrint(api)
}

func (s *Server) createDelivery(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newDelivery) (delivery, error) {
	tenant, err := s.tenantFor(ctx, tx, in.Body.Tenant)
	if err != nil {
		return delivery{}, err
	}
	b := in.Body
	d := schools.Delivery{
		TenantID: tenant.ID, Code: b.Code, Expected: b.Expected, OrderNo: b.OrderNo, Supplier: b.Supplier, Funding: b.Funding,
		BindingUntil: b.BindingUntil, Note: b.Note,
	}
	if b.Site != "" {
		site, err := s.Schools.SiteByRef(ctx, tx, tenant.ID, b.Site)
		if err != nil {
			return delivery{}, err
		}
		d.SiteID = site.ID
	}
	d, err = s.Schools.AddDelivery(ctx, tx, by, d)
	return deliveryOf(d), err
}

func (s *Server) setDelivery(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *setDelivery) (delivery, error) {
	d, err := s.oneDelivery(ctx, tx, in.Delivery)
	if err != nil {
		return delivery{}, err
	}
	b := in.Body
	change := schools.DeliveryChange{
		Expected: b.Expected, State: b.State, OrderNo: b.OrderNo, Supplier: b.Supplier, Funding: b.Funding, BindingUntil: b.BindingUntil, Note: b.Note,
	}
	if b.Site != nil {
		id := ""
		if *b.Site != "" {
			site, err := s.Schools.SiteByRef(ctx, tx, d.TenantID, *b.Site)
			if err != nil {
				return delivery{}, err
			}
			id = site.ID
		}
		change.SiteID = &id
	}
	if err := s.Schools.SetDelivery(ctx, tx, by, d.ID, change); err != nil {
		return delivery{}, err
	}
	d, err = s.Schools.DeliveryByRef(ctx, tx, d.TenantID, d.ID)
	return deliveryOf(d), err
}

type missingOf struct {
	OneDelivery
	InLanguage
}

// apiMissing is what the reseller gets to see of a comparison: serial numbers and
// who lacks them, and nothing of what became of the devices here.
func (s *Server) apiMissing(api huma.API) {
	h := s.document(operation{http.MethodGet, "/deliveries/{delivery}/missing.csv", "exportMissing", auth.Look, "What is missing of a delivery, and where, as a file for the reseller", "deliveries", false})
	h.Responses["200"] = &huma.Response{Description: "The file", Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: "string"}}}}
	huma.Register(api, h, func(ctx context.Context, in *missingOf) (*file, error) {
		d, err := s.oneDelivery(ctx, s.DB, in.Delivery)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		c, err := s.views.Compare(ctx, d.ID)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		header, words := []string{"Seriennummer", "Bestellnummer", "In Ihrer Liste", "In Apple School Manager", "Im Karton"}, map[bool]string{true: "ja", false: "FEHLT"}
		if in.Lang == "en" {
			header, words = []string{"Serial number", "Order number", "In your list", "In Apple School Manager", "In the box"}, map[bool]string{true: "yes", false: "MISSING"}
		}
		rows := [][]string{}
		for _, i := range c.Items {
			if len(i.Missing) > 0 {
				rows = append(rows, []string{i.Serial, i.OrderNo, words[i.ListedAt != nil], words[i.AtApple], words[i.ScannedAt != nil]})
			}
		}
		var b bytes.Buffer
		if err := sheet.WriteCSV(&b, header, rows); err != nil {
			return nil, problemOf(ctx, err)
		}
		return &file{"text/csv; charset=utf-8", `attachment; filename="missing.csv"`, b.Bytes()}, nil
	})
}
