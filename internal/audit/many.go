package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/sqldb"
)

// manyRows is how many events one statement carries, six values each.
const manyRows = 80

// AppendMany keeps events in the caller's transaction, in their order, with one
// statement for many: what a file or a page of Apple's brings about devices.
func (l *Log) AppendMany(ctx context.Context, tx *sqldb.Tx, events []Event) error {
	now := sqldb.At(l.clk.Now())
	for part := range slices.Chunk(events, manyRows) {
		args := make([]any, 0, 6*len(part))
		for _, e := range part {
			detail := []byte("{}")
			if len(e.Detail) > 0 {
				var err error
				if detail, err = json.Marshal(e.Detail); err != nil {
					return fmt.Errorf("append event %s: %w", e.Action, err)
				}
			}
			args = append(args, sqldb.NewID(), now, storable(string(e.Actor)), storable(e.Action), storable(e.Subject), string(detail))
		}
		values := strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?), `, len(part)), `, `)
		if _, err := tx.Exec(ctx, `INSERT INTO audit_events (id, at, actor, action, subject, detail) VALUES `+values, args...); err != nil {
			return fmt.Errorf("append %d events: %w", len(part), err)
		}
	}
	return nil
}
