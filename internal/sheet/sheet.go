// Package sheet reads and writes the tables people have: CSV as any program
// writes it, and XLSX. It knows nothing of devices.
//
// What it promises: a file is read whole or refused with a fault "file.*" that
// says what it is and what to do; nothing is guessed without being told
// ([Table.Encoding], [Table.Separator]); and a table that is written opens in a
// spreadsheet without running anything ([Neutral]).
package sheet

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"ranzen/internal/fault"
)

// Bounds of what is read.
const (
	MaxRows    = 50_000
	maxColumns = 200
	maxCell    = 10_000   // bytes
	MaxFile    = 32 << 20 // bytes
)

// Table is a file as it was read.
type Table struct {
	Format    string // "csv", "xlsx"
	Encoding  string // of CSV: "utf-8", "utf-16le", "utf-16be", "windows-1252"
	Separator string // of CSV: ",", ";" or "\t"
	Header    []string
	Rows      []Row // without empty ones
}

// Row is one line of a table; it has as many cells as the header.
type Row struct {
	Line  int // in the file, from 1
	Cells []string
}

func bad(code, format string, args ...any) *fault.Fault {
	return fault.New(fault.Invalid, "file."+code, format, args...).On("file")
}

// Read reads a CSV or XLSX file.
//
// Faults: file.empty, file.size, file.kind, file.text, file.header, file.rows,
// file.columns, file.cell, file.quotes, file.broken.
func Read(b []byte) (*Table, error) {
	switch {
	case len(b) > MaxFile:
		return nil, bad("size", "The file has %d MB; at most %d are taken. Split it.", len(b)>>20, MaxFile>>20)
	case len(bytes.TrimSpace(b)) == 0:
		return nil, bad("empty", "The file is empty.")
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return readXLSX(b)
	}
	if kind := kindOf(b); kind != "" {
		return nil, bad("kind", "This is %s, not a table. Save the list as CSV or XLSX.", kind)
	}
	text, encoding, err := decode(b)
	if err != nil {
		return nil, err
	}
	t, err := readCSV(text)
	if err != nil {
		return nil, err
	}
	t.Encoding = encoding
	return t, nil
}

// kindOf names what is taken for a table by mistake.
func kindOf(b []byte) string {
	head := string(b[:min(len(b), 512)])
	trimmed := strings.TrimLeft(head, " \t\r\n\ufeff")
	for _, k := range []struct{ prefix, kind string }{
		{"%PDF", "a PDF"}, {"\xd0\xcf\x11\xe0", "an old Excel file (.xls); save it as .xlsx or CSV"}, {"bplist", "a property list"},
		{"<?xml", "an XML file"}, {"<!DOCTYPE", "a web page"}, {"<html", "a web page"}, {"{", "a JSON file"}, {"[", "a JSON file"},
		{"\x89PNG", "a picture"}, {"\xff\xd8\xff", "a picture"}, {"GIF8", "a picture"}, {"-----BEGIN", "a certificate or key"},
		{"\x30\x82", "a certificate or signed file"}, {"\x1f\x8b", "a compressed file; unpack it first"}, {"Rar!", "a compressed file; unpack it first"},
		{"7z\xbc\xaf", "a compressed file; unpack it first"}, {"MIME-Version", "a server token (.p7m) or mail"}, {"Content-Type: application/pkcs7", "a server token (.p7m)"},
	} {
		if strings.HasPrefix(trimmed, k.prefix) {
			return k.kind
		}
	}
	return ""
}

// decode makes UTF-8 of what programs write: by the mark at the beginning, else
// UTF-16 if every other byte is zero, else UTF-8 if it is, else Windows-1252.
func decode(b []byte) (text, encoding string, err error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		b = b[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return wide(b[2:], binary.LittleEndian, "utf-16le")
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return wide(b[2:], binary.BigEndian, "utf-16be")
	case zeros(b, 1):
		return wide(b, binary.LittleEndian, "utf-16le")
	case zeros(b, 0):
		return wide(b, binary.BigEndian, "utf-16be")
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return "", "", bad("text", "The file is not text: it holds zero bytes. Save the list as CSV or XLSX.")
	}
	if utf8.Valid(b) {
		return string(b), "utf-8", nil
	}
	out, derr := charmap.Windows1252.NewDecoder().Bytes(b)
	if derr != nil {
		return "", "", bad("text", "The file is text in no encoding that is known. Save it as UTF-8.").With(derr)
	}
	return string(out), "windows-1252", nil
}

// zeros tells whether almost every byte at even (0) or odd (1) places is zero.
func zeros(b []byte, at int) bool {
	head, n := b[:min(len(b), 1024)&^1], 0
	for i := at; i < len(head); i += 2 {
		if head[i] == 0 {
			n++
		}
	}
	return len(head) >= 4 && n*10 >= len(head)/2*9
}

func wide(b []byte, order binary.ByteOrder, encoding string) (string, string, error) {
	if len(b)%2 != 0 {
		return "", "", bad("broken", "The file breaks off in the middle of a character. Export it again.")
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	text := string(utf16.Decode(units))
	if strings.ContainsRune(text, 0) {
		return "", "", bad("text", "The file is not text: it holds zero characters. Save the list as CSV or XLSX.")
	}
	return text, encoding, nil
}

// finish checks header and size, and makes all rows as long as the header.
func (t *Table) finish() (*Table, error) {
	for len(t.Header) > 0 && strings.TrimSpace(t.Header[len(t.Header)-1]) == "" {
		t.Header = t.Header[:len(t.Header)-1]
	}
	if len(t.Header) > maxColumns {
		return nil, bad("columns", "The file has %d columns; at most %d are taken.", len(t.Header), maxColumns)
	}
	named := 0
	for i, h := range t.Header {
		t.Header[i] = strings.TrimSpace(h)
		if t.Header[i] != "" {
			named++
		}
	}
	if named == 0 {
		return nil, bad("header", "The first line must name the columns, for example \"Seriennummer\".")
	}
	if len(t.Rows) > MaxRows {
		return nil, bad("rows", "The file has more than %d lines. Split it.", MaxRows)
	}
	for i, r := range t.Rows {
		for n, c := range r.Cells {
			if len(c) > maxCell {
				return nil, bad("cell", "Line %d has a cell of %d characters.", r.Line, len(c))
			}
			if n >= len(t.Header) && strings.TrimSpace(c) != "" {
				return nil, bad("columns", "Line %d has more cells than the first line names. Is a separator inside a text without quotation marks?", r.Line)
			}
		}
		for len(r.Cells) < len(t.Header) {
			r.Cells = append(r.Cells, "")
		}
		t.Rows[i].Cells = r.Cells[:len(t.Header)]
	}
	return t, nil
}

func blank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}
