package mdm

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func answer(inner string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>Status</key><string>Acknowledged</string><key>CommandUUID</key><string>U</string>` + inner + `</dict></plist>`)
}

// lists are the parsers of what must not be taken for empty.
func lists() map[string]func([]byte) (int, error) {
	return map[string]func([]byte) (int, error){
		"ProfileList":              func(b []byte) (int, error) { l, err := ParseProfileList(b); return len(l), err },
		"ManagedApplicationList":   func(b []byte) (int, error) { l, err := ParseManagedApps(b); return len(l), err },
		"InstalledApplicationList": func(b []byte) (int, error) { l, err := ParseInstalledApps(b); return len(l), err },
		"CertificateList":          func(b []byte) (int, error) { l, err := ParseCertificateList(b); return len(l), err },
		"Settings":                 func(b []byte) (int, error) { l, err := ParseSettings(b); return len(l), err },
		"QueryResponses":           func(b []byte) (int, error) { l, err := ParseDeviceInformation(b); return len(l), err },
		"SecurityInfo":             func(b []byte) (int, error) { l, err := ParseSecurityInfo(b); return len(l), err },
	}
}

func TestAnAnswerWithoutItsListIsNoEmptyList(t *testing.T) {
	for key, parse := range lists() {
		empty := "<array/>"
		switch key {
		case "ManagedApplicationList", "QueryResponses", "SecurityInfo":
			empty = "<dict/>"
		}
		if n, err := parse(answer("<key>" + key + "</key>" + empty)); n != 0 || err != nil {
			t.Errorf("%s, empty: got %d, %v", key, n, err)
		}
		for name, inner := range map[string]string{
			"without it":         "",
			"under another name": "<key>" + strings.ToLower(key) + "</key>" + empty,
			"of another type":    "<key>" + key + "</key><string>none</string>",
			"of other elements":  "<key>" + key + "</key><integer>0</integer>",
			"deeper down":        "<key>x</key><dict><key>" + key + "</key>" + empty + "</dict>",
		} {
			if n, err := parse(answer(inner)); !errors.Is(err, ErrSyntax) {
				t.Errorf("%s, %s: got %d, %v", key, name, n, err)
			}
		}
	}
}

func TestAPlaceIsOnEarth(t *testing.T) {
	at := func(lat, lon string) []byte {
		return answer("<key>Latitude</key>" + lat + "<key>Longitude</key>" + lon + "<key>Altitude</key><real>nan</real>")
	}
	for _, tt := range []struct {
		name, lat, lon string
		ok             bool
	}{
		{"Berlin", "<real>52.5</real>", "<real>13.4</real>", true},
		{"a whole number", "<integer>52</integer>", "<integer>-13</integer>", true},
		{"the pole", "<real>-90</real>", "<real>180</real>", true},
		{"too far north", "<real>90.1</real>", "<real>0</real>", false},
		{"too far west", "<real>0</real>", "<real>-180.5</real>", false},
		{"not a number", "<real>nan</real>", "<real>0</real>", false},
		{"infinite", "<real>0</real>", "<real>-inf</real>", false},
		{"text", "<string>52.5</string>", "<real>0</real>", false},
	} {
		l, err := ParseLocation(at(tt.lat, tt.lon))
		if ok := err == nil; ok != tt.ok || !ok && !errors.Is(err, ErrSyntax) || l.Altitude != 0 {
			t.Errorf("%s: got %+v, %v", tt.name, l, err)
		}
	}
	if _, err := ParseLocation(answer("")); !errors.Is(err, ErrSyntax) {
		t.Errorf("no place: got %v", err)
	}
}

func TestWhatIsReadCanBeWrittenAsJSON(t *testing.T) {
	info, err := ParseDeviceInformation(answer(`<key>QueryResponses</key><dict><key>BatteryLevel</key><real>nan</real><key>DeviceCapacity</key><real>+inf</real>` +
		`<key>ServiceSubscriptions</key><array><dict><key>x</key><real>-inf</real><key>y</key><real>1.5</real></dict><real>nan</real></array><key>When</key><date>2026-11-23T10:00:00Z</date></dict>`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(info)
	if want := `{"ServiceSubscriptions":[{"y":1.5},"nan"],"When":"2026-11-23T10:00:00Z"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
