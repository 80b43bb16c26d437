package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

// apiWhy answers why a device has, lacks or waits for something.
func (s *Server) apiWhy(api huma.API) {
	type ask struct {
		Device named  `path:"device" doc:"Serial number, asset tag, UDID or id"`
		What   string `query:"what" maxLength:"255" doc:"Name of a profile or app. Default: all that are wished of it or on it"`
		Lang   string `query:"lang" enum:"de,en" default:"en" doc:"Language of the sentences"`
	}
	read(s, api, operation{http.MethodGet, "/devices/{device}/why", "whyDevice", auth.Look, "Why a device has, lacks or waits for its profiles and apps", "devices", false},
		func(ctx context.Context, in *ask) (out views.WhyDevice, err error) {
			err = s.DB.Read(ctx, func(q sqldb.Queryer) error {
				id, err := s.views.Resolve(ctx, q, own(ctx), in.Device.text)
				if err != nil {
					return err
				}
				scopes, err := s.Schools.ScopesOf(ctx, q, []string{id})
				if err != nil {
					return err
				}
				called, err := s.Schools.Called(ctx, q, scopes[id])
				if err != nil {
					return err
				}
				clashes, err := s.Profiles.ConflictsOn(ctx, q, id)
				if err != nil {
					return err
				}
				out, err = s.views.Why(ctx, q, id, in.What, in.Lang, scopes[id], called, clashesOf(clashes))
				return err
			})
			return out, err
		})
}
