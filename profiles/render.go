package profiles

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Specs are the kinds of this room for the queue.
func (r *Room) Specs() []commands.Spec {
	of := func(kind, requestType string, render renderFunc, done doneFunc) commands.Spec {
		return commands.Spec{Kind: kind, RequestType: requestType, Renderer: renderer{room: r, render: render, done: done}}
	}
	list := []commands.Spec{
		of(installProfile, "InstallProfile", r.renderInstall, r.installed),
		of(removeProfile, "RemoveProfile", r.renderRemove, r.went),
		of(listProfiles, "ProfileList", plain(map[string]any{"ManagedOnly": false}), r.listedProfiles),
		of(installApp, "InstallApplication", r.renderApp, r.acceptedApp),
		of(removeApp, "RemoveApplication", r.renderRemoveApp, r.went),
		of(listManaged, "ManagedApplicationList", plain(nil), r.listedManaged),
		of(listInstalled, "InstalledApplicationList", plain(map[string]any{"ManagedAppsOnly": true}), r.listedInstalled),
	}
	return list
}

type (
	renderFunc func(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error)
	doneFunc   func(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error
)

type renderer struct {
	room   *Room
	render renderFunc
	done   doneFunc
}

// Render implements commands.Renderer.
func (d renderer) Render(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error) {
	return d.render(ctx, tx, c)
}

// Done implements commands.Renderer.
func (d renderer) Done(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	return d.done(ctx, tx, c, res)
}

// Ended implements commands.Ender: what was ordered and will not happen is
// planned anew. Not at once: what made it end may still be so.
func (d renderer) Ended(ctx context.Context, tx *sqldb.Tx, c commands.Command) error {
	return d.room.MarkAt(ctx, tx, d.room.Clock.Now().Add(time.Second), c.EnrollmentID)
}

func plain(body map[string]any) renderFunc {
	return func(context.Context, *sqldb.Tx, commands.Command) (map[string]any, error) { return body, nil }
}

// target reads a command's Item: "profile:ID:VERSION" or "app:ID:gone".
func target(c commands.Command) (th thing, version int64, err error) {
	kind, rest, _ := strings.Cut(c.Item, ":")
	id, v, ok := strings.Cut(rest, ":")
	if !ok {
		return th, 0, fmt.Errorf("command %s is about %q, which names nothing", c.ID, c.Item)
	}
	version, _ = strconv.ParseInt(v, 10, 64) // "gone" is 0
	return thing{kind, id}, version, nil
}

func unwanted() *fault.Fault {
	return fault.New(fault.Conflict, "item.unwanted", "It is not wished any more.")
}

// hand notes that an item is on its way and gives its row. What is handed over
// is what is wished now, whatever was wished when it was queued.
func (r *Room) hand(ctx context.Context, tx *sqldb.Tx, c commands.Command) (itemRow, error) {
	th, _, err := target(c)
	if err != nil {
		return itemRow{}, err
	}
	row, found, err := oneItem(ctx, tx, c.EnrollmentID, th, c.Generation)
	if err != nil {
		return row, fmt.Errorf("read item %s: %w", c.Item, err)
	}
	if !found {
		return row, unwanted()
	}
	return row, nil
}

func (r *Room) save(ctx context.Context, tx *sqldb.Tx, row itemRow) error {
	row.UpdatedAt = sqldb.At(r.Clock.Now())
	if err := upsertItems(ctx, tx, []itemRow{row}); err != nil {
		return fmt.Errorf("write item %s: %w", row.thing().key(), err)
	}
	return nil
}

func (r *Room) sending(ctx context.Context, tx *sqldb.Tx, row itemRow, version int64) error {
	row.Sent, row.SentAt, row.AckAt, row.State, row.Reason = &version, sqldb.At(r.Clock.Now()), sqldb.Time{}, sent, ""
	return r.save(ctx, tx, row)
}

// renderInstall hands over the version that is wished now.
// Source: Apple, Device Management, "InstallProfile".
func (r *Room) renderInstall(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error) {
	row, err := r.hand(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	if row.Desired == nil {
		return nil, unwanted()
	}
	version := *row.Desired // not what was queued: versions in between are skipped
	content, render, err := r.contentFor(ctx, tx, row, version)
	if err != nil {
		return nil, err
	}
	row.Render, row.SentRender = render, render
	return map[string]any{"Payload": content}, r.sending(ctx, tx, row, version)
}

func (r *Room) renderRemove(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error) {
	row, err := r.leaving(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	p, err := profileByID(ctx, tx, row.ItemID)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", row.ItemID, err)
	}
	if isEnrollment(p.Identifier) { // stored before such files were refused
		return nil, fault.New(fault.Conflict, "item.kept", "It stays: by its identifier the iPad would remove the profile that enrolls it.")
	}
	return map[string]any{"Identifier": p.Identifier}, nil
}

// leaving notes that a removal is on its way, unless it is wished again.
func (r *Room) leaving(ctx context.Context, tx *sqldb.Tx, c commands.Command) (itemRow, error) {
	row, err := r.hand(ctx, tx, c)
	if err != nil {
		return row, err
	}
	if row.Desired != nil {
		return row, fault.New(fault.Conflict, "item.wanted", "It is wished again.")
	}
	heir, err := heirThere(ctx, tx, row)
	if err != nil {
		return row, fmt.Errorf("find what takes the place of %s: %w", c.Item, err)
	}
	if heir {
		return row, fault.New(fault.Conflict, "item.inherited", "Another profile or app that is the same to the iPad is wished now.")
	}
	if row.HoldsData && !row.mayGo(r.Clock.Now()) {
		return row, fault.New(fault.Conflict, "item.kept", "%s", row.kept())
	}
	row.State, row.SentAt, row.AckAt, row.Reason = removing, sqldb.At(r.Clock.Now()), sqldb.Time{}, ""
	return row, r.save(ctx, tx, row)
}

// renderApp asks for an app of the App Store, licensed to the device, or for the
// version of an in-house app that is wished now.
// Source: Apple, Device Management, "InstallApplication".
func (r *Room) renderApp(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error) {
	row, err := r.hand(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	if row.Desired == nil {
		return nil, unwanted()
	}
	a, err := appByID(ctx, tx, row.ItemID)
	if err != nil {
		return nil, fmt.Errorf("read app %s: %w", row.ItemID, err)
	}
	if a.inHouse() {
		body := map[string]any{
			"ManifestURL":           r.fileURL(a.ID, *row.Desired, "manifest.plist"),
			"ManagementFlags":       1,
			"ChangeManagementState": "Managed",
		}
		return body, r.sending(ctx, tx, row, *row.Desired)
	}
	adam, err := strconv.ParseInt(a.AdamID, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("app %s has the number %q: %w", a.ID, a.AdamID, err)
	}
	body := map[string]any{
		"iTunesStoreID":         adam,
		"ManagementFlags":       1, // it goes with the management
		"ChangeManagementState": "Managed",
		"Options":               map[string]any{"PurchaseMethod": 1}, // a licence of the device, no Apple Account
	}
	return body, r.sending(ctx, tx, row, *row.Desired)
}

func (r *Room) renderRemoveApp(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error) {
	row, err := r.leaving(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	a, err := appByID(ctx, tx, row.ItemID)
	if err != nil {
		return nil, fmt.Errorf("read app %s: %w", row.ItemID, err)
	}
	return map[string]any{"Identifier": a.BundleID}, nil
}

const acked = "Acknowledged"

// errStale is an answer to what nobody waits for any more.
var errStale = errors.New("stale")

// answered finds the item that an answer is about.
func (r *Room) answered(ctx context.Context, tx *sqldb.Tx, c commands.Command) (itemRow, error) {
	th, _, err := target(c)
	if err != nil {
		return itemRow{}, err
	}
	row, found, err := oneItem(ctx, tx, c.EnrollmentID, th, c.Generation)
	if err == nil && !found {
		err = errStale
	}
	return row, err
}

// installed takes the answer to InstallProfile: the list that follows in the
// same session proves it.
func (r *Room) installed(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	row, err := r.answered(ctx, tx, c)
	if err != nil {
		return unlessStale(err)
	}
	if res.Status != acked {
		return r.fail(ctx, tx, row, failed, reasonOf(res.Errors), res.At)
	}
	row.AckAt = sqldb.At(res.At)
	if row.State == sent || row.State == pending {
		row.State = acknowledged
	}
	if err := r.save(ctx, tx, row); err != nil {
		return err
	}
	return r.ask(ctx, tx, c, listProfiles, res.At)
}

func unlessStale(err error) error {
	if errors.Is(err, errStale) {
		return nil
	}
	return err
}

// went takes the answer to a removal. An error may mean that it was gone
// already: the list tells.
func (r *Room) went(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	row, err := r.answered(ctx, tx, c)
	if err != nil {
		return unlessStale(err)
	}
	if row.Desired != nil {
		return r.Mark(ctx, tx, c.EnrollmentID)
	}
	row.AckAt = sqldb.At(res.At)
	if res.Status != acked {
		row.Failures++
		row.Reason, row.RetryAt = reasonOf(res.Errors), sqldb.At(res.At.Add(backOff(row.Failures)))
	}
	if err := r.save(ctx, tx, row); err != nil {
		return err
	}
	return r.ask(ctx, tx, c, row.thing().list(), res.At)
}

// ask queues a list for the session that is open.
func (r *Room) ask(ctx context.Context, tx *sqldb.Tx, c commands.Command, kind string, at time.Time) error {
	_, err := r.Queue.Add(ctx, tx, commands.Command{EnrollmentID: c.EnrollmentID, Generation: c.Generation, Kind: kind, DedupeKey: kind, Origin: origin, NotBefore: at})
	return err
}

// fail notes why an item is not there, and when it is tried again.
func (r *Room) fail(ctx context.Context, tx *sqldb.Tx, row itemRow, state, reason string, at time.Time) error {
	row.Failures++
	row.State, row.Reason, row.RetryAt = state, mdm.Clean(reason), sqldb.At(at.Add(backOff(row.Failures)))
	if err := r.save(ctx, tx, row); err != nil {
		return err
	}
	return r.MarkAt(ctx, tx, row.RetryAt.Time, row.EnrollmentID)
}

// backOff is how long after the n-th failure (from 1) an item is tried again.
func backOff(n int64) time.Duration {
	steps := [...]time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}
	if n >= 1 && n <= int64(len(steps)) {
		return steps[n-1]
	}
	return 24 * time.Hour
}

func reasonOf(chain []mdm.ErrorItem) string {
	if len(chain) == 0 {
		return "The iPad reported an error and did not say which."
	}
	e := chain[0]
	text := e.English
	if text == "" {
		text = e.Localized
	}
	return strings.TrimSpace(fmt.Sprintf("The iPad reported: %s (%s %d)", mdm.Clean(text), mdm.Clean(e.Domain), e.Code))
}
