package views

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/certs"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Door is all that the tablets' door must know to answer a request: the
// certificate, the enrollment it is pinned to, and whether something waits.
type Door struct {
	Identity certs.Identity

	// The enrollment; Known is false before its first Authenticate.
	Known      bool
	DeviceID   string
	UDID       string
	Generation int64 // of the enrollment; Identity.Generation is the certificate's
	State      string
	LostMode   bool
	Unmanage   bool // an administrator ordered the end of management
	Waiting    bool // an open command is due
}

type doorRow struct {
	Serial         string     `db:"serial"`
	EnrollmentID   *string    `db:"enrollment_id"`
	LinkID         *string    `db:"link_id"`
	CertGeneration int64      `db:"cert_generation"`
	Purpose        string     `db:"purpose"`
	CertState      string     `db:"cert_state"`
	NotAfter       sqldb.Time `db:"not_after"`
	DeviceID       *string    `db:"device_id"`
	UDID           *string    `db:"udid"`
	Generation     *int64     `db:"generation"`
	State          *string    `db:"state"`
	LostMode       *bool      `db:"lost_mode"`
	UnmanageAt     sqldb.Time `db:"unmanage_at"`
	Waiting        bool       `db:"waiting"`
}

// The states in the sub-select are written as in the partial index
// commands_open, or SQLite would not see that it serves.
const doorSQL = `
	SELECT c.serial, c.enrollment_id, c.link_id, c.generation AS cert_generation, c.purpose,
		c.state AS cert_state, c.not_after,
		e.device_id, e.udid, e.generation, e.state, e.lost_mode, e.unmanage_at,
		EXISTS (SELECT 1 FROM commands k
			WHERE k.enrollment_id = e.id AND k.state IN ('queued', 'sent', 'deferred')
			AND k.generation = e.generation AND k.not_before <= ?) AS waiting
	FROM certificates c
	LEFT JOIN enrollments e ON e.id = c.enrollment_id
	WHERE c.hash = ? AND c.kind = 'identity'`

// OpenDoor reads what is known about the certificate with this hash. A
// certificate that is not ours is a fault certificate.foreign.
func OpenDoor(ctx context.Context, q sqldb.Queryer, hash string, now time.Time) (Door, error) {
	var r doorRow
	err := q.Get(ctx, &r, doorSQL, sqldb.At(now), hash)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Door{}, fault.New(fault.NotFound, "certificate.foreign", "This certificate was not issued by this server.")
	}
	if err != nil {
		return Door{}, fmt.Errorf("look up a certificate: %w", err)
	}
	d := Door{
		Identity: certs.Identity{
			Hash: hash, Serial: r.Serial, EnrollmentID: deref(r.EnrollmentID), LinkID: deref(r.LinkID),
			Generation: r.CertGeneration, Purpose: certs.Purpose(r.Purpose), State: certs.State(r.CertState), NotAfter: r.NotAfter.Time,
		},
		Waiting: r.Waiting,
	}
	if r.UDID != nil {
		d.Known = true
		d.DeviceID, d.UDID, d.State = deref(r.DeviceID), deref(r.UDID), deref(r.State)
		d.Generation, d.LostMode = deref(r.Generation), deref(r.LostMode)
		d.Unmanage = !r.UnmanageAt.IsZero()
	}
	return d, nil
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// when is t for JSON: nil, not the year 1, where there is none.
func when(t sqldb.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t.Time
}
