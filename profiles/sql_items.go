package profiles

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// itemRow is one item on one tablet.
type itemRow struct {
	EnrollmentID string     `db:"enrollment_id"`
	Kind         string     `db:"item_kind"`
	ItemID       string     `db:"item_id"`
	Generation   int64      `db:"generation"`
	Desired      *int64     `db:"desired"`
	Sent         *int64     `db:"sent"`
	SentAt       sqldb.Time `db:"sent_at"`
	AckAt        sqldb.Time `db:"acknowledged_at"`
	Observed     *int64     `db:"observed"`
	ObservedAt   sqldb.Time `db:"observed_at"`
	State        string     `db:"state"`
	Reason       string     `db:"reason"`
	Failures     int64      `db:"failures"`
	RetryAt      sqldb.Time `db:"retry_at"`
	UpdatedAt    sqldb.Time `db:"updated_at"`
	RemoveAfter  sqldb.Time `db:"remove_after"` // a person confirmed that it goes with what was made with it, then
	RemoveBy     string     `db:"remove_by"`
	Render       string     `db:"desired_render"` // which values of variables it shall have; "": none
	SentRender   string     `db:"sent_render"`
	SeenRender   string     `db:"observed_render"`
	Undone       string     `db:"undone"`     // when the tablet undid it within a day: see drift.go
	HoldsData    bool       `db:"holds_data"` // of the app; only read
}

func (r itemRow) thing() thing { return thing{r.Kind, r.ItemID} }

const itemColumns = `enrollment_id, item_kind, item_id, generation, desired, sent, sent_at, acknowledged_at, observed, observed_at, state, reason, failures, retry_at, updated_at, remove_after, remove_by, desired_render, sent_render, observed_render, undone`

// What was made with an app is lost with it by whatever name it was wished: an app
// of one bundle identifier holds data if any does that the tablet had in this life.
const itemSelect = `SELECT ` + itemColumns + `, (device_items.item_kind = 'app' AND EXISTS (SELECT 1 FROM apps x JOIN apps y ON y.bundle_id = x.bundle_id
		JOIN device_items k ON k.enrollment_id = device_items.enrollment_id AND k.item_kind = 'app' AND k.item_id = y.id AND k.generation = device_items.generation
		WHERE x.id = device_items.item_id AND y.holds_data)) AS holds_data FROM device_items`

func itemsOf(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (rows []itemRow, err error) {
	err = q.Select(ctx, &rows, itemSelect+` WHERE enrollment_id IN (?)`, enrollmentIDs)
	return rows, err
}

// itemsAmong are those of some items, or of all for none. The condition on the
// item keeps PostgreSQL from reading that item of the whole fleet.
func itemsAmong(ctx context.Context, q sqldb.Queryer, enrollmentIDs, itemIDs []string) (rows []itemRow, err error) {
	if len(itemIDs) == 0 {
		return itemsOf(ctx, q, enrollmentIDs)
	}
	err = q.Select(ctx, &rows, itemSelect+` WHERE enrollment_id IN (?) AND item_id || '' IN (?)`, enrollmentIDs, itemIDs)
	return rows, err
}

// networkProfiles are those of which a version has a Wi-Fi network; removed ones
// may still be on tablets.
func networkProfiles(ctx context.Context, q sqldb.Queryer) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT p.id FROM profiles p JOIN profile_versions v ON v.profile_id = p.id
		WHERE v.traits LIKE '%"ssids":[%' GROUP BY p.id ORDER BY p.id`)
	return ids, err
}

// payloadsOf are the payload types of each profile there is, in any version.
func payloadsOf(ctx context.Context, q sqldb.Queryer) (rows []payloadsRow, err error) {
	err = q.Select(ctx, &rows, `SELECT DISTINCT v.profile_id, v.summary FROM profile_versions v JOIN profiles p ON p.id = v.profile_id
		WHERE p.removed_at IS NULL ORDER BY v.profile_id, v.summary`)
	return rows, err
}

type payloadsRow struct {
	ProfileID string `db:"profile_id"`
	Summary   string `db:"summary"`
}

func oneItem(ctx context.Context, tx *sqldb.Tx, enrollmentID string, th thing, generation int64) (r itemRow, found bool, err error) {
	err = tx.Get(ctx, &r, itemSelect+` WHERE enrollment_id = ? AND item_kind = ? AND item_id = ? AND generation = ?`,
		enrollmentID, th.Kind, th.ID, generation)
	if errors.Is(err, sqldb.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

func upsertItems(ctx context.Context, tx *sqldb.Tx, rows []itemRow) error {
	for len(rows) > 0 {
		part := rows[:min(chunk, len(rows))]
		rows = rows[len(part):]
		args := make([]any, 0, 21*len(part))
		for _, r := range part {
			args = append(args, r.EnrollmentID, r.Kind, r.ItemID, r.Generation, r.Desired, r.Sent, r.SentAt, r.AckAt, r.Observed, r.ObservedAt, r.State, r.Reason, r.Failures, r.RetryAt, r.UpdatedAt, r.RemoveAfter, r.RemoveBy, r.Render, r.SentRender, r.SeenRender, r.Undone)
		}
		const values = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
		_, err := tx.Exec(ctx, `INSERT INTO device_items (`+itemColumns+`) VALUES `+values+strings.Repeat(`, `+values, len(part)-1)+`
			ON CONFLICT (enrollment_id, item_kind, item_id) DO UPDATE SET generation = excluded.generation, desired = excluded.desired, sent = excluded.sent,
				sent_at = excluded.sent_at, acknowledged_at = excluded.acknowledged_at, observed = excluded.observed, observed_at = excluded.observed_at,
				state = excluded.state, reason = excluded.reason, failures = excluded.failures, retry_at = excluded.retry_at, updated_at = excluded.updated_at,
				remove_after = excluded.remove_after, remove_by = excluded.remove_by,
				desired_render = excluded.desired_render, sent_render = excluded.sent_render, observed_render = excluded.observed_render, undone = excluded.undone`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

type listRow struct {
	EnrollmentID string     `db:"enrollment_id"`
	Kind         string     `db:"kind"`
	Generation   int64      `db:"generation"`
	At           sqldb.Time `db:"observed_at"`
}

func listsOf(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (rows []listRow, err error) {
	err = q.Select(ctx, &rows, `SELECT enrollment_id, kind, generation, observed_at FROM observations WHERE enrollment_id IN (?)`, enrollmentIDs)
	return rows, err
}

func upsertList(ctx context.Context, tx *sqldb.Tx, enrollmentID, kind string, generation int64, body []byte, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO observations (enrollment_id, kind, generation, body, observed_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (enrollment_id, kind) DO UPDATE SET generation = excluded.generation, body = excluded.body, observed_at = excluded.observed_at`,
		enrollmentID, kind, generation, string(body), sqldb.At(now))
	return err
}

type wishRow struct {
	Kind      string `db:"item_kind"`
	ItemID    string `db:"item_id"`
	TenantID  string `db:"tenant_id"` // whose profile or app it is
	ScopeKind string `db:"scope_kind"`
	ScopeID   string `db:"scope_id"`
	Exclude   bool   `db:"exclude"`
	Version   int64  `db:"version"`
	Name      string `db:"name"`
	Traits    string `db:"traits"`
	HoldsData bool   `db:"holds_data"`
	Place     string `db:"place"` // what it is to an iPad, which has one of a place
}

const wishSelect = `SELECT a.item_kind, a.item_id, COALESCE(p.tenant_id, x.tenant_id, '') AS tenant_id, a.scope_kind, a.scope_id, a.exclude,
		COALESCE(p.identifier, x.bundle_id, '') AS place, COALESCE(p.version, x.version, 1) AS version, COALESCE(p.name, x.name, '') AS name, COALESCE(v.traits, av.traits, '') AS traits, COALESCE(x.holds_data, FALSE) AS holds_data
	FROM assignments a LEFT JOIN profiles p ON a.item_kind = 'profile' AND p.id = a.item_id
	LEFT JOIN profile_versions v ON v.profile_id = p.id AND v.version = p.version
	LEFT JOIN apps x ON a.item_kind = 'app' AND x.id = a.item_id
	LEFT JOIN app_versions av ON av.app_id = x.id AND av.version = x.version`

// calledRow is what people and iPads call an item.
type calledRow struct {
	ID    string `db:"id"`
	Name  string `db:"name"`
	Place string `db:"place"`
}

// calledOf is that of some items, by id.
func calledOf(ctx context.Context, q sqldb.Queryer, ids []string) (map[string]calledRow, error) {
	out := make(map[string]calledRow, len(ids))
	for part := range slices.Chunk(ids, chunk) {
		var rows []calledRow
		if err := q.Select(ctx, &rows, `SELECT p.id, p.name, p.identifier AS place FROM profiles p WHERE p.id IN (?) UNION ALL SELECT x.id, x.name, x.bundle_id FROM apps x WHERE x.id IN (?)`, part, part); err != nil {
			return nil, err
		}
		for _, row := range rows {
			out[row.ID] = row
		}
	}
	return out, nil
}

// heirThere tells whether something that is the same to an iPad is wished there.
func heirThere(ctx context.Context, q sqldb.Queryer, r itemRow) (bool, error) {
	var n int64
	err := q.Get(ctx, &n, `SELECT COUNT(*) FROM device_items i
		WHERE i.enrollment_id = ? AND i.generation = ? AND i.item_kind = ? AND i.item_id <> ? AND i.desired IS NOT NULL AND i.state <> 'blocked' AND i.item_id IN
			(SELECT o.id FROM profiles o JOIN profiles p ON p.identifier = o.identifier WHERE p.id = ?
			UNION SELECT o.id FROM apps o JOIN apps x ON x.bundle_id = o.bundle_id WHERE x.id = ?)`,
		r.EnrollmentID, r.Generation, r.Kind, r.ItemID, r.ItemID, r.ItemID)
	return n > 0, err
}

// wishesFor are all assignments of some items.
func wishesFor(ctx context.Context, q sqldb.Queryer, itemIDs []string) (rows []wishRow, err error) {
	for part := range slices.Chunk(itemIDs, chunk) {
		var some []wishRow
		if err := q.Select(ctx, &some, wishSelect+` WHERE a.item_kind IN ('profile', 'app') AND a.item_id IN (?)`, part); err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	return rows, nil
}

// wishes are the assignments to all, and those to the scopes of these devices:
// what is wished of the rest of the fleet is not read.
func wishes(ctx context.Context, q sqldb.Queryer, of map[string][]schools.Scope) (rows []wishRow, err error) {
	if err := q.Select(ctx, &rows, wishSelect+` WHERE a.scope_kind = 'all' AND a.scope_id = ''`); err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, scopes := range of {
		for _, s := range scopes {
			ids[s.ID] = true
		}
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(ids)), chunk) {
		var own []wishRow
		err := q.Select(ctx, &own, wishSelect+`
			WHERE a.scope_kind IN ('tenant', 'school', 'site', 'class', 'cart', 'group', 'device') AND a.scope_id IN (?)`, part)
		if err != nil {
			return nil, err
		}
		rows = append(rows, own...)
	}
	return rows, nil
}

type markRow struct {
	EnrollmentID string     `db:"enrollment_id"`
	DueAt        sqldb.Time `db:"due_at"`
}

func anyDue(ctx context.Context, q sqldb.Queryer, now time.Time) (bool, error) {
	var ids []string
	err := q.Select(ctx, &ids, `SELECT enrollment_id FROM marks WHERE due_at <= ? LIMIT 1`, sqldb.At(now))
	return len(ids) > 0, err
}

func takeMarks(ctx context.Context, tx *sqldb.Tx, now time.Time, limit int) (rows []markRow, err error) {
	err = tx.Select(ctx, &rows, `SELECT enrollment_id, due_at FROM marks WHERE due_at <= ? ORDER BY due_at LIMIT ?`+tx.SkipLocked(), sqldb.At(now), limit)
	return rows, err
}

func dropMarks(ctx context.Context, tx *sqldb.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM marks WHERE enrollment_id IN (?)`, ids)
	return err
}

// moveMarks has tablets whose marks are taken planned again at a time.
func moveMarks(ctx context.Context, tx *sqldb.Tx, at time.Time, ids []string) error {
	_, err := tx.Exec(ctx, `UPDATE marks SET due_at = ? WHERE enrollment_id IN (?)`, sqldb.At(at), ids)
	return err
}

type versionName struct {
	ProfileID   string `db:"profile_id"`
	Version     int64  `db:"version"`
	PayloadUUID string `db:"payload_uuid"`
	Identifier  string `db:"identifier"`
}

// versionsOf names the profiles that these items are, and the versions that
// these UUIDs are.
func versionsOf(ctx context.Context, q sqldb.Queryer, profileIDs []string) (rows []versionName, err error) {
	if len(profileIDs) == 0 {
		return nil, nil
	}
	err = q.Select(ctx, &rows, `SELECT v.profile_id, v.version, v.payload_uuid, p.identifier FROM profile_versions v
		JOIN profiles p ON p.id = v.profile_id WHERE v.profile_id IN (?)`, profileIDs)
	return rows, err
}

// traitsOfVersions are those of all versions of some profiles.
func traitsOfVersions(ctx context.Context, q sqldb.Queryer, profileIDs []string) (map[string]map[int64]*Traits, error) {
	out := make(map[string]map[int64]*Traits, len(profileIDs))
	for part := range slices.Chunk(profileIDs, chunk) {
		var rows []struct {
			ProfileID string `db:"profile_id"`
			Version   int64  `db:"version"`
			Traits    string `db:"traits"`
		}
		if err := q.Select(ctx, &rows, `SELECT v.profile_id, v.version, v.traits FROM profile_versions v WHERE v.profile_id IN (?)`, part); err != nil {
			return nil, err
		}
		for _, row := range rows {
			t, err := readTraits(row.Traits)
			if err != nil {
				return nil, err
			}
			if out[row.ProfileID] == nil {
				out[row.ProfileID] = map[int64]*Traits{}
			}
			out[row.ProfileID][row.Version] = &t
		}
	}
	return out, nil
}

func appsByID(ctx context.Context, q sqldb.Queryer, ids []string) (rows []appRow, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = q.Select(ctx, &rows, `SELECT id, tenant_id, name, adam_id, bundle_id, holds_data, version FROM apps WHERE id IN (?)`, ids)
	return rows, err
}

func profileByID(ctx context.Context, q sqldb.Queryer, id string) (p profileRow, err error) {
	err = q.Get(ctx, &p, `SELECT `+profileColumns+` FROM profiles p WHERE p.id = ?`, id)
	return p, err
}

// keptApps are the tablets on which apps stay that nobody wishes, since they hold
// data; of one app, or of all for "".
func keptApps(ctx context.Context, q sqldb.Queryer, appID string) (rows []itemRow, err error) {
	err = q.Select(ctx, &rows, itemSelect+` WHERE item_kind = 'app' AND state = 'blocked' AND desired IS NULL
		AND (CAST(? AS TEXT) = '' OR item_id = ?) ORDER BY item_id, enrollment_id`, appID, appID)
	return rows, err
}

// dataApps are the tablets on which an app may be that holds data.
func dataApps(ctx context.Context, q sqldb.Queryer, appID string) (rows []itemRow, err error) {
	err = q.Select(ctx, &rows, itemSelect+` WHERE item_kind = 'app' AND item_id = ? AND state <> 'removed' AND (sent IS NOT NULL OR observed IS NOT NULL) ORDER BY enrollment_id`, appID)
	rows = slices.DeleteFunc(rows, func(r itemRow) bool { return !r.HoldsData })
	return rows, err
}

// setRemoval says from when on tablets that keep an app may lose it; zero is not.
func setRemoval(ctx context.Context, tx *sqldb.Tx, appID string, enrollmentIDs []string, after time.Time, by audit.Actor, now time.Time) error {
	if after.IsZero() {
		by = ""
	}
	for part := range slices.Chunk(enrollmentIDs, chunk) {
		_, err := tx.Exec(ctx, `UPDATE device_items SET remove_after = ?, remove_by = ?, updated_at = ?
			WHERE item_kind = 'app' AND item_id = ? AND state = 'blocked' AND desired IS NULL AND enrollment_id IN (?)`,
			sqldb.At(after), string(by), sqldb.At(now), appID, part)
		if err != nil {
			return err
		}
	}
	return nil
}

// itemsChanged are the tablets whose items changed since then.
func itemsChanged(ctx context.Context, q sqldb.Queryer, since time.Time) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT DISTINCT i.enrollment_id FROM device_items i WHERE i.updated_at >= ? ORDER BY i.enrollment_id`, sqldb.At(since))
	return ids, err
}
