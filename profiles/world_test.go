package profiles_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/micromdm/plist"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/catalogue"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

func begun() time.Time { return time.Date(2026, 8, 17, 8, 0, 0, 0, time.UTC) }

// facts is enroll as profiles sees it, as cmd/ranzen wires it.
type facts struct{ *enroll.Room }

func (f facts) Facts(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (map[string]profiles.DeviceFacts, error) {
	known, err := f.Room.Facts(ctx, q, enrollmentIDs)
	return planned(known), err
}

func (f facts) OfDevices(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string]profiles.DeviceFacts, error) {
	known, err := f.FactsOf(ctx, q, deviceIDs)
	return planned(known), err
}

// planned are facts by the same keys, as planning takes them.
func planned(known map[string]enroll.Facts) map[string]profiles.DeviceFacts {
	out := make(map[string]profiles.DeviceFacts, len(known))
	for id, k := range known {
		out[id] = profiles.DeviceFacts{
			EnrollmentID: k.EnrollmentID, DeviceID: k.DeviceID, Serial: k.Serial, Generation: k.Generation, Active: k.State == enroll.Enrolled,
			OSVersion: k.OSVersion, Supervised: k.Supervised, LostMode: k.LostMode, Model: k.Model, State: string(k.State), LastSeen: k.LastSeen,
		}
	}
	return out
}

func (f facts) InScope(ctx context.Context, q sqldb.Queryer, s profiles.Scope) ([]string, error) {
	return f.ActiveIn(ctx, q, s.Kind, s.ID)
}

func (f facts) AwayIn(ctx context.Context, q sqldb.Queryer, s profiles.Scope) (map[string]profiles.DeviceFacts, error) {
	known, err := f.Room.AwayIn(ctx, q, s.Kind, s.ID)
	return planned(known), err
}

// world is the rooms on one database and a fixed clock.
type world struct {
	testing.TB
	db      *sqldb.DB
	clk     clock.Clock
	queue   *commands.Queue
	schools *schools.Room
	room    *profiles.Room
	ca      *certs.Room
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	w := &world{TB: t, db: db, clk: clock.At(begun())}
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	vault, err := certs.NewVault(make([]byte, 32))
	w.must(err)
	trail := audit.New(db, w.clk)
	ca, err := certs.New(ctx, db, w.clk, vault, trail, certs.Config{PublicURL: "https://mdm.example.org", KeyKind: "p256"})
	w.must(err)
	w.ca, w.schools = ca, schools.New(w.clk, trail)
	w.queue = commands.New(db, w.clk, vault, trail, log)
	er, err := enroll.New(enroll.Deps{
		DB: db, Clock: w.clk, Vault: vault, Certs: ca, Queue: w.queue, Schools: w.schools, Audit: trail, Log: log, PublicURL: "https://mdm.example.org",
		Marker: enroll.MarkerFunc(func(ctx context.Context, tx *sqldb.Tx, ids ...string) error { return w.room.Mark(ctx, tx, ids...) }),
	})
	w.must(err)
	w.room = profiles.New(profiles.Deps{DB: db, Clock: w.clk, Vault: vault, Certs: ca, Queue: w.queue, Schools: w.schools, Audit: trail, Log: log, Facts: facts{er}, PublicURL: "https://mdm.example.org"})
	w.queue.Handle(er.Specs()...)
	w.queue.Handle(w.room.Specs()...)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) do(f func(tx *sqldb.Tx) error) {
	w.Helper()
	w.must(w.db.Do(w.Context(), f))
}

// enrolled puts n tablets under management, set-wise for benchmarks.
func (w *world) enrolled(n int) []string {
	w.Helper()
	ids := make([]string, n)
	w.do(func(tx *sqldb.Tx) error {
		now := sqldb.At(w.clk.Now())
		for from := 0; from < n; from += 500 {
			var devices, enrollments []any
			to := min(n, from+500)
			for i := from; i < to; i++ {
				ids[i] = fmt.Sprintf("e%06d", i)
				devices = append(devices, "d"+ids[i], "tenant-1", fmt.Sprintf("RZTEST%06d", i), now, now)
				enrollments = append(enrollments, ids[i], "d"+ids[i], fmt.Sprintf("UDID-%06d", i), 1, "enrolled", true, now, now)
			}
			k := to - from
			if _, err := tx.Exec(w.Context(), `INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES `+rows(k, 5), devices...); err != nil {
				return err
			}
			_, err := tx.Exec(w.Context(), `INSERT INTO enrollments (id, device_id, udid, generation, state, supervised, created_at, updated_at) VALUES `+rows(k, 8), enrollments...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

func rows(n, columns int) string {
	one := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return one + strings.Repeat(", "+one, n-1)
}

func (w *world) addWiFi(name, ssid string) profiles.Profile {
	w.Helper()
	return w.addWiFiWith(name, ssid, "correct horse")
}

func (w *world) addWiFiWith(name, ssid, password string) profiles.Profile {
	w.Helper()
	raw, err := w.room.BuildWiFi(profiles.WiFi{SSID: ssid, Password: fault.Secret(password), AutoJoin: true})
	w.must(err)
	var p profiles.Profile
	w.do(func(tx *sqldb.Tx) (err error) {
		p, err = w.room.AddProfile(w.Context(), tx, "user:test", "", name, raw)
		return err
	})
	return p
}

func (w *world) addApp(name string) profiles.App {
	w.Helper()
	var a profiles.App
	w.do(func(tx *sqldb.Tx) (err error) {
		a, err = w.room.AddApp(w.Context(), tx, "user:test", profiles.App{Name: name, AdamID: "409183694", BundleID: "com.apple." + name})
		return err
	})
	return a
}

func (w *world) assign(s profiles.Scope, names ...string) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error {
		_, err := w.room.Assign(w.Context(), tx, "user:test", "", names, s)
		return err
	})
}

func (w *world) unassign(s profiles.Scope, names ...string) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error {
		_, err := w.room.Unassign(w.Context(), tx, "user:test", "", names, s)
		return err
	})
}

// settle has every tablet answer what is open and show all that is wished,
// set-wise for benchmarks.
func (w *world) settle() {
	w.Helper()
	now := sqldb.At(w.clk.Now())
	w.do(func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(w.Context(), `UPDATE commands SET state = 'done', answered_at = ?, finished_at = ? WHERE finished_at IS NULL`, now, now); err != nil {
			return err
		}
		if _, err := tx.Exec(w.Context(), `UPDATE device_items SET sent = desired, sent_at = ?, acknowledged_at = ?, observed = desired, observed_at = ?, state = 'installed'`, now, now, now); err != nil {
			return err
		}
		_, err := tx.Exec(w.Context(), `INSERT INTO observations (enrollment_id, kind, generation, body, observed_at)
			SELECT e.id, k.kind, e.generation, '{}', e.created_at FROM enrollments e
				JOIN (SELECT 'profile.list' AS kind UNION SELECT 'app.managed' UNION SELECT 'app.installed') k ON TRUE WHERE TRUE
			ON CONFLICT (enrollment_id, kind) DO NOTHING`)
		return err
	})
}

// analyzed has PostgreSQL know its tables, as it does a minute after a fleet came.
// Nobody tells SQLite.
func (w *world) analyzed() {
	w.Helper()
	if w.db.Dialect() == sqldb.Postgres {
		w.do(func(tx *sqldb.Tx) error { _, err := tx.Exec(w.Context(), `ANALYZE`); return err })
	}
}

// plan runs the loop until nothing is due.
func (w *world) plan() {
	w.Helper()
	for range 1000 {
		n, err := w.room.Reconcile(w.Context())
		w.must(err)
		if n == 0 {
			return
		}
	}
	w.Fatal("planning does not end")
}

// pad is a tablet by hand: what it has, and how it answers.
type pad struct {
	w        *world
	id       string
	gen      int64
	profiles map[string]string    // identifier -> PayloadUUID
	apps     map[string]string    // bundle -> Status
	nets     map[string][2]string // profile -> network and password
	answer   func(requestType string, body map[string]any) map[string]any
	took     []string // request types of the last session
}

func (w *world) pad(id string) *pad {
	return &pad{w: w, id: id, gen: 1, profiles: map[string]string{}, apps: map[string]string{}, nets: map[string][2]string{}}
}

func (p *pad) exchange(report map[string]any) *commands.HandOver {
	p.w.Helper()
	raw, err := plist.Marshal(report)
	p.w.must(err)
	rep, err := mdm.ParseReport(raw)
	p.w.must(err)
	var h *commands.HandOver
	p.w.do(func(tx *sqldb.Tx) (err error) {
		h, err = p.w.queue.Exchange(p.w.Context(), tx, commands.Session{EnrollmentID: p.id, Generation: p.gen}, rep)
		return err
	})
	return h
}

// session is Idle and all commands until there are no more.
func (p *pad) session() {
	p.w.Helper()
	p.took = nil
	h := p.exchange(map[string]any{"Status": "Idle", "UDID": "x"})
	for range 100 {
		if h == nil {
			return
		}
		p.took = append(p.took, h.RequestType)
		var c struct{ Command map[string]any }
		p.w.must(plist.Unmarshal(h.Body, &c))
		sane(p.w, h)
		report := p.obey(h.RequestType, c.Command)
		if p.answer != nil {
			if other := p.answer(h.RequestType, c.Command); other != nil {
				report = other
			}
		}
		report["CommandUUID"] = h.ID
		if report["Status"] == nil {
			report["Status"] = "Acknowledged"
		}
		h = p.exchange(report)
	}
	p.w.Fatalf("the session does not end: %v", p.took)
}

// sane holds what is handed over, and a profile in it, to the catalogue, for every
// iPadOS from 16 on.
func sane(t testing.TB, h *commands.HandOver) {
	t.Helper()
	var c struct{ Command map[string]any }
	if err := mdm.Decode(h.Body, &c); err != nil {
		t.Fatal(err)
	}
	delete(c.Command, "RequestType")
	found, needs := catalogue.CheckCommand(h.RequestType, c.Command), catalogue.CommandNeeds(h.RequestType, c.Command)
	if payload, is := c.Command["Payload"].([]byte); is {
		var doc map[string]any
		if err := mdm.Decode(payload, &doc); err != nil {
			t.Fatal(err)
		}
		found, needs = append(found, catalogue.CheckProfile(doc)...), append(needs, catalogue.NeedsOf(doc)...)
	}
	if len(found) > 0 {
		t.Errorf("the catalogue says of %s: %+v", h.RequestType, found)
	}
	supervised := true
	for _, n := range needs {
		for _, os := range []string{"16.0", "17.0", "18.0", "26.0"} {
			if lacks := n.Lacks(os, &supervised); lacks != "" {
				t.Errorf("%s on %s: %+v is %s", h.RequestType, os, n, lacks)
			}
		}
	}
}

func (p *pad) obey(requestType string, c map[string]any) map[string]any {
	r := map[string]any{}
	switch requestType {
	case "InstallProfile":
		var doc struct {
			PayloadIdentifier, PayloadUUID string
			PayloadContent                 []struct{ PayloadType, SSID_STR, Password string }
		}
		b, _ := c["Payload"].([]byte)
		p.w.must(plist.Unmarshal(b, &doc))
		p.profiles[doc.PayloadIdentifier] = doc.PayloadUUID
		for _, c := range doc.PayloadContent {
			if c.PayloadType == "com.apple.wifi.managed" {
				p.nets[doc.PayloadIdentifier] = [2]string{c.SSID_STR, c.Password}
			}
		}
	case "RemoveProfile":
		delete(p.profiles, c["Identifier"].(string))
		delete(p.nets, c["Identifier"].(string))
	case "InstallApplication":
		p.apps["com.apple.Keynote"] = "Managed"
		r["State"] = "Queued"
	case "RemoveApplication":
		delete(p.apps, c["Identifier"].(string))
	case "ProfileList":
		list := []any{}
		for id, u := range p.profiles {
			list = append(list, map[string]any{"PayloadIdentifier": id, "PayloadUUID": u, "IsManaged": true})
		}
		r["ProfileList"] = list
	case "ManagedApplicationList":
		list := map[string]any{}
		for id, s := range p.apps {
			list[id] = map[string]any{"Status": s}
		}
		r["ManagedApplicationList"] = list
	case "InstalledApplicationList":
		r["InstalledApplicationList"] = []any{}
	}
	return r
}

// state is an item's state on a tablet.
func (w *world) state(id, kind string) (state, reason string) {
	w.Helper()
	var row struct {
		State  string `db:"state"`
		Reason string `db:"reason"`
	}
	w.must(w.db.Get(w.Context(), &row, `SELECT state, reason FROM device_items WHERE enrollment_id = ? AND item_kind = ?`, id, kind))
	return row.State, row.Reason
}

func code(err error) string { return fault.CodeOf(err) }
