package profiles

import (
	"context"
	"time"

	"ranzen/internal/sqldb"
)

type appVersionRow struct {
	AppID         string `db:"app_id"`
	Version       int64  `db:"version"`
	UploadID      string `db:"upload_id"`
	SHA256        string `db:"sha256"`
	Size          int64  `db:"size"`
	ShortVersion  string `db:"short_version"`
	BundleVersion string `db:"bundle_version"`
	MinimumOS     string `db:"minimum_os"`
	Title         string `db:"title"`
}

const appVersionColumns = `v.app_id, v.version, v.upload_id, v.sha256, v.size, v.short_version, v.bundle_version, v.minimum_os, v.title`

func (v appVersionRow) ipa(bundleID string) IPA {
	return IPA{BundleID: bundleID, ShortVersion: v.ShortVersion, BundleVersion: v.BundleVersion, MinimumOS: v.MinimumOS, Title: v.Title}
}

// ownApp is the app of a name that is just this tenant's, or the provider's for "".
func ownApp(ctx context.Context, tx *sqldb.Tx, tenantID, name string) (a appRow, err error) {
	err = tx.Get(ctx, &a, `SELECT id, tenant_id, name, adam_id, bundle_id, holds_data, version FROM apps WHERE tenant_id = ? AND name = ? AND removed_at IS NULL`+tx.ForUpdate(), tenantID, name)
	return a, err
}

// currentVersions are those that tablets should have, by app.
func currentVersions(ctx context.Context, q sqldb.Queryer) (map[string]appVersionRow, error) {
	var rows []appVersionRow
	if err := q.Select(ctx, &rows, `SELECT `+appVersionColumns+` FROM app_versions v JOIN apps x ON x.id = v.app_id AND x.version = v.version WHERE x.removed_at IS NULL`); err != nil {
		return nil, err
	}
	out := make(map[string]appVersionRow, len(rows))
	for _, v := range rows {
		out[v.AppID] = v
	}
	return out, nil
}

// appVersions are all versions of some apps.
func appVersions(ctx context.Context, q sqldb.Queryer, appIDs []string) (rows []appVersionRow, err error) {
	if len(appIDs) == 0 {
		return nil, nil
	}
	err = q.Select(ctx, &rows, `SELECT `+appVersionColumns+` FROM app_versions v WHERE v.app_id IN (?) ORDER BY v.app_id, v.version`, appIDs)
	return rows, err
}

// fileOf is a version whose file is still here.
func fileOf(ctx context.Context, q sqldb.Queryer, appID string, version int64) (v appVersionRow, err error) {
	err = q.Get(ctx, &v, `SELECT `+appVersionColumns+` FROM app_versions v JOIN apps x ON x.id = v.app_id WHERE v.app_id = ? AND v.version = ? AND x.removed_at IS NULL`, appID, version)
	return v, err
}

func insertAppVersion(ctx context.Context, tx *sqldb.Tx, v appVersionRow, traits, by string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO app_versions (app_id, version, upload_id, sha256, size, short_version, bundle_version, minimum_os, title, traits, created_by, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.AppID, v.Version, v.UploadID, v.SHA256, v.Size, v.ShortVersion, v.BundleVersion, v.MinimumOS, v.Title, traits, by, sqldb.At(now))
	return err
}

func setAppVersion(ctx context.Context, tx *sqldb.Tx, appID string, version int64) error {
	_, err := tx.Exec(ctx, `UPDATE apps SET version = ? WHERE id = ?`, version, appID)
	return err
}

func beginUpload(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO app_uploads (id, touched_at) VALUES (?, ?)`, id, sqldb.At(now))
	return err
}

// touchUpload tells whether the upload still takes chunks.
func touchUpload(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE app_uploads SET touched_at = ? WHERE id = ? AND dropped = FALSE`, sqldb.At(now), id)
	return n == 1, err
}

func insertChunk(ctx context.Context, tx *sqldb.Tx, id string, n int64, sum string, content []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO app_chunks (upload_id, n, sha256, content) VALUES (?, ?, ?, ?)`, id, n, sum, content)
	return err
}

// keepUpload has its chunks belong to a version from now on.
func keepUpload(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	n, err := tx.Exec(ctx, `DELETE FROM app_uploads WHERE id = ? AND dropped = FALSE`, id)
	return n == 1, err
}

func dropUpload(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE app_uploads SET dropped = TRUE WHERE id = ?`, id)
	return err
}

// dropStale drops the uploads that nobody has gone on with since then.
func dropStale(ctx context.Context, tx *sqldb.Tx, since time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE app_uploads SET dropped = TRUE WHERE dropped = FALSE AND touched_at < ?`, sqldb.At(since))
	return err
}

// releaseFiles gives the files of a removed app up.
func releaseFiles(ctx context.Context, tx *sqldb.Tx, appID string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO app_uploads (id, touched_at, dropped) SELECT v.upload_id, CAST(? AS BIGINT), TRUE FROM app_versions v WHERE v.app_id = ?`, sqldb.At(now), appID)
	return err
}

func droppedUploads(ctx context.Context, q sqldb.Queryer) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT id FROM app_uploads WHERE dropped = TRUE ORDER BY id`)
	return ids, err
}

// deleteChunks deletes up to n chunks; when none are left, the upload too.
func deleteChunks(ctx context.Context, tx *sqldb.Tx, id string, n int) (left bool, err error) {
	gone, err := tx.Exec(ctx, `DELETE FROM app_chunks WHERE upload_id = ? AND n IN (SELECT c.n FROM app_chunks c WHERE c.upload_id = ? LIMIT ?)`, id, id, n)
	if err != nil || gone > 0 {
		return true, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM app_uploads WHERE id = ? AND dropped = TRUE`, id)
	return false, err
}

func chunkOf(ctx context.Context, q sqldb.Queryer, id string, n int64) (b []byte, err error) {
	err = q.Get(ctx, &b, `SELECT content FROM app_chunks WHERE upload_id = ? AND n = ?`, id, n)
	return b, err
}

func chunkSums(ctx context.Context, q sqldb.Queryer, id string) (sums []string, err error) {
	err = q.Select(ctx, &sums, `SELECT sha256 FROM app_chunks WHERE upload_id = ? ORDER BY n`, id)
	return sums, err
}

// listBody is a list as a tablet last gave it in this generation; "": none.
func listBody(ctx context.Context, q sqldb.Queryer, enrollmentID, kind string, generation int64) (string, error) {
	var rows []string
	err := q.Select(ctx, &rows, `SELECT body FROM observations WHERE enrollment_id = ? AND kind = ? AND generation = ?`, enrollmentID, kind, generation)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0], nil
}
