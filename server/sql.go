package server

import (
	"context"
	"time"

	"ranzen/internal/sqldb"
)

type answerRow struct {
	Request string `db:"request"`
	Body    string `db:"body"`
}

// takeKey reports false when the key is taken. On PostgreSQL it waits for a
// transaction that is about to take it.
func takeKey(ctx context.Context, tx *sqldb.Tx, user, key, hash string, now time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO idempotency (user_id, key, request, status, body, created_at) VALUES (?, ?, ?, 0, '', ?)
		ON CONFLICT (user_id, key) DO NOTHING`, user, key, hash, sqldb.At(now))
	return n == 1, err
}

func keepAnswer(ctx context.Context, tx *sqldb.Tx, user, key, body string) error {
	_, err := tx.Exec(ctx, `UPDATE idempotency SET status = 200, body = ? WHERE user_id = ? AND key = ?`, body, user, key)
	return err
}

func answerOf(ctx context.Context, tx *sqldb.Tx, user, key string) (answerRow, error) {
	var row answerRow
	err := tx.Get(ctx, &row, `SELECT request, body FROM idempotency WHERE user_id = ? AND key = ?`, user, key)
	return row, err
}

// forgetAnswers removes a bounded number, so that no transaction is long.
func forgetAnswers(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM idempotency WHERE (user_id, key) IN
			(SELECT user_id, key FROM idempotency WHERE created_at < ? ORDER BY created_at LIMIT 500)`, sqldb.At(before))
	return err
}

// takeLease reports whether holder may do the job until then: because nobody
// did, it did itself, or the one before it is overdue.
func takeLease(ctx context.Context, tx *sqldb.Tx, name, holder string, now, until time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at < ?`, name, holder, sqldb.At(until), sqldb.At(now))
	return n == 1, err
}

func dropLeases(ctx context.Context, tx *sqldb.Tx, holder string) error {
	_, err := tx.Exec(ctx, `DELETE FROM leases WHERE holder = ?`, holder)
	return err
}
