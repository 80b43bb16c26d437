package clock_test

import (
	"testing"
	"time"

	"ranzen/internal/clock"
)

func TestAStandingClockMovesOnlyWhenTold(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	c := clock.At(time.Date(2026, 9, 1, 7, 45, 0, 123456789, berlin))
	want := time.Date(2026, 9, 1, 6, 45, 0, 123000000, time.UTC)
	if got := c.Now(); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v in UTC", got, want)
	}
	copied := c
	copied.Forward(time.Hour)
	if got := c.Now(); !got.Equal(want.Add(time.Hour)) {
		t.Errorf("copies share their time: got %v", got)
	}
}

func TestTheMachinesClockIsUTCAndWholeMilliseconds(t *testing.T) {
	c := clock.System()
	c.Forward(time.Hour)
	n := c.Now()
	if n.Location() != time.UTC || n.Nanosecond()%1e6 != 0 {
		t.Errorf("got %v", n)
	}
	if d := time.Since(n); d < 0 || d > time.Minute {
		t.Errorf("off by %v", d)
	}
}
