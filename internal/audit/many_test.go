package audit_test

import (
	"fmt"
	"testing"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func TestManyEventsAreKeptInTheirOrder(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audit.New(db, clock.At(monday))
		const n = 203
		err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			var events []audit.Event
			for i := range n {
				events = append(events, audit.Event{Actor: "user:ada", Action: "device.add", Subject: fmt.Sprintf("device:%d\x00", i), Detail: map[string]any{"n": i}})
			}
			if err := l.AppendMany(t.Context(), tx, nil); err != nil {
				return err
			}
			return l.AppendMany(t.Context(), tx, events)
		})
		if err != nil {
			t.Fatal(err)
		}
		chain(t, l)
		if v := verify(t, l); !v.OK || v.Events != n {
			t.Errorf("got %+v", v)
		}
		entries, err := l.List(t.Context(), db, audit.Filter{Limit: 500})
		if err != nil || len(entries) != n {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for i, e := range entries {
			if want := fmt.Sprintf("device:%d\uFFFD", n-1-i); e.Subject != want {
				t.Fatalf("entry %d is about %q, want %q", i, e.Subject, want)
			}
		}
	})
}
