package catalogue

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxFindings is how many a check lists. Who has more mends some first.
const maxFindings = 100

// CheckProfile holds a profile to what Apple publishes. doc is a decoded property
// list that is nested at most 64 deep; the work is linear in its size.
func CheckProfile(doc map[string]any) []Finding {
	c := &checker{}
	top, _ := Find(Profile, topLevel)
	rest := make(map[string]any, len(doc))
	for k, v := range doc {
		if k != content {
			rest[k] = v
		}
	}
	if _, there := doc[content]; there {
		rest[content] = []any{} // looked at below
	}
	c.dictionary("the profile", top.Since, top.Keys, top.Open, rest, "", "")
	list, is := doc[content].([]any)
	if !is {
		if v, there := doc[content]; there {
			c.add(found("key.type", content, kindWords(v), "a list"))
		}
		return c.findings
	}
	types := map[string]int{}
	for i, v := range list {
		at := index(content, i)
		p, is := v.(map[string]any)
		if !is {
			c.add(found("key.type", at, kindWords(v), "a dictionary"))
			continue
		}
		c.payload(p, at, types)
	}
	return c.findings
}

func (c *checker) payload(p map[string]any, at string, types map[string]int) {
	around, _ := Find(Profile, common)
	name, is := p["PayloadType"].(string)
	if !is {
		c.dictionary("a payload", around.Since, around.Keys, true, p, at, at)
		return
	}
	e, known := Find(Profile, name)
	if !known || name == topLevel || name == common {
		if e != nil && e.Elsewhere {
			c.add(found("type.elsewhere", join(at, "PayloadType"), short(name)))
		} else {
			c.add(found("type.unknown", join(at, "PayloadType"), quoted(name), meant(Nearest(name, loaded().names[Profile]))))
		}
		c.dictionary("a payload", around.Since, around.Keys, true, p, at, at)
		return
	}
	types[name]++
	if e.Single && types[name] > 1 {
		c.add(found("payload.twice", at, name))
	}
	c.dictionary(name, e.Since, slices.Concat(e.Keys, lacking(around.Keys, e.Keys)), e.Open, p, at, at)
}

// lacking are the keys of a that b does not have.
func lacking(a, b []*Key) (out []*Key) {
	for _, k := range a {
		if !slices.ContainsFunc(b, func(o *Key) bool { return o.Name == k.Name }) {
			out = append(out, k)
		}
	}
	return out
}

// CheckCommand holds the body of a command, without its RequestType, to what Apple
// publishes.
func CheckCommand(requestType string, body map[string]any) []Finding {
	c := &checker{}
	c.entry(Command, "RequestType", requestType, body, func(e *Entry) []*Key { return e.Keys })
	return c.findings
}

// CheckAnswer holds what a device answers to a command to it, without what
// surrounds every answer.
func CheckAnswer(requestType string, body map[string]any) []Finding {
	c := &checker{}
	c.entry(Command, "RequestType", requestType, body, func(e *Entry) []*Key { return e.Answer })
	return c.findings
}

// CheckCheckIn holds a check-in message to what Apple publishes.
func CheckCheckIn(doc map[string]any) []Finding {
	c := &checker{}
	name, _ := doc["MessageType"].(string)
	c.entry(CheckIn, "MessageType", name, doc, func(e *Entry) []*Key { return e.Keys })
	return c.findings
}

// CheckDeclaration holds a declaration, decoded from JSON, to what Apple publishes.
func CheckDeclaration(doc map[string]any) []Finding {
	c := &checker{json: true}
	around, _ := Find(Declaration, "any")
	c.dictionary("a declaration", around.Since, around.Keys, false, doc, "", "")
	name, _ := doc["Type"].(string)
	payload, is := doc["Payload"].(map[string]any)
	if !is {
		return c.findings
	}
	e, known := Find(Declaration, name)
	if !known || name == "any" {
		c.unknownType(e, "Type", name, Declaration)
		return c.findings
	}
	c.dictionary(name, e.Since, e.Keys, e.Open, payload, "Payload", "Payload")
	return c.findings
}

func (c *checker) entry(kind Kind, where, name string, body map[string]any, keys func(*Entry) []*Key) {
	e, known := Find(kind, name)
	if !known {
		c.unknownType(e, where, name, kind)
		return
	}
	c.dictionary(name, e.Since, keys(e), e.Open, body, "", "")
}

func (c *checker) unknownType(e *Entry, where, name string, kind Kind) {
	if e != nil && e.Elsewhere {
		c.add(found("type.elsewhere", where, short(name)))
		return
	}
	c.add(found("type.unknown", where, quoted(name), meant(Nearest(name, loaded().names[kind]))))
}

// checker gathers findings.
type checker struct {
	findings []Finding
	json     bool // data and times are texts
	depth    int
}

func (c *checker) full() bool { return len(c.findings) > maxFindings }

func (c *checker) add(f Finding) {
	switch {
	case len(c.findings) < maxFindings:
		c.findings = append(c.findings, f)
	case len(c.findings) == maxFindings:
		c.findings = append(c.findings, found("findings.more", f.Path, strconv.Itoa(maxFindings)))
	}
}

// dictionary looks at the keys that are there, in order, and for those that are
// required. since is the first iPadOS that has the dictionary, at is whose line is
// meant where a key is missing.
func (c *checker) dictionary(of, since string, keys []*Key, open bool, d map[string]any, path, at string) {
	known := make(map[string]*Key, len(keys))
	for _, k := range keys {
		known[k.Name] = k
	}
	for _, name := range sortedKeys(d) {
		if c.full() {
			return
		}
		k := known[name]
		if k == nil {
			k = known["ANY"]
		}
		switch {
		case k != nil:
			c.value(k, d[name], step(path, name))
		case !open:
			c.add(found("key.unknown", step(path, name), of, meant(nearestKey(name, keys))))
		}
	}
	for _, k := range keys {
		if _, there := d[k.Name]; there || !k.always() {
			continue
		}
		code := "key.missing"
		if Versions(k.Since, since) > 0 {
			code = "key.absent" // what is younger than its dictionary was not required always
		}
		f := found(code, join(path, k.Name), of)
		f.within = &at
		c.add(f)
	}
}

// step is the path of a key. No key that anybody means is longer.
func step(path, name string) string { return join(path, short(name[:min(len(name), 256)])) }

// always tells whether a key is required whatever the device and its enrollment.
func (k *Key) always() bool {
	return k.Required && k.Name != "ANY" && k.Removed == "" && k.UserEnrollment != "required" && k.SharedIPad != "required"
}

func nearestKey(name string, keys []*Key) string {
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		names = append(names, k.Name)
	}
	return Nearest(name, names)
}

// meant is a hint.
func meant(name string) string {
	if name == "" {
		return ""
	}
	return " Is " + name + " meant?"
}

func (c *checker) value(k *Key, v any, path string) {
	if c.depth++; c.depth > 64 {
		c.depth--
		return
	}
	defer func() { c.depth-- }()
	switch c.fits(k.Type, v) {
	case no:
		c.add(found("key.type", path, kindWords(v), wordsOf(k.Type)))
		return
	case perhaps:
		c.add(found("key.kind", path, kindWords(v), wordsOf(k.Type)))
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if k.Type == "dictionary" && len(k.Keys()) > 0 {
			c.dictionary(k.Name, k.Since, k.Keys(), k.Open, v, path, path)
		}
	case []any:
		if k.Type == "array" {
			c.array(k, v, path)
		}
	default:
		c.scalar(k, v, path)
	}
}

func (c *checker) array(k *Key, list []any, path string) {
	kinds := k.Keys()
	for i, v := range list {
		if c.full() {
			return
		}
		switch len(kinds) {
		case 0:
			return
		case 1:
			c.value(kinds[0], v, index(path, i))
		default:
			if one, ok := itemOf(k, v); ok {
				c.value(one, v, index(path, i))
			} else {
				c.add(found("key.value", join(index(path, i), "Item"), strings.Join(k.names(), ", ")))
			}
		}
	}
}

// scalar looks at a value of the right type.
func (c *checker) scalar(k *Key, v any, path string) {
	text, isText := v.(string)
	digits, isNumber := number(v)
	if isNumber {
		text = digits
	}
	if !isText && !isNumber || isText && strings.Contains(text, "$") { // what stands for a variable is not known yet
		return
	}
	if len(k.Values) > 0 && !slices.ContainsFunc(k.Values, func(v string) bool { return v == text || isNumber && equal(v, text) }) {
		c.add(found("key.value", path, few(k.Values)))
	}
	if isNumber && (k.Min != "" || k.Max != "") && !between(text, k.Min, k.Max) {
		c.add(found("key.range", path, orAny(k.Min), orAny(k.Max)))
	}
	if isText && k.Format != "" && len(text) <= 1024 {
		if re, err := regexp.Compile(k.Format); err == nil && !re.MatchString(text) {
			c.add(found("key.format", path, k.Format))
		}
	}
}

func few(values []string) string {
	if len(values) > 20 {
		return strings.Join(values[:20], ", ") + ", …"
	}
	return strings.Join(values, ", ")
}

func orAny(v string) string {
	if v == "" {
		return "any length"
	}
	return v
}

// equal tells whether 2.0 is 2.
func equal(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}

func between(text, low, high string) bool {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return false
	}
	if f, err := strconv.ParseFloat(low, 64); err == nil && n < f {
		return false
	}
	f, err := strconv.ParseFloat(high, 64)
	return err != nil || n <= f
}

type answer int

const (
	yes answer = iota
	perhaps
	no
)

// fits tells whether a value has a type. Property lists know numbers and truth
// values apart, iPads mostly do not.
func (c *checker) fits(kind string, v any) answer {
	ok := false
	switch kind {
	case "string":
		_, ok = v.(string)
	case "integer":
		digits, is := number(v)
		if _, truth := v.(bool); truth {
			return perhaps
		}
		_, err := strconv.ParseInt(digits, 10, 64)
		if f, isReal := v.(float64); isReal && !c.json && err == nil && f == float64(int64(f)) {
			return perhaps
		}
		if _, err2 := strconv.ParseUint(digits, 10, 64); is && err != nil && err2 == nil {
			err = nil
		}
		ok = is && err == nil
	case "real":
		_, ok = number(v)
	case "boolean":
		if digits, is := number(v); is && (digits == "0" || digits == "1") {
			return perhaps
		}
		_, ok = v.(bool)
	case "data":
		_, ok = v.([]byte)
		if text, is := v.(string); is && c.json {
			_, err := base64.StdEncoding.DecodeString(text)
			ok = err == nil
		}
	case "date":
		_, ok = v.(time.Time)
		if text, is := v.(string); is && c.json {
			_, err := time.Parse(time.RFC3339, text)
			ok = err == nil
		}
	case "array":
		_, ok = v.([]any)
	case "dictionary":
		_, ok = v.(map[string]any)
	default:
		ok = true
	}
	if ok {
		return yes
	}
	return no
}

// kindWords is what a value is.
func kindWords(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int, int64, uint64:
		return "a whole number"
	case float64, json.Number:
		return "a number"
	case []byte:
		return "data"
	case time.Time:
		return "a time"
	case []any:
		return "a list"
	case map[string]any:
		return "a dictionary"
	}
	return "nothing"
}

func wordsOf(kind string) string {
	switch kind {
	case "data":
		return "data"
	case "date":
		return "a time"
	}
	return typeWords(kind)
}
