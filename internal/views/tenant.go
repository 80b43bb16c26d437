package views

import (
	"context"
	"fmt"

	"ranzen/internal/sqldb"
)

// TenantCodes are the codes of tenants by id, to show where a row has an id:
// that of one tenant, or all for "". What is the provider's has no tenant and no
// code.
func TenantCodes(ctx context.Context, q sqldb.Queryer, tenantID string) (map[string]string, error) {
	var rows []struct {
		ID   string `db:"id"`
		Code string `db:"code"`
	}
	err := q.Select(ctx, &rows, `SELECT t.id, t.code FROM tenants t WHERE CAST(? AS TEXT) = '' OR t.id = ?`, tenantID, tenantID)
	if err != nil {
		return nil, fmt.Errorf("read tenants: %w", err)
	}
	out := make(map[string]string, len(rows))
	for _, row := range rows {
		out[row.ID] = row.Code
	}
	return out, nil
}
