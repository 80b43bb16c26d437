package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// answer asks and reads a JSON answer.
func (h *house) answer(token, method, path, body string, status int) map[string]any {
	h.Helper()
	w := h.ask(token, method, path, body)
	if w.Code != status {
		h.Errorf("%s %s: got %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	doc := map[string]any{}
	_ = json.Unmarshal(w.Body.Bytes(), &doc) // 204 has none
	return doc
}

// tenantAdmin is a token of somebody bound to a tenant, which is made.
func (h *house) tenantAdmin(code string) (token string) {
	h.Helper()
	err := h.DB.Do(h.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(h.Context(), `INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES (?, ?, ?, 0, 0) ON CONFLICT DO NOTHING`, "id-"+code, code, code); err != nil {
			return err
		}
		if _, err := h.Auth.AddUser(h.Context(), tx, audit.System, "id-"+code, "of-"+code, auth.Admin); err != nil {
			return err
		}
		_, secret, err := h.Auth.CreateToken(h.Context(), tx, audit.System, auth.TokenSpec{User: "of-" + code, Name: "t"})
		token = secret.Open()
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return token
}

func names(doc map[string]any, key string) string {
	var out []string
	for _, item := range doc["items"].([]any) {
		out = append(out, fmt.Sprint(item.(map[string]any)[key]))
	}
	return strings.Join(out, " ")
}

func TestATenantSeesItsOwnOfAppleSchoolManager(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		one, two := h.tenantAdmin("one"), h.tenantAdmin("two")
		const api = "/api/v1/ade"
		h.answer(h.admin, "POST", api+"/tokens", `{"name":"T"}`, 422) // which tenant's?
		h.answer(h.admin, "POST", api+"/tokens", `{"name":"T1","tenant":"one"}`, 200)
		made := h.answer(two, "POST", api+"/tokens", `{"name":"T2"}`, 200)
		if c := fmt.Sprint(made["certificate"]); !strings.Contains(c, "BEGIN CERTIFICATE") || strings.Contains(c, "PRIVATE") {
			t.Errorf("got %s", c)
		}
		id := fmt.Sprint(made["token"].(map[string]any)["id"])
		h.answer(two, "POST", api+"/tokens", `{"name":"T3","tenant":"one"}`, 404)
		for token, want := range map[string]string{h.admin: "T1 T2", one: "T1", two: "T2"} {
			if got := names(h.answer(token, "GET", api+"/tokens", "", 200), "name"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		for _, path := range []string{"/tokens/T2/sync", "/tokens/T2/accept-missing", "/tokens/T2/import", "/tokens/" + id + "/sync", "/tokens/nothing/sync"} {
			w := h.ask(one, "POST", api+path, `{}`, "Content-Type", map[bool]string{true: "application/pkcs7-mime", false: "application/json"}[strings.HasSuffix(path, "import")])
			if w.Code != http.StatusNotFound && !strings.HasSuffix(path, "import") || strings.Contains(w.Body.String(), "T1") {
				t.Errorf("%s: got %d %s", path, w.Code, w.Body)
			}
		}
		if a, b := h.ask(one, "DELETE", api+"/tokens/T2", "").Body.String(), h.ask(one, "DELETE", api+"/tokens/no", "").Body.String(); cutRef(a) != cutRef(b) {
			t.Errorf("what is another's and what is not differ: %s %s", a, b)
		}
		insert := func(serial, tenant, tokenID string) {
			err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec(t.Context(), `INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES (?, ?, ?, 0, 0)`, "d-"+serial, tenant, serial); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), `INSERT INTO ade_devices (token_id, serial, tenant_id, run, first_at, seen_at) VALUES (?, ?, ?, 1, 0, 0)`, tokenID, serial, tenant)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		insert("AAAA0002", "id-two", id)
		for token, want := range map[string]string{h.admin: "AAAA0002", one: "", two: "AAAA0002"} {
			if got := names(h.answer(token, "GET", api+"/devices", "", 200), "serial"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		h.answer(one, "GET", api+"/devices?token=T2", "", 404)
		h.answer(one, "GET", api+"/devices?status=odd", "", 422)
	})
}

// cutRef takes out what is different in each answer.
func cutRef(body string) string {
	before, _, _ := strings.Cut(body, `"ref"`)
	return before
}

func TestEnrollmentProfilesOfTenantsAndOfTheProvider(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		one, two := h.tenantAdmin("one"), h.tenantAdmin("two")
		const api = "/api/v1/ade/profiles"
		h.answer(h.admin, "POST", api, `{"name":"shared","definition":{"department":"IT"},"skip":["all"],"release_after":600}`, 200)
		h.answer(one, "POST", api, `{"name":"own"}`, 200)
		h.answer(one, "POST", api, `{"name":"own"}`, 409)
		h.answer(two, "POST", api, `{"name":"own"}`, 200) // its own own
		made := h.answer(two, "POST", api, `{"name":"new","skip":["PaneOfNextYear"]}`, 200)
		if !strings.Contains(fmt.Sprint(made["warnings"]), "PaneOfNextYear") {
			t.Errorf("an unknown pane is not told: %v", made)
		}
		for token, want := range map[string]string{one: "own shared", two: "new own shared"} {
			if got := names(h.answer(token, "GET", api, "", 200), "name"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		h.answer(h.admin, "GET", api+"/own", "", 409) // whose?
		if got := h.answer(h.admin, "GET", api+"/own?tenant=two", "", 200); got["tenant"] != "two" {
			t.Errorf("got %v", got)
		}
		h.answer(one, "POST", api+"/shared", `{"min_os":"18"}`, 403)
		h.answer(one, "DELETE", api+"/shared", "", 403)
		h.answer(one, "POST", api+"/new", `{"min_os":"18"}`, 404)
		h.answer(one, "POST", api+"/new/assign", `{"to":"tenant:one"}`, 404)
		h.answer(one, "POST", api+"/own/assign", `{"to":"tenant:two"}`, 404)
		h.answer(one, "POST", api+"/own/assign", `{"to":"site:NONE"}`, 404)
		h.answer(h.admin, "POST", api+"/new/assign", `{"to":"tenant:one"}`, 409) // another tenant's
		h.answer(one, "POST", api+"/shared/assign", `{"to":"tenant:one"}`, 204)
		h.answer(two, "POST", api+"/shared/assign", `{"to":"tenant:two"}`, 204)
		if got := h.answer(one, "GET", api+"/shared", "", 200); fmt.Sprint(got["to"]) != "[tenant:one]" {
			t.Errorf("one sees who else gets it: %v", got["to"])
		}
		h.answer(one, "POST", api+"/shared/unassign", `{"to":"tenant:two"}`, 404)
		h.answer(h.admin, "DELETE", api+"/shared", "", 409) // somebody gets it
		h.answer(h.viewer, "POST", api+"/shared/assign", `{"to":"tenant:one"}`, 403)
		got := h.answer(h.admin, "POST", api+"/shared", `{"min_os":"18.5","definition":{"department":"School"}}`, 200)
		if got["min_os"] != "18.5" || got["release_after"] != 600.0 || fmt.Sprint(got["definition"]) != "map[department:School]" {
			t.Errorf("got %v", got)
		}
	})
}

func TestTheStatusTellsOfServerTokensThatNeedAPerson(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		one, two := h.tenantAdmin("one"), h.tenantAdmin("two")
		h.answer(one, "POST", "/api/v1/ade/tokens", `{"name":"T1"}`, 200)
		warnings := func(token string) string {
			return fmt.Sprint(h.answer(token, "GET", "/api/v1/status", "", 200)["warnings"])
		}
		set := func(text string, args ...any) {
			t.Helper()
			err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), text, args...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		now := h.Clock.Now()
		set(`INSERT INTO ade_sync (token_id, phase, due_at) SELECT id, 'sync', 0 FROM ade_tokens`)
		for _, tt := range []struct {
			days           int
			problem        string
			hours, missing int
			want           string
		}{
			{days: 61, want: ""},
			{days: 59, want: "ends in 59 days, on 2026-11-05"},
			{days: -1, want: "ended on 2026-09-06: new iPads no longer appear"},
			{days: 300, problem: "ade.terms", want: "must sign in to Apple School Manager and accept"},
			{days: 300, problem: "ade.refused", want: "download a new token"},
			{days: 300, problem: "ade.busy", want: ""}, // passes by itself
			{days: 300, problem: "ade.busy", hours: 2, want: "left alone"},
			{days: 300, missing: 7, want: "7 devices of the server token"},
		} {
			set(`UPDATE ade_tokens SET version = 1, expires_at = ?`, sqldb.At(now.AddDate(0, 0, tt.days)))
			set(`UPDATE ade_sync SET problem = ?, problem_at = ?, missing = ?`, tt.problem, sqldb.At(now.Add(-time.Duration(tt.hours)*time.Hour)), tt.missing)
			got := warnings(one)
			if tt.want == "" && strings.Contains(got, "T1") || !strings.Contains(got, tt.want) {
				t.Errorf("%+v: got %s", tt, got)
			}
			if strings.Contains(warnings(two), "T1") {
				t.Error("another tenant is told")
			}
		}
	})
}
