package sqldb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// fill writes rows of every kind of column, with the values that differ most
// between databases.
func fill(t testing.TB, db *sqldb.DB) {
	t.Helper()
	err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
		for _, s := range []struct {
			q    string
			args []any
		}{
			{`INSERT INTO users (id, name, role, created_at, removed_at) VALUES (?, ?, ?, ?, ?)`, []any{"u1", "müller \"quoted\"\n\\ 🎒 \u2028", "admin", int64(1<<62 + 1), nil}},
			{`INSERT INTO tokens (id, user_id, name, hash, created_at) VALUES (?, ?, ?, ?, ?)`, []any{"t1", "u1", "", "h", int64(-1)}},
			{`INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)`, []any{"t1", "first", "Gemeinde", int64(1), int64(1)}},
			{`INSERT INTO devices (id, tenant_id, serial, asset_tag, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)`, []any{"d1", "t1", "0042", nil, int64(0), int64(5)}},
			{`INSERT INTO device_groups (id, name, created_at) VALUES (?, ?, ?)`, []any{"g1", "5a", int64(1)}},
			{`INSERT INTO device_group_members (group_id, device_id, added_at) VALUES (?, ?, ?)`, []any{"g1", "d1", int64(1)}},
			{`INSERT INTO enrollments (id, device_id, udid, generation, state, supervised, lost_mode, unlock_token, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				[]any{"e1", "d1", "00008120-1", int64(1), "enrolled", nil, true, []byte("123"), int64(1), int64(1)}},
			{`INSERT INTO enrollments (id, device_id, udid, generation, state, supervised, lost_mode, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				[]any{"e2", "d1", "00008120-2", int64(1), "erased", false, false, int64(1), int64(1)}},
			{`INSERT INTO answers (id, enrollment_id, generation, command_id, status, body, at) VALUES (?, ?, ?, ?, ?, ?, ?)`, []any{"a1", "e1", int64(1), "c", "Idle", []byte{0, 255, 254, 0, 'x'}, int64(1)}},
			{`INSERT INTO answers (id, enrollment_id, generation, command_id, status, body, at) VALUES (?, ?, ?, ?, ?, ?, ?)`, []any{"a2", "e1", int64(1), "c", "Idle", []byte{}, int64(1)}},
		} {
			if _, err := tx.Exec(t.Context(), s.q, s.args...); err != nil {
				return fmt.Errorf("%s: %w", s.q, err)
			}
		}
		for i := range 700 {
			if _, err := tx.Exec(t.Context(), `INSERT INTO contacts (enrollment_id, last_seen) VALUES (?, ?)`, fmt.Sprint("e", i), int64(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func export(t testing.TB, db *sqldb.DB) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := db.Export(t.Context(), json.NewEncoder(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// content is a backup's lines without their order, which databases do not
// promise. Lines of one table stay comparable: columns are in the same order.
func content(b []byte) []string {
	lines := strings.Split(string(b), "\n")
	slices.Sort(lines)
	return lines
}

func none(*sqldb.Tx) error { return nil }

func bring(ctx context.Context, db *sqldb.DB, b []byte) error {
	_, err := db.Import(ctx, json.NewDecoder(bytes.NewReader(b)), none)
	return err
}

// empties are databases without tables, of each kind.
func empties(t *testing.T) map[string]string {
	return map[string]string{"sqlite": sqldbtest.SQLiteDSN(t), "postgres": sqldbtest.PostgresDSN(t)}
}

func opened(t *testing.T, dsn string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestBackup(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, from *sqldb.DB) {
		fill(t, from)
		saved := export(t, from)
		for kind, dsn := range empties(t) {
			t.Run("every row reaches "+kind+" as it was", func(t *testing.T) {
				to := opened(t, dsn)
				if err := bring(t.Context(), to, saved); err != nil {
					t.Fatal(err)
				}
				got, want := content(export(t, to)), content(saved)
				if !slices.Equal(got, want) {
					for i := range min(len(got), len(want)) {
						if got[i] != want[i] {
							t.Fatalf("got  %s\nwant %s", got[i], want[i])
						}
					}
					t.Fatalf("got %d lines, want %d", len(got), len(want))
				}
				var empty int
				if err := to.Get(t.Context(), &empty, `SELECT COUNT(*) FROM answers WHERE id = ? AND body IS NOT NULL AND length(body) = 0`, "a2"); err != nil || empty != 1 {
					t.Errorf("an empty body is not empty any more: %v", err)
				}
				t.Run("and a second time it is refused", func(t *testing.T) {
					if err := bring(t.Context(), to, saved); fault.CodeOf(err) != "database.not-empty" {
						t.Errorf("got %v", err)
					}
				})
			})
		}
	})
}

// TestBackupDamage: whatever arrives instead of a backup, the database is as
// empty as before and takes the right one afterwards.
func TestBackupDamage(t *testing.T) {
	source := sqldbtest.SQLite(t)
	fill(t, source)
	saved := string(export(t, source))
	lines := strings.SplitAfter(saved, "\n")
	last := func(n int) string { return strings.Join(lines[:len(lines)-n], "") }
	newer := strings.Replace(saved, `"schema":`, `"schema":9`, 1)
	tests := []struct {
		name, in, code string
	}{
		{"nothing", "", "backup.damaged"},
		{"another file", "PK\x03\x04", "backup.damaged"},
		{"another JSON file", `{"rows":"other-1","schema":3}`, "backup.damaged"},
		{"no migration has number nought", `{"rows":"ranzen-rows-1","schema":0}`, "backup.damaged"},
		{"a newer one", newer, "backup.newer"},
		{"cut in a row", saved[:len(saved)*2/3], "backup.damaged"},
		{"cut after a row", last(2), "backup.damaged"},
		{"a row is missing", strings.Replace(saved, lines[len(lines)/2], "", 1), "backup.damaged"},
		{"a row too many", strings.Replace(saved, lines[len(lines)/2], lines[len(lines)/2]+`["e9999",1]`+"\n", 1), "backup.damaged"},
		{"a row twice", strings.Replace(saved, lines[len(lines)/2], lines[len(lines)/2]+lines[len(lines)/2], 1), ""},
		{"more after the end", saved + "{}", "backup.damaged"},
		{"a row before any table", lines[0] + "[1,2]\n" + saved, "backup.damaged"},
		{"a table of another program", strings.Replace(saved, `"table":"contacts"`, `"table":"sqlite_master"`, 1), "backup.damaged"},
		{"a column of another program", strings.Replace(saved, `"last_seen"`, `"last_seen\" = 1; --"`, 1), "backup.damaged"},
		{"a column twice", strings.Replace(saved, `"last_seen"`, `"enrollment_id"`, 1), "backup.damaged"},
		{"a number for a text", strings.Replace(saved, `["e17",17]`, `[17,17]`, 1), "backup.damaged"},
		{"a text for a number", strings.Replace(saved, `["e17",17]`, `["e17","17"]`, 1), "backup.damaged"},
		{"too few values", strings.Replace(saved, `["e17",17]`, `["e17"]`, 1), "backup.damaged"},
		{"a reference to nothing", strings.Replace(saved, `["g1","d1",1]`, `["g1","d2",1]`, 1), ""},
	}
	for kind, dsn := range empties(t) {
		t.Run(kind, func(t *testing.T) {
			to := opened(t, dsn)
			for _, tt := range tests {
				err := bring(t.Context(), to, []byte(tt.in))
				if err == nil || fault.CodeOf(err) != tt.code {
					t.Errorf("%s: got %v, want code %q", tt.name, err, tt.code)
				}
			}
			undone := errors.New("not after all")
			_, err := to.Import(t.Context(), json.NewDecoder(strings.NewReader(saved)), func(*sqldb.Tx) error { return undone })
			if !errors.Is(err, undone) {
				t.Errorf("the last step fails: got %v", err)
			}
			if err := bring(t.Context(), to, []byte(saved)); err != nil {
				t.Errorf("the right one after all the wrong ones: %v", err)
			}
		})
	}
}

func TestBackupIsOneMoment(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		fill(t, db)
		want := content(export(t, db))
		var b bytes.Buffer
		enc := json.NewEncoder(writeFunc(func(p []byte) (int, error) {
			if b.Len() == 0 { // the header: the snapshot stands, no row is read yet
				err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(t.Context(), `UPDATE contacts SET last_seen = last_seen + 1`)
					return err
				})
				if err != nil {
					t.Errorf("others cannot write during a backup: %v", err)
				}
			}
			return b.Write(p)
		}))
		if _, err := db.Export(t.Context(), enc); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(content(b.Bytes()), want) {
			t.Error("the backup has what was written while it was made")
		}
	})
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

func FuzzImport(f *testing.F) {
	source := sqldbtest.SQLite(f)
	fill(f, source)
	f.Add(export(f, source))
	f.Add([]byte(`{"rows":"ranzen-rows-1","schema":1}[]`))
	f.Add([]byte(`{"rows":"ranzen-rows-1","schema":1}{"table":"users","columns":[]}{"end":true,"rows_written":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		db, err := sqldb.Open(t.Context(), sqldbtest.SQLiteDSN(t))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() //nolint:errcheck // a test's
		_ = bring(t.Context(), db, b)
	})
}

func TestCreate(t *testing.T) {
	for kind, dsn := range empties(t) {
		t.Run(kind, func(t *testing.T) {
			db := opened(t, dsn)
			no := errors.New("no")
			put := func(result error) func() error {
				return func() error {
					err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
						_, err := tx.Exec(t.Context(), `INSERT INTO contacts (enrollment_id, last_seen) VALUES (?, ?)`, "e", int64(1))
						return err
					})
					return errors.Join(err, result)
				}
			}
			if err := db.Create(t.Context(), put(no)); !errors.Is(err, no) {
				t.Fatalf("half done: got %v", err)
			}
			if err := db.Create(t.Context(), put(nil)); err != nil {
				t.Fatalf("after a half-done one: %v", err)
			}
			if err := db.Create(t.Context(), put(nil)); fault.CodeOf(err) != "database.not-empty" {
				t.Errorf("a second time: got %v", err)
			}
			var n int
			if err := db.Get(t.Context(), &n, `SELECT COUNT(*) FROM contacts`); err != nil || n != 1 {
				t.Errorf("got %d rows, %v", n, err)
			}
		})
	}
}

func TestAClosedDatabaseIsOneFile(t *testing.T) {
	dsn := sqldbtest.SQLiteDSN(t)
	db := opened(t, dsn)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fill(t, db)
	var n int
	if err := db.Get(t.Context(), &n, `SELECT COUNT(*) FROM contacts`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(strings.TrimPrefix(dsn, "sqlite:")))
	if err != nil || len(files) != 1 {
		t.Errorf("got %v, %v", files, err)
	}
}
