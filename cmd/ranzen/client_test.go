package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// served is a server that answers as told and remembers what it was asked.
type served struct {
	*httptest.Server
	asked []string
	keys  []string
}

func serveAnswers(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body string)) *served {
	t.Helper()
	s := &served{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI()+" "+string(b))
		s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
		answer(w, r, string(b))
	}))
	t.Cleanup(s.Close)
	t.Setenv("RANZEN_URL", s.URL)
	t.Setenv("RANZEN_TOKEN", "rzn_secret")
	t.Setenv("RANZEN_DATA", "")
	return s
}

func TestErrorsOfTheServer(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		body     string
		want     int
		sentence string
	}{
		{"a refusal is one sentence", 409, `{"detail":"It is sent already.","code":"command.sent","ref":"R1"}`, 1, "ranzen: It is sent already.\n"},
		{"what was typed wrong is wrong usage", 422, `{"detail":"There is no field \"x\".","code":"filter.field"}`, 2, "ranzen: There is no field \"x\".\n"},
		{"a mistake of ours has a ref for the log", 500, `{"detail":"Something went wrong.","code":"internal","ref":"R7"}`, 1, "ranzen: Something went wrong. (ref R7)\n"},
		{"nobody signs in with a bad token", 401, `{"detail":"This needs a valid API token.","code":"auth.sign-in"}`, 1, "ranzen: This needs a valid API token.\n"},
		{"another server's page is not shown", 502, `<html>\x1b[31m`, 1, "answered with status 502 and no reason: is it a Ranzen server?\n"},
		{"a redirect is not followed with the token", 302, `{}`, 1, "answered with status 302 and no reason: is it a Ranzen server?\n"},
		{"a sentence cannot steer the terminal", 409, `{"detail":"Name \u001b[2J\u202e is taken.","code":"x"}`, 1, "ranzen: Name ?[2J? is taken.\n"},
		{"an answer that is no JSON", 200, `hello`, 1, "are this program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			serveAnswers(t, func(w http.ResponseWriter, r *http.Request, _ string) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			})
			got := call(t, "", "device", "show", "X1")
			if got.status != tt.want || !strings.Contains(got.errout, tt.sentence) || strings.Count(got.errout, "\n") != 1 || got.out != "" {
				t.Errorf("got %+v, want status %d and %q", got, tt.want, tt.sentence)
			}
		})
	}
}

func TestPaging(t *testing.T) {
	pages := func(w http.ResponseWriter, r *http.Request, _ string) {
		q := r.URL.Query()
		switch q.Get("after") {
		case "":
			fmt.Fprintf(w, `{"items":[{"serial":"A","extra":{"kept":1}},{"serial":"B"}],"next":"c1","limit_was":%s}`, q.Get("limit")) //nolint:errcheck // a test's
		case "c1":
			fmt.Fprint(w, `{"items":[{"serial":"C"}],"next":""}`) //nolint:errcheck // a test's
		default:
			t.Errorf("unknown cursor %q", q.Get("after"))
		}
	}
	t.Run("pages become one document with everything in it", func(t *testing.T) {
		s := serveAnswers(t, pages)
		got := call(t, "", "devices", "--json", "--filter", "state:enrolled group:5a/b")
		var doc struct {
			Items []map[string]any `json:"items"`
			Next  *string          `json:"next"`
		}
		if err := json.Unmarshal([]byte(got.out), &doc); err != nil || len(doc.Items) != 3 || doc.Next == nil || *doc.Next != "" {
			t.Fatalf("got %+v, %v", got, err)
		}
		if _, kept := doc.Items[0]["extra"]; !kept {
			t.Error("a field that this program does not know is lost")
		}
		if len(s.asked) != 2 || !strings.Contains(s.asked[0], "filter=state%3Aenrolled+group%3A5a%2Fb") || !strings.Contains(s.asked[1], "filter=") {
			t.Errorf("asked %q", s.asked)
		}
	})
	t.Run("a limit ends early and says so", func(t *testing.T) {
		s := serveAnswers(t, pages)
		got := call(t, "", "commands", "--limit", "2")
		if got.status != 0 || len(s.asked) != 1 || !strings.Contains(s.asked[0], "limit=2") || !strings.Contains(got.errout, "There are more") {
			t.Errorf("got %+v, asked %q", got, s.asked)
		}
	})
	t.Run("an empty list is a sentence for people and an empty list for programs", func(t *testing.T) {
		serveAnswers(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			_, _ = w.Write([]byte(`{"items":[],"next":""}`))
		})
		if got := call(t, "", "devices"); got.out != "No device fits.\n" {
			t.Errorf("got %+v", got)
		}
		if got := call(t, "", "devices", "--json"); !strings.Contains(got.out, `"items": []`) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWrites(t *testing.T) {
	ok := func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.Header.Get("Authorization") != "Bearer rzn_secret" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		_, _ = w.Write([]byte(`{"command":"K1","devices":3,"version":1,"name":"n"}`))
	}
	tests := []struct {
		name string
		args []string
		in   string
		want []string // requests, keys aside
	}{
		{"a slash in a name stays in the name", []string{"profile", "remove", "5/6 b"}, "", []string{`DELETE /api/v1/profiles/5%2F6%20b `}},
		{"each device is looked up before the first order", []string{"device", "restart", "A", "B"}, "", []string{
			"GET /api/v1/devices/A ", "GET /api/v1/devices/B ", "POST /api/v1/devices/A/restart ", "POST /api/v1/devices/B/restart "}},
		{"a password comes from standard input", []string{"profile", "wifi", "--name", "w", "--ssid", "S", "--password-file", "-"}, "geheim 1\r\n", []string{
			`POST /api/v1/profiles/wifi {"auto_join":true,"disable_mac_randomization":false,"hidden":false,"name":"w","password":"geheim 1","security":"auto","ssid":"S"}`}},
		{"keys of a command are told from flags of ours", []string{"send", "A", "--json", "RemoveProfile", "--Identifier", "x.y", "--Force=true"}, "", []string{
			`POST /api/v1/devices/A/send {"args":{"Force":"true","Identifier":"x.y"},"command":"RemoveProfile"}`}},
		{"an erase with --yes asks nobody", []string{"device", "erase", "A", "--reason", "sold", "--yes"}, "", []string{`POST /api/v1/devices/A/erase {"reason":"sold"}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveAnswers(t, ok)
			got := call(t, tt.in, tt.args...)
			if got.status != 0 || strings.Join(s.asked, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("status %d %s\nasked %s\nwant  %s", got.status, got.errout, strings.Join(s.asked, "\n"), strings.Join(tt.want, "\n"))
			}
			seen := map[string]bool{}
			for i, k := range s.keys {
				if write := !strings.HasPrefix(s.asked[i], "GET"); write != (k != "") || seen[k] && k != "" {
					t.Errorf("%s has key %q", s.asked[i], k)
				}
				seen[k] = true
			}
		})
	}
}

// TestNothingIsSent: what is wrong on the command line never reaches a server.
func TestNothingIsSent(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	two := filepath.Join(dir, "two-lines")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(two, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
	}{
		{"no such file", []string{"profile", "add", filepath.Join(dir, "none")}},
		{"a directory for a file", []string{"profile", "add", dir}},
		{"an empty file", []string{"profile", "add", empty}},
		{"a device for a file", []string{"profile", "add", "/dev/zero"}},
		{"a password of two lines", []string{"profile", "wifi", "--name", "n", "--ssid", "s", "--password-file", two}},
		{"a password that nobody can type", []string{"profile", "wifi", "--name", "n", "--ssid", "s"}},
		{"a password for an open network", []string{"profile", "wifi", "--name", "n", "--ssid", "s", "--security", "none", "--password-file", two}},
		{"a password as a flag", []string{"profile", "wifi", "--name", "n", "--ssid", "s", "--password", "x"}},
		{"an erase without a reason", []string{"device", "erase", "A", "--yes"}},
		{"an erase with an empty reason", []string{"device", "erase", "A", "--yes", "--reason", " "}},
		{"an erase that nobody can confirm", []string{"device", "erase", "A", "--reason", "r"}},
		{"a return to service without Wi-Fi", []string{"device", "erase", "A", "--reason", "r", "--yes", "--return-to-service"}},
		{"Wi-Fi without a return to service", []string{"device", "erase", "A", "--reason", "r", "--yes", "--wifi", "w"}},
		{"an end of management that nobody can confirm", []string{"device", "unmanage", "A", "--reason", "r"}},
		{"a revocation that nobody can confirm", []string{"certificate", "revoke", "1", "--reason", "r"}},
		{"a lost device with nothing to say", []string{"device", "lost", "A"}},
		{"a scope that is none", []string{"assign", "x", "--to", "gruop:5a"}},
		{"a scope without a name", []string{"assign", "x", "--to", "group:"}},
		{"a length of time that is none", []string{"link", "create", "--name", "x", "--expires", "3 days"}},
		{"a length of time that is negative", []string{"link", "create", "--name", "x", "--expires=-3h"}},
		{"fewer uses than none", []string{"link", "create", "--name", "x", "--max-uses=-1"}},
		{"no restriction", []string{"profile", "restrictions", "--name", "x"}},
		{"restrictions that are no JSON", []string{"profile", "restrictions", "--name", "x", "--file", two}},
		{"a command without a device", []string{"send", "RestartDevice"}},
		{"a key without a value", []string{"send", "A", "RestartDevice", "--NotifyUser"}},
		{"a key twice", []string{"send", "A", "X", "--k", "1", "--k", "2"}},
		{"fewer than no lines", []string{"commands", "--limit=-1"}},
		{"a role that is none", []string{"user", "add", "x", "--role", "root"}},
		{"an unknown flag", []string{"devices", "--fitler", "x"}},
		{"an unknown command", []string{"devcies"}},
		{"too much", []string{"status", "now"}},
		{"half a command", []string{"device"}},
		{"plain HTTP to another machine", []string{"status", "--server", "http://mdm.example"}},
		{"an address that is none", []string{"status", "--server", "mdm.example:8440"}},
		{"a token file that is missing", []string{"status", "--token-file", filepath.Join(dir, "none")}},
		{"roots that are none", []string{"status", "--ca", two}},
		{"a data directory that is none", []string{"status", "--data", dir}},
		{"a data directory that is missing", []string{"status", "--data", filepath.Join(dir, "none")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveAnswers(t, func(w http.ResponseWriter, _ *http.Request, _ string) { _, _ = w.Write([]byte(`{}`)) })
			got := call(t, "", tt.args...)
			if got.status != 2 || got.out != "" || !strings.HasPrefix(got.errout, "ranzen: ") || strings.Count(got.errout, "\n") != 1 || !strings.HasSuffix(got.errout, ".\n") {
				t.Errorf("got %+v, want status 2 and one sentence", got)
			}
			if len(s.asked) > 0 {
				t.Errorf("the server was asked %q", s.asked)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	s := serveAnswers(t, nil)
	s.Close()
	got := call(t, "", "status")
	if got.status != 1 || !strings.Contains(got.errout, "Is `ranzen serve` running?") || strings.Contains(got.errout, "rzn_secret") {
		t.Errorf("got %+v", got)
	}
}

func TestTheFlagOutranksTheEnvironment(t *testing.T) {
	s := serveAnswers(t, func(http.ResponseWriter, *http.Request, string) {})
	dir := t.TempDir()
	cfg := Config{URL: "https://mdm.example", DB: "sqlite", TLS: tlsInternal, CAKey: "p256", DeviceListen: ":443", AdminListen: defaultAdmin, MetricsListen: defaultMetrics}
	if err := cfg.save(dir); err != nil {
		t.Fatal(err)
	}
	got := call(t, "", "device", "erase", "A", "--reason", "trial", "--yes", "--data", dir)
	if got.status != 1 || !strings.Contains(got.errout, "has not been started yet") || len(s.asked) > 0 {
		t.Errorf("got %+v; RANZEN_URL was asked %q", got, s.asked)
	}
}
