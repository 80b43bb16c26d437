package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ranzen/internal/sqldb/sqldbtest"
)

// TestTheStagingBoardInABrowser signs in on the page with a token, sees the
// devices of a delivery and one more as soon as it is scanned, in both languages,
// on a telephone and on a wide screen.
func TestTheStagingBoardInABrowser(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	admin := httptest.NewServer(h.Admin())
	defer admin.Close()
	defer h.EndStreams()
	must := func(method, path, body string) {
		t.Helper()
		if w := h.ask(h.admin, method, path, body); w.Code >= 300 {
			t.Fatal(path, w.Code, w.Body)
		}
	}
	must("POST", "/api/v1/deliveries", `{"code":"L-2026-01","expected":3}`)
	arrive := func(tag, serial string) {
		t.Helper()
		w := h.ask(h.admin, "POST", "/api/v1/imports/devices?delivery=L-2026-01", "serial;asset_tag\n"+serial+";"+tag+"\n", "Content-Type", "text/csv")
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"applied":true`) {
			t.Fatal(w.Code, w.Body)
		}
	}
	arrive("<img src=x onerror=alert(1)>", "RZAAAA0001") // a tag that somebody made up
	ctx := browser(t)
	n := 2
	for lang, words := range map[string][]string{"de": {"Inbetriebnahme", "nicht eingeschaltet"}, "en": {"Staging board", "not switched on"}} {
		for _, width := range []int64{320, 1440} {
			t.Run(fmt.Sprintf("%s/%d", lang, width), func(t *testing.T) {
				signIn(t, ctx, admin.URL+"/staging?lang="+lang, h.viewer, width)
				until(t, ctx, fmt.Sprintf(`document.querySelectorAll("#tiles li").length === %d`, n-1))
				arrive(fmt.Sprintf("T-%d", n), fmt.Sprintf("RZBBBB%04d", n))
				until(t, ctx, fmt.Sprintf(`document.querySelectorAll("#tiles li").length === %d`, n))
				n++
				got := seen(t, ctx, "staging", lang, width)
				if got["heading"] != words[0] || !strings.Contains(fmt.Sprint(got["text"]), words[1]) {
					t.Errorf("the page is %v", got)
				}
			})
		}
	}
}

// until waits for an expression to become true on the page.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	// No eval: the page's own rules forbid it, and hold here too.
	script := `new Promise((done, fail) => { let n = 0; const look = () => { ` + "\n" + `const is = (() => { ` + statement(expression) + ` })(); if (is) done(true); else if (++n > 600) fail("it never became true"); else setTimeout(look, 50) }; look() })`
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise)); err != nil {
		said, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.getElementById("trouble").textContent + " | " + document.querySelector("main").innerText`))
		t.Fatalf("%s: %v; the page says: %.2000s", expression, err, said)
	}
}

// statement makes a function's body of an expression, the last of several.
func statement(expression string) string {
	at := strings.LastIndex(expression, "; ")
	if at < 0 {
		return "return " + expression
	}
	return expression[:at+2] + "return " + expression[at+2:]
}
