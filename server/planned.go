package server

import (
	"context"
	"errors"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// Wanting is how a person wants a change of wishes to be made.
type Wanting struct {
	DryRun  bool   `query:"dry_run" doc:"Only say what it would do"`
	Plan    string `query:"plan" maxLength:"64" doc:"Hash of the plan that was looked at: if it would do something else by now, nothing is changed"`
	Rollout string `query:"rollout" enum:"now,rings" doc:"To all at once, or to one device of each site, then a tenth, then the rest; left out: in rings from 50 devices on"`
	Soak    string `query:"soak" maxLength:"20" example:"5m" doc:"How long a ring must stay good before the next one opens"`
}

// planned is what a change of wishes does. Changes are listed for a dry run only.
type planned struct {
	profiles.Plan
	InScope int `json:"in_scope" doc:"How many devices the scope has today"`
}

func (w *Wanting) asked() (profiles.Asked, error) {
	a := profiles.Asked{DryRun: w.DryRun, Hash: w.Plan, Rollout: w.Rollout}
	if w.Soak == "" {
		return a, nil
	}
	d, err := time.ParseDuration(w.Soak)
	if err != nil || d < time.Second || d > 30*24*time.Hour {
		return a, fault.New(fault.Invalid, "rollout.soak", "How long a ring must stay good is said as 30s, 5m or 24h, up to 720h.").On("soak")
	}
	a.Soak = d
	return a, nil
}

// errTried ends the transaction of a dry run: all was done, and nothing is kept.
var errTried = errors.New("only tried")

// propose makes a change of wishes as a person wants it. Of a dry run it gives
// errTried, which write turns into the answer.
func (s *Server) propose(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenant string, w *Wanting, change func(ctx context.Context, tx *sqldb.Tx) error) (planned, error) {
	a, err := w.asked()
	if err != nil {
		return planned{}, err
	}
	p, err := s.Profiles.Propose(ctx, tx, by, tenant, a, change)
	if err != nil {
		return planned{}, err
	}
	if a.DryRun {
		return planned{Plan: p}, errTried
	}
	return planned{Plan: p.Short()}, nil
}
