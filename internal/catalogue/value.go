package catalogue

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fit takes text as a person types it, or a value of JSON.
func fit(k *Key, path string, v any) (any, error) {
	if text, is := v.(string); is {
		return fromText(k, path, text)
	}
	return typed(k, path, v, 0)
}

// fromText reads a value as a person types it.
func fromText(k *Key, path, text string) (any, error) {
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
		if v, err := parseJSON(trimmed); err == nil {
			return typed(k, path, v, 0)
		}
		return typed(&Key{Name: k.Name, Type: "string"}, path, text, 0)
	case "string":
		return typed(k, path, text, 0)
	}
	return typed(k, path, trimmed, 0)
}

func fromJSON(k *Key, path, text string) (any, error) {
	v, err := parseJSON(text)
	if err != nil {
		return nil, wrongType(path, typeWords(k.Type)+": write it as JSON")
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

func tooDeep(path string) error {
	return misfit("depth", path, quoted(path)+" is nested deeper than "+strconv.Itoa(maxDepth)+" levels.")
}

// typed turns JSON's value, or a text, into that of a property list.
func typed(k *Key, path string, v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, tooDeep(path)
	}
	wrong := func() (any, error) { return nil, wrongType(path, typeWords(k.Type)) }
	text, isText := v.(string)
	if n, ok := number(v); ok && (k.Type == "integer" || k.Type == "real") {
		text, isText = n, true
	}
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
		n, err := strconv.ParseInt(text, 10, 64)
		if !isText || err != nil {
			return wrong()
		}
		return allowed(k, path, strconv.FormatInt(n, 10), n)
	case "real":
		f, err := strconv.ParseFloat(text, 64)
		if !isText || err != nil || f != f || f-f != 0 { // NaN and infinite ones have no place in a property list
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
		if b, ok := v.([]byte); ok {
			return b, nil
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if !isText || err != nil {
			return wrong()
		}
		return b, nil
	case "date":
		if t, ok := v.(time.Time); ok {
			return t.UTC(), nil
		}
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
			t, err := elementOf(k, index(path, i), e, depth+1)
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

// number is a number as JSON or code has it, in digits.
func number(v any) (string, bool) {
	switch n := v.(type) {
	case json.Number:
		return n.String(), true
	case int:
		return strconv.Itoa(n), true
	case int64:
		return strconv.FormatInt(n, 10), true
	case uint64:
		return strconv.FormatUint(n, 10), true
	case float64:
		return strconv.FormatFloat(n, 'f', -1, 64), true
	}
	return "", false
}

func dictionaryOf(k *Key, path string, d map[string]any, depth int) (any, error) {
	if len(k.Keys()) == 0 { // Apple does not say what is in it
		return free(path, d, depth)
	}
	out := make(map[string]any, len(d))
	for _, name := range sortedKeys(d) {
		inner, ok := sub(k, name)
		if !ok {
			return nil, unknownKey(k, path, name)
		}
		if err := printable(join(path, name), name); err != nil {
			return nil, err
		}
		t, err := typed(inner, join(path, name), d[name], depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

// element is one part of an array that was written with commas.
func element(array *Key, path, text string) (any, error) {
	if len(array.Keys()) == 1 {
		return fromText(array.Keys()[0], path, text)
	}
	return nil, wrongType(path, "an array of dictionaries: write it as JSON")
}

// elementOf is one element of an array. Where there are several kinds, which are
// dictionaries then, Item tells which it is.
func elementOf(array *Key, path string, v any, depth int) (any, error) {
	switch len(array.Keys()) {
	case 0:
		return free(path, v, depth)
	case 1:
		return typed(array.Keys()[0], path, v, depth)
	}
	k, ok := itemOf(array, v)
	if !ok {
		return nil, misfit("item", path, quoted(path)+" needs an Item, which is one of "+strings.Join(array.names(), ", ")+".")
	}
	t, err := typed(k, path, v, depth)
	if err != nil {
		return nil, err
	}
	return t, complete(k, t.(map[string]any), path)
}

// itemOf is which of several kinds of elements a dictionary is.
func itemOf(array *Key, v any) (*Key, bool) {
	d, _ := v.(map[string]any)
	item, _ := d["Item"].(string)
	k, ok := exactly(array, item)
	if !ok {
		return nil, false
	}
	if _, listed := exactly(k, "Item"); listed {
		return k, true
	}
	c := *k // Apple's schema forgets it for some
	c.keys, c.same = append([]*Key{{Name: "Item", Type: "string", Required: true}}, k.Keys()...), nil
	return &c, true
}

// free is a value of which the schema says nothing.
func free(path string, v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, tooDeep(path)
	}
	if n, ok := number(v); ok {
		if n, err := strconv.ParseInt(n, 10, 64); err == nil {
			return n, nil
		}
		return typed(&Key{Type: "real"}, path, v, depth)
	}
	switch v := v.(type) {
	case bool, []byte, time.Time:
		return v, nil
	case string:
		return typed(&Key{Type: "string"}, path, v, depth)
	case []any:
		out := make([]any, 0, len(v))
		for i, e := range v {
			t, err := free(index(path, i), e, depth+1)
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
	return nil, misfit("null", path, quoted(path)+" has no value: a property list knows no null.")
}

func allowed(k *Key, path, text string, v any) (any, error) {
	if len(k.Values) > 0 && !slices.Contains(k.Values, text) {
		if like := Nearest(text, k.Values); like != "" {
			return nil, misfit("value", path, quoted(path)+" cannot be "+quoted(text)+". Is "+like+" meant?")
		}
		return nil, misfit("value", path, quoted(path)+" cannot be "+quoted(text)+". It is one of "+strings.Join(k.Values, ", ")+".")
	}
	return v, nil
}
