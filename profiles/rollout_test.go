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

// school is tablets of three sites with a Wi-Fi network, which all have.
type school struct {
	*world
	pads []*pad
	net  map[string]string // networks that there are, with their passwords
}

func newSchool(t *testing.T, db *sqldb.DB, n int) *school {
	s := &school{world: newWorld(t, db), net: map[string]string{"Old": "correct horse"}}
	ids := s.enrolled(n)
	s.do(func(tx *sqldb.Tx) error {
		for i := range 3 {
			if _, err := tx.Exec(t.Context(), `INSERT INTO schools (id, tenant_id, code, name, created_at, updated_at) VALUES (?, 'tenant-1', ?, ?, 0, 0)`, fmt.Sprint("school", i), fmt.Sprint("S", i), fmt.Sprint("S", i)); err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), `INSERT INTO sites (id, tenant_id, school_id, code, name, created_at, updated_at) VALUES (?, 'tenant-1', ?, ?, ?, 0, 0)`,
				fmt.Sprint("site", i), fmt.Sprint("school", i), fmt.Sprint("ST", i), fmt.Sprint("Site", i)); err != nil {
				return err
			}
		}
		for i, id := range ids {
			if _, err := tx.Exec(t.Context(), `UPDATE devices SET site_id = ? WHERE id = ?`, fmt.Sprint("site", i%3), "d"+id); err != nil {
				return err
			}
		}
		return nil
	})
	for _, id := range ids {
		s.pads = append(s.pads, s.pad(id))
	}
	s.addWiFi("old", "Old")
	s.do(func(tx *sqldb.Tx) error {
		_, err := s.room.Propose(t.Context(), tx, profiles.Asked{Rollout: profiles.RolloutNow}, s.assigning(profiles.Scope{Kind: "all"}, "old"))
		return err
	})
	s.live(1)
	if got := s.have("Old"); got != n {
		t.Fatalf("%d of %d tablets have their network", got, n)
	}
	return s
}

// live lets minutes pass: tablets that reach a network are in contact once each.
func (s *school) live(minutes int) {
	s.Helper()
	for range minutes {
		s.must(s.room.StepRollouts(s.Context()))
		s.plan()
		for _, p := range s.pads {
			if s.reaches(p) {
				p.session()
			}
		}
		s.plan()
		s.clk.Forward(time.Minute)
	}
}

// reaches tells whether a tablet has a network that lets it in.
func (s *school) reaches(p *pad) bool {
	if len(p.nets) == 0 {
		return true // the staging room's own
	}
	for _, n := range p.nets {
		if s.net[n[0]] == n[1] {
			return true
		}
	}
	return false
}

// have counts the tablets with a network.
func (s *school) have(ssid string) (n int) {
	for _, p := range s.pads {
		for _, net := range p.nets {
			if net[0] == ssid {
				n++
			}
		}
	}
	return n
}

func (s *school) rollOut(a profiles.Asked, change func(context.Context, *sqldb.Tx) error) profiles.Plan {
	s.Helper()
	a.By = "user:test"
	p, err := s.apply(a, change)
	s.must(err)
	return p
}

func (s *school) rollout(id string) profiles.Rollout {
	s.Helper()
	r, err := s.room.Rollout(s.Context(), s.db, "", id)
	s.must(err)
	return r
}

// renetwork puts a new network in the place of the old one.
func (s *school) renetwork(password string) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		raw, err := s.room.BuildWiFi(profiles.WiFi{SSID: "New", Password: "correct horse", AutoJoin: true})
		if err != nil {
			return err
		}
		s.net["New"] = password
		if _, err := s.room.AddProfile(ctx, tx, "user:test", "", "new", raw); err != nil {
			return err
		}
		if _, err := s.room.Assign(ctx, tx, "user:test", "", []string{"new"}, profiles.Scope{Kind: "all"}); err != nil {
			return err
		}
		_, err = s.room.Unassign(ctx, tx, "user:test", "", []string{"old"}, profiles.Scope{Kind: "all"})
		return err
	}
}

func TestALargeChangeReachesOneTabletOfEachSiteThenATenthThenTheRest(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		p := s.rollOut(profiles.Asked{}, s.renetwork("correct horse"))
		if p.Rollout != profiles.RolloutRings || p.RolloutID == "" || p.Devices != 63 {
			t.Fatalf("the plan: %s %q %d", p.Rollout, p.RolloutID, p.Devices)
		}
		s.live(2)
		if got := s.have("New"); got != 3 {
			t.Fatalf("%d tablets of three sites are canaries", got)
		}
		if r := s.rollout(p.RolloutID); r.Rings[0].Devices != 3 || *r.Rings[0].Good != 3 || r.Rings[1].Devices != 6 || r.Rings[2].Devices != 54 {
			t.Errorf("rings: %+v", r.Rings)
		}
		s.live(7)
		if got := s.have("New"); got != 9 {
			t.Fatalf("%d tablets have it after the canaries were good", got)
		}
		s.live(12)
		if r := s.rollout(p.RolloutID); r.State != "done" || r.Rings[0].Good != nil || s.have("New") != 63 || s.have("Old") != 0 {
			t.Errorf("it ends %s with %d tablets on the new network and %d on the old", r.State, s.have("New"), s.have("Old"))
		}
	})
}

func TestAWrongPasswordStrandsAtMostTheCanariesAndTheReportSaysSo(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		p := s.rollOut(profiles.Asked{}, s.renetwork("another horse"))
		s.live(60)
		r := s.rollout(p.RolloutID)
		if s.have("New") != 3 || r.State != "halted" || !strings.Contains(r.Reason, "lost their network") || !strings.Contains(r.Reason, "3 iPads (RZTEST") {
			t.Fatalf("%d tablets have the wrong network, and the roll-out is %s: %s", s.have("New"), r.State, r.Reason)
		}
		stranded := 0
		for _, pad := range s.pads {
			if !s.reaches(pad) {
				stranded++
			}
		}
		if stranded > 3 {
			t.Errorf("%d tablets are stranded", stranded)
		}
		// The way back, told before and done.
		var back profiles.Plan
		err := db.Do(t.Context(), func(tx *sqldb.Tx) (err error) {
			if back, err = s.room.Abort(t.Context(), tx, "user:test", "", p.RolloutID, profiles.Asked{DryRun: true}); err == nil {
				err = errOnlyTried
			}
			return err
		})
		if got := actions(back); err != errOnlyTried || back.Devices != 3 || got["remove new"] != 3 {
			t.Errorf("the way back: %v %v", got, err)
		}
		s.do(func(tx *sqldb.Tx) error {
			_, err := s.room.Abort(t.Context(), tx, "user:test", "", p.RolloutID, profiles.Asked{Hash: back.Hash})
			return err
		})
		s.net["New"] = "correct horse" // somebody sets the password right, or brings a cable
		s.live(3)
		if s.have("Old") != 63 || s.have("New") != 0 {
			t.Errorf("after going back %d tablets have the old network and %d the new", s.have("Old"), s.have("New"))
		}
	})
}

// The same by an edit of the profile, whose new version replaces the former one.
func TestAWrongNetworkInOneProfileStrandsAtMostTheCanariesToo(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		s.net["New"] = "another horse"
		p := s.rollOut(profiles.Asked{}, func(ctx context.Context, tx *sqldb.Tx) error {
			raw, err := s.room.BuildWiFi(profiles.WiFi{SSID: "New", Password: "correct horse", AutoJoin: true})
			if err == nil {
				_, err = s.room.AddProfile(ctx, tx, "user:test", "", "old", raw)
			}
			return err
		})
		s.live(60)
		r := s.rollout(p.RolloutID)
		if s.have("New") != 3 || s.have("Old") != 60 || r.State != "halted" || !strings.Contains(r.Reason, "lost their network") {
			t.Errorf("%d tablets have the wrong network, %d the former, and the roll-out is %s: %s", s.have("New"), s.have("Old"), r.State, r.Reason)
		}
	})
}

func TestARolloutHaltsWhereAnItemFailsAndGoesOnWhenAPersonHasLooked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		for _, p := range s.pads {
			p.answer = func(requestType string, _ map[string]any) map[string]any {
				if requestType == "InstallProfile" {
					return map[string]any{"Status": "Error", "ErrorChain": []any{map[string]any{"ErrorCode": 4001, "ErrorDomain": "MCInstallationErrorDomain"}}}
				}
				return nil
			}
		}
		raw, err := s.room.BuildWebClip(profiles.WebClip{Label: "Menu", URL: "https://example.org"})
		s.must(err)
		s.do(func(tx *sqldb.Tx) error {
			_, err := s.room.AddProfile(t.Context(), tx, "user:test", "", "menu", raw)
			return err
		})
		p := s.rollOut(profiles.Asked{Soak: time.Minute}, s.assigning(profiles.Scope{Kind: "all"}, "menu"))
		halts := 0
		for range 10 {
			s.live(5)
			if r := s.rollout(p.RolloutID); r.State == "halted" {
				halts++
				if !strings.Contains(r.Reason, "4001") {
					t.Fatalf("it halted because %s", r.Reason)
				}
				s.do(func(tx *sqldb.Tx) error { return s.room.Resume(t.Context(), tx, "user:test", "", p.RolloutID) })
			}
		}
		if r := s.rollout(p.RolloutID); r.State != "done" || halts != 2 {
			t.Errorf("it ends %s after %d halts: %s", r.State, halts, r.Reason)
		}
	})
}

func TestAPausedRolloutOpensNoRingAndWhatIsOnItsWayCannotChange(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 63)
		p := s.rollOut(profiles.Asked{Soak: time.Minute}, s.renetwork("correct horse"))
		s.do(func(tx *sqldb.Tx) error { return s.room.Pause(t.Context(), tx, "user:test", "", p.RolloutID) })
		s.live(20)
		if got := s.have("New"); got != 3 {
			t.Errorf("%d tablets have it although it is paused", got)
		}
		if _, err := s.apply(profiles.Asked{}, s.unassigning(profiles.Scope{Kind: "all"}, "new")); code(err) != "rollout.running" {
			t.Errorf("what is on its way was changed: %v", err)
		}
		if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return s.room.Resume(t.Context(), tx, "user:test", "another", p.RolloutID)
		}); code(err) != "rollout.unknown" {
			t.Errorf("another tenant's: %v", err)
		}
		s.do(func(tx *sqldb.Tx) error { return s.room.Resume(t.Context(), tx, "user:test", "", p.RolloutID) })
		s.live(20)
		if r := s.rollout(p.RolloutID); r.State != "done" || s.have("New") != 63 {
			t.Errorf("after resuming it is %s, %d tablets have it", r.State, s.have("New"))
		}
	})
}

// The old network stays until the new one is there, in whatever order a session
// hands things over.
func TestAnOldNetworkGoesOnlyAfterTheNewOneIsObserved(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newSchool(t, db, 3)
		for _, p := range s.pads {
			p.answer = func(requestType string, _ map[string]any) map[string]any {
				if requestType == "InstallProfile" {
					return map[string]any{"Status": "NotNow"}
				}
				return nil
			}
		}
		s.rollOut(profiles.Asked{}, s.renetwork("correct horse"))
		s.live(5)
		if s.have("Old") != 3 {
			t.Fatal("the old network went before the new one came")
		}
		for _, p := range s.pads {
			p.answer = nil
		}
		s.live(3)
		if s.have("Old") != 0 || s.have("New") != 3 {
			t.Errorf("at the end: %d old, %d new", s.have("Old"), s.have("New"))
		}
	})
}
