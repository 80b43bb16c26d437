package mdm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// What is wrong with a message. All errors of decoding wrap one of these.
var (
	ErrBinary = errors.New("binary property list where XML is spoken")
	ErrDepth  = errors.New("nested too deep")
	ErrSize   = errors.New("too large")
	ErrSyntax = errors.New("not a property list")
)

const (
	maxXML      = 8 << 20
	maxDepth    = 64 // Apple's deepest message has below 10
	maxElements = 1 << 20
)

// guardXML looks at the bytes before a decoder that recurses does: no binary
// form, no document type with declarations of its own (entities), no depth that
// exhausts the stack. It is linear and allocates nothing.
func guardXML(b []byte) error {
	switch {
	case len(b) > maxXML:
		return ErrSize
	case bytes.HasPrefix(b, []byte("bplist")):
		return ErrBinary
	}
	s := scanner{b: b}
	depth, elements := 0, 0
	for {
		t, err := s.next()
		if err != nil {
			return err
		}
		switch t.kind {
		case atEnd:
			if depth != 0 || elements == 0 {
				return fmt.Errorf("it ends inside an element: %w", ErrSyntax)
			}
			return nil
		case opens:
			if depth++; depth > maxDepth {
				return ErrDepth
			}
			elements++
		case closes:
			if depth--; depth < 0 {
				return fmt.Errorf("an end without a beginning: %w", ErrSyntax)
			}
		case whole:
			elements++
		}
		if elements > maxElements {
			return ErrSize
		}
	}
}

type tagKind int

const (
	atEnd  tagKind = iota
	opens          // <dict>
	closes         // </dict>
	whole          // <true/>
)

// tag is one tag of XML, as a slice of the message.
type tag struct {
	kind     tagKind
	name     []byte
	from, to int // b[from:to] is the tag
}

// scanner finds tags and nothing else.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) next() (tag, error) {
	for {
		at := bytes.IndexByte(s.b[s.i:], '<')
		if at < 0 {
			return tag{}, nil
		}
		from := s.i + at
		rest := s.b[from:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			if err := s.skip(from+len("<!--"), "-->"); err != nil {
				return tag{}, err
			}
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			if err := s.skip(from+len("<![CDATA["), "]]>"); err != nil {
				return tag{}, err
			}
		case bytes.HasPrefix(rest, []byte("<?")):
			if err := s.skip(from+len("<?"), "?>"); err != nil {
				return tag{}, err
			}
		case bytes.HasPrefix(rest, []byte("<!")):
			end := tagEnd(rest)
			if end < 0 || !bytes.HasPrefix(rest, []byte("<!DOCTYPE")) || bytes.ContainsAny(rest[1:end], "[<") {
				return tag{}, fmt.Errorf("a document type with declarations: %w", ErrSyntax)
			}
			s.i = from + end + 1
		default:
			end := tagEnd(rest)
			if end < 0 {
				return tag{}, fmt.Errorf("a tag without an end: %w", ErrSyntax)
			}
			s.i = from + end + 1
			return tagOf(rest[1:end], from, s.i), nil
		}
	}
}

// skip goes behind the next end; from is behind the beginning, since "<!-->" is
// no comment yet.
func (s *scanner) skip(from int, end string) error {
	at := bytes.Index(s.b[from:], []byte(end))
	if at < 0 {
		return fmt.Errorf("markup without an end: %w", ErrSyntax)
	}
	s.i = from + at + len(end)
	return nil
}

// tagEnd finds the > that ends a tag: not one in quotes, behind which a decoder
// would see elements that we counted as text.
func tagEnd(b []byte) int {
	end := bytes.IndexByte(b, '>')
	if end < 0 || bytes.IndexAny(b[:end], `"'`) < 0 {
		return end
	}
	var quote byte
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return -1
}

func tagOf(inner []byte, from, to int) tag {
	t := tag{kind: opens, from: from, to: to}
	switch {
	case bytes.HasPrefix(inner, []byte("/")):
		t.kind, inner = closes, inner[1:]
	case bytes.HasSuffix(inner, []byte("/")):
		t.kind, inner = whole, inner[:len(inner)-1]
	}
	if at := bytes.IndexAny(inner, " \t\r\n"); at >= 0 {
		inner = inner[:at]
	}
	t.name = inner
	return t
}

const (
	maxBinary       = 8 << 20
	maxBinaryDepth  = 16
	maxBinaryVisits = 65_536
	maxBinaryBytes  = 32 << 20 // of texts and data, counted each time they are referred to
)

// guardBinary walks a binary property list as a decoder would, and counts its
// steps: objects may refer to each other, so that a few dozen bytes can stand for
// millions of elements, or for themselves.
func guardBinary(b []byte) error {
	const header, trailer = 8, 32
	if len(b) > maxBinary {
		return ErrSize
	}
	if len(b) < header+trailer || !bytes.HasPrefix(b, []byte("bplist0")) {
		return ErrSyntax
	}
	t := b[len(b)-trailer:]
	w := walk{b: b, offsetSize: uint64(t[6]), refSize: uint64(t[7]), objects: binary.BigEndian.Uint64(t[8:]), table: binary.BigEndian.Uint64(t[24:])}
	top, room := binary.BigEndian.Uint64(t[16:]), uint64(len(b)-trailer)
	if w.offsetSize < 1 || w.offsetSize > 8 || w.refSize < 1 || w.refSize > 8 ||
		w.table < header || w.table > room || w.objects == 0 || w.objects > (room-w.table)/w.offsetSize || top >= w.objects {
		return ErrSyntax
	}
	return w.visit(top, 1)
}

type walk struct {
	b                                   []byte
	offsetSize, refSize, objects, table uint64
	visits                              int
	bytes                               uint64
}

func (w *walk) number(at, size uint64) uint64 {
	var n uint64
	for _, c := range w.b[at : at+size] {
		n = n<<8 | uint64(c)
	}
	return n
}

func (w *walk) visit(ref uint64, depth int) error {
	if w.visits++; w.visits > maxBinaryVisits {
		return ErrSize
	}
	if depth > maxBinaryDepth {
		return ErrDepth
	}
	if ref >= w.objects {
		return ErrSyntax
	}
	at := w.number(w.table+ref*w.offsetSize, w.offsetSize)
	if at < 8 || at >= w.table {
		return ErrSyntax
	}
	kind, n := w.b[at]>>4, uint64(w.b[at]&0x0f)
	at++
	if n == 0x0f && kind >= 4 && kind != 8 {
		if at >= w.table || w.b[at]>>4 != 1 || w.b[at]&0x0f > 3 {
			return ErrSyntax
		}
		size := uint64(1) << (w.b[at] & 0x0f)
		if at++; size > w.table-at {
			return ErrSyntax
		}
		n = w.number(at, size)
		at += size
	}
	room := w.table - at
	switch kind {
	case 0: // null, false, true, fill
		return nil
	case 1, 2, 3: // integer, real, date
		if n > 4 || uint64(1)<<n > room {
			return ErrSyntax
		}
		return nil
	case 4, 5: // data, ASCII
		return w.content(n, room)
	case 6: // UTF-16
		return w.content(2*n, room)
	case 8: // UID
		return w.content(n+1, room)
	case 10, 12: // array, set
		return w.all(at, n, room/w.refSize, depth)
	case 13: // dictionary: keys, then values
		if n > room/w.refSize/2 {
			return ErrSyntax
		}
		return w.all(at, 2*n, room/w.refSize, depth)
	}
	return ErrSyntax
}

func (w *walk) content(n, room uint64) error {
	if n > room || n > maxBinary {
		return ErrSyntax
	}
	if w.bytes += n; w.bytes > maxBinaryBytes {
		return ErrSize
	}
	return nil
}

func (w *walk) all(at, n, room uint64, depth int) error {
	if n > room {
		return ErrSyntax
	}
	for i := range n {
		if err := w.visit(w.number(at+i*w.refSize, w.refSize), depth+1); err != nil {
			return err
		}
	}
	return nil
}
