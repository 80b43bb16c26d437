package certs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// repeatWindow is how long the key that spent a challenge may ask again.
//
// Unit: wall-clock time since the first issue. Value: ours. A tablet whose
// answer got lost repeats within seconds to minutes; after that it would need a
// new profile, and so a new challenge.
const repeatWindow = 10 * time.Minute

// errChallenge is why SCEP yields nothing. The reasons are kept apart for the
// count of refusals only; whoever asks learns nothing of them.
type errChallenge string

func (e errChallenge) Error() string { return "challenge: " + string(e) }

// NewChallenge makes a one-time SCEP challenge for a grant. It is shown once;
// the database keeps its hash.
func (r *Room) NewChallenge(ctx context.Context, tx *sqldb.Tx, g Grant) (fault.Secret, error) {
	if g.TTL <= 0 || g.EnrollmentID == "" || (g.Purpose != Enroll && g.Purpose != Renew && g.Purpose != Network) {
		return "", fmt.Errorf("make a challenge: incomplete grant %+v", g)
	}
	var raw [24]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", fmt.Errorf("make a challenge: %w", err)
	}
	challenge := base64.RawURLEncoding.EncodeToString(raw[:])
	now := r.clock.Now()
	if err := insertChallenge(ctx, tx, challengeHash(challenge), g, now, now.Add(g.TTL)); err != nil {
		return "", fmt.Errorf("make a challenge for %s: %w", g.EnrollmentID, err)
	}
	return fault.Secret(challenge), nil
}

// VoidChallenges makes what is outstanding for an enrollment yield nothing.
func (r *Room) VoidChallenges(ctx context.Context, tx *sqldb.Tx, enrollmentID string) error {
	if err := voidChallenges(ctx, tx, enrollmentID, r.clock.Now()); err != nil {
		return fmt.Errorf("void the challenges of %s: %w", enrollmentID, err)
	}
	return nil
}

func challengeHash(challenge string) string {
	sum := sha256.Sum256([]byte(challenge))
	return hex.EncodeToString(sum[:])
}

// issue gives a certificate for a challenge, or errChallenge. The signature is
// made before the transaction, which then spends the challenge and stores the
// certificate together: what the transaction did not keep is never handed out.
func (r *Room) issue(ctx context.Context, csr *x509.CertificateRequest, challenge string) (*x509.Certificate, error) {
	spki := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	keyHash := hex.EncodeToString(spki[:])
	hash := challengeHash(challenge)
	ch, err := selectChallenge(ctx, r.db, hash)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, errChallenge("unknown")
	}
	if err != nil {
		return nil, fmt.Errorf("look up a challenge: %w", err)
	}
	if !ch.UsedAt.IsZero() {
		return r.again(ctx, r.db, ch, keyHash)
	}
	if err := r.open(ch); err != nil {
		return nil, err
	}
	cert, err := r.sign(ctx, csr, ch.EnrollmentID)
	if err != nil {
		return nil, err
	}
	var given *x509.Certificate
	err = r.db.Do(ctx, func(tx *sqldb.Tx) error {
		given = cert
		now := r.clock.Now()
		n, err := spendChallenge(ctx, tx, hash, keyHash, hashOf(cert.Raw), now)
		if err != nil {
			return fmt.Errorf("spend a challenge: %w", err)
		}
		if n == 0 { // somebody was faster; if it was the same tablet, it gets the same answer
			if ch, err = selectChallenge(ctx, tx, hash); err != nil {
				return fmt.Errorf("look up a challenge: %w", err)
			}
			given, err = r.again(ctx, tx, ch, keyHash)
			return err
		}
		row := certRow{
			Hash: hashOf(cert.Raw), Serial: cert.SerialNumber.String(), Kind: kindOf(ch.Purpose), EnrollmentID: &ch.EnrollmentID,
			Generation: ch.Generation, Purpose: ch.Purpose, LinkID: ch.LinkID, State: Issued,
			NotAfter: sqldb.At(cert.NotAfter), CreatedAt: sqldb.At(now), DER: cert.Raw,
		}
		if err := insertCertificate(ctx, tx, row); err != nil {
			return fmt.Errorf("store an identity: %w", err)
		}
		return r.log.Append(ctx, tx, audit.Event{
			Actor: issuer(ch), Action: "certificate.issue", Subject: "enrollment:" + ch.EnrollmentID,
			Detail: map[string]any{"serial": row.Serial, "purpose": string(ch.Purpose)},
		})
	})
	if err != nil {
		return nil, err
	}
	return given, nil
}

// kindOf keeps certificates for networks from being taken for identities.
func kindOf(p Purpose) string {
	if p == Network {
		return kindNetwork
	}
	return kindIdentity
}

func issuer(ch challengeRow) audit.Actor {
	if ch.LinkID != nil {
		return audit.Actor("link:" + *ch.LinkID)
	}
	return "system"
}

// open tells why an unused challenge yields nothing, or nil.
func (r *Room) open(ch challengeRow) error {
	switch {
	case !ch.VoidedAt.IsZero():
		return errChallenge("voided")
	case !ch.ExpiresAt.After(r.clock.Now()):
		return errChallenge("expired")
	}
	return nil
}

// again answers a spent challenge: with the certificate it yielded, to the key
// that spent it, for a while.
func (r *Room) again(ctx context.Context, q sqldb.Queryer, ch challengeRow, keyHash string) (*x509.Certificate, error) {
	late := r.clock.Now().After(ch.UsedAt.Add(repeatWindow))
	if late || !ch.VoidedAt.IsZero() || ch.CertHash == nil || ch.KeyHash == nil || *ch.KeyHash != keyHash {
		return nil, errChallenge("used")
	}
	der, err := selectLiveDER(ctx, q, *ch.CertHash)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, errChallenge("used") // revoked or retired meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("find an issued identity: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("find an issued identity: %w", err)
	}
	return cert, nil
}
