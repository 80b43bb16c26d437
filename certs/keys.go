package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Lifetimes. A device trusts the root it was enrolled with, and only enrolling
// again changes that: root and intermediate outlive every tablet.
const (
	rootLife   = 25 * 365 * 24 * time.Hour
	interLife  = 24 * 365 * 24 * time.Hour
	leafLife   = 365 * 24 * time.Hour // an identity
	tlsLife    = 90 * 24 * time.Hour  // Apple refuses server certificates of more than 825 days
	signerLife = 2 * 365 * 24 * time.Hour

	tlsRenewBefore    = 30 * 24 * time.Hour
	signerRenewBefore = 90 * 24 * time.Hour

	// backdate forgives a tablet whose clock runs slow.
	backdate = time.Hour
)

// Names of rows in ca_keys.
const (
	keyRoot   = "root"
	keyInter  = "intermediate"
	keySCEP   = "scep"
	keySigner = "signer"
)

type keyPair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// openKeys loads the CA's keys, after creating them if there are none.
func (r *Room) openKeys(ctx context.Context) error {
	rows, err := selectKeys(ctx, r.db)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		if rows, err = r.createKeys(ctx); err != nil {
			return err
		}
	}
	pairs := map[string]keyPair{}
	for _, row := range rows {
		if pairs[row.Name], err = r.openPair(row); err != nil {
			return err
		}
	}
	for _, name := range []string{keyRoot, keyInter, keySCEP, keySigner} {
		if pairs[name].cert == nil {
			return fmt.Errorf("open the CA: the key %q is missing in the database", name)
		}
	}
	r.root, r.inter, r.ra = pairs[keyRoot], pairs[keyInter], pairs[keySCEP]
	signer := pairs[keySigner]
	r.signer.Store(&signer)
	return nil
}

func (r *Room) openPair(row keyRow) (keyPair, error) {
	cert, err := x509.ParseCertificate(row.CertDER)
	if err != nil {
		return keyPair{}, fmt.Errorf("open the CA's %s: %w", row.Name, err)
	}
	plain, err := r.vault.Open("ca:"+row.Name, row.KeySealed)
	if err != nil {
		return keyPair{}, fault.New(fault.Invalid, "seal.wrong-key",
			"The sealing key does not fit this database: what one sealed the other can not open. "+
				"Use the key file that belongs to the database, or restore both from the same backup.").With(err)
	}
	key, err := parseKey(plain)
	if err != nil {
		return keyPair{}, fmt.Errorf("open the CA's %s: %w", row.Name, err)
	}
	if !sameKey(key.Public(), cert.PublicKey) {
		return keyPair{}, fmt.Errorf("open the CA's %s: key and certificate do not belong together", row.Name)
	}
	return keyPair{cert, key}, nil
}

// createKeys makes a CA and stores it, unless another process was first; either
// way it returns what is in the database. All rows are written in one order, so
// that of two processes one wins all of them.
func (r *Room) createKeys(ctx context.Context) ([]keyRow, error) {
	fresh, err := r.makeKeys()
	if err != nil {
		return nil, fmt.Errorf("create the CA: %w", err)
	}
	var rows []keyRow
	err = r.db.Do(ctx, func(tx *sqldb.Tx) error {
		if err := r.storeKeys(ctx, tx, fresh); err != nil {
			return err
		}
		rows, err = selectKeys(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create the CA: %w", err)
	}
	return rows, nil
}

// storeKeys writes all rows, or none when another process was first.
func (r *Room) storeKeys(ctx context.Context, tx *sqldb.Tx, fresh []keyRow) error {
	for _, row := range fresh {
		n, err := insertKey(ctx, tx, row)
		if err != nil || n == 0 {
			return err
		}
	}
	for _, row := range fresh {
		if row.Name != keySigner {
			continue
		}
		cert, err := x509.ParseCertificate(row.CertDER)
		if err != nil {
			return err
		}
		return r.record(ctx, tx, cert, kindSigner)
	}
	return nil
}

func (r *Room) makeKeys() ([]keyRow, error) {
	root, err := r.makePair(r.cfg.KeyKind, keyPair{}, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "Ranzen Root CA", Organization: []string{"Ranzen"}},
		NotAfter: r.clock.Now().Add(rootLife),
		IsCA:     true, MaxPathLen: 1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	if err != nil {
		return nil, err
	}
	inter, err := r.makePair(r.cfg.KeyKind, root, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "Ranzen Intermediate CA", Organization: []string{"Ranzen"}},
		NotAfter: r.clock.Now().Add(interLife),
		IsCA:     true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	if err != nil {
		return nil, err
	}
	ra, err := r.makePair(RSA2048, inter, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "Ranzen SCEP", Organization: []string{"Ranzen"}},
		NotAfter: inter.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	})
	if err != nil {
		return nil, err
	}
	signer, err := r.makePair(r.cfg.KeyKind, inter, r.signerTemplate())
	if err != nil {
		return nil, err
	}
	var rows []keyRow
	for _, k := range []struct {
		name string
		pair keyPair
	}{{keyRoot, root}, {keyInter, inter}, {keySCEP, ra}, {keySigner, signer}} {
		row, err := r.sealPair(k.name, k.pair)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (r *Room) sealPair(name string, p keyPair) (keyRow, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return keyRow{}, fmt.Errorf("seal the CA's %s: %w", name, err)
	}
	sealed, err := r.vault.Seal("ca:"+name, plain)
	if err != nil {
		return keyRow{}, err
	}
	return keyRow{Name: name, CertDER: p.cert.Raw, KeySealed: sealed, CreatedAt: sqldb.At(r.clock.Now())}, nil
}

// makePair makes a key and has its certificate signed by issuer, or by itself
// when there is none.
func (r *Room) makePair(kind string, issuer keyPair, template *x509.Certificate) (keyPair, error) {
	key, err := newKey(kind)
	if err != nil {
		return keyPair{}, err
	}
	return r.certify(key, issuer, template)
}

// certify fills in what all of our own certificates have in common.
func (r *Room) certify(key crypto.Signer, issuer keyPair, template *x509.Certificate) (keyPair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return keyPair{}, fmt.Errorf("make a certificate: %w", err)
	}
	template.SerialNumber = serial
	template.BasicConstraintsValid = true
	if template.NotBefore.IsZero() {
		template.NotBefore = r.clock.Now().Add(-backdate)
	}
	if issuer.cert == nil {
		issuer = keyPair{template, key}
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return keyPair{}, fmt.Errorf("make a certificate: %w", err)
		}
		id := sha1.Sum(spki)
		template.SubjectKeyId = id[:]
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("make a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return keyPair{}, fmt.Errorf("make a certificate: %w", err)
	}
	return keyPair{cert, key}, nil
}

func newKey(kind string) (crypto.Signer, error) {
	if kind == RSA2048 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make an RSA key: %w", err)
		}
		return key, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a P-256 key: %w", err)
	}
	return key, nil
}

func parseKey(pkcs8 []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, fmt.Errorf("parse a private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("parse a private key: it can not sign")
	}
	return signer, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// hashOf names a certificate everywhere: hex SHA-256 of its DER.
func hashOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// PresentedOf names a certificate that was proven by other means than a
// signature: by the TLS handshake, or by a trusted proxy's.
func PresentedOf(cert *x509.Certificate) Presented {
	return Presented{hashOf(cert.Raw)}
}
