package commands

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Target is where a tablet is woken.
type Target struct {
	EnrollmentID string
	Token        []byte
	Magic        fault.Secret
	Topic        string
}

// Waker wakes tablets. The errors are by EnrollmentID; no error: Apple took the
// push, which does not mean that the tablet got it. An error may say more by
// implementing permanent or retryable; one that does neither is tried again.
type Waker interface {
	Wake(ctx context.Context, targets []Target) map[string]error
}

// permanent is an error that no repetition heals: the token is gone.
type permanent interface {
	Permanent() bool
	Reason() string
}

// retryable is an error whose sender said when to come again.
type retryable interface{ RetryAfter() time.Duration }

type counters struct{ accepted, refused, later, shared atomic.Int64 }

// PushCounts are pushes since the process began.
type PushCounts struct {
	Accepted, Refused, Later int64
	SharedTokens             int64 // tablets that came with the token of another
}

// PushCounts is for the metrics.
func (q *Queue) PushCounts() PushCounts {
	c := &q.counters
	return PushCounts{Accepted: c.accepted.Load(), Refused: c.refused.Load(), Later: c.later.Load(), SharedTokens: c.shared.Load()}
}

// SetWaker says who wakes tablets; nil: nobody, and they come by themselves.
func (q *Queue) SetWaker(w Waker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waker = w
}

// maxToken is far above Apple's 32 bytes; its documentation names no length.
const maxToken = 256

// SetTarget keeps where a tablet is woken. A token that cannot be one is kept
// and never pushed to: the tablet is told apart in the list of devices, and
// still gets everything when it comes by itself.
func (q *Queue) SetTarget(ctx context.Context, tx *sqldb.Tx, t Target) error {
	now := q.clk.Now()
	magic, err := q.vault.Seal(magicPurpose(t.EnrollmentID), []byte(t.Magic.Open()))
	if err != nil {
		return fmt.Errorf("keep a push target: %w", err)
	}
	refused, why := sqldb.Time{}, ""
	if n := len(t.Token); n < 16 || n > maxToken || t.Magic == "" {
		refused, why = sqldb.At(now), "the tablet sent no usable push token"
	}
	var others int
	if err := tx.Get(ctx, &others, `SELECT COUNT(*) FROM push_targets WHERE token = ? AND enrollment_id <> ?`, t.Token, t.EnrollmentID); err != nil {
		return fmt.Errorf("look for a push token: %w", err)
	}
	if others > 0 && why == "" {
		q.counters.shared.Add(1)
		q.log.WarnContext(ctx, "two enrollments have the same push token", "enrollment", t.EnrollmentID, "others", others)
	}
	_, err = tx.Exec(ctx, `INSERT INTO push_targets (enrollment_id, token, magic_sealed, topic, refused_at, last_error, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (enrollment_id) DO UPDATE SET token = excluded.token, magic_sealed = excluded.magic_sealed, topic = excluded.topic,
			refused_at = excluded.refused_at, last_error = excluded.last_error, attempts = 0, updated_at = excluded.updated_at`,
		t.EnrollmentID, nonNil(t.Token), magic, mdm.Clean(t.Topic), refused, why, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("keep a push target: %w", err)
	}
	// Commands may wait already: queued before the tablet said where it is.
	_, err = tx.Exec(ctx, `UPDATE push_targets SET due_at = ? WHERE enrollment_id = ? AND due_at IS NULL
		AND EXISTS (SELECT 1 FROM commands WHERE enrollment_id = ? AND `+open+`)`, sqldb.At(now.Add(resumeAfter)), t.EnrollmentID, t.EnrollmentID)
	if err != nil {
		return fmt.Errorf("mark a tablet to be woken: %w", err)
	}
	return nil
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// DropTarget forgets where a tablet is woken.
func (q *Queue) DropTarget(ctx context.Context, tx *sqldb.Tx, enrollmentID string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM push_targets WHERE enrollment_id = ?`, enrollmentID); err != nil {
		return fmt.Errorf("forget a push target: %w", err)
	}
	return nil
}

// How the waker works: it looks each second or when nudged, takes wakeBatch at
// once and holds them for wakeLease, in which another process leaves them alone.
const (
	wakeEvery = time.Second
	wakeBatch = 500
	wakeLease = 2 * time.Minute
)

// RunWaker wakes tablets until ctx ends. Any number of processes may run it.
func (q *Queue) RunWaker(ctx context.Context) {
	tick := time.NewTicker(wakeEvery)
	defer tick.Stop()
	for {
		n, err := q.WakeDue(ctx)
		if err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "waking tablets", "err", err)
		}
		if n == wakeBatch && err == nil {
			continue // there is more
		}
		select {
		case <-ctx.Done():
			return
		case <-q.nudge:
		case <-tick.C:
		}
	}
}

type targetRow struct {
	EnrollmentID string     `db:"enrollment_id"`
	Token        []byte     `db:"token"`
	Magic        []byte     `db:"magic_sealed"`
	Topic        string     `db:"topic"`
	Attempts     int        `db:"attempts"`
	UpdatedAt    sqldb.Time `db:"updated_at"`
}

// WakeDue wakes up to wakeBatch tablets that are due, and tells how many. What
// Apple said is written afterwards; should that be lost, they are due again.
func (q *Queue) WakeDue(ctx context.Context) (int, error) {
	q.mu.RLock()
	waker := q.waker
	q.mu.RUnlock()
	if waker == nil {
		return 0, nil
	}
	now := q.clk.Now()
	var some []string // a read costs nothing where nothing is due, the usual second
	err := q.db.Select(ctx, &some, `SELECT enrollment_id FROM push_targets
		WHERE due_at <= ? AND due_at IS NOT NULL AND refused_at IS NULL AND (lease_until IS NULL OR lease_until <= ?) LIMIT 1`, sqldb.At(now), sqldb.At(now))
	if err != nil || len(some) == 0 {
		return 0, err
	}
	var rows []targetRow
	err = q.db.Do(ctx, func(tx *sqldb.Tx) error {
		rows = nil // a repeated transaction begins anew
		// Who fetched everything meanwhile needs no push; what is due later gets
		// one then.
		_, err := tx.Exec(ctx, `UPDATE push_targets SET due_at = (SELECT MIN(c.not_before) FROM commands c
				WHERE c.enrollment_id = push_targets.enrollment_id AND c.state IN ('queued', 'sent', 'deferred'))
			WHERE due_at <= ? AND due_at IS NOT NULL AND refused_at IS NULL AND (lease_until IS NULL OR lease_until <= ?)
				AND NOT EXISTS (SELECT 1 FROM commands c WHERE c.enrollment_id = push_targets.enrollment_id
					AND c.state IN ('queued', 'sent', 'deferred') AND c.not_before <= ?)`, sqldb.At(now), sqldb.At(now), sqldb.At(now))
		if err != nil {
			return err
		}
		err = tx.Select(ctx, &rows, `SELECT enrollment_id, token, magic_sealed, topic, attempts, updated_at FROM push_targets
			WHERE due_at <= ? AND due_at IS NOT NULL AND refused_at IS NULL AND (lease_until IS NULL OR lease_until <= ?)
			ORDER BY due_at LIMIT ?`+tx.SkipLocked(), sqldb.At(now), sqldb.At(now), wakeBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]string, len(rows))
		for i, r := range rows {
			ids[i] = r.EnrollmentID
		}
		// due_at moves on now, so that a command that is added while the push is
		// under way moves it back and gets a push of its own.
		_, err = tx.Exec(ctx, `UPDATE push_targets SET lease_until = ?, due_at = ? WHERE enrollment_id IN (?)`,
			sqldb.At(now.Add(wakeLease)), sqldb.At(now.Add(wakeLease)), ids)
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	targets := make([]Target, 0, len(rows))
	failed := map[string]error{}
	for _, r := range rows {
		magic, err := q.vault.Open(magicPurpose(r.EnrollmentID), r.Magic)
		if err != nil {
			failed[r.EnrollmentID] = lostMagic{}
			continue
		}
		targets = append(targets, Target{EnrollmentID: r.EnrollmentID, Token: r.Token, Magic: fault.Secret(magic), Topic: r.Topic})
	}
	for id, err := range waker.Wake(ctx, targets) {
		if err != nil {
			failed[id] = err
		}
	}
	if ctx.Err() != nil {
		// Stopping: the pushes were cut off and prove nothing. The lease ends by itself.
		return 0, ctx.Err()
	}
	return len(rows), q.db.Do(ctx, func(tx *sqldb.Tx) error { return q.wrote(ctx, tx, rows, failed, now) })
}

type lostMagic struct{}

func (lostMagic) Error() string   { return "the push magic cannot be opened" }
func (lostMagic) Permanent() bool { return true }
func (lostMagic) Reason() string  { return "the push magic cannot be opened" }

// outcome is one way a push can end; tablets that share it share a statement.
type outcome struct {
	due      time.Time
	attempts int
	text     string
	refused  bool
	pushed   bool
}

// wrote notes what became of the pushes. Where the tablet sent another token
// meanwhile, the new one is untouched.
func (q *Queue) wrote(ctx context.Context, tx *sqldb.Tx, rows []targetRow, failed map[string]error, now time.Time) error {
	groups := map[outcome][]string{}
	for _, r := range rows {
		o := q.outcomeOf(failed[r.EnrollmentID], r.Attempts, now)
		groups[o] = append(groups[o], r.EnrollmentID)
	}
	for o, ids := range groups {
		refused, due, pushed := sqldb.Time{}, sqldb.At(o.due), sqldb.Time{}
		if o.refused {
			refused, due = sqldb.At(now), sqldb.At(now)
		}
		if o.pushed {
			pushed = sqldb.At(now)
		}
		_, err := tx.Exec(ctx, `UPDATE push_targets SET lease_until = NULL, last_error = ?, refused_at = ?, pushed_at = COALESCE(?, pushed_at),
				attempts = CASE WHEN due_at <> ? THEN attempts ELSE ? END,
				due_at = CASE WHEN due_at <> ? THEN due_at ELSE (
					SELECT MIN(CASE WHEN c.not_before > ? THEN c.not_before ELSE ? END) FROM commands c
					WHERE c.enrollment_id = push_targets.enrollment_id AND c.state IN ('queued', 'sent', 'deferred')) END
			WHERE enrollment_id IN (?) AND updated_at <= ?`,
			o.text, refused, pushed, sqldb.At(now.Add(wakeLease)), o.attempts, sqldb.At(now.Add(wakeLease)),
			sqldb.At(now), due, ids, sqldb.At(now))
		if err != nil {
			return fmt.Errorf("note what became of pushes: %w", err)
		}
	}
	return nil
}

func (q *Queue) outcomeOf(err error, attempts int, now time.Time) outcome {
	if err == nil {
		q.counters.accepted.Add(1)
		// Pushed again while commands wait: APNs may accept and drop.
		return outcome{due: now.Add(backOff(attempts)), attempts: attempts + 1, pushed: true}
	}
	var p permanent
	if errors.As(err, &p) && p.Permanent() {
		q.counters.refused.Add(1)
		return outcome{refused: true, text: mdm.Clean(p.Reason())}
	}
	q.counters.later.Add(1)
	wait := min(time.Minute<<min(attempts, 6), time.Hour)
	var r retryable
	if errors.As(err, &r) && r.RetryAfter() > 0 {
		wait = min(max(r.RetryAfter(), time.Second), 24*time.Hour)
	}
	// Spread by up to a quarter, so that a fleet does not return as one wave; in
	// steps of which few exist, because each outcome is a statement.
	wait += wait / 16 * time.Duration(rand.IntN(4)) //nolint:gosec // no secret
	return outcome{due: now.Add(wait), attempts: attempts + 1, text: mdm.Clean(err.Error())}
}

// backOff is how long after the n-th push (0 the first) a tablet that still has
// commands is pushed again: sooner would wake nobody, a tablet that is on
// answers within seconds.
func backOff(n int) time.Duration {
	steps := [...]time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour}
	if n >= 0 && n < len(steps) {
		return steps[n]
	}
	return 24 * time.Hour
}
