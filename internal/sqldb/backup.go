package sqldb

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"ranzen/internal/fault"
)

// A backup of the rows is a stream of JSON values that either kind of database
// writes and reads: one exportHeader; for each table a tableHeader and its rows
// as arrays, tables in an order that foreign keys allow; one exportEnd.

type exportHeader struct {
	Rows   string `json:"rows"`   // rowsFormat
	Schema int64  `json:"schema"` // number of the newest migration
}

const rowsFormat = "ranzen-rows-1"

type tableHeader struct {
	Table   string   `json:"table"`
	Columns []column `json:"columns"`
}

type exportEnd struct {
	End  bool  `json:"end"`
	Rows int64 `json:"rows_written"`
}

// Export writes all rows as they are at one moment. Others go on writing.
func (db *DB) Export(ctx context.Context, enc *json.Encoder) (rows int64, err error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.dialect == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := db.pool.BeginTxx(ctx, opts)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	tables, err := schema(ctx, db.dialect, tx)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	head := exportHeader{Rows: rowsFormat}
	// In the snapshot: a newer program may migrate at this moment.
	if err := tx.GetContext(ctx, &head.Schema, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if err := enc.Encode(head); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	for _, t := range tables {
		n, err := exportTable(ctx, tx, enc, t)
		if err != nil {
			return 0, fmt.Errorf("export %s: %w", t.Name, err)
		}
		rows += n
	}
	if err := enc.Encode(exportEnd{End: true, Rows: rows}); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	return rows, nil
}

func exportTable(ctx context.Context, tx *sqlx.Tx, enc *json.Encoder, t table) (n int64, err error) {
	if err := enc.Encode(tableHeader{t.Name, t.Columns}); err != nil {
		return 0, err
	}
	rows, err := tx.QueryxContext(ctx, `SELECT `+quoted(t.Columns)+` FROM `+quote(t.Name))
	if err != nil {
		return 0, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		values, err := rows.SliceScan()
		if err != nil {
			return 0, err
		}
		for i, c := range t.Columns {
			if values[i], err = portable(c.Type, values[i]); err != nil {
				return 0, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		if err := enc.Encode(values); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

// portable makes a driver's value one that means the same to both databases.
func portable(kind string, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		if kind == "text" {
			return v, nil
		}
		if kind == "bytes" {
			return base64.StdEncoding.EncodeToString([]byte(v)), nil
		}
	case []byte:
		if kind == "text" {
			return string(v), nil
		}
		if kind == "bytes" {
			return base64.StdEncoding.EncodeToString(v), nil
		}
	case int64:
		if kind == "int" {
			return v, nil
		}
		if kind == "bool" {
			return v != 0, nil
		}
	case bool:
		if kind == "bool" {
			return v, nil
		}
	}
	return nil, fmt.Errorf("a %T in a column of kind %s", v, kind)
}

// Faults of Import that are about the stream, not about the database.
var (
	errCutShort = fault.New(fault.Invalid, "backup.damaged", "The backup ends early or is damaged. Take another one.")
	errNewer    = fault.New(fault.Conflict, "backup.newer", "The backup was written by a newer version of Ranzen. Restore it with that version.")
	errNotEmpty = fault.New(fault.Conflict, "database.not-empty", "The database is not empty. Name an empty one; to go on with this one, start the server with the data directory that belongs to it.")
)

// Import fills an empty database with what Export wrote, brings the tables to
// this program's version and calls after; with a backup of this version, after
// is in the transaction of the rows, so that nobody sees them without it. When
// anything fails, the database is as empty as before. The stream is read once,
// so nothing is tried twice.
func (db *DB) Import(ctx context.Context, dec *json.Decoder, after func(tx *Tx) error) (rows int64, err error) {
	var head exportHeader
	if err := dec.Decode(&head); err != nil || head.Rows != rowsFormat {
		return 0, errCutShort.With(err)
	}
	newest, err := Version()
	switch {
	case err != nil:
		return 0, err
	case head.Schema > newest:
		return 0, errNewer
	case head.Schema < 1:
		return 0, errCutShort
	}
	err = db.create(ctx, head.Schema, func() error {
		err := db.once(ctx, func(tx *Tx) (err error) {
			if rows, err = importRows(ctx, tx, dec); err == nil && head.Schema == newest {
				err = after(tx)
			}
			return err
		})
		if err != nil || head.Schema == newest {
			return err
		}
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		return db.once(ctx, after)
	})
	if err != nil {
		return 0, err
	}
	return rows, nil
}

// Create makes the tables of an empty database and calls fill. When anything
// fails, the database is as empty as before. It refuses one that is not empty.
func (db *DB) Create(ctx context.Context, fill func() error) error {
	newest, err := Version()
	if err != nil {
		return err
	}
	return db.create(ctx, newest, fill)
}

func (db *DB) create(ctx context.Context, version int64, fill func() error) error {
	unlock, err := db.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := db.refuseTables(ctx); err != nil {
		return err
	}
	err = db.withMigrations(func(p *goose.Provider) error {
		_, err := p.UpTo(ctx, version)
		return err
	})
	if err == nil {
		err = fill()
	}
	if err != nil {
		return errors.Join(err, db.clear(context.WithoutCancel(ctx)))
	}
	return nil
}

// creating is the key of the advisory lock that create holds.
const creating = 0x72616e7a656e // "ranzen"

// alone keeps a second create on one PostgreSQL database waiting: its failure
// would clear away what the first one made. An SQLite file has one owner.
func (db *DB) alone(ctx context.Context) (unlock func(), err error) {
	if db.writer != nil {
		return func() {}, nil
	}
	conn, err := db.pool.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the database: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(creating)); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for another that creates: %w", err), conn.Close())
	}
	return func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(creating)) // ends with the session at the latest
		_ = conn.Close()
	}, nil
}

// once is Do without a second try.
func (db *DB) once(ctx context.Context, fn func(tx *Tx) error) error {
	if db.writer != nil {
		return db.writer.do(ctx, fn)
	}
	return db.doPostgres(ctx, fn)
}

// refuseTables refuses a database in which there is anything.
func (db *DB) refuseTables(ctx context.Context) error {
	tx, err := db.pool.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	tables, err := schema(ctx, db.dialect, tx)
	if err != nil {
		// A table with columns that are none of ours.
		return errNotEmpty.With(err)
	}
	if len(tables) > 0 {
		return errNotEmpty
	}
	return nil
}

// clear takes away what create made.
func (db *DB) clear(ctx context.Context) error {
	err := db.withMigrations(func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
	if err != nil {
		return err
	}
	return db.once(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DROP TABLE IF EXISTS goose_db_version`)
		return err
	})
}

func importRows(ctx context.Context, tx *Tx, dec *json.Decoder) (rows int64, err error) {
	known, err := tx.tables(ctx)
	if err != nil {
		return 0, err
	}
	var b *bulk
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return 0, errCutShort.With(err)
		}
		if raw[0] == '[' {
			if b == nil {
				return 0, errCutShort
			}
			if err := b.add(ctx, tx, raw); err != nil {
				return 0, err
			}
			rows++
			continue
		}
		if b != nil {
			if err := b.flush(ctx, tx); err != nil {
				return 0, err
			}
		}
		var next struct {
			tableHeader
			exportEnd
		}
		if err := json.Unmarshal(raw, &next); err != nil {
			return 0, errCutShort.With(err)
		}
		if next.End {
			return rows, atEnd(dec, next.Rows == rows)
		}
		if b, err = newBulk(known, next.tableHeader); err != nil {
			return 0, err
		}
	}
}

// atEnd reads to the end of the stream: what authenticates it may come last.
func atEnd(dec *json.Decoder, complete bool) error {
	var more json.RawMessage
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) || !complete {
		return errCutShort.With(err)
	}
	return nil
}

// tables is the schema as this transaction sees it.
func (tx *Tx) tables(ctx context.Context) (map[string]table, error) {
	var names []struct {
		Table string `db:"table_name"`
		column
	}
	query := `SELECT table_name, column_name AS name, data_type AS type FROM information_schema.columns WHERE table_schema = current_schema()`
	if tx.dialect == SQLite {
		query = `SELECT m.name AS table_name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`
	}
	if err := tx.Select(ctx, &names, query); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	out := map[string]table{}
	for _, n := range names {
		t := out[n.Table]
		t.Name = n.Table
		n.Type, _ = columnType(n.Type)
		t.Columns = append(t.Columns, n.column)
		out[n.Table] = t
	}
	delete(out, "goose_db_version")
	return out, nil
}

// bulk gathers rows of one table into statements of many.
type bulk struct {
	table   tableHeader
	values  []any
	rows    int
	maxRows int
	bytes   int // of the rows gathered
}

// maxBytes is about how much a statement carries: rows may be parts of files.
const maxBytes = 4 << 20

// maxValues is how many values a statement carries; both databases cap them.
const maxValues = 500

func newBulk(known map[string]table, h tableHeader) (*bulk, error) {
	t, ok := known[h.Table]
	if !ok || len(t.Columns) != len(h.Columns) || len(h.Columns) == 0 {
		return nil, errCutShort.With(fmt.Errorf("table %q is not ours, or not with %d columns", h.Table, len(h.Columns)))
	}
	have := map[column]bool{}
	for _, c := range t.Columns {
		have[c] = true
	}
	for _, c := range h.Columns {
		if !have[c] {
			return nil, errCutShort.With(fmt.Errorf("column %s.%s is not ours, or there twice", h.Table, c.Name))
		}
		delete(have, c)
	}
	return &bulk{table: h, maxRows: max(1, maxValues/len(h.Columns))}, nil
}

func (b *bulk) add(ctx context.Context, tx *Tx, raw json.RawMessage) error {
	var row []json.RawMessage
	if err := json.Unmarshal(raw, &row); err != nil || len(row) != len(b.table.Columns) {
		return errCutShort.With(err)
	}
	for i, c := range b.table.Columns {
		v, err := native(c.Type, row[i])
		if err != nil {
			return errCutShort.With(fmt.Errorf("column %s.%s: %w", b.table.Table, c.Name, err))
		}
		b.values = append(b.values, v)
	}
	b.bytes += len(raw)
	if b.rows++; b.rows == b.maxRows || b.bytes >= maxBytes {
		return b.flush(ctx, tx)
	}
	return nil
}

func (b *bulk) flush(ctx context.Context, tx *Tx) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.rows == 0 {
		return nil
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(b.table.Columns)), ", ") + ")"
	query := `INSERT INTO ` + quote(b.table.Table) + ` (` + quoted(b.table.Columns) + `) VALUES ` +
		strings.TrimSuffix(strings.Repeat(row+", ", b.rows), ", ")
	_, err := tx.Exec(ctx, query, b.values...)
	b.values, b.rows, b.bytes = b.values[:0], 0, 0
	if err != nil {
		return fmt.Errorf("fill %s: %w", b.table.Table, err)
	}
	return nil
}

// native is portable's way back.
func native(kind string, raw json.RawMessage) (any, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	switch kind {
	case "text":
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case "int":
		var n int64
		err := json.Unmarshal(raw, &n)
		return n, err
	case "bool":
		var v bool
		err := json.Unmarshal(raw, &v)
		return v, err
	}
	var b []byte // as base64
	err := json.Unmarshal(raw, &b)
	return b, err
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoted(columns []column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quote(c.Name)
	}
	return strings.Join(names, ", ")
}
