package profiles_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

func (s *school) pausing(id string) {
	s.Helper()
	s.do(func(tx *sqldb.Tx) error { return s.room.Pause(s.Context(), tx, "user:test", "", id) })
}

func (s *school) resuming(id string) {
	s.Helper()
	s.do(func(tx *sqldb.Tx) error { return s.room.Resume(s.Context(), tx, "user:test", "", id) })
}

// abort does what its own look told before.
func (s *school) abort(id string) (back profiles.Plan) {
	s.Helper()
	err := s.db.Do(s.Context(), func(tx *sqldb.Tx) (err error) {
		if back, err = s.room.Abort(s.Context(), tx, "user:test", "", id, profiles.Asked{DryRun: true}); err == nil {
			err = errOnlyTried
		}
		return err
	})
	if err != errOnlyTried {
		s.Fatal(err)
	}
	s.do(func(tx *sqldb.Tx) error {
		_, err := s.room.Abort(s.Context(), tx, "user:test", "", id, profiles.Asked{Hash: back.Hash})
		return err
	})
	return back
}

// enrolls is a tablet that nobody had before.
func (s *school) enrolls(id string) *pad {
	s.Helper()
	s.do(func(tx *sqldb.Tx) error {
		now := sqldb.At(s.clk.Now())
		if _, err := tx.Exec(s.Context(), `INSERT INTO devices (id, tenant_id, serial, site_id, created_at, updated_at) VALUES (?, 'tenant-1', ?, 'site0', ?, ?)`, "d"+id, strings.ToUpper(id), now, now); err != nil {
			return err
		}
		if _, err := tx.Exec(s.Context(), `INSERT INTO enrollments (id, device_id, udid, generation, state, supervised, created_at, updated_at) VALUES (?, ?, ?, 1, 'enrolled', TRUE, ?, ?)`, id, "d"+id, "UDID-"+id, now, now); err != nil {
			return err
		}
		return s.room.Mark(s.Context(), tx, id)
	})
	p := s.pad(id)
	s.pads = append(s.pads, p)
	return p
}

// anew begins the next life of a tablet: it was erased and set up again.
func (s *school) anew(p *pad) {
	s.Helper()
	p.gen++
	clear(p.profiles)
	clear(p.apps)
	clear(p.nets)
	s.do(func(tx *sqldb.Tx) error {
		if err := s.queue.Clear(s.Context(), tx, p.id, "the tablet was enrolled anew"); err != nil {
			return err
		}
		if _, err := tx.Exec(s.Context(), `UPDATE enrollments SET generation = ? WHERE id = ?`, p.gen, p.id); err != nil {
			return err
		}
		return s.room.Mark(s.Context(), tx, p.id)
	})
}

// ordered counts what was ever queued, of some kinds or of all.
func (s *school) ordered(kinds ...string) (n int) {
	s.Helper()
	var rows []struct {
		Kind string `db:"kind"`
		N    int    `db:"n"`
	}
	s.must(s.db.Select(s.Context(), &rows, `SELECT kind, COUNT(*) AS n FROM commands GROUP BY kind`))
	for _, r := range rows {
		if len(kinds) == 0 || strings.Contains(strings.Join(kinds, " "), r.Kind) {
			n += r.N
		}
	}
	return n
}

// ringOf sorts the tablets by whether their ring is open.
func (s *school) ringOf(rollout string) (open, closed []*pad) {
	s.Helper()
	for _, p := range s.pads {
		var ring []int64
		s.must(s.db.Select(s.Context(), &ring, `SELECT d.ring - o.ring FROM rollout_devices d JOIN rollouts o ON o.id = d.rollout_id WHERE o.id = ? AND d.enrollment_id = ?`, rollout, p.id))
		switch {
		case len(ring) == 0:
		case ring[0] <= 0:
			open = append(open, p)
		default:
			closed = append(closed, p)
		}
	}
	return open, closed
}

// stands lets minutes and then a day pass over a roll-out that is paused with
// good canaries: nothing is queued, but the lists of a new day.
func (s *school) stands(id string, have func() int) {
	s.Helper()
	if r := s.rollout(id); *r.Rings[0].Good != 3 || have() != 3 {
		s.Fatalf("%d canaries have it, and %d are good", have(), *r.Rings[0].Good)
	}
	s.pausing(id)
	s.live(3) // what was asked before is answered
	before := s.ordered()
	s.live(12)
	if n := s.ordered() - before; n != 0 {
		s.Errorf("%d commands were queued while it is paused", n)
	}
	changes := []string{"profile.install", "profile.remove", "app.install", "app.remove"}
	before = s.ordered(changes...)
	s.clk.Forward(25 * time.Hour)
	s.live(12)
	if n := s.ordered(changes...) - before; n != 0 {
		s.Errorf("a day later %d more changes are queued", n)
	}
	if r := s.rollout(id); r.State != "paused" || r.Ring != 0 || *r.Rings[0].Good != 3 || *r.Rings[0].Bad != 0 || have() != 3 {
		s.Errorf("a day later it is %s, ring %d is open, %d have it", r.State, r.Ring, have())
	}
}

// keynotes counts the tablets with the app.
func (s *school) keynotes() (n int) {
	for _, p := range s.pads {
		if p.apps["com.apple.Keynote"] != "" {
			n++
		}
	}
	return n
}

func TestAPausedRolloutOfAnAppStandsStillAndGoesOn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		s.addApp("Keynote")
		p := s.rollOut(profiles.Asked{Soak: 5 * time.Minute}, s.assigning(all, "Keynote"))
		s.live(2)
		s.stands(p.RolloutID, s.keynotes)

		// Who is new has nothing from before: it gets what is wished. Who was there
		// keeps to its ring, through an erase too.
		fresh := s.enrolls("new1")
		open, closed := s.ringOf(p.RolloutID)
		s.anew(open[0])
		s.anew(closed[0])
		s.live(3)
		for what, c := range map[string]struct {
			*pad
			app bool
		}{"a new one": {fresh, true}, "one of an open ring": {open[0], true}, "one of a closed ring": {closed[0], false}} {
			if app := c.apps["com.apple.Keynote"] != ""; app != c.app || len(c.nets) != 1 {
				t.Errorf("%s has the app: %v, and networks %v", what, app, c.nets)
			}
		}
		if got := s.keynotes(); got != 4 {
			t.Errorf("%d have the app", got)
		}
		if _, err := s.apply(profiles.Asked{}, s.unassigning(all, "Keynote")); code(err) != "rollout.running" {
			t.Errorf("what is on its way was changed: %v", err)
		}

		s.resuming(p.RolloutID)
		s.live(2)
		if got := s.keynotes(); got != 4 {
			t.Fatalf("%d have the app although the canaries have not been good for long enough", got)
		}
		s.live(20)
		if r := s.rollout(p.RolloutID); r.State != "done" || s.keynotes() != 64 {
			t.Errorf("after resuming it is %s: %s, and %d have the app", r.State, r.Reason, s.keynotes())
		}
		for _, pad := range s.pads {
			if n := s.sent(pad.id, "app.install"); n != pad.gen && pad != closed[0] || pad == closed[0] && n != 1 {
				t.Errorf("%s was told to install %d times in %d lives", pad.id, n, pad.gen)
			}
		}
	})
}

func TestAPausedRolloutOfAnAppIsTakenBack(t *testing.T) {
	for _, holdsData := range []bool{false, true} {
		t.Run(fmt.Sprintf("holdsData=%v", holdsData), func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				s := newSchool(t, db, 63)
				s.addApp("Keynote")
				s.do(func(tx *sqldb.Tx) error {
					return s.room.SetHoldsData(t.Context(), tx, "user:test", "", "Keynote", holdsData)
				})
				p := s.rollOut(profiles.Asked{Soak: 5 * time.Minute}, s.assigning(all, "Keynote"))
				s.live(2)
				s.stands(p.RolloutID, s.keynotes)
				s.enrolls("new1")
				s.live(2)
				back := s.abort(p.RolloutID)
				does, left := "remove Keynote", 0
				if holdsData {
					does, left = "ask Keynote", 4 // it stays until its removal is confirmed
				}
				if got := actions(back); len(got) != 1 || got[does] != 4 || back.Devices != 4 {
					t.Errorf("the way back: %v on %d", got, back.Devices)
				}
				s.live(5)
				if r := s.rollout(p.RolloutID); r.State != "aborted" || s.keynotes() != left || s.have("Old") != 64 {
					t.Errorf("it is %s, %d have the app and %d their network", r.State, s.keynotes(), s.have("Old"))
				}
				if n := s.ordered("app.remove"); holdsData && n != 0 {
					t.Errorf("%d removals of what holds data were queued", n)
				}
				for what, do := range map[string]func(tx *sqldb.Tx) error{
					"pause":  func(tx *sqldb.Tx) error { return s.room.Pause(t.Context(), tx, "user:test", "", p.RolloutID) },
					"resume": func(tx *sqldb.Tx) error { return s.room.Resume(t.Context(), tx, "user:test", "", p.RolloutID) },
					"abort": func(tx *sqldb.Tx) error {
						_, err := s.room.Abort(t.Context(), tx, "user:test", "", p.RolloutID, profiles.Asked{})
						return err
					},
				} {
					if err := db.Do(t.Context(), do); code(err) != "rollout.ended" {
						t.Errorf("%s of what has ended: %v", what, err)
					}
				}
				if _, err := s.apply(profiles.Asked{Rollout: profiles.RolloutNow}, s.assigning(all, "Keynote")); err != nil {
					t.Errorf("to wish it again: %v", err)
				}
				s.live(3)
				if got := s.keynotes(); got != 64 {
					t.Errorf("wished again, %d have it", got)
				}
			})
		})
	}
}

// paused is a house whose second version was paused with good canaries.
func pausedHouse(t *testing.T, db *sqldb.DB) (*house, string) {
	t.Helper()
	h := newHouseApp(t, db, 63)
	p, err := h.uploading(profiles.Asked{Soak: 5 * time.Minute}, ipaOf(t, mensa, "1.1", "2", "", "two"), nil)
	h.must(err)
	h.live(3)
	h.stands(p.RolloutID, func() int { return h.shows("2") })
	return h, p.RolloutID
}

func (h *house) enrolls(id string) *pad {
	p := h.school.enrolls(id)
	p.answer = func(rt string, body map[string]any) map[string]any { return h.answers(p, rt, body) }
	return p
}

func (h *house) anew(p *pad) {
	delete(h.has, p.id)
	h.school.anew(p)
}

func TestAPausedRolloutOfAnInHouseAppStandsStillAndGoesOn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h, id := pausedHouse(t, db)
		fresh := h.enrolls("new1")
		open, closed := h.ringOf(id)
		h.anew(open[0])
		h.anew(closed[0])
		h.live(3)
		for what, c := range map[string]struct {
			*pad
			version string
		}{"a new one": {fresh, "2"}, "one of an open ring": {open[0], "2"}, "one of a closed ring": {closed[0], "1"}} {
			if got := h.has[c.id]; got != c.version {
				t.Errorf("%s has version %q", what, got)
			}
		}
		if h.shows("1") != 60 || h.shows("2") != 4 {
			t.Errorf("%d have the former version, %d the new one", h.shows("1"), h.shows("2"))
		}
		if _, err := h.uploading(profiles.Asked{}, ipaOf(t, mensa, "1.2", "3", "", "three"), nil); code(err) != "rollout.running" {
			t.Errorf("a third version meanwhile: %v", err)
		}
		h.resuming(id)
		h.live(20)
		if r := h.rollout(id); r.State != "done" || h.shows("2") != 64 {
			t.Errorf("after resuming it is %s: %s, and %d have the new version", r.State, r.Reason, h.shows("2"))
		}
	})
}

func TestAPausedRolloutOfAnInHouseAppIsTakenBack(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h, id := pausedHouse(t, db)
		h.enrolls("new1")
		_, closed := h.ringOf(id)
		h.anew(closed[0])
		h.live(3)
		before := h.ordered("app.install", "app.remove", "profile.install", "profile.remove")
		back := h.abort(id)
		if got := actions(back); len(got) != 1 || got["none Mensa"] != 4 || !strings.Contains(back.Changes[0].Reason, "does not go back") {
			t.Errorf("the way back: %v %+v", got, back.Changes)
		}
		h.clk.Forward(25 * time.Hour)
		h.live(5)
		if n := h.ordered("app.install", "app.remove", "profile.install", "profile.remove") - before; n != 0 {
			t.Errorf("%d changes were queued on the way back", n)
		}
		if r := h.rollout(id); r.State != "aborted" || h.version() != 1 || h.shows("1") != 60 || h.shows("2") != 4 {
			t.Errorf("it is %s, version %d is wished, %d have that and %d the later one", r.State, h.version(), h.shows("1"), h.shows("2"))
		}
		again := h.enrolls("new2")
		h.live(3)
		if got := h.has[again.id]; got != "1" {
			t.Errorf("who enrolls now has version %q", got)
		}
	})
}

// A roll-out that halted stays what a person has to look at, and once one has, it
// goes on without those who have said nothing since.
func TestARolloutThatHaltedForSilenceGoesOnWhenAPersonHasLooked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		s.addApp("Keynote")
		p := s.rollOut(profiles.Asked{Soak: 5 * time.Minute}, s.assigning(all, "Keynote"))
		s.live(2)
		open, _ := s.ringOf(p.RolloutID)
		off := open[0]
		off.nets = map[string][2]string{"off": {"switched off", "x"}}
		s.live(30)
		if r := s.rollout(p.RolloutID); r.State != "halted" || !strings.Contains(r.Reason, "said nothing since") || !strings.Contains(r.Reason, "1 iPad (") || s.keynotes() != 3 {
			t.Fatalf("it is %s: %s, %d have the app", r.State, r.Reason, s.keynotes())
		}
		s.pausing(p.RolloutID)
		if r := s.rollout(p.RolloutID); r.State != "halted" || r.Reason == "" {
			t.Errorf("pausing makes it %s: %s", r.State, r.Reason)
		}
		s.live(20)
		if got := s.keynotes(); got != 3 {
			t.Errorf("%d have the app", got)
		}
		s.resuming(p.RolloutID)
		s.live(60)
		if r := s.rollout(p.RolloutID); r.State != "done" || s.keynotes() != 63 {
			t.Errorf("after a person has looked it is %s: %s, %d have the app", r.State, r.Reason, s.keynotes())
		}
	})
}

// A change that began in rings and halted, is paused and resumed by people in all
// orders: rings open only while it runs.
func TestNoRingOpensButOfARolloutThatRuns(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		s.addApp("Keynote")
		p := s.rollOut(profiles.Asked{Soak: time.Minute}, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := s.restricting("exam", map[string]any{"allowCamera": false})(ctx, tx); err != nil {
				return err
			}
			_, err := s.room.Assign(ctx, tx, "user:test", "", []string{"exam", "Keynote"}, all)
			return err
		})
		for range 3 {
			s.pausing(p.RolloutID)
			ring, had := s.rollout(p.RolloutID).Ring, s.keynotes()
			s.live(6)
			if r := s.rollout(p.RolloutID); r.State != "paused" || r.Ring != ring || had > 0 && s.keynotes() != had {
				t.Errorf("while it is %s, ring %d became %d and %d with the app became %d", r.State, ring, r.Ring, had, s.keynotes())
			}
			s.resuming(p.RolloutID)
			s.live(3)
			if r := s.rollout(p.RolloutID); r.State == "done" {
				break
			}
		}
		s.live(10)
		if r := s.rollout(p.RolloutID); r.State != "done" || s.keynotes() != 63 {
			t.Errorf("it ends %s, %d have the app", r.State, s.keynotes())
		}
	})
}
