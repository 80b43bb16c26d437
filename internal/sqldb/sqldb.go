// Package sqldb knows the two databases and no table.
//
// It is the only package that imports sqlx and the drivers. Rooms write one SQL
// text with ? placeholders; it runs unchanged on SQLite and on PostgreSQL. The
// few differences are methods of Tx.
//
// Promises, each held by a test on both databases:
//
//   - What Do returned nil for is durable: it survives a kill and a power cut.
//   - On SQLite the writes of many callers share one transaction and one fsync,
//     each in its own savepoint; a caller that fails undoes only its own work.
//   - A panic in a caller's function undoes its work and reaches that caller.
//   - Read sees one moment: rows written meanwhile stay invisible to it.
//   - Nothing found is ErrNoRows from Get and an empty slice from Select, never
//     an error that could be taken for a broken database, nor the reverse.
//   - Migrations run once, also when several processes start together.
//
// A function takes a *Tx or opens one with Do, never both: Do inside Do waits
// for the one writer of SQLite, which is itself, until the context ends.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite" // the driver "sqlite"
)

// ErrNoRows is what Get returns when nothing matches.
var ErrNoRows = sql.ErrNoRows

// Dialects.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// poolSize is the number of connections a process keeps to PostgreSQL, and of
// readers on SQLite. Go's default of two idle connections makes a server open
// and close one for nearly every request under load.
const poolSize = 16

// DB is an open database.
type DB struct {
	dialect string
	dsn     string   // as the driver takes it
	pool    *sqlx.DB // PostgreSQL: everything; SQLite: readers
	writer  *writer  // SQLite only
	stmts   sync.Map // SQLite readers: query text -> *sqlx.Stmt
}

// Queryer reads: a DB (one statement, no transaction), a Tx, or the snapshot
// that Read hands out. Slices other than []byte among args are spread out for
// "IN (?)".
type Queryer interface {
	// Get scans one row into dst, or returns ErrNoRows.
	Get(ctx context.Context, dst any, query string, args ...any) error
	// Select scans all rows into the slice dst points to.
	Select(ctx context.Context, dst any, query string, args ...any) error
}

// Open opens "sqlite:PATH" or "postgres://…". It creates the SQLite file, but
// no tables: see Migrate.
func Open(ctx context.Context, dsn string) (*DB, error) {
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		return openSQLite(ctx, strings.TrimPrefix(dsn, "sqlite:"))
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		pool, err := openPostgres(ctx, dsn)
		if err != nil {
			return nil, fmt.Errorf("open PostgreSQL: %w", err)
		}
		pool.SetMaxOpenConns(poolSize)
		pool.SetMaxIdleConns(poolSize)
		return &DB{dialect: Postgres, dsn: dsn, pool: pool}, nil
	}
	return nil, errors.New(`open database: the address must begin with "sqlite:" or "postgres://"`)
}

// openPostgres has no statement compiled to machine code: PostgreSQL does that for
// 15 to 200 ms where it overrates the cost of one that takes two, as it does with
// long lists. It is said on each connection and not in its address: poolers refuse
// settings they do not know.
func openPostgres(ctx context.Context, dsn string) (*sqlx.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	pool := sqlx.NewDb(stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `SET jit = off`)
		return err
	})), "pgx")
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// SQLite's settings go into the address: by Exec they would hold for one
// connection of the pool only.
const sqlitePragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
	"&_pragma=foreign_keys(1)&_pragma=temp_store(2)"

func openSQLite(ctx context.Context, path string) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	// In an SQLite URI these three would end or escape the path.
	abs = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(abs)
	base := "file:" + abs + "?" + sqlitePragmas
	dsn := base + "&_txlock=immediate&_pragma=cache_size(-16000)"
	w, err := openWriter(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool, err := sqlx.ConnectContext(ctx, "sqlite", base+"&_pragma=query_only(1)&_pragma=cache_size(-2000)") // each of many connections has its own
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), w.close())
	}
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	return &DB{dialect: SQLite, dsn: dsn, pool: pool, writer: w}, nil
}

// Close ends what is in flight and closes the database. On SQLite the last
// connection folds the log into the file; only the writer may, and only when no
// statement is left.
func (db *DB) Close() error {
	var errs []error
	db.stmts.Range(func(_, st any) bool {
		errs = append(errs, st.(*sqlx.Stmt).Close())
		return true
	})
	errs = append(errs, db.pool.Close())
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	return errors.Join(errs...)
}

// Dialect is SQLite or Postgres.
func (db *DB) Dialect() string { return db.dialect }

// Ping asks the database for a sign of life.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.Get(ctx, &one, `SELECT 1`)
}

// Get implements Queryer with one statement outside a transaction.
func (db *DB) Get(ctx context.Context, dst any, query string, args ...any) error {
	if db.dialect == SQLite && !spreads(args) {
		st, err := db.stmt(ctx, query)
		if err != nil {
			return err
		}
		return st.GetContext(ctx, dst, args...)
	}
	query, args, err := bind(db.dialect, query, args)
	if err != nil {
		return err
	}
	return db.pool.GetContext(ctx, dst, query, args...)
}

// Select implements Queryer with one statement outside a transaction.
func (db *DB) Select(ctx context.Context, dst any, query string, args ...any) error {
	if db.dialect == SQLite && !spreads(args) {
		st, err := db.stmt(ctx, query)
		if err != nil {
			return err
		}
		return st.SelectContext(ctx, dst, args...)
	}
	query, args, err := bind(db.dialect, query, args)
	if err != nil {
		return err
	}
	return db.pool.SelectContext(ctx, dst, query, args...)
}

// maxStmts bounds the statements kept prepared by the writer. Query texts are
// constants of the program, so more means that somebody builds them at run time.
const maxStmts = 500

// stmt is the prepared statement of a reader. pgx keeps its own.
func (db *DB) stmt(ctx context.Context, query string) (*sqlx.Stmt, error) {
	if st, ok := db.stmts.Load(query); ok {
		return st.(*sqlx.Stmt), nil
	}
	st, err := db.pool.PreparexContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if prev, loaded := db.stmts.LoadOrStore(query, st); loaded {
		_ = st.Close() // another request was first; its statement serves both
		return prev.(*sqlx.Stmt), nil
	}
	return st, nil
}

// Read runs fn on one snapshot of the database.
func (db *DB) Read(ctx context.Context, fn func(q Queryer) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.dialect == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	t, err := db.pool.BeginTxx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	defer t.Rollback() //nolint:errcheck // a reader has nothing to lose
	return fn(reader{db.dialect, t})
}

type reader struct {
	dialect string
	tx      *sqlx.Tx
}

func (r reader) Get(ctx context.Context, dst any, query string, args ...any) error {
	query, args, err := bind(r.dialect, query, args)
	if err != nil {
		return err
	}
	return r.tx.GetContext(ctx, dst, query, args...)
}

func (r reader) Select(ctx context.Context, dst any, query string, args ...any) error {
	query, args, err := bind(r.dialect, query, args)
	if err != nil {
		return err
	}
	return r.tx.SelectContext(ctx, dst, query, args...)
}

// spreads tells whether an argument is a slice for "IN (?)".
func spreads(args []any) bool {
	for _, a := range args {
		switch a.(type) {
		case nil, []byte, string, int64, int, bool, Time:
			continue
		}
		if reflect.TypeOf(a).Kind() == reflect.Slice && reflect.TypeOf(a).Elem().Kind() != reflect.Uint8 {
			return true
		}
	}
	return false
}

// rounded repeats the last element of a slice until their number is a power of
// two: it means the same in IN (?), and a query has ten texts to be prepared
// instead of five hundred.
func rounded(a any) any {
	v := reflect.ValueOf(a)
	if !v.IsValid() || v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8 || v.Len() == 0 {
		return a
	}
	n := v.Len()
	out := reflect.MakeSlice(v.Type(), 1<<bits.Len(uint(n-1)), 1<<bits.Len(uint(n-1)))
	reflect.Copy(out, v)
	for i := n; i < out.Len(); i++ {
		out.Index(i).Set(v.Index(n - 1))
	}
	return out.Interface()
}

func bind(dialect, query string, args []any) (string, []any, error) {
	if spreads(args) {
		args = slices.Clone(args)
		for i, a := range args {
			args[i] = rounded(a)
		}
		var err error
		if query, args, err = sqlx.In(query, args...); err != nil {
			return "", nil, fmt.Errorf("spread arguments: %w", err)
		}
	}
	if dialect == Postgres {
		query = rebind(query)
	}
	return query, args, nil
}

// IsUnique tells whether err is the refusal of a duplicate key.
func IsUnique(err error) bool { return isCode(err, "23505", 2067, 1555) }

// IsForeignKey tells whether err is the refusal of a reference to nothing.
func IsForeignKey(err error) bool { return isCode(err, "23503", 787) }

func isCode(err error, pg string, lite ...int) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == pg
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		for _, c := range lite {
			if e.Code() == c {
				return true
			}
		}
	}
	return false
}

// NewID makes an identifier: a version 7 UUID (RFC 9562) as text. Its order is
// that of time, so new rows land at the end of an index.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Time is a moment in the database: BIGINT milliseconds since 1970 UTC. The
// zero Time is NULL.
type Time struct{ time.Time }

// At wraps t for the database.
func At(t time.Time) Time { return Time{t} }
