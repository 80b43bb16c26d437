package commands_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// TestAfterRestore writes rows as a backup may hold them: what was open has no
// way back to a tablet, what had ended is as it was.
func TestAfterRestore(t *testing.T) {
	tests := []struct {
		name        string
		once        bool
		state, want string
	}{
		{"an erase that waits", true, "queued", "uncertain"},
		{"an erase that was handed over", true, "sent", "uncertain"},
		{"an erase that was put off", true, "deferred", "uncertain"},
		{"an erase that is uncertain", true, "uncertain", "uncertain"},
		{"an erase that was proven", true, "done", "done"},
		{"an erase that was taken back", true, "dropped", "dropped"},
		{"a restart that waits", false, "queued", "dropped"},
		{"a passcode to clear, handed over", false, "sent", "dropped"},
		{"an installation that was put off", false, "deferred", "dropped"},
		{"an installation that failed", false, "failed", "failed"},
		{"an answer nobody could read", false, "unreadable", "unreadable"},
		{"an order that expired", false, "expired", "expired"},
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		clk := clock.At(time.Date(2026, 9, 1, 7, 45, 0, 0, time.UTC))
		vault, err := certs.NewVault(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		q := commands.New(db, clk, vault, audit.New(db, clk), slog.New(slog.DiscardHandler))
		before := sqldb.At(clk.Now())
		err = db.Do(ctx, func(tx *sqldb.Tx) error {
			for i, tt := range tests {
				_, err := tx.Exec(ctx, `INSERT INTO commands (id, enrollment_id, generation, kind, request_type, dedupe_key, lane, once, origin, state, not_before, created_at, reason)
					VALUES (?, ?, 1, 'k', 'K', ?, 1, ?, 'user:a', ?, ?, ?, 'as before')`, fmt.Sprint(i), "e1", fmt.Sprint("key", i), tt.once, tt.state, before, before)
				if err != nil {
					return err
				}
			}
			for _, id := range []string{"e1", "gone"} {
				refused := sqldb.Time{}
				if id == "gone" {
					refused = before
				}
				_, err := tx.Exec(ctx, `INSERT INTO push_targets (enrollment_id, token, magic_sealed, topic, lease_until, attempts, refused_at, updated_at) VALUES (?, ?, ?, 't', ?, 3, ?, ?)`,
					id, []byte{1}, []byte{2}, before, refused, before)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		clk.Forward(48 * time.Hour)
		for range 2 { // twice is the same as once
			if err := db.Do(ctx, func(tx *sqldb.Tx) error { return q.AfterRestore(ctx, tx) }); err != nil {
				t.Fatal(err)
			}
		}
		for i, tt := range tests {
			var got struct {
				State  string     `db:"state"`
				Reason string     `db:"reason"`
				Ended  sqldb.Time `db:"finished_at"`
			}
			if err := db.Get(ctx, &got, `SELECT state, reason, finished_at FROM commands WHERE id = ?`, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			if got.State != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got.State, tt.want)
			}
			if changed := tt.state != tt.want; changed == (got.Reason == "as before") {
				t.Errorf("%s: its reason is %q", tt.name, got.Reason)
			}
			if got.State == "dropped" && tt.state != "dropped" && !got.Ended.Equal(clk.Now()) {
				t.Errorf("%s: it ended %v", tt.name, got.Ended)
			}
		}
		var due []string
		if err := db.Select(ctx, &due, `SELECT enrollment_id FROM push_targets WHERE due_at IS NOT NULL AND lease_until IS NULL AND attempts = 0`); err != nil {
			t.Fatal(err)
		}
		if len(due) != 1 || due[0] != "e1" {
			t.Errorf("to be woken: %v, want only the tablet that Apple does not refuse", due)
		}
	})
}
