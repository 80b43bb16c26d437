package server

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

type assignment struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"profile,app"`
	Name      string    `json:"name"`
	To        string    `json:"to" example:"group:5a"`
	Exclude   bool      `json:"exclude" doc:"It is kept from there, whatever else wishes it"`
	Tenant    string    `json:"tenant" doc:"Code of whose wish it is; empty: the provider's"`
	By        string    `json:"by"`
	CreatedAt time.Time `json:"created_at"`
}

type wish struct {
	Wanting
	Body struct {
		Names  []string `json:"names" minItems:"1" maxItems:"100" doc:"Profiles and apps"`
		To     string   `json:"to" maxLength:"300" doc:"all, tenant:T, school:S, site:S, class:C, cart:K, group:NAME or device:ID"`
		Tenant string   `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose names these are, where they fit several; all is its devices then"`
	}
}

func (s *Server) apiAssignments(api huma.API) {
	read(s, api, operation{http.MethodGet, "/assignments", "listAssignments", auth.Look, "What is assigned to whom", "assignments", false},
		func(ctx context.Context, in *PagedOf) (list[assignment], error) {
			tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[assignment]{}, err
			}
			as, err := s.Profiles.Assignments(ctx, s.DB, tenant)
			if err != nil {
				return list[assignment]{}, err
			}
			items, err := s.named(ctx, as, codes)
			return few(&in.Paged, items, func(a assignment) string { return a.ID }), err
		})
	set := func(path, id, summary string, do func(context.Context, *sqldb.Tx, audit.Actor, string, []string, profiles.Scope) (int, error)) {
		write(s, api, operation{http.MethodPost, path, id, auth.Change, summary, "assignments", false},
			func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *wish) (Planned, error) {
				tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
				if err != nil {
					return Planned{}, err
				}
				scope, err := s.scope(ctx, tx, tenant, in.Body.To)
				if err != nil {
					return Planned{}, err
				}
				n := 0
				p, err := s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) (err error) {
					n, err = do(ctx, tx, by, tenant, in.Body.Names, scope)
					return err
				})
				if p.InScope = n; !in.DryRun {
					p.Devices = n // as it was before there were plans
				}
				return p, err
			})
	}
	set("/assignments", "assign", "Wish profiles and apps onto devices, all or none", s.Profiles.Assign)
	set("/assignments/exclude", "exclude", "Keep profiles and apps from devices, whatever else wishes them, all or none", s.Profiles.Exclude)
	set("/assignments/remove", "unassign", "Take a wish back, all or none", s.Profiles.Unassign)
}

// scope reads "all", or what people call a scope of a tenant's: "group:NAME",
// "device:REF", "tenant:T". All there is to a tenant is its own.
func (s *Server) scope(ctx context.Context, q sqldb.Queryer, tenant, text string) (profiles.Scope, error) {
	kind, ref, _ := strings.Cut(text, ":")
	switch {
	case text == "all" && tenant == "":
		return profiles.Scope{Kind: "all"}, nil
	case text == "all":
		return profiles.Scope{Kind: "tenant", ID: tenant}, nil
	case kind == "tenant":
		t, err := s.Schools.TenantFor(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: t.ID}, err
	case kind == "school":
		x, err := s.Schools.SchoolByRef(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: x.ID}, err
	case kind == "site":
		x, err := s.Schools.SiteByRef(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: x.ID}, err
	case kind == "class":
		x, err := s.Schools.ClassByRef(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: x.ID}, err
	case kind == "cart":
		x, err := s.Schools.CartByRef(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: x.ID}, err
	case kind == "group":
		g, err := s.Schools.GroupByName(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: g.ID}, err
	case kind == "device":
		id, err := s.views.Resolve(ctx, q, tenant, ref)
		return profiles.Scope{Kind: kind, ID: id}, err
	}
	return profiles.Scope{}, fault.New(fault.Invalid, "scope.unknown",
		"%q is no scope: write all, tenant:T, school:S, site:S, class:C, cart:K, group:NAME or device:ID.", text).On("to")
}

// named puts names where assignments have ids.
func (s *Server) named(ctx context.Context, as []profiles.Assignment, codes map[string]string) ([]assignment, error) {
	var scopes []schools.Scope
	for _, a := range as {
		scopes = append(scopes, schools.Scope(a.Scope))
	}
	called, err := s.Schools.Called(ctx, s.DB, scopes)
	if err != nil {
		return nil, err
	}
	out := []assignment{}
	for i, a := range as {
		to := a.Scope.Kind
		if to != "all" {
			to += ":" + cmp.Or(called[scopes[i]].Name, a.Scope.ID)
		}
		out = append(out, assignment{a.ID, a.Kind, a.Name, to, a.Exclude, codes[a.TenantID], a.CreatedBy, a.CreatedAt})
	}
	return out, nil
}
