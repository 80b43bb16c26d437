package certs

import (
	"context"
	"time"

	"ranzen/internal/sqldb"
)

// Rows of push_certificates. Requests are named by their key.
const (
	pushTopic   = "topic" // version 0 is the placeholder, 1 a pinned topic
	pushCurrent = "current"
	pushRequest = "request:"
)

type pushRow struct {
	ID        string     `db:"id"`
	Topic     string     `db:"topic"`
	Version   int64      `db:"version"`
	CertPEM   []byte     `db:"cert_pem"`
	KeySealed []byte     `db:"key_sealed"`
	NotAfter  sqldb.Time `db:"not_after"`
	UpdatedAt sqldb.Time `db:"updated_at"`
}

func selectPush(ctx context.Context, q sqldb.Queryer, id, lock string) (pushRow, error) {
	var p pushRow
	err := q.Get(ctx, &p, `
		SELECT id, topic, version, cert_pem, key_sealed, not_after, updated_at FROM push_certificates WHERE id = ?`+lock, id)
	return p, err
}

func selectPushRequests(ctx context.Context, q sqldb.Queryer) ([]pushRow, error) {
	var rows []pushRow
	err := q.Select(ctx, &rows, `
		SELECT id, topic, version, cert_pem, key_sealed, not_after, updated_at FROM push_certificates
		WHERE id LIKE 'request:%' ORDER BY updated_at DESC, id`)
	return rows, err
}

func insertTopic(ctx context.Context, tx *sqldb.Tx, topic string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO push_certificates (id, topic, version, updated_at) VALUES ('topic', ?, 0, ?) ON CONFLICT (id) DO NOTHING`,
		topic, sqldb.At(now))
	return err
}

func upsertPush(ctx context.Context, tx *sqldb.Tx, p pushRow) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO push_certificates (id, topic, version, cert_pem, key_sealed, not_after, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET topic = excluded.topic, version = excluded.version, cert_pem = excluded.cert_pem,
			key_sealed = excluded.key_sealed, not_after = excluded.not_after, updated_at = excluded.updated_at`,
		p.ID, p.Topic, p.Version, p.CertPEM, p.KeySealed, p.NotAfter, p.UpdatedAt)
	return err
}

// deletePush removes a request that was answered: its key rests with the
// certificate from then on. Others stay, since each may have gone to Apple.
func deletePush(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM push_certificates WHERE id = ?`, id)
	return err
}
