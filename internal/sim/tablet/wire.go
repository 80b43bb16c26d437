package tablet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Apple, Device Management, "Sending MDM commands to a device": what a device
// sends with.
const (
	typeCheckIn = "application/x-apple-aspen-mdm-checkin"
	typeReport  = "application/x-apple-aspen-mdm"
	userAgent   = "MDM/1.0"
)

// StatusError is an answer other than 200.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// dismissed tells that the server does not manage this tablet: it unenrolls
// (Apple, mdm/errors/unrecognized.device; a 401 does the same).
func (e *StatusError) dismissed() bool {
	return e.Status == http.StatusUnauthorized ||
		e.Status == http.StatusForbidden && strings.Contains(e.Body, `"com.apple.unrecognized.device"`)
}

// http is the client for the trusted roots of now; it is made anew when they or
// the identity change.
func (t *Tablet) http(id *Identity) (*http.Client, error) {
	var extra []*x509.Certificate
	key := ""
	t.with(func() {
		for _, p := range t.mem.profiles {
			extra = append(extra, p.roots...)
		}
	})
	for _, c := range extra {
		key += string(c.Raw)
	}
	if id != nil {
		key += "|" + id.Hash()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client != nil && t.trusted == key {
		return t.client, nil
	}
	roots := t.cfg.Roots
	if len(extra) > 0 {
		var err error
		if roots, err = widen(roots, extra); err != nil {
			return nil, err
		}
	}
	if t.client != nil {
		t.client.CloseIdleConnections()
	}
	t.trusted, t.client = key, t.newClient(roots, id)
	return t.client, nil
}

func widen(roots *x509.CertPool, extra []*x509.Certificate) (*x509.CertPool, error) {
	if roots != nil {
		roots = roots.Clone()
	} else {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read the system's roots: %w", err)
		}
	}
	for _, c := range extra {
		roots.AddCert(c)
	}
	return roots, nil
}

func (t *Tablet) newClient(roots *x509.CertPool, id *Identity) *http.Client {
	if t.cfg.Client != nil {
		return t.cfg.Client(roots, id)
	}
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if id != nil && t.cfg.PresentIdentity {
		c.Certificates = []tls.Certificate{id.TLS()}
	}
	return &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 15 * time.Second},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if via[0].Method == http.MethodPut || len(via) > 5 {
				return http.ErrUseLastResponse // an iPad does not follow with a message
			}
			return nil
		},
	}
}

// fetch gets an enrollment profile as Safari does.
func (t *Tablet) fetch(ctx context.Context, url string) ([]byte, error) {
	client, err := t.http(nil)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the profile: %w", err)
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1")
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch the profile: %w", err)
	}
	body, err := drain(res)
	if err != nil {
		return nil, fmt.Errorf("fetch the profile: %w", err)
	}
	if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/x-apple-aspen-config") {
		return nil, fmt.Errorf("fetch the profile: it came as %q, which Safari does not take for a profile", ct)
	}
	return body, nil
}

func drain(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	_ = res.Body.Close() // only read from
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, &StatusError{Status: res.StatusCode, Body: string(body[:min(len(body), 1000)])}
	}
	return body, nil
}

// put sends a message to the server with its signature.
func (t *Tablet) put(ctx context.Context, e *enrollment, contentType string, message map[string]any) ([]byte, error) {
	if !t.online() {
		return nil, ErrOffline
	}
	body, err := encode(message)
	if err != nil {
		return nil, err
	}
	url := e.server
	if contentType == typeCheckIn {
		url = e.checkIn
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("talk to the server: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", userAgent)
	if e.sign {
		sig, err := t.cfg.Signature.sign(body, e.id, t.cfg.Clock.Now())
		if err != nil {
			return nil, err
		}
		req.Header.Set("Mdm-Signature", base64.StdEncoding.EncodeToString(sig))
	}
	client, err := t.http(e.id)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("talk to the server: %w", err)
	}
	return drain(res)
}
