package certs

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/smallstep/pkcs7"
)

// guarded turns a panic of a parser into an error: pkcs7 indexes past the end of
// wrongly padded content.
func guarded(fn func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errMalformed
		}
	}()
	return fn()
}

// openEnvelope decrypts an EnvelopedData that is addressed to one of the pairs.
// Clients choose among the certificates of GetCACert, and not all choose alike.
func openEnvelope(b []byte, pairs ...keyPair) (plain []byte, err error) {
	if b, err = definite(b); err != nil {
		return nil, err
	}
	err = guarded(func() error {
		p7, err := pkcs7.Parse(b)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			key, ok := p.key.(*rsa.PrivateKey)
			if !ok {
				continue
			}
			if plain, err = p7.Decrypt(p.cert, key); err == nil {
				return nil
			}
		}
		return errMalformed
	})
	return plain, err
}

// signCMS makes an attached signed message, SHA-256, with the given certificates
// in it. Digest and cipher are said for each message: pkcs7's defaults are SHA-1
// and DES, in variables that the whole process shares.
func signCMS(content []byte, by keyPair, first, chain []*x509.Certificate, attrs []pkcs7.Attribute) ([]byte, error) {
	sd, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, fmt.Errorf("sign a message: %w", err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	for _, c := range first {
		sd.AddCertificate(c)
	}
	if err := sd.AddSigner(by.cert, by.key, pkcs7.SignerInfoConfig{ExtraSignedAttributes: attrs}); err != nil {
		return nil, fmt.Errorf("sign a message: %w", err)
	}
	for _, c := range chain {
		sd.AddCertificate(c)
	}
	out, err := sd.Finish()
	if err != nil {
		return nil, fmt.Errorf("sign a message: %w", err)
	}
	return out, nil
}

// CMS EnvelopedData (RFC 5652, 6.1), as much as SCEP's answer needs.
type (
	enveloped struct {
		ContentType asn1.ObjectIdentifier
		Content     envelopedData `asn1:"explicit,tag:0"`
	}
	envelopedData struct {
		Version    int
		Recipients []recipient `asn1:"set"`
		Encrypted  encryptedContent
	}
	recipient struct {
		Version      int
		IssuerSerial issuerSerial
		Algorithm    pkix.AlgorithmIdentifier
		Key          []byte
	}
	issuerSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	encryptedContent struct {
		ContentType asn1.ObjectIdentifier
		Algorithm   pkix.AlgorithmIdentifier
		Content     asn1.RawValue
	}
)

// envelope encrypts content to an RSA certificate with AES-128-CBC, which is what
// the capability "AES" promises (RFC 8894, 3.5.2). pkcs7.Encrypt would take the
// cipher from a variable of the whole process.
func envelope(content []byte, to *x509.Certificate) ([]byte, error) {
	public, ok := to.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errAlgorithm
	}
	var secret [16 + aes.BlockSize]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("encrypt a message: %w", err)
	}
	key, iv := secret[:16], secret[16:]
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, key)
	if err != nil {
		return nil, errAlgorithm // a key too small or too odd
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt a message: %w", err)
	}
	pad := aes.BlockSize - len(content)%aes.BlockSize
	padded := append(bytes.Clone(content), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	return asn1.Marshal(enveloped{
		ContentType: pkcs7.OIDEnvelopedData,
		Content: envelopedData{
			Recipients: []recipient{{
				IssuerSerial: issuerSerial{asn1.RawValue{FullBytes: to.RawIssuer}, to.SerialNumber},
				Algorithm:    pkix.AlgorithmIdentifier{Algorithm: pkcs7.OIDEncryptionAlgorithmRSA, Parameters: asn1.NullRawValue},
				Key:          sealed,
			}},
			Encrypted: encryptedContent{
				ContentType: pkcs7.OIDData,
				Algorithm: pkix.AlgorithmIdentifier{
					Algorithm:  pkcs7.OIDEncryptionAlgorithmAES128CBC,
					Parameters: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: iv},
				},
				Content: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: padded},
			},
		},
	})
}
