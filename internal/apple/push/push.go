// Package push speaks to Apple's push service (APNs) over HTTP/2 with the MDM
// push certificate.
//
// It keeps no state but connections and decides nothing: when a tablet is woken,
// and what follows from a refusal, is package commands' business. Losing a push
// costs time, never a command.
//
// Source: Apple, User Notifications, "Sending notification requests to APNs"
// and "Handling notification responses from APNs".
package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"ranzen/internal/clock"
	"ranzen/internal/fault"
)

// Apple is where Apple runs the service.
const Apple = "https://api.push.apple.com"

const (
	// expireAfter is how long APNs keeps a push for a tablet that is off: a tablet
	// that spent a week in its cart is woken when it is opened. Silent ones are
	// pushed anew each day, so that longer holidays are covered too.
	expireAfter = 7 * 24 * time.Hour
	// atOnce bounds streams in flight; Apple allows about 1,000 a connection.
	atOnce = 400
	// sendTimeout bounds one push, the second try included.
	sendTimeout = 30 * time.Second
	// idlePing finds dead connections before a push is lost on one.
	idlePing = 30 * time.Second
	pingWait = 10 * time.Second
)

// ErrNoCertificate is what Config.Certificate answers when there is none yet.
var ErrNoCertificate = errors.New("there is no push certificate")

// Target is a tablet to wake.
type Target struct {
	EnrollmentID string
	Token        []byte
	Magic        fault.Secret
	Topic        string
}

// Config is how the service is reached.
type Config struct {
	URL   string         // empty: Apple's
	Roots *x509.CertPool // nil: the system's
	// Certificate gives what to sign in with. version changes when it does.
	Certificate func(ctx context.Context) (cert tls.Certificate, topic string, version int64, err error)
	Clock       clock.Clock
	Log         *slog.Logger
}

// Client wakes tablets. It is safe for many goroutines.
type Client struct {
	cfg Config

	mu      sync.Mutex
	version int64
	http    *http2.Transport
}

// New makes a Client. It does not connect.
func New(cfg Config) *Client {
	if cfg.URL == "" {
		cfg.URL = Apple
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	return &Client{cfg: cfg}
}

// Refused is APNs' last word on a token: it is gone, or never was for us.
type Refused struct{ Word string }

func (r Refused) Error() string { return "APNs refused the push: " + r.Word }

// Permanent tells that no repetition heals it.
func (Refused) Permanent() bool { return true }

// Reason is APNs' word, for people.
func (r Refused) Reason() string { return r.Word }

// Later is a push that may succeed another time.
type Later struct {
	Text  string
	After time.Duration // 0: as the caller likes
}

func (l Later) Error() string { return l.Text }

// RetryAfter is when APNs wants to be asked again; 0: it did not say.
func (l Later) RetryAfter() time.Duration { return l.After }

// without is how long to wait for a certificate that somebody must import, or
// for one that Apple does not accept.
const (
	withoutCertificate  = 5 * time.Minute
	certificateRejected = 15 * time.Minute
)

// Wake pushes to all targets and gives the errors by EnrollmentID.
func (c *Client) Wake(ctx context.Context, targets []Target) map[string]error {
	failed := make(map[string]error)
	cert, topic, version, err := c.cfg.Certificate(ctx)
	if err != nil {
		for _, t := range targets {
			failed[t.EnrollmentID] = Later{Text: c.unable(ctx, err), After: withoutCertificate}
		}
		return failed
	}
	transport := c.transport(cert, version)
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, t := range targets {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := c.push(ctx, transport, t, topic); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[t.EnrollmentID] = err
			}
		})
	}
	all.Wait()
	return failed
}

func (c *Client) unable(ctx context.Context, err error) string {
	if errors.Is(err, ErrNoCertificate) {
		return ErrNoCertificate.Error()
	}
	c.cfg.Log.ErrorContext(ctx, "the push certificate cannot be used", "err", err)
	return "the push certificate cannot be used"
}

// transport is the connections that belong to a certificate; those of an older
// one are let go once they are idle.
func (c *Client) transport(cert tls.Certificate, version int64) *http2.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil && c.version == version {
		return c.http
	}
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	c.version = version
	c.http = &http2.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.cfg.Roots, Certificates: []tls.Certificate{cert}},
		ReadIdleTimeout: idlePing,
		PingTimeout:     pingWait,
	}
	return c.http
}

// push sends one push, a second time when the connection failed: the tablet
// takes two of the same as one.
func (c *Client) push(ctx context.Context, transport *http2.Transport, t Target, topic string) error {
	if t.Topic != topic {
		return Refused{"DeviceTokenNotForTopic"} // Apple might take it and drop it
	}
	body, err := json.Marshal(map[string]string{"mdm": t.Magic.Open()})
	if err != nil {
		return Refused{"PayloadInvalid"}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	for try := 0; ; try++ {
		res, err := c.send(ctx, transport, t, topic, body)
		if err == nil {
			return c.judge(ctx, res)
		}
		if try > 0 || ctx.Err() != nil {
			// Not the error itself: it holds the address, which holds the token.
			return Later{Text: "APNs could not be reached"}
		}
	}
}

func (c *Client) send(ctx context.Context, transport *http2.Transport, t Target, topic string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+"/3/device/"+hex.EncodeToString(t.Token), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("apns-push-type", "mdm")
	req.Header.Set("apns-topic", topic)
	req.Header.Set("apns-priority", "10")
	req.Header.Set("apns-expiration", strconv.FormatInt(c.cfg.Clock.Now().Add(expireAfter).Unix(), 10))
	req.Header.Set("content-type", "application/json")
	return transport.RoundTrip(req)
}

// judge makes of APNs' answer what the caller can act on.
func (c *Client) judge(ctx context.Context, res *http.Response) error {
	defer res.Body.Close() //nolint:errcheck // it was read
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if res.StatusCode == http.StatusOK {
		return nil
	}
	var said struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(raw, &said) // without a reason the status must do
	word := said.Reason
	if len(word) > 64 || word == "" || strings.ContainsFunc(word, func(r rune) bool { return r < '!' || r > '~' }) {
		word = "status " + strconv.Itoa(res.StatusCode)
	}
	switch {
	case res.StatusCode == http.StatusGone, word == "BadDeviceToken", word == "DeviceTokenNotForTopic", word == "Unregistered", word == "ExpiredToken":
		return Refused{word}
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500:
		return Later{Text: "APNs asked to wait: " + word, After: retryAfter(res.Header.Get("Retry-After"), c.cfg.Clock.Now())}
	}
	// Ours to mend, not the tablet's fault: a certificate that Apple does not
	// accept must not mark the whole fleet.
	c.cfg.Log.ErrorContext(ctx, "APNs does not accept our pushes", "status", res.StatusCode, "reason", word)
	return Later{Text: fmt.Sprintf("APNs does not accept our pushes: %s", word), After: certificateRejected}
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); 0 if neither.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil && n >= 0 {
		return min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return min(t.Sub(now), 24*time.Hour)
	}
	return 0
}
