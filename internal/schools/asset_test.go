package schools_test

import (
	"context"
	"math"
	"testing"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Every pair of states with every mix of evidence, against the model of the walk.
func TestEveryMoveIsAllowedOrRefusedAsTheTableSays(t *testing.T) {
	since := time.Date(2026, 9, 7, 7, 45, 0, 0, time.UTC)
	half, less, nan := 0.5, 0.49, math.NaN()
	n := 0
	for _, from := range schools.States() {
		for _, to := range schools.States() {
			for _, battery := range []*float64{nil, &less, &half, &nan} {
				for bits := range 1 << 8 {
					on := func(i int) bool { return bits>>i&1 == 1 }
					ev := schools.Evidence{Enrolled: on(0), Converged: on(1), ErasePending: on(2), OpenCase: on(3), Confirmed: on(4), Battery: battery}
					if on(5) {
						ev.Police, ev.Receipt, ev.ReplacedBy = "ST/1", "Q-17", "DMQX0000B2"
					}
					ev.ErasedAt = since
					if on(6) {
						ev.ErasedAt = since.Add(time.Millisecond)
					}
					d := schools.Device{Serial: "DMQX0000A1", AssetState: from, StateAt: since, BindingUntil: "2026-12-06"}
					now := since.Add(90 * 24 * time.Hour) // 6 December
					if on(7) {
						now, d.BindingUntil = now.Add(-time.Millisecond), "2026-12-05"
					}
					want := may(d, string(to), ev, now)
					err := schools.CanMove(d, to, ev, now)
					if (err == nil) != want || err != nil && fault.CodeOf(err) == "" {
						t.Fatalf("%s to %s at %s with %+v: got %v, want allowed: %v", from, to, now, ev, err, want)
					}
					if err == nil {
						n++
					}
				}
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d moves are allowed at all", n)
	}
}

func TestARefusedMoveSaysWhy(t *testing.T) {
	since := time.Date(2026, 9, 7, 7, 45, 0, 0, time.UTC)
	full := 0.8
	ready := schools.Evidence{Enrolled: true, Converged: true, Battery: &full}
	with := func(change func(*schools.Evidence)) schools.Evidence {
		ev := ready
		change(&ev)
		return ev
	}
	for code, test := range map[string]struct {
		from, to schools.AssetState
		ev       schools.Evidence
	}{
		"asset.forbidden":     {schools.Retired, schools.InUse, ready},
		"asset.not-enrolled":  {schools.Inventoried, schools.Ready, with(func(ev *schools.Evidence) { ev.Enrolled = false })},
		"asset.not-converged": {schools.Inventoried, schools.Ready, with(func(ev *schools.Evidence) { ev.Converged = false })},
		"asset.battery":       {schools.Inventoried, schools.Ready, with(func(ev *schools.Evidence) { ev.Battery = nil })},
		"asset.erase-pending": {schools.Inventoried, schools.Ready, with(func(ev *schools.Evidence) { ev.ErasePending = true })},
		"asset.not-erased":    {schools.InInspection, schools.Ready, with(func(ev *schools.Evidence) { ev.ErasedAt = since.Add(-time.Hour) })},
		"asset.police":        {schools.Missing, schools.Stolen, with(func(ev *schools.Evidence) { ev.Police = " \x00 " })},
		"asset.too-early":     {schools.Stolen, schools.WrittenOff, ready},
		"asset.receipt":       {schools.Retired, schools.Disposed, ready},
		"asset.open-case":     {schools.Retired, schools.HandedOver, with(func(ev *schools.Evidence) { ev.Receipt, ev.OpenCase = "Q-17", true })},
		"asset.confirm":       {schools.Ready, schools.Retired, ready},
		"asset.replaced-by":   {schools.InRepair, schools.Replaced, with(func(ev *schools.Evidence) { ev.ReplacedBy = "dmqx0000a1" })},
	} {
		d := schools.Device{Serial: "DMQX0000A1", AssetState: test.from, StateAt: since, BindingUntil: "2030-07-31"}
		wantCode(t, schools.CanMove(d, test.to, test.ev, since.Add(time.Hour)), code)
	}
}

func TestStatesAreReadInEnglishAndGerman(t *testing.T) {
	for word, want := range map[string]schools.AssetState{
		"in_use": schools.InUse, "In Use": schools.InUse, "IN-USE": schools.InUse, "im_einsatz": schools.InUse, " Im Einsatz ": schools.InUse,
		"in_prüfung": schools.InInspection, "in_pruefung": schools.InInspection, "In Prüfung": schools.InInspection,
		"bestellt": schools.Ordered, "geliefert": schools.Delivered, "storniert": schools.Cancelled, "reklamation": schools.Complaint,
		"inventarisiert": schools.Inventoried, "bereit": schools.Ready, "defekt": schools.Defective, "in_reparatur": schools.InRepair,
		"ersetzt": schools.Replaced, "vermisst": schools.Missing, "gestohlen": schools.Stolen, "abgeschrieben": schools.WrittenOff,
		"ausgemustert": schools.Retired, "entsorgt": schools.Disposed, "abgegeben": schools.HandedOver,
	} {
		if got, err := schools.ParseState(word); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", word, got, err, want)
		}
	}
	for _, s := range schools.States() {
		if got, err := schools.ParseState(string(s)); got != s || err != nil {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, word := range []string{"", "lost", "in__use", "\xff", "bereit!"} {
		_, err := schools.ParseState(word)
		wantCode(t, err, "asset.state")
	}
}

func TestWhatIsRetiredLeavesItsSlotAndGetsNone(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		res := s.mustScan(s.tags(1)[0], "DMQX0000A1", "K03/1")
		full := 1.0
		for _, step := range []struct {
			to schools.AssetState
			ev schools.Evidence
		}{
			{schools.Ready, schools.Evidence{Enrolled: true, Converged: true, Battery: &full}},
			{schools.Retired, schools.Evidence{Confirmed: true, Reason: "uneconomic"}},
		} {
			if err := s.move(res.DeviceID, step.to, step.ev); err != nil {
				t.Fatal(err)
			}
		}
		if d := s.get(res.DeviceID); d.Position != (schools.Position{}) || d.Name != "" || d.AssetTag == "" {
			t.Errorf("got %+v", d)
		}
		wantCode(t, s.put(res.DeviceID, schools.Position{CartID: s.k03.ID, Slot: 1}), "position.gone")
		_, err := s.scan("DMQX0000A1", res.Tag)
		wantCode(t, err, "asset.forbidden")
		if _, err := s.scan(s.tags(1)[0], "DMQX0000A2", "K03/1"); err != nil {
			t.Errorf("its slot is not free: %v", err)
		}
	})
}

func TestAnExchangedDeviceNamesTheOneThatCame(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		d, foreign := s.device("DMQX0000A1"), s.foreign("DMQXFREMD1")
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE devices SET asset_state = 'in_repair' WHERE id = ?`, d.ID)
			return err
		})
		wantCode(t, s.move(d.ID, schools.Replaced, schools.Evidence{ReplacedBy: foreign.Serial}), "device.other-tenant")
		if err := s.move(d.ID, schools.Replaced, schools.Evidence{ReplacedBy: " dmqx0000a2"}); err != nil {
			t.Fatal(err)
		}
		other := s.get("DMQX0000A2")
		if got := s.get(d.ID); got.ReplacedBy != other.ID || got.AssetState != schools.Replaced || other.AssetState != schools.Delivered || other.TenantID != tenant {
			t.Errorf("got %+v, replaced by %+v", got, other)
		}
	})
}
