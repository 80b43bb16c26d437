package profiles_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// house is a school with an in-house app, whose first version all tablets have.
type house struct {
	*school
	has     map[string]string // tablet -> version that it shows
	refuses bool              // whatever it is told to install fails
}

func newHouseApp(t *testing.T, db *sqldb.DB, n int) *house {
	h := &house{school: newSchool(t, db, n), has: map[string]string{}}
	for _, p := range h.pads {
		p.answer = func(rt string, body map[string]any) map[string]any { return h.answers(p, rt, body) }
	}
	_, err := h.addIPA("Mensa", ipaOf(t, mensa, "1.0", "1", "", "one"))
	h.must(err)
	_, err = h.apply(profiles.Asked{Rollout: profiles.RolloutNow}, h.assigning(all, "Mensa"))
	h.must(err)
	h.live(2)
	if got := h.shows("1"); got != n {
		t.Fatalf("%d of %d tablets have the first version", got, n)
	}
	return h
}

// answers is a tablet that installs what the manifest's address names.
func (h *house) answers(p *pad, rt string, body map[string]any) map[string]any {
	switch rt {
	case "InstallApplication":
		url, _ := body["ManifestURL"].(string)
		p.apps[mensa] = "Managed"
		if h.refuses {
			p.apps[mensa] = "Failed"
			return map[string]any{"State": "Queued", "Identifier": mensa}
		}
		version := strings.Split(strings.Split(url, "/")[4], ".")[1]
		if h.has[p.id] < version { // never back
			h.has[p.id] = version
		}
		return map[string]any{"State": "Queued", "Identifier": mensa}
	case "InstalledApplicationList":
		if v := h.has[p.id]; v != "" {
			return map[string]any{"InstalledApplicationList": []any{map[string]any{"Identifier": mensa, "ShortVersion": "1." + fmt.Sprint(int(v[0]-'1')), "Version": v}}}
		}
	}
	return nil
}

// shows counts the tablets that show a version.
func (h *house) shows(version string) (n int) {
	for _, v := range h.has {
		if v == version {
			n++
		}
	}
	return n
}

// uploading makes a file the app's version, as the API does: what is not taken is
// given up.
func (h *house) uploading(a profiles.Asked, file []byte, dry error) (plan profiles.Plan, err error) {
	h.Helper()
	u, err := h.room.TakeIPA(h.Context(), bytes.NewReader(file))
	h.must(err)
	a.By, a.DryRun = "user:test", dry != nil
	err = h.db.Do(h.Context(), func(tx *sqldb.Tx) (err error) {
		plan, err = h.room.Propose(h.Context(), tx, a, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := h.room.AddIPA(ctx, tx, "user:test", "", "Mensa", false, u)
			return err
		})
		if err == nil {
			err = dry
		}
		return err
	})
	h.must(h.room.DropUpload(h.Context(), u))
	return plan, err
}

func (h *house) version() int64 {
	h.Helper()
	apps, err := h.room.Apps(h.Context(), h.db, "")
	h.must(err)
	return apps[0].Version
}

func TestADryRunOfAnAppsNewVersionSaysWhatItDoesAndLeavesNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouseApp(t, db, 6)
		h.tells(h.pads[0].id, "os_version", "17.4")
		two := ipaOf(t, mensa, "1.1", "2", "18.0", "two")
		before := h.chunks()
		p, err := h.uploading(profiles.Asked{}, two, errOnlyTried)
		if got := actions(p); err != errOnlyTried || p.Devices != 5 || got["update Mensa"] != 5 || len(p.Blocked) != 1 || !strings.Contains(p.Blocked[0].Reason, "needs iPadOS 18.0") || p.Rollout != profiles.RolloutNow {
			t.Fatalf("%v: %d devices, %v, blocked %+v, %s", err, p.Devices, got, p.Blocked, p.Rollout)
		}
		h.must(h.room.SweepUploads(t.Context()))
		if n := h.chunks(); n != before || h.version() != 1 {
			t.Errorf("after a dry run: %d chunks instead of %d, version %d", n, before, h.version())
		}
		if n, err := h.room.Reconcile(t.Context()); n != 0 || err != nil {
			t.Errorf("a dry run marked %d tablets (%v)", n, err)
		}
		// Another file than the one that was looked at, and a world that has moved.
		if _, err := h.uploading(profiles.Asked{Hash: p.Hash}, ipaOf(t, mensa, "1.1", "2", "18.0", "other bytes"), nil); code(err) != "plan.moved" {
			t.Errorf("the plan of another file: %v", err)
		}
		h.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE enrollments SET state = 'unenrolled' WHERE id = ?`, h.pads[1].id)
			return err
		})
		if _, err := h.uploading(profiles.Asked{Hash: p.Hash}, two, nil); code(err) != "plan.moved" {
			t.Errorf("a plan older than the world: %v", err)
		}
		h.must(h.room.SweepUploads(t.Context()))
		if n := h.chunks(); n != before || h.version() != 1 {
			t.Errorf("after refusals: %d chunks instead of %d, version %d", n, before, h.version())
		}
		p, err = h.uploading(profiles.Asked{}, two, errOnlyTried)
		if err != errOnlyTried {
			t.Fatal(err)
		}
		if _, err := h.uploading(profiles.Asked{Hash: p.Hash}, two, nil); err != nil || h.version() != 2 {
			t.Errorf("the plan of now: %v, version %d", err, h.version())
		}
		h.must(h.room.SweepUploads(t.Context()))
		if n := h.chunks(); n != before+1 {
			t.Errorf("%d chunks of two versions", n)
		}
	})
}

func TestAnAppsNewVersionGoesInRingsOnWhatTabletsShow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouseApp(t, db, 63)
		p, err := h.uploading(profiles.Asked{}, ipaOf(t, mensa, "1.1", "2", "", "two"), nil)
		h.must(err)
		if p.Rollout != profiles.RolloutRings || p.RolloutID == "" || p.Devices != 63 {
			t.Fatalf("the plan: %s %q %d", p.Rollout, p.RolloutID, p.Devices)
		}
		h.live(2)
		if got := h.shows("2"); got != 3 {
			t.Fatalf("%d tablets of three sites are canaries", got)
		}
		if _, err := h.uploading(profiles.Asked{}, ipaOf(t, mensa, "1.2", "3", "", "three"), nil); code(err) != "rollout.running" {
			t.Errorf("a third version meanwhile: %v", err)
		}
		h.live(8)
		if r := h.rollout(p.RolloutID); h.shows("2") != 9 || r.State != "running" || r.Ring != 1 {
			t.Fatalf("%d tablets have it after the canaries were good: %s %s", h.shows("2"), r.State, r.Reason)
		}
		h.live(15)
		if r := h.rollout(p.RolloutID); r.State != "done" || h.shows("2") != 63 {
			t.Errorf("it ends %s %s, %d have it", r.State, r.Reason, h.shows("2"))
		}
	})
}

func TestAnAppThatCanariesCannotInstallHaltsAndWhoHasItKeepsItWhenAborted(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouseApp(t, db, 63)
		h.refuses = true
		p, err := h.uploading(profiles.Asked{}, ipaOf(t, mensa, "1.1", "2", "", "two"), nil)
		h.must(err)
		h.live(60)
		if r := h.rollout(p.RolloutID); r.State != "halted" || !strings.Contains(r.Reason, "could not install the app") || h.shows("1") != 63 {
			t.Fatalf("it is %s: %s, and %d have the former version", r.State, r.Reason, h.shows("1"))
		}
		h.refuses = false
		h.clk.Forward(2 * time.Hour) // they try again, and have it
		h.live(5)
		if h.shows("2") != 3 {
			t.Fatalf("%d have it", h.shows("2"))
		}
		var back profiles.Plan
		err = db.Do(t.Context(), func(tx *sqldb.Tx) (err error) {
			if back, err = h.room.Abort(t.Context(), tx, "user:test", "", p.RolloutID, profiles.Asked{DryRun: true}); err == nil {
				err = errOnlyTried
			}
			return err
		})
		if got := actions(back); err != errOnlyTried || got["none Mensa"] != 3 || len(got) != 1 || !strings.Contains(back.Changes[0].Reason, "does not go back") {
			t.Errorf("the way back: %v %v %+v", got, err, back.Changes)
		}
		h.do(func(tx *sqldb.Tx) error {
			_, err := h.room.Abort(t.Context(), tx, "user:test", "", p.RolloutID, profiles.Asked{Hash: back.Hash})
			return err
		})
		sent := 0
		for _, pad := range h.pads {
			was := pad.answer
			pad.answer = func(rt string, body map[string]any) map[string]any {
				if rt == "InstallApplication" {
					sent++
				}
				return was(rt, body)
			}
		}
		h.clk.Forward(25 * time.Hour) // all show their lists again
		h.live(3)
		if h.version() != 1 || h.shows("2") != 3 || h.shows("1") != 60 || sent != 0 {
			t.Errorf("after going back version %d is wished, %d have the later one, %d the former, and %d were told to install", h.version(), h.shows("2"), h.shows("1"), sent)
		}
		for _, pad := range h.pads {
			state, why := h.state(pad.id, "app")
			if later := h.has[pad.id] == "2"; state != "installed" || later != strings.Contains(why, "does not go back") {
				t.Errorf("with version %s it is %s %q", h.has[pad.id], state, why)
			}
		}
		// The same file with a fix and a higher number goes to all of them.
		if _, err := h.uploading(profiles.Asked{Rollout: profiles.RolloutNow}, ipaOf(t, mensa, "1.2", "3", "", "three"), nil); err != nil {
			t.Fatal(err)
		}
		h.live(3)
		if h.shows("3") != 63 {
			t.Errorf("%d have the next version", h.shows("3"))
		}
	})
}
