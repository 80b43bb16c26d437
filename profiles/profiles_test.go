package profiles_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

var all = profiles.Scope{Kind: "all"}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newWorld(t, db)) })
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

func TestAnItemIsInstalledWhenTheTabletsOwnListShowsIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(1)
		p := w.pad(ids[0])
		w.addWiFi("Wi-Fi", "Sandtal")
		w.addApp("Keynote")
		w.assign(all, "Wi-Fi", "Keynote")
		w.plan()
		if s, _ := w.state(ids[0], "profile"); s != "pending" {
			t.Errorf("before the tablet comes it is %s", s)
		}
		p.answer = func(rt string, _ map[string]any) map[string]any {
			if rt == "ProfileList" {
				if s, _ := w.state(ids[0], "profile"); s != "acknowledged" {
					t.Errorf("acknowledged and not listed it is %s", s)
				}
			}
			return nil
		}
		p.session()
		for _, kind := range []string{"profile", "app"} {
			if s, r := w.state(ids[0], kind); s != "installed" {
				t.Errorf("%s is %s (%s) after %v", kind, s, r, p.took)
			}
		}
		if count(p.took, "ProfileList") == 0 || p.took[len(p.took)-1] == "InstallProfile" {
			t.Errorf("the list did not follow in the same session: %v", p.took)
		}
		w.plan()
		p.session()
		if len(p.took) != 0 {
			t.Errorf("what is there is sent again: %v", p.took)
		}
	})
}

func TestVersionsInBetweenAreSkipped(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		first := w.addWiFi("Wi-Fi", "one")
		w.assign(all, "Wi-Fi")
		w.plan()
		w.addWiFi("Wi-Fi", "two")
		w.plan()
		third := w.addWiFi("Wi-Fi", "three")
		if again := w.addWiFi("Wi-Fi", "three"); again.Version != third.Version || third.Version != first.Version+2 {
			t.Errorf("versions %d, %d, again %d", first.Version, third.Version, again.Version)
		}
		w.plan()
		p.session()
		if n := count(p.took, "InstallProfile"); n != 1 {
			t.Errorf("%d installations: %v", n, p.took)
		}
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("state %s", s)
		}
		if third.Identifier != first.Identifier || len(p.profiles) != 1 {
			t.Errorf("the new version stands beside the old: %v", p.profiles)
		}
	})
}

func TestAProfileRemovedByHandComesBackAndOneNotWishedGoes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		w.plan()
		p.session()
		clear(p.profiles)
		w.clk.Forward(25 * time.Hour) // the daily list
		w.plan()
		p.session()
		w.plan()
		p.session()
		if s, r := w.state(id, "profile"); s != "installed" || len(p.profiles) != 1 {
			t.Errorf("it did not come back: %s (%s) %v", s, r, p.profiles)
		}
		w.unassign(all, "Wi-Fi")
		w.plan()
		p.session()
		if s, _ := w.state(id, "profile"); s != "removed" || len(p.profiles) != 0 {
			t.Errorf("it did not go: %s %v", s, p.profiles)
		}
	})
}

func TestAListThatCannotBeReadChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		w.plan()
		p.session()
		p.answer = func(rt string, _ map[string]any) map[string]any {
			if rt == "ProfileList" {
				return map[string]any{"Status": "Acknowledged"} // without the list
			}
			return nil
		}
		w.clk.Forward(25 * time.Hour)
		w.plan()
		p.session()
		w.plan()
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("a list without its key made it %s", s)
		}
		if n := count(p.took, "InstallProfile"); n != 0 {
			t.Errorf("and the profile was sent again")
		}
	})
}

func TestWhatIsAcknowledgedAndNotShownHasFailedAndIsTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		p.answer = func(rt string, _ map[string]any) map[string]any {
			clear(p.profiles) // it says yes and does nothing
			return nil
		}
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		w.plan()
		p.session()
		p.session()
		if s, r := w.state(id, "profile"); s != "failed" || !strings.Contains(r, "does not show it") {
			t.Errorf("state %s, reason %q", s, r)
		}
		p.answer = nil
		w.clk.Forward(3 * time.Minute)
		w.plan()
		p.session()
		if s, _ := w.state(id, "profile"); s != "installed" {
			t.Errorf("later it is %s", s)
		}
	})
}

func TestAnAppWithoutLicenceIsBlockedWithThatReason(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		p.answer = func(rt string, _ map[string]any) map[string]any {
			if rt == "InstallApplication" {
				delete(p.apps, "com.apple.Keynote")
				return map[string]any{"Status": "Error", "ErrorChain": []any{map[string]any{
					"ErrorCode": 12064, "ErrorDomain": "MCMDMErrorDomain", "LocalizedDescription": "x", "USEnglishDescription": "No license was found for the app."}}}
			}
			return nil
		}
		w.addApp("Keynote")
		w.assign(all, "Keynote")
		w.plan()
		p.session()
		if s, r := w.state(id, "app"); s != "blocked" || !strings.Contains(r, "licence") {
			t.Errorf("state %s, reason %q", s, r)
		}
		w.plan()
		p.session()
		if count(p.took, "InstallApplication") != 0 {
			t.Error("it is tried again at once")
		}
	})
}

func TestATabletThatRefusesEverythingIsNotFlooded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		p.answer = func(string, map[string]any) map[string]any { return map[string]any{"Status": "Error"} }
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		tries := 0
		for range 24 * 12 { // a day in steps of five minutes
			w.plan()
			p.session()
			tries += count(p.took, "InstallProfile")
			w.clk.Forward(5 * time.Minute)
		}
		if tries < 3 || tries > 8 {
			t.Errorf("%d installations in a day", tries)
		}
		if s, r := w.state(id, "profile"); s != "failed" || r == "" {
			t.Errorf("state %s, reason %q", s, r)
		}
	})
}

func TestAScopeMayBeATenantOrAPlaceOfTheTablet(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(3)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.addApp("Maps")
		w.addApp("Clips")
		w.do(func(tx *sqldb.Tx) error {
			for _, text := range []string{
				`INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES ('t2', 'two', 'Two', 0, 0)`,
				`INSERT INTO schools (id, tenant_id, code, name, created_at, updated_at) VALUES ('S', 'tenant-1', 'S', 'S', 0, 0)`,
				`INSERT INTO sites (id, tenant_id, school_id, code, name, created_at, updated_at) VALUES ('A', 'tenant-1', 'S', 'A', 'A', 0, 0)`,
				`UPDATE devices SET site_id = 'A' WHERE id = 'de000000'`,
				`UPDATE devices SET tenant_id = 't2' WHERE id = 'de000002'`,
				`UPDATE apps SET tenant_id = 't2' WHERE name = 'Clips'`,
			} {
				if _, err := tx.Exec(t.Context(), text); err != nil {
					return err
				}
			}
			return nil
		})
		w.assign(profiles.Scope{Kind: "tenant", ID: "tenant-1"}, "Wi-Fi")
		w.assign(profiles.Scope{Kind: "school", ID: "S"}, "Maps")
		w.do(func(tx *sqldb.Tx) error { // as if a way past the rooms' checks had been found
			_, err := tx.Exec(t.Context(), `INSERT INTO assignments (id, item_kind, item_id, scope_kind, created_by, created_at)
				SELECT 'x', 'app', id, 'all', 'nobody', 0 FROM apps WHERE name = 'Clips'`)
			return err
		})
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, ids...) })
		w.plan()
		var got []string
		w.must(w.db.Select(t.Context(), &got, `SELECT i.enrollment_id || ' ' || COALESCE(p.name, a.name) FROM device_items i
			LEFT JOIN profiles p ON p.id = i.item_id LEFT JOIN apps a ON a.id = i.item_id ORDER BY 1`))
		want := ids[0] + " Maps, " + ids[0] + " Wi-Fi, " + ids[1] + " Wi-Fi, " + ids[2] + " Clips"
		if strings.Join(got, ", ") != want {
			t.Errorf("planned %v, want %v", got, want)
		}
	})
}

func TestAScopeIsAllAGroupOrADevice(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(3)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.do(func(tx *sqldb.Tx) error {
			g, err := w.schools.CreateGroup(t.Context(), tx, audit.System, "", "3b")
			if err != nil {
				return err
			}
			if err := w.schools.AddToGroup(t.Context(), tx, audit.System, g.ID, "d"+ids[0]); err != nil {
				return err
			}
			n, err := w.room.Assign(t.Context(), tx, audit.System, "", []string{"Wi-Fi"}, profiles.Scope{Kind: "group", ID: g.ID})
			if err == nil && n != 1 {
				t.Errorf("the group has %d tablets", n)
			}
			return err
		})
		w.assign(profiles.Scope{Kind: "device", ID: "d" + ids[1]}, "Wi-Fi")
		w.plan()
		var got []string
		w.must(w.db.Select(t.Context(), &got, `SELECT enrollment_id FROM device_items ORDER BY enrollment_id`))
		if strings.Join(got, " ") != ids[0]+" "+ids[1] {
			t.Errorf("planned for %v", got)
		}
	})
}

func TestUploadsThatAreNoProfilesAreRefusedInWords(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	good := `<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadIdentifier</key><string>a.b</string><key>PayloadUUID</key><string>u</string><key>PayloadVersion</key><integer>1</integer><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadIdentifier</key><string>a.b.c</string><key>PayloadUUID</key><string>u1</string><key>PayloadVersion</key><integer>1</integer></dict></array></dict></plist>`
	for name, c := range map[string]struct{ file, code string }{
		"empty":             {"", "profile.unreadable"},
		"text":              {"hello", "profile.unreadable"},
		"a private key":     {"-----BEGIN PRIVATE KEY-----", "profile.unreadable"},
		"an archive":        {"PK\x03\x04", "profile.unreadable"},
		"a binary bomb":     {"bplist00" + strings.Repeat("\xff", 40), "profile.unreadable"},
		"no payloads":       {strings.Replace(good, "PayloadContent", "Other", 1), "profile.unreadable"},
		"no identifier":     {strings.Replace(good, "<key>PayloadIdentifier</key><string>a.b</string>", "", 1), "profile.unreadable"},
		"for a person":      {strings.Replace(good, "<dict>", "<dict><key>PayloadScope</key><string>User</string>", 1), "profile.scope"},
		"an enrollment":     {strings.Replace(good, "com.apple.wifi.managed", "com.apple.mdm", 1), "profile.enrollment"},
		"entities":          {`<!DOCTYPE x [<!ENTITY a "b">]>` + good, "profile.unreadable"},
		"fine but no name":  {good, "name.invalid"},
		"nested too deeply": {strings.Repeat("<array>", 100), "profile.unreadable"},
	} {
		err := w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "", []byte(c.file))
			return err
		})
		if code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.do(func(tx *sqldb.Tx) error {
		p, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "fine", []byte(good))
		if err == nil && (p.Identifier != "a.b" || len(p.Payloads) != 1) {
			t.Errorf("%+v", p)
		}
		return err
	})
	err := w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
		_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "other", []byte(good))
		return err
	})
	if code(err) != "profile.identifier-taken" {
		t.Errorf("the same identifier under another name: %v", err)
	}
}

func TestNoPasswordRestsInTheDatabase(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(1)
		w.addWiFi("Wi-Fi", "Sandtal")
		w.assign(all, "Wi-Fi")
		w.plan()
		var contents [][]byte
		w.must(w.db.Select(t.Context(), &contents, `SELECT content FROM profile_versions`))
		if len(contents) != 1 || bytes.Contains(contents[0], []byte("correct horse")) {
			t.Errorf("%d versions, or the password among them", len(contents))
		}
	})
}

func TestBuildersRefuseWhatNoTabletTakes(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"no ssid":          {second(w.room.BuildWiFi(profiles.WiFi{Password: "12345678"})), "wifi.ssid"},
		"long ssid":        {second(w.room.BuildWiFi(profiles.WiFi{SSID: strings.Repeat("x", 33), Password: "12345678"})), "wifi.ssid"},
		"short password":   {second(w.room.BuildWiFi(profiles.WiFi{SSID: "x", Password: "1234567"})), "wifi.password"},
		"umlaut":           {second(w.room.BuildWiFi(profiles.WiFi{SSID: "x", Password: "passwörter"})), "wifi.password"},
		"none with one":    {second(w.room.BuildWiFi(profiles.WiFi{SSID: "x", Security: "none", Password: "12345678"})), "wifi.password"},
		"a key":            {second(w.room.BuildWiFi(profiles.WiFi{SSID: "x", Password: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"})), ""},
		"restriction typo": {second(w.room.BuildRestrictions(map[string]any{"allowCamra": false})), "restrictions.unknown"},
		"restriction type": {second(w.room.BuildRestrictions(map[string]any{"allowCamera": "no"})), "restrictions.type"},
		"restriction":      {second(w.room.BuildRestrictions(map[string]any{"allowCamera": false})), ""},
		"clip without url": {second(w.room.BuildWebClip(profiles.WebClip{Label: "x", URL: "javascript:alert(1)"})), "webclip.url"},
		"clip with a gif":  {second(w.room.BuildWebClip(profiles.WebClip{Label: "x", URL: "https://a.example", Icon: []byte("GIF89a")})), "webclip.icon"},
		"key for cert":     {second(w.room.BuildCertificate([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))), "certificate.unreadable"},
	} {
		if code(c.err) != c.code {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

func second(_ []byte, err error) error { return err }

func FuzzAddProfile(f *testing.F) {
	w := newWorld(f, sqldbtest.SQLite(f))
	f.Add([]byte("bplist00"))
	f.Add([]byte(`<plist><dict><key>PayloadType</key><string>Configuration</string></dict></plist>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
			_, err := w.room.AddProfile(t.Context(), tx, "user:test", "", "fuzz", b)
			return err
		})
		if err != nil && code(err) == "" {
			t.Errorf("not a fault: %v", err)
		}
	})
}

// BenchmarkOneChangeForAll is a new version of a profile for all tablets until
// its installation is queued. The fleet has settled before: what was ordered is
// answered and seen.
func BenchmarkOneChangeForAll(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
				w := newWorld(b, db)
				w.enrolled(n)
				w.addWiFi("Wi-Fi", "Schule")
				w.assign(all, "Wi-Fi")
				w.plan()
				w.analyzed()
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					w.settle()
					w.addWiFiWith("Wi-Fi", "Schule", "password "+strconv.Itoa(i))
					b.StartTimer()
					w.plan()
				}
			})
		})
	}
}
