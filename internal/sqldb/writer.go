package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"
)

// maxBatch is how many callers may share one commit. More would make the first
// of them wait for the last without saving anything worth having: the fsync is
// already spread over 64.
const maxBatch = 64

// maxLong is how many statements with long lists are kept: one of 500 rows takes
// up to a megabyte.
const (
	maxLong   = 24
	longQuery = 2 * maxKeptBinds // no shorter text has that many
)

// errClosed is returned to callers that come after Close.
var errClosed = errors.New("the database is closed")

// writer is SQLite's one writing connection. Callers that wait at the same time
// are taken into one transaction, each in its own savepoint, and are answered
// after the common commit: as durable as a commit each, at a fraction of the
// fsyncs.
type writer struct {
	pool    *sqlx.DB
	conn    *sqlx.Conn
	stmts   map[string]*sqlx.Stmt
	long    []string // texts of those with long lists, the latest used last
	jobs    chan *job
	quit    chan struct{}
	done    chan struct{}
	mu      sync.Mutex
	started bool
	end     sync.Once // closes
}

type job struct {
	ctx  context.Context
	fn   func(tx *Tx) error
	err  error
	tx   *Tx
	boom any // what fn panicked with
	done chan struct{}

	// taken decides between the writer, who begins it, and a caller who gives up
	// before that: a Do inside a Do waits for itself, and ends with its context.
	taken atomic.Bool
}

func openWriter(ctx context.Context, dsn string) (*writer, error) {
	pool, err := sqlx.ConnectContext(ctx, "sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	return &writer{pool: pool, stmts: map[string]*sqlx.Stmt{}, jobs: make(chan *job, maxBatch), quit: make(chan struct{}), done: make(chan struct{})}, nil
}

// start takes the connection for good, with the first write.
func (w *writer) start(ctx context.Context) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started {
		return nil
	}
	if w.conn, err = w.pool.Connx(context.WithoutCancel(ctx)); err != nil {
		return err // the next write tries again
	}
	w.started = true
	go w.loop()
	return nil
}

func (w *writer) close() error {
	w.mu.Lock()
	if !w.started { // nothing to wait for, and nothing begins any more
		w.started = true
		close(w.done)
	}
	w.mu.Unlock()
	w.end.Do(func() { close(w.quit) })
	<-w.done
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.Close())
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.pool.Close())...)
}

func (w *writer) do(ctx context.Context, fn func(tx *Tx) error) error {
	if err := w.start(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return fmt.Errorf("begin: %w", ctx.Err())
	case <-w.quit:
		return errClosed
	}
	if err := w.await(ctx, j); err != nil {
		return err
	}
	if j.boom != nil {
		panic(j.boom)
	}
	if j.err == nil {
		for _, f := range j.tx.after { // here and not in the writer, which must not wait or panic for them
			f()
		}
	}
	return j.err
}

// await waits for a job's end, or gives it up before its beginning.
func (w *writer) await(ctx context.Context, j *job) error {
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return fmt.Errorf("begin: %w", ctx.Err())
		}
	case <-w.done:
	}
	select {
	case <-j.done:
		return nil
	case <-w.done:
	}
	select {
	case <-j.done:
		return nil
	default:
		return errClosed
	}
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case j := <-w.jobs:
			if j.taken.CompareAndSwap(false, true) {
				w.batch(j)
			}
		case <-w.quit:
			return
		}
	}
}

// batch takes first and whoever waits with it through one commit.
func (w *writer) batch(first *job) {
	ctx := context.WithoutCancel(first.ctx)
	if _, err := w.exec(ctx, `BEGIN IMMEDIATE`, nil); err != nil {
		first.err = fmt.Errorf("begin: %w", err)
		close(first.done)
		return
	}
	taken := []*job{first}
	whole := w.one(first)
fill:
	for whole && len(taken) < maxBatch {
		select {
		case j := <-w.jobs:
			if !j.taken.CompareAndSwap(false, true) {
				continue // its caller has gone
			}
			taken = append(taken, j)
			whole = w.one(j)
		default:
			break fill
		}
	}
	if _, err := w.exec(ctx, `COMMIT`, nil); err != nil {
		_, rerr := w.exec(ctx, `ROLLBACK`, nil)
		for _, j := range taken {
			if j.err == nil {
				j.err = errors.Join(fmt.Errorf("commit: %w", err), rerr)
			}
		}
	}
	for _, j := range taken {
		close(j.done)
	}
}

// one runs a caller's function in a savepoint. Its statements run without the
// caller's cancellation: SQLite answers an interrupt by undoing the whole
// transaction, other callers' work included. It does the same on a full disk;
// then one returns false and nobody else may join this transaction.
func (w *writer) one(j *job) (whole bool) {
	if err := j.ctx.Err(); err != nil {
		j.err = err
		return true
	}
	ctx := context.WithoutCancel(j.ctx)
	if _, err := w.exec(ctx, `SAVEPOINT caller`, nil); err != nil {
		j.err = fmt.Errorf("begin: %w", err)
		return false
	}
	j.tx = &Tx{dialect: SQLite, run: w}
	func() {
		defer func() {
			if p := recover(); p != nil {
				j.boom = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		j.err = j.fn(j.tx)
	}()
	if j.err != nil || j.boom != nil {
		if _, err := w.exec(ctx, `ROLLBACK TO caller`, nil); err != nil {
			j.err = errors.Join(j.err, fmt.Errorf("undo: %w", err))
			return false
		}
	}
	if _, err := w.exec(ctx, `RELEASE caller`, nil); err != nil {
		j.err = errors.Join(j.err, fmt.Errorf("release: %w", err))
		return false
	}
	return true
}

// prepared is the kept statement for query. Of those with long lists the latest
// few are kept, which are many of the same when much is written; nil is none.
func (w *writer) prepared(ctx context.Context, query string) (*sqlx.Stmt, error) {
	long := len(query) > longQuery && strings.Count(query, "?") > maxKeptBinds
	if st, ok := w.stmts[query]; ok {
		if long {
			i := slices.Index(w.long, query)
			w.long = append(slices.Delete(w.long, i, i+1), query)
		}
		return st, nil
	}
	if !long && len(w.stmts) >= maxStmts {
		return nil, nil
	}
	st, err := w.conn.PreparexContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w.stmts[query] = st
	if long {
		w.long = append(w.long, query)
	}
	if len(w.long) > maxLong {
		oldest := w.long[0]
		_ = w.stmts[oldest].Close() // it only gives memory back
		delete(w.stmts, oldest)
		w.long = slices.Delete(w.long, 0, 1)
	}
	return st, nil
}

func (w *writer) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	ctx = context.WithoutCancel(ctx)
	st, err := w.prepared(ctx, query)
	switch {
	case err != nil:
		return nil, err
	case st == nil:
		return w.conn.ExecContext(ctx, query, args...)
	}
	return st.ExecContext(ctx, args...)
}

func (w *writer) get(ctx context.Context, dst any, query string, args []any) error {
	ctx = context.WithoutCancel(ctx)
	st, err := w.prepared(ctx, query)
	switch {
	case err != nil:
		return err
	case st == nil:
		return w.conn.GetContext(ctx, dst, query, args...)
	}
	return st.GetContext(ctx, dst, args...)
}

func (w *writer) sel(ctx context.Context, dst any, query string, args []any) error {
	ctx = context.WithoutCancel(ctx)
	st, err := w.prepared(ctx, query)
	switch {
	case err != nil:
		return err
	case st == nil:
		return w.conn.SelectContext(ctx, dst, query, args...)
	}
	return st.SelectContext(ctx, dst, args...)
}
