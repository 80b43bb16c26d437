package views

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// reasonsOfProfiles are the sentences in package profiles that become the reason
// of an item or of a halted roll-out: those of the files that judge, without what
// goes to who asked something.
func reasonsOfProfiles(t *testing.T) (all, here []string) {
	t.Helper()
	files, err := filepath.Glob("../../profiles/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	judging := map[string]bool{"plan.go": true, "lists.go": true, "drift.go": true, "removal.go": true, "rollout_step.go": true, "render.go": true, "wishes.go": true}
	only := map[string]string{"fit.go": "unable", "variables.go": "unresolved"}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		for _, d := range f.Decls {
			fn, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if call, is := n.(*ast.CallExpr); is {
					if sel, is := call.Fun.(*ast.SelectorExpr); is && (sel.Sel.Name == "Errorf" || sel.Sel.Name == "New") {
						return false
					}
				}
				lit, is := n.(*ast.BasicLit)
				if !is || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, text)
				sentence := strings.Count(text, " ") >= 2 && text[0] >= 'A' && text[0] <= 'Z' && !strings.HasPrefix(text, "SELECT")
				if sentence && (judging[base] || only[base] == fn.Name.Name) {
					here = append(here, text)
				}
				return true
			})
		}
	}
	return all, here
}

func TestWhatProfilesSaysIsSaidInGermanToo(t *testing.T) {
	all, here := reasonsOfProfiles(t)
	for _, g := range germanOf() {
		met := false
		for _, text := range all {
			met = met || strings.HasPrefix(text, g.en)
		}
		if !met {
			t.Errorf("package profiles no longer writes %q", g.en)
		}
		if got := inBoth(g.en + "7" + g.until + " and more"); got.de != strings.Replace(g.de, "%s", "7", 1) {
			t.Errorf("%q is %q in German", g.en, got.de)
		}
	}
	if len(here) < 20 {
		t.Fatalf("only %d reasons were found: the test looks in the wrong place", len(here))
	}
	for _, text := range here {
		if strings.HasPrefix(text, "The iPad reported: ") {
			continue
		}
		text = strings.NewReplacer("%s", "7", "%d", "7").Replace(text)
		if got := inBoth(text); got.de == got.en {
			t.Errorf("nobody says in German: %q", text)
		}
	}
	if got := inBoth("The iPad reported: no space (X 1)"); got.de != "Das iPad meldet: no space (X 1)." {
		t.Errorf("%q", got.de)
	}
	if got := inBoth("2 iPads (A, B): It has said nothing since it was given it."); got.de != "2 iPads (A, B): Es hat sich nicht gemeldet, seit es das bekam." {
		t.Errorf("%q", got.de)
	}
	if got := inBoth("It goes once the new Wi-Fi network is there, so that the iPad is not cut off: Schul-WLAN."); !strings.HasSuffix(got.de, "abgeschnitten wird: Schul-WLAN.") {
		t.Errorf("%q", got.de)
	}
}
