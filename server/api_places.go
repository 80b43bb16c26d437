package server

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/profiles"
)

func unknownRoom(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "room.unknown", "There is no room %q at this site. See `ranzen room list`.", ref).On("room")
}

type placing struct {
	OneDevice
	Wanting
	Body struct {
		Site  *string `json:"site,omitempty" maxLength:"255" doc:"Code or id; empty: none. Another site takes it out of its cart and room"`
		Room  *string `json:"room,omitempty" maxLength:"255" doc:"Name or id of a room of the site"`
		Cart  *string `json:"cart,omitempty" maxLength:"255" example:"SAT-K03" doc:"Another cart takes it to that cart's site"`
		Slot  *int    `json:"slot,omitempty" minimum:"0" maximum:"100" doc:"0: none; it gets the name of its slot"`
		Class *string `json:"class,omitempty" maxLength:"255" example:"3b"`
	}
}

// placed is a device where it belongs now, and what follows from that.
type placed struct {
	views.Device
	Plan profiles.Plan `json:"plan"`
}

type moving struct {
	OneDevice
	Body struct {
		State      string `json:"state" maxLength:"64" doc:"Asset state to go to; German words are understood"`
		Reason     string `json:"reason,omitempty" maxLength:"2000" doc:"Why; it stays in the audit log. No person's name"`
		Police     string `json:"police,omitempty" maxLength:"255" doc:"Reference of the report, of a stolen one"`
		Receipt    string `json:"receipt,omitempty" maxLength:"255" doc:"Of the disposal, or of the new owner"`
		ReplacedBy string `json:"replaced_by,omitempty" maxLength:"255" doc:"Serial number of the device that came back for it"`
		Confirm    bool   `json:"confirm,omitempty" doc:"Go on although the funding still binds it"`
	}
}

type tagging struct {
	OneDevice
	Body struct {
		Tag string `json:"tag" maxLength:"255"`
	}
}

// apiPlaces is where devices belong, and where they stand in their life as
// property.
func (s *Server) apiPlaces(api huma.API) {
	write(s, api, operation{http.MethodPost, "/devices/{device}/place", "placeDevice", auth.Change, "Say where a device belongs; what is left out stays", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *placing) (out placed, err error) {
			p, err := s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
				out.Device, err = s.changed(ctx, tx, in.Device, func(d schools.Device) error {
					p, err := s.position(ctx, tx, d, in)
					if err != nil {
						return err
					}
					if err := s.Schools.Put(ctx, tx, by, d.ID, p); err != nil {
						return err
					}
					return s.moved(ctx, tx, d.ID)
				})
				return err
			})
			out.Plan = p.Plan
			return out, err
		})
	write(s, api, operation{http.MethodPost, "/devices/{device}/state", "moveDevice", auth.Change, "Take a device on in its life as property", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *moving) (views.Device, error) {
			return s.changed(ctx, tx, in.Device, func(d schools.Device) error {
				b := in.Body
				to, err := schools.ParseState(b.State)
				if err != nil {
					return err
				}
				ev, err := s.evidence(ctx, tx, d.ID)
				if err != nil {
					return err
				}
				ev.Reason, ev.Police, ev.Receipt, ev.ReplacedBy, ev.Confirmed = b.Reason, b.Police, b.Receipt, b.ReplacedBy, b.Confirm
				if err := s.Schools.Move(ctx, tx, by, d.ID, to, ev); err != nil {
					return err
				}
				return s.moved(ctx, tx, d.ID) // an end gives up its place
			})
		})
	write(s, api, operation{http.MethodPost, "/devices/{device}/tag", "tagDevice", auth.Change, "Give a device its asset tag", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *tagging) (views.Device, error) {
			return s.changed(ctx, tx, in.Device, func(d schools.Device) error { return s.Schools.SetTag(ctx, tx, by, d.ID, in.Body.Tag) })
		})
}

// changed changes a device as a thing and shows it as it is then.
func (s *Server) changed(ctx context.Context, tx *sqldb.Tx, ref named, do func(d schools.Device) error) (views.Device, error) {
	id, err := s.views.Resolve(ctx, tx, own(ctx), ref.text)
	if err != nil {
		return views.Device{}, err
	}
	devices, err := s.Schools.Devices(ctx, tx, []string{id})
	if err != nil {
		return views.Device{}, err
	}
	if err := do(devices[id]); err != nil {
		return views.Device{}, err
	}
	d, err := s.views.DeviceIn(ctx, tx, id)
	return d.Device, err
}

// position is where a device belongs after what was asked: what is left out
// stays, unless it hangs on what changes.
func (s *Server) position(ctx context.Context, q sqldb.Queryer, d schools.Device, in *placing) (schools.Position, error) {
	p, b := d.Position, in.Body
	if b.Site != nil {
		id := ""
		if *b.Site != "" {
			x, err := s.Schools.SiteByRef(ctx, q, d.TenantID, *b.Site)
			if err != nil {
				return p, err
			}
			id = x.ID
		}
		if id != p.SiteID {
			p = schools.Position{SiteID: id, ClassID: p.ClassID}
		}
	}
	if b.Cart != nil {
		if *b.Cart == "" {
			p.CartID, p.Slot = "", 0
		} else {
			x, err := s.Schools.CartByRef(ctx, q, d.TenantID, *b.Cart)
			if err != nil {
				return p, err
			}
			if x.ID != p.CartID {
				at := x.SiteID
				if b.Site != nil {
					at = cmp.Or(p.SiteID, at) // two that do not fit are refused, not guessed
				}
				p = schools.Position{SiteID: at, CartID: x.ID, ClassID: p.ClassID}
			}
		}
	}
	if b.Slot != nil {
		p.Slot = *b.Slot
	}
	if b.Room != nil {
		id, err := s.roomAt(ctx, q, d.TenantID, p.SiteID, *b.Room)
		if err != nil {
			return p, err
		}
		p.PlaceID = id
	}
	if b.Class != nil {
		p.ClassID = ""
		if *b.Class != "" {
			x, err := s.Schools.ClassByRef(ctx, q, d.TenantID, *b.Class)
			if err != nil {
				return p, err
			}
			p.ClassID = x.ID
		}
	}
	return p, nil
}
