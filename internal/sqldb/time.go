package sqldb

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UnixMilli(), nil
}

// Scan implements sql.Scanner. Anything but a number or NULL is an error: a time
// that cannot be read must not look like "never".
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case int64:
		t.Time = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("scan time: %T is not a number of milliseconds", src)
	}
	return nil
}

var rebound sync.Map // query text -> the same with $1, $2, …

// rebind turns ? into $1, $2, …; texts of our own never hold a literal ?.
func rebind(query string) string {
	if s, ok := rebound.Load(query); ok {
		return s.(string)
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	if n <= maxKeptBinds {
		rebound.Store(query, b.String())
	}
	return b.String()
}

// maxKeptBinds keeps spread-out IN lists of every length from filling memory.
const maxKeptBinds = 30
