package ade

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/micromdm/nanodep/client"
)

// tokenKey finds the token of a call in its context.
type tokenKey struct{}

// tokens hands a call's token to nanodep.
type tokens struct{}

func (tokens) RetrieveAuthTokens(ctx context.Context, _ string) (*client.OAuth1Tokens, error) {
	t, ok := ctx.Value(tokenKey{}).(Token)
	if !ok {
		return nil, errors.New("the call has no token")
	}
	return &client.OAuth1Tokens{
		ConsumerKey: t.ConsumerKey.Open(), ConsumerSecret: t.ConsumerSecret.Open(),
		AccessToken: t.AccessToken.Open(), AccessSecret: t.AccessSecret.Open(), AccessTokenExpiry: t.Expiry,
	}, nil
}

// sessions are Apple's, by the caller's key. They live three minutes at Apple and
// cost one request to have again, so they are not stored.
type sessions struct {
	mu sync.Mutex
	of map[string]string
}

func (s *sessions) SetSessionToken(_ context.Context, key, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session == "" {
		delete(s.of, key)
	} else {
		s.of[key] = session
	}
	return nil
}

func (s *sessions) GetSessionToken(_ context.Context, key string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[key], nil
}

// refusedSession is what /session said no with; nil if err is something else.
func refusedSession(err error) error {
	a, ok := errors.AsType[*client.AuthError](err)
	if !ok {
		return nil
	}
	return refusal(a.StatusCode, nil, a.Body)
}

// Apple's codes stand in the body, bare or in quotation marks, or as JSON.
var code = regexp.MustCompile(`[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|\bFORBIDDEN\b|\bNOT_FOUND\b`)

func refusal(status int, h http.Header, body []byte) error {
	e := &Error{Status: status}
	text := string(body)
	if !strings.Contains(text, "<") { // a proxy's page has words with underscores too
		e.Code = code.FindString(text)
	}
	e.RetryAfter = after(h.Get("Retry-After"))
	return e
}

// after reads Retry-After in seconds (RFC 9110, 10.2.3); Apple sends no dates.
func after(v string) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil || n < 0 || n > 7*24*3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}
