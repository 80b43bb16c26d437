package certs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

// Kinds of rows in certificates.
const (
	kindIdentity = "identity"
	kindNetwork  = "network"
	kindTLS      = "tls"
	kindSigner   = "signer"
)

type keyRow struct {
	Name      string     `db:"name"`
	CertDER   []byte     `db:"cert_der"`
	KeySealed []byte     `db:"key_sealed"`
	CreatedAt sqldb.Time `db:"created_at"`
}

func selectKeys(ctx context.Context, q sqldb.Queryer) ([]keyRow, error) {
	var rows []keyRow
	err := q.Select(ctx, &rows, `SELECT name, cert_der, key_sealed, created_at FROM ca_keys`)
	return rows, err
}

func insertKey(ctx context.Context, tx *sqldb.Tx, k keyRow) (int64, error) {
	return tx.Exec(ctx, `
		INSERT INTO ca_keys (name, cert_der, key_sealed, created_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (name) DO NOTHING`, k.Name, k.CertDER, k.KeySealed, k.CreatedAt)
}

func updateKeyCert(ctx context.Context, tx *sqldb.Tx, name string, old, der []byte) (int64, error) {
	return tx.Exec(ctx, `UPDATE ca_keys SET cert_der = ? WHERE name = ? AND cert_der = ?`, der, name, old)
}

type certRow struct {
	Hash         string     `db:"hash"`
	Serial       string     `db:"serial"`
	Kind         string     `db:"kind"`
	EnrollmentID *string    `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	Purpose      Purpose    `db:"purpose"`
	LinkID       *string    `db:"link_id"`
	State        State      `db:"state"`
	NotAfter     sqldb.Time `db:"not_after"`
	CreatedAt    sqldb.Time `db:"created_at"`
	EndedAt      sqldb.Time `db:"ended_at"`
	Reason       string     `db:"reason"`
	DER          []byte     `db:"der"`
}

func (c certRow) identity() Identity {
	return Identity{
		Hash: c.Hash, Serial: c.Serial, EnrollmentID: text(c.EnrollmentID), LinkID: text(c.LinkID), Generation: c.Generation,
		Purpose: c.Purpose, State: c.State, NotAfter: c.NotAfter.Time, CreatedAt: c.CreatedAt.Time, EndedAt: c.EndedAt.Time,
		Reason: c.Reason,
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// identityColumns leave out the certificate itself, which no list needs.
const identityColumns = `hash, serial, kind, enrollment_id, generation, purpose, link_id, state, not_after, created_at, ended_at, reason`

func insertCertificate(ctx context.Context, tx *sqldb.Tx, c certRow) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO certificates (hash, serial, kind, enrollment_id, generation, purpose, link_id, state, not_after, created_at, der)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Hash, c.Serial, c.Kind, c.EnrollmentID, c.Generation, string(c.Purpose), c.LinkID, string(c.State), c.NotAfter, c.CreatedAt, c.DER)
	return err
}

func selectIdentity(ctx context.Context, q sqldb.Queryer, hash string) (certRow, error) {
	var c certRow
	err := q.Get(ctx, &c, `SELECT `+identityColumns+` FROM certificates WHERE hash = ? AND kind = 'identity'`, hash)
	return c, err
}

func selectBySerial(ctx context.Context, q sqldb.Queryer, serial string) (certRow, error) {
	var c certRow
	err := q.Get(ctx, &c, `SELECT `+identityColumns+` FROM certificates WHERE serial = ?`, serial)
	return c, err
}

func selectDERBySerial(ctx context.Context, q sqldb.Queryer, serial string) ([]byte, error) {
	var row struct {
		DER []byte `db:"der"`
	}
	err := q.Get(ctx, &row, `SELECT der FROM certificates WHERE serial = ?`, serial)
	return row.DER, err
}

// selectLiveDER finds a certificate that its enrollment may still use.
func selectLiveDER(ctx context.Context, q sqldb.Queryer, hash string) ([]byte, error) {
	var row struct {
		DER []byte `db:"der"`
	}
	err := q.Get(ctx, &row, `SELECT der FROM certificates WHERE hash = ? AND state IN ('issued', 'pinned')`, hash)
	return row.DER, err
}

func selectIdentities(ctx context.Context, q sqldb.Queryer, enrollmentID string, state State, limit int) ([]certRow, error) {
	var rows []certRow
	err := q.Select(ctx, &rows, `
		SELECT `+identityColumns+` FROM certificates
		WHERE kind = 'identity' AND (? = '' OR enrollment_id = ?) AND (? = '' OR state = ?)
		ORDER BY created_at DESC, hash LIMIT ?`, enrollmentID, enrollmentID, string(state), string(state), limit)
	return rows, err
}

func selectDue(ctx context.Context, q sqldb.Queryer, before time.Time, limit int) ([]certRow, error) {
	var rows []certRow
	err := q.Select(ctx, &rows, `
		SELECT `+identityColumns+` FROM certificates
		WHERE state = 'pinned' AND not_after < ? ORDER BY not_after, hash LIMIT ?`, sqldb.At(before), limit)
	return rows, err
}

// retire ends what an enrollment has, save one certificate: the pinned one, and
// what was issued for an earlier generation but never seen.
func retire(ctx context.Context, tx *sqldb.Tx, enrollmentID, save string, generation int64, reason string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE certificates SET state = 'retired', ended_at = ?, reason = ?
		WHERE enrollment_id = ? AND hash <> ? AND (state = 'pinned' OR (state = 'issued' AND generation < ?))`,
		sqldb.At(now), reason, enrollmentID, save, generation)
	return err
}

func retireAll(ctx context.Context, tx *sqldb.Tx, enrollmentID, reason string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE certificates SET state = 'retired', ended_at = ?, reason = ?
		WHERE enrollment_id = ? AND state IN ('issued', 'pinned')`, sqldb.At(now), reason, enrollmentID)
	return err
}

// pin makes a certificate the enrollment's. One that was issued to enroll may
// move to the enrollment that its device turned out to have; any other stays
// with the one it was made for.
func pin(ctx context.Context, tx *sqldb.Tx, hash, enrollmentID string, generation int64, now time.Time) (int64, error) {
	return tx.Exec(ctx, `
		UPDATE certificates SET state = 'pinned', enrollment_id = ?, generation = ?, pinned_at = COALESCE(pinned_at, ?)
		WHERE hash = ? AND kind = 'identity'
		  AND ((state = 'issued' AND (purpose = 'enroll' OR enrollment_id = ?)) OR (state = 'pinned' AND enrollment_id = ?))`,
		enrollmentID, generation, sqldb.At(now), hash, enrollmentID, enrollmentID)
}

func revoke(ctx context.Context, tx *sqldb.Tx, serial, reason string, code int64, now time.Time) (int64, error) {
	return tx.Exec(ctx, `
		UPDATE certificates SET state = 'revoked', ended_at = ?, reason = ?, reason_code = ?
		WHERE serial = ? AND state <> 'revoked'`, sqldb.At(now), reason, code, serial)
}

type challengeRow struct {
	Hash         string     `db:"hash"`
	Purpose      Purpose    `db:"purpose"`
	EnrollmentID string     `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	LinkID       *string    `db:"link_id"`
	ExpiresAt    sqldb.Time `db:"expires_at"`
	UsedAt       sqldb.Time `db:"used_at"`
	KeyHash      *string    `db:"key_hash"`
	CertHash     *string    `db:"cert_hash"`
	VoidedAt     sqldb.Time `db:"voided_at"`
}

func insertChallenge(ctx context.Context, tx *sqldb.Tx, hash string, g Grant, now, expires time.Time) error {
	var link *string
	if g.LinkID != "" {
		link = &g.LinkID
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO challenges (hash, purpose, enrollment_id, generation, link_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		hash, string(g.Purpose), g.EnrollmentID, g.Generation, link, sqldb.At(now), sqldb.At(expires))
	return err
}

func selectChallenge(ctx context.Context, q sqldb.Queryer, hash string) (challengeRow, error) {
	var c challengeRow
	err := q.Get(ctx, &c, `
		SELECT hash, purpose, enrollment_id, generation, link_id, expires_at, used_at, key_hash, cert_hash, voided_at
		FROM challenges WHERE hash = ?`, hash)
	return c, err
}

func spendChallenge(ctx context.Context, tx *sqldb.Tx, hash, keyHash, certHash string, now time.Time) (int64, error) {
	return tx.Exec(ctx, `
		UPDATE challenges SET used_at = ?, key_hash = ?, cert_hash = ?
		WHERE hash = ? AND used_at IS NULL AND voided_at IS NULL AND expires_at > ?`,
		sqldb.At(now), keyHash, certHash, hash, sqldb.At(now))
}

func voidChallenges(ctx context.Context, tx *sqldb.Tx, enrollmentID string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE challenges SET voided_at = ? WHERE enrollment_id = ? AND voided_at IS NULL`, sqldb.At(now), enrollmentID)
	return err
}

// voidEarlier voids what an earlier generation was still owed.
func voidEarlier(ctx context.Context, tx *sqldb.Tx, enrollmentID string, generation int64, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE challenges SET voided_at = ?
		WHERE enrollment_id = ? AND generation < ? AND used_at IS NULL AND voided_at IS NULL`, sqldb.At(now), enrollmentID, generation)
	return err
}

type crlRow struct {
	Number    int64      `db:"number"`
	DER       []byte     `db:"der"`
	CreatedAt sqldb.Time `db:"created_at"`
	ExpiresAt sqldb.Time `db:"expires_at"`
}

func selectCRL(ctx context.Context, q sqldb.Queryer, lock string) (crlRow, error) {
	var c crlRow
	err := q.Get(ctx, &c, `SELECT number, der, created_at, expires_at FROM crl WHERE id = 'current'`+lock)
	return c, err
}

// upsertCRL stores a list whose number is one more than the one before, and
// tells whether it did.
func upsertCRL(ctx context.Context, tx *sqldb.Tx, c crlRow) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO crl (id, number, der, created_at, expires_at) VALUES ('current', ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET number = excluded.number, der = excluded.der, created_at = excluded.created_at,
			expires_at = excluded.expires_at WHERE crl.number = excluded.number - 1`, c.Number, c.DER, c.CreatedAt, c.ExpiresAt)
	return n == 1, err
}

// outdateCRL makes the next reader generate a new list.
func outdateCRL(ctx context.Context, tx *sqldb.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE crl SET expires_at = 0 WHERE id = 'current'`)
	return err
}

type revokedRow struct {
	Serial     string     `db:"serial"`
	EndedAt    sqldb.Time `db:"ended_at"`
	ReasonCode int        `db:"reason_code"`
}

func selectRevoked(ctx context.Context, q sqldb.Queryer, notAfter time.Time) ([]revokedRow, error) {
	var rows []revokedRow
	err := q.Select(ctx, &rows, `
		SELECT serial, ended_at, reason_code FROM certificates
		WHERE state = 'revoked' AND not_after > ? ORDER BY ended_at, serial`, sqldb.At(notAfter))
	return rows, err
}

type refusalRow struct {
	Reason       string     `db:"reason"`
	Hash         string     `db:"hash"`
	EnrollmentID string     `db:"enrollment_id"`
	Count        int64      `db:"count"`
	FirstAt      sqldb.Time `db:"first_at"`
	LastAt       sqldb.Time `db:"last_at"`
}

// refusalsAtOnce keeps a statement below 500 values.
const refusalsAtOnce = 80

// upsertRefusals adds counts to rows, which must differ in reason or hash.
func upsertRefusals(ctx context.Context, tx *sqldb.Tx, rows []refusalRow) error {
	for part := range slices.Chunk(rows, refusalsAtOnce) {
		args := make([]any, 0, 6*len(part))
		for _, f := range part {
			args = append(args, f.Reason, f.Hash, f.EnrollmentID, f.Count, f.FirstAt, f.LastAt)
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO refusals (reason, hash, enrollment_id, count, first_at, last_at)
			VALUES (?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, len(part)-1)+`
			ON CONFLICT (reason, hash) DO UPDATE SET count = refusals.count + excluded.count, last_at = excluded.last_at,
				enrollment_id = excluded.enrollment_id`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func selectRefusals(ctx context.Context, q sqldb.Queryer, limit int) ([]refusalRow, error) {
	var rows []refusalRow
	err := q.Select(ctx, &rows, `
		SELECT reason, hash, enrollment_id, count, first_at, last_at FROM refusals ORDER BY last_at DESC, reason, hash LIMIT ?`, limit)
	return rows, err
}

// deleteOldRefusals keeps the newest few and nothing older than before.
func deleteOldRefusals(ctx context.Context, tx *sqldb.Tx, before time.Time, keep int) error {
	var edge struct {
		LastAt sqldb.Time `db:"last_at"`
	}
	err := tx.Get(ctx, &edge, `SELECT last_at FROM refusals ORDER BY last_at DESC LIMIT 1 OFFSET ?`, keep)
	switch {
	case err == nil && edge.LastAt.After(before):
		before = edge.LastAt.Time
	case err != nil && !errors.Is(err, sqldb.ErrNoRows):
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM refusals WHERE last_at <= ?`, sqldb.At(before))
	return err
}

func deleteOldChallenges(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM challenges WHERE expires_at < ?`, sqldb.At(before))
	return err
}

func deleteOldTLS(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM certificates WHERE kind = 'tls' AND not_after < ?`, sqldb.At(before))
	return err
}
