package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
)

// Actor is who did it: "user:NAME", "device:ID", "link:ID" or System.
type Actor string

// System is the server itself: loops and consequences.
const System Actor = "system"

// Event is something that was done.
type Event struct {
	Actor   Actor
	Action  string         // "profile.assign"
	Subject string         // "device:ID", "profile:ID", …
	Detail  map[string]any // shown to people: no secret, no name from a tablet
}

// Entry is an event as it was kept.
type Entry struct {
	Event
	ID   string
	At   time.Time
	Seq  int64  // place in the chain; 0 while it waits for it
	Hash string // hex; "" while it waits
}

// Filter says which entries to list; empty fields do not matter.
type Filter struct {
	Subject string
	Action  string
	After   string // continue behind the entry with this ID
	Limit   int    // 1 to 500; 0 is 100
}

// VerifyResult says whether the chain holds.
type VerifyResult struct {
	OK      bool
	Events  int64  // chained ones that were checked
	Waiting int64  // not yet chained
	Seq     int64  // the first place where the chain breaks
	Reason  string // what is wrong there
	Head    string // hex hash of the last event: worth noting elsewhere
}

// Log keeps events.
type Log struct {
	db  *sqldb.DB
	clk clock.Clock
}

// New makes a Log.
func New(db *sqldb.DB, clk clock.Clock) *Log { return &Log{db: db, clk: clk} }

// Append keeps e in the caller's transaction.
func (l *Log) Append(ctx context.Context, tx *sqldb.Tx, e Event) error {
	return l.AppendMany(ctx, tx, []Event{e})
}

// appendRows is how many events one statement keeps.
const appendRows = 100

// AppendMany keeps events in the caller's transaction, in this order.
func (l *Log) AppendMany(ctx context.Context, tx *sqldb.Tx, events []Event) error {
	now := sqldb.At(l.clk.Now())
	for part := range slices.Chunk(events, appendRows) {
		args := make([]any, 0, 6*len(part))
		for _, e := range part {
			detail := []byte("{}")
			if len(e.Detail) > 0 {
				var err error
				if detail, err = json.Marshal(e.Detail); err != nil {
					return fmt.Errorf("append event %s: %w", e.Action, err)
				}
			}
			args = append(args, sqldb.NewID(), now, storable(string(e.Actor)), storable(e.Action), storable(e.Subject), string(detail))
		}
		_, err := tx.Exec(ctx, `INSERT INTO audit_events (id, at, actor, action, subject, detail) VALUES `+
			strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?), `, len(part)), ", "), args...)
		if err != nil {
			return fmt.Errorf("append event %s: %w", part[0].Action, err)
		}
	}
	return nil
}

// storable is s without what PostgreSQL refuses in text.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
