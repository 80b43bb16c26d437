package views

import (
	"context"
	"errors"
	"fmt"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// The enrollment is chosen as in deviceBase. Erases are told by the audit trail,
// which outlives commands.
const evidenceSQL = `
	SELECT COALESCE(e.state, '') AS state, COALESCE(e.awaiting, FALSE) AS awaiting, COALESCE(i.body, '') AS inventory,
		EXISTS (SELECT 1 FROM marks m WHERE m.enrollment_id = e.id AND m.due_at <= ?) AS unplanned,
		(SELECT COUNT(*) FROM device_items t WHERE t.enrollment_id = e.id AND t.generation = e.generation
			AND CASE WHEN e.state IN ('erased', 'unenrolled') THEN t.desired IS NOT NULL
				ELSE t.state <> CASE WHEN t.desired IS NULL THEN 'removed' ELSE 'installed' END END) AS missing,
		EXISTS (SELECT 1 FROM commands k WHERE k.enrollment_id = e.id AND k.generation = e.generation
			AND k.once AND k.state IN ('queued', 'sent', 'deferred', 'uncertain') AND k.kind = 'device.erase'
			AND e.state IN ('enrolling', 'enrolled')) AS erase_pending
	FROM devices d
	LEFT JOIN enrollments e ON e.id = (SELECT x.id FROM enrollments x WHERE x.device_id = d.id AND x.state <> 'held'
		ORDER BY CASE WHEN x.state IN ('enrolling', 'enrolled') THEN 0 ELSE 1 END, x.updated_at DESC, x.id DESC LIMIT 1)
	LEFT JOIN inventory i ON i.enrollment_id = e.id AND i.kind = 'device.information' AND i.generation = e.generation
	WHERE d.id = ?`

// Evidence is what the server itself knows when a device shall move on in its
// life as property. What a person adds, such as a reason, is not in it.
func (r *Room) Evidence(ctx context.Context, q sqldb.Queryer, deviceID string) (schools.Evidence, error) {
	var row struct {
		State        string `db:"state"`
		Awaiting     bool   `db:"awaiting"`
		Inventory    string `db:"inventory"`
		Unplanned    bool   `db:"unplanned"`
		Missing      int64  `db:"missing"`
		ErasePending bool   `db:"erase_pending"`
	}
	err := q.Get(ctx, &row, evidenceSQL, sqldb.At(r.clk.Now()), deviceID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return schools.Evidence{}, unknownDevice(deviceID)
	}
	if err != nil {
		return schools.Evidence{}, fmt.Errorf("gather evidence: %w", err)
	}
	var erased sqldb.Time
	err = q.Get(ctx, &erased, `SELECT MAX(a.at) AS at FROM audit_events a WHERE a.action IN ('erase.acknowledge', 'erase.proven')
		AND a.subject IN (SELECT 'enrollment:' || e.id FROM enrollments e WHERE e.device_id = ?)`, deviceID)
	if err != nil {
		return schools.Evidence{}, fmt.Errorf("gather evidence of erases: %w", err)
	}
	enrolled, told := row.State == "enrolled", boardRow{Inventory: row.Inventory}
	return schools.Evidence{
		Enrolled: enrolled, Converged: enrolled && !row.Awaiting && !row.Unplanned && row.Missing == 0,
		Battery: told.battery(), ErasePending: row.ErasePending, ErasedAt: erased.Time,
	}, nil
}
