package enroll_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/micromdm/plist"

	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func (s *stage) releases() (n int) {
	s.t.Helper()
	if err := s.db.Get(s.t.Context(), &n, `SELECT COUNT(*) FROM commands k WHERE k.request_type = 'DeviceConfigured'`); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// An iPad that refused to leave Setup Assistant is not left there: what had no
// effect is ordered again, but never for another life.
func TestPain16AReleaseWithoutEffectIsOrderedAgain(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		s.arrives(d)
		e := d.enrollment()
		release := func(generation int64) {
			s.do(func(tx *sqldb.Tx) error {
				return s.enroll.Release(t.Context(), tx, enroll.Ready{EnrollmentID: e.ID, Generation: generation})
			})
		}
		if release(e.Generation + 1); s.releases() != 0 {
			t.Error("another life was released")
		}
		if release(e.Generation); s.releases() != 1 {
			t.Fatalf("%d orders", s.releases())
		}
		s.do(func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE commands SET state = 'failed' WHERE request_type = 'DeviceConfigured'`)
			return err
		})
		if release(e.Generation); s.releases() != 1 {
			t.Error("it was ordered again at once")
		}
		s.clk.Forward(enroll.ReleaseAgain + time.Second)
		if release(e.Generation); s.releases() != 2 {
			t.Errorf("%d orders after %s without effect", s.releases(), enroll.ReleaseAgain)
		}
	})
}

// CheckOut never came: the profile was removed while the iPad was offline. When
// the iPad comes again it begins anew, and the certificate of then says nothing
// any more.
func TestPain25AnIPadThatNeverCheckedOutComesAgain(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d, again := s.tablet(1), s.tablet(1)
		s.expect(d)
		s.arrives(d)
		before := d.enrollment()
		s.clk.Forward(48 * time.Hour)
		s.arrivesWith(again, "18.7")
		if got := fmt.Sprint(s.states(d)); got != "[enrolled]" {
			t.Fatalf("the states are %s", got)
		}
		if now := again.enrollment(); now.Generation != before.Generation+1 {
			t.Errorf("it is in life %d, after %d", now.Generation, before.Generation)
		}
		if _, err := d.send(d.tokenUpdate()); err == nil {
			t.Error("the certificate of the earlier life still speaks")
		}
	})
}

// A UDID is as much a claim as a serial number.
func TestAnotherSerialNumberWithALiveUDIDIsHeld(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d, other := s.tablet(1), s.tablet(2)
		other.udid = d.udid
		s.expect(d)
		s.expect(other)
		s.arrives(d)
		s.clk.Forward(time.Hour)
		s.arrives(other)
		if a, b := fmt.Sprint(s.states(d)), fmt.Sprint(s.states(other)); a != "[enrolled]" || b != "[held]" {
			t.Errorf("the first is %s, the second %s", a, b)
		}
		d.must(d.tokenUpdate())
	})
}

func TestAHeldTabletThatComesOnceMoreIsHeldOnce(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		s.arrives(d)
		for i := range 2 {
			s.clk.Forward(time.Hour)
			twin := s.tablet(1)
			twin.udid, twin.token = "00008120-TWIN", 77
			s.arrivesWith(twin, fmt.Sprintf("18.%d", 7+i))
		}
		if got := fmt.Sprint(s.states(d)); got != "[enrolled held unenrolled]" {
			t.Errorf("the states are %s", got)
		}
	})
}

// Whoever sets a lost iPad up under another UDID has not found it.
func TestALossFollowsTheSerialNumber(t *testing.T) {
	for _, held := range []bool{false, true} {
		eachStage(t, func(t *testing.T, s *stage) {
			d, again := s.tablet(1), s.tablet(1)
			again.udid, again.token = "00008120-OTHER", 77
			s.expect(d)
			s.arrives(d)
			e := d.enrollment()
			s.do(func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE enrollments SET supervised = TRUE WHERE id = ?`, e.ID)
				return err
			})
			if _, err := s.lose(e, enroll.Lost{Message: "Please call us", Phone: "040 1234"}); err != nil {
				t.Fatal(err)
			}
			if s.clk.Forward(48 * time.Hour); held {
				s.enroll.Seen(e.ID)
				if err := s.enroll.FlushSeen(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s.arrives(again)
			if held {
				id := holdID(s)
				s.do(func(tx *sqldb.Tx) error { return s.enroll.AdmitHeld(t.Context(), tx, admin, id) })
			}
			if now := again.enrollment(); now.LostAt.IsZero() {
				t.Errorf("held %v: set up again, it is not lost any more", held)
			}
		})
	}
}

func TestWhoAskedAndDidNotComeIsForgotten(t *testing.T) {
	eachStage(t, func(t *testing.T, s *stage) {
		d := s.tablet(1)
		s.expect(d)
		a, err := s.setUp(s.info(d, "18.6"))
		if err != nil {
			t.Fatal(err)
		}
		d.install(a.Profile)
		s.clk.Forward(25 * time.Hour)
		if err := s.enroll.ForgetVisits(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.send(d.authenticate()); fault.CodeOf(err) != "checkin.no-link" {
			t.Errorf("a day later: %v", err)
		}
	})
}

// FuzzMachineInfo: whatever comes to the address that Setup Assistant asks is
// refused with a reason, or is what an iPad signed.
func FuzzMachineInfo(f *testing.F) {
	w := newWorld(f, sqldbtest.SQLite(f))
	w.importPush()
	body, err := plist.Marshal(map[string]any{"UDID": "00008120-1", "SERIAL": "RZTEST0001", "PRODUCT": "iPad13,18", "VERSION": "22G86", "OS_VERSION": "18.6"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Add([]byte("bplist00"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		err := w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
			_, err := w.enroll.SetUp(t.Context(), tx, signed)
			return err
		})
		if _, is := fault.Of(err); !is {
			t.Errorf("unsigned, and the answer is %v", err)
		}
	})
}
