package mdm

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// bplist makes a binary property list of its objects; references have one byte.
func bplist(objects ...[]byte) []byte {
	b := []byte("bplist00")
	var table []byte
	for _, o := range objects {
		table = binary.BigEndian.AppendUint32(table, uint32(len(b)))
		b = append(b, o...)
	}
	at := len(b)
	b = append(b, table...)
	b = append(b, 0, 0, 0, 0, 0, 0, 4, 1)
	b = binary.BigEndian.AppendUint64(b, uint64(len(objects)))
	b = binary.BigEndian.AppendUint64(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(at))
}

// bomb is levels of arrays of ten, each of which refers to the next level.
func bomb(levels int) []byte {
	objects := make([][]byte, 0, levels+1)
	for i := range levels {
		objects = append(objects, append([]byte{0xaa}, bytes.Repeat([]byte{byte(i + 1)}, 10)...))
	}
	return bplist(append(objects, []byte{0x09})...)
}

// hugeCount is an array that says it has 2^39 elements.
func hugeCount() []byte {
	return bplist([]byte{0xaf, 0x13, 0, 0, 0, 0x80, 0, 0, 0, 0})
}

// fatText refers 250 times to a text of a megabyte: 250 levels are not needed.
func fatText() []byte {
	fat := append([]byte{0x5f, 0x12, 0, 0x10, 0, 0}, bytes.Repeat([]byte{'x'}, 1<<20)...)
	return bplist(append([]byte{0xaf, 0x10, 250}, bytes.Repeat([]byte{1}, 250)...), fat)
}

func nested(element string, n int) string {
	return `<plist version="1.0">` + strings.Repeat("<"+element+">", n) + strings.Repeat("</"+element+">", n) + `</plist>`
}

func TestWhatKillsDecodersIsRefused(t *testing.T) {
	entities := `<!DOCTYPE plist [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><plist><string>&b;</string></plist>`
	for _, tt := range []struct {
		name    string
		in      string
		tablets error // from Decode
		uploads error // from DecodeUpload
	}{
		{"nothing", "", ErrSyntax, ErrSyntax},
		{"text", "hello", ErrSyntax, ErrSyntax},
		{"46 bytes that contain themselves", string(bplist([]byte{0xa1, 0})), ErrBinary, ErrDepth},
		{"a huge count", string(hugeCount()), ErrBinary, ErrSyntax},
		{"a bomb of twelve levels", string(bomb(12)), ErrBinary, ErrSize},
		{"a bomb of seventeen levels", string(bomb(17)), ErrBinary, ErrDepth},
		{"one text many times", string(fatText()), ErrBinary, ErrSize},
		{"a binary header and nothing", "bplist00", ErrBinary, ErrSyntax},
		{"a binary one of another version", "bplist1" + strings.Repeat("x", 64), ErrBinary, ErrSyntax},
		{"a reference to no object", string(bplist([]byte{0xa1, 7})), ErrBinary, ErrSyntax},
		{"a data object longer than the file", string(bplist([]byte{0x4f, 0x12, 0x7f, 0xff, 0xff, 0xff})), ErrBinary, ErrSyntax},
		{"a text whose doubled length overflows", string(bplist([]byte{0x6f, 0x13, 0x80, 0, 0, 0, 0, 0, 0, 0})), ErrBinary, ErrSyntax},
		{"three million arrays", nested("array", 400_000), ErrDepth, ErrDepth},
		{"65 arrays", nested("array", 65), ErrDepth, ErrDepth},
		{"unknown elements", nested("x", 100_000), ErrDepth, ErrDepth},
		{"arrays that never end", "<plist>" + strings.Repeat("<array>", 100_000), ErrDepth, ErrDepth},
		{"too large", "<plist><string>" + strings.Repeat("x", maxXML) + "</string></plist>", ErrSize, ErrSize},
		{"too many elements", "<plist><array>" + strings.Repeat("<a/>", maxElements) + "</array></plist>", ErrSize, ErrSize},
		{"entities", entities, ErrSyntax, ErrSyntax},
		{"an external entity", `<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]><plist><string>&x;</string></plist>`, ErrSyntax, ErrSyntax},
		{"an entity that nobody declared", `<plist><string>&nbsp;</string></plist>`, ErrSyntax, ErrSyntax},
		{"another encoding", `<?xml version="1.0" encoding="UTF-7"?><plist><string>+ADw-</string></plist>`, ErrSyntax, ErrSyntax},
		{"UTF-16", "\xff\xfe<\x00p\x00l\x00i\x00s\x00t\x00>\x00", ErrSyntax, ErrSyntax},
		{"invalid UTF-8", "<plist><string>\xff\xfe</string></plist>", ErrSyntax, ErrSyntax},
		{"NUL", "<plist><string>a\x00b</string></plist>", ErrSyntax, ErrSyntax},
		{"cut in the middle", `<plist><dict><key>MessageType</key><string>Auth`, ErrSyntax, ErrSyntax},
		{"the wrong end", `<plist><array></dict></plist>`, ErrSyntax, ErrSyntax},
		{"only an end", `</plist>`, ErrSyntax, ErrSyntax},
		{"an unfinished tag", `<plist><dict`, ErrSyntax, ErrSyntax},
		{"an unfinished comment", `<plist><!-- `, ErrSyntax, ErrSyntax},
		{"an empty plist", `<plist></plist>`, ErrSyntax, ErrSyntax},
		{"HTML", `<html><body>Bad gateway</body></html>`, ErrSyntax, ErrSyntax},
		// What our scan takes for text and the decoder for elements.
		{"arrays behind a > in quotes", "<plist>" + strings.Repeat(`<array b="/>">`, 70), ErrDepth, ErrDepth},
		{"arrays hidden by a document type", `<!DOCTYPE x "><!--"><plist>` + strings.Repeat("<array>", 70) + "--><x/>", ErrSyntax, ErrSyntax},
		{"arrays hidden by half a comment", `<!--><![CDATA[--><plist>` + strings.Repeat("<array>", 70) + "]]><x/>", ErrDepth, ErrDepth},
		{"arrays hidden by half an instruction", `<?><![CDATA[?><plist>` + strings.Repeat("<array>", 70) + "]]><x/>", ErrDepth, ErrDepth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			var v any
			if err := Decode([]byte(tt.in), &v); !errors.Is(err, tt.tablets) {
				t.Errorf("Decode: got %v, want %v", err, tt.tablets)
			}
			if err := DecodeUpload([]byte(tt.in), &v); !errors.Is(err, tt.uploads) {
				t.Errorf("DecodeUpload: got %v, want %v", err, tt.uploads)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestHarmlessOddFormsAreRead(t *testing.T) {
	for name, in := range map[string]string{
		"no document type":     `<plist version="1.0"><string>x</string></plist>`,
		"Apple's":              `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" + `<plist version="1.0"><string>x</string></plist>`,
		"comments":             `<!-- > --><plist><!-- <array> --><string>x</string></plist>`,
		"CDATA":                `<plist><string><![CDATA[x]]></string></plist>`,
		"a comment in text":    `<plist><string><!-- x -->x</string></plist>`,
		"numbered characters":  `<plist><string>&#120;</string></plist>`,
		"white space in tags":  "<plist\n version='1.0' ><string >x</string ></plist>",
		"a > in the version":   `<plist version=">"><string>x</string></plist>`,
		"64 levels, plist too": nested("array", 63),
	} {
		t.Run(name, func(t *testing.T) {
			var v any
			if err := Decode([]byte(in), &v); err != nil {
				t.Fatal(err)
			}
			if s, is := v.(string); is && s != "x" {
				t.Errorf("got %q", s)
			}
		})
	}
}

func TestUploadsMayBeBinary(t *testing.T) {
	b := bplist(
		[]byte{0xd4, 1, 2, 3, 4, 5, 6, 7, 8}, // a dictionary of four
		[]byte("\x5bPayloadType"), []byte("\x54Data"), []byte("\x54List"), []byte("\x54Deep"),
		[]byte("\x5dConfiguration"), []byte{0x43, 1, 2, 3}, []byte{0xa3, 9, 10, 11}, []byte{0xd1, 12, 13},
		[]byte{0x61, 0, 0xfc}, []byte{0x09}, []byte{0x10, 7}, // ü, true, 7
		[]byte("\x51a"), []byte{0x23, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0}, // a: 1.5
	)
	type content struct {
		PayloadType string
		Data        []byte
		List        []any
		Deep        map[string]any
	}
	want := content{"Configuration", []byte{1, 2, 3}, []any{"ü", true, uint64(7)}, map[string]any{"a": 1.5}}
	var got content
	if err := DecodeUpload(b, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := Decode(b, &got); !errors.Is(err, ErrBinary) {
		t.Errorf("from a tablet: got %v, want %v", err, ErrBinary)
	}
}

func TestABrokenBinaryListIsRefusedBeforeItIsDecoded(t *testing.T) {
	whole := func() []byte { return bplist([]byte{0xa1, 1}, []byte("\x51a")) }
	trailer := func(at int, value ...byte) []byte {
		b := whole()
		copy(b[len(b)-32+at:], value)
		return b
	}
	for name, b := range map[string][]byte{
		"offsets of no byte":            trailer(6, 0),
		"offsets of nine bytes":         trailer(6, 9),
		"references of no byte":         trailer(7, 0),
		"references of nine bytes":      trailer(7, 9),
		"no objects":                    trailer(8, 0, 0, 0, 0, 0, 0, 0, 0),
		"more objects than offsets":     trailer(8, 0, 0, 0, 0, 0, 0, 0, 9),
		"2^63 objects":                  trailer(8, 0x80),
		"a top that is no object":       trailer(16, 0, 0, 0, 0, 0, 0, 0, 2),
		"a table inside the header":     trailer(24, 0, 0, 0, 0, 0, 0, 0, 7),
		"a table behind the end":        trailer(24, 0, 0, 0, 0, 0, 0, 1),
		"a table at 2^63":               trailer(24, 0x80),
		"an object behind the table":    append(append([]byte("bplist00\x09"), 0, 0, 0, 200), bplist([]byte{9})[13:]...),
		"an integer of 32 bytes":        bplist([]byte{0x15}, bytes.Repeat([]byte{0}, 40)),
		"a real of 2^15 bytes":          bplist([]byte{0x2f}),
		"a real behind the end":         bplist([]byte{0x23, 1}),
		"a count that is no integer":    bplist([]byte{0xaf, 0x51, 1}),
		"a count of 16 bytes":           bplist(append([]byte{0xaf, 0x14}, bytes.Repeat([]byte{0}, 40)...)),
		"a count behind the end":        bplist([]byte{0x5f}),
		"half a count":                  bplist([]byte{0x5f, 0x13, 0}),
		"a text behind the end":         bplist([]byte{0x54, 'a'}),
		"a wide text behind the end":    bplist([]byte{0x62, 0, 'a', 0}),
		"a list behind the end":         bplist([]byte{0xa3, 0}),
		"a dictionary behind the end":   bplist([]byte{0xd2, 0, 0, 0}),
		"a dictionary of 2^62 keys":     bplist([]byte{0xdf, 0x13, 0x40, 0, 0, 0, 0, 0, 0, 0}),
		"a kind that nobody knows":      bplist([]byte{0x70}),
		"a key that is a number":        bplist([]byte{0xd1, 1, 1}, []byte{0x10, 1}),
		"too short for a trailer":       whole()[:39],
		"a set":                         bplist([]byte{0xc1, 1}, []byte("\x51a")),
		"null":                          bplist([]byte{0x00}),
		"a UID, which keyed files have": bplist([]byte{0x80, 1}),
	} {
		var v any
		if err := DecodeUpload(b, &v); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
	}
	var v any
	if err := DecodeUpload(whole(), &v); err != nil {
		t.Errorf("the whole one: %v", err)
	}
}

func TestErrorsNeverQuoteWhatTheyCouldNotRead(t *testing.T) {
	const secret = "5ecret"
	for _, value := range []string{
		"<string>" + secret + "</string>", "<integer>" + secret + "</integer>", "<real>" + secret + "</real>",
		"<date>" + secret + "</date>", "<data>*" + secret + "</data>", "<" + secret + "/>", "<data>NWVjcmV0</data>",
	} {
		b := []byte("<plist><dict><key>MessageType</key><string>TokenUpdate</string><key>UnlockToken</key>" + value + "<key>PushMagic</key>" + value + "</dict></plist>")
		_, err := ParseCheckIn(b)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", value, err)
		}
	}
}

func TestCleanMakesTextFitForAnyDatabase(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""}, {"Gerät 5a/12 ✓", "Gerät 5a/12 ✓"}, {"a\x00b", "ab"}, {"\xff\xfea\xc3", "a"}, {"a\r\n\tb\x7f", "ab"}, {"\u0085x\ufffd", "x"},
		{strings.Repeat("ü", 2000), strings.Repeat("ü", 1024)},
	} {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// deepest is how deep encoding/xml sees elements before it gives up.
func deepest(b []byte) int {
	d := xml.NewDecoder(bytes.NewReader(b))
	depth, most := 0, 0
	for {
		tok, err := d.Token()
		if err != nil {
			return most
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
			most = max(most, depth)
		case xml.EndElement:
			depth--
		}
	}
}

func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/apple/*.plist")
	if err != nil || len(files) == 0 {
		f.Fatal("no examples", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{
		"", `<!DOCTYPE x "><!--"><plist><array><x/>--></array></plist>`, `<!--><![CDATA[--><plist><array>]]></array></plist>`,
		`<plist><array b="/>"></array></plist>`, "<?><plist/>", `<plist><string>&lt;</string></plist>`, nested("array", 70),
	} {
		f.Add([]byte(s))
	}
}

// FuzzDecode holds the guard to what it is for: the decoder never sees deeper.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		err := guardXML(b)
		if d := deepest(b); err == nil && d > maxDepth {
			t.Errorf("the decoder sees %d levels", d)
		}
		var v any
		if err := Decode(b, &v); err == nil {
			if _, err := Encode(v); err != nil {
				t.Logf("read and not written again: %v", err) // nil in arrays, dates
			}
		}
	})
}

func FuzzDecodeUpload(f *testing.F) {
	seeds(f)
	for _, b := range [][]byte{bplist([]byte{0xa1, 0}), hugeCount(), bomb(4), bomb(12), bplist([]byte{0xd1, 1, 2}, []byte{0x51, 'a'}, []byte{0x10, 7})} {
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		var v any
		_ = DecodeUpload(b, &v)
	})
}
