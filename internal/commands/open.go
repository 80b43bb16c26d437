package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"ranzen/internal/sqldb"
)

// Open tells what waits for tablets or is with them: by enrollment, the Item of
// each dedupe key. Who plans by it cannot forget what it ordered.
func (q *Queue) Open(ctx context.Context, qr sqldb.Queryer, enrollmentIDs []string) (map[string]map[string]string, error) {
	out := make(map[string]map[string]string, len(enrollmentIDs))
	for ids := enrollmentIDs; len(ids) > 0; {
		part := ids[:min(chunk, len(ids))]
		ids = ids[len(part):]
		var rows []row
		err := qr.Select(ctx, &rows, `SELECT enrollment_id, dedupe_key, item FROM commands WHERE enrollment_id IN (?) AND `+open, part)
		if err != nil {
			return nil, fmt.Errorf("read what is open: %w", err)
		}
		for _, r := range rows {
			keys := out[r.EnrollmentID]
			if keys == nil {
				keys = map[string]string{}
				out[r.EnrollmentID] = keys
			}
			keys[r.DedupeKey] = r.Item
		}
	}
	return out, nil
}

// Ordered tells whether a kind of command was ever queued in this life of a
// tablet and not taken back before it went out.
func (q *Queue) Ordered(ctx context.Context, qr sqldb.Queryer, enrollmentID string, generation int64, kind string) (bool, error) {
	var n int
	err := qr.Get(ctx, &n, `SELECT COUNT(*) FROM commands WHERE enrollment_id = ? AND generation = ? AND kind = ?
		AND state NOT IN ('dropped', 'superseded', 'expired', 'failed')`, enrollmentID, generation, kind)
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", kind, err)
	}
	return n > 0, nil
}

// Ending tells which tablets have an order of a kind that goes out at most once
// before them in the life they are in: by enrollment Uncertain where one was handed
// over and not answered, else Queued, Sent or Deferred. generations are the lives
// asked for.
func (q *Queue) Ending(ctx context.Context, qr sqldb.Queryer, kind string, generations map[string]int64) (map[string]State, error) {
	out := map[string]State{}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(generations)), chunk) {
		var rows []row
		// The states are written as in the index commands_erase.
		err := qr.Select(ctx, &rows, `SELECT enrollment_id, generation, state FROM commands
			WHERE once AND state IN ('queued', 'sent', 'deferred', 'uncertain') AND kind = ? AND enrollment_id IN (?)`, kind, part)
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", kind, err)
		}
		for _, r := range rows {
			if r.Generation == generations[r.EnrollmentID] && out[r.EnrollmentID] != Uncertain {
				out[r.EnrollmentID] = State(r.State)
			}
		}
	}
	return out, nil
}
