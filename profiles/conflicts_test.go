package profiles

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/catalogue"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// item is a profile that is wished, with what it may disagree about.
func restricting(name string, s settings) (thing, wanted) {
	return thing{kindProfile, "id-" + name}, wanted{Version: 1, Name: name, Traits: &Traits{Restrictions: s}}
}

func TestWhatDisagreesAndWhatHoldsThen(t *testing.T) {
	apps := func(ids ...string) json.RawMessage { return set(ids) }
	for _, c := range []struct {
		name string
		a, b Traits
		want string // code key effective; "": no conflict, "-": undefined
	}{
		{"what is allowed here is forbidden there", Traits{Restrictions: settings{"allowCamera": raw("true")}}, Traits{Restrictions: settings{"allowCamera": raw("false")}}, "restriction allowCamera false"},
		{"the same value twice", Traits{Restrictions: settings{"allowCamera": raw("false")}}, Traits{Restrictions: settings{"allowCamera": raw("false")}}, ""},
		{"other keys", Traits{Restrictions: settings{"allowCamera": raw("false")}}, Traits{Restrictions: settings{"allowSafari": raw("true")}}, ""},
		{"forced in one place", Traits{Restrictions: settings{"forceEncryptedBackup": raw("false")}}, Traits{Restrictions: settings{"forceEncryptedBackup": raw("true")}}, "restriction forceEncryptedBackup true"},
		{"Safari's own", Traits{Restrictions: settings{"safariForceFraudWarning": raw("false")}}, Traits{Restrictions: settings{"safariForceFraudWarning": raw("true")}}, "restriction safariForceFraudWarning true"},
		{"allowed by default false", Traits{Restrictions: settings{"allowManagedToWriteUnmanagedContacts": raw("true")}}, Traits{Restrictions: settings{"allowManagedToWriteUnmanagedContacts": raw("false")}}, "restriction allowManagedToWriteUnmanagedContacts false"},
		{"the lower rating", Traits{Restrictions: settings{"ratingApps": raw("300")}}, Traits{Restrictions: settings{"ratingApps": raw("1000")}}, "restriction ratingApps 300"},
		{"the longer delay", Traits{Restrictions: settings{"enforcedSoftwareUpdateDelay": raw("7")}}, Traits{Restrictions: settings{"enforcedSoftwareUpdateDelay": raw("30")}}, "restriction enforcedSoftwareUpdateDelay 30"},
		{"ratings of two countries", Traits{Restrictions: settings{"ratingRegion": raw(`"de"`)}}, Traits{Restrictions: settings{"ratingRegion": raw(`"us"`)}}, "restriction ratingRegion -"},
		{"apps allowed here and there", Traits{Restrictions: settings{"allowListedAppBundleIDs": apps("a", "b")}}, Traits{Restrictions: settings{"allowListedAppBundleIDs": apps("b", "c")}}, `restriction allowListedAppBundleIDs ["b"]`},
		{"no app allowed by both", Traits{Restrictions: settings{"allowListedAppBundleIDs": apps("a")}}, Traits{Restrictions: settings{"allowListedAppBundleIDs": apps("c")}}, `restriction allowListedAppBundleIDs []`},
		{"apps blocked here and there", Traits{Restrictions: settings{"blockedAppBundleIDs": apps("a", "b")}}, Traits{Restrictions: settings{"blockedAppBundleIDs": apps("b", "c")}}, `restriction blockedAppBundleIDs ["a","b","c"]`},
		{"a list of which Apple says nothing", Traits{Restrictions: settings{"autonomousSingleAppModePermittedAppIDs": apps("a")}}, Traits{Restrictions: settings{"autonomousSingleAppModePermittedAppIDs": apps("b")}}, "restriction autonomousSingleAppModePermittedAppIDs -"},
		{"a key of tomorrow", Traits{Restrictions: settings{"limitSomething": raw("1")}}, Traits{Restrictions: settings{"limitSomething": raw("2")}}, "restriction limitSomething -"},
		{"a text for a truth value", Traits{Restrictions: settings{"allowCamera": raw("1")}}, Traits{Restrictions: settings{"allowCamera": raw("false")}}, "restriction allowCamera -"},
		{"the longer passcode", Traits{Passcode: settings{"minLength": raw("4")}}, Traits{Passcode: settings{"minLength": raw("6")}}, "passcode minLength 6"},
		{"the fewer attempts", Traits{Passcode: settings{"maxFailedAttempts": raw("4")}}, Traits{Passcode: settings{"maxFailedAttempts": raw("10")}}, "passcode maxFailedAttempts 4"},
		{"simple passcodes", Traits{Passcode: settings{"allowSimple": raw("true")}}, Traits{Passcode: settings{"allowSimple": raw("false")}}, "passcode allowSimple false"},
		{"a passcode at all", Traits{Passcode: settings{"forcePIN": raw("true")}}, Traits{Passcode: settings{"forcePIN": raw("false")}}, "passcode forcePIN true"},
		{"one network, two passwords", Traits{Networks: map[string]string{"Schule": "x"}}, Traits{Networks: map[string]string{"Schule": "y"}}, "wifi-same-ssid Schule -"},
		{"one network, twice the same", Traits{Networks: map[string]string{"Schule": "x"}}, Traits{Networks: map[string]string{"Schule": "x"}}, ""},
		{"two networks", Traits{Networks: map[string]string{"Schule": "x"}}, Traits{Networks: map[string]string{"Gast": "y"}}, ""},
		{"of a version without digests nothing is claimed", Traits{SSIDs: []string{"Schule"}, Types: []string{wifiType}}, Traits{Networks: map[string]string{"Schule": "y"}}, ""},
		{"two home screens", Traits{Singles: map[string]string{"com.apple.homescreenlayout": "x"}}, Traits{Singles: map[string]string{"com.apple.homescreenlayout": "y"}}, "single-payload com.apple.homescreenlayout -"},
		{"twice one home screen", Traits{Singles: map[string]string{"com.apple.homescreenlayout": "x"}}, Traits{Singles: map[string]string{"com.apple.homescreenlayout": "x"}}, ""},
		{"a home screen and an app lock", Traits{Singles: map[string]string{"com.apple.homescreenlayout": "x"}}, Traits{Singles: map[string]string{"com.apple.app.lock": "y"}}, ""},
		{"a restriction is no passcode", Traits{Restrictions: settings{"allowSimple": raw("true")}}, Traits{Passcode: settings{"allowSimple": raw("false")}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			wish := map[thing]wanted{{kindProfile, "1"}: {Version: 1, Name: "A", Traits: &c.a}, {kindProfile, "2"}: {Version: 1, Name: "B", Traits: &c.b}, {kindApp, "3"}: {Version: 1, Name: "App", Traits: &Traits{}}}
			got := ""
			for _, x := range conflicts(wish) {
				v := string(x.Effective)
				if x.Undefined {
					v += "-"
				}
				got += x.Code + " " + x.Key + " " + v
				if !strings.Contains(x.Text, "A and B") || !strings.Contains(x.Text, x.Key) || x.Undefined != strings.Contains(x.Text, "Apple does not say") {
					t.Errorf("it says: %s", x.Text)
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNotThereDisagreesWithNothing(t *testing.T) {
	aTh, a := restricting("A", settings{"allowCamera": raw("true"), "allowGenmoji": raw("true")})
	bTh, b := restricting("B", settings{"allowCamera": raw("false"), "allowGenmoji": raw("false")})
	b.Fit = &fit{lacks: []lack{{need: &catalogue.Need{Path: restrictionsType, Keys: []string{"allowGenmoji"}}}}}
	if got := conflicts(map[thing]wanted{aTh: a, bTh: b}); len(got) != 1 || got[0].Key != "allowCamera" {
		t.Errorf("a key that does nothing there: %+v", got)
	}
	b.Blocked = "The iPad is not supervised"
	if got := conflicts(map[thing]wanted{aTh: a, bTh: b}); len(got) != 0 {
		t.Errorf("a profile that cannot be there: %+v", got)
	}
}

// someTraits are a few of few values, so that they meet.
func someTraits(r *rand.Rand) *Traits {
	t := &Traits{Restrictions: settings{}, Passcode: settings{}, Networks: map[string]string{}, Singles: map[string]string{}}
	pick := func(s ...string) json.RawMessage { return raw(s[r.IntN(len(s))]) }
	list := func() json.RawMessage {
		return set(slices.DeleteFunc([]string{"a", "b", "c"}, func(string) bool { return r.IntN(2) == 0 }))
	}
	for _, f := range []func(){
		func() { t.Restrictions["allowCamera"] = pick("true", "false") },
		func() { t.Restrictions["forceEncryptedBackup"] = pick("true", "false") },
		func() { t.Restrictions["ratingApps"] = pick("100", "300", "1000") },
		func() { t.Restrictions["allowListedAppBundleIDs"] = list() },
		func() { t.Restrictions["blockedAppBundleIDs"] = list() },
		func() { t.Passcode["minLength"] = pick("4", "6", "8") },
		func() { t.Networks["Schule"] = string(pick("x", "y")) },
		func() { t.Singles["com.apple.app.lock"] = string(pick("x", "y")) },
	} {
		if r.IntN(2) == 0 {
			f()
		}
	}
	return t
}

func TestTheOrderOfProfilesNeverMatters(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 15))
	for range 500 {
		wish := map[thing]wanted{}
		for i := range 2 + r.IntN(4) {
			wish[thing{kindProfile, fmt.Sprint(i)}] = wanted{Version: 1, Name: fmt.Sprint("P", r.IntN(3)), Traits: someTraits(r)}
		}
		first, _ := json.Marshal(conflicts(wish))
		for range 5 { // a map is walked in another order each time
			if again, _ := json.Marshal(conflicts(wish)); string(again) != string(first) {
				t.Fatalf("%s\nand then\n%s", first, again)
			}
		}
		c := newClasher()
		c.of(wish)
		if kept, _ := json.Marshal(c.of(wish)); string(kept) != string(first) {
			t.Fatalf("remembered otherwise: %s", kept)
		}
	}
}

func TestCombiningIsAssociativeCommutativeAndIdempotent(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 16))
	values := map[rule]func() json.RawMessage{}
	for _, how := range []rule{boolAnd, boolOr} {
		values[how] = func() json.RawMessage { return raw([]string{"true", "false"}[r.IntN(2)]) }
	}
	for _, how := range []rule{numberMin, numberMax} {
		values[how] = func() json.RawMessage {
			return raw([]string{"0", "1", "1.5", "1000", "18446744073709551615"}[r.IntN(5)])
		}
	}
	for _, how := range []rule{setUnion, intersection} {
		values[how] = func() json.RawMessage {
			return set(slices.DeleteFunc([]string{"a", "b", "c", "d"}, func(string) bool { return r.IntN(2) == 0 }))
		}
	}
	do := func(how rule, v ...json.RawMessage) json.RawMessage {
		out, ok := combine(how, v)
		if !ok {
			t.Fatalf("%s of %s is nothing", how, v)
		}
		return out
	}
	for how, value := range values {
		for range 300 {
			a, b, c := value(), value(), value()
			all := string(do(how, a, b, c))
			if x := string(do(how, do(how, a, b), c)); x != all {
				t.Errorf("%s: (%s %s) %s is %s and not %s", how, a, b, c, x, all)
			}
			if x := string(do(how, a, do(how, b, c))); x != all {
				t.Errorf("%s: %s (%s %s) is %s and not %s", how, a, b, c, x, all)
			}
			if x := string(do(how, c, a, b)); x != all {
				t.Errorf("%s: another order makes %s of %s", how, x, all)
			}
			if x := string(do(how, a, a)); x != string(a) {
				t.Errorf("%s: %s with itself is %s", how, a, x)
			}
		}
	}
	if _, ok := combine(boolAnd, []json.RawMessage{raw("true"), raw("1")}); ok {
		t.Error("a truth value and a number make something")
	}
}

// The catalogue is the source: a key of it that gets another rule, or none, is
// looked at by a person.
func TestEveryRestrictionThatIsATruthValueHasAStricterOne(t *testing.T) {
	e, _ := catalogue.FindPayload(restrictionsType)
	var open []string
	for _, k := range e.Keys {
		if strings.HasPrefix(k.Name, "Payload") {
			continue
		}
		if ruleOf(restrictionsType, k.Name) == "" {
			open = append(open, k.Name)
		}
		if how := ruleOf(restrictionsType, k.Name); k.Type == "boolean" && how != boolAnd && how != boolOr {
			t.Errorf("of %s no value is the stricter one", k.Name)
		}
	}
	slices.Sort(open)
	want := "allowedCameraRestrictionBundleIDs allowedExternalIntelligenceWorkspaceIDs autonomousSingleAppModePermittedAppIDs deniedICCIDsForRCS deniedICCIDsForiMessageFaceTime ratingAppsExemptedBundleIDs ratingRegion"
	if got := strings.Join(open, " "); got != want {
		t.Errorf("undefined are %s", got)
	}
	p, _ := catalogue.FindPayload(passcodeType)
	for _, k := range p.Keys {
		if !strings.HasPrefix(k.Name, "Payload") && ruleOf(passcodeType, k.Name) == "" {
			t.Errorf("how an iPad combines %s is not known", k.Name)
		}
	}
}

func FuzzSettingsTakeWhatever(f *testing.F) {
	f.Add("allowCamera", `true`)
	f.Add("blockedAppBundleIDs", `["b","a",3]`)
	f.Add("ratingApps", `1e400`)
	f.Fuzz(func(t *testing.T, key, value string) {
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			return
		}
		s := settings(nil).with(restrictionsType, map[string]any{key: v})
		s = s.with(restrictionsType, map[string]any{key: v})
		for k, kept := range s {
			if !json.Valid(kept) || strings.HasPrefix(k, "Payload") {
				t.Errorf("%s is %s", k, kept)
			}
		}
	})
}

// Most tablets have profiles that agree: that must cost planning next to nothing.
func BenchmarkConflictsOfAFleet(b *testing.B) {
	wishes := make([]map[thing]wanted, 10_000)
	var some []wanted
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 6 {
		some = append(some, wanted{Version: 1, Name: fmt.Sprint(i), Traits: someTraits(r)})
	}
	for i := range wishes {
		wishes[i] = map[thing]wanted{}
		for j, w := range some {
			wishes[i][thing{kindProfile, fmt.Sprintf("01999999-0000-7000-8000-%012d", j)}] = w
			wishes[i][thing{kindApp, fmt.Sprintf("01999999-0000-7000-8000-%012d", j)}] = wanted{Version: 1, Traits: &Traits{}}
		}
	}
	b.ResetTimer()
	for range b.N {
		c := newClasher()
		for _, wish := range wishes {
			c.of(wish)
		}
	}
}
