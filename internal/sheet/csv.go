package sheet

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// separatorOf picks the separator that the first line uses most outside of
// quotation marks; Excel's own line "sep=;" decides, if it is there.
func separatorOf(text string) (sep rune, rest string, skipped int) {
	first, more, _ := strings.Cut(text, "\n")
	if s, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(first)), "sep="); ok && len(s) == 1 && strings.ContainsAny(s, ",;\t") {
		return rune(s[0]), more, 1
	}
	counts, quoted := map[rune]int{}, false
	for _, r := range first {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted:
			counts[r]++
		}
	}
	sep = ','
	for _, r := range []rune{';', '\t'} {
		if counts[r] > counts[sep] {
			sep = r
		}
	}
	return sep, text, 0
}

// readCSV reads RFC 4180 with any of the separators and line ends, and quoted
// line breaks. A quotation mark inside an unquoted cell is taken as it is.
func readCSV(text string) (*Table, error) {
	sep, text, skipped := separatorOf(text)
	// Old Macs end lines with a return alone.
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = sep, -1, true, false
	t := &Table{Format: "csv", Separator: string(sep)}
	last := 0
	for {
		cells, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, bad("quotes", "The file cannot be read behind line %d: a quotation mark is not closed.", last+skipped).With(err)
		}
		line, _ := r.FieldPos(0)
		last = line
		if t.Header == nil {
			if !blank(cells) {
				t.Header = cells
			}
			continue
		}
		if blank(cells) {
			continue
		}
		if len(t.Rows) >= MaxRows {
			return nil, bad("rows", "The file has more than %d lines. Split it.", MaxRows)
		}
		t.Rows = append(t.Rows, Row{Line: line + skipped, Cells: cells})
	}
	return t.finish()
}

// Neutral makes a cell that no spreadsheet takes for a formula: what begins with
// one of = + - @ or with a tab, a return or our own mark gets an apostrophe in
// front (OWASP, "CSV Injection").
func Neutral(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n'", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// Plain undoes Neutral.
func Plain(cell string) string {
	if rest, ok := strings.CutPrefix(cell, "'"); ok && rest != "" && strings.ContainsRune("=+-@\t\r\n'", rune(rest[0])) {
		return rest
	}
	return cell
}

// WriteCSV writes a table as German spreadsheets open it with a double click:
// UTF-8 with its mark, semicolons, and neutral cells.
func WriteCSV(w io.Writer, header []string, rows [][]string) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return fmt.Errorf("write a table: %w", err)
	}
	out := csv.NewWriter(w)
	out.Comma, out.UseCRLF = ';', true
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = Neutral(c)
		}
		if err := out.Write(cells); err != nil {
			return fmt.Errorf("write a table: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write a table: %w", err)
	}
	return nil
}
