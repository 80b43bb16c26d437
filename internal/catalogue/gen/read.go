package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// entry is one file: a payload, a command, a declaration. Source: Apple,
// device-management, docs/schema.md.
type entry struct {
	kind, name   string
	os           support
	apply        string
	open         bool // of the supplement: not all keys are known
	keys, answer []*key
}

// key is one key, or the element of an array.
type key struct {
	name, kind, rest string // rest are facts as they are written
	required, open   bool
	os               support
	keys             []*key
	same             int // its keys are those of the key so many levels above
}

// support is what a file or key says of iPads itself.
type support struct {
	introduced, deprecated, removed string
	supervised                      *bool
	facts                           []string // others, as they are written
	silent                          bool     // it has no words of iPads
}

// ipad tells whether any iPadOS has it: the first was 13.
func (s support) ipad() bool {
	if s.introduced == "n/a" {
		return false
	}
	for _, v := range []string{s.deprecated, s.removed} {
		major, _, _ := strings.Cut(v, ".")
		if n, err := strconv.Atoi(major); err == nil && n < 13 {
			return false
		}
	}
	return true
}

// parse reads a file. What does not speak of iPads is for other devices, except
// in a supplement, which leaves that to the file it adds to.
func parse(file string, b []byte, adds bool) (*entry, error) {
	var doc struct {
		Payload struct {
			PayloadType     string    `yaml:"payloadtype"`
			RequestType     string    `yaml:"requesttype"`
			DeclarationType string    `yaml:"declarationtype"`
			StatusItemType  string    `yaml:"statusitemtype"`
			CredentialType  string    `yaml:"credentialtype"`
			Supported       yaml.Node `yaml:"supportedOS"`
			Apply           string    `yaml:"apply"`
			Open            bool      `yaml:"open"`
		} `yaml:"payload"`
		Keys   yaml.Node `yaml:"payloadkeys"`
		Answer yaml.Node `yaml:"responsekeys"`
	}
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	p := doc.Payload
	e := &entry{kind: kindOf(file), apply: p.Apply, open: p.Open}
	for _, name := range []string{p.PayloadType, p.RequestType, p.DeclarationType, p.StatusItemType, p.CredentialType} {
		if name != "" {
			e.name = name
		}
	}
	if e.name == "" { // answers to errors are called by their file
		e.name = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	if e.kind == "" {
		return nil, fmt.Errorf("the folder is not one that is known")
	}
	var err error
	if e.os, err = supported(&p.Supported); err != nil {
		return nil, err
	}
	if e.os.silent && !adds {
		e.os.introduced = "n/a"
	}
	if !e.os.ipad() {
		return e, nil
	}
	if e.keys, err = keys(&doc.Keys, nil); err != nil {
		return nil, err
	}
	e.answer, err = keys(&doc.Answer, nil)
	return e, err
}

// keys reads a list of them. above are the lists that are being read: a list of
// Apple's may hold itself, as folders hold icons.
func keys(n *yaml.Node, above []*yaml.Node) ([]*key, error) {
	n = target(n)
	if n.Kind == 0 || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: keys are no list", n.Line)
	}
	var out []*key
	for _, c := range n.Content {
		k, err := oneKey(target(c), append(slices.Clone(above), n))
		if err != nil {
			return nil, err
		}
		if k.os.ipad() {
			out = append(out, k)
		}
	}
	return out, nil
}

func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// scalars are the fields of a key that are read as they are.
type scalars struct {
	Key      string      `yaml:"key"`
	Type     string      `yaml:"type"`
	Presence string      `yaml:"presence"`
	Combine  string      `yaml:"combinetype"`
	Format   string      `yaml:"format"`
	Open     bool        `yaml:"open"`
	Values   []yaml.Node `yaml:"rangelist"`
	Default  yaml.Node   `yaml:"default"`
	Assets   []string    `yaml:"assettypes"`
	Range    struct {
		Min, Max yaml.Node
	} `yaml:"range"`
}

func oneKey(n *yaml.Node, above []*yaml.Node) (*key, error) {
	var flat, sub, os yaml.Node
	flat.Kind = yaml.MappingNode
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: a key is no mapping", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "subkeys":
			sub = *target(n.Content[i+1])
			for up, list := range above {
				if target(n.Content[i+1]) == list {
					sub = yaml.Node{Kind: yaml.DocumentNode, Line: len(above) - up}
				}
			}
			if sub.Kind == yaml.SequenceNode {
				sub = yaml.Node{Kind: yaml.AliasNode, Alias: target(n.Content[i+1])}
			}
		case "supportedOS":
			os = *target(n.Content[i+1])
		default:
			flat.Content = append(flat.Content, n.Content[i], n.Content[i+1])
		}
	}
	var s scalars
	if err := flat.Decode(&s); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.Key, "ANY ") {
		s.Key = "ANY" // "ANY app identifier" is any name too
	}
	k := &key{name: s.Key, kind: strings.Trim(s.Type, "<>"), required: s.Presence == "required", open: s.Open}
	var err error
	if k.os, err = supported(&os); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	if k.rest, err = s.facts(); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	if !k.os.ipad() {
		return k, nil
	}
	if sub.Kind == yaml.DocumentNode {
		k.same = sub.Line
		return k, nil
	}
	k.keys, err = keys(&sub, above)
	return k, err
}

// facts are written as "name:value", one behind the other.
func (s scalars) facts() (string, error) {
	var out []string
	if len(s.Values) > 0 {
		var list []string
		for _, v := range s.Values {
			if strings.ContainsAny(v.Value, "|\t\n") {
				return "", fmt.Errorf("the value %q cannot be written", v.Value)
			}
			list = append(list, v.Value)
		}
		out = append(out, "values:"+strings.Join(list, "|"))
	}
	for _, f := range [][2]string{{"min", s.Range.Min.Value}, {"max", s.Range.Max.Value}, {"format", s.Format}, {"combine", s.Combine}, {"assets", strings.Join(s.Assets, "|")}} {
		if f[1] != "" {
			out = append(out, f[0]+":"+f[1])
		}
	}
	if d := target(&s.Default); d.Kind == yaml.ScalarNode && d.Value != "" && !strings.ContainsAny(d.Value, "\t\n") {
		out = append(out, "default:"+d.Value)
	}
	for _, f := range out {
		if strings.ContainsAny(f, "\t\n") {
			return "", fmt.Errorf("the fact %q cannot be written", f)
		}
	}
	return strings.Join(out, "\t"), nil
}

func supported(n *yaml.Node) (support, error) {
	s := support{silent: true}
	if n.Kind == 0 {
		return s, nil
	}
	var all struct {
		IOS *struct {
			Introduced, Deprecated, Removed string
			Rights                          string   `yaml:"accessrights"`
			Multiple                        *bool    `yaml:"multiple"`
			Supervised                      *bool    `yaml:"supervised"`
			ADE                             *bool    `yaml:"requiresdep"`
			Manual                          *bool    `yaml:"allowmanualinstall"`
			Skippable                       *bool    `yaml:"always-skippable"`
			Enrollments                     []string `yaml:"allowed-enrollments"`
			Scopes                          []string `yaml:"allowed-scopes"`
			Shared                          struct {
				Mode   string
				Device *bool    `yaml:"devicechannel"`
				User   *bool    `yaml:"userchannel"`
				Scopes []string `yaml:"allowed-scopes"`
			} `yaml:"sharedipad"`
			User struct{ Mode string } `yaml:"userenrollment"`
		} `yaml:"iOS"`
	}
	if err := n.Decode(&all); err != nil || all.IOS == nil {
		return s, err
	}
	i := all.IOS
	s = support{introduced: i.Introduced, deprecated: i.Deprecated, removed: i.Removed, supervised: i.Supervised}
	say := func(name string, v *bool) {
		if v != nil {
			s.facts = append(s.facts, name+map[bool]string{true: "", false: ":no"}[*v])
		}
	}
	text := func(name, v string) {
		if v != "" && v != "n/a" {
			s.facts = append(s.facts, name+":"+v)
		}
	}
	say("multiple", i.Multiple)
	say("ade", i.ADE)
	say("manual", i.Manual)
	say("always-skippable", i.Skippable)
	text("rights", i.Rights)
	text("enrollments", strings.Join(i.Enrollments, "|"))
	text("scopes", strings.Join(i.Scopes, "|"))
	text("shared", i.Shared.Mode)
	say("shared-device", i.Shared.Device)
	say("shared-user", i.Shared.User)
	text("shared-scopes", strings.Join(i.Shared.Scopes, "|"))
	text("user-enrollment", i.User.Mode)
	return s, nil
}

// check refuses types that are none.
func (e *entry) check() error {
	var down func(keys []*key) error
	down = func(keys []*key) error {
		for _, k := range keys {
			switch k.kind {
			case "string", "integer", "real", "boolean", "date", "data", "array", "dictionary", "any":
			default:
				return fmt.Errorf("%s has the type %q, which is none", k.name, k.kind)
			}
			if k.name == "" || strings.ContainsAny(k.name, "\t\n") || strings.HasPrefix(k.name, " ") {
				return fmt.Errorf("the key %q cannot be written", k.name)
			}
			if err := down(k.keys); err != nil {
				return err
			}
		}
		return nil
	}
	if err := down(e.keys); err != nil {
		return err
	}
	return down(e.answer)
}
