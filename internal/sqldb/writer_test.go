package sqldb_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func TestDoInsideDoEndsWithItsContextAndTheNextGoesOn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if db.Dialect() != "sqlite" {
			return // PostgreSQL has more than one writer
		}
		err := db.Do(t.Context(), func(*sqldb.Tx) error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			return db.Do(ctx, func(*sqldb.Tx) error { return nil })
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the inner one ended with %v", err)
		}
		if err := db.Do(t.Context(), func(*sqldb.Tx) error { return nil }); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}

func TestWhatRunsAfterACommitMayWriteItself(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ran := false
		err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			tx.AfterCommit(func() { ran = db.Do(t.Context(), func(*sqldb.Tx) error { return nil }) == nil })
			return nil
		})
		if err != nil || !ran {
			t.Errorf("%v, ran %v", err, ran)
		}
	})
}

func TestOfTwoWhoCreateOneDatabaseOneWinsAndNothingIsLost(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": sqldbtest.PostgresDSN(t)} {
		t.Run(name, func(t *testing.T) {
			if name == "sqlite" {
				return // a file has one owner
			}
			var all sync.WaitGroup
			errs := make([]error, 2)
			for i := range errs {
				all.Go(func() {
					db, err := sqldb.Open(t.Context(), dsn)
					if err != nil {
						errs[i] = err
						return
					}
					defer db.Close() //nolint:errcheck // a test
					errs[i] = db.Create(t.Context(), func() error { time.Sleep(50 * time.Millisecond); return nil })
				})
			}
			all.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%v and %v", errs[0], errs[1])
			}
			db, err := sqldb.Open(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close() //nolint:errcheck // a test
			var n int
			if err := db.Get(t.Context(), &n, `SELECT COUNT(*) FROM devices`); err != nil {
				t.Errorf("the winner's tables are gone: %v", err)
			}
		})
	}
}

// Lists of every length share a few prepared statements, which come and go.
func TestListsOfEveryLengthMeanWhatTheySay(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			for round := range 2 {
				for n := 1; n <= 200; n++ {
					ids := make([]int64, n)
					for i := range ids {
						ids[i] = int64(i)
					}
					var got []int64
					err := tx.Select(t.Context(), &got, `SELECT v.column1 FROM (VALUES (0), (1), (5), (63), (64), (199), (200)) v WHERE v.column1 IN (?) ORDER BY v.column1`+
						strings.Repeat(` `, n%40), ids) // 40 texts of each length: more than are kept
					if err != nil {
						return err
					}
					var want []int64
					for _, v := range []int64{0, 1, 5, 63, 64, 199, 200} {
						if v < int64(n) {
							want = append(want, v)
						}
					}
					if !slices.Equal(got, want) {
						t.Errorf("round %d, %d values: %v, want %v", round, n, got, want)
					}
					if ids[n-1] != int64(n-1) {
						t.Error("the caller's slice was changed")
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
