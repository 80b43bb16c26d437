package server

import (
	"context"
	"errors"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// Wanting is how a person wants a change of wishes to be made.
type Wanting struct {
	DryRun bool   `query:"dry_run" doc:"Only say what it would do"`
	Plan   string `query:"plan" maxLength:"64" doc:"Hash of the plan that was looked at: if it would do something else by now, nothing is changed"`

	Rollout string `query:"rollout" enum:"now,rings" doc:"At once, or ring by ring: one device of each site, a tenth, the rest. Default: rings for 50 devices and more"`
	Soak    int64  `query:"soak" minimum:"0" maximum:"604800" doc:"Seconds that a ring must have been good before the next one opens. Default: 300"`
}

// Planned is what a change of wishes does. Changes are listed for a dry run only.
type Planned struct {
	profiles.Plan
	InScope int `json:"in_scope" doc:"How many devices the scope has today"`
}

// errTried ends the transaction of a dry run: all was done, and nothing is kept.
var errTried = errors.New("only tried")

// propose makes a change of wishes as a person wants it. Of a dry run it gives
// errTried, which write turns into the answer.
func (s *Server) propose(ctx context.Context, tx *sqldb.Tx, w *Wanting, change func(ctx context.Context, tx *sqldb.Tx) error) (Planned, error) {
	p, err := s.Profiles.Propose(ctx, tx, w.asked(ctx), change)
	if err != nil {
		return Planned{}, err
	}
	if w.DryRun {
		return Planned{Plan: p}, errTried
	}
	return Planned{Plan: p.Short()}, nil
}

func (w *Wanting) asked(ctx context.Context) profiles.Asked {
	return profiles.Asked{
		DryRun: w.DryRun, Hash: w.Plan, Rollout: w.Rollout, Soak: time.Duration(w.Soak) * time.Second,
		By: askedOf(ctx).person.Actor(), TenantID: own(ctx),
	}
}
