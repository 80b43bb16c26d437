package profiles

import (
	"context"
	"fmt"
	"regexp"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// App is an app of the App Store, or an in-house one, whose .ipa is here.
type App struct {
	ID, Name string
	TenantID string // whose it is; "": the provider's, for all tenants
	AdamID   string // the number in its App Store address; "": it is in-house
	BundleID string
	// HoldsData says that removing it loses what a child made with it.
	HoldsData bool
	Version   int64 // of an in-house app, the one tablets should have, counted from 1; 1 of others

	IPA    IPA    // of that version; empty for others
	SHA256 string // of its .ipa, in hex
	Size   int64  // in bytes
}

var (
	adamID   = regexp.MustCompile(`^[1-9][0-9]{5,14}$`)
	bundleID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{1,150}$`)
)

// AddApp makes an app known to a's tenant, or to all as one of the provider's.
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
	if err := r.freeName(ctx, tx, a.TenantID, name, kindProfile); err != nil {
		return App{}, err
	}
	same, err := countSame(ctx, tx, kindApp, a.TenantID, a.BundleID)
	if err != nil {
		return App{}, fmt.Errorf("find apps of one identifier: %w", err)
	}
	if same > 0 {
		return App{}, knownApp(name, a.BundleID)
	}
	a = App{ID: sqldb.NewID(), Name: name, TenantID: a.TenantID, AdamID: a.AdamID, BundleID: a.BundleID, HoldsData: a.HoldsData, Version: 1}
	if err := insertApp(ctx, tx, a, r.Clock.Now()); err != nil {
		if sqldb.IsUnique(err) {
			return App{}, knownApp(name, a.BundleID)
		}
		return App{}, err
	}
	return a, r.record(ctx, tx, by, "app.add", "app:"+a.ID, map[string]any{"name": name, "adam_id": a.AdamID, "bundle_id": a.BundleID})
}

func knownApp(name, bundleID string) *fault.Fault {
	return fault.New(fault.Conflict, "app.known", "An app with the name %s or the bundle identifier %s is known already. See `ranzen app list`.", name, bundleID)
}

// Apps lists by name those that a tenant may use, or all for "".
func (r *Room) Apps(ctx context.Context, q sqldb.Queryer, tenantID string) ([]App, error) {
	rows, err := allApps(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	out := make([]App, 0, len(rows))
	versions, err := currentVersions(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read the versions of apps: %w", err)
	}
	for _, row := range rows {
		a := row.app()
		if v, has := versions[a.ID]; has {
			a.IPA, a.SHA256, a.Size = v.ipa(a.BundleID), v.SHA256, v.Size
		}
		out = append(out, a)
	}
	return out, nil
}

// SetHoldsData says whether removing an app of a tenant's, or of any for "", loses
// what was made with it. It counts from now on.
func (r *Room) SetHoldsData(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, holds bool) error {
	a, err := r.itemNamed(ctx, tx, tenantID, name, kindApp)
	if err != nil {
		return err
	}
	if err := schools.MayChange(tenantID, a.TenantID); err != nil {
		return err
	}
	r.touch(ctx, thing{kindApp, a.ID}) // a roll-out that is not finished was planned by what it is now
	if err := updateHoldsData(ctx, tx, a.ID, holds); err != nil {
		return fmt.Errorf("change app: %w", err)
	}
	return r.record(ctx, tx, by, "app.set", "app:"+a.ID, map[string]any{"name": a.Name, "holds_data": holds})
}

// RemoveApp removes an app of a tenant, or of any for "", that is assigned to
// nobody.
func (r *Room) RemoveApp(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string) error {
	a, err := r.itemNamed(ctx, tx, tenantID, name, kindApp)
	if err != nil {
		return err
	}
	if err := schools.MayChange(tenantID, a.TenantID); err != nil {
		return err
	}
	if err := r.unassigned(ctx, tx, kindApp, a.ID, name); err != nil {
		return err
	}
	there, err := dataApps(ctx, tx, a.ID)
	if err != nil {
		return fmt.Errorf("find tablets that have an app: %w", err)
	}
	kept, err := r.live(ctx, tx, "", there)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		return fault.New(fault.Conflict, "app.kept", "%s is still on %s with what was made with it. Confirm its removal there first (ranzen removal confirm), and wait until it is gone.", a.Name, counted(len(kept), "1 iPad", "%d iPads"))
	}
	if err := removeRow(ctx, tx, "apps", a.ID, r.Clock.Now()); err != nil {
		return err
	}
	if err := releaseFiles(ctx, tx, a.ID, r.Clock.Now()); err != nil {
		return fmt.Errorf("release the files of an app: %w", err)
	}
	return r.record(ctx, tx, by, "app.remove", "app:"+a.ID, map[string]any{"name": name})
}
