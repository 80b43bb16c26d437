package enroll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// ReleaseAgain is how long a release may have no effect before it is ordered
// again: a tablet that refused it once takes it a little later (pain 16).
const ReleaseAgain = 5 * time.Minute

// Ready is a tablet in Setup Assistant that showed all of its baseline in this
// life.
type Ready struct {
	EnrollmentID string
	Generation   int64
}

// Release lets tablets out of Setup Assistant, whose baseline is observed on
// them. That it is, the caller has found out; what changed since is looked up
// here: those that are out already, on their way, or in their next life are left
// alone.
func (r *Room) Release(ctx context.Context, tx *sqldb.Tx, ready ...Ready) error {
	lives := make(map[string]int64, len(ready))
	for _, one := range ready {
		lives[one.EnrollmentID] = one.Generation
	}
	for part := range chunks(slices.Collect(maps.Keys(lives))) {
		list, err := someEnrollments(ctx, tx, `WHERE e.id IN (?) AND e.awaiting AND e.state = 'enrolled'
			AND (e.release_at IS NULL OR e.release_at < ?) ORDER BY e.id`+tx.ForUpdate(), part, sqldb.At(r.Clock.Now().Add(-ReleaseAgain)))
		if err != nil {
			return fmt.Errorf("read tablets in Setup Assistant: %w", err)
		}
		for _, e := range list {
			if e.Generation != lives[e.ID] {
				continue
			}
			if err := r.release(ctx, tx, e, audit.System, map[string]any{"baseline": "observed"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// release orders DeviceConfigured. Who let it go first stays with it.
func (r *Room) release(ctx context.Context, tx *sqldb.Tx, e Enrollment, actor audit.Actor, detail map[string]any) error {
	now := r.Clock.Now()
	set := `release_at = ?, release_by = CASE WHEN release_by IN ('', ?) THEN ? ELSE release_by END`
	if err := change(ctx, tx, "release", e.ID, now, set, sqldb.At(now), string(audit.System), string(actor)); err != nil {
		return err
	}
	_, err := r.send(ctx, tx, e, r.order(e, configured, actor), detail)
	return err
}

// ReleaseAnyway lets a tablet out of Setup Assistant whose baseline is not there,
// because a person says so. It takes the time limit of its enrollment profile
// first: until then what is missing may still come.
//
// Faults: device.not-awaiting, release.too-early, release.reason.
func (r *Room) ReleaseAnyway(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID, reason string) error {
	reason = strings.TrimSpace(mdm.Clean(reason))
	if reason == "" {
		return fault.New(fault.Invalid, "release.reason", "Say why the iPad may go without what it should have.").On("reason")
	}
	e, err := r.ready(ctx, tx, deviceID)
	if err != nil {
		return err
	}
	if !e.Awaiting {
		return fault.New(fault.Conflict, "device.not-awaiting", "The iPad does not wait in Setup Assistant.")
	}
	var seconds int64
	err = tx.Get(ctx, &seconds, `SELECT p.release_after FROM ade_profiles p WHERE p.id = ?`, e.ADEProfileID)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return fmt.Errorf("read an enrollment profile: %w", err)
	}
	if may := e.EnrolledAt.Add(time.Duration(seconds) * time.Second); r.Clock.Now().Before(may) {
		return fault.New(fault.Conflict, "release.too-early",
			"What is missing may still come. From %s on the iPad may be released without it.", may.UTC().Format(time.RFC3339))
	}
	return r.release(ctx, tx, e, actor, map[string]any{"baseline": "incomplete", "reason": reason})
}
