// Package catalogue knows what Apple publishes of payloads, commands, check-in
// messages, declarations and status items, as far as iPads go: their keys and
// types, and which iPadOS, supervision and channel they need. It does no I/O and
// decides nothing.
//
// The facts are in table.txt, which gen makes of Apple's schema; it is read when
// it is first asked. Versions are iPadOS versions, names are Apple's. See NOTICE.
package catalogue

import (
	_ "embed"
	"slices"
	"sync"
)

// Kind is what Apple describes.
type Kind string

// Kinds of entries.
const (
	Profile     Kind = "profile" // of payloads; TopLevel and CommonPayloadKeys are what surrounds them
	Command     Kind = "command"
	CheckIn     Kind = "checkin"
	Declaration Kind = "declaration"
	Credential  Kind = "credential" // what assets of declarations hold
	Status      Kind = "status"
	Protocol    Kind = "protocol" // of declarations
	Problem     Kind = "error"    // that a server answers with
	Other       Kind = "other"    // skip keys, machine info and the like
)

// Support is who understands it.
type Support struct {
	Since, Deprecated, Removed string
	Supervised                 bool
	ADE                        bool   // only of devices that came by automated enrollment
	SharedIPad                 string // "allowed", "required", "forbidden", "ignored", or unsaid
	UserEnrollment             string // the same
	NoDevice, NoUser           bool   // not on that channel of a Shared iPad
	Single                     bool   // an iPad takes one of it
	NotByHand                  bool   // only a server may install it
}

// Entry is a payload type, a command, a declaration and so on.
type Entry struct {
	Kind Kind
	Name string // PayloadType, RequestType, …
	Support
	Open        bool // not all of its keys are known
	Elsewhere   bool // Apple has it for other devices than iPads: nothing else is known of it
	Rights      string
	Apply       string // how several declarations of it go together
	Enrollments []string
	Keys        []*Key
	Answer      []*Key // of a command
}

// Key is one key, or the element of an array.
type Key struct {
	Name     string
	Type     string // string, integer, real, boolean, date, data, array, dictionary, any
	Required bool   // where the dictionary that holds it is there
	Support
	Open     bool     // not all of its keys are known
	Values   []string // that Apple names; its lists are not always whole
	Min, Max string   // "" is unbounded
	Format   string   // a regular expression
	Default  string
	Combine  string // how values of several declarations go together
	Assets   []string
	keys     []*Key
	same     *Key // whose keys it has, where Apple's description holds itself
}

// Keys of a dictionary are its keys; those of an array are what its elements may
// be; those of a text are values that it may have, which Apple describes one by
// one. A key named ANY stands for any name. Keys may hold themselves.
func (k *Key) Keys() []*Key {
	if k.same != nil {
		return k.same.keys
	}
	return k.keys
}

//go:embed table.txt
var text string

// SameAs is the key above it whose keys it has, or nil.
func (k *Key) SameAs() *Key { return k.same }

// table is table.txt, read once.
type table struct {
	entries map[Kind]map[string]*Entry
	names   map[Kind][]string // for iPads, sorted
	source  Source
}

// Source is what the table was made of.
type Source struct {
	Files      int    // of Apple's schema, those for other devices and those replaced by newer ones too
	Replaced   int    // of them, by newer ones
	Supplement int    // files of ours
	SHA256     string // over the paths, sizes and contents, in order
}

var loaded = sync.OnceValue(func() *table {
	t, _ := read(text) // a test reads it too, and looks at the error
	return t
})

// Made tells what the table was made of.
func Made() Source { return loaded().source }

// Names lists those of a kind that iPads have, sorted.
func Names(k Kind) []string { return slices.Clone(loaded().names[k]) }

// Find finds an entry that iPads have.
func Find(k Kind, name string) (*Entry, bool) {
	e, ok := loaded().entries[k][name]
	return e, ok && !e.Elsewhere
}

// Key finds a key of an entry.
func (e *Entry) Key(name string) (*Key, bool) { return keyOf(e.Keys, name) }

// keyOf finds a key by its name, or the one that stands for any.
func keyOf(keys []*Key, name string) (*Key, bool) {
	var other *Key
	for _, k := range keys {
		if k.Name == name {
			return k, true
		}
		if k.Name == "ANY" && name != "" {
			other = k
		}
	}
	return other, other != nil
}

// Profile levels that surround payloads.
const (
	topLevel = "TopLevel"
	common   = "CommonPayloadKeys"
	content  = "PayloadContent"
)

// Payloads lists the payload types that iPads have, sorted.
func Payloads() []string {
	return slices.DeleteFunc(Names(Profile), func(n string) bool { return n == topLevel || n == common })
}

// FindPayload finds a payload type that iPads have. Its keys are those that are
// its own, and of the keys of all payloads those that say something to people.
func FindPayload(name string) (*Entry, bool) {
	e, ok := Find(Profile, name)
	if !ok || name == topLevel || name == common {
		return nil, false
	}
	around, _ := Find(Profile, common)
	c := *e
	for _, k := range around.Keys {
		if !k.Required && !slices.ContainsFunc(e.Keys, func(o *Key) bool { return o.Name == k.Name }) {
			c.Keys = append(c.Keys[:len(c.Keys):len(c.Keys)], k)
		}
	}
	return &c, true
}
