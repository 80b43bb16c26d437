package enroll_test

import (
	"testing"

	"ranzen/internal/sim/apple"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// BenchmarkADE is a tenant with 10,000 iPads of which nothing is to be done, and
// the reading of its whole list.
func BenchmarkADE(b *testing.B) {
	sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
		w := newWorld(b, db)
		school, err := apple.NewSchool(apple.SchoolOptions{Clock: w.clk})
		if err != nil {
			b.Fatal(err)
		}
		defer school.Close() //nolint:errcheck // a benchmark's
		tw := (&town{world: w, school: school, names: map[string]string{}}).reopen(nil)
		token := tw.server(tenant1, "Musterdorf", "Ranzen")
		school.Order("Ranzen", 10_000, apple.Devices{})
		tw.wish(tw.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		tw.sync()
		tw.settle()
		if err := db.Do(b.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(b.Context(), "ANALYZE"); return err }); err != nil {
			b.Fatal(err)
		}
		b.Run("assign nothing", func(b *testing.B) {
			for b.Loop() {
				tw.assign()
			}
		})
		b.Run("read all again", func(b *testing.B) {
			for b.Loop() {
				if err := tw.full(token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("count", func(b *testing.B) {
			for b.Loop() {
				if _, err := tw.enroll.ADESyncs(b.Context(), db, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func TestThousandsAreReadAssignedAndConfirmedAThousandAtATime(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		w.school.Order("Ranzen", 2_500, apple.Devices{})
		w.wish(w.profile(tenant1, "P", ""), tenant1, "tenant", tenant1)
		w.sync()
		w.settle()
		var n int64
		if err := w.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM ade_devices WHERE profile_state = 'assigned'`); err != nil {
			t.Fatal(err)
		}
		c := w.school.Counts()
		if n != 2_500 || c.Fetches != 3 || c.Assigned != 2_500 {
			t.Errorf("%d assigned; Apple saw %+v", n, c)
		}
	})
}
