package certs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// PushInfo describes the MDM push certificate.
type PushInfo struct {
	Topic       string
	NotAfter    time.Time
	Subject     string
	Fingerprint string // hex SHA-256 of the DER
	Serial      int64  // changes with each import
}

// loadedPush is the push certificate as it was when its version was stored.
type loadedPush struct {
	cert tls.Certificate
	info PushInfo
}

// ensureTopic stores the placeholder that profiles carry until there is a push
// certificate. It never changes: a profile's topic is for the profile's life.
func (r *Room) ensureTopic(ctx context.Context) error {
	if _, err := selectPush(ctx, r.db, pushTopic, ""); !errors.Is(err, sqldb.ErrNoRows) {
		return err
	}
	return r.db.Do(ctx, func(tx *sqldb.Tx) error {
		return insertTopic(ctx, tx, topicPrefix+"placeholder-"+uuid.NewString(), r.clock.Now())
	})
}

// Topic is what enrollment profiles carry: the push certificate's, or before the
// first import a placeholder under which no push will ever arrive.
func (r *Room) Topic(ctx context.Context, q sqldb.Queryer) (topic string, placeholder bool, err error) {
	row, err := selectPush(ctx, q, pushTopic, "")
	if err != nil {
		return "", false, fmt.Errorf("read the push topic: %w", err)
	}
	return row.Topic, row.Version == 0, nil
}

// PushRequest makes a certificate request for a push certificate, with a key
// that never leaves this server. The request still has to be signed by an MDM
// vendor before Apple takes it. Asked again with the same name it gives the same
// request, and no key is ever thrown away for a newer one: whichever request
// went to Apple, the certificate that comes back finds its key.
func (r *Room) PushRequest(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, commonName string) (csrPEM []byte, err error) {
	if commonName == "" || len(commonName) > 64 {
		return nil, fault.New(fault.Invalid, "push-cert.name", "The name in the request must have 1 to 64 characters.").On("common_name")
	}
	pending, err := selectPushRequests(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("read push certificate requests: %w", err)
	}
	for _, p := range pending {
		block, _ := pem.Decode(p.CertPEM)
		if block == nil {
			continue
		}
		if csr, err := x509.ParseCertificateRequest(block.Bytes); err == nil && csr.Subject.CommonName == commonName {
			return p.CertPEM, nil
		}
	}
	key, err := newKey(RSA2048) // Apple takes RSA only
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: commonName}, SignatureAlgorithm: x509.SHA256WithRSA,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("make a push certificate request: %w", err)
	}
	csrPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	id, err := requestID(key.Public())
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a push certificate request: %w", err)
	}
	sealed, err := r.vault.Seal("push:"+id, plain)
	if err != nil {
		return nil, err
	}
	err = upsertPush(ctx, tx, pushRow{ID: id, CertPEM: csrPEM, KeySealed: sealed, UpdatedAt: sqldb.At(r.clock.Now())})
	if err != nil {
		return nil, fmt.Errorf("store a push certificate request: %w", err)
	}
	return csrPEM, r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "push-cert.request", Subject: "push-cert:" + id})
}

// requestID names a pending request by its key, so that a certificate finds it.
func requestID(public any) (string, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("name a key: %w", err)
	}
	sum := sha256.Sum256(spki)
	return pushRequest + hex.EncodeToString(sum[:16]), nil
}

// ImportPush takes the push certificate into custody. Without a key it is the
// answer to a PushRequest, or a renewal of the key already here. The first
// import pins the topic; a certificate with another topic is refused, since
// every enrolled device would be lost with it. Importing the same one twice is
// the same as once.
func (r *Room) ImportPush(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, certPEM, keyPEM []byte) (PushInfo, error) {
	leaf, chainPEM, err := readPushCertificate(certPEM)
	if err != nil {
		return PushInfo{}, err
	}
	topic, err := topicOf(leaf)
	if err != nil {
		return PushInfo{}, err
	}
	now := r.clock.Now()
	if !leaf.NotAfter.After(now) {
		return PushInfo{}, fault.New(fault.Invalid, "push-cert.expired",
			"The push certificate ended on %s. Renew it at identity.apple.com with the same Apple account and import the new one.",
			leaf.NotAfter.UTC().Format(time.DateOnly)).On("cert")
	}
	if leaf.NotBefore.After(now.Add(24 * time.Hour)) {
		return PushInfo{}, fault.New(fault.Invalid, "push-cert.early",
			"The push certificate begins on %s. Check this server's clock.", leaf.NotBefore.UTC().Format(time.DateOnly)).On("cert")
	}
	// The row of the topic is the lock of two imports at once.
	pinned, err := selectPush(ctx, tx, pushTopic, tx.ForUpdate())
	if err != nil {
		return PushInfo{}, fmt.Errorf("read the push topic: %w", err)
	}
	if pinned.Version > 0 && pinned.Topic != topic {
		return PushInfo{}, fault.New(fault.Conflict, "push-cert.other-topic",
			"This certificate has the topic %s, but devices are enrolled with %s and would be lost. "+
				"Renew the certificate of that topic at identity.apple.com with the Apple account that made it, instead of making a new one.",
			topic, pinned.Topic).On("cert")
	}
	current, err := selectPush(ctx, tx, pushCurrent, "")
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return PushInfo{}, fmt.Errorf("read the push certificate: %w", err)
	}
	plain, err := r.pushKey(ctx, tx, leaf, keyPEM, current)
	if err != nil {
		return PushInfo{}, err
	}
	if done, info, err := sameOrOlder(leaf, current); done || err != nil {
		return info, err
	}
	sealed, err := r.vault.Seal("push:"+pushCurrent, plain)
	if err != nil {
		return PushInfo{}, err
	}
	row := pushRow{
		ID: pushCurrent, Topic: topic, Version: current.Version + 1, CertPEM: chainPEM, KeySealed: sealed,
		NotAfter: sqldb.At(leaf.NotAfter), UpdatedAt: sqldb.At(now),
	}
	info := infoOf(leaf, row)
	answered, err := requestID(leaf.PublicKey)
	if err != nil {
		return PushInfo{}, err
	}
	err = errors.Join(
		upsertPush(ctx, tx, row),
		upsertPush(ctx, tx, pushRow{ID: pushTopic, Topic: topic, Version: 1, UpdatedAt: sqldb.At(now)}),
		deletePush(ctx, tx, answered))
	if err != nil {
		return PushInfo{}, fmt.Errorf("store the push certificate: %w", err)
	}
	return info, r.log.Append(ctx, tx, audit.Event{
		Actor: actor, Action: "push-cert.import", Subject: "push-cert:" + topic,
		Detail: map[string]any{"not_after": leaf.NotAfter.UTC().Format(time.RFC3339), "fingerprint": info.Fingerprint},
	})
}

// sameOrOlder compares with the certificate in use: the same again is done
// already, and one that ends sooner is last year's file by mistake.
func sameOrOlder(leaf *x509.Certificate, current pushRow) (done bool, info PushInfo, err error) {
	old, _, err := readPushCertificate(current.CertPEM)
	if err != nil {
		return false, PushInfo{}, nil //nolint:nilerr // there is none yet
	}
	if hashOf(old.Raw) == hashOf(leaf.Raw) {
		return true, infoOf(old, current), nil
	}
	if leaf.NotAfter.Before(old.NotAfter) {
		return false, PushInfo{}, fault.New(fault.Conflict, "push-cert.older",
			"This certificate ends on %s, sooner than the one in use, which ends on %s. Import the newer file.",
			leaf.NotAfter.UTC().Format(time.DateOnly), old.NotAfter.UTC().Format(time.DateOnly)).On("cert")
	}
	return false, PushInfo{}, nil
}

func infoOf(leaf *x509.Certificate, row pushRow) PushInfo {
	return PushInfo{
		Topic: row.Topic, NotAfter: leaf.NotAfter.UTC(), Subject: leaf.Subject.String(),
		Fingerprint: hashOf(leaf.Raw), Serial: row.Version,
	}
}

// pushKey finds the certificate's key as PKCS #8: the one given, that of a
// request, or that of the certificate in use.
func (r *Room) pushKey(ctx context.Context, q sqldb.Queryer, leaf *x509.Certificate, keyPEM []byte, current pushRow) ([]byte, error) {
	if len(keyPEM) > 0 {
		key, err := readPushKey(keyPEM)
		if err != nil {
			return nil, err
		}
		if !sameKey(key.Public(), leaf.PublicKey) {
			return nil, fault.New(fault.Invalid, "push-cert.key-mismatch",
				"The key is not the one of this certificate. Use the key that the certificate's request was made with.").On("key")
		}
		plain, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("encode the push key: %w", err)
		}
		return plain, nil
	}
	id, err := requestID(leaf.PublicKey)
	if err != nil {
		return nil, fault.New(fault.Invalid, "push-cert.key-kind", "The certificate's key is of a kind that Apple does not use.").With(err).On("cert")
	}
	row, err := selectPush(ctx, q, id, "")
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return nil, fmt.Errorf("read push certificate requests: %w", err)
	}
	if err == nil {
		return r.vault.Open("push:"+id, row.KeySealed)
	}
	if current.ID != "" {
		plain, err := r.vault.Open("push:"+pushCurrent, current.KeySealed)
		if err != nil {
			return nil, err
		}
		if key, err := parseKey(plain); err == nil && sameKey(key.Public(), leaf.PublicKey) {
			return plain, nil
		}
	}
	return nil, fault.New(fault.Invalid, "push-cert.key-missing",
		"This certificate was not made from a request of this server; give its private key as well.").On("key")
}

// Push gives the push certificate for use, and what to tell of it.
func (r *Room) Push(ctx context.Context, q sqldb.Queryer) (tls.Certificate, PushInfo, error) {
	row, err := selectPush(ctx, q, pushCurrent, "")
	if errors.Is(err, sqldb.ErrNoRows) {
		return tls.Certificate{}, PushInfo{}, fault.New(fault.NotFound, "push-cert.none",
			"There is no push certificate yet; devices can not be woken until one is imported with ranzen push-cert import.")
	}
	if err != nil {
		return tls.Certificate{}, PushInfo{}, fmt.Errorf("read the push certificate: %w", err)
	}
	if p := r.push.Load(); p != nil && p.info.Serial == row.Version {
		return p.cert, p.info, nil
	}
	plain, err := r.vault.Open("push:"+pushCurrent, row.KeySealed)
	if err != nil {
		return tls.Certificate{}, PushInfo{}, err
	}
	key, err := parseKey(plain)
	if err != nil {
		return tls.Certificate{}, PushInfo{}, err
	}
	leaf, _, err := readPushCertificate(row.CertPEM)
	if err != nil {
		return tls.Certificate{}, PushInfo{}, fmt.Errorf("read the stored push certificate: %w", err)
	}
	p := &loadedPush{tls.Certificate{PrivateKey: key, Leaf: leaf}, infoOf(leaf, row)}
	for rest := row.CertPEM; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		p.cert.Certificate = append(p.cert.Certificate, block.Bytes)
	}
	r.push.Store(p)
	return p.cert, p.info, nil
}
