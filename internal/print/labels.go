package print

import (
	"io"
	"time"

	"ranzen/internal/fault"
)

// Label is one sticker.
type Label struct {
	Tag   string // asset tag: in words, bars and QR
	Owner string // "Gemeinde Musterdorf": to whom a finder brings it
}

// formats of labels: rolls of one size, and an A4 sheet.
type format struct {
	pageW, pageH  float64
	labelW        float64
	labelH        float64
	columns, rows int
}

func formats() map[string]format {
	return map[string]format{
		"62x29": {62, 29, 62, 29, 1, 1},
		"50x25": {50, 25, 50, 25, 1, 1},
		"a4":    {210, 297, 70, 37, 3, 8}, // 24 a sheet, 0.5 mm free above and below
	}
}

// Labels draws asset labels as a PDF: format is "62x29" or "50x25" (millimetres,
// one a page, for label printers) or "a4" (sheets of 24 labels of 70 × 37 mm).
//
// Faults: label.format, label.none.
func Labels(w io.Writer, lang, name string, at time.Time, labels []Label) error {
	f, known := formats()[name]
	if !known {
		return fault.New(fault.Invalid, "label.format", "There is no label format %q. There are 62x29, 50x25 and a4.", name).On("format")
	}
	if len(labels) == 0 {
		return fault.New(fault.Invalid, "label.none", "There is nothing to print: no device here has an asset tag.")
	}
	p := newPaper(lang, textsIn(lang).labels, f.pageW, f.pageH, at)
	top := (f.pageH - float64(f.rows)*f.labelH) / 2
	for i, l := range labels {
		on := i % (f.columns * f.rows)
		if on == 0 {
			p.AddPage()
		}
		x, y := float64(on%f.columns)*f.labelW, top+float64(on/f.columns)*f.labelH
		if err := p.label(x, y, f.labelW, f.labelH, l); err != nil {
			return err
		}
	}
	return p.write(w)
}

// label draws one: QR on the left above, tag and owner beside it, bars below.
func (p paper) label(x, y, w, h float64, l Label) error {
	const edge = 1.5
	side := h * 0.6
	if err := p.qr(x+edge, y+edge, side, l.Tag); err != nil {
		return err
	}
	left, width := x+edge+side+1, w-side-1-2*edge
	p.fitted(left, y+edge+side*0.38, width, 13, 6, "B", l.Tag)
	p.fitted(left, y+edge+side*0.72, width, 8, 5, "", l.Owner)
	return p.code128(x+edge, y+edge+side+0.5, w-2*edge, h-side-2*edge-0.5, l.Tag)
}
