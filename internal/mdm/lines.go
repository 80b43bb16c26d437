package mdm

import (
	"bytes"
	"html"
	"strconv"
)

// maxPath is how long a path may be whose line is looked for, in bytes.
const maxPath = 1024

// Lines tells on which lines of an XML property list values stand. Paths are such
// as "PayloadContent[2].EAPClientConfiguration"; "" is the list itself. Where
// there is no such path it is missing, as are all where b is no XML. It reads b
// once.
func Lines(b []byte, paths ...string) map[string]int {
	out := map[string]int{}
	if len(paths) == 0 || guardXML(b) != nil {
		return out
	}
	wanted := map[string]bool{}
	for _, p := range paths {
		wanted[p] = true
	}
	l := liner{b: b, scanner: scanner{b: b}, line: 1}
	for len(out) < len(wanted) {
		t, err := l.next()
		if err != nil || t.kind == atEnd {
			break
		}
		if l.step(t) && len(l.path) <= maxPath && wanted[string(l.path)] {
			if _, met := out[string(l.path)]; !met {
				out[string(l.path)] = l.lineAt(t.from)
			}
		}
	}
	return out
}

// liner follows a property list with the path of what it is at.
type liner struct {
	scanner
	b     []byte
	path  []byte
	stack []level
	key   []byte // of the value to come
	from  int    // where the text of the key begins, while inKey
	inKey bool
	line  int // of the byte at
	at    int
}

// level is a dictionary or array.
type level struct {
	base  int // how much of path is its own
	array bool
	n     int // elements so far
}

// step takes a tag in, and tells whether it begins a value, whose path is path
// then.
func (l *liner) step(t tag) bool {
	switch name := string(t.name); {
	case name == "plist":
		return false
	case name == "key":
		switch t.kind {
		case opens:
			l.inKey, l.from = true, t.to
		case closes:
			l.inKey, l.key = false, keyText(l.b[l.from:t.from])
		default:
			l.key = nil
		}
		return false
	case t.kind == closes:
		if n := len(l.stack); (name == "dict" || name == "array") && n > 0 {
			l.path, l.stack = l.path[:l.stack[n-1].base], l.stack[:n-1]
		}
		return false
	default:
		if n := len(l.stack); n > 0 {
			l.path = l.path[:l.stack[n-1].base]
			if top := &l.stack[n-1]; top.array {
				l.path = append(strconv.AppendInt(append(l.path, '['), int64(top.n), 10), ']')
				top.n++
			} else {
				if len(l.path) > 0 {
					l.path = append(l.path, '.')
				}
				l.path = append(l.path, l.key...)
			}
		}
		if t.kind == opens && (name == "dict" || name == "array") {
			l.stack = append(l.stack, level{base: len(l.path), array: name == "array"})
		}
		return true
	}
}

// keyText is the name of a key as a decoder reads it.
func keyText(b []byte) []byte {
	if len(b) > maxPath {
		return b[:maxPath] // no path that is looked for is as long
	}
	if bytes.IndexByte(b, '&') >= 0 {
		return []byte(html.UnescapeString(string(b)))
	}
	return b
}

func (l *liner) lineAt(to int) int {
	l.line += bytes.Count(l.b[l.at:to], []byte("\n"))
	l.at = to
	return l.line
}
