package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"sync"

	"ranzen/internal/sqldb"
)

// ServerCertificate gives the server a certificate of our own CA, for the mode
// in which devices trust only us. It is made at the first handshake, lives in
// memory and is renewed there; each process has its own.
func (r *Room) ServerCertificate(host string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	var mu sync.Mutex
	var current *tls.Certificate
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if current != nil && r.clock.Now().Before(current.Leaf.NotAfter.Add(-tlsRenewBefore)) {
			return current, nil
		}
		// A handshake that is given up must not spoil it for the next one.
		fresh, err := r.makeServerCertificate(context.WithoutCancel(hello.Context()), host)
		if err != nil && current != nil && r.clock.Now().Before(current.Leaf.NotAfter) {
			return current, nil // it still serves; the next handshake tries again
		}
		if err != nil {
			return nil, err
		}
		current = fresh
		return current, nil
	}
}

func (r *Room) makeServerCertificate(ctx context.Context, host string) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: host},
		NotAfter:    r.clock.Now().Add(tlsLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	pair, err := r.makePair(P256, r.inter, template)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	err = r.db.Do(ctx, func(tx *sqldb.Tx) error { return r.record(ctx, tx, pair.cert, kindTLS) })
	if err != nil {
		return nil, fmt.Errorf("record the server's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{pair.cert.Raw, r.inter.cert.Raw}, PrivateKey: pair.key, Leaf: pair.cert}, nil
}

// record notes a certificate of our own, so that it can be revoked.
func (r *Room) record(ctx context.Context, tx *sqldb.Tx, cert *x509.Certificate, kind string) error {
	return insertCertificate(ctx, tx, certRow{
		Hash: hashOf(cert.Raw), Serial: cert.SerialNumber.String(), Kind: kind, State: Issued,
		NotAfter: sqldb.At(cert.NotAfter), CreatedAt: sqldb.At(r.clock.Now()), DER: cert.Raw,
	})
}

func (r *Room) signerTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Ranzen Profile Signing", Organization: []string{"Ranzen"}},
		NotAfter:    r.clock.Now().Add(signerLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageCodeSigning},
	}
}

// renewSigner gives the profile signing key a new certificate before the old one
// ends. The key stays: of two processes that do so at once either may win.
func (r *Room) renewSigner(ctx context.Context) error {
	old := r.signer.Load()
	if r.clock.Now().Before(old.cert.NotAfter.Add(-signerRenewBefore)) {
		return nil
	}
	fresh, err := r.certify(old.key, r.inter, r.signerTemplate())
	if err != nil {
		return fmt.Errorf("renew the profile signing certificate: %w", err)
	}
	err = r.db.Do(ctx, func(tx *sqldb.Tx) error {
		n, err := updateKeyCert(ctx, tx, keySigner, old.cert.Raw, fresh.cert.Raw)
		if err != nil {
			return err
		}
		if n == 1 {
			return r.record(ctx, tx, fresh.cert, kindSigner)
		}
		rows, err := selectKeys(ctx, tx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Name == keySigner {
				fresh, err = r.openPair(row)
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("renew the profile signing certificate: %w", err)
	}
	r.signer.Store(&fresh)
	return nil
}
