package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ranzen/internal/sqldb/sqldbtest"
)

type catalogueKey struct {
	Name, Type string
	Required   bool
	Values     []string
	Since      string
	Supervised bool
	Keys       []catalogueKey
	KeysOf     string `json:"keys_of"`
}

func key(t *testing.T, keys []catalogueKey, path ...string) catalogueKey {
	t.Helper()
	for _, k := range keys {
		if k.Name == path[0] && len(path) == 1 {
			return k
		}
		if k.Name == path[0] {
			return key(t, k.Keys, path[1:]...)
		}
	}
	t.Fatalf("there is no key %v", path)
	return catalogueKey{}
}

func TestTheCatalogueIsEnoughToDrawAForm(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	get := func(path string, into any) {
		t.Helper()
		res := h.ask(h.viewer, "GET", "/api/v1/catalogue"+path, "")
		if res.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, res.Code, res.Body)
		}
		if err := json.Unmarshal(res.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	var types struct {
		Items []struct {
			Type, Since string
			Supervised  bool
		}
		Next string
	}
	get("/payloads?limit=500", &types)
	found := false
	for _, x := range types.Items {
		if x.Type == "com.apple.homescreenlayout" {
			found = x.Supervised && x.Since == "9.3"
		}
	}
	if len(types.Items) < 45 || types.Next != "" || !found {
		t.Errorf("got %+v", types)
	}
	get("/payloads?limit=3&after="+url.QueryEscape(types.Items[2].Type), &types)
	if len(types.Items) != 3 || types.Next == "" {
		t.Errorf("got %+v", types)
	}
	var one struct {
		Type     string
		Multiple bool
		Keys     []catalogueKey
	}
	get("/payloads/com.apple.wifi.managed", &one)
	if k := key(t, one.Keys, "EAPClientConfiguration", "AcceptEAPTypes"); !one.Multiple || k.Type != "array" || !k.Required || len(k.Keys) != 1 || len(k.Keys[0].Values) == 0 {
		t.Errorf("got %+v", k)
	}
	get("/payloads/com.apple.homescreenlayout", &one)
	if k := key(t, one.Keys, "Pages", "PagesItem", "IconItem", "Pages"); k.KeysOf != "Pages" || len(k.Keys) > 0 || !k.Supervised {
		t.Errorf("got %+v", k)
	}
	get("/commands/Settings", &one)
	if k := key(t, one.Keys, "Settings", "Bluetooth", "Enabled"); k.Type != "boolean" || !k.Required {
		t.Errorf("got %+v", k)
	}
	for _, path := range []string{"/payloads/com.apple.dock", "/payloads/TopLevel", "/commands/MakeCoffee"} {
		if res := h.ask(h.viewer, "GET", "/api/v1/catalogue"+path, ""); res.Code != http.StatusNotFound || !strings.Contains(res.Body.String(), "catalogue.unknown") {
			t.Errorf("%s: %d %s", path, res.Code, res.Body)
		}
	}
}

func TestARefusedProfileTellsAllThatIsWrongWithIt(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	file := strings.Replace(strings.ReplaceAll(mobileconfig, "<n>", "1"), "<key>allowCamera</key><false/>",
		"<key>allowCamera</key>\n<string>no</string><key>ratingApps</key><string>x</string><key>allowTomorrow</key><true/>", 1)
	res := h.ask(h.admin, "POST", "/api/v1/profiles?name=Wrong", file, "Content-Type", "application/x-apple-aspen-config")
	var p struct {
		Code     string
		Detail   string
		Findings []struct {
			Severity, Code, Path, Text string
			Line                       int
			German                     string `json:"text_de"`
		}
	}
	if err := json.Unmarshal(res.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if res.Code != http.StatusUnprocessableEntity || p.Code != "profile.invalid" || len(p.Findings) != 3 || !strings.Contains(p.Detail, "line 5") {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if f := p.Findings; f[0].Path != "PayloadContent[0].allowCamera" || f[0].Line != 5 || f[0].German == "" || f[1].Severity != "error" || f[2].Code != "key.unknown" {
		t.Errorf("got %+v", f)
	}
	file = strings.Replace(strings.ReplaceAll(mobileconfig, "<n>", "1"), "<key>allowCamera</key>", "<key>allowTomorrow</key>", 1)
	res = h.ask(h.admin, "POST", "/api/v1/profiles?name=Odd", file, "Content-Type", "application/x-apple-aspen-config")
	var saved struct {
		Version  int
		Warnings []struct{ Code, Path string }
	}
	if err := json.Unmarshal(res.Body.Bytes(), &saved); err != nil {
		t.Fatal(err)
	}
	if saved.Version != 1 || len(saved.Warnings) != 1 || saved.Warnings[0].Path != "PayloadContent[0].allowTomorrow" {
		t.Errorf("%d %s", res.Code, res.Body)
	}
}
