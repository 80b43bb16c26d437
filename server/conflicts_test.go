package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

type conflictAnswer struct {
	Items []struct {
		Code, Key string
		Items     []struct {
			Item  string
			Value any
		}
		Effective any
		Undefined bool
		Devices   int
		Serials   []string
		Text      string
	}
	Next string
	More bool
}

func TestConflictsAreShownWithWhatHolds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newTown(t, db)
		read := func(token, path string) (doc conflictAnswer) {
			t.Helper()
			res := w.ask(token, "GET", "/api/v1"+path, "")
			if res.Code != http.StatusOK {
				t.Fatalf("GET %s: %d %s", path, res.Code, res.Body)
			}
			if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			return doc
		}
		mine := ""
		for _, p := range w.people {
			if p.name == "alpha's viewer" {
				mine = p.token
			}
		}
		one := read(w.viewer, "/devices/ALPHA0001/conflicts")
		if len(one.Items) != 1 || one.Items[0].Code != "restriction" || one.Items[0].Key != "allowCamera" || one.Items[0].Effective != false || len(one.Items[0].Items) != 2 {
			t.Fatalf("of a device: %+v", one)
		}
		own := read(mine, "/conflicts")
		if len(own.Items) != 1 || own.Items[0].Devices != 5 || !strings.HasPrefix(own.Items[0].Serials[0], "ALPHA") || own.Items[0].Items[0].Item != "Rules alpha 0" || own.Items[0].Items[0].Value != true {
			t.Fatalf("of the own tenant: %+v", own)
		}
		all := read(w.viewer, "/conflicts?limit=1")
		rest := read(w.viewer, "/conflicts?limit=1&after="+all.Next)
		if len(all.Items) != 1 || all.Next == "" || len(rest.Items) != 1 || rest.Next != "" || all.Items[0].Text == rest.Items[0].Text {
			t.Errorf("page by page: %+v, then %+v", all, rest)
		}
		for lang, want := range map[string]string{"en": "It disagrees with Rules alpha 1 on allowCamera: on the iPad false holds.", "de": "Es widerspricht Rules alpha 1 bei allowCamera: auf dem iPad gilt false."} {
			res := w.ask(mine, "GET", "/api/v1/devices/ALPHA0001/why?what=Rules%20alpha%200&lang="+lang, "")
			if res.Code != http.StatusOK || !strings.Contains(res.Body.String(), want) {
				t.Errorf("why in %s: %d %s", lang, res.Code, res.Body)
			}
		}
		w.made("/profiles/wifi", `{"tenant":"alpha","name":"Other Wi-Fi alpha","ssid":"alpha","security":"wpa2","password":"correct horse"}`, "name")
		res := w.ask(w.admin, "POST", "/api/v1/assignments?dry_run=true", `{"tenant":"alpha","names":["Other Wi-Fi alpha"],"to":"device:ALPHA0001"}`)
		if body := res.Body.String(); strings.Count(body, `"code":"conflict"`) != 1 || !strings.Contains(body, "Other Wi-Fi alpha and Wi-Fi alpha have different settings for the Wi-Fi network alpha") || strings.Contains(body, "allowCamera") {
			t.Errorf("the plan: %d %s", res.Code, body)
		}
		if strings.Contains(res.Body.String(), "correct horse") {
			t.Error("the plan tells a password")
		}
		for path, want := range map[string]int{"/devices/NOBODY/conflicts": 404, "/devices/BRAVO0001/conflicts": 404, "/conflicts?tenant=bravo": 404, "/conflicts?limit=0": 422, "/conflicts?after=x": 200} {
			if res := w.ask(mine, "GET", "/api/v1"+path, ""); res.Code != want && !(want == 422 && res.Code == 400) {
				t.Errorf("GET %s: %d %s", path, res.Code, res.Body)
			}
		}
	})
}
