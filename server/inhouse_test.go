package server_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// anIPA is always the same file.
func anIPA() string { return ipaVersion("7") }

func ipaVersion(version string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{"Payload/A.app/A", strings.Repeat("0123456789abcdef", 3000)},
		{"Payload/A.app/Info.plist", `<?xml version="1.0"?><plist version="1.0"><dict><key>CFBundleIdentifier</key><string>de.sandtal.mensa</string><key>CFBundleVersion</key><string>` + version + `</string></dict></plist>`},
	} {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: f[0]}) // a buffer takes all
		_, _ = io.WriteString(w, f[1])                      // as above
	}
	_ = z.Close() // as above
	return b.String()
}

func TestAnInHouseAppIsUploadedAndServedInParts(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h, file := newHouse(t, db), anIPA()
		up := h.ask(h.admin, "POST", "/api/v1/apps/ipa?name=Mensa", file, "Idempotency-Key", "k")
		var a struct{ ID, Source string }
		if err := json.Unmarshal(up.Body.Bytes(), &a); err != nil || up.Code != 200 || a.Source != "in-house" {
			t.Fatalf("%d %s", up.Code, up.Body)
		}
		if again := h.ask(h.admin, "POST", "/api/v1/apps/ipa?name=Mensa", file, "Idempotency-Key", "k"); again.Body.String() != up.Body.String() {
			t.Errorf("again: %d %s", again.Code, again.Body)
		}
		if bad := h.ask(h.admin, "POST", "/api/v1/apps/ipa?name=Other", "no app", "Idempotency-Key", "k"); bad.Code != 422 || !strings.Contains(bad.Body.String(), "ipa.unreadable") {
			t.Errorf("no app: %d %s", bad.Code, bad.Body)
		}
		at := strings.TrimPrefix(h.Deps.Profiles.ManifestURL(profiles.App{ID: a.ID, Version: 1}), "https://mdm.example.org")
		get := func(path string, header ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			w := httptest.NewRecorder()
			h.Devices().ServeHTTP(w, r)
			return w
		}
		ipa := strings.Replace(at, "manifest.plist", "app.ipa", 1)
		if m := get(at); m.Code != 200 || !strings.Contains(m.Body.String(), "https://mdm.example.org"+ipa) {
			t.Errorf("manifest: %d %s", m.Code, m.Body)
		}
		whole := get(ipa)
		if whole.Code != 200 || whole.Body.String() != file || !strings.Contains(whole.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%d with %d bytes, %v", whole.Code, whole.Body.Len(), whole.Header())
		}
		if part := get(ipa, "Range", "bytes=10-19"); part.Code != 206 || part.Body.String() != file[10:20] || part.Header().Get("Content-Length") != "10" {
			t.Errorf("a part: %d %q", part.Code, part.Body)
		}
		if same := get(ipa, "If-None-Match", whole.Header().Get("ETag")); same.Code != 304 {
			t.Errorf("what it has: %d", same.Code)
		}
		for _, bad := range []string{"/apps/x/app.ipa", "/apps/x/manifest.plist", strings.Replace(ipa, ".1.", ".2.", 1)} {
			if w := get(bad); w.Code != 404 || !strings.Contains(w.Body.String(), "no app") {
				t.Errorf("%s: %d %s", bad, w.Code, w.Body)
			}
		}
	})
}

func TestAnUploadThatWasOnlyTriedOrRefusedIsGivenUp(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		chunks := func() (n int64) {
			if err := h.Deps.Profiles.SweepUploads(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Get(t.Context(), &n, `SELECT COUNT(*) FROM app_chunks`); err != nil {
				t.Fatal(err)
			}
			return n
		}
		var a struct {
			Version int64
			Plan    struct{ Hash, Rollout string }
		}
		up := func(query, version string) int {
			w := h.ask(h.admin, "POST", "/api/v1/apps/ipa?name=Mensa"+query, ipaVersion(version), "Idempotency-Key", "k"+query+version)
			if err := json.Unmarshal(w.Body.Bytes(), &a); w.Code == 200 && err != nil {
				t.Fatal(err)
			}
			return w.Code
		}
		if got := up("&dry_run=true", "7"); got != 200 || a.Plan.Hash == "" || chunks() != 0 {
			t.Errorf("a first look: %d %+v, %d chunks stay", got, a, chunks())
		}
		if got := up("&rollout=rings&plan="+a.Plan.Hash, "7"); got != 200 || a.Version != 1 || a.Plan.Rollout != "now" || chunks() != 1 {
			t.Errorf("what was looked at: %d %+v, %d chunks", got, a, chunks())
		}
		if got := up("&dry_run=true", "8"); got != 200 || a.Version != 2 || chunks() != 1 {
			t.Errorf("a look at the second version: %d %+v, %d chunks", got, a, chunks())
		}
		for query, want := range map[string]int{"&plan=0123": 409, "&rollout=later": 422, "&tenant=none": 404} {
			if got := up(query, "8"); got != want || chunks() != 1 {
				t.Errorf("%s: %d, %d chunks", query, got, chunks())
			}
		}
		if got := up("", "8"); got != 200 || a.Version != 2 || chunks() != 2 {
			t.Errorf("the second version: %d %+v, %d chunks", got, a, chunks())
		}
		if got := up("", "8"); got != 200 || chunks() != 2 {
			t.Errorf("the same again: %d, %d chunks", got, chunks())
		}
	})
}
