package sheet

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Bounds of what a workbook may unpack to.
const (
	maxUnpacked = 256 << 20
	maxSheetXML = 128 << 20
)

// readXLSX reads the first sheet of a workbook. Numbers and dates come as the
// cell shows them.
func readXLSX(b []byte) (*Table, error) {
	f, err := excelize.OpenReader(bytes.NewReader(b), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxSheetXML})
	if err != nil {
		return nil, bad("broken", "The file looks like a workbook (.xlsx) or another zip file and cannot be opened. Save the list again as XLSX or CSV.").With(err)
	}
	defer f.Close() //nolint:errcheck // only read from
	names := f.GetSheetList()
	if len(names) == 0 {
		return nil, bad("empty", "The workbook has no sheet.")
	}
	rows, err := f.Rows(names[0])
	if err != nil {
		return nil, bad("broken", "The first sheet of the workbook cannot be read. Save the list again as XLSX or CSV.").With(err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	t := &Table{Format: "xlsx"}
	for line := 1; rows.Next(); line++ {
		cells, err := rows.Columns()
		if err != nil {
			return nil, bad("broken", "Line %d of the workbook cannot be read. Save the list again as XLSX or CSV.", line).With(err)
		}
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(strings.ToValidUTF8(c, ""), "\x00", "")
		}
		switch {
		case blank(cells):
		case t.Header == nil:
			t.Header = cells
		case len(t.Rows) >= MaxRows:
			return nil, bad("rows", "The file has more than %d lines. Split it.", MaxRows)
		default:
			t.Rows = append(t.Rows, Row{Line: line, Cells: cells})
		}
	}
	if err := rows.Error(); err != nil {
		return nil, bad("broken", "The workbook breaks off. Save the list again as XLSX or CSV.").With(err)
	}
	if t.Header == nil {
		return nil, bad("empty", "The first sheet of the workbook is empty.")
	}
	return t.finish()
}

// WriteXLSX writes a table as a workbook with one sheet; all cells are text.
func WriteXLSX(w io.Writer, header []string, rows [][]string) error {
	f := excelize.NewFile()
	defer f.Close() //nolint:errcheck // it was written
	s, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	for i, row := range append([][]string{header}, rows...) {
		cells := make([]any, len(row))
		for n, c := range row {
			cells[n] = Neutral(c)
		}
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err == nil {
			err = s.SetRow(cell, cells)
		}
		if err != nil {
			return fmt.Errorf("write a workbook: %w", err)
		}
	}
	if err := s.Flush(); err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	if _, err := f.WriteTo(w); err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	return nil
}
