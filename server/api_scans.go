package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

type scan struct {
	ID         string        `json:"id" doc:"Empty while nothing was kept"`
	Device     string        `json:"device" doc:"The device's id"`
	Serial     string        `json:"serial"`
	Tag        string        `json:"tag"`
	Slot       string        `json:"slot" example:"SAT-K03-07"`
	Kinds      []string      `json:"kinds" doc:"For each text: tag, serial, slot or unknown"`
	Complete   bool          `json:"complete" doc:"Tag and serial number were there and are kept"`
	WaitingFor string        `json:"waiting_for" enum:"tag,serial,"`
	Warnings   []scanWarning `json:"warnings"`
	Next       string        `json:"next" doc:"Next free slot of that cart"`
}

type scanWarning struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func scanOf(r schools.ScanResult) scan {
	out := scan{r.ScanID, r.DeviceID, r.Serial, r.Tag, r.Slot, r.Kinds, r.Complete, r.WaitingFor, []scanWarning{}, r.Next}
	for _, w := range r.Warnings {
		out.Warnings = append(out.Warnings, scanWarning(w))
	}
	if out.Kinds == nil {
		out.Kinds = []string{}
	}
	return out
}

type packItem struct {
	Serial string `json:"serial"`
	Tag    string `json:"tag"`
	Name   string `json:"name"`
	Slot   int    `json:"slot" doc:"0: none"`
	State  string `json:"asset_state"`
	Why    string `json:"why,omitempty" doc:"Of an unknown one: unknown, other-tenant, slot"`
}

type packed struct {
	Cart       string     `json:"cart" doc:"The cart's id"`
	Expected   int        `json:"expected" doc:"Devices that belong into it"`
	Present    []packItem `json:"present"`
	Missing    []packItem `json:"missing"`
	Unexpected []packItem `json:"unexpected" doc:"Scanned, and belong elsewhere"`
	Unknown    []packItem `json:"unknown"`
	Complete   bool       `json:"complete"`
}

func packItems(items []schools.PackItem) []packItem {
	out := make([]packItem, 0, len(items))
	for _, i := range items {
		out = append(out, packItem{i.Serial, i.Tag, i.Name, i.Slot, string(i.State), i.Why})
	}
	return out
}

func (s *Server) apiScans(api huma.API) {
	type scanIn struct {
		OneDelivery
		Body struct {
			Texts []string `json:"texts" minItems:"1" maxItems:"8" doc:"What the scanner read, in any order: asset tag, serial number, slot"`
		}
	}
	write(s, api, operation{http.MethodPost, "/deliveries/{delivery}/scans", "scan", auth.Change, "Keep what a scanner read, once asset tag and serial number are there", "deliveries", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *scanIn) (scan, error) {
			d, err := s.oneDelivery(ctx, tx, in.Delivery)
			if err != nil {
				return scan{}, err
			}
			r, err := s.Schools.Scan(ctx, tx, by, d.ID, in.Body.Texts)
			if err == nil && r.Complete {
				err = s.moved(ctx, tx, r.DeviceID)
			}
			return scanOf(r), err
		})
	type undo struct {
		OneDelivery
		Body struct {
			Scan string `json:"scan,omitempty" maxLength:"255" doc:"Its id; without: the last one that was not taken back"`
		}
	}
	type scanUndone struct {
		Device string `json:"device" doc:"The device's id"`
	}
	write(s, api, operation{http.MethodPost, "/deliveries/{delivery}/scans/undo", "undoScan", auth.Change, "Take a scan back", "deliveries", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *undo) (scanUndone, error) {
			d, err := s.oneDelivery(ctx, tx, in.Delivery)
			if err != nil {
				return scanUndone{}, err
			}
			id, err := s.Schools.UndoScan(ctx, tx, by, d.ID, in.Body.Scan)
			if err == nil {
				err = s.moved(ctx, tx, id)
			}
			return scanUndone{id}, err
		})
	type tagsIn struct {
		OneDelivery
		Body struct {
			Count int `json:"count" minimum:"1" maximum:"5000"`
		}
	}
	type tags struct {
		Tags []string `json:"tags"`
	}
	write(s, api, operation{http.MethodPost, "/deliveries/{delivery}/tags", "reserveTags", auth.Change, "Reserve asset tags to print", "deliveries", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *tagsIn) (tags, error) {
			d, err := s.oneDelivery(ctx, tx, in.Delivery)
			if err != nil {
				return tags{}, err
			}
			tenant, err := s.Schools.TenantFor(ctx, tx, "", d.TenantID)
			if err != nil {
				return tags{}, err
			}
			next, err := s.Schools.NextTags(ctx, tx, by, tenant, in.Body.Count)
			return tags{next}, err
		})
	type packIn struct {
		OneCart
		Body struct {
			Texts []string `json:"texts" maxItems:"500" doc:"Asset tags or serial numbers of all that is in it"`
		}
	}
	write(s, api, operation{http.MethodPost, "/carts/{cart}/pack", "packCheck", auth.Change, "Check what is in a cart", "deliveries", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *packIn) (packed, error) {
			c, err := s.Schools.CartByRef(ctx, tx, own(ctx), in.Cart.text)
			if err != nil {
				return packed{}, err
			}
			r, err := s.Schools.PackCheck(ctx, tx, by, c.ID, in.Body.Texts)
			return packed{c.ID, r.Expected, packItems(r.Present), packItems(r.Missing), packItems(r.Unexpected), packItems(r.Unknown), r.Complete}, err
		})
}
