package profiles_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/micromdm/plist"

	"ranzen/internal/fault"
	"ranzen/profiles"
)

// packed is a zip archive of these files, in pairs of name and content.
func packed(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func infoOf(t testing.TB, bundle, short, version, minimum string) string {
	t.Helper()
	raw, err := plist.Marshal(map[string]any{
		"CFBundleIdentifier": bundle, "CFBundleShortVersionString": short, "CFBundleVersion": version, "MinimumOSVersion": minimum, "CFBundleName": "Mensa",
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// ipaOf is an app; filler makes it as large as needed, and other bytes.
func ipaOf(t testing.TB, bundle, short, version, minimum, filler string) []byte {
	t.Helper()
	return packed(t, "Payload/", "", "Payload/Mensa.app/Mensa", filler, "Payload/Mensa.app/Info.plist", infoOf(t, bundle, short, version, minimum),
		"Payload/Mensa.app/PlugIns/Widget.appex/Info.plist", infoOf(t, bundle+".widget", short, version, minimum))
}

func read(b []byte) (profiles.IPA, error) { return profiles.ReadIPA(bytes.NewReader(b), int64(len(b))) }

func TestAnIPASaysWhichAppIsInIt(t *testing.T) {
	want := profiles.IPA{BundleID: "de.sandtal.mensa", ShortVersion: "1.2", BundleVersion: "42", MinimumOS: "17.0", Title: "Mensa"}
	if got, err := read(ipaOf(t, want.BundleID, "1.2", "42", "17.0", "x")); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWhatIsNoAppIsRefusedWithAReason(t *testing.T) {
	good := infoOf(t, "de.sandtal.mensa", "1.2", "42", "17.0")
	const info = "Payload/A.app/Info.plist"
	whole := packed(t, info, good)
	patched := func(mark string, at int, v ...byte) []byte {
		b := bytes.Clone(whole)
		i := bytes.LastIndex(b, []byte(mark))
		copy(b[i+at:], v)
		return b
	}
	for _, tt := range []struct {
		name string
		file []byte
		code string
	}{
		{"nothing", nil, "ipa.unreadable"},
		{"a web page", []byte("<!DOCTYPE html><html>not found</html>" + strings.Repeat(" ", 100)), "ipa.unreadable"},
		{"an empty archive", packed(t), "ipa.unreadable"},
		{"an archive without an app", packed(t, "Info.plist", good), "ipa.unreadable"},
		{"the Info.plist of an extension alone", packed(t, "Payload/A.app/PlugIns/W.appex/Info.plist", good), "ipa.unreadable"},
		{"two apps", packed(t, info, good, "Payload/B.app/Info.plist", good), "ipa.several"},
		{"one app twice", packed(t, info, good, info, good), "ipa.several"},
		{"a way out", packed(t, info, good, "Payload/../../etc/passwd", ""), "ipa.path"},
		{"an absolute way out", packed(t, info, good, "/etc/passwd", ""), "ipa.path"},
		{"a way out for Windows", packed(t, info, good, `..\x`, ""), "ipa.path"},
		{"a dot in the way", packed(t, "Payload/./A.app/Info.plist", good), "ipa.path"},
		{"a bomb", packed(t, info, strings.Repeat(" ", 64<<20)), "ipa.unreadable"},
		{"no property list", packed(t, info, "hello"), "ipa.unreadable"},
		{"no identifier", packed(t, info, infoOf(t, "", "1.2", "42", "")), "ipa.unreadable"},
		{"no version", packed(t, info, infoOf(t, "de.a.b", "1.2", "", "")), "ipa.unreadable"},
		{"an odd system", packed(t, info, infoOf(t, "de.a.b", "1.2", "1", "seventeen")), "ipa.unreadable"},
		{"cut short", whole[:len(whole)-30], "ipa.unreadable"},
		{"a beginning that is missing", whole[10:], "ipa.unreadable"},
		{"an encrypted entry", patched("PK\x01\x02", 8, 1), "ipa.encrypted"},
		{"a wrong sum", patched("PK\x01\x02", 16, 1, 2, 3, 4), "ipa.unreadable"},
		{"an unknown method", patched("PK\x01\x02", 10, 99), "ipa.unreadable"},
		{"a small lie about the size", patched("PK\x01\x02", 24, 1, 0, 0, 0), "ipa.unreadable"},
		{"more entries than bytes", patched("PK\x05\x06", 10, 0xfe, 0xff), "ipa.unreadable"},
		{"a directory beyond the end", patched("PK\x05\x06", 16, 0xff, 0xff, 0xff, 0x7f), "ipa.unreadable"},
		{"a wide end that is missing", patched("PK\x05\x06", 10, 0xff, 0xff), "ipa.unreadable"},
		{"another name where the file lies", patched("PK\x03\x04", 30, 'Q'), "ipa.unreadable"},
	} {
		_, err := read(tt.file)
		if f, is := errors.AsType[*fault.Fault](err); !is || f.Code != tt.code {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := profiles.ReadIPA(bytes.NewReader(whole), profiles.MaxIPA+1); code(err) != "ipa.too-big" {
		t.Errorf("too big: %v", err)
	}
}

// wide is an archive whose end has no room for its numbers, and claims entries.
func wide(t testing.TB, b []byte, entries uint64) []byte {
	t.Helper()
	i := bytes.LastIndex(b, []byte("PK\x05\x06"))
	size, offset := binary.LittleEndian.Uint32(b[i+12:]), binary.LittleEndian.Uint32(b[i+16:])
	out := bytes.Clone(b[:i])
	at := uint64(len(out))
	out = append(out, "PK\x06\x06"...)
	out = binary.LittleEndian.AppendUint64(out, 44)
	out = append(out, make([]byte, 12)...)
	for _, v := range []uint64{entries, entries, uint64(size), uint64(offset)} {
		out = binary.LittleEndian.AppendUint64(out, v)
	}
	out = append(out, "PK\x06\x07\x00\x00\x00\x00"...)
	out = binary.LittleEndian.AppendUint64(out, at)
	out = append(out, 1, 0, 0, 0)
	return append(out, "PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"...)
}

func TestAWideArchiveIsReadAndBounded(t *testing.T) {
	b := ipaOf(t, "de.sandtal.mensa", "1.2", "42", "17.0", "x")
	if got, err := read(wide(t, b, 4)); err != nil || got.BundleID != "de.sandtal.mensa" {
		t.Errorf("%+v %v", got, err)
	}
	for _, entries := range []uint64{5, 1 << 20, 1 << 63} {
		if _, err := read(wide(t, b, entries)); code(err) != "ipa.unreadable" {
			t.Errorf("%d entries: %v", entries, err)
		}
	}
	if n := testing.AllocsPerRun(1, func() { _, _ = read(wide(t, b, 1<<40)) }); n > 200 {
		t.Errorf("%v allocations for a claim", n)
	}
}

func FuzzReadIPA(f *testing.F) {
	b := ipaOf(f, "de.sandtal.mensa", "1.2", "42", "17.0", "x")
	f.Add(b)
	f.Add(wide(f, b, 4))
	f.Add(packed(f))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := read(b)
		if _, is := errors.AsType[*fault.Fault](err); err != nil && !is {
			t.Fatalf("an error without a code: %v", err)
		}
		if err == nil && (a.BundleID == "" || a.BundleVersion == "" || a.Title == "") {
			t.Fatalf("half an app: %+v", a)
		}
	})
}
