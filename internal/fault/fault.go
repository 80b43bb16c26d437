// Package fault is the one kind of error a person or a program may see.
//
// A Fault says what happened and what to do, carries a stable code for
// programs and translations, and knows nothing of HTTP: server/problem.go maps
// it for people and programs, server/device for tablets. Every other error is
// internal, logged with its whole chain and shown to nobody.
package fault

import (
	"errors"
	"fmt"
	"log/slog"
)

// Kind says what the caller can do about an error. There are few on purpose:
// add one only when a caller would act differently.
type Kind string

const (
	Invalid  Kind = "invalid"   // the request is wrong; change it
	NotFound Kind = "not-found" // no such thing, or none this person may see
	Conflict Kind = "conflict"  // true a moment ago, not now; reload and decide
	SignIn   Kind = "sign-in"   // nobody known; sign in
	Denied   Kind = "denied"    // known person, missing right
	Upstream Kind = "upstream"  // Apple said no or did not answer; try later
	Internal Kind = "internal"  // our fault
)

// Fault is an error with a meaning. Text is an English sentence that is safe to
// show; the console translates it by Code. Err is the cause, for the log only.
type Fault struct {
	Kind  Kind
	Code  string // stable: "device.unknown"
	Text  string
	Field string // request field at fault, if any
	Err   error
}

// New makes a Fault. The format's arguments are shown to people: never a secret.
func New(kind Kind, code, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Code: code, Text: fmt.Sprintf(format, args...)}
}

// With returns a copy that names its cause.
func (f *Fault) With(err error) *Fault {
	c := *f
	c.Err = err
	return &c
}

// On returns a copy that names the request field at fault.
func (f *Fault) On(field string) *Fault {
	c := *f
	c.Field = field
	return &c
}

func (f *Fault) Error() string {
	if f.Err != nil {
		return f.Code + ": " + f.Text + ": " + f.Err.Error()
	}
	return f.Code + ": " + f.Text
}

func (f *Fault) Unwrap() error { return f.Err }

// Of returns the Fault in err's chain.
func Of(err error) (*Fault, bool) { return errors.AsType[*Fault](err) }

// KindOf is Internal for every error that is not a Fault.
func KindOf(err error) Kind {
	if f, ok := Of(err); ok {
		return f.Kind
	}
	return Internal
}

// CodeOf is "" for every error that is not a Fault.
func CodeOf(err error) string {
	if f, ok := Of(err); ok {
		return f.Code
	}
	return ""
}

// Secret is text that no log line, error or JSON document ever shows.
type Secret string

const hidden = "•••"

// Open gives the text itself, where it is put to its use.
func (s Secret) Open() string { return string(s) }

func (s Secret) String() string   { return hidden }
func (s Secret) GoString() string { return hidden }

// LogValue keeps the secret out of slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON keeps the secret out of JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalText keeps the secret out of every other text encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
