package schools

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func ruleNow() time.Time { return time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) }

func TestARuleSaysYesNoOrWhichFactIsMissing(t *testing.T) {
	yes := true
	f := Facts{
		Model: "iPad13,18", OSVersion: "18.1.0", Supervised: &yes, State: "enrolled", Sites: []string{"SAT"}, Classes: []string{"SCH/3b/2026/27"},
		Carts: []string{"SAT-K03"}, Groups: []string{"Loaners"}, Doubtful: []string{"Maybe"}, LastSeen: ruleNow().Add(-40 * 24 * time.Hour),
		Has: map[string]bool{"WLAN": true, "Keynote": false},
	}
	for text, want := range map[string]Truth{
		`model = "iPad13,18"`:             Yes,
		`model = ipad13,*`:                Yes,
		`model != iPad13,*`:               No,
		`os_version < 18.2`:               Yes,
		`os_version = 18.1`:               Yes,
		`os_version >= 18.1.1`:            No,
		`os_version > 9`:                  Yes,
		`os_version = 18.*`:               Yes,
		`supervised = no`:                 No,
		`not supervised = no`:             Yes,
		`state = enrolled and site = sat`: Yes,
		`site != SAT or class = 3b`:       Yes,
		`class = SCH/3b/2026/27`:          Yes,
		`class = 3a`:                      No,
		`cart = SAT-*`:                    Yes,
		`in Loaners`:                      Yes,
		`in Other`:                        No,
		`in Maybe`:                        Unknown,
		`in Maybe or in Loaners`:          Yes,
		`in Maybe and class = 3a`:         No,
		`has WLAN and lacks Keynote`:      Yes,
		`has Pages`:                       Unknown,
		`not has Pages`:                   Unknown,
		`last_seen > 30d`:                 Yes,
		`last_seen < 30d`:                 No,
		`(class = 3a or site = SAT) and not model = Mac*`: Yes,
		`class = 3a or site = SAT and model = Mac*`:       No,
	} {
		r, err := ParseRule(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, missing := r.Eval(f, ruleNow()); got != want || (missing == "") == (want == Unknown) {
			t.Errorf("%s: %v (%q), want %v", text, got, missing, want)
		}
	}
	r, _ := ParseRule(`model = x and os_version < 18 and supervised = yes and last_seen < 1d and has "A B"`)
	for _, want := range []string{"model", "os_version", "supervised", "last_seen", "has A B"} {
		_, missing := r.Eval(Facts{
			Model: map[bool]string{true: "x"}[want != "model"], OSVersion: map[bool]string{true: "17"}[want != "model" && want != "os_version"],
			Supervised: map[bool]*bool{true: &yes}[want == "last_seen" || want == "has A B"], LastSeen: map[bool]time.Time{true: ruleNow()}[want == "has A B"],
		}, ruleNow())
		if missing != want {
			t.Errorf("missing %q, want %q", missing, want)
		}
	}
}

func TestARuleThatCannotBeReadNamesTheColumn(t *testing.T) {
	for text, column := range map[string]string{
		``: "column 1", `colour = red`: "column 1", `model`: "column 6", `model =`: "column 8", `model < x`: "column 7", `model = "x`: "column 9",
		`(model = x`: "column 11", `model = x site = y`: "column 11", `os_version = new`: "column 14", `last_seen > soon`: "column 13",
		`supervised = maybe`: "column 14", `model == x`: "column 7", strings.Repeat("(", 100) + "model = x": "nested",
		strings.Repeat("not ", 100) + "model = x": "nested", "model = \x00": "column",
	} {
		if _, err := ParseRule(text); err == nil || !strings.Contains(err.Error(), column) {
			t.Errorf("%q: %v, want %s", text, err, column)
		}
	}
}

func TestTheNamesInARuleAreThoseOfItemsAndGroups(t *testing.T) {
	r, err := ParseRule(`has "A B" and (not lacks C or in D)`)
	if err != nil {
		t.Fatal(err)
	}
	items, groups := r.Names()
	if !slices.Equal(items, []string{"A B", "C"}) || !slices.Equal(groups, []string{"D"}) {
		t.Errorf("%v %v", items, groups)
	}
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{`model = "iPad13,*" and not (has X or in Y)`, `last_seen > 30d`, `os_version <= 18.2`, `"`, `not not`, `ä = ö`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			return
		}
		again, err := ParseRule(r.String())
		if err != nil {
			t.Fatalf("%q was read, %q is not: %v", text, r.String(), err)
		}
		a, _ := r.Eval(Facts{OSVersion: "18", Model: "x"}, ruleNow())
		b, _ := again.Eval(Facts{OSVersion: "18", Model: "x"}, ruleNow())
		if a != b {
			t.Fatalf("%q says %v, and read again %v", text, a, b)
		}
	})
}
