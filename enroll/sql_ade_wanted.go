package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/sqldb"
)

// Which profile a serial number gets is derived, always: from the wishes, from
// where the device is, and from who has it at Apple. a is Apple's word, d the
// device, p the profile that is wanted (NULL: none), u what Apple calls it.
const adeWanted = `
	FROM ade_devices a
	LEFT JOIN devices d ON d.serial = a.serial
	LEFT JOIN ade_wishes wd ON wd.scope_kind = 'delivery' AND wd.scope_id = d.delivery_id
	LEFT JOIN ade_wishes ws ON ws.scope_kind = 'site' AND ws.scope_id = d.site_id
	LEFT JOIN ade_wishes wt ON wt.scope_kind = 'tenant' AND wt.scope_id = d.tenant_id
	LEFT JOIN ade_profiles p ON p.id = COALESCE(wd.profile_id, ws.profile_id, wt.profile_id)
	LEFT JOIN ade_profile_uuids u ON u.profile_id = p.id AND u.token_id = a.token_id AND u.hash = p.hash`

// adeOurs: the device is the token's tenant's, and of several servers that claim
// the serial number this one has had it assigned last.
const adeOurs = `a.removed_at IS NULL AND d.tenant_id = a.tenant_id AND NOT EXISTS (` + adeNewer + `)`

const adeNewer = `SELECT 1 FROM ade_devices o WHERE o.serial = a.serial AND o.token_id <> a.token_id AND o.tenant_id = a.tenant_id AND o.removed_at IS NULL
		AND (COALESCE(o.assigned_at, 0) > COALESCE(a.assigned_at, 0)
			OR COALESCE(o.assigned_at, 0) = COALESCE(a.assigned_at, 0) AND o.token_id > a.token_id)`

const adeConfirmed = `(u.uuid <> '' AND a.profile_uuid = u.uuid AND a.profile_state IN ('assigned', 'pushed'))`

// toDefine is a profile that somebody of a token is to get and Apple does not
// know yet.
type toDefine struct {
	ProfileID string `db:"profile_id"`
	TokenID   string `db:"token_id"`
	Attempts  int64  `db:"attempts"`
}

func adeToDefine(ctx context.Context, q sqldb.Queryer, tokenID string, now time.Time) ([]toDefine, error) {
	var rows []toDefine
	err := q.Select(ctx, &rows, `
		SELECT DISTINCT p.id AS profile_id, a.token_id, COALESCE(u.attempts, 0) AS attempts`+adeWanted+`
		WHERE a.token_id = ? AND `+adeOurs+` AND p.id IS NOT NULL AND COALESCE(u.uuid, '') = '' AND COALESCE(u.retry_at, 0) <= ?
		ORDER BY profile_id`, tokenID, sqldb.At(now))
	if err != nil {
		return nil, fmt.Errorf("look which enrollment profiles Apple lacks: %w", err)
	}
	return rows, nil
}

// setDefined stores what Apple calls a profile, or why it refused it.
func setDefined(ctx context.Context, tx *sqldb.Tx, d toDefine, hash, uuid, problem string, retry sqldb.Time, now time.Time) error {
	defined := sqldb.Time{}
	if uuid != "" {
		defined = sqldb.At(now)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO ade_profile_uuids (profile_id, token_id, hash, uuid, defined_at, problem, attempts, retry_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (profile_id, token_id, hash) DO UPDATE SET uuid = excluded.uuid, defined_at = excluded.defined_at, problem = excluded.problem,
			attempts = excluded.attempts, retry_at = excluded.retry_at`,
		d.ProfileID, d.TokenID, hash, uuid, defined, problem, d.Attempts+1, retry)
	if err != nil {
		return fmt.Errorf("store what Apple calls an enrollment profile: %w", err)
	}
	return nil
}

// lostDefined: Apple knows a profile no more. It is defined again, not at once if
// that happened before.
func lostDefined(ctx context.Context, tx *sqldb.Tx, tokenID, uuid string, retry time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE ade_profile_uuids SET uuid = '', retry_at = ? WHERE token_id = ? AND uuid = ?`, sqldb.At(retry), tokenID, uuid)
	if err != nil {
		return fmt.Errorf("forget an enrollment profile: %w", err)
	}
	return nil
}

func definedAttempts(ctx context.Context, q sqldb.Queryer, tokenID, uuid string) (n int64, err error) {
	err = q.Get(ctx, &n, `SELECT COALESCE(MAX(u.attempts), 0) FROM ade_profile_uuids u WHERE u.token_id = ? AND u.uuid = ?`, tokenID, uuid)
	if err != nil {
		return 0, fmt.Errorf("read how often an enrollment profile was defined: %w", err)
	}
	return n, nil
}

// toAssign is a serial number whose profile at Apple is not the wanted one.
type toAssign struct {
	Serial   string `db:"serial"`
	UUID     string `db:"uuid"`
	Wanted   string `db:"wanted_uuid"`
	Attempts int64  `db:"attempts"`
}

// tries counts the attempts for this very profile.
func (t toAssign) tries() int64 {
	if t.Wanted != t.UUID {
		return 0
	}
	return t.Attempts
}

// adeToAssign lists by profile what is to be assigned now. A changed profile need
// not wait out the trouble of the one before, unless Apple asked for it.
func adeToAssign(ctx context.Context, q sqldb.Queryer, tokenID string, limit int, now time.Time) ([]toAssign, error) {
	var rows []toAssign
	err := q.Select(ctx, &rows, `
		SELECT a.serial, u.uuid, a.wanted_uuid, a.attempts`+adeWanted+`
		WHERE a.token_id = ? AND `+adeOurs+` AND u.uuid <> '' AND NOT `+adeConfirmed+`
			AND (COALESCE(a.retry_at, 0) <= ? OR a.wanted_uuid <> u.uuid AND a.result <> 'THROTTLED')
		ORDER BY u.uuid, a.serial LIMIT ?`, tokenID, sqldb.At(now), limit)
	if err != nil {
		return nil, fmt.Errorf("look which devices lack their enrollment profile: %w", err)
	}
	return rows, nil
}

// setAsked stores Apple's answer for serial numbers that it answered alike.
func setAsked(ctx context.Context, tx *sqldb.Tx, tokenID, uuid, result string, attempts int64, serials []string, retry, now time.Time) error {
	for part := range slices.Chunk(serials, maxIn) {
		_, err := tx.Exec(ctx, `
			UPDATE ade_devices SET wanted_uuid = ?, result = ?, asked_at = ?, retry_at = ?, attempts = ? WHERE token_id = ? AND serial IN (?)`,
			uuid, result, sqldb.At(now), sqldb.At(retry), attempts, tokenID, part)
		if err != nil {
			return fmt.Errorf("store Apple's answers: %w", err)
		}
	}
	return nil
}

// adeToConfirm lists serial numbers of which Apple took an order before asked and
// has not yet said that it is so; none that it told of since looked.
func adeToConfirm(ctx context.Context, q sqldb.Queryer, tokenID string, limit int, asked, looked time.Time) (serials []string, err error) {
	err = q.Select(ctx, &serials, `
		SELECT a.serial`+adeWanted+`
		WHERE a.token_id = ? AND `+adeOurs+` AND u.uuid <> '' AND NOT `+adeConfirmed+` AND a.wanted_uuid = u.uuid AND a.result = 'SUCCESS' AND a.asked_at <= ?
			AND (a.seen_at <= a.asked_at OR a.seen_at <= ?)
		ORDER BY a.asked_at, a.serial LIMIT ?`, tokenID, sqldb.At(asked), sqldb.At(looked), limit)
	if err != nil {
		return nil, fmt.Errorf("look which assignments Apple has to confirm: %w", err)
	}
	return serials, nil
}

// seenADE notes when Apple last told of serial numbers.
func seenADE(ctx context.Context, tx *sqldb.Tx, tokenID string, serials []string, now time.Time) error {
	for part := range slices.Chunk(serials, maxIn) {
		if _, err := tx.Exec(ctx, `UPDATE ade_devices SET seen_at = ? WHERE token_id = ? AND serial IN (?)`, sqldb.At(now), tokenID, part); err != nil {
			return fmt.Errorf("store what Apple says: %w", err)
		}
	}
	return nil
}

// adeTokensToDo lists tokens with a device that has not what it is to get. It is
// asked all the time, so it looks no closer than that.
func adeTokensToDo(ctx context.Context, q sqldb.Queryer) (ids []string, err error) {
	err = q.Select(ctx, &ids, `
		SELECT DISTINCT a.token_id`+adeWanted+`
		WHERE a.removed_at IS NULL AND d.tenant_id = a.tenant_id AND p.id IS NOT NULL AND NOT COALESCE(`+adeConfirmed+`, FALSE) ORDER BY a.token_id`)
	if err != nil {
		return nil, fmt.Errorf("look which server tokens have something to do: %w", err)
	}
	return ids, nil
}

func setADEHash(ctx context.Context, tx *sqldb.Tx, id, was, hash string) error {
	if _, err := tx.Exec(ctx, `UPDATE ade_profiles SET hash = ? WHERE id = ? AND hash = ?`, hash, id, was); err != nil {
		return fmt.Errorf("store the hash of an enrollment profile: %w", err)
	}
	return nil
}
