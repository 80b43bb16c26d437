package mdm

import (
	"bytes"
	"encoding/xml"
	"fmt"
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
			s, err := text(value)
			*into = Clean(s)
			return err
		case into != nil:
			return fmt.Errorf("%s is not text: %w", key, ErrSyntax)
		case key == "NotOnConsole":
			r.NotOnConsole = kind == "true"
		case key == "ErrorChain":
			r.ErrorChain = chain(value)
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

const (
	maxChain      = 16 // Apple's longest known has 3
	maxChainBytes = 64 << 10
)

// chain reads an error chain as far as it can be read. One that cannot is no
// reason to refuse the report: the tablet would send it again and again.
func chain(element []byte) []ErrorItem {
	var items []ErrorItem
	if len(element) > maxChainBytes || decode(alone(element), &items) != nil {
		return []ErrorItem{{English: "the tablet's error chain cannot be read"}}
	}
	items = items[:min(len(items), maxChain)]
	for i, e := range items {
		items[i] = ErrorItem{Code: e.Code, Domain: Clean(e.Domain), Localized: Clean(e.Localized), English: Clean(e.English)}
	}
	return items
}

// alone makes an element a document.
func alone(element []byte) []byte {
	const begin, end = "<plist>", "</plist>"
	b := make([]byte, 0, len(begin)+len(element)+len(end))
	return append(append(append(b, begin...), element...), end...)
}

// text is what an element of text says.
func text(element []byte) (string, error) {
	from, to := bytes.IndexByte(element, '>')+1, bytes.LastIndexByte(element, '<')
	if from > to {
		return "", nil // <string/>
	}
	if bytes.IndexAny(element[1:to], "<& ") < 0 {
		return string(element[from:to]), nil
	}
	var s string // entities, comments, CDATA, attributes
	if err := xml.Unmarshal(element, &s); err != nil {
		return "", fmt.Errorf("%s: %w", harmless(err), ErrSyntax)
	}
	return s, nil
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
				if key, err = text(b[keyFrom:t.to]); err != nil {
					return err
				}
				hasKey = true
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
