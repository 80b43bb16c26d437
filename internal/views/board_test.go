package views_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/internal/views"
)

var noon = time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC)

// hall is a staging room: a delivery L-1 for site SAT with cart K03, a token and
// an enrollment profile for it, three profiles and two apps to be wished.
type hall struct {
	testing.TB
	db   *sqldb.DB
	room *views.Room
}

func newHall(t testing.TB, db *sqldb.DB) *hall {
	h := &hall{t, db, views.New(db, clock.At(noon))}
	h.put("schools", row{"id": "s1", "tenant_id": sqldbtest.Tenant, "code": "GS", "name": "Grundschule", "created_at": 0, "updated_at": 0})
	h.put("sites", row{"id": "site1", "tenant_id": sqldbtest.Tenant, "school_id": "s1", "code": "SAT", "name": "Saartal", "created_at": 0, "updated_at": 0})
	h.put("carts", row{"id": "k1", "tenant_id": sqldbtest.Tenant, "site_id": "site1", "code": "K03", "slots": 100, "created_at": 0, "updated_at": 0})
	h.put("ade_tokens", row{"id": "tok1", "tenant_id": sqldbtest.Tenant, "name": "one", "cert_der": []byte{1}, "key_sealed": []byte{1}, "created_at": 0, "updated_at": 0, "token_sealed": []byte{1}, "expires_at": noon.Add(100 * time.Hour)})
	h.put("ade_sync", row{"token_id": "tok1", "phase": "sync", "due_at": 0})
	h.delivery("l1", "L-1", "4711")
	h.profile("ade1", []string{"WLAN", "Keynote"})
	h.put("ade_profile_uuids", row{"profile_id": "ade1", "token_id": "tok1", "hash": "h", "uuid": "U1"})
	h.put("ade_wishes", row{"scope_kind": "delivery", "scope_id": "l1", "profile_id": "ade1", "by_actor": "x", "at": 0})
	for _, name := range []string{"WLAN", "Restrictions", "Certificates"} {
		h.put("profiles", row{"id": name, "name": name, "identifier": name, "version": 2, "created_at": 0, "updated_at": 0})
	}
	for _, name := range []string{"Keynote", "Pages"} {
		h.put("apps", row{"id": name, "name": name, "adam_id": name, "bundle_id": name, "created_at": 0})
	}
	return h
}

// row is what is written; times are kept as all times are.
type row map[string]any

func (h *hall) put(table string, rows ...row) {
	h.Helper()
	err := h.db.Do(h.Context(), func(tx *sqldb.Tx) error {
		for _, r := range rows {
			names := slices.Sorted(maps.Keys(r))
			args := make([]any, len(names))
			for i, n := range names {
				args[i] = r[n]
				if at, is := r[n].(time.Time); is {
					args[i] = sqldb.At(at)
				}
			}
			marks := strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ")
			if _, err := tx.Exec(h.Context(), `INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) VALUES (`+marks+`)`, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.Fatalf("%s: %v", table, err)
	}
}

func (h *hall) exec(query string, args ...any) {
	h.Helper()
	err := h.db.Do(h.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(h.Context(), query, args...)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
}

func (h *hall) delivery(id, code, order string) {
	h.put("deliveries", row{"id": id, "tenant_id": sqldbtest.Tenant, "code": code, "expected": 3, "order_no": order, "created_at": 0, "updated_at": 0})
}

func (h *hall) profile(id string, baseline []string) {
	h.put("ade_profiles", row{"id": id, "tenant_id": sqldbtest.Tenant, "name": id, "definition": "{}", "hash": "h", "created_at": 0, "updated_at": 0,
		"baseline": `["` + strings.Join(baseline, `","`) + `"]`})
}

// device is one of the delivery's, named by its serial number.
func (h *hall) device(serial string, more row) {
	h.Helper()
	r := row{"id": "d-" + serial, "tenant_id": sqldbtest.Tenant, "serial": serial, "name": serial, "delivery_id": "l1", "site_id": "site1", "created_at": 0, "updated_at": 0}
	maps.Copy(r, more)
	h.put("devices", r)
}

// apple is what Apple says of a device: it has the wished profile, unless told otherwise.
func (h *hall) apple(serial string, more row) {
	h.Helper()
	r := row{"token_id": "tok1", "serial": serial, "tenant_id": sqldbtest.Tenant, "run": 1, "profile_uuid": "U1", "profile_state": "assigned",
		"wanted_uuid": "U1", "result": "SUCCESS", "first_at": 0, "seen_at": 0}
	maps.Copy(r, more)
	h.put("ade_devices", r)
}

// enrollment is a life of a device: its second generation, begun two minutes ago.
func (h *hall) enrollment(serial string, more row) {
	h.Helper()
	r := row{"id": "e-" + serial, "device_id": "d-" + serial, "udid": "u-" + serial, "generation": 2, "state": "enrolled",
		"created_at": noon.Add(-2 * time.Minute), "enrolled_at": noon.Add(-time.Minute), "updated_at": noon}
	maps.Copy(r, more)
	h.put("enrollments", r)
	h.put("contacts", row{"enrollment_id": r["id"], "last_seen": noon.Add(-30 * time.Second)})
}

// item is one that the device shall have, and shows if it is installed.
func (h *hall) item(serial, kind, name, state string, more row) {
	h.Helper()
	r := row{"enrollment_id": "e-" + serial, "item_kind": kind, "item_id": name, "generation": 2, "desired": 2, "sent": 2, "sent_at": noon.Add(-time.Minute),
		"state": state, "updated_at": noon}
	if state == "installed" {
		r["observed"], r["observed_at"] = 2, noon.Add(-20*time.Second)
	}
	maps.Copy(r, more)
	h.put("device_items", r)
}

func (h *hall) board() (views.Board, map[string]views.Tile) {
	h.Helper()
	b, err := h.room.Board(h.Context(), "l1")
	if err != nil {
		h.Fatal(err)
	}
	tiles := map[string]views.Tile{}
	for _, t := range b.Tiles {
		tiles[t.Serial] = t
	}
	if len(tiles) != len(b.Tiles) {
		h.Errorf("%d tiles of %d devices", len(b.Tiles), len(tiles))
	}
	return b, tiles
}

func TestTheBoardJudgesByWhatRowsShow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHall(t, db)
		want := map[string][2]string{}
		is := func(serial, state, code string) string {
			want[serial] = [2]string{state, code}
			return serial
		}
		complete := func(s string) {
			h.item(s, "profile", "WLAN", "installed", nil)
			h.item(s, "app", "Keynote", "installed", nil)
		}
		event := func(id, subject, action, detail string) {
			h.put("audit_events", row{"id": id, "at": noon.Add(-time.Minute), "actor": "system", "action": action, "subject": subject, "detail": detail})
		}
		h.device(is("UNKNOWN", "known", "not-at-apple"), nil)
		h.device(is("BOX", "profile_confirmed", ""), nil)
		h.apple("BOX", nil)
		h.device(is("OTHERSWISH", "known", "unconfirmed"), nil)
		h.apple("OTHERSWISH", row{"profile_uuid": "U0"})
		h.device(is("GONE", "known", "not-at-apple"), nil)
		h.apple("GONE", row{"removed_at": noon})
		h.device(is("REFUSED", "stuck", "refused"), nil)
		event("v1", "serial:REFUSED", "enrollment.refuse", `{"reason":"setup.unexpected"}`)
		h.device(is("UPDATES", "profile_confirmed", "updating"), nil)
		h.apple("UPDATES", nil)
		event("v2", "device:d-UPDATES", "setup.update", `{"os_version":"17.0","min_os":"18.6"}`)
		h.device(is("FORGED", "stuck", "refused"), nil)
		h.apple("FORGED", nil)
		event("v3", "device:d-FORGED", "setup.ask", `{}`)
		event("v4", "enrollment:e-visit", "enrollment.refuse", `{"reason":"other-device"}`)
		h.put("ade_visits", row{"enrollment_id": "e-visit", "device_id": "d-FORGED", "profile_id": "ade1", "serial": "FORGED", "udid": "u", "info_hash": "x", "asked_at": 0})

		h.device(is("COMES", "enrolled", ""), nil)
		h.enrollment("COMES", row{"state": "enrolling", "enrolled_at": nil})
		h.device(is("PROFILES", "profiles", ""), row{"cart_id": "k1", "slot": 7, "asset_tag": "RV-1"})
		h.enrollment("PROFILES", row{"os_version": "18.6", "model": "iPad13,18"})
		h.item("PROFILES", "profile", "WLAN", "installed", nil)
		h.item("PROFILES", "profile", "Restrictions", "sent", nil)
		h.item("PROFILES", "profile", "Certificates", "installed", row{"generation": 1}) // of an earlier life
		h.item("PROFILES", "app", "Keynote", "pending", row{"sent": nil, "sent_at": nil})
		h.item("PROFILES", "app", "Pages", "removed", row{"desired": nil})
		h.device(is("READY", "ready", ""), nil)
		h.enrollment("READY", nil)
		complete("READY")
		h.put("inventory", row{"enrollment_id": "e-READY", "kind": "device.information", "generation": 2, "body": `{"BatteryLevel":0.8}`, "observed_at": noon})
		h.device(is("OLDBATTERY", "ready", ""), nil)
		h.enrollment("OLDBATTERY", nil)
		complete("OLDBATTERY")
		h.put("inventory", row{"enrollment_id": "e-OLDBATTERY", "kind": "device.information", "generation": 1, "body": `{"BatteryLevel":0.1}`, "observed_at": noon})
		h.device(is("CHARGE", "apps", "charge"), nil)
		h.enrollment("CHARGE", nil)
		complete("CHARGE")
		h.put("inventory", row{"enrollment_id": "e-CHARGE", "kind": "device.information", "generation": 2, "body": `{"BatteryLevel":0.31}`, "observed_at": noon})
		h.device(is("BAD", "stuck", "no-licence"), nil)
		h.enrollment("BAD", nil)
		h.item("BAD", "profile", "WLAN", "failed", row{"reason": "The iPad reported: x (Y 1)", "retry_at": noon.Add(time.Minute)})
		h.item("BAD", "app", "Keynote", "blocked", row{"reason": "There is no licence of the app for this iPad. ", "retry_at": noon.Add(time.Minute)})
		h.device(is("LOCKED", "profiles", "locked"), nil)
		h.enrollment("LOCKED", nil)
		h.item("LOCKED", "profile", "WLAN", "sent", nil)
		command := row{"id": "c1", "enrollment_id": "e-LOCKED", "generation": 2, "kind": "profile.install", "request_type": "InstallProfile", "dedupe_key": "x", "lane": 1,
			"once": false, "origin": "x", "state": "deferred", "not_before": 0, "created_at": 0, "status": "NotNow", "answered_at": noon.Add(-time.Minute)}
		h.put("commands", command)
		h.device(is("BASELINE", "stuck", "baseline"), nil)
		h.enrollment("BASELINE", row{"awaiting": true, "ade_profile_id": "ade1"})
		h.item("BASELINE", "profile", "WLAN", "installed", nil)
		h.device(is("RELEASE", "apps", ""), nil)
		h.enrollment("RELEASE", row{"awaiting": true, "ade_profile_id": "ade1"})
		complete("RELEASE")
		h.device(is("STAYS", "stuck", "not-released"), nil)
		h.enrollment("STAYS", row{"awaiting": true, "ade_profile_id": "ade1", "release_at": noon.Add(-time.Minute)})
		complete("STAYS")
		maps.Copy(command, row{"id": "c2", "enrollment_id": "e-STAYS", "kind": "device.configured", "state": "failed", "status": "Error"})
		h.put("commands", command)
		h.device(is("ERASE", "stuck", "ending"), nil)
		h.enrollment("ERASE", nil)
		maps.Copy(command, row{"id": "c3", "enrollment_id": "e-ERASE", "kind": "device.erase", "once": true, "state": "queued", "status": ""})
		h.put("commands", command)
		h.device(is("NOPUSH", "stuck", "push-refused"), nil)
		h.enrollment("NOPUSH", nil)
		h.put("push_targets", row{"enrollment_id": "e-NOPUSH", "token": []byte{1}, "magic_sealed": []byte{1}, "topic": "t", "last_error": "Unregistered", "refused_at": noon, "updated_at": 0})
		h.device(is("TWICE", "held", "held"), nil)
		h.enrollment("TWICE", nil)
		complete("TWICE")
		h.put("enrollments", row{"id": "e-second", "device_id": "d-TWICE", "udid": "u-second", "generation": 1, "state": "held", "created_at": 0, "updated_at": noon.Add(time.Hour)})
		h.put("holds", row{"enrollment_id": "e-second", "other_id": "e-TWICE", "device_id": "d-TWICE", "reason": "seen-lately", "opened_at": 0})
		h.device(is("HELDLEFT", "ready", ""), nil) // the second one checked out again: nothing is left to decide
		h.enrollment("HELDLEFT", nil)
		complete("HELDLEFT")
		h.put("enrollments", row{"id": "e-left", "device_id": "d-HELDLEFT", "udid": "u-left", "generation": 1, "state": "unenrolled", "created_at": 0, "updated_at": noon.Add(time.Hour)})
		h.put("holds", row{"enrollment_id": "e-left", "other_id": "e-HELDLEFT", "device_id": "d-HELDLEFT", "reason": "seen-lately", "opened_at": 0})

		h.device("CANCELLED", row{"asset_state": "cancelled"})
		h.delivery("l2", "L-2", "")
		h.device("ELSEWHERE", row{"delivery_id": "l2"})

		b, tiles := h.board()
		if len(tiles) != len(want) || b.Totals.Devices != len(want) || b.Totals.Expected != 3 {
			t.Errorf("%d tiles, %d in total, want %d", len(tiles), b.Totals.Devices, len(want))
		}
		for serial, w := range want {
			got := tiles[serial]
			code, text := "", ""
			if got.Reason != nil {
				code, text = got.Reason.Code, got.Reason.TextEN
			}
			if got.State != w[0] || code != w[1] {
				t.Errorf("%s is %s (%s: %s), want %v", serial, got.State, code, text, w)
			}
		}
		p := tiles["PROFILES"]
		if p.ProfilesDone != 1 || p.ProfilesWanted != 2 || p.AppsDone != 0 || p.AppsWanted != 1 || p.Slot != "SAT-K03-07" || p.Tag != "RV-1" ||
			p.OSVersion != "18.6" || p.Model != "iPad13,18" || p.LastSeen == nil || !p.LastSeen.Equal(noon.Add(-30*time.Second)) {
			t.Errorf("%+v", p)
		}
		if r := tiles["BASELINE"].Reason; r == nil || !strings.Contains(r.TextEN, "for Keynote,") {
			t.Errorf("%+v", r)
		}
		if got := tiles["CHARGE"].Battery; got == nil || *got != 0.31 || tiles["OLDBATTERY"].Battery != nil {
			t.Error("batteries of another life are shown, or none")
		}
		h.exec(`UPDATE ade_sync SET problem = 'ade.terms'`) // pain 19
		_, tiles = h.board()
		if r := tiles["UNKNOWN"].Reason; r == nil || r.Code != "terms" || tiles["BOX"].State != "profile_confirmed" {
			t.Errorf("%+v", r)
		}
		n := b.Totals
		if n.Known+n.ProfileConfirmed+n.Enrolled+n.Profiles+n.Apps+n.Ready+n.Stuck+n.Held != n.Devices || n.Held != 1 || n.Ready != 3 {
			t.Errorf("%+v", n)
		}
	})
}

// Pains 17 and 18: what Apple was asked for and what Apple says are told apart
// on the board by the same words as where they are assigned.
func TestBoardAndAssignmentAgreeOnWhatAppleSays(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHall(t, db)
		rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
		pick := func(of ...any) any { return of[rnd.IntN(len(of))] }
		h.exec(`UPDATE ade_sync SET missing = 1, full_run = 2 WHERE token_id = 'tok1'`)
		h.put("ade_tokens", row{"id": "tok2", "tenant_id": sqldbtest.Tenant, "name": "two", "cert_der": []byte{1}, "key_sealed": []byte{1}, "created_at": 0, "updated_at": 0})
		h.put("ade_sync", row{"token_id": "tok2", "phase": "sync", "due_at": 0})
		h.put("tenants", row{"id": "t2", "code": "two", "name": "Two", "created_at": 0, "updated_at": 0})
		h.put("ade_tokens", row{"id": "tok3", "tenant_id": "t2", "name": "three", "cert_der": []byte{1}, "key_sealed": []byte{1}, "created_at": 0, "updated_at": 0})
		h.profile("ade2", nil) // Apple was not told of it, and refused it on tok2
		h.put("ade_profile_uuids", row{"profile_id": "ade2", "token_id": "tok2", "hash": "h", "problem": "FLAGS_INVALID"})
		h.put("ade_profile_uuids", row{"profile_id": "ade1", "token_id": "tok2", "hash": "h", "uuid": "U2"})
		h.put("ade_wishes", row{"scope_kind": "site", "scope_id": "site1", "profile_id": "ade2", "by_actor": "x", "at": 0})
		h.exec(`UPDATE ade_wishes SET scope_kind = 'tenant', scope_id = ? WHERE scope_kind = 'delivery'`, sqldbtest.Tenant)
		for i := range 400 {
			serial := fmt.Sprintf("S%03d", i)
			h.device(serial, row{"site_id": pick(nil, "site1")})
			for _, tok := range []string{"tok1", "tok2", "tok3"} {
				if rnd.IntN(3) == 0 {
					continue
				}
				tenant := sqldbtest.Tenant
				if tok == "tok3" {
					tenant = "t2"
				}
				h.apple(serial, row{
					"token_id": tok, "tenant_id": tenant, "run": pick(1, 2), "profile_uuid": pick("U1", "U2", ""), "wanted_uuid": pick("U1", "U2", ""), "profile_state": pick("assigned", "pushed", "removed", "empty"),
					"result": pick("SUCCESS", "THROTTLED", "FAILED", "NOT_ACCESSIBLE", ""), "assigned_at": pick(nil, 1, 2), "removed_at": pick(nil, nil, nil, 5),
				})
			}
		}
		states, next, err := (&enroll.Room{}).ADEStates(t.Context(), db, enroll.ADEFilter{Limit: 5000})
		if err != nil || next != "" {
			t.Fatal(err)
		}
		said := map[string]string{}
		for _, s := range states {
			switch s.Status {
			case enroll.ADERemoved, enroll.ADEOtherTenant, enroll.ADEMoved:
				continue
			}
			if said[s.Serial] != "" {
				t.Errorf("%s is %s and %s", s.Serial, said[s.Serial], s.Status)
			}
			said[s.Serial] = s.Status
		}
		code := map[string]string{
			"": "not-at-apple", enroll.ADEConfirmed: "", enroll.ADEMissing: "missing", enroll.ADENoProfile: "no-profile", enroll.ADERefused: "profile-refused",
			enroll.ADEThrottled: "throttled", enroll.ADEFailed: "not-assigned", enroll.ADEAsked: "unconfirmed", enroll.ADEWaiting: "unconfirmed",
		}
		_, tiles := h.board()
		seen := map[string]bool{}
		for serial, tile := range tiles {
			got := ""
			if tile.Reason != nil {
				got = tile.Reason.Code
			}
			if got != code[said[serial]] {
				t.Errorf("%s: assignment says %q, the board %q (%s)", serial, said[serial], got, tile.State)
			}
			seen[said[serial]] = true
		}
		if len(tiles) != 400 || len(seen) < 8 {
			t.Errorf("%d tiles, only %v came up", len(tiles), seen)
		}
	})
}

// big is a delivery of n devices half way through: six profiles and nine apps
// each, with a history.
func big(h *hall, n int) {
	for i := range 6 {
		h.put("profiles", row{"id": fmt.Sprint("p", i), "name": fmt.Sprint("p", i), "identifier": fmt.Sprint("p", i), "version": 2, "created_at": 0, "updated_at": 0})
	}
	for i := range 9 {
		h.put("apps", row{"id": fmt.Sprint("a", i), "name": fmt.Sprint("a", i), "adam_id": fmt.Sprint("a", i), "bundle_id": fmt.Sprint("a", i), "created_at": 0})
	}
	digits := `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?) `
	h.exec(digits+`INSERT INTO devices (id, tenant_id, serial, name, delivery_id, site_id, cart_id, created_at, updated_at)
		SELECT 'd' || i, ?, 'S' || i, 'SAT-K03-' || i, 'l1', 'site1', 'k1', 0, 0 FROM n`, n-1, sqldbtest.Tenant)
	h.exec(`INSERT INTO ade_devices (token_id, serial, tenant_id, run, profile_uuid, profile_state, wanted_uuid, first_at, seen_at)
		SELECT 'tok1', d.serial, d.tenant_id, 1, 'U1', 'assigned', 'U1', 0, 0 FROM devices d`)
	h.exec(digits+`INSERT INTO audit_events (id, at, actor, action, subject, detail)
		SELECT d.id || '-' || n.i, n.i, 'system', CASE WHEN n.i = 3 THEN 'setup.ask' ELSE 'device.scan' END, 'device:' || d.id, '{}' FROM devices d CROSS JOIN n`, 9)
	h.exec(`INSERT INTO enrollments (id, device_id, udid, generation, state, created_at, enrolled_at, updated_at, awaiting, ade_profile_id)
		SELECT 'e' || d.id, d.id, d.id, 1, 'enrolled', ?, ?, 0, TRUE, 'ade1' FROM devices d WHERE d.id NOT LIKE '%7'`, sqldb.At(noon), sqldb.At(noon))
	h.exec(`INSERT INTO contacts (enrollment_id, last_seen) SELECT e.id, ? FROM enrollments e`, sqldb.At(noon))
	h.exec(`INSERT INTO inventory (enrollment_id, kind, generation, body, observed_at)
		SELECT e.id, 'device.information', 1, '{"BatteryLevel":0.8,"DeviceName":"iPad","OSVersion":"18.6","BuildVersion":"22G86","AvailableDeviceCapacity":40.5}', ? FROM enrollments e`, sqldb.At(noon))
	for kind, count := range map[string]int{"profile": 6, "app": 9} {
		h.exec(digits+`INSERT INTO device_items (enrollment_id, item_kind, item_id, generation, desired, sent, sent_at, acknowledged_at, observed, observed_at, state, updated_at)
			SELECT e.id, '`+kind+`', '`+kind[:1]+`' || n.i, 1, 2, 2, 1, 1, 2, 1, CASE WHEN n.i = 3 THEN 'sent' ELSE 'installed' END, 0 FROM enrollments e CROSS JOIN n`, count-1)
	}
	h.exec(digits+`INSERT INTO commands (id, enrollment_id, generation, kind, request_type, dedupe_key, lane, once, origin, state, not_before, created_at, finished_at)
		SELECT e.id || '-' || n.i, e.id, 1, 'profile.install', 'InstallProfile', 'k' || n.i, 1, FALSE, 'x', CASE WHEN n.i = 19 THEN 'queued' ELSE 'done' END, 0, 0, 1 FROM enrollments e CROSS JOIN n`, 19)
	if h.db.Dialect() == sqldb.Postgres {
		h.exec(`ANALYZE`)
	}
}

func BenchmarkBoard(b *testing.B) {
	sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
		h := newHall(b, db)
		big(h, 2000)
		for b.Loop() {
			got, err := h.room.Board(context.WithoutCancel(b.Context()), "l1")
			if err != nil || len(got.Tiles) != 2000 {
				b.Fatal(len(got.Tiles), err)
			}
		}
	})
}
