package catalogue

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Need is what a payload, or some of its keys, ask of an iPad. It says nothing of
// values.
type Need struct {
	Path       string   `json:"path"`           // the payload's type
	Keys       []string `json:"keys,omitempty"` // without: the whole payload
	Supervised bool     `json:"supervised,omitempty"`
	Since      string   `json:"since,omitempty"`
	Removed    string   `json:"removed,omitempty"`
}

// What a need says of an iPad that does not have what it asks for.
const (
	Unsupervised = "unsupervised"
	TooOld       = "too-old"
	Removed      = "removed"
)

const (
	firstIPadOS = "13.0"
	maxNeeds    = 100
	maxNeedKeys = 400
)

// NeedsOf tells what a profile asks of iPads, payload by payload: what any iPad
// has is left out. What the catalogue does not know asks for nothing.
func NeedsOf(doc map[string]any) []Need {
	n := needs{at: map[string]int{}}
	list, _ := doc[content].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		name, _ := p["PayloadType"].(string)
		e, known := FindPayload(name)
		if !known {
			continue
		}
		n.entry(e, p)
	}
	return n.sorted()
}

// CommandNeeds tells what a command and its keys ask of iPads.
func CommandNeeds(requestType string, body map[string]any) []Need {
	n := needs{at: map[string]int{}}
	e, known := Find(Command, requestType)
	if !known {
		return nil
	}
	n.entry(e, body)
	return n.sorted()
}

// entry looks at a payload or command.
func (n *needs) entry(e *Entry, d map[string]any) {
	of := Support{Supervised: e.Supervised, Since: beyondFirst(e.Since), Removed: e.Removed}
	if of != (Support{}) {
		n.add(e.Name, "", of)
	}
	n.keys(e.Name, "", e.Keys, d, e.Support, 0)
}

func (n *needs) sorted() []Need {
	for i := range n.list {
		slices.Sort(n.list[i].Keys)
	}
	slices.SortFunc(n.list, func(a, b Need) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(min(len(a.Keys), 1), min(len(b.Keys), 1)), Versions(a.Since, b.Since), strings.Compare(a.Removed, b.Removed))
	})
	return n.list
}

// NotOnSharedIPads lists the payload types of a profile that do nothing on the
// device channel of a Shared iPad, which is the one a server of devices has.
func NotOnSharedIPads(doc map[string]any) []string {
	out := []string{}
	list, _ := doc[content].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		name, _ := p["PayloadType"].(string)
		if e, known := FindPayload(name); known && (e.NoDevice || e.SharedIPad == "forbidden") && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

type needs struct {
	list []Need
	at   map[string]int // in list, by all but the keys
	keep int
}

func (n *needs) add(path, key string, of Support) {
	id := strings.Join([]string{path, map[bool]string{true: "payload"}[key == ""], strconv.FormatBool(of.Supervised), of.Since, of.Removed}, "\n")
	i, met := n.at[id]
	if !met {
		if len(n.list) == maxNeeds {
			return
		}
		i = len(n.list)
		n.at[id] = i
		n.list = append(n.list, Need{Path: path, Supervised: of.Supervised, Since: of.Since, Removed: of.Removed})
	}
	if key != "" && !slices.Contains(n.list[i].Keys, key) && n.keep < maxNeedKeys {
		n.keep++
		n.list[i].Keys = append(n.list[i].Keys, key)
	}
}

// keys looks at the keys that are there and ask for more than what holds them.
func (n *needs) keys(payload, path string, keys []*Key, d map[string]any, holds Support, depth int) {
	if depth > maxDepth {
		return
	}
	for _, name := range sortedKeys(d) {
		k, known := keyOf(keys, name)
		if !known {
			continue
		}
		of, here := Support{}, path
		if k.Name == name {
			here = join(path, name)
			if k.Supervised && !holds.Supervised {
				of.Supervised = true
			}
			if k.Since != holds.Since && Versions(k.Since, holds.Since) > 0 {
				of.Since = beyondFirst(k.Since)
			}
			if k.Removed != holds.Removed {
				of.Removed = k.Removed
			}
			if of != (Support{}) {
				n.add(payload, here, of)
			}
		}
		n.inside(payload, here, k, d[name], depth+1)
	}
}

// inside looks into a dictionary, or the elements of an array.
func (n *needs) inside(payload, path string, k *Key, v any, depth int) {
	switch v := v.(type) {
	case map[string]any:
		if k.Type == "dictionary" {
			n.keys(payload, path, k.Keys(), v, k.Support, depth)
		}
	case []any:
		if len(k.Keys()) != 1 || depth > maxDepth || n.keep >= maxNeedKeys {
			return
		}
		for _, e := range v {
			n.inside(payload, path, k.Keys()[0], e, depth+1)
		}
	}
}

// beyondFirst is a version that not every iPad has.
func beyondFirst(v string) string {
	if Versions(v, firstIPadOS) <= 0 {
		return ""
	}
	return v
}

// Lacks tells what an iPad lacks for it, or "". What is not known of the iPad it
// does not lack.
func (n Need) Lacks(os string, supervised *bool) string {
	known := os != "" && os[0] >= '0' && os[0] <= '9'
	switch {
	case known && n.Since != "" && Versions(os, n.Since) < 0:
		return TooOld
	case known && n.Removed != "" && Versions(os, n.Removed) >= 0:
		return Removed
	case n.Supervised && supervised != nil && !*supervised:
		return Unsupervised
	}
	return ""
}

// Versions compares "17.4" with "17.10": by numbers, missing ones are 0.
func Versions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		m, _ := strconv.Atoi(x)
		n, _ := strconv.Atoi(y)
		if c := cmp.Compare(m, n); c != 0 {
			return c
		}
	}
	return 0
}
