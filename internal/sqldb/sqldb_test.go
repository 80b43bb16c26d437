package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// add writes a user: any table would do.
func add(ctx context.Context, tx *sqldb.Tx, name string) error {
	_, err := tx.Exec(ctx, `INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'admin', ?)`,
		sqldb.NewID(), name, sqldb.At(time.UnixMilli(1_790_000_000_123)))
	return err
}

func names(t *testing.T, q sqldb.Queryer) []string {
	t.Helper()
	var got []string
	if err := q.Select(t.Context(), &got, `SELECT name FROM users ORDER BY name`); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDo(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		t.Run("what succeeds stays, and nudges run after it", func(t *testing.T) {
			nudged := 0
			err := db.Do(ctx, func(tx *sqldb.Tx) error {
				tx.AfterCommit(func() { nudged++ })
				return add(ctx, tx, "a")
			})
			if err != nil || nudged != 1 || len(names(t, db)) != 1 {
				t.Errorf("err %v, nudged %d, rows %v", err, nudged, names(t, db))
			}
		})
		t.Run("what fails leaves nothing and nudges nobody", func(t *testing.T) {
			want := errors.New("no")
			err := db.Do(ctx, func(tx *sqldb.Tx) error {
				tx.AfterCommit(func() { t.Error("nudged after a failure") })
				if err := add(ctx, tx, "b"); err != nil {
					return err
				}
				return want
			})
			if !errors.Is(err, want) || len(names(t, db)) != 1 {
				t.Errorf("err %v, rows %v", err, names(t, db))
			}
		})
		t.Run("a panic undoes its own work and reaches its caller", func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "boom") {
					t.Errorf("recovered %v", p)
				}
				if got := names(t, db); len(got) != 1 {
					t.Errorf("rows %v", got)
				}
			}()
			_ = db.Do(ctx, func(tx *sqldb.Tx) error {
				if err := add(ctx, tx, "c"); err != nil {
					return err
				}
				panic("boom")
			})
		})
		t.Run("a duplicate and a reference to nothing are told apart", func(t *testing.T) {
			err := db.Do(ctx, func(tx *sqldb.Tx) error { return add(ctx, tx, "a") })
			if !sqldb.IsUnique(err) || sqldb.IsForeignKey(err) {
				t.Errorf("duplicate: %v", err)
			}
			err = db.Do(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO tokens (id, user_id, name, hash, created_at) VALUES ('t', 'nobody', '', 'h', 1)`)
				return err
			})
			if !sqldb.IsForeignKey(err) || sqldb.IsUnique(err) {
				t.Errorf("reference to nothing: %v", err)
			}
		})
		t.Run("nothing there is ErrNoRows or an empty slice", func(t *testing.T) {
			var one string
			if err := db.Get(ctx, &one, `SELECT name FROM users WHERE id = ?`, "x"); !errors.Is(err, sqldb.ErrNoRows) {
				t.Errorf("Get: %v", err)
			}
			var many []string
			if err := db.Select(ctx, &many, `SELECT name FROM users WHERE id = ?`, "x"); err != nil || len(many) != 0 {
				t.Errorf("Select: %v %v", many, err)
			}
			if err := db.Select(ctx, &many, `SELECT name FROM no_such_table`); err == nil {
				t.Error("a broken read must not look like an empty one")
			}
		})
		t.Run("a context that has ended writes nothing", func(t *testing.T) {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if err := db.Do(gone, func(tx *sqldb.Tx) error { return add(ctx, tx, "d") }); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		if db.Dialect() == sqldb.Postgres {
			var jit string
			if err := db.Get(ctx, &jit, `SHOW jit`); err != nil || jit != "off" {
				t.Errorf("statements are compiled to machine code: %q, %v", jit, err)
			}
		}
		t.Run("lists are spread out", func(t *testing.T) {
			var got []string
			err := db.Select(ctx, &got, `SELECT name FROM users WHERE role = ? AND name IN (?)`, "admin", []string{"a", "z"})
			if err != nil || len(got) != 1 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	})
}

func TestManyCallersAtOnceFailOnlyForThemselves(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				err := db.Do(ctx, func(tx *sqldb.Tx) error {
					if err := add(ctx, tx, fmt.Sprintf("u%03d", i)); err != nil {
						return err
					}
					if i%3 == 0 {
						return errors.New("changed my mind")
					}
					return nil
				})
				if (err != nil) != (i%3 == 0) {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		for _, n := range names(t, db) {
			var i int
			if _, err := fmt.Sscanf(n, "u%03d", &i); err != nil || i%3 == 0 {
				t.Errorf("row %q must not be there", n)
			}
		}
		if got := len(names(t, db)); got != 133 {
			t.Errorf("got %d rows, want 133", got)
		}
	})
}

func TestReadSeesOneMoment(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		err := db.Read(ctx, func(q sqldb.Queryer) error {
			if got := names(t, q); len(got) != 0 {
				t.Errorf("before: %v", got)
			}
			if err := db.Do(ctx, func(tx *sqldb.Tx) error { return add(ctx, tx, "later") }); err != nil {
				return err
			}
			if got := names(t, q); len(got) != 0 {
				t.Errorf("a row of a later moment: %v", got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if got := names(t, db); len(got) != 1 {
			t.Errorf("after: %v", got)
		}
	})
}

func TestBytesAndTimesComeBackAsTheyWent(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		for _, token := range [][]byte{{}, []byte("123"), []byte("1e5"), all} {
			want := time.Date(2026, 2, 28, 23, 59, 59, 999e6, time.UTC)
			err := db.Do(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO push_targets (enrollment_id, token, magic_sealed, topic, due_at, updated_at)
					VALUES ('e', ?, ?, 't', ?, ?) ON CONFLICT (enrollment_id) DO UPDATE SET token = excluded.token`,
					token, []byte("12"), sqldb.Time{}, sqldb.At(want))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Token   []byte     `db:"token"`
				Due     sqldb.Time `db:"due_at"`
				Updated sqldb.Time `db:"updated_at"`
			}
			if err := db.Get(ctx, &got, `SELECT token, due_at, updated_at FROM push_targets WHERE enrollment_id = ?`, "e"); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Token, token) || !got.Due.IsZero() || !got.Updated.Equal(want) {
				t.Errorf("wrote %x, read %x; times %v %v", token, got.Token, got.Due, got.Updated)
			}
		}
	})
}

func TestMigrateWhenSeveralProcessesStartAtOnce(t *testing.T) {
	dsns := map[string]func(testing.TB) string{sqldb.SQLite: sqldbtest.SQLiteDSN, sqldb.Postgres: sqldbtest.PostgresDSN}
	for name, dsn := range dsns {
		t.Run(name, func(t *testing.T) {
			addr := dsn(t)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					db, err := sqldb.Open(t.Context(), addr)
					if err != nil {
						t.Error(err)
						return
					}
					defer db.Close()
					if err := db.Migrate(t.Context()); err != nil {
						t.Error(err)
					}
					if got := names(t, db); len(got) != 0 {
						t.Errorf("rows in a new database: %v", got)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, dsn := range []string{"", "mysql://x", "ranzen.db"} {
		if _, err := sqldb.Open(t.Context(), dsn); err == nil {
			t.Errorf("%q was opened", dsn)
		}
	}
}

func TestAPathWithOddCharactersIsThatFile(t *testing.T) {
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), "sqlite:"+dir+"/Träger #1 50%? x.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Do(t.Context(), func(tx *sqldb.Tx) error { return add(t.Context(), tx, "a") }); err != nil {
		t.Fatal(err)
	}
	if got := names(t, db); len(got) != 1 {
		t.Errorf("writer and readers see different files: %v", got)
	}
}

func BenchmarkDoTwoUpdates(b *testing.B) {
	sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
		ctx := b.Context()
		if err := db.Do(ctx, func(tx *sqldb.Tx) error { return add(ctx, tx, "a") }); err != nil {
			b.Fatal(err)
		}
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				err := db.Do(ctx, func(tx *sqldb.Tx) error {
					for range 2 {
						if _, err := tx.Exec(ctx, `UPDATE users SET created_at = created_at + 1 WHERE name = ?`, "a"); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkGet(b *testing.B) {
	sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
		ctx := b.Context()
		if err := db.Do(ctx, func(tx *sqldb.Tx) error { return add(ctx, tx, "a") }); err != nil {
			b.Fatal(err)
		}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				var id string
				if err := db.Get(ctx, &id, `SELECT id FROM users WHERE name = ?`, "a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
