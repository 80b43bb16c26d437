package tablet

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"sync"
)

// Identity is a certificate with its key, as in a keychain.
type Identity struct {
	Cert *x509.Certificate
	Key  *rsa.PrivateKey
}

// Hash is the hex SHA-256 of the certificate.
func (i *Identity) Hash() string {
	h := sha256.Sum256(i.Cert.Raw)
	return hex.EncodeToString(h[:])
}

// TLS is the identity as a TLS client certificate.
func (i *Identity) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.Cert.Raw}, PrivateKey: i.Key, Leaf: i.Cert}
}

// Keys is a supply of RSA-2048 keys made in advance: one costs about 70 ms of a
// processor, which a fleet would otherwise pay while it enrolls. When the supply
// is empty a key is made on the spot, unless the keys are shared.
type Keys struct {
	mu     sync.Mutex
	keys   []*rsa.PrivateKey
	shared bool
	next   int
}

// MakeKeys makes n keys with so many workers and tells progress after each.
func MakeKeys(ctx context.Context, n, workers int, progress func(done, total int)) (*Keys, error) {
	k := &Keys{}
	work, failed := make(chan struct{}), make(chan error, workers)
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Go(func() {
			for range work {
				key, err := rsa.GenerateKey(rand.Reader, 2048)
				if err != nil {
					failed <- fmt.Errorf("make a key: %w", err)
					return
				}
				k.mu.Lock()
				k.keys = append(k.keys, key)
				done := len(k.keys)
				if progress != nil {
					progress(done, n)
				}
				k.mu.Unlock()
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case work <- struct{}{}:
		case err = <-failed:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	close(work)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	return k, nil
}

// ShareKeys makes n keys that are given out again and again: good for load, and
// wrong for everything that tells tablets apart by their key.
func ShareKeys(ctx context.Context, n, workers int, progress func(done, total int)) (*Keys, error) {
	k, err := MakeKeys(ctx, n, workers, progress)
	if err != nil {
		return nil, err
	}
	k.shared = true
	return k, nil
}

// Take gives a key. A nil Keys makes one.
func (k *Keys) Take() (*rsa.PrivateKey, error) {
	if k != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.shared && len(k.keys) > 0 {
			k.next++
			return k.keys[k.next%len(k.keys)], nil
		}
		if n := len(k.keys); n > 0 {
			key := k.keys[n-1]
			k.keys = k.keys[:n-1]
			return key, nil
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}
