package schools

import (
	"context"
	"encoding/json"
	"fmt"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Mapping says which columns of a sender's file are which of ours.
type Mapping struct {
	Name    string
	Columns map[string]string // their header -> our column, "" to ignore it
}

// SaveMapping keeps a mapping, or replaces the one of that name. tenantID "" is
// the provider's, for all tenants.
func (r *Room) SaveMapping(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string, columns map[string]string) error {
	name, err := cleanName("name", name)
	if err != nil {
		return err
	}
	if err := checkMapping(columns); err != nil {
		return err
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return fmt.Errorf("keep a mapping: %w", err)
	}
	id := sqldb.NewID()
	_, err = tx.Exec(ctx, `INSERT INTO import_mappings (id, tenant_id, name, columns, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant_id, name) DO UPDATE SET columns = excluded.columns, updated_at = excluded.updated_at`,
		id, tenantID, name, string(text), sqldb.At(r.clock.Now()))
	if err != nil {
		return fmt.Errorf("keep a mapping: %w", err)
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "mapping.save", Subject: "mapping:" + name, Detail: map[string]any{"columns": len(columns)}})
}

// Mappings lists those that a tenant may use: its own and the provider's; "" sees
// all.
func (r *Room) Mappings(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Mapping, error) {
	return mappings(ctx, q, `WHERE (m.tenant_id = '' OR m.tenant_id = ? OR ? = '')`, tenantID, tenantID)
}

// MappingNamed gives one; a tenant's own goes before the provider's.
func (r *Room) MappingNamed(ctx context.Context, q sqldb.Queryer, tenantID, name string) (map[string]string, error) {
	all, err := mappings(ctx, q, `WHERE (m.tenant_id = '' OR m.tenant_id = ?) AND m.name = ?`, tenantID, name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "mapping.unknown", "There is no mapping of that name. See `ranzen import mappings`.").On("mapping")
	}
	return all[0].Columns, nil
}

func mappings(ctx context.Context, q sqldb.Queryer, where string, args ...any) ([]Mapping, error) {
	var rows []struct {
		Name    string `db:"name"`
		Columns string `db:"columns"`
	}
	err := q.Select(ctx, &rows, `SELECT m.name, m.columns FROM import_mappings m `+where+` ORDER BY m.name, m.tenant_id DESC`, args...)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	out := make([]Mapping, 0, len(rows))
	for _, row := range rows {
		m := Mapping{Name: row.Name}
		if err := json.Unmarshal([]byte(row.Columns), &m.Columns); err != nil {
			return nil, fmt.Errorf("read a mapping: %w", err)
		}
		out = append(out, m)
	}
	return out, nil
}
