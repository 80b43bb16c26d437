package enroll_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/catalogue"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

type orderFunc = func(ctx context.Context, tx *sqldb.Tx) (string, error)

// supervisedTablet has told that it is supervised, and nothing waits for it.
func supervisedTablet(w *world, n int) (*tablet, enroll.Enrollment) {
	w.t.Helper()
	d, _ := w.enrolled(n)
	d.works(answers{"device.information": information(isSupervised + notLost + `<key>OSVersion</key><string>18.6</string>`)})
	return d, d.enrollment()
}

func plainTablet(w *world, n int) (*tablet, enroll.Enrollment) {
	w.t.Helper()
	d, _ := w.enrolled(n)
	d.works(answers{"device.information": information(unsupervised + notLost + `<key>OSVersion</key><string>18.6</string>`)})
	return d, d.enrollment()
}

func TestAnUnsupervisedIPadIsNotAskedForWhatItRefuses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, e := plainTablet(w, 1)
		orders := map[string]orderFunc{
			"rename": func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Rename(ctx, tx, admin, e.DeviceID, "7-031")
			},
			"restart": func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Restart(ctx, tx, admin, e.DeviceID)
			},
			"lost": func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.EnableLost(ctx, tx, admin, e.DeviceID, enroll.Lost{Message: "call us"})
			},
			"locate": func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Locate(ctx, tx, admin, e.DeviceID)
			},
			"sound": func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Sound(ctx, tx, admin, e.DeviceID)
			},
			"shut down": func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Send(ctx, tx, admin, e.DeviceID, "ShutDownDevice", nil)
			},
		}
		for name, order := range orders {
			t.Run(name, func(t *testing.T) {
				_, err := w.order(order)
				wantCode(t, err, "device.not-supervised")
				if err != nil && !strings.Contains(err.Error(), "erase") {
					t.Errorf("nobody learns what to do about it: %v", err)
				}
			})
		}
		wantList(t, "waiting", w.open(e))
		if got := w.enrollmentNow(e); !got.LostAt.IsZero() {
			t.Errorf("it is marked lost: %+v", got)
		}
	})
}

func (w *world) enrollmentNow(e enroll.Enrollment) enroll.Enrollment {
	w.t.Helper()
	now, err := w.enroll.EnrollmentOf(w.t.Context(), w.db, e.DeviceID)
	if err != nil {
		w.t.Fatal(err)
	}
	return now
}

func TestATabletOfWhichNothingIsKnownMayBeAsked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		id := w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Restart(ctx, tx, admin, e.DeviceID)
		})
		d.works(answers{"device.restart": "Error|" + errorChain(12021, "MCMDMErrorDomain", "“RestartDevice” is not a valid request type.")})
		if state, reason := w.commandState(id); state != "failed" || !strings.Contains(reason, "12021") {
			t.Errorf("%s: %s", state, reason)
		}
	})
}

func errorChain(code int, domain, english string) string {
	return fmt.Sprintf(`<key>ErrorChain</key><array><dict><key>ErrorCode</key><integer>%d</integer><key>ErrorDomain</key><string>%s</string>`+
		`<key>LocalizedDescription</key><string>%s</string><key>USEnglishDescription</key><string>%s</string></dict></array>`, code, domain, english, english)
}

func TestANameIsProvenByWhatTheTabletTells(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		rename := func(name string) string {
			return w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Rename(ctx, tx, admin, e.DeviceID, name)
			})
		}
		rename("first")
		id := rename("7-031")
		h := d.idle()
		item, _ := carried(t, h)["Settings"].([]any)[0].(map[string]any)
		if h.RequestType != "Settings" || item["Item"] != "DeviceName" || item["DeviceName"] != "7-031" {
			t.Errorf("got %s %v", h.RequestType, item)
		}
		d.works(answers{"device.information": information(`<key>DeviceName</key><string>7-031</string>`)})
		if state, _ := w.commandState(id); state != "done" {
			t.Errorf("the command is %s", state)
		}
		if body := w.inventory(e, "device.information"); !strings.Contains(body, `"NameAsWished":true`) || strings.Contains(body, "7-031") {
			t.Errorf("got %s", body)
		}
		t.Run("an item refused inside an Acknowledged is a failure", func(t *testing.T) {
			id := rename("7-032")
			d.works(answers{"device.rename": `<key>Settings</key><array><dict><key>Item</key><string>DeviceName</string><key>Status</key><string>Error</string>` +
				errorChain(4, "MCSettingsErrorDomain", "No.") + `</dict></array>`})
			if state, reason := w.commandState(id); state != "failed" || !strings.Contains(reason, "No") {
				t.Errorf("%s: %s", state, reason)
			}
		})
		t.Run("an answer without any item is unreadable, not a success", func(t *testing.T) {
			id := rename("7-033")
			d.works(answers{"device.rename": ``})
			if state, _ := w.commandState(id); state != "unreadable" {
				t.Errorf("the command is %s", state)
			}
		})
		_, err := w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Rename(ctx, tx, admin, e.DeviceID, "a\x00b")
		})
		wantCode(t, err, "name.characters")
	})
}

func (w *world) inventory(e enroll.Enrollment, kind string) string {
	w.t.Helper()
	var body string
	if err := w.db.Get(w.t.Context(), &body, `SELECT body FROM inventory WHERE enrollment_id = ? AND kind = ?`, e.ID, kind); err != nil {
		w.t.Fatal(err)
	}
	return body
}

func TestAPasscodeIsClearedWithTheStoredUnlockToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		clear := func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.ClearPasscode(ctx, tx, admin, e.DeviceID)
		}
		id := w.mustOrder(clear)
		token, _ := carried(t, d.idle())["UnlockToken"].([]byte)
		if string(token) != "unlock-"+d.serial {
			t.Errorf("got %q", token)
		}
		d.report("Acknowledged", id, "")
		t.Run("without one nobody is promised anything", func(t *testing.T) {
			d.fetch(w.link(enroll.LinkSpec{}))
			d.must(d.authenticate())
			d.must(d.tokenUpdate()) // of a Shared iPad, say
			_, err := w.order(clear)
			wantCode(t, err, "device.no-unlock-token")
		})
	})
}

func TestNoSecretIsInTheDatabaseInTheOpen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		d.must(&mdm.CheckIn{MessageType: "SetBootstrapToken", BootstrapToken: []byte("bootstrap-secret")})
		w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.EnableLost(ctx, tx, admin, e.DeviceID, enroll.Lost{Message: "message-secret"})
		})
		w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Erase(ctx, tx, admin, e.DeviceID, enroll.EraseSpec{Reason: "sold", ReturnToService: true, WiFiProfile: []byte("wifi-secret")})
		})
		w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Send(ctx, tx, admin, e.DeviceID, "RequestMirroring", map[string]string{"ScanTime": "10"})
		})
		for table, columns := range map[string][]string{
			"enrollments": {"unlock_token", "bootstrap_token", "bypass_code", "return_wifi", "lost_order"}, "commands": {"args"}, "push_targets": {"magic_sealed"},
		} {
			for _, column := range columns {
				var all [][]byte
				if err := w.db.Select(t.Context(), &all, `SELECT `+column+` FROM `+table+` WHERE `+column+` IS NOT NULL`); err != nil {
					t.Fatal(err)
				}
				if len(all) == 0 {
					t.Errorf("%s.%s: nothing is stored, so nothing is tested", table, column)
				}
				for _, b := range all {
					for _, secret := range []string{"secret", "unlock-", "0AB1C", "magic-", "ScanTime"} {
						if strings.Contains(string(b), secret) {
							t.Errorf("%s.%s holds %q", table, column, secret)
						}
					}
				}
			}
		}
		var details []string
		if err := w.db.Select(t.Context(), &details, `SELECT detail FROM audit_events`); err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(details, func(s string) bool { return strings.Contains(s, "secret") }); i >= 0 {
			t.Errorf("the audit trail holds %s", details[i])
		}
	})
}

func TestTheSameRawCommandWaitsOnceAndAnotherBesideIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		send := func(args map[string]string) string {
			return w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Send(ctx, tx, admin, e.DeviceID, "UserList", args)
			})
		}
		send(nil)
		send(nil)
		wantList(t, "waiting", w.open(e), "raw")
		h := d.idle()
		if h.RequestType != "UserList" || carried(t, h)["RequestType"] != "UserList" {
			t.Errorf("got %+v", h)
		}
		d.report("Acknowledged", h.ID, `<key>Users</key><array/>`)
		kept, err := w.queue.Answers(t.Context(), w.db, h.ID)
		if err != nil || len(kept) != 1 || !strings.Contains(string(kept[0].Body), "Users") {
			t.Errorf("the answer is not kept for whoever asked: %+v, %v", kept, err)
		}
	})
}

func TestSettingsAreReadItemByItem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		send := func(list string) string {
			w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Send(ctx, tx, admin, e.DeviceID, "Settings", map[string]string{"Settings": list})
			})
			return d.idle().ID
		}
		h := send(`[{"Item":"Bluetooth","Enabled":true}]`)
		d.report("Acknowledged", h, `<key>Settings</key><array><dict><key>Item</key><string>Bluetooth</string><key>Status</key><string>Acknowledged</string></dict></array>`)
		if state, why := w.commandState(h); state != "done" || why != "" {
			t.Errorf("all made: %s %q", state, why)
		}
		h = send(`[{"Item":"Bluetooth","Enabled":false},{"Item":"TimeZone","TimeZone":"Europe/Rome"}]`)
		d.report("Acknowledged", h, `<key>Settings</key><array>
			<dict><key>Item</key><string>Bluetooth</string><key>Status</key><string>Acknowledged</string></dict>
			<dict><key>Item</key><string>TimeZone</string><key>Status</key><string>Error</string><key>ErrorChain</key><array><dict>
				<key>ErrorCode</key><integer>12021</integer><key>ErrorDomain</key><string>MCMDMErrorDomain</string>
				<key>LocalizedDescription</key><string>Nein</string><key>USEnglishDescription</key><string>Not on this device</string></dict></array></dict></array>`)
		if state, why := w.commandState(h); state != "failed" || !strings.Contains(why, "1 of 2 settings. TimeZone: Not on this device") {
			t.Errorf("one failed: %s %q", state, why)
		}
		h = send(`[{"Item":"Bluetooth","Enabled":true}]`)
		d.report("Acknowledged", h, ``)
		if state, _ := w.commandState(h); state != "unreadable" {
			t.Errorf("an answer without items is taken for a good one: %s", state)
		}
	})
}

func TestWhatSomebodyWantedAtOnceIsNotDoneNextWeek(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Restart(ctx, tx, admin, e.DeviceID)
		})
		w.clk.Forward(25 * time.Hour)
		if got := d.works(nil); slices.Contains(got, "device.restart") {
			t.Errorf("handed over: %v", got)
		}
	})
}

func TestRefreshAsksEverything(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		for range 3 {
			w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
				return w.enroll.Refresh(ctx, tx, admin, e.DeviceID)
			})
		}
		got := d.works(nil)
		slices.Sort(got)
		wantList(t, "asked", got, "device.certificates", "device.information", "device.security")
	})
}

func TestOrdersForATabletThatIsNotThere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		refresh := func(id string) error {
			_, err := w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) { return w.enroll.Refresh(ctx, tx, admin, id) })
			return err
		}
		wantCode(t, refresh("nobody"), "device.not-enrolled")
		d := w.tablet(1)
		d.fetch(w.link(enroll.LinkSpec{}))
		d.must(d.authenticate())
		wantCode(t, refresh(d.device().ID), "device.enrolling")
	})
}

func TestATabletInSetupAssistantIsReleasedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.tablet(1)
		d.fetch(w.link(enroll.LinkSpec{}))
		d.must(d.authenticate())
		m := d.tokenUpdate()
		m.AwaitingConfiguration = true
		d.must(m)
		if !d.enrollment().Awaiting {
			t.Error("it does not wait")
		}
		got := d.works(answers{"device.information": information(isSupervised + `<key>AwaitingConfiguration</key><true/>`)})
		if n := len(got) - len(without(got, "device.configured")); n != 1 {
			t.Errorf("released %d times: %v", n, got)
		}
		if d.enrollment().Awaiting {
			t.Error("it still waits")
		}
		t.Run("an unsupervised one is left to the person in front of it", func(t *testing.T) {
			x := w.tablet(2)
			x.fetch(w.link(enroll.LinkSpec{}))
			x.must(x.authenticate())
			m := x.tokenUpdate()
			m.AwaitingConfiguration = true
			x.must(m)
			if got := x.works(answers{"device.information": information(unsupervised + `<key>AwaitingConfiguration</key><true/>`)}); slices.Contains(got, "device.configured") {
				t.Errorf("got %v", got)
			}
		})
	})
}

func TestEveryCommandIsOneThatIPadsFromSixteenOnHave(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	for _, s := range w.enroll.Specs() {
		if s.RequestType == "" {
			continue // what people send is checked when they do
		}
		e, ok := catalogue.Find(catalogue.Command, s.RequestType)
		if !ok || catalogue.Versions(e.Since, "16.0") > 0 || e.Removed != "" {
			t.Errorf("%s is %+v", s.Kind, e)
		}
	}
}
