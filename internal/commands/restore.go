package commands

import (
	"context"
	"fmt"

	"ranzen/internal/sqldb"
)

// restoredReason is what people read at commands that a restore ended.
const restoredReason = "restored from a backup: it may have been carried out since; order it again if it is still wanted"

// AfterRestore is called once, in the transaction that fills a database from a
// backup. What was open when the backup was made may have been carried out
// since, so nothing of it is handed over again: an order of the kind that goes
// out at most once becomes uncertain, waiting or sent alike, and its proof can
// still come; all others are dropped, and the loops derive anew what is missing.
// Every tablet is woken, so that it says where it stands.
func (q *Queue) AfterRestore(ctx context.Context, tx *sqldb.Tx) error {
	now := sqldb.At(q.clk.Now())
	_, err := tx.Exec(ctx, `UPDATE commands SET state = 'uncertain', sent_at = COALESCE(sent_at, created_at), reason = '`+restoredReason+`' WHERE once AND `+open)
	if err != nil {
		return fmt.Errorf("hold back what was open: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE commands SET state = 'dropped', reason = '`+restoredReason+`', finished_at = ? WHERE NOT once AND `+open, now)
	if err != nil {
		return fmt.Errorf("drop what was open: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE push_targets SET due_at = ?, attempts = 0, lease_until = NULL WHERE refused_at IS NULL`, now)
	if err != nil {
		return fmt.Errorf("mark tablets to be woken: %w", err)
	}
	return nil
}
