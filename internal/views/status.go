package views

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

// Counts are the numbers of the status page and the metrics.
type Counts struct {
	Devices       map[string]int64 `json:"devices" doc:"By enrollment state"`
	Commands      map[string]int64 `json:"commands" doc:"Open and uncertain ones by state"`
	OldestCommand *time.Time       `json:"oldest_command" doc:"Since when the oldest open command waits that may be handed over"`
	Placeholder   int64            `json:"must_enroll_again" doc:"Tablets enrolled before there was a push certificate"`
	PushWaiting   int64            `json:"push_waiting" doc:"Tablets that wait to be woken"`
	PushRefused   int64            `json:"push_refused" doc:"Tablets that Apple refuses to wake"`
	Renewals      int64            `json:"certificates_ending" doc:"Identities that end within 30 days"`
	Marks         int64            `json:"devices_to_plan" doc:"Tablets whose wish was changed and not yet planned"`
	Items         map[string]int64 `json:"items" doc:"Profiles and apps on tablets by state"`
	LeftAlone     int64            `json:"left_alone" doc:"Profiles and apps that a tablet undid five times within a day, and that are left alone until the next"`
	Contact       map[string]int64 `json:"last_contact" doc:"Enrolled tablets by age of their last contact"`
}

type count struct {
	Name string `db:"name"`
	N    int64  `db:"n"`
}

func counted(ctx context.Context, q sqldb.Queryer, query string, args ...any) (map[string]int64, error) {
	var rows []count
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	m := make(map[string]int64, len(rows))
	for _, r := range rows {
		m[r.Name] = r.N
	}
	return m, nil
}

// Counts counts the tablets of one tenant, or all for "". It reads each table
// once; callers keep the answer for a while.
func (r *Room) Counts(ctx context.Context, tenantID string) (Counts, error) {
	var c Counts
	err := r.db.Read(ctx, func(q sqldb.Queryer) (err error) {
		n := counting{q: q, now: r.clk.Now()}
		if tenantID != "" {
			n.enrollment = ` AND enrollment_id IN (SELECT y.id FROM enrollments y JOIN devices x ON x.id = y.device_id WHERE x.tenant_id = ?)`
			n.args = []any{tenantID}
		}
		ours, oursArgs := of(tenantID)
		if c.Devices, err = counted(ctx, q, `SELECT v.enrollment_state AS name, COUNT(*) AS n FROM (`+deviceBase+`) v WHERE TRUE`+ours+` GROUP BY v.enrollment_state`,
			append([]any{r.silentBefore()}, oursArgs...)...); err != nil {
			return fmt.Errorf("devices: %w", err)
		}
		if err := n.queue(ctx, &c); err != nil {
			return err
		}
		return n.tablets(ctx, &c)
	})
	if err != nil {
		return Counts{}, fmt.Errorf("count devices and commands: %w", err)
	}
	return c, nil
}

// counting is a count under way. enrollment bounds the column enrollment_id of
// whatever is counted, with args.
type counting struct {
	q          sqldb.Queryer
	now        time.Time
	enrollment string
	args       []any
}

func (n counting) with(args ...any) []any { return append(args, n.args...) }

// queue counts what waits.
func (n counting) queue(ctx context.Context, c *Counts) (err error) {
	if c.Commands, err = counted(ctx, n.q, `SELECT state AS name, COUNT(*) AS n FROM commands WHERE state IN ('queued', 'sent', 'deferred')`+n.enrollment+` GROUP BY state
		UNION ALL SELECT state, COUNT(*) FROM commands WHERE state = 'uncertain' AND state NOT IN ('queued', 'sent', 'deferred', 'done')`+n.enrollment+` GROUP BY state`,
		n.with(n.args...)...); err != nil {
		return fmt.Errorf("commands: %w", err)
	}
	var oldest sqldb.Time
	if err = n.q.Get(ctx, &oldest, `SELECT MIN(not_before) AS oldest FROM commands WHERE state IN ('queued', 'sent', 'deferred')`+n.enrollment, n.args...); err != nil {
		return fmt.Errorf("oldest command: %w", err)
	}
	if c.OldestCommand = when(oldest); c.OldestCommand != nil && c.OldestCommand.After(n.now) {
		c.OldestCommand = nil
	}
	return nil
}

// tablets counts what is known of enrollments.
func (n counting) tablets(ctx context.Context, c *Counts) (err error) {
	for _, one := range []struct {
		into *int64
		text string
		args []any
	}{
		{&c.Placeholder, `SELECT COUNT(*) FROM (SELECT e.id AS enrollment_id FROM enrollments e WHERE e.placeholder AND e.state IN ('enrolling', 'enrolled')) p WHERE TRUE`, nil},
		{&c.PushWaiting, `SELECT COUNT(*) FROM push_targets WHERE due_at IS NOT NULL AND refused_at IS NULL`, nil},
		{&c.PushRefused, `SELECT COUNT(*) FROM push_targets WHERE refused_at IS NOT NULL`, nil},
		{&c.Marks, `SELECT COUNT(*) FROM marks WHERE due_at <= ?`, []any{sqldb.At(n.now)}},
		{&c.Renewals, `SELECT COUNT(*) FROM certificates WHERE state = 'pinned' AND not_after < ?`, []any{sqldb.At(n.now.Add(30 * 24 * time.Hour))}},
	} {
		if err = n.q.Get(ctx, one.into, one.text+n.enrollment, n.with(one.args...)...); err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	if c.Items, err = counted(ctx, n.q, `
		SELECT i.state AS name, COUNT(*) AS n FROM device_items i JOIN enrollments e ON e.id = i.enrollment_id AND e.generation = i.generation
		WHERE e.state IN ('enrolling', 'enrolled')`+n.enrollment+` GROUP BY i.state`, n.args...); err != nil {
		return fmt.Errorf("items: %w", err)
	}
	// Five times, joined by commas: see package profiles.
	if err = n.q.Get(ctx, &c.LeftAlone, `SELECT COUNT(*) FROM device_items i JOIN enrollments e ON e.id = i.enrollment_id AND e.generation = i.generation
		WHERE e.state IN ('enrolling', 'enrolled') AND i.state = 'failed' AND i.undone LIKE '%,%,%,%,%'`+n.enrollment, n.args...); err != nil {
		return fmt.Errorf("items left alone: %w", err)
	}
	c.Contact, err = counted(ctx, n.q, `
		SELECT CASE WHEN t.last_seen >= ? THEN 'hour' WHEN t.last_seen >= ? THEN 'day' WHEN t.last_seen >= ? THEN 'week'
			WHEN t.last_seen >= ? THEN 'month' ELSE 'longer' END AS name, COUNT(*) AS n
		FROM (SELECT e.id AS enrollment_id, c.last_seen FROM enrollments e LEFT JOIN contacts c ON c.enrollment_id = e.id WHERE e.state = 'enrolled') t
		WHERE TRUE`+n.enrollment+` GROUP BY 1`,
		n.with(sqldb.At(n.now.Add(-time.Hour)), sqldb.At(n.now.Add(-24*time.Hour)), sqldb.At(n.now.Add(-7*24*time.Hour)), sqldb.At(n.now.Add(-30*24*time.Hour)))...)
	if err != nil {
		return fmt.Errorf("contacts: %w", err)
	}
	return nil
}
