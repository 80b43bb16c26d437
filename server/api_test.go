package server_test

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
	"ranzen/server"
)

var update = flag.Bool("update", false, "write openapi.yaml anew")

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

// house is the server on one database, with a token of each role.
type house struct {
	testing.TB
	*server.Server
	admin, viewer string
}

func newHouse(t testing.TB, db *sqldb.DB) *house {
	t.Helper()
	clk, ctx, log := clock.At(time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)), t.Context(), slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	vault, err := certs.NewVault(make([]byte, 32))
	must(err)
	trail, people := audit.New(db, clk), (*auth.Room)(nil)
	people = auth.New(db, clk, trail)
	ca, err := certs.New(ctx, db, clk, vault, trail, certs.Config{PublicURL: "https://mdm.example.org", KeyKind: "p256"})
	must(err)
	devices := schools.New(clk, trail)
	queue := commands.New(db, clk, vault, trail, log)
	var wishes *profiles.Room
	er, err := enroll.New(enroll.Deps{
		DB: db, Clock: clk, Vault: vault, Certs: ca, Queue: queue, Schools: devices, Audit: trail, Log: log, PublicURL: "https://mdm.example.org",
		Marker: enroll.MarkerFunc(func(ctx context.Context, tx *sqldb.Tx, ids ...string) error { return wishes.Mark(ctx, tx, ids...) }),
	})
	must(err)
	wishes = profiles.New(profiles.Deps{DB: db, Clock: clk, Vault: vault, Certs: ca, Queue: queue, Schools: devices, Audit: trail, Log: log, Facts: facts{er}, PublicURL: "https://mdm.example.org"})
	queue.Handle(er.Specs()...)
	queue.Handle(wishes.Specs()...)
	h := &house{TB: t, Server: server.New(server.Deps{
		DB: db, Clock: clk, Log: log, Audit: trail, Auth: people, Schools: devices, Vault: vault, Certs: ca, Queue: queue, Enroll: er, Profiles: wishes,
		Config: server.Config{PublicURL: "https://mdm.example.org", Version: "test"},
	})}
	must(db.Do(ctx, func(tx *sqldb.Tx) error {
		for _, r := range []struct {
			name string
			role auth.Role
			into *string
		}{{"ada", auth.Admin, &h.admin}, {"vera", auth.Viewer, &h.viewer}} {
			if _, err := people.AddUser(ctx, tx, audit.System, "", r.name, r.role); err != nil {
				return err
			}
			_, secret, err := people.CreateToken(ctx, tx, audit.System, auth.TokenSpec{User: r.name, Name: "t"})
			if err != nil {
				return err
			}
			*r.into = secret.Open()
		}
		return nil
	}))
	return h
}

func (h *house) ask(token, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(h.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.Admin().ServeHTTP(w, r)
	return w
}

// document is openapi.json as YAML.
func (h *house) document() string {
	var doc any
	if err := yaml.Unmarshal(h.ask("", "GET", "/api/v1/openapi.json", "").Body.Bytes(), &doc); err != nil {
		h.Fatal(err)
	}
	b, err := yaml.Marshal(doc)
	if err != nil {
		h.Fatal(err)
	}
	return string(b)
}

func TestOpenAPIIsWhatTheHandlersDo(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	got := h.document()
	if *update {
		if err := os.WriteFile("openapi.yaml", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.yaml")
	if err != nil || got != string(want) {
		t.Errorf("openapi.yaml is not what the handlers do (%v); look at the change and write it with: go test ./server -run OpenAPI -update", err)
	}
	if !strings.Contains(got, "openapi: 3.1") {
		t.Error("it is not OpenAPI 3.1")
	}
}

// operations are all operations of the API, from its own document.
func (h *house) operations() (list []struct{ method, path, right string }) {
	var doc struct {
		Paths map[string]map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal([]byte(h.document()), &doc); err != nil {
		h.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			right, _ := op["x-right"].(string)
			list = append(list, struct{ method, path, right string }{strings.ToUpper(method), "/api/v1" + path, right})
		}
	}
	return list
}

func TestEveryOperationNamesItsRightAndAsksForIt(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ops := h.operations()
		if len(ops) < 40 {
			t.Fatalf("only %d operations", len(ops))
		}
		for _, op := range ops {
			path := strings.NewReplacer("{", "", "}", "").Replace(op.path)
			if op.right == "" {
				t.Errorf("%s %s names no right", op.method, op.path)
			}
			for name, token := range map[string]string{"no": "", "a wrong": "rzn_wrong", "a broken": "\x00\xff"} {
				if w := h.ask(token, op.method, path, ""); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"code"`) {
					t.Errorf("%s %s with %s token: %d %s", op.method, op.path, name, w.Code, w.Body)
				}
			}
			if w := h.ask(h.viewer, op.method, path, ""); (op.right != string(auth.Look)) != (w.Code == http.StatusForbidden) {
				t.Errorf("%s %s (%s) by a viewer: %d", op.method, op.path, op.right, w.Code)
			}
			if w := h.ask(h.admin, op.method, path, ""); w.Code == http.StatusForbidden || w.Code >= 500 {
				t.Errorf("%s %s by an admin: %d %s", op.method, op.path, w.Code, w.Body)
			}
		}
	})
}

func TestBadInputIsAProblemWithACodeAndNeverA500(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		bodies := []string{"", "{", "[]", "null", `{"a":1}`, `{"name":"a\u0000b"}`, "{\"name\":\"\xff\"}", `{"name":` + strings.Repeat("[", 20000), `{"names":["x"],"to":"device:\u0000"}`,
			`{"name":"x","adam_id":"1","bundle_id":"'"}`, `{"name":"` + strings.Repeat("x", 300) + `"}`, `{"reason":"x","return_to_service":true}`, `{"command":"Nope","args":{}}`}
		for _, op := range h.operations() {
			for _, id := range []string{"nobody", "%00", "%ff", "..%2f..", strings.Repeat("x", 3000), "%27%20OR%201=1"} {
				path := op.path
				for strings.Contains(path, "{") {
					i, j := strings.Index(path, "{"), strings.Index(path, "}")
					path = path[:i] + id + path[j+1:]
				}
				for _, body := range bodies {
					w := h.ask(h.admin, op.method, path, body)
					if w.Code >= 500 {
						t.Errorf("%s %s %.60q: %d %s", op.method, path, body, w.Code, w.Body)
					}
					if w.Code >= 400 && !strings.Contains(w.Body.String(), `"code"`) {
						t.Errorf("%s %s %.60q: %d without a code: %s", op.method, path, body, w.Code, w.Body)
					}
					if !strings.Contains(op.path, "{") {
						continue
					}
					break // of paths with an id one body is enough
				}
				if !strings.Contains(op.path, "{") {
					break
				}
			}
		}
		for _, q := range []string{"?limit=-1", "?limit=x", "?after=%00", "?after=" + strings.Repeat("A", 5000), "?filter=%ff", "?filter=nonsense:1", "?unknown=1"} {
			for _, path := range []string{"/api/v1/devices", "/api/v1/commands", "/api/v1/audit"} {
				if w := h.ask(h.admin, "GET", path+q, ""); w.Code >= 500 {
					t.Errorf("%s%s: %d %s", path, q, w.Code, w.Body)
				}
			}
		}
	})
}

func TestAWriteWithAKeyIsDoneOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		first := h.ask(h.admin, "POST", "/api/v1/groups", `{"name":"3b"}`, "Idempotency-Key", "k1")
		again := h.ask(h.admin, "POST", "/api/v1/groups", `{"name":"3b"}`, "Idempotency-Key", "k1")
		if first.Code != 200 || again.Code != 200 || first.Body.String() != again.Body.String() {
			t.Errorf("%d %s, then %d %s", first.Code, first.Body, again.Code, again.Body)
		}
		if w := h.ask(h.admin, "POST", "/api/v1/groups", `{"name":"4a"}`, "Idempotency-Key", "k1"); w.Code < 400 || w.Code >= 500 {
			t.Errorf("the same key for something else: %d", w.Code)
		}
		if w := h.ask(h.admin, "POST", "/api/v1/groups", `{"name":"3b"}`); w.Code != http.StatusConflict {
			t.Errorf("the same name without a key: %d %s", w.Code, w.Body)
		}
	})
}

func TestTheStatusPageNeedsNoSignInAndTellsNothingOfDevices(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	for lang, want := range map[string]string{"de-DE,de;q=0.9,en;q=0.5": "Ranzen läuft", "en-GB,en": "Ranzen is running", "": "Ranzen läuft"} {
		w := h.ask("", "GET", "/", "", "Accept-Language", lang)
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "/api/v1/openapi.json") {
			t.Errorf("%q: %d %s", lang, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := h.ask("", "GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := h.ask(h.admin, "POST", "/api/v1/groups", `{"name":"x"}`, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("a write from another site: %d", w.Code)
	}
}

func TestMetricsAreNumbersOnly(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.ask(h.admin, "GET", "/api/v1/devices", "")
		srv := httptest.NewServer(h.Metrics())
		defer srv.Close()
		req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res.Status, err)
		}
		for _, name := range []string{"ranzen_requests_total", "ranzen_devices_to_plan", "ranzen_pushes"} {
			if !strings.Contains(string(b), name) {
				t.Errorf("%s is missing", name)
			}
		}
	})
}
