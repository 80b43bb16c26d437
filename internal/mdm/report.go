package mdm

import (
	"bytes"
	"fmt"
	"html"
)

// ErrorItem is one link of an error chain, the outermost first.
type ErrorItem struct {
	Code      int64  `json:"code" plist:"ErrorCode"`
	Domain    string `json:"domain,omitempty" plist:"ErrorDomain"`
	Localized string `json:"localized,omitempty" plist:"LocalizedDescription"`
	English   string `json:"english,omitempty" plist:"USEnglishDescription"`
}

// Report is what a tablet says when it connects: Idle, or what became of a
// command. What else is in the answer stays in Raw.
type Report struct {
	Status       string // Idle, Acknowledged, Error, CommandFormatError, NotNow; others are kept as they are
	CommandUUID  string
	UDID         string
	EnrollmentID string
	UserID       string
	RequestType  string
	NotOnConsole bool
	ErrorChain   []ErrorItem
	Raw          []byte
}

// ParseReport reads the few keys that every report has and steps over the rest:
// a list of apps has 40 kB, of which it needs four short texts.
func ParseReport(b []byte) (*Report, error) {
	if err := guardXML(b); err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	r := &Report{Raw: b}
	texts := map[string]*string{
		"Status": &r.Status, "CommandUUID": &r.CommandUUID, "UDID": &r.UDID, "EnrollmentID": &r.EnrollmentID,
		"UserID": &r.UserID, "RequestType": &r.RequestType,
	}
	err := eachKey(b, func(key string, value []byte, kind string) error {
		switch into := texts[key]; {
		case into != nil && kind == "string":
			*into = text(value)
		case into != nil:
			return fmt.Errorf("%s is not text: %w", key, ErrSyntax)
		case key == "NotOnConsole":
			r.NotOnConsole = kind == "true"
		case key == "ErrorChain" && kind == "array":
			return decode(alone(value), &r.ErrorChain)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	if r.Status == "" {
		return nil, fmt.Errorf("a report without Status: %w", ErrSyntax)
	}
	return r, nil
}

// alone makes an element a document.
func alone(element []byte) []byte {
	return append(append([]byte("<plist>"), element...), "</plist>"...)
}

// text is what an element of text says.
func text(element []byte) string {
	from, to := bytes.IndexByte(element, '>')+1, bytes.LastIndexByte(element, '<')
	if from > to || from == 0 {
		return "" // <string/>
	}
	inner := element[from:to]
	if bytes.IndexByte(inner, '<') >= 0 { // a comment or CDATA inside
		var s string
		if decode(alone(element), &s) != nil {
			return ""
		}
		return s
	}
	if bytes.IndexByte(inner, '&') < 0 {
		return string(inner)
	}
	return html.UnescapeString(string(inner))
}

// eachKey calls do with the keys of the outermost dictionary, and the element
// that is each one's value. b was guarded.
func eachKey(b []byte, do func(key string, value []byte, kind string) error) error {
	s := scanner{b: b}
	depth, key, hasKey := 0, "", false
	from, kind, keyFrom := 0, "", 0
	const inside = 2 // plist, dict
	for {
		t, err := s.next()
		if err != nil {
			return err
		}
		switch t.kind {
		case atEnd:
			return nil
		case opens:
			depth++
			switch {
			case depth == 1 && string(t.name) != "plist", depth == inside && string(t.name) != "dict":
				return fmt.Errorf("not a dictionary: %w", ErrSyntax)
			case depth == inside+1 && string(t.name) == "key":
				keyFrom = t.from
			case depth == inside+1:
				from, kind = t.from, string(t.name)
			}
			continue
		case closes:
			depth--
			if depth != inside {
				continue
			}
			if string(t.name) == "key" {
				key, hasKey = text(b[keyFrom:t.to]), true
				continue
			}
			if kind != string(t.name) {
				return fmt.Errorf("<%s> ends as </%s>: %w", kind, t.name, ErrSyntax)
			}
		case whole:
			if depth != inside {
				continue
			}
			from, kind = t.from, string(t.name)
		}
		if !hasKey {
			return fmt.Errorf("a value without a key: %w", ErrSyntax)
		}
		hasKey = false
		if err := do(key, b[from:t.to], kind); err != nil {
			return err
		}
	}
}
