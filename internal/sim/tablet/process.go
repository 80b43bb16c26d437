package tablet

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"ranzen/internal/clock"
)

// Options is a fleet: what `ranzen simulate` and the demo ask for.
type Options struct {
	ProfileURL string        // where each tablet fetches its own enrollment profile
	Devices    int           // how many
	Seed       uint64        //
	Activation string        // instead of ProfileURL: the simulated Apple that says who manages a tablet
	Serials    []string      // of the tablets, in order; empty: made up. Their number is Devices
	Stagger    time.Duration // over how long the tablets of an order are switched on
	Supervised float64       // share that was prepared, 0 to 1, spread evenly: 0.67 is two of three
	Awkward    float64       // 0 to 1
	Clock      clock.Clock

	Roots      *x509.CertPool // nil is the system's; root payloads are added
	Courier    string         // base URL of the simulated push service's courier; empty: no pushes
	Poll       time.Duration  // how often each connects without a push; 0: never
	Workers    int            // tablets that talk at once; 0 is 8
	KeyWorkers int            // 0 is the number of processors
	SharedKeys int            // 0: a key each; else so many keys for all, for load runs
	Wait       bool           // do not enroll by itself; wait for the command enroll

	Unlicensed []int64
	Store      map[int64]string // adam ID to bundle ID; more can come by the command store
	AppTime    time.Duration
	UpdateTime time.Duration
	EraseTime  time.Duration
	ReEnroll   bool    // erased tablets set themselves up again
	LowBattery float64 // share of batteries below one half
	OSMix      bool    // iPadOS as schools have it, by the seed; else all have one
	Code       bool    // the tablets have a passcode
	Signature  Signature
}

// Order is a line of the fleet's input.
type Order struct {
	Do         string   `json:"do"`
	ID         string   `json:"id"`
	Serials    []string `json:"serials"`
	URL        string   `json:"url"`
	Identifier string   `json:"identifier"`
	From       string   `json:"from"`
	AdamID     int64    `json:"adam_id"`
	BundleID   string   `json:"bundle_id"`
}

// maxOrder bounds a line: a list of 10,000 serials has 130 kB.
const maxOrder = 1 << 20

// RunProcess keeps a fleet until ctx ends, in says stop or ends. It returns nil
// then; an error is one of the options or of writing events.
func RunProcess(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := &eventWriter{out: json.NewEncoder(out), broken: cancel}
	// The input is read from the start, so that a parent that dies ends its fleet
	// even while keys are made. The reader ends with its input; a process that
	// ends does not wait for it.
	orders := make(chan Order)
	go readOrders(ctx, cancel, in, orders, lines.write)
	f, err := NewFleet(ctx, o, lines.write)
	if err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return errors.Join(err, lines.end())
	}
	f.Run(ctx, cancel, orders)
	return lines.end()
}

// eventWriter writes one event a line. When nobody reads any more the fleet ends.
type eventWriter struct {
	mu     sync.Mutex
	out    *json.Encoder
	err    error
	broken context.CancelFunc
}

func (w *eventWriter) write(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if w.err = w.out.Encode(e); w.err != nil {
		w.broken()
	}
}

func (w *eventWriter) end() error {
	w.write(Event{Event: "stopped"})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return fmt.Errorf("write events: %w", w.err)
	}
	return nil
}

func readOrders(ctx context.Context, cancel context.CancelFunc, in io.Reader, orders chan<- Order, tell func(Event)) {
	defer cancel()
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxOrder)
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		var o Order
		if err := json.Unmarshal(s.Bytes(), &o); err != nil {
			tell(Event{Event: "failed", Error: "This line is no command: " + err.Error()})
			continue
		}
		select {
		case orders <- o:
		case <-ctx.Done():
			return
		}
	}
	if err := s.Err(); err != nil {
		tell(Event{Event: "failed", Error: "The commands cannot be read any further: " + err.Error()})
	}
}
