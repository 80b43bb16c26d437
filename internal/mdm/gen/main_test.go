package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// schema writes files of a tree.
func schema(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const restricted = `
payload: {payloadtype: com.apple.applicationaccess}
payloadkeys:
- {key: allowB, type: <boolean>}
- {key: allowA, type: <boolean>, supportedOS: {iOS: {introduced: '5.0'}}}
- {key: allowMac, type: <boolean>, supportedOS: {iOS: {introduced: n/a}}}
- {key: rating, type: <integer>}
`

func command(name, os, keys string) string {
	return "payload: {requesttype: " + name + ", content: Apple's sentence, supportedOS: {iOS: {" + os + "}}}\npayloadkeys:\n" + strings.Replace(keys, "[]", "  []", 1)
}

func TestTheTableHoldsWhatIPadsKnow(t *testing.T) {
	older := schema(t, map[string]string{
		"mdm/profiles/com.apple.applicationaccess.yaml": "payload: {}\npayloadkeys: [{key: allowOld, type: <boolean>}]",
		"mdm/commands/lock.yaml":                        command("Lock", "introduced: '4.0'", "- {key: Old, type: <string>}"),
		"mdm/commands/mac.yaml":                         command("Mac", "introduced: n/a", "[]"),
		"mdm/commands/tv.yaml":                          "payload: {requesttype: TV, supportedOS: {tvOS: {introduced: '9.0'}}}",
		"mdm/commands/ancient.yaml":                     command("Ancient", "introduced: '4.0', deprecated: 6.1.6", "[]"),
		"mdm/commands/system.update.yaml":               command("Update", "introduced: '9.0', supervised: true", "[]"),
	})
	newer := schema(t, map[string]string{
		"CHANGES.md": "# Changes\n\n- Removed: mdm/commands/system.update.yaml\n- Removed: mdm/commands/lock.yaml/Old\n",
		"mdm/profiles/com.apple.applicationaccess.yaml": restricted,
		"mdm/commands/lock.yaml": command("Lock", "introduced: '4.0', sharedipad: {mode: required}", `
- {key: Text, type: <string>, presence: required, rangelist: [a, b], content: Apple's sentence}
- {key: PIN, type: <string>, supportedOS: {iOS: {introduced: n/a}}}
- {key: Inner, type: <dictionary>, supportedOS: {iOS: {introduced: '17.0', supervised: true}}, subkeys: [{key: N, type: <integer>, rangelist: [1, 2]}]}
- {key: Queries, type: <array>, subkeys: [{key: Item, type: <string>, subkeys: [{key: UDID, type: <string>}]}]}
`),
	})
	out := filepath.Join(t.TempDir(), "table.go")
	if err := run([]string{older, newer}, "27.0", out); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	for _, want := range []string{
		"DO NOT EDIT", `"Lock",` + "\n\t\t" + `"Update",` + "\n\t}",
		`RequestType: "Lock", Introduced: "4.0", SharedIPad: "required", Keys:`,
		`{Name: "Text", Type: "string", Required: true, Values: []string{"a", "b"}},`,
		`{Name: "Inner", Type: "dictionary", Introduced: "17.0", Supervised: true, Keys: []KeySpec{`,
		`{Name: "N", Type: "integer", Values: []string{"1", "2"}},`,
		`{Name: "Item", Type: "string"},`,
		`RequestType: "Update", Introduced: "9.0", Removed: "27.0", Supervised: true}`,
		`case "allowA",` + "\n\t\t" + `"allowB":` + "\n\t\t" + `return "boolean", true`, `case "rating":`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %s", want)
		}
	}
	for _, no := range []string{"Old", "Mac", "TV", "Ancient", "PIN", "UDID", "sentence"} {
		if strings.Contains(got, no) {
			t.Errorf("the table has %s", no)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestNoTableIsMadeOfHalfASchema(t *testing.T) {
	whole := func() map[string]string {
		return map[string]string{"mdm/commands/a.yaml": command("A", "introduced: '4.0'", "[]"), "mdm/profiles/com.apple.applicationaccess.yaml": restricted}
	}
	for name, change := range map[string]func(map[string]string){
		"no commands":          func(m map[string]string) { delete(m, "mdm/commands/a.yaml") },
		"no restrictions":      func(m map[string]string) { delete(m, "mdm/profiles/com.apple.applicationaccess.yaml") },
		"a broken command":     func(m map[string]string) { m["mdm/commands/a.yaml"] = "payload: [" },
		"a broken restriction": func(m map[string]string) { m["mdm/profiles/com.apple.applicationaccess.yaml"] = "{" },
		"a type that is none": func(m map[string]string) {
			m["mdm/commands/a.yaml"] = command("A", "introduced: '4.0'", "- {key: K, type: <colour>}")
		},
		"a broken inner type": func(m map[string]string) {
			m["mdm/commands/a.yaml"] = command("A", "introduced: '4.0'", "- {key: K, type: <dictionary>, subkeys: [{key: L, type: x}]}")
		},
	} {
		files := whole()
		change(files)
		out := filepath.Join(t.TempDir(), "table.go")
		if err := run([]string{schema(t, files)}, "27.0", out); err == nil {
			t.Errorf("%s: a table was made", name)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a file was written", name)
		}
	}
	if err := run(nil, "27.0", "x"); err == nil {
		t.Error("a table was made of nothing")
	}
	if err := run([]string{schema(t, whole())}, "27.0", filepath.Join(t.TempDir(), "table.go")); err != nil {
		t.Errorf("the whole one: %v", err)
	}
}
