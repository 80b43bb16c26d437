// Package clock is the only place that asks the machine for the time.
//
// Times are UTC and cut to milliseconds, the unit of the database, so that what
// is written equals what is read.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time: the machine's, or in tests one that waits for us.
// Copies of a Clock share their time. The zero Clock is the machine's.
type Clock struct{ fixed *fixed }

type fixed struct {
	mu  sync.Mutex
	now time.Time
}

// System is the machine's clock.
func System() Clock { return Clock{} }

// At is a clock that stands at t until Forward moves it.
func At(t time.Time) Clock { return Clock{&fixed{now: t}} }

// Now is the time in UTC, cut to milliseconds.
func (c Clock) Now() time.Time {
	if c.fixed == nil {
		return time.Now().UTC().Truncate(time.Millisecond)
	}
	c.fixed.mu.Lock()
	defer c.fixed.mu.Unlock()
	return c.fixed.now.UTC().Truncate(time.Millisecond)
}

// Forward moves a standing clock. The machine's clock cannot be moved: there it
// does nothing.
func (c Clock) Forward(d time.Duration) {
	if c.fixed == nil {
		return
	}
	c.fixed.mu.Lock()
	defer c.fixed.mu.Unlock()
	c.fixed.now = c.fixed.now.Add(d)
}
