package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/micromdm/plist"
	"gopkg.in/yaml.v3"

	"ranzen/certs"
	"ranzen/internal/commands"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// Whatever people edit, no data goes that nobody confirmed, and no iPad leaves the
// management (threat T3: no edit path yields a command that destroys without its
// gate). Random people use all routes that change what is wished of iPads on which
// apps hold data; every command that is queued, and every one that is handed over,
// is looked at. RANZEN_EDITS=N does many more.

// ward is a town of two schools whose iPads all have apps with data on them.
type ward struct {
	*town
	rnd      *rand.Rand
	pads     []*ipad
	enrolls  string                  // PayloadIdentifier of the enrollment profile
	seen     map[string]bool         // commands that were looked at
	looked   time.Time               // when that was last
	holds    map[string]bool         // by bundle identifier: removing it loses data, before or after the last edit
	may      map[[2]string]time.Time // by enrollment and bundle identifier: somebody confirmed that it goes, from then on
	gone     int                     // removals of data that somebody had confirmed
	done     map[string]int          // by operation: how often it changed something
	imports  []string
	told     []string // what was done, for who reads a failure
	versions int
}

// ipad is an enrolled iPad that does what it is told.
type ipad struct {
	*ward
	id       string
	profiles map[string]string // identifier -> UUID
	apps     map[string]string // bundle identifier -> CFBundleVersion
}

// edit is a request that changes what is wished.
type edit struct {
	op, method, path, body, content string
	plans                           bool // it can be looked at before
}

func newWard(t *testing.T, db *sqldb.DB, seed uint64) *ward {
	w := &ward{
		town: &town{house: newHouse(t, db)}, rnd: rand.New(rand.NewPCG(seed, 11)), seen: map[string]bool{}, holds: map[string]bool{},
		may: map[[2]string]time.Time{}, done: map[string]int{},
	}
	for _, code := range []string{"alpha", "bravo"} {
		up := strings.ToUpper(code)
		w.made("/tenants", fmt.Sprintf(`{"code":%q,"name":"T"}`, code), "id")
		w.made("/schools", fmt.Sprintf(`{"tenant":%q,"code":"%sSCH","name":"S"}`, code, up), "id")
		for i := range 2 {
			w.made("/sites", fmt.Sprintf(`{"tenant":%q,"school":"%sSCH","code":"%s%d","name":"S"}`, code, up, up, i), "id")
		}
		w.made("/carts", fmt.Sprintf(`{"tenant":%q,"site":"%s0","code":"K","slots":20}`, code, up), "id")
		for _, name := range []string{"3a", "3b"} {
			w.made("/classes", fmt.Sprintf(`{"tenant":%q,"school":"%sSCH","name":%q,"year":"2026/27"}`, code, up, name), "id")
		}
		for i := range 3 {
			id := fmt.Sprint(code, i)
			w.exec(`INSERT INTO devices (id, tenant_id, serial, asset_state, created_at, updated_at) SELECT ?, t.id, ?, ?, 0, 0 FROM tenants t WHERE t.code = ?`,
				"d"+id, fmt.Sprintf("%s000%d", up, i), []string{"delivered", "ready", "in_inspection"}[i], code)
			w.exec(`INSERT INTO enrollments (id, device_id, udid, generation, state, supervised, os_version, created_at, enrolled_at, updated_at) VALUES (?, ?, ?, 1, 'enrolled', TRUE, '18.2', 0, 1, 0)`, id, "d"+id, "u"+id)
			w.pads = append(w.pads, &ipad{ward: w, id: id, profiles: map[string]string{}, apps: map[string]string{}})
		}
	}
	w.enrolls = w.enrollmentProfile()
	w.made("/groups", `{"name":"Some"}`, "id")
	w.made("/groups/Some/add", `{"devices":["ALPHA0000","BRAVO0000","BRAVO0001"]}`, "")
	w.made("/groups", `{"tenant":"alpha","name":"Own"}`, "id")
	w.made("/groups/Own/add", `{"devices":["ALPHA0000","ALPHA0001"]}`, "")
	w.made("/profiles/restrictions", `{"name":"Rules","restrictions":{"allowCamera":false}}`, "name")
	w.made("/apps", `{"name":"Keynote","adam_id":"409183694","bundle_id":"com.apple.Keynote","holds_data":true}`, "name")
	w.made("/apps", `{"tenant":"alpha","name":"Notes","adam_id":"409183695","bundle_id":"com.alpha.notes","holds_data":true}`, "name")
	w.made("/apps", `{"name":"Spare","adam_id":"409183698","bundle_id":"com.spare","holds_data":true}`, "name")
	w.made("/apps", `{"name":"Timer","adam_id":"409183696","bundle_id":"com.timer"}`, "name")
	w.made("/apps/ipa?name=Mensa&holds_data=true", w.ipa(), "name", "Content-Type", "application/octet-stream")
	w.made("/assignments", `{"names":["Keynote","Mensa","Timer"],"to":"all"}`, "")
	w.made("/assignments", `{"tenant":"alpha","names":["Notes"],"to":"tenant:alpha"}`, "")
	w.made("/groups", `{"name":"Ruled","rule":"site = ALPHA0 or has \"Keynote\""}`, "id")
	// Something of every kind to change, take back or confirm.
	w.made("/profiles/restrictions", `{"name":"Rules","restrictions":{"allowCamera":true}}`, "name")
	for _, camera := range []bool{true, false} {
		w.made("/profiles/restrictions", fmt.Sprintf(`{"name":"Twice","restrictions":{"allowCamera":%v}}`, camera), "name")
	}
	w.made("/assignments", `{"names":["Twice"],"to":"site:ALPHA0"}`, "")
	w.made("/profiles/wifi", `{"name":"Loose","ssid":"s","security":"none"}`, "name")
	w.made("/secrets", `{"name":"s","value":"x"}`, "name")
	w.made("/variables", `{"name":"PHONE","value":"x"}`, "")
	w.imports = append(w.imports, w.made("/imports/devices?tenant=alpha", "serial;class\nALPHA0002;3b\n", "id", "Content-Type", "application/octet-stream"))
	w.look()
	for range 3 {
		w.plan()
		for _, p := range w.pads {
			p.session()
		}
	}
	for _, p := range w.pads {
		if p.apps["com.apple.Keynote"] == "" || p.apps["de.sandtal.mensa"] == "" {
			t.Fatalf("%s has %v", p.id, p.apps)
		}
	}
	w.made("/assignments/exclude", `{"names":["Mensa"],"to":"tenant:bravo"}`, "")
	w.made("/assignments/exclude", `{"names":["Keynote"],"to":"device:BRAVO0002"}`, "")
	w.made("/assignments?rollout=rings", `{"names":["Rules"],"to":"all"}`, "rollout_id")
	w.plan()
	if !w.try(post("confirmRemoval", "/removals/confirm", `{"app":"Mensa","count":3,"grace_days":0}`)) {
		t.Fatal("the removal of Mensa cannot be confirmed")
	}
	w.plan()
	return w
}

// ipa is the next version of the in-house app.
func (w *ward) ipa() string {
	w.versions++
	return ipaVersion(strconv.Itoa(w.versions))
}

// enrollmentProfile is the identifier of the one that a link gives.
func (w *ward) enrollmentProfile() string {
	w.Helper()
	u, err := url.Parse(w.made("/links", `{"tenant":"alpha","name":"L"}`, "profile_url"))
	if err != nil {
		w.Fatal(err)
	}
	res := httptest.NewRecorder()
	w.Devices().ServeHTTP(res, httptest.NewRequestWithContext(w.Context(), http.MethodGet, u.RequestURI(), nil))
	raw, _, err := certs.UnwrapCMS(res.Body.Bytes())
	var doc struct{ PayloadIdentifier string }
	if err == nil {
		err = plist.Unmarshal(raw, &doc)
	}
	if err != nil || doc.PayloadIdentifier == "" {
		w.Fatalf("the enrollment profile: %d %.200s %v", res.Code, res.Body, err)
	}
	return doc.PayloadIdentifier
}

// plan does what the loops of a server do, and looks at what they queued.
func (w *ward) plan() {
	w.Helper()
	room := w.Deps.Profiles
	if err := errors.Join(room.StepRollouts(w.Context()), room.RegroupSince(w.Context(), time.Time{})); err != nil {
		w.Fatal(err)
	}
	for range 1000 {
		n, err := room.Reconcile(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if n == 0 {
			w.look()
			return
		}
	}
	w.Fatal("planning does not end")
}

// one and all read a column.
func (w *ward) all(text string, args ...any) (out []string) {
	w.Helper()
	if err := w.DB.Select(w.Context(), &out, text, args...); err != nil {
		w.Fatal(text, err)
	}
	return out
}

func (w *ward) one(text string, args ...any) string {
	w.Helper()
	return strings.Join(w.all(text, args...), ",")
}

// meant is the app that the provider's people mean by a name.
func (w *ward) meant(name string) string {
	w.Helper()
	return w.one(`SELECT id FROM apps WHERE name = ? AND removed_at IS NULL ORDER BY tenant_id LIMIT 1`, name)
}

// wrong tells what must not be, and how it came to it.
func (w *ward) wrong(format string, args ...any) {
	w.Helper()
	w.Fatalf(format+"\nafter\n%s", append(args, strings.Join(w.told, "\n"))...)
}

// look holds what was queued since the last look to the promise.
func (w *ward) look() {
	w.Helper()
	held := map[string]bool{}
	for _, id := range w.all(`SELECT bundle_id FROM apps WHERE holds_data AND removed_at IS NULL`) {
		held[id] = true
	}
	var rows []struct {
		ID           string `db:"id"`
		EnrollmentID string `db:"enrollment_id"`
		RequestType  string `db:"request_type"`
		Item         string `db:"item"`
	}
	if err := w.DB.Select(w.Context(), &rows, `SELECT id, enrollment_id, request_type, item FROM commands WHERE created_at >= ? ORDER BY id`, sqldb.At(w.looked)); err != nil {
		w.Fatal(err)
	}
	for _, r := range rows {
		if w.seen[r.ID] {
			continue
		}
		w.seen[r.ID] = true
		what := strings.Split(r.Item, ":")
		switch r.RequestType {
		case "RemoveApplication":
			bundle := w.one(`SELECT bundle_id FROM apps WHERE id = ?`, what[1])
			w.mayGo("queued for", r.EnrollmentID, bundle, held[bundle] || w.holds[bundle])
		case "RemoveProfile":
			if id := w.one(`SELECT identifier FROM profiles WHERE id = ?`, what[1]); id == w.enrolls {
				w.wrong("the removal of the management is queued for %s", r.EnrollmentID)
			}
		case "InstallProfile", "InstallApplication", "ProfileList", "ManagedApplicationList", "InstalledApplicationList":
		default:
			w.wrong("%s is queued for %s", r.RequestType, r.EnrollmentID)
		}
	}
	w.holds, w.looked = held, w.Clock.Now()
	for key := range w.may { // who is wished to have it again keeps it
		if w.one(`SELECT i.item_id FROM device_items i JOIN apps x ON x.id = i.item_id WHERE i.enrollment_id = ? AND x.bundle_id = ? AND i.desired IS NOT NULL`, key[0], key[1]) != "" {
			delete(w.may, key)
		}
	}
}

func (w *ward) mayGo(when, enrollment, bundle string, data bool) {
	w.Helper()
	at, confirmed := w.may[[2]string{enrollment, bundle}]
	switch {
	case !data:
	case !confirmed:
		w.wrong("the removal of %s, which holds data, is %s %s, and nobody confirmed it; items there are %v", bundle, when, enrollment,
			w.all(`SELECT x.id || ' ' || x.name || CASE WHEN x.holds_data THEN ' holds' ELSE '' END || CASE WHEN x.removed_at IS NOT NULL THEN ' gone' ELSE '' END || ' is ' || i.state || ' wish ' || COALESCE(CAST(i.desired AS TEXT), '-') || ' seen ' || COALESCE(CAST(i.observed AS TEXT), '-') || ' sent ' || COALESCE(CAST(i.sent AS TEXT), '-')
				FROM device_items i JOIN apps x ON x.id = i.item_id WHERE i.enrollment_id = ? AND x.bundle_id = ?`, enrollment, bundle))
	case w.Clock.Now().Before(at):
		w.wrong("the removal of %s is %s %s before its day", bundle, when, enrollment)
	default:
		w.gone++
	}
}

func (p *ipad) exchange(report map[string]any) (h *commands.HandOver) {
	p.Helper()
	raw, err := plist.Marshal(report)
	if err != nil {
		p.Fatal(err)
	}
	rep, err := mdm.ParseReport(raw)
	if err != nil {
		p.Fatal(err)
	}
	err = p.DB.Do(p.Context(), func(tx *sqldb.Tx) (err error) {
		h, err = p.Deps.Queue.Exchange(p.Context(), tx, commands.Session{EnrollmentID: p.id, Generation: 1}, rep)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return h
}

func (p *ipad) session() {
	p.Helper()
	h := p.exchange(map[string]any{"Status": "Idle", "UDID": "u" + p.id})
	for range 100 {
		if h == nil {
			return
		}
		var c struct{ Command map[string]any }
		if err := plist.Unmarshal(h.Body, &c); err != nil {
			p.Fatal(err)
		}
		report := p.obey(h.RequestType, c.Command)
		report["CommandUUID"], report["UDID"] = h.ID, "u"+p.id
		if report["Status"] == nil {
			report["Status"] = "Acknowledged"
		}
		h = p.exchange(report)
	}
	p.Fatal("the session does not end")
}

func (p *ipad) obey(requestType string, c map[string]any) map[string]any {
	r := map[string]any{}
	id, _ := c["Identifier"].(string)
	switch requestType {
	case "InstallProfile":
		var doc struct{ PayloadIdentifier, PayloadUUID string }
		b, _ := c["Payload"].([]byte)
		if err := plist.Unmarshal(b, &doc); err != nil {
			p.Fatal(err)
		}
		if doc.PayloadIdentifier == p.enrolls {
			return map[string]any{"Status": "Error", "ErrorChain": []any{map[string]any{"ErrorCode": 12009, "ErrorDomain": "MCMDMErrorDomain"}}}
		}
		p.profiles[doc.PayloadIdentifier] = doc.PayloadUUID
	case "RemoveProfile":
		if id == p.enrolls {
			p.wrong("%s is told to leave the management", p.id)
		}
		delete(p.profiles, id)
	case "ProfileList":
		list := []any{map[string]any{"PayloadIdentifier": p.enrolls, "PayloadUUID": "6F1B8E0A-0000-4000-8000-000000000001", "IsManaged": true}}
		for id, u := range p.profiles {
			list = append(list, map[string]any{"PayloadIdentifier": id, "PayloadUUID": u, "IsManaged": true})
		}
		r["ProfileList"] = list
	case "InstallApplication":
		if at, is := c["ManifestURL"].(string); is {
			part := strings.Split(strings.Split(at, "/")[4], ".")
			p.apps[p.one(`SELECT bundle_id FROM apps WHERE id = ?`, part[0])] = p.one(`SELECT bundle_version FROM app_versions WHERE app_id = ? AND version = CAST(? AS BIGINT)`, part[0], part[1])
		} else {
			p.apps[p.one(`SELECT DISTINCT bundle_id FROM apps WHERE adam_id = ?`, fmt.Sprint(c["iTunesStoreID"]))] = "1"
		}
		r["State"] = "Queued"
	case "RemoveApplication":
		p.mayGo("handed to", p.id, id, p.holds[id] && p.apps[id] != "")
		delete(p.apps, id)
	case "ManagedApplicationList":
		list := map[string]any{}
		for id := range p.apps {
			list[id] = map[string]any{"Status": "Managed"}
		}
		r["ManagedApplicationList"] = list
	case "InstalledApplicationList":
		list := []any{}
		for id, v := range p.apps {
			list = append(list, map[string]any{"Identifier": id, "Version": v, "ShortVersion": ""})
		}
		r["InstalledApplicationList"] = list
	}
	return r
}

func pick[T any](r *rand.Rand, list ...T) (out T) {
	if len(list) == 0 {
		return out
	}
	return list[r.IntN(len(list))]
}

func quoted(v any) string {
	b, _ := json.Marshal(v) // texts and lists of them
	return string(b)
}

// post is an edit by POST.
func post(op, path, body string) edit { return edit{op: op, method: "POST", path: path, body: body} }

func looked(e edit) edit {
	e.plans = true
	return e
}

// edits are what a person may do next; each as likely as any other. What is asked
// for at random is often refused: that is meant.
func (w *ward) edits() []func() edit {
	r := w.rnd
	item := func() string {
		return pick(r, append(w.all(`SELECT name FROM apps WHERE removed_at IS NULL UNION SELECT name FROM profiles WHERE removed_at IS NULL ORDER BY name`), "Keynote", "Notes", "Mensa")...)
	}
	profile := func() string {
		return pick(r, append(w.all(`SELECT name FROM profiles WHERE removed_at IS NULL ORDER BY name`), "Rules")...)
	}
	group := func() string {
		return pick(r, append(w.all(`SELECT name FROM device_groups ORDER BY name`), "Some")...)
	}
	ruled := func() string {
		return pick(r, append(w.all(`SELECT name FROM device_groups WHERE rule <> '' ORDER BY name`), "Ruled")...)
	}
	device := func() string { return pick(r, "ALPHA", "BRAVO") + fmt.Sprintf("000%d", r.IntN(3)) }
	scope := func() string {
		return pick(r, "all", "tenant:alpha", "tenant:bravo", "school:ALPHASCH", "site:ALPHA0", "site:BRAVO1", "class:ALPHASCH/3a/2026/27", "cart:ALPHA0-K",
			"group:"+group(), "group:"+group(), "device:"+device())
	}
	tenant := func() string { return pick(r, "", "", "alpha") }
	wish := func(op, path string) func() edit {
		return func() edit {
			return looked(post(op, path, fmt.Sprintf(`{"tenant":%q,"names":[%q],"to":%s}`, tenant(), item(), quoted(scope()))))
		}
	}
	made := func(op, path, rest string) func() edit {
		return func() edit {
			return looked(post(op, path, fmt.Sprintf(`{"tenant":%q,"name":%q,%s}`, tenant(), pick(r, "P1", "P2", "Rules"), strings.ReplaceAll(rest, "<n>", strconv.Itoa(r.IntN(3))))))
		}
	}
	of := func(kind, name string) string { return "/" + kind + "/" + url.PathEscape(name) }
	rule := func() string {
		return pick(r, `site = ALPHA0`, `not class = 3a`, `has "Keynote"`, `not has "Mensa"`, `in "Some"`, `cart = "ALPHA0-K"`, `os_version < 18.0`, `last_seen < 30d`)
	}
	rollout := func() string {
		return pick(r, append(w.all(`SELECT id FROM rollouts WHERE ended_at IS NULL ORDER BY id`), "none")...)
	}
	step := func(word string) func() edit {
		return func() edit { return post(word+"Rollout", of("rollouts", rollout())+"/"+word, "") }
	}
	return []func() edit{
		wish("assign", "/assignments"), wish("exclude", "/assignments/exclude"), wish("exclude", "/assignments/exclude"),
		wish("unassign", "/assignments/remove"), wish("unassign", "/assignments/remove"), wish("unassign", "/assignments/remove"),
		func() edit { // a wish that there is
			at := strings.Split(pick(r, append(w.all(`SELECT a.item_kind || '|' || a.scope_kind || '|' || a.scope_id || '|' || COALESCE(p.name, x.name) FROM assignments a
				LEFT JOIN profiles p ON p.id = a.item_id LEFT JOIN apps x ON x.id = a.item_id ORDER BY a.id`), "app|all||Keynote")...), "|")
			to := map[bool]string{true: "all", false: at[1] + ":" + at[2]}[at[1] == "all"]
			return looked(post("unassign", "/assignments/remove", fmt.Sprintf(`{"names":[%q],"to":%q}`, at[3], to)))
		},
		made("addWiFi", "/profiles/wifi", `"ssid":"s<n>","security":"none"`), made("addRestrictions", "/profiles/restrictions", `"restrictions":{"ratingApps":<n>00}`),
		made("buildProfile", "/profiles/build", `"payloads":[{"type":"com.apple.applicationaccess","keys":{"ratingApps":<n>00}}]`),
		func() edit { // a file, and one that would take the enrollment profile's place
			id := pick(r, "org.example.file", w.enrolls, w.enrolls+".mdm", strings.ToUpper(w.enrolls))
			file := strings.ReplaceAll(strings.ReplaceAll(mobileconfig, "org.example.new<n>.a", "org.example.inner"), "org.example.new<n>", id)
			return looked(edit{op: "addProfile", method: "POST", path: "/profiles?name=File" + strconv.Itoa(r.IntN(2)), body: file, content: "application/x-apple-aspen-config"})
		},
		func() edit {
			return looked(post("publishProfile", of("profiles", profile())+"/publish?version="+strconv.Itoa(1+r.IntN(2)), ""))
		},
		func() edit { return looked(post("rollBackProfile", of("profiles", profile())+"/rollback", "")) },
		func() edit { return edit{op: "removeProfile", method: "DELETE", path: of("profiles", profile())} },
		func() edit { // the same app by another name, said to hold nothing
			n := r.IntN(4)
			return post("addApp", "/apps", fmt.Sprintf(`{"tenant":%q,"name":%q,"adam_id":"%d","bundle_id":%q,"holds_data":%v}`, tenant(), pick(r, "Keynote", "Notes", "Timer", "Other"), 409183694+n,
				[]string{"com.apple.Keynote", "com.alpha.notes", "com.timer", "com.other"}[n], r.IntN(3) == 0))
		},
		func() edit {
			return edit{op: "removeApp", method: "DELETE", path: of("apps", pick(r, "Keynote", "Notes", "Timer", "Mensa", "Other", "Spare"))}
		},
		func() edit {
			return looked(edit{op: "addIPA", method: "POST", path: "/apps/ipa?name=" + pick(r, "Mensa", "Mensa", "Keynote"), body: w.ipa(), content: "application/octet-stream"})
		},
		func() edit {
			body := fmt.Sprintf(`{"tenant":%q,"name":"G%d"`, tenant(), r.IntN(3))
			if r.IntN(2) == 0 {
				body += `,"rule":` + quoted(rule())
			}
			return post("createGroup", "/groups", body+"}")
		},
		func() edit {
			return looked(post("setGroupRule", of("groups", ruled())+"/rule", `{"rule":`+quoted(rule())+`}`))
		},
		func() edit {
			return looked(post("addToGroup", of("groups", pick(r, "Some", "Own", group()))+"/add", fmt.Sprintf(`{"devices":[%q]}`, device())))
		},
		func() edit {
			return looked(post("dropFromGroup", of("groups", pick(r, "Some", "Own", group()))+"/drop", fmt.Sprintf(`{"devices":[%q]}`, device())))
		},
		func() edit { return looked(edit{op: "removeGroup", method: "DELETE", path: of("groups", group())}) },
		func() edit {
			return looked(post("placeDevice", of("devices", device())+"/place", pick(r, `{"site":"ALPHA0"}`, `{"site":"BRAVO1"}`, `{"site":""}`, `{"cart":"ALPHA0-K","slot":`+strconv.Itoa(r.IntN(9))+`}`, `{"class":"3a"}`, `{"class":""}`, `{"cart":""}`)))
		},
		func() edit {
			return post("moveDevice", of("devices", device())+"/state", fmt.Sprintf(`{"state":%q,"reason":"r","receipt":"r","confirm":true}`, pick(r, "in_use", "defective", "in_repair", "missing", "in_inspection", "retired", "disposed")))
		},
		func() edit {
			return edit{op: "setCart", method: "PATCH", path: "/carts/ALPHA0-K", body: pick(r, `{"classes":["3a"]}`, `{"classes":["3a","3b"]}`, `{"classes":[]}`)}
		},
		func() edit {
			line := pick(r, "ALPHA0;;;", "ALPHA1;;;", ";;;3a", ";;;3b", "ALPHA0;K;"+strconv.Itoa(1+r.IntN(9))+";")
			return edit{op: "importDevices", method: "POST", path: "/imports/devices?tenant=alpha", body: fmt.Sprintf("serial;site;cart;slot;class\nALPHA000%d;%s\n", r.IntN(3), line), content: "application/octet-stream"}
		},
		func() edit {
			if len(w.imports) == 0 {
				return post("undoImport", "/imports/none/undo", "")
			}
			return post("undoImport", of("imports", pick(r, w.imports...))+"/undo", "")
		},
		func() edit {
			return looked(post("setVariable", "/variables", fmt.Sprintf(`{"tenant":%q,"name":"PHONE","value":"%d"}`, tenant(), r.IntN(5))))
		},
		func() edit {
			return looked(edit{op: "removeVariable", method: "DELETE", path: "/variables/PHONE?tenant=" + tenant()})
		},
		func() edit { return post("setSecret", "/secrets", fmt.Sprintf(`{"name":"s","value":"%d"}`, r.IntN(5))) },
		func() edit { return edit{op: "removeSecret", method: "DELETE", path: "/secrets/s"} },
		step("pause"), step("resume"), step("abort"),
		func() edit {
			return post("retryDevice", of("devices", device())+"/retry", fmt.Sprintf(`{"what":%q}`, pick(r, "", "Keynote", "Mensa", item())))
		},
		func() edit {
			return post("cancelCommand", of("commands", pick(r, append(w.all(`SELECT id FROM commands WHERE state = 'queued' ORDER BY id`), "none")...))+"/cancel", "")
		},
		w.document, w.document, w.document,
		func() edit { // whoever confirms knows on how many it is
			app := pick(r, "Keynote", "Notes", "Mensa")
			n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM device_items WHERE item_id = ? AND state = 'blocked' AND desired IS NULL`, w.meant(app))
			return post("confirmRemoval", "/removals/confirm", fmt.Sprintf(`{"app":%q,"count":%s,"grace_days":%d}`, app, n, pick(r, 0, 1, 30)))
		},
		func() edit {
			return post("cancelRemoval", "/removals/cancel", fmt.Sprintf(`{"app":%q}`, pick(r, "Keynote", "Notes", "Mensa")))
		},
	}
}

// document is what was exported, with something changed by hand.
func (w *ward) document() edit {
	w.Helper()
	r, query := w.rnd, pick(w.rnd, "", "", "tenant=alpha")
	res := w.ask(w.admin, "GET", "/api/v1/document?"+query, "")
	var doc map[string][]map[string]any
	if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil || res.Code != 200 {
		w.Fatal(res.Code, res.Body, err)
	}
	for range 1 + r.IntN(3) {
		section := pick(r, "apps", "apps", "groups", "assignments", "assignments", "profiles")
		list := doc[section]
		if len(list) == 0 {
			continue
		}
		i := r.IntN(len(list))
		switch n := r.IntN(4); {
		case n == 0:
			doc[section] = slices.Delete(list, i, i+1)
		case n == 1:
			delete(doc, section) // as it is
		case section == "apps":
			list[i]["holds_data"] = n == 2 && r.IntN(2) == 0
		case section == "groups" && list[i]["rule"] == nil:
			list[i]["devices"] = []string{pick(r, "ALPHA0000", "ALPHA0001", "ALPHA0002")}
		case section == "groups":
			list[i]["rule"] = "site = ALPHA1"
		case section == "assignments" && n == 2:
			list[i]["exclude"] = list[i]["exclude"] == nil
		case section == "assignments":
			list[i]["to"] = pick(r, "tenant:alpha", "site:ALPHA0", "device:ALPHA0001")
		}
	}
	return looked(post("applyDocument", "/document?remove_all=true&"+query, quoted(doc)))
}

// step makes an edit as people do, with or without a look at it before, and lets
// the servers, the time and some iPads go on. What is refused is asked otherwise.
func (w *ward) step(draw func() edit, tries int) {
	w.Helper()
	for range tries {
		if w.try(draw()) {
			break
		}
	}
	w.plan()
	for _, p := range w.pads {
		if w.rnd.IntN(2) == 0 {
			p.session()
		}
	}
	w.Clock.Forward(pick(w.rnd, time.Minute, 20*time.Minute, 2*time.Hour, 25*time.Hour, 25*time.Hour))
	w.plan()
}

// try asks for an edit, and tells whether it was made.
func (w *ward) try(e edit) bool {
	w.Helper()
	if e.content == "" {
		e.content = "application/json"
	}
	path := "/api/v1" + e.path
	with := func(query string) string {
		return path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + query
	}
	at := path
	if e.plans {
		switch w.rnd.IntN(6) {
		case 0, 1:
			at = with("rollout=rings&soak=60")
		case 2:
			at = with("rollout=now")
		case 3:
			at = with("dry_run=true")
		case 4:
			look := w.ask(w.admin, e.method, with("dry_run=true"), e.body, "Content-Type", e.content)
			var doc struct {
				Hash string
				Plan struct{ Hash string }
			}
			if err := json.Unmarshal(look.Body.Bytes(), &doc); err != nil {
				w.Fatal(path, look.Code, look.Body, err)
			}
			at = with("plan=" + doc.Hash + doc.Plan.Hash)
		}
	}
	res := w.ask(w.admin, e.method, at, e.body, "Content-Type", e.content)
	if res.Code >= 500 {
		w.wrong("%s %s: %d %s", e.method, at, res.Code, res.Body)
	}
	if res.Code >= 300 {
		return false
	}
	if strings.Contains(at, "dry_run") {
		return false
	}
	w.told = append(w.told, fmt.Sprintf("%s %s %.1500s: %.100s", e.method, at, e.body, res.Body))
	w.done[e.op]++
	w.heard(e, res.Body.Bytes())
	return true
}

// heard takes what an answer says that matters later.
func (w *ward) heard(e edit, body []byte) {
	w.Helper()
	var doc struct {
		ID          string    `json:"id"`
		RemoveAfter time.Time `json:"remove_after"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &doc); err != nil {
			w.Fatal(err)
		}
	}
	var asked struct{ App string }
	switch e.op {
	case "importDevices":
		w.imports = append(w.imports, doc.ID)
	case "confirmRemoval", "cancelRemoval":
		if err := json.Unmarshal([]byte(e.body), &asked); err != nil {
			w.Fatal(err)
		}
		app := w.meant(asked.App)
		bundle := w.one(`SELECT bundle_id FROM apps WHERE id = ?`, app)
		for _, id := range w.all(`SELECT enrollment_id FROM device_items WHERE item_id = ? AND state = 'blocked' AND desired IS NULL`, app) {
			if e.op == "confirmRemoval" {
				w.may[[2]string{id, bundle}] = doc.RemoveAfter
			} else {
				delete(w.may, [2]string{id, bundle})
			}
		}
	}
}

func TestNoSequenceOfEditsDestroysDataOrEndsTheManagement(t *testing.T) {
	seeds, steps := uint64(2), 50
	if n, err := strconv.ParseUint(os.Getenv("RANZEN_EDITS"), 10, 8); err == nil {
		seeds, steps = seeds*n, 300
	}
	done, gone := map[string]int{}, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				w := newWard(t, db, seed)
				edits := w.edits()
				w.rnd.Shuffle(len(edits), func(i, j int) { edits[i], edits[j] = edits[j], edits[i] })
				for n := range steps { // all of them once, then whatever
					if n < len(edits) {
						w.step(edits[n], 40)
					} else {
						w.step(pick(w.rnd, edits...), 5)
					}
				}
				for op, n := range w.done {
					done[op] += n
				}
				gone += w.gone
			})
		})
	}
	if t.Failed() {
		return
	}
	if gone == 0 {
		t.Error("not even what was confirmed went")
	}
	var fresh *ward // where there is something of every kind, for what chance left out
	for _, op := range wishing(t) {
		if done[op] > 0 {
			continue
		}
		if fresh == nil {
			fresh = newWard(t, sqldbtest.SQLite(t), 99)
		}
		edits := fresh.edits()
		for range 2000 {
			if e := pick(fresh.rnd, edits...)(); e.op == op && fresh.try(e) {
				break
			}
		}
		if fresh.plan(); fresh.done[op] == 0 {
			t.Errorf("%s was never done: is it a route by which wishes change? Then it belongs into edits", op)
		}
	}
}

// wishing are the operations by which wishes change, by the API's own document.
func wishing(t *testing.T) (out []string) {
	t.Helper()
	like := []string{ // these go the way of others, or make what nobody is in yet
		"addWebClip", "addCertificate", "addAirPrint", "addAppLock", "addDNS", "addHomeScreen", "addLockScreen", "addNotifications", "addPasscode", "addProxy", "addWebFilter", "addEducation", "addFont",
		"addTenant", "setTenant", "addSchool", "addSite", "addRoom", "addClass", "addCart", "tagDevice", "saveMapping",
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID   string `yaml:"operationId"`
			Tags []string
		}
	}
	if err := yaml.Unmarshal([]byte(newHouse(t, sqldbtest.SQLite(t)).document()), &doc); err != nil {
		t.Fatal(err)
	}
	for _, methods := range doc.Paths {
		for method, op := range methods {
			about := slices.ContainsFunc(op.Tags, func(tag string) bool {
				return slices.Contains([]string{"profiles", "apps", "assignments", "document", "groups", "world", "import"}, tag)
			})
			if method != "get" && about && !slices.Contains(like, op.ID) {
				out = append(out, op.ID)
			}
		}
	}
	if len(out) < 25 {
		t.Fatalf("only %v change wishes", out)
	}
	return out
}

// An iPad keeps one profile of an identifier: what has that of the enrollment
// profile would take the management with it when it goes.
func TestNoProfileTakesThePlaceOfTheOneThatEnrolls(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite(t))
	w := &ward{town: &town{house: h}}
	w.made("/tenants", `{"code":"alpha","name":"T"}`, "id")
	own := w.enrollmentProfile()
	for id, want := range map[string]int{own: 422, own + ".mdm": 422, strings.ToUpper(own): 422, own + "s": 200, "org.example": 200} {
		file := strings.ReplaceAll(strings.ReplaceAll(mobileconfig, "org.example.new<n>.a", "org.example.inner"), "org.example.new<n>", id)
		res := h.ask(h.admin, "POST", "/api/v1/profiles?name="+id, file, "Content-Type", "application/x-apple-aspen-config")
		if res.Code != want || want == 422 && !strings.Contains(res.Body.String(), `"profile.enrollment"`) {
			t.Errorf("%s: %d %s", id, res.Code, res.Body)
		}
	}
}
