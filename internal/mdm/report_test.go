package mdm

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const head = `<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist version="1.0">`

func TestAReportIsReadByItsFewKeys(t *testing.T) {
	chain := `<key>ErrorChain</key><array><dict><key>ErrorCode</key><integer>12078</integer><key>ErrorDomain</key><string>MDMErrorDomain</string>` +
		`<key>LocalizedDescription</key><string>Gerät &amp; so</string><key>USEnglishDescription</key><string>Device</string></dict><dict><key>ErrorCode</key><integer>-1</integer></dict></array>`
	unreadable := []ErrorItem{{English: "the tablet's error chain cannot be read"}}
	for _, tt := range []struct {
		name, body string
		want       Report
	}{
		{"idle", `<dict><key>Status</key><string>Idle</string><key>UDID</key><string>A</string></dict>`, Report{Status: "Idle", UDID: "A"}},
		{"an unknown status", `<dict><key>Status</key><string>Perhaps</string></dict>`, Report{Status: "Perhaps"}},
		{"not now", `<dict><key>CommandUUID</key><string>U</string><key>Status</key><string>NotNow</string></dict>`, Report{Status: "NotNow", CommandUUID: "U"}},
		{"the user channel", `<dict><key>Status</key><string>Idle</string><key>UserID</key><string>X</string><key>NotOnConsole</key><true/></dict>`, Report{Status: "Idle", UserID: "X", NotOnConsole: true}},
		{"on the console", `<dict><key>Status</key><string>Idle</string><key>NotOnConsole</key><false/></dict>`, Report{Status: "Idle"}},
		{"an account-driven one", `<dict><key>EnrollmentID</key><string>E</string><key>Status</key><string>Idle</string></dict>`, Report{Status: "Idle", EnrollmentID: "E"}},
		{"an error", `<dict><key>Status</key><string>Error</string>` + chain + `</dict>`, Report{Status: "Error", ErrorChain: []ErrorItem{
			{Code: 12078, Domain: "MDMErrorDomain", Localized: "Gerät & so", English: "Device"}, {Code: -1},
		}}},
		{"an empty chain", `<dict><key>Status</key><string>Error</string><key>ErrorChain</key><array/></dict>`, Report{Status: "Error"}},
		{"a chain of text", `<dict><key>Status</key><string>Error</string><key>ErrorChain</key><array><string>x</string></array></dict>`, Report{Status: "Error", ErrorChain: unreadable}},
		{"a chain that is none", `<dict><key>Status</key><string>Error</string><key>ErrorChain</key><string>x</string></dict>`, Report{Status: "Error", ErrorChain: unreadable}},
		{"a code that is no number", `<dict><key>Status</key><string>Error</string><key>ErrorChain</key><array><dict><key>ErrorCode</key><string>7</string></dict></array></dict>`, Report{Status: "Error", ErrorChain: unreadable}},
		{"a chain without end", `<dict><key>Status</key><string>Error</string><key>ErrorChain</key><array>` + strings.Repeat(`<dict><key>ErrorCode</key><integer>1</integer></dict>`, 100) + `</array></dict>`, Report{Status: "Error", ErrorChain: slices.Repeat([]ErrorItem{{Code: 1}}, 16)}},
		{"a chain of a megabyte", `<dict><key>Status</key><string>Error</string><key>ErrorChain</key><array><string>` + strings.Repeat("x", 1<<20) + `</string></array></dict>`, Report{Status: "Error", ErrorChain: unreadable}},
		{"keys of an inner dictionary", `<dict><key>QueryResponses</key><dict><key>Status</key><string>Error</string><key>UDID</key><string>B</string></dict><key>Status</key><string>Acknowledged</string></dict>`, Report{Status: "Acknowledged"}},
		{"keys in a text", `<dict><key>Status</key><string>Idle</string><key>x</key><string>&lt;key&gt;UDID&lt;/key&gt;</string></dict>`, Report{Status: "Idle"}},
		{"keys in a comment and CDATA", `<dict><key>Status</key><string>Idle</string><!-- <key>UDID</key><string>B</string> --><key>x</key><string><![CDATA[</string><key>UDID</key>]]></string></dict>`, Report{Status: "Idle"}},
		{"entities, CDATA, comments in values", `<dict><key>St<!-- -->atus</key><string>I<![CDATA[d]]>l&#101;</string></dict>`, Report{Status: "Idle"}},
		{"an entity in a key", `<dict><key>Stat&#117;s</key><string>Idle</string></dict>`, Report{Status: "Idle"}},
		{"empty values", `<dict><key>Status</key><string>Idle</string><key>UDID</key><string/><key>CommandUUID</key><string></string><key>x</key><array/></dict>`, Report{Status: "Idle"}},
		{"a value with an attribute", `<dict><key>Status</key><string x=">">Idle</string></dict>`, Report{Status: "Idle"}},
		{"control characters", "<dict><key>Status</key><string>Id\u0085le</string><key>CommandUUID</key><string>\n U\t</string></dict>", Report{Status: "Idle", CommandUUID: " U"}},
		{"a long one", `<dict><key>Status</key><string>Idle</string><key>CommandUUID</key><string>` + strings.Repeat("U", 5000) + `</string></dict>`, Report{Status: "Idle", CommandUUID: strings.Repeat("U", 1024)}},
		{"bad types where nobody looks", `<dict><key>Status</key><string>Acknowledged</string><key>x</key><integer>seven</integer></dict>`, Report{Status: "Acknowledged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := []byte(head + tt.body + "</plist>")
			got, err := ParseReport(b)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Raw, b) {
				t.Error("Raw is not the whole body")
			}
			if got.Raw = nil; len(got.ErrorChain) == 0 {
				got.ErrorChain = nil
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
		})
	}
}

func TestWhatIsNoReportIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", ErrSyntax},
		{"no status", head + `<dict><key>UDID</key><string>A</string></dict></plist>`, ErrSyntax},
		{"an empty status", head + `<dict><key>Status</key><string></string></dict></plist>`, ErrSyntax},
		{"a status that is no text", head + `<dict><key>Status</key><integer>1</integer></dict></plist>`, ErrSyntax},
		{"a UDID that is a dictionary", head + `<dict><key>Status</key><string>Idle</string><key>UDID</key><dict/></dict></plist>`, ErrSyntax},
		{"a list", head + `<array><string>Status</string></array></plist>`, ErrSyntax},
		{"no plist", `<dict><key>Status</key><string>Idle</string></dict>`, ErrSyntax},
		{"a value without a key", head + `<dict><string>Idle</string></dict></plist>`, ErrSyntax},
		{"two values for a key", head + `<dict><key>Status</key><string>Idle</string><string>Error</string></dict></plist>`, ErrSyntax},
		{"the wrong end", head + `<dict><key>Status</key><string>Idle</array></dict></plist>`, ErrSyntax},
		{"an unknown entity", head + `<dict><key>Status</key><string>&idle;</string></dict></plist>`, ErrSyntax},
		{"JSON", `{"Status":"Idle"}`, ErrSyntax},
		{"binary", string(bplist([]byte{0x09})), ErrBinary},
		{"deep", nested("dict", 70), ErrDepth},
	} {
		if got, err := ParseReport([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %+v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestACheckInKeepsWhatItSays(t *testing.T) {
	b := []byte(head + `<dict><key>MessageType</key><string>TokenUpdate</string><key>UDID</key><string>A</string><key>Topic</key><string>com.apple.mgmt.External.x</string>
<key>Token</key><data>AAECAw==</data><key>PushMagic</key><string>M</string><key>UnlockToken</key><data>
	/wA=
</data><key>AwaitingConfiguration</key><true/><key>Unknown</key><dict><key>x</key><array/></dict></dict></plist>`)
	m, err := ParseCheckIn(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType != "TokenUpdate" || m.UDID != "A" || string(m.Token) != "\x00\x01\x02\x03" || m.PushMagic != "M" ||
		string(m.UnlockToken) != "\xff\x00" || !m.AwaitingConfiguration || !bytes.Equal(m.Raw, b) {
		t.Errorf("got %+v", m)
	}
	for name, in := range map[string]string{
		"no type":              `<dict><key>UDID</key><string>A</string></dict>`,
		"a type that is none":  `<dict><key>MessageType</key><true/></dict>`,
		"a token that is text": `<dict><key>MessageType</key><string>TokenUpdate</string><key>Token</key><string>AA</string></dict>`,
		"a token that is torn": `<dict><key>MessageType</key><string>TokenUpdate</string><key>Token</key><data>A</data></dict>`,
		"a list":               `<array/>`,
	} {
		if _, err := ParseCheckIn([]byte(head + in + "</plist>")); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestACommandSaysWhichItIs(t *testing.T) {
	body := map[string]any{"Message": "Bitte & <zurück>", "RequestType": "EraseDevice"}
	b, err := Command("U", "DeviceLock", body)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		CommandUUID string
		Command     struct{ RequestType, Message string }
	}
	if err := Decode(b, &back); err != nil || back.CommandUUID != "U" || back.Command.RequestType != "DeviceLock" || back.Command.Message != "Bitte & <zurück>" {
		t.Errorf("got %+v, %v", back, err)
	}
	if body["RequestType"] != "EraseDevice" {
		t.Error("the caller's map was changed")
	}
	if _, err := Command("U", "X", map[string]any{"f": func() {}}); err == nil {
		t.Error("a function was written")
	}
}

func FuzzParseCheckIn(f *testing.F) {
	seeds(f)
	f.Add([]byte(head + `<dict><key>MessageType</key><string>Authenticate</string><key>UDID</key><string>A</string></dict></plist>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseCheckIn(b)
		if (m == nil) == (err == nil) {
			t.Errorf("got %v, %v", m, err)
		}
	})
}

// FuzzParseReport holds the quick reader to what the decoder reads.
func FuzzParseReport(f *testing.F) {
	seeds(f)
	f.Add([]byte(head + `<dict><key>Status</key><string>I<!-- x -->dle</string></dict></plist>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReport(b)
		if (r == nil) == (err == nil) {
			t.Fatalf("got %v, %v", r, err)
		}
		var slow struct{ Status, CommandUUID, UDID, RequestType string }
		if err != nil || Decode(b, &slow) != nil {
			return
		}
		for i, pair := range [][2]string{{r.Status, slow.Status}, {r.CommandUUID, slow.CommandUUID}, {r.UDID, slow.UDID}, {r.RequestType, slow.RequestType}} {
			if pair[0] != Clean(pair[1]) {
				t.Errorf("%d: read %q, decoded %q", i, pair[0], pair[1])
			}
		}
	})
}

// apps is an InstalledApplicationList of 40 kB.
func apps() []byte {
	var b bytes.Buffer
	for i := range 60 {
		fmt.Fprintf(&b, "<dict>\n<key>BundleSize</key>\n<integer>%d</integer>\n<key>Identifier</key>\n<string>org.example.learning.app%d</string>\n<key>Installing</key>\n<false/>\n<key>IsValidated</key>\n<true/>\n"+
			"<key>ExternalVersionIdentifier</key>\n<integer>%d</integer>\n<key>HasUpdateAvailable</key>\n<false/>\n<key>DeviceBasedVPP</key>\n<true/>\n<key>AdHocCodeSigned</key>\n<false/>\n<key>BetaApp</key>\n<false/>\n"+
			"<key>AppStoreVendable</key>\n<true/>\n<key>Name</key>\n<string>Lernen %d</string>\n<key>ShortVersion</key>\n<string>1.%d</string>\n<key>Version</key>\n<string>10%d</string>\n</dict>\n", i*1e6, i, i*777, i, i, i)
	}
	return answer("<key>InstalledApplicationList</key><array>" + b.String() + "</array>")
}

func BenchmarkParseReport(b *testing.B) {
	idle := []byte(head + `<dict><key>Status</key><string>Idle</string><key>UDID</key><string>00008020-000915083C80012E</string></dict></plist>`)
	for name, in := range map[string][]byte{"idle": idle, "apps": apps()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseReport(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseInstalledApps(b *testing.B) {
	in := apps()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseInstalledApps(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCheckIn(b *testing.B) {
	in := []byte(head + `<dict><key>MessageType</key><string>TokenUpdate</string><key>UDID</key><string>A</string><key>Topic</key><string>t</string><key>Token</key><data>AAECAw==</data><key>PushMagic</key><string>M</string></dict></plist>`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCheckIn(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommand(b *testing.B) {
	body := map[string]any{"Payload": bytes.Repeat([]byte("x"), 6000)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Command("U", "InstallProfile", body); err != nil {
			b.Fatal(err)
		}
	}
}
