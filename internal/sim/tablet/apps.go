package tablet

import (
	"context"
	"maps"
	"slices"
	"time"
)

// app is an app that is or comes on the tablet.
type app struct {
	adamID  int64
	managed bool
	flags   int64
	asked   time.Time
	ready   time.Time
	prompts bool // an unsupervised tablet asks the person in front of it
	told    bool // that it is installed
	broken  bool // its file is not what the manifest promised
	shown   bundle
	next    bundle // what it will be when it is ready
}

// bundle is what an app says of its version.
type bundle struct{ short, version string }

// settle has what is ready take the place of what was there.
func (a *app) settle(now time.Time) {
	if !a.ready.After(now) && !a.broken {
		a.shown = a.next
	}
}

// state is Apple's word for how far the installation is, by the clock alone.
func (a *app) state(now time.Time) string {
	switch left := a.ready.Sub(now); {
	case left <= 0 && a.broken:
		return "Failed"
	case left <= 0 && a.managed:
		return "Managed"
	case left <= 0:
		return "UserInstalledApp"
	case left > a.ready.Sub(a.asked)*3/4 && a.prompts:
		return "Prompting"
	case left > a.ready.Sub(a.asked)/2:
		return "Queued"
	default:
		return "Installing"
	}
}

func (t *Tablet) installApplication(ctx context.Context, c *Command) (map[string]any, *chain) {
	adam, byAdam := whole(c.Body, "iTunesStoreID")
	id, manifest := text(c.Body, "Identifier"), text(c.Body, "ManifestURL")
	ways := 0
	for _, given := range []bool{byAdam, id != "", manifest != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, refuse(mdmDomain, 12008, "InstallApplication takes exactly one of iTunesStoreID, Identifier and ManifestURL.")
	case manifest != "":
		return t.installFile(ctx, c, manifest)
	case byAdam:
		id = t.appName(adam)
	}
	if slices.Contains(t.cfg.Unlicensed, adam) {
		t.emit(Event{Event: "app-refused", BundleID: id, AdamID: adam, Error: "no licence"})
		return rejected("Other"), refuse(mdmDomain, 12064, "The license for the app with iTunes Store ID %d could not be found.", adam)
	}
	// In Setup Assistant nobody has signed in: only a licence of the device counts.
	if method, _ := whole(dict(c.Body, "Options"), "PurchaseMethod"); method != 1 && t.waits() {
		t.emit(Event{Event: "app-refused", BundleID: id, AdamID: adam, Error: "no Apple Account"})
		return rejected("Other"), refuse(mdmDomain, 12040, "The app with iTunes Store ID %d needs an Apple Account, and nobody has signed in.", adam)
	}
	return t.begin(c, id, adam, bundle{"1.0", "1.0"}, false), nil
}

// begin has an app come, or one that is there become another version.
func (t *Tablet) begin(c *Command, id string, adam int64, next bundle, broken bool) map[string]any {
	flags, _ := whole(c.Body, "ManagementFlags")
	t.mu.Lock()
	now := t.cfg.Clock.Now()
	a, there := t.apps[id]
	if !there {
		a = &app{prompts: !t.cfg.Supervised}
		t.apps[id] = a
	}
	a.settle(now)
	if !there || a.next != next || a.broken {
		spread := 0.5 + t.rand.Float64()
		a.asked, a.ready, a.told = now, now.Add(time.Duration(float64(t.cfg.AppTime)*spread)), false
	}
	a.adamID, a.managed, a.flags, a.next, a.broken = adam, true, flags, next, broken
	state := a.state(now)
	t.mu.Unlock()
	t.tellApps()
	return map[string]any{"Identifier": id, "State": state}
}

// tellApps tells of the apps whose installation has ended by now.
func (t *Tablet) tellApps() {
	t.mu.Lock()
	now := t.cfg.Clock.Now()
	var done []Event
	for _, id := range slices.Sorted(maps.Keys(t.apps)) {
		if a := t.apps[id]; !a.told && !a.ready.After(now) && !a.broken {
			a.told = true
			done = append(done, Event{Event: "app-installed", BundleID: id, AdamID: a.adamID})
		}
	}
	t.mu.Unlock()
	for _, e := range done {
		t.emit(e)
	}
}

func rejected(reason string) map[string]any {
	return map[string]any{"State": "Failed", "RejectionReason": reason}
}

func (t *Tablet) removeApplication(_ context.Context, c *Command) (map[string]any, *chain) {
	id := text(c.Body, "Identifier")
	t.mu.Lock()
	a := t.apps[id]
	if a == nil || !a.managed {
		t.mu.Unlock()
		return nil, refuse(mdmDomain, 12029, "The app “%s” is not managed.", id)
	}
	delete(t.apps, id)
	t.mu.Unlock()
	t.emit(Event{Event: "app-removed", BundleID: id})
	return nil, nil
}

func (t *Tablet) managedApplicationList(_ context.Context, c *Command) (map[string]any, *chain) {
	only := list(c.Body, "Identifiers")
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]any{}
	for id, a := range t.apps {
		if !a.managed || len(only) > 0 && !slices.Contains(only, any(id)) {
			continue
		}
		out[id] = map[string]any{
			"Status": a.state(t.cfg.Clock.Now()), "ManagementFlags": a.flags, "HasConfiguration": false, "HasFeedback": false,
			"IsValidated": true, "ExternalVersionIdentifier": 861000000 + a.adamID%1000,
		}
	}
	return map[string]any{"ManagedApplicationList": out}, nil
}

func (t *Tablet) installedApplicationList(_ context.Context, c *Command) (map[string]any, *chain) {
	only := list(c.Body, "Identifiers")
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []any{}
	now := t.cfg.Clock.Now()
	for _, id := range slices.Sorted(maps.Keys(t.apps)) {
		a := t.apps[id]
		state := a.state(now)
		if flag(c.Body, "ManagedAppsOnly") && !a.managed || len(only) > 0 && !slices.Contains(only, any(id)) {
			continue
		}
		if a.settle(now); a.shown == (bundle{}) && state != "Installing" {
			continue // not there yet
		}
		shown := a.shown
		if shown == (bundle{}) {
			shown = a.next
		}
		out = append(out, map[string]any{
			"Identifier": id, "Name": id, "ShortVersion": shown.short, "Version": shown.version, "BundleSize": 41943040, "DynamicSize": 8192,
			"Installing": state == "Installing", "IsValidated": true, "AppStoreVendable": true, "DeviceBasedVPP": true,
			"AdHocCodeSigned": false, "BetaApp": false, "ExternalVersionIdentifier": 861000000 + a.adamID%1000,
		})
	}
	return map[string]any{"InstalledApplicationList": out}, nil
}
