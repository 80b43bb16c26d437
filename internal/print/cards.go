package print

import (
	"fmt"
	"io"
	"time"
)

// Slot is one place of a cart and what is in it; an empty one has a number only.
type Slot struct {
	Number                   int
	Name, Tag, Serial, Model string
}

// Card is what goes onto a cart.
type Card struct {
	Owner, School, Site, Address string
	Cart, Label, Place           string // "SAT-K03", what it is called, its room
	Classes                      []string
	Slots                        []Slot
	At                           time.Time
}

// HandOver is the protocol that two people sign when a cart changes hands.
type HandOver struct {
	Card
	Delivery    string
	PackCheckAt time.Time // zero: none was made
	Complete    bool      // the last pack check found all
}

const (
	a4W, a4H = 210.0, 297.0
	margin   = 15.0
	inner    = a4W - 2*margin
)

// CartCard draws the card of a cart, A4.
func CartCard(w io.Writer, lang string, c Card) error {
	t := textsIn(lang)
	p := newPaper(lang, t.card+" "+c.Cart, a4W, a4H, c.At)
	p.AddPage()
	if err := p.qr(a4W-margin-32, margin, 32, c.Cart); err != nil {
		return err
	}
	p.fitted(margin, margin+16, inner-36, 44, 16, "B", c.Cart)
	p.fitted(margin, margin+26, inner-36, 16, 8, "", joined(" · ", c.Label, c.School, c.Site, c.Place))
	p.fitted(margin, margin+33, inner-36, 11, 7, "", joined(" · ", t.classes+": "+joined(", ", c.Classes...), c.Owner))
	p.table(margin+44, t, c.Slots)
	p.foot(t, c.At)
	return p.write(w)
}

// HandOverProtocol draws the protocol of a cart, A4: what is in it, what comes
// with it, and two lines to sign.
func HandOverProtocol(w io.Writer, lang string, h HandOver) error {
	t := textsIn(lang)
	p := newPaper(lang, t.handOver+" "+h.Cart, a4W, a4H, h.At)
	p.AddPage()
	p.line(margin, margin+6, inner, 20, "B", t.handOver)
	p.line(margin, margin+14, inner, 12, "", joined(" · ", h.Cart, h.Label, h.Delivery))
	p.line(margin, margin+21, inner, 11, "", t.from+": "+h.Owner)
	p.line(margin, margin+27, inner, 11, "", t.to+": "+joined(", ", h.School, h.Site, h.Address))
	checked := t.notChecked
	if !h.PackCheckAt.IsZero() {
		checked = fmt.Sprintf(t.checked, h.PackCheckAt.Format(t.moment))
		if !h.Complete {
			checked = fmt.Sprintf(t.incomplete, h.PackCheckAt.Format(t.moment))
		}
	}
	p.line(margin, margin+34, inner, 11, "B", fmt.Sprintf(t.count, filled(h.Slots), len(h.Slots))+" "+checked)
	y := p.table(margin+40, t, h.Slots)
	if y > a4H-80 {
		p.foot(t, h.At)
		p.AddPage()
		y = margin
	}
	y += 10
	p.line(margin, y, inner, 12, "B", t.accessories)
	for i, what := range t.parts {
		x, row := margin+float64(i%2)*inner/2, y+7+float64(i/2)*7
		p.Rect(x, row-3.5, 4, 4, "D")
		p.line(x+6, row, inner/2-8, 11, "", what)
	}
	y += 7 + 7*float64((len(t.parts)+1)/2) + 16
	for i, who := range []string{t.gives, t.takes} {
		x := margin + float64(i)*(inner/2+5)
		p.Line(x, y, x+inner/2-5, y)
		p.line(x, y+5, inner/2-5, 9, "", who)
	}
	p.foot(t, h.At)
	return p.write(w)
}

func filled(slots []Slot) (n int) {
	for _, s := range slots {
		if s.Serial != "" {
			n++
		}
	}
	return n
}

// table lists slots from y on, over as many pages as it takes, and tells where
// it ended.
func (p paper) table(y float64, t texts, slots []Slot) float64 {
	columns := []struct {
		title string
		width float64
		of    func(Slot) string
	}{
		{t.slot, 14, func(s Slot) string { return fmt.Sprint(s.Number) }},
		{t.name, 44, func(s Slot) string { return s.Name }},
		{t.tag, 46, func(s Slot) string { return s.Tag }},
		{t.serial, 40, func(s Slot) string { return s.Serial }},
		{t.model, inner - 144, func(s Slot) string { return s.Model }},
	}
	const row = 6.5
	head := func() {
		x := margin
		for _, c := range columns {
			p.line(x+1, y+4.5, c.width-2, 9, "B", c.title)
			x += c.width
		}
		p.Line(margin, y+row, margin+inner, y+row)
		y += row
	}
	p.SetDrawColor(0, 0, 0)
	p.SetLineWidth(0.2)
	head()
	for _, s := range slots {
		if y > a4H-2*margin-row {
			p.AddPage()
			y = margin
			head()
		}
		x := margin
		for _, c := range columns {
			p.line(x+1, y+4.5, c.width-2, 10, "", c.of(s))
			x += c.width
		}
		y += row
		p.Line(margin, y, margin+inner, y)
	}
	return y
}

func (p paper) foot(t texts, at time.Time) {
	p.line(margin, a4H-8, inner, 8, "", t.printed+" "+at.Format(t.moment))
}

// joined leaves out what is empty.
func joined(sep string, parts ...string) string {
	out := ""
	for _, s := range parts {
		if s == "" {
			continue
		}
		if out != "" {
			out += sep
		}
		out += s
	}
	return out
}
