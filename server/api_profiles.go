package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

type profile struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Identifier string    `json:"identifier"`
	Version    int64     `json:"version"`
	Payloads   []string  `json:"payloads" doc:"Types of its payloads"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

func profileOf(p profiles.Profile) profile {
	return profile{p.ID, p.Name, p.Identifier, p.Version, p.Payloads, p.CreatedAt, p.UpdatedAt}
}

type oneProfile struct {
	Profile named `path:"profile" doc:"The profile's name"`
}

func (s *Server) apiProfiles(api huma.API) {
	read(s, api, operation{http.MethodGet, "/profiles", "listProfiles", auth.Look, "List the profiles", "profiles", false},
		func(ctx context.Context, in *Paged) (list[profile], error) {
			ps, err := s.Profiles.Profiles(ctx, s.DB)
			return few(in, mapped(ps, profileOf), func(p profile) string { return p.ID }), err
		})
	read(s, api, operation{http.MethodGet, "/profiles/{profile}", "getProfile", auth.Look, "Show a profile, without its secrets", "profiles", false},
		func(ctx context.Context, in *oneProfile) (profile, error) {
			p, err := s.Profiles.ProfileByName(ctx, s.DB, in.Profile.text)
			return profileOf(p), err
		})
	write(s, api, operation{http.MethodDelete, "/profiles/{profile}", "removeProfile", auth.Change, "Remove a profile that is assigned to nobody", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *oneProfile) (nothing, error) {
			return nothing{}, s.Profiles.RemoveProfile(ctx, tx, by, in.Profile.text)
		})
	type upload struct {
		Name    string `query:"name" maxLength:"255" doc:"Default: its PayloadDisplayName"`
		RawBody []byte `contentType:"application/x-apple-aspen-config"`
	}
	write(s, api, operation{http.MethodPost, "/profiles", "addProfile", auth.Change, "Take a .mobileconfig; the same name again is a new version", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *upload) (profile, error) {
			return s.added(s.Profiles.AddProfile(ctx, tx, by, in.Name, in.RawBody))
		})
	s.apiBuilders(api)
	s.apiApps(api)
	s.apiAssignments(api)
}

func (s *Server) added(p profiles.Profile, err error) (profile, error) { return profileOf(p), err }

// apiBuilders make profiles of what people mean.
func (s *Server) apiBuilders(api huma.API) {
	type wifi struct {
		Body struct {
			Name       string `json:"name" maxLength:"255"`
			SSID       string `json:"ssid" maxLength:"255"`
			Password   string `json:"password,omitempty" maxLength:"255"`
			Security   string `json:"security,omitempty" enum:"auto,wpa2,wpa3,none"`
			Hidden     bool   `json:"hidden,omitempty"`
			AutoJoin   *bool  `json:"auto_join,omitempty" doc:"Default: yes"`
			DisableMAC bool   `json:"disable_mac_randomization,omitempty"`
		}
	}
	build := func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, name string, raw []byte, err error) (profile, error) {
		if err != nil {
			return profile{}, err
		}
		return s.added(s.Profiles.AddProfile(ctx, tx, by, name, raw))
	}
	write(s, api, operation{http.MethodPost, "/profiles/wifi", "addWiFi", auth.Change, "Make a Wi-Fi profile", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *wifi) (profile, error) {
			b := in.Body
			raw, err := s.Profiles.BuildWiFi(profiles.WiFi{
				SSID: b.SSID, Password: fault.Secret(b.Password), Security: b.Security, Hidden: b.Hidden,
				AutoJoin: b.AutoJoin == nil || *b.AutoJoin, DisableMACRandomization: b.DisableMAC,
			})
			return build(ctx, tx, by, b.Name, raw, err)
		})
	type restrictions struct {
		Body struct {
			Name         string         `json:"name" maxLength:"255"`
			Restrictions map[string]any `json:"restrictions" doc:"Apple's keys: allowCamera"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/restrictions", "addRestrictions", auth.Change, "Make a profile of restrictions", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *restrictions) (profile, error) {
			raw, err := s.Profiles.BuildRestrictions(in.Body.Restrictions)
			return build(ctx, tx, by, in.Body.Name, raw, err)
		})
	type webclip struct {
		Body struct {
			Name       string `json:"name" maxLength:"255"`
			Label      string `json:"label" maxLength:"255"`
			URL        string `json:"url" maxLength:"2000"`
			Icon       []byte `json:"icon,omitempty" doc:"PNG, base64"`
			FullScreen bool   `json:"full_screen,omitempty"`
			Removable  bool   `json:"removable,omitempty"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/webclip", "addWebClip", auth.Change, "Make a profile that puts a web address on the home screen", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *webclip) (profile, error) {
			b := in.Body
			raw, err := s.Profiles.BuildWebClip(profiles.WebClip{Label: b.Label, URL: b.URL, Icon: b.Icon, FullScreen: b.FullScreen, Removable: b.Removable})
			return build(ctx, tx, by, b.Name, raw, err)
		})
	type trusted struct {
		Body struct {
			Name        string `json:"name" maxLength:"255"`
			Certificate []byte `json:"certificate" doc:"PEM or DER, base64"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/certificate", "addCertificate", auth.Change, "Make a profile that lets iPads trust a certificate", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *trusted) (profile, error) {
			raw, err := s.Profiles.BuildCertificate(in.Body.Certificate)
			return build(ctx, tx, by, in.Body.Name, raw, err)
		})
}

type app struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	AdamID   string `json:"adam_id"`
	BundleID string `json:"bundle_id"`
}

func appOf(a profiles.App) app { return app{a.ID, a.Name, a.AdamID, a.BundleID} }

func (s *Server) apiApps(api huma.API) {
	read(s, api, operation{http.MethodGet, "/apps", "listApps", auth.Look, "List the apps", "apps", false},
		func(ctx context.Context, in *Paged) (list[app], error) {
			as, err := s.Profiles.Apps(ctx, s.DB)
			return few(in, mapped(as, appOf), func(a app) string { return a.ID }), err
		})
	type newApp struct {
		Body struct {
			Name     string `json:"name" maxLength:"255"`
			AdamID   string `json:"adam_id" maxLength:"32"`
			BundleID string `json:"bundle_id" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPost, "/apps", "addApp", auth.Change, "Make an app of the App Store known", "apps", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newApp) (app, error) {
			a, err := s.Profiles.AddApp(ctx, tx, by, profiles.App{Name: in.Body.Name, AdamID: in.Body.AdamID, BundleID: in.Body.BundleID})
			return appOf(a), err
		})
	type one struct {
		App named `path:"app" doc:"The app's name"`
	}
	write(s, api, operation{http.MethodDelete, "/apps/{app}", "removeApp", auth.Change, "Remove an app that is assigned to nobody", "apps", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (nothing, error) {
			return nothing{}, s.Profiles.RemoveApp(ctx, tx, by, in.App.text)
		})
}

type assignment struct {
	Kind      string    `json:"kind" enum:"profile,app"`
	Name      string    `json:"name"`
	To        string    `json:"to" example:"group:5a"`
	By        string    `json:"by"`
	CreatedAt time.Time `json:"created_at"`
}

type assigned struct {
	Devices int `json:"devices" doc:"How many devices that is today"`
}

type wish struct {
	Body struct {
		Names []string `json:"names" minItems:"1" maxItems:"100" doc:"Profiles and apps"`
		To    string   `json:"to" maxLength:"300" doc:"all, group:NAME or device:ID"`
	}
}

func (s *Server) apiAssignments(api huma.API) {
	read(s, api, operation{http.MethodGet, "/assignments", "listAssignments", auth.Look, "What is assigned to whom", "assignments", false},
		func(ctx context.Context, in *Paged) (list[assignment], error) {
			as, err := s.Profiles.Assignments(ctx, s.DB)
			if err != nil {
				return list[assignment]{}, err
			}
			items, err := s.named(ctx, as)
			return few(in, items, func(a assignment) string { return a.Kind + ":" + a.Name + ">" + a.To }), err
		})
	set := func(path, id, summary string, do func(context.Context, *sqldb.Tx, audit.Actor, []string, profiles.Scope) (int, error)) {
		write(s, api, operation{http.MethodPost, path, id, auth.Change, summary, "assignments", false},
			func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *wish) (assigned, error) {
				scope, err := s.scope(ctx, tx, in.Body.To)
				if err != nil {
					return assigned{}, err
				}
				n, err := do(ctx, tx, by, in.Body.Names, scope)
				return assigned{n}, err
			})
	}
	set("/assignments", "assign", "Wish profiles and apps onto devices, all or none", s.Profiles.Assign)
	set("/assignments/remove", "unassign", "Take a wish back, all or none", s.Profiles.Unassign)
}

// scope reads "all", "group:NAME" or "device:REF".
func (s *Server) scope(ctx context.Context, q sqldb.Queryer, text string) (profiles.Scope, error) {
	kind, ref, _ := strings.Cut(text, ":")
	switch {
	case text == "all":
		return profiles.Scope{Kind: "all"}, nil
	case kind == "group":
		g, err := s.Schools.GroupByName(ctx, q, ref)
		return profiles.Scope{Kind: kind, ID: g.ID}, err
	case kind == "device":
		id, err := s.views.Resolve(ctx, q, own(ctx), ref)
		return profiles.Scope{Kind: kind, ID: id}, err
	}
	return profiles.Scope{}, fault.New(fault.Invalid, "scope.unknown", "%q is no scope: write all, group:NAME or device:ID.", text).On("to")
}

// named puts names where assignments have ids.
func (s *Server) named(ctx context.Context, as []profiles.Assignment) ([]assignment, error) {
	groups, err := s.Schools.Groups(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, g := range groups {
		names["group:"+g.ID] = "group:" + g.Name
	}
	var devices []string
	for _, a := range as {
		if a.Scope.Kind == "device" {
			devices = append(devices, a.Scope.ID)
		}
	}
	known, err := s.Schools.Devices(ctx, s.DB, devices)
	if err != nil {
		return nil, err
	}
	for id, d := range known {
		names["device:"+id] = "device:" + d.Serial
	}
	out := []assignment{}
	for _, a := range as {
		to := "all"
		if a.Scope.Kind != "all" {
			if to = names[a.Scope.Kind+":"+a.Scope.ID]; to == "" {
				to = a.Scope.Kind + ":" + a.Scope.ID
			}
		}
		out = append(out, assignment{a.Kind, a.Name, to, a.CreatedBy, a.CreatedAt})
	}
	return out, nil
}
