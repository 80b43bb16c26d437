package schools

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ranzen/internal/fault"
)

// Facts is what a rule may ask of a device. What is not known is empty, nil or
// zero, and never taken for a no.
type Facts struct {
	Model      string   // "iPad13,18"
	OSVersion  string   // "18.1"
	Supervised *bool    // nil: not known
	State      string   // enrollment state
	Sites      []string // codes
	Schools    []string // codes
	Classes    []string // "SCH/3b/2026/27"
	Carts      []string // "SAT-K03"
	Groups     []string // names of the groups that it is in
	Doubtful   []string // names of groups of which nobody knows whether it is in them
	LastSeen   time.Time
	Has        map[string]bool // by name of profile or app; without an entry: not known
}

// Truth is what a rule says of a device.
type Truth int

// Unknown comes first: it is what nothing says.
const (
	Unknown Truth = iota
	No
	Yes
)

func truth(b bool) Truth {
	if b {
		return Yes
	}
	return No
}

// Rule is a condition on devices:
//
//	model = "iPad13,*" and os_version < 18.2 and not class = 3b
//	has "WLAN" and last_seen < 30d and (site = SAT or in "Loaners")
type Rule struct {
	text string
	root ruleNode
}

// String is the rule as it was written.
func (r Rule) String() string { return r.text }

// Eval tells whether a device is in, and if nobody knows, which fact is missing.
func (r Rule) Eval(f Facts, now time.Time) (Truth, string) { return r.root.eval(f, now) }

// Names are the profiles and apps that a rule asks for, and the groups.
func (r Rule) Names() (items, groups []string) {
	r.root.walk(func(n ruleNode) {
		switch {
		case n.field == "has":
			items = append(items, n.value)
		case n.field == "in":
			groups = append(groups, n.value)
		}
	})
	return items, groups
}

// ruleNode is "and", "or" or "not" of others, or one condition.
type ruleNode struct {
	do     string
	kids   []ruleNode
	field  string
	op     string
	value  string
	number []int         // of an OS version
	age    time.Duration // of last_seen
}

func (n ruleNode) walk(do func(ruleNode)) {
	if n.do == "" && n.field == "" {
		return // the rule of nothing
	}
	do(n)
	for _, k := range n.kids {
		k.walk(do)
	}
}

// eval is Kleene's logic: what is not known stays so unless the rest decides.
func (n ruleNode) eval(f Facts, now time.Time) (Truth, string) {
	switch n.do {
	case "not":
		t, missing := n.kids[0].eval(f, now)
		return map[Truth]Truth{Yes: No, No: Yes, Unknown: Unknown}[t], missing
	case "and", "or":
		decides := map[string]Truth{"and": No, "or": Yes}[n.do]
		out, missing := map[string]Truth{"and": Yes, "or": No}[n.do], ""
		for _, k := range n.kids {
			switch t, what := k.eval(f, now); t {
			case decides:
				return decides, ""
			case Unknown:
				if out = Unknown; missing == "" {
					missing = what
				}
			}
		}
		return out, missing
	}
	return n.test(f, now)
}

func (n ruleNode) test(f Facts, now time.Time) (Truth, string) {
	among := func(list []string) (Truth, string) {
		return truth(slices.ContainsFunc(list, n.fits) == (n.op == "=")), ""
	}
	switch n.field {
	case "model", "os_version":
		have := map[string]string{"model": f.Model, "os_version": f.OSVersion}[n.field]
		if have == "" {
			return Unknown, n.field
		}
		if n.field == "os_version" && !strings.Contains(n.value, "*") {
			return truth(holds(slices.Compare(numbers(have), n.number), n.op)), ""
		}
		return truth(n.fits(have) == (n.op == "=")), ""
	case "supervised":
		if f.Supervised == nil {
			return Unknown, n.field
		}
		return truth((*f.Supervised == (n.value == "yes")) == (n.op == "=")), ""
	case "state":
		return truth(n.fits(f.State) == (n.op == "=")), ""
	case "site":
		return among(f.Sites)
	case "school":
		return among(f.Schools)
	case "cart":
		return among(f.Carts)
	case "class":
		return truth(slices.ContainsFunc(f.Classes, func(c string) bool { return n.fits(c) || n.fits(ClassName(c)) }) == (n.op == "=")), ""
	case "last_seen":
		if f.LastSeen.IsZero() {
			return Unknown, n.field
		}
		return truth(holds(int(now.Sub(f.LastSeen).Milliseconds()-n.age.Milliseconds()), n.op)), ""
	case "has":
		has, known := f.Has[n.value]
		if !known {
			return Unknown, "has " + n.value
		}
		return truth(has), ""
	}
	if slices.Contains(f.Doubtful, n.value) {
		return Unknown, "in " + n.value
	}
	return truth(slices.Contains(f.Groups, n.value)), ""
}

// ClassName is the name in "SCH/3b/2026/27".
func ClassName(text string) string {
	if _, rest, ok := strings.Cut(text, "/"); ok {
		text = rest
	}
	if i := strings.LastIndex(text, "/"); i >= 0 {
		text = text[:i]
	}
	if i := strings.LastIndex(text, "/"); i >= 0 {
		text = text[:i]
	}
	return text
}

// fits compares text, whose case does not matter; * stands for anything.
func (n ruleNode) fits(have string) bool {
	parts := strings.Split(strings.ToLower(n.value), "*")
	have = strings.ToLower(have)
	if len(parts) == 1 {
		return have == parts[0]
	}
	if !strings.HasPrefix(have, parts[0]) {
		return false
	}
	have = have[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(have, p)
		if i < 0 {
			return false
		}
		have = have[i+len(p):]
	}
	return strings.HasSuffix(have, parts[len(parts)-1])
}

func holds(cmp int, op string) bool {
	switch op {
	case "=":
		return cmp == 0
	case "!=":
		return cmp != 0
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	}
	return cmp >= 0
}

// numbers reads "18.1.1"; what is no number ends it. Zeros at the end do not
// count: 18 is 18.0.
func numbers(v string) []int {
	var out []int
	for part := range strings.SplitSeq(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	for len(out) > 0 && out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	return out
}

func ruleFields() []string {
	return []string{"model", "os_version", "supervised", "state", "site", "school", "class", "cart", "last_seen", "has", "lacks", "in"}
}

// maxRule bounds a rule.
const maxRule = 2000

// ParseRule reads a rule.
//
// Faults: rule.syntax, which names the column.
func ParseRule(text string) (Rule, error) {
	if len(text) > maxRule {
		return Rule{}, badRule(1, "it has more than %d characters", maxRule)
	}
	p := &ruleParser{}
	if err := p.scan(text); err != nil {
		return Rule{}, err
	}
	root, err := p.list("or", 0)
	if err != nil {
		return Rule{}, err
	}
	if t := p.peek(); t.kind != ruleEnd {
		return Rule{}, badRule(t.at, "%q is too much; join conditions with and, or", t.text)
	}
	return Rule{strings.TrimSpace(text), root}, nil
}

func badRule(at int, format string, args ...any) *fault.Fault {
	return fault.New(fault.Invalid, "rule.syntax", "The rule cannot be read at column %d: %s. Example: model = \"iPad13,*\" and os_version < 18.2 and not class = 3b.",
		at, fmt.Sprintf(format, args...)).On("rule")
}

// Kinds of words in a rule.
const (
	ruleEnd = iota
	ruleWord
	ruleText // in quotes
	ruleOp
	rulePar
)

type ruleToken struct {
	kind int
	text string
	at   int
}

type ruleParser struct {
	tokens []ruleToken
	i      int
}

func (p *ruleParser) scan(text string) error {
	rs := []rune(text)
	for i := 0; i < len(rs); {
		at := i + 1
		switch c := rs[i]; {
		case unicode.IsSpace(c):
			i++
		case c == '(' || c == ')':
			p.tokens = append(p.tokens, ruleToken{rulePar, string(c), at})
			i++
		case strings.ContainsRune("=<>!", c):
			op := string(c)
			if i+1 < len(rs) && rs[i+1] == '=' {
				op += "="
			}
			if op == "!" || op == "==" {
				return badRule(at, "write = or != to compare")
			}
			p.tokens = append(p.tokens, ruleToken{ruleOp, op, at})
			i += len(op)
		case c == '"':
			end := slices.Index(rs[i+1:], '"')
			if end < 0 {
				return badRule(at, "the closing quotation mark is missing")
			}
			p.tokens = append(p.tokens, ruleToken{ruleText, string(rs[i+1 : i+1+end]), at})
			i += end + 2
		case unicode.IsControl(c) || c == unicode.ReplacementChar:
			return badRule(at, "there is a character that cannot be read")
		default:
			end := i
			for end < len(rs) && !unicode.IsSpace(rs[end]) && !unicode.IsControl(rs[end]) && !strings.ContainsRune("()=<>!\"", rs[end]) {
				end++
			}
			p.tokens = append(p.tokens, ruleToken{ruleWord, string(rs[i:end]), at})
			i = end
		}
	}
	p.tokens = append(p.tokens, ruleToken{ruleEnd, "the end", len(rs) + 1})
	return nil
}

func (p *ruleParser) peek() ruleToken { return p.tokens[p.i] }

func (p *ruleParser) take() ruleToken {
	t := p.tokens[p.i]
	if t.kind != ruleEnd {
		p.i++
	}
	return t
}

func (p *ruleParser) word(text string) bool {
	if t := p.peek(); t.kind == ruleWord && strings.EqualFold(t.text, text) {
		p.i++
		return true
	}
	return false
}

// maxNesting keeps a hostile rule from the stack.
const maxNesting = 50

// list reads what "or", or "and", joins.
func (p *ruleParser) list(do string, deep int) (ruleNode, error) {
	inner := func() (ruleNode, error) {
		if do == "or" {
			return p.list("and", deep)
		}
		return p.factor(deep)
	}
	first, err := inner()
	if err != nil {
		return first, err
	}
	n := ruleNode{do: do, kids: []ruleNode{first}}
	for p.word(do) {
		k, err := inner()
		if err != nil {
			return n, err
		}
		n.kids = append(n.kids, k)
	}
	if len(n.kids) == 1 {
		return first, nil
	}
	return n, nil
}

func (p *ruleParser) factor(deep int) (ruleNode, error) {
	if deep > maxNesting {
		return ruleNode{}, badRule(p.peek().at, "it is nested too deeply")
	}
	if p.word("not") {
		k, err := p.factor(deep + 1)
		return ruleNode{do: "not", kids: []ruleNode{k}}, err
	}
	if t := p.peek(); t.kind == rulePar && t.text == "(" {
		p.take()
		n, err := p.list("or", deep+1)
		if err != nil {
			return n, err
		}
		if t := p.take(); t.kind != rulePar || t.text != ")" {
			return n, badRule(t.at, "a closing parenthesis is missing")
		}
		return n, nil
	}
	return p.condition()
}

func (p *ruleParser) condition() (ruleNode, error) {
	t := p.take()
	field := strings.ToLower(t.text)
	if t.kind != ruleWord || !slices.Contains(ruleFields(), field) {
		return ruleNode{}, badRule(t.at, "%q is no field; there are %s", t.text, strings.Join(ruleFields(), ", "))
	}
	n := ruleNode{field: field, op: "="}
	if field != "has" && field != "lacks" && field != "in" {
		op := p.take()
		if op.kind != ruleOp {
			return n, badRule(op.at, "%s wants to be compared: %s = VALUE", field, field)
		}
		if n.op = op.text; len(n.op) == 1 && n.op != "=" || n.op == "<=" || n.op == ">=" {
			if field != "os_version" && field != "last_seen" {
				return n, badRule(op.at, "%s can only be compared with = and !=", field)
			}
		}
	}
	v := p.take()
	if v.kind != ruleWord && v.kind != ruleText || v.text == "" {
		return n, badRule(v.at, "a value is missing behind %s", field)
	}
	n.value = v.text
	if err := n.read(v.at); err != nil {
		return n, err
	}
	if field == "lacks" {
		n.field = "has"
		return ruleNode{do: "not", kids: []ruleNode{n}}, nil
	}
	return n, nil
}

// read checks the value of a field.
func (n *ruleNode) read(at int) error {
	switch n.field {
	case "os_version":
		if strings.Contains(n.value, "*") {
			if n.op != "=" && n.op != "!=" {
				return badRule(at, "a version with * can only be compared with = and !=")
			}
			return nil
		}
		if n.number = numbers(n.value); len(n.number) == 0 || strings.Trim(n.value, "0123456789.") != "" {
			return badRule(at, "%q is no version; write one such as 18.2", n.value)
		}
	case "supervised":
		switch strings.ToLower(n.value) {
		case "yes", "true":
			n.value = "yes"
		case "no", "false":
			n.value = "no"
		default:
			return badRule(at, "supervised is yes or no")
		}
	case "last_seen":
		unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[n.value[len(n.value)-1]]
		count, err := strconv.Atoi(n.value[:len(n.value)-1])
		if unit == 0 || err != nil || count < 0 || count > 10_000 {
			return badRule(at, "%q is no age; write 30m, 12h or 30d: last_seen > 30d is longer ago than that", n.value)
		}
		n.age = time.Duration(count) * unit
	}
	return nil
}
