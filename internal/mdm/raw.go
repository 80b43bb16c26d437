package mdm

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/fault"
)

// maxRawDepth is how deep an argument may be nested; Apple's deepest has 4.
const maxRawDepth = 16

// BuildRaw makes the body of a command from text, as a person types it, and
// checks it against Apple's schema: unknown keys, wrong types, missing keys and
// values that are not allowed are refused by name. A key of an inner dictionary is
// written with dots ("Options.PurchaseMethod"). Dictionaries, and arrays of them,
// are written as JSON, other arrays with commas or as JSON, data as base64.
func BuildRaw(requestType string, args map[string]string) (map[string]any, error) {
	spec, ok := CommandSpecOf(requestType)
	if !ok {
		return nil, unknownCommand(requestType)
	}
	if instead, is := owned(requestType); is {
		return nil, fault.New(fault.Invalid, "send.owned", "%s is not sent as it is. %s.", requestType, instead).On("command")
	}
	top := KeySpec{Name: requestType, Type: "dictionary", Keys: spec.Keys}
	body := map[string]any{}
	paths := make([]string, 0, len(args))
	for p := range args {
		paths = append(paths, p)
	}
	slices.Sort(paths) // a dictionary comes before its own keys, and errors are the same each time
	for _, path := range paths {
		if err := printable(path, path); err != nil {
			return nil, err
		}
		if err := put(top, body, path, args[path]); err != nil {
			return nil, err
		}
	}
	if err := complete(top, body, ""); err != nil {
		return nil, err
	}
	return body, nil
}

func unknownCommand(name string) error {
	if like := nearest(Clean(name), CommandNames()); like != "" {
		return fault.New(fault.Invalid, "send.unknown-command", "Apple's schema has no command %s for iPads. Is %s meant?", quoted(name), like).On("command")
	}
	return fault.New(fault.Invalid, "send.no-such-command", "Apple's schema has no command %s for iPads. See Apple's documentation, Device Management, Commands and queries.", quoted(name)).On("command")
}

func unknownKey(spec KeySpec, path, name string) error {
	names := make([]string, 0, len(spec.Keys))
	for _, k := range spec.Keys {
		names = append(names, k.Name)
	}
	if len(names) == 0 {
		return fault.New(fault.Invalid, "send.no-keys", "%s has no keys, so %s cannot be given.", spec.Name, quoted(join(path, name))).On(join(path, name))
	}
	if like := nearest(name, names); like != "" {
		return fault.New(fault.Invalid, "send.unknown-key", "%s has no key %s. Is %s meant?", spec.Name, quoted(join(path, name)), join(path, like)).On(join(path, name))
	}
	return fault.New(fault.Invalid, "send.unknown-key", "%s has no key %s. It has %s.", spec.Name, quoted(join(path, name)), strings.Join(names, ", ")).On(join(path, name))
}

func wrongType(spec KeySpec, path, wants string) error {
	return fault.New(fault.Invalid, "send.type", "%s of Apple's schema is %s.", quoted(path), wants).On(path)
}

// put sets what a path of keys names.
func put(spec KeySpec, into map[string]any, path, text string) error {
	done := ""
	for rest := path; ; {
		name, more, deeper := strings.Cut(rest, ".")
		// A name with a dot of its own (a preference of an app) is below ANY.
		if deeper && anyKey(spec) {
			name, deeper = rest, false
		}
		k, ok := keyOf(spec, name)
		if !ok {
			return unknownKey(spec, done, name)
		}
		done = join(done, name)
		if !deeper {
			if _, twice := into[name]; twice {
				return fault.New(fault.Invalid, "send.twice", "The key %s is given twice, whole and in parts.", quoted(done)).On(done)
			}
			v, err := fromText(k, done, text)
			if err != nil {
				return err
			}
			into[name] = v
			return nil
		}
		if k.Type != "dictionary" {
			return wrongType(k, done, typeWords(k.Type)+" and has no keys of its own")
		}
		inner, there := into[name].(map[string]any)
		if !there {
			if _, other := into[name]; other {
				return fault.New(fault.Invalid, "send.twice", "The key %s is given twice, whole and in parts.", quoted(done)).On(done)
			}
			inner = map[string]any{}
			into[name] = inner
		}
		spec, into, rest = k, inner, more
	}
}

func anyKey(spec KeySpec) bool {
	return slices.ContainsFunc(spec.Keys, func(k KeySpec) bool { return k.Name == "ANY" })
}

func keyOf(spec KeySpec, name string) (KeySpec, bool) {
	for _, k := range spec.Keys {
		if k.Name == name || k.Name == "ANY" && name != "" {
			return k, true
		}
	}
	return KeySpec{}, false
}

// complete looks for keys that Apple requires, in dictionaries that are there.
func complete(spec KeySpec, d map[string]any, path string) error {
	for _, k := range spec.Keys {
		v, there := d[k.Name]
		at := join(path, k.Name)
		if !there {
			if k.Required && k.Name != "ANY" {
				return fault.New(fault.Invalid, "send.missing", "%s needs the key %s.", spec.Name, at).On(at)
			}
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			if err := complete(k, v, at); err != nil {
				return err
			}
		case []any:
			if len(k.Keys) != 1 {
				continue // each was looked at by its Item
			}
			for i, e := range v {
				if inner, ok := e.(map[string]any); ok {
					if err := complete(k.Keys[0], inner, at+"["+strconv.Itoa(i)+"]"); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func sortedKeys(d map[string]any) []string {
	names := make([]string, 0, len(d))
	for n := range d {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func typeWords(t string) string {
	switch t {
	case "string":
		return "a text"
	case "integer":
		return "a whole number"
	case "real":
		return "a number"
	case "boolean":
		return "true or false"
	case "data":
		return "data, written as base64"
	case "date":
		return "a time like 2026-08-31T12:00:00Z"
	case "array":
		return "a list"
	case "dictionary":
		return "a dictionary"
	}
	return "any value"
}

// quoted is a name or value that a person typed, fit for a sentence.
func quoted(s string) string {
	if s = Clean(s); utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return `"` + s + `"`
}

func printable(path, text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return fault.New(fault.Invalid, "send.characters", "%s holds characters that a property list cannot carry.", quoted(path)).On(Clean(path))
	}
	return nil
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\uFFFE' || r == '\uFFFF'
}

// nearest is the name that was probably meant, or "".
func nearest(typed string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		if strings.EqualFold(n, typed) {
			return n
		}
		if d := distance(strings.ToLower(typed), strings.ToLower(n), at); d < at && d < len(n)/2 {
			best, at = n, d
		}
	}
	return best
}

// distance is how many letters differ (Levenshtein), as far as it is below most.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
