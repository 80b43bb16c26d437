package tablet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// ErrNoProfile is a tablet that Apple assigns no enrollment profile: in life it
// goes on without management, and only an erase brings it back.
var ErrNoProfile = errors.New("Apple assigns no enrollment profile to the tablet")

// maxUpdates bounds how often a server may want another iPadOS.
const maxUpdates = 3

// activation is what Apple tells a tablet that was just switched on.
type activation struct {
	Profile  map[string]any `json:"profile"`
	Identity struct {
		CertPEM string `json:"cert_pem"` // the chain, leaf first
		KeyPEM  string `json:"key_pem"`
	} `json:"identity"`
}

// SetUp switches a tablet on that is fresh: it asks Apple who manages it, enrolls
// there without a person, and stays in Setup Assistant if it shall (Automated
// Device Enrollment).
func (t *Tablet) SetUp(ctx context.Context) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	if t.Enrolled() {
		return ErrEnrolled
	}
	a, err := t.activate(ctx)
	if err != nil {
		return t.failed("setup-failed", err)
	}
	if a.Profile == nil {
		return t.failed("unmanaged-setup", ErrNoProfile)
	}
	raw, err := t.askForProfile(ctx, a)
	if err != nil {
		return t.failed("setup-failed", err)
	}
	t.mu.Lock()
	t.cfg.Supervised = flag(a.Profile, "is_supervised")
	t.awaiting, t.viaADE = flag(a.Profile, "await_device_configured") && t.cfg.Supervised, true
	t.mu.Unlock()
	return t.enrollWith(ctx, raw)
}

// activate asks Apple.
func (t *Tablet) activate(ctx context.Context) (a activation, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.cfg.Activation+"/activation/"+t.cfg.Serial, nil)
	if err != nil {
		return a, fmt.Errorf("activate: %w", err)
	}
	body, err := answer(t.client(t.cfg.Roots, nil), req)
	if err != nil {
		return a, fmt.Errorf("activate: %w", err)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("activate: %w", err)
	}
	return a, nil
}

// askForProfile sends the machine info, and updates the tablet if it must.
func (t *Tablet) askForProfile(ctx context.Context, a activation) ([]byte, error) {
	var anchors []*x509.Certificate
	for _, v := range list(a.Profile, "anchor_certs") {
		der, err := base64.StdEncoding.DecodeString(fmt.Sprint(v))
		if err != nil {
			return nil, fmt.Errorf("the profile's anchor_certs: %w", err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("the profile's anchor_certs: %w", err)
		}
		anchors = append(anchors, c)
	}
	roots, err := poolWith(t.cfg.Roots, anchors)
	if err != nil {
		return nil, err
	}
	for range maxUpdates {
		body, err := t.postInfo(ctx, a, t.client(roots, nil))
		version := ""
		if version, err = updateWanted(err); err != nil {
			return nil, err
		}
		if version == "" {
			return body, nil
		}
		t.mu.Lock()
		t.cfg.OSVersion, t.cfg.BuildVersion = version, "99Z"+version
		t.mu.Unlock()
		t.emit(Event{Event: "updated", Message: version})
	}
	return nil, fmt.Errorf("the server wanted another iPadOS %d times", maxUpdates)
}

func (t *Tablet) postInfo(ctx context.Context, a activation, client *http.Client) ([]byte, error) {
	t.mu.Lock()
	info := map[string]any{
		"UDID": t.cfg.UDID, "SERIAL": t.cfg.Serial, "PRODUCT": t.cfg.Product, "VERSION": t.cfg.BuildVersion, "OS_VERSION": t.cfg.OSVersion,
		"LANGUAGE": "de", "MDM_CAN_REQUEST_SOFTWARE_UPDATE": major(t.cfg.OSVersion) >= 17, "SOFTWARE_UPDATE_DEVICE_ID": t.cfg.Product,
		"SUPPLEMENTAL_BUILD_VERSION": t.cfg.BuildVersion,
	}
	t.mu.Unlock()
	body, err := encode(info)
	if err != nil {
		return nil, err
	}
	signed, err := a.sign(body, t.cfg.Clock.Now())
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, text(a.Profile, "url"), bytes.NewReader(signed))
	if err != nil {
		return nil, fmt.Errorf("ask for the enrollment profile: %w", err)
	}
	req.Header.Set("Content-Type", "application/pkcs7-signature")
	req.Header.Set("User-Agent", "Setup/1.0")
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for the enrollment profile: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // only read from
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask for the enrollment profile: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, &HTTPError{Status: res.StatusCode, Body: got}
	}
	return got, nil
}

// updateWanted reads a refusal that wants a newer iPadOS first.
//
// Apple, mdm/errors/softwareupdate.required.yaml.
func updateWanted(err error) (version string, _ error) {
	h, ok := errors.AsType[*HTTPError](err)
	if !ok || h.Status != http.StatusForbidden {
		return "", err
	}
	var said struct {
		Code    string `json:"code"`
		Details struct{ OSVersion string }
	}
	if json.Unmarshal(h.Body, &said) != nil || said.Code != "com.apple.softwareupdate.required" || said.Details.OSVersion == "" {
		return "", err
	}
	return said.Details.OSVersion, nil
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
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("read the tablet's key: %w", err)
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

// setUpPatiently is a fleet's way to switch a tablet on: who sets up an iPad
// tries again when it fails. The pauses hold up no other tablet.
func (f *Fleet) setUpPatiently(ctx context.Context, m *member) error {
	const tries = 30
	for n := 1; ; n++ {
		err := f.talk(ctx, m, func() error { return m.SetUp(ctx) })
		if err == nil || m.Enrolled() || n == tries || errors.Is(err, ErrNoProfile) || ctx.Err() != nil {
			return err
		}
		if err := pause(ctx, time.Duration(min(n, 10))*500*time.Millisecond); err != nil {
			return err
		}
	}
}
