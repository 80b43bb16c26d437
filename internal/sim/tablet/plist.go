package tablet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/micromdm/plist"
)

// encode writes an XML property list.
func encode(v any) ([]byte, error) {
	b, err := plist.MarshalIndent(v, "\t")
	if err != nil {
		return nil, fmt.Errorf("write a property list: %w", err)
	}
	return b, nil
}

// decode reads a property list, XML or binary, whose top is a dictionary.
func decode(b []byte) (m map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some broken lists
			m, err = nil, fmt.Errorf("read a property list: %v", r)
		}
	}()
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, errors.New("read a property list: it is empty")
	}
	if err := plist.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("read a property list: %w", err)
	}
	if m == nil {
		return nil, errors.New("read a property list: its top is not a dictionary")
	}
	return m, nil
}

// dict, list, text, whole and flag read a key of a dictionary; another type or
// none reads as empty.
func dict(m map[string]any, key string) map[string]any {
	d, _ := m[key].(map[string]any)
	return d
}

func list(m map[string]any, key string) []any {
	l, _ := m[key].([]any)
	return l
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func flag(m map[string]any, key string) bool {
	b, _ := m[key].(bool)
	return b
}

func whole(m map[string]any, key string) (int64, bool) {
	switch n := m[key].(type) {
	case int64:
		return n, true
	case uint64:
		return int64(n), true
	case int:
		return int64(n), true
	}
	return 0, false
}
