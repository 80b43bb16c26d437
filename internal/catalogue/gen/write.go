package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// either makes an entry of two that describe the same type: what one of them
// alone requires, or says of values, does not hold for all.
func (e *entry) either(o *entry) {
	if !e.os.ipad() {
		*e = *o
		return
	}
	if !o.os.ipad() {
		return
	}
	e.keys = eitherKeys(e.keys, o.keys)
}

func eitherKeys(a, b []*key) []*key {
	for _, k := range a {
		if find(b, k.name) == nil {
			k.maybe()
		}
	}
	for _, k := range b {
		old := find(a, k.name)
		if old == nil {
			k.maybe()
			a = append(a, k)
			continue
		}
		old.required = old.required && k.required
		if old.rest != k.rest {
			old.rest = ""
		}
		old.keys = eitherKeys(old.keys, k.keys)
	}
	return a
}

// maybe is what is left of a key that one of two descriptions has.
func (k *key) maybe() {
	facts := strings.Split(k.rest, "\t")
	k.required, k.rest = false, strings.Join(slices.DeleteFunc(facts, func(f string) bool { return strings.HasPrefix(f, "values:") }), "\t")
}

// add takes over what an entry of the supplement says.
func (e *entry) add(o *entry) {
	if o.os.introduced != "" && !o.os.silent {
		e.os = o.os
	}
	e.open = e.open || o.open
	e.keys = addKeys(e.keys, o.keys)
	e.answer = addKeys(e.answer, o.answer)
}

func addKeys(a, b []*key) []*key {
	for _, k := range b {
		old := find(a, k.name)
		if old == nil {
			a = append(a, k)
			continue
		}
		for _, v := range [][2]*string{{&old.os.introduced, &k.os.introduced}, {&old.os.deprecated, &k.os.deprecated}, {&old.os.removed, &k.os.removed}} {
			if *v[1] != "" {
				*v[0] = *v[1]
			}
		}
		if k.rest != "" {
			old.rest = k.rest
		}
		if old.kind != k.kind {
			old.kind, old.keys = k.kind, nil
		}
		old.required = k.required
		old.keys = addKeys(old.keys, k.keys)
	}
	return a
}

func find(list []*key, name string) *key {
	for _, k := range list {
		if k.name == name {
			return k
		}
	}
	return nil
}

// table writes what package catalogue reads.
func (g *gathered) table(entries map[string]*entry) ([]byte, error) {
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Made by internal/catalogue/gen of Apple's schema; not to be edited. See NOTICE.\n")
	fmt.Fprintf(&w, "source\tfiles:%d\treplaced:%d\tsupplement:%d\tsha256:%s\n", g.read, g.read-len(g.files), g.added, g.sum())
	profiles := 0
	for _, id := range sorted(entries) {
		e := entries[id]
		w.WriteString(id)
		if !e.os.ipad() {
			w.WriteString("\telsewhere\n") // Apple has it for other devices
			continue
		}
		if e.kind == "profile" {
			profiles++
		}
		facts := e.os.written()
		if e.apply != "" {
			facts = append(facts, "apply:"+e.apply)
		}
		if e.open {
			facts = append(facts, "open")
		}
		line(&w, facts)
		writeKeys(&w, e.keys, 1)
		if len(e.answer) > 0 {
			w.WriteString("answer\n")
			writeKeys(&w, e.answer, 1)
		}
	}
	if profiles == 0 {
		return nil, fmt.Errorf("no schema has a payload for iPads")
	}
	return w.Bytes(), nil
}

func (s support) written() (facts []string) {
	for _, f := range [][2]string{{"since", s.introduced}, {"deprecated", s.deprecated}, {"removed", s.removed}} {
		if f[1] != "" {
			facts = append(facts, f[0]+":"+f[1])
		}
	}
	if s.supervised != nil {
		facts = append(facts, map[bool]string{true: "supervised", false: "supervised:no"}[*s.supervised])
	}
	return append(facts, s.facts...)
}

func writeKeys(w *bytes.Buffer, keys []*key, depth int) {
	for _, k := range keys {
		w.WriteString(strings.Repeat(" ", depth) + k.name + "\t" + k.kind)
		var facts []string
		if k.required {
			facts = append(facts, "required")
		}
		facts = append(facts, k.os.written()...)
		if k.rest != "" {
			facts = append(facts, k.rest)
		}
		if k.open {
			facts = append(facts, "open")
		}
		if k.same > 0 {
			facts = append(facts, fmt.Sprintf("same:%d", k.same))
		}
		line(w, facts)
		writeKeys(w, k.keys, depth+1)
	}
}

func line(w *bytes.Buffer, facts []string) {
	for _, f := range facts {
		w.WriteString("\t" + f)
	}
	w.WriteString("\n")
}
