package tablet

import (
	"math"
	"math/rand/v2"
	"time"
)

// Batteries. An iPad out of its box has more than half; in use it goes down and is
// charged again. One of Config.LowBattery comes nearly empty and is on a charger
// from then on.
const (
	cycle     = 10 * time.Hour // from full over used to full
	leastUsed = 0.55
	perHour   = 0.4 // of a charger that many iPads share
)

// battery is the charge at a time, 0.3 to 1; the same seed, the same battery.
func (t *Tablet) battery(now time.Time) float64 {
	r := rand.New(rand.NewPCG(t.cfg.Seed, uint64(t.cfg.Index)<<8|4))
	low, at := r.Float64() < t.cfg.LowBattery, r.Float64()
	level := 0.3 + 0.18*at + perHour*now.Sub(t.born).Hours()
	if !low {
		// Down in eight tenths of the cycle, up in the rest.
		x := math.Mod(at+now.Sub(t.born).Hours()/cycle.Hours(), 1)
		if x < 0.8 {
			level = 1 - (1-leastUsed)*x/0.8
		} else {
			level = leastUsed + (1-leastUsed)*(x-0.8)/0.2
		}
	}
	return math.Round(100*min(level, 1)) / 100
}
