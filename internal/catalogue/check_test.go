package catalogue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

type dict = map[string]any

// profile is one around payloads that is whole.
func profile(payloads ...dict) dict {
	list := []any{}
	for i, p := range payloads {
		p["PayloadIdentifier"], p["PayloadUUID"], p["PayloadVersion"] = fmt.Sprint("a.", i), fmt.Sprint("U", i), uint64(1)
		list = append(list, p)
	}
	return dict{"PayloadType": "Configuration", "PayloadIdentifier": "a", "PayloadUUID": "U", "PayloadVersion": uint64(1), "PayloadContent": list}
}

func wifi(more dict) dict {
	p := dict{"PayloadType": "com.apple.wifi.managed", "SSID_STR": "school", "EncryptionType": "WPA2"}
	for k, v := range more {
		p[k] = v
	}
	return p
}

func told(found []Finding) (out []string) {
	for _, f := range found {
		out = append(out, f.Severity+" "+f.Code+" "+f.Path)
	}
	return out
}

func TestWhatIsWrongWithAProfileIsNamedByItsPath(t *testing.T) {
	without := func(key string) dict {
		p := profile(wifi(nil))
		delete(p, key)
		return p
	}
	for _, tt := range []struct {
		name string
		doc  dict
		want []string
	}{
		{"nothing", profile(wifi(nil)), nil},
		{"nothing in any part of it", profile(wifi(dict{
			"AutoJoin": true, "EAPClientConfiguration": dict{"AcceptEAPTypes": []any{uint64(13), uint64(25)}, "TLSTrustedServerNames": []any{"radius.example.org"}},
			"PayloadDisplayName": "x", "PayloadCertificateUUID": "01234567-89AB-CDEF-0123-456789ABCDEF",
		})), nil},
		{"a text for a truth value", profile(wifi(dict{"AutoJoin": "yes"})), []string{"error key.type PayloadContent[0].AutoJoin"}},
		{"a number for a truth value", profile(wifi(dict{"AutoJoin": uint64(1)})), []string{"warning key.kind PayloadContent[0].AutoJoin"}},
		{"a two for a truth value", profile(wifi(dict{"AutoJoin": uint64(2)})), []string{"error key.type PayloadContent[0].AutoJoin"}},
		{"deep in it", profile(wifi(nil), wifi(dict{"EAPClientConfiguration": dict{"AcceptEAPTypes": []any{uint64(13), "PEAP"}}})),
			[]string{"error key.type PayloadContent[1].EAPClientConfiguration.AcceptEAPTypes[1]"}},
		{"a list for a dictionary", profile(wifi(dict{"EAPClientConfiguration": []any{}})), []string{"error key.type PayloadContent[0].EAPClientConfiguration"}},
		{"an unknown key", profile(wifi(dict{"SSID_STRING": "x"})), []string{"warning key.unknown PayloadContent[0].SSID_STRING"}},
		{"an unknown key deep in it", profile(wifi(dict{"EAPClientConfiguration": dict{"AcceptEAPTypes": []any{}, "Later": true}})),
			[]string{"warning key.unknown PayloadContent[0].EAPClientConfiguration.Later"}},
		{"a key that is missing", profile(dict{"PayloadType": "com.apple.webClip.managed", "Label": "x"}), []string{"error key.missing PayloadContent[0].URL"}},
		{"a key that is missing deep in it", profile(wifi(dict{"EAPClientConfiguration": dict{}})), []string{"error key.missing PayloadContent[0].EAPClientConfiguration.AcceptEAPTypes"}},
		{"a value that Apple does not name", profile(wifi(dict{"EncryptionType": "WPA9"})), []string{"warning key.value PayloadContent[0].EncryptionType"}},
		{"a number that Apple does not name", profile(wifi(dict{"EAPClientConfiguration": dict{"AcceptEAPTypes": []any{uint64(99)}}})),
			[]string{"warning key.value PayloadContent[0].EAPClientConfiguration.AcceptEAPTypes[0]"}},
		{"a number that is too large", profile(dict{"PayloadType": "com.apple.applicationaccess", "enforcedSoftwareUpdateDelay": uint64(91)}),
			[]string{"warning key.range PayloadContent[0].enforcedSoftwareUpdateDelay"}},
		{"a form that is another", profile(wifi(dict{"PayloadCertificateUUID": "mine"})), []string{"warning key.format PayloadContent[0].PayloadCertificateUUID"}},
		{"a variable may have any value", profile(wifi(dict{"PayloadCertificateUUID": "$CERT", "EncryptionType": "$KIND"})), nil},
		{"an unknown payload", profile(dict{"PayloadType": "com.apple.wifi.manged"}), []string{"warning type.unknown PayloadContent[0].PayloadType"}},
		{"a vendor's payload with any keys", profile(dict{"PayloadType": "org.example", "Anything": dict{"a": uint64(1)}}), []string{"warning type.unknown PayloadContent[0].PayloadType"}},
		{"a payload for Macs", profile(dict{"PayloadType": "com.apple.dock", "orientation": "left"}), []string{"warning type.elsewhere PayloadContent[0].PayloadType"}},
		{"one of the frame", profile(dict{"PayloadType": "TopLevel"}), []string{"warning type.unknown PayloadContent[0].PayloadType"}},
		{"two of which one counts", profile(dict{"PayloadType": "com.apple.homescreenlayout", "Pages": []any{}}, dict{"PayloadType": "com.apple.homescreenlayout", "Pages": []any{}}),
			[]string{"warning payload.twice PayloadContent[1]"}},
		{"two Wi-Fi payloads", profile(wifi(nil), wifi(nil)), nil},
		{"what a payload needs", profile(dict{"PayloadType": "com.apple.font", "PayloadVersion": nil}), []string{"error key.missing PayloadContent[0].Font"}},
		{"what a profile needs", without("PayloadIdentifier"), []string{"error key.missing PayloadIdentifier"}},
		{"what newer ones need", profile(dict{"PayloadType": "com.apple.vpn.managed", "VPNType": "IPSec", "UserDefinedName": "x", "DNS": dict{"ServerAddresses": []any{"192.0.2.1"}}}),
			[]string{"warning key.absent PayloadContent[0].DNS.DNSProtocol"}},
		{"a number written another way", profile(dict{"PayloadType": "com.apple.applicationaccess", "safariAcceptCookies": uint64(2)}), nil},
		{"names for a certificate, one or many", profile(dict{"PayloadType": "com.apple.security.scep", "PayloadContent": dict{"URL": "https://x", "SubjectAltName": dict{"dNSName": []any{"a"}, "rfc822Name": "b"}}}), nil},
		{"of two kinds of one payload, each has its own", profile(dict{"PayloadType": "com.apple.extensiblesso", "ExtensionIdentifier": "x", "TeamIdentifier": "ours", "Type": "Redirect", "URLs": []any{"https://x"}}), nil},
		{"no payloads", without("PayloadContent"), []string{"error key.missing PayloadContent"}},
		{"payloads that are none", dict{"PayloadType": "Configuration", "PayloadIdentifier": "a", "PayloadUUID": "U", "PayloadVersion": uint64(1), "PayloadContent": []any{"x", dict{}}},
			[]string{"error key.type PayloadContent[0]", "error key.missing PayloadContent[1].PayloadIdentifier", "error key.missing PayloadContent[1].PayloadUUID",
				"error key.missing PayloadContent[1].PayloadType", "error key.missing PayloadContent[1].PayloadVersion"}},
		{"any language may consent", func() dict { p := profile(wifi(nil)); p["ConsentText"] = dict{"de": "Einverstanden"}; return p }(), nil},
		{"a time that is a text", func() dict { p := profile(wifi(nil)); p["RemovalDate"] = "2027-01-01"; return p }(), []string{"error key.type RemovalDate"}},
		{"a time", func() dict { p := profile(wifi(nil)); p["RemovalDate"] = time.Time{}; return p }(), nil},
		{"a whole number for a number", func() dict { p := profile(wifi(nil)); p["DurationUntilRemoval"] = uint64(60); return p }(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(CheckProfile(tt.doc)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Folders hold icons, and icons may be folders: the table refers to itself there.
func TestAHomeScreenIsCheckedInItsFolders(t *testing.T) {
	app := func(name any) dict { return dict{"Type": "Application", "BundleID": name} }
	folder := func(in ...any) dict { return dict{"Type": "Folder", "DisplayName": "F", "Pages": []any{in}} }
	doc := profile(dict{"PayloadType": "com.apple.homescreenlayout", "Dock": []any{folder(folder(app(uint64(7))))}, "Pages": []any{[]any{folder(app(true))}}})
	got := told(CheckProfile(doc))
	want := []string{"error key.type PayloadContent[0].Dock[0].Pages[0][0].Pages[0][0].BundleID", "error key.type PayloadContent[0].Pages[0][0].Pages[0][0].BundleID"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFindingsHaveWordsInTwoLanguagesAndNoValues(t *testing.T) {
	doc := profile(wifi(dict{"AutoJoin": "geheim", "EncryptionType": "geheim", "HIDDEN_NETWROK": "geheim"}), dict{"PayloadType": "org.example", "x": "geheim"})
	found := CheckProfile(doc)
	if len(found) != 4 {
		t.Fatalf("found %v", told(found))
	}
	for _, f := range found {
		if f.Text == "" || f.TextDE == "" || f.Text == f.TextDE || strings.Contains(f.Text+f.TextDE, "geheim") || strings.Contains(f.Text+f.TextDE, "%!") {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []string{"PayloadContent[0].AutoJoin is a text, and must be true or false.", "Is HIDDEN_NETWORK meant?", "WEP, WPA, WPA2"} {
		if !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Text, want) }) {
			t.Errorf("nobody says %q: %+v", want, found)
		}
	}
	if want := "PayloadContent[0].AutoJoin ist ein Text und muss ja oder nein (true, false) sein."; found[0].TextDE != want {
		t.Errorf("got %q", found[0].TextDE)
	}
}

func TestFindingsHaveAnEnd(t *testing.T) {
	p := wifi(nil)
	for i := range 5000 {
		p[fmt.Sprint("key", i, strings.Repeat("x", 2000))] = true
	}
	found := CheckProfile(profile(p))
	if len(found) != maxFindings+1 || found[maxFindings].Code != "findings.more" {
		t.Errorf("%d findings", len(found))
	}
	for _, f := range found {
		if utf8.RuneCountInString(f.Text) > 1000 || len(f.Path) > 1000 {
			t.Errorf("a text of %d characters", len(f.Text))
		}
	}
}

func TestCommandsAndCheckInAreCheckedTheSameWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []Finding
		want []string
	}{
		{"a good command", CheckCommand("Settings", dict{"Settings": []any{dict{"Item": "DeviceName", "DeviceName": "iPad 7"}}}), nil},
		{"a setting of no kind", CheckCommand("Settings", dict{"Settings": []any{dict{"Item": "Teapot"}}}), []string{"warning key.value Settings[0].Item"}},
		{"a setting with a wrong type", CheckCommand("Settings", dict{"Settings": []any{dict{"Item": "Bluetooth", "Enabled": "on"}}}), []string{"error key.type Settings[0].Enabled"}},
		{"a command without its key", CheckCommand("RemoveProfile", dict{}), []string{"error key.missing Identifier"}},
		{"an unknown command", CheckCommand("MakeCoffee", nil), []string{"warning type.unknown RequestType"}},
		{"a command for Macs", CheckCommand("RotateFileVaultKey", nil), []string{"warning type.elsewhere RequestType"}},
		{"a command of 27 whose keys nobody knows", CheckCommand("TriggerEnhancedLogCollection", dict{"Anything": true}), nil},
		{"a check-in", CheckCheckIn(dict{"MessageType": "SetBootstrapToken", "BootstrapToken": []byte{1}}), nil},
		{"another check-in", CheckCheckIn(dict{"MessageType": "CheckOut", "Topic": "t", "UDID": "u"}), nil},
		{"a bootstrap token, which iPads have from 26 on", CheckCheckIn(dict{"MessageType": "SetBootstrapToken", "BootstrapToken": "x"}), []string{"error key.type BootstrapToken"}},
	} {
		if got := told(tt.got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDeclarationsAreCheckedAsJSON(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      []string
	}{
		{"a good one", `{"Type":"com.apple.configuration.passcode.settings","Identifier":"a","ServerToken":"1","Payload":{"MinimumLength":6,"RequirePasscode":true}}`, nil},
		{"a wrong type", `{"Type":"com.apple.configuration.passcode.settings","Identifier":"a","ServerToken":"1","Payload":{"MinimumLength":"6"}}`, []string{"error key.type Payload.MinimumLength"}},
		{"a fraction", `{"Type":"com.apple.configuration.passcode.settings","Identifier":"a","ServerToken":"1","Payload":{"MinimumLength":6.5}}`, []string{"error key.type Payload.MinimumLength"}},
		{"no token", `{"Type":"com.apple.configuration.passcode.settings","Identifier":"a","Payload":{}}`, []string{"error key.missing ServerToken"}},
		{"an unknown type", `{"Type":"com.apple.configuration.coffee","Identifier":"a","ServerToken":"1","Payload":{}}`, []string{"warning type.unknown Type"}},
		{"a legacy profile by an asset, from 27 on", `{"Type":"com.apple.configuration.legacy","Identifier":"a","ServerToken":"1","Payload":{"ProfileAssetReference":"x"}}`, nil},
		{"one whose keys nobody knows", `{"Type":"com.apple.configuration.network.relay","Identifier":"a","ServerToken":"1","Payload":{"Anything":1}}`, nil},
	} {
		var doc dict
		if err := json.Unmarshal([]byte(tt.doc), &doc); err != nil {
			t.Fatal(err)
		}
		if got := told(CheckDeclaration(doc)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNeedsAreWhatNotEveryIPadHas(t *testing.T) {
	yes, no := true, false
	doc := profile(wifi(dict{"AutoJoin": true, "DisableAssociationMACRandomization": true, "EAPClientConfiguration": dict{"AcceptEAPTypes": []any{uint64(13)}}}),
		dict{"PayloadType": "com.apple.applicationaccess", "allowCamera": false, "allowAppInstallation": false, "allowGenmoji": false, "enforcedSoftwareUpdateDelay": uint64(9)},
		dict{"PayloadType": "com.apple.homescreenlayout", "Pages": []any{}}, dict{"PayloadType": "com.apple.relay.managed", "Relays": []any{}},
		dict{"PayloadType": "org.example", "x": true})
	got := NeedsOf(doc)
	for _, want := range []string{
		"{com.apple.homescreenlayout [] true  }", "{com.apple.relay.managed [] false 17.0 }", "{com.apple.wifi.managed [DisableAssociationMACRandomization] false 14.0 }",
		"{com.apple.applicationaccess [allowGenmoji] true 18.0 }", "{com.apple.applicationaccess [enforcedSoftwareUpdateDelay] true  27.0}",
	} {
		if !slices.ContainsFunc(got, func(n Need) bool { return fmt.Sprint(n) == want }) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	for _, n := range got {
		if n.Path == "org.example" || slices.Contains(n.Keys, "AutoJoin") {
			t.Errorf("%v", n)
		}
	}
	if got := NotOnSharedIPads(profile(wifi(nil), dict{"PayloadType": "com.apple.webClip.managed"}, dict{"PayloadType": "com.apple.mobiledevice.passwordpolicy"})); len(got) != 2 {
		t.Errorf("not on Shared iPads: %v", got)
	}
	for _, tt := range []struct {
		need       Need
		os         string
		supervised *bool
		want       string
	}{
		{Need{Since: "17.0"}, "16.4.1", &yes, TooOld},
		{Need{Since: "17.0"}, "17", &yes, ""},
		{Need{Since: "17.4"}, "17.10", &yes, ""},
		{Need{Since: "17.0"}, "", nil, ""},
		{Need{Since: "17.0"}, "unknown", nil, ""},
		{Need{Removed: "27.0"}, "27.0", &yes, Removed},
		{Need{Removed: "27.0"}, "26.9", &yes, ""},
		{Need{Removed: "27.0"}, "", nil, ""},
		{Need{Supervised: true}, "18.0", &no, Unsupervised},
		{Need{Supervised: true}, "18.0", nil, ""},
		{Need{Supervised: true, Since: "18.0"}, "17.0", &no, TooOld},
	} {
		if got := tt.need.Lacks(tt.os, tt.supervised); got != tt.want {
			t.Errorf("%+v on %q: got %q, want %q", tt.need, tt.os, got, tt.want)
		}
	}
}
