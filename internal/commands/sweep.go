package commands

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

const (
	// SentTimeout is how long a tablet may take to answer an order that is handed
	// over at most once, before it counts as uncertain.
	SentTimeout = 10 * time.Minute
	// Retention is how long finished commands and kept answers stay.
	Retention = 90 * 24 * time.Hour
	// silentPush is how often a tablet with waiting commands is pushed at least.
	silentPush = 24 * time.Hour

	sweepStep     = 500
	maxSweepSteps = 20
)

const uncertainReason = "it was handed over and no answer came; it is not repeated. Its proof is the tablet beginning anew"

// Sweep does what only time brings about, in steps of bounded size. It may run
// in several processes; once a minute is enough.
func (q *Queue) Sweep(ctx context.Context) error {
	now := q.clk.Now()
	for _, step := range []func(context.Context, time.Time) (int64, error){q.expire, q.doubt, q.rearm, q.forgetCommands, q.forgetAnswers} {
		for range maxSweepSteps {
			n, err := step(ctx, now)
			if err != nil {
				return fmt.Errorf("sweep the queue: %w", err)
			}
			if n < sweepStep {
				break
			}
		}
	}
	return nil
}

// expire ends commands whose deadline passed.
func (q *Queue) expire(ctx context.Context, now time.Time) (n int64, err error) {
	err = q.db.Do(ctx, func(tx *sqldb.Tx) error {
		var rows []row
		err := tx.Select(ctx, &rows, `SELECT `+columns+` FROM commands WHERE deadline <= ? AND deadline IS NOT NULL AND `+open+
			` AND NOT (once AND state = 'sent') ORDER BY deadline LIMIT ?`+tx.SkipLocked(), sqldb.At(now), sweepStep)
		if err != nil {
			return err
		}
		n = int64(len(rows))
		for _, r := range rows {
			if err := q.end(ctx, tx, r, Expired, "its deadline passed before the tablet carried it out", now); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// doubt turns unanswered orders that go out at most once into uncertain ones.
func (q *Queue) doubt(ctx context.Context, now time.Time) (n int64, err error) {
	err = q.db.Do(ctx, func(tx *sqldb.Tx) error {
		n, err = tx.Exec(ctx, `UPDATE commands SET state = 'uncertain', reason = '`+uncertainReason+`' WHERE id IN (
			SELECT id FROM commands WHERE state = 'sent' AND once AND sent_at <= ? ORDER BY sent_at LIMIT ?)`, sqldb.At(now.Add(-SentTimeout)), sweepStep)
		return err
	})
	return n, err
}

// rearm derives pushes from the commands that wait: whatever was lost between a
// commit and its push is found here, and a tablet that stays silent is pushed
// once a day.
func (q *Queue) rearm(ctx context.Context, now time.Time) (n int64, err error) {
	err = q.db.Do(ctx, func(tx *sqldb.Tx) error {
		n, err = tx.Exec(ctx, `UPDATE push_targets SET due_at = ? WHERE enrollment_id IN (
			SELECT p.enrollment_id FROM push_targets p WHERE p.due_at IS NULL AND p.refused_at IS NULL
				AND (p.pushed_at IS NULL OR p.pushed_at <= ?)
				AND EXISTS (SELECT 1 FROM commands c WHERE c.enrollment_id = p.enrollment_id AND c.state IN ('queued', 'sent', 'deferred') AND c.not_before <= ?)
			LIMIT ?)`, sqldb.At(now), sqldb.At(now.Add(-silentPush)), sqldb.At(now), sweepStep)
		if err == nil && n > 0 {
			tx.AfterCommit(q.poke)
		}
		return err
	})
	return n, err
}

func (q *Queue) forgetCommands(ctx context.Context, now time.Time) (n int64, err error) {
	err = q.db.Do(ctx, func(tx *sqldb.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM commands WHERE id IN (
			SELECT id FROM commands WHERE finished_at <= ? AND finished_at IS NOT NULL ORDER BY finished_at LIMIT ?)`, sqldb.At(now.Add(-Retention)), sweepStep)
		return err
	})
	return n, err
}

func (q *Queue) forgetAnswers(ctx context.Context, now time.Time) (n int64, err error) {
	err = q.db.Do(ctx, func(tx *sqldb.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE at <= ? ORDER BY at LIMIT ?)`, sqldb.At(now.Add(-Retention)), sweepStep)
		return err
	})
	return n, err
}
