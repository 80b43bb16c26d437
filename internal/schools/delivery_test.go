package schools_test

import (
	"context"
	"fmt"
	"ranzen/internal/sqldb"
	"slices"
	"testing"
)

func TestAResellersFileIsListedOnce(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		mine, foreign := s.device("DMQX000001"), s.foreign("DMQX000002")
		var serials []string
		for i := range 600 {
			serials = append(serials, fmt.Sprintf("dmqx%06d", i))
		}
		for range 2 {
			s.do(func(ctx context.Context, tx *sqldb.Tx) error {
				return s.room.List(ctx, tx, admin, s.delivery.ID, serials)
			})
		}
		var n int
		if err := s.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM delivery_serials WHERE listed_at IS NOT NULL AND scanned_at IS NULL`); err != nil || n != 600 {
			t.Errorf("%d are listed, %v", n, err)
		}
		if got := s.get(mine.ID).DeliveryID; got != s.delivery.ID {
			t.Errorf("the delivery of ours is %q", got)
		}
		if got := s.get(foreign.ID).DeliveryID; got != "" {
			t.Errorf("the delivery of the other tenant's is %q", got)
		}
		// A listed serial number is known to a scanner, however short it is.
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			return s.room.List(ctx, tx, admin, s.delivery.ID, []string{"S9Z"})
		})
		if res := s.mustScan("ss9z"); res.Serial != "S9Z" {
			t.Errorf("got %+v", res)
		}
		res := s.mustScan(s.tags(1)[0], "DMQX999999")
		if !slices.Contains(warnings(res), "scan.not-listed") {
			t.Errorf("got %+v", res)
		}
		if _, err := s.undo(res.ScanID); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM delivery_serials`); err != nil || n != 601 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}
