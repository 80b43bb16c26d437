package tablet_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

// serials are so many as stand on boxes.
func serials(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("RZBOX%05d", i))
	}
	return out
}

// options are a fleet that asks this Apple.
func (r *reception) options(n int) tablet.Options {
	return tablet.Options{Activation: r.URL + "/", Serials: serials(n), Seed: 5, Clock: clock.System(), SharedKeys: 1, Roots: x509.NewCertPool()}
}

// states are the tablets' places in Setup Assistant, by serial.
func (p *process) states() map[string]string {
	out := map[string]string{}
	for _, x := range p.snapshot() {
		out[x.Serial] = x.Setup
	}
	return out
}

func TestAFleetIsSwitchedOnInWaves(t *testing.T) {
	r := newReception(t)
	o := r.options(6)
	o.Wait, o.Stagger = true, 20*time.Millisecond
	p := run(t, o)
	if e := p.until(named("started")); e.TabletCount != 6 || e.SupervisedCount != 0 {
		t.Errorf("started %+v", e)
	}
	if e := p.ask(`{"do":"setup","serials":["RZBOX00001","RZBOX00003"]}`); e.Event != "done" {
		t.Errorf("the first wave: %+v", e)
	}
	got := p.states()
	for i, serial := range serials(6) {
		want := "off"
		if i == 1 || i == 3 {
			want = "awaiting"
		}
		if got[serial] != want {
			t.Errorf("%s is %s, want %s", serial, got[serial], want)
		}
	}
	if e := p.ask(`{"do":"setup"}`); e.Event != "failed" || !strings.Contains(e.Error, "RZBOX00001: the tablet is enrolled already") {
		t.Errorf("all: %+v", e)
	}
	for serial, state := range p.states() {
		if state != "awaiting" {
			t.Errorf("%s is %s", serial, state)
		}
	}
	if len(r.asked) != 6 {
		t.Errorf("Apple was asked %d times", len(r.asked))
	}
}

func TestAFleetTriesAgainAndTellsWhoIsNobodys(t *testing.T) {
	r := newReception(t)
	r.apple = []http.HandlerFunc{status(503), status(429, "Retry-After", "1")}
	r.server = []http.HandlerFunc{status(500)}
	o := r.options(2)
	began := time.Now()
	p := run(t, o) // no word is needed
	for range 2 {
		p.until(named("enrolled"))
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("it was asked to wait for a second and came after %v", took)
	}
	failed := 0
	for _, e := range p.seen {
		if e.Event == "setup-failed" {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d set-ups failed, want 3", failed)
	}

	r.mu.Lock()
	assigned := r.profile
	r.profile = nil
	r.mu.Unlock()
	for _, order := range []string{`{"do":"erase"}`, `{"do":"setup"}`, `{"do":"retry"}`} {
		want := map[bool]string{true: "done", false: "failed"}[strings.Contains(order, "erase")]
		if e := p.ask(order); e.Event != want || want == "failed" && !strings.Contains(e.Error, tablet.ErrNoProfile.Error()) {
			t.Errorf("%s: %+v", order, e)
		}
	}
	r.mu.Lock()
	r.profile = assigned
	r.mu.Unlock()
	if e := p.ask(`{"do":"retry"}`); e.Event != "done" {
		t.Errorf("retry: %+v", e)
	}
	for serial, state := range p.states() {
		if state != "awaiting" {
			t.Errorf("%s is %s", serial, state)
		}
	}
	if e := p.ask(`{"do":"retry"}`); e.Event != "done" || len(r.infos) != 5 {
		t.Errorf("there was nobody to try again: %+v, %d machine infos", e, len(r.infos))
	}
}

func TestATabletOfAFleetObeysBetweenItsTries(t *testing.T) {
	r := newReception(t)
	refused := make(chan bool)
	r.apple = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
		close(refused)
	}}
	o := r.options(1)
	o.Poll = 10 * time.Millisecond
	p := run(t, o)
	p.until(named("setup-failed"))
	<-refused
	if e := p.ask(`{"do":"setup"}`); e.Event != "done" { // a person does not wait for an hour
		t.Errorf("set up: %+v", e)
	}
	for p.snapshot()[0].Polls < 3 { // and from then on it lives as all do
	}
}

func TestErasedTabletsOfAFleetComeBackWithoutHoldingUpOthers(t *testing.T) {
	r := newReception(t)
	o := r.options(3)
	o.ReEnroll, o.EraseTime, o.Workers = true, 100*time.Millisecond, 1
	p := run(t, o)
	for range 3 {
		p.until(named("enrolled"))
	}
	began := time.Now()
	for _, x := range p.snapshot() {
		fleetOrder(r.school, x.UDID, "EraseDevice", nil)
	}
	p.say(`{"do":"poll"}`)
	for range 3 {
		p.until(func(e tablet.Event) bool { return e.Event == "enrolled" && e.Times == 2 })
	}
	if took := time.Since(began); took < o.EraseTime {
		t.Errorf("they were erased and back after %v", took)
	}
	p.ask(`{"do":"erase","serials":["RZBOX00002"]}`)
	p.until(func(e tablet.Event) bool { return e.Event == "enrolled" && e.Times == 3 })
}

func TestWrongFleetsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*tablet.Options){
		"a serial twice":     func(o *tablet.Options) { o.Serials = []string{"A", "B", "A"} },
		"batteries too low":  func(o *tablet.Options) { o.LowBattery = 1.5 },
		"batteries too full": func(o *tablet.Options) { o.LowBattery = -1 },
	} {
		o := tablet.Options{Serials: serials(2), Clock: clock.System(), SharedKeys: 1}
		change(&o)
		if _, err := tablet.NewFleet(t.Context(), o, func(tablet.Event) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAFleetMixesIPadOSAsSchoolsHaveIt(t *testing.T) {
	versions := func(mix bool) map[string]int {
		f, err := tablet.NewFleet(t.Context(), tablet.Options{Devices: 1000, Seed: 3, Clock: clock.System(), SharedKeys: 1, OSMix: mix}, func(tablet.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		for _, x := range f.Tablets() {
			out[x.State().OSVersion]++
		}
		return out
	}
	got := versions(true)
	for v, want := range map[string]int{"27.1": 780, "26.6": 170, "26.1": 40, "17.5": 10} {
		if n := got[v]; n < want-want/4-5 || n > want+want/4+5 {
			t.Errorf("%d have iPadOS %s, want about %d", n, v, want)
		}
	}
	if len(got) != 4 || fmt.Sprint(got) != fmt.Sprint(versions(true)) {
		t.Errorf("versions %v", got)
	}
	if got := versions(false); got["18.1"] != 1000 {
		t.Errorf("unmixed: %v", got)
	}
}

func TestATabletKnowsWhatItsIPadOSKnows(t *testing.T) {
	type ask struct {
		request string
		args    map[string]any
	}
	preserve := ask{"EraseDevice", map[string]any{"ReturnToService": map[string]any{"Enabled": false, "BootstrapToken": []byte("x")}}}
	restart := ask{"EraseDevice", map[string]any{"ReturnToService": map[string]any{"Enabled": false, "ShouldRetryEnrollment": true}}}
	browser := ask{"Settings", map[string]any{"Settings": []any{map[string]any{"Item": "DefaultApplications", "WebBrowser": "org.example"}}}}
	siri := ask{"InstallProfile", map[string]any{"Payload": profile(t, "r", payload("com.apple.applicationaccess", "r.r", map[string]any{"allowSiriAI": false}))}}
	updates := ask{"AvailableOSUpdates", nil}
	for _, c := range []struct {
		version string
		name    string
		ask     ask
		takes   bool
	}{
		{"18.1", "a token to keep apps", preserve, false}, {"26.1", "a token to keep apps", preserve, true},
		{"26.6", "another try", restart, false}, {"27.1", "another try", restart, true},
		{"18.1", "a browser", browser, false}, {"18.2", "a browser", browser, true}, {"18.10", "a browser", browser, true},
		{"26.6", "a new restriction", siri, false}, {"27.0", "a new restriction", siri, true},
		{"26.6", "updates in the old way", updates, true}, {"27.0", "updates in the old way", updates, false},
	} {
		s := newSchool(t)
		x := enrolled(t, s, func(cfg *tablet.Config) { cfg.OSVersion = c.version })
		m := s.do(t, x, c.ask.request, c.ask.args)
		took := m["Status"] == "Acknowledged"
		if items, ok := m["Settings"].([]any); ok {
			first, _ := items[0].(map[string]any)
			took = first["Status"] == "Acknowledged"
		}
		if took != c.takes {
			t.Errorf("iPadOS %s, %s: %v", c.version, c.name, m)
		}
	}
}

func TestASnapshotTellsWhereATabletStands(t *testing.T) {
	r := newReception(t)
	b, err := json.Marshal(r.boxed(t, nil).State())
	if err != nil || !strings.Contains(string(b), `"setup":"off","awaiting":false`) {
		t.Errorf("%s, %v", b, err)
	}
	b, err = json.Marshal(boxed(t, nil).State())
	if err != nil || strings.Contains(string(b), `"setup"`) || !strings.Contains(string(b), `"awaiting":false`) {
		t.Errorf("%s, %v", b, err)
	}
	keys := []string{"serial", "wifi", "apps", "profiles", "os_version"}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil || slices.ContainsFunc(keys, func(k string) bool { return doc[k] == nil }) {
		t.Errorf("%s, %v", b, err)
	}
}
