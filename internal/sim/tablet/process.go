package tablet

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"time"

	"ranzen/internal/clock"
)

// Options is a fleet: what `ranzen simulate` and the demo ask for.
type Options struct {
	ProfileURL string  // where each tablet fetches its own enrollment profile
	Devices    int     // how many
	Seed       uint64  //
	Supervised float64 // share that was prepared, 0 to 1, spread evenly: 0.67 is two of three
	Awkward    float64 // 0 to 1
	Clock      clock.Clock

	Roots      *x509.CertPool // nil is the system's; root payloads are added
	Courier    string         // base URL of the simulated push service's courier; empty: no pushes
	Poll       time.Duration  // how often each connects without a push; 0: never
	Workers    int            // tablets that talk at once; 0 is 8
	KeyWorkers int            // 0 is the number of processors
	SharedKeys int            // 0: a key each; else so many keys for all, for load runs
	Wait       bool           // do not enroll by itself; wait for the command enroll

	Unlicensed []int64
	AppTime    time.Duration
	Signature  Signature
}

// RunProcess keeps a fleet until ctx ends, in says stop or ends. It returns nil
// then; an error is one of the options or of writing events.
func RunProcess(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	return errors.New("not written yet")
}
