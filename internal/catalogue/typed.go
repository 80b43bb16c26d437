package catalogue

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth is how deep an argument may be nested; Apple's deepest has 9.
const maxDepth = 16

// Misfit is why arguments cannot be what Apple wants. Code is one of type,
// unknown-key, no-keys, missing, value, item, depth, null, characters and twice.
type Misfit struct{ Code, Path, Text string }

// Error implements error. The text is a sentence for people; it repeats what they
// typed, so that it must not go to a log.
func (m *Misfit) Error() string { return m.Text }

func misfit(code, path, text string) *Misfit { return &Misfit{code, path, text} }

// Build gives arguments the types that Apple wants for an entry: unknown keys,
// wrong types, missing keys and values that are not allowed are refused by name
// with a *Misfit. An argument is text, as a person types it, or a value of JSON.
// A key of an inner dictionary is written with dots ("Options.PurchaseMethod"). In
// text, dictionaries and arrays of them are JSON, other arrays JSON or parted by
// commas, data base64, times RFC 3339.
func (e *Entry) Build(args map[string]any) (map[string]any, error) {
	return build(&Key{Name: e.Name, Type: "dictionary", Open: e.Open, keys: e.Keys}, args)
}

func build(top *Key, args map[string]any) (map[string]any, error) {
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

func unknownKey(spec *Key, path, name string) error {
	at := join(path, name)
	names := spec.names()
	if len(names) == 0 {
		return misfit("no-keys", at, spec.Name+" has no keys, so "+quoted(at)+" cannot be given.")
	}
	if like := Nearest(name, names); like != "" {
		return misfit("unknown-key", at, spec.Name+" has no key "+quoted(at)+". Is "+join(path, like)+" meant?")
	}
	if len(names) > 40 {
		return misfit("unknown-key", at, spec.Name+" has no key "+quoted(at)+".")
	}
	return misfit("unknown-key", at, spec.Name+" has no key "+quoted(at)+". It has "+strings.Join(names, ", ")+".")
}

func (k *Key) names() (names []string) {
	for _, sub := range k.Keys() {
		names = append(names, sub.Name)
	}
	return names
}

func wrongType(path, wants string) error {
	return misfit("type", path, quoted(path)+" of Apple's schema is "+wants+".")
}

// put sets what a path of keys names.
func put(spec *Key, into map[string]any, path string, v any) error {
	done := ""
	for rest := path; ; {
		name, more, deeper := strings.Cut(rest, ".")
		// A name with a dot of its own (a preference of an app) is below ANY.
		if _, whole := exactly(spec, rest); deeper && (anyKey(spec) || whole) {
			name, deeper = rest, false
		}
		k, ok := sub(spec, name)
		if !ok {
			return unknownKey(spec, done, name)
		}
		done = join(done, name)
		if !deeper {
			if _, twice := into[name]; twice {
				return misfit("twice", done, "The key "+quoted(done)+" is given twice, whole and in parts.")
			}
			v, err := fit(k, done, v)
			if err != nil {
				return err
			}
			into[name] = v
			return nil
		}
		if k.Type != "dictionary" {
			return wrongType(done, typeWords(k.Type)+" and has no keys of its own")
		}
		inner, there := into[name].(map[string]any)
		if !there {
			if _, other := into[name]; other {
				return misfit("twice", done, "The key "+quoted(done)+" is given twice, whole and in parts.")
			}
			inner = map[string]any{}
			into[name] = inner
		}
		spec, into, rest = k, inner, more
	}
}

func anyKey(spec *Key) bool {
	return spec.Open || slices.ContainsFunc(spec.Keys(), func(k *Key) bool { return k.Name == "ANY" })
}

func exactly(spec *Key, name string) (*Key, bool) {
	k, ok := keyOf(spec.Keys(), name)
	return k, ok && k.Name == name
}

// sub finds a key by name; one of which not all keys are known may have it.
func sub(spec *Key, name string) (*Key, bool) {
	k, ok := keyOf(spec.Keys(), name)
	if !ok && spec.Open && name != "" {
		return &Key{Name: name, Type: "any"}, true
	}
	return k, ok
}

// complete looks for keys that Apple requires, in dictionaries that are there.
func complete(spec *Key, d map[string]any, path string) error {
	for _, k := range spec.Keys() {
		v, there := d[k.Name]
		at := join(path, k.Name)
		if !there {
			if k.Required && k.Name != "ANY" {
				return misfit("missing", at, spec.Name+" needs the key "+at+".")
			}
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			if err := complete(k, v, at); err != nil {
				return err
			}
		case []any:
			if err := completeAll(k, v, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// completeAll looks at the elements of an array.
func completeAll(k *Key, list []any, at string) error {
	if len(k.Keys()) != 1 {
		return nil // each was looked at by its Item
	}
	for i, e := range list {
		var err error
		switch e := e.(type) {
		case map[string]any:
			err = complete(k.Keys()[0], e, index(at, i))
		case []any:
			err = completeAll(k.Keys()[0], e, index(at, i))
		}
		if err != nil {
			return err
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

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

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
	if s = short(s); utf8.RuneCountInString(s) > 60 {
		s = string([]rune(s)[:60]) + "…"
	}
	return `"` + s + `"`
}

func printable(path, text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return misfit("characters", short(path), quoted(path)+" holds characters that a property list cannot carry.")
	}
	return nil
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\uFFFE' || r == '\uFFFF'
}
