package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/catalogue"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/profiles"
)

// Profile is a configuration profile.
type Profile struct {
	ID         string    `json:"id"`
	Tenant     string    `json:"tenant" doc:"Code of whose it is; empty: the provider's, for all tenants"`
	Name       string    `json:"name"`
	Identifier string    `json:"identifier"`
	Version    int64     `json:"version" doc:"The published one; 0: none is, and no device gets it"`
	Draft      int64     `json:"draft" doc:"The version that waits to be published; 0: none"`
	Payloads   []string  `json:"payloads" doc:"Types of its payloads"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// saved is a profile as it is now, and what its new version does to devices.
type saved struct {
	Profile
	Plan profiles.Plan `json:"plan"`

	Warnings []catalogue.Finding `json:"warnings" doc:"What is odd in the new version; it was taken all the same"`
}

func profileOf(p profiles.Profile, codes map[string]string) Profile {
	return Profile{p.ID, codes[p.TenantID], p.Name, p.Identifier, p.Version, p.Draft, p.Payloads, p.CreatedAt, p.UpdatedAt}
}

// OneProfile names a profile.
type OneProfile struct {
	Profile named `path:"profile" doc:"The profile's name"`
	OfTenant
}

func (s *Server) apiProfiles(api huma.API) {
	read(s, api, operation{http.MethodGet, "/profiles", "listProfiles", auth.Look, "List the profiles", "profiles", false},
		func(ctx context.Context, in *PagedOf) (list[Profile], error) {
			tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[Profile]{}, err
			}
			ps, err := s.Profiles.Profiles(ctx, s.DB, tenant)
			one := func(p profiles.Profile) Profile { return profileOf(p, codes) }
			return few(&in.Paged, mapped(ps, one), func(p Profile) string { return p.ID }), err
		})
	read(s, api, operation{http.MethodGet, "/profiles/{profile}", "getProfile", auth.Look, "Show a profile, without its secrets", "profiles", false},
		func(ctx context.Context, in *OneProfile) (Profile, error) {
			tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
			if err != nil {
				return Profile{}, err
			}
			p, err := s.Profiles.ProfileByName(ctx, s.DB, tenant, in.Profile.text)
			return profileOf(p, codes), err
		})
	write(s, api, operation{http.MethodDelete, "/profiles/{profile}", "removeProfile", auth.Change, "Remove a profile that is assigned to nobody", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *OneProfile) (nothing, error) {
			tenant, err := s.asTenant(ctx, tx, in.Tenant)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Profiles.RemoveProfile(ctx, tx, by, tenant, in.Profile.text)
		})
	type upload struct {
		OfTenant
		Versioning
		Name    string `query:"name" maxLength:"255" doc:"Default: its PayloadDisplayName"`
		RawBody []byte `contentType:"application/x-apple-aspen-config"`
	}
	write(s, api, operation{http.MethodPost, "/profiles", "addProfile", auth.Change, "Take a .mobileconfig; the same name again is a new version, published unless it is a draft", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *upload) (saved, error) {
			return s.addProfile(ctx, tx, by, &in.Versioning, in.Tenant, in.Name, in.RawBody, nil)
		})
	s.apiVersions(api)
	s.apiBuilders(api)
	s.apiCatalogue(api)
	s.apiApps(api)
	s.apiVariables(api)
	s.apiRemovals(api)
	s.apiAssignments(api)
	s.apiRollouts(api)
	s.apiDocument(api)
}

// speaks is asTenant, and the tenants' codes to show.
func (s *Server) speaks(ctx context.Context, q sqldb.Queryer, asked string) (tenant string, codes map[string]string, err error) {
	if tenant, err = s.asTenant(ctx, q, asked); err != nil {
		return "", nil, err
	}
	codes, err = views.TenantCodes(ctx, q, own(ctx))
	return tenant, codes, err
}

// addProfile takes what was uploaded or built, unless building failed.
func (s *Server) addProfile(ctx context.Context, tx *sqldb.Tx, by audit.Actor, w *Versioning, asked, name string, raw []byte, failed error) (out saved, err error) {
	if failed != nil {
		return out, failed
	}
	tenant, codes, err := s.speaks(ctx, tx, asked)
	if err != nil {
		return out, err
	}
	add := s.Profiles.AddProfile
	if w.Draft {
		add = s.Profiles.AddDraft
	}
	p, err := s.propose(ctx, tx, &w.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err := add(ctx, tx, by, tenant, name, raw)
		out.Profile, out.Warnings = profileOf(p, codes), append([]catalogue.Finding{}, p.Warnings...)
		return err
	})
	out.Plan = p.Plan
	return out, err
}

// App is an app of the App Store, or an in-house one.
type App struct {
	ID        string `json:"id"`
	Tenant    string `json:"tenant" doc:"Code of whose it is; empty: the provider's, for all tenants"`
	Name      string `json:"name"`
	Source    string `json:"source" enum:"app-store,in-house"`
	AdamID    string `json:"adam_id" doc:"Empty: it is in-house"`
	BundleID  string `json:"bundle_id"`
	HoldsData bool   `json:"holds_data" doc:"Removing it loses what was made with it: a person must confirm that"`

	Version       int64  `json:"version" doc:"Of an in-house app, the one devices should have, counted from 1; 1 of others"`
	ShortVersion  string `json:"short_version,omitempty" doc:"CFBundleShortVersionString of an in-house app"`
	BundleVersion string `json:"bundle_version,omitempty" doc:"CFBundleVersion of an in-house app"`
	MinimumOS     string `json:"minimum_os,omitempty"`
	SHA256        string `json:"sha256,omitempty" doc:"Of its .ipa, hex"`
	Size          int64  `json:"size,omitempty" doc:"Bytes"`
}

func appOf(a profiles.App, codes map[string]string) App {
	out := App{ID: a.ID, Tenant: codes[a.TenantID], Name: a.Name, Source: "app-store", AdamID: a.AdamID, BundleID: a.BundleID, HoldsData: a.HoldsData, Version: a.Version}
	if a.AdamID == "" {
		out.Source, out.ShortVersion, out.BundleVersion, out.MinimumOS = "in-house", a.IPA.ShortVersion, a.IPA.BundleVersion, a.IPA.MinimumOS
		out.SHA256, out.Size = a.SHA256, a.Size
	}
	return out
}

func (s *Server) apiApps(api huma.API) {
	read(s, api, operation{http.MethodGet, "/apps", "listApps", auth.Look, "List the apps", "apps", false},
		func(ctx context.Context, in *PagedOf) (list[App], error) {
			tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[App]{}, err
			}
			as, err := s.Profiles.Apps(ctx, s.DB, tenant)
			one := func(a profiles.App) App { return appOf(a, codes) }
			return few(&in.Paged, mapped(as, one), func(a App) string { return a.ID }), err
		})
	type newApp struct {
		Body struct {
			Name      string `json:"name" maxLength:"255"`
			AdamID    string `json:"adam_id" maxLength:"32"`
			BundleID  string `json:"bundle_id" maxLength:"255"`
			HoldsData bool   `json:"holds_data,omitempty" doc:"Removing it loses what was made with it"`
			Tenant    string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
		}
	}
	write(s, api, operation{http.MethodPost, "/apps", "addApp", auth.Change, "Make an app of the App Store known", "apps", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newApp) (App, error) {
			tenant, codes, err := s.speaks(ctx, tx, in.Body.Tenant)
			if err != nil {
				return App{}, err
			}
			a, err := s.Profiles.AddApp(ctx, tx, by, profiles.App{Name: in.Body.Name, TenantID: tenant, AdamID: in.Body.AdamID, BundleID: in.Body.BundleID, HoldsData: in.Body.HoldsData})
			return appOf(a, codes), err
		})
	s.apiInHouse(api)
	type one struct {
		App named `path:"app" doc:"The app's name"`
		OfTenant
	}
	write(s, api, operation{http.MethodDelete, "/apps/{app}", "removeApp", auth.Change, "Remove an app that is assigned to nobody", "apps", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (nothing, error) {
			tenant, err := s.asTenant(ctx, tx, in.Tenant)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Profiles.RemoveApp(ctx, tx, by, tenant, in.App.text)
		})
}
