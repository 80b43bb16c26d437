package profiles

import (
	"bytes"
	"fmt"
	"slices"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// HomeScreen is where icons are. People cannot move them then.
type HomeScreen struct {
	Dock  []Icon   `json:"dock,omitempty" maxItems:"20"`
	Pages [][]Icon `json:"pages" minItems:"1" maxItems:"15"`
}

// Icon is an app, a web clip or a folder: one of the three.
type Icon struct {
	App    string   `json:"app,omitempty" maxLength:"255" doc:"Bundle identifier"`
	URL    string   `json:"url,omitempty" maxLength:"2000" doc:"Of a web clip, as its profile has it"`
	Folder string   `json:"folder,omitempty" maxLength:"100" doc:"Name of a folder"`
	Pages  [][]Icon `json:"pages,omitempty" maxItems:"15" doc:"Of a folder"`
}

// BuildHomeScreen makes a profile of a home screen.
// Source: Apple, Device Management, "HomeScreenLayout".
func (r *Room) BuildHomeScreen(h HomeScreen) ([]byte, error) {
	l := &layout{met: map[string]bool{}}
	dock, err := l.icons(h.Dock, "dock", true)
	if err != nil {
		return nil, err
	}
	pages, err := l.pages(h.Pages, "pages", true)
	if err != nil {
		return nil, err
	}
	if len(pages) == 0 {
		return nil, fault.New(fault.Invalid, "homescreen.pages", "A home screen has a page at least; it may be an empty list.").On("pages")
	}
	p := map[string]any{"PayloadType": "com.apple.homescreenlayout", "Pages": pages}
	if len(dock) > 0 {
		p["Dock"] = dock
	}
	return built(p)
}

// layout knows what has a place already: an icon has one.
type layout struct{ met map[string]bool }

func (l *layout) pages(pages [][]Icon, at string, top bool) ([]any, error) {
	if len(pages) > 15 {
		return nil, fault.New(fault.Invalid, "homescreen.pages", "There are at most 15 pages.").On(at)
	}
	out := []any{}
	for i, page := range pages {
		icons, err := l.icons(page, fmt.Sprintf("%s[%d]", at, i), top)
		if err != nil {
			return nil, err
		}
		out = append(out, icons)
	}
	return out, nil
}

func (l *layout) icons(list []Icon, at string, top bool) ([]any, error) {
	out := []any{}
	for i, ic := range list {
		here := fmt.Sprintf("%s[%d]", at, i)
		said := 0
		for _, s := range []string{ic.App, ic.URL, ic.Folder} {
			if s != "" {
				said++
			}
		}
		if said != 1 || ic.Folder == "" && len(ic.Pages) > 0 {
			return nil, fault.New(fault.Invalid, "homescreen.icon", "An icon is an app, the url of a web clip, or a folder with its pages: one of these.").On(here)
		}
		if name := ic.App + ic.URL; name != "" {
			if l.met[name] {
				return nil, fault.New(fault.Invalid, "homescreen.twice", "%s has two places. Give it one.", mdm.Clean(name)).On(here)
			}
			l.met[name] = true
		}
		one, err := l.icon(ic, here, top)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (l *layout) icon(ic Icon, here string, top bool) (map[string]any, error) {
	switch {
	case ic.App != "":
		if !bundleID.MatchString(ic.App) {
			return nil, noBundle(ic.App, here)
		}
		return map[string]any{"Type": "Application", "BundleID": ic.App}, nil
	case ic.URL != "":
		if !webURL(ic.URL) {
			return nil, fault.New(fault.Invalid, "homescreen.icon", "The address of a web clip begins with https:// or http://.").On(here)
		}
		return map[string]any{"Type": "WebClip", "URL": ic.URL}, nil
	case !top:
		return nil, fault.New(fault.Invalid, "homescreen.icon", "iPads have no folders in folders.").On(here)
	case !clean(ic.Folder, 100):
		return nil, fault.New(fault.Invalid, "homescreen.icon", "The name of a folder has 1 to 100 characters.").On(here)
	}
	pages, err := l.pages(ic.Pages, here+".pages", false)
	return map[string]any{"Type": "Folder", "DisplayName": ic.Folder, "Pages": pages}, err
}

func noBundle(text, at string) *fault.Fault {
	return fault.New(fault.Invalid, "app.bundle-id", "A bundle identifier looks like com.apple.Keynote, not %q.", mdm.Clean(text)).On(at)
}

// AppLock keeps an iPad in one app.
type AppLock struct {
	App             string   `json:"app" maxLength:"255" doc:"Bundle identifier"`
	NoTouch         bool     `json:"no_touch,omitempty" doc:"For what is only looked at"`
	NoRotation      bool     `json:"no_rotation,omitempty"`
	NoVolumeButtons bool     `json:"no_volume_buttons,omitempty"`
	NoSleepButton   bool     `json:"no_sleep_button,omitempty"`
	NoAutoLock      bool     `json:"no_auto_lock,omitempty" doc:"It does not fall asleep"`
	PeopleMay       []string `json:"people_may,omitempty" maxItems:"10" doc:"Accessibility that people may switch: VoiceOver, Zoom, InvertColors, AssistiveTouch, VoiceControl"`
}

// BuildAppLock makes a profile that keeps an iPad in one app.
// Source: Apple, Device Management, "AppLock".
func (r *Room) BuildAppLock(a AppLock) ([]byte, error) {
	if !bundleID.MatchString(a.App) {
		return nil, noBundle(a.App, "app")
	}
	app, options, may := map[string]any{"Identifier": a.App}, map[string]any{}, map[string]any{}
	put(options, "DisableTouch", a.NoTouch)
	put(options, "DisableDeviceRotation", a.NoRotation)
	put(options, "DisableVolumeButtons", a.NoVolumeButtons)
	put(options, "DisableSleepWakeButton", a.NoSleepButton)
	put(options, "DisableAutoLock", a.NoAutoLock)
	for _, m := range a.PeopleMay {
		if !slices.Contains([]string{"VoiceOver", "Zoom", "InvertColors", "AssistiveTouch", "VoiceControl"}, m) {
			return nil, fault.New(fault.Invalid, "applock.people-may", "People may switch VoiceOver, Zoom, InvertColors, AssistiveTouch and VoiceControl, not %q.", mdm.Clean(m)).On("people_may")
		}
		may[m] = true
	}
	if len(options) > 0 {
		app["Options"] = options
	}
	if len(may) > 0 {
		app["UserEnabledOptions"] = may
	}
	return built(map[string]any{"PayloadType": "com.apple.app.lock", "App": app})
}

// WebFilter is what Safari opens.
type WebFilter struct {
	Auto      bool       `json:"auto,omitempty" doc:"Apple's own filter for adult content"`
	Permitted []string   `json:"permitted,omitempty" maxItems:"500" doc:"Addresses that the automatic filter shall not stop"`
	Denied    []string   `json:"denied,omitempty" maxItems:"500" doc:"Addresses that are never opened"`
	Only      []Bookmark `json:"only,omitempty" maxItems:"500" doc:"Only these pages open, and stand in the bookmarks"`
}

// Bookmark is a page that opens.
type Bookmark struct {
	Title string `json:"title" maxLength:"200"`
	URL   string `json:"url" maxLength:"2000"`
}

// BuildWebFilter makes a profile of the filter that iPads have built in.
// Source: Apple, Device Management, "WebContentFilter".
func (r *Room) BuildWebFilter(f WebFilter) ([]byte, error) {
	if !f.Auto && len(f.Denied) == 0 && len(f.Only) == 0 {
		return nil, fault.New(fault.Invalid, "webfilter.empty", "Say what is filtered: the automatic filter, denied addresses, or the only pages that open.").On("auto")
	}
	if len(f.Permitted) > 0 && !f.Auto {
		return nil, fault.New(fault.Invalid, "webfilter.permitted", "Permitted addresses are exceptions of the automatic filter. Switch it on, or say with only which pages open.").On("permitted")
	}
	for _, l := range []struct {
		field string
		list  []string
	}{{"permitted", f.Permitted}, {"denied", f.Denied}} {
		for i, u := range l.list {
			if !webURL(u) {
				return nil, fault.New(fault.Invalid, "webfilter.url", "%q is no address that begins with https:// or http://.", mdm.Clean(u)).On(fmt.Sprintf("%s[%d]", l.field, i))
			}
		}
	}
	p := map[string]any{"PayloadType": "com.apple.webcontent-filter", "FilterType": "BuiltIn"}
	put(p, "AutoFilterEnabled", f.Auto)
	putList(p, "PermittedURLs", f.Permitted)
	putList(p, "DenyListURLs", f.Denied)
	only := []any{}
	for i, b := range f.Only {
		if !webURL(b.URL) || !clean(b.Title, 200) {
			return nil, fault.New(fault.Invalid, "webfilter.url", "A page has a title and an address that begins with https:// or http://.").On(fmt.Sprintf("only[%d]", i))
		}
		only = append(only, map[string]any{"Title": b.Title, "URL": b.URL})
	}
	if len(only) > 0 {
		p["AllowListBookmarks"] = only
	}
	return built(p)
}

// Notifications is which apps may say something.
type Notifications struct {
	Apps []AppNotifications `json:"apps" minItems:"1" maxItems:"200"`
}

// AppNotifications is how one app may do that.
type AppNotifications struct {
	App        string `json:"app" maxLength:"255" doc:"Bundle identifier"`
	Silent     bool   `json:"silent,omitempty" doc:"It may say nothing at all"`
	Alert      string `json:"alert,omitempty" enum:"none,banner,modal" doc:"How it appears; modal stays until somebody closes it. Default: banner"`
	NoBadge    bool   `json:"no_badge,omitempty"`
	NoSound    bool   `json:"no_sound,omitempty"`
	LockScreen bool   `json:"lock_screen,omitempty" doc:"On a locked iPad too"`
}

// BuildNotifications makes a profile of the notifications of apps.
// Source: Apple, Device Management, "Notifications".
func (r *Room) BuildNotifications(n Notifications) ([]byte, error) {
	if len(n.Apps) == 0 || len(n.Apps) > 200 {
		return nil, fault.New(fault.Invalid, "notifications.apps", "Say 1 to 200 apps.").On("apps")
	}
	list, met := []any{}, map[string]bool{}
	for i, a := range n.Apps {
		here := fmt.Sprintf("apps[%d]", i)
		alert, known := map[string]int64{"": 1, "none": 0, "banner": 1, "modal": 2}[a.Alert]
		switch {
		case !bundleID.MatchString(a.App):
			return nil, noBundle(a.App, here)
		case met[a.App]:
			return nil, fault.New(fault.Invalid, "notifications.twice", "%s is there twice. Say it once.", a.App).On(here)
		case !known:
			return nil, fault.New(fault.Invalid, "notifications.alert", "An alert is none, banner or modal, not %q.", mdm.Clean(a.Alert)).On(here)
		}
		met[a.App] = true
		list = append(list, map[string]any{
			"BundleIdentifier": a.App, "NotificationsEnabled": !a.Silent, "AlertType": alert, "BadgesEnabled": !a.NoBadge, "SoundsEnabled": !a.NoSound, "ShowInLockScreen": a.LockScreen,
		})
	}
	return built(map[string]any{"PayloadType": "com.apple.notificationsettings", "NotificationSettings": list})
}

// Font is a typeface for all apps.
type Font struct {
	Label string `json:"label,omitempty" maxLength:"100" doc:"What people see of it. Default: the profile's name"`
	Font  []byte `json:"font" doc:"A .ttf or .otf, base64"`
}

// maxFont keeps a profile small enough to be sent. Ours.
const maxFont = 3 << 20

// BuildFont makes a profile of a font.
// Source: Apple, Device Management, "Font".
func (r *Room) BuildFont(f Font) ([]byte, error) {
	single := bytes.HasPrefix(f.Font, []byte{0, 1, 0, 0}) || bytes.HasPrefix(f.Font, []byte("OTTO")) || bytes.HasPrefix(f.Font, []byte("true"))
	switch {
	case bytes.HasPrefix(f.Font, []byte("ttcf")):
		return nil, fault.New(fault.Invalid, "font.collection", "The file holds several fonts (.ttc), which iPads do not take. Give one font, .ttf or .otf.").On("font")
	case !single || len(f.Font) < 12:
		return nil, fault.New(fault.Invalid, "font.file", "The file is no font of the kinds .ttf and .otf.").On("font")
	case len(f.Font) > maxFont:
		return nil, fault.New(fault.Invalid, "font.size", "The font has %d KiB; at most %d fit into a profile.", len(f.Font)>>10, maxFont>>10).On("font")
	case f.Label != "" && !clean(f.Label, 100):
		return nil, fault.New(fault.Invalid, "font.label", "The label of a font has 1 to 100 characters.").On("label")
	}
	p := map[string]any{"PayloadType": "com.apple.font", "Font": f.Font}
	put(p, "Name", f.Label)
	return built(p)
}
