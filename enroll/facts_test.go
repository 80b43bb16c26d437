package enroll_test

import (
	"slices"
	"testing"

	"ranzen/enroll"
	"ranzen/internal/sqldb"
)

func TestFacts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := supervisedTablet(w, 1)
		_, other := plainTablet(w, 2)
		w.do(func(tx *sqldb.Tx) error { return w.schools.Rename(t.Context(), tx, admin, e.DeviceID, "7-031") })
		facts, err := w.enroll.Facts(t.Context(), w.db, []string{e.ID, other.ID, e.ID, "nobody"})
		if err != nil || len(facts) != 2 {
			t.Fatalf("got %+v, %v", facts, err)
		}
		f := facts[e.ID]
		want := enroll.Facts{
			EnrollmentID: e.ID, DeviceID: e.DeviceID, UDID: d.udid, Serial: d.serial, Name: "7-031", OSVersion: "18.6", Model: "iPad13,18",
			Supervised: f.Supervised, State: enroll.Enrolled, Generation: 1,
		}
		if f != want || f.Supervised == nil || !*f.Supervised || *facts[other.ID].Supervised {
			t.Errorf("got %+v, want %+v", f, want)
		}
	})
}

func TestWhoIsActiveInAScope(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, a := plainTablet(w, 1)
		_, b := plainTablet(w, 2)
		gone, c := plainTablet(w, 3)
		gone.must(gone.checkOut())
		half := w.tablet(4)
		half.fetch(w.link(enroll.LinkSpec{}))
		half.must(half.authenticate())
		var group string
		w.do(func(tx *sqldb.Tx) error {
			g, err := w.schools.CreateGroup(t.Context(), tx, admin, "", "3b")
			group = g.ID
			if err != nil {
				return err
			}
			return w.schools.AddToGroup(t.Context(), tx, admin, g.ID, b.DeviceID, c.DeviceID)
		})
		for _, tt := range []struct {
			kind, id string
			want     []string
			code     string
		}{
			{"all", "", []string{a.ID, b.ID}, ""},
			{"group", group, []string{b.ID}, ""},
			{"device", a.DeviceID, []string{a.ID}, ""},
			{"device", c.DeviceID, nil, ""},
			{"device", "nobody", nil, ""},
			{"group", "nobody", nil, "group.unknown"},
			{"class", "nobody", nil, ""},
			{"planet", "3b", nil, "scope.unknown"},
		} {
			got, err := w.enroll.ActiveIn(t.Context(), w.db, tt.kind, tt.id)
			wantCode(t, err, tt.code)
			slices.Sort(got)
			slices.Sort(tt.want)
			wantList(t, tt.kind+" "+tt.id, got, tt.want...)
		}
	})
}

func TestWhoMustEnrollAgainOnceThereIsAPushCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, e := plainTablet(w, 1)
		gone, _ := plainTablet(w, 2)
		gone.must(gone.checkOut())
		list, err := w.enroll.PlaceholderEnrollments(t.Context(), w.db)
		if err != nil || len(list) != 1 || list[0] != (enroll.Stranded{EnrollmentID: e.ID, DeviceID: e.DeviceID, Serial: d.serial}) {
			t.Fatalf("got %+v, %v", list, err)
		}
		placeholder := d.topic()
		topic := w.importPush()
		t.Run("it polls on, since it has no other topic", func(t *testing.T) {
			m := d.tokenUpdate()
			m.Topic = placeholder
			d.must(m)
			if got := d.enrollment(); !got.Placeholder || got.Topic != placeholder {
				t.Errorf("got %+v", got)
			}
		})
		t.Run("its renewal has the topic it knows", func(t *testing.T) {
			for _, p := range w.read(w.renewal(d)).PayloadContent {
				if p.PayloadType == "com.apple.mdm" && p.Topic != placeholder {
					t.Errorf("got %s", p.Topic)
				}
			}
		})
		t.Run("a profile fetched before the import enrolls nobody", func(t *testing.T) {
			late := w.tablet(3)
			late.fetch(w.link(enroll.LinkSpec{}))
			m := late.authenticate()
			m.Topic = placeholder
			_, err := late.send(m)
			wantCode(t, err, "checkin.topic")
		})
		if now := d.enrolls(w.link(enroll.LinkSpec{})); now.Placeholder || now.Topic != topic {
			t.Errorf("enrolled again: %+v", now)
		}
		if list, err := w.enroll.PlaceholderEnrollments(t.Context(), w.db); err != nil || len(list) != 0 {
			t.Errorf("got %+v, %v", list, err)
		}
		if l := w.link(enroll.LinkSpec{}); l.Warning != "" {
			t.Errorf("still warned: %s", l.Warning)
		}
	})
}
