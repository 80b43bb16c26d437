package device_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/schools"
	"ranzen/internal/sim/tablet"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/server/device"
)

// door is the device listener on one database, with real rooms behind it.
type door struct {
	testing.TB
	ctx     context.Context // the test's: a fuzz target must not ask its parent
	db      *sqldb.DB
	certs   *certs.Room
	queue   *commands.Queue
	enroll  *enroll.Room
	handler http.Handler
	srv     *httptest.Server
}

func newDoor(t testing.TB, db *sqldb.DB) *door {
	t.Helper()
	d := &door{TB: t, ctx: t.Context(), db: db}
	d.srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }))
	t.Cleanup(d.srv.Close)
	clk, ctx, log := clock.System(), t.Context(), slog.New(slog.DiscardHandler)
	vault, err := certs.NewVault(make([]byte, 32))
	d.must(err)
	trail := audit.New(db, clk)
	ca, err := certs.New(ctx, db, clk, vault, trail, certs.Config{PublicURL: d.srv.URL, KeyKind: "p256"})
	d.must(err)
	d.certs = ca
	devices := schools.New(clk, trail)
	d.queue = commands.New(db, clk, vault, trail, log)
	d.enroll, err = enroll.New(enroll.Deps{
		DB: db, Clock: clk, Vault: vault, Certs: ca, Queue: d.queue, Schools: devices, Audit: trail, Log: log, PublicURL: d.srv.URL,
		Marker: enroll.MarkerFunc(func(context.Context, *sqldb.Tx, ...string) error { return nil }),
	})
	d.must(err)
	d.queue.Handle(d.enroll.Specs()...)
	d.handler = device.New(device.Deps{
		DB: db, Clock: clk, Log: log, Certs: ca, Queue: d.queue, Enroll: d.enroll, PublicURL: d.srv.URL,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.9.8.7/32")}, CertHeader: "X-Client-Cert",
	})
	return d
}

func (d *door) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// crowd fills the database with n enrolled tablets that nobody will hear of.
func (d *door) crowd(n int) {
	d.Helper()
	d.must(d.db.Do(d.Context(), func(tx *sqldb.Tx) error {
		for from := 0; from < n; from += 500 {
			var ds, es, cs []any
			k := min(500, n-from)
			for i := from; i < from+k; i++ {
				id := fmt.Sprintf("crowd%06d", i)
				ds = append(ds, "d"+id, "tenant-1", fmt.Sprintf("RZCROWD%06d", i), 1, 1)
				es = append(es, id, "d"+id, "UDID-"+id, 1, "enrolled", 1, 1)
				cs = append(cs, fmt.Sprintf("%064x", i), fmt.Sprintf("9%d", i), "identity", id, 1, "enroll", "pinned", int64(1)<<50, 1, []byte("x"))
			}
			for _, s := range []struct {
				text string
				n    int
				args []any
			}{
				{`INSERT INTO devices (id, tenant_id, serial, created_at, updated_at) VALUES `, 5, ds},
				{`INSERT INTO enrollments (id, device_id, udid, generation, state, created_at, updated_at) VALUES `, 7, es},
				{`INSERT INTO certificates (hash, serial, kind, enrollment_id, generation, purpose, state, not_after, created_at, der) VALUES `, 10, cs},
			} {
				one := "(?" + strings.Repeat(", ?", s.n-1) + ")"
				if _, err := tx.Exec(d.Context(), s.text+one+strings.Repeat(", "+one, k-1), s.args...); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// recorder keeps what a simulated tablet sends, to send it again.
type recorder struct {
	http.RoundTripper
	mu   sync.Mutex
	last map[string]recorded // by path
}

type recorded struct {
	header http.Header
	body   []byte
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Body != nil {
		b, err := io.ReadAll(q.Body)
		if err != nil {
			return nil, err
		}
		q.Body = io.NopCloser(bytes.NewReader(b))
		r.mu.Lock()
		r.last[q.URL.Path] = recorded{q.Header.Clone(), b}
		r.mu.Unlock()
	}
	return r.RoundTripper.RoundTrip(q)
}

// link makes an enrollment link.
func (d *door) link() string {
	d.Helper()
	var l enroll.Link
	d.must(d.db.Do(d.Context(), func(tx *sqldb.Tx) (err error) {
		l, err = d.enroll.CreateLink(d.Context(), tx, "user:test", enroll.LinkSpec{Name: "bench", Expires: time.Hour})
		return err
	}))
	return l.ProfileURL
}

// tablet enrolls a simulated iPad and records what it sends.
func (d *door) tablet(i int, keys *tablet.Keys, profile string) (*tablet.Tablet, *recorder) {
	d.Helper()
	rec := &recorder{RoundTripper: d.srv.Client().Transport, last: map[string]recorded{}}
	t, err := tablet.New(tablet.Config{
		Seed: 7, Index: i, Clock: clock.System(), Supervised: true, Keys: keys,
		Client: func(_ *x509.CertPool, _ *tablet.Identity) *http.Client { return &http.Client{Transport: rec} },
	})
	d.must(err)
	d.must(t.Enroll(d.Context(), profile))
	return t, rec
}

func (d *door) send(path string, r recorded) *httptest.ResponseRecorder {
	q := httptest.NewRequestWithContext(d.ctx, http.MethodPut, path, bytes.NewReader(r.body))
	q.Header = r.header
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, q)
	return w
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func eachSize(b *testing.B, run func(b *testing.B, d *door)) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
				d := newDoor(b, db)
				d.crowd(n)
				run(b, d)
			})
		})
	}
}

// BenchmarkPoll is a signed Idle of a tablet for which nothing waits.
func BenchmarkPoll(b *testing.B) {
	eachSize(b, func(b *testing.B, d *door) {
		_, rec := d.tablet(0, nil, d.link())
		idle := rec.last["/mdm/command"]
		if !bytes.Contains(idle.body, []byte("Idle")) {
			t, rec2 := d.tablet(1, nil, d.link())
			if _, err := t.Idle(b.Context()); err != nil {
				b.Fatal(err)
			}
			idle = rec2.last["/mdm/command"]
		}
		if w := d.send("/mdm/command", idle); w.Code != http.StatusOK || w.Body.Len() != 0 {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
		b.ReportAllocs()
		b.ResetTimer()
		before := cpu()
		for range b.N {
			d.send("/mdm/command", idle)
		}
		b.ReportMetric(float64(cpu()-before)/1e6/float64(b.N), "cpu-ms/op")
	})
}

// BenchmarkCommand is one command from Idle to its acknowledgement: two
// requests, both signed by the tablet in this process.
func BenchmarkCommand(b *testing.B) {
	eachSize(b, func(b *testing.B, d *door) {
		t, _ := d.tablet(0, nil, d.link())
		var dev string
		d.must(d.db.Get(b.Context(), &dev, `SELECT device_id FROM enrollments WHERE udid = ?`, t.State().UDID))
		b.ResetTimer()
		for range b.N {
			d.must(d.db.Do(b.Context(), func(tx *sqldb.Tx) error {
				_, err := d.enroll.Send(b.Context(), tx, "user:bench", dev, "AvailableOSUpdates", nil)
				return err
			}))
			d.must(t.Poll(b.Context()))
		}
	})
}

// BenchmarkEnroll is a whole enrollment: profile, SCEP, Authenticate,
// TokenUpdate and the first session, the tablet's own work included.
func BenchmarkEnroll(b *testing.B) {
	eachSize(b, func(b *testing.B, d *door) {
		profile := d.link()
		keys, err := tablet.MakeKeys(b.Context(), b.N, 2, func(int, int) {})
		d.must(err)
		b.ResetTimer()
		for i := range b.N {
			d.tablet(1000+i, keys, profile)
		}
	})
}
