package enroll_test

import (
	"fmt"
	"strings"
	"testing"

	"ranzen/enroll"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// populate enrolls many tablets the short way: rows only.
func (w *world) populate(n int) {
	w.t.Helper()
	now := sqldb.At(w.clk.Now())
	insert := func(into string, columns int, rows [][]any) {
		for len(rows) > 0 {
			part := rows[:min(len(rows), 500/columns)]
			rows = rows[len(part):]
			args := make([]any, 0, 500)
			for _, row := range part {
				args = append(args, row...)
			}
			group := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
			w.do(func(tx *sqldb.Tx) error {
				_, err := tx.Exec(w.t.Context(), into+strings.TrimSuffix(strings.Repeat(group+", ", len(part)), ", "), args...)
				return err
			})
		}
	}
	var devices, enrollments [][]any
	for i := range n {
		d, e := fmt.Sprintf("bench-d%06d", i), fmt.Sprintf("bench-e%06d", i)
		devices = append(devices, []any{d, "tenant-1", fmt.Sprintf("BENCH%06d", i), now, now})
		enrollments = append(enrollments, []any{e, d, fmt.Sprintf("bench-%06d", i), 1, "enrolled", now, now, now, now})
	}
	insert(`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES `, 5, devices)
	insert(`INSERT INTO enrollments (id, device_id, udid, generation, state, created_at, enrolled_at, inventory_at, updated_at) VALUES `, 9, enrollments)
}

func eachSize(b *testing.B, f func(b *testing.B, w *world)) {
	b.Helper()
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
				w := newWorld(b, db)
				w.populate(n)
				f(b, w)
			})
		})
	}
}

// BenchmarkEnroll is Authenticate and the first TokenUpdate of a new tablet in a
// fleet of this size; SCEP has a benchmark of its own in package certs.
func BenchmarkEnroll(b *testing.B) {
	eachSize(b, func(b *testing.B, w *world) {
		l := w.link(enroll.LinkSpec{})
		n := 0
		for b.Loop() {
			b.StopTimer()
			n++
			d := w.tablet(n)
			d.fetch(l)
			first, second := d.authenticate(), d.tokenUpdate()
			second.UnlockToken = []byte("unlock")
			b.StartTimer()
			d.must(first)
			d.must(second)
		}
	})
}

// BenchmarkTokenUpdate is the message that tablets repeat at will.
func BenchmarkTokenUpdate(b *testing.B) {
	eachSize(b, func(b *testing.B, w *world) {
		d, _ := w.enrolled(1)
		for b.Loop() {
			d.must(d.tokenUpdate())
		}
	})
}

// BenchmarkProfile is the personal enrollment profile of a link: a challenge and
// a signature.
func BenchmarkProfile(b *testing.B) {
	sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
		w := newWorld(b, db)
		l := w.link(enroll.LinkSpec{})
		for b.Loop() {
			w.profile(l)
		}
	})
}

// BenchmarkFlushSeen is one second's last contacts of a whole fleet.
func BenchmarkFlushSeen(b *testing.B) {
	eachSize(b, func(b *testing.B, w *world) {
		ids, err := w.enroll.ActiveIn(b.Context(), w.db, "all", "")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			w.clk.Forward(1_000_000)
			for _, id := range ids {
				w.enroll.Seen(id)
			}
			if err := w.enroll.FlushSeen(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(ids)), "µs/tablet")
	})
}

// BenchmarkFacts is what a plan for a whole fleet reads.
func BenchmarkFacts(b *testing.B) {
	eachSize(b, func(b *testing.B, w *world) {
		ids, err := w.enroll.ActiveIn(b.Context(), w.db, "all", "")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if facts, err := w.enroll.Facts(b.Context(), w.db, ids); err != nil || len(facts) != len(ids) {
				b.Fatal(len(facts), err)
			}
		}
	})
}

// BenchmarkInventoryPass is a minute's look for tablets to be asked, when none is
// due.
func BenchmarkInventoryPass(b *testing.B) {
	eachSize(b, func(b *testing.B, w *world) {
		for b.Loop() {
			if err := w.enroll.QueueInventory(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
