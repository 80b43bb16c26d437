package profiles

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// App is an app of the App Store.
type App struct {
	ID, Name string
	AdamID   string // the number in its App Store address
	BundleID string
}

var (
	adamID   = regexp.MustCompile(`^[1-9][0-9]{5,14}$`)
	bundleID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{1,150}$`)
)

// AddApp makes an app known.
func (r *Room) AddApp(ctx context.Context, tx *sqldb.Tx, by audit.Actor, a App) (App, error) {
	name, err := cleanName(a.Name)
	if err != nil {
		return App{}, err
	}
	if !adamID.MatchString(a.AdamID) {
		return App{}, fault.New(fault.Invalid, "app.adam-id", "The App Store number is the digits behind id in the app's address: 409183694.").On("adam_id")
	}
	if !bundleID.MatchString(a.BundleID) {
		return App{}, fault.New(fault.Invalid, "app.bundle-id", "A bundle identifier looks like com.apple.Keynote.").On("bundle_id")
	}
	if err := r.freeName(ctx, tx, name, kindProfile); err != nil {
		return App{}, err
	}
	a = App{ID: sqldb.NewID(), Name: name, AdamID: a.AdamID, BundleID: a.BundleID}
	if err := insertApp(ctx, tx, a, r.Clock.Now()); err != nil {
		if sqldb.IsUnique(err) {
			return App{}, fault.New(fault.Conflict, "app.known", "An app with the name %s or the bundle identifier %s is known already. See `ranzen app list`.", name, a.BundleID)
		}
		return App{}, err
	}
	return a, r.record(ctx, tx, by, "app.add", "app:"+a.ID, map[string]any{"name": name, "adam_id": a.AdamID, "bundle_id": a.BundleID})
}

// Apps lists them by name.
func (r *Room) Apps(ctx context.Context, q sqldb.Queryer) ([]App, error) {
	rows, err := allApps(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	out := make([]App, 0, len(rows))
	for _, a := range rows {
		out = append(out, App{a.ID, a.Name, a.AdamID, a.BundleID})
	}
	return out, nil
}

// RemoveApp removes an app that is assigned to nobody.
func (r *Room) RemoveApp(ctx context.Context, tx *sqldb.Tx, by audit.Actor, name string) error {
	a, err := appNamed(ctx, tx, name)
	if errors.Is(err, sqldb.ErrNoRows) {
		return fault.New(fault.NotFound, "app.unknown", "There is no app %s. See `ranzen app list` for those there are.", mdm.Clean(name))
	}
	if err != nil {
		return fmt.Errorf("find app: %w", err)
	}
	if err := r.unassigned(ctx, tx, kindApp, a.ID, name); err != nil {
		return err
	}
	if err := removeRow(ctx, tx, "apps", a.ID, r.Clock.Now()); err != nil {
		return err
	}
	return r.record(ctx, tx, by, "app.remove", "app:"+a.ID, map[string]any{"name": name})
}
