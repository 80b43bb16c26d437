package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// root of the module, from this package's folder.
const root = "../.."

func model(t *testing.T) *kong.Application {
	t.Helper()
	k, err := newParser(env{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return k.Model
}

// between compares what is between two marks of a document, or writes it.
func between(t *testing.T, path, mark, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	i, j := bytes.Index(b, []byte(open)), bytes.Index(b, []byte(end))
	if i < 0 || j < i {
		t.Fatalf("%s has no part between %q and %q", path, open, end)
	}
	i += len(open)
	if string(b[i:j]) == want {
		return
	}
	if !*update {
		t.Errorf("%s is not in step with the program: run this test with -update", path)
		return
	}
	if err := os.WriteFile(path, slices.Concat(b[:i], []byte(want), b[j:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestReference holds operations.md to the command line.
func TestReference(t *testing.T) {
	var b strings.Builder
	for _, n := range leaves(model(t).Node) {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", n.FullPath(), n.Help)
		fmt.Fprintf(&b, "\n    %s\n", shape(n))
		rows := ""
		for _, a := range n.Positional {
			rows += fmt.Sprintf("| `%s` | %s |\n", strings.ToUpper(a.Name), cell(a.Help))
		}
		for _, f := range flagsOf(n) {
			if !isRemote(n, f) {
				rows += fmt.Sprintf("| `%s` | %s |\n", flagShape(f), cell(flagHelp(f)))
			}
		}
		if rows != "" {
			b.WriteString("\n| | |\n|---|---|\n" + rows)
		}
		if isRemote(n, nil) {
			b.WriteString("\nAnd the [flags of every command that talks to a server](#which-server).\n")
		}
	}
	b.WriteString("\n### Which server\n\nEvery command that talks to a server takes these. A flag counts more than the environment.\n\n| | |\n|---|---|\n")
	for _, f := range flagsOf(leaf(t, "ranzen status")) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", flagShape(f), cell(flagHelp(f)))
	}
	between(t, root+"/docs/operations.md", "reference", b.String()+"\n")
}

func leaf(t *testing.T, path string) *kong.Node {
	t.Helper()
	for _, n := range leaves(model(t).Node) {
		if n.FullPath() == path {
			return n
		}
	}
	t.Fatalf("no command %s", path)
	return nil
}

// isRemote tells whether a flag is one of those that say which server; without
// a flag, whether the command has them.
func isRemote(n *kong.Node, f *kong.Flag) bool {
	has := slices.ContainsFunc(flagsOf(n), func(f *kong.Flag) bool { return f.Name == "token-file" })
	return has && (f == nil || slices.Contains([]string{"data", "server", "token-file", "ca", "json"}, f.Name))
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// TestEveryCommandIsExplained holds the model to its own manners.
func TestEveryCommandIsExplained(t *testing.T) {
	walk(model(t).Node, func(path []string, n *kong.Node) {
		where := strings.Join(path, " ")
		if len(path) > 0 && !strings.HasSuffix(n.Help, ".") {
			t.Errorf("%s: %q is no sentence", where, n.Help)
		}
		for _, f := range flagsOf(n) {
			if !strings.HasSuffix(f.Help, ".") {
				t.Errorf("%s --%s: %q is no sentence", where, f.Name, f.Help)
			}
			if strings.Contains(f.Name, "password") && f.Name != "password-file" || f.Name == "token" || f.Name == "passphrase" {
				t.Errorf("%s --%s: a secret on the command line is readable for everybody on the machine", where, f.Name)
			}
		}
	})
}

// TestTheSurfaceIsThere: names that people script against.
func TestTheSurfaceIsThere(t *testing.T) {
	have := map[string]bool{}
	for _, n := range leaves(model(t).Node) {
		have[strings.TrimPrefix(n.FullPath(), "ranzen ")] = true
	}
	for _, want := range []string{
		"demo", "init", "serve", "simulate", "link create", "link list", "link revoke", "push-cert request", "push-cert import",
		"push-cert show", "devices", "device show", "device timeline", "device rename", "device restart", "device refresh", "device retry", "device lost",
		"device found", "device locate", "device sound", "device clear-passcode", "device erase", "device unmanage", "profile add",
		"profile wifi", "profile restrictions", "profile webclip", "profile certificate", "profile list", "profile show", "profile remove",
		"device why", "conflicts", "who", "variable set", "variable list", "variable remove", "group show", "group rule", "rollout list", "rollout show", "rollout pause", "rollout resume", "rollout abort", "removal list", "removal confirm", "removal cancel", "profile build", "profile homescreen", "profile applock", "profile webfilter", "profile passcode", "profile lockscreen", "profile notifications", "profile airprint", "profile proxy", "profile dns", "profile education", "profile font", "profile check", "profile publish", "profile rollback", "profile history", "profile diff",
		"app add", "app list", "app remove", "group create", "group list", "group add", "group drop", "group remove", "assign", "unassign",
		"assignment list", "commands", "command show", "command cancel", "send", "certificate list", "certificate revoke", "certificate refused", "user add",
		"user list", "user remove", "token create", "token list", "token revoke", "audit list", "audit verify", "status", "backup",
		"restore", "version", "help", "completion",
		"ade key", "ade profile assign", "ade profile create", "ade profile list", "ade profile remove", "ade profile set", "ade profile show",
		"ade profile state", "ade profile unassign", "ade sync", "ade token accept-missing", "ade token import", "ade token remove", "ade token show",
		"cart add", "cart card", "cart handover", "cart list", "cart set", "class add", "class list", "delivery board", "delivery close",
		"delivery compare", "delivery create", "delivery labels", "delivery list", "delivery pack", "delivery set", "delivery show", "delivery tags",
		"device place", "device release", "device state", "device tag", "export devices", "hold admit", "hold list", "hold reject", "import devices",
		"import mapping", "import mappings", "import undo", "scan", "school add", "school list", "site add", "site list", "site room add",
		"apply", "export desired-state", "plan", "secret list", "secret remove", "secret set",
		"site room list", "tenant add", "tenant list", "tenant set",
	} {
		if !have[want] {
			t.Errorf("ranzen %s is gone", want)
		}
		delete(have, want)
	}
	if len(have) > 0 {
		t.Errorf("new commands, write them down here: %v", have)
	}
}

// faultOf is one fault.New of the code.
type faultOf struct{ code, kind, text string }

// faults reads every fault.New with a literal code from the module's code.
func faults(t *testing.T) []faultOf {
	t.Helper()
	var out []faultOf
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 || !isFaultNew(call.Fun) {
				return true
			}
			kind, _ := call.Args[0].(*ast.SelectorExpr)
			code, text := literal(call.Args[1]), literal(call.Args[2])
			if kind == nil || code == "" || text == "" {
				return true
			}
			out = append(out, faultOf{code, kind.Sel.Name, text})
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kindWord is "not-found" of NotFound.
func kindWord(name string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "$1-$2"))
}

func isFaultNew(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "New" {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "fault"
}

// literal is the value of a string literal or of several joined by +.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err == nil {
			return s
		}
	case *ast.BinaryExpr:
		a, b := literal(e.X), literal(e.Y)
		if a != "" && b != "" {
			return a + b
		}
	case *ast.ParenExpr:
		return literal(e.X)
	}
	return ""
}

var (
	codeForm = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	verb     = regexp.MustCompile(`%[-+# 0-9.\[\]]*[a-zA-Z]`)
)

// TestProblems holds problems.md to the codes that programs may see.
func TestProblems(t *testing.T) {
	all := faults(t)
	if len(all) < 20 {
		t.Fatalf("only %d faults found: the search is broken", len(all))
	}
	lines := map[string]bool{}
	for _, f := range all {
		if !codeForm.MatchString(f.code) {
			t.Errorf("code %q is not like device.unknown", f.code)
		}
		if last := f.text[len(f.text)-1]; !strings.ContainsRune(".?!…", rune(last)) && !strings.HasSuffix(f.text, "%s") {
			t.Errorf("%s: %q is no sentence", f.code, f.text)
		}
		text := strings.ReplaceAll(verb.ReplaceAllString(f.text, "…"), "%%", "%")
		lines[fmt.Sprintf("| `%s` | %s | %s |\n", f.code, kindWord(f.kind), cell(text))] = true
	}
	sorted := []string{}
	for l := range lines {
		sorted = append(sorted, l)
	}
	slices.Sort(sorted)
	between(t, root+"/docs/problems.md", "codes", "\n| code | kind | says |\n|---|---|---|\n"+strings.Join(sorted, "")+"\n")
}

// TestLinks: documents of ours name files of ours that are there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	docs, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(docs) < 4 {
		t.Fatalf("%v %v", docs, err)
	}
	for _, doc := range append(docs, root+"/CHANGELOG.md") {
		b, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(b, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), string(m[1]))); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}
