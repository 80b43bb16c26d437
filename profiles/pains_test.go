package profiles_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// Each of these is something that users of other servers suffered.

func notNow() map[string]any { return map[string]any{"Status": "NotNow"} }

func (w *world) sent(id, kind string) (n int64) {
	w.Helper()
	w.must(w.db.Get(w.Context(), &n, `SELECT COUNT(*) FROM commands WHERE enrollment_id = ? AND kind = ?`, id, kind))
	return n
}

func TestPain01AStuckCommandBlocksNothingBehindIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		first := w.addWiFi("a", "A")
		second := w.addWiFi("b", "B")
		w.addApp("Keynote")
		w.assign(all, "a", "b", "Keynote")
		n := 0
		p.answer = func(requestType string, _ map[string]any) map[string]any {
			if requestType != "InstallProfile" {
				return nil
			}
			if n++; n == 1 || p.profiles[second.Identifier] != "" && p.profiles[first.Identifier] != "" {
				clear(p.profiles) // what comes first never gets in
				return notNow()
			}
			return nil
		}
		w.plan()
		p.session()
		if len(p.profiles) != 1 || len(p.apps) != 1 {
			t.Errorf("behind the stuck one came %v %v: %v", p.profiles, p.apps, p.took)
		}
	})
}

func TestPain02AnAnswerThatCannotBeReadLeavesTheQueue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.answer = func(requestType string, _ map[string]any) map[string]any {
			if requestType == "ProfileList" {
				return map[string]any{"ProfileList": 7}
			}
			return nil
		}
		w.plan()
		p.session()
		var open int64
		w.must(w.db.Get(t.Context(), &open, `SELECT COUNT(*) FROM commands WHERE enrollment_id = ? AND kind = 'profile.list' AND state IN ('sent', 'deferred')`, id))
		if s, _ := w.state(id, "profile"); s == "installed" || open != 0 {
			t.Errorf("it is %s, and %d unreadable answers are waited for", s, open)
		}
		p.answer = nil
		w.clk.Forward(25 * time.Hour)
		p.settled()
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("with a readable answer it is %s", s)
		}
	})
}

func TestPain03ManyQueuedInOneSecondAllArriveInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.pad(w.enrolled(1)[0])
		var names []string
		for i := range 30 {
			names = append(names, fmt.Sprintf("wlan %02d", i))
			w.addWiFi(names[i], names[i])
		}
		w.assign(all, names...)
		w.plan()
		p.session()
		if n := count(p.took, "InstallProfile"); n != 30 || len(p.profiles) != 30 {
			t.Errorf("%d of 30 arrived: %v", n, p.took)
		}
	})
}

func TestPain04NotNowNeitherLoopsNorStalls(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.addApp("Keynote")
		w.assign(all, "Wi-Fi", "Keynote")
		p.answer = func(string, map[string]any) map[string]any {
			clear(p.profiles)
			clear(p.apps)
			return notNow()
		}
		w.plan()
		p.session()
		for _, requestType := range p.took {
			if n := count(p.took, requestType); n > 1 {
				t.Errorf("%s was offered %d times in one session: %v", requestType, n, p.took)
			}
		}
		p.answer = nil // it is unlocked, and comes by itself
		w.clk.Forward(time.Minute)
		p.session()
		if !slices.Contains(p.took, "InstallProfile") || len(p.profiles) != 1 {
			t.Errorf("unlocked a minute later it gets %v", p.took)
		}
	})
}

func TestPain06OneInstallationHoweverLongItTakes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addApp("Keynote")
		w.assign(all, "Keynote")
		status := "Installing"
		p.answer = func(requestType string, _ map[string]any) map[string]any {
			if requestType == "ManagedApplicationList" {
				return map[string]any{"ManagedApplicationList": map[string]any{"com.apple.Keynote": map[string]any{"Status": status}}}
			}
			return nil
		}
		for range 72 { // three days, with an hour in between
			for range 5 {
				w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, id) })
				w.plan()
			}
			p.session()
			w.clk.Forward(time.Hour)
		}
		if n := w.sent(id, "app.install"); n != 1 {
			t.Errorf("%d installations were ordered", n)
		}
		status = "Managed"
		p.session()
		if s, _ := w.state(id, "app"); s != "installed" {
			t.Errorf("in the end it is %s", s)
		}
	})
}

func TestPain07AfterWeeksOfflineTheLastVersionComesAndTheRemovalTooIsNotForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFiWith("Wi-Fi", "Sandtal", "password v0")
		w.addWiFi("old", "Old")
		w.assign(all, "Wi-Fi", "old")
		p.settled()
		w.unassign(all, "old")
		for day := range 40 {
			if day%4 == 0 {
				w.addWiFiWith("Wi-Fi", "Sandtal", fmt.Sprint("password v", day))
			}
			w.plan()
			w.clk.Forward(24 * time.Hour)
		}
		var took []string
		for range 3 {
			w.plan()
			p.session()
			took = append(took, p.took...)
		}
		if in, out := count(took, "InstallProfile"), count(took, "RemoveProfile"); in != 1 || out != 1 || len(p.profiles) != 1 {
			t.Errorf("%d installations, %d removals: %v", in, out, took)
		}
		for _, net := range p.nets {
			if net[1] != "password v36" {
				t.Errorf("it has %v", net)
			}
		}
	})
}

func TestPain22AnAcknowledgementIsNoProofAndAProofNeedsNone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.answer = func(requestType string, _ map[string]any) map[string]any {
			if requestType == "InstallProfile" {
				clear(p.profiles)
			}
			return nil
		}
		w.plan()
		p.session()
		if s, why := w.state(id, "profile"); s != "failed" || why == "" {
			t.Errorf("acknowledged and not there, it is %s %q", s, why)
		}
		p.answer = func(requestType string, _ map[string]any) map[string]any {
			if requestType == "InstallProfile" {
				return map[string]any{"Status": "Error"} // and it is there all the same
			}
			return nil
		}
		w.clk.Forward(2 * time.Minute)
		w.plan()
		p.session()
		p.answer = nil
		w.clk.Forward(25 * time.Hour)
		w.plan()
		p.session()
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("there and never acknowledged, it is %s", s)
		}
	})
}

func TestPain23WhatIsSentOnceMoreIsProvenInTheSameSession(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		p.settled()
		if _, err := w.retry("d"+id, "Wi-Fi"); err != nil {
			t.Fatal(err)
		}
		p.session()
		if s, _ := w.state(id, "profile"); s != "installed" || !slices.Contains(p.took, "InstallProfile") || !slices.Contains(p.took, "ProfileList") {
			t.Errorf("it is %s after %v", s, p.took)
		}
	})
}

func TestPain29ADryRunNamesWhatGoesAndASecondRunSaysNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("wlan", "Schule")
		w.addWiFi("old", "Alt")
		w.assign(all, "wlan", "old")
		p.settled()
		d := w.export()
		d.Assignments = []profiles.DocAssignment{{Item: "wlan", To: "all"}}
		d.Profiles = slices.DeleteFunc(d.Profiles, func(p profiles.DocProfile) bool { return p.Name == "old" })
		plan := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.room.ApplyDocument(ctx, tx, "user:test", "", d, plainScopes{w}, false)
			return err
		})
		if a := actions(plan); a["remove old"] != 1 || len(a) != 1 {
			t.Errorf("the dry run says %v", a)
		}
		if _, _, err := w.applying(d, false); err != nil {
			t.Fatal(err)
		}
		events := func() (n int64) {
			w.must(w.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM audit_events`))
			return n
		}
		before := events()
		if edits, _, err := w.applying(d, false); err != nil || len(edits) != 0 || events() != before {
			t.Errorf("a second run did %v, and wrote %d events (%v)", edits, events()-before, err)
		}
	})
}

func TestPain26WhatTheAppStoreRefusesAtRandomIsTriedAgainByItself(t *testing.T) {
	for domain, number := range map[string]int64{"ASDServerErrorDomain": 9610, "ASDErrorDomain": 506, "SSErrorDomain": 2605} {
		t.Run(domain, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				id := w.enrolled(1)[0]
				p := w.pad(id)
				w.addApp("Keynote")
				w.assign(all, "Keynote")
				var tries []time.Time
				p.answer = func(requestType string, _ map[string]any) map[string]any {
					if requestType != "InstallApplication" {
						return nil
					}
					if tries = append(tries, w.clk.Now()); len(tries) > 4 {
						return nil
					}
					clear(p.apps)
					return map[string]any{"Status": "Error", "ErrorChain": []any{map[string]any{
						"ErrorCode": number, "ErrorDomain": domain, "LocalizedDescription": "not now", "USEnglishDescription": "not now",
					}}}
				}
				for range 100 { // ten hours
					w.plan()
					p.session()
					if s, why := w.state(id, "app"); s == "installed" {
						break
					} else if s != "failed" && s != "pending" || s == "failed" && !strings.Contains(why, domain) {
						t.Fatalf("after %d tries it is %s %q", len(tries), s, why)
					}
					w.clk.Forward(6 * time.Minute)
				}
				if s, why := w.state(id, "app"); s != "installed" || len(tries) != 5 {
					t.Fatalf("after %d tries it is %s %q", len(tries), s, why)
				}
				for i := 2; i < len(tries); i++ {
					if tries[i].Sub(tries[i-1]) < tries[i-1].Sub(tries[i-2]) {
						t.Errorf("the distance between tries shrinks: %v", tries)
					}
				}
			})
		})
	}
}

// Each order to install an app may take a licence. None is counted yet (ADR 18);
// what holds is that none is taken for an iPad that needs it no more.
func TestPain27NoLicenceIsTakenForWhoNeedsItNoMore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(3)
		w.addApp("Keynote")
		w.assign(all, "Keynote")
		w.plan()
		open := func() (n int64) {
			t.Helper()
			w.must(w.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM commands WHERE kind = 'app.install' AND state IN ('queued', 'sent', 'deferred')`))
			return n
		}
		if n := open(); n != 3 {
			t.Fatalf("%d are ordered for three", n)
		}
		// One is erased or leaves before it took it: its order goes with its life,
		// and the loop makes none for who is away.
		w.do(func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(t.Context(), `UPDATE enrollments SET state = 'erased', generation = generation + 1 WHERE id = ?`, ids[2]); err != nil {
				return err
			}
			return w.queue.Clear(t.Context(), tx, ids[2], "the tablet was erased")
		})
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, ids...) })
		w.clk.Forward(48 * time.Hour)
		w.plan()
		if n := open(); n != 2 {
			t.Errorf("%d are ordered for the two that are left", n)
		}
		// Nobody wishes it any more: what was not handed over never is, and what is
		// there goes.
		had := w.pad(ids[0])
		had.settled()
		w.unassign(all, "Keynote")
		w.plan()
		late := w.pad(ids[1])
		late.session()
		had.settled()
		if slices.Contains(late.took, "InstallApplication") || len(had.apps) != 0 || open() != 0 {
			t.Errorf("one was told %v, the other keeps %v, and %d are ordered", late.took, had.apps, open())
		}
	})
}

func TestPain28OneAssignmentReachesAllAndWhatIsRemovedComesBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var pads []*pad
		for _, id := range w.enrolled(4) {
			pads = append(pads, w.pad(id))
		}
		w.uploadAs("", "help", "org.example.help", "Help")
		w.addApp("Keynote")
		w.assign(all, "help", "Keynote")
		for _, p := range pads {
			p.settled()
			if len(p.profiles) != 1 || len(p.apps) != 1 {
				t.Errorf("%s has %v %v", p.id, p.profiles, p.apps)
			}
		}
		clear(pads[1].profiles)
		clear(pads[2].apps)
		w.clk.Forward(25 * time.Hour)
		for _, p := range pads {
			for range 3 { // the list, the repair, its proof
				w.plan()
				p.session()
			}
			if len(p.profiles) != 1 || len(p.apps) != 1 {
				t.Errorf("a day later %s has %v %v", p.id, p.profiles, p.apps)
			}
		}
	})
}

// An iPad that was restarted and whose passcode is forgotten has no Wi-Fi, so that
// no order reaches it. What lets a technician recover it must be there before, and
// that it can be is all a server can do.
func TestPain33WhatOpensARestartedIPadCanBeSetBefore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		raw, err := w.room.BuildRestrictions(map[string]any{"allowUnpairedExternalBootToRecovery": true})
		if err != nil || !strings.Contains(string(raw), "allowUnpairedExternalBootToRecovery") {
			t.Fatal(err)
		}
		p := w.pad(w.enrolled(1)[0])
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "recovery", raw)
			return err
		})
		w.assign(all, "recovery")
		p.settled()
		if len(p.profiles) != 1 {
			t.Errorf("it has %v", p.profiles)
		}
	})
}
