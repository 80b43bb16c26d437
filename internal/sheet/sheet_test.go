package sheet_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"

	"ranzen/internal/fault"
	"ranzen/internal/sheet"
)

func wide(s string, order binary.ByteOrder, mark bool) []byte {
	units := utf16.Encode([]rune(s))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	out := make([]byte, 2*len(units))
	for i, u := range units {
		order.PutUint16(out[2*i:], u)
	}
	return out
}

func TestEachEncodingAndSeparatorGivesTheSameTable(t *testing.T) {
	for sep, name := range map[string]string{",": "comma", ";": "semicolon", "\t": "tab"} {
		text := strings.ReplaceAll("Seriennummer;Förderquelle;Bemerkung\r\nRZ1;Land;\"a;b \"\"c\"\"\"\r\n\r\nRZ2;;\"zwei\r\nZeilen\"\r\nRZ3;Müller & Söhne;x\r\n", ";", sep)
		latin, err := charmap.Windows1252.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		for encoding, b := range map[string][]byte{
			"utf-8": []byte(text), "utf-8 with mark": append([]byte("\xef\xbb\xbf"), text...), "windows-1252": []byte(latin),
			"utf-16le with mark": wide(text, binary.LittleEndian, true), "utf-16be with mark": wide(text, binary.BigEndian, true),
			"utf-16le": wide(text, binary.LittleEndian, false), "utf-16be": wide(text, binary.BigEndian, false),
		} {
			tab, err := sheet.Read(b)
			if err != nil {
				t.Errorf("%s, %s: %v", name, encoding, err)
				continue
			}
			if tab.Header[1] != "Förderquelle" || len(tab.Rows) != 3 || tab.Rows[0].Cells[2] != "a"+sep+`b "c"` || tab.Rows[2].Cells[1] != "Müller & Söhne" ||
				tab.Separator != sep || !strings.HasPrefix(encoding, tab.Encoding) {
				t.Errorf("%s, %s: %+v", name, encoding, tab)
			}
			if lines := []int{tab.Rows[0].Line, tab.Rows[1].Line, tab.Rows[2].Line}; !slices.Equal(lines, []int{2, 4, 6}) {
				t.Errorf("%s, %s: the lines are %v", name, encoding, lines)
			}
		}
	}
}

func TestWhatIsNoTableIsNamed(t *testing.T) {
	for code, files := range map[string][]string{
		"file.empty":   {"", " \r\n\t"},
		"file.kind":    {"%PDF-1.7", "<?xml version=\"1.0\"?><plist/>", "{\"a\":1}", "-----BEGIN CERTIFICATE-----", "bplist00", "\x30\x82\x01\x00", "\x89PNG\r\n", "\xd0\xcf\x11\xe0", "\x1f\x8b\x08"},
		"file.broken":  {"PK\x03\x04 no workbook", "\xff\xfea"},
		"file.text":    {"a;b\n\x00;2\n"},
		"file.header":  {";;;\n", ";\n"},
		"file.columns": {"a;b\n1;2;3\n", strings.Repeat("a;", 300) + "\n"},
		"file.cell":    {"a\n" + strings.Repeat("x", 10_001) + "\n"},
		"file.rows":    {"a\n" + strings.Repeat("x\n", sheet.MaxRows+1)},
	} {
		for _, f := range files {
			if _, err := sheet.Read([]byte(f)); fault.CodeOf(err) != code {
				t.Errorf("%.20q: %v, want %s", f, err, code)
			}
		}
	}
}

// hostile cells run nothing in a spreadsheet and come back as they were.
func hostile() []string {
	return []string{"=1+1", "+49 681", "-", "-1", "@SUM(A1)", "'quoted", "''", "=cmd|'/c calc'!A1", "a;b", "a\"b", "ä€漢", " ", "", "\"", "'=x", "1,5", "007", "0123456789012345"}
}

func TestWhatIsWrittenComesBackAndRunsNothing(t *testing.T) {
	header := []string{"serial", "note"}
	var rows [][]string
	for i, h := range hostile() {
		rows = append(rows, []string{fmt.Sprintf("RZ%08d", i), h})
	}
	for format, write := range map[string]func(*bytes.Buffer) error{
		"csv":  func(b *bytes.Buffer) error { return sheet.WriteCSV(b, header, rows) },
		"xlsx": func(b *bytes.Buffer) error { return sheet.WriteXLSX(b, header, rows) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		tab, err := sheet.Read(b.Bytes())
		if err != nil || tab.Format != format || len(tab.Rows) != len(rows) {
			t.Fatalf("%s: %d rows, %v", format, len(tab.Rows), err)
		}
		for i, r := range tab.Rows {
			if raw := r.Cells[1]; raw != "" && strings.ContainsRune("=+-@", rune(raw[0])) {
				t.Errorf("%s: the cell %q runs", format, raw)
			}
			if got := sheet.Plain(r.Cells[1]); got != rows[i][1] {
				t.Errorf("%s: %q came back as %q", format, rows[i][1], got)
			}
		}
	}
}

// FuzzRead: whatever a file holds, it is a table with rows as long as its header,
// or a fault.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"a;b\n1;2\n", "sep=;\na;b\n1;2", "\"a\nb\";c\n1;2\n", "\xff\xfea\x00", "PK\x03\x04", "a\r1\r2\r", "\xef\xbb\xbfa,b\n\"x", "a\tb\n\t\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := sheet.Read(b)
		if err != nil {
			if fault.CodeOf(err) == "" {
				t.Errorf("%v is no fault", err)
			}
			return
		}
		for _, r := range tab.Rows {
			if len(r.Cells) != len(tab.Header) || r.Line < 1 {
				t.Errorf("line %d has %d cells, the header %d", r.Line, len(r.Cells), len(tab.Header))
			}
		}
	})
}
