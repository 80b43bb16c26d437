package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Status values: Apple, Device Management, "CommandResponse" > Status.
const (
	statusIdle  = "Idle"
	statusAck   = "Acknowledged"
	statusError = "Error"
	statusBad   = "CommandFormatError"
	statusLater = "NotNow"
)

// Exchange records a report and hands over the next command, nil when there is
// none. It is all that a request writes: what it hands over is sent once the
// caller's transaction is committed, and not otherwise.
//
// Idle opens a new session: commands that the tablet put off are offered again,
// and those it never answered, save a Spec.Once, which becomes uncertain.
func (q *Queue) Exchange(ctx context.Context, tx *sqldb.Tx, s Session, rep *mdm.Report) (*HandOver, error) {
	ctx = connected(ctx, s.EnrollmentID)
	now := q.clk.Now()
	opening := rep.Status == statusIdle
	if !opening {
		if err := q.record(ctx, tx, s, rep, now); err != nil {
			return nil, fmt.Errorf("record a report: %w", err)
		}
	}
	h, err := q.next(ctx, tx, s, opening, now)
	if err != nil {
		return nil, fmt.Errorf("hand over a command: %w", err)
	}
	return h, nil
}

// maxDropped bounds how many commands that nobody wants any more one request
// works through; the rest is found by the next.
const maxDropped = 100

func (q *Queue) next(ctx context.Context, tx *sqldb.Tx, s Session, opening bool, now time.Time) (*HandOver, error) {
	kinds, all := q.allowed(s)
	if opening && !all {
		if err := holdBack(ctx, tx, s, kinds, now); err != nil {
			return nil, err
		}
	}
	for range maxDropped {
		r, found, err := pick(ctx, tx, s, kinds, all, opening, now)
		if err != nil {
			return nil, err
		}
		if opening && (r.Held || !found) {
			if err := reopen(ctx, tx, s, now); err != nil {
				return nil, err
			}
		}
		if !found {
			return nil, nil
		}
		opening = false
		h, err := q.handOver(ctx, tx, r, now)
		if h != nil || err != nil {
			return h, err
		}
	}
	tx.AfterCommit(q.poke)
	return nil, arm(ctx, tx, now, s.EnrollmentID)
}

// pick selects the command that is next. In a session only what is queued is
// offered; what was put off in it is not. At its opening all is offered,
// unanswered commands last: one that makes tablets hang up must not stand
// before all others for ever.
func pick(ctx context.Context, tx *sqldb.Tx, s Session, kinds []string, all, opening bool, now time.Time) (r row, found bool, err error) {
	if !all && len(kinds) == 0 {
		return row{}, false, nil
	}
	text := `SELECT ` + columns + `, `
	if opening {
		text += `EXISTS (SELECT 1 FROM commands h WHERE h.enrollment_id = k.enrollment_id AND h.generation = k.generation
			AND h.state IN ('queued', 'sent', 'deferred') AND h.state IN ('sent', 'deferred')) AS held`
	} else {
		text += `FALSE AS held`
	}
	text += ` FROM commands k WHERE enrollment_id = ? AND generation = ? AND ` + open +
		` AND not_before <= ? AND (deadline IS NULL OR deadline > ?)`
	args := []any{s.EnrollmentID, s.Generation, sqldb.At(now), sqldb.At(now)}
	order := ` ORDER BY lane, not_before, id LIMIT 1`
	if opening {
		text += ` AND NOT (once AND state = 'sent')`
		order = ` ORDER BY lane, CASE state WHEN 'sent' THEN 1 ELSE 0 END, not_before, id LIMIT 1`
	} else {
		text += ` AND state = 'queued'`
	}
	if !all {
		text, args = text+` AND kind IN (?)`, append(args, kinds)
	}
	// A row that another transaction holds is being superseded, or handed to the
	// same tablet by a request of its own.
	err = tx.Get(ctx, &r, text+order+tx.SkipLocked(), args...)
	if errors.Is(err, sqldb.ErrNoRows) {
		return row{}, false, nil
	}
	return r, err == nil, err
}

// reopen makes what earlier sessions left behind ready for this one.
func reopen(ctx context.Context, tx *sqldb.Tx, s Session, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE commands SET
			not_before = CASE WHEN state = 'sent' THEN ? ELSE not_before END,
			reason = CASE WHEN once AND state = 'sent' THEN '`+uncertainReason+`'
				WHEN state = 'sent' THEN 'no answer came; it is offered again' ELSE reason END,
			state = CASE WHEN once AND state = 'sent' THEN 'uncertain' ELSE 'queued' END
		WHERE enrollment_id = ? AND generation = ? AND `+open+` AND state IN ('sent', 'deferred')`,
		sqldb.At(now), s.EnrollmentID, s.Generation)
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	return nil
}

const (
	lostReason    = "waits until Lost Mode is switched off"
	expiredReason = "waits until the tablet has renewed its identity certificate"
)

// holdBack notes why the others wait.
func holdBack(ctx context.Context, tx *sqldb.Tx, s Session, kinds []string, now time.Time) error {
	reason := lostReason
	if s.Expired {
		reason = expiredReason
	}
	text := `UPDATE commands SET reason = ? WHERE enrollment_id = ? AND generation = ? AND ` + open +
		` AND not_before <= ? AND NOT (once AND state = 'sent') AND reason <> ?`
	args := []any{reason, s.EnrollmentID, s.Generation, sqldb.At(now), reason}
	if len(kinds) > 0 {
		text, args = text+` AND kind NOT IN (?)`, append(args, kinds)
	}
	if _, err := tx.Exec(ctx, text, args...); err != nil {
		return fmt.Errorf("hold back commands: %w", err)
	}
	return nil
}

// handOver renders a command and marks it as sent; nil when it turns out that
// there is nothing to hand over, and it has ended.
func (q *Queue) handOver(ctx context.Context, tx *sqldb.Tx, r row, now time.Time) (*HandOver, error) {
	spec, known := q.specs[r.Kind]
	if !known || spec.Renderer == nil {
		return nil, q.end(ctx, tx, r, Failed, "This version of the server does not know commands of kind "+r.Kind+".", now)
	}
	c, err := q.command(r)
	if err != nil {
		// Sealed with another key, or damaged: it can never be said.
		q.log.ErrorContext(ctx, "command cannot be opened", "command", r.ID, "kind", r.Kind, "err", err)
		return nil, q.end(ctx, tx, r, Failed, "What the command was to say cannot be opened. Order it again.", now)
	}
	body, err := spec.Renderer.Render(ctx, tx, c)
	var xml []byte
	if err == nil {
		xml, err = mdm.Command(c.ID, c.RequestType, body)
	}
	if f, is := fault.Of(err); is && f.Kind != fault.Internal {
		state := Failed
		if f.Kind == fault.Conflict {
			state = Dropped
		}
		return nil, q.end(ctx, tx, r, state, f.Text, now)
	}
	if err != nil {
		return nil, fmt.Errorf("render %s %s: %w", r.Kind, r.ID, err)
	}
	_, err = tx.Exec(ctx, `UPDATE commands SET state = 'sent', attempts = attempts + 1, sent_at = ?, reason = '' WHERE id = ?`, sqldb.At(now), r.ID)
	if err != nil {
		return nil, err
	}
	return &HandOver{ID: c.ID, Kind: c.Kind, RequestType: c.RequestType, Body: xml}, nil
}

// end ends a command without the tablet's word and tells its Renderer, if that
// wants to know.
func (q *Queue) end(ctx context.Context, tx *sqldb.Tx, r row, state State, reason string, now time.Time) error {
	reason = mdm.Clean(reason)
	_, err := tx.Exec(ctx, `UPDATE commands SET state = ?, reason = ?, finished_at = ? WHERE id = ?`, string(state), reason, sqldb.At(now), r.ID)
	if err != nil {
		return fmt.Errorf("end command %s: %w", r.ID, err)
	}
	return q.tellEnd(ctx, tx, r, state, reason, now)
}

func (q *Queue) tellEnd(ctx context.Context, tx *sqldb.Tx, r row, state State, reason string, now time.Time) error {
	ender, wants := q.specs[r.Kind].Renderer.(Ender)
	if !wants {
		return nil
	}
	r.State, r.Reason, r.FinishedAt = string(state), reason, sqldb.At(now)
	c, err := q.command(r)
	if err != nil {
		r.Args = nil // it cannot be opened, and has ended all the same
		if c, err = q.command(r); err != nil {
			return err
		}
	}
	if err := ender.Ended(ctx, tx, c); err != nil {
		return fmt.Errorf("tell the end of %s %s: %w", r.Kind, r.ID, err)
	}
	return nil
}
