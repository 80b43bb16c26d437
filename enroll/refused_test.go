package enroll_test

import (
	"slices"
	"strings"
	"testing"

	"ranzen/enroll"
	"ranzen/internal/mdm"
)

func TestWhoIsRefusedAtTheDoor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := w.enrolled(1)
		other, otherE := w.enrolled(2)
		tests := []struct {
			name string
			do   func() error
			code string
		}{
			{"another device with a pinned identity, from a backup of the first", func() error {
				thief := w.tablet(3)
				thief.hash = d.hash
				_, err := thief.send(thief.authenticate())
				return err
			}, "checkin.other-device"},
			{"another enrolled device with it", func() error {
				m := other.authenticate()
				_, err := (&tablet{w: w, udid: other.udid, hash: d.hash}).send(m)
				return err
			}, "checkin.other-device"},
			{"the right UDID with another serial number", func() error {
				m := d.authenticate()
				m.SerialNumber = other.serial
				_, err := d.send(m)
				return err
			}, "checkin.other-device"},
			{"a serial number that another live device has", func() error {
				thief := w.tablet(3)
				thief.serial = d.serial
				thief.fetch(w.link(enroll.LinkSpec{}))
				_, err := thief.send(thief.authenticate())
				return err
			}, "enroll.duplicate-serial"},
			{"no serial number", func() error {
				x := w.tablet(4)
				x.fetch(w.link(enroll.LinkSpec{}))
				m := x.authenticate()
				m.SerialNumber = ""
				_, err := x.send(m)
				return err
			}, "device.serial"},
			{"a push topic of somebody else at Authenticate", func() error {
				x := w.tablet(4)
				x.fetch(w.link(enroll.LinkSpec{}))
				m := x.authenticate()
				m.Topic = "com.apple.mgmt.External.00000000-0000-0000-0000-000000000000"
				_, err := x.send(m)
				return err
			}, "checkin.topic"},
			{"a push topic of somebody else at TokenUpdate", func() error {
				m := d.tokenUpdate()
				m.Topic = "com.apple.mgmt.External.00000000-0000-0000-0000-000000000000"
				_, err := d.send(m)
				return err
			}, "checkin.topic"},
			{"a TokenUpdate before any Authenticate", func() error {
				x := w.tablet(4)
				x.fetch(w.link(enroll.LinkSpec{}))
				_, err := x.send(x.tokenUpdate())
				return err
			}, "checkin.not-enrolled"},
			{"a TokenUpdate for another device", func() error {
				m := d.tokenUpdate()
				m.UDID = other.udid
				_, err := d.send(m)
				return err
			}, "checkin.other-device"},
			{"a TokenUpdate without a token", func() error {
				m := d.tokenUpdate()
				m.Token = nil
				_, err := d.send(m)
				return err
			}, "checkin.token"},
			{"a message without a UDID", func() error {
				m := d.tokenUpdate()
				m.UDID = strings.Repeat("x", 200)
				_, err := d.send(m)
				return err
			}, "checkin.udid"},
			{"a message type nobody knows", func() error {
				_, err := d.send(&mdm.CheckIn{MessageType: "Greeting"})
				return err
			}, "checkin.unknown"},
			{"GetToken, which we do not offer", func() error {
				_, err := d.send(&mdm.CheckIn{MessageType: "GetToken"})
				return err
			}, "checkin.get-token"},
			{"a user of a Shared iPad", func() error {
				_, err := d.send(&mdm.CheckIn{MessageType: "UserAuthenticate", UserID: "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"})
				return err
			}, "checkin.gone"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				wantCode(t, tt.do(), tt.code)
				for x, before := range map[*tablet]enroll.Enrollment{d: e, other: otherE} {
					if now := x.enrollment(); now.Generation != before.Generation || now.State != enroll.Enrolled || now.DeviceID != before.DeviceID {
						t.Errorf("the refusal changed %+v to %+v", before, now)
					}
				}
			})
		}
		t.Run("people hear of it, though the message left no trace of its own", func(t *testing.T) {
			if err := w.enroll.FlushSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.events("device:" + e.DeviceID); !slices.Contains(got, "enrollment.refuse") {
				t.Errorf("the audit trail has %v", got)
			}
		})
	})
}

func TestRareMessages(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, _ := w.enrolled(1)
		t.Run("a bootstrap token is given back as it came", func(t *testing.T) {
			if reply := d.must(&mdm.CheckIn{MessageType: "GetBootstrapToken"}); reply != nil {
				t.Errorf("none is stored, got %q", reply)
			}
			d.must(&mdm.CheckIn{MessageType: "SetBootstrapToken", BootstrapToken: []byte("boot\x00strap")})
			reply := d.must(&mdm.CheckIn{MessageType: "GetBootstrapToken"})
			var got struct{ BootstrapToken []byte }
			if err := mdm.Decode(reply, &got); err != nil || string(got.BootstrapToken) != "boot\x00strap" {
				t.Errorf("got %q, %v", got.BootstrapToken, err)
			}
			d.must(&mdm.CheckIn{MessageType: "SetBootstrapToken"})
			if reply := d.must(&mdm.CheckIn{MessageType: "GetBootstrapToken"}); reply != nil {
				t.Errorf("taken back, got %q", reply)
			}
		})
		t.Run("return to service is not wanted", func(t *testing.T) {
			var got struct{ ReturnToService map[string]any }
			reply := d.must(&mdm.CheckIn{MessageType: "ReturnToService"})
			if err := mdm.Decode(reply, &got); err != nil || len(got.ReturnToService) != 1 || got.ReturnToService["Enabled"] != false {
				t.Errorf("got %v, %v", got, err)
			}
		})
		for _, tt := range []struct{ endpoint, want, code string }{
			{"tokens", `{"SyncTokens":{"DeclarationsToken":"ranzen-0","Timestamp":"2026-01-01T00:00:00Z"}}`, ""},
			{"declaration-items", `{"Declarations":{"Activations":[],"Assets":[],"Configurations":[],"Management":[]},"DeclarationsToken":"ranzen-0"}`, ""},
			{"status", "", ""},
			{"declaration/configuration/x", "", "ddm.unknown"},
			{"declaration", "", "ddm.endpoint"},
			{"", "", "ddm.endpoint"},
		} {
			t.Run("nothing is declared at "+tt.endpoint, func(t *testing.T) {
				got, err := d.send(&mdm.CheckIn{MessageType: "DeclarativeManagement", Endpoint: tt.endpoint})
				wantCode(t, err, tt.code)
				if string(got) != tt.want {
					t.Errorf("got %s", got)
				}
			})
		}
	})
}
