package commands_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// script is a Renderer that a test writes.
type script struct {
	render func(c commands.Command) error
	done   func(c commands.Command, r commands.Result) error
	heard  []string // states of the commands whose answers came
}

func (s *script) Render(_ context.Context, _ *sqldb.Tx, c commands.Command) (map[string]any, error) {
	if s.render != nil {
		return nil, s.render(c)
	}
	return map[string]any{"Args": string(c.Args)}, nil
}

func (s *script) Done(_ context.Context, _ *sqldb.Tx, c commands.Command, r commands.Result) error {
	s.heard = append(s.heard, string(c.State)+" "+r.Status)
	if s.done != nil {
		return s.done(c, r)
	}
	return nil
}

// desk is a queue on one database with a fixed clock.
type desk struct {
	*testing.T
	db     *sqldb.DB
	clk    clock.Clock
	q      *commands.Queue
	script *script
}

func newDesk(t *testing.T, db *sqldb.DB) *desk {
	t.Helper()
	clk := clock.At(time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC))
	vault, err := certs.NewVault(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, db: db, clk: clk, script: &script{}, q: commands.New(db, clk, vault, audit.New(db, clk), slog.New(slog.DiscardHandler))}
	d.q.Handle(
		commands.Spec{Kind: "a", RequestType: "A", Renderer: d.script}, commands.Spec{Kind: "b", RequestType: "B", Renderer: d.script},
		commands.Spec{Kind: "lost", RequestType: "L", InLostMode: true, Renderer: d.script}, commands.Spec{Kind: "renew", RequestType: "R", WhenExpired: true, Renderer: d.script},
		commands.Spec{Kind: "erase", RequestType: "E", Once: true, InLostMode: true, Renderer: d.script},
	)
	return d
}

func (d *desk) do(f func(tx *sqldb.Tx) error) error { return d.db.Do(d.Context(), f) }

func (d *desk) add(cs ...commands.Command) []string {
	d.Helper()
	var ids []string
	for i := range cs {
		if cs[i].EnrollmentID == "" {
			cs[i].EnrollmentID = "e1"
		}
		if cs[i].Generation == 0 {
			cs[i].Generation = 1
		}
	}
	if err := d.do(func(tx *sqldb.Tx) (err error) { ids, err = d.q.Add(d.Context(), tx, cs...); return err }); err != nil {
		d.Fatal(err)
	}
	return ids
}

func (d *desk) exchange(s commands.Session, r mdm.Report) string {
	d.Helper()
	if s.EnrollmentID == "" {
		s.EnrollmentID = "e1"
	}
	if s.Generation == 0 {
		s.Generation = 1
	}
	r.Raw = []byte("<plist/>")
	var h *commands.HandOver
	if err := d.do(func(tx *sqldb.Tx) (err error) { h, err = d.q.Exchange(d.Context(), tx, s, &r); return err }); err != nil {
		d.Fatal(err)
	}
	if h == nil {
		return ""
	}
	return h.ID
}

func (d *desk) idle() string {
	d.Helper()
	return d.exchange(commands.Session{}, mdm.Report{Status: "Idle"})
}

func (d *desk) say(id, status string) string {
	d.Helper()
	return d.exchange(commands.Session{}, mdm.Report{Status: status, CommandUUID: id})
}

func (d *desk) want(id, state string) {
	d.Helper()
	var row struct {
		State  string `db:"state"`
		Reason string `db:"reason"`
	}
	if err := d.db.Get(d.Context(), &row, `SELECT state, reason FROM commands WHERE id = ?`, id); err != nil {
		d.Fatal(err)
	}
	if row.State != state {
		d.Errorf("the command is %s (%s), want %s", row.State, row.Reason, state)
	}
}

func (d *desk) next(got, want, what string) {
	d.Helper()
	if got != want {
		d.Errorf("%s: handed over %q, want %q", what, got, want)
	}
}

func each(t *testing.T, name string, f func(d *desk)) {
	t.Run(name, func(t *testing.T) {
		sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(newDesk(t, db)) })
	})
}

func TestQueue(t *testing.T) {
	each(t, "first in, first out, the urgent lane first", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		d.clk.Forward(time.Second)
		b := d.add(commands.Command{Kind: "b"})[0]
		u := d.add(commands.Command{Kind: "a", DedupeKey: "u", Urgent: true})[0]
		d.next(d.idle(), u, "urgent")
		d.next(d.say(u, "Acknowledged"), a, "oldest")
		d.next(d.say(a, "Acknowledged"), b, "then")
		d.next(d.say(b, "Acknowledged"), "", "nothing left")
		d.want(a, "done")
	})
	each(t, "the newer supersedes the older of the same key", func(d *desk) {
		old := d.add(commands.Command{Kind: "a"})[0]
		d.next(d.idle(), old, "the older")
		fresh := d.add(commands.Command{Kind: "a"})[0]
		d.want(old, "superseded")
		d.next(d.say(old, "Acknowledged"), fresh, "its late answer")
		d.want(old, "superseded")
		if len(d.script.heard) != 1 {
			d.Errorf("what the tablet did was not heard: %v", d.script.heard)
		}
		d.say(fresh, "Acknowledged")
		d.want(fresh, "done")
	})
	each(t, "NotNow is never twice in one session and again in the next", func(d *desk) {
		a, b := d.add(commands.Command{Kind: "a"})[0], ""
		d.clk.Forward(time.Second)
		b = d.add(commands.Command{Kind: "b"})[0]
		d.next(d.idle(), a, "first")
		d.next(d.say(a, "NotNow"), b, "the next one")
		d.next(d.say(b, "Acknowledged"), "", "the same again")
		d.want(a, "deferred")
		d.next(d.idle(), a, "in the next session")
		d.next(d.say(a, "Acknowledged"), "", "end")
		d.want(a, "done")
	})
	each(t, "what was not answered is offered again with the same UUID", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		d.next(d.idle(), a, "once")
		d.next(d.idle(), a, "twice")
		d.say(a, "Acknowledged")
		d.want(a, "done")
		d.next(d.idle(), "", "after its answer")
	})
	each(t, "an erase is handed over once, then uncertain, then proven", func(d *desk) {
		e := d.add(commands.Command{Kind: "erase"})[0]
		d.next(d.idle(), e, "once")
		d.next(d.idle(), "", "never twice")
		d.want(e, "uncertain")
		var proven bool
		if err := d.do(func(tx *sqldb.Tx) (err error) { proven, err = d.q.ProveErased(d.Context(), tx, "e1"); return err }); err != nil || !proven {
			d.Errorf("proven %v, %v", proven, err)
		}
		d.want(e, "done")
	})
	each(t, "an erase without an answer becomes uncertain by itself, and a second is refused while it is open", func(d *desk) {
		e := d.add(commands.Command{Kind: "erase"})[0]
		d.next(d.idle(), e, "once")
		err := d.do(func(tx *sqldb.Tx) error {
			_, err := d.q.Add(d.Context(), tx, commands.Command{EnrollmentID: "e1", Generation: 1, Kind: "erase"})
			return err
		})
		if fault.CodeOf(err) != "command.open" {
			d.Errorf("a second erase: %v", err)
		}
		d.clk.Forward(commands.SentTimeout + time.Second)
		if err := d.q.Sweep(d.Context()); err != nil {
			d.Fatal(err)
		}
		d.want(e, "uncertain")
	})
	each(t, "odd answers are recorded and the queue goes on", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		d.next(d.say("no such command", "Acknowledged"), a, "unknown")
		b := d.add(commands.Command{Kind: "b"})[0]
		d.next(d.say(b, "Acknowledged"), b, "early: it is still handed over")
		d.say(a, "Acknowledged")
		d.say(a, "Acknowledged")
		d.say(a, "Error")
		d.want(a, "done")
		other := d.add(commands.Command{Kind: "a", EnrollmentID: "e2"})[0]
		d.exchange(commands.Session{EnrollmentID: "e2"}, mdm.Report{Status: "Idle"})
		d.say(other, "Acknowledged")
		d.want(other, "sent")
		var notes []string
		if err := d.db.Select(d.Context(), &notes, `SELECT note FROM answers ORDER BY id`); err != nil || strings.Join(notes, " ") != "unknown early repeated repeated unknown" {
			d.Errorf("noted %v, %v", notes, err)
		}
	})
	each(t, "an answer that cannot be read is kept raw and the next command goes on", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		d.clk.Forward(time.Second)
		b := d.add(commands.Command{Kind: "b"})[0]
		d.script.done = func(commands.Command, commands.Result) error { return mdm.ErrSyntax }
		d.next(d.idle(), a, "first")
		d.next(d.say(a, "Acknowledged"), b, "goes on")
		d.want(a, "unreadable")
		if kept, err := d.q.Answers(d.Context(), d.db, a); err != nil || len(kept) != 1 || string(kept[0].Body) != "<plist/>" {
			d.Errorf("kept %v, %v", kept, err)
		}
	})
	each(t, "a tablet that answers Error to everything is asked once each", func(d *desk) {
		for _, k := range []string{"1", "2", "3"} {
			d.add(commands.Command{Kind: "a", DedupeKey: k})
		}
		n := 0
		for id := d.idle(); id != ""; id = d.say(id, "Error") {
			if n++; n > 3 {
				d.Fatal("a loop")
			}
		}
		d.next(d.idle(), "", "the next session")
	})
	each(t, "an earlier life's commands never reach a later one", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		d.next(d.exchange(commands.Session{Generation: 2}, mdm.Report{Status: "Idle"}), "", "generation 2")
		if err := d.do(func(tx *sqldb.Tx) error { return d.q.Clear(d.Context(), tx, "e1", "a new life") }); err != nil {
			d.Fatal(err)
		}
		d.want(a, "dropped")
	})
	each(t, "Lost Mode and an expired identity hold back what is not made for them", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		l := d.add(commands.Command{Kind: "lost"})[0]
		r := d.add(commands.Command{Kind: "renew"})[0]
		d.next(d.exchange(commands.Session{LostMode: true}, mdm.Report{Status: "Idle"}), l, "lost")
		d.next(d.exchange(commands.Session{LostMode: true}, mdm.Report{Status: "Acknowledged", CommandUUID: l}), "", "lost, the rest")
		d.next(d.exchange(commands.Session{Expired: true}, mdm.Report{Status: "Idle"}), r, "expired")
		d.say(r, "Acknowledged")
		d.next(d.exchange(commands.Session{}, mdm.Report{Status: "Idle"}), a, "found")
		d.next(d.exchange(commands.Session{}, mdm.Report{Status: "Error", CommandUUID: a, ErrorChain: []mdm.ErrorItem{{Code: 12078}}}), "", "12078")
		d.want(a, "deferred")
	})
	each(t, "a deadline, a cancellation and a change of mind end what waits", func(d *desk) {
		a := d.add(commands.Command{Kind: "a", Deadline: d.clk.Now().Add(time.Minute)})[0]
		b := d.add(commands.Command{Kind: "b"})[0]
		c := d.add(commands.Command{Kind: "a", DedupeKey: "c"})[0]
		d.clk.Forward(2 * time.Minute)
		if err := d.q.Sweep(d.Context()); err != nil {
			d.Fatal(err)
		}
		d.want(a, "expired")
		if err := d.do(func(tx *sqldb.Tx) error { return d.q.Cancel(d.Context(), tx, "user:x", b) }); err != nil {
			d.Fatal(err)
		}
		d.want(b, "dropped")
		d.script.render = func(commands.Command) error { return fault.New(fault.Conflict, "x", "not wanted") }
		d.next(d.idle(), "", "nobody wants it")
		d.want(c, "dropped")
		if err := d.do(func(tx *sqldb.Tx) error { return d.q.Cancel(d.Context(), tx, "user:x", c) }); fault.CodeOf(err) != "command.ended" {
			d.Errorf("%v", err)
		}
	})
	each(t, "many at once", func(d *desk) {
		cs := make([]commands.Command, 1201)
		for i := range cs {
			cs[i] = commands.Command{Kind: "a", EnrollmentID: "e" + strings.Repeat("x", i%50) + string(rune('a'+i/50))}
		}
		if ids := d.add(cs...); len(ids) != len(cs) || ids[0] == "" || ids[1200] == "" {
			d.Errorf("%d ids", len(ids))
		}
	})
	each(t, "finished commands are forgotten after a while", func(d *desk) {
		a := d.add(commands.Command{Kind: "a"})[0]
		d.idle()
		d.say(a, "Acknowledged")
		d.clk.Forward(commands.Retention + time.Hour)
		if err := d.q.Sweep(d.Context()); err != nil {
			d.Fatal(err)
		}
		var n int
		if err := d.db.Get(d.Context(), &n, `SELECT COUNT(*) FROM commands`); err != nil || n != 0 {
			d.Errorf("%d left, %v", n, err)
		}
	})
}

// waker answers as a test says.
type waker struct {
	woken []string
	say   func(t commands.Target) error
	then  func()
}

func (w *waker) Wake(_ context.Context, ts []commands.Target) map[string]error {
	out := map[string]error{}
	for _, t := range ts {
		w.woken = append(w.woken, t.EnrollmentID+"/"+t.Magic.Open())
		if w.say != nil {
			out[t.EnrollmentID] = w.say(t)
		}
	}
	if w.then != nil {
		w.then()
	}
	return out
}

type gone struct{ error }

func (gone) Permanent() bool { return true }
func (gone) Reason() string  { return "Unregistered" }

type later struct{ error }

func (later) RetryAfter() time.Duration { return 7 * time.Minute }

func TestWaker(t *testing.T) {
	target := func(d *desk) {
		d.Helper()
		err := d.do(func(tx *sqldb.Tx) error {
			return d.q.SetTarget(d.Context(), tx, commands.Target{EnrollmentID: "e1", Token: make([]byte, 32), Magic: "magic", Topic: "t"})
		})
		if err != nil {
			d.Fatal(err)
		}
	}
	wake := func(d *desk) {
		d.Helper()
		if _, err := d.q.WakeDue(d.Context()); err != nil {
			d.Fatal(err)
		}
	}
	each(t, "who has something waiting is woken, and again with back-off while it waits", func(d *desk) {
		w := &waker{}
		d.q.SetWaker(w)
		target(d)
		wake(d)
		if len(w.woken) != 0 {
			d.Errorf("woken for nothing: %v", w.woken)
		}
		d.add(commands.Command{Kind: "a"})
		wake(d)
		wake(d)
		if len(w.woken) != 1 || w.woken[0] != "e1/magic" {
			d.Errorf("woken %v", w.woken)
		}
		d.clk.Forward(16 * time.Minute)
		wake(d)
		d.clk.Forward(16 * time.Minute)
		wake(d)
		if len(w.woken) != 2 {
			d.Errorf("woken %v", w.woken)
		}
		d.say(d.idle(), "Acknowledged")
		d.clk.Forward(48 * time.Hour)
		wake(d)
		if len(w.woken) != 2 {
			d.Errorf("woken though nothing waits: %v", w.woken)
		}
	})
	each(t, "a token that is gone is not pushed to until the tablet sends a new one", func(d *desk) {
		w := &waker{say: func(commands.Target) error { return gone{errors.New("gone")} }}
		d.q.SetWaker(w)
		target(d)
		d.add(commands.Command{Kind: "a"})
		wake(d)
		d.clk.Forward(48 * time.Hour)
		wake(d)
		if len(w.woken) != 1 {
			d.Errorf("woken %v", w.woken)
		}
		target(d)
		d.clk.Forward(2 * time.Minute)
		wake(d)
		if len(w.woken) != 2 {
			d.Errorf("with a new token: %v", w.woken)
		}
	})
	each(t, "Retry-After is heeded, and a command added during a push gets its own", func(d *desk) {
		w := &waker{say: func(commands.Target) error { return later{errors.New("429")} }}
		d.q.SetWaker(w)
		target(d)
		d.add(commands.Command{Kind: "a"})
		wake(d)
		d.clk.Forward(6 * time.Minute)
		wake(d)
		if len(w.woken) != 1 {
			d.Errorf("too early: %v", w.woken)
		}
		d.clk.Forward(5 * time.Minute)
		w.say, w.then = nil, func() { d.add(commands.Command{Kind: "b"}) }
		wake(d)
		w.then = nil
		wake(d)
		if len(w.woken) != 3 {
			d.Errorf("woken %v", w.woken)
		}
	})
}
