package certs

import (
	"testing"
	"time"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// Between looking at a challenge and spending it another process may have ended
// it, so the statement that spends asks everything again.
func TestSpendingAsksAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		now := time.Date(2026, 9, 1, 7, 45, 0, 0, time.UTC)
		tests := []struct {
			name  string
			at    time.Time
			first func(tx *sqldb.Tx, hash string) error
			want  int64
		}{
			{"open", now, nil, 1},
			{"in its last moment", now.Add(time.Hour - time.Millisecond), nil, 1},
			{"expired", now.Add(time.Hour), nil, 0},
			{"voided", now, func(tx *sqldb.Tx, hash string) error { return voidChallenges(ctx, tx, hash, now) }, 0},
			{"of an earlier life", now, func(tx *sqldb.Tx, hash string) error { return voidEarlier(ctx, tx, hash, 2, now) }, 0},
			{"spent", now, func(tx *sqldb.Tx, hash string) error {
				_, err := spendChallenge(ctx, tx, hash, "key", "certificate", now)
				return err
			}, 0},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				hash := sqldb.NewID() // also the enrollment's
				err := db.Do(ctx, func(tx *sqldb.Tx) error {
					err := insertChallenge(ctx, tx, hash, Grant{Purpose: Renew, EnrollmentID: hash, Generation: 1}, now, now.Add(time.Hour))
					if err == nil && tt.first != nil {
						err = tt.first(tx, hash)
					}
					if err != nil {
						return err
					}
					n, err := spendChallenge(ctx, tx, hash, "other key", "other certificate", tt.at)
					if n != tt.want {
						t.Errorf("spent %d, want %d", n, tt.want)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}
