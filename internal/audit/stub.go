package audit

import (
	"context"

	"ranzen/internal/sqldb"
)

// Chain gives events their place in the chain.
func (l *Log) Chain(ctx context.Context) error { panic("soon") }

// List lists entries, newest first.
func (l *Log) List(ctx context.Context, q sqldb.Queryer, f Filter) ([]Entry, error) { panic("soon") }

// Verify checks the chain.
func (l *Log) Verify(ctx context.Context) (VerifyResult, error) { panic("soon") }
