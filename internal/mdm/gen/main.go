// Gen writes the table of Apple's commands and restrictions that iPads know, from
// Apple's schema:
//
//	go run ./internal/mdm/gen -schema DIR [-schema DIR/newer] -out internal/mdm/table.go
//
// Trees are read in order; a file of a later one replaces that of the same path.
// A CHANGES.md in a tree names commands that were removed with -release. Only names,
// types and versions are taken, none of Apple's sentences.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// payload is one file of mdm/commands. Source: Apple, device-management, docs/schema.md.
type payload struct {
	Payload struct {
		RequestType string    `yaml:"requesttype"`
		Supported   supported `yaml:"supportedOS"`
	}
	Keys []key `yaml:"payloadkeys"`
}

type supported struct {
	IOS *release `yaml:"iOS"`
}

type release struct {
	Introduced, Deprecated, Removed string
	Supervised                      bool
	SharedIPad                      struct{ Mode string } `yaml:"sharedipad"`
}

type key struct {
	Key       string
	Supported supported `yaml:"supportedOS"`
	Type      string
	Presence  string
	Range     []string `yaml:"rangelist"`
	Sub       []key    `yaml:"subkeys"`
}

type trees []string

func (t *trees) String() string     { return strings.Join(*t, " ") }
func (t *trees) Set(s string) error { *t = append(*t, s); return nil }

func main() {
	var schemas trees
	flag.Var(&schemas, "schema", "folder of Apple's schema; later ones replace files of earlier ones")
	out := flag.String("out", "", "file to write")
	release := flag.String("release", "27.0", "the iPadOS of the last schema: what its CHANGES.md calls removed went with it")
	flag.Parse()
	if err := run(schemas, *release, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(schemas []string, release, out string) error {
	if len(schemas) == 0 || out == "" {
		return fmt.Errorf("-schema and -out are needed")
	}
	files, removed, err := gather(schemas, release)
	if err != nil {
		return err
	}
	known, err := restrictions(schemas)
	if err != nil {
		return err
	}
	src, err := table(files, removed, known)
	if err != nil {
		return err
	}
	return os.WriteFile(out, src, 0o644)
}

var gone = regexp.MustCompile(`^- Removed: mdm/commands/([a-z.]+\.yaml)$`)

// gather finds the newest file of each name, and the release that removed it.
func gather(schemas []string, release string) (files map[string]string, removed map[string]string, err error) {
	files, removed = map[string]string{}, map[string]string{}
	for _, dir := range schemas {
		found, err := filepath.Glob(filepath.Join(dir, "mdm/commands/*.yaml"))
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, fmt.Errorf("%s has no mdm/commands/*.yaml", dir)
		}
		for _, f := range found {
			files[filepath.Base(f)] = f
		}
		changes, err := os.ReadFile(filepath.Join(dir, "CHANGES.md"))
		if err != nil {
			continue // the first publications had none
		}
		for line := range strings.Lines(string(changes)) {
			if m := gone.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				removed[m[1]] = release
			}
		}
	}
	return files, removed, nil
}

// restrictions finds the newest list of them: type by type, sorted.
func restrictions(schemas []string) (map[string][]string, error) {
	var p payload
	for _, dir := range schemas {
		b, err := os.ReadFile(filepath.Join(dir, "mdm/profiles/com.apple.applicationaccess.yaml"))
		if err != nil {
			continue
		}
		p = payload{}
		if err := yaml.Unmarshal(b, &p); err != nil {
			return nil, fmt.Errorf("restrictions of %s: %w", dir, err)
		}
	}
	known := map[string][]string{}
	for _, k := range p.Keys {
		if k.Supported.IOS == nil || runsOnIPads(*k.Supported.IOS) {
			t := strings.Trim(k.Type, "<>")
			known[t] = append(known[t], k.Key)
		}
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("no schema has restrictions")
	}
	return known, nil
}

func table(files, removed map[string]string, known map[string][]string) ([]byte, error) {
	specs := map[string]string{}
	for name, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var p payload
		if err := yaml.Unmarshal(b, &p); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		ios := p.Payload.Supported.IOS
		if ios == nil || !runsOnIPads(*ios) {
			continue
		}
		if ios.Removed == "" {
			ios.Removed = removed[name]
		}
		var w bytes.Buffer
		fmt.Fprintf(&w, "RequestType: %q, ", p.Payload.RequestType)
		writeRelease(&w, *ios)
		if mode := ios.SharedIPad.Mode; mode == "required" || mode == "forbidden" {
			fmt.Fprintf(&w, "SharedIPad: %q, ", mode)
		}
		if err := writeKeys(&w, p.Keys); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		specs[p.Payload.RequestType] = w.String()
	}
	names := make([]string, 0, len(specs))
	for n := range specs {
		names = append(names, n)
	}
	slices.Sort(names)

	var w bytes.Buffer
	fmt.Fprintf(&w, "// Code generated by internal/mdm/gen from %d files of Apple's schema; DO NOT EDIT.\n// See NOTICE.\n\npackage mdm\n\n", len(files))
	w.WriteString("// CommandNames lists Apple's commands for iPads, sorted.\nfunc CommandNames() []string {\n\treturn []string{\n")
	for _, n := range names {
		fmt.Fprintf(&w, "%q,\n", n)
	}
	w.WriteString("}\n}\n\n// CommandSpecOf finds a command by its RequestType.\nfunc CommandSpecOf(requestType string) (CommandSpec, bool) {\n\tswitch requestType {\n")
	for _, n := range names {
		fmt.Fprintf(&w, "case %q:\nreturn CommandSpec{%s}, true\n", n, strings.TrimSuffix(specs[n], ", "))
	}
	w.WriteString("}\nreturn CommandSpec{}, false\n}\n")
	w.WriteString("\n// RestrictionType is the type of one of Apple's restrictions for iPads.\nfunc RestrictionType(key string) (kind string, known bool) {\n\tswitch key {\n")
	for _, t := range types {
		if keys := known[t]; len(keys) > 0 {
			slices.Sort(keys)
			for i := range keys {
				keys[i] = strconv.Quote(keys[i])
			}
			fmt.Fprintf(&w, "case %s:\nreturn %q, true\n", strings.Join(slices.Compact(keys), ",\n"), t)
		}
	}
	w.WriteString("}\nreturn \"\", false\n}\n")
	return format.Source(w.Bytes())
}

// runsOnIPads tells whether any iPadOS has it: the first was 13.
func runsOnIPads(r release) bool {
	if r.Introduced == "n/a" {
		return false
	}
	for _, v := range []string{r.Deprecated, r.Removed} {
		major, _, _ := strings.Cut(v, ".")
		if n, err := strconv.Atoi(major); err == nil && n < 13 {
			return false
		}
	}
	return true
}

func writeRelease(w *bytes.Buffer, r release) {
	if r.Introduced != "" {
		fmt.Fprintf(w, "Introduced: %q, ", r.Introduced)
	}
	if r.Deprecated != "" {
		fmt.Fprintf(w, "Deprecated: %q, ", r.Deprecated)
	}
	if r.Removed != "" {
		fmt.Fprintf(w, "Removed: %q, ", r.Removed)
	}
	if r.Supervised {
		w.WriteString("Supervised: true, ")
	}
}

var types = []string{"string", "integer", "real", "boolean", "date", "data", "array", "dictionary", "any"}

func writeKeys(w *bytes.Buffer, keys []key) error {
	var inner bytes.Buffer
	for _, k := range keys {
		r := release{}
		if k.Supported.IOS != nil {
			r = *k.Supported.IOS
		}
		if !runsOnIPads(r) {
			continue
		}
		t := strings.Trim(k.Type, "<>")
		if !slices.Contains(types, t) {
			return fmt.Errorf("%s has the type %q, which is none", k.Key, k.Type)
		}
		sub := k.Sub
		if t == "string" {
			sub = nil // queries: Apple lists most of what may be asked, and itself asks more in its examples
		}
		fmt.Fprintf(&inner, "{Name: %q, Type: %q, ", k.Key, t)
		if k.Presence == "required" {
			inner.WriteString("Required: true, ")
		}
		writeRelease(&inner, r)
		if len(k.Range) > 0 {
			fmt.Fprintf(&inner, "Values: %#v, ", k.Range)
		}
		if err := writeKeys(&inner, sub); err != nil {
			return err
		}
		inner.Truncate(inner.Len() - len(", "))
		inner.WriteString("},\n")
	}
	if inner.Len() > 0 {
		fmt.Fprintf(w, "Keys: []KeySpec{\n%s}, ", inner.Bytes())
	}
	return nil
}
