package views

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Awaiting is a tablet in Setup Assistant, with what it waits for.
type Awaiting struct {
	EnrollmentID string
	Generation   int64
	Missing      []string // of its baseline, not observed yet; none when a person let it go without
}

// Awaiting gives the tablets that came by Automated Device Enrollment and wait in
// Setup Assistant for a release: nobody ordered one yet, or one that was ordered
// before again is over and had no effect. It gives the next MaxPage behind the
// enrollment after, and costs two statements.
func (r *Room) Awaiting(ctx context.Context, q sqldb.Queryer, again time.Time, after string) ([]Awaiting, error) {
	var rows []struct {
		ID         string `db:"id"`
		Generation int64  `db:"generation"`
		ReleaseBy  string `db:"release_by"`
		Baseline   string `db:"baseline"`
	}
	err := q.Select(ctx, &rows, `
		SELECT e.id, e.generation, e.release_by, p.baseline FROM enrollments e JOIN ade_profiles p ON p.id = e.ade_profile_id
		WHERE e.awaiting AND e.state = 'enrolled' AND e.supervised IS NOT NULL AND e.unmanage_at IS NULL
			AND (e.release_at IS NULL OR e.release_at < ? AND NOT EXISTS (SELECT 1 FROM commands k WHERE k.enrollment_id = e.id
				AND k.generation = e.generation AND k.kind = 'device.configured' AND k.state IN ('queued', 'sent', 'deferred')))
			AND e.id > ? ORDER BY e.id LIMIT ?`, sqldb.At(again), after, MaxPage)
	if err != nil {
		return nil, fmt.Errorf("list tablets in Setup Assistant: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	shown, err := r.shown(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Awaiting, 0, len(rows))
	for _, row := range rows {
		one := Awaiting{EnrollmentID: row.ID, Generation: row.Generation}
		if row.ReleaseBy == "" || row.ReleaseBy == "system" {
			if one.Missing, err = missingOf(row.Baseline, shown[row.ID][row.Generation]); err != nil {
				return nil, err
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// shown gives the names of wished items that tablets themselves showed in the
// wished version, by enrollment and generation. Of a profile and an app of one
// name both must be there: which of them a baseline means is not known.
func (r *Room) shown(ctx context.Context, q sqldb.Queryer, enrollments []string) (map[string]map[int64]map[string]bool, error) {
	items, err := itemsOf(ctx, q, enrollments)
	if err != nil {
		return nil, err
	}
	out := map[string]map[int64]map[string]bool{}
	for _, it := range items {
		if it.Desired == nil {
			continue
		}
		if out[it.EnrollmentID] == nil {
			out[it.EnrollmentID] = map[int64]map[string]bool{}
		}
		names := out[it.EnrollmentID][it.Generation]
		if names == nil {
			names = map[string]bool{}
			out[it.EnrollmentID][it.Generation] = names
		}
		is := it.State == "installed" && it.Observed != nil && *it.Observed == *it.Desired
		if before, met := names[it.Name]; met {
			is = is && before
		}
		names[it.Name] = is
	}
	return out, nil
}

// missingOf reads a baseline, a JSON list of names, and tells what of it is not
// shown.
func missingOf(baseline string, shown map[string]bool) ([]string, error) {
	var names []string
	if err := json.Unmarshal([]byte(baseline), &names); err != nil {
		return nil, fmt.Errorf("read a baseline: %w", err)
	}
	var missing []string
	for _, n := range names {
		if !shown[n] {
			missing = append(missing, n)
		}
	}
	return missing, nil
}

// Hold is a second enrollment of a serial number that waits for a person.
type Hold struct {
	EnrollmentID string    `json:"id"`
	Device       string    `json:"device" doc:"The device's id"`
	Serial       string    `json:"serial"`
	Name         string    `json:"name"`
	Reason       string    `json:"reason" enum:"spoke-after,seen-lately" doc:"spoke-after: the first one spoke after the second had asked; seen-lately: it did within the last 24 hours and nobody ordered its erase"`
	UDID         string    `json:"udid" doc:"Of the second one"`
	OtherUDID    string    `json:"other_udid" doc:"Of the first one; the same: probably the same iPad, set up again"`
	OSVersion    string    `json:"os_version"`
	Model        string    `json:"model"`
	OpenedAt     time.Time `json:"opened_at"`
}

const openHolds = ` FROM holds h JOIN devices d ON d.id = h.device_id JOIN enrollments e ON e.id = h.enrollment_id
	WHERE h.decided_at IS NULL AND e.state = 'held' AND (? = '' OR d.tenant_id = ?)`

// CountHolds counts what waits for a person of a tenant, or of all for "".
func (r *Room) CountHolds(ctx context.Context, tenantID string) (n int64, err error) {
	if err = r.db.Get(ctx, &n, `SELECT COUNT(*)`+openHolds, tenantID, tenantID); err != nil {
		return 0, fmt.Errorf("count holds: %w", err)
	}
	return n, nil
}

// HoldOf refuses an id under which nothing of the tenant's is held; "" is any
// tenant's.
func (r *Room) HoldOf(ctx context.Context, q sqldb.Queryer, tenantID, id string) error {
	unknown := fault.New(fault.NotFound, "hold.unknown", "Nothing is held here, or it is decided already. See `ranzen hold list`.")
	if mdm.Clean(id) != id {
		return unknown
	}
	var n int
	if err := q.Get(ctx, &n, `SELECT COUNT(*)`+openHolds+` AND h.enrollment_id = ?`, tenantID, tenantID, id); err != nil {
		return fmt.Errorf("find a hold: %w", err)
	}
	if n == 0 {
		return unknown
	}
	return nil
}

// Holds lists what waits for a person's decision, oldest first.
func (r *Room) Holds(ctx context.Context, tenantID string) ([]Hold, error) {
	var rows []struct {
		ID        string     `db:"enrollment_id"`
		Device    string     `db:"device_id"`
		Serial    string     `db:"serial"`
		Name      string     `db:"name"`
		Reason    string     `db:"reason"`
		UDID      string     `db:"udid"`
		OtherUDID string     `db:"other_udid"`
		OS        string     `db:"os_version"`
		Model     string     `db:"model"`
		OpenedAt  sqldb.Time `db:"opened_at"`
	}
	err := r.db.Select(ctx, &rows, `
		SELECT h.enrollment_id, h.device_id, d.serial, d.name, h.reason, e.udid, COALESCE(o.udid, '') AS other_udid, e.os_version, e.model, h.opened_at
		FROM holds h JOIN devices d ON d.id = h.device_id JOIN enrollments e ON e.id = h.enrollment_id LEFT JOIN enrollments o ON o.id = h.other_id
		WHERE h.decided_at IS NULL AND e.state = 'held' AND (? = '' OR d.tenant_id = ?) ORDER BY h.opened_at, h.enrollment_id LIMIT ?`, tenantID, tenantID, MaxPage)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	out := make([]Hold, 0, len(rows))
	for _, h := range rows {
		out = append(out, Hold{h.ID, h.Device, h.Serial, h.Name, h.Reason, h.UDID, h.OtherUDID, h.OS, h.Model, h.OpenedAt.Time})
	}
	return out, nil
}
