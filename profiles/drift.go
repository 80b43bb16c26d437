package profiles

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// undoLimit is how often within undoSpan a tablet may undo the same thing before
// it is left alone: somebody, or something, there wants it so.
const (
	undoLimit = 5
	undoSpan  = 24 * time.Hour
	undoLook  = time.Hour // how old the lists of one that undoes things may become
)

// undo notes that an item was there and is not any more: somebody removed or
// replaced it on the tablet. It is repaired, within the budget.
func (r *itemRow) undo(now time.Time) {
	times := append(r.undoings(now), now)
	texts := make([]string, 0, undoLimit)
	for _, t := range times[max(0, len(times)-undoLimit):] {
		texts = append(texts, strconv.FormatInt(t.UnixMilli(), 10))
	}
	r.Undone = strings.Join(texts, ",")
	r.State, r.Reason = pending, "It was removed on the iPad and is installed again."
	if len(texts) >= undoLimit {
		r.State, r.RetryAt = failed, sqldb.At(now.Add(undoSpan))
		r.Reason = fmt.Sprintf("Left alone until %s: the iPad undid it %d times within a day. Find out who removes it there, then: ranzen device retry.",
			now.Add(undoSpan).UTC().Format("2006-01-02 15:04 MST"), len(texts))
	}
}

// undoings are when the tablet undid the item in the last day, oldest first.
func (r itemRow) undoings(now time.Time) (list []time.Time) {
	if r.Undone == "" {
		return nil
	}
	for part := range strings.SplitSeq(r.Undone, ",") {
		if ms, err := strconv.ParseInt(part, 10, 64); err == nil && now.Sub(time.UnixMilli(ms)) < undoSpan {
			list = append(list, time.UnixMilli(ms).UTC())
		}
	}
	return list
}

// Retry has a device try again at once what failed there, and forgets how often
// it failed or was undone. An item that is named is sent once more although it is
// there: what is broken on the iPad need not look so in its lists. It gives the
// names of what is tried.
//
// Faults: device.not-enrolled, item.unknown, retry.nothing.
func (r *Room) Retry(ctx context.Context, tx *sqldb.Tx, by audit.Actor, deviceID, what string) ([]string, error) {
	known, err := r.Facts.OfDevices(ctx, tx, []string{deviceID})
	if err != nil {
		return nil, err
	}
	f := known[deviceID]
	if !f.Active {
		return nil, fault.New(fault.Conflict, "device.not-enrolled", "The device is not enrolled, so nothing can be tried there. Why it has what it has: ranzen device why.")
	}
	rows, err := itemsOf(ctx, tx, []string{f.EnrollmentID})
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.ItemID)
	}
	names, err := calledOf(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read the names of items: %w", err)
	}
	var tried []itemRow
	var again []commands.Command
	out := []string{}
	met := false
	for _, row := range rows {
		if row.Generation != f.Generation || what != "" && names[row.ItemID].Name != what {
			continue
		}
		met = true
		stuck := row.State == failed || row.State == blocked || !row.RetryAt.IsZero()
		if row.Desired == nil && row.State == blocked || !stuck && (what == "" || row.Desired == nil) {
			continue // what waits at the gate is not to be tried
		}
		if row.State == installed {
			in, _ := row.thing().kinds()
			again = append(again, commands.Command{
				EnrollmentID: row.EnrollmentID, Generation: row.Generation, Kind: in, DedupeKey: row.thing().key(), Item: row.thing().item(*row.Desired), Origin: by,
			})
		}
		row.Failures, row.RetryAt, row.Undone, row.UpdatedAt = 0, sqldb.Time{}, "", sqldb.At(r.Clock.Now())
		tried, out = append(tried, row), append(out, names[row.ItemID].Name)
	}
	switch {
	case !met && what != "":
		return nil, fault.New(fault.NotFound, "item.unknown", "There is no profile and no app called %s on this device, or wished for it. See ranzen device why.", what).On("what")
	case len(out) == 0:
		return nil, fault.New(fault.Conflict, "retry.nothing", "Nothing waits for another try on this device. To have something sent once more that is there, name it.")
	}
	if err := upsertItems(ctx, tx, tried); err != nil {
		return nil, fmt.Errorf("write items: %w", err)
	}
	if _, err := r.Queue.Add(ctx, tx, again...); err != nil {
		return nil, err
	}
	slices.Sort(out)
	if err := r.record(ctx, tx, by, "device.retry", "device:"+deviceID, map[string]any{"items": out}); err != nil {
		return nil, err
	}
	return out, r.Mark(ctx, tx, f.EnrollmentID)
}
