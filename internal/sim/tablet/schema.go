package tablet

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// schema.txt is made from Apple's schema (iOS only). A section begins with @ and
// a line below it is a key by its path, "!" if it is required, its type and, if
// the schema lists them, its values. [] is an element of a list, * any key.
//
//go:embed schema.txt
var schemaText string

// keySpec is a line of schema.txt.
type keySpec struct {
	name     string
	kind     string
	required bool
	values   []string
	sub      []*keySpec // of a dictionary
	item     *keySpec   // of a list
}

// section is a kind of payload, command or setting.
type section struct {
	keys       []*keySpec
	supervised bool
	removed    bool
}

// rules is schema.txt, read. A fleet shares one; nobody changes it.
type rules map[string]section

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
			out[name] = section{supervised: slices.Contains(rest, "supervised"), removed: slices.Contains(rest, "removed")}
			continue
		}
		path, required := strings.CutSuffix(f[0], "!")
		k := &keySpec{kind: f[1], required: required}
		if len(f) > 2 {
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
