package profiles

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// silentAfter is how long a tablet may say nothing before a plan tells that it
// will not get a change soon.
const silentAfter = 7 * 24 * time.Hour

// eraseKind is the kind of an erase in the queue.
const eraseKind = "device.erase"

// whoWaits finds the devices that a change concerns and that do not get it now:
// those touched that do not speak, and those that have no enrollment to be
// touched.
func (r *Room) whoWaits(ctx context.Context, tx *sqldb.Tx, c *collector, w *weigher) error {
	longest := 0
	now := r.Clock.Now()
	for part := range slices.Chunk(w.touched, chunk) {
		lives, ids := make(map[string]int64, len(part)), make([]string, 0, len(part))
		for _, f := range part {
			lives[f.EnrollmentID], ids = f.Generation, append(ids, f.EnrollmentID)
		}
		erasing, err := r.Queue.Ending(ctx, tx, eraseKind, lives)
		if err != nil {
			return err
		}
		silent, err := r.Facts.SilentSince(ctx, tx, ids, now.Add(-silentAfter))
		if err != nil {
			return err
		}
		for _, f := range part {
			order, ordered := erasing[f.EnrollmentID]
			seen, speechless := silent[f.EnrollmentID]
			switch {
			case order == commands.Uncertain:
				tally(w.waiting, "erase_uncertain", f.Serial)
			case ordered:
				tally(w.waiting, "erase_requested", f.Serial)
			case f.LostMode:
				tally(w.waiting, "lost", f.Serial)
			case speechless:
				tally(w.waiting, "silent", f.Serial)
				longest = max(longest, int(now.Sub(seen).Hours()/24))
			}
		}
	}
	if err := r.whoIsAway(ctx, tx, c, w); err != nil {
		return err
	}
	for _, text := range []struct{ code, one, more string }{
		{"silent", fmt.Sprintf("1 iPad has said nothing for %d days. It reaches it when it connects again.", longest),
			"%d iPads have said nothing for a week or longer, the longest for " + fmt.Sprint(longest) + " days. It reaches them when they connect again."},
		{"erase_requested", "1 iPad is to be erased. It reaches it when it is set up again.", "%d iPads are to be erased. It reaches them when they are set up again."},
		{"erase_uncertain", "1 iPad was given the order to erase itself and has not answered. It reaches it when it connects, or when it is set up again.",
			"%d iPads were given the order to erase themselves and have not answered. It reaches them when they connect, or when they are set up again."},
		{"lost", "1 iPad is in Lost Mode. It reaches it when that ends.", "%d iPads are in Lost Mode. It reaches them when that ends."},
		{"known", "1 iPad is not enrolled yet. It reaches it when it enrolls.", "%d iPads are not enrolled yet. It reaches them when they enroll."},
		{"enrolling", "1 iPad is enrolling just now. It reaches it when that is complete.", "%d iPads are enrolling just now. It reaches them when that is complete."},
		{"held", "1 iPad waits for a decision about a second enrollment of its serial number: ranzen hold list.",
			"%d iPads wait for a decision about a second enrollment of their serial number: ranzen hold list."},
		{"erased", "1 iPad was erased. It reaches it when it is set up again.", "%d iPads were erased. It reaches them when they are set up again."},
		{"unenrolled", "From 1 iPad the management was removed. It reaches it when it enrolls again.", "From %d iPads the management was removed. It reaches them when they enroll again."},
	} {
		if h := w.waiting[text.code]; h != nil {
			h.Text = counted(h.Devices, text.one, text.more)
			w.plan.Waiting = append(w.plan.Waiting, *h)
		}
	}
	return nil
}

// whoIsAway counts the devices without an enrollment for whom something is wished
// after the change that was not before.
func (r *Room) whoIsAway(ctx context.Context, tx *sqldb.Tx, c *collector, w *weigher) error {
	away, gone := map[string]DeviceFacts{}, false
	for s := range c.scopes {
		known, err := r.Facts.AwayIn(ctx, tx, s)
		if fault.KindOf(err) == fault.NotFound { // the change removes this group: who was in it is told by what it was before
			gone = true
			known, err = r.Facts.AwayIn(ctx, r.DB, s)
		}
		if fault.KindOf(err) == fault.NotFound {
			continue // it made it, too
		}
		if err != nil {
			return err
		}
		maps.Copy(away, known)
	}
	if len(away) == 0 || len(c.things) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(away))
	scopes, err := r.Schools.ScopesOf(ctx, tx, ids)
	if err != nil {
		return err
	}
	former := scopes
	if gone {
		if former, err = r.Schools.ScopesOf(ctx, r.DB, ids); err != nil {
			return err
		}
	}
	before, err := r.wishesOf(ctx, r.DB, away, former, c.things)
	if err != nil {
		return err
	}
	after, err := r.wishesOf(ctx, tx, away, scopes, c.things)
	if err != nil {
		return err
	}
	for _, id := range ids {
		for th := range c.things {
			old, was := before[id][th]
			if now, is := after[id][th]; is && (!was || old.content() != now.content()) {
				state := away[id].State
				if state == "" {
					state = "known"
				}
				tally(w.waiting, state, away[id].Serial)
				break
			}
		}
	}
	return nil
}
