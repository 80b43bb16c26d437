package main

import (
	"context"
	"log/slog"
	"time"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// afterRestore makes the rows of a backup safe to go on from, in the transaction
// that wrote them: nothing that was under way is done again, and what tablets
// have is asked anew. taken is the moment of the backup.
func afterRestore(ctx context.Context, e env, db *sqldb.DB, cfg Config, taken time.Time, tx *sqldb.Tx) error {
	key, err := cfg.SealKey()
	if err != nil {
		return err
	}
	vault, err := certs.NewVault(key)
	if err != nil {
		return err
	}
	log := audit.New(db, e.clock)
	if err := commands.New(db, e.clock, vault, log, slog.New(slog.DiscardHandler)).AfterRestore(ctx, tx); err != nil {
		return err
	}
	if err := profiles.AfterRestore(ctx, tx, e.clock.Now()); err != nil {
		return err
	}
	return log.Append(ctx, tx, audit.Event{
		Actor: audit.System, Action: "backup.restore", Subject: "server",
		Detail: map[string]any{"backed_up_at": taken.UTC().Format(time.RFC3339)},
	})
}
