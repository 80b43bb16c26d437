package enroll_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micromdm/plist"
	"github.com/smallstep/pkcs7"

	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sim/apple"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// stage is a world with Apple's word on some tablets, and their identities.
type stage struct {
	*world
	school  *apple.School
	profile enroll.ADEProfile
	untimed bool // sign without attributes
}

func eachStage(t *testing.T, f func(t *testing.T, s *stage)) {
	t.Helper()
	school, err := apple.NewSchool(apple.SchoolOptions{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = school.Close() })
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := &stage{world: newWorld(t, db, school.RootPEM()...), school: school}
		s.importPush()
		s.do(func(tx *sqldb.Tx) (err error) {
			ctx, now := t.Context(), sqldb.At(s.clk.Now())
			if _, err := tx.Exec(ctx, `INSERT INTO ade_tokens (id, tenant_id, name, cert_der, key_sealed, created_at, updated_at) VALUES ('tok', ?, 'Apple', ?, ?, ?, ?)`,
				sqldbtest.Tenant, []byte{1}, []byte{1}, now, now); err != nil {
				return err
			}
			minOS := "17.4"
			base := []string{"Wi-Fi", "Keynote"}
			s.profile, err = s.enroll.AddADEProfile(ctx, tx, admin, "", "Pupils", enroll.ADEProfileSpec{MinOS: &minOS, Baseline: &base})
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO ade_profile_uuids (profile_id, token_id, hash, uuid, defined_at) VALUES (?, 'tok', 'h', 'UUID1', ?)`, s.profile.ID, now)
			return err
		})
		f(t, s)
	})
}

// expect makes Apple assign a tablet to us.
func (s *stage) expect(d *tablet) {
	s.t.Helper()
	s.do(func(tx *sqldb.Tx) error {
		if err := s.schools.EnsureOrdered(s.t.Context(), tx, admin, sqldbtest.Tenant, []string{d.serial}); err != nil {
			return err
		}
		_, err := tx.Exec(s.t.Context(), `INSERT INTO ade_devices (token_id, serial, tenant_id, run, profile_uuid, first_at, seen_at) VALUES ('tok', ?, ?, 1, 'UUID1', 0, 0)`,
			d.serial, sqldbtest.Tenant)
		return err
	})
}

// info is a tablet's signed machine info, as iPads send it.
func (s *stage) info(d *tablet, osVersion string) []byte {
	s.t.Helper()
	body, err := plist.Marshal(map[string]any{
		"UDID": d.udid, "SERIAL": d.serial, "PRODUCT": "iPad13,18", "VERSION": "22G86", "OS_VERSION": osVersion, "LANGUAGE": "de",
		"MDM_CAN_REQUEST_SOFTWARE_UPDATE": true, "SOFTWARE_UPDATE_DEVICE_ID": "iPad13,18",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.signedBy(d.serial, body)
}

func (s *stage) signedBy(serial string, body []byte) []byte {
	s.t.Helper()
	chainPEM, keyPEM, err := s.school.Identity(serial)
	if err != nil {
		s.t.Fatal(err)
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			s.t.Fatal(err)
		}
		chain = append(chain, c)
	}
	block, _ := pem.Decode(keyPEM)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	return cms(s.t, body, chain, key.(*rsa.PrivateKey), s.untimed)
}

func cms(t testing.TB, body []byte, chain []*x509.Certificate, key *rsa.PrivateKey, untimed bool) []byte {
	t.Helper()
	m, err := pkcs7.NewSignedData(body)
	if err != nil {
		t.Fatal(err)
	}
	m.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
	sign := m.AddSigner
	if untimed {
		sign = m.SignWithoutAttr
	}
	if err := sign(chain[0], key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range chain[1:] {
		m.AddCertificate(c)
	}
	signed, err := m.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (s *stage) setUp(signed []byte) (a enroll.SetUpAnswer, err error) {
	err = s.try(func(tx *sqldb.Tx) (err error) {
		a, err = s.enroll.SetUp(s.t.Context(), tx, signed)
		return err
	})
	return a, err
}

// arrives goes from Setup Assistant to the first TokenUpdate.
func (s *stage) arrives(d *tablet) {
	s.t.Helper()
	s.arrivesWith(d, "18.6")
}

// arrivesWith lets a tablet come a second time within the second that its
// signature tells: another iPadOS makes another signature.
func (s *stage) arrivesWith(d *tablet, osVersion string) {
	s.t.Helper()
	a, err := s.setUp(s.info(d, osVersion))
	if err != nil {
		s.t.Fatal(err)
	}
	d.install(a.Profile)
	d.must(d.authenticate())
	m := d.tokenUpdate()
	m.AwaitingConfiguration = true
	m.UnlockToken = []byte("unlock-" + d.serial)
	d.must(m)
}

// states lists the enrollments of a serial number, by state.
func (s *stage) states(d *tablet) (out []string) {
	s.t.Helper()
	err := s.db.Select(s.t.Context(), &out, `SELECT e.state FROM enrollments e JOIN devices d ON d.id = e.device_id WHERE d.serial = ? ORDER BY e.created_at, e.id`, d.serial)
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func (s *stage) open() (kinds []string) {
	s.t.Helper()
	err := s.db.Select(s.t.Context(), &kinds, `SELECT k.request_type FROM commands k JOIN enrollments e ON e.id = k.enrollment_id
		WHERE e.state = 'held' AND k.state IN ('queued', 'sent', 'deferred') ORDER BY k.request_type`)
	if err != nil {
		s.t.Fatal(err)
	}
	return kinds
}

func TestATabletThatAppleSendsEnrollsWithoutALink(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		s.arrives(d)
		e := d.enrollment()
		if e.State != enroll.Enrolled || e.ADEProfileID != s.profile.ID || !e.Awaiting || e.LinkID != "" {
			t.Errorf("got %+v", e)
		}
	})
}

func TestOnlyExpectedTabletsAreLetIn(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		known, foreign, gone := s.tablet(1), s.tablet(2), s.tablet(3)
		s.expect(known)
		s.expect(gone)
		s.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE devices SET asset_state = 'retired' WHERE serial = ?`, gone.serial)
			return err
		})
		good := s.info(known, "18.6")
		other, err := apple.NewSchool(apple.SchoolOptions{Seed: 6})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close() //nolint:errcheck // a test's
		forger := &stage{world: s.world, school: other}
		tampered := slices.Clone(good)
		tampered[strings.Index(string(tampered), known.serial)] ^= 1
		for name, c := range map[string]struct {
			signed []byte
			code   string
		}{
			"not ours":             {s.info(foreign, "18.6"), "setup.unexpected"},
			"retired":              {s.info(gone, "18.6"), "setup.unexpected"},
			"another authority":    {forger.info(known, "18.6"), "machine-info.chain"},
			"changed":              {tampered, "machine-info.signature"},
			"cut off":              {good[:len(good)/2], "machine-info.unreadable"},
			"nothing":              {nil, "machine-info.unreadable"},
			"unsigned":             {[]byte("<plist/>"), "machine-info.unreadable"},
			"no serial number":     {s.signedBy("X", []byte(`<?xml version="1.0"?><plist version="1.0"><dict><key>UDID</key><string>u</string></dict></plist>`)), "machine-info.unreadable"},
			"an odd serial number": {s.signedBy("X", []byte(`<?xml version="1.0"?><plist version="1.0"><dict><key>UDID</key><string>u</string><key>SERIAL</key><string>a b';--</string></dict></plist>`)), "setup.unexpected"},
			"too long":             {make([]byte, 70<<10), "machine-info.size"},
		} {
			if _, err := s.setUp(c.signed); fault.CodeOf(err) != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		if _, err := s.setUp(good); err != nil {
			t.Errorf("the expected one: %v", err)
		}
	})
}

func TestAnOldIPadOSUpdatesFirst(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		for version, want := range map[string]string{"17.3.1": "17.4", "17.10": "", "17.4": "", "16.7.10": "17.4", "26.0": "", "odd": ""} {
			a, err := s.setUp(s.info(d, version))
			if err != nil || a.Update != want || (want == "") != (len(a.Profile) > 0) {
				t.Errorf("%s: update %q, %d bytes of profile, %v", version, a.Update, len(a.Profile), err)
			}
		}
	})
}

func TestAMachineInfoIsUsedOnce(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		signed := s.info(d, "18.6")
		first, err := s.setUp(signed)
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.setUp(signed) // the first answer was lost
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.scep(s.read(first.Profile).challenge(t)); err == nil {
			t.Error("the challenge of the lost answer still works")
		}
		d.install(second.Profile)
		d.must(d.authenticate())
		if _, err := s.setUp(signed); fault.CodeOf(err) != "setup.replayed" {
			t.Errorf("after the arrival: %v", err)
		}
	})
}

// Old iPads may sign without a time, and then the same bytes each time they are
// set up.
func TestAMachineInfoWithoutATimeIsTakenAgain(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		s.untimed = true
		signed := s.info(d, "18.6")
		for range 2 {
			a, err := s.setUp(signed)
			if err != nil {
				t.Fatal(err)
			}
			d.install(a.Profile)
			d.must(d.authenticate())
			s.clk.Forward(48 * time.Hour)
		}
	})
}

func TestAnIdentityFromSetupIsOneTabletsAlone(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d, thief := s.tablet(1), s.tablet(2)
		s.expect(d)
		s.expect(thief)
		a, err := s.setUp(s.info(d, "18.6"))
		if err != nil {
			t.Fatal(err)
		}
		d.install(a.Profile)
		thief.hash = d.hash
		if _, err := thief.send(thief.authenticate()); fault.CodeOf(err) != "checkin.other-device" {
			t.Errorf("another tablet: %v", err)
		}
		same := d.authenticate()
		same.SerialNumber = thief.serial
		if _, err := d.send(same); fault.CodeOf(err) != "checkin.other-device" {
			t.Errorf("another serial number: %v", err)
		}
		d.must(d.authenticate())
	})
}

func TestASecondTabletWithALiveSerialNumberIsHeld(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d, twin := s.tablet(1), s.tablet(1)
		twin.udid, twin.token = "00008120-TWIN", 77
		s.expect(d)
		s.arrives(d)
		s.marks()
		s.clk.Forward(time.Hour)
		s.arrives(twin)
		if got := fmt.Sprint(s.states(d)); got != "[enrolled held]" {
			t.Fatalf("the states are %s", got)
		}
		// It is asked about itself, and nothing else is there for it.
		if got := fmt.Sprint(s.open()); got != "[CertificateList DeviceInformation SecurityInfo]" {
			t.Errorf("for the held one there is %s", got)
		}
		if m := s.marks(); len(m) > 0 {
			t.Errorf("it was marked for planning: %v", m)
		}
		for _, message := range []string{"GetBootstrapToken", "SetBootstrapToken"} {
			if reply := twin.must(&mdm.CheckIn{MessageType: message, BootstrapToken: []byte("x")}); len(reply) > 0 {
				t.Errorf("%s gave %q", message, reply)
			}
		}
		if reply := twin.must(&mdm.CheckIn{MessageType: "ReturnToService"}); !strings.Contains(string(reply), "<false/>") {
			t.Errorf("ReturnToService gave %q", reply)
		}
		// The first one goes on as if nothing had happened.
		d.must(d.tokenUpdate())
	})
}

func TestAPersonDecidesAboutAHeldTablet(t *testing.T) {
	for _, admitted := range []bool{true, false} {
		eachStage(t, func(t *testing.T, s *stage) {
			d, twin := s.tablet(1), s.tablet(1)
			twin.udid, twin.token = "00008120-TWIN", 77
			s.expect(d)
			s.arrives(d)
			s.clk.Forward(time.Hour)
			s.arrives(twin)
			held := holdID(s)
			decide := s.enroll.RejectHeld
			want := "[enrolled unenrolled]"
			if admitted {
				decide = s.enroll.AdmitHeld
			}
			s.do(func(tx *sqldb.Tx) error { return decide(t.Context(), tx, admin, held) })
			if got := fmt.Sprint(s.states(d)); got != want {
				t.Errorf("admitted %v: the states are %s", admitted, got)
			}
			winner, loser := d, twin
			if admitted {
				winner, loser = twin, d
			}
			winner.must(winner.tokenUpdate())
			if _, err := loser.send(loser.tokenUpdate()); err == nil {
				t.Errorf("admitted %v: the other one may still speak", admitted)
			}
			err := s.try(func(tx *sqldb.Tx) error { return decide(t.Context(), tx, admin, held) })
			if fault.CodeOf(err) != "hold.unknown" {
				t.Errorf("deciding twice: %v", err)
			}
		})
	}
}

func holdID(s *stage) string {
	s.t.Helper()
	var id string
	if err := s.db.Get(s.t.Context(), &id, `SELECT h.enrollment_id FROM holds h WHERE h.decided_at IS NULL`); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// What is alive, and what is the same tablet again.
func TestWhatIsANewGenerationAndWhatIsHeld(t *testing.T) {
	for name, c := range map[string]struct {
		wait  time.Duration
		erase bool
		speak bool // the old identity speaks after the new one was asked for
		held  bool
	}{
		"an hour later":                    {time.Hour, false, false, true},
		"an hour later, erase ordered":     {time.Hour, true, false, false},
		"a day later":                      {25 * time.Hour, false, false, false},
		"a day later, but the first lives": {25 * time.Hour, false, true, true},
		"erased, but the first lives":      {time.Hour, true, true, true},
	} {
		eachStage(t, func(t *testing.T, s *stage) {
			d := s.tablet(1)
			s.expect(d)
			s.arrives(d)
			e := d.enrollment()
			s.enroll.Seen(e.ID)
			if err := s.enroll.FlushSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.erase {
				s.do(func(tx *sqldb.Tx) error {
					_, err := s.enroll.Erase(t.Context(), tx, admin, e.DeviceID, enroll.EraseSpec{Reason: "test"})
					return err
				})
			}
			s.clk.Forward(c.wait)
			again := s.tablet(1) // the same iPad, set up again
			a, err := s.setUp(s.info(again, "18.7"))
			if err != nil {
				t.Fatal(err)
			}
			s.clk.Forward(time.Minute)
			if c.speak {
				s.enroll.Seen(e.ID)
			}
			again.install(a.Profile)
			again.must(again.authenticate())
			want := "[enrolling]"
			if c.held {
				want = "[enrolled held]"
			}
			if got := fmt.Sprint(s.states(d)); got != want {
				t.Errorf("%s: the states are %s, want %s", name, got, want)
			}
		})
	}
}

func TestOnlyAPersonReleasesWithoutTheBaselineAndNotTooEarly(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		s.arrives(d)
		e := d.enrollment()
		release := func(reason string) error {
			return s.try(func(tx *sqldb.Tx) error { return s.enroll.ReleaseAnyway(t.Context(), tx, admin, e.DeviceID, reason) })
		}
		if err := release("in a hurry"); fault.CodeOf(err) != "release.too-early" {
			t.Errorf("at once: %v", err)
		}
		s.clk.Forward(enroll.DefaultRelease)
		if err := release(" "); fault.CodeOf(err) != "release.reason" {
			t.Errorf("without a reason: %v", err)
		}
		if err := release("the store is down"); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := s.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM commands k WHERE k.request_type = 'DeviceConfigured'`); err != nil || n != 1 {
			t.Errorf("%d orders, %v", n, err)
		}
		// Ordered once is ordered.
		s.do(func(tx *sqldb.Tx) error {
			return s.enroll.Release(t.Context(), tx, enroll.Ready{EnrollmentID: e.ID, Generation: e.Generation})
		})
		if err := s.db.Get(t.Context(), &n, `SELECT COUNT(*) FROM commands k WHERE k.request_type = 'DeviceConfigured'`); err != nil || n != 1 {
			t.Errorf("%d orders, %v", n, err)
		}
	})
}
