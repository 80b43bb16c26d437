package profiles_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

func (w *world) confirming(app string, count int, grace time.Duration) error {
	w.Helper()
	return w.db.Do(w.Context(), func(tx *sqldb.Tx) error {
		_, err := w.room.ConfirmRemoval(w.Context(), tx, "user:test", "", app, count, grace)
		return err
	})
}

// withData is two tablets with an app that holds data, and then nobody wishes it.
func (w *world) withData() (p *pad, ids []string) {
	w.Helper()
	ids = w.enrolled(2)
	w.addApp("Keynote")
	w.do(func(tx *sqldb.Tx) error {
		return w.room.SetHoldsData(w.Context(), tx, "user:test", "", "Keynote", true)
	})
	w.assign(profiles.Scope{Kind: "all"}, "Keynote")
	w.plan()
	p = w.pad(ids[0])
	p.session()
	w.pad(ids[1]).session()
	if p.apps["com.apple.Keynote"] != "Managed" {
		w.Fatal("the app is not there")
	}
	plan := w.try(w.unassigning(profiles.Scope{Kind: "all"}, "Keynote"))
	if got := actions(plan); got["ask Keynote"] != 2 || len(plan.Hazards) != 1 || plan.Hazards[0].Code != "data-lost" {
		w.Fatalf("the plan of losing data: %v, %+v", got, plan.Hazards)
	}
	w.unassign(profiles.Scope{Kind: "all"}, "Keynote")
	w.plan()
	return p, ids
}

func TestAnAppWithDataGoesOnlyWhenAPersonConfirmedAndTheGraceIsOver(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p, ids := w.withData()
		session := func(at string) (removes bool) {
			w.plan()
			p.session()
			w.plan()
			p.session()
			return slices.Contains(p.took, "RemoveApplication") || p.apps["com.apple.Keynote"] == ""
		}
		if session("unassigned") {
			t.Fatal("an app with data went without a confirmation")
		}
		if s, _ := w.state(ids[0], "app"); s != "blocked" {
			t.Errorf("an app that stays is %s", s)
		}
		list, err := w.room.Removals(t.Context(), db, "tenant-1")
		w.must(err)
		if len(list) != 1 || list[0].Devices != 2 || list[0].App != "Keynote" || !list[0].After.IsZero() {
			t.Fatalf("what waits: %+v", list)
		}
		if none, err := w.room.Removals(t.Context(), db, "tenant-2"); err != nil || len(none) > 0 {
			t.Errorf("another tenant sees %v (%v)", none, err)
		}
		if got := code(w.confirming("Keynote", 3, 0)); got != "removal.count" {
			t.Errorf("a wrong number: %q", got)
		}
		w.must(w.confirming("Keynote", 2, profiles.DefaultGrace))
		w.clk.Forward(29 * 24 * time.Hour)
		if session("grace") {
			t.Fatal("an app with data went before its day")
		}
		w.clk.Forward(2 * 24 * time.Hour)
		if !session("after") {
			t.Fatalf("what was confirmed does not happen: %v", p.took)
		}
		if s, _ := w.state(ids[0], "app"); s != "removed" {
			t.Errorf("it went and is %s", s)
		}
	})
}

func TestAnAppThatIsWishedAgainForgetsThatItsRemovalWasConfirmed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p, _ := w.withData()
		w.must(w.confirming("Keynote", 2, time.Hour))
		w.assign(profiles.Scope{Kind: "all"}, "Keynote")
		w.plan()
		w.unassign(profiles.Scope{Kind: "all"}, "Keynote")
		w.clk.Forward(2 * time.Hour)
		w.plan()
		p.session()
		if p.apps["com.apple.Keynote"] == "" {
			t.Error("a confirmation for an earlier time removed it")
		}
		w.must(w.confirming("Keynote", 2, time.Hour))
		w.do(func(tx *sqldb.Tx) error {
			return w.room.CancelRemoval(t.Context(), tx, "user:test", "", "Keynote")
		})
		w.clk.Forward(2 * time.Hour)
		w.plan()
		p.session()
		if p.apps["com.apple.Keynote"] == "" {
			t.Error("a removal that was cancelled happened")
		}
		err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return w.room.RemoveApp(t.Context(), tx, "user:test", "", "Keynote")
		})
		if code(err) != "app.kept" {
			t.Errorf("an app that stays on tablets was forgotten: %v", err)
		}
	})
}

// A removal that was queued before somebody said that the app holds data must not
// be handed over afterwards.
func TestAQueuedRemovalIsNotHandedOverOnceTheAppHoldsData(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p := w.pad(w.enrolled(1)[0])
		w.addApp("Keynote")
		w.assign(profiles.Scope{Kind: "all"}, "Keynote")
		w.plan()
		p.session()
		w.unassign(profiles.Scope{Kind: "all"}, "Keynote")
		w.plan() // the removal is queued now
		w.do(func(tx *sqldb.Tx) error {
			return w.room.SetHoldsData(context.WithoutCancel(t.Context()), tx, "user:test", "", "Keynote", true)
		})
		p.session()
		if p.apps["com.apple.Keynote"] == "" {
			t.Error("it went with its data")
		}
	})
}

// What was confirmed is the removal of what was there then: it is spent once that is
// gone, whatever the next app of the same bundle identifier is called.
func TestAConfirmedRemovalIsNoWordAboutWhatComesLater(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, ids := w.withData()
		w.must(w.confirming("Keynote", 2, 0))
		q := w.pad(ids[1])
		q.apps["com.apple.Keynote"] = "Managed"
		for range 2 {
			p.settled()
			q.settled()
			w.clk.Forward(25 * time.Hour)
		}
		if len(p.apps)+len(q.apps) != 0 {
			t.Fatalf("confirmed, and there are %v %v", p.apps, q.apps)
		}
		w.do(func(tx *sqldb.Tx) error {
			if err := w.room.RemoveApp(t.Context(), tx, "user:test", "", "Keynote"); err != nil {
				return err
			}
			_, err := w.room.AddApp(t.Context(), tx, "user:test", profiles.App{Name: "Slides", AdamID: "409183694", BundleID: "com.apple.Keynote", HoldsData: true})
			return err
		})
		w.assign(all, "Slides")
		p.settled()
		q.settled()
		w.clk.Forward(25 * time.Hour) // their lists show it, by whatever name
		p.settled()
		q.settled()
		if plan := w.try(w.unassigning(all, "Slides")); actions(plan)["ask Slides"] != 2 {
			t.Errorf("the plan is %v", actions(plan))
		}
		w.unassign(all, "Slides")
		for range 3 {
			p.settled()
			q.settled()
			w.clk.Forward(25 * time.Hour)
		}
		if len(p.apps)+len(q.apps) != 2 {
			t.Error("it went with what was made with it by the word about the one before")
		}
	})
}

// keynote is a document's only app.
func keynote(holdsData bool) []profiles.DocApp {
	return []profiles.DocApp{{Name: "Keynote", AdamID: "409183694", BundleID: "com.apple.Keynote", HoldsData: holdsData}}
}

// To say that nothing is lost with an app is no way past the gate, whatever takes it
// from tablets: not where it is kept already, and not in the step that takes it.
func TestAnAppIsNotCalledHarmlessWhereNobodyWishesIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(2)
		p, q := w.pad(ids[0]), w.pad(ids[1])
		w.addApp("Keynote")
		w.do(func(tx *sqldb.Tx) error {
			if err := w.room.SetHoldsData(t.Context(), tx, "user:test", "", "Keynote", true); err != nil {
				return err
			}
			g, err := w.schools.CreateGroup(t.Context(), tx, "user:test", "", "some")
			if err != nil {
				return err
			}
			if err := w.schools.AddToGroup(t.Context(), tx, "user:test", g.ID, "d"+ids[0], "d"+ids[1]); err != nil {
				return err
			}
			_, err = w.room.Assign(t.Context(), tx, "user:test", "", []string{"Keynote"}, profiles.Scope{Kind: "group", ID: g.ID})
			return err
		})
		settle := func() {
			t.Helper()
			for range 2 {
				w.clk.Forward(25 * time.Hour)
				p.settled()
				q.settled()
			}
		}
		settle()
		group := func(serials ...string) []profiles.DocGroup {
			return []profiles.DocGroup{{Name: "some", Devices: serials}}
		}
		refused := func(what string, d profiles.Document, serials string) {
			t.Helper()
			_, _, err := w.applying(d, true)
			if code(err) != "document.holds-data" || !strings.Contains(err.Error(), serials) {
				t.Errorf("%s: %v", what, err)
			}
			settle()
			if len(p.apps)+len(q.apps) != 2 {
				t.Fatalf("%s: the app is gone", what)
			}
		}
		refused("out of the group in the same step", profiles.Document{Apps: keynote(false), Groups: group("RZTEST000000")}, "1 iPad (RZTEST000001)")
		refused("unassigned in the same step", profiles.Document{Apps: keynote(false), Assignments: []profiles.DocAssignment{}}, "2 iPads (RZTEST000000, RZTEST000001)")
		if _, _, err := w.applying(profiles.Document{Groups: group("RZTEST000000")}, false); err != nil {
			t.Fatal(err)
		}
		settle()
		if state, _ := w.state(ids[1], "app"); state != "blocked" {
			t.Fatalf("out of the group it is %s", state)
		}
		refused("where it is kept", profiles.Document{Apps: keynote(false)}, "1 iPad (RZTEST000001)")
		// Where it is wished everywhere it is a person's word, and counts from then on.
		if _, _, err := w.applying(profiles.Document{Apps: keynote(false), Groups: group("RZTEST000000", "RZTEST000001")}, false); err != nil {
			t.Fatal(err)
		}
		settle()
		plan := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.room.ApplyDocument(ctx, tx, "user:test", "", profiles.Document{Groups: group()}, plainScopes{w}, false)
			return err
		})
		if got := actions(plan); got["remove Keynote"] != 2 || len(p.apps)+len(q.apps) != 2 {
			t.Errorf("after that: %v", got)
		}
	})
}

func TestAnAppWithDataCannotBeForgottenInTheStepThatTakesItFromDevices(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.pad(w.enrolled(1)[0])
		w.addApp("Keynote")
		w.do(func(tx *sqldb.Tx) error {
			return w.room.SetHoldsData(t.Context(), tx, "user:test", "", "Keynote", true)
		})
		w.assign(all, "Keynote")
		p.settled()
		forgotten := profiles.Document{Apps: []profiles.DocApp{}, Assignments: []profiles.DocAssignment{}}
		harmless := profiles.Document{Apps: keynote(false), Assignments: []profiles.DocAssignment{}}
		for _, c := range []struct {
			what string
			d    profiles.Document
			code string
		}{
			{"forgotten", forgotten, "app.kept"},
			{"called harmless", harmless, "document.holds-data"},
		} {
			if _, _, err := w.applying(c.d, true); code(err) != c.code {
				t.Errorf("%s: %v, want %s", c.what, err, c.code)
			}
		}
		p.settled()
		if p.apps["com.apple.Keynote"] == "" {
			t.Error("it is gone with what was made with it")
		}
	})
}

// One that was stored before such files were refused is not removed by its
// identifier either.
func TestNoRemovalNamesTheProfileThatEnrolls(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.pad(w.enrolled(1)[0])
		w.addWiFi("Wi-Fi", "Sandtal")
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE profiles SET identifier = 'ranzen.enrollment'`)
			return err
		})
		w.assign(all, "Wi-Fi")
		p.profiles["ranzen.enrollment"] = "6F1B8E0A-0000-4000-8000-000000000001"
		p.answer = func(requestType string, _ map[string]any) map[string]any {
			if requestType == "RemoveProfile" {
				t.Error("it is told to leave the management")
			}
			return nil
		}
		w.plan()
		p.session()
		w.unassign(all, "Wi-Fi")
		for range 3 {
			w.plan()
			p.session()
			w.clk.Forward(25 * time.Hour)
		}
	})
}
