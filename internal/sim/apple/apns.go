package apple

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"ranzen/internal/clock"
)

// Options is a simulated push service.
type Options struct {
	Topic  string // com.apple.mgmt.External.<uuid>; empty: made from the seed
	Seed   uint64
	Listen string // empty: a free port of 127.0.0.1
	Clock  clock.Clock
	Faults Faults
	// AnyToken accepts tokens that no courier's client registered, as long as
	// they look like one.
	AnyToken bool
}

// APNs is the push service and its courier, running.
type APNs struct {
	opts  Options
	ca    authority
	push  pair
	apns  *http.Server
	post  *http.Server
	url   string
	cour  string
	clock clock.Clock

	mu      sync.Mutex
	tokens  map[string]*registered
	clients map[string]chan struct{} // rung when something waits for the client
	waiting map[string][]string      // client → tokens with a push, oldest first
	counts  Counts
	next    []Fault
}

// registered is a token a tablet has.
type registered struct {
	client, topic, magic string
	gone                 time.Time // when it was unregistered
	seen                 uint64    // pushes so far; chooses random faults
	waits                *delivery
}

type delivery struct {
	Token   string    `json:"token"`
	MDM     string    `json:"mdm"`
	Topic   string    `json:"topic"`
	Expires time.Time `json:"expires"`
}

// Counts is what the service saw.
type Counts struct {
	Pushes       int            `json:"pushes"`      // requests
	Accepted     int            `json:"accepted"`    // answered 200
	Delivered    int            `json:"delivered"`   // written to a courier's stream
	Dropped      int            `json:"dropped"`     // accepted and dropped on purpose
	WrongMagic   int            `json:"wrong_magic"` // delivered, but not its token's magic
	Replaced     int            `json:"replaced"`    // overtaken by a newer one before delivery
	Expired      int            `json:"expired"`
	Refused      map[string]int `json:"refused"` // by Apple's reason
	Connections  int            `json:"connections"`
	Disconnected int            `json:"disconnected"` // connections closed on purpose
}

// NewAPNs starts the service. Close ends it.
func NewAPNs(o Options) (*APNs, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Topic == "" {
		o.Topic = topicOf(o.Seed)
	}
	a := &APNs{
		opts: o, clock: o.Clock, tokens: map[string]*registered{},
		clients: map[string]chan struct{}{}, waiting: map[string][]string{},
		counts: Counts{Refused: map[string]int{}},
	}
	var err error
	if a.ca, err = newAuthority(o.Clock.Now()); err != nil {
		return nil, err
	}
	if a.push, err = a.ca.pushPair(o.Topic); err != nil {
		return nil, err
	}
	if err := a.listen(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *APNs) listen() error {
	secure, err := net.Listen("tcp", a.opts.Listen)
	if err != nil {
		return fmt.Errorf("listen as push service: %w", err)
	}
	host, _, err := net.SplitHostPort(secure.Addr().String())
	if err != nil {
		return fmt.Errorf("listen as push service: %w", err)
	}
	plain, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return errors.Join(fmt.Errorf("listen as courier: %w", err), secure.Close())
	}
	leaf, err := a.ca.serverPair(host)
	if err != nil {
		return errors.Join(err, secure.Close(), plain.Close())
	}
	quiet := log.New(io.Discard, "", 0)
	a.apns = &http.Server{
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		Handler:     http.HandlerFunc(a.serve), ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second,
		// Which client certificate is good is decided in the handler, so that it is
		// refused with Apple's words.
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{leaf.tls()}, ClientAuth: tls.RequestClientCert,
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		},
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				a.count(func(c *Counts) { c.Connections++ })
			}
		},
	}
	if err := http2.ConfigureServer(a.apns, &http2.Server{MaxConcurrentStreams: 1000}); err != nil {
		return errors.Join(fmt.Errorf("prepare HTTP/2: %w", err), secure.Close(), plain.Close())
	}
	a.post = &http.Server{Handler: a.courier(), ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second}
	a.url, a.cour = "https://"+secure.Addr().String(), "http://"+plain.Addr().String()
	// Both end with Close; an earlier end shows as pushes that fail.
	go func() { _ = a.apns.ServeTLS(secure, "", "") }()
	go func() { _ = a.post.Serve(plain) }()
	return nil
}

// URL is the push service's address, CourierURL the base of the courier's.
func (a *APNs) URL() string { return a.url }

// CourierURL is where simulated tablets hear of pushes.
func (a *APNs) CourierURL() string { return a.cour }

// Topic is the topic of PushCertificate.
func (a *APNs) Topic() string { return a.opts.Topic }

// RootPEM is the certificate to trust URL by.
func (a *APNs) RootPEM() []byte { return a.ca.pem() }

// PushCertificate is an MDM push certificate for Topic with its key, PEM.
func (a *APNs) PushCertificate() (certPEM, keyPEM []byte) { return a.push.pem() }

// OtherCertificate is one for another topic.
func (a *APNs) OtherCertificate(topic string) (certPEM, keyPEM []byte, err error) {
	p, err := a.ca.pushPair(topic)
	if err != nil {
		return nil, nil, err
	}
	certPEM, keyPEM = p.pem()
	return certPEM, keyPEM, nil
}

// SignRequest answers a certificate request, as identity.apple.com does with one
// that an MDM vendor signed: a push certificate for Topic.
func (a *APNs) SignRequest(csrPEM []byte) (certPEM []byte, err error) {
	return a.ca.signRequest(csrPEM, a.opts.Topic)
}

// Counts is what the service saw so far.
func (a *APNs) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.counts
	c.Refused = make(map[string]int, len(a.counts.Refused))
	for k, v := range a.counts.Refused {
		c.Refused[k] = v
	}
	return c
}

// Fail makes the next n pushes fail so, before random faults are drawn.
func (a *APNs) Fail(f Fault, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range n {
		a.next = append(a.next, f)
	}
}

// Close ends both servers at once.
func (a *APNs) Close() error { return errors.Join(a.apns.Close(), a.post.Close()) }

func (a *APNs) count(f func(*Counts)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(&a.counts)
}

// refusal is an answer other than 200.
//
// Apple, User Notifications, "Handling notification responses from APNs".
type refusal struct {
	status int
	reason string
	gone   time.Time // only with 410: when the token stopped to be valid
}

func (a *APNs) serve(w http.ResponseWriter, r *http.Request) {
	a.count(func(c *Counts) { c.Pushes++ })
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4097))
	if err != nil {
		a.refuse(w, refusal{status: http.StatusRequestEntityTooLarge, reason: "PayloadTooLarge"})
		return
	}
	d, bad := a.check(r, body)
	if bad != nil {
		a.refuse(w, *bad)
		return
	}
	if a.misbehave(w, r, d.Token) {
		return
	}
	a.accept(d)
	w.Header().Set("apns-id", r.Header.Get("apns-id"))
	w.WriteHeader(http.StatusOK)
}

func (a *APNs) refuse(w http.ResponseWriter, f refusal) {
	a.count(func(c *Counts) { c.Refused[f.reason]++ })
	answer := map[string]any{"reason": f.reason}
	if !f.gone.IsZero() {
		answer["timestamp"] = f.gone.UnixMilli()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(answer) // the client went away; nothing to do
}

// check refuses what Apple refuses, in Apple's order as far as it is known.
func (a *APNs) check(r *http.Request, body []byte) (delivery, *refusal) {
	no := func(status int, reason string) (delivery, *refusal) {
		return delivery{}, &refusal{status: status, reason: reason}
	}
	h := r.Header
	token, isDevice := strings.CutPrefix(r.URL.Path, "/3/device/")
	topic, known := a.clientTopic(r.TLS)
	switch {
	case r.ProtoMajor != 2:
		return no(http.StatusBadRequest, "BadRequest")
	case !isDevice:
		return no(http.StatusNotFound, "BadPath")
	case r.Method != http.MethodPost:
		return no(http.StatusMethodNotAllowed, "MethodNotAllowed")
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		return no(http.StatusForbidden, "MissingProviderToken")
	case !known:
		return no(http.StatusForbidden, "BadCertificate")
	case token == "":
		return no(http.StatusBadRequest, "MissingDeviceToken")
	case h.Get("apns-topic") == "":
		return no(http.StatusBadRequest, "MissingTopic")
	case h.Get("apns-topic") != topic:
		return no(http.StatusBadRequest, "TopicDisallowed")
	case h.Get("apns-push-type") != "mdm":
		return no(http.StatusBadRequest, "InvalidPushType")
	case h.Get("apns-priority") != "10" && h.Get("apns-priority") != "":
		// mdm pushes are of priority 10, also by default
		return no(http.StatusBadRequest, "BadPriority")
	}
	expires, err := strconv.ParseInt(h.Get("apns-expiration"), 10, 64)
	if err != nil || expires < 0 {
		// Apple takes a missing one for "do not keep"; an MDM server that forgets
		// it loses the pushes of every sleeping iPad, so this service refuses it.
		return no(http.StatusBadRequest, "BadExpirationDate")
	}
	magic, ok := readPayload(body)
	if !ok {
		return no(http.StatusBadRequest, "PayloadEmpty")
	}
	return a.checkToken(token, topic, delivery{Token: strings.ToLower(token), MDM: magic, Topic: topic, Expires: time.Unix(expires, 0).UTC()})
}

func (a *APNs) checkToken(token, topic string, d delivery) (delivery, *refusal) {
	raw, err := hex.DecodeString(token)
	if err != nil || len(raw) < 8 || len(raw) > 100 {
		return d, &refusal{status: http.StatusBadRequest, reason: "BadDeviceToken"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[d.Token]
	switch {
	case t == nil && a.opts.AnyToken:
		a.tokens[d.Token] = &registered{topic: topic}
	case t == nil:
		return d, &refusal{status: http.StatusBadRequest, reason: "BadDeviceToken"}
	case !t.gone.IsZero():
		return d, &refusal{status: http.StatusGone, reason: "Unregistered", gone: t.gone}
	case t.topic != "" && t.topic != topic:
		return d, &refusal{status: http.StatusBadRequest, reason: "DeviceTokenNotForTopic"}
	}
	return d, nil
}

// readPayload takes exactly {"mdm":"<PushMagic>"}.
//
// Apple, Device Management, "Sending MDM notifications": no other key.
func readPayload(body []byte) (magic string, ok bool) {
	var p map[string]any
	if len(body) == 0 || json.Unmarshal(body, &p) != nil || len(p) != 1 {
		return "", false
	}
	magic, ok = p["mdm"].(string)
	return magic, ok && magic != ""
}

// clientTopic is the topic a client's certificate is for.
func (a *APNs) clientTopic(s *tls.ConnectionState) (string, bool) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return "", false
	}
	leaf := s.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.ca.pool(), CurrentTime: a.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", false
	}
	return topicIn(leaf), topicIn(leaf) != ""
}
