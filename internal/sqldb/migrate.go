package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the tables to this program's version. Each migration is one
// transaction. Several processes may start at once: one migrates, the others
// wait and find nothing to do.
func (db *DB) Migrate(ctx context.Context) error {
	for try := 1; ; try++ {
		err := db.withMigrations(func(p *goose.Provider) error {
			_, err := p.Up(ctx)
			return err
		})
		if err == nil || db.dialect == Postgres || try == maxTries {
			return err
		}
		// SQLite has no lock that outlives a transaction: two processes may pick
		// the same migration. The loser's is undone; the next look finds it done.
		select {
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// withMigrations hands out what can move the tables up and down, on a connection
// of its own.
func (db *DB) withMigrations(fn func(p *goose.Provider) error) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	driver, dialect := "sqlite", goose.DialectSQLite3
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if db.dialect == Postgres {
		driver, dialect = "pgx", goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	conn, err := sql.Open(driver, db.dsn)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer conn.Close() //nolint:errcheck // the migrations are committed or not
	p, err := goose.NewProvider(dialect, conn, folder, opts...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := fn(p); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Version is the number of the newest migration this program knows.
func Version() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	return goose.NumericComponent(names[len(names)-1])
}

// Admin runs one statement that cannot be in a transaction on a PostgreSQL
// server: the tests' CREATE and DROP DATABASE.
func Admin(dsn, statement string) error {
	conn, err := sql.Open("pgx", dsn)
	if err != nil {
		return fmt.Errorf("open PostgreSQL: %w", err)
	}
	defer conn.Close() //nolint:errcheck // nothing is in flight
	_, err = conn.Exec(statement)
	return err
}
