package tablet

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// schema.txt is made from Apple's schema (iOS only). A section begins with @ and
// a line below it is a key by its path, "!" if it is required, its type and, if
// the schema lists them, its values. [] is an element of a list, * any key.
// since: is the iPadOS that a key, command or setting came with if that is newer
// than 17.0, removed: the first that has a command or setting no more.
//
//go:embed schema.txt
var schemaText string

// keySpec is a line of schema.txt.
type keySpec struct {
	name     string
	kind     string
	required bool
	values   []string
	since    string
	sub      []*keySpec // of a dictionary
	item     *keySpec   // of a list
}

// section is a kind of payload, command or setting.
type section struct {
	keys       []*keySpec
	supervised bool
	since      string
	removed    string
}

// rules is schema.txt, read. Nobody changes it.
type rules map[string]section

// book is schema.txt, and what of it each iPadOS knows. A fleet shares one.
type book struct {
	all rules

	mu sync.Mutex
	of map[string]rules // by iPadOS
}

func newBook() *book { return &book{all: readRules(schemaText), of: map[string]rules{}} }

// at are the rules of an iPadOS: what came later it does not know.
func (b *book) at(version string) rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.of[version]; known != nil {
		return known
	}
	out := rules{}
	for name, s := range b.all {
		if newer(s.since, version) || s.removed != "" && !newer(s.removed, version) {
			continue
		}
		s.keys = knownTo(version, s.keys)
		out[name] = s
	}
	b.of[version] = out
	return out
}

func knownTo(version string, keys []*keySpec) []*keySpec {
	var out []*keySpec
	for _, k := range keys {
		if newer(k.since, version) {
			continue
		}
		known := *k
		known.sub = knownTo(version, k.sub)
		if k.item != nil {
			known.item = knownTo(version, []*keySpec{k.item})[0]
		}
		out = append(out, &known)
	}
	return out
}

func readRules(text string) rules {
	unspace := strings.NewReplacer("%20", " ")
	out := rules{}
	name := ""
	var byPath map[string]*keySpec
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if f[0][0] == '@' {
			name, byPath = f[0][1:], map[string]*keySpec{}
			rest := f[1:]
			if len(rest) > 0 {
				name, rest = name+" "+rest[0], rest[1:]
			}
			out[name] = section{supervised: slices.Contains(rest, "supervised"), since: marked(rest, "since:"), removed: marked(rest, "removed:")}
			continue
		}
		path, required := strings.CutSuffix(f[0], "!")
		k := &keySpec{kind: f[1], required: required, since: marked(f, "since:")}
		if len(f) > 2 && !strings.HasPrefix(f[2], "since:") {
			k.values = strings.Split(unspace.Replace(f[2]), "|")
		}
		parent, last := "", path
		if i := strings.LastIndex(path, "."); i > 0 && byPath[path[:i]] != nil {
			parent, last = path[:i], path[i+1:]
		}
		k.name = unspace.Replace(last)
		byPath[path] = k
		switch up := byPath[parent]; {
		case parent == "":
			s := out[name]
			s.keys = append(s.keys, k)
			out[name] = s
		case last == "[]":
			up.item = k
		default:
			up.sub = append(up.sub, k)
		}
	}
	return out
}

// marked finds a mark of a line.
func marked(line []string, mark string) string {
	for _, f := range line {
		if v, ok := strings.CutPrefix(f, mark); ok {
			return v
		}
	}
	return ""
}

// breach is what is wrong with a dictionary, in the words of Apple's errors.
type breach struct {
	what breachKind
	path string
	more string
}

type breachKind int

const (
	missingField breachKind = iota + 1
	wrongType
	wrongValue
	unknownField
)

func (b *breach) Error() string {
	switch b.what {
	case missingField:
		return fmt.Sprintf("The required field “%s” is missing.", b.path)
	case wrongType:
		return fmt.Sprintf("The field “%s” is of the wrong type: %s.", b.path, b.more)
	case wrongValue:
		return fmt.Sprintf("The field “%s” contains an unsupported value: %s.", b.path, b.more)
	default:
		return fmt.Sprintf("The field “%s” is unknown to Apple's schema.", b.path)
	}
}

// check compares a dictionary with the keys the schema allows. An iPad ignores
// unknown keys; here they are errors, for they are typos.
func check(m map[string]any, keys ...*keySpec) *breach { return checkAt("", m, keys) }

func checkAt(path string, m map[string]any, keys []*keySpec) *breach {
	known := make(map[string]*keySpec, len(keys))
	for _, k := range keys {
		known[k.name] = k
		if _, ok := m[k.name]; k.required && !ok {
			return &breach{what: missingField, path: path + k.name}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		k := known[name]
		if k == nil {
			k = known["*"]
		}
		if k == nil {
			return &breach{what: unknownField, path: path + name}
		}
		if b := checkValue(path+name, m[name], k); b != nil {
			return b
		}
	}
	return nil
}

func checkValue(path string, v any, k *keySpec) *breach {
	if got := kindOf(v); k.kind != "any" && got != k.kind && !(k.kind == "real" && got == "integer") {
		return &breach{what: wrongType, path: path, more: "it is " + got + ", not " + k.kind}
	}
	if len(k.values) > 0 && !slices.Contains(k.values, fmt.Sprint(v)) {
		return &breach{what: wrongValue, path: path, more: fmt.Sprint(v)}
	}
	switch v := v.(type) {
	case map[string]any:
		if len(k.sub) > 0 {
			return checkAt(path+".", v, k.sub)
		}
	case []any:
		for i, e := range v {
			if k.item == nil {
				break
			}
			if b := checkValue(fmt.Sprintf("%s[%d]", path, i), e, k.item); b != nil {
				return b
			}
		}
	}
	return nil
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64, uint64, int:
		return "integer"
	case float64, float32:
		return "real"
	case []byte:
		return "data"
	case time.Time:
		return "date"
	case []any:
		return "array"
	case map[string]any:
		return "dictionary"
	}
	return fmt.Sprintf("%T", v)
}
