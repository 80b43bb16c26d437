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

// Counts counts. It reads each table once; callers keep the answer for a while.
func (r *Room) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	now := r.clk.Now()
	err := r.db.Read(ctx, func(q sqldb.Queryer) (err error) {
		if c.Devices, err = counted(ctx, q, `SELECT v.enrollment_state AS name, COUNT(*) AS n FROM (`+deviceBase+`) v GROUP BY v.enrollment_state`, r.silentBefore()); err != nil {
			return fmt.Errorf("devices: %w", err)
		}
		if c.Commands, err = counted(ctx, q, `SELECT state AS name, COUNT(*) AS n FROM commands WHERE state IN ('queued', 'sent', 'deferred', 'uncertain') GROUP BY state`); err != nil {
			return fmt.Errorf("commands: %w", err)
		}
		var oldest sqldb.Time
		if err = q.Get(ctx, &oldest, `SELECT MIN(not_before) AS oldest FROM commands WHERE state IN ('queued', 'sent', 'deferred')`); err != nil {
			return fmt.Errorf("oldest command: %w", err)
		}
		if c.OldestCommand = when(oldest); c.OldestCommand != nil && c.OldestCommand.After(now) {
			c.OldestCommand = nil
		}
		for dst, query := range map[*int64]string{
			&c.Placeholder: `SELECT COUNT(*) FROM enrollments WHERE placeholder AND state IN ('enrolling', 'enrolled')`,
			&c.PushWaiting: `SELECT COUNT(*) FROM push_targets WHERE due_at IS NOT NULL AND refused_at IS NULL`,
			&c.PushRefused: `SELECT COUNT(*) FROM push_targets WHERE refused_at IS NOT NULL`,
		} {
			if err = q.Get(ctx, dst, query); err != nil {
				return fmt.Errorf("count: %w", err)
			}
		}
		if err = q.Get(ctx, &c.Marks, `SELECT COUNT(*) FROM marks WHERE due_at <= ?`, sqldb.At(now)); err != nil {
			return fmt.Errorf("marks: %w", err)
		}
		if err = q.Get(ctx, &c.Renewals, `SELECT COUNT(*) FROM certificates WHERE state = 'pinned' AND not_after < ?`, sqldb.At(now.Add(30*24*time.Hour))); err != nil {
			return fmt.Errorf("certificates: %w", err)
		}
		if c.Items, err = counted(ctx, q, `
			SELECT i.state AS name, COUNT(*) AS n FROM device_items i JOIN enrollments e ON e.id = i.enrollment_id AND e.generation = i.generation
			WHERE e.state IN ('enrolling', 'enrolled') GROUP BY i.state`); err != nil {
			return fmt.Errorf("items: %w", err)
		}
		c.Contact, err = counted(ctx, q, `
			SELECT CASE WHEN c.last_seen >= ? THEN 'hour' WHEN c.last_seen >= ? THEN 'day' WHEN c.last_seen >= ? THEN 'week'
				WHEN c.last_seen >= ? THEN 'month' ELSE 'longer' END AS name, COUNT(*) AS n
			FROM enrollments e LEFT JOIN contacts c ON c.enrollment_id = e.id WHERE e.state = 'enrolled' GROUP BY 1`,
			sqldb.At(now.Add(-time.Hour)), sqldb.At(now.Add(-24*time.Hour)), sqldb.At(now.Add(-7*24*time.Hour)), sqldb.At(now.Add(-30*24*time.Hour)))
		return err
	})
	if err != nil {
		return Counts{}, fmt.Errorf("count devices and commands: %w", err)
	}
	return c, nil
}
