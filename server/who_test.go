package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func TestWhoHasAProfileAndByWhichAssignments(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		type answer struct {
			Items []struct {
				Serial, State string
				Version       int64
				Because       []struct {
					Scope, By string
					Exclude   bool
				}
			}
			Next string
		}
		ask := func(token, path string) (doc answer) {
			t.Helper()
			res := w.ask(token, "GET", "/api/v1/items/"+path, "")
			if res.Code != http.StatusOK {
				t.Fatalf("GET %s: %d %s", path, res.Code, res.Body)
			}
			if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			return doc
		}
		mine := ""
		for _, p := range w.people {
			if p.name == "alpha's viewer" {
				mine = p.token
			}
		}
		w.reconcile()
		own := ask(mine, "Rules%20alpha%200/devices")
		if len(own.Items) != 5 || own.Items[0].Serial != "ALPHA0000" && own.Items[0].Serial != "ALPHA0001" || own.Items[0].Version != 1 || len(own.Items[0].Because) == 0 || own.Items[0].Because[0].By == "" {
			t.Fatalf("of the own tenant: %+v", own)
		}
		first := ask(w.viewer, "Rules%20alpha%200/devices?limit=2")
		rest := ask(w.viewer, "Rules%20alpha%200/devices?limit=500&after="+first.Next)
		if len(first.Items) != 2 || first.Next != first.Items[1].Serial || len(rest.Items) != 3 || rest.Next != "" || rest.Items[0].Serial <= first.Next {
			t.Errorf("page by page: %+v, then %+v", first, rest)
		}

		// Taken out by an exclusion, it goes, and both assignments say so.
		if res := w.ask(w.admin, "POST", "/api/v1/assignments/exclude", `{"tenant":"alpha","names":["Rules alpha 0"],"to":"device:`+own.Items[1].Serial+`"}`); res.Code/100 != 2 {
			t.Fatalf("exclude: %d %s", res.Code, res.Body)
		}
		w.reconcile()
		for _, h := range ask(mine, "Rules%20alpha%200/devices").Items {
			out := h.Serial == own.Items[1].Serial
			if out { // nothing of it was sent: it is not to have it and never had
				t.Errorf("still listed: %+v", h)
			}
		}

		for path, want := range map[string]int{"Rules%20bravo%200/devices": 404, "nothing/devices": 404, "Rules%20alpha%200/devices?tenant=bravo": 404, "%00/devices": 422, "Rules%20alpha%200/devices?limit=0": 422} {
			res := w.ask(mine, "GET", "/api/v1/items/"+path, "")
			if res.Code != want && !(want != 200 && res.Code == 400) {
				t.Errorf("GET %s: %d %s", path, res.Code, res.Body)
			}
			if strings.Contains(res.Body.String(), "BRAVO") {
				t.Errorf("GET %s tells of another tenant: %s", path, res.Body)
			}
		}
	})
}

// reconcile plans until nothing is due.
func (w *town) reconcile() {
	w.Helper()
	for {
		n, err := w.Profiles.Reconcile(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}
