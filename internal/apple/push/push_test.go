package push_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ranzen/internal/apple/push"
	"ranzen/internal/clock"
	"ranzen/internal/sim/apple"
)

// service is the simulated APNs and a client of it.
type service struct {
	*testing.T
	apns    *apple.APNs
	client  *push.Client
	version int64
	log     strings.Builder
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{T: t, version: 1}
	var err error
	if s.apns, err = apple.NewAPNs(apple.Options{Seed: 1, Clock: clock.System(), AnyToken: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.apns.Close() })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.apns.RootPEM())
	s.client = push.New(push.Config{
		URL: s.apns.URL(), Roots: roots, Clock: clock.System(), Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Certificate: func(context.Context) (tls.Certificate, string, int64, error) {
			if s.version == 0 {
				return tls.Certificate{}, "", 0, push.ErrNoCertificate
			}
			certPEM, keyPEM := s.apns.PushCertificate()
			c, err := tls.X509KeyPair(certPEM, keyPEM)
			return c, s.apns.Topic(), s.version, err
		},
	})
	return s
}

func (s *service) target(i int) push.Target {
	token := make([]byte, 32)
	token[0], token[1] = byte(i), byte(i>>8)
	return push.Target{EnrollmentID: fmt.Sprint("e", i), Token: token, Magic: "magic", Topic: s.apns.Topic()}
}

func (s *service) wake(n int) map[string]error {
	list := make([]push.Target, n)
	for i := range list {
		list[i] = s.target(i)
	}
	return s.client.Wake(s.Context(), list)
}

func TestManyPushesGoOverFewConnections(t *testing.T) {
	s := newService(t)
	if failed := s.wake(2000); len(failed) != 0 {
		t.Errorf("%d failed: %v", len(failed), failed)
	}
	if c := s.apns.Counts(); c.Accepted != 2000 || c.Connections > 6 || len(c.Refused) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestWhatApplesAnswersMean(t *testing.T) {
	for _, tt := range []struct {
		fault     apple.Fault
		permanent bool
		retry     bool
	}{
		{apple.Unregistered, true, false}, {apple.BadToken, true, false},
		{apple.TooMany, false, true}, {apple.Unavailable, false, true}, {apple.ServerError, false, false},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			s := newService(t)
			s.apns.Fail(tt.fault, 1)
			err := s.wake(1)["e0"]
			var p interface{ Permanent() bool }
			var r interface{ RetryAfter() time.Duration }
			if err == nil || errors.As(err, &p) != tt.permanent {
				t.Errorf("permanent is wrong for %v", err)
			}
			if later := errors.As(err, &r) && r.RetryAfter() > 0; later != tt.retry {
				t.Errorf("%v says when to come again: %v", err, later)
			}
			if failed := s.wake(1); len(failed) != 0 {
				t.Errorf("the next one: %v", failed)
			}
		})
	}
}

func TestConnectionsThatDieAreReplaced(t *testing.T) {
	s := newService(t)
	for _, f := range []apple.Fault{apple.GoAway, apple.Disconnect} {
		s.apns.Fail(f, 1)
		if failed := s.wake(20); len(failed) != 0 {
			t.Errorf("after %s: %v", f, failed)
		}
		if failed := s.wake(20); len(failed) != 0 {
			t.Errorf("long after %s: %v", f, failed)
		}
	}
}

func TestAnotherTopicIsRefusedBeforeAppleDropsIt(t *testing.T) {
	s := newService(t)
	other := s.target(1)
	other.Topic = "com.apple.mgmt.External.other"
	err := s.client.Wake(t.Context(), []push.Target{other})["e1"]
	var p interface{ Permanent() bool }
	if !errors.As(err, &p) || s.apns.Counts().Pushes != 0 {
		t.Errorf("%v, %+v", err, s.apns.Counts())
	}
}

func TestWithoutACertificateNothingIsAttempted(t *testing.T) {
	s := newService(t)
	s.version = 0
	err := s.wake(1)["e0"]
	var p interface{ Permanent() bool }
	if err == nil || errors.As(err, &p) || s.apns.Counts().Connections != 0 {
		t.Errorf("%v, %+v", err, s.apns.Counts())
	}
	s.version = 1
	if failed := s.wake(1); len(failed) != 0 {
		t.Errorf("with one: %v", failed)
	}
	s.version = 2 // renewed
	if failed := s.wake(1); len(failed) != 0 || s.apns.Counts().Connections != 2 {
		t.Errorf("with a renewed one: %v, %+v", failed, s.apns.Counts())
	}
}

func TestNoErrorOrLogTellsATokenOrMagic(t *testing.T) {
	s := newService(t)
	_ = s.apns.Close()
	text := fmt.Sprint(s.wake(1)["e0"]) + s.log.String()
	if strings.Contains(text, "magic") || strings.Contains(text, strings.Repeat("00", 20)) {
		t.Errorf("told: %s", text)
	}
}
