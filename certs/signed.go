package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds on the keys of signers and identities. Verification grows with the
// square of the length.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

var (
	errSigners   = errors.New("not exactly one signer with a certificate")
	errDigest    = errors.New("the content is not what was signed")
	errSignature = errors.New("the signature is not by this certificate's key")
	errAlgorithm = errors.New("algorithm not accepted")
)

// signedMessage is a CMS SignedData (RFC 5652, 5.1), taken apart as far as a
// verdict on it needs. Its certificates are left as bytes: most of the time they
// are known already.
//
// The reader is our own since each poll of each tablet passes through it: pkcs7
// copies the message once a level, reads all certificates in it, and in its
// check asks the machine's clock.
type signedMessage struct {
	content   []byte // nil when the signature is detached
	certs     [][]byte
	signers   int // the fields below are of the last; a verdict needs exactly one
	issuer    []byte
	serial    []byte
	keyID     []byte // instead of issuer and serial
	digest    crypto.Hash
	signed    bool // there are signed attributes
	attrs     []signedAttribute
	signature []byte
}

type signedAttribute struct {
	kind  asn1.ObjectIdentifier
	value []byte // the first, with its tag
	whole []byte
}

func parseSigned(b []byte) (signedMessage, error) {
	der, err := definite(b)
	if err != nil {
		return signedMessage{}, err
	}
	var m signedMessage
	var info, outer, data, encap, certs, signers cryptobyte.String
	var kind asn1.ObjectIdentifier
	top := cryptobyte.String(der)
	if !top.ReadASN1(&info, tag.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(pkcs7.OIDSignedData) ||
		!info.ReadASN1(&outer, tag.Tag(0).ContextSpecific().Constructed()) || !outer.ReadASN1(&data, tag.SEQUENCE) ||
		!data.SkipASN1(tag.INTEGER) || !data.SkipASN1(tag.SET) || !data.ReadASN1(&encap, tag.SEQUENCE) ||
		!data.ReadOptionalASN1(&certs, nil, tag.Tag(0).ContextSpecific().Constructed()) ||
		!data.SkipOptionalASN1(tag.Tag(1).ContextSpecific().Constructed()) ||
		!data.ReadASN1(&signers, tag.SET) || !m.readContent(encap) {
		return signedMessage{}, errMalformed
	}
	for !certs.Empty() {
		var cert cryptobyte.String
		var t tag.Tag
		if !certs.ReadAnyASN1Element(&cert, &t) {
			return signedMessage{}, errMalformed
		}
		if t == tag.SEQUENCE {
			m.certs = append(m.certs, cert)
		}
	}
	for !signers.Empty() {
		var signer cryptobyte.String
		if !signers.ReadASN1(&signer, tag.SEQUENCE) || !m.readSigner(signer) {
			return signedMessage{}, errMalformed
		}
	}
	return m, nil
}

// readContent reads the EncapsulatedContentInfo; the octets may come in pieces.
func (m *signedMessage) readContent(encap cryptobyte.String) bool {
	var outer, octets cryptobyte.String
	var attached bool
	if !encap.SkipASN1(tag.OBJECT_IDENTIFIER) ||
		!encap.ReadOptionalASN1(&outer, &attached, tag.Tag(0).ContextSpecific().Constructed()) {
		return false
	}
	if !attached {
		return true
	}
	m.content = []byte{}
	if outer.PeekASN1Tag(tag.OCTET_STRING) {
		return outer.ReadASN1Bytes(&m.content, tag.OCTET_STRING)
	}
	if !outer.ReadASN1(&octets, tag.OCTET_STRING.Constructed()) {
		return false
	}
	for !octets.Empty() {
		var piece cryptobyte.String
		if !octets.ReadASN1(&piece, tag.OCTET_STRING) {
			return false
		}
		m.content = append(m.content, piece...)
	}
	return true
}

// readSigner reads a SignerInfo (RFC 5652, 5.3). The algorithm of the signature
// is not asked for: it follows from the digest and the kind of key.
func (m *signedMessage) readSigner(s cryptobyte.String) bool {
	var id, algorithm, attrs, issuer, serial cryptobyte.String
	var oid asn1.ObjectIdentifier
	m.signers++
	if !s.SkipASN1(tag.INTEGER) {
		return false
	}
	if s.PeekASN1Tag(tag.Tag(0).ContextSpecific()) {
		if !s.ReadASN1Bytes(&m.keyID, tag.Tag(0).ContextSpecific()) {
			return false
		}
	} else if !s.ReadASN1(&id, tag.SEQUENCE) || !id.ReadASN1Element(&issuer, tag.SEQUENCE) || !id.ReadASN1(&serial, tag.INTEGER) {
		return false
	}
	m.issuer, m.serial = issuer, serial
	if !s.ReadASN1(&algorithm, tag.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!s.ReadOptionalASN1(&attrs, &m.signed, tag.Tag(0).ContextSpecific().Constructed()) ||
		!s.SkipASN1(tag.SEQUENCE) || !s.ReadASN1Bytes(&m.signature, tag.OCTET_STRING) {
		return false
	}
	m.digest, m.attrs = digestOf(oid), nil
	for !attrs.Empty() {
		var whole, attr, values, value cryptobyte.String
		var a signedAttribute
		if !attrs.ReadASN1Element(&whole, tag.SEQUENCE) {
			return false
		}
		a.whole = whole
		if !whole.ReadASN1(&attr, tag.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&a.kind) ||
			!attr.ReadASN1(&values, tag.SET) || !values.ReadAnyASN1Element(&value, nil) {
			return false
		}
		a.value = value
		m.attrs = append(m.attrs, a)
	}
	return true
}

// attribute gives the value of a signed attribute, with its tag; nil when there
// is none, or more than one.
func (m *signedMessage) attribute(kind asn1.ObjectIdentifier) []byte {
	var value []byte
	for _, a := range m.attrs {
		if !a.kind.Equal(kind) {
			continue
		}
		if value != nil {
			return nil
		}
		value = a.value
	}
	return value
}

// signer gives the DER of the one signer's certificate.
func (m *signedMessage) signer() ([]byte, error) {
	if m.signers != 1 {
		return nil, errSigners
	}
	for _, der := range m.certs {
		if m.keyID != nil {
			if cert, err := x509.ParseCertificate(der); err == nil && bytes.Equal(cert.SubjectKeyId, m.keyID) {
				return der, nil
			}
			continue
		}
		var cert, tbs, serial, issuer cryptobyte.String
		whole := cryptobyte.String(der)
		if whole.ReadASN1(&cert, tag.SEQUENCE) && cert.ReadASN1(&tbs, tag.SEQUENCE) &&
			tbs.SkipOptionalASN1(tag.Tag(0).ContextSpecific().Constructed()) &&
			tbs.ReadASN1(&serial, tag.INTEGER) && tbs.SkipASN1(tag.SEQUENCE) && tbs.ReadASN1Element(&issuer, tag.SEQUENCE) &&
			bytes.Equal(serial, m.serial) && bytes.Equal(issuer, m.issuer) {
			return der, nil
		}
	}
	return nil, errSigners
}

// verify checks the one signature over content by key. It asks nobody's clock: a
// signing time outside the certificate's validity says only that a tablet's
// clock is wrong or its certificate has just run out, and either must be
// recognised before it is told so.
func (m *signedMessage) verify(content []byte, key any) error {
	if m.signers != 1 {
		return errSigners
	}
	if m.digest == 0 {
		return errAlgorithm
	}
	sum := digest(m.digest, content)
	if !m.signed {
		return m.check(sum, key)
	}
	var claimed []byte
	if rest, err := asn1.Unmarshal(m.attribute(pkcs7.OIDAttributeMessageDigest), &claimed); err != nil || len(rest) > 0 {
		return errMalformed
	}
	if !bytes.Equal(sum, claimed) {
		return errDigest
	}
	// RFC 5652, 5.4: what is signed is the DER of a SET OF, tag and all, and so in
	// order. Some clients sign the order they send instead.
	inOrder := func(a, b signedAttribute) int { return bytes.Compare(a.whole, b.whole) }
	if slices.IsSortedFunc(m.attrs, inOrder) {
		return m.check(digest(m.digest, setOf(m.attrs)), key)
	}
	if err := m.check(digest(m.digest, setOf(slices.SortedFunc(slices.Values(m.attrs), inOrder))), key); err == nil {
		return nil
	}
	return m.check(digest(m.digest, setOf(m.attrs)), key)
}

// verifyOwn checks the one signature over the content that came with it, and
// gives nothing but a verdict on that.
func (m *signedMessage) verifyOwn() error {
	cert, err := m.signerCertificate()
	if err != nil {
		return err
	}
	return m.verify(m.content, cert.PublicKey)
}

func (m *signedMessage) signerCertificate() (*x509.Certificate, error) {
	der, err := m.signer()
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func setOf(attrs []signedAttribute) []byte {
	n := 0
	for _, a := range attrs {
		n += len(a.whole)
	}
	out := appendLength(append(make([]byte, 0, n+6), byte(tag.SET)), n)
	for _, a := range attrs {
		out = append(out, a.whole...)
	}
	return out
}

func (m *signedMessage) check(sum []byte, key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() > maxRSABits {
			return errAlgorithm
		}
		if err := rsa.VerifyPKCS1v15(k, m.digest, sum, m.signature); err != nil {
			return fmt.Errorf("%w: %w", errSignature, err)
		}
		return nil
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, sum, m.signature) {
			return errSignature
		}
		return nil
	}
	return errAlgorithm
}

func digest(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

// digestOf is 0 for a digest that is not accepted.
func digestOf(oid asn1.ObjectIdentifier) crypto.Hash {
	switch {
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA256):
		return crypto.SHA256
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA1): // older iPads sign with it
		return crypto.SHA1
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA384):
		return crypto.SHA384
	case oid.Equal(pkcs7.OIDDigestAlgorithmSHA512):
		return crypto.SHA512
	}
	return 0
}
