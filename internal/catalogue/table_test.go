package catalogue

import (
	"regexp"
	"slices"
	"testing"
)

func TestEveryLineOfTheTableIsUnderstood(t *testing.T) {
	got, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.source; s.Files < 340 || s.Replaced < 20 || s.Supplement < 10 || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(s.SHA256) {
		t.Errorf("it was made of %+v", s)
	}
	for k, least := range map[Kind]int{Profile: 48, Command: 48, CheckIn: 8, Declaration: 35, Status: 30, Credential: 4, Protocol: 3, Problem: 3, Other: 3} {
		if n := len(got.names[k]); n < least || !slices.IsSorted(got.names[k]) {
			t.Errorf("%d of %s", n, k)
		}
	}
	for _, line := range []string{"x", " key\tstring", "profile a\tsupervsed", "profile a\n   key\tstring", "profile a\n key", "profile a\n key\tarray\tsame:9", "profile a\n key\tarray\tsame:x", "answer"} {
		if _, err := read(line); err == nil {
			t.Errorf("%q was read", line)
		}
	}
}

func TestTheFormatsOfTheTableAreExpressions(t *testing.T) {
	n := 0
	var down func(keys []*Key, depth int)
	down = func(keys []*Key, depth int) {
		for _, k := range keys {
			if k.Format != "" {
				n++
				if _, err := regexp.Compile(k.Format); err != nil {
					t.Error(err)
				}
			}
			if depth < 12 {
				down(k.Keys(), depth+1)
			}
		}
	}
	for _, of := range loaded().entries {
		for _, e := range of {
			down(e.Keys, 0)
		}
	}
	if n == 0 {
		t.Error("there are none")
	}
}

func TestAKeyIsAsWhatHoldsItUnlessItSaysOtherwise(t *testing.T) {
	e, ok := Find(Profile, "com.apple.homescreenlayout")
	if !ok || !e.Supervised || !e.Single || e.SharedIPad != "allowed" {
		t.Fatalf("%+v", e)
	}
	if k, _ := e.Key("Pages"); !k.Supervised || k.Since != e.Since {
		t.Errorf("%+v", k)
	}
	e, _ = Find(Profile, "com.apple.applicationaccess")
	if k, _ := e.Key("allowCamera"); k.Type != "boolean" || k.Default != "true" {
		t.Errorf("%+v", k)
	}
	if k, _ := e.Key("allowGenmoji"); !k.Supervised || k.Since != "18.0" || k.Deprecated != "26.4" {
		t.Errorf("%+v", k)
	}
	d, _ := Find(Declaration, "com.apple.configuration.passcode.settings")
	if k, _ := d.Key("MinimumLength"); k.Combine != "number-max" || d.Apply != "combined" {
		t.Errorf("%+v", k)
	}
}

func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckProfile(b *testing.B) {
	doc := profile(wifi(dict{"AutoJoin": true, "EAPClientConfiguration": dict{"AcceptEAPTypes": []any{uint64(13)}}}), dict{"PayloadType": "com.apple.applicationaccess", "allowCamera": false})
	b.ReportAllocs()
	for b.Loop() {
		if got := CheckProfile(doc); len(got) > 0 {
			b.Fatal(got)
		}
	}
}
