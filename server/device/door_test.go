package device_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// request sends anything to the device listener.
func (d *door) request(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequestWithContext(d.ctx, method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, q)
	return w
}

func badBodies() []string {
	return []string{
		"", "<", "hello", "<plist></plist>", "<plist><dict/></plist>", "bplist00\x00", strings.Repeat("<array>", 5000),
		`<!DOCTYPE x [<!ENTITY a "aaaa">]><plist><dict><key>Status</key><string>&a;</string></dict></plist>`,
		"<plist><dict><key>MessageType</key><string>Authenticate</string></dict></plist>",
		"<plist><dict><key>MessageType</key><integer>1</integer></dict></plist>",
		"<plist><dict><key>Status</key><string>Idle</string><key>UDID</key><string>\x00\xff</string></dict></plist>",
		strings.Repeat("x", 5<<20),
	}
}

func TestWhateverIsSentATabletIsNeverToldToLeave(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDoor(t, db)
		_, rec := d.tablet(0, nil, d.link())
		good := rec.last["/mdm/command"].header.Get("Mdm-Signature")
		for _, path := range []string{"/mdm/checkin", "/mdm/command", "/scep", "/scep?operation=PKIOperation", "/scep?operation=GetCACert", "/crl", "/enroll/x", "/enroll/x/profile", "/", "/api/v1/devices", "/mdm/../api"} {
			for _, method := range []string{"PUT", "POST", "GET", "DELETE", "HEAD"} {
				for _, body := range badBodies() {
					for _, headers := range [][]string{
						nil, {"Content-Type", "application/x-apple-aspen-mdm"}, {"Content-Type", "text/plain", "Mdm-Signature", "x"},
						{"Mdm-Signature", good, "Content-Type", "application/x-apple-aspen-mdm-checkin"}, {"Mdm-Signature", strings.Repeat("A", 40000)},
					} {
						w := d.request(method, path, body, headers...)
						if w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden || w.Code >= 500 {
							t.Errorf("%s %s %.40q %.60v: %d", method, path, body, headers, w.Code)
						}
						if strings.HasPrefix(path, "/mdm/c") && w.Code >= 400 && w.Body.Len() > 0 {
							t.Errorf("%s %s: %d with a body: %s", method, path, w.Code, w.Body)
						}
					}
				}
			}
		}
	})
}

func TestASignatureIsForItsBytesAndItsTablet(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDoor(t, db)
		profile := d.link()
		one, recOne := d.tablet(0, nil, profile)
		_, recTwo := d.tablet(1, nil, profile)
		if _, err := one.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		idle := recOne.last["/mdm/command"]
		for range 2 { // two idle polls sign the same bytes
			if w := d.send("/mdm/command", idle); w.Code != http.StatusOK {
				t.Errorf("a repeated poll: %d", w.Code)
			}
		}
		swapped := recorded{idle.header.Clone(), bytes.Replace(idle.body, []byte(one.UDID()), []byte("OTHER"), 1)}
		if w := d.send("/mdm/command", swapped); w.Code != http.StatusBadRequest || w.Body.Len() != 0 {
			t.Errorf("a body that was changed: %d %s", w.Code, w.Body)
		}
		foreign := recorded{recTwo.last["/mdm/command"].header.Clone(), idle.body}
		if w := d.send("/mdm/command", foreign); w.Code != http.StatusBadRequest {
			t.Errorf("another tablet's signature: %d", w.Code)
		}
		bare := recorded{idle.header.Clone(), idle.body}
		bare.header.Del("Mdm-Signature")
		bare.header.Set("X-Client-Cert", "anything")
		if w := d.send("/mdm/command", bare); w.Code != http.StatusBadRequest {
			t.Errorf("no signature, and a header of nobody: %d", w.Code)
		}
		without := recorded{idle.header.Clone(), idle.body}
		without.header.Del("Content-Type")
		if w := d.send("/mdm/command", without); w.Code != http.StatusOK {
			t.Errorf("without a content type: %d", w.Code)
		}
	})
}

func TestATabletIsDismissedOnOrderOnlyAndThenForGood(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDoor(t, db)
		one, rec := d.tablet(0, nil, d.link())
		if _, err := one.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		idle := rec.last["/mdm/command"]
		var dev string
		d.must(d.db.Get(t.Context(), &dev, `SELECT device_id FROM enrollments WHERE udid = ?`, one.UDID()))
		d.must(d.db.Do(t.Context(), func(tx *sqldb.Tx) error { return d.enroll.Unmanage(t.Context(), tx, "user:test", dev, "sold") }))
		for range 2 { // the first answer may be lost
			w := d.send("/mdm/command", idle)
			if w.Code != http.StatusForbidden || strings.TrimSpace(w.Body.String()) != `{"code":"com.apple.unrecognized.device"}` || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				t.Errorf("%d %s %s", w.Code, w.Header(), w.Body)
			}
		}
	})
}

func TestAnIdentityOfAnEarlierLifeIsRefusedAndCounted(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDoor(t, db)
		profile := d.link()
		one, rec := d.tablet(0, nil, profile)
		if _, err := one.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		old := rec.last["/mdm/command"]
		again, rec2 := d.tablet(0, nil, profile) // the same iPad, erased by hand and enrolled again
		if w := d.send("/mdm/command", old); w.Code != http.StatusBadRequest || w.Body.Len() != 0 {
			t.Errorf("the old identity: %d %s", w.Code, w.Body)
		}
		if n := d.certs.RefusalCounts()["retired"]; n != 1 {
			t.Errorf("counted %v", d.certs.RefusalCounts())
		}
		if _, err := again.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w := d.send("/mdm/command", rec2.last["/mdm/command"]); w.Code != http.StatusOK {
			t.Errorf("the new one: %d", w.Code)
		}
	})
}

func TestACertificateCountsFromTLSAndFromTheNamedProxyOnly(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDoor(t, db)
		one, rec := d.tablet(0, nil, d.link())
		if _, err := one.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		idle := rec.last["/mdm/command"]
		var der []byte
		d.must(d.db.Get(t.Context(), &der, `SELECT der FROM certificates WHERE state = 'pinned'`))
		cert, err := x509.ParseCertificate(der)
		d.must(err)
		header := ":" + base64.StdEncoding.EncodeToString(der) + ":" // RFC 9440
		for _, tt := range []struct {
			name, from, header string
			tls                bool
			want               int
		}{
			{"the proxy", "10.9.8.7:1234", header, false, http.StatusOK},
			{"somebody else", "10.9.8.8:1234", header, false, http.StatusBadRequest},
			{"the proxy, broken", "10.9.8.7:1234", "nonsense", false, http.StatusBadRequest},
			{"nobody", "10.9.8.7:1234", "", false, http.StatusBadRequest},
			{"TLS", "192.0.2.1:1", "", true, http.StatusOK},
		} {
			q := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/mdm/command", bytes.NewReader(idle.body))
			q.RemoteAddr = tt.from
			q.Header.Set("Content-Type", "application/x-apple-aspen-mdm")
			if tt.header != "" {
				q.Header.Set("X-Client-Cert", tt.header)
			}
			if tt.tls {
				q.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
			}
			w := httptest.NewRecorder()
			d.handler.ServeHTTP(w, q)
			if w.Code != tt.want {
				t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
			}
		}
	})
}

func TestTheLinksPageSpeaksBothLanguagesAndSaysWhyItIsClosed(t *testing.T) {
	d := newDoor(t, sqldbtest.SQLite(t))
	path := strings.TrimSuffix(strings.TrimPrefix(d.link(), d.srv.URL), "/profile")
	for lang, want := range map[string]string{"de": "iPad anmelden", "en": "Enroll an iPad"} {
		w := d.request("GET", path, "", "Accept-Language", lang)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s: %d %s", lang, w.Code, w.Body)
		}
	}
	if w := d.request("GET", "/enroll/nonsense", ""); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "<h1>") {
		t.Errorf("an unknown link: %d %s", w.Code, w.Body)
	}
	if w := d.request("GET", path+"/profile", ""); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-apple-aspen-config" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the profile: %d %v", w.Code, w.Header())
	}
}

func FuzzCommand(f *testing.F) { fuzz(f, "/mdm/command", "application/x-apple-aspen-mdm") }
func FuzzCheckIn(f *testing.F) { fuzz(f, "/mdm/checkin", "application/x-apple-aspen-mdm-checkin") }

func fuzz(f *testing.F, path, kind string) {
	d := newDoor(f, sqldbtest.SQLite(f))
	for _, b := range badBodies()[:11] {
		f.Add([]byte(b), "AAAA")
	}
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		w := d.request("PUT", path, string(body), "Content-Type", kind, "Mdm-Signature", signature)
		if w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden || w.Code >= 500 {
			t.Errorf("%d", w.Code)
		}
	})
}
