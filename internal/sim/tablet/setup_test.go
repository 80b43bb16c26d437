package tablet_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/plist"
	"github.com/smallstep/pkcs7"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

// reception is Apple as tablets ask it, and the school's door for Setup Assistant,
// whose certificate only the enrollment profile at Apple vouches for.
type reception struct {
	*httptest.Server
	door   *httptest.Server
	school *school

	mu       sync.Mutex
	profile  map[string]any // nil: nobody's
	identity map[string]any
	apple    []http.HandlerFunc // answer instead, in order
	server   []http.HandlerFunc // the same at the door
	infos    []map[string]any   // machine infos that came
	asked    []string           // serials that asked Apple
	paused   []time.Duration
	events   []tablet.Event
}

func newReception(t *testing.T) *reception {
	t.Helper()
	r := &reception{school: newSchool(t), identity: map[string]any{}}
	chain, key := deviceIdentity(t)
	r.identity["cert_pem"], r.identity["key_pem"] = chain, key
	r.door = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.open(t, w, q) }))
	r.door.Config.ErrorLog = log.New(io.Discard, "", 0) // some tablets do not trust it
	r.door.StartTLS()
	t.Cleanup(r.door.Close)
	r.profile = map[string]any{
		"url": r.door.URL + "/enroll/ade", "is_supervised": true, "await_device_configured": true, "is_mdm_removable": false,
		"anchor_certs": []any{base64.StdEncoding.EncodeToString(r.door.Certificate().Raw)},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /activation/{serial}", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, q.PathValue("serial"))
		h := next(&r.apple)
		doc := map[string]any{"profile": r.profile, "identity": r.identity}
		r.mu.Unlock()
		if h != nil {
			h(w, q)
		} else if err := json.NewEncoder(w).Encode(doc); err != nil {
			t.Error(err)
		}
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

func next(list *[]http.HandlerFunc) (h http.HandlerFunc) {
	if len(*list) > 0 {
		h, *list = (*list)[0], (*list)[1:]
	}
	return h
}

// open takes a machine info and gives the enrollment profile.
func (r *reception) open(t *testing.T, w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		t.Error(err)
	}
	if got := q.Header.Get("Content-Type"); q.Method != http.MethodPost || got != "application/pkcs7-signature" {
		t.Errorf("%s with content type %q", q.Method, got)
	}
	p7, err := pkcs7.Parse(body)
	if err != nil {
		t.Errorf("the machine info: %v", err)
		return
	}
	var info map[string]any
	if err := plist.Unmarshal(p7.Content, &info); err != nil || len(p7.Certificates) != 2 {
		t.Errorf("the machine info with %d certificates: %v", len(p7.Certificates), err)
	}
	r.mu.Lock()
	r.infos = append(r.infos, info)
	h := next(&r.server)
	r.mu.Unlock()
	if h != nil {
		h(w, q)
		return
	}
	w.Header().Set("Content-Type", "application/x-apple-aspen-config")
	_, _ = w.Write(r.school.profile(t))
}

// boxed is a tablet that is switched off.
func (r *reception) boxed(t *testing.T, change func(*tablet.Config)) *tablet.Tablet {
	t.Helper()
	return boxed(t, func(c *tablet.Config) {
		c.Supervised, c.Activation, c.Roots = false, r.URL, x509.NewCertPool()
		c.Pause = func(_ context.Context, d time.Duration) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.paused = append(r.paused, d)
			return nil
		}
		c.On = func(e tablet.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		}
		if change != nil {
			change(c)
		}
	})
}

// told are the events of a kind.
func (r *reception) told(kind string) (out []tablet.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Event == kind {
			out = append(out, e)
		}
	}
	return out
}

// deviceIdentity is a chain of two, leaf first, and the leaf's key.
var deviceChain = sync.OnceValues(func() ([2]string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return [2]string{}, err
	}
	var chain strings.Builder
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Device CA"}, IsCA: true, BasicConstraintsValid: true}
	for _, name := range []string{"leaf", "Device CA"} {
		c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), key)
		if err != nil {
			return [2]string{}, err
		}
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return [2]string{chain.String(), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}, err
})

func deviceIdentity(t *testing.T) (chain, key string) {
	t.Helper()
	pair, err := deviceChain()
	if err != nil {
		t.Fatal(err)
	}
	return pair[0], pair[1]
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

func says(code int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestATabletSetsItselfUpAndWaitsToBeReleased(t *testing.T) {
	r := newReception(t)
	s := r.school
	x := r.boxed(t, func(c *tablet.Config) { c.OSVersion, c.Code = "26.1", true })
	if got := x.State(); got.Setup != "off" || got.Enrolled {
		t.Errorf("in its box: %+v", got)
	}
	if err := x.SetUp(t.Context()); err != nil {
		t.Fatalf("set up: %v", err)
	}
	if err := x.SetUp(t.Context()); !errors.Is(err, tablet.ErrEnrolled) {
		t.Errorf("a second time: %v", err)
	}
	for _, key := range []string{"UDID", "SERIAL", "PRODUCT", "VERSION", "OS_VERSION", "LANGUAGE", "SOFTWARE_UPDATE_DEVICE_ID", "SUPPLEMENTAL_BUILD_VERSION"} {
		if v, _ := r.infos[0][key].(string); v == "" {
			t.Errorf("the machine info lacks %s", key)
		}
	}
	if r.infos[0]["SERIAL"] != x.Serial() || r.infos[0]["MDM_CAN_REQUEST_SOFTWARE_UPDATE"] != true || r.asked[0] != x.Serial() {
		t.Errorf("machine info %v, asked %v", r.infos[0], r.asked)
	}
	want := []string{"Authenticate", "TokenUpdate", "SetBootstrapToken", "Idle"}
	if got := s.kinds(); !slices.Equal(got, want) || s.messages[1]["AwaitingConfiguration"] != true {
		t.Errorf("messages %v, want %v, awaiting %v", got, want, s.messages[1]["AwaitingConfiguration"])
	}
	if got := x.State(); got.Setup != "awaiting" || !got.Awaiting || !got.Supervised || got.HasCode || got.WiFi == nil {
		t.Errorf("enrolled: %+v", got)
	}
	x.Lock() // nobody can: there is no passcode yet
	if m := s.do(t, x, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "Schule")}); m["Status"] != "Acknowledged" {
		t.Errorf("a profile while it waits: %v", m)
	}
	app := map[string]any{"iTunesStoreID": 1, "ManagementFlags": 1}
	if code, _ := errorOf(t, s.do(t, x, "InstallApplication", app)); code != 12040 {
		t.Errorf("an app for an Apple Account that is not there: %d", code)
	}
	app["Options"] = map[string]any{"PurchaseMethod": 1}
	if m := s.do(t, x, "InstallApplication", app); m["Status"] != "Acknowledged" {
		t.Errorf("an app with a licence of the device: %v", m)
	}
	info, _ := s.do(t, x, "DeviceInformation", map[string]any{"Queries": []any{"AwaitingConfiguration", "BatteryLevel"}})["QueryResponses"].(map[string]any)
	security, _ := s.do(t, x, "SecurityInfo", nil)["SecurityInfo"].(map[string]any)
	how, _ := security["ManagementStatus"].(map[string]any)
	if level, _ := info["BatteryLevel"].(float64); level < 0.5 || level > 1 {
		t.Errorf("the battery is at %v", level)
	}
	if info["AwaitingConfiguration"] != true || security["PasscodePresent"] != false || how["EnrolledViaDEP"] != true {
		t.Errorf("information %v, security %v", info, security)
	}

	if m := s.do(t, x, "DeviceConfigured", nil); m["Status"] != "Acknowledged" {
		t.Errorf("release: %v", m)
	}
	kinds := s.kinds()
	last := s.messages[len(kinds)-1]
	if last["MessageType"] != "TokenUpdate" || last["AwaitingConfiguration"] != false || last["UnlockToken"] != nil {
		t.Errorf("after the release it said %v", last)
	}
	if got := x.State(); got.Setup != "released" || got.Awaiting || !got.HasCode || len(r.told("released")) != 1 {
		t.Errorf("released: %+v", got)
	}
	m := s.do(t, x, "DeviceConfigured", nil)
	if code, said := errorOf(t, m); m["Status"] != "Error" || code != 12021 || !strings.Contains(said, "does not await") {
		t.Errorf("a second release: %v", m)
	}
	if err := x.RemoveManagement(t.Context()); err == nil || !x.Enrolled() {
		t.Errorf("a person removes the management: %v", err)
	}
}

func TestATabletThatNeedNotWaitIsThroughAtOnce(t *testing.T) {
	for name, change := range map[string]func(p map[string]any){
		"not told to wait": func(p map[string]any) { p["await_device_configured"] = false },
		"not supervised":   func(p map[string]any) { p["is_supervised"] = false }, // then waiting is ignored
	} {
		t.Run(name, func(t *testing.T) {
			r := newReception(t)
			change(r.profile)
			delete(r.profile, "is_mdm_removable")
			x := r.boxed(t, func(c *tablet.Config) { c.Code = true })
			if err := x.SetUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := x.State(); got.Setup != "released" || got.Awaiting || !got.HasCode || r.school.messages[1]["AwaitingConfiguration"] != false {
				t.Errorf("state %+v", got)
			}
			if m := r.school.do(t, x, "DeviceConfigured", nil); m["Status"] != "Error" {
				t.Errorf("release: %v", m)
			}
			if err := x.RemoveManagement(t.Context()); err != nil {
				t.Errorf("a person removes the management: %v", err)
			}
			if got := x.State(); got.Setup != "unmanaged" {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}

func TestATabletWithoutAnEnrollmentProfileIsNobodys(t *testing.T) {
	r := newReception(t)
	assigned := r.profile
	r.profile = nil
	x := r.boxed(t, nil)
	if err := x.SetUp(t.Context()); !errors.Is(err, tablet.ErrNoProfile) {
		t.Errorf("set up: %v", err)
	}
	if got := x.State(); got.Setup != "unmanaged" || got.Enrolled || len(r.infos) != 0 || len(r.told("unmanaged-setup")) != 1 {
		t.Errorf("state %+v, %d machine infos", got, len(r.infos))
	}
	r.profile = assigned
	x.EraseByHand() // as in life
	if got := x.State(); got.Setup != "off" || x.ComesBack() {
		t.Errorf("erased: %+v", got)
	}
	if err := x.SetUp(t.Context()); err != nil || x.State().Setup != "awaiting" {
		t.Errorf("set up again: %v", err)
	}
}

func TestAnIPadAsksPolitelyAndSaysWhatItGot(t *testing.T) {
	r := newReception(t)
	r.apple = []http.HandlerFunc{status(429, "Retry-After", "7"), status(503)}
	r.server = []http.HandlerFunc{status(503, "Retry-After", "2"), status(403)}
	x := r.boxed(t, nil)
	for _, want := range []struct {
		status int
		after  time.Duration
		setup  string
	}{{429, 7 * time.Second, "activating"}, {503, 0, "activating"}, {503, 2 * time.Second, "enrolling"}, {403, 0, "enrolling"}} {
		err := x.SetUp(t.Context())
		h, ok := errors.AsType[*tablet.HTTPError](err)
		if !ok || h.Status != want.status || h.RetryAfter != want.after {
			t.Errorf("got %v, want %+v", err, want)
		}
		if got := x.State(); got.Setup != want.setup || got.Enrolled || got.Awaiting || got.LastError == "" {
			t.Errorf("state %+v, want %s", got, want.setup)
		}
	}
	var codes []string
	for _, e := range r.told("setup-failed") {
		codes = append(codes, e.Status)
	}
	if !slices.Equal(codes, []string{"429", "503", "503", "403"}) {
		t.Errorf("the events say %v", codes)
	}
	if err := x.SetUp(t.Context()); err != nil {
		t.Errorf("at last: %v", err)
	}
}

func TestWrongAnswersEnrollNobody(t *testing.T) {
	tooOld := `{"code":"com.apple.softwareupdate.required","details":{"OSVersion":"18.6"}}`
	for _, c := range []struct {
		name   string
		change func(r *reception)
		says   string
	}{
		{"Apple gives half an answer", func(r *reception) { r.apple = []http.HandlerFunc{says(200, "", `{"profile":`)} }, "Apple's answer"},
		{"Apple gives no identity", func(r *reception) { r.identity["cert_pem"] = "" }, "no identity"},
		{"Apple gives a broken key", func(r *reception) {
			r.identity["key_pem"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		}, "the tablet's key"},
		{"no address", func(r *reception) { delete(r.profile, "url") }, "not HTTPS"},
		{"an address without TLS", func(r *reception) { r.profile["url"] = "http://mdm.example/enroll" }, "not HTTPS"},
		{"a web page for people", func(r *reception) { r.profile["configuration_web_url"] = "https://mdm.example/" }, "web page"},
		{"anchors that are no base64", func(r *reception) { r.profile["anchor_certs"] = []any{"?"} }, "anchor_certs"},
		{"anchors that are no certificates", func(r *reception) { r.profile["anchor_certs"] = []any{"AAAA"} }, "anchor_certs"},
		{"another anchor", func(r *reception) {
			r.profile["anchor_certs"] = []any{base64.StdEncoding.EncodeToString(r.school.ca.Raw)}
		}, "certificate"},
		{"no anchor", func(r *reception) { delete(r.profile, "anchor_certs") }, "certificate"},
		{"a page instead of a profile", func(r *reception) { r.server = []http.HandlerFunc{says(200, "text/html", "<html>")} }, "content type"},
		{"nothing", func(r *reception) {
			r.server = []http.HandlerFunc{says(200, "application/x-apple-aspen-config", "")}
		}, "malformed"},
		{"a profile without management", func(r *reception) {
			r.school.change = func(p map[string]any) { p["PayloadContent"] = p["PayloadContent"].([]any)[:1] }
		}, "no payload com.apple.mdm"},
		{"an update that does not say its kind", func(r *reception) { r.server = []http.HandlerFunc{says(403, "text/plain", tooOld)} }, "403"},
		{"an update to nothing", func(r *reception) {
			r.server = []http.HandlerFunc{says(403, "application/json", `{"code":"com.apple.softwareupdate.required"}`)}
		}, "403"},
		{"an update to what it has", func(r *reception) {
			r.server = []http.HandlerFunc{says(403, "application/json", strings.ReplaceAll(tooOld, "18.6", "18.1"))}
		}, "has 18.1 already"},
		{"an update to what there is not", func(r *reception) {
			r.server = []http.HandlerFunc{says(403, "application/json", strings.ReplaceAll(tooOld, "18.6", "45.0"))}
		}, "none newer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReception(t)
			c.change(r)
			x := r.boxed(t, nil)
			if err := x.SetUp(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("set up: %v, want something with %q", err, c.says)
			}
			if got := x.State(); got.Enrolled || got.Awaiting || got.OSVersion != "18.1" || len(got.Profiles) != 0 || len(r.school.kinds()) != 0 {
				t.Errorf("state %+v, messages %v", got, r.school.kinds())
			}
			if len(r.told("setup-failed"))+len(r.told("enroll-failed")) != 1 {
				t.Errorf("events %+v", r.events)
			}
		})
	}
}

func TestATabletUpdatesItselfWhenTheServerWantsThat(t *testing.T) {
	list, err := plist.Marshal(map[string]any{"code": "com.apple.softwareupdate.required", "details": map[string]any{"OSVersion": "27.1", "BuildVersion": "24B5555"}})
	if err != nil {
		t.Fatal(err)
	}
	r := newReception(t)
	r.server = []http.HandlerFunc{
		says(403, "application/json; charset=utf-8", `{"code":"com.apple.softwareupdate.required","details":{"OSVersion":"18.6 (a)"}}`),
		says(403, "application/xml", string(list)),
	}
	x := r.boxed(t, func(c *tablet.Config) { c.OSVersion, c.UpdateTime = "17.2", time.Hour })
	if err := x.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	var had []any
	for _, info := range r.infos {
		had = append(had, info["OS_VERSION"], info["VERSION"], info["SOFTWARE_UPDATE_DEVICE_ID"] != nil)
	}
	want := []any{"17.2", "21C83", false, "18.6 (a)", "22G83", true, "27.1", "24B5555", true}
	if !slices.Equal(had, want) {
		t.Errorf("the machine infos said %v, want %v", had, want)
	}
	if !slices.Equal(r.paused, []time.Duration{time.Hour, time.Hour}) || len(r.told("updated")) != 2 {
		t.Errorf("it took %v, events %+v", r.paused, r.events)
	}
	if got := x.State(); got.OSVersion != "27.1" || got.Setup != "awaiting" || r.school.messages[0]["BuildVersion"] != "24B5555" {
		t.Errorf("state %+v, Authenticate %v", got, r.school.messages[0])
	}
	if m := r.school.do(t, x, "AvailableOSUpdates", nil); m["Status"] != "Error" {
		t.Errorf("what iPadOS 27 has no more: %v", m)
	}
}

func TestAnOldIPadOSDoesNotUnderstandThatItMustUpdate(t *testing.T) {
	r := newReception(t)
	r.server = []http.HandlerFunc{says(403, "application/json", `{"code":"com.apple.softwareupdate.required","details":{"OSVersion":"18.6"}}`)}
	x := r.boxed(t, func(c *tablet.Config) { c.OSVersion = "16.7" })
	if err := x.SetUp(t.Context()); err == nil || !strings.Contains(err.Error(), "does not understand") {
		t.Errorf("set up: %v", err)
	}
	for _, key := range []string{"OS_VERSION", "MDM_CAN_REQUEST_SOFTWARE_UPDATE", "SOFTWARE_UPDATE_DEVICE_ID"} {
		if _, there := r.infos[0][key]; there {
			t.Errorf("iPadOS 16 told %s", key)
		}
	}
}

func TestAReleaseThatTheServerDidNotHearOfIsToldAgain(t *testing.T) {
	r := newReception(t)
	s := r.school
	x := r.boxed(t, nil)
	if err := x.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	deaf := true
	s.answer = func(w http.ResponseWriter, _ *http.Request, m map[string]any) bool {
		if deaf && m["MessageType"] == "TokenUpdate" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	s.order(x, "DeviceConfigured", nil)
	if err := x.Poll(t.Context()); err == nil || !x.WillConnect() {
		t.Errorf("the release got lost: %v", err)
	}
	if got := x.State(); got.Awaiting || got.Setup != "released" {
		t.Errorf("it is through all the same: %+v", got)
	}
	deaf = false
	for range 2 {
		if err := x.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kinds := s.kinds()
	if got := kinds[len(kinds)-3:]; !slices.Equal(got, []string{"TokenUpdate", "Idle", "Idle"}) {
		t.Errorf("messages %v", kinds)
	}
}

func TestAnErasedTabletAsksAppleAgain(t *testing.T) {
	again := map[string]any{"ReturnToService": map[string]any{"Enabled": true}}
	for _, c := range []struct {
		name      string
		reEnroll  bool
		args      map[string]any
		byHand    bool
		withData  bool
		back      bool
		asksApple int
		asksUs    int
	}{
		{name: "an erase leaves it off", asksApple: 1, asksUs: 1},
		{name: "Return to Service", args: again, back: true, asksApple: 2, asksUs: 2},
		{name: "Return to Service with a profile", args: again, withData: true, back: true, asksApple: 2, asksUs: 1},
		{name: "somebody sets it up again", reEnroll: true, back: true, asksApple: 2, asksUs: 2},
		{name: "erased by hand", byHand: true, asksApple: 1, asksUs: 1},
		{name: "erased by hand and set up again", byHand: true, reEnroll: true, back: true, asksApple: 2, asksUs: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReception(t)
			clk := clock.At(start())
			x := r.boxed(t, func(cfg *tablet.Config) { cfg.ReEnroll, cfg.EraseTime, cfg.Clock = c.reEnroll, time.Minute, clk })
			if err := x.SetUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.withData {
				c.args = map[string]any{"ReturnToService": map[string]any{"Enabled": true, "MDMProfileData": r.school.profile(t), "WiFiProfileData": wifi(t, "staging", "staging")}}
			}
			if c.byHand {
				x.EraseByHand()
				if x.ComesBack() != c.back {
					t.Errorf("comes back %v", x.ComesBack())
				}
				if c.back {
					if err := x.SetUp(t.Context()); err != nil {
						t.Error(err)
					}
				}
			} else {
				r.school.order(x, "EraseDevice", c.args)
				if err := x.Poll(t.Context()); err != nil {
					t.Error(err)
				}
			}
			got := x.State()
			want, enrollments := "off", 1
			if c.back {
				want, enrollments = "awaiting", 2
			}
			if got.Setup != want || got.Enrollments != enrollments || got.Erased != 1 || x.ComesBack() {
				t.Errorf("state %+v", got)
			}
			if len(r.asked) != c.asksApple || len(r.infos) != c.asksUs || (len(r.paused) == 1) != c.back {
				t.Errorf("asked Apple %d times, us %d times, paused %v", len(r.asked), len(r.infos), r.paused)
			}
			if slices.Contains(got.WiFi, "staging") != c.withData {
				t.Errorf("networks %v", got.WiFi)
			}
		})
	}
}

func TestATabletThatFailsToComeBackStillWants(t *testing.T) {
	r := newReception(t)
	x := r.boxed(t, func(c *tablet.Config) { c.EraseTime = time.Minute })
	if err := x.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.apple = []http.HandlerFunc{status(503)}
	r.school.order(x, "EraseDevice", map[string]any{"ReturnToService": map[string]any{"Enabled": true}})
	if err := x.Poll(t.Context()); err == nil || !x.ComesBack() {
		t.Errorf("poll: %v, comes back %v", err, x.ComesBack())
	}
	if err := x.SetUp(t.Context()); err != nil || x.ComesBack() || len(r.paused) != 1 {
		t.Errorf("set up: %v, paused %v", err, r.paused)
	}
}
