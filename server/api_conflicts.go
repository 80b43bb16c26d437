package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/profiles"
)

type conflictList struct {
	Items []profiles.Conflict `json:"items"`
	Next  string              `json:"next" doc:"Pass as after for the next page; empty on the last"`
	More  bool                `json:"more" doc:"There are more different ones than are told of"`
}

// apiConflicts tells what profiles disagree about.
func (s *Server) apiConflicts(api huma.API) {
	read(s, api, operation{http.MethodGet, "/conflicts", "listConflicts", auth.Look, "What profiles that are wished of the same devices disagree about, and what holds there", "profiles", false},
		func(ctx context.Context, in *PagedOf) (out conflictList, err error) {
			err = s.DB.Read(ctx, func(q sqldb.Queryer) error {
				tenant, err := s.asTenant(ctx, q, in.Tenant)
				if err != nil {
					return err
				}
				found, more, err := s.Profiles.Conflicts(ctx, q, tenant)
				page := few(&in.Paged, found, profiles.Conflict.Cursor)
				out = conflictList{page.Items, page.Next, more}
				return err
			})
			return out, err
		})
	type one struct {
		Device named `path:"device" doc:"Serial number, asset tag, UDID or id"`
	}
	read(s, api, operation{http.MethodGet, "/devices/{device}/conflicts", "deviceConflicts", auth.Look, "What the profiles that are wished of a device disagree about, and what holds there", "devices", false},
		func(ctx context.Context, in *one) (out list[profiles.Conflict], err error) {
			err = s.DB.Read(ctx, func(q sqldb.Queryer) error {
				id, err := s.views.Resolve(ctx, q, own(ctx), in.Device.text)
				if err != nil {
					return err
				}
				found, err := s.Profiles.ConflictsOn(ctx, q, id)
				out = all(found)
				return err
			})
			return out, err
		})
}

// clashesOf are conflicts as the answer to why takes them.
func clashesOf(found []profiles.Conflict) []views.Clash {
	return mapped(found, func(c profiles.Conflict) views.Clash {
		return views.Clash{Code: c.Code, Key: c.Key, Items: mapped(c.Items, func(d profiles.Disagreeing) views.Clashing {
			return views.Clashing{ItemID: d.ItemID, Item: d.Item}
		}), Effective: c.Effective, Undefined: c.Undefined}
	})
}
