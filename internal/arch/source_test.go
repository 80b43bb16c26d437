package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "ranzen/"

// source is one Go file that is no test.
type source struct {
	pkg, name string // "internal/mdm", "guard.go"
	fset      *token.FileSet
	file      *ast.File
}

func parse(pkg, name string, src any) (source, error) {
	s := source{pkg: pkg, name: name, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, path.Join(pkg, name), src, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// tree reads the whole module, without tests; packages that have only tests are
// in packages all the same.
func tree(t *testing.T) (all []source, packages map[string]bool) {
	t.Helper()
	packages = map[string]bool{}
	const root = "../.."
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != root):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		packages[pkg] = true
		if strings.HasSuffix(p, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		s, err := parse(pkg, d.Name(), src)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files found: the search is broken", len(all))
	}
	return all, packages
}

func (s source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// imports are the import paths, and where they stand.
func (s source) imports() map[string]ast.Node {
	out := map[string]ast.Node{}
	for _, i := range s.file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			out[p] = i
		}
	}
	return out
}

// local is the name under which the file knows a package, "" if it does not.
func (s source) local(importPath string) string {
	for _, i := range s.file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err != nil || p != importPath {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// texts are the string literals.
func (s source) texts(do func(at ast.Node, text string)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if _, is := n.(*ast.ImportSpec); is {
			return false
		}
		if l, is := n.(*ast.BasicLit); is && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil {
				do(l, text)
			}
		}
		return true
	})
}

// within tells whether path is pkg or below it.
func within(path, pkg string) bool { return path == pkg || strings.HasPrefix(path, pkg+"/") }
