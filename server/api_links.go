package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

type link struct {
	ID         string     `json:"id"`
	Tenant     string     `json:"tenant" doc:"Code of whose devices come by it"`
	Name       string     `json:"name"`
	URL        string     `json:"url" doc:"The page for people, with a QR code"`
	ProfileURL string     `json:"profile_url" doc:"The enrollment profile; each fetch is personal"`
	Group      string     `json:"group"`
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	MaxUses    int64      `json:"max_uses" doc:"Enrollments it allows; 0: any number"`
	Uses       int64      `json:"uses"`
	RevokedAt  *time.Time `json:"revoked_at"`
	Warning    string     `json:"warning,omitempty"`
}

func linkOf(l enroll.Link, codes map[string]string) link {
	return link{l.ID, codes[l.TenantID], l.Name, l.URL, l.ProfileURL, l.Group, l.CreatedBy, l.CreatedAt, l.ExpiresAt, l.MaxUses, l.Uses, when(l.RevokedAt), l.Warning}
}

func (s *Server) apiLinks(api huma.API) {
	read(s, api, operation{http.MethodGet, "/links", "listLinks", auth.Change, "List the enrollment links", "links", false},
		func(ctx context.Context, in *PagedOf) (list[link], error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[link]{}, err
			}
			codes, err := views.TenantCodes(ctx, s.DB, own(ctx))
			if err != nil {
				return list[link]{}, err
			}
			links, err := s.Enroll.Links(ctx, s.DB, tenant)
			one := func(l enroll.Link) link { return linkOf(l, codes) }
			return few(&in.Paged, mapped(links, one), func(l link) string { return l.ID }), err
		})
	type newLink struct {
		Body struct {
			Name      string `json:"name" maxLength:"1000"`
			Group     string `json:"group,omitempty" maxLength:"255" doc:"Name or id of the group its iPads join"`
			ExpiresIn int64  `json:"expires_in,omitempty" minimum:"0" maximum:"40000000" doc:"Seconds; default three days"`
			MaxUses   int    `json:"max_uses,omitempty" minimum:"0"`
			Tenant    string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose devices come by it; may be left out while there is one"`
		}
	}
	write(s, api, operation{http.MethodPost, "/links", "createLink", auth.Change, "Make an enrollment link", "links", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newLink) (link, error) {
			tenant, err := s.tenantFor(ctx, tx, in.Body.Tenant)
			if err != nil {
				return link{}, err
			}
			l, err := s.Enroll.CreateLink(ctx, tx, by, enroll.LinkSpec{
				TenantID: tenant.ID, Name: in.Body.Name, Group: in.Body.Group, Expires: time.Duration(in.Body.ExpiresIn) * time.Second, MaxUses: in.Body.MaxUses,
			})
			return linkOf(l, map[string]string{tenant.ID: tenant.Code}), err
		})
	type one struct {
		Link named `path:"link" doc:"Id or name"`
		OfTenant
	}
	write(s, api, operation{http.MethodPost, "/links/{link}/revoke", "revokeLink", auth.Change, "End a link", "links", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (nothing, error) {
			tenant, err := s.asTenant(ctx, tx, in.Tenant)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Enroll.RevokeLink(ctx, tx, by, tenant, in.Link.text)
		})
}
