package enroll

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

func upsertInventory(ctx context.Context, tx *sqldb.Tx, e Enrollment, kind, body string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO inventory (enrollment_id, kind, generation, body, observed_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (enrollment_id, kind) DO UPDATE SET generation = excluded.generation, body = excluded.body,
			observed_at = excluded.observed_at`, e.ID, kind, e.Generation, body, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("keep %s of enrollment %s: %w", kind, e.ID, err)
	}
	return nil
}

func upsertPlace(ctx context.Context, tx *sqldb.Tx, e Enrollment, sealed []byte, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO locations (enrollment_id, generation, body_sealed, observed_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (enrollment_id) DO UPDATE SET generation = excluded.generation, body_sealed = excluded.body_sealed,
			observed_at = excluded.observed_at`, e.ID, e.Generation, sealed, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("keep the location of enrollment %s: %w", e.ID, err)
	}
	return nil
}

func selectPlace(ctx context.Context, q sqldb.Queryer, e Enrollment) ([]byte, time.Time, error) {
	var row struct {
		Sealed []byte     `db:"body_sealed"`
		At     sqldb.Time `db:"observed_at"`
	}
	err := q.Get(ctx, &row, `SELECT body_sealed, observed_at FROM locations WHERE enrollment_id = ? AND generation = ?`, e.ID, e.Generation)
	return row.Sealed, row.At.Time, err
}

func forgetPlaces(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM locations WHERE observed_at <= ?`, sqldb.At(before))
	return err
}

// due is what queueing needs of an enrollment.
type dueRow struct {
	ID         string `db:"id"`
	Generation int64  `db:"generation"`
	DeviceID   string `db:"device_id"`
}

func enrollments(rows []dueRow) []Enrollment {
	out := make([]Enrollment, 0, len(rows))
	for _, row := range rows {
		out = append(out, Enrollment{ID: row.ID, Generation: row.Generation, DeviceID: row.DeviceID})
	}
	return out
}

func inventoryDue(ctx context.Context, q sqldb.Queryer, askedBefore, seenAfter time.Time, limit int) ([]Enrollment, error) {
	var rows []dueRow
	err := q.Select(ctx, &rows, `
		SELECT e.id, e.generation, e.device_id FROM enrollments e
		WHERE e.state = 'enrolled' AND e.inventory_at < ? AND e.unmanage_at IS NULL
			AND EXISTS (SELECT 1 FROM contacts c WHERE c.enrollment_id = e.id AND c.last_seen > ?)
		ORDER BY e.inventory_at LIMIT ?`, sqldb.At(askedBefore), sqldb.At(seenAfter), limit)
	return enrollments(rows), err
}

// renewalDue leaves out a tablet that was not here since its renewal was queued:
// that one still waits for it.
func renewalDue(ctx context.Context, q sqldb.Queryer, ids []string, askedBefore time.Time) ([]Enrollment, error) {
	var rows []dueRow
	err := q.Select(ctx, &rows, `
		SELECT e.id, e.generation, e.device_id FROM enrollments e
		LEFT JOIN contacts c ON c.enrollment_id = e.id
		WHERE e.id IN (?) AND e.state = 'enrolled' AND e.unmanage_at IS NULL
			AND (e.renewal_at IS NULL OR (e.renewal_at < ? AND c.last_seen > e.renewal_at))
		ORDER BY e.id`, ids, sqldb.At(askedBefore))
	return enrollments(rows), err
}

// asked notes when tablets were last asked; column is inventory_at or renewal_at.
func asked(ctx context.Context, tx *sqldb.Tx, column string, ids []string, now time.Time) error {
	for part := range chunks(ids) {
		if _, err := tx.Exec(ctx, `UPDATE enrollments SET `+column+` = ? WHERE id IN (?)`, sqldb.At(now), part); err != nil {
			return fmt.Errorf("note %s: %w", column, err)
		}
	}
	return nil
}
