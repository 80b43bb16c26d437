package profiles

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// DefaultGrace is how long after its removal was confirmed an app with data goes:
// time to wish it again, or to save what was made.
const DefaultGrace = 30 * 24 * time.Hour

// Removal is an app that nobody wishes any more on some tablets, and that stays
// there: removing it loses what was made with it.
type Removal struct {
	AppID, App  string
	TenantID    string // of the tablets
	Devices     int
	Serials     []string  // the first ten of them
	ConfirmedBy string    // "": nobody yet
	After       time.Time // when it goes; zero: not confirmed
}

// mayGo tells whether a person has confirmed that an app with data goes by now.
func (r itemRow) mayGo(now time.Time) bool {
	return !r.RemoveAfter.IsZero() && !r.RemoveAfter.After(now)
}

// kept says why an app is still there.
func (r itemRow) kept() string {
	if r.RemoveAfter.IsZero() {
		return "Nobody wishes it any more. It stays, since removing it loses what was made with it, until somebody confirms that: ranzen removal confirm."
	}
	return "Nobody wishes it any more. It is removed with what was made with it on " + r.RemoveAfter.UTC().Format("2006-01-02") +
		", as was confirmed. Assign it again, or cancel that (ranzen removal cancel), to keep it."
}

// Removals lists what waits for a confirmation, or for its day, on tablets of a
// tenant, or of all for "".
func (r *Room) Removals(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Removal, error) {
	kept, err := r.keptOn(ctx, q, tenantID, "")
	if err != nil {
		return nil, err
	}
	names, err := allApps(ctx, q, "")
	if err != nil {
		return nil, fmt.Errorf("read apps: %w", err)
	}
	var out []Removal
	type key struct {
		app, tenant, by string
		after           int64
	}
	at := map[key]int{}
	for _, k := range kept {
		id := key{k.ItemID, k.tenant, k.RemoveBy, k.RemoveAfter.Unix()}
		i, met := at[id]
		if !met {
			one := Removal{AppID: k.ItemID, App: k.ItemID, TenantID: k.tenant, ConfirmedBy: k.RemoveBy, After: k.RemoveAfter.Time, Serials: []string{}}
			if n := slices.IndexFunc(names, func(a appRow) bool { return a.ID == k.ItemID }); n >= 0 {
				one.App = names[n].Name
			}
			i, at[id], out = len(out), len(out), append(out, one)
		}
		if out[i].Devices++; len(out[i].Serials) < hazardSerials {
			out[i].Serials = append(out[i].Serials, k.serial)
		}
	}
	return out, nil
}

// keptItem is an app that stays on a tablet.
type keptItem struct {
	itemRow
	serial, tenant string
}

func (r *Room) keptOn(ctx context.Context, q sqldb.Queryer, tenantID, appID string) ([]keptItem, error) {
	rows, err := keptApps(ctx, q, appID)
	if err != nil {
		return nil, fmt.Errorf("find tablets that keep an app: %w", err)
	}
	return r.live(ctx, q, tenantID, rows)
}

// live are those of a tablet's life that lasts, on tablets of a tenant, or of all for "".
func (r *Room) live(ctx context.Context, q sqldb.Queryer, tenantID string, rows []itemRow) ([]keptItem, error) {
	var out []keptItem
	for part := range slices.Chunk(rows, chunk) {
		ids := make([]string, 0, len(part))
		for _, row := range part {
			ids = append(ids, row.EnrollmentID)
		}
		slices.Sort(ids)
		known, err := r.Facts.Facts(ctx, q, slices.Compact(ids))
		if err != nil {
			return nil, err
		}
		devices := make([]string, 0, len(known))
		for _, f := range known {
			devices = append(devices, f.DeviceID)
		}
		slices.Sort(devices)
		scopes, err := r.Schools.ScopesOf(ctx, q, slices.Compact(devices))
		if err != nil {
			return nil, err
		}
		for _, row := range part {
			f, is := known[row.EnrollmentID]
			tenant := schools.TenantOf(scopes[f.DeviceID])
			if is && f.Active && row.Generation == f.Generation && (tenantID == "" || tenant == tenantID) {
				out = append(out, keptItem{row, f.Serial, tenant})
			}
		}
	}
	return out, nil
}

// unwished are those of these tablets on which an item is that nobody wishes there.
func (r *Room) unwished(ctx context.Context, q sqldb.Queryer, rows []itemRow) ([]keptItem, error) {
	there, err := r.live(ctx, q, "", rows)
	if err != nil || len(there) == 0 {
		return nil, err
	}
	ids, only := map[string]bool{}, map[thing]bool{}
	for _, k := range there {
		ids[k.EnrollmentID], only[k.thing()] = true, true
	}
	known, err := r.Facts.Facts(ctx, q, sorted(ids))
	if err != nil {
		return nil, err
	}
	wish, err := r.wishedOnly(ctx, q, known, only)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(there, func(k keptItem) bool {
		_, wished := wish[k.EnrollmentID][k.thing()]
		return wished
	}), nil
}

// ConfirmRemoval has an app that nobody wishes go after grace from all tablets
// that keep it, of a tenant or of all for "", with what was made with it. count
// is how many these are: who does not know that does not mean it. It gives when.
//
// Faults: app.unknown, removal.none, removal.count, removal.grace.
func (r *Room) ConfirmRemoval(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, app string, count int, grace time.Duration) (time.Time, error) {
	if grace < 0 || grace > 366*24*time.Hour {
		return time.Time{}, fault.New(fault.Invalid, "removal.grace", "The grace is 0 to 366 days.").On("grace_days")
	}
	after := r.Clock.Now().Add(grace).UTC().Truncate(time.Second)
	return after, r.decide(ctx, tx, by, tenantID, app, "removal.confirm", func(kept []keptItem, name string) error {
		if len(kept) != count {
			return fault.New(fault.Conflict, "removal.count",
				"%s stays on %s that nobody wishes it on, not on %d. Nothing was changed: look at `ranzen removal list`, then say that number.", name, counted(len(kept), "1 iPad", "%d iPads"), count).On("count")
		}
		return nil
	}, after)
}

// CancelRemoval keeps an app on tablets of a tenant, or of all for "", although
// its removal was confirmed.
//
// Faults: app.unknown, removal.none.
func (r *Room) CancelRemoval(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, app string) error {
	return r.decide(ctx, tx, by, tenantID, app, "removal.cancel", func([]keptItem, string) error { return nil }, time.Time{})
}

func (r *Room) decide(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, app, action string, check func(kept []keptItem, name string) error, after time.Time) error {
	a, err := r.itemNamed(ctx, tx, tenantID, app, kindApp)
	if err != nil {
		return err
	}
	kept, err := r.keptOn(ctx, tx, tenantID, a.ID)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return fault.New(fault.NotFound, "removal.none", "%s waits nowhere to be removed. What does is in `ranzen removal list`.", a.Name)
	}
	if err := check(kept, a.Name); err != nil {
		return err
	}
	ids := make([]string, 0, len(kept))
	for _, k := range kept {
		ids = append(ids, k.EnrollmentID)
	}
	if err := setRemoval(ctx, tx, a.ID, ids, after, by, r.Clock.Now()); err != nil {
		return fmt.Errorf("write removals: %w", err)
	}
	detail := map[string]any{"name": a.Name, "devices": len(kept)}
	if !after.IsZero() {
		detail["after"] = after.Format(time.RFC3339)
	}
	if err := r.record(ctx, tx, by, action, "app:"+a.ID, detail); err != nil {
		return err
	}
	return r.mark(ctx, tx, ids...)
}
