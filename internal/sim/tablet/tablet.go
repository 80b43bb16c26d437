package tablet

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
)

// Tablet is one simulated iPad. Its methods may be called from any goroutine;
// what talks to the server happens one after the other.
type Tablet struct {
	cfg  Config
	talk sync.Mutex // held while it talks to the server

	mu      sync.Mutex // held while what is below is read or written
	rng     *rand.Rand
	mem     memory
	state   State // the counters and the lock state; the rest is filled by State
	pending []byte
	client  *http.Client
	trusted string // what client was made for
}

// memory is what an erase forgets and a backup holds.
type memory struct {
	name     string
	enr      *enrollment
	profiles []*installed
	apps     map[string]*app
	lost     *Lost
	hasCode  bool
	attrs    map[string]any // settings that are only kept
}

// enrollment is what the management profile ordered and what came of it.
type enrollment struct {
	profile              string // identifier of the profile
	server, checkIn      string
	topic, mode          string
	rights               int64
	sign, checkOut       bool
	capabilities         []string
	id                   *Identity
	token, unlock        []byte
	magic                string
	awaiting             bool
	lastCommand          string // UUID that was answered last
	lastAnswer, lastKind string
}

// New makes a tablet that was unpacked and set up.
func New(c Config) (*Tablet, error) {
	c, err := c.fill()
	if err != nil {
		return nil, err
	}
	t := &Tablet{cfg: c, rng: rand.New(rand.NewPCG(c.Seed, uint64(c.Index)<<8|2))}
	t.mem = t.fresh()
	return t, nil
}

func (t *Tablet) fresh() memory {
	return memory{name: t.cfg.DeviceName, apps: map[string]*app{}, attrs: map[string]any{}}
}

// Serial is its serial number.
func (t *Tablet) Serial() string { return t.cfg.Serial }

// UDID is its unique device identifier.
func (t *Tablet) UDID() string { return t.cfg.UDID }

// with holds the tablet's memory for a moment.
func (t *Tablet) with(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

func (t *Tablet) enrolled() *enrollment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mem.enr
}

// chance draws by seed; a rate of 0 draws nothing, so that a fleet without
// awkwardness replays the same choices as before there was any.
func (t *Tablet) chance(rate float64) bool {
	if rate <= 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rng.Float64() < rate
}

func (t *Tablet) random(n int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.rng.Uint32())
	}
	return b
}

func (t *Tablet) uuid() string {
	b := t.random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (t *Tablet) emit(e Event) {
	if t.cfg.On == nil {
		return
	}
	e.Serial, e.At = t.cfg.Serial, t.cfg.Clock.Now()
	t.cfg.On(e)
}

// State is what it looks like now.
func (t *Tablet) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state
	s.Serial, s.UDID, s.Name = t.cfg.Serial, t.cfg.UDID, t.mem.name
	s.Model, s.OSVersion, s.Supervised = t.cfg.Model, t.cfg.OSVersion, t.cfg.Supervised
	s.HasCode, s.Log = t.mem.hasCode, slices.Clone(t.state.Log)
	s.Profiles, s.WiFi, s.WebClips, s.Apps = []Profile{}, []string{}, []string{}, []App{}
	if e := t.mem.enr; e != nil {
		s.Enrolled, s.Token = true, hex.EncodeToString(e.token)
		s.Identity = e.id.Hash()
	}
	for _, p := range t.mem.profiles {
		s.Profiles = append(s.Profiles, p.Profile)
		s.WiFi = append(s.WiFi, p.ssids...)
		s.WebClips = append(s.WebClips, p.clips...)
		if len(p.restrictions) > 0 && s.Restrictions == nil {
			s.Restrictions = map[string]any{}
		}
		maps.Copy(s.Restrictions, p.restrictions)
	}
	for _, id := range slices.Sorted(maps.Keys(t.mem.apps)) {
		t.settle(t.mem.apps[id])
		s.Apps = append(s.Apps, t.mem.apps[id].App)
	}
	if t.mem.lost != nil {
		l := *t.mem.lost
		s.Lost = &l
	}
	return s
}

// Lock locks it by its passcode, which it gets if it has none.
func (t *Tablet) Lock() { t.with(func() { t.mem.hasCode, t.state.Locked = true, true }) }

// Unlock unlocks it; after a restart it joins its Wi-Fi then.
func (t *Tablet) Unlock() { t.with(func() { t.state.Locked, t.state.Offline = false, false }) }

// Sleep takes it off the network, Wake brings it back.
func (t *Tablet) Sleep() { t.with(func() { t.state.Asleep = true }) }

// Wake ends Sleep.
func (t *Tablet) Wake() { t.with(func() { t.state.Asleep = false }) }

// Reboot restarts it by hand. With a passcode it has no Wi-Fi until it is
// unlocked for the first time.
func (t *Tablet) Reboot() {
	t.with(t.reboot)
	t.emit(Event{Event: "restarted"})
}

func (t *Tablet) reboot() {
	t.state.Restarts++
	if t.mem.hasCode {
		t.state.Locked, t.state.Offline = true, true
	}
}

func (t *Tablet) online() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.state.Asleep && !t.state.Offline
}
