package profiles_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// mobileconfig is a file around payloads, each line of which is one of the file;
// the first begins on line 4.
func mobileconfig(identifier string, payloads ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "<plist version=\"1.0\"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadIdentifier</key><string>%s</string>\n"+
		"<key>PayloadVersion</key><integer>1</integer><key>PayloadUUID</key><string>U</string>\n<key>PayloadContent</key><array>\n", identifier)
	for i, p := range payloads {
		fmt.Fprintf(&b, "<dict><key>PayloadIdentifier</key><string>%s.%d</string><key>PayloadUUID</key><string>U%d</string><key>PayloadVersion</key><integer>1</integer>\n%s\n</dict>\n", identifier, i, i, p)
	}
	return []byte(b.String() + "</array></dict></plist>")
}

func (w *world) upload(name string, raw []byte) (p profiles.Profile, err error) {
	w.Helper()
	err = w.db.Do(w.Context(), func(tx *sqldb.Tx) error {
		p, err = w.room.AddProfile(w.Context(), tx, "user:test", "", name, raw)
		return err
	})
	return p, err
}

// set says what a tablet is.
func (w *world) set(id, os string, supervised any) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.Context(), `UPDATE enrollments SET os_version = ?, supervised = ? WHERE id = ?`, os, supervised, id)
		return err
	})
}

func TestAWrongTypeIsRefusedByPathAndLine(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		raw := mobileconfig("a", "<key>PayloadType</key><string>com.apple.wifi.managed</string><key>SSID_STR</key><string>x</string>\n"+
			"<key>EAPClientConfiguration</key><dict><key>AcceptEAPTypes</key><array>\n<integer>13</integer>\n<string>PEAP</string></array></dict>\n<key>AutoJoin</key><string>geheim</string>")
		_, err := w.upload("wlan", raw)
		f, is := fault.Of(err)
		if !is || f.Code != "profile.invalid" || !strings.Contains(f.Text, "Profile wlan, line 9: PayloadContent[0].AutoJoin is a text, and must be true or false.") || !strings.Contains(f.Text, "2 errors") {
			t.Errorf("got %v", err)
		}
		var flaws profiles.Flaws
		if !errors.As(err, &flaws) || len(flaws) != 2 || flaws[1].Line != 8 || flaws[1].Path != "PayloadContent[0].EAPClientConfiguration.AcceptEAPTypes[1]" {
			t.Errorf("got %+v", flaws)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("the value is told: %v", err)
		}
		if _, err := w.room.ProfileByName(t.Context(), w.db, "", "wlan"); code(err) != "profile.unknown" {
			t.Errorf("it is there: %v", err)
		}
	})
}

func TestAnUnknownKeyIsTakenWithAWarning(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		raw := mobileconfig("a", "<key>PayloadType</key><string>com.apple.wifi.managed</string>\n<key>SSID_STR</key><string>x</string>\n<key>KeyOfTomorrow</key>\n<true/>",
			"<key>PayloadType</key>\n<string>org.example.ours</string><key>a</key><integer>1</integer>")
		p, err := w.upload("wlan", raw)
		w.must(err)
		var got []string
		for _, f := range p.Warnings {
			got = append(got, fmt.Sprintf("%s %s %d", f.Code, f.Path, f.Line))
		}
		want := "[key.unknown PayloadContent[0].KeyOfTomorrow 8 type.unknown PayloadContent[1].PayloadType 12]"
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}

// What was stored before there was a catalogue stays what it is: it can be applied
// again, and has needs or none.
func TestProfilesFromBeforeTheCatalogueStay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(2)
		w.set(ids[0], "16.4", false)
		raw := mobileconfig("a", "<key>PayloadType</key><string>com.apple.app.lock</string><key>App</key><dict><key>Identifier</key><string>a.b</string></dict>")
		_, err := w.upload("lock", raw)
		w.must(err)
		for _, traits := range []string{"", `{"types":["com.apple.app.lock"]}`, `{"types":["com.apple.app.lock"],"needs":[{"path":"com.apple.app.lock","supervised":true}]}`} {
			w.do(func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE profile_versions SET traits = ?`, traits)
				return err
			})
			p := w.try(w.assigning(all, "lock"))
			if want := strings.Count(traits, "needs"); len(p.Blocked) != want || len(p.Changes) != 2-want {
				t.Errorf("%s: %+v", traits, p)
			}
		}
	})
}

func TestWhatAnIPadCannotHonourIsSaidBeforeItIsSent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(5)
		w.set(ids[0], "16.4", true)
		w.set(ids[1], "17.1", false)
		w.set(ids[2], "18.2", true)
		w.set(ids[3], "27.0", true)
		w.set(ids[4], "", nil) // not known: nothing is kept from it, and nothing said of it
		build := func(name string, list ...profiles.Payload) {
			raw, err := w.room.BuildPayloads(list)
			w.must(err)
			_, err = w.upload(name, raw)
			w.must(err)
		}
		build("relay", profiles.Payload{Type: "com.apple.relay.managed", Keys: map[string]any{"Relays": []any{}}})
		build("limits", profiles.Payload{Type: "com.apple.applicationaccess", Keys: map[string]any{"allowGenmoji": false, "allowImagePlayground": false, "allowCamera": true, "enforcedSoftwareUpdateDelay": 30}})
		p := w.try(w.assigning(all, "relay", "limits"))
		if a := actions(p); a["install relay"] != 4 || a["install limits"] != 5 {
			t.Errorf("the plan is %v", a)
		}
		if len(p.Blocked) != 1 || p.Blocked[0].DeviceID != "d"+ids[0] || !strings.Contains(p.Blocked[0].Reason, "com.apple.relay.managed needs iPadOS 17.0, and the iPad has 16.4.") {
			t.Errorf("blocked are %+v", p.Blocked)
		}
		var got []string
		for _, l := range p.Limits {
			got = append(got, fmt.Sprintf("%s %v %d %v", l.Code, l.Keys, l.Devices, l.Serials))
			if l.Item != "limits" || l.Payload != "com.apple.applicationaccess" || l.Text == "" {
				t.Errorf("%+v", l)
			}
		}
		want := "[too-old [allowGenmoji allowImagePlayground] 2 [RZTEST000000 RZTEST000001] removed [enforcedSoftwareUpdateDelay] 1 [RZTEST000003] unsupervised [enforcedSoftwareUpdateDelay] 1 [RZTEST000001]]"
		if fmt.Sprint(got) != want {
			t.Errorf("got  %v\nwant %s", got, want)
		}
		w.assign(all, "relay")
		w.plan()
		if s, reason := w.state(ids[0], "profile"); s != "blocked" || !strings.Contains(reason, "16.4") {
			t.Errorf("it is %s: %s", s, reason)
		}
		w.set(ids[0], "17.0", true)
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, ids[0]) })
		w.plan()
		if s, _ := w.state(ids[0], "profile"); s != "pending" {
			t.Errorf("updated, it is %s", s)
		}
	})
}

func TestAPayloadThatNoIPadKnowsIsBlockedOnAll(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, id := range w.enrolled(3) {
			w.set(id, "16.6", true)
		}
		raw, err := w.room.BuildPayloads([]profiles.Payload{{Type: "com.apple.relay.managed", Keys: map[string]any{"Relays": []any{}}}})
		w.must(err)
		_, err = w.upload("relay", raw)
		w.must(err)
		if p := w.try(w.assigning(all, "relay")); len(p.Blocked) != 3 || len(p.Changes) != 0 || p.Devices != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// The limits of a plan are as many as there are reasons, not as there are tablets.
func TestLimitsDoNotGrowWithTheFleet(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	ids := w.enrolled(300)
	for i, id := range ids {
		w.set(id, fmt.Sprintf("16.%d", i%7), i%2 == 0)
	}
	raw, err := w.room.BuildRestrictions(map[string]any{"allowGenmoji": false, "allowAppInstallation": false})
	w.must(err)
	_, err = w.upload("limits", raw)
	w.must(err)
	p := w.try(w.assigning(all, "limits"))
	if len(p.Limits) > 3 || len(p.Changes) != 300 {
		t.Fatalf("%d limits, %d changes", len(p.Limits), len(p.Changes))
	}
	for _, l := range p.Limits {
		if l.Devices < 100 || len(l.Serials) != 10 {
			t.Errorf("%d devices, %d named", l.Devices, len(l.Serials))
		}
	}
}

// Each builder's profile is one that the catalogue finds nothing in, and that
// supervised iPads from iPadOS 16 on can have whole.
func TestBuiltProfilesAreWhatAppleDescribes(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	supervised := true
	for name, raw := range built(t, w) {
		c, err := profiles.Check(raw)
		if err != nil || len(c.Findings) > 0 {
			t.Errorf("%s: %v %+v", name, err, c.Findings)
		}
		for _, n := range c.Needs {
			for _, os := range []string{"16.0", "17.0", "18.0", "26.0"} {
				if lacks := n.Lacks(os, &supervised); lacks != "" {
					t.Errorf("%s on %s: %+v is %s", name, os, n, lacks)
				}
			}
		}
		if _, err := w.upload(name, raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// built is a profile of each builder.
func built(t testing.TB, w *world) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	add := func(name string, raw []byte, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = raw
	}
	for _, security := range []string{"auto", "wpa2", "wpa3"} {
		raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "x", Password: "12345678", Security: security, AutoJoin: true, DisableMACRandomization: true})
		add("wifi "+security, raw, err)
		raw, err = w.room.BuildWiFi(profiles.WiFi{SSID: "x", Security: security, EAPTLS: &profiles.EAPTLS{ServerNames: []string{"radius.example.org"}}})
		add("eap-tls "+security, raw, err)
	}
	raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: "x", Security: "none"})
	add("open wifi", raw, err)
	raw, err = w.room.BuildRestrictions(map[string]any{"allowCamera": false, "ratingApps": 600, "ratingRegion": "de"})
	add("restrictions", raw, err)
	raw, err = w.room.BuildWebClip(profiles.WebClip{Label: "x", URL: "https://example.org", Icon: []byte("\x89PNG\r\n\x1a\n"), FullScreen: true})
	add("web clip", raw, err)
	root := w.ca.Root()
	raw, err = w.room.BuildCertificate(root.Raw)
	add("certificate", raw, err)
	for name, b := range fewBuilt(w) {
		add(name, b.raw, b.err)
	}
	return out
}

func TestPayloadsOfAnyTypeAreBuiltByTheCatalogue(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	build := func(kind string, keys map[string]any) error {
		return second(w.room.BuildPayloads([]profiles.Payload{{Type: kind, Keys: keys}}))
	}
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"as JSON": {build("com.apple.dnsSettings.managed", map[string]any{"DNSSettings": map[string]any{"DNSProtocol": "HTTPS", "ServerURL": "https://dns.example.org/q"}}), ""},
		"with dots and texts": {build("com.apple.dnsSettings.managed", map[string]any{"DNSSettings.DNSProtocol": "HTTPS", "DNSSettings.ServerAddresses": "192.0.2.1,192.0.2.2", "ProhibitDisablement": "true",
			"PayloadDisplayName": "DNS"}), ""},
		"nothing":            {second(w.room.BuildPayloads(nil)), "build.empty"},
		"a typing error":     {build("com.apple.dnssettings.managed", nil), "build.unknown-type"},
		"no type":            {build("org.example", nil), "build.no-such-type"},
		"one for Macs":       {build("com.apple.loginwindow", nil), "build.no-such-type"},
		"one of the frame":   {build("CommonPayloadKeys", nil), "build.no-such-type"},
		"an unknown key":     {build("com.apple.dnsSettings.managed", map[string]any{"DNSSettings.Protocol": "HTTPS"}), "build.key"},
		"a key of all":       {build("com.apple.dnsSettings.managed", map[string]any{"PayloadUUID": "x"}), "build.key"},
		"a missing key":      {build("com.apple.dnsSettings.managed", map[string]any{"ProhibitDisablement": true}), "build.missing"},
		"a wrong type":       {build("com.apple.dnsSettings.managed", map[string]any{"DNSSettings.DNSProtocol": "HTTPS", "ProhibitDisablement": "perhaps"}), "build.value"},
		"a value not listed": {build("com.apple.dnsSettings.managed", map[string]any{"DNSSettings.DNSProtocol": "Pigeon"}), "build.value"},
		"an enrollment":      {second2(w.upload("mdm", must(w.room.BuildPayloads([]profiles.Payload{{Type: "com.apple.mdm", Keys: map[string]any{"IdentityCertificateUUID": "01234567-89AB-CDEF-0123-456789ABCDEF", "Topic": "t", "ServerURL": "https://x"}}})))), "profile.enrollment"},
	} {
		if code(c.err) != c.code {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

func second2(_ profiles.Profile, err error) error { return err }

func must(b []byte, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

func TestEveryCommandIsOneThatIPadsFromSixteenOnHave(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	for _, s := range w.room.Specs() {
		e, ok := catalogue.Find(catalogue.Command, s.RequestType)
		if !ok || catalogue.Versions(e.Since, "16.0") > 0 || e.Removed != "" {
			t.Errorf("%s is %+v", s.Kind, e)
		}
	}
}

func TestADocumentIsCheckedAsUploadsAre(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		good := mobileconfig("a", "<key>PayloadType</key><string>com.apple.wifi.managed</string>\n<key>SSID_STR</key><string>x</string>\n<key>KeyOfTomorrow</key><true/>")
		apply := func(raw []byte) (edits []profiles.Edit, err error) {
			d := profiles.Document{Profiles: []profiles.DocProfile{{Name: "wlan", Content: raw}}}
			err = w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
				edits, err = w.room.ApplyDocument(context.WithoutCancel(t.Context()), tx, "user:test", "", d, plainScopes{w}, false)
				return err
			})
			return edits, err
		}
		edits, err := apply(good)
		w.must(err)
		if len(edits) != 1 || len(edits[0].Warnings) != 1 || edits[0].Warnings[0].Line != 7 {
			t.Errorf("got %+v", edits)
		}
		_, err = apply([]byte(strings.Replace(string(good), "<true/>", "<true/>\n<key>AutoJoin</key><string>x</string>", 1)))
		if f, _ := fault.Of(err); code(err) != "profile.invalid" || !strings.Contains(f.Text, "Profile wlan, line 8") {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add(mobileconfig("a", "<key>PayloadType</key><string>com.apple.wifi.managed</string><key>AutoJoin</key><string>x</string>"))
	f.Add(mobileconfig("a", "<key>PayloadType</key><string>com.apple.homescreenlayout</string><key>Pages</key><array><array><dict><key>Pages</key><array><array/></array></dict></array></array>"))
	f.Add(mobileconfig("a", "<key>PayloadType</key><string>com.apple.applicationaccess</string><key>&lt;a.b[0]</key><data>AA==</data><!-- <key> --><key>x</key><![CDATA[y]]>"))
	f.Add([]byte("bplist00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := profiles.Check(b)
		if err != nil {
			if code(err) == "" {
				t.Fatalf("not a fault: %v", err)
			}
			return
		}
		lines := strings.Count(string(b), "\n") + 1
		for _, f := range c.Findings {
			if f.Line < 0 || f.Line > lines || f.Text == "" || f.TextDE == "" || f.Text != strings.ToValidUTF8(f.Text, "") || strings.ContainsRune(f.Text, 0) {
				t.Fatalf("%+v in %d lines", f, lines)
			}
		}
		if len(c.Findings) > 101 {
			t.Fatalf("%d findings", len(c.Findings))
		}
	})
}
