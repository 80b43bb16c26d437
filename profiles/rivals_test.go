package profiles_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// restrict makes a profile of restrictions of the provider's, or a new version.
func (w *world) restrict(name string, keys map[string]any) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error { return w.restricting(name, keys)(w.Context(), tx) })
}

func (w *world) restricting(name string, keys map[string]any) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		raw, err := w.room.BuildRestrictions(keys)
		if err != nil {
			return err
		}
		_, err = w.room.AddProfile(ctx, tx, "user:test", "", name, raw)
		return err
	}
}

// told are conflicts in short, with how many devices.
func told(list []profiles.Conflict) string {
	var out []string
	for _, c := range list {
		names := []string{}
		for _, d := range c.Items {
			names = append(names, d.Item)
		}
		out = append(out, fmt.Sprintf("%d %s %s of %s: %s", c.Devices, c.Code, c.Key, strings.Join(names, "+"), c.Effective))
	}
	return strings.Join(out, "\n")
}

func (w *world) conflicts(tenant string) string {
	w.Helper()
	list, more, err := w.room.Conflicts(w.Context(), w.db, tenant)
	w.must(err)
	if more {
		w.Error("there are more")
	}
	return told(list)
}

func TestConflictsOfTheFleetAreToldOnceEach(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(12)
		w.restrict("exam", map[string]any{"allowCamera": false, "ratingApps": 300})
		w.restrict("base", map[string]any{"allowCamera": true, "ratingApps": 300, "allowSafari": true})
		w.addWiFi("wlan", "Schule")
		raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "Schule", Password: "another horse", AutoJoin: true})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "wlan old", raw)
			return err
		})
		w.addWiFi("wlan twin", "Schule") // says the same as wlan
		w.assign(all, "base", "wlan", "wlan twin")
		if got := w.conflicts(""); got != "" {
			t.Fatalf("nothing disagrees yet: %s", got)
		}
		w.assign(all, "exam")
		one := profiles.Scope{Kind: "device", ID: "d" + ids[3]}
		w.assign(one, "wlan old")
		want := "12 restriction allowCamera of base+exam: false\n1 wifi-same-ssid Schule of wlan+wlan old+wlan twin: "
		if got := w.conflicts(""); got != want {
			t.Errorf("of all:\n%s\nwant\n%s", got, want)
		}
		if got := w.conflicts("tenant-1"); got != want {
			t.Errorf("of its tenant:\n%s", got)
		}
		if got := w.conflicts("tenant-2"); got != "" {
			t.Errorf("of another tenant:\n%s", got)
		}
		list, _, err := w.room.Conflicts(t.Context(), w.db, "")
		w.must(err)
		if n := len(list[0].Serials); n != 10 {
			t.Errorf("%d serials are named", n)
		}
		own, err := w.room.ConflictsOn(t.Context(), w.db, "d"+ids[3])
		w.must(err)
		if got := told(own); got != "0 restriction allowCamera of base+exam: false\n0 wifi-same-ssid Schule of wlan+wlan old+wlan twin: " {
			t.Errorf("of one device:\n%s", got)
		}
		if own, err = w.room.ConflictsOn(t.Context(), w.db, "d"+ids[4]); err != nil || len(own) != 1 {
			t.Errorf("of another device: %v %v", own, err)
		}
		if own, err = w.room.ConflictsOn(t.Context(), w.db, "nobody"); err != nil || len(own) != 1 {
			t.Errorf("what would be wished of a device that never enrolled: %v %v", own, err)
		}
	})
}

func TestAPlanTellsTheConflictsThatItBringsAndNoOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(3)
		w.restrict("base", map[string]any{"allowCamera": true, "allowSafari": true})
		w.restrict("exam", map[string]any{"allowCamera": false})
		w.assign(all, "base")
		brought := func(p profiles.Plan) (list []profiles.Hazard) {
			for _, h := range p.Hazards {
				if h.Code == "conflict" {
					list = append(list, h)
				}
			}
			return list
		}
		p := w.try(w.assigning(all, "exam"))
		if h := brought(p); len(h) != 1 || h[0].Devices != 3 || len(h[0].Serials) != 3 || !strings.Contains(h[0].Text, "base and exam disagree on allowCamera (base: true; exam: false). On the iPad false holds.") {
			t.Fatalf("hazards are %+v", p.Hazards)
		}
		w.assign(all, "exam")
		if h := brought(w.try(w.restricting("base", map[string]any{"allowCamera": true, "allowSafari": false}))); len(h) != 0 {
			t.Errorf("it was there before: %+v", h)
		}
		if h := brought(w.try(w.restricting("base", map[string]any{"allowCamera": false}))); len(h) != 0 {
			t.Errorf("they agree now: %+v", h)
		}
		h := brought(w.try(w.restricting("exam", map[string]any{"allowCamera": false, "allowSafari": false})))
		if len(h) != 1 || !strings.Contains(h[0].Text, "allowSafari") || strings.Contains(h[0].Text, "allowCamera") {
			t.Errorf("a second key: %+v", h)
		}
		w.restrict("more", map[string]any{"allowCamera": true, "allowSafari": false, "allowChat": false})
		if h = brought(w.try(w.assigning(all, "more"))); len(h) != 2 {
			t.Errorf("one of three on the camera, one of two on Safari: %+v", h)
		}
		if h = brought(w.try(w.unassigning(all, "exam"))); len(h) != 0 {
			t.Errorf("it goes away: %+v", h)
		}
	})
}

func TestThePlanOfADraftOrAnAppKnowsNoConflict(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(1)
		w.restrict("base", map[string]any{"allowCamera": true})
		w.addApp("Keynote")
		raw, err := w.room.BuildRestrictions(map[string]any{"allowCamera": false})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddDraft(t.Context(), tx, "user:test", "", "exam", raw)
			return err
		})
		w.assign(all, "base", "exam")
		for _, h := range w.try(w.assigning(all, "Keynote")).Hazards {
			t.Errorf("an app: %+v", h)
		}
		if got := w.conflicts(""); got != "" {
			t.Errorf("a draft: %s", got)
		}
		p := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.room.Publish(ctx, tx, "user:test", "", "exam", 0)
			return err
		})
		if len(p.Hazards) != 1 || p.Hazards[0].Code != "conflict" {
			t.Errorf("published: %+v", p.Hazards)
		}
	})
}

func TestVersionsThatWereStoredBeforeClaimNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(1)
		w.restrict("base", map[string]any{"allowCamera": true})
		w.restrict("exam", map[string]any{"allowCamera": false})
		w.assign(all, "base", "exam")
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE profile_versions SET traits = '{"types":["com.apple.applicationaccess"]}'`)
			return err
		})
		if got := w.conflicts(""); got != "" {
			t.Errorf("nobody knows that: %s", got)
		}
	})
}

func TestNoPasswordIsKeptBesideASealedProfile(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.addWiFi("wlan", "Schule")
		var traits string
		w.must(w.db.Get(t.Context(), &traits, `SELECT traits FROM profile_versions`))
		if !strings.Contains(traits, `"networks":{"Schule":"`) || strings.Contains(traits, "correct horse") {
			t.Errorf("traits are %s", traits)
		}
	})
}

// A fleet that agrees is the normal case.
func BenchmarkConflicts(b *testing.B) {
	for _, fleet := range []int{1000, 10000} {
		for _, clash := range []bool{false, true} {
			b.Run(fmt.Sprintf("fleet=%d/clash=%v", fleet, clash), func(b *testing.B) {
				sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
					w := newWorld(b, db)
					w.enrolled(fleet)
					w.restrict("base", map[string]any{"allowCamera": clash, "allowSafari": true})
					w.restrict("exam", map[string]any{"allowCamera": false})
					w.addWiFi("wlan", "Schule")
					w.assign(all, "base", "exam", "wlan")
					b.ResetTimer()
					for range b.N {
						list, _, err := w.room.Conflicts(b.Context(), db, "")
						if err != nil || (len(list) == 1) != clash {
							b.Fatal(list, err)
						}
					}
				})
			})
		}
	}
}
