package catalogue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// reader takes the table in, line by line.
type reader struct {
	t     *table
	e     *Entry
	into  *[]*Key // of the entry: what comes next
	above []*Key  // of the line before, by depth
}

// read reads the text of a table. Lines it does not understand are left out, and
// the last of them is the error.
func read(text string) (*table, error) {
	r := reader{t: &table{entries: map[Kind]map[string]*Entry{}, names: map[Kind][]string{}}}
	var wrong error
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		if !r.line(line) {
			wrong = fmt.Errorf("the line %q of the table is out of place", line)
		}
	}
	for k := range r.t.names {
		slices.Sort(r.t.names[k])
	}
	return r.t, wrong
}

func (r *reader) line(line string) bool {
	depth := len(line) - len(strings.TrimLeft(line, " "))
	fields := strings.Split(line[depth:], "\t")
	switch {
	case depth > 0:
		return r.e != nil && depth <= len(r.above)+1 && len(fields) >= 2 && r.key(depth, fields)
	case fields[0] == "source":
		for _, f := range fields[1:] {
			r.t.source.fact(f)
		}
		return true
	case line == "answer":
		if r.e == nil {
			return false
		}
		r.into, r.above = &r.e.Answer, nil
		return true
	}
	kind, name, ok := strings.Cut(fields[0], " ")
	r.e = &Entry{Kind: Kind(kind), Name: name}
	r.into, r.above = &r.e.Keys, nil
	for _, f := range fields[1:] {
		ok = r.e.fact(f) && ok
	}
	if r.t.entries[r.e.Kind] == nil {
		r.t.entries[r.e.Kind] = map[string]*Entry{}
	}
	r.t.entries[r.e.Kind][name] = r.e
	if !r.e.Elsewhere {
		r.t.names[r.e.Kind] = append(r.t.names[r.e.Kind], name)
	}
	return ok
}

func (r *reader) key(depth int, fields []string) bool {
	k := &Key{Name: fields[0], Type: fields[1], Support: r.e.Support} // what it does not say is as what holds it says
	list := r.into
	if depth > 1 {
		k.Support = r.above[depth-2].Support
		list = &r.above[depth-2].keys
	}
	ok := true
	for _, f := range fields[2:] {
		if up, is := strings.CutPrefix(f, "same:"); is {
			n, err := strconv.Atoi(up)
			if err != nil || n < 1 || n >= depth {
				return false
			}
			k.same = r.above[depth-1-n]
			continue
		}
		ok = k.fact(f) && ok
	}
	*list = append(*list, k)
	r.above = append(r.above[:depth-1], k)
	return ok
}

func (s *Source) fact(f string) bool {
	name, v, _ := strings.Cut(f, ":")
	n, _ := strconv.Atoi(v)
	switch name {
	case "files":
		s.Files = n
	case "replaced":
		s.Replaced = n
	case "supplement":
		s.Supplement = n
	case "sha256":
		s.SHA256 = v
	default:
		return false
	}
	return true
}

func (e *Entry) fact(f string) bool {
	name, v, _ := strings.Cut(f, ":")
	switch name {
	case "elsewhere":
		e.Elsewhere = true
	case "open":
		e.Open = true
	case "rights":
		e.Rights = v
	case "apply":
		e.Apply = v
	case "enrollments":
		e.Enrollments = strings.Split(v, "|")
	default:
		return e.Support.fact(name, v)
	}
	return true
}

func (k *Key) fact(f string) bool {
	name, v, _ := strings.Cut(f, ":")
	switch name {
	case "required":
		k.Required = true
	case "open":
		k.Open = true
	case "values":
		k.Values = strings.Split(v, "|")
	case "min":
		k.Min = v
	case "max":
		k.Max = v
	case "format":
		k.Format = v
	case "default":
		k.Default = v
	case "combine":
		k.Combine = v
	case "assets":
		k.Assets = strings.Split(v, "|")
	case "rights", "enrollments":
	default:
		return k.Support.fact(name, v)
	}
	return true
}

func (s *Support) fact(name, v string) bool {
	yes := v != "no"
	switch name {
	case "since":
		s.Since = v
	case "deprecated":
		s.Deprecated = v
	case "removed":
		s.Removed = v
	case "supervised":
		s.Supervised = yes
	case "multiple":
		s.Single = !yes
	case "manual":
		s.NotByHand = !yes
	case "ade":
		s.ADE = yes
	case "shared":
		s.SharedIPad = v
	case "shared-device":
		s.NoDevice = !yes
	case "shared-user":
		s.NoUser = !yes
	case "user-enrollment":
		s.UserEnrollment = v
	case "scopes", "shared-scopes", "always-skippable":
	default:
		return false
	}
	return true
}
