package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func code(err error) string {
	if m, is := errors.AsType[*Misfit](err); is {
		return m.Code
	}
	return fmt.Sprint(err)
}

func TestKeysOfInnerDictionariesAreWrittenWithDots(t *testing.T) {
	spec := &Key{Name: "X", Type: "dictionary", keys: []*Key{
		{Name: "D", Type: "dictionary", keys: []*Key{{Name: "N", Type: "integer"}, {Name: "E", Type: "dictionary", keys: []*Key{{Name: "R", Type: "real"}}}}},
		{Name: "C", Type: "dictionary", keys: []*Key{{Name: "ANY", Type: "any"}}},
		{Name: "T", Type: "date"}, {Name: "L", Type: "array", keys: []*Key{{Name: "I", Type: "integer"}}}, {Name: "F", Type: "array"}, {Name: "O", Type: "dictionary"},
	}}
	for _, tt := range []struct {
		name  string
		paths [][2]string
		want  string // or the code of a fault
	}{
		{"one level", [][2]string{{"D.N", "7"}}, "map[D:map[N:7]]"},
		{"two levels", [][2]string{{"D.E.R", "1e3"}, {"D.N", "7"}}, "map[D:map[E:map[R:1000] N:7]]"},
		{"a name with dots where any name is good", [][2]string{{"C.org.example.flag", "true"}, {"C.x", "word"}}, "map[C:map[org.example.flag:true x:word]]"},
		{"whole as JSON", [][2]string{{"D", `{"N":7,"E":{"R":2}}`}}, "map[D:map[E:map[R:2] N:7]]"},
		{"a time", [][2]string{{"T", "2026-08-31T14:00:00+02:00"}}, "map[T:2026-08-31 12:00:00 +0000 UTC]"},
		{"numbers with commas", [][2]string{{"L", "1, 2"}}, "map[L:[1 2]]"},
		{"what Apple does not say", [][2]string{{"F", `["a",{"b":1}]`}, {"O", `{"x":true}`}}, "map[F:[a map[b:1]] O:map[x:true]]"},
		{"whole, then in parts", [][2]string{{"D", `{"N":7}`}, {"D.N", "8"}}, "map[D:map[N:7]] twice"},
		{"in parts, then whole", [][2]string{{"D.N", "8"}, {"D", `{"N":7}`}}, "map[D:map[N:8]] twice"},
		{"no such inner key", [][2]string{{"D.X", "8"}}, "map[D:map[]] unknown-key"},
		{"no end", [][2]string{{"D.", "8"}}, "map[D:map[]] unknown-key"},
		{"a time that is none", [][2]string{{"T", "tomorrow"}}, "map[] type"},
		{"not a number", [][2]string{{"D.E.R", "nan"}}, "map[D:map[E:map[]]] type"},
		{"a dictionary that is a list", [][2]string{{"D", "[1]"}}, "map[] type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := map[string]any{}
			got := ""
			for _, p := range tt.paths {
				if err := put(spec, body, p[0], p[1]); err != nil {
					got = " " + code(err)
				}
			}
			if got = fmt.Sprint(body) + got; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTheTableIsWhole(t *testing.T) {
	names := Names(Command)
	if len(names) < 45 || !slices.IsSorted(names) {
		t.Errorf("got %d names, sorted %v", len(names), slices.IsSorted(names))
	}
	for _, n := range names {
		spec, ok := Find(Command, n)
		if !ok || spec.Name != n || spec.Since == "" {
			t.Errorf("%s: got %+v", n, spec)
		}
	}
	if _, ok := Find(Command, "nonsense"); ok {
		t.Error("nonsense is a command")
	}
	if s, _ := Find(Command, "EnableLostMode"); !s.Supervised {
		t.Error("Lost Mode is for supervised iPads")
	}
	if s, _ := Find(Command, "ScheduleOSUpdate"); s.Removed != "27.0" {
		t.Errorf("updates by command went with 27.0: got %+v", s)
	}
	if s, _ := Find(Command, "UserList"); s.SharedIPad != "required" {
		t.Errorf("only Shared iPads have users: got %+v", s)
	}
	restrictions, _ := Find(Profile, "com.apple.applicationaccess")
	for key, want := range map[string]string{"allowCamera": "boolean", "ratingApps": "integer", "blockedAppBundleIDs": "array", "ratingRegion": "string", "allowNonsense": ""} {
		k, known := restrictions.Key(key)
		if known != (want != "") || known && k.Type != want {
			t.Errorf("%s: got %+v, %v", key, k, known)
		}
	}
}
