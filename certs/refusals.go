package certs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ranzen/internal/sqldb"
)

// Bounds, so that whoever knocks with a new certificate each time fills neither
// memory nor the database.
const (
	maxPendingRefusals = 1000
	maxStrangers       = 50 // certificates of nobody that are kept apart between two flushes
	keepRefusals       = 10_000
	refusalLife        = 90 * 24 * time.Hour
	challengeLife      = 30 * 24 * time.Hour // after its expiry
	endedTLSLife       = 30 * 24 * time.Hour
)

// Refusal counts how often a certificate was refused for a reason.
type Refusal struct {
	Reason       string
	Hash         string // "" when there was no certificate, or too many
	EnrollmentID string // "" when it belongs to nobody
	Count        int64
	FirstAt      time.Time
	LastAt       time.Time
}

type refusalKey struct{ reason, hash string }

type refusalCounter struct {
	mu        sync.Mutex
	totals    map[string]int64
	pending   map[refusalKey]refusalRow
	strangers int
}

// Refuse counts a certificate, or a request without one, that was turned away.
// It costs no statement: FlushRefusals writes. reason is one of a fixed few.
func (r *Room) Refuse(reason, hash, enrollmentID string) {
	now := r.clock.Now()
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	if r.refused.totals == nil {
		r.refused.totals = map[string]int64{}
	}
	r.refused.totals[reason]++
	r.refused.add(refusalRow{Reason: reason, Hash: hash, EnrollmentID: enrollmentID, Count: 1, FirstAt: sqldb.At(now), LastAt: sqldb.At(now)})
}

func (c *refusalCounter) add(f refusalRow) {
	if c.pending == nil {
		c.pending = map[refusalKey]refusalRow{}
	}
	key := refusalKey{f.Reason, f.Hash}
	if _, known := c.pending[key]; !known && f.Hash != "" {
		if len(c.pending) >= maxPendingRefusals || (f.EnrollmentID == "" && c.strangers >= maxStrangers) {
			key.hash, f.Hash, f.EnrollmentID = "", "", ""
		} else if f.EnrollmentID == "" {
			c.strangers++
		}
	}
	if old, ok := c.pending[key]; ok {
		old.Count += f.Count
		old.LastAt = f.LastAt
		c.pending[key] = old
		return
	}
	c.pending[key] = f
}

// FlushRefusals is a loop step, each second: it writes what Refuse counted.
func (r *Room) FlushRefusals(ctx context.Context) error {
	r.refused.mu.Lock()
	pending := r.refused.pending
	r.refused.pending, r.refused.strangers = nil, 0
	r.refused.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	// In one order everywhere: two processes that count the same strangers must not
	// wait for each other.
	rows := slices.SortedFunc(maps.Values(pending), func(a, b refusalRow) int {
		return cmp.Or(strings.Compare(a.Reason, b.Reason), strings.Compare(a.Hash, b.Hash))
	})
	err := r.db.Do(ctx, func(tx *sqldb.Tx) error { return upsertRefusals(ctx, tx, rows) })
	if err == nil {
		return nil
	}
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	for _, f := range pending {
		r.refused.add(f)
	}
	return fmt.Errorf("write refused certificates: %w", err)
}

// Refusals gives the newest refusals that were written.
func (r *Room) Refusals(ctx context.Context, q sqldb.Queryer, limit int) ([]Refusal, error) {
	rows, err := selectRefusals(ctx, q, limit)
	if err != nil {
		return nil, fmt.Errorf("list refused certificates: %w", err)
	}
	out := make([]Refusal, len(rows))
	for i, f := range rows {
		out[i] = Refusal{f.Reason, f.Hash, f.EnrollmentID, f.Count, f.FirstAt.Time, f.LastAt.Time}
	}
	return out, nil
}

// RefusalCounts gives the refusals of this process since its start, by reason.
func (r *Room) RefusalCounts() map[string]int64 {
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	if r.refused.totals == nil {
		return map[string]int64{}
	}
	return maps.Clone(r.refused.totals)
}

// forget removes what nobody will ask for again. Identities stay for ever: a
// certificate that comes back after years must be known to be told apart from a
// stranger's.
func (r *Room) forget(ctx context.Context) error {
	now := r.clock.Now()
	err := r.db.Do(ctx, func(tx *sqldb.Tx) error {
		if err := deleteOldChallenges(ctx, tx, now.Add(-challengeLife)); err != nil {
			return err
		}
		if err := deleteOldTLS(ctx, tx, now.Add(-endedTLSLife)); err != nil {
			return err
		}
		return deleteOldRefusals(ctx, tx, now.Add(-refusalLife), keepRefusals)
	})
	if err != nil {
		return fmt.Errorf("forget old challenges and refusals: %w", err)
	}
	return nil
}
