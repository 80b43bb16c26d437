package sqldb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// table is what a database says about one of its tables.
type table struct {
	Name    string
	Columns []column
	needs   []string // tables its foreign keys name
}

type column struct {
	Name string `json:"name" db:"name"`
	Type string `json:"type" db:"type"` // text, int, bool or bytes
}

// schema lists the tables such that each comes after those it refers to. The
// migrations' own table is not among them.
func schema(ctx context.Context, dialect string, tx *sqlx.Tx) ([]table, error) {
	read := sqliteSchema
	if dialect == Postgres {
		read = postgresSchema
	}
	tables, err := read(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	for i := range tables {
		for j, c := range tables[i].Columns {
			t, ok := columnType(c.Type)
			if !ok {
				return nil, fmt.Errorf("read the schema: %s.%s is of type %s, which backups do not know", tables[i].Name, c.Name, c.Type)
			}
			tables[i].Columns[j].Type = t
		}
	}
	return parentsFirst(tables)
}

func columnType(declared string) (string, bool) {
	switch strings.ToUpper(declared) {
	case "TEXT":
		return "text", true
	case "BIGINT", "INTEGER":
		return "int", true
	case "BOOLEAN":
		return "bool", true
	case "BYTEA":
		return "bytes", true
	}
	return "", false
}

func sqliteSchema(ctx context.Context, tx *sqlx.Tx) ([]table, error) {
	var names []string
	err := tx.SelectContext(ctx, &names, `
		SELECT name FROM sqlite_master
		WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> 'goose_db_version' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	tables := make([]table, len(names))
	for i, name := range names {
		tables[i].Name = name
		if err := tx.SelectContext(ctx, &tables[i].Columns, `SELECT name, type FROM pragma_table_info(?) ORDER BY cid`, name); err != nil {
			return nil, err
		}
		if err := tx.SelectContext(ctx, &tables[i].needs, `SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)`, name); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

func postgresSchema(ctx context.Context, tx *sqlx.Tx) ([]table, error) {
	var cols []struct {
		Table string `db:"table_name"`
		column
	}
	err := tx.SelectContext(ctx, &cols, `
		SELECT c.table_name, c.column_name AS name, c.data_type AS type
		FROM information_schema.columns c
		JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name <> 'goose_db_version'
		ORDER BY c.table_name, c.ordinal_position`)
	if err != nil {
		return nil, err
	}
	var keys []struct {
		Child  string `db:"child"`
		Parent string `db:"parent"`
	}
	err = tx.SelectContext(ctx, &keys, `
		SELECT DISTINCT child.relname AS child, parent.relname AS parent
		FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
		WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace`)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, c := range cols {
		if len(tables) == 0 || tables[len(tables)-1].Name != c.Table {
			tables = append(tables, table{Name: c.Table})
		}
		t := &tables[len(tables)-1]
		t.Columns = append(t.Columns, c.column)
	}
	for i := range tables {
		for _, k := range keys {
			if k.Child == tables[i].Name {
				tables[i].needs = append(tables[i].needs, k.Parent)
			}
		}
	}
	return tables, nil
}

// parentsFirst orders tables so that rows can be written without naming rows
// that are not there yet.
func parentsFirst(tables []table) ([]table, error) {
	var out []table
	placed := map[string]bool{}
	for len(out) < len(tables) {
		before := len(out)
		for _, t := range tables {
			waits := slices.ContainsFunc(t.needs, func(n string) bool { return n != t.Name && !placed[n] })
			if !placed[t.Name] && !waits {
				placed[t.Name] = true
				out = append(out, t)
			}
		}
		if len(out) == before {
			return nil, fmt.Errorf("order the tables: the foreign keys of some of %d tables go round in a circle", len(tables)-before)
		}
	}
	return out, nil
}
