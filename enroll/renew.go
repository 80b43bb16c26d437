package enroll

import (
	"context"
	"fmt"
	"time"

	"ranzen/certs"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
)

// Renewal begins a month before an identity ends and is tried once a day, so
// that a tablet that is here on one day of a holiday month is caught. One that
// did not answer is tried again like any other (pain 11).
const (
	renewBefore = 30 * 24 * time.Hour
	renewEvery  = 24 * time.Hour
	renewTTL    = time.Hour // of the challenge, which is made at hand-over
	maxRenewals = 20_000    // of one pass
)

// QueueRenewals is a loop step, each minute or slower: it queues a renewal for
// identities that will end.
func (r *Room) QueueRenewals(ctx context.Context) error {
	now := r.Clock.Now()
	due, err := r.Certs.Due(ctx, r.DB, now.Add(renewBefore), maxRenewals)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(due))
	for _, id := range due {
		ids = append(ids, id.EnrollmentID)
	}
	for part := range chunks(ids) {
		err := r.DB.Do(ctx, func(tx *sqldb.Tx) error {
			list, err := renewalDue(ctx, tx, part, now.Add(-renewEvery))
			if err != nil || len(list) == 0 {
				return err
			}
			orders := make([]commands.Command, 0, len(list))
			waiting := make([]string, 0, len(list))
			for _, e := range list {
				orders = append(orders, r.order(e, renewal, "system"))
				waiting = append(waiting, e.ID)
			}
			if err := asked(ctx, tx, `renewal_at`, waiting, now); err != nil {
				return err
			}
			_, err = r.Queue.Add(ctx, tx, orders...)
			return err
		})
		if err != nil {
			return fmt.Errorf("queue renewals: %w", err)
		}
	}
	return nil
}

// renderRenewal sends the enrollment profile again, the same to the letter but
// for its challenge. The topic is the one the tablet enrolled with: it refuses
// any other.
func (r *Room) renderRenewal(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command) (map[string]any, error) {
	profile, err := r.signedProfile(ctx, tx, e.Topic, certs.Grant{
		Purpose: certs.Renew, EnrollmentID: e.ID, Generation: e.Generation, TTL: renewTTL,
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"Payload": profile}, nil
}
