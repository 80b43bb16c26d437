package views

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/fault"
)

func filterFields() []string {
	return []string{"state", "group", "serial", "name", "model", "os", "supervised", "item", "item-state", "udid", "asset",
		"tenant", "delivery", "site", "cart", "class", "asset-state"}
}

// maxTerms keeps a filter from becoming a statement with thousands of parts.
const (
	maxTerms  = 20
	maxFilter = 1024
)

// term is one "field:value"; field "" is free text.
type term struct {
	field, value string
	not          bool
}

// parseFilter reads terms joined by spaces or AND: "state:enrolled group:7a",
// `name:"Cart 3*" -os:17 Library`. A value is compared without regard to case;
// * stands for anything.
func parseFilter(expr string) ([]term, error) {
	if len(expr) > maxFilter || !utf8.ValidString(expr) || strings.ContainsRune(expr, 0) {
		return nil, fault.New(fault.Invalid, "filter.syntax", "The filter is too long (%d bytes at most) or not text.", maxFilter).On("filter")
	}
	var terms []term
	rest := strings.TrimSpace(expr)
	for rest != "" {
		var t term
		var err error
		if t, rest, err = nextTerm(rest); err != nil {
			return nil, err
		}
		if t.field == "" && !t.not && t.value == "AND" {
			continue
		}
		if terms = append(terms, t); len(terms) > maxTerms {
			return nil, fault.New(fault.Invalid, "filter.syntax", "The filter has more than %d terms.", maxTerms).On("filter")
		}
	}
	return terms, nil
}

func nextTerm(s string) (t term, rest string, err error) {
	if strings.HasPrefix(s, "-") && len(s) > 1 {
		t.not, s = true, s[1:]
	}
	if i := strings.IndexAny(s, ": \t\n\""); i > 0 && s[i] == ':' {
		t.field, s = strings.ToLower(s[:i]), s[i+1:]
		if !slices.Contains(filterFields(), t.field) {
			return t, "", fault.New(fault.Invalid, "filter.field", "There is no field %q to filter by. There are: %s.", t.field, strings.Join(filterFields(), ", ")).On("filter")
		}
	}
	if strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			return t, "", fault.New(fault.Invalid, "filter.syntax", "A quotation mark in the filter is not closed.").On("filter")
		}
		t.value, rest = s[1:1+end], s[2+end:]
	} else {
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 {
			end = len(s)
		}
		t.value, rest = s[:end], s[end:]
	}
	if t.value == "" {
		return t, "", fault.New(fault.Invalid, "filter.syntax", "A term of the filter has no value: write field:value.").On("filter")
	}
	return t, strings.TrimSpace(rest), nil
}

// where turns terms into SQL. Fields are ours, values are bound.
func where(terms []term) (sql string, args []any, err error) {
	var b strings.Builder
	var item, itemState *term
	for i, t := range terms {
		switch {
		case t.field == "item" && !t.not && item == nil:
			item = &terms[i]
			continue
		case t.field == "item-state" && !t.not && itemState == nil:
			itemState = &terms[i]
			continue
		}
		cond, a, err := condition(t)
		if err != nil {
			return "", nil, err
		}
		if t.not {
			cond = "NOT (" + cond + ")"
		}
		b.WriteString(" AND " + cond)
		args = append(args, a...)
	}
	// Together they speak of one item: "item:Wi-Fi item-state:failed".
	if item != nil || itemState != nil {
		cond, a := itemCondition(item, itemState)
		b.WriteString(" AND " + cond)
		args = append(args, a...)
	}
	return b.String(), args, nil
}

func condition(t term) (string, []any, error) {
	switch t.field {
	case "state":
		if !slices.Contains(states(), strings.ToLower(t.value)) {
			return "", nil, fault.New(fault.Invalid, "filter.value", "There is no state %q. There are: %s.", t.value, strings.Join(states(), ", ")).On("filter")
		}
		return "v.enrollment_state = ?", []any{strings.ToLower(t.value)}, nil
	case "supervised":
		switch strings.ToLower(t.value) {
		case "true", "yes":
			return "COALESCE(v.supervised, FALSE)", nil, nil
		case "false", "no":
			return "NOT COALESCE(v.supervised, TRUE)", nil, nil
		case "unknown":
			return "v.supervised IS NULL", nil, nil
		}
		return "", nil, fault.New(fault.Invalid, "filter.value", "supervised is true, false or unknown.").On("filter")
	case "group":
		return `EXISTS (SELECT 1 FROM device_group_members gm JOIN device_groups g ON g.id = gm.group_id
			WHERE gm.device_id = v.id AND (g.id = ? OR LOWER(g.name) LIKE LOWER(?) ESCAPE '!'))`, []any{t.value, pattern(t.value)}, nil
	case "tenant", "delivery", "site", "cart", "class":
		return placeCondition(t)
	case "os":
		return `(v.os_version = ? OR v.os_version LIKE ? ESCAPE '!')`, []any{t.value, pattern(t.value) + ".%"}, nil
	case "item":
		cond, args := itemCondition(&t, nil)
		return cond, args, nil
	case "item-state":
		cond, args := itemCondition(nil, &t)
		return cond, args, nil
	case "":
		p := "%" + pattern(t.value) + "%"
		return `(LOWER(v.name) LIKE LOWER(?) ESCAPE '!' OR LOWER(v.serial) LIKE LOWER(?) ESCAPE '!' OR LOWER(v.asset_tag) LIKE LOWER(?) ESCAPE '!'
			OR LOWER(v.udid) LIKE LOWER(?) ESCAPE '!' OR LOWER(v.model) LIKE LOWER(?) ESCAPE '!')`, []any{p, p, p, p, p}, nil
	}
	column := map[string]string{"serial": "v.serial", "name": "v.name", "model": "v.model", "udid": "v.udid", "asset": "v.asset_tag", "asset-state": "v.asset_state"}[t.field]
	return "LOWER(" + column + ") LIKE LOWER(?) ESCAPE '!'", []any{pattern(t.value)}, nil
}

// placeCondition compares codes, as Device shows them; a cart is also found by
// its own code alone.
func placeCondition(t term) (string, []any, error) {
	p := pattern(t.value)
	switch t.field {
	case "tenant":
		return `EXISTS (SELECT 1 FROM tenants x WHERE x.id = v.tenant_id AND (x.id = ? OR LOWER(x.code) LIKE LOWER(?) ESCAPE '!'))`, []any{t.value, p}, nil
	case "delivery":
		return `EXISTS (SELECT 1 FROM deliveries x WHERE x.id = v.delivery_id AND (x.id = ? OR LOWER(x.code) LIKE LOWER(?) ESCAPE '!'))`, []any{t.value, p}, nil
	case "site":
		return `EXISTS (SELECT 1 FROM sites x WHERE x.id = v.site_id AND (x.id = ? OR LOWER(x.code) LIKE LOWER(?) ESCAPE '!'))`, []any{t.value, p}, nil
	case "cart":
		return `EXISTS (SELECT 1 FROM carts x JOIN sites y ON y.id = x.site_id WHERE x.id = v.cart_id
			AND (x.id = ? OR LOWER(x.code) LIKE LOWER(?) ESCAPE '!' OR LOWER(y.code || '-' || x.code) LIKE LOWER(?) ESCAPE '!'))`, []any{t.value, p, p}, nil
	}
	return `EXISTS (SELECT 1 FROM classes x WHERE x.id = v.class_id AND (x.id = ? OR LOWER(x.name) LIKE LOWER(?) ESCAPE '!'))`, []any{t.value, p}, nil
}

func itemCondition(item, state *term) (string, []any) {
	var args []any
	cond := `EXISTS (SELECT 1 FROM device_items di
		LEFT JOIN profiles p ON di.item_kind = 'profile' AND p.id = di.item_id
		LEFT JOIN apps a ON di.item_kind = 'app' AND a.id = di.item_id
		WHERE di.enrollment_id = v.enrollment_id AND di.generation = v.generation`
	if item != nil {
		cond += ` AND (di.item_id = ? OR LOWER(COALESCE(p.name, a.name)) LIKE LOWER(?) ESCAPE '!')`
		args = append(args, item.value, pattern(item.value))
	}
	// Of a life that has ended nothing is there: what was wished waits.
	const now = `CASE WHEN v.enrollment_state NOT IN ('erased', 'unenrolled') THEN di.state WHEN di.desired IS NULL THEN 'removed' ELSE 'pending' END`
	if state != nil {
		cond += ` AND ` + now + ` = ?`
		args = append(args, strings.ToLower(state.value))
	} else {
		cond += ` AND ` + now + ` <> 'removed'`
	}
	return cond + ")", args
}

// pattern makes a LIKE pattern of a value in which * stands for anything.
func pattern(v string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_", "*", "%").Replace(v)
}
