package profiles

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

type profileRow struct {
	ID         string     `db:"id"`
	TenantID   string     `db:"tenant_id"`
	Name       string     `db:"name"`
	Identifier string     `db:"identifier"`
	Version    int64      `db:"version"`
	Draft      int64      `db:"draft"`
	Last       int64      `db:"last"` // the highest version there is
	CreatedAt  sqldb.Time `db:"created_at"`
	UpdatedAt  sqldb.Time `db:"updated_at"`
	Summary    string     `db:"summary"`
}

func (p profileRow) profile() Profile {
	types := []string{}
	_ = json.Unmarshal([]byte(p.Summary), &types) // written by us; shown empty rather than not at all
	return Profile{ID: p.ID, TenantID: p.TenantID, Name: p.Name, Identifier: p.Identifier, Version: p.Version, Draft: p.Draft, Payloads: types, CreatedAt: p.CreatedAt.Time, UpdatedAt: p.UpdatedAt.Time}
}

const profileColumns = `p.id, p.tenant_id, p.name, p.identifier, p.version, p.draft, p.created_at, p.updated_at,
	COALESCE((SELECT MAX(v.version) FROM profile_versions v WHERE v.profile_id = p.id), 0) AS last,
	COALESCE((SELECT v.summary FROM profile_versions v WHERE v.profile_id = p.id AND v.version = CASE WHEN p.version > 0 THEN p.version ELSE p.draft END), '') AS summary`

// visible is the condition that a tenant may use what t is, its own and the
// provider's; bound twice, "" sees all.
const visible = `(CAST(? AS TEXT) = '' OR t.tenant_id IN ('', ?))`

// stored is a name as it would be in the database: what cannot be there fits none.
func stored(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", ""))
}

// itemsNamed are the profiles and apps of a name that a tenant may use.
func itemsNamed(ctx context.Context, q sqldb.Queryer, tenantID, name string) (rows []item, err error) {
	name = stored(name)
	err = q.Select(ctx, &rows, `SELECT 'profile' AS kind, t.id, t.tenant_id, t.name FROM profiles t WHERE t.name = ? AND t.removed_at IS NULL AND `+visible+`
		UNION ALL SELECT 'app', t.id, t.tenant_id, t.name FROM apps t WHERE t.name = ? AND t.removed_at IS NULL AND `+visible+`
		ORDER BY 1, 2`, name, tenantID, tenantID, name, tenantID, tenantID)
	return rows, err
}

// ownProfile is the profile of a name that is just this tenant's, or the
// provider's for "".
func ownProfile(ctx context.Context, tx *sqldb.Tx, tenantID, name string) (p profileRow, err error) {
	err = tx.Get(ctx, &p, `SELECT `+profileColumns+` FROM profiles p WHERE p.tenant_id = ? AND p.name = ? AND p.removed_at IS NULL`+tx.ForUpdate(), tenantID, name)
	return p, err
}

func lockProfile(ctx context.Context, tx *sqldb.Tx, id string) (p profileRow, err error) {
	err = tx.Get(ctx, &p, `SELECT `+profileColumns+` FROM profiles p WHERE p.id = ? AND p.removed_at IS NULL`+tx.ForUpdate(), id)
	return p, err
}

func allProfiles(ctx context.Context, q sqldb.Queryer, tenantID string) (rows []profileRow, err error) {
	err = q.Select(ctx, &rows, `SELECT `+profileColumns+` FROM profiles p WHERE p.removed_at IS NULL AND (CAST(? AS TEXT) = '' OR p.tenant_id IN ('', ?)) ORDER BY p.name, p.id`, tenantID, tenantID)
	return rows, err
}

// countSame counts what is one thing on a tablet with a new profile or app of a
// tenant's: of its own, of the provider's, and for the provider's of anybody's.
func countSame(ctx context.Context, q sqldb.Queryer, kind, tenantID, identifier string) (n int, err error) {
	text := `SELECT COUNT(*) FROM profiles t WHERE t.identifier = ? AND t.removed_at IS NULL AND ` + visible
	if kind == kindApp {
		text = `SELECT COUNT(*) FROM apps t WHERE t.bundle_id = ? AND t.removed_at IS NULL AND ` + visible
	}
	err = q.Get(ctx, &n, text, identifier, tenantID, tenantID)
	return n, err
}

func saveProfile(ctx context.Context, tx *sqldb.Tx, p profileRow, fresh bool) error {
	if fresh {
		_, err := tx.Exec(ctx, `INSERT INTO profiles (id, tenant_id, name, identifier, version, draft, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			p.ID, p.TenantID, p.Name, p.Identifier, p.Version, p.Draft, p.CreatedAt, p.UpdatedAt)
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE profiles SET version = ?, draft = ?, updated_at = ? WHERE id = ?`, p.Version, p.Draft, p.UpdatedAt, p.ID)
	return err
}

func insertVersion(ctx context.Context, tx *sqldb.Tx, p profileRow, version int64, payloadUUID, traits string, sealed []byte, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO profile_versions (profile_id, version, payload_uuid, summary, traits, content, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		p.ID, version, payloadUUID, p.Summary, traits, sealed, by, sqldb.At(now))
	return err
}

type versionRow struct {
	PayloadUUID string `db:"payload_uuid"`
	Content     []byte `db:"content"`
	Traits      string `db:"traits"`
}

// published notes that tablets are to have a version from now on.
func published(ctx context.Context, tx *sqldb.Tx, id string, version int64, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE profile_versions SET published_at = ?, published_by = ? WHERE profile_id = ? AND version = ?`, sqldb.At(now), by, id, version)
	return err
}

type historyRow struct {
	Version     int64      `db:"version"`
	Summary     string     `db:"summary"`
	CreatedBy   string     `db:"created_by"`
	CreatedAt   sqldb.Time `db:"created_at"`
	PublishedBy string     `db:"published_by"`
	PublishedAt sqldb.Time `db:"published_at"`
}

// history are all versions of a profile, newest first.
func history(ctx context.Context, q sqldb.Queryer, id string) (rows []historyRow, err error) {
	err = q.Select(ctx, &rows, `SELECT version, summary, created_by, created_at, published_by, published_at FROM profile_versions WHERE profile_id = ? ORDER BY version DESC`, id)
	return rows, err
}

// allUnpublished are the profiles of which nothing is published yet.
func allUnpublished(ctx context.Context, q sqldb.Queryer) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT id FROM profiles WHERE version = 0 AND removed_at IS NULL`)
	return ids, err
}

// unpublished names those of some profiles of which nothing is published yet.
func unpublished(ctx context.Context, q sqldb.Queryer, ids []string) (names []string, err error) {
	for part := range slices.Chunk(ids, chunk) {
		var some []string
		if err := q.Select(ctx, &some, `SELECT name FROM profiles WHERE version = 0 AND id IN (?) ORDER BY name`, part); err != nil {
			return nil, err
		}
		names = append(names, some...)
	}
	return names, nil
}

func selectVersion(ctx context.Context, q sqldb.Queryer, id string, version int64) (v versionRow, err error) {
	err = q.Get(ctx, &v, `SELECT payload_uuid, content, traits FROM profile_versions WHERE profile_id = ? AND version = ?`, id, version)
	return v, err
}

// removeRow marks a profile or an app as removed; its rows stay for tablets that
// still have it.
func removeRow(ctx context.Context, tx *sqldb.Tx, table, id string, now time.Time) error {
	text := `UPDATE profiles SET removed_at = ? WHERE id = ?`
	if table == "apps" {
		text = `UPDATE apps SET removed_at = ? WHERE id = ?`
	}
	_, err := tx.Exec(ctx, text, sqldb.At(now), id)
	return err
}

func countNamed(ctx context.Context, q sqldb.Queryer, kind, tenantID, name string) (n int, err error) {
	text := `SELECT COUNT(*) FROM profiles WHERE tenant_id = ? AND name = ? AND removed_at IS NULL`
	if kind == kindApp {
		text = `SELECT COUNT(*) FROM apps WHERE tenant_id = ? AND name = ? AND removed_at IS NULL`
	}
	err = q.Get(ctx, &n, text, tenantID, name)
	return n, err
}

type appRow struct {
	ID        string `db:"id"`
	TenantID  string `db:"tenant_id"`
	Name      string `db:"name"`
	AdamID    string `db:"adam_id"`
	BundleID  string `db:"bundle_id"`
	HoldsData bool   `db:"holds_data"`
	Version   int64  `db:"version"`
}

func (a appRow) app() App {
	return App{ID: a.ID, Name: a.Name, TenantID: a.TenantID, AdamID: a.AdamID, BundleID: a.BundleID, HoldsData: a.HoldsData, Version: a.Version}
}

// inHouse tells an app whose .ipa is here from one of the App Store.
func (a appRow) inHouse() bool { return a.AdamID == "" }

func allApps(ctx context.Context, q sqldb.Queryer, tenantID string) (rows []appRow, err error) {
	err = q.Select(ctx, &rows, `SELECT t.id, t.tenant_id, t.name, t.adam_id, t.bundle_id, t.holds_data, t.version FROM apps t WHERE t.removed_at IS NULL AND `+visible+` ORDER BY t.name, t.id`, tenantID, tenantID)
	return rows, err
}

func appByID(ctx context.Context, q sqldb.Queryer, id string) (a appRow, err error) {
	err = q.Get(ctx, &a, `SELECT id, tenant_id, name, adam_id, bundle_id, holds_data, version FROM apps WHERE id = ?`, id)
	return a, err
}

func insertApp(ctx context.Context, tx *sqldb.Tx, a App, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO apps (id, tenant_id, name, adam_id, bundle_id, holds_data, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`, a.ID, a.TenantID, a.Name, a.AdamID, a.BundleID, a.HoldsData, sqldb.At(now))
	return err
}

func insertAssignment(ctx context.Context, tx *sqldb.Tx, id string, it item, s Scope, tenantID string, exclude bool, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO assignments (id, item_kind, item_id, scope_kind, scope_id, tenant_id, exclude, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (item_kind, item_id, scope_kind, scope_id, tenant_id) DO NOTHING`, id, it.Kind, it.ID, s.Kind, s.ID, tenantID, exclude, by, sqldb.At(now))
	return err
}

// deleteAssignment takes back the wish of a tenant, or everybody's.
func deleteAssignment(ctx context.Context, tx *sqldb.Tx, it item, s Scope, whose string) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM assignments WHERE item_kind = ? AND item_id = ? AND scope_kind = ? AND scope_id = ?
		AND (CAST(? AS TEXT) = '*' OR tenant_id = ?)`, it.Kind, it.ID, s.Kind, s.ID, whose, whose)
}

// assignmentsAt are those of one item for one scope, whosever they are.
func assignmentsAt(ctx context.Context, q sqldb.Queryer, it item, s Scope) (rows []assignmentRow, err error) {
	err = q.Select(ctx, &rows, `SELECT id, item_kind, item_id, scope_kind, scope_id, tenant_id, exclude, created_by, created_at FROM assignments
		WHERE item_kind = ? AND item_id = ? AND scope_kind = ? AND scope_id = ? ORDER BY id`, it.Kind, it.ID, s.Kind, s.ID)
	return rows, err
}

func countAssignments(ctx context.Context, q sqldb.Queryer, kind, id string) (n int, err error) {
	err = q.Get(ctx, &n, `SELECT COUNT(*) FROM assignments WHERE item_kind = ? AND item_id = ?`, kind, id)
	return n, err
}

type assignmentRow struct {
	ID        string     `db:"id"`
	Kind      string     `db:"item_kind"`
	ItemID    string     `db:"item_id"`
	Name      string     `db:"name"`
	ScopeKind string     `db:"scope_kind"`
	ScopeID   string     `db:"scope_id"`
	TenantID  string     `db:"tenant_id"`
	Exclude   bool       `db:"exclude"`
	By        string     `db:"created_by"`
	At        sqldb.Time `db:"created_at"`
}

func (a assignmentRow) assignment() Assignment {
	return Assignment{ID: a.ID, Kind: a.Kind, Name: a.Name, ItemID: a.ItemID, Exclude: a.Exclude, TenantID: a.TenantID, CreatedBy: a.By, Scope: Scope{a.ScopeKind, a.ScopeID}, CreatedAt: a.At.Time}
}

const assignmentSelect = `SELECT a.id, a.item_kind, a.item_id, COALESCE(p.name, x.name, a.item_id) AS name, a.scope_kind, a.scope_id, a.tenant_id, a.exclude, a.created_by, a.created_at
		FROM assignments a LEFT JOIN profiles p ON a.item_kind = 'profile' AND p.id = a.item_id
		LEFT JOIN apps x ON a.item_kind = 'app' AND x.id = a.item_id`

func allAssignments(ctx context.Context, q sqldb.Queryer) (rows []assignmentRow, err error) {
	err = q.Select(ctx, &rows, assignmentSelect+` ORDER BY a.created_at, a.id`)
	return rows, err
}

// assignmentsTo are those to one scope, of whatever items.
func assignmentsTo(ctx context.Context, q sqldb.Queryer, s Scope) (rows []assignmentRow, err error) {
	err = q.Select(ctx, &rows, assignmentSelect+` WHERE a.scope_kind = ? AND a.scope_id = ? ORDER BY a.created_at, a.id`, s.Kind, s.ID)
	return rows, err
}

func updateHoldsData(ctx context.Context, tx *sqldb.Tx, id string, holds bool) error {
	_, err := tx.Exec(ctx, `UPDATE apps SET holds_data = ? WHERE id = ?`, holds, id)
	return err
}

func scopesOf(ctx context.Context, q sqldb.Queryer, kind, id string) ([]Scope, error) {
	var rows []assignmentRow
	if err := q.Select(ctx, &rows, `SELECT scope_kind, scope_id FROM assignments WHERE item_kind = ? AND item_id = ?`, kind, id); err != nil {
		return nil, err
	}
	out := make([]Scope, 0, len(rows))
	for _, r := range rows {
		out = append(out, Scope{r.ScopeKind, r.ScopeID})
	}
	return out, nil
}

func upsertMarks(ctx context.Context, tx *sqldb.Tx, ids []string, now, due time.Time) error {
	args := make([]any, 0, 3*len(ids))
	for _, id := range ids {
		args = append(args, id, sqldb.At(now), sqldb.At(due))
	}
	_, err := tx.Exec(ctx, `INSERT INTO marks (enrollment_id, marked_at, due_at) VALUES (?, ?, ?)`+strings.Repeat(`, (?, ?, ?)`, len(ids)-1)+`
		ON CONFLICT (enrollment_id) DO UPDATE SET marked_at = excluded.marked_at,
			due_at = CASE WHEN excluded.due_at < marks.due_at THEN excluded.due_at ELSE marks.due_at END`, args...)
	return err
}
