package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
)

// Tx is a write transaction. It is used by one goroutine, inside Do's function.
type Tx struct {
	dialect string
	run     runner
	after   []func()
}

// runner is what a transaction of PostgreSQL and the writer of SQLite share.
type runner interface {
	get(ctx context.Context, dst any, query string, args []any) error
	sel(ctx context.Context, dst any, query string, args []any) error
	exec(ctx context.Context, query string, args []any) (sql.Result, error)
}

// Get implements Queryer.
func (tx *Tx) Get(ctx context.Context, dst any, query string, args ...any) error {
	query, args, err := bind(tx.dialect, query, args)
	if err != nil {
		return err
	}
	return tx.run.get(ctx, dst, query, args)
}

// Select implements Queryer.
func (tx *Tx) Select(ctx context.Context, dst any, query string, args ...any) error {
	query, args, err := bind(tx.dialect, query, args)
	if err != nil {
		return err
	}
	return tx.run.sel(ctx, dst, query, args)
}

// Exec runs a statement and returns the number of rows it changed.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	query, args, err := bind(tx.dialect, query, args)
	if err != nil {
		return 0, err
	}
	res, err := tx.run.exec(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// SkipLocked ends a SELECT that claims rows, so that two processes never claim
// the same one. SQLite has one writer and needs nothing.
func (tx *Tx) SkipLocked() string {
	if tx.dialect == Postgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// ForUpdate ends a SELECT whose rows nobody else may change before the commit.
func (tx *Tx) ForUpdate() string {
	if tx.dialect == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// AfterCommit runs fn once the transaction is durable: nudges that may be lost
// without harm, never work.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Do runs fn in a write transaction and commits it, or undoes all of it when fn
// fails. fn may run again after a serialization failure on PostgreSQL, so it
// changes nothing outside the transaction that a second run would spoil.
func (db *DB) Do(ctx context.Context, fn func(tx *Tx) error) error {
	if db.writer != nil {
		return db.writer.do(ctx, fn)
	}
	for try := 1; ; try++ {
		err := db.doPostgres(ctx, fn)
		if err == nil || try == maxTries || !retryable(err) || ctx.Err() != nil {
			return err
		}
	}
}

const maxTries = 5

func (db *DB) doPostgres(ctx context.Context, fn func(tx *Tx) error) error {
	t, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer t.Rollback() //nolint:errcheck // after a commit it does nothing
	tx := &Tx{dialect: Postgres, run: pgRunner{t}}
	if err := fn(tx); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, f := range tx.after {
		f()
	}
	return nil
}

// retryable: serialization failure and deadlock, where PostgreSQL asks for the
// same transaction once more (its manual, Transaction Isolation).
func retryable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

type pgRunner struct{ tx *sqlx.Tx }

func (r pgRunner) get(ctx context.Context, dst any, query string, args []any) error {
	return r.tx.GetContext(ctx, dst, query, args...)
}

func (r pgRunner) sel(ctx context.Context, dst any, query string, args []any) error {
	return r.tx.SelectContext(ctx, dst, query, args...)
}

func (r pgRunner) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	return r.tx.ExecContext(ctx, query, args...)
}
