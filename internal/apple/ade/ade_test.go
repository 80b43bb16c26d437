package ade_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micromdm/nanodep/tokenpki"

	"ranzen/internal/apple/ade"
	"ranzen/internal/fault"
	"ranzen/internal/sim/apple"
)

func school(t testing.TB, o apple.SchoolOptions) *apple.School {
	t.Helper()
	s, err := apple.NewSchool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddServer("Gemeinde Musterdorf", "Ranzen")
	return s
}

func token(t testing.TB, s *apple.School) ade.Token {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mdm"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p7m, err := s.TokenP7M("Ranzen", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tokenpki.DecryptTokenJSON(p7m, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		CK fault.Secret `json:"consumer_key"`
		CS fault.Secret `json:"consumer_secret"`
		AT fault.Secret `json:"access_token"`
		AS fault.Secret `json:"access_secret"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return ade.Token{ConsumerKey: doc.CK, ConsumerSecret: doc.CS, AccessToken: doc.AT, AccessSecret: doc.AS}
}

func open(s *apple.School) *ade.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.RootPEM())
	return ade.New(ade.Config{URL: s.URL(), Roots: pool})
}

// TestAnAwkwardAppleIsReadWhole asks an Apple of which every third answer is
// broken, and counts: no device is missing, none is invented, and no broken
// answer looks like a short list.
func TestAnAwkwardAppleIsReadWhole(t *testing.T) {
	s := school(t, apple.SchoolOptions{Seed: 11, Faults: apple.SchoolFaults{Broken: 0.33, Doubled: 0.2, Shuffled: 0.5, Delay: time.Millisecond}})
	want := s.Order("Ranzen", 730, apple.Devices{})
	c, tok := open(s), token(t, s)
	seen := map[string]bool{}
	cursor, failures := "", 0
	for pages := 0; ; pages++ {
		if pages > 500 {
			t.Fatal("it does not end")
		}
		p, err := c.Fetch(t.Context(), "k", tok, cursor, 100)
		if ade.IsExhausted(err) {
			break
		}
		if ade.IsExpiredCursor(err) || ade.IsInvalidCursor(err) {
			failures++
			cursor, seen = "", map[string]bool{}
			continue
		}
		if err != nil {
			failures++
			continue
		}
		for _, d := range p.Devices {
			seen[d.Serial] = true
		}
		cursor = p.Cursor
	}
	if failures == 0 {
		t.Error("Apple was not awkward at all")
	}
	for _, serial := range want {
		if !seen[serial] {
			t.Errorf("%s is missing", serial)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d devices, want %d", len(seen), len(want))
	}
}

func TestAssignmentsAreAnsweredDeviceByDevice(t *testing.T) {
	s := school(t, apple.SchoolOptions{Seed: 4, Faults: apple.SchoolFaults{Throttled: 0.4, Failed: 0.2, RetryAfter: 7 * time.Second}})
	serials := s.Order("Ranzen", 60, apple.Devices{})
	c, tok := open(s), token(t, s)
	uuid, err := c.DefineProfile(t.Context(), "k", tok, []byte(`{"profile_name":"Basis","url":"https://mdm.example.org/enroll/ade"}`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Assign(t.Context(), "k", tok, uuid, append(slices.Clone(serials), "NOTOURS123"))
	if err != nil || a.RetryAfter != 7*time.Second || a.Results["NOTOURS123"] != "NOT_ACCESSIBLE" {
		t.Fatalf("got %+v, %v", a, err)
	}
	words := map[string]int{}
	for _, serial := range serials {
		words[a.Results[serial]]++
		if uuidNow, _ := s.ProfileOf(serial); (a.Results[serial] == "SUCCESS") != (uuidNow == uuid) {
			t.Errorf("%s: %s, and Apple has %q", serial, a.Results[serial], uuidNow)
		}
	}
	if words["SUCCESS"] == 0 || words["THROTTLED"] == 0 || words["FAILED"] == 0 {
		t.Errorf("the results are %v", words)
	}
	d, err := c.Details(t.Context(), "k", tok, append(slices.Clone(serials[:5]), "NOTOURS123"))
	if err != nil || len(d) != 5 || d[serials[0]].Model != "iPad (A16)" || d[serials[0]].AssignedAt.IsZero() {
		t.Errorf("the details are %+v, %v", d, err)
	}
	for code, definition := range map[string]string{"flags": `{"profile_name":"x","url":"https://a","is_mdm_removable":false}`, "url": `{"profile_name":"x"}`} {
		_, err := c.DefineProfile(t.Context(), "k", tok, []byte(definition))
		if err == nil || (code == "flags") != ade.IsFlagsInvalid(err) {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := c.Assign(t.Context(), "k", tok, "NONE", serials[:1]); !ade.IsProfileUnknown(err) {
		t.Errorf("an unknown profile gives %v", err)
	}
}

func TestReplacedDevicesNameTheirOriginal(t *testing.T) {
	s := school(t, apple.SchoolOptions{Seed: 4})
	s.Add("Ranzen", "RZNEW00001", apple.Devices{Replaces: "RZOLD00001"})
	s.Add("Ranzen", "RZPLAIN001", apple.Devices{})
	c, tok := open(s), token(t, s)
	p, err := c.Fetch(t.Context(), "k", tok, "", 10)
	if err != nil || len(p.Devices) != 2 || !p.Devices[0].Replacement || p.Devices[1].Replacement {
		t.Fatalf("got %+v, %v", p, err)
	}
	for serial, want := range map[string]string{"RZNEW00001": "RZOLD00001", "RZPLAIN001": ""} {
		if got, err := c.Replaced(t.Context(), "k", tok, serial); err != nil || got != want {
			t.Errorf("%s: %q, %v", serial, got, err)
		}
	}
}

func TestWhatAppleRefusesIsToldApart(t *testing.T) {
	s := school(t, apple.SchoolOptions{Seed: 4})
	c, tok := open(s), token(t, s)
	if a, err := c.Account(t.Context(), "k", tok); err != nil || a.OrgName != "Gemeinde Musterdorf" || a.ServerName != "Ranzen" || strings.Contains(fmt.Sprintf("%+v", a), "@") {
		t.Fatalf("the account is %+v, %v", a, err)
	}
	s.SignTerms("Gemeinde Musterdorf", false)
	if _, err := c.Account(t.Context(), "k", tok); !ade.IsTerms(err) {
		t.Errorf("with a session: %v", err)
	}
	if _, err := c.Account(t.Context(), "fresh", tok); !ade.IsTerms(err) {
		t.Errorf("without a session: %v", err)
	}
	s.SignTerms("Gemeinde Musterdorf", true)
	newer := token(t, s) // ends the one before
	if _, err := c.Account(t.Context(), "k2", tok); !ade.IsTokenRefused(err) {
		t.Errorf("an old token gives %v", err)
	}
	if _, err := c.Account(t.Context(), "k3", newer); err != nil {
		t.Errorf("a new token gives %v", err)
	}
	for _, f := range []apple.SchoolFault{apple.SchoolTooMany, apple.SchoolUnavailable, apple.SchoolGateway} {
		s.Fail(f)
		_, err := c.Account(t.Context(), "k3", newer)
		if _, is := ade.IsThrottled(err); !is || strings.Contains(fmt.Sprint(err), "GATEWAY") {
			t.Errorf("%s gives %v", f, err)
		}
	}
	s.Fail(apple.SchoolForbidden)
	if _, err := c.Account(t.Context(), "k3", newer); err != nil {
		t.Errorf("a lost session gives %v", err)
	}
}

// FuzzAnswers: whatever comes instead of an answer, there is an error or what
// Apple describes, and no list without a cursor.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"devices":[]}`, `{"devices":null,"cursor":"c","more_to_follow":false}`, `<html>`,
		`{"devices":[{"serial_number":"a\u0000b"}],"cursor":"c","more_to_follow":true}`, `{"cursor":1}`, `"EXHAUSTED_CURSOR"`,
		`{"devices":[{"serial_number":"A","op_date":"yesterday","is_replacement_device":true}],"cursor":"x","more_to_follow":false}`,
	} {
		f.Add(seed, 200)
		f.Add(seed, 400)
	}
	var body string
	var status int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/session" {
			_, _ = w.Write([]byte(`{"auth_session_token":"s"}`))
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	f.Cleanup(srv.Close)
	c := ade.New(ade.Config{URL: srv.URL})
	f.Fuzz(func(t *testing.T, b string, code int) {
		if code < 200 || code > 599 || code == 204 || code == 304 {
			return
		}
		body, status = b, code
		p, err := c.Fetch(t.Context(), "k", ade.Token{}, "", 10)
		if err == nil && (code != 200 || p.Cursor == "") {
			t.Errorf("%d %q is taken for a list", code, b)
		}
		for _, d := range p.Devices {
			if d.Serial == "" || strings.ContainsRune(d.Serial, 0) {
				t.Errorf("%q gives a device without a serial number", b)
			}
		}
	})
}
