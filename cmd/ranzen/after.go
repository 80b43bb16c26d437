package main

import (
	"context"
	"ranzen/internal/sqldb"
)

func afterRestore(ctx context.Context, e env, db *sqldb.DB, cfg Config, tx *sqldb.Tx) error {
	return nil
}
