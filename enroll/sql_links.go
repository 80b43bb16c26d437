package enroll

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

type linkRow struct {
	ID         string     `db:"id"`
	TenantID   string     `db:"tenant_id"`
	Name       string     `db:"name"`
	CodeSealed []byte     `db:"code_sealed"`
	GroupID    string     `db:"group_id"`
	GroupName  string     `db:"group_name"`
	CreatedBy  string     `db:"created_by"`
	CreatedAt  sqldb.Time `db:"created_at"`
	ExpiresAt  sqldb.Time `db:"expires_at"`
	MaxUses    int64      `db:"max_uses"`
	Uses       int64      `db:"uses"`
	RevokedAt  sqldb.Time `db:"revoked_at"`
}

func (r linkRow) link() Link {
	return Link{
		ID: r.ID, TenantID: r.TenantID, Name: r.Name, Group: r.GroupName, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time,
		MaxUses: r.MaxUses, Uses: r.Uses, RevokedAt: r.RevokedAt.Time, groupID: r.GroupID,
	}
}

// The group's name is the one column of another room's table read here: a link
// shows it and nothing hangs on it.
const linkSelect = `
	SELECT l.id, l.tenant_id, l.name, l.code_sealed, COALESCE(l.group_id, '') AS group_id,
		COALESCE((SELECT g.name FROM device_groups g WHERE g.id = l.group_id), '') AS group_name,
		l.created_by, l.created_at, l.expires_at, l.max_uses, l.uses, l.revoked_at
	FROM links l `

func insertLink(ctx context.Context, tx *sqldb.Tx, l Link, hash string, sealed []byte) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO links (id, tenant_id, name, code_hash, code_sealed, group_id, created_by, created_at, expires_at, max_uses, uses)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		l.ID, l.TenantID, l.Name, hash, sealed, orNull(l.groupID), l.CreatedBy, sqldb.At(l.CreatedAt), sqldb.At(l.ExpiresAt), l.MaxUses)
	if err != nil {
		return fmt.Errorf("create link: %w", err)
	}
	return nil
}

func allLinks(ctx context.Context, q sqldb.Queryer, tenantID string) ([]linkRow, error) {
	var rows []linkRow
	err := q.Select(ctx, &rows, linkSelect+`WHERE CAST(? AS TEXT) = '' OR l.tenant_id = ? ORDER BY l.id DESC`, tenantID, tenantID)
	return rows, err
}

func linkByHash(ctx context.Context, q sqldb.Queryer, hash string) (linkRow, error) {
	var row linkRow
	err := q.Get(ctx, &row, linkSelect+`WHERE l.code_hash = ?`, hash)
	return row, err
}

func linkByID(ctx context.Context, q sqldb.Queryer, id string) (linkRow, error) {
	var row linkRow
	err := q.Get(ctx, &row, linkSelect+`WHERE l.id = ?`, id)
	return row, err
}

func lockLink(ctx context.Context, tx *sqldb.Tx, id string) (linkRow, error) {
	var row linkRow
	err := tx.Get(ctx, &row, linkSelect+`WHERE l.id = ?`+tx.ForUpdate(), id)
	return row, err
}

func linksNamed(ctx context.Context, q sqldb.Queryer, tenantID, ref string) ([]string, error) {
	var ids []string
	err := q.Select(ctx, &ids, `SELECT l.id FROM links l WHERE (l.id = ? OR (l.name = ? AND l.revoked_at IS NULL))
		AND (CAST(? AS TEXT) = '' OR l.tenant_id = ?) ORDER BY l.id LIMIT 10`, ref, ref, tenantID, tenantID)
	return ids, err
}

func countUse(ctx context.Context, tx *sqldb.Tx, id string) error {
	if _, err := tx.Exec(ctx, `UPDATE links SET uses = uses + 1 WHERE id = ?`, id); err != nil {
		return fmt.Errorf("count a use of link %s: %w", id, err)
	}
	return nil
}

func revokeLink(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE links SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL`, sqldb.At(now), id)
	if err != nil {
		return 0, fmt.Errorf("revoke link %s: %w", id, err)
	}
	return n, nil
}

const stillOpen = `l.revoked_at IS NULL AND l.expires_at > ? AND (l.max_uses = 0 OR l.uses < l.max_uses)`

func openLinksOf(ctx context.Context, q sqldb.Queryer, groupID string, now time.Time) ([]string, error) {
	var names []string
	err := q.Select(ctx, &names, `SELECT l.name FROM links l WHERE l.group_id = ? AND `+stillOpen+` ORDER BY l.id LIMIT 10`, groupID, sqldb.At(now))
	return names, err
}

func releaseGroup(ctx context.Context, tx *sqldb.Tx, groupID string) error {
	if _, err := tx.Exec(ctx, `UPDATE links SET group_id = NULL WHERE group_id = ?`, groupID); err != nil {
		return fmt.Errorf("release a group from links: %w", err)
	}
	return nil
}
