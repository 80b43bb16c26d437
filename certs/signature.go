package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"sync"

	"ranzen/internal/fault"
)

// maxHeader bounds a header that carries a signature or a certificate. An iPad's
// has about 3 kB.
const maxHeader = 16 << 10

// VerifySignature checks an Mdm-Signature: base64 of a detached CMS signature
// over exactly the bytes of the body (Apple, Device Management, MDM >
// SignMessage). It says who signed, not whether that is anybody we know, and not
// whether the certificate is still valid: Lookup and the caller decide that.
//
// Two idle polls of a device sign the same bytes, so a verdict is kept for a
// while: the same header with the same body can have no other. Where the time of
// signing makes each header new, the signer's key is at least known already.
// What is kept is of certificates of this CA only, so that strangers neither
// fill the memory nor drive out who belongs here.
func (r *Room) VerifySignature(header string, body []byte) (Presented, error) {
	if header == "" {
		return Presented{}, fault.New(fault.Invalid, "signature.missing", "The request has no Mdm-Signature.")
	}
	if len(header) > maxHeader {
		return Presented{}, fault.New(fault.Invalid, "signature.size", "The Mdm-Signature is longer than %d bytes.", maxHeader)
	}
	key := verdict{sha256.Sum256([]byte(header)), sha256.Sum256(body)}
	if s, ok := r.verified.get(key); ok {
		return Presented{s.hash}, nil
	}
	unreadable := fault.New(fault.Invalid, "signature.unreadable", "The Mdm-Signature is not a CMS message in base64.")
	wrong := fault.New(fault.Invalid, "signature.wrong", "The Mdm-Signature does not fit the body.")
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(header))
	if err != nil {
		return Presented{}, unreadable.With(err)
	}
	msg, err := parseSigned(b)
	if err != nil {
		return Presented{}, unreadable.With(err)
	}
	der, err := msg.signer()
	if err != nil {
		return Presented{}, wrong.With(err)
	}
	name := sha256.Sum256(der)
	s, known := r.signers.get(name)
	var cert *x509.Certificate
	if !known {
		if cert, err = x509.ParseCertificate(der); err != nil {
			return Presented{}, unreadable.With(err)
		}
		s = &signer{hex.EncodeToString(name[:]), cert.PublicKey}
	}
	if err := msg.verify(body, s.key); err != nil {
		return Presented{}, wrong.With(err)
	}
	if !known && cert.CheckSignatureFrom(r.inter.cert) == nil {
		r.signers.put(name, s)
		known = true
	}
	if known {
		r.verified.put(key, s)
	}
	return Presented{s.hash}, nil
}

// signer is a certificate of this CA whose key has signed something.
type signer struct {
	hash string
	key  crypto.PublicKey
}

type verdict struct{ header, body [sha256.Size]byte }

// rememberedSigners bounds each generation of what VerifySignature remembers:
// some 16,000 devices, about 1 kB each.
const rememberedSigners = 16_384

// remembered keeps what was used lately in two generations: when the young one
// is full it becomes the old one, and what was old and not asked for again is
// gone.
type remembered[K comparable] struct {
	mu         sync.Mutex
	young, old map[K]*signer
}

func (c *remembered[K]) get(k K) (*signer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.young[k]; ok {
		return s, true
	}
	s, ok := c.old[k]
	if ok {
		c.add(k, s)
	}
	return s, ok
}

func (c *remembered[K]) put(k K, s *signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, s)
}

func (c *remembered[K]) add(k K, s *signer) {
	if len(c.young) >= rememberedSigners {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[K]*signer)
	}
	c.young[k] = s
}

// ParseHeader reads the client certificate that a trusted proxy hands on, in the
// forms that occur: RFC 9440 (":base64:"), PEM escaped as in a URL (nginx), PEM
// with its line ends turned to spaces or tabs (Apache, HAProxy), bare base64 of
// the DER (Traefik), which may be escaped.
func ParseHeader(value string) (*x509.Certificate, error) {
	bad := fault.New(fault.Invalid, "certificate.header", "The header that should carry the client certificate holds none.")
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxHeader {
		return nil, bad
	}
	if strings.Contains(value, "%") {
		u, err := url.PathUnescape(value)
		if err != nil {
			return nil, bad.With(err)
		}
		value = u
	}
	value = strings.Trim(value, `:"`)
	if begin, end := strings.Index(value, pemBegin), strings.Index(value, pemEnd); begin >= 0 && end > begin {
		value = value[begin+len(pemBegin) : end]
	}
	value = strings.Map(func(c rune) rune {
		if strings.ContainsRune(" \t\r\n", c) {
			return -1
		}
		return c
	}, value)
	if i := strings.IndexByte(value, ','); i >= 0 { // Traefik: the chain follows
		value = value[:i]
	}
	der, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, bad.With(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, bad.With(err)
	}
	return cert, nil
}

const (
	pemBegin = "-----BEGIN CERTIFICATE-----"
	pemEnd   = "-----END CERTIFICATE-----"
)

// SignCMS signs a profile: attached, SHA-256, with the certificates below the
// root in it. A tablet that trusts the root shows the profile as verified.
func (r *Room) SignCMS(content []byte) ([]byte, error) {
	return signCMS(content, *r.signer.Load(), nil, []*x509.Certificate{r.inter.cert}, nil)
}

// UnwrapCMS gives the content of an uploaded profile, which may be signed. The
// signature must be in order; by whom it was made is not asked.
func UnwrapCMS(b []byte) (content []byte, signed bool, err error) {
	if block, _ := pem.Decode(b); block != nil && (block.Type == "PKCS7" || block.Type == "CMS") {
		b = block.Bytes
	}
	if !bytes.HasPrefix(b, []byte{0x30}) { // neither XML nor a binary plist begins with SEQUENCE
		return b, false, nil
	}
	msg, err := parseSigned(b)
	if err != nil {
		return nil, true, fault.New(fault.Invalid, "cms.unreadable", "The file looks signed, but it is not a CMS message.").With(err)
	}
	if len(msg.content) == 0 {
		return nil, true, fault.New(fault.Invalid, "cms.empty", "The signed file has no content; upload the profile itself, not a detached signature.")
	}
	if err := msg.verifyOwn(); err != nil {
		return nil, true, fault.New(fault.Invalid, "cms.signature",
			"The signature of the file is not in order; it was changed after signing, or damaged. Sign it again or upload it unsigned.").With(err)
	}
	return msg.content, true, nil
}
