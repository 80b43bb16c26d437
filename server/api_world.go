package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

type tenant struct {
	ID        string `json:"id"`
	Code      string `json:"code" example:"musterdorf"`
	Name      string `json:"name"`
	Legal     string `json:"legal" enum:"gdpr,kdg,dsg-ekd" doc:"Its law of data protection"`
	TagPrefix string `json:"tag_prefix" doc:"What its asset tags begin with"`
}

func tenantOf(t schools.Tenant) tenant { return tenant(t) }

type school struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant" doc:"Its tenant's code"`
	Code   string `json:"code"`
	Name   string `json:"name"`
}

type site struct {
	ID      string `json:"id"`
	Tenant  string `json:"tenant"`
	School  string `json:"school" doc:"Its school's code"`
	Code    string `json:"code" example:"SAT" doc:"First part of its devices' names"`
	Name    string `json:"name"`
	Address string `json:"address"`
}

type room struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	Site   string `json:"site" doc:"Its site's code"`
	Name   string `json:"name"`
}

type class struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	School string `json:"school" doc:"Its school's code"`
	Name   string `json:"name" example:"3b"`
	Year   string `json:"year" example:"2026/27"`
}

// apiWorld is whose devices are and where.
func (s *Server) apiWorld(api huma.API) {
	s.apiTenants(api)
	read(s, api, operation{http.MethodGet, "/schools", "listSchools", auth.Look, "List the schools", "world", false},
		func(ctx context.Context, in *PagedOf) (list[school], error) {
			tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[school]{}, err
			}
			all, err := s.Schools.Schools(ctx, s.DB, tenant)
			one := func(x schools.School) school { return school{x.ID, codes[x.TenantID], x.Code, x.Name} }
			return few(&in.Paged, mapped(all, one), func(x school) string { return x.ID }), err
		})
	read(s, api, operation{http.MethodGet, "/sites", "listSites", auth.Look, "List the sites", "world", false}, s.listSites)
	read(s, api, operation{http.MethodGet, "/rooms", "listRooms", auth.Look, "List the rooms", "world", false}, s.listRooms)
	read(s, api, operation{http.MethodGet, "/classes", "listClasses", auth.Look, "List the classes, the newest school year first", "world", false}, s.listClasses)
	s.apiMakeWorld(api)
	s.apiCarts(api)
	s.apiPlaces(api)
}

func (s *Server) apiTenants(api huma.API) {
	read(s, api, operation{http.MethodGet, "/tenants", "listTenants", auth.Look, "List the tenants: your own, or all to the provider's people", "world", false},
		func(ctx context.Context, in *Paged) (list[tenant], error) {
			all, err := s.Schools.Tenants(ctx, s.DB, own(ctx))
			return few(in, mapped(all, tenantOf), func(t tenant) string { return t.ID }), err
		})
	type newTenant struct {
		Body struct {
			Code      string `json:"code" maxLength:"255" doc:"Lower-case letters, digits and hyphens: what people type"`
			Name      string `json:"name" maxLength:"255"`
			Legal     string `json:"legal,omitempty" enum:"gdpr,kdg,dsg-ekd"`
			TagPrefix string `json:"tag_prefix,omitempty" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPost, "/tenants", "addTenant", auth.Change, "Make a tenant", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newTenant) (tenant, error) {
			if err := s.provider(ctx); err != nil {
				return tenant{}, err
			}
			b := in.Body
			t, err := s.Schools.AddTenant(ctx, tx, by, schools.Tenant{Code: b.Code, Name: b.Name, Legal: b.Legal, TagPrefix: b.TagPrefix})
			return tenantOf(t), err
		})
	type setTenant struct {
		Tenant named `path:"tenant" doc:"Code or id"`
		Body   struct {
			Name      *string `json:"name,omitempty" maxLength:"255"`
			Legal     *string `json:"legal,omitempty" enum:"gdpr,kdg,dsg-ekd"`
			TagPrefix *string `json:"tag_prefix,omitempty" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPatch, "/tenants/{tenant}", "setTenant", auth.Change, "Change a tenant", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *setTenant) (tenant, error) {
			if err := s.provider(ctx); err != nil {
				return tenant{}, err
			}
			t, err := s.tenantFor(ctx, tx, in.Tenant.text)
			if err != nil {
				return tenant{}, err
			}
			if err := s.Schools.SetTenant(ctx, tx, by, t.ID, schools.TenantChange(in.Body)); err != nil {
				return tenant{}, err
			}
			t, err = s.tenantFor(ctx, tx, t.ID)
			return tenantOf(t), err
		})
}

func (s *Server) listSites(ctx context.Context, in *PagedOf) (list[site], error) {
	tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[site]{}, err
	}
	of, err := s.schoolCodes(ctx, s.DB, tenant)
	if err != nil {
		return list[site]{}, err
	}
	all, err := s.Schools.Sites(ctx, s.DB, tenant)
	one := func(x schools.Site) site {
		return site{x.ID, codes[x.TenantID], of[x.SchoolID], x.Code, x.Name, x.Address}
	}
	return few(&in.Paged, mapped(all, one), func(x site) string { return x.ID }), err
}

func (s *Server) listRooms(ctx context.Context, in *PagedOf) (list[room], error) {
	tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[room]{}, err
	}
	sites, err := s.Schools.Sites(ctx, s.DB, tenant)
	if err != nil {
		return list[room]{}, err
	}
	at := map[string]string{}
	for _, x := range sites {
		at[x.ID] = x.Code
	}
	all, err := s.Schools.Places(ctx, s.DB, tenant)
	one := func(x schools.Place) room { return room{x.ID, codes[x.TenantID], at[x.SiteID], x.Name} }
	return few(&in.Paged, mapped(all, one), func(x room) string { return x.ID }), err
}

func (s *Server) listClasses(ctx context.Context, in *PagedOf) (list[class], error) {
	tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[class]{}, err
	}
	of, err := s.schoolCodes(ctx, s.DB, tenant)
	if err != nil {
		return list[class]{}, err
	}
	all, err := s.Schools.Classes(ctx, s.DB, tenant)
	one := func(x schools.Class) class {
		return class{x.ID, codes[x.TenantID], of[x.SchoolID], x.Name, x.Year}
	}
	return few(&in.Paged, mapped(all, one), func(x class) string { return x.ID }), err
}

// schoolCodes are the codes of a tenant's schools by id.
func (s *Server) schoolCodes(ctx context.Context, q sqldb.Queryer, tenantID string) (map[string]string, error) {
	all, err := s.Schools.Schools(ctx, q, tenantID)
	codes := make(map[string]string, len(all))
	for _, x := range all {
		codes[x.ID] = x.Code
	}
	return codes, err
}

// apiMakeWorld makes what stands still.
func (s *Server) apiMakeWorld(api huma.API) {
	type newSchool struct {
		Body struct {
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id; may be left out while there is one"`
			Code   string `json:"code" maxLength:"255"`
			Name   string `json:"name" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPost, "/schools", "addSchool", auth.Change, "Make a school", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newSchool) (school, error) {
			t, err := s.tenantFor(ctx, tx, in.Body.Tenant)
			if err != nil {
				return school{}, err
			}
			x, err := s.Schools.AddSchool(ctx, tx, by, schools.School{TenantID: t.ID, Code: in.Body.Code, Name: in.Body.Name})
			return school{x.ID, t.Code, x.Code, x.Name}, err
		})
	type newSite struct {
		Body struct {
			Tenant  string `json:"tenant,omitempty" maxLength:"64" doc:"Where the school's code fits several"`
			School  string `json:"school" maxLength:"255" doc:"Code or id"`
			Code    string `json:"code" maxLength:"255" example:"SAT"`
			Name    string `json:"name" maxLength:"255"`
			Address string `json:"address,omitempty" maxLength:"2000"`
		}
	}
	write(s, api, operation{http.MethodPost, "/sites", "addSite", auth.Change, "Make a site of a school", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newSite) (site, error) {
			b := in.Body
			tenant, codes, err := s.speaks(ctx, tx, b.Tenant)
			if err != nil {
				return site{}, err
			}
			of, err := s.Schools.SchoolByRef(ctx, tx, tenant, b.School)
			if err != nil {
				return site{}, err
			}
			x, err := s.Schools.AddSite(ctx, tx, by, schools.Site{TenantID: of.TenantID, SchoolID: of.ID, Code: b.Code, Name: b.Name, Address: b.Address})
			return site{x.ID, codes[x.TenantID], of.Code, x.Code, x.Name, x.Address}, err
		})
	type newRoom struct {
		Body struct {
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Where the site's code fits several"`
			Site   string `json:"site" maxLength:"255" doc:"Code or id"`
			Name   string `json:"name" maxLength:"255"`
		}
	}
	write(s, api, operation{http.MethodPost, "/rooms", "addRoom", auth.Change, "Make a room of a site", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newRoom) (room, error) {
			tenant, codes, err := s.speaks(ctx, tx, in.Body.Tenant)
			if err != nil {
				return room{}, err
			}
			at, err := s.Schools.SiteByRef(ctx, tx, tenant, in.Body.Site)
			if err != nil {
				return room{}, err
			}
			x, err := s.Schools.AddPlace(ctx, tx, by, schools.Place{TenantID: at.TenantID, SiteID: at.ID, Name: in.Body.Name})
			return room{x.ID, codes[x.TenantID], at.Code, x.Name}, err
		})
	type newClass struct {
		Body struct {
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Where the school's code fits several"`
			School string `json:"school" maxLength:"255" doc:"Code or id"`
			Name   string `json:"name" maxLength:"255" example:"3b"`
			Year   string `json:"year" maxLength:"255" example:"2026/27"`
		}
	}
	write(s, api, operation{http.MethodPost, "/classes", "addClass", auth.Change, "Make a class of a school year", "world", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newClass) (class, error) {
			b := in.Body
			tenant, codes, err := s.speaks(ctx, tx, b.Tenant)
			if err != nil {
				return class{}, err
			}
			of, err := s.Schools.SchoolByRef(ctx, tx, tenant, b.School)
			if err != nil {
				return class{}, err
			}
			x, err := s.Schools.AddClass(ctx, tx, by, schools.Class{TenantID: of.TenantID, SchoolID: of.ID, Name: b.Name, Year: b.Year})
			return class{x.ID, codes[x.TenantID], of.Code, x.Name, x.Year}, err
		})
}

// evidence is what the server knows when a device shall move on in its life.
func (s *Server) evidence(ctx context.Context, q sqldb.Queryer, deviceID string) (schools.Evidence, error) {
	return s.views.Evidence(ctx, q, deviceID)
}
