package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

var param = regexp.MustCompile(`\{(\w+)\}`)

// kindOf is the kind of row that a parameter of a path names.
func kindOf(path, name string, e expectation) string {
	if spare := e.spare[name]; spare != "" {
		return spare
	}
	switch {
	case name == "serial":
		return "certificate"
	case strings.Contains(path, "/ade/"):
		return "ade" + name
	}
	return name
}

// filled puts rows where a row of the matrix has kinds: those of a tenant in the
// path, and of other in body and query. i chooses among what they are called.
func (w *town) filled(r route, e expectation, tenant, other string, i int) (path, body string) {
	w.n++
	pick := func(of, kind string, escape func(string) string) string {
		refs := w.refs[of][kind]
		if len(refs) == 0 {
			w.Fatalf("%s: there is no row of the kind %q", r.id, kind)
		}
		return escape(refs[i%len(refs)])
	}
	path = param.ReplaceAllStringFunc(r.path, func(p string) string {
		kind := kindOf(r.path, strings.Trim(p, "{}"), e)
		if apples, is := strings.CutPrefix(kind, "="); is {
			return apples // a name of Apple's, which is nobody's
		}
		return pick(tenant, kind, url.PathEscape)
	})
	in := func(text string, escape func(string) string) string {
		text = strings.ReplaceAll(text, "<n>", fmt.Sprint(1000+w.n))
		return regexp.MustCompile(`<(my\.)?([a-z]+)>`).ReplaceAllStringFunc(text, func(p string) string {
			kind, mine := strings.CutPrefix(strings.Trim(p, "<>"), "my.")
			of := other
			if mine {
				of = tenant
			}
			if w.refs[of][kind] == nil {
				return p // XML
			}
			return pick(of, kind, escape)
		})
	}
	if e.query != "" {
		path += "?" + in(e.query, url.QueryEscape)
	}
	return path, in(e.body, func(s string) string { return s })
}

// asks sends a request that ends with the first bytes of its answer.
func (w *town) asks(token string, r route, e expectation, path, body string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, r.method, path, strings.NewReader(body))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	switch {
	case e.content != "":
		req.Header.Set("Content-Type", e.content)
	case body != "":
		req.Header.Set("Content-Type", "application/json")
	}
	res := httptest.NewRecorder()
	w.Admin().ServeHTTP(first{res, cancel}, req)
	return res
}

// leak is what of a tenant is in an answer, but for what the request said itself.
func (w *town) leak(tenant, path, body, answer string) string {
	said, _ := url.QueryUnescape(path)
	said, answer = strings.ToLower(said+" "+body), strings.ToLower(answer)
	secrets := []string{w.ids[tenant]}
	for _, refs := range w.refs[tenant] {
		secrets = append(secrets, refs...)
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if s = strings.ToLower(s); strings.Contains(said, s) {
			answer = strings.ReplaceAll(answer, s, "")
		} else if strings.Contains(answer, s) {
			return s
		}
	}
	if strings.Contains(answer, tenant) && !strings.Contains(said, tenant) {
		return tenant
	}
	return ""
}

func TestNobodySeesAnotherTenant(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		matrix := expected()
		routes := w.routes()
		slices.SortFunc(routes, func(a, b route) int { return strings.Compare(a.id, b.id) })
		known := map[string]bool{}
		for _, r := range routes {
			known[r.id] = true
			if matrix[r.id] == nil {
				t.Errorf("%s %s: the operation %s has no row in the matrix (server/matrix_test.go): say who may see what", r.method, r.path, r.id)
			}
		}
		for id := range matrix {
			if !known[id] {
				t.Errorf("the matrix has a row for %s, which is no operation", id)
			}
		}
		// What changes nothing first: later, rows are missing.
		for _, late := range []bool{false, true} {
			for _, r := range routes {
				for _, e := range matrix[r.id] {
					if (e.spare != nil || r.id == "unmanageDevice" || r.id == "eraseDevice" || strings.HasSuffix(r.id, "Hold")) == late {
						w.walk(r, e)
					}
				}
			}
		}
	})
}

// walk asks one operation as everybody: first those who must not get through.
func (w *town) walk(r route, e expectation) {
	names := param.MatchString(r.path) || strings.Contains(e.query+e.body, "<") && e.content != "application/x-apple-aspen-config" || strings.Contains(e.query, "<")
	if e.kind == own && !names {
		w.Errorf("%s: a row without a kind must name a tenant's row", r.id)
		return
	}
	path, body := w.filled(r, e, "alpha", "alpha", 0)
	if res := w.asks("", r, e, path, body); res.Code != http.StatusUnauthorized {
		w.Errorf("%s without a token: %d", r.id, res.Code)
	}
	for _, p := range w.people {
		if p.tenant == "bravo" {
			w.foreign(r, e, p)
		}
	}
	for i, p := range w.people {
		if p.tenant != "bravo" && p.role == auth.Viewer {
			w.local(r, e, p, i)
		}
	}
	for i, p := range []person{w.people[2], w.people[0]} { // alpha's administrator, the provider's
		w.local(r, e, p, i)
	}
}

// foreign asks as somebody of another tenant, by everything alpha's rows are
// called.
func (w *town) foreign(r route, e expectation, p person) {
	allowed := auth.Can(p.role, auth.Right(r.right))
	for i := range 4 {
		path, body := w.filled(r, e, "alpha", "alpha", i)
		res := w.asks(p.token, r, e, path, body)
		where := fmt.Sprintf("%s %s %.80s by %s", r.method, path, body, p.name)
		if s := w.leak("alpha", path, body, res.Body.String()); s != "" {
			w.Errorf("%s tells of alpha (%s): %d %.300s", where, s, res.Code, res.Body)
		}
		switch {
		case !allowed || e.kind == provider:
			if res.Code != http.StatusForbidden {
				w.Errorf("%s: %d, want 403: %.200s", where, res.Code, res.Body)
			}
		case e.kind == own:
			if res.Code != http.StatusNotFound && !w.sameAsNothing(r, e, p, res) {
				w.Errorf("%s: %d, want 404: %.200s", where, res.Code, res.Body)
			}
		default:
			if res.Code/100 != 2 {
				w.Errorf("%s: %d: %.200s", where, res.Code, res.Body)
			}
		}
	}
	if e.smuggle == "" || !allowed {
		return
	}
	e.body = e.smuggle
	for _, who := range []person{p, w.people[0]} {
		path, body := w.filled(r, e, "bravo", "alpha", 0)
		res := w.asks(who.token, r, e, path, body)
		where := fmt.Sprintf("%s %s %.80s by %s", r.method, path, body, who.name)
		if s := w.leak("alpha", path, body, res.Body.String()); s != "" && who.tenant != "" {
			w.Errorf("%s tells of alpha (%s): %d %.300s", where, s, res.Code, res.Body)
		}
		if res.Code/100 == 2 && e.smuggled == "" || res.Code >= 500 {
			w.Errorf("%s was done: %d %.200s", where, res.Code, res.Body)
		}
	}
}

// sameAsNothing tells whether a refusal is the one that rows which do not exist
// get: a file that cannot be read is refused before anybody looks for the row.
func (w *town) sameAsNothing(r route, e expectation, p person, res *httptest.ResponseRecorder) bool {
	w.refs["nobody"] = map[string][]string{}
	for kind := range w.refs["alpha"] {
		w.refs["nobody"][kind] = []string{"nobody"}
	}
	path, body := w.filled(r, e, "nobody", "nobody", 0)
	none := w.asks(p.token, r, e, path, body)
	return res.Code/100 == 4 && none.Code == res.Code && codeOf(none) == codeOf(res)
}

func codeOf(res *httptest.ResponseRecorder) string {
	var p struct{ Code string }
	_ = json.Unmarshal(res.Body.Bytes(), &p) // no problem has no code
	return p.Code
}

// local asks as somebody who sees alpha's rows.
func (w *town) local(r route, e expectation, p person, i int) {
	path, body := w.filled(r, e, "alpha", "alpha", i)
	res := w.asks(p.token, r, e, path, body)
	where := fmt.Sprintf("%s %s %.80s by %s", r.method, path, body, p.name)
	allowed := auth.Can(p.role, auth.Right(r.right)) && (e.kind != provider || p.tenant == "")
	switch {
	case allowed && e.code != "" && codeOf(res) == e.code:
		return
	case !allowed:
		if res.Code != http.StatusForbidden {
			w.Errorf("%s: %d, want 403: %.200s", where, res.Code, res.Body)
		}
	case e.kind == own || e.kind == provider:
		// What is wrong with the row itself may be said, not that it is not there.
		if res.Code == http.StatusForbidden || res.Code == http.StatusNotFound || res.Code >= 500 {
			w.Errorf("%s: %d %.200s", where, res.Code, res.Body)
		}
	case res.Code/100 != 2:
		w.Errorf("%s: %d %.200s", where, res.Code, res.Body)
	}
	if e.kind == list && allowed && !strings.Contains(strings.ToLower(res.Body.String()), "alpha") {
		w.Errorf("%s shows nothing of alpha, so that no leak could be seen: %.200s", where, res.Body)
	}
	if s := w.leak("bravo", path, body, res.Body.String()); p.tenant == "alpha" && s != "" {
		w.Errorf("%s tells of bravo (%s): %d %.300s", where, s, res.Code, res.Body)
	}
}
