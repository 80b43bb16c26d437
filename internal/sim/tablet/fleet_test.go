package tablet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

// courier is the least of the push service that a fleet needs.
type courier struct {
	*httptest.Server
	mu     sync.Mutex
	tokens map[string]string // to magic
	gone   []string
	early  bool // the server heard of a token before the courier did
	push   chan string
}

func newCourier(t *testing.T) *courier {
	t.Helper()
	c := &courier{tokens: map[string]string{}, push: make(chan string, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /courier/tokens", func(w http.ResponseWriter, r *http.Request) {
		var list []struct{ Token, Topic, Magic string }
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, x := range list {
			if x.Topic != topic {
				t.Errorf("topic %q", x.Topic)
			}
			c.tokens[x.Token] = x.Magic
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /courier/unregister", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		var list []string
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		c.gone = append(c.gone, list...)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /courier", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case line := <-c.push:
				_, _ = io.WriteString(w, line+"\n")
			case <-r.Context().Done():
				return
			}
		}
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.CloseClientConnections)
	return c
}

// wake pushes to a token, as the MDM server would through Apple.
func (c *courier) wake(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push <- fmt.Sprintf(`{"token":%q,"mdm":%q}`, token, c.tokens[token])
}

// process is RunProcess with its two pipes.
type process struct {
	t      *testing.T
	in     io.WriteCloser
	events *bufio.Scanner
	ended  chan error
	seen   []tablet.Event
}

func run(t *testing.T, o tablet.Options) *process {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p := &process{t: t, in: inW, events: bufio.NewScanner(outR), ended: make(chan error, 1)}
	p.events.Buffer(nil, 1<<20)
	go func() {
		err := tablet.RunProcess(t.Context(), o, inR, outW)
		_ = outW.Close()
		p.ended <- err
	}()
	return p
}

func (p *process) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// until reads events until one is as wanted, which is returned.
func (p *process) until(want func(tablet.Event) bool) tablet.Event {
	p.t.Helper()
	for p.events.Scan() {
		var e tablet.Event
		if err := json.Unmarshal(p.events.Bytes(), &e); err != nil {
			p.t.Fatalf("%s: %v", p.events.Bytes(), err)
		}
		p.seen = append(p.seen, e)
		if want(e) {
			return e
		}
	}
	p.t.Fatalf("the events ended; the last were %+v", p.seen[max(0, len(p.seen)-5):])
	return tablet.Event{}
}

func named(event string) func(tablet.Event) bool {
	return func(e tablet.Event) bool { return e.Event == event }
}

// ask says a command and waits for its answer, done or failed or snapshot.
func (p *process) ask(line string) tablet.Event {
	p.t.Helper()
	id := fmt.Sprint(len(p.seen))
	p.say(strings.Replace(line, "{", `{"id":"`+id+`",`, 1))
	return p.until(func(e tablet.Event) bool { return e.ID == id })
}

func (p *process) snapshot() []tablet.State { return p.ask(`{"do":"snapshot"}`).Tablets }

func TestAFleetEnrollsAndLivesOnPushes(t *testing.T) {
	s, c := newSchool(t), newCourier(t)
	s.answer = func(_ http.ResponseWriter, _ *http.Request, m map[string]any) bool {
		if token, ok := m["Token"].([]byte); ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.early = c.early || c.tokens[fmt.Sprintf("%x", token)] == ""
		}
		return false
	}
	p := run(t, tablet.Options{
		ProfileURL: s.URL + "/profile", Devices: 6, Seed: 5, Supervised: 0.67, Clock: clock.System(), Courier: c.URL, SharedKeys: 1,
		Unlicensed: []int64{9},
	})
	for range 6 {
		p.until(named("enrolled"))
	}
	all := p.snapshot()
	supervised := 0
	for _, x := range all {
		if x.Supervised {
			supervised++
		}
		if !x.Enrolled || c.tokens[x.Token] == "" {
			t.Errorf("tablet %s: %+v", x.Serial, x)
		}
	}
	if len(all) != 6 || supervised != 4 || c.early {
		t.Errorf("%d tablets, %d supervised, token too early %v", len(all), supervised, c.early)
	}

	one := all[0]
	fleetOrder(s, one.UDID, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "Schule")})
	c.wake(one.Token)
	if e := p.until(named("profile-installed")); e.Serial != one.Serial || !slices.Equal(e.SSIDs, []string{"Schule"}) {
		t.Errorf("event %+v", e)
	}
	p.ask(`{"do":"store","adam_id":4,"bundle_id":"com.example.four"}`)
	fleetOrder(s, one.UDID, "InstallApplication", map[string]any{"iTunesStoreID": 4})
	fleetOrder(s, one.UDID, "InstallApplication", map[string]any{"iTunesStoreID": 9})
	c.wake(one.Token)
	if e := p.until(named("app-installed")); e.BundleID != "com.example.four" {
		t.Errorf("event %+v", e)
	}
	p.until(named("app-refused"))

	// A tablet that sleeps hears its push when it wakes. The poll fails, but waits
	// until the session before is over: this school offers nothing twice.
	p.ask(`{"do":"sleep","serials":["` + one.Serial + `"]}`)
	if e := p.ask(`{"do":"poll","serials":["` + one.Serial + `"]}`); e.Event != "failed" {
		t.Errorf("a poll asleep: %+v", e)
	}
	fleetOrder(s, one.UDID, "RemoveProfile", map[string]any{"Identifier": "net"})
	c.wake(one.Token)
	c.wake(all[1].Token)
	for !p.snapshotHas(all[1].Serial) { // pushes come in order, so the first was delivered too
	}
	// Not ask: the event may come before the answer to the order.
	p.say(`{"do":"wake","serials":["` + one.Serial + `"]}`)
	p.until(named("profile-removed"))

	p.say(`{"do":"stop"}`)
	p.until(named("stopped"))
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}

// snapshotHas tells whether a tablet has heard a push.
func (p *process) snapshotHas(serial string) bool {
	for _, x := range p.snapshot() {
		if x.Serial == serial {
			return x.Pushes > 0
		}
	}
	return false
}

func fleetOrder(s *school, udid, request string, args map[string]any) {
	body := map[string]any{"RequestType": request}
	for k, v := range args {
		body[k] = v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue[udid] = append(s.queue[udid], command{fmt.Sprintf("%s-%d", request, len(s.queue[udid])), body})
}

func TestAFleetTakesOrders(t *testing.T) {
	s, c := newSchool(t), newCourier(t)
	p := run(t, tablet.Options{Devices: 2, Seed: 5, Clock: clock.System(), Courier: c.URL, SharedKeys: 1, Wait: true})
	p.until(named("started"))
	for _, line := range []string{
		`{"do":"enroll","serials":["RZ00050000"],"url":"` + s.URL + `/nothing"}`, // 404
		`{"do":"enroll","serials":["RZ99999999"]}`, `{"do":"fly"}`, `{"do":"poll"}`, `{"do":"restore"}`,
		`{"do":"remove-profile","identifier":"nothing"}`, `{"do":"unenroll"}`,
	} {
		if e := p.ask(line); e.Event != "failed" || e.Error == "" {
			t.Errorf("%s: %+v", line, e)
		}
	}
	p.say(`this is no JSON`)
	p.until(func(e tablet.Event) bool { return e.Event == "failed" && e.ID == "" })
	for _, line := range []string{
		`{"do":"enroll","url":"` + s.URL + `/profile"}`, `{"do":"poll"}`, `{"do":"backup"}`, `{"do":"lock"}`, `{"do":"unlock"}`,
		`{"do":"reboot"}`, `{"do":"unlock"}`, `{"do":"restore"}`, `{"do":"erase","serials":["RZ00050001"]}`,
		`{"do":"restore","serials":["RZ00050001"],"from":"RZ00050000"}`, `{"do":"remove-profile","identifier":"school.enroll"}`,
	} {
		if e := p.ask(line); e.Event != "done" {
			t.Fatalf("%s: %+v", line, e)
		}
	}
	for _, x := range p.snapshot() {
		if x.Enrolled || x.Restarts != 1 {
			t.Errorf("%s: %+v", x.Serial, x)
		}
	}
	if err := p.in.Close(); err != nil { // as when the parent dies
		t.Fatal(err)
	}
	p.until(named("stopped"))
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.gone) < 3 {
		t.Errorf("tokens gone: %v", c.gone)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]tablet.Options{
		"no iPads":         {},
		"too supervised":   {Devices: 1, Supervised: 1.5, SharedKeys: 1},
		"less than never":  {Devices: 1, Awkward: -1, SharedKeys: 1},
		"more than always": {Devices: 1, Awkward: 2, SharedKeys: 1},
	} {
		in, w := io.Pipe()
		if err := tablet.RunProcess(t.Context(), o, in, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
		_ = w.Close()
	}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestAFleetEndsWhenNobodyReads(t *testing.T) {
	in, w := io.Pipe()
	defer func() { _ = w.Close() }()
	err := tablet.RunProcess(t.Context(), tablet.Options{Devices: 3, SharedKeys: 1, Wait: true, Clock: clock.System()}, in, deaf{})
	if err == nil {
		t.Error("no error")
	}
}

func TestAFleetPollsByItselfWithoutPushes(t *testing.T) {
	s := newSchool(t)
	s.signed = false // as NanoMDM's users hand them out
	ctx, cancel := context.WithCancel(t.Context())
	polls := 0
	s.answer = func(_ http.ResponseWriter, _ *http.Request, m map[string]any) bool {
		if m["Status"] == "Idle" {
			s.mu.Lock()
			defer s.mu.Unlock()
			if polls++; polls == 5 {
				cancel()
			}
		}
		return false
	}
	in, w := io.Pipe()
	defer func() { _ = w.Close() }()
	err := tablet.RunProcess(ctx, tablet.Options{
		ProfileURL: s.URL + "/profile", Devices: 1, SharedKeys: 1, Poll: 5 * time.Millisecond, Clock: clock.System(),
	}, in, io.Discard)
	if err != nil || polls < 5 {
		t.Errorf("%d polls, %v", polls, err)
	}
}
