// Package mdm is Apple's device management messages as Go types. It does no I/O
// and decides nothing.
//
// Tablets speak XML property lists. What comes from outside is guarded before it
// is decoded: by size, depth and form. Only what is used is decoded; the bytes
// stay in Raw.
//
// Names are Apple's. Source: Apple, Device Management, and the schema that Apple
// publishes with it; see internal/catalogue/NOTICE.
package mdm

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/micromdm/plist"
)

// Decode reads an XML property list into v. It never panics; its errors wrap one
// of this package's.
func Decode(b []byte, v any) error {
	if err := guardXML(b); err != nil {
		return err
	}
	return decode(b, v)
}

// DecodeUpload reads an XML or binary property list that a person uploads.
func DecodeUpload(b []byte, v any) error {
	if !bytes.HasPrefix(b, []byte("bplist")) {
		return Decode(b, v)
	}
	if err := guardBinary(b); err != nil {
		return err
	}
	return decode(b, v)
}

func decode(b []byte, v any) (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("a value cannot be read: %w", ErrSyntax) // what panicked may quote it
		}
	}()
	if err := plist.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", harmless(err), ErrSyntax)
	}
	return nil
}

// harmless tells what is wrong without the value that is wrong, which plist's and
// strconv's errors quote: it may be a token.
func harmless(err error) string {
	if s, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return fmt.Sprintf("line %d is not well-formed", s.Line)
	}
	if t, ok := errors.AsType[plist.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("a value is no %s", t.Type)
	}
	return "a value cannot be read"
}

// Encode writes v as an XML property list.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := plist.NewEncoder(&b)
	e.Indent("\t")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write a property list: %w", err)
	}
	return b.Bytes(), nil
}

// maxClean is how much of a text from outside is kept, in characters.
const maxClean = 1024

// Clean makes text from a device or a person fit for SQL, logs and screens:
// valid UTF-8 without control characters, cut at 1,024 characters.
func Clean(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n >= maxClean || unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		n++
		return r
	}, strings.ToValidUTF8(s, ""))
}

// Command is a command as a tablet takes it.
// Source: Apple, Device Management, "Sending MDM commands to a device".
func Command(uuid, requestType string, body map[string]any) ([]byte, error) {
	c := make(map[string]any, len(body)+1)
	for k, v := range body {
		c[k] = v
	}
	c["RequestType"] = requestType
	return Encode(map[string]any{"CommandUUID": uuid, "Command": c})
}

// EnrollmentIdentifier is the PayloadIdentifier of the profile that enrolls, and
// with a dot behind it the beginning of those of its payloads. An iPad that is told
// to remove it ends its management.
const EnrollmentIdentifier = "ranzen.enrollment"
