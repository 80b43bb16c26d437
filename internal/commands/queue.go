package commands

import (
	"log/slog"
	"sync"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
)

// Queue hands commands to tablets.
type Queue struct {
	db    *sqldb.DB
	clk   clock.Clock
	vault *certs.Vault
	audit *audit.Log
	log   *slog.Logger

	specs   map[string]Spec // read only once requests come
	inLost  []string        // kinds that may be handed over in Lost Mode
	renewal []string        // kinds for an expired identity
	both    []string

	mu       sync.RWMutex
	waker    Waker
	nudge    chan struct{} // something is due
	counters counters
}

// New makes a Queue.
func New(db *sqldb.DB, clk clock.Clock, vault *certs.Vault, log *audit.Log, lines *slog.Logger) *Queue {
	return &Queue{db: db, clk: clk, vault: vault, audit: log, log: lines, specs: map[string]Spec{}, nudge: make(chan struct{}, 1)}
}

// Handle makes kinds known. It is called before the first request, not later.
func (q *Queue) Handle(specs ...Spec) {
	for _, s := range specs {
		q.specs[s.Kind] = s
		if s.InLostMode {
			q.inLost = append(q.inLost, s.Kind)
		}
		if s.WhenExpired {
			q.renewal = append(q.renewal, s.Kind)
		}
		if s.InLostMode && s.WhenExpired {
			q.both = append(q.both, s.Kind)
		}
	}
}

// allowed lists the kinds that may be handed over now; all is true when every
// kind may.
func (q *Queue) allowed(s Session) (kinds []string, all bool) {
	switch {
	case s.LostMode && s.Expired:
		return q.both, false
	case s.LostMode:
		return q.inLost, false
	case s.Expired:
		return q.renewal, false
	}
	return nil, true
}
