package views

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/catalogue"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func pointer(t sqldb.Time) *time.Time { return when(t) }

// wishedCase is an enrolled device, in contact a minute ago, for which class 3b
// wishes a profile.
func wishedCase() *whyCase {
	in := schools.Scope{Kind: "class", ID: "c"}
	return &whyCase{
		device: Detail{Device: Device{Serial: "S", State: "enrolled", LastSeen: pointer(ago(time.Minute))}},
		kind:   "profile", id: "p", name: "WLAN", version: 2,
		wishes: []whyWish{{ID: "A", Kind: "profile", ItemID: "p", ScopeKind: "class", ScopeID: "c", By: "user:anna", At: ago(100 * time.Hour)}},
		called: map[schools.Scope]schools.Called{in: {Name: "SAT/3b/2026/27"}},
	}
}

func TestWhySaysWhatAnItemWaitsForInBothLanguages(t *testing.T) {
	item := func(state, reason string, desired bool) *Item {
		return &Item{State: state, Reason: reason, Desired: desired}
	}
	for _, c := range []struct {
		name       string
		change     func(c *whyCase)
		state      string
		code       string
		de, en     string // part of the text
		noNextStep bool
	}{
		{"not planned yet", func(*whyCase) {}, "pending", "planning", "geplant", "planned", false},
		{"locked", func(c *whyCase) {
			c.row, c.command = item("sent", "", true), &whyCommand{State: "deferred", Status: "NotNow", AnsweredAt: ago(18 * time.Minute)}
		}, "sent", "not-now", "Vor 18 min", "18 min ago", false},
		{"no contact", func(c *whyCase) {
			c.row, c.command = item("pending", "", true), &whyCommand{State: "queued", CreatedAt: ago(3 * time.Hour)}
		}, "pending", "contact", "seit 3 h bereit", "ready for 3 h", false},
		{"no answer", func(c *whyCase) {
			c.row, c.command = item("sent", "", true), &whyCommand{State: "sent", SentAt: ago(5 * time.Minute)}
		}, "sent", "answer", "Seit 5 min", "for 5 min", false},
		{"no list", func(c *whyCase) { c.row = item("acknowledged", "", true) }, "acknowledged", "unproven", "Liste", "list", false},
		{"there", func(c *whyCase) { c.row = item("installed", "", true) }, "installed", "", "ist da, gewünscht für class:SAT/3b/2026/27", "is there, wished for class:SAT/3b/2026/27 (assigned on 2026-09-03 by user:anna)", true},
		{"silent", func(c *whyCase) {
			c.device.State, c.device.LastSeen = "silent", pointer(ago(41*24*time.Hour))
		}, "pending", "silent", "seit 41 d nicht", "nothing for 41 d", false},
		{"never in contact", func(c *whyCase) {
			c.device.State, c.device.LastSeen = "silent", nil
		}, "pending", "silent", "noch nie gemeldet", "never in contact", false},
		{"never in contact, and ready", func(c *whyCase) {
			c.device.LastSeen, c.command = nil, &whyCommand{State: "queued", CreatedAt: ago(3 * time.Hour)}
		}, "pending", "contact", "Es hat sich noch nie gemeldet.", "It was never in contact.", false},
		{"erased", func(c *whyCase) { c.device.State = "erased" }, "pending", "erased", "gelöscht", "erased", false},
		{"blocked", func(c *whyCase) {
			c.row = item("blocked", "The iPad is not supervised, and x works on supervised ones only.", true)
		}, "blocked", "blocked", "nicht betreut", "not supervised", false},
		{"kept", func(c *whyCase) {
			c.wishes, c.row = nil, item("blocked", "Nobody wishes it any more.", false)
		}, "blocked", "kept", "Bestätigen", "Confirm", false},
		{"failed", func(c *whyCase) {
			c.row, c.command = item("failed", "The iPad reported: x (MCInstallationErrorDomain 4001)", true), &whyCommand{State: "failed", Errors: `[{"code":4001,"domain":"MCInstallationErrorDomain","english":"x"}]`}
		}, "failed", "failed", "konnte das Profil nicht installieren", "could not install the profile", false},
		{"there, and a key of it does nothing", func(c *whyCase) {
			c.row, c.device.OSVersion, c.needs = item("installed", "", true), "17.4", []catalogue.Need{{Path: "com.apple.applicationaccess", Keys: []string{"allowGenmoji"}, Since: "18.0"}}
		}, "installed", "", "weil iPadOS 18.0 nötig ist und das iPad 17.4 hat: allowGenmoji.", "since iPadOS 18.0 is needed and the iPad has 17.4: allowGenmoji.", true},
		{"there, and a key of it is gone", func(c *whyCase) {
			c.row, c.device.OSVersion, c.needs = item("installed", "", true), "27.0", []catalogue.Need{{Path: "com.apple.applicationaccess", Keys: []string{"a"}, Removed: "27.0"}}
		}, "installed", "", "ab iPadOS 27.0 nicht mehr gibt: a.", "iPadOS 27.0 has it no more: a.", true},
		{"there, and a key of it wants supervision", func(c *whyCase) {
			no := false
			c.row, c.device.Supervised, c.needs = item("installed", "", true), &no, []catalogue.Need{{Path: "com.apple.applicationaccess", Keys: []string{"a"}, Supervised: true}}
		}, "installed", "", "nicht betreut ist: a.", "not supervised: a.", true},
		{"there, and another disagrees", func(c *whyCase) {
			c.row = item("installed", "", true)
			c.clashes = []Clash{{Code: "restriction", Key: "allowCamera", Items: []Clashing{{"p", "WLAN"}, {"q", "Exam"}}, Effective: json.RawMessage("false")}}
		}, "installed", "", "Es widerspricht Exam bei allowCamera: auf dem iPad gilt false.", "It disagrees with Exam on allowCamera: on the iPad false holds.", true},
		{"there, and another has a list that disagrees", func(c *whyCase) {
			c.row = item("installed", "", true)
			c.clashes = []Clash{{Code: "restriction", Key: "blockedAppBundleIDs", Items: []Clashing{{"p", "WLAN"}, {"q", "Exam"}}, Effective: json.RawMessage(`["a","b","c","d"]`)}}
		}, "installed", "", "gilt a, b, c und 1 weitere.", "the iPad a, b, c and 1 more holds.", true},
		{"there, and another knows the network otherwise", func(c *whyCase) {
			c.row = item("installed", "", true)
			c.clashes = []Clash{{Code: "wifi-same-ssid", Key: "Schule", Items: []Clashing{{"p", "WLAN"}, {"q", "Exam"}}, Undefined: true}}
		}, "installed", "", "bei dem WLAN Schule. Was gilt, sagt Apple nicht", "on the Wi-Fi network Schule. Apple does not say which holds", true},
		{"there, and others disagree", func(c *whyCase) {
			c.row = item("installed", "", true)
			c.clashes = []Clash{{Code: "single-payload", Key: "com.apple.app.lock", Items: []Clashing{{"x", "X"}, {"q", "Exam"}}, Undefined: true}}
		}, "installed", "", "ist da, gewünscht für class:SAT/3b/2026/27 (Zuweisung vom 03.09.2026 durch user:anna).", "is there", true},
		{"draft", func(c *whyCase) { c.version = 0 }, "draft", "draft", "Entwurf", "draft", false},
		{"push refused", func(c *whyCase) { c.device.Push = &Push{State: "refused", LastError: "Unregistered"} }, "pending", "push-refused", "Unregistered", "Unregistered", false},
		{"its ring is closed", func(c *whyCase) { c.held = &whyRollout{ID: "R", Ring: 2, Open: 0, State: "running"} }, "pending", "rollout", "ist im Ring 2, offen ist Ring 0", "is in ring 2, and ring 0 is open", false},
		{"its roll-out has halted", func(c *whyCase) {
			c.row, c.held = item("installed", "", true), &whyRollout{ID: "R", Ring: 2, State: "halted", Reason: "3 iPads (A): They had it and have said nothing since: they may have lost their network."}
		}, "installed", "rollout-halted", "Sie ist angehalten: 3 iPads (A): ", "It has halted: 3 iPads", false},
		{"excluded", func(c *whyCase) { c.wishes[0].Exclude = true }, "excluded", "", "ausgenommen für class:SAT", "excluded for class:SAT", false},
		{"not assigned", func(c *whyCase) { c.wishes = nil }, "not_assigned", "", "nicht zugewiesen", "not assigned", false},
	} {
		one := wishedCase()
		c.change(one)
		de, en := one.why(noon, "de"), one.why(noon, "en")
		if de.State != c.state || de.Code != c.code || !strings.Contains(de.Text, c.de) || !strings.Contains(en.Text, c.en) {
			t.Errorf("%s: %s %q\n%s\n%s", c.name, de.State, de.Code, de.Text, en.Text)
		}
		if (de.NextStep == "") != c.noNextStep || (de.NextStep == en.NextStep) != c.noNextStep {
			t.Errorf("%s: next step %q, %q", c.name, de.NextStep, en.NextStep)
		}
	}
}

func TestAnExclusionIsStrongerThanAnyWish(t *testing.T) {
	c := wishedCase()
	c.wishes = append(c.wishes, whyWish{ID: "B", ScopeKind: "all", Exclude: true, By: "user:b", At: ago(time.Hour)})
	w := c.why(noon, "en")
	if w.State != "excluded" || len(w.Because) != 2 || strings.Contains(w.Text, "anna") {
		t.Errorf("%+v", w)
	}
}

func TestEvidenceIsToldInTheOrderInWhichItHappened(t *testing.T) {
	c := wishedCase()
	one := int64(2)
	c.row = &Item{State: "installed", Desired: true, Observed: &one, SentAt: pointer(ago(3 * time.Minute)), AcknowledgedAt: pointer(ago(2 * time.Minute)), ObservedAt: pointer(ago(90 * time.Second))}
	c.command = &whyCommand{State: "done", CreatedAt: ago(4 * time.Minute)}
	var got []string
	for _, p := range c.why(noon, "en").Evidence {
		got = append(got, p.What)
	}
	if want := []string{"assigned", "queued", "sent", "acknowledged", "observed", "contact"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhyReadsWhatIsWishedPlannedSentAndSeen(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, now := t.Context(), sqldb.At(noon)
		err := db.Do(ctx, func(tx *sqldb.Tx) error {
			for _, s := range []struct {
				text string
				args []any
			}{
				{`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES ('d1', 'tenant-1', 'SERIAL1', ?, ?)`, []any{now, now}},
				{`INSERT INTO enrollments (id, device_id, udid, generation, state, created_at, updated_at) VALUES ('e1', 'd1', 'u', 3, 'enrolled', ?, ?)`, []any{now, now}},
				{`INSERT INTO profiles (id, name, identifier, version, created_at, updated_at) VALUES ('p1', 'WLAN', 'x', 2, ?, ?), ('p2', 'Other', 'y', 1, ?, ?)`, []any{now, now, now, now}},
				{`INSERT INTO profile_versions (profile_id, version, payload_uuid, summary, content, created_by, created_at, traits)
					VALUES ('p1', 1, 'u1', '[]', ?, 'user:x', ?, '{"needs":[{"path":"x","keys":["old"],"removed":"16.0"}]}'),
						('p1', 2, 'u2', '[]', ?, 'user:x', ?, '{"needs":[{"path":"x","keys":["young"],"since":"99.0"}]}')`, []any{[]byte("x"), now, []byte("x"), now}},
				{`UPDATE enrollments SET os_version = '18.0' WHERE id = 'e1'`, nil},
				{`INSERT INTO profiles (id, tenant_id, name, identifier, version, created_at, updated_at) VALUES ('p3', 'elsewhere', 'Theirs', 'z', 1, ?, ?)`, []any{now, now}},
				{`INSERT INTO assignments (id, item_kind, item_id, scope_kind, scope_id, created_by, created_at) VALUES ('a1', 'profile', 'p1', 'tenant', 'tenant-1', 'user:x', ?)`, []any{now}},
				{`INSERT INTO assignments (id, item_kind, item_id, scope_kind, scope_id, created_by, created_at) VALUES ('a2', 'profile', 'p2', 'class', 'tenant-1', 'user:x', ?)`, []any{now}},
				{`INSERT INTO device_items (enrollment_id, item_kind, item_id, generation, desired, sent, sent_at, state, updated_at) VALUES ('e1', 'profile', 'p1', 3, 2, 2, ?, 'sent', ?)`, []any{now, now}},
				{`INSERT INTO commands (id, enrollment_id, generation, kind, request_type, dedupe_key, lane, once, origin, state, not_before, created_at, answered_at, status)
					VALUES ('k1', 'e1', 3, 'profile.install', 'InstallProfile', 'profile:p1', 1, FALSE, 'system', 'done', 0, ?, ?, 'Acknowledged'),
						('k2', 'e1', 3, 'profile.install', 'InstallProfile', 'profile:p1', 1, FALSE, 'system', 'deferred', 0, ?, ?, 'NotNow')`, []any{now, now, now, now}},
			} {
				if _, err := tx.Exec(ctx, s.text, s.args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r := New(db, clock.At(noon.Add(time.Hour)))
		in := []schools.Scope{{Kind: "tenant", ID: "tenant-1"}}
		w, err := r.Why(ctx, db, "d1", "", "en", in, nil, nil)
		if err != nil || len(w.Items) != 1 || w.Items[0].Item != "WLAN" || w.Items[0].Code != "not-now" || w.Items[0].Because[0].Assignment != "a1" {
			t.Errorf("all: %+v %v", w, err)
		} else if l := w.Items[0].Limits; len(l) != 1 || l[0].Code != "too-old" || l[0].Keys[0] != "young" {
			t.Errorf("limits: %+v", l)
		}
		if w, err = r.Why(ctx, db, "d1", "Other", "en", in, nil, nil); err != nil || len(w.Items) != 1 || w.Items[0].State != "not_assigned" {
			t.Errorf("what another class has: %+v %v", w, err)
		}
		err = db.Do(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO rollouts (id, title, state, ring, soak, opened_at, created_by, created_at) VALUES ('r1', 'WLAN', 'running', 0, 1, ?, 'user:x', ?)`, now, now); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO rollout_devices (rollout_id, enrollment_id, item_kind, item_id, ring, target) VALUES ('r1', 'e1', 'profile', 'p1', 2, 2)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if w, err = r.Why(ctx, db, "d1", "WLAN", "en", in, nil, nil); err != nil || w.Items[0].Code != "rollout" {
			t.Errorf("a ring that is closed: %+v %v", w, err)
		}
		for _, name := range []string{"nonsense", "Theirs"} {
			if _, err := r.Why(ctx, db, "d1", name, "en", in, nil, nil); fault.CodeOf(err) != "item.unknown" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
