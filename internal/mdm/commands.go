package mdm

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"

	"ranzen/internal/fault"
)

//go:embed apple.json
var appleJSON []byte

type keySpec struct {
	Type     string             `json:"type"`
	Required bool               `json:"required"`
	Values   []any              `json:"values"`
	Keys     map[string]keySpec `json:"keys"`
	Item     *keySpec           `json:"item"`
}

// CommandSpec is what Apple's schema says of a command for iPads.
type CommandSpec struct {
	Supervised bool   `json:"supervised"` // supervised devices only
	Since      string `json:"since"`      // first iPadOS that knows it

	Keys map[string]keySpec `json:"keys"`
}

type appleTables struct {
	Commands     map[string]CommandSpec `json:"commands"`
	Restrictions map[string]string      `json:"restrictions"`
}

// tables reads apple.json once. It is made by ./gen and held by a test.
var tables = sync.OnceValue(func() (t appleTables) {
	_ = json.Unmarshal(appleJSON, &t) // an empty table refuses every name, and the test fails
	return t
})

// CommandSpecOf finds a command of Apple's by its RequestType.
func CommandSpecOf(requestType string) (CommandSpec, bool) {
	c, ok := tables().Commands[requestType]
	return c, ok
}

// CommandNames are the commands that BuildRaw makes.
func CommandNames() []string {
	var out []string
	for name := range tables().Commands {
		if _, elsewhere := ownCommand(name); !elsewhere {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// ownCommand names the command line's word for what must not be sent by hand:
// the desired state would undo it, or a question must be asked before it.
func ownCommand(requestType string) (instead string, is bool) {
	switch requestType {
	case "InstallProfile":
		return "ranzen profile add and ranzen assign", true
	case "RemoveProfile", "RemoveApplication":
		return "ranzen unassign", true
	case "InstallApplication":
		return "ranzen app add and ranzen assign", true
	case "EraseDevice":
		return "ranzen device erase", true
	case "EnableLostMode":
		return "ranzen device lost", true
	case "DisableLostMode":
		return "ranzen device found", true
	case "DeviceLocation":
		return "ranzen device locate", true
	case "PlayLostModeSound":
		return "ranzen device sound", true
	case "ClearPasscode":
		return "ranzen device clear-passcode", true
	case "DeclarativeManagement":
		return "nothing: this server does not use declarative management yet", true
	}
	return "", false
}

// BuildRaw makes the body of one of Apple's commands of texts, as a command line
// gives them. Keys of dictionaries are joined by dots; lists are separated by
// commas; dictionaries and lists of them are JSON; data is base64.
func BuildRaw(requestType string, args map[string]string) (map[string]any, error) {
	spec, known := CommandSpecOf(requestType)
	if !known {
		return nil, fault.New(fault.Invalid, "command.name", "Apple has no command %q for iPads. Did you mean %s?", Clean(requestType), nearest(requestType)).On("command")
	}
	if instead, is := ownCommand(requestType); is {
		return nil, fault.New(fault.Invalid, "command.own", "%s is not sent by hand. Use instead: %s.", requestType, instead).On("command")
	}
	body := map[string]any{}
	for path, text := range args {
		if err := place(body, spec.Keys, strings.Split(path, "."), path, text, requestType); err != nil {
			return nil, err
		}
	}
	return body, complete(body, spec.Keys, requestType)
}

func place(into map[string]any, keys map[string]keySpec, path []string, whole, text, command string) error {
	k, known := keys[path[0]]
	if !known {
		names := make([]string, 0, len(keys))
		for n := range keys {
			names = append(names, n)
		}
		sort.Strings(names)
		hint := "It takes no keys."
		if len(names) > 0 {
			hint = "It knows " + strings.Join(names, ", ") + "."
		}
		return fault.New(fault.Invalid, "command.key", "%s has no key %q. %s", command, Clean(whole), hint).On(Clean(whole))
	}
	if len(path) == 1 {
		v, err := k.value(text)
		if err != nil {
			return fault.New(fault.Invalid, "command.value", "The key %s of %s %s.", whole, command, err.Error()).On(whole)
		}
		into[path[0]] = v
		return nil
	}
	inner, ok := into[path[0]].(map[string]any)
	if !ok {
		inner = map[string]any{}
		into[path[0]] = inner
	}
	return place(inner, k.Keys, path[1:], whole, text, command)
}

// wrongValue is the end of a sentence: "must be true or false".
type wrongValue string

func (w wrongValue) Error() string { return string(w) }

func (k keySpec) value(text string) (any, error) {
	if text != Clean(text) {
		return nil, wrongValue("has control characters or is too long")
	}
	switch k.Type {
	case "boolean":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, wrongValue("must be true or false")
		}
		return b, nil
	case "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, wrongValue("must be a whole number")
		}
		return n, k.allowed(n)
	case "real":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f {
			return nil, wrongValue("must be a number")
		}
		return f, nil
	case "data":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, wrongValue("must be base64")
		}
		return b, nil
	case "array":
		return k.list(text)
	case "dictionary", "any":
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, wrongValue("must be JSON")
		}
		return k.fromJSON(v)
	}
	return text, k.allowed(text)
}

func (k keySpec) list(text string) (any, error) {
	out := []any{}
	if strings.HasPrefix(text, "[") {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, wrongValue("must be a list")
		}
		return k.fromJSON(v)
	}
	item := keySpec{Type: "string"}
	if k.Item != nil {
		item = *k.Item
	}
	for _, part := range strings.Split(text, ",") {
		v, err := item.value(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// fromJSON gives a value of JSON the types that Apple wants.
func (k keySpec) fromJSON(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if k.Type != "dictionary" && k.Type != "any" {
			return nil, wrongValue("must be a " + k.Type)
		}
		out := map[string]any{}
		for name, inner := range v {
			spec, known := k.Keys[name]
			if !known && len(k.Keys) > 0 {
				return nil, wrongValue(fmt.Sprintf("has no key %q", Clean(name)))
			}
			if !known {
				spec = keySpec{Type: "any"}
			}
			w, err := spec.fromJSON(inner)
			if err != nil {
				return nil, err
			}
			out[name] = w
		}
		return out, nil
	case []any:
		if k.Type != "array" && k.Type != "any" {
			return nil, wrongValue("must be a " + k.Type)
		}
		item := keySpec{Type: "any"}
		if k.Item != nil {
			item = *k.Item
		}
		out := make([]any, 0, len(v))
		for _, inner := range v {
			w, err := item.fromJSON(inner)
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
		return out, nil
	case string:
		if k.Type == "any" {
			return v, nil
		}
		return k.value(v)
	case bool:
		if k.Type != "boolean" && k.Type != "any" {
			return nil, wrongValue("must be a " + k.Type)
		}
		return v, nil
	case float64:
		if v == float64(int64(v)) && k.Type != "real" {
			return int64(v), nil
		}
		return v, nil
	}
	return nil, wrongValue("must not be null")
}

func (k keySpec) allowed(v any) error {
	if len(k.Values) == 0 {
		return nil
	}
	words := make([]string, 0, len(k.Values))
	for _, a := range k.Values {
		word := fmt.Sprint(a)
		if word == fmt.Sprint(v) {
			return nil
		}
		words = append(words, word)
	}
	return wrongValue("must be one of " + strings.Join(words, ", "))
}

func complete(body map[string]any, keys map[string]keySpec, command string) error {
	for name, k := range keys {
		v, there := body[name]
		if !there && k.Required {
			return fault.New(fault.Invalid, "command.missing", "%s needs the key %s.", command, name).On(name)
		}
		if inner, is := v.(map[string]any); is {
			if err := complete(inner, k.Keys, command+" > "+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearest is the command whose name is most like a word.
func nearest(word string) string {
	best, least := "RestartDevice", 1<<30
	for _, name := range CommandNames() {
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is Levenshtein's, on words of bounded length.
func distance(a, b string) int {
	a = a[:min(len(a), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
