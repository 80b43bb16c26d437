package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// printer writes for people: columns, and colour where it is a terminal.
type printer struct {
	w      io.Writer
	colour bool
	now    time.Time
}

func (e env) printer() *printer {
	f, ok := e.stdout.(*os.File)
	colour := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
	return &printer{w: e.stdout, colour: colour, now: e.clock.Now()}
}

// line writes one line. What comes from devices and people cannot steer the
// terminal: see plain.
func (p *printer) line(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = plain(s)
		}
	}
	fmt.Fprintf(p.w, format+"\n", args...) //nolint:errcheck // as with every print
}

// plain replaces control characters, escape sequences' beginnings among them.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, s)
}

// table aligns columns.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) add(cells ...string) {
	for i, c := range cells {
		cells[i] = plain(c)
		if c == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

// print writes the table, or a sentence where there is nothing in it.
func (p *printer) print(t *table, empty string) {
	if len(t.rows) == 0 {
		p.line("%s", empty)
		return
	}
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	p.row(t.head, width, func(s string) string { return p.paint("1", s) })
	for _, row := range t.rows {
		p.row(row, width, p.state)
	}
}

func (p *printer) row(cells []string, width []int, paint func(string) string) {
	var b strings.Builder
	for i, c := range cells {
		b.WriteString(paint(c))
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
		}
	}
	fmt.Fprintln(p.w, b.String()) //nolint:errcheck // as with every print
}

// facts writes "key  value" lines, leaving out what is not known.
func (p *printer) facts(pairs ...string) {
	width := 0
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			width = max(width, utf8.RuneCountInString(pairs[i]))
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(pairs[i])+2)
			fmt.Fprintln(p.w, p.paint("1", pairs[i])+pad+p.state(plain(pairs[i+1]))) //nolint:errcheck // as with every print
		}
	}
}

func (p *printer) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// state colours the words that tell good from bad.
func (p *printer) state(s string) string {
	switch s {
	case "enrolled", "installed", "done":
		return p.paint("32", s)
	case "lost", "failed", "erase_uncertain", "uncertain", "unreadable", "blocked", "revoked", "erase_requested":
		return p.paint("31", s)
	case "pending", "sent", "acknowledged", "queued", "deferred", "enrolling", "silent", "removing":
		return p.paint("33", s)
	}
	return s
}

// ago is how long ago something was, in one unit.
func (p *printer) ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := p.now.Sub(t)
	if d < 0 {
		return "in " + length(-d)
	}
	return length(d) + " ago"
}

func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// moment is a point in time as the person's clock shows it.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

func momentOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return moment(*t)
}

func (p *printer) agoOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return p.ago(*t)
}

// count is "1 iPad", "3 iPads".
func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// outOf is "3 of 30", or "3" where there is no limit.
func outOf(n, limit int64) string {
	if limit == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}
