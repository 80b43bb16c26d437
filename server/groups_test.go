package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// TestAGroupInUseGoesByItsPlanOnly asks for its removal as its own people and the
// provider's do.
func TestAGroupInUseGoesByItsPlanOnly(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		mine := ""
		for _, p := range w.people {
			if p.name == "alpha's admin" {
				mine = p.token
			}
		}
		type answer struct {
			Code, Detail, Hash string
			Changes            []struct{ Device, Action, Item string }
			Waiting            []struct {
				Code    string
				Serials []string
			}
			Assignments []struct {
				Name    string
				Exclude bool
			}
		}
		ask := func(token, method, path string, want int) (doc answer) {
			t.Helper()
			res := w.ask(token, method, "/api/v1"+path, "")
			if res.Code != want {
				t.Fatalf("%s %s: %d %s, want %d", method, path, res.Code, res.Body, want)
			}
			if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			return doc
		}
		path := "/groups/" + url.PathEscape("Shared group")
		w.made("/groups", `{"tenant":"alpha","name":"Own alpha"}`, "id")
		own := "/groups/" + url.PathEscape("Own alpha")
		w.exec(`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES ('alpha-new', ?, 'ALPHANEW', 0, 0)`, w.ids["alpha"])
		w.made(own+"/add", `{"devices":["ALPHA0001","ALPHANEW"]}`, "")
		w.made("/assignments", `{"tenant":"alpha","names":["App alpha"],"to":"group:Own alpha"}`, "")
		w.made("/assignments/exclude", `{"tenant":"alpha","names":["Rules alpha 0"],"to":"group:Own alpha"}`, "")

		if got := ask(mine, "GET", own, http.StatusOK).Assignments; len(got) != 2 || got[0].Name != "App alpha" || got[0].Exclude || !got[1].Exclude {
			t.Errorf("it shows %+v", got)
		}
		if got := ask(mine, "DELETE", own, http.StatusConflict); got.Code != "group.in-use" || !strings.Contains(got.Detail, "App alpha, Rules alpha 0 (excluded)") {
			t.Errorf("it is refused with %+v", got)
		}
		plan := ask(mine, "DELETE", own+"?dry_run=true", http.StatusOK)
		did := map[string]bool{}
		for _, c := range plan.Changes {
			did[c.Device+" "+c.Action+" "+c.Item] = true
		}
		if len(did) != 2 || !did["ALPHA0001 withdraw App alpha"] || !did["ALPHA0001 install Rules alpha 0"] {
			t.Errorf("its plan is %+v", plan)
		}
		if wait := plan.Waiting; len(wait) != 1 || wait[0].Code != "known" || strings.Join(wait[0].Serials, ",") != "ALPHANEW" {
			t.Errorf("its plan has wait %+v", wait)
		}
		ask(mine, "GET", own, http.StatusOK) // it was only tried
		if got := ask(mine, "DELETE", own+"?plan=00", http.StatusConflict); got.Code != "plan.moved" {
			t.Errorf("another plan is refused with %+v", got)
		}
		// What the provider wishes by a tenant's group the tenant cannot take away.
		w.made("/assignments", `{"names":["Shared app"],"to":"group:Own alpha"}`, "")
		if got := ask(mine, "DELETE", own+"?dry_run=true", http.StatusForbidden); got.Code != "tenant.provider-owned" {
			t.Errorf("the provider's wish: %+v", got)
		}
		if got := ask(w.admin, "DELETE", own+"?plan="+plan.Hash, http.StatusConflict); got.Code != "plan.moved" {
			t.Errorf("the plan from before: %+v", got)
		}
		ask(w.admin, "DELETE", own+"?plan="+ask(w.admin, "DELETE", own+"?dry_run=true", http.StatusOK).Hash, http.StatusOK)
		ask(mine, "GET", own, http.StatusNotFound)
		if got := ask(mine, "DELETE", path+"?dry_run=true", http.StatusForbidden); got.Code != "tenant.provider-owned" {
			t.Errorf("the provider's group: %+v", got)
		}
	})
}
