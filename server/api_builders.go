package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// apiBuilders make profiles of what people mean.
func (s *Server) apiBuilders(api huma.API) {
	type wifi struct {
		Versioning
		Body struct {
			Name       string `json:"name" maxLength:"255"`
			Tenant     string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			SSID       string `json:"ssid" maxLength:"255"`
			Password   string `json:"password,omitempty" maxLength:"255"`
			Security   string `json:"security,omitempty" enum:"auto,wpa2,wpa3,none"`
			Hidden     bool   `json:"hidden,omitempty"`
			AutoJoin   *bool  `json:"auto_join,omitempty" doc:"Default: yes"`
			DisableMAC bool   `json:"disable_mac_randomization,omitempty"`
			EAPTLS     *struct {
				Anchors     [][]byte `json:"anchors,omitempty" maxItems:"10" doc:"Certificates of the CAs of the network's RADIUS servers, PEM or DER, base64. Default: Ranzen's own root"`
				ServerNames []string `json:"server_names,omitempty" maxItems:"20" doc:"Names in the certificates of the RADIUS servers, such as radius.example.org"`
			} `json:"eap_tls,omitempty" doc:"Each device joins with a certificate of its own"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/wifi", "addWiFi", auth.Change, "Make a Wi-Fi profile", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *wifi) (saved, error) {
			b := in.Body
			var eap *profiles.EAPTLS
			if b.EAPTLS != nil {
				eap = &profiles.EAPTLS{Anchors: b.EAPTLS.Anchors, ServerNames: b.EAPTLS.ServerNames}
			}
			raw, err := s.Profiles.BuildWiFi(profiles.WiFi{
				EAPTLS: eap,
				SSID:   b.SSID, Password: fault.Secret(b.Password), Security: b.Security, Hidden: b.Hidden,
				AutoJoin: b.AutoJoin == nil || *b.AutoJoin, DisableMACRandomization: b.DisableMAC,
			})
			return s.addProfile(ctx, tx, by, &in.Versioning, b.Tenant, b.Name, raw, err)
		})
	type restrictions struct {
		Versioning
		Body struct {
			Name         string         `json:"name" maxLength:"255"`
			Tenant       string         `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			Restrictions map[string]any `json:"restrictions" doc:"Apple's keys: allowCamera"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/restrictions", "addRestrictions", auth.Change, "Make a profile of restrictions", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *restrictions) (saved, error) {
			raw, err := s.Profiles.BuildRestrictions(in.Body.Restrictions)
			return s.addProfile(ctx, tx, by, &in.Versioning, in.Body.Tenant, in.Body.Name, raw, err)
		})
	type webclip struct {
		Versioning
		Body struct {
			Name       string `json:"name" maxLength:"255"`
			Tenant     string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			Label      string `json:"label" maxLength:"255"`
			URL        string `json:"url" maxLength:"2000"`
			Icon       []byte `json:"icon,omitempty" doc:"PNG, base64"`
			FullScreen bool   `json:"full_screen,omitempty"`
			Removable  bool   `json:"removable,omitempty"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/webclip", "addWebClip", auth.Change, "Make a profile that puts a web address on the home screen", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *webclip) (saved, error) {
			b := in.Body
			raw, err := s.Profiles.BuildWebClip(profiles.WebClip{Label: b.Label, URL: b.URL, Icon: b.Icon, FullScreen: b.FullScreen, Removable: b.Removable})
			return s.addProfile(ctx, tx, by, &in.Versioning, b.Tenant, b.Name, raw, err)
		})
	type trusted struct {
		Versioning
		Body struct {
			Name        string `json:"name" maxLength:"255"`
			Tenant      string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			Certificate []byte `json:"certificate" doc:"PEM or DER, base64"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/certificate", "addCertificate", auth.Change, "Make a profile that lets iPads trust a certificate", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *trusted) (saved, error) {
			raw, err := s.Profiles.BuildCertificate(in.Body.Certificate)
			return s.addProfile(ctx, tx, by, &in.Versioning, in.Body.Tenant, in.Body.Name, raw, err)
		})
	s.apiDeviceBuilders(api)
}

// ForProfile is what each builder is told of the profile it makes.
type ForProfile struct {
	Name   string `json:"name" maxLength:"255"`
	Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
}

func (f ForProfile) profile() ForProfile { return f }

// builder registers one that makes a profile of its body.
func builder[B interface{ profile() ForProfile }](s *Server, api huma.API, kind, id, summary string, build func(B) ([]byte, error)) {
	type input struct {
		Versioning
		Body B
	}
	write(s, api, operation{http.MethodPost, "/profiles/" + kind, id, auth.Change, summary, "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *input) (saved, error) {
			f := in.Body.profile()
			raw, err := build(in.Body)
			return s.addProfile(ctx, tx, by, &in.Versioning, f.Tenant, f.Name, raw, err)
		})
}

// The bodies of builders: a name, and what the builder knows.
type (
	homeScreenBody struct {
		ForProfile
		profiles.HomeScreen
	}
	appLockBody struct {
		ForProfile
		profiles.AppLock
	}
	webFilterBody struct {
		ForProfile
		profiles.WebFilter
	}
	passcodeBody struct {
		ForProfile
		profiles.Passcode
	}
	lockScreenBody struct {
		ForProfile
		profiles.LockScreen
	}
	notificationsBody struct {
		ForProfile
		profiles.Notifications
	}
	airPrintBody struct {
		ForProfile
		profiles.AirPrint
	}
	proxyBody struct {
		ForProfile
		profiles.Proxy
	}
	dnsBody struct {
		ForProfile
		profiles.DNS
	}
	educationBody struct {
		ForProfile
		profiles.Education
	}
	fontBody struct {
		ForProfile
		profiles.Font
	}
)

func (s *Server) apiDeviceBuilders(api huma.API) {
	r := s.Profiles
	builder(s, api, "homescreen", "addHomeScreen", "Make a profile of a home screen", func(b homeScreenBody) ([]byte, error) { return r.BuildHomeScreen(b.HomeScreen) })
	builder(s, api, "applock", "addAppLock", "Make a profile that keeps devices in one app", func(b appLockBody) ([]byte, error) { return r.BuildAppLock(b.AppLock) })
	builder(s, api, "webfilter", "addWebFilter", "Make a profile of the built-in web filter", func(b webFilterBody) ([]byte, error) { return r.BuildWebFilter(b.WebFilter) })
	builder(s, api, "passcode", "addPasscode", "Make a profile that demands a passcode", func(b passcodeBody) ([]byte, error) { return r.BuildPasscode(b.Passcode) })
	builder(s, api, "lockscreen", "addLockScreen", "Make a profile with a message on the lock screen", func(b lockScreenBody) ([]byte, error) { return r.BuildLockScreen(b.LockScreen) })
	builder(s, api, "notifications", "addNotifications", "Make a profile of the notifications of apps", func(b notificationsBody) ([]byte, error) { return r.BuildNotifications(b.Notifications) })
	builder(s, api, "airprint", "addAirPrint", "Make a profile of printers", func(b airPrintBody) ([]byte, error) { return r.BuildAirPrint(b.AirPrint) })
	builder(s, api, "proxy", "addProxy", "Make a profile of a global HTTP proxy", func(b proxyBody) ([]byte, error) { return r.BuildProxy(b.Proxy) })
	builder(s, api, "dns", "addDNS", "Make a profile of encrypted name resolution", func(b dnsBody) ([]byte, error) { return r.BuildDNS(b.DNS) })
	builder(s, api, "education", "addEducation", "Make a profile of a class for Apple's Classroom app", func(b educationBody) ([]byte, error) { return r.BuildEducation(b.Education) })
	builder(s, api, "font", "addFont", "Make a profile of a font", func(b fontBody) ([]byte, error) { return r.BuildFont(b.Font) })
}
