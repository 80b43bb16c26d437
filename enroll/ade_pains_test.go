package enroll_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/apple/ade"
	"ranzen/internal/fault"
	"ranzen/internal/sim/apple"
	"ranzen/internal/sqldb"
)

// Pain 17: devices that were assigned in Apple's portal never appear; only a
// reset of the cursor helps. Events of one device in one page drop devices.
func TestPain17ManyAddedAndModifiedInOnePageAllAppear(t *testing.T) {
	eachTown(t, apple.SchoolOptions{Faults: apple.SchoolFaults{Doubled: 0.3, Shuffled: 1}, Seed: 3}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		w.sync()
		stay := w.school.Order("Ranzen", 300, apple.Devices{})
		for _, s := range stay {
			w.clk.Forward(time.Second)
			w.school.Touch(s)
		}
		w.clk.Forward(time.Second)
		for _, s := range stay[:10] {
			w.school.Move(s, "") // added, modified and deleted
		}
		for _, s := range stay[5:10] {
			w.clk.Forward(time.Second)
			w.school.Move(s, "Ranzen") // and added again
		}
		w.sync()
		all := w.states(enroll.ADEFilter{})
		if n := serialsOf(all, enroll.ADENoProfile); n != 295 {
			t.Errorf("%d of 295 devices appear", n)
		}
		for _, s := range stay[:5] {
			if st := all[s].Status; st != "" && st != enroll.ADERemoved {
				t.Errorf("%s is %s, and was deleted", s, st)
			}
		}
		if y := w.standing(token); y.FullAt.After(w.clk.Now().Add(-time.Minute)) {
			t.Error("a full list was read, where sync should do")
		}
	})
}

func TestPain17ALostCursorIsNoEnd(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 3, apple.Devices{})
		w.sync()
		t.Run("the server was off for eight days", func(t *testing.T) {
			w.clk.Forward(8 * 24 * time.Hour)
			s = append(s, w.school.Order("Ranzen", 1, apple.Devices{})...)
			w.sync()
			w.wantStatus(enroll.ADENoProfile, s...)
		})
		for _, f := range []apple.SchoolFault{apple.SchoolExpired, apple.SchoolInvalid} {
			t.Run(string(f), func(t *testing.T) {
				s = append(s, w.school.Order("Ranzen", 1, apple.Devices{})...)
				w.school.Fail(f)
				w.sync()
				w.wantStatus(enroll.ADENoProfile, s...)
				if y := w.standing(token); y.Problem != "" {
					t.Errorf("got %+v", y)
				}
			})
		}
		t.Run("again and again is a problem, and passes", func(t *testing.T) {
			w.school.Fail(apple.SchoolExpired, apple.SchoolExpired)
			w.sync()
			if w.standing(token).Problem == "" {
				t.Error("nobody is told")
			}
			w.sync()
			w.wantStatus(enroll.ADENoProfile, s...)
			if y := w.standing(token); y.Problem != "" {
				t.Errorf("got %+v", y)
			}
		})
	})
}

func TestPain17WhatSyncNeverToldComesWithTheDailyList(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 40, apple.Devices{})
		w.sync()
		// As if sync had told of neither: a row that Apple does not have, and one less.
		w.do(func(tx *sqldb.Tx) error {
			for _, text := range []string{
				`UPDATE ade_devices SET serial = 'RZGONE0000' WHERE serial = ?`, `UPDATE devices SET serial = 'RZGONE0000' WHERE serial = ?`,
			} {
				if _, err := tx.Exec(t.Context(), text, s[0]); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), `DELETE FROM ade_devices WHERE serial = ?`, s[1])
			return err
		})
		w.sync()
		w.wantStatus(enroll.ADENoProfile, "RZGONE0000")
		w.clk.Forward(24 * time.Hour)
		w.sync()
		w.wantStatus(enroll.ADENoProfile, s...)
		w.wantStatus(enroll.ADERemoved, "RZGONE0000")
		if y := w.standing(token); y.Missing != 0 {
			t.Errorf("got %+v", y)
		}
	})
}

// Pain 18: assignment fails or is throttled without a visible reason, and a
// network error is never retried.
func TestPain18ThrottledAndFailedAreShownAndTriedAgain(t *testing.T) {
	faults := apple.SchoolFaults{Throttled: 0.3, Failed: 0.3, RetryAfter: 2 * time.Hour}
	eachTown(t, apple.SchoolOptions{Seed: 5, Faults: faults}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		serials := w.school.Order("Ranzen", 40, apple.Devices{})
		w.sync()
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		w.settle()
		all := w.states(enroll.ADEFilter{})
		confirmed, throttled, failed := serialsOf(all, enroll.ADEConfirmed), serialsOf(all, enroll.ADEThrottled), serialsOf(all, enroll.ADEFailed)
		if confirmed == 0 || throttled == 0 || failed == 0 || confirmed+throttled+failed != 40 {
			t.Fatalf("%d confirmed, %d throttled, %d failed", confirmed, throttled, failed)
		}
		asked := map[string]time.Time{}
		for serial, s := range all {
			asked[serial] = s.AskedAt
			wait := s.RetryAt.Sub(s.AskedAt)
			switch {
			case s.Status == enroll.ADEThrottled && (s.Result != "THROTTLED" || wait != 2*time.Hour):
				t.Errorf("throttled without Apple's own time: %+v", s)
			case s.Status == enroll.ADEFailed && (s.Result != "FAILED" || wait != 2*time.Minute):
				t.Errorf("failed: %+v", s)
			}
		}
		w.clk.Forward(time.Hour)
		w.assign()
		for serial, s := range w.states(enroll.ADEFilter{}) {
			if all[serial].Status == enroll.ADEThrottled && !s.AskedAt.Equal(asked[serial]) {
				t.Errorf("%s was asked again before Apple's time", serial)
			}
		}
		for range 60 {
			w.clk.Forward(7 * time.Hour)
			w.assign()
			w.clk.Forward(time.Minute)
			w.assign()
		}
		w.wantStatus(enroll.ADEConfirmed, serials...)
	})
}

func TestPain18ANetworkErrorIsTriedAgain(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 3, apple.Devices{})
		w.sync()
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		w.reopen(func(d *enroll.Deps) { d.Apple = ade.New(ade.Config{URL: "https://127.0.0.1:1", Clock: w.clk}) })
		w.assign()
		if y := w.standing(token); y.Problem != "ade.unreachable" || !y.AssignAt.After(w.clk.Now()) {
			t.Errorf("nobody is told that Apple cannot be reached: %+v", y)
		}
		w.wantStatus(enroll.ADEWaiting, s...)
		w.reopen(nil)
		w.clk.Forward(2 * time.Minute)
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
	})
}

// Pain 19: Apple's new terms are not accepted, and the message says nothing.
func TestPain19UnsignedTermsAreShownAsTheHumanTaskTheyAre(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 3, apple.Devices{})
		w.sync()
		w.school.SignTerms("Musterdorf", false)
		w.sync()
		y := w.standing(token)
		if y.Problem != "ade.terms" || y.DueAt.Sub(w.clk.Now()) != time.Hour {
			t.Errorf("got %+v", y)
		}
		if text := enroll.ADEProblem(y.Problem); !strings.Contains(text, "sign in to Apple School Manager and accept") {
			t.Errorf("nobody knows what to do: %s", text)
		}
		w.wantStatus(enroll.ADENoProfile, s...)
		before := w.school.Counts()
		w.sync()
		if w.school.Counts() != before {
			t.Error("Apple is asked again and again, before anybody can have signed")
		}
		since := y.ProblemAt
		w.clk.Forward(time.Hour)
		w.sync()
		if y := w.standing(token); !y.ProblemAt.Equal(since) {
			t.Error("since when the terms wait is forgotten")
		}
		err := w.enroll.SyncToken(t.Context(), token, false)
		wantKind(t, err, fault.Upstream)
		w.school.SignTerms("Musterdorf", true)
		w.do(func(tx *sqldb.Tx) error { return w.enroll.RequestSync(t.Context(), tx, admin, token, false) })
		if err := w.enroll.SyncADE(t.Context()); err != nil {
			t.Fatal(err)
		}
		if y := w.standing(token); y.Problem != "" || !y.ProblemAt.IsZero() {
			t.Errorf("it is signed, and still shown: %+v", y)
		}
		w.school.AddServer("Unsigned", "Other")
		w.school.SignTerms("Unsigned", false)
		file := w.p7m(tenant1, "Other")
		wantCode(t, w.importing(tenant1, "", file), "ade.terms")
	})
}

// Pain 20: is_mdm_removable false without is_supervised true is FLAGS_INVALID,
// and new devices are silently missing.
func TestPain20FlagsNeverContradictEachOther(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 1, apple.Devices{})
		w.sync()
		add := func(definition string) error {
			return w.try(func(tx *sqldb.Tx) error {
				_, err := w.enroll.AddADEProfile(t.Context(), tx, admin, tenant1, "bad", enroll.ADEProfileSpec{Definition: []byte(definition)})
				return err
			})
		}
		for definition, code := range map[string]string{
			`{"is_supervised": false}`:                             "ade-profile.forced",
			`{"is_mdm_removable": false, "is_supervised": false}`:  "ade-profile.forced",
			`{"is_mdm_removable": true}`:                           "ade-profile.forced",
			`{"is_supervised": "true"}`:                            "ade-profile.forced",
			`{"await_device_configured": false}`:                   "ade-profile.forced",
			`{"url": "https://evil.example"}`:                      "ade-profile.forced",
			`{"anchor_certs": []}`:                                 "ade-profile.forced",
			`{"devices": ["RZ1"]}`:                                 "ade-profile.devices",
			`{"is_superviced": true}`:                              "ade-profile.unknown-key",
			`{"allow_pairing": "yes"}`:                             "ade-profile.kind",
			`{"profile_name": ""}`:                                 "ade-profile.kind",
			`{"department": 7}`:                                    "ade-profile.kind",
			`{"support_phone_number": "` + strings.Repeat("1", 51): "ade-profile.json",
			`{"skip_setup_items": "Siri"}`:                         "ade-profile.kind",
			`{"skip_setup_items": ["Si ri"]}`:                      "ade-profile.pane",
			`{"supervising_host_certs": ["!"]}`:                    "ade-profile.kind",
			`[]`:                                                   "ade-profile.json",
			`{} {}`:                                                "ade-profile.json",
			`null`:                                                 "ade-profile.json",
			`{"configuration_web_url": "https://sso.example.org"}`: "ade-profile.web", // pain 21
		} {
			wantCode(t, add(definition), code)
		}
		if err := add(`{"is_superviced": true}`); err == nil || !strings.Contains(err.Error(), "is_superviced") {
			t.Errorf("the wrong key is not named: %v", err)
		}
		w.wish(w.profile(tenant1, "P", `{"is_supervised": true, "is_mdm_removable": false, "is_return_to_service": true,
			"do_not_use_profile_from_backup": true, "skip_setup_items": ["Siri", "Welcome"]}`), tenant1, "tenant", tenant1)
		w.reopen(func(d *enroll.Deps) { d.Anchors = [][]byte{{0x30, 0}} })
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
		got := w.activation(s[0])
		for key, want := range map[string]any{
			"is_supervised": true, "is_mandatory": true, "is_mdm_removable": false, "await_device_configured": true, "profile_name": "P",
			"url": publicURL + "/enroll/ade", "is_return_to_service": true, "do_not_use_profile_from_backup": true,
		} {
			if got[key] != want {
				t.Errorf("%s is %v at Apple, want %v", key, got[key], want)
			}
		}
		if sprint(got["anchor_certs"]) != "[MAA=]" || sprint(got["skip_setup_items"]) != "[Siri Welcome]" {
			t.Errorf("got %v", got)
		}
	})
}

func (w *town) activation(serial string) (profile map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.school.TabletURL()+"/activation/"+serial, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it is read
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var doc struct{ Profile map[string]any }
	if err := json.Unmarshal(b, &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc.Profile
}

func TestPain21NoSignInPageStandsInTheWayOfReturnToService(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.fails("ade-profile.web", func(ctx context.Context, tx *sqldb.Tx) error {
			spec := enroll.ADEProfileSpec{Definition: []byte(`{"configuration_web_url": "https://sso.example.org", "is_return_to_service": true}`)}
			_, err := w.enroll.AddADEProfile(ctx, tx, admin, tenant1, "P", spec)
			return err
		})
		if slices.Contains(enroll.SkipAll(), "Wallpaper") {
			t.Error("a pane that no iPad has is skipped")
		}
	})
}
