package apple_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"ranzen/internal/clock"
	"ranzen/internal/sim/apple"
)

var start = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

const (
	token = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	magic = "F00D"
)

func service(t *testing.T, o apple.Options) (*apple.APNs, clock.Clock) {
	t.Helper()
	clk := clock.At(start)
	o.Clock = clk
	a, err := apple.NewAPNs(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a, clk
}

// client is x/net's HTTP/2 client, with a push certificate or without.
func client(t *testing.T, a *apple.APNs, certPEM, keyPEM []byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.RootPEM()) {
		t.Fatal("RootPEM holds no certificate")
	}
	c := &tls.Config{RootCAs: roots, Time: func() time.Time { return start }, MinVersion: tls.VersionTLS12}
	if certPEM != nil {
		pair, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	tr := &http2.Transport{TLSClientConfig: c}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func good(t *testing.T, a *apple.APNs) *http.Client {
	t.Helper()
	cert, key := a.PushCertificate()
	return client(t, a, cert, key)
}

func request(t *testing.T, a *apple.APNs) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL()+"/3/device/"+token, strings.NewReader(`{"mdm":"`+magic+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("apns-topic", a.Topic())
	r.Header.Set("apns-push-type", "mdm")
	r.Header.Set("apns-priority", "10")
	r.Header.Set("apns-expiration", strconv.FormatInt(start.Add(time.Hour).Unix(), 10))
	return r
}

func push(t *testing.T, c *http.Client, r *http.Request) (status int, reason string, header http.Header) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Reason string }
	b, _ := io.ReadAll(res.Body)
	if len(b) > 0 {
		if err := json.Unmarshal(b, &answer); err != nil {
			t.Fatalf("the answer %q is no JSON: %v", b, err)
		}
	}
	return res.StatusCode, answer.Reason, res.Header
}

func post(t *testing.T, a *apple.APNs, path string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.CourierURL()+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Fatalf("POST %s: %s", path, res.Status)
	}
}

func register(t *testing.T, a *apple.APNs, tokens ...string) {
	t.Helper()
	var list []map[string]string
	for _, k := range tokens {
		list = append(list, map[string]string{"token": k, "topic": a.Topic(), "magic": magic})
	}
	post(t, a, "/courier/tokens?client=fleet", list)
}

func TestAPushIsRefusedWithApplesReason(t *testing.T) {
	a, _ := service(t, apple.Options{Seed: 1})
	register(t, a, token)
	set := func(key, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del(key)
			if value != "" {
				r.Header.Set(key, value)
			}
		}
	}
	body := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s)), int64(len(s)) }
	}
	path := func(s string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = s } }
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		reason string
	}{
		{"nothing wrong", func(*http.Request) {}, 200, ""},
		{"capital letters in the token", path("/3/device/" + strings.ToUpper(token)), 200, ""},
		{"no priority", set("apns-priority", ""), 200, ""},
		{"expiration 0", set("apns-expiration", "0"), 200, ""},
		{"another path", path("/2/device/" + token), 404, "BadPath"},
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, 405, "MethodNotAllowed"},
		{"no token", path("/3/device/"), 400, "MissingDeviceToken"},
		{"an unknown token", path("/3/device/" + strings.Repeat("ab", 32)), 400, "BadDeviceToken"},
		{"a token of odd length", path("/3/device/" + token[1:]), 400, "BadDeviceToken"},
		{"a token that is no hex", path("/3/device/" + strings.Repeat("zz", 32)), 400, "BadDeviceToken"},
		{"no topic", set("apns-topic", ""), 400, "MissingTopic"},
		{"another topic", set("apns-topic", "com.apple.mgmt.External.other"), 400, "TopicDisallowed"},
		{"no push type", set("apns-push-type", ""), 400, "InvalidPushType"},
		{"alert", set("apns-push-type", "alert"), 400, "InvalidPushType"},
		{"priority 5", set("apns-priority", "5"), 400, "BadPriority"},
		{"no expiration", set("apns-expiration", ""), 400, "BadExpirationDate"},
		{"a negative expiration", set("apns-expiration", "-1"), 400, "BadExpirationDate"},
		{"an empty payload", body(""), 400, "PayloadEmpty"},
		{"another key", body(`{"mdm":"x","aps":{}}`), 400, "PayloadEmpty"},
		{"no magic", body(`{"mdm":""}`), 400, "PayloadEmpty"},
		{"a number for magic", body(`{"mdm":1}`), 400, "PayloadEmpty"},
		{"a payload of 5 KB", body(`{"mdm":"` + strings.Repeat("x", 5000) + `"}`), 413, "PayloadTooLarge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(t, a)
			c.change(r)
			if status, reason, _ := push(t, good(t, a), r); status != c.status || reason != c.reason {
				t.Errorf("answered %d %s, not %d %s", status, reason, c.status, c.reason)
			}
		})
	}
	if n := a.Counts().Accepted; n != 4 {
		t.Errorf("%d pushes counted as accepted, not 4", n)
	}
}

func TestOnlyAPushCertificateOfItsTopicMayPush(t *testing.T) {
	a, _ := service(t, apple.Options{Seed: 1})
	stranger, _ := service(t, apple.Options{Seed: 1})
	register(t, a, token)
	if status, reason, _ := push(t, client(t, a, nil, nil), request(t, a)); status != 403 {
		t.Errorf("without a certificate: %d %s", status, reason)
	}
	cert, key := stranger.PushCertificate()
	if status, reason, _ := push(t, client(t, a, cert, key), request(t, a)); status != 403 || reason != "BadCertificate" {
		t.Errorf("with a certificate of another authority: %d %s", status, reason)
	}
	cert, key, err := a.OtherCertificate("com.apple.mgmt.External.other")
	if err != nil {
		t.Fatal(err)
	}
	if status, reason, _ := push(t, client(t, a, cert, key), request(t, a)); status != 400 || reason != "TopicDisallowed" {
		t.Errorf("with a certificate of another topic: %d %s", status, reason)
	}
	r := request(t, a)
	r.Header.Set("apns-topic", "com.apple.mgmt.External.other")
	if status, reason, _ := push(t, client(t, a, cert, key), r); status != 400 || reason != "DeviceTokenNotForTopic" {
		t.Errorf("to a token of another topic: %d %s", status, reason)
	}
}

func TestAnUnregisteredTokenIsGoneWithItsTime(t *testing.T) {
	a, _ := service(t, apple.Options{Seed: 1})
	register(t, a, token)
	post(t, a, "/courier/unregister", []string{token})
	if status, reason, _ := push(t, good(t, a), request(t, a)); status != 410 || reason != "Unregistered" {
		t.Errorf("answered %d %s", status, reason)
	}
	register(t, a, token)
	if status, reason, _ := push(t, good(t, a), request(t, a)); status != 200 {
		t.Errorf("after it came back: %d %s", status, reason)
	}
}

func TestFaultsComeAsOrdered(t *testing.T) {
	a, _ := service(t, apple.Options{Seed: 1, Faults: apple.Faults{RetryAfter: 7 * time.Second}})
	register(t, a, token)
	c := good(t, a)
	for _, f := range []struct {
		fault  apple.Fault
		status int
		reason string
	}{
		{apple.TooMany, 429, "TooManyRequests"}, {apple.Unavailable, 503, "ServiceUnavailable"},
		{apple.ServerError, 500, "InternalServerError"}, {apple.Unregistered, 410, "Unregistered"},
		{apple.BadToken, 400, "BadDeviceToken"}, {apple.Slow, 200, ""}, {apple.Drop, 200, ""}, {apple.GoAway, 200, ""},
	} {
		a.Fail(f.fault, 1)
		status, reason, header := push(t, c, request(t, a))
		if status != f.status || reason != f.reason {
			t.Errorf("%s: answered %d %s", f.fault, status, reason)
		}
		if (status == 429 || status == 503) && header.Get("Retry-After") != "7" {
			t.Errorf("%s: Retry-After is %q", f.fault, header.Get("Retry-After"))
		}
	}
	if n := a.Counts().Dropped; n != 1 {
		t.Errorf("%d dropped", n)
	}
	a.Fail(apple.Disconnect, 1)
	if status, _, _ := push(t, c, request(t, a)); status != 0 {
		t.Errorf("a cut connection answered %d", status)
	}
	if status, reason, _ := push(t, c, request(t, a)); status != 200 {
		t.Errorf("after all faults: %d %s", status, reason)
	}
}

func TestTheSameSeedFailsTheSamePushes(t *testing.T) {
	run := func(seed uint64) (out string) {
		a, _ := service(t, apple.Options{Seed: seed, Faults: apple.Faults{TooMany: 0.3, ServerError: 0.3}})
		register(t, a, token)
		c := good(t, a)
		for range 30 {
			status, _, _ := push(t, c, request(t, a))
			out += fmt.Sprint(status, " ")
		}
		return out
	}
	if one, two := run(5), run(5); one != two {
		t.Errorf("once %s\nthen %s", one, two)
	}
	if one, two := run(5), run(6); one == two {
		t.Error("another seed fails the same pushes")
	}
}

// deliveries reads the courier's stream until want lines came.
func deliveries(t *testing.T, a *apple.APNs, want int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.CourierURL()+"/courier?client=fleet", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out []string
	lines := bufio.NewScanner(res.Body)
	for len(out) < want && lines.Scan() {
		var d struct{ Token, MDM string }
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, d.Token+" "+d.MDM)
	}
	return out
}

func TestTheCourierKeepsTheLatestPushOfATokenUntilItsTabletConnects(t *testing.T) {
	a, clk := service(t, apple.Options{Seed: 1})
	other := strings.Repeat("cd", 32)
	register(t, a, token, other)
	c := good(t, a)
	for range 3 {
		if status, reason, _ := push(t, c, request(t, a)); status != 200 {
			t.Fatal(status, reason)
		}
	}
	gone := request(t, a) // expires before anybody connects
	gone.URL.Path = "/3/device/" + other
	gone.Header.Set("apns-expiration", strconv.FormatInt(start.Add(time.Minute).Unix(), 10))
	if status, reason, _ := push(t, c, gone); status != 200 {
		t.Fatal(status, reason)
	}
	clk.Forward(2 * time.Minute)
	if got := deliveries(t, a, 1); len(got) != 1 || got[0] != token+" "+magic {
		t.Fatalf("delivered %q", got)
	}
	n := a.Counts()
	if n.Delivered != 1 || n.Replaced != 2 || n.Expired != 1 || n.WrongMagic != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestAWrongMagicIsDeliveredAndCounted(t *testing.T) {
	a, _ := service(t, apple.Options{Seed: 1})
	register(t, a, token)
	r := request(t, a)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"mdm":"BEEF"}`)), 14
	if status, reason, _ := push(t, good(t, a), r); status != 200 {
		t.Fatal(status, reason)
	}
	if got := deliveries(t, a, 1); len(got) != 1 || got[0] != token+" BEEF" {
		t.Errorf("delivered %q", got)
	}
	if n := a.Counts(); n.WrongMagic != 1 {
		t.Errorf("counted %+v", n)
	}
}
