package enroll_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

func TestWhatATabletTellsIsKeptWithItsAge(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		w.clk.Forward(time.Minute)
		d.works(answers{
			"device.information": information(unsupervised + `<key>OSVersion</key><string>26.1</string><key>BuildVersion</key><string>23B85</string>
				<key>ProductName</key><string>iPad14,3</string><key>BatteryLevel</key><real>0.83</real><key>DeviceCapacity</key><real>64</real>
				<key>LastCloudBackupDate</key><date>2026-09-01T10:00:00Z</date><key>CellularTechnology</key><integer>0</integer>
				<key>IMEI</key><string>990000862471854</string><key>DeviceName</key><string>iPad von Lena Beispiel</string>
				<key>ITunesStoreAccountHash</key><string>abc</string><key>WiFiMAC</key><string>aa:bb</string>
				<key>UDID</key><string>` + d.udid + `</string><key>SerialNumber</key><string>` + d.serial + `</string>`),
			"device.security": `<key>SecurityInfo</key><dict><key>PasscodePresent</key><true/><key>HardwareEncryptionCaps</key><integer>3</integer>
				<key>FDE_PersonalRecoveryKeyCMS</key><data>c2VjcmV0</data><key>ManagementStatus</key><dict><key>EnrolledViaDEP</key><false/></dict></dict>`,
			"device.certificates": `<key>CertificateList</key><array><dict><key>CommonName</key><string>Device identity</string><key>Data</key><data>YWJj</data><key>IsIdentity</key><true/></dict></array>`,
		})
		var info map[string]any
		if err := json.Unmarshal([]byte(w.inventory(e, "device.information")), &info); err != nil {
			t.Fatal(err)
		}
		if info["BatteryLevel"] != 0.83 || info["LastCloudBackupDate"] != "2026-09-01T10:00:00Z" || info["OSVersion"] != "26.1" {
			t.Errorf("got %v", info)
		}
		for _, key := range []string{"IMEI", "DeviceName", "ITunesStoreAccountHash", "NameAsWished"} {
			if _, kept := info[key]; kept {
				t.Errorf("%s is kept", key)
			}
		}
		if s := w.inventory(e, "device.security"); !strings.Contains(s, `"PasscodePresent":true`) || !strings.Contains(s, `"EnrolledViaDEP":false`) || strings.Contains(s, "FDE") {
			t.Errorf("got %s", s)
		}
		if s := w.inventory(e, "device.certificates"); !strings.Contains(s, `"CommonName":"Device identity"`) || !strings.Contains(s, `"Count":1`) || !strings.Contains(s, "ba7816bf") {
			t.Errorf("got %s", s)
		}
		got := d.enrollment()
		if got.OSVersion != "26.1" || got.BuildVersion != "23B85" || got.Model != "iPad14,3" || got.Supervised == nil || *got.Supervised {
			t.Errorf("got %+v", got)
		}
		var ages []int64
		if err := w.db.Select(t.Context(), &ages, `SELECT observed_at FROM inventory WHERE generation = ?`, e.Generation); err != nil {
			t.Fatal(err)
		}
		for _, at := range ages {
			if at != w.clk.Now().UnixMilli() {
				t.Errorf("observed at %d, want %d", at, w.clk.Now().UnixMilli())
			}
		}
		if len(ages) != 3 {
			t.Errorf("%d kinds", len(ages))
		}
	})
}

func TestAnAnswerThatIsNoneChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		before := d.enrollment()
		kept := w.inventory(e, "device.information")
		for kind, inner := range map[string][]string{
			"device.information":  {``, `<key>QueryResponses</key><string>no</string>`, `<key>QueryResponses</key><array/>`},
			"device.security":     {``, `<key>SecurityInfo</key><integer>1</integer>`},
			"device.certificates": {``, `<key>CertificateList</key><string/>`},
		} {
			for _, answer := range inner {
				w.refresh(e)
				var id string
				for next := d.idle(); next != nil; {
					if next.Kind == kind {
						id = next.ID
						next = d.report("Acknowledged", next.ID, answer)
						continue
					}
					next = d.report("NotNow", next.ID, "")
				}
				if state, reason := w.commandState(id); state != "unreadable" {
					t.Errorf("%s %q: %s, %s", kind, answer, state, reason)
				}
			}
		}
		if now := d.enrollment(); now != before && (now.OSVersion != before.OSVersion || now.State != before.State) {
			t.Errorf("before %+v, now %+v", before, now)
		}
		if now := w.inventory(e, "device.information"); now != kept {
			t.Errorf("before %s, now %s", kept, now)
		}
	})
}

func (w *world) refresh(e enroll.Enrollment) {
	w.t.Helper()
	w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		return w.enroll.Refresh(ctx, tx, admin, e.DeviceID)
	})
}

func TestOddValuesInAnAnswerAreNoHarm(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		d.works(answers{"device.information": information(`<key>IsSupervised</key><string>yes</string><key>OSVersion</key><integer>18</integer>
			<key>BatteryLevel</key><dict><key>a</key><string>b</string></dict><key>DeviceCapacity</key><array/><key>ProductName</key><string></string>
			<key>AwaitingConfiguration</key><integer>1</integer><key>ModelName</key><data>AAAA</data><key>AvailableDeviceCapacity</key><real>nan</real>`)})
		got := d.enrollment()
		if got.Supervised != nil || got.OSVersion != "18.6" || got.Model != "iPad13,18" || got.Awaiting {
			t.Errorf("got %+v", got)
		}
		_ = w.inventory(e, "device.information")
	})
}

func TestATabletThatCallsItselfDifferentlyIsNotBelieved(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		d.works(answers{"device.information": information(`<key>SerialNumber</key><string>OTHER1</string><key>UDID</key><string>other</string>`)})
		if got := d.device(); got.Serial != d.serial || d.enrollment().UDID != d.udid {
			t.Errorf("got %+v", got)
		}
		if trail := w.events("device:" + e.DeviceID); !slices.Contains(trail, "inventory.other-identity") {
			t.Errorf("nobody hears of it: %v", trail)
		}
	})
}

func TestPlansAreMadeAnewWhenFactsChangeAndOnlyThen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		w.marks()
		ask := func(inner string) []string {
			w.refresh(e)
			d.works(answers{"device.information": information(inner)})
			return w.marks()
		}
		same := unsupervised + notLost + `<key>OSVersion</key><string>18.6</string>`
		wantList(t, "the same", ask(same+`<key>BatteryLevel</key><real>0.2</real>`))
		wantList(t, "another version", ask(unsupervised+notLost+`<key>OSVersion</key><string>26.0</string>`), e.ID)
		wantList(t, "supervised now", ask(isSupervised+notLost+`<key>OSVersion</key><string>26.0</string>`), e.ID)
		wantList(t, "nothing told", ask(``))
	})
}

func TestABypassCodeIsFetchedOnceForASupervisedTablet(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, _ := w.enrolled(1)
		got := d.works(answers{"device.information": information(isSupervised)})
		if !slices.Contains(got, "activation.bypass") || !d.enrollment().HasBypassCode {
			t.Errorf("asked %v", got)
		}
		w.refresh(d.enrollment())
		if got := d.works(answers{"device.information": information(isSupervised)}); slices.Contains(got, "activation.bypass") {
			t.Errorf("asked again: %v", got)
		}
		x, _ := w.enrolled(2)
		x.works(answers{"device.information": information(isSupervised), "activation.bypass": ``})
		if x.enrollment().HasBypassCode {
			t.Error("an empty code is kept")
		}
		p, _ := w.enrolled(3)
		if got := p.works(answers{"device.information": information(unsupervised)}); slices.Contains(got, "activation.bypass") {
			t.Errorf("an unsupervised one was asked: %v", got)
		}
	})
}

// What is asked does not pile up, and stands before nothing that a person orders.
func TestPain05InventoryIsAskedOnceADayOfTabletsThatAreHere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		here, hereE := plainTablet(w, 1)
		_, goneE := plainTablet(w, 2)
		leaving, leavingE := plainTablet(w, 3)
		w.do(func(tx *sqldb.Tx) error { return w.enroll.Unmanage(t.Context(), tx, admin, leavingE.DeviceID, "sold") })
		pass := func() {
			t.Helper()
			if err := w.enroll.QueueInventory(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		seen := func(ids ...string) {
			t.Helper()
			for _, id := range ids {
				w.enroll.Seen(id)
			}
			if err := w.enroll.FlushSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		seen(hereE.ID, goneE.ID, leavingE.ID)
		w.clk.Forward(23 * time.Hour)
		seen(hereE.ID)
		pass()
		wantList(t, "after 23 hours", w.open(hereE))
		w.clk.Forward(time.Hour + time.Millisecond)
		seen(hereE.ID, leavingE.ID)
		for range 30 {
			pass()
		}
		wantList(t, "after a day", w.open(hereE), "device.information", "device.security", "device.certificates")
		wantList(t, "one in a drawer", w.open(goneE))
		wantList(t, "one that leaves", w.open(leavingE), "device.information")
		here.works(nil)
		pass()
		wantList(t, "after it answered", w.open(hereE))
		for range 10 { // it is here each day and says nothing
			w.clk.Forward(25 * time.Hour)
			seen(hereE.ID)
			pass()
		}
		wantList(t, "after ten silent days", w.open(hereE), "device.information", "device.security", "device.certificates")
		w.mustErase(hereE, enroll.EraseSpec{})
		if got := here.works(nil); len(got) == 0 || got[0] != "device.erase" {
			t.Errorf("an erase stands behind what was asked before: %v", got)
		}
		_ = leaving
	})
}

func TestLastContactsAreWrittenTogetherAndNeverGoBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		last := func(id string) (at int64) {
			t.Helper()
			if err := w.db.Get(t.Context(), &at, `SELECT last_seen FROM contacts WHERE enrollment_id = ?`, id); err != nil {
				t.Fatal(err)
			}
			return at
		}
		flush := func(r *enroll.Room) {
			t.Helper()
			if err := r.FlushSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		const tablets = 1_300
		for i := range tablets {
			w.enroll.Seen(fmt.Sprint("e", i))
			w.enroll.Seen(fmt.Sprint("e", i))
		}
		flush(w.enroll)
		flush(w.enroll) // nothing to write
		var n int
		if err := w.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM contacts`); err != nil || n != tablets {
			t.Fatalf("%d contacts, %v", n, err)
		}
		other, err := enroll.New(w.deps) // another process, slower to flush
		if err != nil {
			t.Fatal(err)
		}
		other.Seen("e1")
		w.clk.Forward(time.Second)
		w.enroll.Seen("e1")
		flush(w.enroll)
		flush(other)
		if got := last("e1"); got != w.clk.Now().UnixMilli() {
			t.Errorf("last seen %d, want %d", got, w.clk.Now().UnixMilli())
		}
	})
}

func TestAFloodOfRefusedMessagesIsToldOnceAnHour(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		knock := func() {
			t.Helper()
			m := d.tokenUpdate()
			m.Topic = "com.apple.mgmt.External.somebody-else"
			if _, err := d.send(m); fault.KindOf(err) != fault.Invalid {
				t.Fatalf("got %v", err)
			}
		}
		told := func() (n int) {
			t.Helper()
			if err := w.enroll.FlushSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
			trail := w.events("device:" + e.DeviceID)
			return len(trail) - len(without(trail, "enrollment.refuse"))
		}
		for range 100 {
			knock()
		}
		if n := told(); n != 1 {
			t.Errorf("told %d times", n)
		}
		w.clk.Forward(time.Hour)
		knock()
		if n := told(); n != 2 {
			t.Errorf("told %d times", n)
		}
	})
}
