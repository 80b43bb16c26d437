package print

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/boombuler/barcode/code128"
	"github.com/go-pdf/fpdf"
	"github.com/skip2/go-qrcode"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// paper is a PDF being drawn. Lengths are millimetres, type sizes points.
type paper struct{ *fpdf.Fpdf }

// newPaper begins a PDF of pages of one size. at is the moment it bears, so that
// the same content gives the same file.
func newPaper(lang, title string, width, height float64, at time.Time) paper {
	f := fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm", Size: fpdf.SizeType{Wd: width, Ht: height}})
	f.AddUTF8FontFromBytes("go", "", goregular.TTF)
	f.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	f.SetLang(lang)
	f.SetTitle(title, true)
	f.SetProducer("Ranzen", true)
	f.SetCatalogSort(true)
	f.SetCreationDate(at)
	f.SetModificationDate(at)
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(0, 0, 0)
	return paper{f}
}

// write ends the PDF.
func (p paper) write(w io.Writer) error {
	if err := p.Output(w); err != nil {
		return fmt.Errorf("write a PDF: %w", err)
	}
	return nil
}

// printable is text without what no font has: control characters, and what is
// beyond the plane that the PDF library knows.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == unicode.ReplacementChar:
			return -1
		case r > 0xffff:
			return '□'
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// line writes one line of text at a place, cut to a width.
func (p paper) line(x, y, width, size float64, style, text string) {
	p.SetFont("go", style, size)
	text = printable(text)
	for short := []rune(text); p.GetStringWidth(text) > width && len(short) > 0; {
		short = short[:len(short)-1]
		text = string(short) + "…"
	}
	p.Text(x, y, text)
}

// fitted writes one line as large as it fits, at most max points.
func (p paper) fitted(x, y, width, most, least float64, style, text string) {
	size := most
	for p.SetFont("go", style, size); size > least && p.GetStringWidth(printable(text)) > width; size -= 0.5 {
		p.SetFont("go", style, size-0.5)
	}
	p.line(x, y, width, size, style, text)
}

// qr draws a QR code with the quiet zone of the standard (ISO/IEC 18004: four
// modules) inside a square.
func (p paper) qr(x, y, side float64, text string) error {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return fmt.Errorf("draw the QR code of %q: %w", text, err)
	}
	bits := code.Bitmap()
	for row, line := range bits {
		p.bars(x, y+float64(row)*side/float64(len(bits)), side, side/float64(len(bits)), line)
	}
	return nil
}

// code128 draws a bar code (ISO/IEC 15417) with its quiet zone of ten modules on
// either side.
func (p paper) code128(x, y, width, height float64, text string) error {
	code, err := code128.Encode(text)
	if err != nil {
		return fmt.Errorf("draw the bar code of %q: %w", text, err)
	}
	const quiet = 10
	n := code.Bounds().Dx()
	bits := make([]bool, n+2*quiet)
	for i := range n {
		r, _, _, _ := code.At(i, 0).RGBA()
		bits[quiet+i] = r == 0
	}
	p.bars(x, y, width, height, bits)
	return nil
}

// bars fills the runs of black modules of one row.
func (p paper) bars(x, y, width, height float64, bits []bool) {
	p.SetFillColor(0, 0, 0)
	module := width / float64(len(bits))
	for i := 0; i < len(bits); i++ {
		if !bits[i] {
			continue
		}
		from := i
		for i < len(bits) && bits[i] {
			i++
		}
		p.Rect(x+float64(from)*module, y, float64(i-from)*module, height, "F")
	}
}
