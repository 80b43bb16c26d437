package server

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

type adeProfile struct {
	ID           string         `json:"id"`
	Tenant       string         `json:"tenant" doc:"Code of whose it is; empty: the provider's, for all tenants"`
	Name         string         `json:"name"`
	Definition   map[string]any `json:"definition" doc:"Apple's keys as far as people set them"`
	Baseline     []string       `json:"baseline" doc:"Profiles and apps that must be observed before the iPad leaves Setup Assistant"`
	MinOS        string         `json:"min_os" doc:"Older iPads update themselves first; empty: any"`
	ReleaseAfter int64          `json:"release_after" doc:"Seconds after which a person may release an iPad without its baseline"`
	To           []string       `json:"to" example:"delivery:L-2026-01" doc:"Who gets it"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
	Warnings     []string       `json:"warnings" doc:"Of the change that was just made"`
}

func adeProfileOf(p enroll.ADEProfile, to []string, codes map[string]string) adeProfile {
	out := adeProfile{
		ID: p.ID, Tenant: codes[p.TenantID], Name: p.Name, Definition: p.Definition, Baseline: p.Baseline, MinOS: p.MinOS,
		ReleaseAfter: int64(p.ReleaseAfter / time.Second), To: to, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Warnings: p.Warnings,
	}
	for _, list := range []*[]string{&out.Baseline, &out.To, &out.Warnings} {
		if *list == nil {
			*list = []string{}
		}
	}
	return out
}

// ADEWishBody is what can be said of an enrollment profile; what is left out
// stays as it is.
type ADEWishBody struct {
	Definition   json.RawMessage `json:"definition,omitempty" doc:"JSON object of Apple's keys; the server adds its own"`
	Skip         *[]string       `json:"skip,omitempty" maxItems:"100" doc:"Panes of Setup Assistant to leave out; all: every one there is"`
	Baseline     *[]string       `json:"baseline,omitempty" maxItems:"100"`
	MinOS        *string         `json:"min_os,omitempty" maxLength:"32"`
	ReleaseAfter *int64          `json:"release_after,omitempty" minimum:"0" maximum:"1000000" doc:"Seconds"`
}

func (b ADEWishBody) spec() enroll.ADEProfileSpec {
	out := enroll.ADEProfileSpec{Definition: b.Definition, Skip: b.Skip, Baseline: b.Baseline, MinOS: b.MinOS}
	if b.ReleaseAfter != nil {
		d := time.Duration(*b.ReleaseAfter) * time.Second
		out.ReleaseAfter = &d
	}
	return out
}

// OneADEProfile names an enrollment profile in the address.
type OneADEProfile struct {
	Profile named `path:"profile" doc:"The enrollment profile's name or id"`
	OfTenant
}

func (s *Server) apiADEProfiles(api huma.API) {
	read(s, api, operation{http.MethodGet, "/ade/profiles", "listADEProfiles", auth.Look, "List the enrollment profiles", "ade", false},
		func(ctx context.Context, in *PagedOf) (list[adeProfile], error) {
			items, err := s.adeProfiles(ctx, s.DB, in.Tenant)
			return few(&in.Paged, items, func(p adeProfile) string { return p.ID }), err
		})
	read(s, api, operation{http.MethodGet, "/ade/profiles/{profile}", "getADEProfile", auth.Look, "Show an enrollment profile", "ade", false},
		func(ctx context.Context, in *OneADEProfile) (adeProfile, error) {
			p, codes, err := s.adeProfileRef(ctx, s.DB, *in)
			if err != nil {
				return adeProfile{}, err
			}
			to, err := s.adeTo(ctx, s.DB)
			return adeProfileOf(p, to[p.ID], codes), err
		})
	type newProfile struct {
		Body struct {
			ADEWishBody
			Name   string `json:"name" maxLength:"255"`
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of whose it shall be; the provider's if there is none"`
		}
	}
	write(s, api, operation{http.MethodPost, "/ade/profiles", "createADEProfile", auth.Change, "Make an enrollment profile", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newProfile) (adeProfile, error) {
			tenant, codes, err := s.speaks(ctx, tx, in.Body.Tenant)
			if err != nil {
				return adeProfile{}, err
			}
			if err := s.baseline(ctx, tx, tenant, in.Body.Baseline); err != nil {
				return adeProfile{}, err
			}
			p, err := s.Enroll.AddADEProfile(ctx, tx, by, tenant, in.Body.Name, in.Body.spec())
			return adeProfileOf(p, nil, codes), err
		})
	type setProfile struct {
		OneADEProfile
		Body ADEWishBody
	}
	write(s, api, operation{http.MethodPost, "/ade/profiles/{profile}", "setADEProfile", auth.Change, "Change an enrollment profile; iPads get the new one when they are erased the next time", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *setProfile) (adeProfile, error) {
			p, codes, err := s.adeProfileRef(ctx, tx, in.OneADEProfile)
			if err != nil {
				return adeProfile{}, err
			}
			if err := s.baseline(ctx, tx, p.TenantID, in.Body.Baseline); err != nil {
				return adeProfile{}, err
			}
			tx.AfterCommit(func() { s.hurry(adeAssign) })
			if p, err = s.Enroll.SetADEProfile(ctx, tx, by, own(ctx), p.ID, in.Body.spec()); err != nil {
				return adeProfile{}, err
			}
			to, err := s.adeTo(ctx, tx)
			return adeProfileOf(p, to[p.ID], codes), err
		})
	write(s, api, operation{http.MethodDelete, "/ade/profiles/{profile}", "removeADEProfile", auth.Change, "Remove an enrollment profile that nobody gets", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *OneADEProfile) (nothing, error) {
			p, _, err := s.adeProfileRef(ctx, tx, *in)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Enroll.RemoveADEProfile(ctx, tx, by, own(ctx), p.ID)
		})
	s.apiADEWishes(api)
}

func (s *Server) apiADEWishes(api huma.API) {
	type wishFor struct {
		OneADEProfile
		Body struct {
			To string `json:"to" maxLength:"300" doc:"tenant:T, site:S or delivery:D"`
		}
	}
	set := func(word, id, summary string, do func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, p enroll.ADEProfile, tenant, kind, scope string) error) {
		write(s, api, operation{http.MethodPost, "/ade/profiles/{profile}/" + word, id, auth.Change, summary, "ade", false},
			func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *wishFor) (nothing, error) {
				p, _, err := s.adeProfileRef(ctx, tx, in.OneADEProfile)
				if err != nil {
					return nothing{}, err
				}
				tenant, kind, scope, err := s.adeScope(ctx, tx, in.Tenant, in.Body.To)
				if err != nil {
					return nothing{}, err
				}
				tx.AfterCommit(func() { s.hurry(adeAssign) })
				return nothing{}, do(ctx, tx, by, p, tenant, kind, scope)
			})
	}
	set("assign", "assignADEProfile", "Say who gets an enrollment profile, in place of the one before", s.Enroll.WishADE)
	set("unassign", "unassignADEProfile", "Take an enrollment profile back; Apple keeps what it assigned",
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, p enroll.ADEProfile, _, kind, scope string) error {
			return s.Enroll.UnwishADE(ctx, tx, by, p, kind, scope)
		})
}

// adeScope reads "tenant:T", "site:S" or "delivery:D", and whose it is.
func (s *Server) adeScope(ctx context.Context, q sqldb.Queryer, asked, text string) (tenant, kind, id string, err error) {
	if tenant, err = s.asTenant(ctx, q, asked); err != nil {
		return "", "", "", err
	}
	kind, ref, _ := strings.Cut(text, ":")
	switch kind {
	case "tenant":
		t, err := s.Schools.TenantFor(ctx, q, tenant, ref)
		return t.ID, kind, t.ID, err
	case "site":
		site, err := s.Schools.SiteByRef(ctx, q, tenant, ref)
		return site.TenantID, kind, site.ID, err
	case "delivery":
		d, err := s.Schools.DeliveryByRef(ctx, q, tenant, ref)
		return d.TenantID, kind, d.ID, err
	}
	return "", "", "", fault.New(fault.Invalid, "ade-profile.scope", "%q gets no enrollment profile: write tenant:T, site:S or delivery:D.", text).On("to")
}

// adeProfileRef finds an enrollment profile among those that whoever asks may see.
func (s *Server) adeProfileRef(ctx context.Context, q sqldb.Queryer, in OneADEProfile) (enroll.ADEProfile, map[string]string, error) {
	tenant, codes, err := s.speaks(ctx, q, in.Tenant)
	if err != nil {
		return enroll.ADEProfile{}, nil, err
	}
	p, err := s.Enroll.ADEProfileByRef(ctx, q, tenant, in.Profile.text)
	return p, codes, err
}

func (s *Server) adeProfiles(ctx context.Context, q sqldb.Queryer, asked string) ([]adeProfile, error) {
	tenant, codes, err := s.speaks(ctx, q, asked)
	if err != nil {
		return nil, err
	}
	ps, err := s.Enroll.ADEProfiles(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	to, err := s.adeTo(ctx, q)
	return mapped(ps, func(p enroll.ADEProfile) adeProfile { return adeProfileOf(p, to[p.ID], codes) }), err
}

// adeTo tells by profile who gets it, as far as whoever asks may see.
func (s *Server) adeTo(ctx context.Context, q sqldb.Queryer) (map[string][]string, error) {
	wishes, err := s.Enroll.ADEWishes(ctx, q)
	if err != nil {
		return nil, err
	}
	scopes := mapped(wishes, func(w enroll.ADEWish) schools.Scope { return schools.Scope{Kind: w.Kind, ID: w.ScopeID} })
	called, err := s.Schools.Called(ctx, q, scopes)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for i, w := range wishes {
		c := called[scopes[i]]
		if me := own(ctx); me == "" || c.TenantID == me {
			out[w.ProfileID] = append(out[w.ProfileID], w.Kind+":"+cmp.Or(c.Name, w.ScopeID))
		}
	}
	return out, nil
}

// baseline refuses names that nobody will ever observe.
func (s *Server) baseline(ctx context.Context, q sqldb.Queryer, tenant string, names *[]string) error {
	if names == nil {
		return nil
	}
	ps, err := s.Profiles.Profiles(ctx, q, tenant)
	if err != nil {
		return err
	}
	apps, err := s.Profiles.Apps(ctx, q, tenant)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range ps {
		known[p.Name] = true
	}
	for _, a := range apps {
		known[a.Name] = true
	}
	for _, n := range *names {
		if !known[n] {
			return fault.New(fault.Invalid, "ade-profile.baseline-unknown",
				"The baseline names %q, but there is no profile and no app of that name. Add it first.", n).On("baseline")
		}
	}
	return nil
}
