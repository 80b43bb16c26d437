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

type rollout struct {
	ID          string          `json:"id"`
	Tenant      string          `json:"tenant" doc:"Code of whose people began it; empty: the provider's"`
	Title       string          `json:"title" doc:"The profiles and apps that it is about"`
	State       string          `json:"state" enum:"running,paused,halted,done,aborted"`
	Reason      string          `json:"reason" doc:"Why it halted"`
	Ring        int             `json:"ring" doc:"The open one: 0 one device of each site, 1 a tenth of the others, 2 the rest"`
	Rings       []profiles.Ring `json:"rings"`
	SoakSeconds int64           `json:"soak_seconds"`
	By          string          `json:"by"`
	CreatedAt   time.Time       `json:"created_at"`
	OpenedAt    time.Time       `json:"opened_at" doc:"When the open ring was opened"`
	EndedAt     *time.Time      `json:"ended_at"`
}

func rolloutOf(r profiles.Rollout, codes map[string]string) rollout {
	out := rollout{
		ID: r.ID, Tenant: codes[r.TenantID], Title: r.Title, State: r.State, Reason: r.Reason, Ring: r.Ring, Rings: r.Rings,
		SoakSeconds: int64(r.Soak / time.Second), By: r.CreatedBy, CreatedAt: r.CreatedAt, OpenedAt: r.OpenedAt,
	}
	if !r.EndedAt.IsZero() {
		out.EndedAt = &r.EndedAt
	}
	return out
}

// OneRollout names a roll-out.
type OneRollout struct {
	Rollout named `path:"rollout" doc:"Its id"`
}

func (s *Server) apiRollouts(api huma.API) {
	read(s, api, operation{http.MethodGet, "/rollouts", "listRollouts", auth.Look, "Changes on their way through the devices, newest first", "assignments", false},
		func(ctx context.Context, in *Paged) (list[rollout], error) {
			codes, err := views.TenantCodes(ctx, s.DB, own(ctx))
			if err != nil {
				return list[rollout]{}, err
			}
			rs, err := s.Profiles.Rollouts(ctx, s.DB, own(ctx))
			return few(in, mapped(rs, func(r profiles.Rollout) rollout { return rolloutOf(r, codes) }), func(r rollout) string { return r.ID }), err
		})
	show := func(ctx context.Context, q sqldb.Queryer, id string) (rollout, error) {
		codes, err := views.TenantCodes(ctx, q, own(ctx))
		if err != nil {
			return rollout{}, err
		}
		r, err := s.Profiles.Rollout(ctx, q, own(ctx), id)
		return rolloutOf(r, codes), err
	}
	read(s, api, operation{http.MethodGet, "/rollouts/{rollout}", "getRollout", auth.Look, "How far a roll-out is", "assignments", false},
		func(ctx context.Context, in *OneRollout) (rollout, error) { return show(ctx, s.DB, in.Rollout.text) })
	set := func(path, id, summary string, do func(context.Context, *sqldb.Tx, audit.Actor, string, string) error) {
		write(s, api, operation{http.MethodPost, "/rollouts/{rollout}/" + path, id, auth.Change, summary, "assignments", false},
			func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *OneRollout) (rollout, error) {
				if err := do(ctx, tx, by, own(ctx), in.Rollout.text); err != nil {
					return rollout{}, err
				}
				return show(ctx, tx, in.Rollout.text)
			})
	}
	set("pause", "pauseRollout", "Keep the next rings closed", s.Profiles.Pause)
	set("resume", "resumeRollout", "Go on with a roll-out that was paused, or that halted and was looked at", s.Profiles.Resume)
	type abort struct {
		OneRollout
		DryRun bool   `query:"dry_run" doc:"Only say what it would do"`
		Plan   string `query:"plan" maxLength:"64" doc:"Hash of the plan that was looked at"`
	}
	write(s, api, operation{http.MethodPost, "/rollouts/{rollout}/abort", "abortRollout", auth.Change, "End a roll-out and take its change back", "assignments", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *abort) (Planned, error) {
			p, err := s.Profiles.Abort(ctx, tx, by, own(ctx), in.Rollout.text, profiles.Asked{DryRun: in.DryRun, Hash: in.Plan})
			if err == nil && in.DryRun {
				return Planned{Plan: p}, errTried
			}
			return Planned{Plan: p.Short()}, err
		})
}
