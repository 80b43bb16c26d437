package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// Versioning is how a new version of a profile is made.
type Versioning struct {
	Wanting
	Draft bool `query:"draft" doc:"Keep it until it is published; no device gets it before"`
}

type profileVersion struct {
	Version     int64      `json:"version"`
	State       string     `json:"state" enum:"draft,published,former,skipped" doc:"skipped: it was a draft, and another one was published"`
	Payloads    []string   `json:"payloads"`
	By          string     `json:"by"`
	CreatedAt   time.Time  `json:"created_at"`
	PublishedBy string     `json:"published_by"`
	PublishedAt *time.Time `json:"published_at" doc:"The last time; null: never"`
}

type profileDiff struct {
	From        int64                 `json:"from" doc:"0: none, there was no version before"`
	To          int64                 `json:"to"`
	Differences []profiles.Difference `json:"differences"`
}

func (s *Server) apiVersions(api huma.API) {
	type publish struct {
		OneProfile
		Wanting
		Version int64 `query:"version" minimum:"0" doc:"Default: the draft. An older one rolls back"`
	}
	write(s, api, operation{http.MethodPost, "/profiles/{profile}/publish", "publishProfile", auth.Change, "Have devices get a version of a profile", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *publish) (saved, error) {
			return s.changeVersion(ctx, tx, &in.Wanting, in.Tenant, func(ctx context.Context, tx *sqldb.Tx, tenant string) (profiles.Profile, error) {
				return s.Profiles.Publish(ctx, tx, by, tenant, in.Profile.text, in.Version)
			})
		})
	type rollBack struct {
		OneProfile
		Wanting
	}
	write(s, api, operation{http.MethodPost, "/profiles/{profile}/rollback", "rollBackProfile", auth.Change, "Publish again what was published before", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *rollBack) (saved, error) {
			return s.changeVersion(ctx, tx, &in.Wanting, in.Tenant, func(ctx context.Context, tx *sqldb.Tx, tenant string) (profiles.Profile, error) {
				return s.Profiles.RollBack(ctx, tx, by, tenant, in.Profile.text)
			})
		})
	type past struct {
		OneProfile
		Paged
	}
	read(s, api, operation{http.MethodGet, "/profiles/{profile}/versions", "listProfileVersions", auth.Look, "The history of a profile, newest first", "profiles", false},
		func(ctx context.Context, in *past) (list[profileVersion], error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[profileVersion]{}, err
			}
			vs, err := s.Profiles.History(ctx, s.DB, tenant, in.Profile.text)
			return few(&in.Paged, mapped(vs, versionOf), func(v profileVersion) string { return strconv.FormatInt(v.Version, 10) }), err
		})
	type compare struct {
		OneProfile
		From int64 `query:"from" minimum:"0" doc:"Default: what devices have before to"`
		To   int64 `query:"to" minimum:"0" doc:"Default: the draft, or else the published version"`
	}
	read(s, api, operation{http.MethodGet, "/profiles/{profile}/diff", "diffProfile", auth.Look, "What differs between two versions, without secrets", "profiles", false},
		func(ctx context.Context, in *compare) (profileDiff, error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return profileDiff{}, err
			}
			from, to, list, err := s.Profiles.Diff(ctx, s.DB, tenant, in.Profile.text, in.From, in.To)
			return profileDiff{from, to, list}, err
		})
}

// changeVersion proposes another version of a profile.
func (s *Server) changeVersion(ctx context.Context, tx *sqldb.Tx, w *Wanting, asked string, do func(ctx context.Context, tx *sqldb.Tx, tenant string) (profiles.Profile, error)) (out saved, err error) {
	tenant, codes, err := s.speaks(ctx, tx, asked)
	if err != nil {
		return out, err
	}
	p, err := s.propose(ctx, tx, w, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err := do(ctx, tx, tenant)
		out.Profile = profileOf(p, codes)
		return err
	})
	out.Plan = p.Plan
	return out, err
}

func versionOf(v profiles.Version) profileVersion {
	out := profileVersion{Version: v.Version, State: v.State, Payloads: v.Payloads, By: v.CreatedBy, CreatedAt: v.CreatedAt, PublishedBy: v.PublishedBy}
	if !v.PublishedAt.IsZero() {
		out.PublishedAt = &v.PublishedAt
	}
	return out
}
