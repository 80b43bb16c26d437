package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// staged is a house with a delivery L-1 of three iPads for the cart SAT-K03 of
// four slots, and somebody of another tenant.
type staged struct {
	*house
	stranger string // token of another tenant's administrator
}

func newStaged(t testing.TB, db *sqldb.DB) *staged {
	s := &staged{house: newHouse(t, db)}
	s.do(func(ctx context.Context, tx *sqldb.Tx) error {
		school, err := s.Schools.AddSchool(ctx, tx, audit.System, schools.School{TenantID: sqldbtest.Tenant, Code: "gs", Name: "Grundschule"})
		if err != nil {
			return err
		}
		site, err := s.Schools.AddSite(ctx, tx, audit.System, schools.Site{SchoolID: school.ID, Code: "sat", Name: "Saartal"})
		if err != nil {
			return err
		}
		if _, err := s.Schools.AddCart(ctx, tx, audit.System, schools.Cart{SiteID: site.ID, Code: "K03", Slots: 4}); err != nil {
			return err
		}
		other, err := s.Schools.AddTenant(ctx, tx, audit.System, schools.Tenant{Code: "other", Name: "Other"})
		if err != nil {
			return err
		}
		if _, err := s.Auth.AddUser(ctx, tx, audit.System, other.ID, "oda", auth.Admin); err != nil {
			return err
		}
		_, secret, err := s.Auth.CreateToken(ctx, tx, audit.System, auth.TokenSpec{User: "oda", Name: "t"})
		s.stranger = secret.Open()
		return err
	})
	s.ok("POST", "/deliveries", `{"tenant":"default","code":"l-1","expected":3,"site":"sat","order_no":"4711"}`, nil)
	return s
}

func (s *staged) do(f func(ctx context.Context, tx *sqldb.Tx) error) {
	s.Helper()
	ctx := context.WithoutCancel(s.Context())
	if err := s.DB.Do(ctx, func(tx *sqldb.Tx) error { return f(ctx, tx) }); err != nil {
		s.Fatal(err)
	}
}

// ok asks as an administrator of the provider's.
func (s *staged) ok(method, path, body string, into any) {
	s.Helper()
	w := s.ask(s.admin, method, "/api/v1"+path, body)
	if w.Code/100 != 2 {
		s.Fatalf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *staged) refused(method, path, body, code string, status int) {
	s.Helper()
	if w := s.ask(s.admin, method, "/api/v1"+path, body); w.Code != status || !strings.Contains(w.Body.String(), `"`+code+`"`) {
		s.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, w.Code, w.Body, status, code)
	}
}

type scanned struct {
	ID, Device, Serial, Tag, Slot, Next string
	Complete                            bool
	WaitingFor                          string `json:"waiting_for"`
	Warnings                            []struct{ Code string }
}

func TestADeliveryIsExpectedScannedComparedAndPacked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newStaged(t, db)
		var d struct {
			ID, Code, State string
			Expected        int
			OrderNo         string `json:"order_no"`
		}
		s.ok("GET", "/deliveries/L-1", "", &d)
		if d.Code != "L-1" || d.Expected != 3 || d.State != "open" || d.OrderNo != "4711" {
			t.Errorf("%+v", d)
		}
		s.ok("PATCH", "/deliveries/"+d.ID, `{"expected":2,"site":"SAT"}`, &d)
		var tags struct{ Tags []string }
		s.ok("POST", "/deliveries/L-1/tags", `{"count":3}`, &tags)
		if len(tags.Tags) != 3 || d.Expected != 2 {
			t.Errorf("%v %+v", tags, d)
		}
		scan := func(texts ...string) (out scanned) {
			t.Helper()
			b, err := json.Marshal(map[string]any{"texts": texts})
			if err != nil {
				t.Fatal(err)
			}
			s.ok("POST", "/deliveries/L-1/scans", string(b), &out)
			return out
		}
		if got := scan(tags.Tags[0]); got.Complete || got.WaitingFor != "serial" || got.ID != "" {
			t.Errorf("%+v", got)
		}
		first := scan("SF9FZX01AAAAA", tags.Tags[0], "SAT-K03-01")
		if !first.Complete || first.Serial != "F9FZX01AAAAA" || first.Slot != "SAT-K03-01" || first.Next != "SAT-K03-02" {
			t.Errorf("%+v", first)
		}
		if got := scan("K03/2", "F9FZX01BBBBB", tags.Tags[1]); got.Slot != "SAT-K03-02" || got.Next != "SAT-K03-03" {
			t.Errorf("%+v", got)
		}
		s.refused("POST", "/deliveries/L-1/scans", `{"texts":["SAT-K03-02","F9FZX01CCCCC","`+tags.Tags[2]+`"]}`, "scan.slot-taken", 409)
		s.refused("POST", "/deliveries/L-1/scans", `{"texts":["F9FZX01CCCCC","`+tags.Tags[1]+`"]}`, "scan.tag-taken", 409)
		third := scan("F9FZX01CCCCC", tags.Tags[2])
		var undone struct{ Device string }
		s.ok("POST", "/deliveries/L-1/scans/undo", `{}`, &undone)
		if undone.Device != third.Device {
			t.Errorf("took back %s, want %s", undone.Device, third.Device)
		}

		var c struct {
			Items []struct {
				Serial  string
				Missing []string
			}
			Totals struct{ Expected, Scanned, Listed int }
		}
		s.ok("GET", "/deliveries/L-1/compare", "", &c)
		if c.Totals.Scanned != 2 || c.Totals.Listed != 0 || c.Totals.Expected != 2 {
			t.Errorf("%+v", c)
		}
		w := s.ask(s.admin, "GET", "/api/v1/deliveries/L-1/missing.csv", "")
		text := w.Body.String()
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") ||
			!strings.HasPrefix(text, "\ufeffSeriennummer;Bestellnummer;") || !strings.Contains(text, "\r\nF9FZX01AAAAA;4711;FEHLT;FEHLT;ja\r\n") || strings.Contains(text, "SAT-") {
			t.Errorf("%d %v %q", w.Code, w.Header(), text)
		}
		if w := s.ask(s.admin, "GET", "/api/v1/deliveries/L-1/missing.csv?lang=en", ""); !strings.Contains(w.Body.String(), "\nF9FZX01BBBBB;4711;MISSING;MISSING;yes") {
			t.Errorf("%d %q", w.Code, w.Body)
		}

		var pack struct {
			Expected                  int
			Present, Missing, Unknown []struct{ Serial, Why string }
			Complete                  bool
		}
		s.ok("POST", "/carts/SAT-K03/pack", `{"texts":["`+tags.Tags[0]+`","NOBODY-1"]}`, &pack)
		if pack.Expected != 2 || len(pack.Present) != 1 || len(pack.Missing) != 1 || pack.Missing[0].Serial != "F9FZX01BBBBB" || len(pack.Unknown) != 1 || pack.Complete {
			t.Errorf("%+v", pack)
		}
		s.ok("PATCH", "/deliveries/L-1", `{"state":"closed"}`, nil)
		s.refused("POST", "/deliveries/L-1/scans", `{"texts":["F9FZX01CCCCC"]}`, "delivery.closed", 409)

		// To another tenant none of it is there.
		for _, path := range []string{"/deliveries/L-1", "/deliveries/" + d.ID, "/deliveries/L-1/compare", "/deliveries/L-1/missing.csv", "/deliveries/L-1/board", "/deliveries/L-1/board/events"} {
			if w := s.ask(s.stranger, "GET", "/api/v1"+path, ""); w.Code != 404 {
				t.Errorf("a stranger gets %s: %d %s", path, w.Code, w.Body)
			}
		}
		for path, body := range map[string]string{"/deliveries/L-1/scans": `{"texts":["x1"]}`, "/deliveries/L-1/scans/undo": `{}`, "/deliveries/L-1/tags": `{"count":1}`, "/carts/SAT-K03/pack": `{"texts":[]}`} {
			if w := s.ask(s.stranger, "POST", "/api/v1"+path, body); w.Code != 404 {
				t.Errorf("a stranger posts %s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}

func TestAScanThatIsSentAgainIsKeptOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newStaged(t, db)
		body := `{"texts":["F9FZX01AAAAA","INV-1","K03/1"]}`
		first := s.ask(s.admin, "POST", "/api/v1/deliveries/L-1/scans", body, "Idempotency-Key", "k")
		again := s.ask(s.admin, "POST", "/api/v1/deliveries/L-1/scans", body, "Idempotency-Key", "k")
		if first.Code != 200 || first.Body.String() != again.Body.String() || strings.Contains(again.Body.String(), "scan.duplicate") {
			t.Errorf("%s, then %s", first.Body, again.Body)
		}
		var n int
		if err := db.Get(t.Context(), &n, `SELECT COUNT(*) FROM scans`); err != nil || n != 1 {
			t.Errorf("%d scans, %v", n, err)
		}
	})
}

// follower reads a live board.
type follower struct {
	testing.TB
	lines *bufio.Scanner
	stop  func()
	ended chan struct{}
}

// event is one of a live board's.
type event struct {
	name, id string
	data     struct {
		Tiles  []struct{ Serial, State string }
		Gone   []string
		Totals struct{ Devices int }
	}
}

func (s *staged) follow(srv *httptest.Server, token string, headers ...string) (*follower, *http.Response) {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/deliveries/L-1/board/events", nil)
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := srv.Client().Do(req)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { stop(); _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return &follower{TB: s, lines: lines, stop: stop}, res
}

// next is the next event; beats are left out. False: the stream ended.
func (f *follower) next() (e event, ok bool) {
	f.Helper()
	for f.lines.Scan() {
		key, value, _ := strings.Cut(f.lines.Text(), ": ")
		switch key {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				f.Fatal(err)
			}
		case "":
			if e.name != "" {
				return e, true
			}
		}
	}
	return e, false
}

func TestALiveBoardTellsTheWholeAndThenWhatChanges(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newStaged(t, db)
		s.ok("POST", "/deliveries/L-1/scans", `{"texts":["F9FZX01AAAAA","INV-1"]}`, nil)
		srv := httptest.NewServer(s.Admin())
		t.Cleanup(srv.Close)
		f, res := s.follow(srv, s.viewer)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %v", res.Status, res.Header)
		}
		e, _ := f.next()
		if e.name != "board" || len(e.data.Tiles) != 1 || e.data.Tiles[0].Serial != "F9FZX01AAAAA" || e.data.Tiles[0].State != "known" {
			t.Fatalf("%+v", e)
		}
		s.ok("POST", "/deliveries/L-1/scans", `{"texts":["F9FZX01BBBBB","INV-2"]}`, nil)
		e, _ = f.next()
		if e.name != "tiles" || len(e.data.Tiles) != 1 || e.data.Tiles[0].Serial != "F9FZX01BBBBB" || e.data.Totals.Devices != 2 {
			t.Errorf("%+v", e)
		}
		// Who comes again begins with the whole board.
		g, _ := s.follow(srv, s.viewer, "Last-Event-ID", e.id)
		if e, _ := g.next(); e.name != "board" || len(e.data.Tiles) != 2 {
			t.Errorf("%+v", e)
		}
		g.stop()
		s.ok("POST", "/deliveries/L-1/scans/undo", `{}`, nil)
		if e, _ = f.next(); len(e.data.Gone) != 1 || len(e.data.Tiles) != 0 || e.data.Totals.Devices != 1 {
			t.Errorf("%+v", e)
		}
		// The server ends: so does the stream, at once.
		s.EndStreams()
		if e, more := f.next(); more {
			t.Errorf("after the end came %+v", e)
		}
		for token, want := range map[string]int{"": 401, s.stranger: 404} {
			if _, res := s.follow(srv, token); res.StatusCode != want || !strings.Contains(res.Header.Get("Content-Type"), "problem+json") {
				t.Errorf("%s, want %d", res.Status, want)
			}
		}
	})
}

func TestAShutdownDoesNotWaitForLiveBoards(t *testing.T) {
	s := newStaged(t, sqldbtest.SQLite(t))
	srv := httptest.NewServer(s.Admin())
	srv.Config.RegisterOnShutdown(s.EndStreams)
	f, _ := s.follow(srv, s.admin)
	if e, _ := f.next(); e.name != "board" {
		t.Fatalf("%+v", e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.Config.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, more := f.next(); more {
		t.Error("the stream goes on")
	}
	srv.Close()
}

func TestTooManyLiveBoardsAreRefused(t *testing.T) {
	s := newStaged(t, sqldbtest.SQLite(t))
	srv := httptest.NewServer(s.Admin())
	t.Cleanup(srv.Close)
	t.Cleanup(s.EndStreams)
	for range 100 {
		if _, res := s.follow(srv, s.admin); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
	}
	f, res := s.follow(srv, s.admin)
	if !f.lines.Scan() || res.StatusCode != 409 || !strings.Contains(f.lines.Text(), "board.many") {
		t.Errorf("%s %s", res.Status, f.lines.Text())
	}
}

func TestDeliveriesAreListedTheNewestFirstPageByPage(t *testing.T) {
	s := newStaged(t, sqldbtest.SQLite(t))
	for i := range 5 {
		s.ok("POST", "/deliveries", fmt.Sprintf(`{"tenant":"default","code":"M-%d"}`, i), nil)
	}
	var page struct {
		Items []struct{ Code string }
		Next  string
	}
	s.ok("GET", "/deliveries?limit=4", "", &page)
	if len(page.Items) != 4 || page.Next == "" || page.Items[0].Code != "M-4" {
		t.Errorf("%+v", page)
	}
	s.ok("GET", "/deliveries?limit=4&after="+page.Next, "", &page)
	if len(page.Items) != 2 || page.Next != "" {
		t.Errorf("%+v", page)
	}
}
