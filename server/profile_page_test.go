package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// TestTheProfilePageInABrowser builds a profile from the form, looks at what it
// does, publishes it and assigns it, in both languages, narrow and wide.
func TestTheProfilePageInABrowser(t *testing.T) {
	db := sqldbtest.SQLite(t)
	h := newHouse(t, db)
	admin := httptest.NewServer(h.Admin())
	defer admin.Close()
	if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
		for _, text := range []string{
			`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) SELECT 'd1', id, 'RZAAAA0001', 0, 0 FROM tenants LIMIT 1`,
			`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) SELECT 'd2', id, 'RZAAAA0002', 0, 0 FROM tenants LIMIT 1`,
			`INSERT INTO enrollments (id, device_id, udid, generation, state, os_version, supervised, enrolled_at, created_at, updated_at) VALUES ('e1', 'd1', 'u', 1, 'enrolled', '16.7', FALSE, 1, 0, 0)`,
		} {
			if _, err := tx.Exec(t.Context(), text); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if w := h.ask(h.admin, "POST", "/api/v1/profiles/restrictions", `{"name":"Streng","restrictions":{"forceAirDropUnmanaged":true}}`); w.Code >= http.StatusBadRequest {
		t.Fatal(w.Code, w.Body)
	}
	if w := h.ask(h.admin, "POST", "/api/v1/assignments", `{"names":["Streng"],"to":"all"}`); w.Code >= http.StatusBadRequest {
		t.Fatal(w.Code, w.Body)
	}
	ctx := browser(t)
	words := map[string][]string{
		"de": {"Profile", "Kein iPad ist betroffen", "ist da, in Version 1", "wird auf 1 installiert. (RZAAAA0001)", "bewirkt das nichts: allowAirDrop", "Getan.", "Eine Pflichtangabe fehlt: ", "1 iPad ist noch nicht angemeldet: es kommt bei der Anmeldung. (RZAAAA0002)", "Auf 1 iPad widersprechen sich dann Profile. (RZAAAA0001) Worum es geht und was gilt, steht nach der Änderung auf der Seite Widersprüche."},
		"en": {"Profiles", "No iPad is touched", "is there in version 1", "is installed on 1. (RZAAAA0001)", "this does nothing: allowAirDrop", "Done.", "A key is missing", "1 iPad is not enrolled yet: it reaches it when it enrolls. (RZAAAA0002)", "On 1 iPad profiles will disagree. (RZAAAA0001) Once it is done, what about and what holds is told on the page Conflicts."},
	}
	for lang, want := range words {
		for _, width := range []int64{320, 1440} {
			t.Run(fmt.Sprintf("%s/%d", lang, width), func(t *testing.T) {
				name := fmt.Sprintf("Basis %s %d <i>", lang, width)
				signIn(t, ctx, admin.URL+"/profiles?lang="+lang, h.admin, width)
				until(t, ctx, `document.querySelectorAll("#fields .field").length > 100`)
				shows := func(where, text string) {
					t.Helper()
					until(t, ctx, fmt.Sprintf(`document.querySelector(%q).textContent.includes(%q)`, where, text))
				}
				press := func(button string) {
					t.Helper()
					until(t, ctx, fmt.Sprintf(`document.querySelector(%q).click(); true`, button))
				}
				// A payload whose required key is left out is refused in words.
				until(t, ctx, fmt.Sprintf(`document.getElementById("name").value = %q; const s = document.getElementById("type"); s.value = "com.apple.webClip.managed"; s.dispatchEvent(new Event("change")); true`, name))
				until(t, ctx, `!!document.querySelector("#fields [data-name=Label]")`)
				press("#keys button")
				shows("#built", want[6])
				// The real one: a key is found among many, and typed by Apple's table.
				until(t, ctx, `const s = document.getElementById("type"); s.value = "com.apple.applicationaccess"; s.dispatchEvent(new Event("change")); true`)
				until(t, ctx, `!!document.querySelector("#fields [data-name=allowAirDrop]")`)
				until(t, ctx, `const f = document.getElementById("find"); f.value = "airdrop"; f.dispatchEvent(new Event("input", {bubbles: true})); document.querySelector("[data-name=allowCamera]").hidden && !document.querySelector("[data-name=allowAirDrop]").hidden`)
				until(t, ctx, `const a = document.querySelector("[data-name=allowAirDrop] select"); a.value = "false"; a.dispatchEvent(new Event("input", {bubbles: true})); true`)
				until(t, ctx, `const a = document.querySelector("[data-name=forceAirDropUnmanaged] select"); a.value = "false"; a.dispatchEvent(new Event("input", {bubbles: true})); true`)
				press("#keys button")
				shows("#built", want[1])
				until(t, ctx, `!document.querySelector("[data-do=publish]").hidden`)
				press("[data-do=publish]")
				shows("#built", want[2])
				// Then it is assigned, after a look at what that does.
				until(t, ctx, fmt.Sprintf(`document.getElementById("item").value = %q; document.querySelector("#wish button").click(); true`, name))
				shows("#wished", want[3])
				shows("#wished", want[4])
				shows("#wished", want[7])
				shows("#wished", want[8])
				until(t, ctx, fmt.Sprintf(`document.querySelector("#wished a").getAttribute("href") === "/conflicts?lang=%s"`, lang))
				if got := seen(t, ctx, "profile", lang, width); got["heading"] != want[0] || strings.Contains(fmt.Sprint(got["text"]), "undefined") {
					t.Errorf("the page is %v", got)
				}
				press("[data-do=apply]")
				shows("#wished", want[5])
			})
		}
	}
}

// TestThePageHasWordsForAllWhoWait holds the page to the states of devices: whoever
// is not just enrolled gets a change later, and the plan says so.
func TestThePageHasWordsForAllWhoWait(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(h.document()), &doc); err != nil {
		t.Fatal(err)
	}
	states := doc.Components.Schemas["Device"].Properties["enrollment_state"].Enum
	if len(states) < 10 {
		t.Fatalf("the states are %v", states)
	}
	for _, lang := range []string{"de", "en"} {
		page := h.ask("", "GET", "/profiles?lang="+lang, "").Body.String()
		for _, s := range states {
			if strings.Contains(page, "wait."+s) != (s != "enrolled") {
				t.Errorf("in %s it says nothing of those that are %s, or something of those that need no wait", lang, s)
			}
		}
	}
}
