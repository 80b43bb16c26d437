package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// stock has n iPads enrolled, RZAAAA0001 and on, and RZAAAA0000 not.
func stock(t *testing.T, db *sqldb.DB, n int) {
	t.Helper()
	err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
		for i := range n + 1 {
			if _, err := tx.Exec(t.Context(), `INSERT INTO devices (id, tenant_id, serial, asset_tag, created_at, updated_at) SELECT ?, id, ?, ?, 0, 0 FROM tenants LIMIT 1`,
				fmt.Sprintf("d%04d", i), fmt.Sprintf("RZAAAA%04d", i), fmt.Sprintf("RV-%d", i)); err != nil {
				return err
			}
			if i == 0 {
				continue
			}
			if _, err := tx.Exec(t.Context(), `INSERT INTO enrollments (id, device_id, udid, generation, state, os_version, supervised, enrolled_at, created_at, updated_at) VALUES (?, ?, ?, 1, 'enrolled', '18.0', TRUE, 1, 0, 0)`,
				fmt.Sprintf("e%04d", i), fmt.Sprintf("d%04d", i), fmt.Sprintf("u%d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// disagreeing are profiles that disagree in each of the ways that there are.
func (h *house) disagreeing() {
	h.Helper()
	for _, step := range [][2]string{
		{"/profiles/restrictions", `{"name":"Basis <b>","restrictions":{"allowCamera":true,"ratingRegion":"de","blockedAppBundleIDs":["org.a","org.b","org.c","org.d"]}}`},
		{"/profiles/restrictions", `{"name":"Prüfung","restrictions":{"allowCamera":false,"ratingRegion":"us","blockedAppBundleIDs":["org.a","org.b","org.c","org.z"]}}`},
		{"/profiles/passcode", `{"name":"Code kurz","min_length":4}`}, {"/profiles/passcode", `{"name":"Code lang","min_length":8}`},
		{"/profiles/lockscreen", `{"name":"Fundbüro","footnote":"Schule"}`}, {"/profiles/lockscreen", `{"name":"Sekretariat","footnote":"Amt"}`},
		{"/profiles/wifi", `{"name":"WLAN","ssid":"Schule <i>","password":"correct horse"}`}, {"/profiles/wifi", `{"name":"WLAN alt","ssid":"Schule <i>","password":"another horse"}`},
		{"/assignments", `{"names":["Basis <b>","Prüfung"],"to":"all"}`},
		{"/assignments", `{"names":["Code kurz","Code lang","Fundbüro","Sekretariat","WLAN","WLAN alt"],"to":"device:RZAAAA0001"}`},
	} {
		if w := h.ask(h.admin, "POST", "/api/v1"+step[0], step[1]); w.Code >= http.StatusBadRequest {
			h.Fatal(step, w.Code, w.Body)
		}
	}
}

// onPage has a test ask the page for a device, or "" for all.
func onPage(t *testing.T, ctx context.Context, ref string) {
	t.Helper()
	until(t, ctx, fmt.Sprintf(`document.getElementById("device").value = %q; document.querySelector("#who button").click(); true`, ref))
}

// tabbed presses the tabulator until all that can be used was reached.
func tabbed(t *testing.T, ctx context.Context) {
	t.Helper()
	n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`(() => {
		window.unreached = new Set([...document.querySelectorAll("main a, main button, main input, main summary")].filter(e => e.checkVisibility()));
		document.addEventListener("focusin", e => window.unreached.delete(e.target));
		document.querySelector("header a").focus();
		return window.unreached.size; })()`))
	if err != nil || n < 4 {
		t.Fatalf("%d can be used: %v", n, err)
	}
	for range n + 10 {
		if err := chromedp.Do(ctx, chromedp.KeyEvent("\t")); err != nil {
			t.Fatal(err)
		}
	}
	left, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[...window.unreached].map(e => e.outerHTML).join("\n")`))
	if err != nil || left != "" {
		t.Errorf("the keyboard does not reach: %v\n%s", err, left)
	}
}

// TestTheConflictsPageInABrowser reads what profiles disagree about, of all iPads
// and of one; and that nothing disagrees, which a failure never looks like.
func TestTheConflictsPageInABrowser(t *testing.T) {
	db := sqldbtest.SQLite(t)
	h := newHouse(t, db)
	admin := httptest.NewServer(h.Admin())
	defer admin.Close()
	stock(t, db, 12)
	ctx := browser(t)
	type words struct {
		heading, none, noneOn, nobody, found, foundOn, failed string
		conflicts                                             []string
	}
	said := map[string]words{
		"de": {"Widersprüche", "Keine Profile widersprechen sich.", "Keine Profile widersprechen sich auf dem iPad RV-1.", "Dieses Gerät gibt es nicht.",
			"6 Widersprüche auf den angemeldeten iPads.", "3 Widersprüche auf dem iPad RV-2.", "Auf dem Server ist etwas schiefgegangen.", []string{
				"Einschränkung allowCamera\nBasis <b> (Version 1): ja\nPrüfung (Version 1): nein\nAuf dem iPad gilt: nein\nIst das so gemeint, ist nichts zu tun. Sonst nehmen Sie eines davon zurück, auf der Seite Profile.\n" +
					"Auf 12 iPads: RZAAAA0001 RZAAAA0002 RZAAAA0003 RZAAAA0004 RZAAAA0005 RZAAAA0006 RZAAAA0007 RZAAAA0008 RZAAAA0009 RZAAAA0010 und 2 weiteren",
				"Einschränkung blockedAppBundleIDs\nBasis <b> (Version 1):\norg.d, org.a, org.b und 1 weitere\nPrüfung (Version 1):\norg.z, org.a, org.b und 1 weitere\nAuf dem iPad gilt:\norg.d, org.z, org.a und 2 weitere\n",
				"Einschränkung ratingRegion\nBasis <b> (Version 1): de\nPrüfung (Version 1): us\nWelches davon auf dem iPad gilt, sagt Apple nicht; meist ist es das zuletzt installierte.\nNehmen Sie eines davon zurück, auf der Seite Profile.\n",
				"Code-Regel minLength\nCode kurz (Version 1): 4\nCode lang (Version 1): 8\nAuf dem iPad gilt: 8\n",
				"Payload com.apple.shareddeviceconfiguration\nVon diesem Payload nimmt ein iPad nur eines; diese Profile haben je eines, und sie sind verschieden:\nFundbüro (Version 1)\nSekretariat (Version 1)\nWelches davon",
				"WLAN Schule <i>\nDiese Profile haben verschiedene Einstellungen für dieses WLAN:\nWLAN (Version 1)\nWLAN alt (Version 1)\nWelches davon auf dem iPad gilt, sagt Apple nicht; meist ist es das zuletzt installierte.\nNehmen Sie eines davon zurück, auf der Seite Profile.\nAuf 1 iPad: RZAAAA0001",
			}},
		"en": {"Conflicts", "No profiles disagree.", "No profiles disagree on the iPad RV-1.", "There is no device",
			"6 conflicts on the enrolled iPads.", "3 conflicts on the iPad RV-2.", "Something went wrong on the server.", []string{
				"Restriction allowCamera\nBasis <b> (version 1): yes\nPrüfung (version 1): no\nWhat holds on the iPad: no\nIf it is meant so, nothing is to be done. Otherwise take one of them back, on the page Profiles.\n" +
					"On 12 iPads: RZAAAA0001 RZAAAA0002 RZAAAA0003 RZAAAA0004 RZAAAA0005 RZAAAA0006 RZAAAA0007 RZAAAA0008 RZAAAA0009 RZAAAA0010 and 2 more",
				"Restriction blockedAppBundleIDs\nBasis <b> (version 1):\norg.d, org.a, org.b and 1 more\nPrüfung (version 1):\norg.z, org.a, org.b and 1 more\nWhat holds on the iPad:\norg.d, org.z, org.a and 2 more\n",
				"Restriction ratingRegion\nBasis <b> (version 1): de\nPrüfung (version 1): us\nApple does not say which of them holds on the iPad; mostly it is the one installed last.\nTake one of them back, on the page Profiles.\n",
				"Passcode rule minLength\nCode kurz (version 1): 4\nCode lang (version 1): 8\nWhat holds on the iPad: 8\n",
				"Payload com.apple.shareddeviceconfiguration\nAn iPad takes only one of these payloads; each of these profiles holds one, and they differ:\nFundbüro (version 1)\nSekretariat (version 1)\nApple does not say",
				"Wi-Fi network Schule <i>\nThese profiles have different settings for this network:\nWLAN (version 1)\nWLAN alt (version 1)\nApple does not say which of them holds on the iPad; mostly it is the one installed last.\nTake one of them back, on the page Profiles.\nOn 1 iPad: RZAAAA0001",
			}},
	}
	each := func(what string, do func(t *testing.T, lang string, want words, width int64)) {
		for lang, want := range said {
			for _, width := range []int64{320, 1440} {
				t.Run(fmt.Sprintf("%s/%s/%d", what, lang, width), func(t *testing.T) {
					signIn(t, ctx, admin.URL+"/conflicts?lang="+lang, h.viewer, width)
					do(t, lang, want, width)
				})
			}
		}
	}
	shows := func(t *testing.T, id, text string) {
		t.Helper()
		until(t, ctx, fmt.Sprintf(`document.getElementById(%q).innerText.includes(%q)`, id, text))
	}
	// nothing is said: neither conflicts, nor that there are none.
	nothing := func(t *testing.T) {
		t.Helper()
		until(t, ctx, `document.getElementById("answer").innerText.trim() === "" && !document.querySelector(".good")`)
	}
	each("none", func(t *testing.T, lang string, want words, width int64) {
		shows(t, "found", want.none)
		until(t, ctx, `document.getElementById("found").className === "good"`)
		seen(t, ctx, "conflicts-none", lang, width)
		onPage(t, ctx, "RV-1")
		shows(t, "found", want.noneOn)
		onPage(t, ctx, "nobody <b>")
		shows(t, "trouble", want.nobody)
		nothing(t)
		seen(t, ctx, "conflicts-failed", lang, width)
		onPage(t, ctx, "")
		shows(t, "found", want.none)
		until(t, ctx, `document.getElementById("trouble").textContent === ""`)
	})
	h.disagreeing()
	each("some", func(t *testing.T, lang string, want words, width int64) {
		shows(t, "found", want.found)
		got := seen(t, ctx, "conflicts", lang, width)
		if got["heading"] != want.heading {
			t.Errorf("the page is called %v", got["heading"])
		}
		text := strings.NewReplacer("\n\n", "\n", " ", " ").Replace(fmt.Sprint(got["text"]))
		for _, c := range want.conflicts {
			if !strings.Contains(text, c) {
				t.Errorf("%q is not on the page:\n%s", c, text)
			}
		}
		for _, never := range []string{"undefined", "null", "horse", "[object"} {
			if strings.Contains(text, never) {
				t.Errorf("%q is on the page:\n%s", never, text)
			}
		}
		until(t, ctx, `document.getElementById("more").hidden && document.getElementById("beyond").innerText === ""`)
		tabbed(t, ctx)
		until(t, ctx, `document.querySelector("#list summary").click(); document.querySelector("#list details").innerText.includes("org.c")`)
		onPage(t, ctx, "RV-2")
		shows(t, "found", want.foundOn)
		until(t, ctx, `document.querySelectorAll("#list article").length === 3 && location.hash === "#RV-2" && !document.querySelector(".on")`)
		// A serial number leads to what else there is to say of that iPad.
		onPage(t, ctx, "")
		shows(t, "found", want.found)
		until(t, ctx, `location.hash === ""`)
		why, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#list .on a").href`))
		if err != nil || !strings.HasPrefix(why, admin.URL+"/why?lang="+lang+"#RZAAAA0001") {
			t.Fatal(why, err)
		}
		if err := chromedp.Do(ctx, chromedp.Navigate(why)); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, `!!document.querySelector("#answer h2") && document.querySelector("#answer h2").textContent.startsWith("RZAAAA0001 ")`)
		// And who comes by an address that names an iPad sees that one.
		if err := chromedp.Do(ctx, chromedp.Navigate(admin.URL+"/conflicts?lang="+lang+"#RV-2")); err != nil {
			t.Fatal(err)
		}
		shows(t, "found", want.foundOn)
	})
	if err := db.Do(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `ALTER TABLE assignments RENAME TO lost`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	each("broken", func(t *testing.T, lang string, want words, width int64) {
		shows(t, "trouble", want.failed)
		nothing(t)
	})
}

// TestTheConflictsPageShowsMore of a fleet that disagrees about more than the
// server tells of.
func TestTheConflictsPageShowsMore(t *testing.T) {
	db := sqldbtest.SQLite(t)
	h := newHouse(t, db)
	admin := httptest.NewServer(h.Admin())
	defer admin.Close()
	stock(t, db, 4)
	add := func(name string, value int, to string) {
		t.Helper()
		keys := ""
		for i := range 300 {
			keys += fmt.Sprintf("<key>future%03d</key><integer>%d</integer>", i, value)
		}
		file := strings.Replace(strings.ReplaceAll(mobileconfig, "<n>", name), "<key>allowCamera</key><false/>", keys, 1)
		if w := h.ask(h.admin, "POST", "/api/v1/profiles?name="+name, file, "Content-Type", "application/x-apple-aspen-config"); w.Code >= http.StatusBadRequest {
			t.Fatal(w.Code, w.Body)
		}
		if w := h.ask(h.admin, "POST", "/api/v1/assignments", fmt.Sprintf(`{"names":[%q],"to":%q}`, name, to)); w.Code >= http.StatusBadRequest {
			t.Fatal(w.Code, w.Body)
		}
	}
	add("all", 0, "all")
	for i := 1; i <= 4; i++ {
		add(fmt.Sprintf("one%d", i), i, fmt.Sprintf("device:RZAAAA%04d", i))
	}
	ctx := browser(t)
	signIn(t, ctx, admin.URL+"/conflicts?lang=de", h.viewer, 1440)
	for n := 100; n < 1000; n += 100 {
		until(t, ctx, fmt.Sprintf(`document.getElementById("found").textContent.startsWith("Die ersten %d Widersprüche")`, n))
		until(t, ctx, `document.getElementById("beyond").textContent === ""`)
		until(t, ctx, `document.getElementById("more").click(); true`)
		until(t, ctx, fmt.Sprintf(`document.activeElement === document.querySelectorAll("#list h2")[%d]`, n))
	}
	until(t, ctx, `document.getElementById("found").textContent.startsWith("1000 Widersprüche")`)
	until(t, ctx, `document.getElementById("more").hidden && document.getElementById("beyond").textContent.startsWith("Es gibt noch mehr Widersprüche")`)
	until(t, ctx, `new Set([...document.querySelectorAll("#list article")].map(a => a.innerText)).size === 1000`)
}

// TestTheWhyPageTellsConflictsOnce apart from the profiles, which say each of them
// twice; but where they cannot be read the profiles say them.
func TestTheWhyPageTellsConflictsOnce(t *testing.T) {
	db := sqldbtest.SQLite(t)
	h := newHouse(t, db)
	admin := httptest.NewServer(h.Admin())
	defer admin.Close()
	stock(t, db, 2)
	h.disagreeing()
	ctx := browser(t)
	for lang, want := range map[string][]string{
		"de": {"Widersprüche", "Basis <b> (Version 1): ja", "Auf dem iPad gilt: nein", "Und 3 weitere: Widersprüche", "Es widerspricht", "Der Server antwortet nicht."},
		"en": {"Conflicts", "Basis <b> (version 1): yes", "What holds on the iPad: no", "And 3 more: Conflicts", "It disagrees", "The server does not answer."},
	} {
		for _, width := range []int64{320, 1440} {
			t.Run(fmt.Sprintf("%s/%d", lang, width), func(t *testing.T) {
				signIn(t, ctx, admin.URL+"/why?lang="+lang, h.viewer, width)
				onPage(t, ctx, "RV-2")
				until(t, ctx, `document.querySelectorAll("#answer section article").length === 3 && document.querySelectorAll("#answer > article").length === 2`)
				text := fmt.Sprint(seen(t, ctx, "why-conflicts", lang, width)["text"])
				for _, w := range want[:3] {
					if !strings.Contains(text, w) {
						t.Errorf("%q is not on the page: %s", w, text)
					}
				}
				if strings.Count(text, "allowCamera") != 1 || strings.Contains(text, want[4]) || !strings.Contains(text, "RZAAAA0002") {
					t.Errorf("it is told more than once: %s", text)
				}
				tabbed(t, ctx)
				onPage(t, ctx, "RV-1")
				until(t, ctx, fmt.Sprintf(`document.querySelectorAll("#answer section .bad").length === 3 && document.querySelector("#answer section").innerText.includes(%q)`, want[3]))
				until(t, ctx, fmt.Sprintf(`document.querySelector("#answer section a").getAttribute("href") === "/conflicts?lang=%s#RZAAAA0001"`, lang))
				until(t, ctx, `const f = window.fetch; window.fetch = (to, how) => to.endsWith("/conflicts") ? Promise.reject(new TypeError("gone")) : f(to, how); true`)
				onPage(t, ctx, "RV-2")
				until(t, ctx, fmt.Sprintf(`document.getElementById("trouble").textContent.includes(%q)`, want[5]))
				until(t, ctx, fmt.Sprintf(`!document.querySelector("#answer section") && document.querySelectorAll("#answer > article").length === 2 && document.getElementById("answer").innerText.includes(%q)`, want[4]))
			})
		}
	}
}
