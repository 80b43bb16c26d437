package main

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// nodeOf writes a property list's value as YAML. Keys are sorted, so that a file
// changes only where what it says changes.
func nodeOf(v any) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := v.(type) {
	case string:
		n.SetString(v)
	case []byte:
		n.Tag, n.Value = "!!binary", base64.StdEncoding.EncodeToString(v)
	case time.Time:
		n.Tag, n.Value = "!!timestamp", v.UTC().Format(time.RFC3339)
	case map[string]any:
		n.Kind = yaml.MappingNode
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Slice(keys, func(i, j int) bool { return keyLess(keys[i], keys[j]) })
		for _, k := range keys {
			value, err := nodeOf(v[k])
			if err != nil {
				return nil, err
			}
			key := &yaml.Node{Kind: yaml.ScalarNode}
			key.SetString(k)
			n.Content = append(n.Content, key, value)
		}
	case []any:
		n.Kind = yaml.SequenceNode
		for _, e := range v {
			value, err := nodeOf(e)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, value)
		}
	default:
		return n, n.Encode(v) //nolint:wrapcheck // numbers and booleans, which cannot fail
	}
	return n, nil
}

// keyLess puts what a payload is before what it says.
func keyLess(a, b string) bool {
	first := []string{"PayloadType", "PayloadIdentifier", "PayloadDisplayName"}
	i, j := slices.Index(first, a), slices.Index(first, b)
	if i < 0 {
		i = len(first)
	}
	if j < 0 {
		j = len(first)
	}
	if i != j {
		return i < j
	}
	return a < b
}

// maxNesting bounds how deep a value may be: no payload is half as deep.
const maxNesting = 32

// plistOf reads YAML as a property list's value.
func plistOf(file string, n *yaml.Node, depth int) (any, error) {
	if depth > maxNesting {
		return nil, badLine(file, n, "it is nested too deeply")
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, twice := out[key.Value]; twice {
				return nil, badLine(file, key, "%s is said twice", key.Value)
			}
			v, err := plistOf(file, n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			out[key.Value] = v
		}
		return out, nil
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			v, err := plistOf(file, e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.ScalarNode:
		return scalarOf(file, n)
	}
	return nil, badLine(file, n, "anchors and aliases are not understood: write it out")
}

func scalarOf(file string, n *yaml.Node) (any, error) {
	var err error
	switch n.ShortTag() {
	case "!!str":
		return n.Value, nil
	case "!!bool":
		var v bool
		err = n.Decode(&v)
		return v, wrongValue(file, n, err)
	case "!!int":
		var v int64
		if err = n.Decode(&v); err == nil {
			return v, nil
		}
		var u uint64
		err = n.Decode(&u)
		return u, wrongValue(file, n, err)
	case "!!float":
		var v float64
		if err = n.Decode(&v); err == nil && (math.IsInf(v, 0) || math.IsNaN(v)) {
			err = fmt.Errorf("%s is no number of a property list", n.Value)
		}
		return v, wrongValue(file, n, err)
	case "!!timestamp":
		var v time.Time
		err = n.Decode(&v)
		return v, wrongValue(file, n, err)
	case "!!binary":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		return b, wrongValue(file, n, err)
	}
	return nil, badLine(file, n, "there is no value; write \"\" for an empty text")
}

func wrongValue(file string, n *yaml.Node, err error) error {
	if err == nil {
		return nil
	}
	return badLine(file, n, "%q is no %s", plain(n.Value), strings.TrimPrefix(n.ShortTag(), "!!"))
}

// badLine is what is wrong in a file, and where.
func badLine(file string, n *yaml.Node, format string, args ...any) error {
	return failedf("%s, line %d: %s.", file, n.Line, fmt.Sprintf(format, args...))
}

// fields reads a mapping whose keys are known: others are refused with their
// line, since a misspelt one would be a wish that nobody hears.
func fields(file string, n *yaml.Node, known ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, badLine(file, n, "here belong %s", strings.Join(known, ", "))
	}
	out := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !slices.Contains(known, key.Value) {
			return nil, badLine(file, key, "%q is not known here; there are %s", plain(key.Value), strings.Join(known, ", "))
		}
		if out[key.Value] != nil {
			return nil, badLine(file, key, "%s is said twice", key.Value)
		}
		out[key.Value] = n.Content[i+1]
	}
	return out, nil
}

func text(file string, n *yaml.Node, in map[string]*yaml.Node, key string, must bool) (string, error) {
	v := in[key]
	if v == nil || v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" {
		if must {
			return "", badLine(file, n, "%s is missing", key)
		}
		return "", nil
	}
	if v.Kind != yaml.ScalarNode {
		return "", badLine(file, v, "%s is a text", key)
	}
	return v.Value, nil // also of numbers: 409183694
}

func truth(file string, in map[string]*yaml.Node, key string) (bool, error) {
	v := in[key]
	if v == nil {
		return false, nil
	}
	var b bool
	if v.ShortTag() != "!!bool" || v.Decode(&b) != nil {
		return false, badLine(file, v, "%s is true or false", key)
	}
	return b, nil
}

// entries are the elements of a list; "key:" with nothing behind is an empty one.
func entries(file string, n *yaml.Node) ([]*yaml.Node, error) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return []*yaml.Node{}, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, badLine(file, n, "here belongs a list: each entry begins with a dash")
	}
	return n.Content, nil
}
