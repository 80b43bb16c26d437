package apple

import (
	"encoding/pem"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"crypto/tls"

	"ranzen/internal/clock"
)

// SchoolOptions is a fake Apple School Manager.
type SchoolOptions struct {
	Seed   uint64
	Clock  clock.Clock
	Skew   time.Duration // how far Apple's clock is ahead of ours
	Faults SchoolFaults
}

// School is a fake Apple School Manager with its device assignment service, and
// the activation that iPads ask it for. It is safe for many goroutines.
type School struct {
	opts      SchoolOptions
	authority authority
	devices   deviceAuthority
	api, side *http.Server
	url       string
	tablets   string

	mu       sync.Mutex
	rand     *rand.Rand
	asked    map[string]int // requests so far, by what they were for
	next     []SchoolFault
	unsigned map[string]bool // organizations that have not signed the terms
	emptied  bool
	servers  map[string]*mdmServer
	owned    map[string]*owned
	profiles map[string]*storedProfile
	cursors  map[string]*place
	counts   SchoolCounts
}

// SchoolCounts is what the service saw.
type SchoolCounts struct {
	Sessions, Fetches, Syncs, Defined, Assigned, Throttled, Failed, Refused, Activations int
}

// mdmServer is an MDM server as an organization made it.
type mdmServer struct {
	name, uuid, org string
	token           oauth
	sessions        map[string]bool
	events          []event
}

// owned is a serial number that an organization bought.
type owned struct {
	serial, org, server        string
	model, color, capacity     string
	order                      string
	replaces                   string
	assigned, profiled, pushed time.Time
	profile, status            string
	attempts                   int
}

// event is what sync tells.
type event struct {
	serial, op string
	at         time.Time
}

type storedProfile struct {
	server string
	body   map[string]any
}

// place is where a cursor stands.
type place struct {
	server  string
	fetch   []string // serials of the running fetch; nil: a sync cursor
	at      int      // in fetch
	events  int      // of the server's events were told
	created time.Time
}

// NewSchool starts a fake on the loopback interface.
func NewSchool(o SchoolOptions) (*School, error) {
	a, err := newAuthority(o.Clock.Now())
	if err != nil {
		return nil, err
	}
	d, err := newDeviceAuthority(o.Clock.Now())
	if err != nil {
		return nil, err
	}
	s := &School{
		opts: o, authority: a, devices: d, rand: rand.New(rand.NewPCG(o.Seed, 7)), asked: map[string]int{}, unsigned: map[string]bool{}, //nolint:gosec // a game
		servers: map[string]*mdmServer{}, owned: map[string]*owned{}, profiles: map[string]*storedProfile{}, cursors: map[string]*place{},
	}
	pair, err := a.serverPair("127.0.0.1")
	if err != nil {
		return nil, err
	}
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen as Apple School Manager: %w", err)
	}
	side, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for iPads to be activated: %w", err), api.Close())
	}
	s.url, s.tablets = "https://"+api.Addr().String(), "http://"+side.Addr().String()
	quiet := log.New(io.Discard, "", 0)
	s.api = &http.Server{Handler: s.service(), ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair.tls()}}}
	s.side = &http.Server{Handler: s.activation(), ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.api.ServeTLS(api, "", "") }() // ends by Close
	go func() { _ = s.side.Serve(side) }()
	return s, nil
}

// URL is the service's base address: RANZEN_ADE_URL.
func (s *School) URL() string { return s.url }

// TabletURL is where simulated iPads are activated.
func (s *School) TabletURL() string { return s.tablets }

// RootPEM are the roots of the service and of the iPads' identities:
// RANZEN_APPLE_CA.
func (s *School) RootPEM() []byte {
	return append(s.authority.pem(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.devices.root.Raw})...)
}

// Close ends it.
func (s *School) Close() error { return errors.Join(s.api.Close(), s.side.Close()) }

// Counts tells what was seen so far.
func (s *School) Counts() SchoolCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *School) now() time.Time {
	return s.opts.Clock.Now().Add(s.opts.Skew).UTC().Truncate(time.Second)
}

func (s *School) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rand.Uint32())
	}
	return strings.ToUpper(fmt.Sprintf("%x", b))
}

// AddServer is what an administrator of an organization does first: make an MDM
// server. Its token comes with TokenP7M.
func (s *School) AddServer(org, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[name] = &mdmServer{name: name, uuid: s.hex(16), org: org, sessions: map[string]bool{}}
}

// Devices says what was bought.
type Devices struct {
	Model, Color, Capacity, Order string
	Replaces                      string // of a single device: the one it was exchanged for
}

// Order buys n iPads and assigns them to a server; it gives their serial numbers,
// ten letters and digits that no iPad has.
func (s *School) Order(server string, n int, d Devices) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for range n {
		serial := ""
		for serial == "" || s.owned[serial] != nil {
			serial = s.serial()
		}
		s.add(server, serial, d)
		out = append(out, serial)
	}
	return out
}

// Add buys one iPad with a serial number of the caller's.
func (s *School) Add(server, serial string, d Devices) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(server, serial, d)
}

func (s *School) serial() string {
	const digits = "0123456789CDFGHJKLMNPQRTVWXYZ"
	var b strings.Builder
	b.WriteString("RZ")
	for range 8 {
		b.WriteByte(digits[s.rand.IntN(len(digits))])
	}
	return b.String()
}

func (s *School) add(server, serial string, d Devices) {
	if d.Model == "" {
		d.Model = "iPad (A16)"
	}
	s.owned[serial] = &owned{
		serial: serial, org: s.servers[server].org, server: server, model: d.Model, color: d.Color, capacity: d.Capacity, order: d.Order,
		replaces: d.Replaces, assigned: s.now(), status: "empty",
	}
	s.tell(server, serial, "added")
}

func (s *School) tell(server, serial, op string) {
	sv := s.servers[server]
	sv.events = append(sv.events, event{serial, op, s.now()})
}

// Move assigns a device to another server, or to none (""): for the one it leaves
// it is deleted.
func (s *School) Move(serial, server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.owned[serial]
	if d.server != "" {
		s.tell(d.server, serial, "deleted")
	}
	d.server, d.profile, d.status, d.assigned = server, "", "empty", s.now()
	if server != "" {
		d.org = s.servers[server].org
		s.tell(server, serial, "added")
	}
}

// Touch makes an event of a device, as when somebody changes a note on it.
func (s *School) Touch(serial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(s.owned[serial].server, serial, "modified")
}

// SignTerms says whether an organization has accepted Apple's newest terms.
func (s *School) SignTerms(org string, signed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsigned[org] = !signed
}

// Empty makes the list of all devices come back empty, as if nothing had ever
// been there.
func (s *School) Empty(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emptied = yes
}

// ProfileOf tells which profile a device would get now, and Apple's word on it.
func (s *School) ProfileOf(serial string) (uuid, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.owned[serial]; d != nil {
		return d.profile, d.status
	}
	return "", ""
}

// ForgetProfiles removes all enrollment profiles at Apple.
func (s *School) ForgetProfiles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profiles = map[string]*storedProfile{}
}

// draw gives a number between 0 and 1 for the nth time that something is asked:
// the same seed, the same fate, whatever comes in between.
func (s *School) draw(what string) float64 {
	s.asked[what]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", what, s.asked[what])
	return rand.New(rand.NewPCG(s.opts.Seed, h.Sum64())).Float64() //nolint:gosec // a game
}
