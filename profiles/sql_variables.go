package profiles

import (
	"context"

	"ranzen/internal/sqldb"
)

type variableRow struct {
	ID        string     `db:"id"`
	TenantID  string     `db:"tenant_id"`
	Name      string     `db:"name"`
	Sealed    []byte     `db:"sealed"`
	By        string     `db:"updated_by"`
	UpdatedAt sqldb.Time `db:"updated_at"`
}

const variableColumns = `v.id, v.tenant_id, v.name, v.sealed, v.updated_by, v.updated_at`

func selectVariable(ctx context.Context, tx *sqldb.Tx, tenantID, name string) (v variableRow, err error) {
	err = tx.Get(ctx, &v, `SELECT `+variableColumns+` FROM variables v WHERE v.tenant_id = ? AND v.name = ?`+tx.ForUpdate(), tenantID, stored(name))
	return v, err
}

func allVariables(ctx context.Context, q sqldb.Queryer, tenantID string) (rows []variableRow, err error) {
	err = q.Select(ctx, &rows, `SELECT `+variableColumns+` FROM variables v WHERE CAST(? AS TEXT) = '' OR v.tenant_id IN ('', ?) ORDER BY v.name, v.tenant_id`, tenantID, tenantID)
	return rows, err
}

func variablesOf(ctx context.Context, q sqldb.Queryer, tenants []string) (rows []variableRow, err error) {
	err = q.Select(ctx, &rows, `SELECT `+variableColumns+` FROM variables v WHERE v.tenant_id IN (?)`, tenants)
	return rows, err
}

func upsertVariable(ctx context.Context, tx *sqldb.Tx, v variableRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO variables (id, tenant_id, name, sealed, updated_by, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated_by = excluded.updated_by, updated_at = excluded.updated_at`,
		v.ID, v.TenantID, v.Name, v.Sealed, v.By, v.UpdatedAt)
	return err
}

func deleteVariable(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM variables WHERE id = ?`, id)
	return err
}

// profilesWith are those in whose published version a variable stands.
func profilesWith(ctx context.Context, q sqldb.Queryer, name string) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT p.id FROM profiles p JOIN profile_versions v ON v.profile_id = p.id AND v.version = p.version
		WHERE p.removed_at IS NULL AND v.traits LIKE '%"variables":[%' AND v.traits LIKE ? ORDER BY p.id`, `%"`+name+`"%`)
	return ids, err
}
