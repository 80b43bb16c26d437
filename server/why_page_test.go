package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ranzen/internal/sqldb/sqldbtest"
)

// signIn opens a page of the console as a person with a token does.
func signIn(t *testing.T, ctx context.Context, page, token string, width int64) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("sessionStorage.clear(); true")); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, fmt.Sprintf(`document.getElementById("token").value = %q; document.querySelector("#signin button").click(); true`, token))
	until(t, ctx, `!document.getElementById("content").hidden`)
}

// seen is what a page shows by now; axe and the edges are looked at too.
func seen(t *testing.T, ctx context.Context, name, lang string, width int64) map[string]any {
	t.Helper()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]any](`({
		heading: document.querySelector("h1").textContent, text: document.querySelector("main").innerText, images: document.images.length,
		sticks: document.documentElement.scrollWidth > window.innerWidth, current: (document.querySelector("nav [aria-current]") || {}).textContent})`))
	if err != nil {
		t.Fatal(err)
	}
	if got["sticks"] != false || got["images"] != 0.0 || got["current"] != got["heading"] {
		t.Errorf("the page is %v", got)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](axe+";true")); err != nil {
		t.Fatal(err)
	}
	complaints, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run().then(r => r.violations.map(v => v.id + ": " + v.help + " " + v.nodes.map(n => n.html).join(" ")).join("\n"))`, chromedp.EvalAwaitPromise))
	if err != nil || complaints != "" {
		t.Errorf("axe complains: %v\n%s", err, complaints)
	}
	if dir := os.Getenv("RANZEN_SCREENSHOTS"); dir != "" {
		b, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, lang, width)), b, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
	return got
}

// TestTheWhyPageInABrowser asks for a device as whoever is on the telephone does.
func TestTheWhyPageInABrowser(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	admin := httptest.NewServer(h.Admin())
	defer admin.Close()
	for _, step := range [][3]string{
		{"POST", "/api/v1/imports/devices", "serial;asset_tag\nRZAAAA0001;RV-7\n"},
		{"POST", "/api/v1/profiles/wifi", `{"name":"WLAN <b>","ssid":"Schule","password":"correct horse"}`},
		{"POST", "/api/v1/assignments", `{"names":["WLAN <b>"],"to":"all"}`},
	} {
		kind := "application/json"
		if strings.HasPrefix(step[2], "serial") {
			kind = "text/csv"
		}
		if w := h.ask(h.admin, step[0], step[1], step[2], "Content-Type", kind); w.Code >= 300 {
			t.Fatal(step[1], w.Code, w.Body)
		}
	}
	ctx := browser(t)
	for lang, words := range map[string][]string{
		"de": {"Warum?", "RZAAAA0001 – nicht angemeldet", "Das Profil WLAN <b> ist gewünscht für alle", "Schalten Sie es ein", "Dieses Gerät gibt es nicht."},
		"en": {"Why?", "RZAAAA0001 – not enrolled", "The profile WLAN <b> is wished for all", "Switch it on", "There is no device"},
	} {
		for _, width := range []int64{320, 1440} {
			t.Run(fmt.Sprintf("%s/%d", lang, width), func(t *testing.T) {
				signIn(t, ctx, admin.URL+"/why?lang="+lang, h.viewer, width)
				ask := func(ref string) {
					until(t, ctx, fmt.Sprintf(`document.getElementById("device").value = %q; document.querySelector("#who button").click(); true`, ref))
				}
				ask("nobody")
				until(t, ctx, fmt.Sprintf(`document.getElementById("trouble").textContent.includes(%q)`, words[4]))
				ask("RV-7")
				until(t, ctx, `document.querySelectorAll("#answer article").length === 1`)
				until(t, ctx, `document.querySelector("#answer summary").click(); document.querySelector("#answer details").open`)
				got := seen(t, ctx, "why", lang, width)
				for _, w := range words[1:4] {
					if !strings.Contains(fmt.Sprint(got["text"]), w) {
						t.Errorf("%q is not on the page: %v", w, got["text"])
					}
				}
				if got["heading"] != words[0] {
					t.Errorf("the page is called %v", got["heading"])
				}
			})
		}
	}
}
