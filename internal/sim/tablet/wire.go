package tablet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// HTTPError is an answer of the server that is not 200.
type HTTPError struct {
	Status      int
	ContentType string
	RetryAfter  time.Duration // 0: it did not say
	Body        []byte
}

// Error names the status; the body is for the caller.
func (e *HTTPError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// Ends tells whether an iPad takes the answer as the end of its management: 401
// always did, and since iOS 17 a 403 with Apple's code.
//
// Apple, mdm/errors/unrecognized.device.yaml.
func (e *HTTPError) Ends() bool {
	if e.Status == http.StatusUnauthorized {
		return true
	}
	var said struct{ Code string }
	return e.Status == http.StatusForbidden && json.Unmarshal(e.Body, &said) == nil && said.Code == "com.apple.unrecognized.device"
}

// errRedirect: an iPad follows no redirect on its way to the MDM server (12006).
var errRedirect = errors.New("the server redirects; an iPad refuses that")

// client makes the tablet's HTTP client for the roots.
func (t *Tablet) client(roots *x509.CertPool, id *Identity) *http.Client {
	if t.cfg.Client != nil {
		return t.cfg.Client(roots, id)
	}
	return NewClient(roots, id)
}

// NewClient is an HTTP client as an iPad's: it trusts the roots, presents the
// identity if asked for one, and follows no redirect but of GET.
func NewClient(roots *x509.CertPool, id *Identity) *http.Client {
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if id != nil {
		conf.Certificates = []tls.Certificate{id.TLS()}
	}
	return &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: noRedirect,
		Transport: &http.Transport{
			TLSClientConfig: conf, MaxIdleConnsPerHost: 16, IdleConnTimeout: 5 * time.Second,
			ForceAttemptHTTP2: true, ResponseHeaderTimeout: 50 * time.Second,
		},
	}
}

func noRedirect(req *http.Request, via []*http.Request) error {
	if req.Method == http.MethodGet && len(via) < 10 {
		return nil
	}
	return errRedirect
}

const (
	typeCheckIn = "application/x-apple-aspen-mdm-checkin"
	typeCommand = "application/x-apple-aspen-mdm"
	typeConfig  = "application/x-apple-aspen-config"
)

// put sends a message with the management's identity and gives the answer's body.
func (t *Tablet) put(ctx context.Context, m *management, url, contentType string, message map[string]any) ([]byte, error) {
	body, err := encode(message)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("talk to the server: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "MDM/1.0")
	if m.sign {
		signature, err := t.cfg.Signature.sign(body, m.identity, t.cfg.Clock.Now())
		if err != nil {
			return nil, err
		}
		req.Header.Set("Mdm-Signature", base64.StdEncoding.EncodeToString(signature))
	}
	return answer(m.http, req)
}

// answer sends a request and reads what comes back; only 200 is good.
func answer(c *http.Client, req *http.Request) ([]byte, error) {
	body, _, err := ask(c, req)
	return body, err
}

// ask is answer with the content type of what came back.
func ask(c *http.Client, req *http.Request) (body []byte, contentType string, err error) {
	res, err := c.Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("talk to the server: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // only read from
	if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return nil, "", fmt.Errorf("read the server's answer: %w", err)
	}
	contentType = res.Header.Get("Content-Type")
	if res.StatusCode != http.StatusOK {
		h := &HTTPError{Status: res.StatusCode, ContentType: contentType, Body: body}
		if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 { // a date is for proxies
			h.RetryAfter = time.Duration(n) * time.Second
		}
		return nil, "", h
	}
	return body, contentType, nil
}

// safari is who fetches an enrollment profile on an iPad.
const safari = "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"

// fetchProfile gets an enrollment profile by its address.
func (t *Tablet) fetchProfile(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the profile: %w", err)
	}
	req.Header.Set("User-Agent", safari)
	body, got, err := ask(t.client(t.cfg.Roots, nil), req)
	if err != nil {
		return nil, fmt.Errorf("fetch the profile: %w", err)
	}
	// Safari offers to install a profile only if it is called one.
	if !strings.HasPrefix(got, typeConfig) {
		return nil, fmt.Errorf("fetch the profile: its content type is %q, not %s", got, typeConfig)
	}
	return body, nil
}
