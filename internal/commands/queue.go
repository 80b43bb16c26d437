package commands

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Queue hands commands to tablets.
type Queue struct {
	db    *sqldb.DB
	clk   clock.Clock
	vault *certs.Vault
	audit *audit.Log
	log   *slog.Logger

	specs   map[string]Spec
	mu      sync.RWMutex
	waker   Waker
	nudge   chan struct{}
	counter counters
}

type counters struct{ accepted, refused, later, strangers atomic.Int64 }

// New makes a Queue.
func New(db *sqldb.DB, clk clock.Clock, vault *certs.Vault, log *audit.Log, lines *slog.Logger) *Queue {
	return &Queue{db: db, clk: clk, vault: vault, audit: log, log: lines, specs: map[string]Spec{}, nudge: make(chan struct{}, 1)}
}

// Handle makes kinds known. It is called before the first request, not later.
func (q *Queue) Handle(specs ...Spec) {
	for _, s := range specs {
		q.specs[s.Kind] = s
	}
}

// Target is where a tablet is woken.
type Target struct {
	EnrollmentID string
	Token        []byte
	Magic        fault.Secret
	Topic        string
}

// Waker wakes tablets. The errors are by EnrollmentID; no error: Apple took it.
type Waker interface {
	Wake(ctx context.Context, targets []Target) map[string]error
}

// SetWaker says who wakes tablets; nil: nobody.
func (q *Queue) SetWaker(w Waker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waker = w
}

// Add queues commands in the caller's transaction.
func (q *Queue) Add(ctx context.Context, tx *sqldb.Tx, cs ...Command) (ids []string, err error) {
	panic("soon")
}

// Exchange records a report and hands over the next command.
func (q *Queue) Exchange(ctx context.Context, tx *sqldb.Tx, s Session, rep *mdm.Report) (*HandOver, error) {
	panic("soon")
}

// Cancel takes back a command.
func (q *Queue) Cancel(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, id string) error {
	panic("soon")
}

// Clear ends all open commands of an enrollment.
func (q *Queue) Clear(ctx context.Context, tx *sqldb.Tx, enrollmentID, reason string) error {
	panic("soon")
}

// ProveErased takes Authenticate as the answer of an erase.
func (q *Queue) ProveErased(ctx context.Context, tx *sqldb.Tx, enrollmentID string) (bool, error) {
	panic("soon")
}

// Sweep ends what is overdue.
func (q *Queue) Sweep(ctx context.Context) error { panic("soon") }

// SetTarget keeps where a tablet is woken.
func (q *Queue) SetTarget(ctx context.Context, tx *sqldb.Tx, t Target) error { panic("soon") }

// DropTarget forgets where a tablet is woken.
func (q *Queue) DropTarget(ctx context.Context, tx *sqldb.Tx, enrollmentID string) error {
	panic("soon")
}

// RunWaker wakes tablets until ctx ends.
func (q *Queue) RunWaker(ctx context.Context) { panic("soon") }
