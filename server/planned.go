package server

import (
	"context"
	"errors"

	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// Wanting is how a person wants a change of wishes to be made.
type Wanting struct {
	DryRun bool   `query:"dry_run" doc:"Only say what it would do"`
	Plan   string `query:"plan" maxLength:"64" doc:"Hash of the plan that was looked at: if it would do something else by now, nothing is changed"`
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
	p, err := s.Profiles.Propose(ctx, tx, profiles.Asked{DryRun: w.DryRun, Hash: w.Plan}, change)
	if err != nil {
		return Planned{}, err
	}
	if w.DryRun {
		return Planned{Plan: p}, errTried
	}
	return Planned{Plan: p.Short()}, nil
}
