package tablet

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // registers crypto.SHA1
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// The CMS messages here are written by hand: no library writes BER of indefinite
// length, and the one at hand chooses the cipher by a variable of its package.

// Object identifiers, as their DER content (RFC 5652, 3370, 3565).
const (
	oidData          = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	oidSignedData    = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	oidEnvelopedData = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
	oidRSA           = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	oidContentType   = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
	oidMessageDigest = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
	oidSigningTime   = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"
	oidSHA1          = "\x2b\x0e\x03\x02\x1a"
	oidSHA256        = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	oidAES128CBC     = "\x60\x86\x48\x01\x65\x03\x04\x01\x02"
	oid3DESCBC       = "\x2a\x86\x48\x86\xf7\x0d\x03\x07"
)

const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagOID      = 0x06
	tagUTCTime  = 0x17
	tagSequence = 0x30
	tagSet      = 0x31
	tagContext0 = 0xa0 // [0], constructed
	tagPrimary0 = 0x80 // [0], primitive
)

// der is one value of definite length.
func der(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := []byte{tag}
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, bytes.Join(parts, nil)...)
}

// ber is one constructed value of indefinite length.
func ber(tag byte, parts ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
}

func derOID(oid string) []byte { return der(tagOID, []byte(oid)) }

func algorithm(oid string) []byte { return der(tagSequence, derOID(oid), []byte{0x05, 0x00}) }

func derInt(n *big.Int) ([]byte, error) {
	b, err := asn1.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("write a number: %w", err)
	}
	return b, nil
}

func issuerAndSerial(c *x509.Certificate) ([]byte, error) {
	n, err := derInt(c.SerialNumber)
	if err != nil {
		return nil, err
	}
	return der(tagSequence, c.RawIssuer, n), nil
}

// sign makes a detached signature over body as Mdm-Signature carries it.
func (s Signature) sign(body []byte, id *Identity, now time.Time) ([]byte, error) {
	hash, digestOID := crypto.SHA256, oidSHA256
	if s.SHA1 {
		hash, digestOID = crypto.SHA1, oidSHA1
	}
	who, err := issuerAndSerial(id.Cert)
	if err != nil {
		return nil, err
	}
	digest := sum(hash, body)
	var attributes []byte
	if !s.NoAttributes {
		list := [][]byte{
			der(tagSequence, derOID(oidContentType), der(tagSet, derOID(oidData))),
			der(tagSequence, derOID(oidSigningTime), der(tagSet, der(tagUTCTime, []byte(now.UTC().Format("060102150405Z"))))),
			der(tagSequence, derOID(oidMessageDigest), der(tagSet, der(tagOctets, digest))),
		}
		slices.SortFunc(list, bytes.Compare) // DER sorts a SET OF
		// What is signed is the SET; what is sent has its tag replaced (RFC 5652, 5.4).
		digest = sum(hash, der(tagSet, list...))
		attributes = der(tagContext0, list...)
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, id.Key, hash, digest)
	if err != nil {
		return nil, fmt.Errorf("sign a message: %w", err)
	}
	one := []byte{tagInteger, 1, 1}
	signer := der(tagSequence, one, who, algorithm(digestOID), attributes, algorithm(oidRSA), der(tagOctets, signature))
	outer := ber
	if s.DER {
		outer = der
	}
	return outer(tagSequence, derOID(oidSignedData), outer(tagContext0,
		outer(tagSequence, one, der(tagSet, algorithm(digestOID)), outer(tagSequence, derOID(oidData)),
			outer(tagContext0, id.Cert.Raw), der(tagSet, signer)))), nil
}

func sum(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b) // a hash never fails
	return w.Sum(nil)
}

// envelop encrypts content to one RSA certificate.
func envelop(content []byte, to *x509.Certificate, withAES bool) ([]byte, error) {
	public, ok := to.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the certificate to encrypt to has a key of type %T, SCEP needs RSA", to.PublicKey)
	}
	key, cipherOID, make := make([]byte, 24), oid3DESCBC, des.NewTripleDESCipher
	if withAES {
		key, cipherOID, make = key[:16], oidAES128CBC, aes.NewCipher
	}
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	block, err := make(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	iv := slices.Repeat([]byte{0}, block.BlockSize())
	if _, err := rand.Read(iv); err != nil {
		return nil, fmt.Errorf("draw an initialization vector: %w", err)
	}
	fill := block.BlockSize() - len(content)%block.BlockSize()
	sealed := append(bytes.Clone(content), bytes.Repeat([]byte{byte(fill)}, fill)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	wrapped, err := rsa.EncryptPKCS1v15(rand.Reader, public, key)
	if err != nil {
		return nil, fmt.Errorf("encrypt a key: %w", err)
	}
	who, err := issuerAndSerial(to)
	if err != nil {
		return nil, err
	}
	zero := []byte{tagInteger, 1, 0}
	recipient := der(tagSequence, zero, who, algorithm(oidRSA), der(tagOctets, wrapped))
	return der(tagSequence, derOID(oidEnvelopedData), der(tagContext0, der(tagSequence, zero, der(tagSet, recipient),
		der(tagSequence, derOID(oidData), der(tagSequence, derOID(cipherOID), der(tagOctets, iv)), der(tagPrimary0, sealed))))), nil
}
