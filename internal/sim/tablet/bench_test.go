package tablet_test

import (
	"testing"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

// BenchmarkSnapshot is what a demo does each time it looks at its tablets.
func BenchmarkSnapshot(b *testing.B) {
	x, err := tablet.New(tablet.Config{Seed: 1, Clock: clock.System()})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_ = x.State()
	}
}

// BenchmarkNew is a tablet by itself; in a fleet the schema is read once.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := tablet.New(tablet.Config{Seed: 1, Clock: clock.System()}); err != nil {
			b.Fatal(err)
		}
	}
}
