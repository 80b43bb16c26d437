package profiles

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Difference is one place where two versions of a profile are not the same.
type Difference struct {
	Path string `json:"path" example:"PayloadContent/1/SSID_STR"`
	From any    `json:"from" doc:"What stood there; null: nothing"`
	To   any    `json:"to" doc:"What stands there; null: nothing"`
}

// hidden stands for a secret, and for the one that took its place.
const hidden, otherHidden = "(secret)", "(another secret)"

// Diff tells what differs between two versions of a profile that a tenant may
// use. to 0 is the draft, or else the published one; from 0 is the one that
// tablets have before to: the published one, or what was published before that.
// What is made anew for each version does not count; secrets are not shown.
//
// Faults: profile.unknown, profile.version-unknown.
func (r *Room) Diff(ctx context.Context, q sqldb.Queryer, tenantID, name string, from, to int64) (int64, int64, []Difference, error) {
	p, err := r.profileNamed(ctx, q, tenantID, name)
	if err != nil {
		return 0, 0, nil, err
	}
	if to == 0 {
		to = cmp.Or(p.Draft, p.Version)
	}
	if from == 0 && to == p.Version {
		if from, err = r.former(ctx, q, p); err != nil {
			return 0, 0, nil, err
		}
	} else if from == 0 {
		from = p.Version
	}
	for _, v := range []int64{from, to} {
		if v < 0 || v > p.Last {
			return 0, 0, nil, noVersion(p.Name, v)
		}
	}
	a, err := r.opened(ctx, q, p.ID, from)
	if err != nil {
		return 0, 0, nil, err
	}
	b, err := r.opened(ctx, q, p.ID, to)
	if err != nil {
		return 0, 0, nil, err
	}
	hideSecrets(a, b)
	return from, to, differences("", a, b, []Difference{}), nil
}

// opened is the content of a version; of version 0, none.
func (r *Room) opened(ctx context.Context, q sqldb.Queryer, id string, version int64) (map[string]any, error) {
	doc := map[string]any{}
	if version == 0 {
		return doc, nil
	}
	content, _, err := r.content(ctx, q, id, version)
	if err != nil {
		return nil, err
	}
	if err := mdm.Decode(content, &doc); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", id, err)
	}
	delete(doc, "PayloadUUID")
	return doc, nil
}

// hideSecrets puts words in the place of secrets, other ones where they differ.
func hideSecrets(a, b map[string]any) {
	was := map[string]any{}
	eachSecret(a, func(path string, v any) any {
		was[path] = v
		return hidden
	})
	eachSecret(b, func(path string, v any) any {
		if old, had := was[path]; had && !reflect.DeepEqual(old, v) {
			return otherHidden
		}
		return hidden
	})
}

func differences(path string, a, b any, out []Difference) []Difference {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			keys := map[string]bool{}
			for k := range x {
				keys[k] = true
			}
			for k := range y {
				keys[k] = true
			}
			for _, k := range sorted(keys) {
				out = differences(strings.TrimPrefix(path+"/"+k, "/"), x[k], y[k], out)
			}
			return out
		}
	case []any:
		if y, ok := b.([]any); ok {
			for i := range max(len(x), len(y)) {
				out = differences(path+"/"+strconv.Itoa(i+1), at(x, i), at(y, i), out)
			}
			return out
		}
	}
	if same(a, b) {
		return out
	}
	return append(out, Difference{Path: path, From: shown(a), To: shown(b)})
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func same(a, b any) bool {
	if x, ok := a.([]byte); ok {
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	}
	return reflect.DeepEqual(a, b)
}

// shown is a value as JSON can have it. Data is told by its length: nobody reads
// pictures and certificates in a list.
func shown(v any) any {
	switch v := v.(type) {
	case []byte:
		return fmt.Sprintf("(%d bytes of data)", len(v))
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case float64, float32:
		return fmt.Sprint(v) // JSON has no infinity
	case string:
		return mdm.Clean(v)
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = shown(list[i])
		}
		return list
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[mdm.Clean(k)] = shown(e)
		}
		return out
	}
	return v
}
