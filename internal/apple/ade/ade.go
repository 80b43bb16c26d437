// Package ade speaks with Apple's device assignment service, the wire side of
// Automated Device Enrollment (Apple, Device Management, "Device assignment").
// It keeps nothing but the sessions, and knows no database.
//
// What it promises: an answer that is not what Apple describes is an error and
// never an empty list; secrets are in no error; persons that Apple names (who
// made the token, who assigned a device) are not kept.
//
// It speaks protocol version 10, in which results can be THROTTLED and exchanged
// devices name the one they replace.
package ade

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/micromdm/nanodep/client"

	"ranzen/internal/clock"
	"ranzen/internal/fault"
)

// protocolVersion is the newest we know the meaning of.
const protocolVersion = "10"

// Bounds of what is taken from Apple.
const (
	maxAnswer = 32 << 20
	maxReason = 4 << 10
	patience  = 60 * time.Second
)

// Token is what is in a server token: OAuth 1.0a.
type Token struct {
	ConsumerKey, ConsumerSecret, AccessToken, AccessSecret fault.Secret
	Expiry                                                 time.Time
}

// Config says where Apple is.
type Config struct {
	URL   string         // "" is Apple's
	Roots *x509.CertPool // nil is the system's
	Clock clock.Clock
}

// Client asks Apple. It is safe for many goroutines.
type Client struct {
	base     string
	http     *http.Client
	sessions *sessions
}

// New makes a client. It asks nothing yet.
func New(c Config) *Client {
	base := strings.TrimRight(c.URL, "/")
	if base == "" {
		base = strings.TrimRight(client.DefaultBaseURL, "/")
	}
	wire := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: patience,
		ForceAttemptHTTP2: true,
	}
	s := &sessions{of: map[string]string{}}
	plain := &http.Client{Transport: bounded{wire}, Timeout: patience}
	return &Client{
		base: base, sessions: s,
		http: &http.Client{Transport: client.NewTransport(bounded{wire}, plain, tokens{}, s), Timeout: 2 * patience},
	}
}

// bounded cuts answers, which nanodep's transport reads whole when they are
// refusals, and speaks our protocol version where nanodep would speak its own.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set(client.ServerProtocolVersion, protocolVersion)
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	most := int64(maxAnswer)
	if res.StatusCode != http.StatusOK {
		most = maxReason
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, most+1), res.Body}
	return res, nil
}

// Error is Apple's refusal.
type Error struct {
	Status     int
	Code       string        // Apple's word, "" if it sent none: "T_C_NOT_SIGNED"
	RetryAfter time.Duration // 0: Apple did not say
}

func (e *Error) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("Apple answered with status %d", e.Status)
	}
	return fmt.Sprintf("Apple answered with status %d, %s", e.Status, e.Code)
}

func is(err error, codes ...string) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// IsTerms: somebody must accept Apple's new terms in Apple School Manager.
func IsTerms(err error) bool { return is(err, "T_C_NOT_SIGNED") }

// IsExpiredCursor: the cursor is older than seven days; fetch again from empty.
func IsExpiredCursor(err error) bool { return is(err, "EXPIRED_CURSOR") }

// IsInvalidCursor: Apple does not know the cursor; fetch again from empty.
func IsInvalidCursor(err error) bool { return is(err, "INVALID_CURSOR", "CURSOR_REQUIRED") }

// IsExhausted: the list has been fetched to its end; sync from here on.
func IsExhausted(err error) bool { return is(err, "EXHAUSTED_CURSOR") }

// IsFlagsInvalid: the flags of an enrollment profile contradict each other.
func IsFlagsInvalid(err error) bool { return is(err, "FLAGS_INVALID") }

// IsProfileUnknown: there is no enrollment profile with this identifier at Apple.
func IsProfileUnknown(err error) bool { return is(err, "NOT_FOUND", "PROFILE_NOT_FOUND") }

// IsTokenRefused: Apple does not take the server token; it was replaced, or the
// server was removed in Apple School Manager.
func IsTokenRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusUnauthorized ||
		is(err, "token_rejected", "TOKEN_REJECTED", "token_expired", "consumer_key_unknown", "signature_invalid", "ACCESS_DENIED", "timestamp_refused"))
}

// IsThrottled tells whether Apple wants to be asked later, and how much.
func IsThrottled(err error) (time.Duration, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != http.StatusTooManyRequests && e.Status < 500 {
		return 0, false
	}
	return e.RetryAfter, true
}

// call asks Apple one thing. key names the session; out takes the JSON answer.
func (c *Client) call(ctx context.Context, key string, tok Token, method, path string, in, out any) error {
	body := []byte{}
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("write a question to Apple: %w", err)
		}
	}
	ctx = context.WithValue(client.WithName(ctx, key), tokenKey{}, tok)
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("write a question to Apple: %w", err)
	}
	if in == nil {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	}
	req.Header.Set("Content-Type", "application/json;charset=UTF8")
	req.Header.Set("Accept", "application/json;charset=UTF8")
	req.Header.Set("User-Agent", "ranzen")
	res, err := c.http.Do(req)
	if err != nil {
		if refused := refusedSession(err); refused != nil {
			return refused
		}
		return fmt.Errorf("ask Apple: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it is read below
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("read Apple's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return refusal(res.StatusCode, res.Header, raw)
	}
	if len(raw) > maxAnswer {
		return errors.New("Apple's answer is longer than anything it describes")
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("read Apple's answer: %w", err)
	}
	return nil
}
