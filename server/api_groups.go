package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/profiles"
)

type group struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant" doc:"Code of whose it is; empty: the provider's, for devices of all tenants"`
	Name      string    `json:"name"`
	Rule      string    `json:"rule" doc:"Who is in it; empty: who was put in"`
	Devices   int64     `json:"devices" doc:"How many of the devices you may see are in it"`
	Unknown   int64     `json:"unknown" doc:"Of how many nobody knows whether its rule takes them in: they stay as they are"`
	CreatedAt time.Time `json:"created_at"`
}

// OfTenant says whose names a request speaks.
type OfTenant struct {
	Tenant string `query:"tenant" maxLength:"64" doc:"Code or id of a tenant: whose it shall be, or is, where a name fits several. The provider's people say it; without it they speak of the provider's own, and see all"`
}

type OneGroup struct {
	Group named `path:"group" doc:"The group's name or id"`
	OfTenant
}

// PagedOf is a list's query that may ask for what one tenant sees.
type PagedOf struct {
	Paged
	OfTenant
}

// mine finds a group that whoever asks may change.
func (s *Server) mine(ctx context.Context, q sqldb.Queryer, in *OneGroup) (schools.Group, error) {
	tenant, err := s.asTenant(ctx, q, in.Tenant)
	if err != nil {
		return schools.Group{}, err
	}
	g, err := s.Schools.GroupByName(ctx, q, tenant, in.Group.text)
	if err != nil {
		return schools.Group{}, err
	}
	return g, schools.MayChange(tenant, g.TenantID)
}

type members struct {
	OneGroup
	Wanting
	Body struct {
		Devices []string `json:"devices" minItems:"1" maxItems:"500" doc:"Serial numbers, asset tags, UDIDs or ids"`
	}
}

func (s *Server) apiGroups(api huma.API) {
	read(s, api, operation{http.MethodGet, "/groups", "listGroups", auth.Look, "List the groups", "groups", false}, s.listGroups)
	type newGroup struct {
		Body struct {
			Name   string `json:"name" maxLength:"255"`
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			Rule   string `json:"rule,omitempty" maxLength:"2000" example:"os_version < 18.2 and not class = 3b" doc:"Who is in it. Default: who is put in"`
		}
	}
	write(s, api, operation{http.MethodPost, "/groups", "createGroup", auth.Change, "Make a group", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newGroup) (group, error) {
			tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
			if err != nil {
				return group{}, err
			}
			codes, err := views.TenantCodes(ctx, tx, own(ctx))
			if err != nil {
				return group{}, err
			}
			if in.Body.Rule != "" {
				g, err := s.Profiles.CreateRuleGroup(ctx, tx, by, tenant, in.Body.Name, in.Body.Rule)
				if err != nil {
					return group{}, err
				}
				g, err = s.Schools.GroupByName(ctx, tx, tenant, g.ID) // counted
				return groupOf(g, codes), err
			}
			g, err := s.Schools.CreateGroup(ctx, tx, by, tenant, in.Body.Name)
			return groupOf(g, codes), err
		})
	read(s, api, operation{http.MethodGet, "/groups/{group}", "getGroup", auth.Look, "Show a group, and of which devices its rule does not know", "groups", false}, s.getGroup)
	type newRule struct {
		OneGroup
		Wanting
		Body struct {
			Rule string `json:"rule" minLength:"1" maxLength:"2000" example:"os_version < 18.2 and not class = 3b"`
		}
	}
	write(s, api, operation{http.MethodPost, "/groups/{group}/rule", "setGroupRule", auth.Change, "Give a group another rule", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newRule) (Planned, error) {
			g, err := s.mine(ctx, tx, &in.OneGroup)
			if err != nil {
				return Planned{}, err
			}
			return s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
				return s.Profiles.SetRule(ctx, tx, by, g, in.Body.Rule)
			})
		})
	write(s, api, operation{http.MethodDelete, "/groups/{group}", "removeGroup", auth.Change, "Remove a group; its devices stay. One that is in use goes with its assignments, by the plan that says what that does", "groups", false}, s.removeGroup)
	write(s, api, operation{http.MethodPost, "/groups/{group}/add", "addToGroup", auth.Change, "Put devices into a group, all or none", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *members) (Planned, error) {
			return s.change(ctx, tx, by, in, s.Schools.AddToGroup)
		})
	write(s, api, operation{http.MethodPost, "/groups/{group}/drop", "dropFromGroup", auth.Change, "Take devices out of a group, all or none", "groups", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *members) (Planned, error) {
			return s.change(ctx, tx, by, in, s.Schools.DropFromGroup)
		})
}

type groupRemoval struct {
	OneGroup
	Wanting
}

// removeGroup removes a group. What is assigned to it goes only with a plan that
// was looked at, or for a look.
func (s *Server) removeGroup(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *groupRemoval) (Planned, error) {
	g, err := s.mine(ctx, tx, &in.OneGroup)
	if err != nil {
		return Planned{}, err
	}
	if !in.DryRun && in.Plan == "" {
		if err := s.unassigned(ctx, tx, g); err != nil {
			return Planned{}, err
		}
	}
	tenant, err := s.asTenant(ctx, tx, in.Tenant)
	if err != nil {
		return Planned{}, err
	}
	return s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Profiles.UnassignGroup(ctx, tx, by, tenant, g); err != nil {
			return err
		}
		if err := s.Enroll.ReleaseGroup(ctx, tx, g.ID); err != nil {
			return err
		}
		return s.Schools.RemoveGroup(ctx, tx, by, g.ID)
	})
}

// unassigned refuses a group that is in use, and names by what.
func (s *Server) unassigned(ctx context.Context, q sqldb.Queryer, g schools.Group) error {
	list, err := s.Profiles.AssignmentsTo(ctx, q, profiles.Scope{Kind: "group", ID: g.ID})
	if err != nil || len(list) == 0 {
		return err
	}
	var names []string
	for _, w := range list[:min(len(list), 10)] {
		if w.Exclude {
			w.Name += " (excluded)"
		}
		names = append(names, w.Name)
	}
	if n := len(list) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return fault.New(fault.Conflict, "group.in-use",
		"To the group %s is assigned: %s. Look at what goes with it, then do just that: ranzen group remove %s --dry-run.", g.Name, strings.Join(names, ", "), g.Name)
}

// change moves devices in or out of a group.
func (s *Server) change(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *members, do func(context.Context, *sqldb.Tx, audit.Actor, string, ...string) error) (Planned, error) {
	g, err := s.mine(ctx, tx, &in.OneGroup)
	if err != nil {
		return Planned{}, err
	}
	ids := make([]string, len(in.Body.Devices))
	for i, ref := range in.Body.Devices {
		if ids[i], err = s.views.Resolve(ctx, tx, own(ctx), ref); err != nil {
			return Planned{}, err
		}
	}
	return s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := do(ctx, tx, by, g.ID, ids...); err != nil {
			return err
		}
		return s.moved(ctx, tx, ids...)
	})
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

func groupOf(g schools.Group, codes map[string]string) group {
	return group{g.ID, codes[g.TenantID], g.Name, g.Rule, g.Devices, g.Unknown, g.CreatedAt}
}

// doubt is a device of which a rule does not know.
type doubt struct {
	Device  string `json:"device" doc:"Its serial number"`
	Missing string `json:"missing" example:"os_version" doc:"The fact that is not known"`
	In      bool   `json:"in" doc:"It is in the group until it is known"`
}

type groupDetail struct {
	Group    group   `json:"group"`
	Unknowns []doubt `json:"unknowns" doc:"At most 1000"`

	Assignments []assignment `json:"assignments" doc:"What is assigned to it, or excluded from it"`
}

func (s *Server) getGroup(ctx context.Context, in *OneGroup) (out groupDetail, err error) {
	tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
	if err != nil {
		return out, err
	}
	g, err := s.Schools.GroupByName(ctx, s.DB, tenant, in.Group.text)
	if err != nil {
		return out, err
	}
	list, err := s.Schools.Doubts(ctx, s.DB, g.ID, own(ctx))
	if err != nil {
		return out, err
	}
	if own(ctx) != "" {
		g.Unknown = int64(len(list)) // of one's own devices
	}
	wishes, err := s.Profiles.AssignmentsTo(ctx, s.DB, profiles.Scope{Kind: "group", ID: g.ID})
	if err != nil {
		return out, err
	}
	out.Assignments, err = s.named(ctx, wishes, codes)
	out.Group, out.Unknowns = groupOf(g, codes), mapped(list, func(d schools.Doubt) doubt { return doubt{d.Serial, d.Missing, d.In} })
	return out, err
}

func (s *Server) listGroups(ctx context.Context, in *PagedOf) (list[group], error) {
	tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[group]{}, err
	}
	codes, err := views.TenantCodes(ctx, s.DB, own(ctx))
	if err != nil {
		return list[group]{}, err
	}
	groups, err := s.Schools.Groups(ctx, s.DB, tenant)
	one := func(g schools.Group) group { return groupOf(g, codes) }
	return few(&in.Paged, mapped(groups, one), func(g group) string { return g.ID }), err
}
