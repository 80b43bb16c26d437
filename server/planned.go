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
	Unseen bool   `query:"unseen" doc:"Do not work out what it does: a large change is made faster"`
}

// planned is what a change of wishes does. Changes are listed for a dry run only.
type planned struct {
	profiles.Plan
	InScope int `json:"in_scope" doc:"How many devices the scope has today"`
}

// errTried ends the transaction of a dry run: all was done, and nothing is kept.
var errTried = errors.New("only tried")

// propose makes a change of wishes as a person wants it. Of a dry run it gives
// errTried, which write turns into the answer.
func (s *Server) propose(ctx context.Context, tx *sqldb.Tx, w *Wanting, change func(ctx context.Context, tx *sqldb.Tx) error) (planned, error) {
	p, err := s.Profiles.Propose(ctx, tx, profiles.Asked{DryRun: w.DryRun, Hash: w.Plan, Unseen: w.Unseen}, change)
	if err != nil {
		return planned{}, err
	}
	if w.DryRun {
		return planned{Plan: p}, errTried
	}
	return planned{Plan: p.Short()}, nil
}
