// Gen distils Apple's published schema into the catalogue:
//
//	go run ./internal/catalogue/gen -schema DIR -schema DIR/newer -supplement internal/catalogue/gen/supplement -out internal/catalogue/table.txt
//
// Trees are read in order; a file of a later one replaces that of the same path. A
// CHANGES.md in a tree names what was removed with -release. The supplement adds
// to what the trees say, and replaces nothing of it that it does not name. Only
// names, types, versions and values are taken, none of Apple's sentences.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

type trees []string

func (t *trees) String() string     { return strings.Join(*t, " ") }
func (t *trees) Set(s string) error { *t = append(*t, s); return nil }

func main() {
	var schemas trees
	flag.Var(&schemas, "schema", "folder of Apple's schema; later ones replace files of earlier ones")
	supplement := flag.String("supplement", "", "folder of the same form, whose files add to those of the schema")
	out := flag.String("out", "", "file to write")
	release := flag.String("release", "27.0", "the iPadOS of the last schema: what its CHANGES.md calls removed went with it")
	flag.Parse()
	if err := run(schemas, *supplement, *release, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(schemas []string, supplement, release, out string) error {
	if len(schemas) == 0 || out == "" {
		return fmt.Errorf("-schema and -out are needed")
	}
	g := gathered{files: map[string][]byte{}, removed: map[string]string{}, hash: sha256.New()}
	for _, dir := range schemas {
		if err := g.tree(dir, release); err != nil {
			return err
		}
	}
	entries, err := g.entries(false)
	if err != nil {
		return err
	}
	if supplement != "" {
		if entries, err = g.supplement(entries, supplement); err != nil {
			return err
		}
	}
	text, err := g.table(entries)
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o644)
}

// gathered is what the trees hold.
type gathered struct {
	files   map[string][]byte // the newest of each path
	removed map[string]string // path, or path/key/key: the release that removed it
	read    int               // files, replaced ones too
	added   int               // files of the supplement
	hash    interface {
		Write(p []byte) (int, error)
		Sum(b []byte) []byte
	}
}

// kindOf is what a file of a folder describes; "" is a folder that nobody knows.
func kindOf(file string) string {
	for _, k := range [][2]string{
		{"mdm/profiles", "profile"}, {"mdm/commands", "command"}, {"mdm/checkin", "checkin"}, {"mdm/errors", "error"},
		{"declarative/declarations/assets/credentials", "credential"}, {"declarative/declarations", "declaration"},
		{"declarative/status", "status"}, {"declarative/protocol", "protocol"}, {"other", "other"},
	} {
		if strings.HasPrefix(file, k[0]+"/") {
			return k[1]
		}
	}
	return ""
}

// tree reads every file of a schema. Each counts for the hash, those for other
// devices too.
func (g *gathered) tree(dir, release string) error {
	n := g.read
	for _, part := range []string{"declarative", "mdm", "other"} {
		if _, err := os.Stat(filepath.Join(dir, part)); os.IsNotExist(err) {
			continue
		}
		err := filepath.WalkDir(filepath.Join(dir, part), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(file) != ".yaml" {
				return err
			}
			rel, b, err := g.file(dir, file)
			g.files[rel] = b
			g.read++
			return err
		})
		if err != nil {
			return err
		}
	}
	if g.read == n {
		return fmt.Errorf("%s has no schema: no .yaml below declarative, mdm or other", dir)
	}
	changes := filepath.Join(dir, "CHANGES.md")
	if _, err := os.Stat(changes); os.IsNotExist(err) {
		return nil // the first publications had none
	}
	_, b, err := g.file(dir, changes)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if m := gone.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			g.removed[m[1]] = release
		}
	}
	return nil
}

var gone = regexp.MustCompile(`^- Removed: (\S+\.yaml\S*)$`)

func (g *gathered) file(dir, file string) (rel string, b []byte, err error) {
	if rel, err = filepath.Rel(dir, file); err != nil {
		return "", nil, err
	}
	rel = filepath.ToSlash(rel)
	if b, err = os.ReadFile(file); err != nil {
		return rel, nil, err
	}
	fmt.Fprintf(g.hash, "%s\n%d\n", rel, len(b))
	_, err = g.hash.Write(b)
	return rel, b, err
}

// entries reads the newest files.
func (g *gathered) entries(adds bool) (map[string]*entry, error) {
	out := map[string]*entry{}
	for _, file := range sorted(g.files) {
		e, err := parse(file, g.files[file], adds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		g.markRemoved(e, file)
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		id := e.kind + " " + e.name
		if old := out[id]; old != nil { // Apple describes some types in two files
			old.either(e)
			continue
		}
		out[id] = e
	}
	return out, nil
}

// markRemoved notes what a list of changes says is gone.
func (g *gathered) markRemoved(e *entry, file string) {
	if v := g.removed[file]; v != "" && e.os.ipad() && e.os.removed == "" {
		e.os.removed = v
	}
	var down func(at string, keys []*key)
	down = func(at string, keys []*key) {
		for _, k := range keys {
			if v := g.removed[at+"/"+k.name]; v != "" && k.os.removed == "" {
				k.os.removed = v
			}
			inner := k.keys
			if k.kind == "array" && len(inner) == 1 && inner[0].kind == "dictionary" {
				inner = inner[0].keys // a path of Apple's leaves the element out
			}
			if k.same == 0 {
				down(at+"/"+k.name, inner)
				if len(k.keys) == 1 && k.kind == "array" {
					down(at+"/"+k.name, k.keys)
				}
			}
		}
	}
	down(file, e.keys)
	down(file, e.answer)
}

// supplement adds what a folder says.
func (g *gathered) supplement(entries map[string]*entry, dir string) (map[string]*entry, error) {
	more := gathered{files: map[string][]byte{}, removed: map[string]string{}, hash: g.hash}
	if err := more.tree(dir, ""); err != nil {
		return nil, err
	}
	g.added = more.read
	add, err := more.entries(true)
	if err != nil {
		return nil, err
	}
	for _, id := range sorted(add) {
		old := entries[id]
		switch {
		case old != nil:
			old.add(add[id])
		case add[id].os.silent:
			return nil, fmt.Errorf("the supplement adds to %s, which is not there", id)
		default:
			entries[id] = add[id]
		}
	}
	return entries, nil
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (g *gathered) sum() string { return hex.EncodeToString(g.hash.Sum(nil)) }
