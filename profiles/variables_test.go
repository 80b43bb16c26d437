package profiles_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/micromdm/plist"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// got keeps what InstallProfile brought.
func (p *pad) got() *map[string]any {
	last := &map[string]any{}
	p.answer = func(requestType string, c map[string]any) map[string]any {
		if requestType == "InstallProfile" {
			b, _ := c["Payload"].([]byte)
			doc := map[string]any{}
			p.w.must(plist.Unmarshal(b, &doc))
			*last = doc
		}
		return nil
	}
	return last
}

func first(doc map[string]any) map[string]any {
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		if p, _ := v.(map[string]any); p["PayloadType"] != "com.apple.security.root" {
			return p
		}
	}
	return nil
}

func (w *world) setting(name, value string) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		return w.room.SetVariable(ctx, tx, "user:test", "", name, value)
	}
}

func TestVariablesAreFilledInForEachTabletAndOnlyThoseTouchedThatChange(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		ids := w.enrolled(2)
		a, b := w.pad(ids[0]), w.pad(ids[1])
		gotA, gotB := a.got(), b.got()
		raw, err := w.room.BuildWebClip(profiles.WebClip{Label: "$SERIAL costs 5$$", URL: "https://example.org/?tag=${ASSET_TAG}&of=$SCHOOL_NAME"})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "clip", raw)
			return err
		})
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE devices SET asset_tag = 'TAG1' WHERE id = ?`, "d"+ids[0])
			return err
		})
		w.assign(profiles.Scope{Kind: "all"}, "clip")
		w.plan()
		a.session()
		if len(a.profiles) != 0 {
			t.Fatal("a profile with a hole was sent")
		}
		if s, why := w.reasonOf(ids[0]); s != "blocked" || !strings.Contains(why, "$SCHOOL_NAME") {
			t.Errorf("%s: %s", s, why)
		}
		plan := w.try(w.setting("SCHOOL_NAME", "Sonnenhof"))
		if got := actions(plan); got["install clip"] != 1 || len(plan.Changes) != 1 {
			t.Errorf("the plan of defining it: %v, %d blocked", got, len(plan.Blocked))
		}
		w.do(func(tx *sqldb.Tx) error { return w.setting("SCHOOL_NAME", "Sonnenhof")(t.Context(), tx) })
		w.plan()
		a.session()
		b.session()
		if p := first(*gotA); p["Label"] != "RZTEST000000 costs 5$" || p["URL"] != "https://example.org/?tag=TAG1&of=Sonnenhof" {
			t.Errorf("on the first tablet: %v", p)
		}
		if s, why := w.reasonOf(ids[1]); s != "blocked" || !strings.Contains(why, "$ASSET_TAG") || len(*gotB) > 0 {
			t.Errorf("without a tag: %s, %s", s, why)
		}
		w.plan()
		a.session()
		if s, _ := w.reasonOf(ids[0]); s != "installed" || slices.Contains(a.took, "InstallProfile") {
			t.Errorf("it is %s, and was sent again: %v", s, a.took)
		}
		w.do(func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(t.Context(), `UPDATE devices SET asset_tag = 'TAG2' WHERE id = ?`, "d"+ids[1]); err != nil {
				return err
			}
			return w.room.Mark(t.Context(), tx, ids...)
		})
		w.plan()
		a.session()
		b.session()
		if slices.Contains(a.took, "InstallProfile") || first(*gotB)["URL"] != "https://example.org/?tag=TAG2&of=Sonnenhof" {
			t.Errorf("the other's tag changed: %v; %v", a.took, first(*gotB))
		}
		before := a.profiles
		w.do(func(tx *sqldb.Tx) error { return w.setting("SCHOOL_NAME", "Am Bach")(t.Context(), tx) })
		w.plan()
		a.session()
		if p := first(*gotA); p["URL"] != "https://example.org/?tag=TAG1&of=Am Bach" || len(before) != 1 {
			t.Errorf("after a new value: %v", p)
		}
	})
}

func (w *world) reasonOf(id string) (state, reason string) {
	w.Helper()
	return w.state(id, "profile")
}

func TestAPasswordWithADollarIsNoVariable(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p := w.pad(w.enrolled(1)[0])
		got := p.got()
		raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "School", Password: "pa$$WORD$ABC", AutoJoin: true})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "wlan", raw)
			return err
		})
		w.assign(profiles.Scope{Kind: "all"}, "wlan")
		w.plan()
		p.session()
		if first(*got)["Password"] != "pa$$WORD$ABC" {
			t.Errorf("the password became %v", first(*got)["Password"])
		}
	})
}

func TestANetworkWithCertificatesGivesEachTabletAChallengeOfItsOwn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		ids := w.enrolled(2)
		raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "School", AutoJoin: true, EAPTLS: &profiles.EAPTLS{ServerNames: []string{"radius.example.org"}}})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "wlan", raw)
			return err
		})
		again, err := w.room.BuildWiFi(profiles.WiFi{SSID: "School", AutoJoin: true, EAPTLS: &profiles.EAPTLS{ServerNames: []string{"radius.example.org"}}})
		w.must(err)
		w.do(func(tx *sqldb.Tx) error {
			p, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "wlan", again)
			if p.Version != 1 {
				t.Error("building the same again is a new version")
			}
			return err
		})
		w.assign(profiles.Scope{Kind: "all"}, "wlan")
		w.plan()
		met := map[string]bool{}
		for _, id := range ids {
			p := w.pad(id)
			got := p.got()
			p.session()
			list, _ := (*got)["PayloadContent"].([]any)
			by := map[string]map[string]any{}
			for _, v := range list {
				one, _ := v.(map[string]any)
				by[one["PayloadType"].(string)] = one
			}
			scep, wifi, root := by["com.apple.security.scep"], by["com.apple.wifi.managed"], by["com.apple.security.root"]
			challenge, _ := scep["PayloadContent"].(map[string]any)["Challenge"].(string)
			eap, _ := wifi["EAPClientConfiguration"].(map[string]any)
			trusted, _ := eap["PayloadCertificateAnchorUUID"].([]any)
			if len(challenge) < 20 || met[challenge] || wifi["PayloadCertificateUUID"] != scep["PayloadUUID"] || len(trusted) != 1 || trusted[0] != root["PayloadUUID"] || wifi["Password"] != nil {
				t.Errorf("what %s got: %v", id, *got)
			}
			met[challenge] = true
			if s, why := w.reasonOf(id); s != "installed" {
				t.Errorf("%s: %s %s", id, s, why)
			}
			p.session()
			if slices.Contains(p.took, "InstallProfile") {
				t.Error("it is sent again and again")
			}
		}
	})
}
