package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/auth"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

// apiWho answers why the other way round: who has something, and by which
// assignments.
func (s *Server) apiWho(api huma.API) {
	type ask struct {
		PagedOf
		Item named `path:"item" doc:"Name of a profile or app"`
	}
	read(s, api, operation{http.MethodGet, "/items/{item}/devices", "listHolders", auth.Look, "Which enrolled devices have a profile or app or are to have it, and by which assignments", "profiles", false},
		func(ctx context.Context, in *ask) (out list[views.Holder], err error) {
			err = s.DB.Read(ctx, func(q sqldb.Queryer) error {
				tenant, err := s.asTenant(ctx, q, in.Tenant)
				if err != nil {
					return err
				}
				kind, id, err := s.Profiles.Find(ctx, q, tenant, in.Item.text)
				if err != nil {
					return err
				}
				holders, next, err := s.views.Holders(ctx, q, kind, id, tenant, in.page())
				if err != nil {
					return err
				}
				scopes, err := s.Schools.ScopesOf(ctx, q, mapped(holders, func(h views.Holder) string { return h.ID }))
				if err != nil {
					return err
				}
				var met []schools.Scope
				for _, h := range holders {
					met = append(met, scopes[h.ID]...)
				}
				slices.SortFunc(met, schools.Scope.Compare)
				called, err := s.Schools.Called(ctx, q, slices.Compact(met))
				if err != nil {
					return err
				}
				if err := s.views.Explain(ctx, q, kind, id, holders, scopes, called); err != nil {
					return err
				}
				out = all(holders)
				out.Next = next
				return nil
			})
			return out, err
		})
}
