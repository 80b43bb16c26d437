package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
)

// person is somebody who asks.
type person struct {
	name, token string
	role        auth.Role
	tenant      string // code, "" for the provider's
}

// town is a house with two tenants, each with rows of every kind. All names and
// codes of a tenant hold its code, so that a leak can be seen.
type town struct {
	*house
	refs   map[string]map[string][]string // tenant -> kind -> what rows of the kind are called
	people []person
	ids    map[string]string // tenant code -> id
	n      int
}

func newTown(t *testing.T, db *sqldb.DB) *town {
	t.Helper()
	w := &town{house: newHouse(t, db), refs: map[string]map[string][]string{}, ids: map[string]string{}}
	w.people = []person{{"provider's admin", w.admin, auth.Admin, ""}, {"provider's viewer", w.viewer, auth.Viewer, ""}}
	for _, code := range []string{"alpha", "bravo"} {
		w.refs[code] = map[string][]string{}
		w.settle(code)
	}
	w.shared()
	for _, code := range []string{"alpha", "bravo"} {
		w.wishes(code)
	}
	return w
}

// made posts and gives one value of the answer.
func (w *town) made(path, body, key string, headers ...string) string {
	w.Helper()
	res := w.ask(w.admin, "POST", "/api/v1"+path, body, headers...)
	if res.Code/100 != 2 {
		w.Fatalf("POST %s %s: %d %s", path, body, res.Code, res.Body)
	}
	var doc map[string]any
	if res.Body.Len() > 0 {
		if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil {
			w.Fatal(err)
		}
	}
	if inner, ok := doc["token"].(map[string]any); ok { // a key of Apple School Manager
		doc = inner
	}
	s, _ := doc[key].(string)
	if s == "" && key != "" {
		w.Fatalf("POST %s: no %s in %s", path, key, res.Body)
	}
	return s
}

// settle makes the rows of one tenant. Where something is removed by a test, the
// kind has two rows: one for the tenant's administrator and one for the provider's.
func (w *town) settle(code string) {
	w.Helper()
	up, r := strings.ToUpper(code), w.refs[code]
	fill := func(text string) string { return strings.NewReplacer("$c", code, "$C", up).Replace(text) }
	add := func(kind string, refs ...string) { r[kind] = append(r[kind], refs...) }
	w.ids[code] = w.made("/tenants", fill(`{"code":"$c","name":"Town of $c"}`), "id")
	add("tenant", code, w.ids[code])
	add("school", up+"SCH", w.made("/schools", fill(`{"tenant":"$c","code":"$CSCH","name":"School $c"}`), "id"))
	add("site", up+"SIT", w.made("/sites", fill(`{"tenant":"$c","school":"$CSCH","code":"$CSIT","name":"Site $c","address":"$c street"}`), "id"))
	add("room", "Room "+code, w.made("/rooms", fill(`{"tenant":"$c","site":"$CSIT","name":"Room $c"}`), "id"))
	add("cart", up+"SIT-"+up+"K", w.made("/carts", fill(`{"tenant":"$c","site":"$CSIT","code":"$CK","slots":20,"label":"Cart $c"}`), "id"))
	add("class", up+"SCH/3"+code+"/2026/27", w.made("/classes", fill(`{"tenant":"$c","school":"$CSCH","name":"3$c","year":"2026/27"}`), "id"))
	add("delivery", "L-"+up, w.made("/deliveries", fill(`{"tenant":"$c","code":"L-$C","expected":3,"supplier":"Dealer $c"}`), "id"))
	add("group", "Group "+code, w.made("/groups", fill(`{"tenant":"$c","name":"Group $c"}`), "id"))
	add("profile", "Wi-Fi "+code, w.made("/profiles/wifi", fill(`{"tenant":"$c","name":"Wi-Fi $c","ssid":"$c","security":"none"}`), "name"))
	add("app", "App "+code, w.made("/apps", fill(`{"tenant":"$c","name":"App $c","adam_id":"409183694","bundle_id":"com.$c.app"}`), "name"))
	add("link", w.made("/links", fill(`{"tenant":"$c","name":"Link $c","group":"Group $c"}`), "id"), "Link "+code)
	add("adetoken", "Key "+code, w.made("/ade/tokens", fill(`{"tenant":"$c","name":"Key $c"}`), "name"))
	add("adeprofile", "Setup "+code, w.made("/ade/profiles", fill(`{"tenant":"$c","name":"Setup $c"}`), "name"))
	w.made("/ade/profiles/"+url.PathEscape("Setup "+code)+"/assign", fill(`{"to":"tenant:$c"}`), "")
	for i := range 2 {
		two := strings.NewReplacer("$c", fmt.Sprint(code, i), "$t", code)
		add("sparelink", w.made("/links", two.Replace(`{"tenant":"$t","name":"Spare link $c"}`), "id"))
		add("sparegroup", w.made("/groups", two.Replace(`{"tenant":"$t","name":"Spare $c"}`), "id"))
		add("spareprofile", w.made("/profiles/restrictions", two.Replace(`{"tenant":"$t","name":"Spare profile $c","restrictions":{"allowCamera":false}}`), "name"))
		w.made("/variables", two.Replace(fmt.Sprintf(`{"tenant":"$t","name":"%s_%d","value":"x"}`, up, i)), "")
		add("sparevariable", fmt.Sprintf("%s_%d", up, i))
		add("sparesecret", w.made("/secrets", two.Replace(`{"tenant":"$t","name":"secret-$c","value":"x"}`), "name"))
		add("spareapp", w.made("/apps", two.Replace(`{"tenant":"$t","name":"Spare app $c","adam_id":"409183694","bundle_id":"com.spare.$c"}`), "name"))
		add("spareadetoken", w.made("/ade/tokens", two.Replace(`{"tenant":"$t","name":"Spare key $c"}`), "name"))
		add("spareadeprofile", w.made("/ade/profiles", two.Replace(`{"tenant":"$t","name":"Spare setup $c"}`), "name"))
		add("spareuser", w.made("/users", two.Replace(`{"tenant":"$t","name":"spare-$c","role":"viewer"}`), "name"))
		add("sparetoken", w.made("/tokens", two.Replace(`{"user":"spare-$c","name":"t"}`), "id"))
	}
	for _, role := range []auth.Role{auth.Admin, auth.Viewer} {
		name := code + "-" + string(role)
		w.made("/users", fmt.Sprintf(`{"tenant":%q,"name":%q,"role":%q}`, code, name, role), "name")
		res := w.ask(w.admin, "POST", "/api/v1/tokens", fmt.Sprintf(`{"user":%q,"name":"t"}`, name))
		var doc struct{ Token string }
		if err := json.Unmarshal(res.Body.Bytes(), &doc); err != nil || doc.Token == "" {
			w.Fatal(res.Body, err)
		}
		w.people = append(w.people, person{code + "'s " + string(role), doc.Token, role, code})
		add("user", name)
	}
	w.tablets(code)
	w.made("/apps", fill(`{"tenant":"$c","name":"Kept app $c","adam_id":"409183694","bundle_id":"com.$c.kept","holds_data":true}`), "name")
	w.exec(`INSERT INTO device_items (enrollment_id, item_kind, item_id, generation, observed, observed_at, state, updated_at)
		SELECT CAST(? AS TEXT), 'app', a.id, 1, 1, 1, 'blocked', 1 FROM apps a WHERE a.name = ?`, code+"-held-3-first", "Kept app "+code)
	w.exec(`INSERT INTO rollouts (id, tenant_id, title, state, ring, soak, opened_at, undo, sizes, created_by, created_at) VALUES (?, ?, ?, 'paused', 0, 1, 1, '[]', '[1,1,1]', 'user:x', 1)`,
		code+"-rollout", w.ids[code], "Wi-Fi "+code)
	add("rollout", code+"-rollout")
	for i := range 2 {
		id := fmt.Sprintf("%s-rollout-%d", code, i)
		w.exec(`INSERT INTO rollouts (id, tenant_id, title, state, ring, soak, opened_at, undo, sizes, created_by, created_at) VALUES (?, ?, ?, 'paused', 0, 1, 1, '[]', '[1,1,1]', 'user:x', 1)`,
			id, w.ids[code], "Spare "+code)
		add("sparerollout", id)
	}
	serial := r["device"][0]
	w.made("/groups/"+url.PathEscape("Group "+code)+"/add", fmt.Sprintf(`{"devices":[%q]}`, serial), "")
	w.made("/devices/"+serial+"/place", fill(`{"cart":"$CSIT-$CK","slot":7,"class":"$CSCH/3$c"}`), "")
	w.made("/devices/"+serial+"/tag", fill(`{"tag":"TAG-$C"}`), "")
	r["device"] = append(r["device"], "TAG-"+up)
	add("command", w.made("/devices/"+serial+"/refresh", "", "command"))
	add("import", w.made("/imports/devices?tenant="+code, "serial\n"+up+"FILE01\n", "id", "Content-Type", "application/octet-stream"))
}

// tablets makes devices: one enrolled, and four with a second enrollment held.
func (w *town) tablets(code string) {
	w.Helper()
	up, r := strings.ToUpper(code), w.refs[code]
	certificate := fmt.Sprintf("7777888899990000%d", code[0])
	w.exec(`INSERT INTO devices (id, tenant_id, serial, delivery_id, created_at, updated_at) VALUES (?, ?, ?, ?, 0, 0)`,
		code+"-device", w.ids[code], up+"0001", r["delivery"][1])
	w.exec(`INSERT INTO enrollments (id, device_id, udid, generation, state, supervised, created_at, enrolled_at, updated_at) VALUES (?, ?, ?, 1, 'enrolled', TRUE, 0, 1, 0)`,
		code+"-enrollment", code+"-device", code+"-udid")
	w.exec(`INSERT INTO certificates (hash, serial, kind, enrollment_id, generation, purpose, state, not_after, created_at, der) VALUES (?, ?, 'identity', ?, 1, 'enroll', 'pinned', 9999999999999, 0, ?)`,
		code+"-hash", certificate, code+"-enrollment", []byte("der"))
	w.exec(`INSERT INTO ade_devices (token_id, serial, tenant_id, run, order_no, first_at, seen_at)
		SELECT t.id, ?, t.tenant_id, 1, ?, 0, 0 FROM ade_tokens t WHERE t.name = ?`, up+"0001", "Order "+code, "Key "+code)
	r["device"] = []string{up + "0001", code + "-device", code + "-udid"}
	r["certificate"] = []string{certificate}
	for i, kind := range []string{"hold", "hold", "rejecthold", "rejecthold"} {
		id := fmt.Sprintf("%s-held-%d", code, i)
		w.exec(`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES (?, ?, ?, 0, 0)`, id+"-device", w.ids[code], fmt.Sprintf("%sHELD%d", up, i))
		w.exec(`INSERT INTO enrollments (id, device_id, udid, generation, state, created_at, updated_at) VALUES (?, ?, ?, 1, 'enrolled', 0, 0)`, id+"-first", id+"-device", id+"-udid")
		w.exec(`INSERT INTO enrollments (id, device_id, udid, generation, state, created_at, updated_at) VALUES (?, ?, ?, 1, 'held', 0, 0)`, id, id+"-device", id+"-other")
		w.exec(`INSERT INTO holds (enrollment_id, other_id, device_id, reason, opened_at) VALUES (?, ?, ?, 'seen-lately', 0)`, id, id+"-first", id+"-device")
		r[kind] = append(r[kind], id)
	}
}

func (w *town) exec(text string, args ...any) {
	w.Helper()
	err := w.DB.Do(w.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.Context(), text, args...)
		return err
	})
	if err != nil {
		w.Fatal(text, err)
	}
}

// shared makes what is the provider's and every tenant may use.
func (w *town) shared() {
	w.Helper()
	w.made("/groups", `{"name":"Shared group"}`, "id")
	w.made("/groups/Shared%20group/add", `{"devices":["ALPHA0001","BRAVO0001"]}`, "")
	w.made("/profiles/wifi", `{"name":"Shared Wi-Fi","ssid":"school","security":"none"}`, "name")
	w.made("/apps", `{"name":"Shared app","adam_id":"409183694","bundle_id":"com.shared.app"}`, "name")
	w.made("/ade/profiles", `{"name":"Shared setup"}`, "name")
	w.made("/assignments", `{"names":["Shared app"],"to":"group:Shared group"}`, "")
}

// wishes makes assignments: one of the tenant's own, one of the provider's.
func (w *town) wishes(code string) {
	w.Helper()
	up := strings.ToUpper(code)
	w.made("/assignments", fmt.Sprintf(`{"tenant":%q,"names":[%q],"to":"site:%sSIT"}`, code, "Wi-Fi "+code, up), "")
	w.made("/assignments", fmt.Sprintf(`{"names":["Shared Wi-Fi"],"to":"tenant:%s"}`, code), "")
	for i, camera := range []bool{true, false} { // they disagree
		name := fmt.Sprintf("Rules %s %d", code, i)
		w.made("/profiles/restrictions", fmt.Sprintf(`{"tenant":%q,"name":%q,"restrictions":{"allowCamera":%v}}`, code, name, camera), "name")
		w.made("/assignments", fmt.Sprintf(`{"tenant":%q,"names":[%q],"to":"tenant:%s"}`, code, name, code), "")
	}
	err := w.DB.Do(w.Context(), func(tx *sqldb.Tx) error {
		return w.Audit.Append(w.Context(), tx, audit.Event{Actor: "device:" + audit.Actor(code+"-device"), Action: "device.test", Subject: "device:" + code + "-device", Detail: map[string]any{"note": code}})
	})
	if err != nil {
		w.Fatal(err)
	}
}

// first is an answer that ends the request with its first bytes: a stream would
// never end by itself.
type first struct {
	*httptest.ResponseRecorder
	enough func()
}

func (f first) Write(b []byte) (int, error) {
	defer f.enough()
	return f.ResponseRecorder.Write(b)
}

var _ http.Flusher = first{}
