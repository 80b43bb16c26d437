package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// fleet is the process of the simulated iPads. Nothing but HTTP is between them
// and the server; what is written here steers people's hands, not the server.
type fleet struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan error

	mu     sync.Mutex
	made   int             // keys
	seen   map[string]bool // "event serial"
	shots  map[string]chan []demoTablet
	number int
}

// fleetEvent is a line of the fleet.
type fleetEvent struct {
	Event   string       `json:"event"`
	ID      string       `json:"id"`
	Serial  string       `json:"serial"`
	Done    int          `json:"done"`
	Tablets []demoTablet `json:"tablets"`
}

// demoTablet is what an iPad itself says of itself, past the server.
type demoTablet struct {
	Serial   string     `json:"serial"`
	WiFi     []string   `json:"wifi"`
	Awaiting bool       `json:"awaiting"` // in Setup Assistant
	Profiles []struct{} `json:"profiles"`
	Apps     []struct {
		BundleID string `json:"bundle_id"`
		State    string `json:"state"`
	} `json:"apps"`
}

func (t demoTablet) has(ssid, bundle string) bool {
	network, app := false, false
	for _, s := range t.WiFi {
		network = network || s == ssid
	}
	for _, a := range t.Apps {
		app = app || a.BundleID == bundle && a.State == "Managed"
	}
	return network && app
}

// startFleet runs this program once more as `ranzen simulate`.
func startFleet(ctx context.Context, d *demo, where ...string) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	f := &fleet{ended: make(chan error, 1), seen: map[string]bool{}, shots: map[string]chan []demoTablet{}}
	args := append([]string{"simulate", "--steered", "--seed", strconv.FormatUint(d.cmd.Seed, 10), "--awkward", "0.05", "--poll", "20s",
		"--ca", d.cfg.Path(rootFile), "--courier", d.apns.CourierURL()}, where...)
	f.cmd = exec.CommandContext(ctx, self, args...) //nolint:gosec // ourselves
	f.cmd.Stderr = d.stderr
	f.cmd.WaitDelay = 5 * time.Second
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start the iPads: %w", err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the iPads: %w", err)
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the iPads: %w", err)
	}
	go f.listen(out)
	return f, nil
}

// listen takes the fleet's lines until there are no more.
func (f *fleet) listen(out io.Reader) {
	r := bufio.NewReaderSize(out, 64<<10)
	d := json.NewDecoder(r)
	for {
		var e fleetEvent
		if err := d.Decode(&e); err != nil {
			_, _ = io.Copy(io.Discard, out) // let it end
			f.ended <- f.cmd.Wait()
			return
		}
		f.take(e)
	}
}

func (f *fleet) take(e fleetEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e.Event {
	case "keys":
		f.made = e.Done
	case "snapshot":
		if ch := f.shots[e.ID]; ch != nil {
			ch <- e.Tablets
			delete(f.shots, e.ID)
		}
	}
	f.seen[e.Event+" "+e.Serial] = true
}

func (f *fleet) keys() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

func (f *fleet) happened(event, serial string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[event+" "+serial]
}

// do tells the fleet something.
func (f *fleet) do(command map[string]any) error {
	b, err := json.Marshal(command)
	if err != nil {
		return fmt.Errorf("steer the iPads: %w", err)
	}
	if _, err := f.in.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("steer the iPads: %w", err)
	}
	return nil
}

// snapshot asks the iPads themselves.
func (f *fleet) snapshot(ctx context.Context) ([]demoTablet, error) {
	f.mu.Lock()
	f.number++
	id := "look-" + strconv.Itoa(f.number)
	answer := make(chan []demoTablet, 1)
	f.shots[id] = answer
	f.mu.Unlock()
	if err := f.do(map[string]any{"do": "snapshot", "id": id}); err != nil {
		return nil, err
	}
	select {
	case list := <-answer:
		return list, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Minute):
		return nil, failedf("The simulated iPads do not say what they have.")
	}
}

// close ends the fleet.
func (f *fleet) close() error {
	_ = f.do(map[string]any{"do": "stop"}) // it may be gone already
	_ = f.in.Close()
	select {
	case <-f.ended:
	case <-time.After(10 * time.Second):
		_ = f.cmd.Process.Kill()
	}
	return nil
}

// bar is one step of the story: a bar on a terminal, a line elsewhere.
type bar struct {
	line  *progressbar.ProgressBar
	d     *demo
	what  string
	want  int
	last  int
	begun time.Time
}

func (d *demo) bar(what string, want int) *bar {
	b := &bar{d: d, what: what, want: want, begun: d.clock.Now()}
	if f, ok := d.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		b.line = progressbar.NewOptions(want, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(fmt.Sprintf("%-34s", what)),
			progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}))
	}
	return b
}

func (b *bar) show(n int) {
	b.last = min(n, b.want)
	if b.line != nil {
		_ = b.line.Set(b.last) // a terminal that is gone
	}
}

func (b *bar) end() {
	if b.line != nil {
		_ = b.line.Exit()
		b.d.say("")
		return
	}
	b.d.say("%-34s %d/%d  %.1fs", b.what, b.last, b.want, b.d.clock.Now().Sub(b.begun).Seconds())
}
