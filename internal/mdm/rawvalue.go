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

	"ranzen/internal/fault"
)

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
