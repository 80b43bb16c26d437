package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

type setCart struct {
	OneCart
	Body struct {
		Label   *string   `json:"label,omitempty" maxLength:"255"`
		Slots   *int      `json:"slots,omitempty" minimum:"1" maximum:"100"`
		Room    *string   `json:"room,omitempty" maxLength:"255" doc:"Name or id of the room it stands in; empty: none"`
		Classes *[]string `json:"classes,omitempty" maxItems:"100" doc:"The classes that use it, all of them"`
	}
}

func (s *Server) apiCarts(api huma.API) {
	read(s, api, operation{http.MethodGet, "/carts", "listCarts", auth.Look, "List the carts", "world", false},
		func(ctx context.Context, in *PagedOf) (list[views.CartLine], error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[views.CartLine]{}, err
			}
			all, err := s.views.Carts(ctx, s.DB, tenant)
			return few(&in.Paged, all, func(c views.CartLine) string { return c.ID }), err
		})
	type newCart struct {
		Body struct {
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Where the site's code fits several"`
			Site   string `json:"site" maxLength:"255" doc:"Code or id"`
			Room   string `json:"room,omitempty" maxLength:"255" doc:"Name or id of the room it stands in"`
			Code   string `json:"code" maxLength:"255" example:"K03"`
			Label  string `json:"label,omitempty" maxLength:"255"`
			Slots  int    `json:"slots" minimum:"1" maximum:"100"`
		}
	}
	write(s, api, operation{http.MethodPost, "/carts", "addCart", auth.Change, "Make a cart at a site", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newCart) (views.CartLine, error) {
			b := in.Body
			tenant, err := s.asTenant(ctx, tx, b.Tenant)
			if err != nil {
				return views.CartLine{}, err
			}
			at, err := s.Schools.SiteByRef(ctx, tx, tenant, b.Site)
			if err != nil {
				return views.CartLine{}, err
			}
			x := schools.Cart{TenantID: at.TenantID, SiteID: at.ID, Code: b.Code, Label: b.Label, Slots: b.Slots}
			if x.PlaceID, err = s.roomAt(ctx, tx, at.TenantID, at.ID, b.Room); err != nil {
				return views.CartLine{}, err
			}
			if x, err = s.Schools.AddCart(ctx, tx, by, x); err != nil {
				return views.CartLine{}, err
			}
			return s.cartLine(ctx, tx, x)
		})
	write(s, api, operation{http.MethodPatch, "/carts/{cart}", "setCart", auth.Change, "Change a cart, or which classes use it", "world", false}, s.setCart)
}

func (s *Server) setCart(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *setCart) (views.CartLine, error) {
	b := in.Body
	x, err := s.Schools.CartByRef(ctx, tx, own(ctx), in.Cart.text)
	if err != nil {
		return views.CartLine{}, err
	}
	change := schools.CartChange{Label: b.Label, Slots: b.Slots}
	if b.Room != nil {
		id, err := s.roomAt(ctx, tx, x.TenantID, x.SiteID, *b.Room)
		if err != nil {
			return views.CartLine{}, err
		}
		change.PlaceID = &id
	}
	if change != (schools.CartChange{}) {
		if err := s.Schools.SetCart(ctx, tx, by, x.ID, change); err != nil {
			return views.CartLine{}, err
		}
	}
	if b.Classes == nil {
		return s.cartLine(ctx, tx, x)
	}
	ids := make([]string, len(*b.Classes))
	for i, ref := range *b.Classes {
		k, err := s.Schools.ClassByRef(ctx, tx, x.TenantID, ref)
		if err != nil {
			return views.CartLine{}, err
		}
		ids[i] = k.ID
	}
	if err := s.Schools.SetCartClasses(ctx, tx, by, x.ID, ids); err != nil {
		return views.CartLine{}, err
	}
	devices, err := s.Schools.DevicesInScope(ctx, tx, "cart", x.ID)
	if err != nil {
		return views.CartLine{}, err
	}
	if err := s.moved(ctx, tx, devices...); err != nil {
		return views.CartLine{}, err
	}
	return s.cartLine(ctx, tx, x)
}

// cartLine shows a cart as lists do.
func (s *Server) cartLine(ctx context.Context, q sqldb.Queryer, x schools.Cart) (views.CartLine, error) {
	all, err := s.views.Carts(ctx, q, x.TenantID)
	if err != nil {
		return views.CartLine{}, err
	}
	i := slices.IndexFunc(all, func(c views.CartLine) bool { return c.ID == x.ID })
	if i < 0 {
		return views.CartLine{}, sqldb.ErrNoRows
	}
	return all[i], nil
}

// roomAt finds a room of a site by its name or id; "" is none.
func (s *Server) roomAt(ctx context.Context, q sqldb.Queryer, tenantID, siteID, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	all, err := s.Schools.Places(ctx, q, tenantID)
	if err != nil {
		return "", err
	}
	for _, x := range all {
		if x.SiteID == siteID && (x.ID == ref || x.Name == ref) {
			return x.ID, nil
		}
	}
	return "", unknownRoom(ref)
}
