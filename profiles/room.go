package profiles

import (
	"context"
	"log/slog"
	"time"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// DeviceFacts is what planning needs to know of an enrollment.
type DeviceFacts struct {
	EnrollmentID, DeviceID string
	Serial                 string
	Generation             int64
	Active                 bool // it takes commands
	OSVersion              string
	Supervised             *bool // nil: not known yet
	LostMode               bool
	Model                  string
	State                  string
	LastSeen               time.Time // only of OfDevices and AwayIn
}

// Facts tells of enrollments. Package enroll does.
type Facts interface {
	// Facts gives what is known; ids of no enrollment are missing from it.
	Facts(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (map[string]DeviceFacts, error)
	// OfDevices gives what is known by device id; who never enrolled is missing.
	OfDevices(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string]DeviceFacts, error)
	// SilentSince gives when those of these were in contact last that were not since
	// then. Who never was is missing.
	SilentSince(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string, since time.Time) (map[string]time.Time, error)
	// ChangedSince lists the devices whose enrollment changed since then.
	ChangedSince(ctx context.Context, q sqldb.Queryer, since time.Time) ([]string, error)
	// InScope lists the enrolled tablets in a scope.
	InScope(ctx context.Context, q sqldb.Queryer, s Scope) ([]string, error)
	// AwayIn gives the other devices in a scope by their ids; State is "" for those
	// that never enrolled.
	AwayIn(ctx context.Context, q sqldb.Queryer, s Scope) (map[string]DeviceFacts, error)
}

// Deps is what the room needs, all of it.
type Deps struct {
	DB      *sqldb.DB
	Clock   clock.Clock
	Vault   *certs.Vault
	Certs   *certs.Room
	Queue   *commands.Queue
	Schools *schools.Room
	Audit   *audit.Log
	Log     *slog.Logger
	Facts   Facts
	// PublicURL is where tablets reach the server: https://mdm.school.example.
	PublicURL string
}

// Room is the wishes and their fulfilment. It is safe for many goroutines.
type Room struct {
	Deps
	nudge chan struct{} // marks were made
}

// New makes the room.
func New(d Deps) *Room { return &Room{Deps: d, nudge: make(chan struct{}, 1)} }

// Kinds of items.
const (
	kindProfile = "profile"
	kindApp     = "app"
)

// chunk is how many rows one statement touches.
const chunk = 500

func (r *Room) record(ctx context.Context, tx *sqldb.Tx, by audit.Actor, action, subject string, detail map[string]any) error {
	return r.Audit.Append(ctx, tx, audit.Event{Actor: by, Action: action, Subject: subject, Detail: detail})
}

func (r *Room) poke() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Run plans what is marked until ctx ends. Any number of processes may run it.
func (r *Room) Run(ctx context.Context) {
	tick, steps := time.NewTicker(time.Second), time.NewTicker(stepEvery)
	defer tick.Stop()
	defer steps.Stop()
	groups := regrouper{room: r}
	for {
		n, err := r.Reconcile(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "planning what tablets should have", "err", err)
		}
		if err == nil && n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-r.nudge:
		case <-tick.C:
		case <-steps.C:
			if err := r.StepRollouts(ctx); err != nil && ctx.Err() == nil {
				r.Log.ErrorContext(ctx, "moving roll-outs on", "err", err)
			}
			if err := groups.tick(ctx); err != nil && ctx.Err() == nil {
				r.Log.ErrorContext(ctx, "working out who is in groups", "err", err)
			}
		}
	}
}
