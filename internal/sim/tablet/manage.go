package tablet

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/crypto/pkcs12"
)

// manage reads the MDM payload and fetches the identity; nothing of the tablet
// changes.
func (t *Tablet) manage(ctx context.Context, p *installed) (*management, error) {
	m := readManagement(p)
	if err := m.check(); err != nil {
		return nil, err
	}
	roots, bad := p.roots()
	if bad != nil {
		return nil, bad
	}
	trusted, err := poolWith(t.cfg.Roots, append(roots, t.anchors...))
	if err != nil {
		return nil, err
	}
	if m.identity, err = t.identity(ctx, p, text(p.payload("com.apple.mdm"), "IdentityCertificateUUID"), trusted); err != nil {
		return nil, err
	}
	var presented *Identity
	if t.cfg.PresentIdentity || !m.sign {
		presented = m.identity
	}
	m.http = t.client(trusted, presented)
	return m, nil
}

func readManagement(p *installed) *management {
	c := p.payload("com.apple.mdm")
	m := &management{
		profileID: p.id(), serverURL: text(c, "ServerURL"), checkInURL: text(c, "CheckInURL"), topic: text(c, "Topic"),
		sign: flag(c, "SignMessage"), checkOut: flag(c, "CheckOutWhenRemoved"),
	}
	m.rights, _ = whole(c, "AccessRights")
	if m.checkInURL == "" {
		m.checkInURL = m.serverURL
	}
	for _, s := range list(c, "ServerCapabilities") {
		m.capabilities = append(m.capabilities, fmt.Sprint(s))
	}
	return m
}

// check is what an iPad wants of an MDM payload beyond its types.
func (m *management) check() error {
	for _, s := range []string{m.serverURL, m.checkInURL} {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return refuse(mdmDomain, 12030, "The URL “%s” of the MDM payload is invalid.", s)
		}
		if !secure(u) {
			return refuse(mdmDomain, 12034, "The URL “%s” of the MDM payload is not HTTPS.", s)
		}
	}
	if !strings.HasPrefix(m.topic, "com.apple.mgmt.") {
		return refuse(mdmDomain, 12022, "The topic “%s” is invalid: it must begin with com.apple.mgmt.", m.topic)
	}
	if m.rights < 1 || m.rights > 8191 {
		return refuse(mdmDomain, 12000, "The access rights %d are invalid.", m.rights)
	}
	return nil
}

// secure: an iPad wants HTTPS everywhere; servers under test run on loopback.
func secure(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1")
}

// poolWith adds roots to a pool; nil is the system's.
func poolWith(base *x509.CertPool, more []*x509.Certificate) (*x509.CertPool, error) {
	if len(more) == 0 {
		return base, nil
	}
	var pool *x509.CertPool
	if base != nil {
		pool = base.Clone()
	} else {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the system's roots: %w", err)
		}
		pool = system
	}
	for _, c := range more {
		pool.AddCert(c)
	}
	return pool, nil
}

// identity gets the identity that the MDM payload refers to.
func (t *Tablet) identity(ctx context.Context, p *installed, uuid string, roots *x509.CertPool) (*Identity, error) {
	c := p.byUUID(uuid)
	if c == nil {
		return nil, refuse(mdmDomain, 12005, "The certificate “%s” of the MDM payload is not in its profile.", uuid)
	}
	switch kind := text(c, "PayloadType"); kind {
	case "com.apple.security.pkcs12":
		raw, _ := c["PayloadContent"].([]byte)
		key, cert, err := pkcs12.Decode(raw, text(c, "Password"))
		if err != nil {
			return nil, refuse(certificateDomain, 9000, "The identity in the profile cannot be opened: %v", err)
		}
		rsaKey, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, refuse(certificateDomain, 9006, "The identity in the profile has a key of type %T, not RSA.", key)
		}
		return identityOf(cert, rsaKey)
	case "com.apple.security.scep":
		order, err := readSCEP(c)
		if err != nil {
			return nil, refuse(scepDomain, 22013, "%v", err)
		}
		key, err := t.cfg.Keys.Take()
		if err != nil {
			return nil, err
		}
		client := &scepClient{http: t.client(roots, nil), url: order.url, now: t.cfg.Clock.Now}
		id, err := client.fetchIdentity(ctx, key, order)
		if err != nil {
			return nil, refuse(scepDomain, 22013, "The SCEP server returned an invalid response: %v", err)
		}
		return id, nil
	default:
		return nil, refuse(mdmDomain, 12016, "A payload of type %s is no identity.", kind)
	}
}
