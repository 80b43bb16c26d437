package profiles

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/sqldb"
)

type rolloutRow struct {
	ID        string     `db:"id"`
	TenantID  string     `db:"tenant_id"`
	Title     string     `db:"title"`
	State     string     `db:"state"`
	Ring      int64      `db:"ring"`
	Soak      int64      `db:"soak"`
	OpenedAt  sqldb.Time `db:"opened_at"`
	CheckedAt sqldb.Time `db:"checked_at"`
	Reason    string     `db:"reason"`
	Undo      string     `db:"undo"`
	Sizes     string     `db:"sizes"`
	By        string     `db:"created_by"`
	CreatedAt sqldb.Time `db:"created_at"`
	EndedAt   sqldb.Time `db:"ended_at"`
}

func (o rolloutRow) rollout() (Rollout, error) {
	out := Rollout{
		ID: o.ID, TenantID: o.TenantID, Title: o.Title, State: o.State, Reason: o.Reason, Ring: int(o.Ring), Soak: o.wait(),
		CreatedBy: o.By, CreatedAt: o.CreatedAt.Time, OpenedAt: o.OpenedAt.Time, EndedAt: o.EndedAt.Time, Rings: make([]Ring, rings),
	}
	var sizes []int
	if err := json.Unmarshal([]byte(o.Sizes), &sizes); err != nil {
		return out, fmt.Errorf("read the sizes of rings: %w", err)
	}
	for i := range out.Rings {
		out.Rings[i].Serials = []string{}
		if i < len(sizes) {
			out.Rings[i].Devices = sizes[i]
		}
	}
	return out, nil
}

const rolloutColumns = `o.id, o.tenant_id, o.title, o.state, o.ring, o.soak, o.opened_at, o.checked_at, o.reason, o.undo, o.sizes, o.created_by, o.created_at, o.ended_at`

type rolloutDevice struct {
	RolloutID    string
	EnrollmentID string
	Kind, ItemID string
	Ring         int64
	Before       *int64
	Target       *int64
}

func insertRollout(ctx context.Context, tx *sqldb.Tx, o rolloutRow, rows []rolloutDevice) error {
	_, err := tx.Exec(ctx, `INSERT INTO rollouts (id, tenant_id, title, state, ring, soak, opened_at, undo, sizes, created_by, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, o.ID, o.TenantID, o.Title, o.State, o.Ring, o.Soak, o.OpenedAt, o.Undo, o.Sizes, o.By, o.CreatedAt)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(rows, chunk) {
		args := make([]any, 0, 7*len(part))
		for _, d := range part {
			args = append(args, d.RolloutID, d.EnrollmentID, d.Kind, d.ItemID, d.Ring, d.Before, d.Target)
		}
		const values = `(?, ?, ?, ?, ?, ?, ?)`
		_, err := tx.Exec(ctx, `INSERT INTO rollout_devices (rollout_id, enrollment_id, item_kind, item_id, ring, before, target) VALUES `+
			values+strings.Repeat(`, `+values, len(part)-1), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func updateRollout(ctx context.Context, tx *sqldb.Tx, o rolloutRow) error {
	_, err := tx.Exec(ctx, `UPDATE rollouts SET state = ?, ring = ?, opened_at = ?, checked_at = ?, reason = ?, ended_at = ? WHERE id = ?`,
		o.State, o.Ring, o.OpenedAt, o.CheckedAt, o.Reason, o.EndedAt, o.ID)
	return err
}

func allRollouts(ctx context.Context, q sqldb.Queryer, tenantID string) (rows []rolloutRow, err error) {
	err = q.Select(ctx, &rows, `SELECT `+rolloutColumns+` FROM rollouts o WHERE CAST(? AS TEXT) = '' OR o.tenant_id = ? ORDER BY o.id DESC LIMIT 500`, tenantID, tenantID)
	return rows, err
}

func rolloutByID(ctx context.Context, q sqldb.Queryer, tenantID, id, lock string) (o rolloutRow, err error) {
	err = q.Get(ctx, &o, `SELECT `+rolloutColumns+` FROM rollouts o WHERE o.id = ? AND (CAST(? AS TEXT) = '' OR o.tenant_id = ?)`+lock, id, tenantID, tenantID)
	return o, err
}

func runningRollouts(ctx context.Context, q sqldb.Queryer) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT id FROM rollouts WHERE state = 'running' ORDER BY id`)
	return ids, err
}

// rolling is a roll-out that an item is part of.
func rolling(ctx context.Context, q sqldb.Queryer, th thing) (title, id string, err error) {
	var row rolloutRow
	err = q.Get(ctx, &row, `SELECT `+rolloutColumns+` FROM rollouts o WHERE o.id = (SELECT d.rollout_id FROM rollout_devices d WHERE d.item_kind = ? AND d.item_id = ? LIMIT 1)`, th.Kind, th.ID)
	return row.Title, row.ID, err
}

type closedRow struct {
	EnrollmentID string `db:"enrollment_id"`
	Kind         string `db:"item_kind"`
	ItemID       string `db:"item_id"`
	Before       *int64 `db:"before"`
	Name         string `db:"name"`
	Owner        string `db:"owner"`
	Traits       string `db:"traits"`
	HoldsData    bool   `db:"holds_data"`
	Place        string `db:"place"`
}

// closedOf are what roll-outs keep as it was on some tablets.
func closedOf(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (rows []closedRow, err error) {
	err = q.Select(ctx, &rows, `SELECT d.enrollment_id, d.item_kind, d.item_id, d.before, COALESCE(p.name, x.name, '') AS name,
			COALESCE(p.tenant_id, x.tenant_id, '') AS owner, COALESCE(v.traits, av.traits, '') AS traits, COALESCE(x.holds_data, FALSE) AS holds_data,
			COALESCE(p.identifier, x.bundle_id, '') AS place
		FROM rollout_devices d JOIN rollouts o ON o.id = d.rollout_id
		LEFT JOIN profiles p ON d.item_kind = 'profile' AND p.id = d.item_id
		LEFT JOIN profile_versions v ON v.profile_id = p.id AND v.version = d.before
		LEFT JOIN apps x ON d.item_kind = 'app' AND x.id = d.item_id
		LEFT JOIN app_versions av ON av.app_id = x.id AND av.version = d.before
		WHERE d.enrollment_id IN (?) AND d.ring > o.ring`, enrollmentIDs)
	return rows, err
}

type rolloutItem struct {
	EnrollmentID string     `db:"enrollment_id"`
	Kind         string     `db:"item_kind"`
	Ring         int64      `db:"ring"`
	Target       *int64     `db:"target"`
	Accepted     bool       `db:"accepted"`
	Generation   int64      `db:"generation"`
	State        string     `db:"state"` // "": nothing is known of it there
	Desired      *int64     `db:"desired"`
	Observed     *int64     `db:"observed"`
	ObservedAt   sqldb.Time `db:"observed_at"`
	SentAt       sqldb.Time `db:"sent_at"`
	UpdatedAt    sqldb.Time `db:"updated_at"`
	Reason       string     `db:"reason"`
}

// rolloutItems are the items on the tablets of the rings up to one.
func rolloutItems(ctx context.Context, q sqldb.Queryer, id string, ring int64) (rows []rolloutItem, err error) {
	err = q.Select(ctx, &rows, `SELECT d.enrollment_id, d.item_kind, d.ring, d.target, d.accepted, COALESCE(i.generation, 0) AS generation,
			COALESCE(i.state, '') AS state, i.desired, i.observed, i.observed_at, i.sent_at, i.updated_at, COALESCE(i.reason, '') AS reason
		FROM rollout_devices d LEFT JOIN device_items i ON i.enrollment_id = d.enrollment_id AND i.item_kind = d.item_kind AND i.item_id = d.item_id
		WHERE d.rollout_id = ? AND d.ring <= ? ORDER BY d.enrollment_id`, id, ring)
	return rows, err
}

func inRing(ctx context.Context, q sqldb.Queryer, id string, ring int64) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT DISTINCT enrollment_id FROM rollout_devices WHERE rollout_id = ? AND ring = ? ORDER BY enrollment_id`, id, ring)
	return ids, err
}

func acceptDevices(ctx context.Context, tx *sqldb.Tx, id string, enrollmentIDs []string) error {
	for part := range slices.Chunk(enrollmentIDs, chunk) {
		if _, err := tx.Exec(ctx, `UPDATE rollout_devices SET accepted = TRUE WHERE rollout_id = ? AND enrollment_id IN (?)`, id, part); err != nil {
			return err
		}
	}
	return nil
}

func dropRolloutDevices(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM rollout_devices WHERE rollout_id = ?`, id)
	return err
}

func deleteAssignmentByID(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM assignments WHERE id = ?`, id)
	return err
}
