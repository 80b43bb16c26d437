package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/table.txt anew")

func TestTheTableHoldsWhatIPadsKnow(t *testing.T) {
	out := filepath.Join(t.TempDir(), "table.txt")
	if err := run([]string{"testdata/older", "testdata/newer"}, "testdata/supplement", "27.0", out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/table.txt", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/table.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s", got)
	}
	for _, line := range []string{
		"files:11\treplaced:1\tsupplement:2\t",
		"command Lock\tsince:4.0\trights:AllowLock\n Message\tstring\trequired\n Number\tstring\tsince:26.0\nanswer\n Result\tstring\trequired\n",
		"command New\tsince:27.0\topen\n", "command Update\tsince:9.0\tremoved:27.0\tsupervised\n",
		" Pages\tarray\trequired\n  Page\tarray\n   Icon\tdictionary\n    Type\tstring\trequired\tvalues:App|Folder\n    Pages\tarray\tsame:3\n",
		"    Page\tarray\tsame:3\n", "profile com.example.mac\telsewhere\n", "other Silent\telsewhere\n",
		" Both\tstring\trequired\n Only-a\tstring\n Only-b\tstring\n", " Delay\tinteger\tsince:11.3\tremoved:27.0\tsupervised\tmin:1\tmax:90\n",
		"  Kind\tinteger\tsince:17.0\tvalues:1|2\n  ANY\tany\n", "apply:combined", "combine:boolean-and", "format:^.{1,32}$",
	} {
		if !strings.Contains(string(got), line) {
			t.Errorf("the table lacks %q", line)
		}
	}
	for _, no := range []string{"Old", "Mac", "Ancient", "sentence"} {
		if strings.Contains(string(got), no) {
			t.Errorf("the table has %s", no)
		}
	}
}

// The hash stands for every file that was read, those for other devices too.
func TestEveryFileCountsForTheHash(t *testing.T) {
	sum := func(change func(dir string)) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/older")); err != nil {
			t.Fatal(err)
		}
		change(dir)
		out := filepath.Join(t.TempDir(), "table.txt")
		if err := run([]string{dir}, "", "27.0", out); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(b), "\n")[1]
	}
	write := func(name, text string) func(string) {
		return func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	as := sum(func(string) {})
	if as != sum(func(string) {}) {
		t.Error("the same files have two hashes")
	}
	for name, change := range map[string]func(string){
		"another file for Macs": write("mdm/profiles/com.example.mac.yaml", "payload: {payloadtype: com.example.mac}\n"),
		"one more":              write("other/more.yaml", "payload: {payloadtype: More}\n"),
		"changes":               write("CHANGES.md", "- Removed: other/nothing.yaml\n"),
	} {
		if got := sum(change); got == as {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestNoTableIsMadeOfHalfASchema(t *testing.T) {
	for name, text := range map[string]string{
		"no YAML":                  "payload: [",
		"a type that is none":      "payload: {payloadtype: A, supportedOS: {iOS: {introduced: '9.0'}}}\npayloadkeys: [{key: K, type: <colour>}]",
		"an inner one":             "payload: {payloadtype: A, supportedOS: {iOS: {introduced: '9.0'}}}\npayloadkeys: [{key: K, type: <dictionary>, subkeys: [{key: L, type: x}]}]",
		"keys that are no list":    "payload: {payloadtype: A, supportedOS: {iOS: {introduced: '9.0'}}}\npayloadkeys: x",
		"a key that is no mapping": "payload: {payloadtype: A, supportedOS: {iOS: {introduced: '9.0'}}}\npayloadkeys: [x]",
		"a value with a bar":       "payload: {payloadtype: A, supportedOS: {iOS: {introduced: '9.0'}}}\npayloadkeys: [{key: K, type: <string>, rangelist: ['a|b']}]",
		"a key with a tab":         "payload: {payloadtype: A, supportedOS: {iOS: {introduced: '9.0'}}}\npayloadkeys: [{key: \"a\\tb\", type: <string>}]",
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "mdm/profiles"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "mdm/profiles/a.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "table.txt")
		if err := run([]string{"testdata/older", dir}, "", "27.0", out); err == nil {
			t.Errorf("%s: a table was made", name)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a file was written", name)
		}
	}
	for name, schemas := range map[string][]string{"no folder": nil, "an empty folder": {t.TempDir()}, "no payloads for iPads": {"testdata/supplement"}} {
		if err := run(schemas, "", "27.0", filepath.Join(t.TempDir(), "x")); err == nil {
			t.Errorf("%s: a table was made", name)
		}
	}
	if err := run([]string{"testdata/newer"}, "testdata/supplement", "27.0", filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("the supplement added to what is not there")
	}
}
