package enroll

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

// maxValues bounds the values bound in one IN or VALUES.
const maxValues = 500

// chunks cuts ids into what one statement takes, sorted and without doubles:
// two processes that write the same rows take them in the same order.
func chunks(ids []string) iter.Seq[[]string] {
	return slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), maxValues)
}

type enrollmentRow struct {
	ID                 string     `db:"id"`
	DeviceID           string     `db:"device_id"`
	UDID               string     `db:"udid"`
	Generation         int64      `db:"generation"`
	State              State      `db:"state"`
	Topic              string     `db:"topic"`
	Placeholder        bool       `db:"placeholder"`
	LinkID             string     `db:"link_id"`
	OSVersion          string     `db:"os_version"`
	BuildVersion       string     `db:"build_version"`
	Model              string     `db:"model"`
	Supervised         *bool      `db:"supervised"`
	LostMode           bool       `db:"lost_mode"`
	LostAt             sqldb.Time `db:"lost_at"`
	LostAcknowledgedAt sqldb.Time `db:"lost_acknowledged_at"`
	LostObservedAt     sqldb.Time `db:"lost_observed_at"`
	Awaiting           bool       `db:"awaiting"`
	ADEProfileID       string     `db:"ade_profile_id"`
	ReleaseAt          sqldb.Time `db:"release_at"`
	HasUnlockToken     bool       `db:"has_unlock"`
	HasBootstrapToken  bool       `db:"has_bootstrap"`
	HasBypassCode      bool       `db:"has_bypass"`
	UnmanageAt         sqldb.Time `db:"unmanage_at"`
	CreatedAt          sqldb.Time `db:"created_at"`
	EnrolledAt         sqldb.Time `db:"enrolled_at"`
	EndedAt            sqldb.Time `db:"ended_at"`
}

func (r enrollmentRow) enrollment() Enrollment {
	return Enrollment{
		ID: r.ID, DeviceID: r.DeviceID, UDID: r.UDID, Generation: r.Generation, State: r.State, Topic: r.Topic,
		Placeholder: r.Placeholder, LinkID: r.LinkID, OSVersion: r.OSVersion, BuildVersion: r.BuildVersion, Model: r.Model,
		Supervised: r.Supervised, LostMode: r.LostMode, LostAt: r.LostAt.Time, LostAcknowledgedAt: r.LostAcknowledgedAt.Time,
		LostObservedAt: r.LostObservedAt.Time, Awaiting: r.Awaiting, ADEProfileID: r.ADEProfileID, ReleaseAt: r.ReleaseAt.Time, HasUnlockToken: r.HasUnlockToken,
		HasBootstrapToken: r.HasBootstrapToken, HasBypassCode: r.HasBypassCode, UnmanageAt: r.UnmanageAt.Time,
		CreatedAt: r.CreatedAt.Time, EnrolledAt: r.EnrolledAt.Time, EndedAt: r.EndedAt.Time,
	}
}

const enrollmentColumns = `e.id, e.device_id, e.udid, e.generation, e.state, e.topic, e.placeholder,
	COALESCE(e.link_id, '') AS link_id, e.os_version, e.build_version, e.model, e.supervised, e.lost_mode, e.lost_at,
	e.lost_acknowledged_at, e.lost_observed_at, e.awaiting, e.ade_profile_id, e.release_at, e.unlock_token IS NOT NULL AS has_unlock,
	e.bootstrap_token IS NOT NULL AS has_bootstrap, e.bypass_code IS NOT NULL AS has_bypass, e.unmanage_at,
	e.created_at, e.enrolled_at, e.ended_at`

func getEnrollment(ctx context.Context, q sqldb.Queryer, where string, args ...any) (Enrollment, error) {
	var row enrollmentRow
	err := q.Get(ctx, &row, `SELECT `+enrollmentColumns+` FROM enrollments e `+where, args...)
	return row.enrollment(), err
}

func someEnrollments(ctx context.Context, q sqldb.Queryer, where string, args ...any) ([]Enrollment, error) {
	var rows []enrollmentRow
	if err := q.Select(ctx, &rows, `SELECT `+enrollmentColumns+` FROM enrollments e `+where, args...); err != nil {
		return nil, fmt.Errorf("read enrollments: %w", err)
	}
	out := make([]Enrollment, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.enrollment())
	}
	return out, nil
}

// lockEnrollment reads an enrollment that is about to change.
func lockEnrollment(ctx context.Context, tx *sqldb.Tx, id string) (Enrollment, error) {
	return getEnrollment(ctx, tx, `WHERE e.id = ?`+tx.ForUpdate(), id)
}

func lockByUDID(ctx context.Context, tx *sqldb.Tx, udid string) (Enrollment, error) {
	return getEnrollment(ctx, tx, `WHERE e.udid = ? AND e.state <> 'held'
		ORDER BY CASE WHEN e.state IN ('enrolling', 'enrolled') THEN 0 ELSE 1 END, e.updated_at DESC, e.id DESC LIMIT 1`+tx.ForUpdate(), udid)
}

const liveFirst = `WHERE e.device_id = ?
	ORDER BY CASE e.state WHEN 'enrolling' THEN 0 WHEN 'enrolled' THEN 0 WHEN 'held' THEN 1 ELSE 2 END, e.updated_at DESC, e.id DESC LIMIT 1`

func enrollmentOfDevice(ctx context.Context, q sqldb.Queryer, deviceID, lock string) (Enrollment, error) {
	return getEnrollment(ctx, q, liveFirst+lock, deviceID)
}

// otherLive is the live enrollment of a device under another UDID.
func otherLive(ctx context.Context, tx *sqldb.Tx, deviceID, udid string) (Enrollment, error) {
	return getEnrollment(ctx, tx, `WHERE e.device_id = ? AND e.udid <> ? AND e.state IN ('enrolling', 'enrolled')
		ORDER BY e.id LIMIT 1`+tx.ForUpdate(), deviceID, udid)
}

func insertEnrollment(ctx context.Context, tx *sqldb.Tx, e Enrollment, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO enrollments (id, device_id, udid, generation, state, topic, placeholder, link_id,
			os_version, build_version, model, ade_profile_id, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.DeviceID, e.UDID, e.Generation, string(e.State), e.Topic, e.Placeholder, orNull(e.LinkID),
		e.OSVersion, e.BuildVersion, e.Model, e.ADEProfileID, sqldb.At(now), sqldb.At(now))
	if err != nil {
		return fmt.Errorf("store an enrollment: %w", err)
	}
	return nil
}

// rebirth begins the next generation of an enrollment: what the tablet told or
// had in its earlier life is gone. The bypass code stays, since an Activation
// Lock outlives an erase; lost_at and its message stay until somebody says
// "found".
func rebirth(ctx context.Context, tx *sqldb.Tx, e Enrollment, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE enrollments SET device_id = ?, generation = ?, state = ?, topic = ?, placeholder = ?, link_id = ?,
			os_version = ?, build_version = ?, model = ?, supervised = NULL, lost_mode = FALSE,
			lost_acknowledged_at = NULL, lost_observed_at = NULL, awaiting = FALSE, ade_profile_id = ?, release_by = '', release_at = NULL, released_at = NULL, unlock_token = NULL,
			bootstrap_token = NULL, return_wifi = NULL, unmanage_at = NULL, renewal_at = NULL, inventory_at = NULL,
			enrolled_at = NULL, ended_at = NULL, updated_at = ?
		WHERE id = ?`,
		e.DeviceID, e.Generation, string(e.State), e.Topic, e.Placeholder, orNull(e.LinkID),
		e.OSVersion, e.BuildVersion, e.Model, e.ADEProfileID, sqldb.At(now), e.ID)
	if err != nil {
		return fmt.Errorf("begin generation %d of enrollment %s: %w", e.Generation, e.ID, err)
	}
	return nil
}

func setVersions(ctx context.Context, tx *sqldb.Tx, id, osVersion, build, model string, now time.Time) error {
	return change(ctx, tx, "write the versions of", id, now, `os_version = ?, build_version = ?, model = ?`, osVersion, build, model)
}

// change updates some columns of one enrollment.
func change(ctx context.Context, tx *sqldb.Tx, doing, id string, now time.Time, set string, args ...any) error {
	args = append(args, sqldb.At(now), id)
	if _, err := tx.Exec(ctx, `UPDATE enrollments SET `+set+`, updated_at = ? WHERE id = ?`, args...); err != nil {
		return fmt.Errorf("%s enrollment %s: %w", doing, id, err)
	}
	return nil
}

// secret reads one sealed column; nil is none.
func secret(ctx context.Context, q sqldb.Queryer, column, id string) ([]byte, error) {
	var row struct {
		Sealed []byte `db:"sealed"`
	}
	if err := q.Get(ctx, &row, `SELECT `+column+` AS sealed FROM enrollments WHERE id = ?`, id); err != nil {
		return nil, fmt.Errorf("read %s of enrollment %s: %w", column, id, err)
	}
	return row.Sealed, nil
}

// orNull is s for a column where nothing is NULL.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// places are n placeholders groups for VALUES.
func places(group string, n int) string {
	return strings.TrimSuffix(strings.Repeat(group+", ", n), ", ")
}
