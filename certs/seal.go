package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"ranzen/internal/fault"
)

// SealKeySize is the length of the sealing key: AES-256.
const SealKeySize = 32

// sealVersion is the first byte of everything sealed, so that another method
// can be told apart one day.
const sealVersion = 1

var errSeal = errors.New("this was not sealed with this key for this purpose")

// Vault seals secrets for the database: AES-256-GCM with a random nonce. Its
// key is kept outside the database.
type Vault struct {
	aead cipher.AEAD
	mac  []byte // key of Digest
}

// NewVault makes a Vault from a key of SealKeySize random bytes.
func NewVault(key []byte) (*Vault, error) {
	if len(key) != SealKeySize {
		return nil, fault.New(fault.Invalid, "seal.key-size",
			"The sealing key has %d bytes; it must have %d. Use the file that was made by ranzen init.", len(key), SealKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the vault: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make the vault: %w", err)
	}
	return &Vault{aead, mac(key, "ranzen digest")}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // it never fails
	return h.Sum(nil)
}

// Digest tells equal contents of one purpose apart from others without telling
// what they are: a short password could be guessed from a plain hash.
func (v *Vault) Digest(purpose string, content []byte) string {
	h := hmac.New(sha256.New, v.mac)
	h.Write([]byte(purpose + "\x00"))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Seal encrypts plain for one purpose, such as "enroll.unlock:"+id. Whoever can
// write the database can not move it to another row: there it does not open.
func (v *Vault) Seal(purpose string, plain []byte) ([]byte, error) {
	sealed := make([]byte, 1+v.aead.NonceSize(), 1+v.aead.NonceSize()+len(plain)+v.aead.Overhead())
	sealed[0] = sealVersion
	nonce := sealed[1:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return v.aead.Seal(sealed, nonce, plain, []byte(purpose)), nil
}

// Open decrypts what Seal made for the same purpose.
func (v *Vault) Open(purpose string, sealed []byte) ([]byte, error) {
	n := 1 + v.aead.NonceSize()
	if len(sealed) < n+v.aead.Overhead() || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open %s: %w", purpose, errSeal)
	}
	plain, err := v.aead.Open(nil, sealed[1:n], sealed[n:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, errSeal)
	}
	return plain, nil
}
