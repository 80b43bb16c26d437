package server_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ranzen/internal/sqldb/sqldbtest"
)

// axe is axe-core 4.14.1 of Deque Systems, MPL-2.0 (testdata/axe.LICENSE).
//
//go:embed testdata/axe.min.js
var axe string

// browser is Debian's Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the pages are tested in Chromium; install it (.ci/setup does): %v", err)
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true))
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, end := context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(end)
	return ctx
}

// TestPagesInABrowser opens each page in both languages, on the narrowest
// telephone and a wide screen: nothing sticks out, the keyboard reaches what can
// be used, and axe finds nothing to complain of. With RANZEN_SCREENSHOTS=DIR
// pictures are kept for people to look at.
func TestPagesInABrowser(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	devices, admin := httptest.NewServer(h.Devices()), httptest.NewServer(h.Admin())
	defer devices.Close()
	defer admin.Close()
	w := h.ask(h.admin, "POST", "/api/v1/links", `{"name":"Lieferung August","expires_in":3600}`)
	var link struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &link); err != nil || w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	u, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	for _, page := range []struct{ name, address, de, en string }{
		{"enroll", devices.URL + u.Path, "iPad anmelden", "Enroll an iPad"},
		{"closed", devices.URL + "/enroll/aaaaaaaaaaaaaaaaaaaaaaaaaa", "", ""},
		{"status", admin.URL + "/", "Ranzen läuft", "Ranzen is running"},
	} {
		for lang, want := range map[string]string{"de": page.de, "en": page.en} {
			for _, width := range []int64{320, 1440} {
				t.Run(fmt.Sprintf("%s/%s/%d", page.name, lang, width), func(t *testing.T) {
					look(t, ctx, page.address+"?lang="+lang, width, lang, want, page.name)
				})
			}
		}
	}
}

func look(t *testing.T, ctx context.Context, address string, width int64, lang, want, name string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	seen, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]any](`({
		lang: document.documentElement.lang, heading: document.querySelector("h1").textContent,
		sticks: document.documentElement.scrollWidth > window.innerWidth,
		scripts: document.scripts.length, loaded: performance.getEntriesByType("resource").length})`))
	if err != nil {
		t.Fatal(err)
	}
	if seen["lang"] != lang || want != "" && seen["heading"] != want || seen["sticks"] != false || seen["scripts"] != 0.0 || seen["loaded"] != 0.0 {
		t.Errorf("the page is %v, want the heading %q", seen, want)
	}
	reached, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`[...document.querySelectorAll("a")].every(a => { a.focus(); return document.activeElement === a && getComputedStyle(a).outlineStyle !== undefined })`))
	if err != nil || !reached {
		t.Errorf("not every link can be reached with the keyboard: %v", err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](axe+";true")); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.KeyEvent("\t")); err != nil {
		t.Fatal(err)
	}
	complaints, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run().then(r => r.violations.map(v => v.id + ": " + v.help + " " + v.nodes.map(n => n.html).join(" ")).join("\n"))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if complaints != "" {
		t.Errorf("axe complains:\n%s", complaints)
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
}
