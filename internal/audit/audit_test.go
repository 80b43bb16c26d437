package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

var monday = time.Date(2026, 9, 7, 7, 45, 0, 0, time.UTC)

func appendN(t testing.TB, db *sqldb.DB, l *audit.Log, n int) {
	t.Helper()
	err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
		for i := range n {
			e := audit.Event{Actor: "user:ada", Action: "profile.assign", Subject: fmt.Sprintf("device:%d", i), Detail: map[string]any{"n": i}}
			if err := l.Append(t.Context(), tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func chain(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Chain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, l *audit.Log) audit.VerifyResult {
	t.Helper()
	v, err := l.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheChainHolds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		if v := verify(t, l); !v.OK || v.Events != 0 {
			t.Fatalf("an empty log: got %+v", v)
		}
		chain(t, l) // nothing there is not an error
		appendN(t, db, l, 250)
		if v := verify(t, l); !v.OK || v.Waiting != 250 {
			t.Fatalf("before chaining: got %+v", v)
		}
		chain(t, l)
		appendN(t, db, l, 3)
		if v := verify(t, l); !v.OK || v.Events != 250 || v.Waiting != 3 {
			t.Fatalf("half chained: got %+v", v)
		}
		chain(t, l)
		if v := verify(t, l); !v.OK || v.Events != 253 || v.Waiting != 0 || len(v.Head) != 64 {
			t.Fatalf("chained: got %+v", v)
		}
	})
}

func TestWhatAppendCannotKeepUndoesTheChange(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return l.Append(t.Context(), tx, audit.Event{Actor: audit.System, Action: "x", Subject: "y", Detail: map[string]any{"f": func() {}}})
		})
		if err == nil {
			t.Error("a detail that is no JSON was kept")
		}
		undo := errors.New("no")
		if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return errors.Join(l.Append(t.Context(), tx, audit.Event{Actor: audit.System, Action: "x", Subject: "y"}), undo)
		}); !errors.Is(err, undo) {
			t.Fatal(err)
		}
		if v := verify(t, l); v.Waiting != 0 {
			t.Errorf("an event outlived its change: %+v", v)
		}
	})
}

func TestTextThatADatabaseRefusesIsKeptAllTheSame(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		e := audit.Event{Actor: "user:\xff\x00", Action: "a\x00", Subject: "s\xc3\x28", Detail: map[string]any{"k\x00": "v\x00\xff"}}
		if err := db.Do(t.Context(), func(tx *sqldb.Tx) error { return l.Append(t.Context(), tx, e) }); err != nil {
			t.Fatal(err)
		}
		chain(t, l)
		if v := verify(t, l); !v.OK || v.Events != 1 {
			t.Errorf("got %+v", v)
		}
		list, err := l.List(t.Context(), db, audit.Filter{Subject: "s\xc3\x28"})
		if err != nil || len(list) != 1 {
			t.Errorf("got %v, %v", list, err)
		}
	})
}

func TestTamperingIsFound(t *testing.T) {
	exec := func(ctx context.Context, tx *sqldb.Tx, text string, args ...any) error {
		_, err := tx.Exec(ctx, text, args...)
		return err
	}
	tests := []struct {
		name string
		do   string
		seq  int64
	}{
		{"the actor is altered", `UPDATE audit_events SET actor = 'user:eve' WHERE seq = 3`, 3},
		{"the action is altered", `UPDATE audit_events SET action = 'nothing' WHERE seq = 3`, 3},
		{"the subject is altered", `UPDATE audit_events SET subject = 'device:9' WHERE seq = 1`, 1},
		{"the time is altered", `UPDATE audit_events SET at = at + 1 WHERE seq = 7`, 7},
		{"the detail is altered", `UPDATE audit_events SET detail = '{}' WHERE seq = 10`, 10},
		{"text moves from one field to the next", `UPDATE audit_events SET actor = actor || action, action = '' WHERE seq = 5`, 5},
		{"the first is removed", `DELETE FROM audit_events WHERE seq = 1`, 1},
		{"one is removed", `DELETE FROM audit_events WHERE seq = 4`, 4},
		{"the last is removed", `DELETE FROM audit_events WHERE seq = 10`, 10},
		{"all are removed", `DELETE FROM audit_events`, 1},
		{"one is removed and the next moves up", `UPDATE audit_events SET seq = seq - 100 WHERE seq > 4`, 5},
		{"two change places", `UPDATE audit_events SET seq = CASE seq WHEN 2 THEN 3003 ELSE 3002 END WHERE seq IN (2, 3)`, 2},
		{"one is slipped in before the first", `INSERT INTO audit_events (id, at, actor, action, subject, detail, seq) VALUES ('x', 1, 'a', 'b', 'c', '{}', 0)`, 0},
		{"one is slipped in behind the last", `INSERT INTO audit_events (id, at, actor, action, subject, detail, seq) VALUES ('x', 1, 'a', 'b', 'c', '{}', 11)`, 11},
		{"one loses its place", `UPDATE audit_events SET seq = NULL WHERE seq = 10`, 10},
		{"the end is forgotten", `DELETE FROM audit_head`, 10},
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		appendN(t, db, l, 10)
		chain(t, l)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				ctx := t.Context()
				// Keep the rows to bring them back afterwards.
				err := db.Do(ctx, func(tx *sqldb.Tx) error {
					if err := exec(ctx, tx, `CREATE TABLE keep_events AS SELECT * FROM audit_events`); err != nil {
						return err
					}
					return errors.Join(exec(ctx, tx, `CREATE TABLE keep_head AS SELECT * FROM audit_head`), exec(ctx, tx, tt.do))
				})
				if err != nil {
					t.Fatal(err)
				}
				v := verify(t, l)
				if v.OK || v.Seq != tt.seq || v.Reason == "" {
					t.Errorf("got %+v, want a break at %d", v, tt.seq)
				}
				err = db.Do(ctx, func(tx *sqldb.Tx) error {
					for _, text := range []string{
						`DELETE FROM audit_events`, `DELETE FROM audit_head`,
						`INSERT INTO audit_events SELECT * FROM keep_events`, `INSERT INTO audit_head SELECT * FROM keep_head`,
						`DROP TABLE keep_events`, `DROP TABLE keep_head`,
					} {
						if err := exec(ctx, tx, text); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if v := verify(t, l); !v.OK {
					t.Fatalf("the chain was not mended: %+v", v)
				}
			})
		}
	})
}

func TestChainersOfSeveralProcessesMakeOneChain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		var wg sync.WaitGroup
		errs := make(chan error, 100)
		for range 4 {
			wg.Go(func() {
				for range 20 {
					errs <- db.Do(context.Background(), func(tx *sqldb.Tx) error {
						return l.Append(context.Background(), tx, audit.Event{Actor: audit.System, Action: "a", Subject: "b"})
					})
				}
			})
			wg.Go(func() {
				for range 5 {
					errs <- l.Chain(context.Background())
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		chain(t, l)
		if v := verify(t, l); !v.OK || v.Events != 80 {
			t.Errorf("got %+v, want 80 chained events", v)
		}
	})
}

func TestListGoesBackInTimePageByPage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(monday)
		l := audit.New(db, clk)
		appendN(t, db, l, 5)
		chain(t, l)
		clk.Forward(time.Minute)
		appendN(t, db, l, 1)
		list, err := l.List(t.Context(), db, audit.Filter{Limit: 4})
		if err != nil || len(list) != 4 {
			t.Fatalf("got %d entries, %v", len(list), err)
		}
		if e := list[0]; e.Seq != 0 || e.Hash != "" || !e.At.Equal(monday.Add(time.Minute)) {
			t.Errorf("the newest waits for its place: got %+v", e)
		}
		if e := list[1]; e.Seq != 5 || len(e.Hash) != 64 || e.Detail["n"] != 4.0 {
			t.Errorf("got %+v", e)
		}
		rest, err := l.List(t.Context(), db, audit.Filter{Limit: 4, After: list[3].ID})
		if err != nil || len(rest) != 2 {
			t.Fatalf("the second page has %d entries, %v", len(rest), err)
		}
		both, err := l.List(t.Context(), db, audit.Filter{Subject: "device:0"})
		if err != nil || len(both) != 2 {
			t.Errorf("of one subject: got %d entries, %v", len(both), err)
		}
		if none, err := l.List(t.Context(), db, audit.Filter{Action: "unknown"}); err != nil || len(none) != 0 {
			t.Errorf("of an unknown action: got %d entries, %v", len(none), err)
		}
		if _, err := l.List(t.Context(), db, audit.Filter{Limit: 501}); fault.CodeOf(err) != "audit.limit" {
			t.Errorf("too many: got %v", err)
		}
	})
}

func TestAppendIsOneStatementAndNeedsNoChain(t *testing.T) {
	db := sqldbtest.SQLite(t)
	l := audit.New(db, clock.At(monday))
	appendN(t, db, l, 1)
	list, err := l.List(t.Context(), db, audit.Filter{})
	if err != nil || len(list) != 1 || strings.TrimSpace(string(list[0].Actor)) != "user:ada" {
		t.Fatalf("got %+v, %v", list, err)
	}
}

func BenchmarkChain(b *testing.B) {
	sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		for b.Loop() {
			b.StopTimer()
			appendN(b, db, l, 1000)
			b.StartTimer()
			chain(b, l)
		}
	})
}
