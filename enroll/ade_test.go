package enroll_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"ranzen/enroll"
	"ranzen/internal/apple/ade"
	"ranzen/internal/fault"
	"ranzen/internal/sim/apple"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// town is a world with an Apple School Manager.
type town struct {
	*world
	school *apple.School
	names  map[string]string // token id by server
}

func newTown(t *testing.T, db *sqldb.DB, o apple.SchoolOptions) *town {
	t.Helper()
	w := newWorld(t, db)
	o.Clock = w.clk
	school, err := apple.NewSchool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = school.Close() })
	return (&town{world: w, school: school, names: map[string]string{}}).reopen(nil)
}

// reopen starts the room anew, as after a kill, with another configuration.
func (w *town) reopen(change func(*enroll.Deps)) *town {
	w.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.school.RootPEM())
	w.deps.Apple = ade.New(ade.Config{URL: w.school.URL(), Roots: roots, Clock: w.clk})
	if change != nil {
		change(&w.deps)
	}
	var err error
	if w.enroll, err = enroll.New(w.deps); err != nil {
		w.t.Fatal(err)
	}
	return w
}

func eachTown(t *testing.T, o apple.SchoolOptions, f func(t *testing.T, w *town)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newTown(t, db, o)) })
}

// p7m makes a key for a server and has Apple make a token for it.
func (w *town) p7m(tenant, server string) []byte {
	w.t.Helper()
	var pem []byte
	w.do(func(tx *sqldb.Tx) (err error) {
		_, pem, err = w.certs.NewADEKey(w.t.Context(), tx, admin, tenant, server)
		return err
	})
	file, err := w.school.TokenP7M(server, pem)
	if err != nil {
		w.t.Fatal(err)
	}
	return file
}

func (w *town) importing(tenant, name string, file []byte) error {
	w.t.Helper()
	o, err := w.enroll.OpenToken(w.t.Context(), tenant, name, file)
	if err != nil {
		return err
	}
	return w.try(func(tx *sqldb.Tx) error {
		tok, err := w.enroll.ImportToken(w.t.Context(), tx, admin, o)
		if err == nil {
			w.names[tok.ServerName] = tok.ID
		}
		return err
	})
}

// server makes an MDM server at Apple and imports its token; it gives its id.
func (w *town) server(tenant, org, name string) string {
	w.t.Helper()
	w.school.AddServer(org, name)
	if err := w.importing(tenant, "", w.p7m(tenant, name)); err != nil {
		w.t.Fatal(err)
	}
	return w.names[name]
}

func (w *town) tenant(id string) string {
	w.t.Helper()
	w.do(func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES (?, ?, ?, 0, 0)`, id, id, id)
		return err
	})
	return id
}

// sync has the turn of every token come.
func (w *town) sync() {
	w.t.Helper()
	w.clk.Forward(5 * time.Minute)
	if err := w.enroll.SyncADE(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) full(token string) error {
	w.t.Helper()
	return w.enroll.SyncToken(w.t.Context(), token, true)
}

func (w *town) assign() {
	w.t.Helper()
	if err := w.enroll.AssignADE(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// settle assigns and has it confirmed.
func (w *town) settle() {
	w.t.Helper()
	w.assign()
	w.clk.Forward(10 * time.Second)
	w.assign()
}

func (w *town) states(f enroll.ADEFilter) map[string]enroll.ADEState {
	w.t.Helper()
	out := map[string]enroll.ADEState{}
	f.Limit = 40
	for {
		page, next, err := w.enroll.ADEStates(w.t.Context(), w.db, f)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range page {
			out[s.Serial] = s
		}
		if next == "" {
			return out
		}
		f.After = next
	}
}

func (w *town) state(serial string) enroll.ADEState {
	w.t.Helper()
	return w.states(enroll.ADEFilter{Serial: serial})[serial]
}

func (w *town) wantStatus(status string, serials ...string) {
	w.t.Helper()
	all := w.states(enroll.ADEFilter{})
	for _, s := range serials {
		if got := all[s].Status; got != status {
			w.t.Errorf("%s is %q, want %q (%+v)", s, got, status, all[s])
		}
	}
}

// standing is how the reading of a token's list stands.
func (w *town) standing(token string) enroll.ADESyncState {
	w.t.Helper()
	all, err := w.enroll.ADESyncs(w.t.Context(), w.db, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return all[token]
}

func (w *town) profile(tenant, name, definition string) (p enroll.ADEProfile) {
	w.t.Helper()
	w.do(func(tx *sqldb.Tx) (err error) {
		p, err = w.enroll.AddADEProfile(w.t.Context(), tx, admin, tenant, name, enroll.ADEProfileSpec{Definition: []byte(definition)})
		return err
	})
	return p
}

func (w *town) wish(p enroll.ADEProfile, tenant, kind, id string) {
	w.t.Helper()
	w.do(func(tx *sqldb.Tx) error { return w.enroll.WishADE(w.t.Context(), tx, admin, p, tenant, kind, id) })
}

// assetState is a device's, "" if there is none.
func (w *town) assetState(serial string) (state string) {
	w.t.Helper()
	err := w.db.Get(w.t.Context(), &state, `SELECT d.asset_state FROM devices d WHERE d.serial = ?`, serial)
	if err != nil && err != sqldb.ErrNoRows {
		w.t.Fatal(err)
	}
	return state
}

const tenant1 = sqldbtest.Tenant

func TestAppleToldOfDevicesIsBelieved(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		token := w.server(tenant1, "Musterdorf", "Ranzen")
		serials := w.school.Order("Ranzen", 7, apple.Devices{Model: "iPad (A16)", Color: "SILVER"})
		w.sync()
		if all := w.states(enroll.ADEFilter{TenantID: tenant1}); len(all) != 7 {
			t.Errorf("got %d devices, want 7", len(all))
		}
		w.wantStatus(enroll.ADENoProfile, serials...)
		s := w.state(serials[0])
		if s.Color != "SILVER" || s.Model != "iPad (A16)" || s.TokenID != token || s.DeviceID == "" || s.AssignedAt.IsZero() {
			t.Errorf("got %+v", s)
		}
		if got := w.assetState(serials[0]); got != "ordered" {
			t.Errorf("the device is %q, want ordered: nobody has seen it", got)
		}
		wantList(t, "what is told of a device", w.events("device:"+s.DeviceID), "device.add")

		more := w.school.Order("Ranzen", 2, apple.Devices{})
		w.school.Move(serials[6], "")
		w.sync()
		w.wantStatus(enroll.ADENoProfile, more...)
		w.wantStatus(enroll.ADERemoved, serials[6])
		if w.assetState(serials[6]) == "" {
			t.Error("the device is gone; only its place at Apple is")
		}
		if y := w.standing(token); y.Problem != "" || y.OKAt.IsZero() || y.Counts[enroll.ADENoProfile] != 8 || y.Counts[enroll.ADERemoved] != 1 {
			t.Errorf("got %+v", y)
		}
	})
}

func TestAnIPadGetsTheProfileOfItsDeliveryElseItsSitesElseItsTenants(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 3, apple.Devices{})
		w.sync()
		w.do(func(tx *sqldb.Tx) error {
			for _, text := range []string{
				`INSERT INTO schools (id, tenant_id, code, name, created_at, updated_at) VALUES ('S', 'tenant-1', 'S', 'S', 0, 0)`,
				`INSERT INTO sites (id, tenant_id, school_id, code, name, created_at, updated_at) VALUES ('A', 'tenant-1', 'S', 'A', 'A', 0, 0)`,
				`INSERT INTO deliveries (id, tenant_id, code, expected, created_at, updated_at) VALUES ('L', 'tenant-1', 'L', 1, 0, 0)`,
				`UPDATE devices SET site_id = 'A', delivery_id = 'L' WHERE serial = '` + s[0] + `'`,
				`UPDATE devices SET site_id = 'A' WHERE serial = '` + s[1] + `'`,
			} {
				if _, err := tx.Exec(t.Context(), text); err != nil {
					return err
				}
			}
			return nil
		})
		w.wish(w.profile(tenant1, "by delivery", ""), tenant1, "delivery", "L")
		w.wish(w.profile(tenant1, "by site", ""), tenant1, "site", "A")
		w.wish(w.profile("", "by tenant", ""), tenant1, "tenant", tenant1)
		w.settle()
		for i, want := range []string{"by delivery", "by site", "by tenant"} {
			got := w.state(s[i])
			if got.Profile != want || got.Status != enroll.ADEConfirmed {
				t.Errorf("got %+v, want %s", got, want)
			}
			if uuid, state := w.school.ProfileOf(s[i]); uuid != got.WantedUUID || state != "assigned" {
				t.Errorf("Apple has %s (%s), want %s", uuid, state, got.WantedUUID)
			}
		}
	})
}

func TestAChangedProfileIsAnotherOneAtApple(t *testing.T) {
	eachTown(t, apple.SchoolOptions{}, func(t *testing.T, w *town) {
		w.server(tenant1, "Musterdorf", "Ranzen")
		s := w.school.Order("Ranzen", 2, apple.Devices{})
		w.sync()
		p := w.profile(tenant1, "P", `{"department": "IT"}`)
		w.wish(p, tenant1, "tenant", tenant1)
		w.settle()
		first := w.state(s[0]).AppleUUID
		set := func(definition string) {
			w.do(func(tx *sqldb.Tx) error {
				_, err := w.enroll.SetADEProfile(t.Context(), tx, admin, tenant1, "P", enroll.ADEProfileSpec{Definition: []byte(definition)})
				return err
			})
		}
		set(`{"department": "School IT"}`)
		w.wantStatus(enroll.ADEWaiting, s...)
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
		second := w.state(s[0]).AppleUUID
		if second == first {
			t.Error("Apple still has the old one")
		}
		set(`{"department": "IT"}`) // the first again: Apple has it already
		w.settle()
		if w.state(s[1]).AppleUUID != first || w.school.Counts().Defined != 2 {
			t.Errorf("got %s, %d defined; want %s, 2", w.state(s[1]).AppleUUID, w.school.Counts().Defined, first)
		}
		before := w.school.Counts()
		w.clk.Forward(time.Hour)
		w.assign()
		if after := w.school.Counts(); after != before {
			t.Errorf("what is as it should be is asked again: %+v, before %+v", after, before)
		}
		// A new root of ours is a new profile, without anybody's doing.
		w.reopen(func(d *enroll.Deps) { d.Anchors = [][]byte{{1, 2, 3}} })
		w.settle()
		w.wantStatus(enroll.ADEConfirmed, s...)
		if got := w.state(s[0]).AppleUUID; got == first || got == second {
			t.Error("Apple has a profile that does not name the new root")
		}
	})
}

func (w *town) fails(code string, fn func(ctx context.Context, tx *sqldb.Tx) error) {
	w.t.Helper()
	err := w.try(func(tx *sqldb.Tx) error { return fn(w.t.Context(), tx) })
	wantCode(w.t, err, code)
}

func wantKind(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("got %v, want a fault of kind %s", err, kind)
	}
}

func serialsOf(all map[string]enroll.ADEState, status string) (n int) {
	for _, s := range all {
		if s.Status == status {
			n++
		}
	}
	return n
}

func sprint(v any) string { return fmt.Sprintf("%+v", v) }
