package enroll_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

func (w *world) erase(e enroll.Enrollment, spec enroll.EraseSpec) (string, error) {
	w.t.Helper()
	return w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		return w.enroll.Erase(ctx, tx, admin, e.DeviceID, spec)
	})
}

func (w *world) mustErase(e enroll.Enrollment, spec enroll.EraseSpec) string {
	w.t.Helper()
	if spec.Reason == "" {
		spec.Reason = "handed back"
	}
	id, err := w.erase(e, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

var wifi = []byte(`<plist><dict><key>PayloadType</key><string>Configuration</string></dict></plist>`)

func TestAnAcknowledgedEraseEndsALife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		w.mustOrder(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Restart(ctx, tx, admin, e.DeviceID)
		})
		id := w.mustErase(e, enroll.EraseSpec{PreserveDataPlan: true})
		h := d.idle()
		body := carried(t, h)
		if h.ID != id || h.RequestType != "EraseDevice" || body["PreserveDataPlan"] != true || body["ReturnToService"] != nil {
			t.Errorf("first handed over: %s %v", h.RequestType, body)
		}
		d.report("Acknowledged", id, "")
		got := d.enrollment()
		if got.State != enroll.Erased || !got.EndedAt.Equal(monday()) || d.state() != certs.Retired {
			t.Errorf("got %+v, certificate %s", got, d.state())
		}
		wantList(t, "waiting", w.open(e))
		if state, _ := w.commandState(id); state != "done" {
			t.Errorf("the erase is %s", state)
		}
		trail := w.events("device:" + e.DeviceID)
		for _, want := range []string{"order.device.erase", "erase.acknowledge", "enrollment.end"} {
			if !slices.Contains(trail, want) {
				t.Errorf("the audit trail lacks %s: %v", want, trail)
			}
		}
		_, err := w.erase(e, enroll.EraseSpec{Reason: "again"})
		wantCode(t, err, "device.not-enrolled")
	})
}

func TestAnEraseWithoutAnAnswerIsProvenByTheNextLife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		id := w.mustErase(e, enroll.EraseSpec{})
		d.idle() // handed over, and never heard of again
		d.enrolls(w.link(enroll.LinkSpec{}))
		if state, reason := w.commandState(id); state != "done" {
			t.Errorf("the erase is %s: %s", state, reason)
		}
		if trail := w.events("device:" + e.DeviceID); !slices.Contains(trail, "erase.proven") {
			t.Errorf("the audit trail has %v", trail)
		}
		if got := d.works(nil); slices.Contains(got, "device.erase") {
			t.Errorf("the next life was erased too: %v", got)
		}
	})
}

func TestAnEraseIsHandedOutOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		id := w.mustErase(e, enroll.EraseSpec{})
		_, err := w.erase(e, enroll.EraseSpec{Reason: "and again"})
		wantCode(t, err, "command.open")
		if h := d.idle(); h == nil || h.ID != id {
			t.Fatalf("got %+v", h)
		}
		for range 3 {
			if h := d.idle(); h != nil && h.Kind == "device.erase" {
				t.Fatal("handed out twice")
			}
		}
		if state, _ := w.commandState(id); state != "uncertain" {
			t.Errorf("the erase is %s", state)
		}
	})
}

func TestARefusedEraseLeavesTheTabletAsItWas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		id := w.mustErase(e, enroll.EraseSpec{ReturnToService: true, WiFiProfile: wifi})
		d.works(answers{"device.erase": "Error|" + errorChain(12, "MCMDMErrorDomain", "Activation Lock is on.")})
		if got := d.enrollment(); got.State != enroll.Enrolled || d.state() != certs.Pinned {
			t.Errorf("got %+v, certificate %s", got, d.state())
		}
		if state, reason := w.commandState(id); state != "failed" || !strings.Contains(reason, "Activation Lock") {
			t.Errorf("%s: %s", state, reason)
		}
		if n := w.wifiKept(); n != 0 {
			t.Error("the Wi-Fi password is still kept")
		}
	})
}

func (w *world) wifiKept() (n int) {
	w.t.Helper()
	if err := w.db.Get(w.t.Context(), &n, `SELECT COUNT(*) FROM enrollments WHERE return_wifi IS NOT NULL`); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestACancelledEraseKeepsNoWiFiPassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		id := w.mustErase(e, enroll.EraseSpec{ReturnToService: true, WiFiProfile: wifi})
		if n := w.wifiKept(); n != 1 {
			t.Fatalf("%d kept", n)
		}
		w.do(func(tx *sqldb.Tx) error { return w.queue.Cancel(t.Context(), tx, admin, id) }) // pain 8
		if n := w.wifiKept(); n != 0 {
			t.Error("the Wi-Fi password is still kept")
		}
		if got := d.works(nil); slices.Contains(got, "device.erase") {
			t.Errorf("handed over: %v", got)
		}
	})
}

func TestWhatAnEraseNeeds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, e := supervisedTablet(w, 1)
		old, oldE := w.enrolled(2)
		old.works(answers{"device.information": information(`<key>OSVersion</key><string>16.7.11</string>`)})
		for _, tt := range []struct {
			e    enroll.Enrollment
			spec enroll.EraseSpec
			code string
		}{
			{e, enroll.EraseSpec{}, "erase.reason"},
			{e, enroll.EraseSpec{Reason: " \n"}, "erase.reason"},
			{e, enroll.EraseSpec{Reason: "a\x00"}, "text.characters"},
			{e, enroll.EraseSpec{Reason: strings.Repeat("x", 501)}, "text.long"},
			{e, enroll.EraseSpec{Reason: "x", ReturnToService: true}, "erase.wifi"},
			{oldE, enroll.EraseSpec{Reason: "x", ReturnToService: true, WiFiProfile: wifi}, "erase.os-version"},
		} {
			_, err := w.erase(tt.e, tt.spec)
			wantCode(t, err, tt.code)
		}
		if n := w.wifiKept(); n != 0 {
			t.Errorf("%d Wi-Fi profiles are kept for erases that were refused", n)
		}
	})
}

func TestATabletReturnsToService(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		d.must(&mdm.CheckIn{MessageType: "SetBootstrapToken", BootstrapToken: []byte("bootstrap")})
		id := w.mustErase(e, enroll.EraseSpec{ReturnToService: true, WiFiProfile: wifi})
		h := d.idle()
		back, _ := carried(t, h)["ReturnToService"].(map[string]any)
		if back["Enabled"] != true || string(back["WiFiProfileData"].([]byte)) != string(wifi) || string(back["BootstrapToken"].([]byte)) != "bootstrap" {
			t.Fatalf("got %v", back)
		}
		profile := back["MDMProfileData"].([]byte)
		d.report("Acknowledged", id, "")
		if d.enrollment().State != enroll.Erased || w.wifiKept() != 0 {
			t.Errorf("got %+v", d.enrollment())
		}
		t.Run("the profile enrolls no other tablet", func(t *testing.T) {
			thief := w.tablet(9)
			thief.install(profile)
			_, err := thief.send(thief.authenticate())
			wantCode(t, err, "checkin.other-device")
		})
	})
	t.Run("and by itself", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			d, e := supervisedTablet(w, 1)
			id := w.mustErase(e, enroll.EraseSpec{ReturnToService: true, WiFiProfile: wifi})
			profile := carried(t, d.idle())["ReturnToService"].(map[string]any)["MDMProfileData"].([]byte)
			d.report("Acknowledged", id, "")
			w.clk.Forward(48 * time.Hour) // the school's Wi-Fi is off at the weekend
			d.install(profile)
			d.must(d.authenticate())
			d.must(d.tokenUpdate())
			if got := d.enrollment(); got.ID != e.ID || got.Generation != e.Generation+1 || got.State != enroll.Enrolled {
				t.Errorf("got %+v", got)
			}
			t.Run("the same profile a second time yields nothing", func(t *testing.T) {
				if _, err := w.scep(w.read(profile).challenge(t)); err == nil {
					w.clk.Forward(time.Hour)
				}
				if _, err := w.scep(w.read(profile).challenge(t)); err == nil {
					t.Error("the CA issued a certificate")
				}
			})
		})
	})
}

func TestATabletThatAsksForReturnToServiceGetsItIfOrdered(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		w.mustErase(e, enroll.EraseSpec{ReturnToService: true, WiFiProfile: wifi})
		var got struct {
			ReturnToService struct {
				Enabled                         bool
				WiFiProfileData, MDMProfileData []byte
			}
		}
		if err := mdm.Decode(d.must(&mdm.CheckIn{MessageType: "ReturnToService"}), &got); err != nil {
			t.Fatal(err)
		}
		r := got.ReturnToService
		if !r.Enabled || string(r.WiFiProfileData) != string(wifi) || w.read(r.MDMProfileData).PayloadIdentifier != "ranzen.enrollment" {
			t.Errorf("got %+v", r)
		}
		t.Run("and loses it when it checks out", func(t *testing.T) {
			d.must(d.checkOut())
			if _, err := w.scep(w.read(r.MDMProfileData).challenge(t)); err == nil {
				t.Error("the CA issued a certificate")
			}
		})
	})
}

func TestManagementEndsOnAnAdministratorsOrderOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		unmanaged := func() { w.do(func(tx *sqldb.Tx) error { return w.enroll.Unmanaged(t.Context(), tx, e.ID) }) }
		unmanaged() // nobody ordered it
		if d.enrollment().State != enroll.Enrolled {
			t.Fatal("it ended without an order")
		}
		order := func(reason string) error {
			return w.try(func(tx *sqldb.Tx) error { return w.enroll.Unmanage(t.Context(), tx, admin, e.DeviceID, reason) })
		}
		wantCode(t, order(" "), "unmanage.reason")
		for range 2 {
			if err := order("sold to its pupil"); err != nil {
				t.Fatal(err)
			}
		}
		got := d.enrollment()
		if got.State != enroll.Enrolled || !got.UnmanageAt.Equal(monday()) {
			t.Errorf("before it heard: %+v", got)
		}
		_, err := w.order(func(ctx context.Context, tx *sqldb.Tx) (string, error) {
			return w.enroll.Refresh(ctx, tx, admin, e.DeviceID)
		})
		wantCode(t, err, "device.leaving")
		for range 2 {
			unmanaged()
		}
		got = d.enrollment()
		if got.State != enroll.Unenrolled || got.UnmanageAt.IsZero() || d.state() != certs.Retired {
			t.Errorf("after it heard: %+v, certificate %s", got, d.state())
		}
		wantList(t, "waiting", w.open(e))
		wantCode(t, order("again"), "device.not-enrolled")
		if now := d.enrolls(w.link(enroll.LinkSpec{})); !now.UnmanageAt.IsZero() || now.State != enroll.Enrolled {
			t.Errorf("enrolled again: %+v", now)
		}
		trail := w.events("device:" + e.DeviceID)
		if n := len(trail) - len(without(trail, "unmanage.order")); n != 1 {
			t.Errorf("ordered %d times: %v", n, trail)
		}
	})
}
