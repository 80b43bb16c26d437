package profiles

import (
	"context"
	"time"

	"ranzen/internal/sqldb"
)

type secretRow struct {
	ID        string     `db:"id"`
	TenantID  string     `db:"tenant_id"`
	Name      string     `db:"name"`
	Sealed    []byte     `db:"sealed"`
	UpdatedAt sqldb.Time `db:"updated_at"`
}

func selectSecret(ctx context.Context, q sqldb.Queryer, tenantID, name string) (row secretRow, err error) {
	err = q.Get(ctx, &row, `SELECT id, tenant_id, name, sealed, updated_at FROM secrets WHERE tenant_id = ? AND name = ?`, tenantID, name)
	return row, err
}

func secretsNamed(ctx context.Context, q sqldb.Queryer, tenantID, name string) (rows []secretRow, err error) {
	err = q.Select(ctx, &rows, `SELECT t.id, t.tenant_id, t.name, t.sealed, t.updated_at FROM secrets t WHERE t.name = ? AND `+visible+` ORDER BY t.id`, name, tenantID, tenantID)
	return rows, err
}

func allSecrets(ctx context.Context, q sqldb.Queryer, tenantID string) (rows []secretRow, err error) {
	err = q.Select(ctx, &rows, `SELECT t.id, t.tenant_id, t.name, t.sealed, t.updated_at FROM secrets t WHERE `+visible+` ORDER BY t.name, t.id`, tenantID, tenantID)
	return rows, err
}

func saveSecret(ctx context.Context, tx *sqldb.Tx, id, tenantID, name string, sealed []byte, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO secrets (id, tenant_id, name, sealed, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`, id, tenantID, name, sealed, sqldb.At(now))
	return err
}

func deleteSecret(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM secrets WHERE id = ?`, id)
	return err
}
