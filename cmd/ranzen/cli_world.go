package main

import (
	"context"
	"net/http"
)

// into puts the tenant into a request's body.
func (t ForTenant) into(body map[string]any) map[string]any {
	if t.Tenant != "" {
		body["tenant"] = t.Tenant
	}
	return body
}

// worldDoc is a tenant, school, site, room, cart or class: what each has of it.
type worldDoc struct {
	ID        string   `json:"id"`
	Tenant    string   `json:"tenant"`
	School    string   `json:"school"`
	Site      string   `json:"site"`
	Room      string   `json:"room"`
	Code      string   `json:"code"`
	Name      string   `json:"name"`
	Year      string   `json:"year"`
	Address   string   `json:"address"`
	Legal     string   `json:"legal"`
	TagPrefix string   `json:"tag_prefix"`
	Label     string   `json:"label"`
	Slots     int64    `json:"slots"`
	Devices   int64    `json:"devices"`
	Classes   []string `json:"classes"`
}

// lists prints one of the world's lists.
func (r *Remote) lists(ctx context.Context, e env, path string, of ForTenant, empty string, head []string, row func(worldDoc) []string) error {
	var all []worldDoc
	return r.do(e, func(api *client) (err error) {
		all, _, err = listing[worldDoc](ctx, api, path, of.query(), 0)
		return err
	}, func(api *client) {
		t := newTable(head...)
		for _, x := range all {
			t.add(row(x)...)
		}
		api.print(t, empty)
	})
}

// makes posts a part of the world and says that it is there.
func (r *Remote) makes(ctx context.Context, e env, path string, body map[string]any, what string) error {
	var x worldDoc
	return r.do(e, func(api *client) error { return api.post(ctx, path, body, &x) }, func(api *client) {
		called := x.Code
		if called == "" {
			called = x.Name
		}
		api.line("%s %s is there.", what, called)
	})
}

// TenantCmd groups the tenants.
type TenantCmd struct {
	Add  TenantAddCmd  `cmd:"" help:"Make a tenant (the provider's people)."`
	List TenantListCmd `cmd:"" help:"List the tenants."`
	Set  TenantSetCmd  `cmd:"" help:"Change a tenant (the provider's people)."`
}

// TenantAddCmd is `ranzen tenant add`.
type TenantAddCmd struct {
	Remote
	Code      string `arg:"" help:"What people type: lower-case letters, digits and hyphens."`
	Name      string `required:"" placeholder:"TEXT" help:"Its name: \"Municipality of Musterdorf\"."`
	Legal     string `enum:"gdpr,kdg,dsg-ekd" default:"gdpr" placeholder:"LAW" help:"Its law of data protection: gdpr, kdg (Catholic) or dsg-ekd (Protestant)."`
	TagPrefix string `default:"RV" placeholder:"P" help:"What its asset tags begin with."`
}

// Run makes the tenant.
func (c *TenantAddCmd) Run(ctx context.Context, e env) error {
	return c.makes(ctx, e, "/tenants", map[string]any{"code": c.Code, "name": c.Name, "legal": c.Legal, "tag_prefix": c.TagPrefix}, "Tenant")
}

// TenantListCmd is `ranzen tenant list`.
type TenantListCmd struct{ Remote }

// Run prints the tenants.
func (c *TenantListCmd) Run(ctx context.Context, e env) error {
	return c.lists(ctx, e, "/tenants", ForTenant{}, "There are no tenants.", []string{"CODE", "NAME", "LAW", "TAGS"},
		func(x worldDoc) []string { return []string{x.Code, x.Name, x.Legal, x.TagPrefix} })
}

// TenantSetCmd is `ranzen tenant set`.
type TenantSetCmd struct {
	Remote
	Code      string  `arg:"" help:"The tenant's code."`
	Name      *string `placeholder:"TEXT" help:"Its name."`
	Legal     *string `placeholder:"LAW" help:"gdpr, kdg or dsg-ekd."`
	TagPrefix *string `placeholder:"P" help:"What its new asset tags begin with."`
}

// Run changes the tenant.
func (c *TenantSetCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{}
	put(body, "name", c.Name)
	put(body, "legal", c.Legal)
	put(body, "tag_prefix", c.TagPrefix)
	if len(body) == 0 {
		return usagef("Say what shall be different: --name, --legal or --tag-prefix.")
	}
	return c.do(e, func(api *client) error { return api.call(ctx, http.MethodPatch, at("tenants", c.Code), body, nil) },
		func(api *client) { api.line("Tenant %s is changed.", c.Code) })
}

// put puts what was said into a request's body.
func put[T any](body map[string]any, key string, v *T) {
	if v != nil {
		body[key] = *v
	}
}

// SchoolCmd groups the schools.
type SchoolCmd struct {
	Add  SchoolAddCmd  `cmd:"" help:"Make a school."`
	List SchoolListCmd `cmd:"" help:"List the schools."`
}

// SchoolAddCmd is `ranzen school add`.
type SchoolAddCmd struct {
	Remote
	ForTenant
	Code string `arg:"" help:"1 to 12 letters and digits."`
	Name string `required:"" placeholder:"TEXT" help:"Its name."`
}

// Run makes the school.
func (c *SchoolAddCmd) Run(ctx context.Context, e env) error {
	return c.makes(ctx, e, "/schools", c.into(map[string]any{"code": c.Code, "name": c.Name}), "School")
}

// SchoolListCmd is `ranzen school list`.
type SchoolListCmd struct {
	Remote
	ForTenant
}

// Run prints the schools.
func (c *SchoolListCmd) Run(ctx context.Context, e env) error {
	return c.lists(ctx, e, "/schools", c.ForTenant, "There are no schools.", []string{"CODE", "NAME", "TENANT"},
		func(x worldDoc) []string { return []string{x.Code, x.Name, x.Tenant} })
}

// SiteCmd groups the sites.
type SiteCmd struct {
	Add  SiteAddCmd  `cmd:"" help:"Make a site of a school."`
	List SiteListCmd `cmd:"" help:"List the sites."`
	Room SiteRoomCmd `cmd:"" help:"The rooms of a site."`
}

// SiteAddCmd is `ranzen site add`.
type SiteAddCmd struct {
	Remote
	ForTenant
	Code    string `arg:"" help:"First part of its devices' names: SAT."`
	School  string `required:"" placeholder:"S" help:"Code of its school."`
	Name    string `required:"" placeholder:"TEXT" help:"Its name."`
	Address string `placeholder:"TEXT" help:"Where it is."`
}

// Run makes the site.
func (c *SiteAddCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"code": c.Code, "school": c.School, "name": c.Name, "address": c.Address}
	return c.makes(ctx, e, "/sites", c.into(body), "Site")
}

// SiteListCmd is `ranzen site list`.
type SiteListCmd struct {
	Remote
	ForTenant
}

// Run prints the sites.
func (c *SiteListCmd) Run(ctx context.Context, e env) error {
	return c.lists(ctx, e, "/sites", c.ForTenant, "There are no sites.", []string{"CODE", "NAME", "SCHOOL", "TENANT", "ADDRESS"},
		func(x worldDoc) []string { return []string{x.Code, x.Name, x.School, x.Tenant, x.Address} })
}

// SiteRoomCmd groups the rooms.
type SiteRoomCmd struct {
	Add  RoomAddCmd  `cmd:"" help:"Make a room of a site."`
	List RoomListCmd `cmd:"" help:"List the rooms."`
}

// RoomAddCmd is `ranzen site room add`.
type RoomAddCmd struct {
	Remote
	ForTenant
	Site string `arg:"" help:"The site's code."`
	Name string `arg:"" help:"The room's name."`
}

// Run makes the room.
func (c *RoomAddCmd) Run(ctx context.Context, e env) error {
	return c.makes(ctx, e, "/rooms", c.into(map[string]any{"site": c.Site, "name": c.Name}), "Room")
}

// RoomListCmd is `ranzen site room list`.
type RoomListCmd struct {
	Remote
	ForTenant
}

// Run prints the rooms.
func (c *RoomListCmd) Run(ctx context.Context, e env) error {
	return c.lists(ctx, e, "/rooms", c.ForTenant, "There are no rooms.", []string{"SITE", "NAME", "TENANT"},
		func(x worldDoc) []string { return []string{x.Site, x.Name, x.Tenant} })
}

// ClassCmd groups the classes.
type ClassCmd struct {
	Add  ClassAddCmd  `cmd:"" help:"Make a class of a school year."`
	List ClassListCmd `cmd:"" help:"List the classes, the newest school year first."`
}

// ClassAddCmd is `ranzen class add`.
type ClassAddCmd struct {
	Remote
	ForTenant
	Name   string `arg:"" help:"The class: 3b."`
	School string `required:"" placeholder:"S" help:"Code of its school."`
	Year   string `required:"" placeholder:"Y" help:"The school year: 2026/27."`
}

// Run makes the class.
func (c *ClassAddCmd) Run(ctx context.Context, e env) error {
	return c.makes(ctx, e, "/classes", c.into(map[string]any{"name": c.Name, "school": c.School, "year": c.Year}), "Class")
}

// ClassListCmd is `ranzen class list`.
type ClassListCmd struct {
	Remote
	ForTenant
}

// Run prints the classes.
func (c *ClassListCmd) Run(ctx context.Context, e env) error {
	return c.lists(ctx, e, "/classes", c.ForTenant, "There are no classes.", []string{"NAME", "YEAR", "SCHOOL", "TENANT"},
		func(x worldDoc) []string { return []string{x.Name, x.Year, x.School, x.Tenant} })
}
