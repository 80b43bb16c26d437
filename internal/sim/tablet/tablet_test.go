package tablet_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

func TestATabletEnrollsAsAppleSays(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, func(c *tablet.Config) { c.OSVersion = "26.1" })
	want := []string{"Authenticate", "TokenUpdate", "SetBootstrapToken", "Idle"}
	if got := s.kinds(); !slices.Equal(got, want) {
		t.Errorf("messages %v, want %v", got, want)
	}
	auth, token := s.messages[0], s.messages[1]
	for _, key := range []string{"UDID", "Topic", "SerialNumber", "DeviceName", "Model", "ModelName", "ProductName", "OSVersion", "BuildVersion"} {
		if v, _ := auth[key].(string); v == "" {
			t.Errorf("Authenticate lacks %s", key)
		}
	}
	if b, _ := token["Token"].([]byte); len(b) != 32 {
		t.Errorf("the push token has %d bytes", len(b))
	}
	if b, _ := token["UnlockToken"].([]byte); len(b) == 0 {
		t.Error("the first TokenUpdate has no UnlockToken")
	}
	state := x.State()
	if !state.Enrolled || state.Enrollments != 1 || len(state.Profiles) != 1 || !state.Profiles[0].Signed {
		t.Errorf("state %+v", state)
	}
	for i, signer := range s.signers {
		if signer != state.Identity {
			t.Errorf("message %d was signed by %q, not by the identity", i, signer)
		}
	}
	if err := x.Enroll(t.Context(), s.URL+"/profile"); !errors.Is(err, tablet.ErrEnrolled) {
		t.Errorf("a second enrollment: %v", err)
	}
}

func TestSignaturesOfAllKindsAreValid(t *testing.T) {
	for name, sig := range map[string]tablet.Signature{
		"BER, SHA-256, attributes": {}, "DER": {DER: true}, "SHA-1": {SHA1: true}, "no attributes": {NoAttributes: true},
		"DER, SHA-1, no attributes": {DER: true, SHA1: true, NoAttributes: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSchool(t) // it checks each message with NanoMDM's code
			x := enrolled(t, s, func(c *tablet.Config) { c.Signature = sig })
			if err := x.Poll(t.Context()); err != nil {
				t.Error(err)
			}
			if len(s.signers) < 4 || s.signers[3] == "" {
				t.Errorf("signers %v", s.signers)
			}
		})
	}
}

func TestABadEnrollmentProfileIsRefused(t *testing.T) {
	content := func(p map[string]any, i int) map[string]any {
		list, _ := p["PayloadContent"].([]any)
		m, _ := list[i].(map[string]any)
		return m
	}
	scep := func(p map[string]any) map[string]any {
		m, _ := content(p, 1)["PayloadContent"].(map[string]any)
		return m
	}
	for _, c := range []struct {
		name   string
		change func(p map[string]any)
		says   string
	}{
		{"a typo in the MDM payload", func(p map[string]any) { content(p, 2)["ServerUrl"] = "x" }, "“com.apple.mdm ServerUrl” is unknown"},
		{"no server", func(p map[string]any) { delete(content(p, 2), "ServerURL") }, "“com.apple.mdm ServerURL” is missing"},
		{"rights as text", func(p map[string]any) { content(p, 2)["AccessRights"] = "8191" }, "wrong type"},
		{"rights beyond all", func(p map[string]any) { content(p, 2)["AccessRights"] = 8192 }, "access rights 8192"},
		{"an app's topic", func(p map[string]any) { content(p, 2)["Topic"] = "com.example.app" }, "topic"},
		{"plain HTTP to the outside", func(p map[string]any) { content(p, 2)["ServerURL"] = "http://mdm.example/x" }, "not HTTPS"},
		{"an identity that is not there", func(p map[string]any) { content(p, 2)["IdentityCertificateUUID"] = uuid("x") }, "not in its profile"},
		{"an identity that is none", func(p map[string]any) { content(p, 2)["IdentityCertificateUUID"] = uuid("school.root") }, "is no identity"},
		{"the same UUID twice", func(p map[string]any) { content(p, 1)["PayloadUUID"] = uuid("school.root") }, "occurs twice"},
		{"a root that is no certificate", func(p map[string]any) { content(p, 0)["PayloadContent"] = []byte("x") }, "malformed"},
		{"no key size, so 1024", func(p map[string]any) { delete(scep(p), "Keysize") }, "Keysize"},
		{"an EC key by SCEP", func(p map[string]any) { scep(p)["Key Type"] = "ECSECPrimeRandom" }, "RSA only"},
		{"a wrong challenge", func(p map[string]any) { scep(p)["Challenge"] = "guessed" }, "SCEP"},
		{"another authority's fingerprint", func(p map[string]any) { scep(p)["CAFingerprint"] = make([]byte, 20) }, "CAFingerprint"},
		{"the profile is empty", func(p map[string]any) { p["PayloadContent"] = []any{} }, "empty"},
		{"a future version", func(p map[string]any) { p["PayloadVersion"] = 2 }, "unsupported value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSchool(t)
			s.change = c.change
			x := boxed(t, nil)
			err := x.Enroll(t.Context(), s.URL+"/profile")
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("enroll: %v, want something with %q", err, c.says)
			}
			if state := x.State(); state.Enrolled || len(state.Profiles) != 0 || len(s.kinds()) != 0 {
				t.Errorf("something is left: %+v, %v", state, s.kinds())
			}
		})
	}
}

func TestAProfileThatWasTamperedWithIsRefused(t *testing.T) {
	s := newSchool(t)
	x := boxed(t, nil)
	p := []byte(strings.Replace(string(s.profile(t)), "8191", "8190", 1))
	if err := x.EnrollWith(t.Context(), p); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Errorf("enroll: %v", err)
	}
}

func TestProfilesAreInstalledReplacedAndRemoved(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	install := func(p []byte) map[string]any {
		return s.do(t, x, "InstallProfile", map[string]any{"Payload": p})
	}
	if m := install(wifi(t, "net", "one")); m["Status"] != "Acknowledged" {
		t.Fatalf("install: %v", m)
	}
	install(wifi(t, "net", "two"))
	install(wifi(t, "net2", "three"))
	if got := x.State().WiFi; !slices.Equal(got, []string{"two", "three"}) {
		t.Errorf("networks %v", got)
	}
	profiles, _ := s.do(t, x, "ProfileList", map[string]any{"ManagedOnly": true})["ProfileList"].([]any)
	if len(profiles) != 2 {
		t.Errorf("%d managed profiles, want 2 without the enrollment profile", len(profiles))
	}
	if m := s.do(t, x, "RemoveProfile", map[string]any{"Identifier": "net"}); m["Status"] != "Acknowledged" {
		t.Errorf("remove: %v", m)
	}
	if code, _ := errorOf(t, s.do(t, x, "RemoveProfile", map[string]any{"Identifier": "net"})); code != 12075 {
		t.Errorf("remove again: %d", code)
	}
	if err := x.RemoveProfileByHand(t.Context(), "net2"); err != nil {
		t.Error(err)
	}
	if got := x.State().WiFi; len(got) != 0 {
		t.Errorf("networks %v are left", got)
	}
}

func TestABadProfileIsRefusedWithApplesCode(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	net := func(more map[string]any) []byte {
		return profile(t, "net", payload("com.apple.wifi.managed", "net.wifi", more))
	}
	for _, c := range []struct {
		name string
		raw  []byte
		code int
	}{
		{"no property list", []byte("hello"), 1000},
		{"broken CMS", []byte{0x30, 0x03, 1, 2, 3}, 4000},
		{"a typo", net(map[string]any{"SSID": "x"}), 2004},
		{"no SSID", net(map[string]any{"EncryptionType": "WPA2"}), 2002},
		{"a word Apple does not know", net(map[string]any{"SSID_STR": "x", "EncryptionType": "WPA4"}), 2004},
		{"a wrong type", net(map[string]any{"SSID_STR": "x", "AutoJoin": "yes"}), 2003},
		{"a password too short", net(map[string]any{"SSID_STR": "x", "EncryptionType": "WPA2", "Password": "short"}), 13000},
		{"a certificate that is elsewhere", net(map[string]any{"SSID_STR": "x", "PayloadCertificateUUID": uuid("elsewhere")}), 13004},
		{"a restriction misspelt", profile(t, "r", payload("com.apple.applicationaccess", "r.r", map[string]any{"allowCamra": false})), 2004},
		{"a second management", s.change2(t), 12001},
		{"over the enrollment profile", profile(t, "school.enroll", payload("com.apple.wifi.managed", "w", map[string]any{"SSID_STR": "x"})), 12009},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := s.do(t, x, "InstallProfile", map[string]any{"Payload": c.raw})
			if code, said := errorOf(t, m); m["Status"] != "Error" || code != c.code {
				t.Errorf("%v %d %s, want Error %d", m["Status"], code, said, c.code)
			}
		})
	}
	if state := x.State(); len(state.Profiles) != 1 {
		t.Errorf("profiles %+v", state.Profiles)
	}
}

// change2 is an enrollment profile with another identifier.
func (s *school) change2(t *testing.T) []byte {
	t.Helper()
	s.change = func(p map[string]any) { p["PayloadIdentifier"] = "other.enroll" }
	defer func() { s.change = nil }()
	return s.profile(t)
}

func TestAppsTakeTheirTimeAndLicences(t *testing.T) {
	s := newSchool(t)
	clk := clock.At(start())
	x := enrolled(t, s, func(c *tablet.Config) {
		c.Clock, c.AppTime, c.Unlicensed, c.Store = clk, time.Minute, []int64{99}, map[int64]string{1: "com.example.one"}
	})
	status := func() any {
		apps, _ := s.do(t, x, "ManagedApplicationList", nil)["ManagedApplicationList"].(map[string]any)
		one, _ := apps["com.example.one"].(map[string]any)
		return one["Status"]
	}
	m := s.do(t, x, "InstallApplication", map[string]any{"iTunesStoreID": 1, "ManagementFlags": 1, "Options": map[string]any{"PurchaseMethod": 1}})
	if m["Status"] != "Acknowledged" || m["Identifier"] != "com.example.one" || m["State"] != "Queued" {
		t.Errorf("install: %v", m)
	}
	if got := status(); got != "Queued" {
		t.Errorf("status %v at once", got)
	}
	clk.Forward(2 * time.Minute)
	if got := status(); got != "Managed" {
		t.Errorf("status %v after two minutes", got)
	}
	m = s.do(t, x, "InstallApplication", map[string]any{"iTunesStoreID": 99, "ManagementFlags": 1})
	if code, _ := errorOf(t, m); code != 12064 || m["RejectionReason"] != "Other" {
		t.Errorf("without a licence: %v", m)
	}
	if m := s.do(t, x, "InstallApplication", map[string]any{"iTunesStoreID": 1, "Identifier": "x"}); m["Status"] != "CommandFormatError" {
		t.Errorf("two names for an app: %v", m)
	}
	if code, _ := errorOf(t, s.do(t, x, "RemoveApplication", map[string]any{"Identifier": "com.example.two"})); code != 12029 {
		t.Errorf("remove an app that is not there: %d", code)
	}
	if err := x.RemoveManagement(t.Context()); err != nil || len(x.State().Apps) != 0 {
		t.Errorf("with the management goes the app: %v %v", err, x.State().Apps)
	}
}

func TestLostModeRefusesMostCommands(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	if code, _ := errorOf(t, s.do(t, x, "DeviceLocation", nil)); code != 12067 {
		t.Errorf("location before: %d", code)
	}
	if code, _ := errorOf(t, s.do(t, x, "EnableLostMode", map[string]any{"Footnote": "f"})); code != 12066 {
		t.Errorf("without message and number: %d", code)
	}
	s.do(t, x, "EnableLostMode", map[string]any{"Message": "Bring me back", "PhoneNumber": "030"})
	if code, _ := errorOf(t, s.do(t, x, "ProfileList", nil)); code != 12078 {
		t.Errorf("a list in Lost Mode: %d", code)
	}
	if m := s.do(t, x, "DeviceLocation", nil); m["Status"] != "Acknowledged" || m["Latitude"] == nil || m["HorizontalAccuracy"] == nil {
		t.Errorf("location: %v", m)
	}
	s.do(t, x, "PlayLostModeSound", nil)
	if l := x.State().Lost; l == nil || l.Message != "Bring me back" || l.Sounds != 1 {
		t.Errorf("lost: %+v", l)
	}
	s.do(t, x, "DisableLostMode", nil)
	if m := s.do(t, x, "ProfileList", nil); m["Status"] != "Acknowledged" || x.State().Lost != nil {
		t.Errorf("found: %v", m)
	}
}

func TestAnUnsupervisedTabletRefusesWhatNeedsSupervision(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, func(c *tablet.Config) { c.Supervised = false })
	for _, request := range []string{"EnableLostMode", "RestartDevice", "ActivationLockBypassCode", "NoSuchCommand"} {
		if code, said := errorOf(t, s.do(t, x, request, nil)); code != 12021 || !strings.Contains(said, request) {
			t.Errorf("%s: %d %s", request, code, said)
		}
	}
	m := s.do(t, x, "Settings", map[string]any{"Settings": []any{
		map[string]any{"Item": "DeviceName", "DeviceName": "5-6"},
		map[string]any{"Item": "OrganizationInfo", "OrganizationInfo": map[string]any{"OrganizationName": "School"}},
	}})
	items, _ := m["Settings"].([]any)
	if m["Status"] != "Acknowledged" || len(items) != 2 {
		t.Fatalf("settings: %v", m)
	}
	first, _ := items[0].(map[string]any)
	second, _ := items[1].(map[string]any)
	if first["Status"] != "Error" || second["Status"] != "Acknowledged" || x.State().Name != "iPad" {
		t.Errorf("settings: %v", m)
	}
}

func TestACommandWithATypoIsAFormatError(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	for name, c := range map[string]struct {
		request string
		args    map[string]any
	}{
		"an unknown key":    {"EraseDevice", map[string]any{"PreserveData": true}},
		"a missing key":     {"RemoveProfile", nil},
		"a wrong type":      {"RemoveProfile", map[string]any{"Identifier": 5}},
		"an unknown query":  {"DeviceInformation", map[string]any{"Queries": []any{"SerialNo"}}},
		"a nested unknown":  {"EraseDevice", map[string]any{"ReturnToService": map[string]any{"Enabled": true, "Wifi": []byte("x")}}},
		"no profile inside": {"EraseDevice", map[string]any{"ReturnToService": map[string]any{"Enabled": true}}},
	} {
		if m := s.do(t, x, c.request, c.args); m["Status"] != "CommandFormatError" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if x.State().Erased != 0 {
		t.Error("it erased itself all the same")
	}
}

func TestALockedTabletPutsOffAndComesBack(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	x.Lock()
	if m := s.do(t, x, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "one")}); m["Status"] != "NotNow" {
		t.Errorf("locked: %v", m)
	}
	if m := s.do(t, x, "ProfileList", nil); m["Status"] != "Acknowledged" {
		t.Errorf("a list: %v", m)
	}
	if !x.WillConnect() || x.WillConnect() {
		t.Error("it should want to connect by itself, once")
	}
	token := x.UnlockTokenForTest()
	if m := s.do(t, x, "ClearPasscode", map[string]any{"UnlockToken": []byte("another tablet's")}); m["Status"] != "Error" {
		t.Errorf("a foreign unlock token: %v", m)
	}
	s.do(t, x, "ClearPasscode", map[string]any{"UnlockToken": token})
	if m := s.do(t, x, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "one")}); m["Status"] != "Acknowledged" {
		t.Errorf("unlocked: %v", m)
	}
}

func TestARestartedTabletHasNoNetworkBeforeItsFirstUnlock(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, func(c *tablet.Config) { c.Code = true })
	s.do(t, x, "RestartDevice", nil)
	if err := x.Poll(t.Context()); !errors.Is(err, tablet.ErrOffline) {
		t.Errorf("poll: %v", err)
	}
	x.Unlock()
	if err := x.Poll(t.Context()); err != nil || x.State().Restarts != 1 {
		t.Errorf("poll: %v", err)
	}
	x.Sleep()
	if err := x.Poll(t.Context()); !errors.Is(err, tablet.ErrOffline) {
		t.Errorf("asleep: %v", err)
	}
	x.Wake()
	if err := x.Poll(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnErasedTabletForgetsEverything(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	s.do(t, x, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "one")})
	before := x.State()
	s.do(t, x, "EraseDevice", nil)
	after := x.State()
	if after.Enrolled || after.Erased != 1 || len(after.Profiles) != 0 || len(after.WiFi) != 0 || after.Serial != before.Serial {
		t.Errorf("after the erase: %+v", after)
	}
	if err := x.Poll(t.Context()); !errors.Is(err, tablet.ErrUnenrolled) {
		t.Errorf("poll: %v", err)
	}
	if err := x.Enroll(t.Context(), s.URL+"/profile"); err != nil {
		t.Fatal(err)
	}
	if again := x.State(); again.Token == before.Token || again.Identity == before.Identity || again.Enrollments != 2 {
		t.Errorf("the second life has something of the first: %+v", again)
	}
}

func TestAnEraseHappensThoughTheAnswerIsLost(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	s.order(x, "EraseDevice", nil)
	s.answer = func(w http.ResponseWriter, _ *http.Request, m map[string]any) bool {
		if m["Status"] == "Idle" {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	if err := x.Poll(t.Context()); err == nil {
		t.Error("the lost answer is no error")
	}
	if x.State().Erased != 1 {
		t.Error("the tablet was not erased")
	}
}

func TestReturnToServiceEnrollsAgainByItself(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	s.order(x, "EraseDevice", map[string]any{"ReturnToService": map[string]any{
		"Enabled": true, "MDMProfileData": s.profile(t), "WiFiProfileData": wifi(t, "staging", "staging"),
	}})
	if err := x.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := x.State()
	if !state.Enrolled || state.Erased != 1 || state.Enrollments != 2 || !slices.Equal(state.WiFi, []string{"staging"}) {
		t.Errorf("state %+v", state)
	}
	want := []string{"Authenticate", "TokenUpdate", "Idle", "Idle", "Acknowledged", "Authenticate", "TokenUpdate", "Idle"}
	if got := s.kinds(); !slices.Equal(got, want) {
		t.Errorf("messages %v, want %v", got, want)
	}
}

func TestARenewalKeepsAllButTheIdentity(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		s := newSchool(t)
		x := enrolled(t, s, func(c *tablet.Config) { c.RenewQuietly = quiet })
		s.do(t, x, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "one")})
		before := x.State()
		s.challenge = "second secret"
		if m := s.do(t, x, "InstallProfile", map[string]any{"Payload": s.profile(t)}); m["Status"] != "Acknowledged" {
			t.Fatalf("renewal: %v", m)
		}
		after := x.State()
		if after.Identity == before.Identity || after.Token != before.Token || after.Renewals != 1 || after.Enrollments != 1 ||
			len(after.Profiles) != 2 {
			t.Errorf("after the renewal: %+v", after)
		}
		if last := s.signers[len(s.signers)-1]; last != after.Identity {
			t.Error("the acknowledgement is not signed by the new identity")
		}
		checkIns := 0
		for i, k := range s.kinds() {
			if k == "TokenUpdate" && i > 2 {
				checkIns++
				if _, has := s.messages[i]["UnlockToken"]; has {
					t.Error("a later TokenUpdate has an UnlockToken")
				}
			}
		}
		if want := map[bool]int{false: 1, true: 0}[quiet]; checkIns != want {
			t.Errorf("quiet %v: %d check-ins with the renewal, want %d", quiet, checkIns, want)
		}
	}
}

func TestARenewalThatChangesTheManagementIsRefused(t *testing.T) {
	s := newSchool(t)
	s.change = func(p map[string]any) { mdmOf(p)["AccessRights"] = 8187 }
	x := enrolled(t, s, nil)
	before := x.State().Identity
	for key, value := range map[string]any{
		"ServerURL": s.URL + "/mdm/server?v=2", "CheckInURL": s.URL + "/mdm/other", "Topic": topic + "2", "AccessRights": 8191,
		"ServerCapabilities": []any{"com.apple.mdm.per-user-connections"},
	} {
		s.change = func(p map[string]any) { mdmOf(p)["AccessRights"] = 8187; mdmOf(p)[key] = value }
		m := s.do(t, x, "InstallProfile", map[string]any{"Payload": s.profile(t)})
		if code, said := errorOf(t, m); code != 12012 || !strings.Contains(said, key) {
			t.Errorf("%s: %d %s", key, code, said)
		}
	}
	if x.State().Identity != before {
		t.Error("the identity changed")
	}
}

func mdmOf(p map[string]any) map[string]any {
	list, _ := p["PayloadContent"].([]any)
	m, _ := list[2].(map[string]any)
	return m
}

func TestTheManagementEndsWithCheckOut(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	s.do(t, x, "RemoveProfile", map[string]any{"Identifier": "school.enroll"})
	if got := s.kinds(); got[len(got)-1] != "CheckOut" || x.Enrolled() {
		t.Errorf("messages %v", got)
	}
}

func TestOnlyTheRightRefusalEndsTheManagement(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		ends   bool
	}{
		{"401 always did", http.StatusUnauthorized, "", true},
		{"403 with Apple's code", http.StatusForbidden, `{"code":"com.apple.unrecognized.device"}`, true},
		{"403 without", http.StatusForbidden, "go away", false},
		{"400", http.StatusBadRequest, "", false},
		{"500", http.StatusInternalServerError, "", false},
		{"a redirect", http.StatusFound, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSchool(t)
			x := enrolled(t, s, nil)
			s.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
				return true
			}
			err := x.Poll(t.Context())
			if x.Enrolled() == c.ends || (err == nil) != (c.ends && c.status == http.StatusForbidden) {
				t.Errorf("enrolled %v, error %v", x.Enrolled(), err)
			}
		})
	}
}

func TestABackupGoesBackToItsTabletAndToAnother(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	s.do(t, x, "InstallProfile", map[string]any{"Payload": wifi(t, "net", "one")})
	b, before := x.Backup(), x.State()
	x.EraseByHand()
	if err := x.Restore(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	after := x.State()
	if after.Identity != before.Identity || after.Token == before.Token || !slices.Equal(after.WiFi, []string{"one"}) {
		t.Errorf("after the restore: %+v", after)
	}
	other := boxed(t, func(c *tablet.Config) { c.Index = 1 })
	if err := other.Restore(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := other.State(); got.Identity != before.Identity || got.UDID == before.UDID {
		t.Errorf("the other tablet: %+v", got)
	}
}

func TestSingleStepsAreForTests(t *testing.T) {
	s := newSchool(t)
	x := enrolled(t, s, nil)
	id := s.order(x, "ProfileList", nil)
	c, err := x.Idle(t.Context())
	if err != nil || c == nil || c.UUID != id {
		t.Fatalf("idle: %v %v", c, err)
	}
	if _, err := x.Report(t.Context(), tablet.Report{UUID: id, Status: "Error", Extra: map[string]any{"ErrorChain": []any{}}}); err != nil {
		t.Error(err)
	}
	if c, err = x.Answer(t.Context(), c); c != nil || err != nil {
		t.Errorf("answer: %v %v", c, err)
	}
	if m := s.said(t, id); m["Status"] != "Acknowledged" {
		t.Errorf("said %v", m)
	}
	if _, err := x.CheckIn(t.Context(), map[string]any{"MessageType": "GetBootstrapToken"}); err != nil {
		t.Error(err)
	}
}

func TestTheSameSeedIsTheSameTablet(t *testing.T) {
	make := func(seed uint64, index int) tablet.State {
		return boxed(t, func(c *tablet.Config) { c.Seed, c.Index = seed, index }).State()
	}
	a, b, c, d := make(1, 0), make(1, 0), make(2, 0), make(1, 1)
	if a.Serial != b.Serial || a.UDID != b.UDID {
		t.Errorf("%s %s, %s %s", a.Serial, a.UDID, b.Serial, b.UDID)
	}
	if a.UDID == c.UDID || a.Serial == c.Serial || a.UDID == d.UDID || a.Serial == d.Serial {
		t.Error("two tablets are one")
	}
	if len(a.Serial) != 10 || !strings.HasPrefix(a.Serial, "RZ") || len(a.UDID) != 25 {
		t.Errorf("%s %s", a.Serial, a.UDID)
	}
}

func TestAwkwardTabletsDoTheirWorkAtLast(t *testing.T) {
	s := newSchool(t)
	for i := range 6 {
		x := enrolled(t, s, func(c *tablet.Config) { c.Index, c.Awkward, c.LateBy = i, 1, time.Millisecond })
		for range 40 { // as a server does: what was put off or lost is offered again
			for _, id := range []string{"a", "b", "c"} {
				if !slices.Contains(x.State().WiFi, id) {
					s.order(x, "InstallProfile", map[string]any{"Payload": wifi(t, id, id)})
				}
			}
			if err := x.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(x.State().WiFi) == 3 {
				break
			}
		}
		if got := x.State().WiFi; len(got) != 3 {
			t.Errorf("tablet %d: networks %v", i, got)
		}
	}
	kinds, twice := s.kinds(), false
	for i := 1; i < len(kinds); i++ {
		twice = twice || s.messages[i]["CommandUUID"] != nil && s.messages[i]["CommandUUID"] == s.messages[i-1]["CommandUUID"]
	}
	if !slices.Contains(kinds, "NotNow") || !twice {
		t.Errorf("NotNow or an answer said twice is missing: %v", kinds)
	}
}
