package tablet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// obey does an order for all its tablets and tells how it ended.
func (f *Fleet) obey(ctx context.Context, o Order) {
	err := f.carryOut(ctx, o)
	if err != nil {
		f.tell(Event{Event: "failed", ID: o.ID, Error: err.Error()})
		return
	}
	if o.Do != "snapshot" {
		f.tell(Event{Event: "done", ID: o.ID})
	}
}

func (f *Fleet) carryOut(ctx context.Context, o Order) error {
	crew, err := f.chosen(o.Serials)
	if err != nil {
		return err
	}
	switch o.Do {
	case "snapshot":
		all := make([]State, 0, len(crew))
		for _, m := range crew {
			all = append(all, m.State())
		}
		f.tell(Event{Event: "snapshot", ID: o.ID, Tablets: all})
		return nil
	case "store":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.store[o.AdamID] = o.BundleID
		return nil
	case "lock", "unlock", "sleep", "wake", "reboot", "backup":
		// At once, even while the tablet talks: that is what people do.
		for _, m := range crew {
			f.handle(m, o.Do)
		}
		return nil
	case "setup":
		return f.switchOn(ctx, crew)
	case "retry":
		return f.inTurn(ctx, standing(crew), f.setUpPatiently)
	case "unenroll", "erase", "restore", "remove-profile", "poll", "enroll":
		return f.each(ctx, crew, func(ctx context.Context, m *member) error { return f.conversation(ctx, m, o) })
	}
	return fmt.Errorf("%q is an %w", o.Do, errUnknownOrder)
}

// handle does what needs no network.
func (f *Fleet) handle(m *member, do string) {
	switch do {
	case "lock":
		m.Lock()
	case "unlock":
		m.Unlock()
		f.awake(m)
		f.nudge(m)
	case "sleep":
		m.Sleep()
	case "wake":
		m.Wake()
		f.awake(m)
	case "reboot":
		m.Reboot()
	case "backup":
		b := m.Backup()
		m.mu.Lock()
		m.backup = &b
		m.mu.Unlock()
	}
}

// nudge makes a tablet connect by itself, as iPads do when what hindered them is
// over.
func (f *Fleet) nudge(m *member) {
	if !m.Enrolled() || m.Asleep() {
		return
	}
	select {
	case m.pushed <- struct{}{}:
	default: // it is on its way already
	}
}

// conversation does what needs the server.
func (f *Fleet) conversation(ctx context.Context, m *member, o Order) error {
	switch o.Do {
	case "enroll":
		url := o.URL
		if url == "" {
			url = f.opts.ProfileURL
		}
		return m.Enroll(ctx, url)
	case "poll":
		return m.Poll(ctx)
	case "unenroll":
		return m.RemoveManagement(ctx)
	case "remove-profile":
		return m.RemoveProfileByHand(ctx, o.Identifier)
	case "erase":
		m.EraseByHand()
		return nil
	case "restore":
		from := m
		if o.From != "" {
			i := slices.IndexFunc(f.crew, func(m *member) bool { return m.Serial() == o.From })
			if i < 0 {
				return fmt.Errorf("no tablet has the serial number %q", o.From)
			}
			from = f.crew[i]
		}
		from.mu.Lock()
		b := from.backup
		from.mu.Unlock()
		if b == nil {
			return fmt.Errorf("there is no backup of %s", from.Serial())
		}
		return m.Restore(ctx, *b)
	}
	return errUnknownOrder
}

// each lets each tablet talk, and waits for all.
func (f *Fleet) each(ctx context.Context, crew []*member, do func(context.Context, *member) error) error {
	return f.inTurn(ctx, crew, func(ctx context.Context, m *member) error {
		return f.talk(ctx, m, func() error { return do(ctx, m) })
	})
}

// inTurn runs do in the goroutine of each tablet and waits for all.
func (f *Fleet) inTurn(ctx context.Context, crew []*member, do func(context.Context, *member) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for _, m := range crew {
		wg.Add(1)
		task := func(ctx context.Context) {
			defer wg.Done()
			if err := do(ctx, m); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if len(failed) < 10 { // ten say what is wrong; ten thousand do not
					failed = append(failed, fmt.Errorf("%s: %w", m.Serial(), err))
				}
			}
		}
		wg.Go(func() {
			select {
			case m.orders <- task:
			case <-ctx.Done():
				wg.Done()
			}
		})
	}
	wg.Wait()
	return errors.Join(append(failed, ctx.Err())...)
}
