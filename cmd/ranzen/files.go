package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ranzen/internal/mdm"
)

// stateDoc is desired state as the server takes it; a nil section is not spoken of.
type stateDoc struct {
	Profiles    []stateProfile    `json:"profiles,omitzero"`
	Apps        []stateApp        `json:"apps,omitzero"`
	Groups      []stateGroup      `json:"groups,omitzero"`
	Assignments []stateAssignment `json:"assignments,omitzero"`
}

type stateProfile struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

type stateApp struct {
	Name      string `json:"name" yaml:"name"`
	AdamID    string `json:"adam_id,omitempty" yaml:"adam_id,omitempty"`
	BundleID  string `json:"bundle_id" yaml:"bundle_id"`
	SHA256    string `json:"sha256,omitempty" yaml:"sha256,omitempty"`
	HoldsData bool   `json:"holds_data,omitempty" yaml:"holds_data,omitempty"`
}

type stateGroup struct {
	Name    string  `json:"name" yaml:"name"`
	Rule    string  `json:"rule,omitempty" yaml:"rule,omitempty"`
	Devices serials `json:"devices,omitempty" yaml:"devices,omitempty"`
}

// serials are those of a group; a group with a rule has nil, not none.
type serials []string

// IsZero implements yaml.IsZeroer.
func (s serials) IsZero() bool { return s == nil }

type stateAssignment struct {
	Item    string `json:"item" yaml:"item"`
	To      string `json:"to" yaml:"to"`
	Exclude bool   `json:"exclude,omitempty" yaml:"exclude,omitempty"`
}

// builtMark is how the server knows a profile that gets its identifiers there.
const builtMark = "RanzenBuilt"

const maxStateFile = 8 << 20

// readState reads all *.yaml below dir as one wish. Files may be cut as people
// like; each section may stand in several.
func readState(dir string) (doc stateDoc, err error) {
	var found []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); path != dir && strings.HasPrefix(name, ".") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(path); !d.IsDir() && (ext == ".yaml" || ext == ".yml") {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return doc, usagef("%s cannot be read: %s.", dir, reasonOf(err))
	}
	if len(found) == 0 {
		return doc, failedf("There is no .yaml file in %s, which is not the same as wishing nothing. Nothing was changed.", dir)
	}
	slices.Sort(found)
	for _, path := range found {
		if err := doc.readFile(path); err != nil {
			return doc, err
		}
	}
	return doc, nil
}

func (d *stateDoc) readFile(path string) error {
	b, err := os.ReadFile(path) //nolint:gosec // the person named the folder
	if err != nil {
		return usagef("%s cannot be read: %s.", path, reasonOf(err))
	}
	if len(b) > maxStateFile {
		return failedf("%s has more than 8 MB.", path)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var root yaml.Node
		err := dec.Decode(&root)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return failedf("%s is no YAML: %s.", path, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(root.Content) == 0 || root.Content[0].ShortTag() == "!!null" {
			continue
		}
		if err := d.read(path, root.Content[0]); err != nil {
			return err
		}
	}
}

func (d *stateDoc) read(file string, n *yaml.Node) error {
	in, err := fields(file, n, "profiles", "apps", "groups", "assignments")
	if err != nil {
		return err
	}
	if err := section(file, in["profiles"], &d.Profiles, stateProfileOf); err != nil {
		return err
	}
	if err := section(file, in["apps"], &d.Apps, readApp); err != nil {
		return err
	}
	if err := section(file, in["groups"], &d.Groups, readGroup); err != nil {
		return err
	}
	return section(file, in["assignments"], &d.Assignments, readAssignment)
}

func section[T any](file string, n *yaml.Node, into *[]T, read func(file string, n *yaml.Node) (T, error)) error {
	if n == nil {
		return nil
	}
	list, err := entries(file, n)
	if err != nil {
		return err
	}
	if *into == nil {
		*into = []T{}
	}
	for _, e := range list {
		v, err := read(file, e)
		if err != nil {
			return err
		}
		*into = append(*into, v)
	}
	return nil
}

func readApp(file string, n *yaml.Node) (a stateApp, err error) {
	in, err := fields(file, n, "name", "adam_id", "bundle_id", "sha256", "holds_data")
	if err != nil {
		return a, err
	}
	if a.Name, err = text(file, n, in, "name", true); err != nil {
		return a, err
	}
	if a.AdamID, err = text(file, n, in, "adam_id", in["sha256"] == nil); err != nil {
		return a, err
	}
	if a.SHA256, err = text(file, n, in, "sha256", false); err != nil {
		return a, err
	}
	if a.SHA256 != "" && a.AdamID != "" {
		return a, badLine(file, in["sha256"], "an app has the adam_id of the App Store or the sha256 of an .ipa, not both")
	}
	if a.BundleID, err = text(file, n, in, "bundle_id", true); err != nil {
		return a, err
	}
	a.HoldsData, err = truth(file, in, "holds_data")
	return a, err
}

func readGroup(file string, n *yaml.Node) (g stateGroup, err error) {
	in, err := fields(file, n, "name", "rule", "devices")
	if err != nil {
		return g, err
	}
	if g.Name, err = text(file, n, in, "name", true); err != nil {
		return g, err
	}
	if g.Rule, err = text(file, n, in, "rule", false); err != nil {
		return g, err
	}
	g.Devices = []string{}
	switch {
	case g.Rule != "" && in["devices"] != nil:
		return g, badLine(file, in["devices"], "a group has a rule or devices, not both")
	case g.Rule != "":
		return g, nil
	case in["devices"] == nil:
		return g, badLine(file, n, "devices is missing; write devices: [] for a group without")
	}
	list, err := entries(file, in["devices"])
	for _, e := range list {
		if e.Kind != yaml.ScalarNode {
			return g, badLine(file, e, "a device is named by its serial number")
		}
		g.Devices = append(g.Devices, e.Value)
	}
	return g, err
}

func readAssignment(file string, n *yaml.Node) (a stateAssignment, err error) {
	in, err := fields(file, n, "item", "to", "exclude")
	if err != nil {
		return a, err
	}
	if a.Item, err = text(file, n, in, "item", true); err != nil {
		return a, err
	}
	if a.To, err = text(file, n, in, "to", true); err != nil {
		return a, err
	}
	if checkScope(a.To) != nil {
		return a, badLine(file, in["to"], "%q is no scope: all, tenant:T, school:S, site:S, class:C, cart:K, group:NAME or device:ID", plain(a.To))
	}
	a.Exclude, err = truth(file, in, "exclude")
	return a, err
}

// stateProfileOf takes a profile's payloads, or a .mobileconfig beside the file.
func stateProfileOf(file string, n *yaml.Node) (p stateProfile, err error) {
	in, err := fields(file, n, "name", "file", "properties", "payloads")
	if err != nil {
		return p, err
	}
	if p.Name, err = text(file, n, in, "name", true); err != nil {
		return p, err
	}
	beside, err := text(file, n, in, "file", false)
	switch {
	case err != nil:
		return p, err
	case (beside == "") == (in["payloads"] == nil):
		return p, badLine(file, n, "profile %s has either payloads, or a file with a .mobileconfig", plain(p.Name))
	case beside != "":
		if !filepath.IsLocal(beside) {
			return p, badLine(file, in["file"], "%s is not below the folder of the file", plain(beside))
		}
		b, err := os.ReadFile(filepath.Join(filepath.Dir(file), beside)) //nolint:gosec // local, see above
		if err != nil {
			return p, badLine(file, in["file"], "%s cannot be read: %s", plain(beside), reasonOf(err))
		}
		p.Content = b
		return p, nil
	}
	doc := map[string]any{}
	if in["properties"] != nil {
		v, err := plistOf(file, in["properties"], 0)
		if err != nil {
			return p, err
		}
		own, is := v.(map[string]any)
		if !is {
			return p, badLine(file, in["properties"], "properties are keys and values, such as PayloadIdentifier")
		}
		doc = own
	}
	list, err := entries(file, in["payloads"])
	if err != nil {
		return p, err
	}
	payloads := make([]any, 0, len(list))
	for _, e := range list {
		v, err := plistOf(file, e, 0)
		if err != nil {
			return p, err
		}
		m, is := v.(map[string]any)
		if !is {
			return p, badLine(file, e, "a payload is keys and values, PayloadType among them")
		}
		if err := localSecrets(file, e, m); err != nil {
			return p, err
		}
		payloads = append(payloads, m)
	}
	doc["PayloadType"], doc["PayloadContent"] = "Configuration", payloads
	if doc["PayloadIdentifier"] == nil {
		doc[builtMark] = true
	}
	p.Content, err = mdm.Encode(doc)
	return p, err
}

// localSecrets puts what "env:NAME" and "file:PATH" refer to in their place: a
// secret that is kept beside the files, not in them.
func localSecrets(file string, n *yaml.Node, m map[string]any) error {
	for k, v := range m {
		switch v := v.(type) {
		case map[string]any:
			if err := localSecrets(file, n, v); err != nil {
				return err
			}
		case []any:
			for _, e := range v {
				if inner, is := e.(map[string]any); is {
					if err := localSecrets(file, n, inner); err != nil {
						return err
					}
				}
			}
		case string:
			if name, is := strings.CutPrefix(v, "env:"); is && secretKey(k) {
				value, set := os.LookupEnv(name)
				if !set || value == "" {
					return badLine(file, n, "%s refers to the environment variable %s, which is not set", k, plain(name))
				}
				m[k] = value
			}
			if path, is := strings.CutPrefix(v, "file:"); is && secretKey(k) {
				b, err := os.ReadFile(path) //nolint:gosec // the file names it
				if err != nil {
					return badLine(file, n, "%s refers to %s, which cannot be read: %s", k, plain(path), reasonOf(err))
				}
				m[k] = strings.TrimRight(string(b), "\r\n")
			}
		}
	}
	return nil
}

// secretKey tells keys whose values may be references; elsewhere "file:" is an
// address like any other.
func secretKey(k string) bool {
	k = strings.ToLower(k)
	for _, end := range []string{"password", "secret", "challenge", "passphrase", "privatekey", "token"} {
		if strings.HasSuffix(k, end) {
			return true
		}
	}
	return false
}

// writeState writes what is wished as files below dir, which must be empty or
// hold an earlier export.
func writeState(dir string, doc stateDoc) (files int, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "profiles"), 0o750); err != nil {
		return 0, failedf("%s cannot be made: %s.", dir, reasonOf(err))
	}
	keep := map[string]bool{}
	write := func(name string, v any) error {
		var b bytes.Buffer
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		path := filepath.Join(dir, name)
		keep[path] = true
		files++
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			return failedf("%s cannot be written: %s.", path, reasonOf(err))
		}
		return nil
	}
	for i, g := range doc.Groups {
		if g.Rule == "" && g.Devices == nil {
			doc.Groups[i].Devices = serials{} // none, said aloud
		}
	}
	taken := map[string]bool{}
	for _, p := range doc.Profiles {
		n, err := profileNode(p)
		if err != nil {
			return files, err
		}
		if err := write(filepath.Join("profiles", fileName(p.Name, taken)), n); err != nil {
			return files, err
		}
	}
	if len(doc.Profiles) == 0 {
		if err := write(filepath.Join("profiles", "none.yaml"), map[string]any{"profiles": []any{}}); err != nil {
			return files, err
		}
	}
	for _, one := range []struct {
		name string
		v    any
	}{{"apps.yaml", map[string]any{"apps": doc.Apps}}, {"groups.yaml", map[string]any{"groups": doc.Groups}}, {"assignments.yaml", map[string]any{"assignments": doc.Assignments}}} {
		if err := write(one.name, one.v); err != nil {
			return files, err
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "profiles", "*.yaml"))
	for _, path := range old {
		if !keep[path] {
			err = errors.Join(err, os.Remove(path)) // of a profile that is no more
		}
	}
	return files, err
}

// fileName makes a file's name of a profile's.
func fileName(name string, taken map[string]bool) string {
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	file := base
	for i := 2; taken[strings.ToLower(file)]; i++ {
		file = fmt.Sprintf("%s-%d", base, i)
	}
	taken[strings.ToLower(file)] = true
	return file + ".yaml"
}

func profileNode(p stateProfile) (*yaml.Node, error) {
	var doc map[string]any
	if err := mdm.Decode(p.Content, &doc); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", p.Name, err)
	}
	one := map[string]any{"name": p.Name, "payloads": doc["PayloadContent"]}
	delete(doc, "PayloadContent")
	delete(doc, "PayloadType")
	delete(doc, builtMark)
	if len(doc) > 0 {
		one["properties"] = doc
	}
	return nodeOf(map[string]any{"profiles": []any{one}})
}
