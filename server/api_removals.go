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

type removal struct {
	App         string     `json:"app"`
	Tenant      string     `json:"tenant" doc:"Code of whose devices these are"`
	Devices     int        `json:"devices" doc:"On how many it stays"`
	Serials     []string   `json:"serials" doc:"The first ten of them"`
	State       string     `json:"state" enum:"waiting,confirmed" doc:"waiting: it stays until somebody confirms"`
	ConfirmedBy string     `json:"confirmed_by"`
	RemoveAfter *time.Time `json:"remove_after" doc:"When it goes; null: never, unless somebody confirms"`
}

type confirmed struct {
	RemoveAfter time.Time `json:"remove_after" doc:"When it goes. Until then assigning it again keeps it"`
}

// apiRemovals is the gate before apps go that hold data.
func (s *Server) apiRemovals(api huma.API) {
	read(s, api, operation{http.MethodGet, "/removals", "listRemovals", auth.Look, "Apps that nobody wishes and that stay, since removing them loses data", "apps", false},
		func(ctx context.Context, in *PagedOf) (list[removal], error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[removal]{}, err
			}
			codes, err := views.TenantCodes(ctx, s.DB, own(ctx))
			if err != nil {
				return list[removal]{}, err
			}
			rs, err := s.Profiles.Removals(ctx, s.DB, tenant)
			one := func(r profiles.Removal) removal { return removalOf(r, codes) }
			return few(&in.Paged, mapped(rs, one), func(r removal) string { return r.Tenant + "/" + r.App + "/" + r.ConfirmedBy }), err
		})
	type confirm struct {
		Body struct {
			App       string `json:"app" maxLength:"255"`
			Count     int    `json:"count" minimum:"1" doc:"On how many devices it stays: who does not know that does not mean it"`
			GraceDays *int   `json:"grace_days,omitempty" minimum:"0" maximum:"366" doc:"Days until it goes. Default: 30"`
			Tenant    string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose devices are meant; default: all that one may see"`
		}
	}
	write(s, api, operation{http.MethodPost, "/removals/confirm", "confirmRemoval", auth.Change, "Have an app that nobody wishes go, with what was made with it", "apps", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *confirm) (confirmed, error) {
			tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
			if err != nil {
				return confirmed{}, err
			}
			grace := profiles.DefaultGrace
			if in.Body.GraceDays != nil {
				grace = time.Duration(*in.Body.GraceDays) * 24 * time.Hour
			}
			at, err := s.Profiles.ConfirmRemoval(ctx, tx, by, tenant, in.Body.App, in.Body.Count, grace)
			return confirmed{at}, err
		})
	type cancel struct {
		Body struct {
			App    string `json:"app" maxLength:"255"`
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose devices are meant; default: all that one may see"`
		}
	}
	write(s, api, operation{http.MethodPost, "/removals/cancel", "cancelRemoval", auth.Change, "Keep an app although its removal was confirmed", "apps", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *cancel) (nothing, error) {
			tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Profiles.CancelRemoval(ctx, tx, by, tenant, in.Body.App)
		})
}

func removalOf(r profiles.Removal, codes map[string]string) removal {
	out := removal{App: r.App, Tenant: codes[r.TenantID], Devices: r.Devices, Serials: r.Serials, State: "waiting", ConfirmedBy: r.ConfirmedBy}
	if !r.After.IsZero() {
		out.State, out.RemoveAfter = "confirmed", &r.After
	}
	return out
}
