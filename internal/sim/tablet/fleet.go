package tablet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Fleet is many tablets that live on pushes and slow polls.
type Fleet struct {
	opts  Options
	tell  func(Event)
	crew  []*member
	slots chan struct{} // as many talk at once as fit
	post  *postOffice   // nil without a courier

	mu      sync.Mutex
	store   map[int64]string
	clients []rootedClient
}

// member is a tablet and what its goroutine waits for.
type member struct {
	*Tablet
	orders chan func(context.Context)
	pushed chan struct{}
	rand   *rand.Rand // when to connect; not what to answer

	mu     sync.Mutex
	magic  string // of a push that came while it slept
	held   bool
	backup *Backup
}

type rootedClient struct {
	roots *x509.CertPool
	http  *http.Client
}

// NewFleet makes the keys and the tablets; Run brings them to life.
func NewFleet(ctx context.Context, o Options, tell func(Event)) (*Fleet, error) {
	if len(o.Serials) > 0 {
		o.Devices = len(o.Serials)
		seen := map[string]bool{}
		for _, s := range o.Serials {
			if seen[s] {
				return nil, fmt.Errorf("the serial number %s is given twice", s)
			}
			seen[s] = true
		}
	}
	if o.Devices < 1 {
		return nil, fmt.Errorf("a fleet of %d iPads is none", o.Devices)
	}
	if o.Supervised < 0 || o.Supervised > 1 {
		return nil, fmt.Errorf("a share of %v supervised iPads is not between 0 and 1", o.Supervised)
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.KeyWorkers == 0 {
		o.KeyWorkers = runtime.NumCPU()
	}
	f := &Fleet{opts: o, tell: tell, slots: make(chan struct{}, o.Workers), store: map[int64]string{}}
	for adam, id := range o.Store {
		f.store[adam] = id
	}
	if o.Courier != "" {
		f.post = newPostOffice(o.Courier, o.Seed, f.deliver)
	}
	progress := func(done, total int) { tell(Event{Event: "keys", Done: done, Total: total}) }
	var keys *Keys
	var err error
	if o.SharedKeys > 0 {
		keys, err = ShareKeys(ctx, o.SharedKeys, o.KeyWorkers, progress)
	} else {
		keys, err = MakeKeys(ctx, o.Devices, o.KeyWorkers, progress)
	}
	if err != nil {
		return nil, fmt.Errorf("make the tablets' keys: %w", err)
	}
	book := newBook()
	supervised := 0
	for i := range o.Devices {
		// Spread evenly: tablet i is supervised when the share's sum passes a whole.
		// With Activation it is the enrollment profile at Apple that makes it so.
		is := o.Activation == "" && int(float64(i+1)*o.Supervised+1e-9) > int(float64(i)*o.Supervised+1e-9)
		if is {
			supervised++
		}
		m := &member{
			orders: make(chan func(context.Context)), pushed: make(chan struct{}, 1),
			rand: rand.New(rand.NewPCG(o.Seed, uint64(i)<<8|3)),
		}
		serial, system := "", ""
		if len(o.Serials) > 0 {
			serial = o.Serials[i]
		}
		if o.OSMix {
			system = mixedOS(o.Seed, i)
		}
		m.Tablet, err = New(Config{
			Serial: serial, OSVersion: system, Activation: o.Activation, ReEnroll: o.ReEnroll, UpdateTime: o.UpdateTime, EraseTime: o.EraseTime,
			LowBattery: o.LowBattery, Pause: f.away,
			Seed: o.Seed, Index: i, Supervised: is, Clock: o.Clock, Roots: o.Roots, Client: f.client, Keys: keys,
			Signature: o.Signature, Unlicensed: o.Unlicensed, AppName: f.appName, AppTime: o.AppTime,
			Awkward: o.Awkward, Code: o.Code, Register: f.register(m), On: tell, book: book,
		})
		if err != nil {
			return nil, err
		}
		f.crew = append(f.crew, m)
	}
	tell(Event{Event: "started", TabletCount: o.Devices, SupervisedCount: supervised})
	return f, nil
}

// client shares one HTTP client among tablets that trust the same roots and
// present nothing in TLS.
func (f *Fleet) client(roots *x509.CertPool, id *Identity) *http.Client {
	if id != nil {
		return NewClient(roots, id)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.clients {
		if c.roots == roots || c.roots != nil && c.roots.Equal(roots) {
			return c.http
		}
	}
	c := rootedClient{roots, NewClient(roots, nil)}
	if t, ok := c.http.Transport.(*http.Transport); ok {
		t.MaxIdleConnsPerHost = f.opts.Workers
	}
	f.clients = append(f.clients, c)
	return c.http
}

func (f *Fleet) appName(adam int64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.store[adam]
}

// Tablets are the fleet's, in order.
func (f *Fleet) Tablets() []*Tablet {
	out := make([]*Tablet, 0, len(f.crew))
	for _, m := range f.crew {
		out = append(out, m.Tablet)
	}
	return out
}

// Run keeps the fleet alive until ctx ends or an order says stop; then all have
// ended.
func (f *Fleet) Run(ctx context.Context, cancel context.CancelFunc, orders <-chan Order) {
	var wg sync.WaitGroup
	if f.post != nil {
		wg.Go(func() { f.post.run(ctx) })
	}
	for _, m := range f.crew {
		wg.Go(func() { f.live(ctx, m) })
	}
	for done := false; !done; {
		select {
		case o := <-orders:
			if o.Do == "stop" {
				f.tell(Event{Event: "done", ID: o.ID})
				done = true
				break
			}
			wg.Go(func() { f.obey(ctx, o) })
		case <-ctx.Done():
			done = true
		}
	}
	cancel()
	wg.Wait()
}

// settle is how long a tablet that put a command off waits until it connects by
// itself, at most.
const settle = 1500 * time.Millisecond

// live is a tablet's life: pushes, orders, and the slow poll.
func (f *Fleet) live(ctx context.Context, m *member) {
	if !f.opts.Wait && f.opts.ProfileURL != "" {
		_ = f.talk(ctx, m, func() error { return m.Enroll(ctx, f.opts.ProfileURL) }) // told as enroll-failed
	}
	if !f.opts.Wait && f.opts.Activation != "" {
		_ = f.rest(ctx, m, f.opts.Stagger*time.Duration(m.cfg.Index)/time.Duration(len(f.crew))) // the context ends; so does what follows
		_ = f.setUpPatiently(ctx, m)                                                             // told as setup-failed
	}
	timer := time.NewTimer(f.nextPoll(m))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-m.orders:
			do(ctx)
		case <-m.pushed:
			f.connect(ctx, m)
		case <-timer.C:
			if m.Enrolled() && !m.Asleep() {
				f.connect(ctx, m)
			}
		}
		if m.ComesBack() {
			_ = f.setUpPatiently(ctx, m) // told as setup-failed
		}
		timer.Reset(f.nextPoll(m))
	}
}

// connect polls. A tablet that fell asleep over it does so again when it wakes;
// other errors were told by the tablet.
func (f *Fleet) connect(ctx context.Context, m *member) {
	err := f.talk(ctx, m, func() error { return m.Poll(ctx) })
	if _, _, magic := m.Registration(); errors.Is(err, ErrOffline) && magic != "" {
		m.mu.Lock()
		m.magic, m.held = magic, true
		m.mu.Unlock()
	}
}

// nextPoll spreads the tablets over the interval; one that put something off
// comes soon.
func (f *Fleet) nextPoll(m *member) time.Duration {
	if m.WillConnect() {
		return settle/10 + time.Duration(m.rand.Int64N(int64(settle)))
	}
	if f.opts.Poll <= 0 {
		return 1 << 62
	}
	return f.opts.Poll/2 + time.Duration(m.rand.Int64N(int64(f.opts.Poll)))
}

// talk runs one conversation when a slot is free, and tells the courier if it
// was the end of a push token.
func (f *Fleet) talk(ctx context.Context, m *member, do func() error) error {
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.slots }()
	before, _, _ := m.Registration()
	err := do()
	if token, _, _ := m.Registration(); f.post != nil && before != "" && token != before {
		f.post.gone(before)
	}
	return err
}

// register is what tells the courier of a member's tokens; nil without a courier.
func (f *Fleet) register(m *member) func(ctx context.Context, token, topic, magic string) {
	if f.post == nil {
		return nil
	}
	return func(ctx context.Context, token, topic, magic string) {
		f.post.add(ctx, m, registration{token, topic, magic})
	}
}

// deliver is a push's arrival at a tablet of the fleet.
func (f *Fleet) deliver(m *member, magic string) {
	if m.Asleep() {
		m.mu.Lock()
		m.magic, m.held = magic, true
		m.mu.Unlock()
		return
	}
	if m.Push(magic) {
		select {
		case m.pushed <- struct{}{}:
		default: // it is on its way already
		}
	}
}

// awake hands over the push that came while the tablet slept.
func (f *Fleet) awake(m *member) {
	m.mu.Lock()
	magic, held := m.magic, m.held
	m.held = false
	m.mu.Unlock()
	if held {
		f.deliver(m, magic)
	}
}

// chosen are the tablets an order is for.
func (f *Fleet) chosen(serials []string) ([]*member, error) {
	if len(serials) == 0 {
		return f.crew, nil
	}
	var out []*member
	for _, s := range serials {
		i := slices.IndexFunc(f.crew, func(m *member) bool { return m.Serial() == s })
		if i < 0 {
			return nil, fmt.Errorf("no tablet has the serial number %q", s)
		}
		out = append(out, f.crew[i])
	}
	return out, nil
}

// errUnknownOrder names what can be ordered.
var errUnknownOrder = errors.New("unknown command; there are enroll, setup, retry, poll, lock, unlock, sleep, wake, reboot, backup, restore, remove-profile, unenroll, erase, store, snapshot, stop")
