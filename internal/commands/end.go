package commands

import (
	"context"
	"errors"
	"fmt"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Cancel takes back a command that was not handed over yet. One that the tablet
// put off may be taken back too: it said that it did not do it.
func (q *Queue) Cancel(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, id string) error {
	var r row
	err := tx.Get(ctx, &r, `SELECT `+columns+` FROM commands WHERE id = ?`+tx.ForUpdate(), mdm.Clean(id))
	if errors.Is(err, sqldb.ErrNoRows) {
		return fault.New(fault.NotFound, "command.unknown", "There is no command %s. See `ranzen commands` for those there are.", mdm.Clean(id))
	}
	if err != nil {
		return fmt.Errorf("cancel a command: %w", err)
	}
	switch State(r.State) {
	case Queued, Deferred:
	case Sent:
		return fault.New(fault.Conflict, "command.sent", "The command is with the tablet already and cannot be taken back. Wait for its answer.")
	default:
		return fault.New(fault.Conflict, "command.ended", "The command has ended already (%s), so there is nothing to take back.", r.State)
	}
	if err := q.end(ctx, tx, r, Dropped, "taken back by "+string(actor), q.clk.Now()); err != nil {
		return err
	}
	return q.audit.Append(ctx, tx, audit.Event{
		Actor: actor, Action: "command.cancel", Subject: "enrollment:" + r.EnrollmentID,
		Detail: map[string]any{"command": r.ID, "kind": r.Kind},
	})
}

// Clear ends all that an enrollment still waits for: it begins a new life, or is
// over. An order of the kind that goes out at most once and was handed over
// stays, as uncertain: its proof may still come.
func (q *Queue) Clear(ctx context.Context, tx *sqldb.Tx, enrollmentID, reason string) error {
	now := sqldb.At(q.clk.Now())
	_, err := tx.Exec(ctx, `UPDATE commands SET
			finished_at = CASE WHEN once AND state = 'sent' THEN NULL ELSE CAST(? AS BIGINT) END,
			reason = CASE WHEN once AND state = 'sent' THEN '`+uncertainReason+`' ELSE ? END,
			state = CASE WHEN once AND state = 'sent' THEN 'uncertain' ELSE 'dropped' END
		WHERE enrollment_id = ? AND `+open, now, mdm.Clean(reason), enrollmentID)
	if err != nil {
		return fmt.Errorf("clear the queue of an enrollment: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE push_targets SET due_at = NULL, attempts = 0 WHERE enrollment_id = ?`, enrollmentID)
	if err != nil {
		return fmt.Errorf("clear the pushes of an enrollment: %w", err)
	}
	return nil
}

// ProveErased takes the tablet's new beginning as the answer to an erase that
// was handed over, and tells whether there was one.
func (q *Queue) ProveErased(ctx context.Context, tx *sqldb.Tx, enrollmentID string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE commands SET state = 'done', finished_at = ?,
			reason = 'proven: the tablet began anew'
		WHERE enrollment_id = ? AND once AND state IN ('sent', 'uncertain')`, sqldb.At(q.clk.Now()), enrollmentID)
	if err != nil {
		return false, fmt.Errorf("prove an erase: %w", err)
	}
	return n > 0, nil
}
