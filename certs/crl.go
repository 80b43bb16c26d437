package certs

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"ranzen/internal/sqldb"
)

// crlLife is how long a list is valid; a new one is made when half of it has
// passed, or when something was revoked.
const crlLife = 7 * 24 * time.Hour

// CRL serves the revocation list (RFC 5280, DER) at the address that is written
// into every identity.
func (r *Room) CRL() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "The revocation list is read with GET.", http.StatusMethodNotAllowed)
			return
		}
		der, err := r.currentCRL(q.Context())
		if err != nil {
			r.broken(w, q, err)
			return
		}
		reply(w, "application/pkix-crl", der)
	})
}

// currentCRL is the stored list, or a new one. Revoking outdates the stored list
// in its own transaction, and generating locks it: so of the two, whichever
// comes second sees the other.
func (r *Room) currentCRL(ctx context.Context) ([]byte, error) {
	row, err := selectCRL(ctx, r.db, "")
	if err == nil && r.fresh(row) {
		return row.DER, nil
	}
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return nil, fmt.Errorf("read the revocation list: %w", err)
	}
	err = r.db.Do(ctx, func(tx *sqldb.Tx) error {
		row, err = selectCRL(ctx, tx, tx.ForUpdate())
		if err == nil && r.fresh(row) {
			return nil
		}
		if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		row, err = r.makeCRL(ctx, tx, row.Number+1)
		if err != nil {
			return err
		}
		stored, err := upsertCRL(ctx, tx, row)
		if err != nil || stored {
			return err
		}
		row, err = selectCRL(ctx, tx, "") // the very first list: another process was faster
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a revocation list: %w", err)
	}
	return row.DER, nil
}

func (r *Room) fresh(row crlRow) bool {
	return row.ExpiresAt.Sub(r.clock.Now()) > crlLife/2
}

func (r *Room) makeCRL(ctx context.Context, tx *sqldb.Tx, number int64) (crlRow, error) {
	now := r.clock.Now()
	// RFC 5280, 3.3: an entry stays on the list for one list after it has expired.
	revoked, err := selectRevoked(ctx, tx, now.Add(-2*crlLife))
	if err != nil {
		return crlRow{}, err
	}
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: now.Add(crlLife)}
	for _, c := range revoked {
		serial, ok := new(big.Int).SetString(c.Serial, 10)
		if !ok {
			return crlRow{}, fmt.Errorf("serial %q is no number", c.Serial)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: c.EndedAt.Time, ReasonCode: c.ReasonCode})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, r.inter.cert, r.inter.key)
	if err != nil {
		return crlRow{}, err
	}
	return crlRow{Number: number, DER: der, CreatedAt: sqldb.At(now), ExpiresAt: sqldb.At(list.NextUpdate)}, nil
}
