package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// banned are names of other packages that nobody uses.
func banned() map[string][]string {
	return map[string][]string{
		"time":    {"Now", "Since", "Until"},
		"context": {"Background", "TODO"},
	}
}

// checkHabits is rule 5. allowed names "package: thing" and must be in use.
func checkHabits(all []source, allowed map[string]string) (wrong []string) {
	used := map[string]bool{}
	for _, s := range all {
		found := func(at ast.Node, thing string) {
			key := s.pkg + ": " + thing
			if _, ok := allowed[key]; ok {
				used[key] = true
				return
			}
			wrong = append(wrong, fmt.Sprintf("%s: %s uses %s", s.at(at), s.pkg, thing))
		}
		for pkg, names := range banned() {
			local := s.local(pkg)
			ast.Inspect(s.file, func(n ast.Node) bool {
				if sel, is := n.(*ast.SelectorExpr); is && local != "" && slices.Contains(names, sel.Sel.Name) {
					if x, is := sel.X.(*ast.Ident); is && x.Name == local {
						found(n, pkg+"."+sel.Sel.Name)
					}
				}
				return true
			})
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, is := n.(*ast.CallExpr); is {
				if f, is := call.Fun.(*ast.Ident); is && f.Name == "panic" {
					found(n, "panic")
				}
			}
			return true
		})
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					found(d, "func init")
				}
			case *ast.GenDecl:
				for _, name := range variables(d) {
					found(d, "var "+name)
				}
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			wrong = append(wrong, key+" is allowed and not used")
		}
	}
	return wrong
}

// variables are the package-level ones that are no error, regexp, embedded file
// or proof that a type has an interface.
func variables(d *ast.GenDecl) (names []string) {
	if d.Tok != token.VAR {
		return nil
	}
	for _, spec := range d.Specs {
		v, is := spec.(*ast.ValueSpec)
		if !is || embedded(d.Doc) || embedded(v.Doc) {
			continue
		}
		for i, name := range v.Names {
			isError := strings.HasPrefix(strings.ToLower(name.Name), "err") && len(name.Name) > 3
			isRegexp := len(v.Values) > i && calls(v.Values[i], "regexp", "MustCompile")
			if name.Name != "_" && !isError && !isRegexp {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func calls(e ast.Expr, pkg, name string) bool {
	call, is := e.(*ast.CallExpr)
	if !is {
		return false
	}
	sel, is := call.Fun.(*ast.SelectorExpr)
	if !is || sel.Sel.Name != name {
		return false
	}
	x, is := sel.X.(*ast.Ident)
	return is && x.Name == pkg
}
