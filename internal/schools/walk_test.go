package schools_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// lawful is the table of transitions as the field wrote it down, kept apart
// from the program's.
const lawful = `
ordered       > delivered cancelled
delivered     > inventoried complaint
inventoried   > ready
ready         > in_use defective missing retired
in_use        > in_inspection defective missing
in_inspection > ready defective retired
defective     > in_repair ready retired
in_repair     > in_inspection replaced
missing       > stolen in_inspection written_off
stolen        > in_inspection written_off
retired       > disposed handed_over`

func lawfulMoves() map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(lawful) {
		from, to, ok := strings.Cut(line, ">")
		for word := range strings.FieldsSeq(to) {
			out[strings.TrimSpace(from)+" "+word] = ok
		}
	}
	return out
}

// may is what the model says of a move.
func may(d schools.Device, to string, ev schools.Evidence, now time.Time) bool {
	from := string(d.AssetState)
	if from == to {
		return true
	}
	if !lawfulMoves()[from+" "+to] {
		return false
	}
	switch to {
	case "ready":
		if from == "inventoried" {
			return !ev.ErasePending && ev.Enrolled && ev.Converged && ev.Battery != nil && *ev.Battery >= 0.5
		}
		return !ev.ErasePending && ev.ErasedAt.UnixMilli() > d.StateAt.UnixMilli()
	case "stolen":
		return ev.Police != ""
	case "written_off":
		return now.UnixMilli()-d.StateAt.UnixMilli() >= 90*24*3600*1000
	case "retired":
		return ev.Confirmed || d.BindingUntil == "" || d.BindingUntil < now.Format("2006-01-02")
	case "disposed", "handed_over":
		return ev.Receipt != "" && !ev.OpenCase
	case "replaced":
		return ev.ReplacedBy != ""
	}
	return true
}

var ends = strings.Fields("cancelled complaint replaced written_off retired disposed handed_over")

// walker goes at random and checks after every step.
type walker struct {
	*school
	rnd    *rand.Rand
	tags   []string
	slots  []string
	before map[string]schools.Device
	scans  []scanned
	events int
	done   map[string]int // how often what succeeded: a walk that is refused everywhere proves nothing
}

type scanned struct {
	id, device    string
	before, after schools.Device
}

func (w *walker) all() map[string]schools.Device {
	w.t.Helper()
	var ids []string
	if err := w.db.Select(w.t.Context(), &ids, `SELECT id FROM devices`); err != nil {
		w.t.Fatal(err)
	}
	all, err := w.room.Devices(w.t.Context(), w.db, ids)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *walker) pick() schools.Device {
	ids := slices.Sorted(func(yield func(string) bool) {
		for id := range w.before {
			if !yield(id) {
				return
			}
		}
	})
	return w.before[ids[w.rnd.IntN(len(ids))]]
}

func (w *walker) evidence() schools.Evidence {
	coin := func() bool { return w.rnd.IntN(4) > 0 }
	battery := w.rnd.Float64() + 0.2
	ev := schools.Evidence{Enrolled: coin(), Converged: coin(), ErasePending: !coin(), OpenCase: !coin(), Confirmed: coin()}
	if coin() {
		ev.Battery = &battery
	}
	if coin() {
		ev.ErasedAt = w.clk.Now().Add(time.Duration(w.rnd.IntN(5)-3) * time.Hour)
	}
	if coin() {
		ev.Police, ev.Receipt = "ST/0815/2026", "Q-17"
	}
	if coin() {
		ev.ReplacedBy = fmt.Sprintf("DMQXNEW%03d", w.rnd.IntN(1000))
	}
	return ev
}

func (w *walker) step() {
	w.t.Helper()
	w.clk.Forward(time.Duration(w.rnd.IntN(120)) * time.Minute)
	if w.rnd.IntN(60) == 0 {
		w.clk.Forward(91 * 24 * time.Hour)
	}
	switch n := w.rnd.IntN(20); {
	case n < 7:
		w.stepMove()
	case n < 12:
		w.stepScan()
	case n < 15:
		w.stepUndo()
	case n < 18:
		w.stepPut()
	default:
		w.stepPack()
	}
	w.check()
}

// refused: what is refused is named and changes nothing.
func (w *walker) refused(what string, err error) bool {
	w.t.Helper()
	if err == nil {
		w.done[what]++
		return false
	}
	if fault.CodeOf(err) == "" {
		w.t.Fatalf("%s: %v is no named refusal", what, err)
	}
	now := w.all()
	for id, d := range now {
		if d != w.before[id] {
			w.t.Fatalf("%s was refused (%v) and made of\n%+v\n%+v", what, err, w.before[id], d)
		}
	}
	return true
}

func (w *walker) stepMove() {
	w.t.Helper()
	d, ev := w.pick(), w.evidence()
	to := schools.States()[w.rnd.IntN(len(schools.States()))]
	if w.rnd.IntN(4) > 0 { // else it would mostly be forbidden
		var next []schools.AssetState
		for _, s := range schools.States() {
			if lawfulMoves()[string(d.AssetState)+" "+string(s)] {
				next = append(next, s)
			}
		}
		if len(next) > 0 {
			to = next[w.rnd.IntN(len(next))]
		}
	}
	want := may(d, string(to), ev, w.clk.Now())
	err := w.move(d.ID, to, ev)
	if ok := !w.refused("move", err); ok != want {
		w.t.Fatalf("%s from %s to %s with %+v: got %v, want allowed: %v", d.Serial, d.AssetState, to, ev, err, want)
	}
}

func (w *walker) stepPut() {
	w.t.Helper()
	d := w.pick()
	cart, slot := []schools.Cart{w.k01, w.k03}[w.rnd.IntN(2)], w.rnd.IntN(7)-1
	p := schools.Position{CartID: cart.ID, Slot: slot}
	if w.rnd.IntN(6) == 0 {
		p = schools.Position{ClassID: w.class.ID}
	}
	want := d.TenantID == tenant && !slices.Contains(ends, string(d.AssetState)) && p.Slot >= 0 && p.Slot <= 4
	for id, other := range w.before {
		if id != d.ID && other.CartID == p.CartID && other.Slot == p.Slot && p.Slot > 0 {
			want = false
		}
	}
	if ok := !w.refused("put", w.put(d.ID, p)); ok != want {
		w.t.Fatalf("put %+v to %+v: allowed %v, want %v", d, p, ok, want)
	}
}

func (w *walker) stepScan() {
	w.t.Helper()
	d := w.pick()
	serial := d.Serial
	if w.rnd.IntN(5) == 0 {
		serial = fmt.Sprintf("DMQX%06d", w.rnd.IntN(12))
	}
	texts := []string{w.tags[w.rnd.IntN(len(w.tags))], []string{"", "S", "s"}[w.rnd.IntN(3)] + serial}
	if w.rnd.IntN(2) == 0 {
		texts = append(texts, w.slots[w.rnd.IntN(len(w.slots))])
	}
	w.rnd.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	res, err := w.scan(texts...)
	if w.refused("scan", err) {
		return
	}
	if !res.Complete || res.DeviceID == "" || res.ScanID == "" {
		w.t.Fatalf("scan %q: got %+v", texts, res)
	}
	after := w.get(res.DeviceID)
	if after.TenantID != tenant || after.AssetTag != res.Tag || res.Slot != "" && after.Name != res.Slot {
		w.t.Fatalf("scan %q: got %+v, the device is %+v", texts, res, after)
	}
	if last := len(w.scans) - 1; last < 0 || w.scans[last].id != res.ScanID {
		if !slices.ContainsFunc(w.scans, func(s scanned) bool { return s.id == res.ScanID }) {
			w.scans = append(w.scans, scanned{res.ScanID, res.DeviceID, w.before[res.DeviceID], after})
		}
	}
}

func (w *walker) stepUndo() {
	w.t.Helper()
	if len(w.scans) == 0 {
		return
	}
	i := len(w.scans) - 1
	if w.rnd.IntN(4) == 0 {
		i = w.rnd.IntN(len(w.scans))
	}
	s := w.scans[i]
	id, err := w.undo(s.id)
	if w.refused("undo", err) {
		if code := fault.CodeOf(err); code != "scan.moved-on" {
			w.t.Fatalf("undo: %v", err)
		}
		return
	}
	if id != s.device || slices.ContainsFunc(w.scans[i+1:], func(o scanned) bool { return o.device == s.device }) {
		w.t.Fatalf("undid %+v of %s although a later scan stands", s, id)
	}
	w.scans = slices.Delete(w.scans, i, i+1)
	if s.before.ID == "" {
		return // it was not known before; it stays
	}
	got := w.get(id)
	if s.before.AssetTag != s.after.AssetTag && got.AssetTag != s.before.AssetTag ||
		s.before.Position != s.after.Position && (got.Position != s.before.Position || got.Name != s.before.Name) ||
		s.before.AssetState != s.after.AssetState && (got.AssetState != s.before.AssetState || got.StateAt != s.before.StateAt) ||
		s.before.DeliveryID != s.after.DeliveryID && got.DeliveryID != s.before.DeliveryID {
		w.t.Fatalf("undone, the device is\n%+v\nand before the scan it was\n%+v", got, s.before)
	}
}

func (w *walker) stepPack() {
	w.t.Helper()
	cart := []schools.Cart{w.k01, w.k03}[w.rnd.IntN(2)]
	var texts []string
	for _, d := range w.before {
		if d.CartID == cart.ID && w.rnd.IntN(12) > 0 {
			texts = append(texts, d.Serial)
		}
	}
	var res schools.PackResult
	err := w.try(func(ctx context.Context, tx *sqldb.Tx) (err error) {
		res, err = w.room.PackCheck(ctx, tx, admin, cart.ID, texts)
		return err
	})
	if w.refused("pack", err) {
		w.t.Fatal(err)
	}
	if res.Complete != (len(texts) > 0 && len(texts) == res.Expected) {
		w.t.Fatalf("%d of %d were scanned: got %+v", len(texts), res.Expected, res)
	}
	if res.Complete {
		w.done["complete pack"]++
	}
}

// check holds what must be true at any time.
func (w *walker) check() {
	w.t.Helper()
	now := w.all()
	slots, tags := map[string]string{}, map[string]string{}
	for id, d := range now {
		if d.Slot != 0 {
			key := fmt.Sprintf("%s/%d", d.CartID, d.Slot)
			if other := slots[key]; other != "" {
				w.t.Fatalf("%s and %s are in one slot", other, d.Serial)
			}
			slots[key] = d.Serial
			if slices.Contains(ends, string(d.AssetState)) {
				w.t.Fatalf("%s is %s and holds a slot", d.Serial, d.AssetState)
			}
			if !strings.HasSuffix(d.Name, fmt.Sprintf("-%02d", d.Slot)) {
				w.t.Fatalf("%s is called %q in slot %d", d.Serial, d.Name, d.Slot)
			}
		} else if d.Name != "" {
			w.t.Fatalf("%s is called %q and in no slot", d.Serial, d.Name)
		}
		if other := tags[d.AssetTag]; d.AssetTag != "" && other != "" {
			w.t.Fatalf("%s and %s bear one tag", other, d.Serial)
		}
		tags[d.AssetTag] = d.Serial
		if was, ok := w.before[id]; ok && (was.TenantID != d.TenantID || was.Serial != d.Serial) {
			w.t.Fatalf("%+v became %+v", was, d)
		}
	}
	for id, d := range w.before {
		if _, ok := now[id]; !ok {
			w.t.Fatalf("%s was removed", d.Serial)
		}
	}
	w.checkSteps(now)
	w.before = now
}

// checkSteps follows every device from its former state to its present one by
// the audit log: each step is lawful, or takes back the two that a scan makes.
func (w *walker) checkSteps(now map[string]schools.Device) {
	w.t.Helper()
	var rows []struct{ Subject, Detail string }
	if err := w.db.Select(w.t.Context(), &rows, `SELECT subject, detail FROM audit_events WHERE action = 'device.state' ORDER BY id`); err != nil {
		w.t.Fatal(err)
	}
	at := map[string]string{}
	for id, d := range w.before {
		at[id] = string(d.AssetState)
	}
	for _, row := range rows[w.events:] {
		id := strings.TrimPrefix(row.Subject, "device:")
		from, to := word(row.Detail, "from"), word(row.Detail, "to")
		if was, known := at[id]; known && was != from {
			w.t.Fatalf("the log goes on from %s, the device was %s", from, was)
		}
		back := strings.Contains(row.Detail, "scan undone") && from == "inventoried" && (to == "ordered" || to == "delivered")
		if !lawfulMoves()[from+" "+to] && !back {
			w.t.Fatalf("%s went from %s to %s", id, from, to)
		}
		at[id] = to
	}
	w.events = len(rows)
	for id, d := range now {
		if state, logged := at[id]; logged && state != string(d.AssetState) {
			w.t.Fatalf("%s is %s, by the log %s", d.Serial, d.AssetState, state)
		}
	}
}

// word is the text of a key in flat JSON.
func word(json, key string) string {
	_, rest, _ := strings.Cut(json, `"`+key+`":`)
	_, rest, _ = strings.Cut(rest, `"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

func TestNoPathLeadsWhereTheTableDoesNot(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		w := &walker{school: s, rnd: rand.New(rand.NewPCG(2026, 11)), tags: s.tags(14), done: map[string]int{}}
		for i := range 5 {
			w.slots = append(w.slots, fmt.Sprintf("K01/%d", i), fmt.Sprintf("sat-k03-0%d", i))
		}
		w.foreign("DMQX000099")
		for i, state := range append(schools.States(), schools.Ordered, schools.Delivered, schools.Ready) {
			d := s.device(fmt.Sprintf("DMQX0000%02d", i+1))
			s.do(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE devices SET asset_state = ?, binding_until = ? WHERE id = ?`, string(state), []string{"", "2026-10-01", "2031-07-31"}[i%3], d.ID)
				return err
			})
		}
		w.before = w.all()
		for range 600 {
			w.step()
		}
		for _, what := range []string{"move", "put", "scan", "undo", "pack", "complete pack"} {
			if w.done[what] < 10 {
				t.Errorf("%s succeeded %d times only: the walk shows little", what, w.done[what])
			}
		}
	})
}
