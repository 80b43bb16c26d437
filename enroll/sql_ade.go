package enroll

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

// maxIn bounds the values of one IN.
const maxIn = 500

// adeRows is how many rows one INSERT carries.
const adeRows = 100

// adeSync is how far the list of a token is read.
type adeSync struct {
	TokenID   string     `db:"token_id"`
	Phase     string     `db:"phase"`
	Cursor    string     `db:"cursor"`
	Run       int64      `db:"run"`
	FullRun   int64      `db:"full_run"`
	FullAt    sqldb.Time `db:"full_at"`
	OKAt      sqldb.Time `db:"ok_at"`
	DueAt     sqldb.Time `db:"due_at"`
	AssignAt  sqldb.Time `db:"assign_at"`
	Attempts  int64      `db:"attempts"`
	Problem   string     `db:"problem"`
	ProblemAt sqldb.Time `db:"problem_at"`
	Missing   int64      `db:"missing"`
}

const (
	phaseFetch = "fetch"
	phaseSync  = "sync"
)

const adeSyncSelect = `
	SELECT s.token_id, s.phase, s.cursor, s.run, s.full_run, s.full_at, s.ok_at, s.due_at, s.assign_at, s.attempts, s.problem, s.problem_at, s.missing
	FROM ade_sync s`

// adeSyncs gives all states, by token.
func adeSyncs(ctx context.Context, q sqldb.Queryer) (map[string]adeSync, error) {
	var rows []adeSync
	if err := q.Select(ctx, &rows, adeSyncSelect); err != nil {
		return nil, fmt.Errorf("read how far Apple's lists are read: %w", err)
	}
	out := make(map[string]adeSync, len(rows))
	for _, row := range rows {
		out[row.TokenID] = row
	}
	return out, nil
}

func adeSyncOf(ctx context.Context, q sqldb.Queryer, tokenID, lock string) (adeSync, error) {
	var row adeSync
	err := q.Get(ctx, &row, adeSyncSelect+` WHERE s.token_id = ?`+lock, tokenID)
	return row, err
}

func insertADESync(ctx context.Context, tx *sqldb.Tx, tokenID string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO ade_sync (token_id, phase, run, run_at, due_at) VALUES (?, 'fetch', 1, ?, ?) ON CONFLICT (token_id) DO NOTHING`,
		tokenID, sqldb.At(now), sqldb.At(now))
	if err != nil {
		return fmt.Errorf("begin to read Apple's list: %w", err)
	}
	return nil
}

// same is the place that a page was asked for; whoever finds another one there
// was overtaken and stores nothing.
const same = ` WHERE token_id = ? AND phase = ? AND cursor = ? AND run = ?`

// beginADERun starts the list over.
func beginADERun(ctx context.Context, tx *sqldb.Tx, s adeSync, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE ade_sync SET phase = 'fetch', cursor = '', run = run + 1, run_at = ?, due_at = ?`+same,
		sqldb.At(now), sqldb.At(now), s.TokenID, s.Phase, s.Cursor, s.Run)
	if err != nil {
		return 0, fmt.Errorf("begin to read Apple's list: %w", err)
	}
	return n, nil
}

// moveADECursor goes from a place to the next.
func moveADECursor(ctx context.Context, tx *sqldb.Tx, from, to adeSync, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `
		UPDATE ade_sync SET phase = ?, cursor = ?, full_run = ?, full_at = ?, due_at = ?, ok_at = ?, attempts = 0, problem = '', problem_at = NULL`+same,
		to.Phase, to.Cursor, to.FullRun, to.FullAt, to.DueAt, sqldb.At(now), from.TokenID, from.Phase, from.Cursor, from.Run)
	if err != nil {
		return 0, fmt.Errorf("move the cursor of Apple's list: %w", err)
	}
	return n, nil
}

// stumbleADE writes down what is wrong, since when, and when to try again.
func stumbleADE(ctx context.Context, tx *sqldb.Tx, tokenID, problem string, due, assign sqldb.Time, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE ade_sync SET problem_at = CASE WHEN problem = ? THEN problem_at ELSE CAST(? AS BIGINT) END, problem = ?, attempts = attempts + 1,
			due_at = COALESCE(?, due_at), assign_at = COALESCE(?, assign_at)
		WHERE token_id = ?`, problem, sqldb.At(now), problem, due, assign, tokenID)
	if err != nil {
		return fmt.Errorf("write down what is wrong with Apple's list: %w", err)
	}
	return nil
}

// hurryADE makes a token's turn now, whatever was wrong before.
func hurryADE(ctx context.Context, tx *sqldb.Tx, tokenID string, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE ade_sync SET due_at = ?, assign_at = NULL, attempts = 0 WHERE token_id = ?`, sqldb.At(now), tokenID)
	if err != nil {
		return 0, fmt.Errorf("ask Apple soon: %w", err)
	}
	return n, nil
}

// adeRow is what Apple says of a serial number, as far as a page of the list
// tells: what we asked of Apple stands beside it and is written elsewhere.
type adeRow struct {
	Serial       string     `db:"serial"`
	Run          int64      `db:"run"`
	Model        string     `db:"model"`
	Description  string     `db:"description"`
	Color        string     `db:"color"`
	Family       string     `db:"family"`
	AssignedAt   sqldb.Time `db:"assigned_at"`
	ProfileUUID  string     `db:"profile_uuid"`
	ProfileState string     `db:"profile_state"`
	ProfileAt    sqldb.Time `db:"profile_at"`
	OpAt         sqldb.Time `db:"op_at"`
	Replacement  bool       `db:"replacement"`
	Replaces     string     `db:"replaces"`
	FirstAt      sqldb.Time `db:"first_at"`
	RemovedAt    sqldb.Time `db:"removed_at"`
}

// adeKnown gives the rows of serial numbers that are there.
func adeKnown(ctx context.Context, q sqldb.Queryer, tokenID string, serials []string) (map[string]adeRow, error) {
	out := map[string]adeRow{}
	for part := range slices.Chunk(serials, maxIn) {
		var rows []adeRow
		err := q.Select(ctx, &rows, `
			SELECT a.serial, a.run, a.model, a.description, a.color, a.family, a.assigned_at, a.profile_uuid, a.profile_state, a.profile_at,
				NULLIF(a.op_at, 0) AS op_at, a.replacement, a.replaces, a.first_at, a.removed_at
			FROM ade_devices a WHERE a.token_id = ? AND a.serial IN (?)`, tokenID, part)
		if err != nil {
			return nil, fmt.Errorf("read what Apple said: %w", err)
		}
		for _, row := range rows {
			out[row.Serial] = row
		}
	}
	return out, nil
}

// touchADE notes that Apple still says the same.
func touchADE(ctx context.Context, tx *sqldb.Tx, tokenID string, serials []string, run int64, now time.Time) error {
	for part := range slices.Chunk(serials, maxIn) {
		_, err := tx.Exec(ctx, `UPDATE ade_devices SET run = ?, seen_at = ? WHERE token_id = ? AND serial IN (?)`, run, sqldb.At(now), tokenID, part)
		if err != nil {
			return fmt.Errorf("store what Apple says: %w", err)
		}
	}
	return nil
}

func upsertADE(ctx context.Context, tx *sqldb.Tx, tokenID, tenantID string, rows []adeRow, now time.Time) error {
	for part := range slices.Chunk(rows, adeRows) {
		args := make([]any, 0, 17*len(part))
		for _, r := range part {
			var op int64
			if !r.OpAt.IsZero() {
				op = r.OpAt.UnixMilli()
			}
			args = append(args, tokenID, r.Serial, tenantID, r.Run, r.Model, r.Description, r.Color, r.Family, r.AssignedAt,
				r.ProfileUUID, r.ProfileState, r.ProfileAt, op, r.Replacement, r.FirstAt, sqldb.At(now), r.RemovedAt)
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO ade_devices (token_id, serial, tenant_id, run, model, description, color, family, assigned_at,
				profile_uuid, profile_state, profile_at, op_at, replacement, first_at, seen_at, removed_at)
			VALUES `+strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), `, len(part)), ", ")+`
			ON CONFLICT (token_id, serial) DO UPDATE SET tenant_id = excluded.tenant_id, run = excluded.run, model = excluded.model,
				description = excluded.description, color = excluded.color, family = excluded.family, assigned_at = excluded.assigned_at,
				profile_uuid = excluded.profile_uuid, profile_state = excluded.profile_state, profile_at = excluded.profile_at,
				op_at = excluded.op_at, replacement = excluded.replacement, seen_at = excluded.seen_at, removed_at = excluded.removed_at`, args...)
		if err != nil {
			return fmt.Errorf("store what Apple says: %w", err)
		}
	}
	return nil
}

// missedADE counts what a token has, and of it what the last complete list had
// not.
func missedADE(ctx context.Context, q sqldb.Queryer, tokenID string, fullRun int64) (missing, all int64, err error) {
	var n struct {
		Missing int64 `db:"missing"`
		All     int64 `db:"n"`
	}
	err = q.Get(ctx, &n, `
		SELECT COUNT(*) AS n, COALESCE(SUM(CASE WHEN a.run < ? THEN 1 ELSE 0 END), 0) AS missing
		FROM ade_devices a WHERE a.token_id = ? AND a.removed_at IS NULL`, fullRun, tokenID)
	if err != nil {
		return 0, 0, fmt.Errorf("count what Apple misses: %w", err)
	}
	return n.Missing, n.All, nil
}

// removeMissedADE believes that they are gone.
func removeMissedADE(ctx context.Context, tx *sqldb.Tx, tokenID string, fullRun int64, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE ade_devices SET removed_at = ? WHERE token_id = ? AND removed_at IS NULL AND run < ?`, sqldb.At(now), tokenID, fullRun)
	if err != nil {
		return 0, fmt.Errorf("remove what Apple misses: %w", err)
	}
	return n, nil
}

func setMissing(ctx context.Context, tx *sqldb.Tx, tokenID string, n int64) error {
	if _, err := tx.Exec(ctx, `UPDATE ade_sync SET missing = ? WHERE token_id = ?`, n, tokenID); err != nil {
		return fmt.Errorf("write down what Apple misses: %w", err)
	}
	return nil
}

// askedReplacements are serial numbers that took the place of unnamed others.
func askedReplacements(ctx context.Context, q sqldb.Queryer, tokenID string, limit int) (serials []string, err error) {
	err = q.Select(ctx, &serials, `
		SELECT a.serial FROM ade_devices a WHERE a.token_id = ? AND a.replacement AND a.removed_at IS NULL ORDER BY a.serial LIMIT ?`, tokenID, limit)
	if err != nil {
		return nil, fmt.Errorf("read which devices were exchanged: %w", err)
	}
	return serials, nil
}

func setReplaces(ctx context.Context, tx *sqldb.Tx, tokenID, serial, original string) error {
	_, err := tx.Exec(ctx, `UPDATE ade_devices SET replacement = ?, replaces = ? WHERE token_id = ? AND serial = ?`, false, original, tokenID, serial)
	if err != nil {
		return fmt.Errorf("write which device was exchanged: %w", err)
	}
	return nil
}

// forgetADE ends what is known by a token; the rows of its devices stay.
func forgetADE(ctx context.Context, tx *sqldb.Tx, tokenID string, now time.Time) error {
	for _, text := range []string{
		`UPDATE ade_devices SET removed_at = COALESCE(removed_at, CAST(? AS BIGINT)) WHERE token_id = ?`,
		`DELETE FROM ade_profile_uuids WHERE CAST(? AS BIGINT) > 0 AND token_id = ?`,
		`DELETE FROM ade_sync WHERE CAST(? AS BIGINT) > 0 AND token_id = ?`,
	} {
		if _, err := tx.Exec(ctx, text, sqldb.At(now), tokenID); err != nil {
			return fmt.Errorf("forget what Apple said: %w", err)
		}
	}
	return nil
}
