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
)

type link struct {
	ID         string     `json:"id"`
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

func linkOf(l enroll.Link) link {
	return link{l.ID, l.Name, l.URL, l.ProfileURL, l.Group, l.CreatedBy, l.CreatedAt, l.ExpiresAt, l.MaxUses, l.Uses, when(l.RevokedAt), l.Warning}
}

func (s *Server) apiLinks(api huma.API) {
	read(s, api, operation{http.MethodGet, "/links", "listLinks", auth.Change, "List the enrollment links", "links", false},
		func(ctx context.Context, in *Paged) (list[link], error) {
			links, err := s.Enroll.Links(ctx, s.DB)
			return few(in, mapped(links, linkOf), func(l link) string { return l.ID }), err
		})
	type newLink struct {
		Body struct {
			Name      string `json:"name" maxLength:"1000"`
			Group     string `json:"group,omitempty" maxLength:"255" doc:"Name or id of the group its iPads join"`
			ExpiresIn int64  `json:"expires_in,omitempty" minimum:"0" maximum:"40000000" doc:"Seconds; default three days"`
			MaxUses   int    `json:"max_uses,omitempty" minimum:"0"`
		}
	}
	write(s, api, operation{http.MethodPost, "/links", "createLink", auth.Change, "Make an enrollment link", "links", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newLink) (link, error) {
			l, err := s.Enroll.CreateLink(ctx, tx, by, enroll.LinkSpec{
				Name: in.Body.Name, Group: in.Body.Group, Expires: time.Duration(in.Body.ExpiresIn) * time.Second, MaxUses: in.Body.MaxUses,
			})
			return linkOf(l), err
		})
	type one struct {
		Link named `path:"link" doc:"Id or name"`
	}
	write(s, api, operation{http.MethodPost, "/links/{link}/revoke", "revokeLink", auth.Change, "End a link", "links", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (nothing, error) {
			return nothing{}, s.Enroll.RevokeLink(ctx, tx, by, in.Link.text)
		})
}
