package profiles_test

import (
	"context"
	"slices"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

func (w *world) draftWiFi(name, ssid string) (p profiles.Profile) {
	w.Helper()
	raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: ssid, Password: "correct horse", AutoJoin: true})
	w.must(err)
	w.do(func(tx *sqldb.Tx) (err error) {
		p, err = w.room.AddDraft(w.Context(), tx, "user:test", "", name, raw)
		return err
	})
	return p
}

func (w *world) publishing(name string, version int64) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := w.room.Publish(ctx, tx, "user:test", "", name, version)
		return err
	}
}

func (w *world) states(name string) (out []string) {
	w.Helper()
	vs, err := w.room.History(w.Context(), w.db, "", name)
	w.must(err)
	for _, v := range vs {
		out = append(out, v.State)
	}
	return out
}

func TestADraftReachesNoTabletUntilItIsPublished(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p := w.pad(w.enrolled(1)[0])
		if d := w.draftWiFi("wlan", "School"); d.Version != 0 || d.Draft != 1 {
			t.Fatalf("a first draft: %+v", d)
		}
		plan := w.try(w.assigning(profiles.Scope{Kind: "all"}, "wlan"))
		if plan.Devices != 0 || len(plan.Hazards) != 1 || plan.Hazards[0].Code != "draft" {
			t.Fatalf("the plan of assigning a draft: %+v", plan)
		}
		w.assign(profiles.Scope{Kind: "all"}, "wlan")
		w.plan()
		p.session()
		if len(p.profiles) != 0 {
			t.Fatalf("a draft is on the tablet: %v", p.profiles)
		}
		if got := actions(w.try(w.publishing("wlan", 0))); got["install wlan"] != 1 {
			t.Errorf("the plan of publishing: %v", got)
		}
		w.do(func(tx *sqldb.Tx) error { return w.publishing("wlan", 0)(t.Context(), tx) })
		w.plan()
		p.session()
		if len(p.profiles) != 1 {
			t.Fatalf("what is published is not there: %v", p.took)
		}
		if d := w.draftWiFi("wlan", "Other"); d.Version != 1 || d.Draft != 2 {
			t.Fatalf("a draft beside the published version: %+v", d)
		}
		w.plan()
		p.session()
		if slices.Contains(p.took, "InstallProfile") {
			t.Error("a draft was sent in place of what is published")
		}
		if code(w.db.Do(t.Context(), func(tx *sqldb.Tx) error { return w.publishing("wlan", 7)(t.Context(), tx) })) != "profile.version-unknown" {
			t.Error("a version that is not there was published")
		}
	})
}

func TestATabletMovesBetweenVersionsWithoutTheOnesInBetween(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p := w.pad(w.enrolled(1)[0])
		w.addWiFi("wlan", "One")
		w.assign(profiles.Scope{Kind: "all"}, "wlan")
		w.plan()
		p.session()
		first := w.only(p)
		w.addWiFi("wlan", "Two")
		w.plan()
		w.addWiFi("wlan", "Three")
		w.plan()
		p.session()
		installs := 0
		for _, c := range p.took {
			if c == "RemoveProfile" {
				t.Error("there was a gap between two versions")
			}
			if c == "InstallProfile" {
				installs++
			}
		}
		if installs != 1 {
			t.Errorf("%d installations for two versions: %v", installs, p.took)
		}
		w.do(func(tx *sqldb.Tx) error { return w.publishing("wlan", 1)(t.Context(), tx) })
		w.plan()
		p.session()
		if w.only(p) != first {
			t.Error("rolling back did not bring back the first version")
		}
		w.do(func(tx *sqldb.Tx) error {
			q, err := w.room.RollBack(t.Context(), tx, "user:test", "", "wlan")
			if q.Version != 3 {
				t.Errorf("before version 1 it was version %d", q.Version)
			}
			return err
		})
		if got := w.states("wlan"); !slices.Equal(got, []string{"published", "former", "former"}) {
			t.Errorf("history: %v", got)
		}
		if q := w.addWiFi("wlan", "Four"); q.Version != 4 {
			t.Errorf("a new version after a rollback is number %d", q.Version)
		}
	})
}

// only is the one profile that a tablet has.
func (w *world) only(p *pad) string {
	w.Helper()
	if len(p.profiles) != 1 {
		w.Fatalf("it has %v", p.profiles)
	}
	for _, u := range p.profiles {
		return u
	}
	return ""
}

func TestADiffNamesWhatChangedAndNoSecret(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.addWiFi("wlan", "One")
		raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "Two", Password: "another horse", AutoJoin: true})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddDraft(t.Context(), tx, "user:test", "", "wlan", raw)
			return err
		})
		from, to, list, err := w.room.Diff(t.Context(), db, "", "wlan", 0, 0)
		w.must(err)
		got := map[string][2]any{}
		for _, d := range list {
			got[d.Path] = [2]any{d.From, d.To}
		}
		if from != 1 || to != 2 || len(got) != 2 || got["PayloadContent/1/SSID_STR"] != [2]any{"One", "Two"} ||
			got["PayloadContent/1/Password"] != [2]any{"(secret)", "(another secret)"} {
			t.Errorf("%d to %d: %v", from, to, got)
		}
	})
}

func TestPublishingWhatWaitsAsADraftMakesNoOtherVersion(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.draftWiFi("wlan", "One")
		if p := w.addWiFi("wlan", "One"); p.Version != 1 || p.Draft != 0 {
			t.Errorf("the same again, published: %+v", p)
		}
		w.draftWiFi("wlan", "Two")
		w.draftWiFi("wlan", "Three")
		if p := w.addWiFi("wlan", "Four"); p.Version != 4 || p.Draft != 0 {
			t.Errorf("a version in place of a draft: %+v", p)
		}
		if got := w.states("wlan"); !slices.Equal(got, []string{"published", "skipped", "skipped", "former"}) {
			t.Errorf("history: %v", got)
		}
	})
}
