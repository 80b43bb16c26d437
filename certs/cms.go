package certs

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/smallstep/pkcs7"
)

// Limits on what is parsed before anybody has been recognised.
const (
	maxBERDepth = 32   // a signed message nests about twelve deep
	minRSABits  = 2048 // of an identity
	maxRSABits  = 4096 // verification grows with the square
)

var (
	errBERDepth  = errors.New("nested too deeply")
	errBERSyntax = errors.New("not BER")
	errMalformed = errors.New("malformed")
	errSigners   = errors.New("not exactly one signer with a certificate")
	errDigest    = errors.New("the content is not what was signed")
	errAlgorithm = errors.New("algorithm not accepted")
)

// shallow walks BER without recursion and refuses what nests deeper than
// maxBERDepth, since pkcs7 recurses and copies once a level: 400 kB of opening
// brackets cost it a second.
func shallow(b []byte) error {
	ends := make([]int, 0, maxBERDepth) // where each open value ends; -1 is "at its marker"
	for i := 0; i < len(b) || len(ends) > 0; {
		if n := len(ends); n > 0 {
			if end := ends[n-1]; end == i {
				ends = ends[:n-1]
				continue
			} else if end == -1 && i+1 < len(b) && b[i] == 0 && b[i+1] == 0 {
				i += 2
				ends = ends[:n-1]
				continue
			}
		}
		if i >= len(b) {
			return errBERSyntax
		}
		content, length, err := header(b, i)
		if err != nil {
			return err
		}
		switch {
		case length >= 0 && (length > len(b)-content || (len(ends) > 0 && ends[len(ends)-1] >= 0 && content+length > ends[len(ends)-1])):
			return errBERSyntax
		case b[i]&0x20 == 0 && length < 0:
			return errBERSyntax
		case b[i]&0x20 == 0:
			i = content + length
			continue
		case len(ends) == maxBERDepth:
			return errBERDepth
		case length < 0:
			ends = append(ends, -1)
		default:
			ends = append(ends, content+length)
		}
		i = content
	}
	return nil
}

// header reads tag and length at b[i]; length is -1 for the indefinite form.
func header(b []byte, i int) (content, length int, err error) {
	tag := b[i]
	i++
	if tag&0x1f == 0x1f {
		for i < len(b) && b[i] >= 0x80 {
			i++
		}
		i++
	}
	if i >= len(b) {
		return 0, 0, errBERSyntax
	}
	l := int(b[i])
	i++
	switch {
	case l == 0x80:
		return i, -1, nil
	case l < 0x80:
		return i, l, nil
	}
	n := l & 0x7f
	if n > 4 || n > len(b)-i {
		return 0, 0, errBERSyntax
	}
	length = 0
	for range n {
		length = length<<8 | int(b[i])
		i++
	}
	return i, length, nil
}

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

func parseCMS(b []byte) (p7 *pkcs7.PKCS7, err error) {
	if err := shallow(b); err != nil {
		return nil, err
	}
	err = guarded(func() (err error) {
		p7, err = pkcs7.Parse(b)
		return err
	})
	return p7, err
}

type cmsAttribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"set"`
}

// verifyCMS checks the one signature of p7 over content and returns its
// certificate. It asks nobody's clock: pkcs7's own check refuses a signing time
// outside the certificate's validity, and so every tablet whose clock is wrong
// or whose certificate has just run out, before it can be recognised.
func verifyCMS(p7 *pkcs7.PKCS7, content []byte) (*x509.Certificate, error) {
	cert := p7.GetOnlySigner()
	if cert == nil {
		return nil, errSigners
	}
	signer := p7.Signers[0]
	hash, err := digestOf(signer.DigestAlgorithm.Algorithm)
	if err != nil {
		return nil, err
	}
	algorithm, err := signatureOf(cert.PublicKey, hash)
	if err != nil {
		return nil, err
	}
	signed := content
	if len(signer.AuthenticatedAttributes) > 0 {
		attrs := make([]cmsAttribute, len(signer.AuthenticatedAttributes))
		var digest []byte
		for i, a := range signer.AuthenticatedAttributes {
			attrs[i] = cmsAttribute{a.Type, a.Value}
			if a.Type.Equal(pkcs7.OIDAttributeMessageDigest) {
				if _, err := asn1.Unmarshal(a.Value.Bytes, &digest); err != nil {
					return nil, errMalformed
				}
			}
		}
		h := hash.New()
		h.Write(content)
		if !bytes.Equal(h.Sum(nil), digest) {
			return nil, errDigest
		}
		// RFC 5652, 5.4: what is signed is the DER of a SET OF, tag and all.
		all, err := asn1.Marshal(struct {
			A []cmsAttribute `asn1:"set"`
		}{attrs})
		if err != nil {
			return nil, errMalformed
		}
		var outer asn1.RawValue
		if _, err := asn1.Unmarshal(all, &outer); err != nil {
			return nil, errMalformed
		}
		signed = outer.Bytes
	}
	if err := cert.CheckSignature(algorithm, signed, signer.EncryptedDigest); err != nil {
		return nil, fmt.Errorf("check a signature: %w", err)
	}
	return cert, nil
}

func digestOf(oid asn1.ObjectIdentifier) (crypto.Hash, error) {
	switch {
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA256):
		return crypto.SHA256, nil
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA1): // older iPads sign with it
		return crypto.SHA1, nil
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA384):
		return crypto.SHA384, nil
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA512):
		return crypto.SHA512, nil
	}
	return 0, errAlgorithm
}

func signatureOf(key any, hash crypto.Hash) (x509.SignatureAlgorithm, error) {
	algorithms := map[crypto.Hash]x509.SignatureAlgorithm{
		crypto.SHA1: x509.SHA1WithRSA, crypto.SHA256: x509.SHA256WithRSA,
		crypto.SHA384: x509.SHA384WithRSA, crypto.SHA512: x509.SHA512WithRSA,
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() > maxRSABits {
			return 0, errAlgorithm
		}
	case *ecdsa.PublicKey:
		algorithms = map[crypto.Hash]x509.SignatureAlgorithm{
			crypto.SHA1: x509.ECDSAWithSHA1, crypto.SHA256: x509.ECDSAWithSHA256,
			crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512,
		}
	default:
		return 0, errAlgorithm
	}
	return algorithms[hash], nil
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
