package enroll

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// contacts is who was here since the last flush. It lives in memory, since a
// poll must not write: a crash loses a second of last contacts and nothing else.
type contacts struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// Seen notes that a tablet was here. It does not touch the database.
func (r *Room) Seen(enrollmentID string) {
	now := r.Clock.Now()
	r.contacts.mu.Lock()
	defer r.contacts.mu.Unlock()
	r.contacts.seen[enrollmentID] = now
}

func (c *contacts) take() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) == 0 {
		return nil
	}
	taken := c.seen
	c.seen = make(map[string]time.Time, len(taken))
	return taken
}

// putBack keeps what could not be written, unless there is news.
func (c *contacts) putBack(taken map[string]time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range taken {
		if at.After(c.seen[id]) {
			c.seen[id] = at
		}
	}
}

// FlushSeen is a loop step, every second and once at the end: it writes the last
// contacts, and the events of refused messages, whose own transactions were
// undone.
func (r *Room) FlushSeen(ctx context.Context) error {
	if err := r.flushNotices(ctx); err != nil {
		return err
	}
	seen := r.contacts.take()
	if len(seen) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(seen))
	err := r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		for part := range slices.Chunk(ids, maxValues/2) {
			if err := upsertContacts(ctx, tx, part, seen); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.contacts.putBack(seen)
		return fmt.Errorf("write last contacts: %w", err)
	}
	return nil
}

// A contact never goes back: another process may have seen the tablet later.
func upsertContacts(ctx context.Context, tx *sqldb.Tx, ids []string, seen map[string]time.Time) error {
	args := make([]any, 0, 2*len(ids))
	for _, id := range ids {
		args = append(args, id, sqldb.At(seen[id]))
	}
	_, err := tx.Exec(ctx, `INSERT INTO contacts (enrollment_id, last_seen) VALUES `+places(`(?, ?)`, len(ids))+`
		ON CONFLICT (enrollment_id) DO UPDATE SET last_seen = excluded.last_seen
		WHERE excluded.last_seen > contacts.last_seen`, args...)
	return err
}

// Bounds on notices: a tablet that is refused knocks again and again, and a
// stranger may knock with many names.
const (
	noticeEvery = time.Hour
	maxNotices  = 1_000
)

// notices are events about messages that were refused. Each is told once an hour
// a device and reason.
type notices struct {
	mu      sync.Mutex
	pending []audit.Event
	last    map[string]time.Time
}

func refusal(subject, why, certificate string) audit.Event {
	detail := map[string]any{"reason": why}
	if certificate != "" {
		detail["certificate"] = certificate
	}
	return audit.Event{Actor: "system", Action: "enrollment.refuse", Subject: subject, Detail: detail}
}

func (n *notices) add(now time.Time, e audit.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := e.Subject + " " + fmt.Sprint(e.Detail["reason"])
	if at, told := n.last[key]; told && now.Sub(at) < noticeEvery {
		return
	}
	if len(n.last) >= maxNotices {
		maps.DeleteFunc(n.last, func(_ string, at time.Time) bool { return now.Sub(at) >= noticeEvery })
	}
	if len(n.last) >= maxNotices || len(n.pending) >= maxNotices {
		return
	}
	n.last[key] = now
	n.pending = append(n.pending, e)
}

func (r *Room) flushNotices(ctx context.Context) error {
	r.notices.mu.Lock()
	events := r.notices.pending
	r.notices.pending = nil
	r.notices.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	err := r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		for _, e := range events {
			if err := r.Audit.Append(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.notices.mu.Lock()
		r.notices.pending = append(events, r.notices.pending...)
		r.notices.mu.Unlock()
		return fmt.Errorf("record refused messages: %w", err)
	}
	return nil
}
