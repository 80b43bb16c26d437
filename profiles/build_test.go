package profiles_test

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

var update = flag.Bool("update", false, "write what builders make anew")

type built1 struct {
	raw []byte
	err error
}

func of(raw []byte, err error) built1 { return built1{raw, err} }

// fewBuilt is a profile of each builder of device settings.
func fewBuilt(w *world) map[string]built1 {
	no := false
	return map[string]built1{
		"passcode":    of(w.room.BuildPasscode(profiles.Passcode{MinLength: 6, Simple: &no, MaxInactivity: 5, MaxGrace: 1, MaxFailedAttempts: 10, Alphanumeric: true})),
		"lock screen": of(w.room.BuildLockScreen(profiles.LockScreen{AssetTag: "$ASSET_TAG", Footnote: "Grundschule Saartal, 06898 0000"})),
		"dns https":   of(w.room.BuildDNS(profiles.DNS{Protocol: "https", URL: "https://dns.example.org/q", Addresses: []string{"192.0.2.1", "2001:db8::1"}, Locked: true})),
		"dns tls":     of(w.room.BuildDNS(profiles.DNS{Protocol: "tls", Server: "dns.example.org", Domains: []string{"example.org"}})),
		"proxy":       of(w.room.BuildProxy(profiles.Proxy{Server: "proxy.example.org", Port: 3128, Username: "ipad", Password: "geheim123", CaptiveLogin: true})),
		"pac":         of(w.room.BuildProxy(profiles.Proxy{PACURL: "https://proxy.example.org/proxy.pac", PACFallback: true})),
		"airprint":    of(w.room.BuildAirPrint(profiles.AirPrint{Printers: []profiles.Printer{{Host: "192.0.2.9", Path: "ipp/print", Port: 631, TLS: true}, {Host: "printer.example.org", Path: "ipp/print"}}})),
		"home screen": of(w.room.BuildHomeScreen(profiles.HomeScreen{
			Dock: []profiles.Icon{{App: "com.apple.mobilesafari"}},
			Pages: [][]profiles.Icon{{{App: "com.solocode.anton"}, {URL: "https://example.org/books"},
				{Folder: "Lesen", Pages: [][]profiles.Icon{{{App: "com.apple.iBooks"}}}}}, {}},
		})),
		"app lock": of(w.room.BuildAppLock(profiles.AppLock{App: "com.example.exam", NoAutoLock: true, NoSleepButton: true, PeopleMay: []string{"VoiceOver"}})),
		"web filter": of(w.room.BuildWebFilter(profiles.WebFilter{Auto: true, Permitted: []string{"https://example.org"}, Denied: []string{"http://example.com"},
			Only: []profiles.Bookmark{{Title: "Schule", URL: "https://example.org"}}})),
		"notifications":    of(w.room.BuildNotifications(profiles.Notifications{Apps: []profiles.AppNotifications{{App: "com.apple.Keynote", Silent: true}, {App: "com.apple.classroom", Alert: "modal", LockScreen: true, NoSound: true}}})),
		"font":             of(w.room.BuildFont(profiles.Font{Label: "Grundschrift", Font: append([]byte{0, 1, 0, 0}, make([]byte, 20)...)})),
		"education leader": of(w.room.BuildEducation(profiles.Education{Organization: "Grundschule Saartal", Class: "3b", Leader: "Lehrkraft", Role: "leader", Slots: 2, Beacon: 7})),
		"education member": of(w.room.BuildEducation(profiles.Education{Organization: "Grundschule Saartal", Class: "3b", Leader: "Lehrkraft", Role: "member", Slots: 2, Beacon: 7})),
	}
}

// What a builder makes is in testdata/built, without what is other for each CA.
func TestBuildersMakeWhatTheyMade(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	for name, b := range fewBuilt(w) {
		if strings.HasPrefix(name, "education") {
			continue // the CA's certificate is in it
		}
		if b.err != nil {
			t.Errorf("%s: %v", name, b.err)
			continue
		}
		path := filepath.Join("testdata", "built", strings.ReplaceAll(name, " ", "-")+".plist")
		if *update {
			w.must(os.MkdirAll(filepath.Dir(path), 0o755))
			w.must(os.WriteFile(path, b.raw, 0o644))
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(want, b.raw) {
			t.Errorf("%s is another (%v); look at the change and write it with -update:\n%s", name, err, b.raw)
		}
	}
}

func TestBuiltProfilesAreInstalledOnceAndComeBackFromFilesUnchanged(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		w.set(id, "18.2", true)
		w.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE devices SET asset_tag = 'RV-26-000007', slot = 7 WHERE id = ?`, "d"+id)
			return err
		})
		names := slices.Sorted(maps.Keys(fewBuilt(w)))
		for range 2 { // the second time nothing changes
			for name, b := range fewBuilt(w) {
				p, err := w.upload(name, b.raw)
				if err != nil || p.Version != 1 {
					t.Fatalf("%s: version %d, %v", name, p.Version, err)
				}
			}
		}
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.Assign(t.Context(), tx, "user:test", "", names, all)
			return err
		})
		p := w.pad(id)
		got := map[string]map[string]any{}
		p.answer = func(kind string, c map[string]any) map[string]any {
			if kind == "InstallProfile" {
				var doc map[string]any
				w.must(mdm.Decode(c["Payload"].([]byte), &doc))
				list := doc["PayloadContent"].([]any)
				got[doc["PayloadDisplayName"].(string)] = list[len(list)-1].(map[string]any)
			}
			return nil
		}
		p.settled()
		if len(p.profiles) != len(names) {
			t.Errorf("%d of %d profiles are there", len(p.profiles), len(names))
		}
		if got["lock screen"]["AssetTagInformation"] != "RV-26-000007" || got["education member"]["UserIdentifier"] != "slot-7" || got["proxy"]["ProxyPassword"] != "geheim123" {
			t.Errorf("what the tablet was given: %v %v %v", got["lock screen"], got["education member"]["UserIdentifier"], got["proxy"])
		}
		d := w.export()
		for _, x := range d.Profiles {
			if strings.Contains(string(x.Content), "geheim123") {
				t.Errorf("the password of %s is in the file", x.Name)
			}
		}
		edits, plan, err := w.applying(d, false)
		if err != nil || len(edits) > 0 || plan.Devices > 0 {
			t.Errorf("applying what was exported: %v %+v %v", edits, plan, err)
		}
	})
}

func TestBuildersOfDeviceSettingsRefuseWhatCannotBeMeant(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	icons := func(list ...profiles.Icon) error {
		return second(w.room.BuildHomeScreen(profiles.HomeScreen{Pages: [][]profiles.Icon{list}}))
	}
	lesson := profiles.Education{Organization: "S", Class: "3b", Leader: "L", Role: "member", Slots: 20}
	changed := func(f func(*profiles.Education)) error {
		e := lesson
		f(&e)
		return second(w.room.BuildEducation(e))
	}
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"a trap for children":           {second(w.room.BuildPasscode(profiles.Passcode{MaxFailedAttempts: 3})), "passcode.attempts"},
		"too long a passcode":           {second(w.room.BuildPasscode(profiles.Passcode{MinLength: 17})), "passcode.value"},
		"less than no time":             {second(w.room.BuildPasscode(profiles.Passcode{MaxGrace: -1})), "passcode.value"},
		"any passcode":                  {second(w.room.BuildPasscode(profiles.Passcode{})), ""},
		"an empty lock screen":          {second(w.room.BuildLockScreen(profiles.LockScreen{})), "lockscreen.empty"},
		"two lines":                     {second(w.room.BuildLockScreen(profiles.LockScreen{Footnote: "a\x00b"})), "lockscreen.text"},
		"dns without a server":          {second(w.room.BuildDNS(profiles.DNS{Protocol: "https"})), "dns.server"},
		"dns in the open":               {second(w.room.BuildDNS(profiles.DNS{Protocol: "https", URL: "http://dns.example.org"})), "dns.server"},
		"dns of both kinds":             {second(w.room.BuildDNS(profiles.DNS{Protocol: "tls", Server: "a.example", URL: "https://a.example"})), "dns.server"},
		"dns by carrier pigeon":         {second(w.room.BuildDNS(profiles.DNS{Protocol: "rfc1149"})), "dns.protocol"},
		"no address":                    {second(w.room.BuildDNS(profiles.DNS{Protocol: "tls", Server: "a.example", Addresses: []string{"a.example"}})), "dns.address"},
		"no domain":                     {second(w.room.BuildDNS(profiles.DNS{Protocol: "tls", Server: "a.example", Domains: []string{"https://a"}})), "dns.domain"},
		"proxy of both kinds":           {second(w.room.BuildProxy(profiles.Proxy{Server: "a", Port: 1, PACURL: "https://a"})), "proxy.server"},
		"no proxy":                      {second(w.room.BuildProxy(profiles.Proxy{})), "proxy.server"},
		"no port":                       {second(w.room.BuildProxy(profiles.Proxy{Server: "a"})), "proxy.server"},
		"a password in the address":     {second(w.room.BuildProxy(profiles.Proxy{PACURL: "https://u:p@proxy.example.org/p.pac"})), "proxy.pac"},
		"a password of nobody":          {second(w.room.BuildProxy(profiles.Proxy{Server: "a", Port: 1, Password: "x"})), "proxy.user"},
		"no printers":                   {second(w.room.BuildAirPrint(profiles.AirPrint{})), "airprint.printer"},
		"a printer without a path":      {second(w.room.BuildAirPrint(profiles.AirPrint{Printers: []profiles.Printer{{Host: "a"}}})), "airprint.printer"},
		"a port too high":               {second(w.room.BuildAirPrint(profiles.AirPrint{Printers: []profiles.Printer{{Host: "a", Path: "b", Port: 65536}}})), "airprint.printer"},
		"no pages":                      {second(w.room.BuildHomeScreen(profiles.HomeScreen{Dock: []profiles.Icon{{App: "a.b"}}})), "homescreen.pages"},
		"an empty page":                 {icons(), ""},
		"nothing as an icon":            {icons(profiles.Icon{}), "homescreen.icon"},
		"an app and a folder":           {icons(profiles.Icon{App: "a.b", Folder: "x"}), "homescreen.icon"},
		"an app with pages":             {icons(profiles.Icon{App: "a.b", Pages: [][]profiles.Icon{{}}}), "homescreen.icon"},
		"one app in two places":         {icons(profiles.Icon{App: "a.b"}, profiles.Icon{Folder: "x", Pages: [][]profiles.Icon{{{App: "a.b"}}}}), "homescreen.twice"},
		"a folder in a folder":          {icons(profiles.Icon{Folder: "x", Pages: [][]profiles.Icon{{{Folder: "y"}}}}), "homescreen.icon"},
		"a path as an app":              {icons(profiles.Icon{App: "../x"}), "app.bundle-id"},
		"a script as a web clip":        {icons(profiles.Icon{URL: "javascript:x"}), "homescreen.icon"},
		"no app to lock to":             {second(w.room.BuildAppLock(profiles.AppLock{})), "app.bundle-id"},
		"people may dance":              {second(w.room.BuildAppLock(profiles.AppLock{App: "a.b", PeopleMay: []string{"Dance"}})), "applock.people-may"},
		"a filter of nothing":           {second(w.room.BuildWebFilter(profiles.WebFilter{})), "webfilter.empty"},
		"exceptions of no rule":         {second(w.room.BuildWebFilter(profiles.WebFilter{Denied: []string{"https://a.example"}, Permitted: []string{"https://b.example"}})), "webfilter.permitted"},
		"a word as an address":          {second(w.room.BuildWebFilter(profiles.WebFilter{Denied: []string{"games"}})), "webfilter.url"},
		"a page without a title":        {second(w.room.BuildWebFilter(profiles.WebFilter{Only: []profiles.Bookmark{{URL: "https://a.example"}}})), "webfilter.url"},
		"notifications of nobody":       {second(w.room.BuildNotifications(profiles.Notifications{})), "notifications.apps"},
		"one app twice":                 {second(w.room.BuildNotifications(profiles.Notifications{Apps: []profiles.AppNotifications{{App: "a.b"}, {App: "a.b"}}})), "notifications.twice"},
		"a loud alert":                  {second(w.room.BuildNotifications(profiles.Notifications{Apps: []profiles.AppNotifications{{App: "a.b", Alert: "loud"}}})), "notifications.alert"},
		"a picture as a font":           {second(w.room.BuildFont(profiles.Font{Font: []byte("\x89PNG\r\n\x1a\n1234567890")})), "font.file"},
		"fonts in one file":             {second(w.room.BuildFont(profiles.Font{Font: []byte("ttcf12345678901234567890")})), "font.collection"},
		"an empty font":                 {second(w.room.BuildFont(profiles.Font{})), "font.file"},
		"a font too large":              {second(w.room.BuildFont(profiles.Font{Font: append([]byte("OTTO"), make([]byte, 4<<20)...)})), "font.size"},
		"a class":                       {second(w.room.BuildEducation(lesson)), ""},
		"a class of nobody":             {changed(func(e *profiles.Education) { e.Slots = 0 }), "education.slots"},
		"neither teacher nor child":     {changed(func(e *profiles.Education) { e.Role = "parent" }), "education.role"},
		"a class without a name":        {changed(func(e *profiles.Education) { e.Class = " " }), "education.text"},
		"another class on each iPad":    {changed(func(e *profiles.Education) { e.Class = "$CLASS" }), "education.text"},
		"a number nobody can broadcast": {changed(func(e *profiles.Education) { e.Beacon = 70000 }), "education.beacon"},
	} {
		if code(c.err) != c.code {
			t.Errorf("%s: %v, want %q", name, c.err, c.code)
		}
	}
}
