package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ranzen/internal/sqldb"
)

// kills is how often the server is killed for each database.
const kills = 50

// TestKilledAtRandomMoments kills the built server with SIGKILL while tablets
// enroll and work and people give orders, restarts it, and compares what it then
// says with what its clients were told. The history is kept here, outside of it.
func TestKilledAtRandomMoments(t *testing.T) {
	bin := build(t)
	eachDatabase(t, func(t *testing.T, db string) {
		h := &history{t: t, accepted: map[string]string{}, acked: map[string]bool{}, erases: map[string]int{}, enrolled: map[string]bool{}}
		in := install(t, bin, db)
		in.start(t)
		h.use(in)
		var link linkDoc
		if err := in.api.post(t.Context(), "/links", map[string]any{"name": "crash"}, &link); err != nil {
			t.Fatal(err)
		}
		var push pushDoc
		if err := in.api.get(t.Context(), "/push-certificate", nil, &push); err != nil {
			t.Fatal(err)
		}
		h.topic = push.Topic
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		const tablets = 8
		for i := range tablets {
			all.Go(func() { h.tablet(ctx, link.ProfileURL, i) })
		}
		for i := range 3 {
			all.Go(func() { h.person(ctx, i) })
		}
		dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a replayable test
		for n := range kills {
			time.Sleep(time.Duration(20+dice.IntN(200)) * time.Millisecond)
			in.kill()
			if err := in.tryStart(t.Context()); err != nil {
				t.Fatalf("start after kill %d: %v", n+1, err)
			}
			h.use(in)
		}
		wait(t, "all tablets are enrolled", func() bool { return h.count() == tablets })
		wait(t, "there is enough to look at", h.enough)
		stop()
		all.Wait()
		if t.Failed() {
			return
		}
		h.drain()
		h.check(link)
		in.stop(t)
	})
}

// history is what clients were told.
type history struct {
	t      *testing.T
	topic  string
	server atomic.Pointer[serverAt]

	mu       sync.Mutex
	tablets  []*foreign
	accepted map[string]string // command -> serial: the API said yes
	acked    map[string]bool   // command -> its acknowledgement was answered 200
	erases   map[string]int    // command -> how often an erase was handed over
	enrolled map[string]bool   // serial -> TokenUpdate was answered 200
	repeats  []string
}

type serverAt struct {
	devices string
	api     *client
}

func (h *history) use(in *installation) { h.server.Store(&serverAt{in.devices, in.api}) }

func (h *history) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.enrolled)
}

// enough tells whether so much happened that a loss would be among it. A slow
// machine needs longer for that.
func (h *history) enough() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.accepted) >= 50 && len(h.acked) >= 50
}

// insist repeats until the server answers, as tablets do. It gives up when ctx
// ends.
func (h *history) insist(ctx context.Context, f *foreign, do func() error) bool {
	for ctx.Err() == nil {
		f.at = h.server.Load().devices
		if do() == nil {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// tablet enrolls and then polls for ever.
func (h *history) tablet(ctx context.Context, profileURL string, number int) {
	base := context.WithoutCancel(ctx) // requests are cut off by kills only
	f, err := newForeign(h.topic)
	if err != nil {
		h.t.Error(err)
		return
	}
	f.at = h.server.Load().devices
	if !h.insist(ctx, f, func() error { return f.identify(base, profileURL) }) {
		return
	}
	if !h.insist(ctx, f, func() error { return f.DoAuthenticate(base) }) || !h.insist(ctx, f, func() error { return f.DoTokenUpdate(base) }) {
		return
	}
	h.mu.Lock()
	h.enrolled[strings.ToUpper(f.SerialNumber())] = true
	h.tablets = append(h.tablets, f)
	h.mu.Unlock()
	for ctx.Err() == nil {
		f.at = h.server.Load().devices
		h.session(base, f)
		time.Sleep(time.Duration(5+number) * time.Millisecond)
	}
}

// session is Idle and all commands, until there are none or the server is gone.
func (h *history) session(ctx context.Context, f *foreign) (took int) {
	c, err := f.report(ctx, "", "Idle")
	for err == nil && c != nil {
		took++
		id := c.CommandUUID
		h.mu.Lock()
		if h.acked[id] {
			h.repeats = append(h.repeats, id)
		}
		if c.Command.RequestType == "EraseDevice" {
			h.erases[id]++
		}
		h.mu.Unlock()
		if c.Command.RequestType == "EraseDevice" {
			return took // a tablet that is wiped says nothing; this one pretends and comes back
		}
		c, err = f.report(ctx, id, "Acknowledged")
		if err == nil {
			h.mu.Lock()
			h.acked[id] = true
			h.mu.Unlock()
		}
	}
	return took
}

// person gives orders, each with a key, and repeats one whose answer was lost.
func (h *history) person(ctx context.Context, number int) {
	for n := 0; ctx.Err() == nil; n++ {
		h.mu.Lock()
		var serial string
		if len(h.tablets) > 0 {
			serial = h.tablets[n%len(h.tablets)].SerialNumber()
		}
		h.mu.Unlock()
		if serial == "" {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		path, body := "send", map[string]any{"command": "InviteToProgram", "args": map[string]string{"ProgramID": "com.apple.cloudvpp", "InvitationURL": fmt.Sprintf("https://example.org/%d/%d", number, n)}}
		if number == 0 && n%40 == 39 {
			path, body = "erase", map[string]any{"reason": "test"}
		}
		key := sqldb.NewID()
		for ctx.Err() == nil {
			id, again, err := h.order(context.WithoutCancel(ctx), path, serial, key, body)
			if err == nil && id != "" {
				h.mu.Lock()
				h.accepted[id] = serial
				h.mu.Unlock()
			}
			if !again {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// order posts once; again tells that nobody knows what became of it.
func (h *history) order(ctx context.Context, path, serial, key string, body map[string]any) (id string, again bool, err error) {
	api := h.server.Load().api
	raw, err := json.Marshal(body)
	if err != nil {
		return "", false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api.base+at("devices", serial, path), strings.NewReader(string(raw)))
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Authorization", "Bearer "+api.token.Open())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := api.http.Do(req)
	if err != nil {
		return "", true, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	var ref commandRef
	if err := json.NewDecoder(res.Body).Decode(&ref); err != nil {
		return "", true, err
	}
	if res.StatusCode >= 500 {
		h.t.Errorf("%s: %s", path, res.Status)
	}
	return ref.Command, false, nil
}

// drain lets every tablet fetch what waits.
func (h *history) drain() {
	ctx := h.t.Context()
	for _, f := range h.tablets {
		f.at = h.server.Load().devices
		for range 20 {
			if h.session(ctx, f) == 0 {
				break
			}
		}
	}
}

// check compares the server's word with the history.
func (h *history) check(link linkDoc) {
	t, ctx, api := h.t, h.t.Context(), h.server.Load().api
	if len(h.repeats) > 0 {
		t.Errorf("%d commands came again after their acknowledgement was answered: %v", len(h.repeats), h.repeats[0])
	}
	for id, n := range h.erases {
		if n > 1 {
			t.Errorf("the erase %s was handed over %d times", id, n)
		}
	}
	type command struct {
		ID    string `json:"id"`
		State string `json:"state"`
		Kind  string `json:"kind"`
	}
	list, _, err := listing[command](ctx, api, "/commands", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]string{}
	for _, c := range list {
		state[c.ID] = c.State
		if c.State == "queued" || c.State == "sent" || c.State == "deferred" {
			t.Errorf("%s %s is %s after all tablets have fetched all", c.Kind, c.ID, c.State)
		}
	}
	for id := range h.accepted {
		s, known := state[id]
		switch {
		case !known:
			t.Errorf("the order %s was accepted and is lost", id)
		case h.erases[id] > 0 && s != "uncertain":
			t.Errorf("the erase %s was handed over, never answered, and is %s", id, s)
		case h.acked[id] && s != "done":
			t.Errorf("the order %s was acknowledged and is %s", id, s)
		case !h.acked[id] && s != "done" && s != "uncertain":
			t.Errorf("the order %s ended as %s", id, s)
		}
	}
	devices, _, err := listing[demoDevice](ctx, api, "/devices", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(devices) != len(h.enrolled) {
		t.Errorf("%d devices for %d tablets", len(devices), len(h.enrolled))
	}
	for _, d := range devices {
		if !h.enrolled[strings.ToUpper(d.Serial)] || d.State != "enrolled" && d.State != "erase_uncertain" {
			t.Errorf("%s is %s", d.Serial, d.State)
		}
	}
	links, _, err := listing[linkDoc](ctx, api, "/links", nil, 0)
	if err != nil || len(links) != 1 || links[0].Uses != int64(len(h.enrolled)) {
		t.Errorf("the link %s counts %v, %v", link.ID, links, err)
	}
	t.Logf("%d orders, %d acknowledged, %d erases", len(h.accepted), len(h.acked), len(h.erases))
}
