package schools

import (
	"context"
	"fmt"
	"slices"

	"ranzen/internal/sqldb"
)

// lockTagNumber gives the next number of a prefix and year, held until the commit.
func lockTagNumber(ctx context.Context, tx *sqldb.Tx, prefix string, year int) (int, error) {
	_, err := tx.Exec(ctx, `INSERT INTO tag_numbers (prefix, year, next) VALUES (?, ?, 1) ON CONFLICT (prefix, year) DO NOTHING`, prefix, year)
	if err != nil {
		return 0, fmt.Errorf("begin to number tags: %w", err)
	}
	var next int
	if err := tx.Get(ctx, &next, `SELECT n.next FROM tag_numbers n WHERE n.prefix = ? AND n.year = ?`+tx.ForUpdate(), prefix, year); err != nil {
		return 0, fmt.Errorf("read the next tag number: %w", err)
	}
	return next, nil
}

func setTagNumber(ctx context.Context, tx *sqldb.Tx, prefix string, year, next int) error {
	if _, err := tx.Exec(ctx, `UPDATE tag_numbers SET next = ? WHERE prefix = ? AND year = ?`, next, prefix, year); err != nil {
		return fmt.Errorf("write the next tag number: %w", err)
	}
	return nil
}

// freeTags is tags without those that a device bears already.
func freeTags(ctx context.Context, q sqldb.Queryer, tags []string) ([]string, error) {
	var taken []string
	for part := range chunks(tags) {
		var some []string
		if err := q.Select(ctx, &some, `SELECT d.asset_tag FROM devices d WHERE d.asset_tag IN (?)`, part); err != nil {
			return nil, fmt.Errorf("look for taken tags: %w", err)
		}
		taken = append(taken, some...)
	}
	return slices.DeleteFunc(tags, func(t string) bool { return slices.Contains(taken, t) }), nil
}
