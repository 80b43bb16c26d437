package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// aliveFor is how long after its last word a tablet counts as in use: who sets
// it up anew within that time, and nobody ordered its erase, is asked about.
const aliveFor = 24 * time.Hour

// holdOrReplace decides what becomes of a tablet from Setup Assistant whose
// serial number or UDID is managed already. Both are mere claims, and a serial
// number stands on the box: while the first one is alive, the second is held, and
// a person decides. Otherwise it is the same tablet, restored or set up again,
// and begins a new life.
func (r *Room) holdOrReplace(ctx context.Context, tx *sqldb.Tx, id certs.Identity, e Enrollment, v visit) (held bool, err error) {
	rivals, err := rivalsOf(ctx, tx, e)
	if err != nil {
		return false, err
	}
	for _, other := range rivals {
		why, err := r.alive(ctx, tx, other, v.AskedAt.Time)
		if err != nil {
			return false, err
		}
		if why != "" {
			return true, r.hold(ctx, tx, id, e, other, why)
		}
	}
	for _, other := range rivals {
		if other.UDID == e.UDID {
			continue // its next generation, as ever
		}
		if err := r.end(ctx, tx, other, Unenrolled, "replaced by another device with its serial number", byADE); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (r *Room) hold(ctx context.Context, tx *sqldb.Tx, id certs.Identity, e, other Enrollment, why string) error {
	now := r.Clock.Now()
	e.State = Held
	if err := insertEnrollment(ctx, tx, e, now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO holds (enrollment_id, other_id, device_id, reason, opened_at) VALUES (?, ?, ?, ?, ?)`,
		e.ID, other.ID, e.DeviceID, why, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("hold an enrollment: %w", err)
	}
	if err := r.Certs.Pin(ctx, tx, id.Hash, e.ID, e.Generation); err != nil {
		return err
	}
	return r.record(ctx, tx, byADE, "enrollment.hold", e.subject(), map[string]any{"enrollment": e.ID, "reason": why})
}

// rivalsOf are the live enrollments with the serial number or the UDID of e,
// locked until the commit: none, one, or two where it has the serial number of
// one tablet and the UDID of another.
func rivalsOf(ctx context.Context, tx *sqldb.Tx, e Enrollment) ([]Enrollment, error) {
	return someEnrollments(ctx, tx, `WHERE (e.device_id = ? OR e.udid = ?) AND e.id <> ? AND e.state IN ('enrolling', 'enrolled') ORDER BY e.id`+tx.ForUpdate(),
		e.DeviceID, e.UDID, e.ID)
}

// forgetHeld ends what was held of a tablet that comes once more: its identity of
// then is gone with its erase, and nothing is left to decide about it.
func (r *Room) forgetHeld(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	held, err := someEnrollments(ctx, tx, `WHERE e.device_id = ? AND e.udid = ? AND e.id <> ? AND e.state = 'held' ORDER BY e.id`+tx.ForUpdate(), e.DeviceID, e.UDID, e.ID)
	if err != nil {
		return err
	}
	for _, h := range held {
		if err := r.end(ctx, tx, h, Unenrolled, "it came once more", byADE); err != nil {
			return err
		}
	}
	return nil
}

// alive tells why an enrollment counts as in use, or "". One that broke off
// before it was complete does not, nor one that is about to end.
func (r *Room) alive(ctx context.Context, tx *sqldb.Tx, e Enrollment, asked time.Time) (why string, err error) {
	if e.State != Enrolled || !e.UnmanageAt.IsZero() {
		return "", nil
	}
	var row struct {
		At sqldb.Time `db:"last_seen"`
	}
	err = tx.Get(ctx, &row, `SELECT c.last_seen FROM contacts c WHERE c.enrollment_id = ?`, e.ID)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return "", fmt.Errorf("read the last contact of a device: %w", err)
	}
	spoke := row.At.Time
	r.contacts.mu.Lock()
	if at := r.contacts.seen[e.ID]; at.After(spoke) {
		spoke = at
	}
	r.contacts.mu.Unlock()
	if spoke.After(asked) {
		return "spoke-after", nil
	}
	if e.EnrolledAt.After(spoke) {
		spoke = e.EnrolledAt
	}
	if asked.Sub(spoke) >= aliveFor {
		return "", nil
	}
	ordered, err := r.Queue.Ordered(ctx, tx, e.ID, e.Generation, erase)
	if err != nil || ordered {
		return "", err
	}
	return "seen-lately", nil
}

// heldSays takes what a held tablet says: how to wake it, and that it leaves. It
// is asked about itself and gets nothing: no profile, no secret, no release.
func (r *Room) heldSays(ctx context.Context, tx *sqldb.Tx, e Enrollment, m *mdm.CheckIn) error {
	switch m.MessageType {
	case "CheckOut":
		return r.checkOut(ctx, tx, e)
	case "SetBootstrapToken":
		return r.setBootstrapToken(ctx, tx, e, m.BootstrapToken) // it is sent once, and it may be let in
	case "TokenUpdate":
	default:
		return nil // an empty 200: there is nothing for it
	}
	if n := len(m.Token); n == 0 || n > maxToken || m.PushMagic == "" || len(m.PushMagic) > maxToken || len(m.UnlockToken) > maxUnlockToken {
		return fault.New(fault.Invalid, "checkin.token", "A TokenUpdate must bring a push token and its magic word, and none of a size that no device has.")
	}
	if m.Topic != e.Topic {
		return r.foreignTopic(e)
	}
	now := r.Clock.Now()
	set, args := `awaiting = ?`, []any{m.AwaitingConfiguration}
	if len(m.UnlockToken) > 0 {
		sealed, err := r.Vault.Seal("enroll.unlock:"+e.ID, m.UnlockToken)
		if err != nil {
			return fmt.Errorf("take a TokenUpdate: %w", err)
		}
		set, args = set+`, unlock_token = ?`, append(args, sealed)
	}
	if e.EnrolledAt.IsZero() {
		set, args = set+`, enrolled_at = ?, inventory_at = ?`, append(args, sqldb.At(now), sqldb.At(now))
	}
	if err := change(ctx, tx, "take a TokenUpdate of", e.ID, now, set, args...); err != nil {
		return err
	}
	target := commands.Target{EnrollmentID: e.ID, Token: m.Token, Magic: fault.Secret(m.PushMagic), Topic: e.Topic}
	if err := r.Queue.SetTarget(ctx, tx, target); err != nil {
		return err
	}
	if !e.EnrolledAt.IsZero() {
		return nil
	}
	_, err := r.Queue.Add(ctx, tx, r.questions(e, audit.System)...)
	return err
}

// Hold is a second enrollment of a serial number that waits for a person.
type Hold struct {
	EnrollmentID string     `db:"enrollment_id"`
	OtherID      string     `db:"other_id"`
	DeviceID     string     `db:"device_id"`
	Reason       string     `db:"reason"` // "spoke-after", "seen-lately"
	OpenedAt     sqldb.Time `db:"opened_at"`
}

// openHold gives the hold of an enrollment that is still to be decided, with the
// enrollment.
func (r *Room) openHold(ctx context.Context, tx *sqldb.Tx, enrollmentID string) (Hold, Enrollment, error) {
	var h Hold
	err := tx.Get(ctx, &h, `SELECT h.enrollment_id, h.other_id, h.device_id, h.reason, h.opened_at FROM holds h
		WHERE h.enrollment_id = ? AND h.decided_at IS NULL`+tx.ForUpdate(), enrollmentID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return h, Enrollment{}, fault.New(fault.NotFound, "hold.unknown", "Nothing is held here, or it is decided already. See `ranzen hold list`.")
	}
	if err != nil {
		return h, Enrollment{}, fmt.Errorf("read a hold: %w", err)
	}
	e, err := lockEnrollment(ctx, tx, enrollmentID)
	if err != nil {
		return h, e, fmt.Errorf("read a held enrollment: %w", err)
	}
	if e.State != Held {
		return h, e, fault.New(fault.Conflict, "hold.gone", "The held tablet is gone: it checked out. Nothing is left to decide.")
	}
	return h, e, nil
}

func decide(ctx context.Context, tx *sqldb.Tx, h Hold, decision string, actor audit.Actor, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE holds SET decision = ?, decided_by = ?, decided_at = ? WHERE enrollment_id = ?`, decision, string(actor), sqldb.At(now), h.EnrollmentID)
	if err != nil {
		return fmt.Errorf("decide a hold: %w", err)
	}
	return nil
}

// AdmitHeld lets a held tablet in: the one that was there before is no longer
// managed. What is marked lost stays so.
func (r *Room) AdmitHeld(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, enrollmentID string) error {
	h, e, err := r.openHold(ctx, tx, enrollmentID)
	if err != nil {
		return err
	}
	rivals, err := rivalsOf(ctx, tx, e)
	if err != nil {
		return err
	}
	for _, other := range rivals {
		if err := r.end(ctx, tx, other, Unenrolled, "another enrollment of its serial number was let in", actor); err != nil {
			return err
		}
	}
	if err := r.inheritLost(ctx, tx, e); err != nil {
		return err
	}
	now := r.Clock.Now()
	to := Enrolled
	if e.EnrolledAt.IsZero() {
		to = Enrolling
	}
	// What it told while it was held set nothing off; it is asked once more.
	if err := change(ctx, tx, "admit", e.ID, now, `state = ?, supervised = NULL`, string(to)); err != nil {
		return err
	}
	if err := decide(ctx, tx, h, "admitted", actor, now); err != nil {
		return err
	}
	if err := r.record(ctx, tx, actor, "enrollment.admit", e.subject(), map[string]any{"enrollment": e.ID}); err != nil || to == Enrolling {
		return err
	}
	if e, err = lockEnrollment(ctx, tx, e.ID); err != nil {
		return fmt.Errorf("read an admitted enrollment: %w", err)
	}
	return r.welcome(ctx, tx, e)
}

// RejectHeld sends a held tablet away: at its next contact it is told to end its
// management.
func (r *Room) RejectHeld(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, enrollmentID string) error {
	h, e, err := r.openHold(ctx, tx, enrollmentID)
	if err != nil {
		return err
	}
	now := r.Clock.Now()
	if err := change(ctx, tx, "reject", e.ID, now, `unmanage_at = ?`, sqldb.At(now)); err != nil {
		return err
	}
	if err := decide(ctx, tx, h, "rejected", actor, now); err != nil {
		return err
	}
	return r.end(ctx, tx, e, Unenrolled, "a person sent it away: its serial number is another tablet's", actor)
}
