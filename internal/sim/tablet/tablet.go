package tablet

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Tablet is one simulated iPad. Its methods may be called by many goroutines;
// it talks to the server in one session at a time.
type Tablet struct {
	cfg   Config
	rules rules

	busy sync.Mutex // held while it talks
	mu   sync.Mutex // guards what follows

	rand     *rand.Rand
	name     string
	profiles []*installed // oldest first
	apps     map[string]*app
	mgmt     *management // nil: not enrolled
	comes    string      // magic of a management that is being entered
	lost     *Lost
	location [2]float64
	options  map[string]any // MDMOptions and other settings it took

	locked, hasCode bool
	asleep          bool
	offline         bool
	drowsy          bool // this session meets a locked screen; see Config.Awkward
	putOff          bool // something was put off: it will connect by itself
	bypass          string
	erasePending    *eraseOrder
	leaving         bool // RemoveProfile took the enrollment profile

	setup      string // where it stands in Setup Assistant; "" without Config.Activation
	awaiting   bool   // it stays in Setup Assistant until DeviceConfigured
	configured bool   // just now: it says so when it has answered
	tokenDue   bool   // a TokenUpdate did not get through
	viaADE     bool
	kept       bool                // nobody can remove the management by hand
	anchors    []*x509.Certificate // of the enrollment profile at Apple
	back       *comeback           // nil: it does not set itself up by itself

	born      time.Time
	log       []Entry
	lastError string
	count     counters
}

type counters struct {
	enrollments, renewals, erased, restarts, polls, pushes, wrongPushes int
}

// management is what an enrollment profile made of the tablet.
type management struct {
	profileID             string // PayloadIdentifier of the enrollment profile
	serverURL, checkInURL string
	topic                 string
	rights                int64
	sign, checkOut        bool
	capabilities          []string
	identity              *Identity
	magic                 string
	token                 []byte
	unlockToken           []byte
	unlockSent            bool
	http                  *http.Client
}

// New makes a tablet as it comes out of its box, or out of Apple Configurator if
// it is supervised.
func New(c Config) (*Tablet, error) {
	c, err := c.fill()
	if err != nil {
		return nil, err
	}
	if c.book == nil {
		c.book = newBook()
	}
	t := &Tablet{cfg: c, rules: c.book.at(c.OSVersion), born: c.Clock.Now(), rand: rand.New(rand.NewPCG(c.Seed, uint64(c.Index)<<8|2))}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reset()
	return t, nil
}

// reset is what an erase leaves; t.mu is held.
func (t *Tablet) reset() {
	t.name, t.profiles, t.apps = t.cfg.DeviceName, nil, map[string]*app{}
	t.mgmt, t.lost, t.options = nil, nil, map[string]any{}
	t.locked, t.hasCode, t.asleep, t.offline, t.drowsy, t.putOff = false, t.cfg.Code, false, false, false, false
	t.erasePending, t.leaving, t.comes = nil, false, ""
	t.setup, t.awaiting, t.configured, t.tokenDue, t.viaADE, t.kept, t.anchors, t.back = "", false, false, false, false, false, nil, nil
	if t.cfg.Activation != "" {
		t.setup, t.hasCode = setupOff, false
	}
	t.location = [2]float64{52.5 + t.rand.Float64()/10, 13.3 + t.rand.Float64()/10}
	t.bypass = fmt.Sprintf("%05X-%05X-%04X-%04X-%04X-%04X", t.rand.Uint32()>>12, t.rand.Uint32()>>12,
		t.rand.Uint32()>>16, t.rand.Uint32()>>16, t.rand.Uint32()>>16, t.rand.Uint32()>>16)
}

// Serial and UDID never change.
func (t *Tablet) Serial() string { return t.cfg.Serial }

// UDID is the tablet's hardware identity.
func (t *Tablet) UDID() string { return t.cfg.UDID }

// State is a snapshot.
func (t *Tablet) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := State{
		Serial: t.cfg.Serial, UDID: t.cfg.UDID, Name: t.name, Model: t.cfg.Product, OSVersion: t.cfg.OSVersion,
		Supervised: t.cfg.Supervised, Enrolled: t.mgmt != nil, Enrollments: t.count.enrollments, Renewals: t.count.renewals,
		Erased: t.count.erased, Restarts: t.count.restarts, Profiles: []Profile{}, WiFi: []string{}, WebClips: []string{}, Apps: []App{},
		Setup: t.setup, Awaiting: t.awaiting && t.mgmt != nil, Locked: t.locked, Asleep: t.asleep, Offline: t.offline, HasCode: t.hasCode,
		Polls: t.count.polls, Pushes: t.count.pushes, WrongPushes: t.count.wrongPushes,
		Log: slices.Clone(t.log), LastError: t.lastError,
	}
	if t.mgmt != nil {
		s.Token = hex.EncodeToString(t.mgmt.token)
		if t.mgmt.identity != nil {
			s.Identity = t.mgmt.identity.Hash()
		}
	}
	if t.lost != nil {
		l := *t.lost
		s.Lost = &l
	}
	for _, p := range t.profiles {
		p.addTo(&s)
	}
	for _, id := range slices.Sorted(maps.Keys(t.apps)) {
		a := t.apps[id]
		s.Apps = append(s.Apps, App{BundleID: id, AdamID: a.adamID, State: a.state(t.cfg.Clock.Now()), Managed: a.managed})
	}
	return s
}

// addTo shows what a profile did to the tablet.
func (p *installed) addTo(s *State) {
	s.Profiles = append(s.Profiles, p.summary())
	s.WiFi = append(s.WiFi, p.ssids()...)
	for _, c := range p.payloads {
		switch text(c, "PayloadType") {
		case "com.apple.webClip.managed":
			s.WebClips = append(s.WebClips, text(c, "Label"))
		case "com.apple.applicationaccess":
			if s.Restrictions == nil {
				s.Restrictions = map[string]any{}
			}
			maps.Copy(s.Restrictions, withoutCommon(c))
		}
	}
}

// Enrolled tells whether there is a management.
func (t *Tablet) Enrolled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mgmt != nil
}

// WillConnect tells whether the tablet put a command off or lost an answer on
// the way and so connects by itself before long, and forgets it.
func (t *Tablet) WillConnect() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.putOff
	t.putOff = false
	return was
}

// Push is a push's arrival; true if its magic is the tablet's own, so that the
// tablet would connect.
func (t *Tablet) Push(magic string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.pushes++
	// The server may push before it has answered the first TokenUpdate.
	if magic != "" && (magic == t.comes || t.mgmt != nil && t.mgmt.magic == magic) {
		return true
	}
	t.count.wrongPushes++
	return false
}

// Registration is the push token with its topic and magic; empty before the
// first TokenUpdate.
func (t *Tablet) Registration() (token, topic, magic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mgmt == nil {
		return "", "", ""
	}
	return hex.EncodeToString(t.mgmt.token), t.mgmt.topic, t.mgmt.magic
}

func (t *Tablet) emit(e Event) {
	if t.cfg.On == nil {
		return
	}
	e.Serial, e.At = t.cfg.Serial, t.cfg.Clock.Now()
	t.cfg.On(e)
}

// failed remembers and tells an error; it returns it.
func (t *Tablet) failed(event string, err error) error {
	t.mu.Lock()
	t.lastError = err.Error()
	t.mu.Unlock()
	t.emit(refusal(event, err))
	return err
}

// pause lets time pass while the tablet does something that takes its time.
func (t *Tablet) pause(ctx context.Context, d time.Duration) error {
	switch {
	case d <= 0:
		return nil
	case t.cfg.Pause != nil:
		return t.cfg.Pause(ctx, d)
	}
	return pause(ctx, d)
}

// chance is true at the given rate.
func (t *Tablet) chance(rate float64) bool {
	if rate <= 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rand.Float64() < rate
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
