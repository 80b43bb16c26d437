package profiles_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// fleet is a few tablets, what people wish of them, and a model of both that is
// too simple to be wrong.
type fleet struct {
	*world
	rnd    *rand.Rand
	pads   []*pad
	group  string
	member map[string]bool             // tablets in the group
	wishes map[wish]bool               // true: excluded
	last   wish                        // the newest: people take back what they just did
	called map[string]string           // profile -> identifier
	counts map[string]map[string]int64 // tablet -> request type -> how often it was handed over
	odd    bool                        // tablets misbehave
}

type wish struct {
	item  string
	scope profiles.Scope
}

const kept = "Keynote" // holds data

func newFleet(t *testing.T, db *sqldb.DB, seed uint64) *fleet {
	f := &fleet{
		world: newWorld(t, db), rnd: rand.New(rand.NewPCG(seed, 7)), member: map[string]bool{}, wishes: map[wish]bool{},
		called: map[string]string{}, counts: map[string]map[string]int64{},
	}
	for _, id := range f.enrolled(5) {
		p := f.pad(id)
		p.answer = func(requestType string, c map[string]any) map[string]any { return f.obeys(p, requestType, c) }
		f.pads, f.counts[id] = append(f.pads, p), map[string]int64{}
	}
	for i := range 4 {
		name := fmt.Sprintf("wlan %d", i)
		f.called[name] = f.addWiFi(name, name).Identifier
	}
	f.addKept()
	f.do(func(tx *sqldb.Tx) error {
		g, err := f.schools.CreateGroup(t.Context(), tx, "user:test", "", "some")
		f.group = g.ID
		return err
	})
	return f
}

func (f *fleet) addKept() {
	f.Helper()
	f.addApp(kept)
	f.do(func(tx *sqldb.Tx) error { return f.room.SetHoldsData(f.Context(), tx, "user:test", "", kept, true) })
}

// wished is what the model says a tablet shall have.
func (f *fleet) wished(id, item string) bool {
	is := false
	for w, exclude := range f.wishes {
		in := w.scope.Kind == "all" || w.scope.ID == "tenant-1" || w.scope.ID == "d"+id || w.scope.ID == f.group && f.member[id]
		if w.item == item && in {
			if exclude {
				return false
			}
			is = true
		}
	}
	return is
}

// obeys holds every command to the model, and has tablets that are odd misbehave.
func (f *fleet) obeys(p *pad, requestType string, c map[string]any) map[string]any {
	f.counts[p.id][requestType]++
	f.clk.Forward(time.Second) // what was sent and what was seen have an order
	switch requestType {
	case "RemoveApplication", "EraseDevice":
		f.Errorf("%s was sent %s: nobody confirmed that data goes", p.id, requestType)
	case "RemoveProfile":
		for name, identifier := range f.called {
			if identifier == c["Identifier"] && f.wished(p.id, name) {
				f.Errorf("%s loses %s, which is wished there", p.id, name)
			}
		}
	}
	if !f.odd {
		return nil
	}
	switch n := f.rnd.IntN(20); {
	case n < 4:
		return map[string]any{"Status": "NotNow"}
	case n < 7:
		return map[string]any{"Status": "Error", "ErrorChain": []any{map[string]any{"ErrorCode": 12, "ErrorDomain": "X", "LocalizedDescription": "no", "USEnglishDescription": "no"}}}
	case n < 9 && requestType == "ProfileList": // half of what is there
		list, half := []any{}, false
		for _, id := range slices.Sorted(maps.Keys(p.profiles)) {
			if half = !half; half {
				list = append(list, map[string]any{"PayloadIdentifier": id, "PayloadUUID": p.profiles[id], "IsManaged": true})
			}
		}
		return map[string]any{"ProfileList": list}
	case n < 10 && strings.HasSuffix(requestType, "List"):
		return map[string]any{requestType: "garbage"}
	case n < 11 && len(p.profiles) > 0: // somebody removes one by hand
		delete(p.profiles, slices.Sorted(maps.Keys(p.profiles))[0])
	}
	return nil
}

// edit is one random change that a person may make; again is whether to make it
// once more says nothing new.
func (f *fleet) edit() (what string, again bool, change func(ctx context.Context, tx *sqldb.Tx) error, made func()) {
	scopes := []profiles.Scope{all, {Kind: "tenant", ID: "tenant-1"}, {Kind: "group", ID: f.group}, {Kind: "device", ID: "d" + f.pads[f.rnd.IntN(len(f.pads))].id}}
	scope := scopes[f.rnd.IntN(len(scopes))]
	items := append(slices.Sorted(maps.Keys(f.called)), kept)
	item := items[f.rnd.IntN(len(items))]
	key := wish{item, scope}
	p := f.pads[f.rnd.IntN(len(f.pads))]
	name := slices.Sorted(maps.Keys(f.called))[f.rnd.IntN(len(f.called))]
	password := fmt.Sprint("password ", f.rnd.IntN(1000))
	switch n := f.rnd.IntN(10); {
	case n < 4:
		return "assign " + item + " to " + scope.Kind, true, f.assigning(scope, item), func() { f.wishes[key], f.last = false, key }
	case n < 5:
		return "exclude " + item + " from " + scope.Kind, true, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := f.room.Exclude(ctx, tx, "user:test", "", []string{item}, scope)
			return err
		}, func() { f.wishes[key] = true }
	case n < 7:
		if len(f.wishes) > 0 && f.rnd.IntN(4) > 0 { // one that there is
			all := slices.SortedFunc(maps.Keys(f.wishes), func(a, b wish) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			key = all[f.rnd.IntN(len(all))]
			if _, is := f.wishes[f.last]; is && f.rnd.IntN(2) == 0 {
				key = f.last
			}
		}
		return "unassign " + key.item + " from " + key.scope.Kind, false, f.unassigning(key.scope, key.item), func() { delete(f.wishes, key) }
	case n < 8:
		return "another version of " + name, true, func(ctx context.Context, tx *sqldb.Tx) error {
			raw, err := f.room.BuildWiFi(profiles.WiFi{SSID: name, Password: fault.Secret(password), AutoJoin: true})
			if err == nil {
				_, err = f.room.AddProfile(ctx, tx, "user:test", "", name, raw)
			}
			return err
		}, func() {}
	case n < 9:
		return "remove the app " + kept, false, func(ctx context.Context, tx *sqldb.Tx) error {
				return f.room.RemoveApp(ctx, tx, "user:test", "", kept)
			}, func() {
				for _, p := range f.pads {
					if f.wished(p.id, kept) || len(p.apps) > 0 {
						f.Errorf("an app that holds data was forgotten while %s has it, or shall have it", p.id)
					}
				}
				f.addKept()
			}
	}
	in := f.member[p.id]
	return "regroup", false, func(ctx context.Context, tx *sqldb.Tx) error {
		change := f.schools.AddToGroup
		if in {
			change = f.schools.DropFromGroup
		}
		if err := change(ctx, tx, "user:test", f.group, "d"+p.id); err != nil {
			return err
		}
		return f.room.Mark(ctx, tx, p.id)
	}, func() { f.member[p.id] = !in }
}

// dry is try for changes that may be refused.
func (f *fleet) dry(change func(ctx context.Context, tx *sqldb.Tx) error) (p profiles.Plan, err error) {
	err = f.db.Do(f.Context(), func(tx *sqldb.Tx) (err error) {
		if p, err = f.room.Propose(f.Context(), tx, profiles.Asked{DryRun: true}, change); err == nil {
			err = errOnlyTried
		}
		return err
	})
	if errors.Is(err, errOnlyTried) {
		err = nil
	}
	return p, err
}

// step makes a random edit the way a person does: look at the plan, then do that.
func (f *fleet) step() {
	f.Helper()
	what, again, change, made := f.edit()
	first, err := f.dry(change)
	if err != nil {
		if k := fault.KindOf(err); k != fault.NotFound && k != fault.Conflict && k != fault.Invalid {
			f.Fatalf("%s: %v", what, err)
		}
		return // nothing of the kind, or not allowed
	}
	second, err := f.dry(change)
	f.must(err)
	if first.Hash != second.Hash || fmt.Sprint(first.Changes) != fmt.Sprint(second.Changes) && len(first.Changes) != len(second.Changes) {
		f.Errorf("%s: two plans of one thing differ: %s, %s", what, first.Hash, second.Hash)
	}
	done, err := f.apply(profiles.Asked{Hash: first.Hash, Rollout: profiles.RolloutNow}, change)
	if err != nil || done.Hash != first.Hash {
		f.Fatalf("%s: what was planned is not what was done: %v", what, err)
	}
	made()
	if again {
		if p, err := f.dry(change); err != nil || p.Devices != 0 || len(p.Changes) != 0 {
			f.Errorf("%s: done and planned again it still does %+v (%v)", what, p.Changes, err)
		}
	}
}

// calm lets tablets and planning go on, with hours in between.
func (f *fleet) calm(rounds int) {
	f.Helper()
	for range rounds {
		f.plan()
		for _, p := range f.pads {
			p.session()
		}
		f.plan()
		f.clk.Forward(5 * time.Hour)
	}
}

// agrees compares the tablets with the model.
func (f *fleet) agrees(when string) {
	f.Helper()
	for _, p := range f.pads {
		for name, identifier := range f.called {
			var row struct {
				State  string `db:"state"`
				Reason string `db:"reason"`
			}
			err := f.db.Get(f.Context(), &row, `SELECT state, reason FROM device_items WHERE enrollment_id = ? AND item_id = (SELECT id FROM profiles WHERE name = ?)`, p.id, name)
			if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
				f.Fatal(err)
			}
			_, is := p.profiles[identifier]
			if wished := f.wished(p.id, name); is != wished || (row.State == "installed") != wished {
				f.Errorf("%s: %s has %s: %v, wished: %v (%s %q)", when, p.id, name, is, wished, row.State, row.Reason)
			}
		}
		if f.wished(p.id, kept) && p.apps["com.apple."+kept] == "" {
			f.Errorf("%s: %s has no %s", when, p.id, kept)
		}
	}
}

func TestRandomEditsReachTheTabletsByTheFewestCommands(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				f := newFleet(t, db, 7+seed)
				f.calm(1)
				for round := range 8 {
					type side struct {
						profiles map[string]string
						app      bool
						counts   map[string]int64
					}
					before := map[string]side{}
					for _, p := range f.pads {
						before[p.id] = side{maps.Clone(p.profiles), len(p.apps) > 0, maps.Clone(f.counts[p.id])}
					}
					for range 1 + f.rnd.IntN(4) {
						f.step()
						if f.rnd.IntN(2) == 0 {
							f.plan() // what is ordered and not wished any more must not be sent
						}
					}
					f.calm(2)
					f.agrees(fmt.Sprint("round ", round))
					for _, p := range f.pads {
						b := before[p.id]
						var in, out, apps int64
						for id, uuid := range p.profiles {
							if b.profiles[id] != uuid {
								in++
							}
						}
						for id := range b.profiles {
							if p.profiles[id] == "" {
								out++
							}
						}
						if len(p.apps) > 0 && !b.app {
							apps++
						}
						for kind, want := range map[string]int64{"InstallProfile": in, "RemoveProfile": out, "InstallApplication": apps} {
							if got := f.counts[p.id][kind] - b.counts[kind]; got != want {
								t.Errorf("round %d: %s was sent %d %s, and %d are the difference", round, p.id, got, kind, want)
							}
						}
					}
				}
				edits, p, err := f.applying(f.export(), false)
				if err != nil || len(edits) != 0 || p.Devices != 0 {
					t.Errorf("applying what was exported did %v, %+v (%v)", edits, p.Changes, err)
				}
			})
		})
	}
}

func TestTabletsThatMisbehaveConvergeAllTheSame(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				f := newFleet(t, db, 100+seed)
				for range 6 {
					f.odd = true
					for range 3 {
						f.step()
						f.calm(1)
					}
				}
				f.odd = false
				f.calm(16) // the longest wait between two tries is a day
				f.agrees("after three days of quiet")
				before := map[string]int64{}
				for _, p := range f.pads {
					before[p.id] = f.counts[p.id]["InstallProfile"] + f.counts[p.id]["RemoveProfile"] + f.counts[p.id]["InstallApplication"]
				}
				f.calm(6)
				for _, p := range f.pads {
					if n := f.counts[p.id]["InstallProfile"] + f.counts[p.id]["RemoveProfile"] + f.counts[p.id]["InstallApplication"] - before[p.id]; n != 0 {
						t.Errorf("%s goes on for ever: %d commands more", p.id, n)
					}
				}
			})
		})
	}
}
