package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

type group struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Devices   int64     `json:"devices" doc:"How many are in it"`
	CreatedAt time.Time `json:"created_at"`
}

type OneGroup struct {
	Group named `path:"group" doc:"The group's name"`
}

type members struct {
	OneGroup
	Body struct {
		Devices []string `json:"devices" minItems:"1" maxItems:"500" doc:"Serial numbers, asset tags, UDIDs or ids"`
	}
}

func (s *Server) apiGroups(api huma.API) {
	read(s, api, operation{http.MethodGet, "/groups", "listGroups", auth.Look, "List the groups", "groups", false}, s.listGroups)
	type newGroup struct {
		Body struct {
			Name string `json:"name" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPost, "/groups", "createGroup", auth.Change, "Make a group", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newGroup) (group, error) {
			g, err := s.Schools.CreateGroup(ctx, tx, by, in.Body.Name)
			return group{ID: g.ID, Name: g.Name, CreatedAt: g.CreatedAt}, err
		})
	write(s, api, operation{http.MethodDelete, "/groups/{group}", "removeGroup", auth.Change, "Remove a group; its devices stay", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *OneGroup) (nothing, error) {
			g, err := s.Schools.GroupByName(ctx, tx, in.Group.text)
			if err != nil {
				return nothing{}, err
			}
			if err := s.unassigned(ctx, tx, g.ID); err != nil {
				return nothing{}, err
			}
			if err := s.Enroll.ReleaseGroup(ctx, tx, g.ID); err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Schools.RemoveGroup(ctx, tx, by, g.ID)
		})
	write(s, api, operation{http.MethodPost, "/groups/{group}/add", "addToGroup", auth.Change, "Put devices into a group, all or none", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *members) (nothing, error) {
			return nothing{}, s.change(ctx, tx, by, in, s.Schools.AddToGroup)
		})
	write(s, api, operation{http.MethodPost, "/groups/{group}/drop", "dropFromGroup", auth.Change, "Take devices out of a group, all or none", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *members) (nothing, error) {
			return nothing{}, s.change(ctx, tx, by, in, s.Schools.DropFromGroup)
		})
}

// unassigned refuses a group to which something is assigned.
func (s *Server) unassigned(ctx context.Context, q sqldb.Queryer, groupID string) error {
	wishes, err := s.Profiles.Assignments(ctx, q)
	if err != nil {
		return err
	}
	for _, w := range wishes {
		if w.Scope.Kind == "group" && w.Scope.ID == groupID {
			return fault.New(fault.Conflict, "group.in-use", "%s is assigned to this group. Unassign it first.", w.Name)
		}
	}
	return nil
}

// change moves devices in or out of a group.
func (s *Server) change(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *members, do func(context.Context, *sqldb.Tx, audit.Actor, string, ...string) error) error {
	g, err := s.Schools.GroupByName(ctx, tx, in.Group.text)
	if err != nil {
		return err
	}
	ids := make([]string, len(in.Body.Devices))
	for i, ref := range in.Body.Devices {
		if ids[i], err = s.views.Resolve(ctx, tx, own(ctx), ref); err != nil {
			return err
		}
	}
	if err := do(ctx, tx, by, g.ID, ids...); err != nil {
		return err
	}
	return s.moved(ctx, tx, ids...)
}

// moved has devices planned anew that changed place, class or group: what they
// should have may differ from now on.
func (s *Server) moved(ctx context.Context, tx *sqldb.Tx, deviceIDs ...string) error {
	active, err := s.Enroll.ActiveOf(ctx, tx, deviceIDs)
	if err != nil {
		return err
	}
	return s.Profiles.Mark(ctx, tx, active...)
}

func (s *Server) listGroups(ctx context.Context, in *Paged) (list[group], error) {
	groups, err := s.Schools.Groups(ctx, s.DB)
	if err != nil {
		return list[group]{}, err
	}
	var rows []struct {
		ID string `db:"group_id"`
		N  int64  `db:"n"`
	}
	if err := s.DB.Select(ctx, &rows, `SELECT group_id, COUNT(*) AS n FROM device_group_members GROUP BY group_id`); err != nil {
		return list[group]{}, err
	}
	n := map[string]int64{}
	for _, r := range rows {
		n[r.ID] = r.N
	}
	out := []group{}
	for _, g := range groups {
		out = append(out, group{g.ID, g.Name, n[g.ID], g.CreatedAt})
	}
	return few(in, out, func(g group) string { return g.ID }), nil
}
