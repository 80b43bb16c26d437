package schools

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

type tenantRow struct {
	ID        string `db:"id"`
	Code      string `db:"code"`
	Name      string `db:"name"`
	Legal     string `db:"legal"`
	TagPrefix string `db:"tag_prefix"`
}

const selectTenant = `SELECT t.id, t.code, t.name, t.legal, t.tag_prefix FROM tenants t`

func allTenants(ctx context.Context, q sqldb.Queryer) ([]Tenant, error) {
	var rows []tenantRow
	if err := q.Select(ctx, &rows, selectTenant+` ORDER BY t.code`); err != nil {
		return nil, fmt.Errorf("read tenants: %w", err)
	}
	out := make([]Tenant, len(rows))
	for i, row := range rows {
		out[i] = Tenant(row)
	}
	return out, nil
}

func lockTenant(ctx context.Context, tx *sqldb.Tx, id string) (Tenant, error) {
	var row tenantRow
	err := tx.Get(ctx, &row, selectTenant+` WHERE t.id = ?`+tx.ForUpdate(), id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Tenant{}, unknownTenant()
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("read tenant: %w", err)
	}
	return Tenant(row), nil
}

func updateTenant(ctx context.Context, tx *sqldb.Tx, t Tenant, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE tenants SET name = ?, legal = ?, tag_prefix = ?, updated_at = ? WHERE id = ?`,
		t.Name, t.Legal, t.TagPrefix, sqldb.At(now), t.ID)
	if err != nil {
		return fmt.Errorf("change tenant: %w", err)
	}
	return nil
}

func tenantByID(ctx context.Context, q sqldb.Queryer, id string) (Tenant, error) {
	var row tenantRow
	err := q.Get(ctx, &row, selectTenant+` WHERE t.id = ?`, id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Tenant{}, unknownTenant()
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("read tenant: %w", err)
	}
	return Tenant(row), nil
}
