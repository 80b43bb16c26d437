package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"ranzen/certs"
	"ranzen/internal/apple/ade"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// State is what became of an enrollment. That a tablet is lost, silent or about
// to be erased is derived from it and other rows by package views.
type State string

// States.
const (
	Enrolling  State = "enrolling"  // Authenticate came, TokenUpdate not yet
	Enrolled   State = "enrolled"   // it takes commands
	Held       State = "held"       // a second enrollment of a serial number: it may tell of itself until a person decides
	Erased     State = "erased"     // it acknowledged an erase
	Unenrolled State = "unenrolled" // it checked out, or was told to go
)

func (s State) live() bool { return s == Enrolling || s == Enrolled }

// Marker is told that what enrollments should have may have changed. Package
// profiles is one.
type Marker interface {
	Mark(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error
}

// MarkerFunc is a function as a Marker.
type MarkerFunc func(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error

// Mark calls f.
func (f MarkerFunc) Mark(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error {
	return f(ctx, tx, enrollmentIDs...)
}

// Deps is what the room needs, all of it.
type Deps struct {
	DB           *sqldb.DB
	Clock        clock.Clock
	Vault        *certs.Vault
	Certs        *certs.Room
	Queue        *commands.Queue
	Schools      *schools.Room
	Audit        *audit.Log
	Marker       Marker
	Log          *slog.Logger
	PublicURL    string // "https://mdm.example.org", as devices reach the server
	Organization string // shown on the iPad beside the profile; may be ""

	Apple   *ade.Client // Apple's device assignment service; nil: it is never asked
	Anchors [][]byte    // DER: what iPads trust the server by besides the built-in roots, root first
}

// Room is enrollment and what hangs on it. It is safe for many goroutines.
type Room struct {
	Deps
	plan     plan // of the enrollment profile: what never changes
	contacts contacts
	notices  notices
}

// New makes the room.
func New(d Deps) (*Room, error) {
	for name, missing := range map[string]bool{
		"DB": d.DB == nil, "Vault": d.Vault == nil, "Certs": d.Certs == nil, "Queue": d.Queue == nil,
		"Schools": d.Schools == nil, "Audit": d.Audit == nil, "Marker": d.Marker == nil, "Log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("open enroll: %s is missing", name)
		}
	}
	d.PublicURL = strings.TrimRight(d.PublicURL, "/")
	if u, err := url.Parse(d.PublicURL); err != nil || u.Host == "" || u.Scheme != "https" {
		// Apple, Device Management, MDM > ServerURL: "must begin with https://".
		return nil, fault.New(fault.Invalid, "url.public",
			"The public address %q must begin with https:// and name a host: iPads refuse any other.", d.PublicURL)
	}
	return &Room{
		Deps:     d,
		plan:     newPlan(d.PublicURL, d.Organization),
		contacts: contacts{seen: map[string]time.Time{}},
		notices:  notices{last: map[string]time.Time{}},
	}, nil
}

// Enrollment is a tablet under management, or one that was.
type Enrollment struct {
	ID, DeviceID, UDID string
	Generation         int64
	State              State
	Topic              string
	Placeholder        bool // enrolled before there was a push certificate: must enroll again
	LinkID             string
	OSVersion          string
	BuildVersion       string
	Model              string
	Supervised         *bool // nil: not known yet
	LostMode           bool  // as last acknowledged or observed
	LostAt             time.Time
	LostAcknowledgedAt time.Time // when the tablet said it had done the last Lost Mode order
	LostObservedAt     time.Time // when the tablet last told whether it is in Lost Mode
	Awaiting           bool
	ADEProfileID       string    // it came by Automated Device Enrollment, with this profile; "": by a link
	ReleaseAt          time.Time // DeviceConfigured was ordered in this life
	HasUnlockToken     bool
	HasBootstrapToken  bool
	HasBypassCode      bool
	UnmanageAt         time.Time
	CreatedAt          time.Time
	EnrolledAt         time.Time
	EndedAt            time.Time
}

func (e Enrollment) device() audit.Actor { return audit.Actor("device:" + e.DeviceID) }
func (e Enrollment) subject() string     { return "device:" + e.DeviceID }

// unsupervised is known for certain; a tablet of which nothing is known may be
// asked and decides itself.
func (e Enrollment) unsupervised() bool { return e.Supervised != nil && !*e.Supervised }

func (e Enrollment) supervised() bool { return e.Supervised != nil && *e.Supervised }

// EnrollmentOf gives the enrollment of a device: the live one if there is one,
// else the last.
func (r *Room) EnrollmentOf(ctx context.Context, q sqldb.Queryer, deviceID string) (Enrollment, error) {
	return found(enrollmentOfDevice(ctx, q, deviceID, ""))
}

// lockedOf is EnrollmentOf for a change.
func (r *Room) lockedOf(ctx context.Context, tx *sqldb.Tx, deviceID string) (Enrollment, error) {
	return found(enrollmentOfDevice(ctx, tx, deviceID, tx.ForUpdate()))
}

func found(e Enrollment, err error) (Enrollment, error) {
	if errors.Is(err, sqldb.ErrNoRows) {
		return Enrollment{}, notEnrolled()
	}
	if err != nil {
		return Enrollment{}, fmt.Errorf("read the enrollment of a device: %w", err)
	}
	return e, nil
}

func notEnrolled() *fault.Fault {
	return fault.New(fault.Conflict, "device.not-enrolled",
		"The device is not under management, so nothing can be ordered of it. Enroll it with a link first.")
}

// record writes one event to the audit trail.
func (r *Room) record(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, action, subject string, detail map[string]any) error {
	return r.Audit.Append(ctx, tx, audit.Event{Actor: actor, Action: action, Subject: subject, Detail: detail})
}
