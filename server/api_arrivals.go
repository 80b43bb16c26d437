package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

// apiArrivals is about iPads that wait for a person: held, or in Setup
// Assistant.
func (s *Server) apiArrivals(api huma.API) {
	read(s, api, operation{http.MethodGet, "/holds", "listHolds", auth.Look, "Second enrollments of a serial number that wait for a person, oldest first", "arrivals", false},
		func(ctx context.Context, in *Paged) (list[views.Hold], error) {
			holds, err := s.views.Holds(ctx, own(ctx))
			return few(in, holds, func(h views.Hold) string { return h.EnrollmentID }), err
		})
	type one struct {
		Hold named `path:"hold" doc:"The hold's id"`
	}
	decide := func(word, id, summary string, do func(context.Context, *sqldb.Tx, audit.Actor, string) error) {
		write(s, api, operation{http.MethodPost, "/holds/{hold}/" + word, id, auth.Change, summary, "arrivals", false},
			func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (nothing, error) {
				if err := s.views.HoldOf(ctx, tx, own(ctx), in.Hold.text); err != nil {
					return nothing{}, err
				}
				return nothing{}, do(ctx, tx, by, in.Hold.text)
			})
	}
	decide("admit", "admitHold", "Let the second one in; the first is no longer managed", s.Enroll.AdmitHeld)
	decide("reject", "rejectHold", "Send the second one away", s.Enroll.RejectHeld)
	type release struct {
		OneDevice
		Body struct {
			Reason string `json:"reason" maxLength:"2000" doc:"Why it may go without all it should have; it stays in the audit log"`
		}
	}
	write(s, api, operation{http.MethodPost, "/devices/{device}/release", "releaseDevice", auth.Change, "Let an iPad out of Setup Assistant whose baseline is not there", "arrivals", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *release) (nothing, error) {
			id, err := s.views.Resolve(ctx, tx, own(ctx), in.Device.text)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Enroll.ReleaseAnyway(ctx, tx, by, id, in.Body.Reason)
		})
}

// heldWarnings tells that somebody must decide.
func (s *Server) heldWarnings(ctx context.Context) ([]string, error) {
	n, err := s.views.CountHolds(ctx, own(ctx))
	if err != nil || n == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("%d iPads came from Setup Assistant with the serial number of one that is in use, and are held. Decide: `ranzen hold list`.", n)}, nil
}
