package mdm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
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

// fromText reads a value as a person types it.
func fromText(k KeySpec, path, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	switch k.Type {
	case "dictionary":
		return fromJSON(k, path, trimmed)
	case "array":
		switch {
		case strings.HasPrefix(trimmed, "["):
			return fromJSON(k, path, trimmed)
		case strings.HasPrefix(trimmed, "{"):
			return fromJSON(k, path, "["+trimmed+"]")
		case trimmed == "":
			return []any{}, nil
		}
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			v, err := element(k, path, strings.TrimSpace(part))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case "any":
		var v any
		if v, err := parseJSON(trimmed); err == nil {
			return typed(k, path, v, 0)
		}
		v, err := typed(KeySpec{Name: k.Name, Type: "string"}, path, text, 0)
		return v, err
	case "string":
		return typed(k, path, text, 0)
	}
	return typed(k, path, trimmed, 0)
}

func fromJSON(k KeySpec, path, text string) (any, error) {
	v, err := parseJSON(text)
	if err != nil {
		return nil, wrongType(k, path, typeWords(k.Type)+": write it as JSON")
	}
	return typed(k, path, v, 0)
}

func parseJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// typed turns JSON's value, or a text, into that of a property list.
func typed(k KeySpec, path string, v any, depth int) (any, error) {
	if depth > maxRawDepth {
		return nil, fault.New(fault.Invalid, "send.depth", "%s is nested deeper than %d levels.", quoted(path), maxRawDepth).On(path)
	}
	wrong := func() (any, error) { return nil, wrongType(k, path, typeWords(k.Type)) }
	text, isText := v.(string)
	switch k.Type {
	case "string":
		if !isText {
			return wrong()
		}
		if err := printable(path, text); err != nil {
			return nil, err
		}
		return allowed(k, path, text, text)
	case "integer":
		if n, ok := v.(json.Number); ok {
			text, isText = n.String(), true
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if !isText || err != nil {
			return wrong()
		}
		return allowed(k, path, strconv.FormatInt(n, 10), n)
	case "real":
		if n, ok := v.(json.Number); ok {
			text, isText = n.String(), true
		}
		f, err := strconv.ParseFloat(text, 64)
		if !isText || err != nil || f != f || f-f != 0 { // NaN and infinite ones have no place in a command
			return wrong()
		}
		return f, nil
	case "boolean":
		if b, ok := v.(bool); ok {
			return b, nil
		}
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return wrong()
	case "data":
		b, err := base64.StdEncoding.DecodeString(text)
		if !isText || err != nil {
			return wrong()
		}
		return b, nil
	case "date":
		t, err := time.Parse(time.RFC3339, text)
		if !isText || err != nil {
			return wrong()
		}
		return t.UTC(), nil
	case "array":
		list, ok := v.([]any)
		if !ok {
			return wrong()
		}
		out := make([]any, 0, len(list))
		for i, e := range list {
			t, err := elementOf(k, path+"["+strconv.Itoa(i)+"]", e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
		return out, nil
	case "dictionary":
		d, ok := v.(map[string]any)
		if !ok {
			return wrong()
		}
		return dictionaryOf(k, path, d, depth)
	}
	return free(path, v, depth)
}

func dictionaryOf(k KeySpec, path string, d map[string]any, depth int) (any, error) {
	if len(k.Keys) == 0 { // Apple does not say what is in it
		return free(path, d, depth)
	}
	out := make(map[string]any, len(d))
	for _, name := range sortedKeys(d) {
		sub, ok := keyOf(k, name)
		if !ok {
			return nil, unknownKey(k, path, name)
		}
		if err := printable(join(path, name), name); err != nil {
			return nil, err
		}
		t, err := typed(sub, join(path, name), d[name], depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

// element is one part of an array that was written with commas.
func element(array KeySpec, path, text string) (any, error) {
	if len(array.Keys) == 1 {
		return fromText(array.Keys[0], path, text)
	}
	return nil, wrongType(array, path, "an array of dictionaries: write it as JSON")
}

// elementOf is one element of an array. Where there are several kinds, which are
// dictionaries then, Item tells which it is.
func elementOf(array KeySpec, path string, v any, depth int) (any, error) {
	switch len(array.Keys) {
	case 0:
		return free(path, v, depth)
	case 1:
		return typed(array.Keys[0], path, v, depth)
	}
	d, _ := v.(map[string]any)
	item, _ := d["Item"].(string)
	names := []string{}
	for _, k := range array.Keys {
		if k.Name != item {
			names = append(names, k.Name)
			continue
		}
		if _, listed := keyOf(k, "Item"); !listed { // Apple's schema forgets it for some
			k.Keys = append([]KeySpec{{Name: "Item", Type: "string", Required: true}}, k.Keys...)
		}
		t, err := typed(k, path, v, depth)
		if err != nil {
			return nil, err
		}
		return t, complete(k, t.(map[string]any), path)
	}
	return nil, fault.New(fault.Invalid, "send.item", "%s needs an Item, which is one of %s.", quoted(path), strings.Join(names, ", ")).On(path)
}

// free is a value of which the schema says nothing.
func free(path string, v any, depth int) (any, error) {
	if depth > maxRawDepth {
		return nil, fault.New(fault.Invalid, "send.depth", "%s is nested deeper than %d levels.", quoted(path), maxRawDepth).On(path)
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		return typed(KeySpec{Type: "string"}, path, v, depth)
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, nil
		}
		return typed(KeySpec{Type: "real"}, path, v, depth)
	case []any:
		out := make([]any, 0, len(v))
		for i, e := range v {
			t, err := free(path+"["+strconv.Itoa(i)+"]", e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range sortedKeys(v) {
			if err := printable(join(path, name), name); err != nil {
				return nil, err
			}
			t, err := free(join(path, name), v[name], depth+1)
			if err != nil {
				return nil, err
			}
			out[name] = t
		}
		return out, nil
	}
	return nil, fault.New(fault.Invalid, "send.null", "%s has no value: a property list knows no null.", quoted(path)).On(path)
}

func allowed(k KeySpec, path, text string, v any) (any, error) {
	if len(k.Values) > 0 && !slices.Contains(k.Values, text) {
		if like := nearest(text, k.Values); like != "" {
			return nil, fault.New(fault.Invalid, "send.value", "%s cannot be %s. Is %s meant?", quoted(path), quoted(text), like).On(path)
		}
		return nil, fault.New(fault.Invalid, "send.value", "%s cannot be %s. It is one of %s.", quoted(path), quoted(text), strings.Join(k.Values, ", ")).On(path)
	}
	return v, nil
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
