package views

import (
	"strings"
	"testing"

	"ranzen/internal/sqldb/sqldbtest"
)

// A board is read once a second while somebody looks. What it costs hangs on its
// delivery, not on the fleet.
func TestBoardAndComparisonReadNoWholeTable(t *testing.T) {
	db := sqldbtest.SQLite(t)
	for name, query := range map[string]string{
		"board": boardSQL, "counts": countsSQL, "trouble": troubleSQL, "put off": putOffSQL, "events": eventsSQL, "compare": compareSQL,
	} {
		var args []any
		for range strings.Count(query, "?") {
			args = append(args, "l1")
		}
		var plan []struct {
			ID     int    `db:"id"`
			Parent int    `db:"parent"`
			Unused int    `db:"notused"`
			Detail string `db:"detail"`
		}
		if err := db.Select(t.Context(), &plan, `EXPLAIN QUERY PLAN `+query, args...); err != nil {
			t.Fatal(name, err)
		}
		for _, step := range plan {
			whole := strings.HasPrefix(step.Detail, "SCAN ")
			for _, few := range []string{"SCAN z", "SCAN w", "SCAN h USING INDEX holds_open"} { // z and w are ours
				whole = whole && !strings.HasPrefix(step.Detail, few)
			}
			if whole || strings.Contains(step.Detail, "enrollments_state (state=?)") || strings.Contains(step.Detail, "AUTOMATIC") {
				t.Errorf("%s: %s", name, step.Detail)
			}
		}
	}
}
