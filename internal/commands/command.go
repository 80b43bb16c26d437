package commands

import (
	"context"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// State is where a command stands.
type State string

// States. The first three are open: the command may still reach the tablet.
const (
	Queued     State = "queued"     // waits for the tablet to connect
	Sent       State = "sent"       // handed over, no answer yet
	Deferred   State = "deferred"   // the tablet said NotNow; offered again in its next session
	Done       State = "done"       // Acknowledged, or an erase that was proven
	Failed     State = "failed"     // Error, CommandFormatError, or no body could be made
	Dropped    State = "dropped"    // taken back before it was handed over, or its tablet left
	Superseded State = "superseded" // a newer one of the same key took its place
	Expired    State = "expired"    // its deadline passed
	Uncertain  State = "uncertain"  // handed over at most once, and no answer came
	Unreadable State = "unreadable" // answered in words that cannot be understood; kept raw
)

// Command is one order for one tablet.
type Command struct {
	ID           string // CommandUUID on the wire
	EnrollmentID string
	Generation   int64  // never reaches a later life of the tablet
	Kind         string // ours: "profile.install"
	RequestType  string // Apple's: "InstallProfile"; empty: the Spec's
	DedupeKey    string // same key, same effect; empty: Kind
	Urgent       bool   // before all that are not
	Origin       audit.Actor
	Item         string    // what it is about: "profile:ID:VERSION"
	Args         []byte    // the Renderer's own; sealed at rest
	NotBefore    time.Time // zero: now
	Deadline     time.Time // zero: never
	State        State
	Attempts     int // how often it was handed over
	CreatedAt    time.Time
	SentAt       time.Time // last hand-over
	AnsweredAt   time.Time
	FinishedAt   time.Time
	Status       string // the tablet's last word
	Reason       string // why it waits, failed or was taken back
	Errors       []mdm.ErrorItem
}

// Result is a tablet's final answer: Acknowledged, Error or CommandFormatError.
type Result struct {
	Status string
	Errors []mdm.ErrorItem
	Raw    []byte // the whole answer; belongs to the caller
	At     time.Time
}

// Renderer knows what the commands of a kind say and what their answers mean.
type Renderer interface {
	// Render makes the body of a command that is about to be handed over. It
	// must not write anything when it returns a fault: fault.Conflict means that
	// the command is not wanted any more, it is dropped with the text as reason;
	// with any other fault it fails with the text as reason. Other errors undo
	// the whole exchange.
	Render(ctx context.Context, tx *sqldb.Tx, c Command) (body map[string]any, err error)
	// Done takes a final answer, a good or a bad one. It must not write anything
	// when it returns a fault: fault.Invalid means that the answer cannot be
	// understood, it is kept raw and marked; any other fault means that the
	// order failed though it was acknowledged, with the text as reason. Either
	// way the queue goes on. Other errors undo the whole exchange.
	//
	// A command that was superseded or expired meanwhile is told too, for what
	// the tablet did it did; c.State says so.
	Done(ctx context.Context, tx *sqldb.Tx, c Command, r Result) error
}

// Ender may be implemented by a Renderer that wants to know of commands that
// ended without the tablet's word: dropped, failed at Render, or expired. Not
// of those that Add superseded or Clear ended: their caller knows.
type Ender interface {
	Ended(ctx context.Context, tx *sqldb.Tx, c Command) error
}

// Spec says how the queue treats a kind.
type Spec struct {
	Kind        string
	RequestType string // empty: each command brings its own
	Once        bool   // handed over at most once: erase
	InLostMode  bool   // may be handed over in Lost Mode
	WhenExpired bool   // may be handed to a tablet whose identity has expired
	KeepAnswer  bool   // keep good answers too, for people to read
	Renderer    Renderer
}

// Session is what the device path knows of the tablet that is asking.
type Session struct {
	EnrollmentID string
	Generation   int64
	LostMode     bool
	Expired      bool // its identity is expired: only Spec.WhenExpired
}

// HandOver is a command on its way to the tablet.
type HandOver struct {
	ID          string
	Kind        string
	RequestType string
	Body        []byte // XML
}
