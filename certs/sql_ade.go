package certs

import (
	"context"
	"fmt"

	"ranzen/internal/sqldb"
)

type adeRow struct {
	ID          string     `db:"id"`
	TenantID    string     `db:"tenant_id"`
	Name        string     `db:"name"`
	CertDER     []byte     `db:"cert_der"`
	KeySealed   []byte     `db:"key_sealed"`
	TokenSealed []byte     `db:"token_sealed"`
	Version     int64      `db:"version"`
	ServerUUID  string     `db:"server_uuid"`
	ServerName  string     `db:"server_name"`
	OrgID       string     `db:"org_id"`
	OrgName     string     `db:"org_name"`
	ExpiresAt   sqldb.Time `db:"expires_at"`
	CreatedAt   sqldb.Time `db:"created_at"`
	UpdatedAt   sqldb.Time `db:"updated_at"`
}

func (r adeRow) token() ADEToken {
	return ADEToken{
		ID: r.ID, TenantID: r.TenantID, Name: r.Name, Version: r.Version, ServerUUID: r.ServerUUID, ServerName: r.ServerName,
		OrgID: r.OrgID, OrgName: r.OrgName, ExpiresAt: r.ExpiresAt.Time, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

const selectADE = `
	SELECT t.id, t.tenant_id, t.name, t.cert_der, t.key_sealed, t.token_sealed, t.version, t.server_uuid, t.server_name,
		t.org_id, t.org_name, t.expires_at, t.created_at, t.updated_at
	FROM ade_tokens t WHERE t.removed_at IS NULL`

// adeRows lists the tokens of a tenant; "" is all tenants.
func adeRows(ctx context.Context, q sqldb.Queryer, tenantID string) ([]adeRow, error) {
	var rows []adeRow
	if err := q.Select(ctx, &rows, selectADE+` AND (? = '' OR t.tenant_id = ?) ORDER BY t.name, t.id`, tenantID, tenantID); err != nil {
		return nil, fmt.Errorf("read server tokens: %w", err)
	}
	return rows, nil
}

func adeByID(ctx context.Context, q sqldb.Queryer, id, lock string) (adeRow, error) {
	var row adeRow
	err := q.Get(ctx, &row, selectADE+` AND t.id = ?`+lock, id)
	return row, err
}

func insertADE(ctx context.Context, tx *sqldb.Tx, r adeRow) (int64, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO ade_tokens (id, tenant_id, name, cert_der, key_sealed, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant_id, name) DO NOTHING`, r.ID, r.TenantID, r.Name, r.CertDER, r.KeySealed, r.CreatedAt, r.UpdatedAt)
	if err != nil {
		return 0, fmt.Errorf("store a key for Apple: %w", err)
	}
	return n, nil
}

func updateADE(ctx context.Context, tx *sqldb.Tx, r adeRow) error {
	_, err := tx.Exec(ctx, `
		UPDATE ade_tokens SET token_sealed = ?, version = ?, server_uuid = ?, server_name = ?, org_id = ?, org_name = ?, expires_at = ?, updated_at = ?
		WHERE id = ?`, r.TokenSealed, r.Version, r.ServerUUID, r.ServerName, r.OrgID, r.OrgName, r.ExpiresAt, r.UpdatedAt, r.ID)
	if err != nil {
		return fmt.Errorf("store a server token: %w", err)
	}
	return nil
}

// removeADE keeps the row, which the devices' rows name, without its secrets and
// under a name that is nobody's.
func removeADE(ctx context.Context, tx *sqldb.Tx, id string, now sqldb.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE ade_tokens SET removed_at = ?, updated_at = ?, name = name || ' ' || id, key_sealed = ?, token_sealed = NULL WHERE id = ?`,
		now, now, []byte{}, id)
	if err != nil {
		return fmt.Errorf("remove a server token: %w", err)
	}
	return nil
}

// otherADE counts the tokens, of any tenant, that another row holds for a server.
func otherADE(ctx context.Context, q sqldb.Queryer, serverUUID, id string) (n int64, err error) {
	err = q.Get(ctx, &n, `SELECT COUNT(*) FROM ade_tokens t WHERE t.server_uuid = ? AND t.id <> ? AND t.removed_at IS NULL`, serverUUID, id)
	if err != nil {
		return 0, fmt.Errorf("read server tokens: %w", err)
	}
	return n, nil
}
