package tablet

import (
	"context"
	"errors"
	"time"
)

// A fleet's patience with a set-up that fails: the pauses double from the first
// to the last, and Apple's or the server's Retry-After is kept to.
const (
	setUpTries = 30
	firstPause = 500 * time.Millisecond
	lastPause  = 15 * time.Second
	maxRetry   = 5 * time.Minute
)

// setUpPatiently is a fleet's way to switch a tablet on: who sets up an iPad
// tries again when it fails. In the pauses the tablet holds up no other one and
// obeys orders.
func (f *Fleet) setUpPatiently(ctx context.Context, m *member) error {
	wait := firstPause
	for n := 1; ; n++ {
		err := f.talk(ctx, m, func() error { return m.SetUp(ctx) })
		switch {
		case err == nil, m.Enrolled(), errors.Is(err, ErrNoProfile), ctx.Err() != nil:
			return err
		case n == setUpTries:
			m.stay()
			return err
		}
		pause := wait/2 + time.Duration(m.rand.Int64N(int64(wait)))
		if h, ok := errors.AsType[*HTTPError](err); ok {
			pause = max(pause, min(h.RetryAfter, maxRetry))
		}
		if err := f.rest(ctx, m, pause); err != nil {
			return err
		}
		if m.Enrolled() {
			return nil // by an order, meanwhile
		}
		wait = min(2*wait, lastPause)
	}
}

// rest lets time pass in a tablet's goroutine. Orders are obeyed all the same, and
// one that enrolls the tablet ends the rest.
func (f *Fleet) rest(ctx context.Context, m *member, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case do := <-m.orders:
			if do(ctx); m.Enrolled() {
				return nil
			}
		}
	}
}

// away lets time pass in the middle of a conversation, an update or an erase:
// meanwhile the slot is another tablet's. A tablet that is used without the fleet
// has none.
func (f *Fleet) away(ctx context.Context, d time.Duration) error {
	select {
	case <-f.slots:
		defer func() { f.slots <- struct{}{} }() // not given up for ctx: talk takes it back
	default:
	}
	return pause(ctx, d)
}

// switchOn sets tablets up one after the other, spread over Options.Stagger.
func (f *Fleet) switchOn(ctx context.Context, crew []*member) error {
	turn := make(map[*member]int, len(crew))
	for i, m := range crew {
		turn[m] = i
	}
	return f.inTurn(ctx, crew, func(ctx context.Context, m *member) error {
		if err := f.rest(ctx, m, f.opts.Stagger*time.Duration(turn[m])/time.Duration(len(crew))); err != nil {
			return err
		}
		return f.setUpPatiently(ctx, m)
	})
}

// standing are the tablets of a crew that came to nothing: a person walks
// through the room and taps "try again".
func standing(crew []*member) []*member {
	var out []*member
	for _, m := range crew {
		if s := m.State(); !s.Enrolled && s.Setup != "" && s.Setup != setupOff {
			out = append(out, m)
		}
	}
	return out
}
