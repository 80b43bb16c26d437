package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

// lines reads codes from standard input, one a line or separated by tabs.
func (e env) lines() ([]string, error) {
	b, err := io.ReadAll(io.LimitReader(e.stdin, maxFile))
	if err != nil {
		return nil, failedf("Standard input cannot be read: %s.", reasonOf(err))
	}
	out := []string{}
	for _, s := range strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out, nil
}

// ScanCmd is `ranzen scan`.
type ScanCmd struct {
	Remote
	Delivery string `required:"" placeholder:"D" help:"The delivery that is unpacked."`
}

type scanDoc struct {
	ID         string   `json:"id"`
	Serial     string   `json:"serial"`
	Tag        string   `json:"tag"`
	Slot       string   `json:"slot"`
	Kinds      []string `json:"kinds"`
	Complete   bool     `json:"complete"`
	WaitingFor string   `json:"waiting_for"`
	Warnings   []struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"warnings"`
	Next string `json:"next"`
}

// scanError is a code that was not taken, as --json shows it.
type scanError struct {
	Line  int      `json:"line"`
	Texts []string `json:"texts"`
	Code  string   `json:"code"`
	Error string   `json:"error"`
}

// scanner is a session with a scanner: what came since the last complete one.
type scanner struct {
	*client
	path    string
	texts   []string
	slot    string   // the next one in the cart
	last    *scanDoc // the device before, while its slot may follow
	behind  bool     // the person scans a slot behind its device
	scans   []scanDoc
	errors  []scanError
	waiting string
}

// maxScanned is how many codes one device may take; more is a muddle.
const maxScanned = 8

// Run reads codes until the input ends. A scanner types like a keyboard: each
// code ends with Enter or Tab. Asset tag, serial number and slot come in any
// order: who scans the slot first need not scan the following ones, they are
// taken in turn; a slot behind a device that has none is that device's.
func (c *ScanCmd) Run(ctx context.Context, e env) error {
	api, err := c.open(e)
	if err != nil {
		return err
	}
	var d deliveryDoc
	if err := api.get(ctx, at("deliveries", c.Delivery), nil, &d); err != nil {
		return err
	}
	s := &scanner{client: api, path: at("deliveries", c.Delivery, "scans"), scans: []scanDoc{}, errors: []scanError{}}
	s.tell("Delivery %s: scan asset tag, serial number and slot. Also: undo, reset, quit.", d.Code)
	in := bufio.NewScanner(e.stdin)
	in.Split(splitCodes)
	line := 0
	for in.Scan() {
		text := strings.TrimSpace(in.Text())
		line++
		if text == "" {
			continue
		}
		if strings.EqualFold(text, "quit") {
			break
		}
		if err := s.take(ctx, line, text); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return failedf("Standard input cannot be read: %s.", reasonOf(err))
	}
	if api.json {
		err = api.document(map[string]any{"scans": s.scans, "errors": s.errors})
	}
	switch {
	case err != nil:
		return err
	case len(s.texts) > 0:
		return failedf("The last one is not complete: %s is missing.", s.waiting)
	case len(s.errors) > 0:
		return failedf("%s not taken.", count(int64(len(s.errors)), "code"))
	}
	return nil
}

// splitCodes ends a code at Enter or Tab.
func splitCodes(data []byte, atEOF bool) (advance int, token []byte, err error) {
	for i, b := range data {
		if b == '\n' || b == '\r' || b == '\t' {
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// tell writes a line for the person; with --json there is only the document.
func (s *scanner) tell(format string, args ...any) {
	if !s.json {
		s.line(format, args...)
	}
}

// take handles one code.
func (s *scanner) take(ctx context.Context, line int, text string) error {
	switch strings.ToLower(text) {
	case "undo":
		return s.undo(ctx, line)
	case "reset":
		s.texts, s.slot, s.last, s.behind = nil, "", nil, false
		s.tell("Begin again with this one.")
		return nil
	}
	s.texts = append(s.texts, text)
	doc, err := s.about(ctx)
	if err != nil {
		return s.refused(line, err)
	}
	kind := "unknown"
	if i := len(s.texts) - 1; i < len(doc.Kinds) {
		kind = doc.Kinds[i]
	}
	switch {
	case doc.Complete:
		s.behind = false
		s.done(doc)
	case kind == "unknown":
		s.texts = s.texts[:len(s.texts)-1]
		s.complain(line, text, "scan.unknown", "%s is neither tag nor serial number nor slot.")
	case kind == "slot" && len(s.texts) == 1 && s.last != nil && (s.behind || s.last.Slot == ""):
		return s.follow(ctx, line, text)
	case len(s.texts) >= maxScanned:
		s.texts = nil
		s.complain(line, text, "scan.many", "With %s there are too many codes for one device. Begin again with this one.")
	default:
		s.waiting = map[string]string{"tag": "asset tag", "serial": "serial number"}[doc.WaitingFor]
		s.tell("   … now the %s", s.waiting)
	}
	return nil
}

// done tells of a complete device.
func (s *scanner) done(doc scanDoc) {
	s.texts, s.slot, s.last = nil, doc.Next, &doc
	s.scans = append(s.scans, doc)
	s.tell("OK %s", strings.Join(strings.Fields(doc.Tag+" "+doc.Serial+" "+doc.Slot), "  "))
	for _, w := range doc.Warnings {
		s.tell("   ! %s", w.Text)
	}
	switch {
	case doc.Next != "":
		s.tell(">> next: %s", doc.Next)
	case doc.Slot != "":
		s.tell(">> This cart is full. Scan a slot of the next one.")
	}
}

func (s *scanner) complain(line int, text, code, format string) {
	s.tell("?? "+format, text)
	s.errors = append(s.errors, scanError{line, []string{text}, code, fmt.Sprintf(format, text)})
}

// follow puts the device before into the slot that was scanned behind it.
func (s *scanner) follow(ctx context.Context, line int, slot string) error {
	var doc scanDoc
	if err := s.send(ctx, s.path, map[string]any{"texts": []string{s.last.Tag, s.last.Serial, slot}}, &doc); err != nil {
		return s.refused(line, err)
	}
	s.behind = true
	s.done(doc)
	return nil
}

// about asks the server about the codes so far. The slot that is next goes with
// them, unless another one was scanned.
func (s *scanner) about(ctx context.Context) (doc scanDoc, err error) {
	texts, proposed := s.texts, s.slot != "" && !s.behind
	if proposed {
		texts = append(slices.Clone(texts), s.slot)
	}
	err = s.send(ctx, s.path, map[string]any{"texts": texts}, &doc)
	if proposed && codeOf(err) == "scan.two-slots" {
		err = s.send(ctx, s.path, map[string]any{"texts": s.texts}, &doc)
	}
	return doc, err
}

// maxOffline is how long a code waits for a connection: the Wi-Fi of a staging
// room comes back, and until then nothing more should be scanned.
const maxOffline = 5 * time.Minute

// send writes. A connection that breaks, or a server that restarts, is tried
// again with the same key, so that nothing is kept twice.
func (s *scanner) send(ctx context.Context, path string, body, into any) error {
	s.key = sqldb.NewID()
	defer func() { s.key, s.docs = "", nil }()
	for waited, wait := time.Duration(0), 100*time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := s.post(ctx, path, body, into)
		if err == nil || ctx.Err() != nil || !offline(err) || waited > maxOffline {
			return err
		}
		if waited == 0 {
			s.tell("   … %s Trying again.", err.Error())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			waited += wait
		}
	}
}

// offline tells whether nobody answered, or only a proxy did in a server's place.
func offline(err error) bool {
	a, answered := errors.AsType[*apiError](err)
	return !answered || a.code == "" && a.status == exitFailed
}

// refused tells why, drops the code that was refused, and goes on.
func (s *scanner) refused(line int, err error) error {
	a, answered := errors.AsType[*apiError](err)
	if !answered || a.status != exitUsage && a.status != exitFailed || a.code == "" || strings.HasPrefix(a.code, "auth.") {
		return err
	}
	s.tell("!! %s", a.text)
	s.errors = append(s.errors, scanError{line, append([]string{}, s.texts...), a.code, a.text})
	if a.code == "scan.slot-taken" {
		s.slot = "" // it would be refused again and again
	}
	if len(s.texts) > 0 {
		s.tell("   Begin again with this one.")
	}
	s.texts, s.waiting = nil, ""
	return nil
}

func (s *scanner) undo(ctx context.Context, line int) error {
	s.texts, s.slot, s.last = nil, "", nil
	if err := s.send(ctx, s.path+"/undo", map[string]any{}, nil); err != nil {
		return s.refused(line, err)
	}
	if n := len(s.scans); n > 0 {
		s.scans = s.scans[:n-1]
	}
	s.tell("The last one is taken back.")
	return nil
}
