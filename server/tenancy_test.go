package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// wants checks status and, where it matters, the problem's code.
func (w *town) wants(token string, status int, code, method, path, body string) *httptest.ResponseRecorder {
	w.Helper()
	res := w.ask(token, method, "/api/v1"+path, body)
	if res.Code != status || codeOf(res) != code && status/100 != 2 {
		w.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, res.Code, res.Body, status, code)
	}
	return res
}

func (w *town) token(name string) string {
	for _, p := range w.people {
		if p.name == name {
			return p.token
		}
	}
	w.Fatal("nobody is called", name)
	return ""
}

func TestWhatIsTheProvidersIsUsedByTenantsAndChangedByNone(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		alpha := w.token("alpha's admin")
		const mine, theirs = "tenant.provider-owned", ""
		for path, name := range map[string]string{"/groups": "Shared group", "/profiles": "Shared Wi-Fi", "/apps": "Shared app", "/ade/profiles": "Shared setup"} {
			if res := w.wants(alpha, 200, theirs, "GET", path, ""); !strings.Contains(res.Body.String(), name) {
				t.Errorf("%s does not show %s", path, name)
			}
			w.wants(alpha, 403, mine, "DELETE", path+"/"+strings.ReplaceAll(name, " ", "%20"), "")
		}
		w.wants(alpha, 403, mine, "POST", "/groups/Shared%20group/add", `{"devices":["ALPHA0001"]}`)
		w.wants(alpha, 403, mine, "POST", "/assignments", `{"names":["Wi-Fi alpha"],"to":"group:Shared group"}`)
		w.wants(alpha, 403, mine, "POST", "/assignments/remove", `{"names":["Shared Wi-Fi"],"to":"all"}`) // a wish of the provider's for this tenant
		w.wants(alpha, 200, theirs, "POST", "/assignments", `{"names":["Shared app"],"to":"all"}`)
		w.wants(alpha, 200, theirs, "POST", "/links", `{"name":"x","group":"Shared group"}`)

		t.Run("all means the own tenant", func(t *testing.T) {
			var doc struct {
				Items []struct{ Name, To, Tenant string }
			}
			res := w.wants(alpha, 200, "", "GET", "/assignments", "")
			if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			for _, a := range doc.Items {
				if a.Name == "Shared app" && a.Tenant == "alpha" && a.To != "tenant:alpha" {
					t.Errorf("got %+v", a)
				}
				if a.To == "all" {
					t.Errorf("alpha wished something for everybody: %+v", a)
				}
			}
		})
		t.Run("a group shows how many of the own devices are in it", func(t *testing.T) {
			var doc struct {
				Items []struct {
					Name    string
					Devices int64
				}
			}
			for token, want := range map[string]int64{alpha: 1, w.admin: 2} {
				res := w.wants(token, 200, "", "GET", "/groups", "")
				if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
					t.Fatal(err)
				}
				for _, g := range doc.Items {
					if g.Name == "Shared group" && g.Devices != want {
						t.Errorf("%d devices are in it, want %d", g.Devices, want)
					}
				}
			}
		})
	})
}

func TestANameMeansTheOwnThingFirst(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		alpha, bravo := w.token("alpha's admin"), w.token("bravo's admin")
		owner := func(token, path string) string {
			t.Helper()
			var doc struct{ Tenant string }
			res := w.wants(token, 200, "", "GET", path, "")
			if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			return doc.Tenant
		}
		wifi := `{"name":"Twin","ssid":"s","security":"none"}`
		w.wants(alpha, 200, "", "POST", "/profiles/wifi", wifi)
		if got := owner(w.admin, "/profiles/Twin"); got != "alpha" {
			t.Errorf("the only one of the name is of %q", got)
		}
		w.wants(bravo, 200, "", "POST", "/profiles/wifi", wifi)
		w.wants(w.admin, 409, "item.ambiguous", "GET", "/profiles/Twin", "")
		w.wants(w.admin, 409, "item.ambiguous", "POST", "/assignments", `{"names":["Twin"],"to":"tenant:alpha"}`)
		if a, b, c := owner(alpha, "/profiles/Twin"), owner(bravo, "/profiles/Twin"), owner(w.admin, "/profiles/Twin?tenant=bravo"); a != "alpha" || b != "bravo" || c != "bravo" {
			t.Errorf("Twin is of %q to alpha, %q to bravo, %q for bravo", a, b, c)
		}
		w.wants(w.admin, 200, "", "POST", "/profiles/wifi", wifi)
		if a, p := owner(alpha, "/profiles/Twin"), owner(w.admin, "/profiles/Twin"); a != "alpha" || p != "" {
			t.Errorf("with one of the provider's, Twin is of %q to alpha and of %q to the provider", a, p)
		}
		t.Run("groups too", func(t *testing.T) {
			w.wants(alpha, 200, "", "POST", "/groups", `{"name":"Twin"}`)
			w.wants(bravo, 200, "", "POST", "/groups", `{"name":"Twin"}`)
			w.wants(w.admin, 409, "group.ambiguous", "POST", "/groups/Twin/add", `{"devices":["ALPHA0001"]}`)
			w.wants(w.admin, 409, "group.other-tenant", "POST", "/groups/Twin/add?tenant=bravo", `{"devices":["ALPHA0001"]}`)
			w.wants(w.admin, 200, "", "POST", "/groups/Twin/add?tenant=alpha", `{"devices":["ALPHA0001"]}`)
		})
		t.Run("what is a tenant's goes to no device of others", func(t *testing.T) {
			for _, to := range []string{"all", "tenant:bravo", "device:BRAVO0001", "group:Shared group"} {
				w.wants(w.admin, 409, "assignment.other-tenant", "POST", "/assignments", `{"names":["Wi-Fi alpha"],"to":"`+to+`"}`)
			}
		})
		t.Run("one thing on a tablet is known once", func(t *testing.T) {
			app := `{"name":"Mine","adam_id":"409183694","bundle_id":"com.shared.app"}`
			w.wants(alpha, 409, "app.known", "POST", "/apps", app)
			w.wants(w.admin, 409, "app.known", "POST", "/apps", `{"name":"Mine","adam_id":"409183694","bundle_id":"com.alpha.app"}`)
			w.wants(bravo, 200, "", "POST", "/apps", `{"name":"Mine","adam_id":"409183694","bundle_id":"com.alpha.app"}`)
		})
	})
}

func TestPeopleOfATenantMakePeopleOfTheirTenantOnly(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		alpha := w.token("alpha's admin")
		var made struct{ Tenant string }
		res := w.wants(alpha, 200, "", "POST", "/users", `{"name":"lea","role":"admin"}`)
		if err := json.Unmarshal(res.Body.Bytes(), &made); err != nil || made.Tenant != "alpha" {
			t.Errorf("got %+v, %v", made, err)
		}
		w.wants(alpha, 404, "tenant.unknown", "POST", "/users", `{"name":"max","role":"admin","tenant":"bravo"}`)
		w.wants(alpha, 404, "user.unknown", "POST", "/tokens", `{"user":"ada","name":"t"}`)
		w.wants(alpha, 404, "user.unknown", "DELETE", "/users/ada", "")
		w.wants(alpha, 204, "", "DELETE", "/users/lea", "")
		w.wants(w.admin, 409, "user.last-admin", "DELETE", "/users/ada", "")
		w.wants(w.admin, 204, "", "DELETE", "/users/alpha-admin", "") // the provider makes another
		w.wants(alpha, 401, "auth.sign-in", "GET", "/devices", "")
	})
}

func TestCountsAndFiltersAreOfTheOwnTenant(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		count := func(token string) (devices, commands int64) {
			var doc struct {
				Counts struct{ Devices, Commands map[string]int64 }
			}
			if err := json.Unmarshal(w.wants(token, 200, "", "GET", "/status", "").Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			for _, n := range doc.Counts.Devices {
				devices += n
			}
			for _, n := range doc.Counts.Commands {
				commands += n
			}
			return devices, commands
		}
		d, c := count(w.token("alpha's viewer"))
		all, allCommands := count(w.admin)
		if d != 6 || all != 12 || c == 0 || allCommands != 2*c {
			t.Errorf("alpha has %d devices and %d commands, all have %d and %d", d, c, all, allCommands)
		}
		for filter, want := range map[string]int{
			"tenant:alpha": 6, "cart:alphasit-alphak": 1, "cart:ALPHAK": 1, "site:alphasit": 1, "class:3alpha": 1, "delivery:l-*": 2,
			"asset-state:delivered": 2, "-tenant:alpha": 6, "cart:nobody": 0,
		} {
			var doc struct{ Items []struct{ Serial string } }
			res := w.wants(w.admin, 200, "", "GET", "/devices?filter="+filter, "")
			if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil || len(doc.Items) != want {
				t.Errorf("%s finds %d, want %d (%v)", filter, len(doc.Items), want, err)
			}
		}
		var shown struct {
			Tenant, Site, Cart, Class, Delivery, Name string
			Slot                                      int
		}
		if err := json.Unmarshal(w.wants(w.admin, 200, "", "GET", "/devices/ALPHA0001", "").Body.Bytes(), &shown); err != nil {
			t.Fatal(err)
		}
		if shown.Tenant != "alpha" || shown.Site != "ALPHASIT" || shown.Cart != "ALPHASIT-ALPHAK" || shown.Class != "3alpha" ||
			shown.Delivery != "L-ALPHA" || shown.Slot != 7 || shown.Name != "ALPHASIT-ALPHAK-07" {
			t.Errorf("got %+v", shown)
		}
	})
}
