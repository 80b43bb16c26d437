package schools_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

func (s *school) pack(cartID string, texts ...string) (res schools.PackResult, err error) {
	s.t.Helper()
	err = s.try(func(ctx context.Context, tx *sqldb.Tx) error {
		res, err = s.room.PackCheck(ctx, tx, admin, cartID, texts)
		return err
	})
	return res, err
}

func serials(items []schools.PackItem) (out []string) {
	for _, item := range items {
		out = append(out, item.Serial+item.Why)
	}
	return out
}

func TestAPackedCartIsCheckedAndGoesOut(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tags := s.tags(5)
		full := 0.9
		var ids []string
		for i := range 4 {
			res := s.mustScan(tags[i], fmt.Sprintf("DMQX0000A%d", i), fmt.Sprintf("K0%d/%d", 3-i/3*2, i%3+1)) // the last one in K01
			ids = append(ids, res.DeviceID)
			if i != 1 {
				if err := s.move(res.DeviceID, schools.Ready, schools.Evidence{Enrolled: true, Converged: true, Battery: &full}); err != nil {
					t.Fatal(err)
				}
			}
		}
		foreign := s.foreign("DMQXFREMD1")

		res, err := s.pack(s.k03.ID, strings.ToLower(tags[0]), "SDMQX0000A0", " DMQX0000A1", tags[3], tags[3], foreign.Serial, "4012345678901", "SAT-K03-01", tags[4], "", "sat-k03")
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, "present", serials(res.Present), "DMQX0000A0", "DMQX0000A1")
		wantList(t, "missing", serials(res.Missing), "DMQX0000A2")
		wantList(t, "unexpected", serials(res.Unexpected), "DMQX0000A3")
		wantList(t, "unknown", serials(res.Unknown), "DMQXFREMD1other-tenant", "4012345678901unknown", "SAT-K03-01slot", tags[4]+"unknown")
		if res.Complete || res.Expected != 3 || res.Cart.Code != "K03" {
			t.Errorf("got %+v", res)
		}
		if d := s.get(ids[0]); d.AssetState != schools.Ready {
			t.Errorf("an incomplete cart went out: %+v", d)
		}

		res, err = s.pack(s.k03.ID, "DMQX0000A2", tags[1], "DMQX0000A0")
		if err != nil || !res.Complete || len(res.Present) != 3 || res.Present[2].Slot != 3 || res.Present[2].Name != "SAT-K03-03" || res.Present[0].Tag != tags[0] {
			t.Fatalf("got %+v, %v", res, err)
		}
		for i, want := range []schools.AssetState{schools.InUse, schools.Inventoried, schools.InUse, schools.Ready} {
			if d := s.get(ids[i]); d.AssetState != want {
				t.Errorf("%s is %s, want %s", d.Serial, d.AssetState, want)
			}
		}
		if again, err := s.pack(s.k03.ID, "DMQX0000A2", tags[1], "DMQX0000A0"); err != nil || !again.Complete {
			t.Errorf("checked twice: %+v, %v", again, err)
		}
		var kept int
		if err := s.db.Get(t.Context(), &kept, `SELECT COUNT(*) FROM pack_checks WHERE cart_id = ?`, s.k03.ID); err != nil || kept != 3 {
			t.Errorf("%d results are kept, %v", kept, err)
		}
	})
}

func TestAnEmptyCartIsNotComplete(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		if res, err := s.pack(s.k01.ID); err != nil || res.Complete || res.Expected != 0 {
			t.Errorf("got %+v, %v", res, err)
		}
		_, err := s.pack("nowhere")
		wantCode(t, err, "cart.unknown")
		_, err = s.pack(s.k01.ID, make([]string, 401)...)
		wantCode(t, err, "scan.texts")
		_, err = s.pack(s.k01.ID, "a\x00")
		wantCode(t, err, "scan.text")
	})
}

// Several technicians at once: of those who want one slot, or one tag, exactly
// one gets it, and the others are told by name.
func TestOfTwoWhoWantOneSlotOneGetsIt(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		for round := range 8 {
			tags := s.tags(4)
			slot := fmt.Sprintf("K0%d/%d", round/4*2+1, round%4+1)
			errs := make([]error, 4)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					texts := []string{tags[i], fmt.Sprintf("DMQX00%d0B%d", round, i), slot}
					if round%2 == 1 {
						texts[0] = tags[0] // one tag for all, each its own place
						texts = texts[:2]
					}
					_, errs[i] = s.scan(texts...)
				})
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				switch code := fault.CodeOf(err); {
				case err == nil:
					won++
				case code != []string{"scan.slot-taken", "scan.tag-taken"}[round%2]:
					t.Errorf("round %d: %v", round, err)
				}
			}
			if won != 1 {
				t.Errorf("round %d: %d won", round, won)
			}
		}
	})
}

func TestOfTwoWhoPrintTagsNoneGetsTheOthers(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					tags := s.tags(7)
					mu.Lock()
					for _, tag := range tags {
						if seen[tag] {
							t.Errorf("%s was given twice", tag)
						}
						seen[tag] = true
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(seen) != 140 {
			t.Errorf("%d tags", len(seen))
		}
	})
}
