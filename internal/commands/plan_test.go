package commands_test

import (
	"fmt"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// TestPlanningReadsItsOwnTabletsOnly has SQLite say how it finds the open commands
// of many tablets. It once read all that was open in the fleet for each 500 of
// them, and nothing but the time of a large fleet showed it.
func TestPlanningReadsItsOwnTabletsOnly(t *testing.T) {
	db := sqldbtest.SQLite(t)
	ids := make([]string, 500)
	pairs := make([]any, 2*len(ids))
	for i := range ids {
		ids[i] = fmt.Sprint("tablet ", i)
		pairs[2*i], pairs[2*i+1] = ids[i], "profile.install:x"
	}
	const open = `state IN ('queued', 'sent', 'deferred')`
	for name, q := range map[string][]any{
		"open":           {`SELECT enrollment_id, dedupe_key, item FROM commands WHERE enrollment_id IN (?) AND ` + open, ids},
		"supersede one":  {`UPDATE commands SET state = 'superseded' WHERE ` + open + ` AND NOT once AND dedupe_key = ? AND enrollment_id IN (?)`, "k", ids},
		"supersede many": {`UPDATE commands SET state = 'superseded' WHERE ` + open + ` AND NOT once AND (enrollment_id, dedupe_key) IN (VALUES (?, ?)` + strings.Repeat(`, (?, ?)`, 499) + `)`},
		"next":           {`SELECT id FROM commands k WHERE enrollment_id = ? AND generation = ? AND ` + open + ` AND not_before <= ? AND state = 'queued' ORDER BY lane, not_before, id LIMIT 1`, "t", 1, 2},
	} {
		args := q[1:]
		if name == "supersede many" {
			args = pairs
		}
		var steps []struct {
			ID, Parent, Notused int
			Detail              string
		}
		if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
			return tx.Select(t.Context(), &steps, "EXPLAIN QUERY PLAN "+q[0].(string), args...)
		}); err != nil {
			t.Fatal(name, err)
		}
		if len(steps) == 0 || !strings.HasPrefix(steps[0].Detail, "SEARCH ") || !strings.Contains(steps[0].Detail, "(enrollment_id=?") {
			t.Errorf("%s: SQLite reads %+v", name, steps)
		}
	}
}
