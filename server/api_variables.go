package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/profiles"
)

type variable struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant" doc:"Code of for whom it is; empty: for all tenants that define none"`
	Name      string    `json:"name"`
	By        string    `json:"by"`
	UpdatedAt time.Time `json:"updated_at"`
}

// apiVariables are what people define to stand in profiles. What it is is never
// shown again.
func (s *Server) apiVariables(api huma.API) {
	read(s, api, operation{http.MethodGet, "/variables", "listVariables", auth.Look, "List the variables, without what they stand for", "profiles", false},
		func(ctx context.Context, in *PagedOf) (list[variable], error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[variable]{}, err
			}
			codes, err := views.TenantCodes(ctx, s.DB, own(ctx))
			if err != nil {
				return list[variable]{}, err
			}
			vs, err := s.Profiles.Variables(ctx, s.DB, tenant)
			one := func(v profiles.Variable) variable {
				return variable{v.ID, codes[v.TenantID], v.Name, v.By, v.UpdatedAt}
			}
			return few(&in.Paged, mapped(vs, one), func(v variable) string { return v.ID }), err
		})
	type set struct {
		Wanting
		Body struct {
			Name   string `json:"name" maxLength:"64" example:"SUPPORT_PHONE"`
			Value  string `json:"value" maxLength:"4096"`
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant for whose devices it is; for all that define none if there is none"`
		}
	}
	write(s, api, operation{http.MethodPost, "/variables", "setVariable", auth.Change, "Say what stands in the place of a variable", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *set) (Planned, error) {
			tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
			if err != nil {
				return Planned{}, err
			}
			return s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
				return s.Profiles.SetVariable(ctx, tx, by, tenant, in.Body.Name, in.Body.Value)
			})
		})
	type one struct {
		Wanting
		OfTenant
		Name named `path:"name"`
	}
	write(s, api, operation{http.MethodDelete, "/variables/{name}", "removeVariable", auth.Change, "Remove a variable", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (Planned, error) {
			tenant, err := s.asTenant(ctx, tx, in.Tenant)
			if err != nil {
				return Planned{}, err
			}
			return s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
				return s.Profiles.RemoveVariable(ctx, tx, by, tenant, in.Name.text)
			})
		})
}
