package schools_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

func TestAScanTakesItsTextsInAnyOrder(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tags := s.tags(6)
		for i, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 1, 0}} {
			serial := "DMQX0000A" + string(rune('1'+i))
			slot := "SAT-K03-0" + string(rune('1'+i))
			texts := []string{" " + strings.ToLower(tags[i]) + "\n", "S" + serial, strings.ToLower(slot)}
			var some []string
			for n, j := range order {
				some = append(some, texts[j])
				res := s.mustScan(some...)
				if done := slices.Contains(order[:n+1], 0) && slices.Contains(order[:n+1], 1); res.Complete != done || (res.ScanID != "") != done || (res.WaitingFor == "") != done {
					t.Fatalf("%q: got %+v", some, res)
				}
			}
			res := s.mustScan(some...)
			if res.Tag != tags[i] || res.Serial != serial || res.Slot != slot {
				t.Errorf("%q: got %+v", some, res)
			}
			for n, j := range order {
				if want := []string{"tag", "serial", "slot"}[j]; res.Kinds[n] != want {
					t.Errorf("%q: text %d is %q, want %q", some, n, res.Kinds[n], want)
				}
			}
			d := s.get(res.DeviceID)
			if d.AssetTag != tags[i] || d.Name != slot || d.AssetState != schools.Inventoried || d.CartID != s.k03.ID || d.Slot != i+1 ||
				d.SiteID != s.site.ID || d.DeliveryID != s.delivery.ID || d.Funding != "Land" || d.BindingUntil != "2030-07-31" || d.OrderNo != "4711" || d.TenantID != tenant {
				t.Errorf("%q: the device is %+v", some, d)
			}
		}
	})
}

func TestTheSameScanAgainIsFine(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tag := s.tags(1)[0]
		first := s.mustScan(tag, "DMQX0000A1", "K03/2")
		again := s.mustScan("DMQX0000A1", tag, "SAT-K03-02")
		if !again.Complete || again.ScanID != first.ScanID || again.DeviceID != first.DeviceID {
			t.Errorf("got %+v, want the scan %s", again, first.ScanID)
		}
		wantList(t, "warnings", warnings(again), "scan.duplicate")
		if again.Next != "SAT-K03-03" {
			t.Errorf("next is %q", again.Next)
		}
		wantList(t, "audit trail", s.events("device:"+first.DeviceID), "device.add", "device.state", "device.tag", "device.place", "device.scan")
	})
}

func TestWhatAScanRefusesChangesNothing(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tags := s.tags(3)
		foreign := s.foreign("DMQXFREMD1")
		s.mustScan(tags[0], "DMQX0000A1", "K03/1")
		wrong := tags[1][:len(tags[1])-1] + "*"
		long := strings.Repeat("A", 101)
		for _, test := range []struct {
			code  string
			texts []string
		}{
			{"scan.other-tenant", []string{foreign.Serial}},
			{"scan.other-tenant", []string{tags[1], "S" + foreign.Serial}},
			{"scan.tag-taken", []string{tags[0], "DMQX0000A2"}},
			{"scan.slot-taken", []string{tags[1], "DMQX0000A2", "SAT-K03-01"}},
			{"tag.check", []string{swapped(tags[1])}},
			{"tag.check", []string{wrong, "DMQX0000A2"}},
			{"tag.check", []string{"RV-26-00001"}},
			{"scan.two-tags", []string{tags[1], tags[2]}},
			{"scan.two-serials", []string{"DMQX0000A2", "DMQX0000A3"}},
			{"scan.two-slots", []string{"K03/2", "SAT-K03-03"}},
			{"scan.slot-unknown", []string{"SAT-K03-05"}},
			{"scan.slot-unknown", []string{"SAT-K03-00"}},
			{"scan.slot-unknown", []string{"SAT-K99-01"}},
			{"scan.slot-unknown", []string{"K99/1"}},
			{"scan.text", []string{long}},
			{"scan.text", []string{"a\x00b"}},
			{"scan.text", []string{"\xff"}},
			{"scan.texts", make([]string, 9)},
		} {
			_, err := s.scan(test.texts...)
			wantCode(t, err, test.code)
		}
		if d := s.get(foreign.ID); d != foreign {
			t.Errorf("the foreign device became %+v", d)
		}
		if _, err := s.room.Find(t.Context(), s.db, "DMQX0000A2"); err == nil {
			t.Error("a refused scan made a device")
		}
		// A refusal says who is there, and of another tenant nothing.
		_, err := s.scan(tags[1], "DMQX0000A2", "SAT-K03-01")
		if !strings.Contains(err.Error(), tags[0]) {
			t.Errorf("%v does not name %s", err, tags[0])
		}
		if _, err := s.scan(foreign.Serial); strings.Contains(strings.ToLower(err.Error()), "'other'") {
			t.Errorf("%v tells whose it is", err)
		}
	})
}

// swapped exchanges two different neighbours of a tag of ours.
func swapped(tag string) string {
	for i := range len(tag) - 1 {
		if tag[i] != tag[i+1] && tag[i] != '-' && tag[i+1] != '-' && tag[i] <= '9' && tag[i+1] <= '9' {
			return tag[:i] + tag[i+1:i+2] + tag[i:i+1] + tag[i+2:]
		}
	}
	return tag
}

func TestAClosedDeliveryTakesNoScan(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		s.mustScan(s.tags(1)[0], "DMQX0000A1")
		closed := "closed"
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			return s.room.SetDelivery(ctx, tx, admin, s.delivery.ID, schools.DeliveryChange{State: &closed})
		})
		_, err := s.scan("DMQX0000A1")
		wantCode(t, err, "delivery.closed")
		_, err = s.undo("")
		wantCode(t, err, "delivery.closed")
	})
}

func TestAnUndoneScanLeavesNothingBehind(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		d := s.device("DMQX0000A1")
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE devices SET asset_state = 'ordered', state_at = 7 WHERE id = ?`, d.ID)
			return err
		})
		before := s.get(d.ID)
		tags := s.tags(2)
		s.mustScan(tags[0], d.Serial, "K03/1")
		id, err := s.undo("")
		if err != nil || id != d.ID {
			t.Fatalf("got %q, %v", id, err)
		}
		if after := s.get(d.ID); after != before {
			t.Errorf("got  %+v\nwant %+v", after, before)
		}
		var rows int
		if err := s.db.Get(t.Context(), &rows, `SELECT COUNT(*) FROM delivery_serials`); err != nil || rows != 0 {
			t.Errorf("%d serial numbers left, %v", rows, err)
		}
		_, err = s.undo("")
		wantCode(t, err, "scan.none")
		// The same again, undone in the reverse order.
		one := s.mustScan(tags[0], d.Serial, "K03/1")
		between := s.get(d.ID)
		two := s.mustScan(tags[1], d.Serial, "K03/2")
		wantList(t, "warnings", warnings(two), "scan.retagged", "scan.moved")
		_, err = s.undo(one.ScanID)
		wantCode(t, err, "scan.moved-on")
		if _, err := s.undo(two.ScanID); err != nil {
			t.Fatal(err)
		}
		if after := s.get(d.ID); after != between {
			t.Errorf("got  %+v\nwant %+v", after, between)
		}
		_, err = s.undo(two.ScanID)
		wantCode(t, err, "scan.undone")
		if _, err := s.undo(""); err != nil {
			t.Error(err)
		}
		if after := s.get(d.ID); after != before {
			t.Errorf("got  %+v\nwant %+v", after, before)
		}
	})
}

func TestAScanIsNotUndoneOverWhatCameAfter(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tags := s.tags(4)
		half := 0.9
		for i, change := range []func(id string) error{
			func(id string) error {
				return s.move(id, schools.Ready, schools.Evidence{Enrolled: true, Converged: true, Battery: &half})
			},
			func(id string) error { return s.put(id, schools.Position{CartID: s.k01.ID, Slot: 4}) },
			func(id string) error {
				return s.try(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.SetTag(ctx, tx, admin, id, "OLD-1") })
			},
		} {
			res := s.mustScan(tags[i], "DMQX0000B"+string(rune('1'+i)), "K03/"+string(rune('1'+i)))
			if err := change(res.DeviceID); err != nil {
				t.Fatal(err)
			}
			before := s.get(res.DeviceID)
			_, err := s.undo(res.ScanID)
			wantCode(t, err, "scan.moved-on")
			if after := s.get(res.DeviceID); after != before {
				t.Errorf("a refused undo made of %+v\n%+v", before, after)
			}
		}
	})
}

func TestEachUndoesTheirOwnScan(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tags := s.tags(2)
		mine := s.mustScan(tags[0], "DMQX0000A1", "K03/1")
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := s.room.Scan(ctx, tx, "user:other", s.delivery.ID, []string{tags[1], "DMQX0000A2", "K03/2"})
			return err
		})
		if id, err := s.undo(""); err != nil || id != mine.DeviceID {
			t.Errorf("got %q, %v, want %q", id, err, mine.DeviceID)
		}
		_, err := s.undo("")
		wantCode(t, err, "scan.none")
		if d := s.get("DMQX0000A2"); d.AssetTag != tags[1] || d.Slot != 2 {
			t.Errorf("the other's scan became %+v", d)
		}
	})
}

func TestANameOfBeforeTheScanComesBack(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		d := s.device("DMQX0000A1")
		s.do(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.Rename(ctx, tx, admin, d.ID, "Beamer") })
		if res := s.mustScan(s.tags(1)[0], d.Serial, "K03/1"); s.get(d.ID).Name != "SAT-K03-01" {
			t.Errorf("got %+v", res)
		}
		if _, err := s.undo(""); err != nil {
			t.Fatal(err)
		}
		if got := s.get(d.ID); got.Name != "Beamer" || got.Slot != 0 || got.AssetTag != "" {
			t.Errorf("got %+v", got)
		}
		// A name that was given after the scan is somebody's wish.
		s.mustScan(s.tags(1)[0], d.Serial, "K03/1")
		s.do(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.Rename(ctx, tx, admin, d.ID, "Pult") })
		_, err := s.undo("")
		wantCode(t, err, "scan.moved-on")
	})
}

func TestACancelledDeliveryIsOver(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		set := func(state string) error {
			return s.try(func(ctx context.Context, tx *sqldb.Tx) error {
				return s.room.SetDelivery(ctx, tx, admin, s.delivery.ID, schools.DeliveryChange{State: &state})
			})
		}
		for _, state := range []string{"closed", "open", "cancelled"} {
			if err := set(state); err != nil {
				t.Errorf("%s: %v", state, err)
			}
		}
		wantCode(t, set("open"), "delivery.cancelled")
		wantCode(t, set("lost"), "delivery.state")
	})
}

func TestAScanStandsOnTheOneBefore(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tag := s.tags(1)[0]
		one := s.mustScan(tag, "DMQX0000A1")
		s.mustScan(tag, "DMQX0000A1", "K03/1")
		_, err := s.undo(one.ScanID)
		wantCode(t, err, "scan.moved-on")
		for range 2 {
			if _, err := s.undo(""); err != nil {
				t.Fatal(err)
			}
		}
		if d := s.get(one.DeviceID); d.AssetTag != "" || d.Slot != 0 || d.AssetState != schools.Delivered {
			t.Errorf("got %+v", d)
		}
	})
}

func TestWhatBearsItsTagAlreadyIsScannedAllTheSame(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		d, tag := s.device("DMQX0000A1"), s.tags(1)[0]
		s.do(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.SetTag(ctx, tx, admin, d.ID, tag) })
		res := s.mustScan(tag, d.Serial)
		var scanned int
		err := s.db.Get(t.Context(), &scanned, `SELECT COUNT(*) FROM delivery_serials WHERE serial = ? AND scanned_at IS NOT NULL`, d.Serial)
		if err != nil || scanned != 1 || res.ScanID == "" || len(res.Warnings) != 0 {
			t.Errorf("%d scanned, %v, got %+v", scanned, err, res)
		}
	})
}
