package certs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Filter narrows List. Zero fields match everything.
type Filter struct {
	EnrollmentID string
	State        State
	Limit        int // 100 when zero, at most maxList
}

const maxList = 500

// Lookup tells whose identity a certificate is, in whatever state. A certificate
// that this CA never issued as an identity is certificate.foreign.
func (r *Room) Lookup(ctx context.Context, q sqldb.Queryer, hash string) (Identity, error) {
	row, err := selectIdentity(ctx, q, hash)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Identity{}, fault.New(fault.NotFound, "certificate.foreign", "The certificate was not issued by this server as the identity of a device.")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up a certificate: %w", err)
	}
	return row.identity(), nil
}

// Pin makes a certificate the one identity of an enrollment in a generation. The
// one pinned before is retired, and so is everything that an earlier generation
// was still owed: certificates issued but never seen, challenges never used.
// Pinning the pinned one again changes nothing.
func (r *Room) Pin(ctx context.Context, tx *sqldb.Tx, hash, enrollmentID string, generation int64) error {
	now := r.clock.Now()
	if err := retire(ctx, tx, enrollmentID, hash, generation, "replaced", now); err != nil {
		return fmt.Errorf("retire the identity of %s: %w", enrollmentID, err)
	}
	if err := voidEarlier(ctx, tx, enrollmentID, generation, now); err != nil {
		return fmt.Errorf("void earlier challenges of %s: %w", enrollmentID, err)
	}
	n, err := pin(ctx, tx, hash, enrollmentID, generation, now)
	if err != nil {
		return fmt.Errorf("pin the identity of %s: %w", enrollmentID, err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "certificate.not-pinnable",
			"The certificate is retired, revoked or another device's; it can not become the identity of this one.")
	}
	return nil
}

// RetireAll ends every certificate an enrollment has, seen or not yet. They are
// refused from then on; a revocation list names only what was revoked. Open
// challenges stay: an erased tablet may have been sent off with one, and
// VoidChallenges is there for the rest.
func (r *Room) RetireAll(ctx context.Context, tx *sqldb.Tx, enrollmentID, reason string) error {
	if err := retireAll(ctx, tx, enrollmentID, reason, r.clock.Now()); err != nil {
		return fmt.Errorf("retire the identities of %s: %w", enrollmentID, err)
	}
	return nil
}

// crlReason is the RFC 5280 CRLReason for the reasons that have a number there;
// any other text is kept for people and is "unspecified" on the list.
func crlReason(reason string) int64 {
	switch reason {
	case "keyCompromise":
		return 1
	case "affiliationChanged":
		return 3
	case "superseded":
		return 4
	case "cessationOfOperation":
		return 5
	case "privilegeWithdrawn":
		return 9
	}
	return 0
}

// Revoke withdraws a certificate for good, in whatever state it is. Revoking it
// twice is the same as once.
func (r *Room) Revoke(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, serial, reason string) error {
	unknown := fault.New(fault.NotFound, "certificate.unknown", "This server issued no certificate with the serial number %q; give it in decimal.", serial)
	if serial == "" || strings.Trim(serial, "0123456789") != "" {
		return unknown
	}
	row, err := selectBySerial(ctx, tx, serial)
	if errors.Is(err, sqldb.ErrNoRows) {
		return unknown
	}
	if err != nil {
		return fmt.Errorf("look up certificate %s: %w", serial, err)
	}
	n, err := revoke(ctx, tx, serial, reason, crlReason(reason), r.clock.Now())
	if err != nil {
		return fmt.Errorf("revoke certificate %s: %w", serial, err)
	}
	if n == 0 {
		return nil
	}
	if err := outdateCRL(ctx, tx); err != nil {
		return fmt.Errorf("outdate the revocation list: %w", err)
	}
	return r.log.Append(ctx, tx, audit.Event{
		Actor: actor, Action: "certificate.revoke", Subject: "certificate:" + serial,
		Detail: map[string]any{"enrollment": text(row.EnrollmentID), "reason": reason},
	})
}

// List gives identities, newest first.
func (r *Room) List(ctx context.Context, q sqldb.Queryer, f Filter) ([]Identity, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	rows, err := selectIdentities(ctx, q, f.EnrollmentID, f.State, min(f.Limit, maxList))
	if err != nil {
		return nil, fmt.Errorf("list certificates: %w", err)
	}
	return identities(rows), nil
}

// Due gives the pinned identities that end before a moment, soonest first:
// those that already have ended, too.
func (r *Room) Due(ctx context.Context, q sqldb.Queryer, before time.Time, limit int) ([]Identity, error) {
	rows, err := selectDue(ctx, q, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list certificates that end: %w", err)
	}
	return identities(rows), nil
}

func identities(rows []certRow) []Identity {
	out := make([]Identity, len(rows))
	for i, row := range rows {
		out[i] = row.identity()
	}
	return out
}
