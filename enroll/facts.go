package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/sqldb"
)

// Facts is what others plan by.
type Facts struct {
	EnrollmentID, DeviceID, UDID string
	Serial, Name                 string // of the device as a thing
	OSVersion, Model             string
	Supervised                   *bool // nil: not known yet
	LostMode                     bool
	State                        State
	Generation                   int64
	LastSeen                     time.Time // only of FactsOf
}

// Facts gives what is known of enrollments; ids of none are missing from it. It
// costs two statements per 500.
func (r *Room) Facts(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (map[string]Facts, error) {
	out := make(map[string]Facts, len(enrollmentIDs))
	for part := range chunks(enrollmentIDs) {
		var rows []enrollmentRow
		if err := q.Select(ctx, &rows, `SELECT e.id, e.device_id, e.udid, e.os_version, e.model, e.supervised, e.lost_mode, e.state, e.generation
			FROM enrollments e WHERE e.id IN (?)`, part); err != nil {
			return nil, fmt.Errorf("read facts: %w", err)
		}
		deviceIDs := make([]string, 0, len(rows))
		for _, row := range rows {
			deviceIDs = append(deviceIDs, row.DeviceID)
		}
		devices, err := r.Schools.Devices(ctx, q, deviceIDs)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			d := devices[row.DeviceID]
			f := Facts{
				EnrollmentID: row.ID, DeviceID: row.DeviceID, UDID: row.UDID, Serial: d.Serial, Name: d.Name, OSVersion: row.OSVersion,
				Model: row.Model, Supervised: row.Supervised, LostMode: row.LostMode, State: row.State, Generation: row.Generation,
			}
			if f.Model == "" {
				f.Model = d.Model
			}
			out[row.ID] = f
		}
	}
	return out, nil
}

// FactsOf gives what is known of devices by their ids, from the enrollment that
// lives, or else the last one. Devices that never enrolled are missing from it.
func (r *Room) FactsOf(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string]Facts, error) {
	out := make(map[string]Facts, len(deviceIDs))
	for part := range chunks(deviceIDs) {
		var rows []struct {
			ID       string     `db:"id"`
			DeviceID string     `db:"device_id"`
			LastSeen sqldb.Time `db:"last_seen"`
		}
		err := q.Select(ctx, &rows, `SELECT e.id, e.device_id, c.last_seen FROM enrollments e LEFT JOIN contacts c ON c.enrollment_id = e.id
			WHERE e.device_id IN (?) AND e.state <> 'held'
			ORDER BY CASE WHEN e.state IN ('enrolling', 'enrolled') THEN 0 ELSE 1 END, e.updated_at DESC, e.id DESC`, part)
		if err != nil {
			return nil, fmt.Errorf("read facts of devices: %w", err)
		}
		ids := make([]string, 0, len(rows))
		met := map[string]bool{}
		for _, row := range rows {
			if !met[row.DeviceID] {
				met[row.DeviceID] = true
				ids = append(ids, row.ID)
			}
		}
		known, err := r.Facts(ctx, q, ids)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if f, is := known[row.ID]; is {
				f.LastSeen = row.LastSeen.Time
				out[f.DeviceID] = f
			}
		}
	}
	return out, nil
}

// SilentSince gives when those of these enrollments were in contact last that were
// not since then. Who never was is missing.
func (r *Room) SilentSince(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string, since time.Time) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	for part := range chunks(enrollmentIDs) {
		var rows []struct {
			ID       string     `db:"enrollment_id"`
			LastSeen sqldb.Time `db:"last_seen"`
		}
		if err := q.Select(ctx, &rows, `SELECT c.enrollment_id, c.last_seen FROM contacts c WHERE c.enrollment_id IN (?) AND c.last_seen < ?`, part, sqldb.At(since)); err != nil {
			return nil, fmt.Errorf("read who is silent: %w", err)
		}
		for _, row := range rows {
			out[row.ID] = row.LastSeen.Time
		}
	}
	return out, nil
}

// ChangedSince lists the devices whose enrollment changed since then.
func (r *Room) ChangedSince(ctx context.Context, q sqldb.Queryer, since time.Time) (ids []string, err error) {
	if err = q.Select(ctx, &ids, `SELECT DISTINCT e.device_id FROM enrollments e WHERE e.updated_at >= ? ORDER BY e.device_id`, sqldb.At(since)); err != nil {
		return nil, fmt.Errorf("list enrollments that changed: %w", err)
	}
	return ids, nil
}

// ActiveIn gives the enrolled tablets in a scope: "all", or one of package
// schools ("tenant", "school", "site", "class", "cart", "group", "device") with
// its id.
func (r *Room) ActiveIn(ctx context.Context, q sqldb.Queryer, scopeKind, scopeID string) ([]string, error) {
	if scopeKind == "all" {
		var ids []string
		if err := q.Select(ctx, &ids, `SELECT e.id FROM enrollments e WHERE e.state = 'enrolled' ORDER BY e.id`); err != nil {
			return nil, fmt.Errorf("list enrolled devices: %w", err)
		}
		return ids, nil
	}
	devices, err := r.Schools.DevicesInScope(ctx, q, scopeKind, scopeID)
	if err != nil {
		return nil, err
	}
	return r.ActiveOf(ctx, q, devices)
}

// ActiveOf gives the enrolled tablets among these devices. The condition on the
// state hides it from PostgreSQL, which before its first ANALYZE would rather read
// all that are enrolled.
func (r *Room) ActiveOf(ctx context.Context, q sqldb.Queryer, deviceIDs []string) ([]string, error) {
	var out []string
	for part := range chunks(deviceIDs) {
		var ids []string
		err := q.Select(ctx, &ids, `SELECT e.id FROM enrollments e WHERE e.state || '' = 'enrolled' AND e.device_id IN (?) ORDER BY e.id`, part)
		if err != nil {
			return nil, fmt.Errorf("list enrolled devices: %w", err)
		}
		out = append(out, ids...)
	}
	return out, nil
}

// AwayIn gives what is known of the devices in a scope, by their ids, that are
// not enrolled: not yet, not completely, or not any more. Those that are not used
// any more are not among them. A device that never enrolled has no state; of one
// that waits for a decision only that is told, since nobody knows which it is.
func (r *Room) AwayIn(ctx context.Context, q sqldb.Queryer, scopeKind, scopeID string) (map[string]Facts, error) {
	ids, err := r.Schools.DevicesInScope(ctx, q, scopeKind, scopeID)
	if err != nil {
		return nil, err
	}
	here := map[string]bool{}
	for part := range chunks(ids) {
		var active []string
		err := q.Select(ctx, &active, `SELECT e.device_id FROM enrollments e WHERE e.state || '' = 'enrolled' AND e.device_id IN (?)`, part)
		if err != nil {
			return nil, fmt.Errorf("list enrolled devices: %w", err)
		}
		for _, id := range active {
			here[id] = true
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return here[id] })
	known, err := r.FactsOf(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	devices, err := r.Schools.Devices(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	held, err := heldAmong(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Facts, len(ids))
	for id, d := range devices {
		if d.AssetState.Ended() {
			continue
		}
		f, met := known[id]
		if !met {
			f = Facts{DeviceID: id, Serial: d.Serial, Name: d.Name, Model: d.Model}
		}
		if held[id] && f.State != Enrolling {
			f = Facts{DeviceID: id, Serial: d.Serial, Name: d.Name, Model: d.Model, State: Held}
		}
		out[id] = f
	}
	return out, nil
}

func heldAmong(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string]bool, error) {
	out := map[string]bool{}
	for part := range chunks(deviceIDs) {
		var ids []string
		if err := q.Select(ctx, &ids, `SELECT e.device_id FROM enrollments e WHERE e.state || '' = 'held' AND e.device_id IN (?)`, part); err != nil {
			return nil, fmt.Errorf("list devices that wait for a decision: %w", err)
		}
		for _, id := range ids {
			out[id] = true
		}
	}
	return out, nil
}

// Stranded is a tablet that enrolled before there was a push certificate. An
// iPad refuses another topic in an update, so it must be enrolled again.
type Stranded struct {
	EnrollmentID, DeviceID, Serial string
}

// PlaceholderEnrollments lists the tablets that the import of the first push
// certificate leaves without a wake-up.
func (r *Room) PlaceholderEnrollments(ctx context.Context, q sqldb.Queryer) ([]Stranded, error) {
	var rows []struct {
		ID       string `db:"id"`
		DeviceID string `db:"device_id"`
	}
	err := q.Select(ctx, &rows, `
		SELECT e.id, e.device_id FROM enrollments e
		WHERE e.placeholder AND e.state IN ('enrolling', 'enrolled') ORDER BY e.id`)
	if err != nil {
		return nil, fmt.Errorf("list devices that must enroll again: %w", err)
	}
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.DeviceID)
	}
	devices, err := r.Schools.Devices(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Stranded, 0, len(rows))
	for _, row := range rows {
		out = append(out, Stranded{EnrollmentID: row.ID, DeviceID: row.DeviceID, Serial: devices[row.DeviceID].Serial})
	}
	return out, nil
}
