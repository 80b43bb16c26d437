package profiles

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

// AfterRestore is called once, in the transaction that fills a database from a
// backup. What tablets have may be other than the rows say: their lists are
// forgotten, so that they are asked for anew, and every enrolled tablet is
// marked. The commands that were under way have been dropped, by which planning
// sees that their items need another.
func AfterRestore(ctx context.Context, tx *sqldb.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM observations`); err != nil {
		return fmt.Errorf("forget what tablets showed: %w", err)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO marks (enrollment_id, marked_at, due_at)
		SELECT id, ?, ? FROM enrollments WHERE state = 'enrolled'
		ON CONFLICT (enrollment_id) DO UPDATE SET marked_at = excluded.marked_at, due_at = excluded.due_at, lease_until = NULL`,
		sqldb.At(now), sqldb.At(now))
	if err != nil {
		return fmt.Errorf("mark all tablets: %w", err)
	}
	return nil
}
