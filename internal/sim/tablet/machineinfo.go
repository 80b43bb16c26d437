package tablet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// askForProfile sends the machine info and gets the enrollment profile; the
// tablet updates itself first if the server wants that.
func (t *Tablet) askForProfile(ctx context.Context, a activation) ([]byte, error) {
	where := text(a.Profile, "url")
	if u, err := url.Parse(where); err != nil || u.Host == "" || !secure(u) {
		return nil, fmt.Errorf("the url %q of the enrollment profile is not HTTPS", where)
	}
	// With anchors of its own the connection is judged by them alone.
	roots := t.cfg.Roots
	if len(t.anchors) > 0 {
		roots = x509.NewCertPool()
		for _, c := range t.anchors {
			roots.AddCert(c)
		}
	}
	client := t.client(roots, nil)
	for {
		body, err := t.postInfo(ctx, a, where, client)
		h, ok := errors.AsType[*HTTPError](err)
		if !ok {
			return body, err
		}
		version, build := h.wantedOS()
		if version == "" {
			return nil, err
		}
		if err := t.update(ctx, version, build); err != nil {
			return nil, err
		}
	}
}

// machineInfo is what the tablet tells of itself.
//
// Apple, other/machineinfo.yaml.
func (t *Tablet) machineInfo() map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	info := map[string]any{
		"UDID": t.cfg.UDID, "SERIAL": t.cfg.Serial, "PRODUCT": t.cfg.Product, "VERSION": t.cfg.BuildVersion, "LANGUAGE": "de",
	}
	if !newer("17.0", t.cfg.OSVersion) {
		info["OS_VERSION"], info["SUPPLEMENTAL_BUILD_VERSION"] = t.cfg.OSVersion, t.cfg.BuildVersion
		info["MDM_CAN_REQUEST_SOFTWARE_UPDATE"] = true
	}
	if !newer("17.4", t.cfg.OSVersion) {
		info["SOFTWARE_UPDATE_DEVICE_ID"] = t.cfg.Product
	}
	return info
}

func (t *Tablet) postInfo(ctx context.Context, a activation, where string, client *http.Client) ([]byte, error) {
	body, err := encode(t.machineInfo())
	if err != nil {
		return nil, err
	}
	signed, err := a.sign(body, t.cfg.Clock.Now())
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(signed))
	if err != nil {
		return nil, fmt.Errorf("ask for the enrollment profile: %w", err)
	}
	req.Header.Set("Content-Type", "application/pkcs7-signature")
	req.Header.Set("User-Agent", "Setup/1.0")
	got, kind, err := ask(client, req)
	if err != nil {
		return nil, fmt.Errorf("ask for the enrollment profile: %w", err)
	}
	if !strings.HasPrefix(kind, typeConfig) {
		return nil, fmt.Errorf("ask for the enrollment profile: the answer's content type is %q, not %s", kind, typeConfig)
	}
	return got, nil
}

// wantedOS reads a refusal that wants a newer iPadOS first: JSON or a property
// list, and its content type says which.
//
// Apple, mdm/errors/softwareupdate.required.yaml.
func (e *HTTPError) wantedOS() (version, build string) {
	var said map[string]any
	switch kind, _, _ := strings.Cut(e.ContentType, ";"); {
	case e.Status != http.StatusForbidden:
		return "", ""
	case strings.HasSuffix(kind, "json"):
		if json.Unmarshal(e.Body, &said) != nil {
			return "", ""
		}
	case strings.HasSuffix(kind, "xml"):
		var err error
		if said, err = decode(e.Body); err != nil {
			return "", ""
		}
	}
	if text(said, "code") != "com.apple.softwareupdate.required" {
		return "", ""
	}
	details := dict(said, "details")
	return text(details, "OSVersion"), text(details, "BuildVersion")
}

// update brings the tablet to another iPadOS.
func (t *Tablet) update(ctx context.Context, version, build string) error {
	t.mu.Lock()
	have := t.cfg.OSVersion
	t.mu.Unlock()
	switch {
	case newer("17.0", have):
		return fmt.Errorf("the server wants iPadOS %s first; iPadOS %s does not understand that", version, have)
	case !newer(version, have):
		return fmt.Errorf("the server wants iPadOS %s first, and the tablet has %s already", version, have)
	case newer(version, newestOS):
		return fmt.Errorf("the server wants iPadOS %s first, and there is none newer than %s", version, newestOS)
	}
	t.mu.Lock()
	t.setup = setupUpdating
	t.mu.Unlock()
	if err := t.pause(ctx, t.cfg.UpdateTime); err != nil {
		return err
	}
	if build == "" {
		build = buildOf(version)
	}
	t.mu.Lock()
	t.cfg.OSVersion, t.cfg.BuildVersion, t.setup = version, build, setupEnrolling
	t.rules = t.cfg.book.at(version)
	t.mu.Unlock()
	t.emit(Event{Event: "updated", Message: version})
	return nil
}

// sign wraps the machine info as iPads do: CMS with the content in it, SHA-1 and
// RSA, and the chain of the identity that Apple gave it.
func (a activation) sign(content []byte, now time.Time) ([]byte, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode([]byte(a.Identity.CertPEM)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the tablet's certificate: %w", err)
		}
		chain = append(chain, c)
	}
	block, _ := pem.Decode([]byte(a.Identity.KeyPEM))
	if len(chain) == 0 || block == nil {
		return nil, errors.New("Apple gave the tablet no identity")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the tablet's key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the tablet's key is %T, not RSA", parsed)
	}
	who, err := issuerAndSerial(chain[0])
	if err != nil {
		return nil, err
	}
	attributes := [][]byte{
		der(tagSequence, derOID(oidContentType), der(tagSet, derOID(oidData))),
		der(tagSequence, derOID(oidSigningTime), der(tagSet, der(tagUTCTime, []byte(now.UTC().Format("060102150405Z"))))),
		der(tagSequence, derOID(oidMessageDigest), der(tagSet, der(tagOctets, sum(crypto.SHA1, content)))),
	}
	slices.SortFunc(attributes, bytes.Compare)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, sum(crypto.SHA1, der(tagSet, attributes...)))
	if err != nil {
		return nil, fmt.Errorf("sign the machine info: %w", err)
	}
	var certs []byte
	for _, c := range chain {
		certs = append(certs, c.Raw...)
	}
	one := []byte{tagInteger, 1, 1}
	signer := der(tagSequence, one, who, algorithm(oidSHA1), der(tagContext0, attributes...), algorithm(oidRSA), der(tagOctets, signature))
	return der(tagSequence, derOID(oidSignedData), der(tagContext0,
		der(tagSequence, one, der(tagSet, algorithm(oidSHA1)), der(tagSequence, derOID(oidData), der(tagContext0, der(tagOctets, content))),
			der(tagContext0, certs), der(tagSet, signer)))), nil
}
