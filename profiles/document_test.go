package profiles_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// plainScopes is how this test names scopes: as they are.
type plainScopes struct{ *world }

func (s plainScopes) Scope(_ context.Context, _ sqldb.Queryer, _, text string) (profiles.Scope, error) {
	kind, id, _ := strings.Cut(text, ":")
	return profiles.Scope{Kind: kind, ID: id}, nil
}

func (s plainScopes) Text(_ context.Context, _ sqldb.Queryer, scopes []profiles.Scope) (map[profiles.Scope]string, error) {
	out := map[profiles.Scope]string{}
	for _, one := range scopes {
		out[one] = strings.TrimSuffix(one.Kind+":"+one.ID, ":")
	}
	return out, nil
}

func (s plainScopes) Device(ctx context.Context, q sqldb.Queryer, _, serial string) (id string, err error) {
	err = q.Get(ctx, &id, `SELECT id FROM devices WHERE serial = ?`, serial)
	return id, err
}

func (s plainScopes) Moved(ctx context.Context, tx *sqldb.Tx, devices ...string) error {
	ids := make([]string, 0, len(devices))
	for _, d := range devices {
		ids = append(ids, strings.TrimPrefix(d, "d"))
	}
	return s.room.Mark(ctx, tx, ids...)
}

func (w *world) export() profiles.Document {
	w.Helper()
	d, err := w.room.ExportDocument(w.Context(), w.db, "", plainScopes{w})
	w.must(err)
	return d
}

func (w *world) applying(d profiles.Document, removeAll bool) ([]profiles.Edit, profiles.Plan, error) {
	w.Helper()
	var edits []profiles.Edit
	p, err := w.apply(profiles.Asked{}, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		edits, err = w.room.ApplyDocument(ctx, tx, "user:test", "", d, plainScopes{w}, removeAll)
		return err
	})
	return edits, p, err
}

// Whatever people made: what is exported and applied changes nothing, on no
// device, and no version is made.
func TestApplyingAnExportChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rnd := rand.New(rand.NewPCG(7, 7))
		ids := w.enrolled(6)
		for i := range 5 {
			w.addWiFi(fmt.Sprintf("wlan %d", i), fmt.Sprintf("Schule %d", i))
		}
		w.addApp("Keynote")
		w.do(func(tx *sqldb.Tx) error {
			g, err := w.schools.CreateGroup(t.Context(), tx, "user:test", "", "5a")
			if err != nil {
				return err
			}
			if err := w.schools.AddToGroup(t.Context(), tx, "user:test", g.ID, "d"+ids[1], "d"+ids[4]); err != nil {
				return err
			}
			scopes := []profiles.Scope{all, {Kind: "group", ID: g.ID}, {Kind: "device", ID: "d" + ids[2]}, {Kind: "tenant", ID: "tenant-1"}}
			for i := range 5 {
				for _, s := range scopes {
					do := w.room.Assign
					switch rnd.IntN(4) {
					case 0:
						continue
					case 1:
						do = w.room.Exclude
					}
					if _, err := do(t.Context(), tx, "user:test", "", []string{fmt.Sprintf("wlan %d", i)}, s); err != nil {
						return err
					}
				}
			}
			return nil
		})
		w.plan()
		d := w.export()
		if len(d.Profiles) != 5 || len(d.Apps) != 1 || len(d.Groups) != 1 || len(d.Groups[0].Devices) != 2 || len(d.Assignments) < 8 {
			t.Fatalf("the export holds %d profiles, %d apps, %+v, %d assignments", len(d.Profiles), len(d.Apps), d.Groups, len(d.Assignments))
		}
		for _, p := range d.Profiles {
			if strings.Contains(string(p.Content), "correct horse") || !strings.Contains(string(p.Content), "stored:"+p.Name+"/1/Password") {
				t.Errorf("the password of %s is no reference", p.Name)
			}
		}
		edits, _, err := w.applying(d, false)
		w.must(err)
		if len(edits) != 0 {
			t.Errorf("applying the export did %+v", edits)
		}
		if n, err := w.room.Reconcile(t.Context()); n != 0 || err != nil {
			t.Errorf("%d tablets are marked (%v)", n, err)
		}
	})
}

func TestADocumentChangesJustWhatItSaysOtherwise(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(2)
		w.addWiFi("wlan", "Schule")
		w.addWiFi("old", "Alt")
		w.assign(all, "wlan", "old")
		w.plan()
		d := w.export()
		d.Profiles[1].Content = []byte(strings.Replace(string(d.Profiles[1].Content), "Schule", "Neu", 1))
		d.Assignments = []profiles.DocAssignment{{Item: "wlan", To: "all"}}
		d.Profiles = d.Profiles[1:]
		var p profiles.Plan
		p = w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.room.ApplyDocument(ctx, tx, "user:test", "", d, plainScopes{w}, false)
			return err
		})
		if a := actions(p); p.Devices != 2 || a["install wlan"] != 2 || a["withdraw old"] != 2 {
			t.Errorf("the plan is %v", a)
		}
		edits, _, err := w.applying(d, false)
		w.must(err)
		if fmt.Sprint(edits) != "[{profile wlan change []} {assignment old -> all remove []} {profile old remove []}]" {
			t.Errorf("it did %v", edits)
		}
		w.plan()
		pad := w.pad(ids[0])
		pad.session()
		if edits, _, err := w.applying(w.export(), false); err != nil || len(edits) != 0 {
			t.Errorf("once more it did %v (%v)", edits, err)
		}
	})
}

func TestDocumentsThatCannotBeMeantAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(1)
		w.addWiFi("wlan", "Schule")
		w.assign(all, "wlan")
		whole := w.export()
		twice := whole
		twice.Profiles = append(twice.Profiles, whole.Profiles[0])
		absent := whole
		absent.Profiles = []profiles.DocProfile{{Name: "other", Content: []byte(strings.Replace(string(whole.Profiles[0].Content), "stored:wlan/1/Password", "stored:nobody", 1))}}
		assigned := whole
		assigned.Profiles = []profiles.DocProfile{}
		for _, c := range []struct {
			what string
			d    profiles.Document
			code string
		}{
			{"nothing at all", profiles.Document{}, "document.empty"},
			{"one name twice", twice, "document.duplicate"},
			{"everything gone", profiles.Document{Profiles: []profiles.DocProfile{}, Assignments: []profiles.DocAssignment{}}, "document.remove-all"},
			{"a secret nobody stored", absent, "secret.unknown"},
			{"an assignment of what is gone", assigned, "profile.assigned"},
			{"groups that ask for each other", profiles.Document{Groups: []profiles.DocGroup{{Name: "a", Rule: "in b"}, {Name: "b", Rule: "in a"}}}, "rule.cycle"},
			{"the same wish twice", profiles.Document{Assignments: append(whole.Assignments, whole.Assignments...)}, "document.duplicate"},
		} {
			if _, _, err := w.applying(c.d, false); fault.CodeOf(err) != c.code {
				t.Errorf("%s: %v, want %s", c.what, err, c.code)
			}
		}
		if d := w.export(); len(d.Profiles) != 1 || len(d.Assignments) != 1 {
			t.Error("a refused document changed something")
		}
		if _, _, err := w.applying(profiles.Document{Profiles: []profiles.DocProfile{}, Assignments: []profiles.DocAssignment{}}, true); err != nil {
			t.Errorf("confirmed: %v", err)
		}
	})
}

func TestAStoredSecretIsTakenByItsName(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.addWiFi("wlan", "Schule")
		d := w.export()
		d.Profiles[0].Content = []byte(strings.Replace(string(d.Profiles[0].Content), "stored:wlan/1/Password", "stored:wlan-2027", 1))
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.SetSecret(t.Context(), tx, "user:test", "", "wlan-2027", "battery staple")
			return err
		})
		edits, _, err := w.applying(d, false)
		w.must(err)
		if len(edits) != 1 {
			t.Errorf("another password did %v", edits)
		}
		b, err := w.room.WiFiPayload(t.Context(), w.db, "", "wlan")
		w.must(err)
		if !strings.Contains(string(b), "battery staple") {
			t.Error("the profile has not the stored password")
		}
		if edits, _, err := w.applying(d, false); err != nil || len(edits) != 0 {
			t.Errorf("the same once more did %v (%v)", edits, err)
		}
	})
}
