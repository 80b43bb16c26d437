package enroll_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/sim/apple"
	"ranzen/internal/sqldb"
)

// commandCount is how many orders there are for devices.
func (w *town) commandCount() (n int64) {
	w.t.Helper()
	if err := w.db.Get(w.t.Context(), &n, `SELECT COUNT(*) FROM commands`); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// A list that is empty where it was full yesterday removes nothing: other
// servers have lost all apps of a school to one (threat T4).
func TestAnEmptyListRemovesNothingAndAPersonIsAsked(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 30, apple.Devices{})
		w.sync()
		w.fails("ade.none-missing", func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.enroll.AcceptMissing(ctx, tx, admin, token)
			return err
		})
		w.school.Empty(true)
		if err := w.full(token); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(enroll.ADEMissing, s...)
		if y := w.standing(token); y.Missing != 30 {
			t.Errorf("nobody is asked: %+v", y)
		}
		if n := w.commandCount(); n != 0 {
			t.Errorf("%d commands to devices", n)
		}
		t.Run("it passes when Apple has them again", func(t *testing.T) {
			w.school.Empty(false)
			if err := w.full(token); err != nil {
				t.Fatal(err)
			}
			w.wantStatus(enroll.ADENoProfile, s...)
			if y := w.standing(token); y.Missing != 0 {
				t.Errorf("got %+v", y)
			}
		})
		t.Run("a person accepts, and one that came since stays", func(t *testing.T) {
			w.school.Empty(true)
			if err := w.full(token); err != nil {
				t.Fatal(err)
			}
			w.school.Empty(false)
			late := w.school.Order("Ranzen", 1, apple.Devices{})
			w.sync()
			w.do(func(tx *sqldb.Tx) error {
				n, err := w.enroll.AcceptMissing(t.Context(), tx, admin, token)
				if n != 30 {
					t.Errorf("%d accepted, want 30", n)
				}
				return err
			})
			w.wantStatus(enroll.ADERemoved, s...)
			w.wantStatus(enroll.ADENoProfile, late...)
			if w.assetState(s[0]) != "ordered" || w.commandCount() != 0 {
				t.Error("the devices themselves were touched")
			}
			wantList(t, "audit trail", w.events("ade-token:" + token)[2:], "ade.missing-removed")
		})
	})
}

func TestAFewMissingAreBelievedManyAreNot(t *testing.T) {
	for _, tt := range []struct{ of, gone, removed int }{
		{200, 10, 10}, // 5 %, and 10
		{200, 11, 0},
		{100, 6, 0}, // 6 %
		{20, 1, 1},
		{19, 1, 0},
	} {
		t.Run(fmt.Sprintf("%d of %d", tt.gone, tt.of), func(t *testing.T) {
			eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
				token := w.server(tenant1, "Musterdorf", "Ranzen")
				s := w.school.Order("Ranzen", tt.of, apple.Devices{})
				w.sync()
				for _, serial := range s[:tt.gone] {
					w.school.Move(serial, "")
				}
				// Sync never tells of it: the list is read again before.
				if err := w.full(token); err != nil {
					t.Fatal(err)
				}
				all := w.states(enroll.ADEFilter{})
				missing := tt.gone - tt.removed
				if r, m := serialsOf(all, enroll.ADERemoved), serialsOf(all, enroll.ADEMissing); r != tt.removed || m != missing || w.standing(token).Missing != int64(missing) {
					t.Errorf("%d removed, %d missing; want %d, %d", r, m, tt.removed, missing)
				}
			})
		})
	}
}

func TestADeviceThatMovesBetweenServersGoesWithTheNewestAssignment(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		a, b := w.server(tenant1, "Musterdorf", "A"), w.server(tenant1, "Musterdorf", "B")
		s := w.school.Order("A", 1, apple.Devices{})[0]
		w.sync()
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		w.settle()
		w.clk.Forward(time.Minute)
		w.school.Move(s, "B")
		// The new server is heard first.
		if err := w.enroll.SyncToken(t.Context(), b, false); err != nil {
			t.Fatal(err)
		}
		if got := w.states(enroll.ADEFilter{TokenID: a})[s].Status; got != enroll.ADEMoved {
			t.Errorf("for the old server it is %s", got)
		}
		w.settle()
		if got := w.states(enroll.ADEFilter{TokenID: b})[s].Status; got != enroll.ADEConfirmed {
			t.Errorf("for the new server it is %s", got)
		}
		w.sync()
		if got := w.states(enroll.ADEFilter{TokenID: a})[s].Status; got != enroll.ADERemoved {
			t.Errorf("for the old server it is %s", got)
		}
		w.do(func(tx *sqldb.Tx) error { // the token is removed: its devices are no longer there by it
			if err := w.enroll.ForgetADE(t.Context(), tx, b); err != nil {
				return err
			}
			return w.certs.RemoveADE(t.Context(), tx, admin, b)
		})
		w.wantStatus(enroll.ADERemoved, s)
		w.assign()
		w.sync()
	})
}

func TestASerialNumberOfAnotherTenantIsKeptOut(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		other := w.tenant("tenant-2")
		token := w.server(other, "Nachbarstadt", "B")
		w.school.AddServer("Musterdorf", "A")
		if err := w.importing(tenant1, "", w.p7m(tenant1, "A")); err != nil {
			t.Fatal(err)
		}
		s := w.school.Order("A", 2, apple.Devices{})
		w.sync()
		w.wish(w.profile(tenant1, "ours", ""), tenant1, "tenant", tenant1)
		w.wish(w.profile(other, "theirs", ""), other, "tenant", other)
		w.settle()
		w.clk.Forward(time.Minute)
		w.school.Move(s[0], "B")
		w.sync()
		w.settle()
		got := w.states(enroll.ADEFilter{TenantID: other})
		if len(got) != 1 || got[s[0]].Status != enroll.ADEOtherTenant || got[s[0]].DeviceID != "" || got[s[0]].Profile != "" {
			t.Errorf("got %+v", got)
		}
		if uuid, _ := w.school.ProfileOf(s[0]); uuid != "" {
			t.Error("it was given a profile of the other tenant's")
		}
		if y := w.standing(token); y.Counts[enroll.ADEOtherTenant] != 1 {
			t.Errorf("nobody is told: %+v", y)
		}
		// Once the device is theirs, it is theirs without anybody's doing.
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE devices SET tenant_id = ? WHERE serial = ?`, other, s[0])
			return err
		})
		w.settle()
		if got := w.states(enroll.ADEFilter{TenantID: other})[s[0]]; got.Status != enroll.ADEConfirmed || got.Profile != "theirs" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAPageAndItsCursorAreStoredTogetherOrNotAtAll(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		w.sync()
		s := w.school.Order("Ranzen", 3, apple.Devices{})
		rename := func(from, to string) {
			w.do(func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to)
				return err
			})
		}
		cursor := func() (c string) {
			if err := w.db.Get(t.Context(), &c, `SELECT y.phase || y.cursor FROM ade_sync y WHERE y.token_id = ?`, token); err != nil {
				t.Fatal(err)
			}
			return c
		}
		before := cursor()
		for _, table := range []string{"audit_events", "ade_devices"} { // while devices are added, and behind that
			rename(table, table+"_away")
			w.clk.Forward(5 * time.Minute)
			if err := w.enroll.SyncADE(t.Context()); err == nil {
				t.Error("the page was stored without " + table)
			}
			rename(table+"_away", table)
			if cursor() != before {
				t.Error("the cursor moved over a page that was not stored")
			}
			if w.assetState(s[0]) != "" {
				t.Error("half a page is stored")
			}
		}
		w.sync()
		w.wantStatus(enroll.ADENoProfile, s...)
	})
}

func TestTwoProcessesThatReadOneListStoreItOnce(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 50, apple.Devices{})
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := w.enroll.SyncToken(t.Context(), token, false); err != nil && fault.KindOf(err) != fault.Upstream {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.sync()
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
		wantList(t, "what is told of a device", w.events("device:"+w.state(s[0]).DeviceID), "device.add")
	})
}

func TestAProfileThatAppleForgotIsDefinedAgain(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		w.school.Order("Ranzen", 2, apple.Devices{})
		w.sync()
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		w.settle()
		w.school.ForgetProfiles()
		s := w.school.Order("Ranzen", 1, apple.Devices{})
		w.sync()
		w.assign()
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
		if n := w.school.Counts().Defined; n != 2 {
			t.Errorf("%d defined, want 2", n)
		}
	})
}

func TestAKillBetweenDefineAndStoreLeavesOneProfileBehind(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 2, apple.Devices{})
		w.sync()
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		w.assign()
		w.do(func(tx *sqldb.Tx) error { // as if the process had died before it stored Apple's answers
			if _, err := tx.Exec(t.Context(), `DELETE FROM ade_profile_uuids`); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), `UPDATE ade_devices SET wanted_uuid = '', result = '', asked_at = NULL, retry_at = NULL, attempts = 0`)
			return err
		})
		w.reopen(nil).settle()
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
		if n := w.school.Counts().Defined; n != 2 {
			t.Errorf("%d defined, want 2: one is left behind", n)
		}
	})
}

func TestAnExchangedDeviceNamesTheOneItReplaces(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		old := w.school.Order("Ranzen", 1, apple.Devices{})[0]
		fresh := w.school.Order("Ranzen", 1, apple.Devices{Replaces: old})[0]
		w.sync()
		if got := w.state(fresh).Replaces; got != old {
			t.Errorf("it replaces %q, want %q", got, old)
		}
		w.school.Touch(fresh)
		w.sync()
		if got := w.state(fresh).Replaces; got != old {
			t.Errorf("it replaces %q after an event, want %q", got, old)
		}
	})
}

// A year with an Apple that is as awkward as it can be: what stands here at the
// end is what stands there.
func TestAYearOfOddPagesEndsAtApplesTruth(t *testing.T) {
	faults := apple.SchoolFaults{Broken: 0.15, Throttled: 0.1, Failed: 0.1, Doubled: 0.2, Shuffled: 0.5, RetryAfter: time.Minute, Delay: time.Millisecond}
	for _, seed := range []uint64{1} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			eachTown(t, apple.SchoolOptions{Seed: seed, Skew: 90 * time.Second, Faults: faults}, func(t *testing.T, w *town) {
				r := rand.New(rand.NewPCG(seed, 1))
				servers := []string{w.mustServer("Musterdorf", "A"), w.mustServer("Musterdorf", "B")}
				w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
				truth := map[string]string{} // by serial: its server
				var serials []string
				for day := range 365 {
					for range r.IntN(3) {
						w.clk.Forward(time.Duration(r.IntN(7200)) * time.Second)
						server := servers[r.IntN(2)]
						if len(serials) < 5 || r.IntN(4) == 0 && len(serials) < 150 {
							for _, s := range w.school.Order(server, 1+r.IntN(5), apple.Devices{}) {
								serials, truth[s] = append(serials, s), server
							}
							continue
						}
						s := serials[r.IntN(len(serials))]
						switch to := []string{"", server, server}[r.IntN(3)]; {
						case truth[s] != "" && r.IntN(2) == 0:
							w.school.Touch(s)
						case truth[s] != to:
							w.school.Move(s, to)
							truth[s] = to
						}
					}
					w.clk.Forward(time.Duration(6+r.IntN(18)) * time.Hour)
					if day == 200 {
						w.clk.Forward(9 * 24 * time.Hour) // the server was off
					}
					w.odd()
				}
				w.end(truth)
				if c := w.school.Counts(); len(truth) < 50 || c.Throttled == 0 || c.Failed == 0 || c.Fetches+c.Syncs < 365 {
					t.Errorf("the year was too quiet: %d devices, %+v", len(truth), c)
				}
			})
		})
	}
}

func (w *town) mustServer(org, name string) string {
	w.t.Helper()
	w.school.AddServer(org, name)
	file := w.p7m(tenant1, name)
	for range 20 { // Apple may be out of sorts just then
		if err := w.importing(tenant1, "", file); err == nil {
			return name
		} else if k := fault.KindOf(err); k != fault.Upstream && k != fault.Invalid {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("the token is not taken")
	return ""
}

// odd is a turn of both loops, which must not fail whatever Apple does.
func (w *town) odd() {
	w.t.Helper()
	if err := w.enroll.SyncADE(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.enroll.AssignADE(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if w.commandCount() != 0 {
		w.t.Fatal("something was ordered of a device")
	}
}

// end waits until what stands here is Apple's truth. What is missing in the
// lists is accepted, as a person would.
func (w *town) end(truth map[string]string) {
	w.t.Helper()
	wrong := []string{}
	for range 200 {
		w.clk.Forward(5 * time.Hour)
		w.odd()
		for _, id := range w.names {
			if w.standing(id).Missing > 0 {
				w.do(func(tx *sqldb.Tx) error {
					_, err := w.enroll.AcceptMissing(w.t.Context(), tx, admin, id)
					return err
				})
			}
		}
		if wrong = w.differs(truth); len(wrong) == 0 {
			return
		}
	}
	w.t.Errorf("%d differ from Apple: %v", len(wrong), wrong[:min(len(wrong), 5)])
}

func (w *town) differs(truth map[string]string) (wrong []string) {
	w.t.Helper()
	here := map[string]string{}
	for name, id := range w.names {
		for serial, s := range w.states(enroll.ADEFilter{TokenID: id}) {
			if s.Status == enroll.ADERemoved || s.Status == enroll.ADEMoved {
				continue
			}
			here[serial] += name
			uuid, _ := w.school.ProfileOf(serial)
			if s.Status != enroll.ADEConfirmed || uuid != s.WantedUUID {
				wrong = append(wrong, sprint(s))
			}
		}
	}
	for serial, server := range truth {
		if here[serial] != server {
			wrong = append(wrong, fmt.Sprintf("%s is at %q, here at %q", serial, server, here[serial]))
		}
	}
	return wrong
}
