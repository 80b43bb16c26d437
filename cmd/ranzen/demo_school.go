package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ranzen/internal/sim/apple"
)

// townDevices are the iPads of grades 3 and 4.
const townDevices = 170

// schoolDemo is the delivery day: two people, one staging room, 170 iPads.
type schoolDemo struct {
	*demo
	serials []string // as they stand on the boxes, in the order of unpacking
	tags    []string
	places  []townPlace
}

func (d *schoolDemo) steps() []func(context.Context) error {
	return []func(context.Context) error{
		d.openSchool, d.world, d.wishes, d.connectApple, d.expect, d.compare, d.unpack, d.switchOn, d.watch, d.prove, d.packUp, d.lose, d.erase,
	}
}

// openSchool starts everything, Apple School Manager with it: awkward, as in life.
func (d *schoolDemo) openSchool(ctx context.Context) (err error) {
	d.school, err = apple.NewSchool(apple.SchoolOptions{Seed: d.cmd.Seed, Clock: d.clock, Faults: apple.SchoolFaults{
		Broken: 0.05, Throttled: 0.03, Doubled: 0.05, Shuffled: 0.2, RetryAfter: time.Second,
	}})
	if err != nil {
		return fmt.Errorf("start the simulated Apple School Manager: %w", err)
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	d.say("Delivery day in %s (made up): %d iPads, three tenants, Apple School Manager and push service (simulated).", townName, d.cmd.Devices)
	cert, key := d.apns.PushCertificate()
	return d.api.post(ctx, "/push-certificate", map[string]any{"certificate": string(cert), "key": string(key)}, nil)
}

// connectApple makes a key, takes the server token that Apple made for it, and
// says which enrollment profile each site gets.
func (d *schoolDemo) connectApple(ctx context.Context) error {
	d.school.AddServer(townName, "Ranzen")
	var key struct {
		Certificate string `json:"certificate"`
	}
	if err := d.api.post(ctx, "/ade/tokens", map[string]any{"name": "Musterdorf", "tenant": townCode}, &key); err != nil {
		return err
	}
	p7m, err := d.school.TokenP7M("Ranzen", []byte(key.Certificate))
	if err != nil {
		return fmt.Errorf("make a server token: %w", err)
	}
	// Apple is awkward: whoever is told so tries again.
	for try := 1; ; try++ {
		err := d.api.post(ctx, "/ade/tokens/import", upload{"application/pkcs7-mime", p7m}, nil)
		if err == nil {
			break
		}
		if try == 10 {
			return err
		}
		if err := sleep(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	for _, s := range townSites() {
		name := "Schüler-iPad " + s.code
		profile := map[string]any{"name": name, "tenant": townCode, "skip": []string{"all"}, "baseline": baseline(s.code), "min_os": "18.0"}
		if err := d.api.post(ctx, "/ade/profiles", profile, nil); err != nil {
			return err
		}
		if err := d.api.post(ctx, at("ade", "profiles", name, "assign"), map[string]any{"to": "site:" + s.code}, nil); err != nil {
			return err
		}
	}
	return nil
}

// expect announces the delivery; the reseller enters the iPads at Apple and sends
// the file that resellers send.
func (d *schoolDemo) expect(ctx context.Context) error {
	d.places, _ = townPlaces(d.cmd.Devices)
	d.serials = d.school.Order("Ranzen", d.cmd.Devices, apple.Devices{Model: "iPad (A16)", Color: "SILVER", Capacity: "128GB", Order: "PO-2026-0815"})
	delivery := map[string]any{
		"code": townDelivery, "tenant": townCode, "expected": d.cmd.Devices, "order_no": "PO-2026-0815", "supplier": "Systemhaus Beispiel GmbH",
		"funding": "Land/LSMS", "binding_until": "2030-07-31",
	}
	if err := d.api.post(ctx, "/deliveries", delivery, nil); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("Seriennummer;Lieferschein;Bestellnummer;Modell;Speicher;Farbe;Kaufdatum;Preis_netto;Garantie_bis;Foerderquelle;Zweckbindung_bis;Standort\r\n")
	for i, serial := range d.serials {
		fmt.Fprintf(&b, "%s;LS-4711;PO-2026-0815;iPad (A16);128 GB;silber;01.09.2026;389,00;31.08.2028;Land/LSMS;31.07.2030;%s\r\n", serial, d.places[i].site)
	}
	var report importDoc
	if err := d.api.post(ctx, "/imports/devices?tenant="+townCode+"&delivery="+townDelivery, upload{"text/csv", []byte(b.String())}, &report); err != nil {
		return err
	}
	if report.New+report.Changed+report.Unchanged != d.cmd.Devices || !report.Applied {
		return failedf("The reseller's file brought %d of %d iPads.", report.New+report.Changed, d.cmd.Devices)
	}
	d.say("The reseller's file is in: %d iPads.", d.cmd.Devices)
	return nil
}

// compare waits until Apple has all of them, each with its enrollment profile
// confirmed: before that nobody opens a box.
func (d *schoolDemo) compare(ctx context.Context) error {
	if err := d.api.post(ctx, at("ade", "tokens", "Musterdorf", "sync"), map[string]any{"full": true}, nil); err != nil {
		return err
	}
	return d.until(ctx, "Profile confirmed by Apple", d.cmd.Devices, func() (int, error) {
		var doc comparedDoc
		d.api.docs = nil
		err := d.api.get(ctx, at("deliveries", townDelivery, "compare"), nil, &doc)
		return doc.Totals.Confirmed, err
	})
}

// unpack sticks a tag on each iPad and scans it into its slot.
func (d *schoolDemo) unpack(ctx context.Context) error {
	var doc struct {
		Tags []string `json:"tags"`
	}
	for len(d.tags) < d.cmd.Devices {
		n := min(1000, d.cmd.Devices-len(d.tags))
		if err := d.api.post(ctx, at("deliveries", townDelivery, "tags"), map[string]any{"count": n}, &doc); err != nil {
			return err
		}
		d.tags = append(d.tags, doc.Tags...)
	}
	done := 0
	return d.until(ctx, "Unpacked, tagged and scanned", d.cmd.Devices, func() (int, error) {
		for end := min(done+50, len(d.serials)); done < end; done++ {
			// The box shows the serial number with an S in front.
			texts := []string{d.tags[done], "S" + d.serials[done], d.places[done].String()}
			var scan scanDoc
			d.api.docs = nil
			if err := d.api.post(ctx, at("deliveries", townDelivery, "scans"), map[string]any{"texts": texts}, &scan); err != nil {
				return done, err
			}
			if !scan.Complete {
				return done, failedf("The scan of %s is not complete: %s is missing.", d.serials[done], scan.WaitingFor)
			}
		}
		return done, nil
	})
}

// switchOn starts the iPads; each asks Apple who manages it.
func (d *schoolDemo) switchOn(ctx context.Context) (err error) {
	file := filepath.Join(d.dir, "demo-serials.txt")
	if err := os.WriteFile(file, []byte(strings.Join(d.serials, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the serial numbers: %w", err)
	}
	if d.fleet, err = startFleet(ctx, d.demo, "--os-mix", "--activation", d.school.TabletURL(), "--serials", file); err != nil {
		return err
	}
	if err := d.until(ctx, "Keys made", d.cmd.Devices, func() (int, error) { return d.fleet.keys(), nil }); err != nil {
		return err
	}
	for _, a := range townApps() {
		if err := d.fleet.do(map[string]any{"do": "store", "id": "store", "adam_id": adamNumber(a.adam), "bundle_id": a.bundle}); err != nil {
			return err
		}
	}
	return d.fleet.do(map[string]any{"do": "setup", "id": "setup"})
}

func adamNumber(s string) (n int64) {
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return n
}

// watch follows the board until all are ready.
func (d *schoolDemo) watch(ctx context.Context) error {
	var board boardDoc
	look := func(count func() int) func() (int, error) {
		return func() (int, error) {
			if d.cmd.Devices > 500 {
				if err := sleep(ctx, 2*time.Second); err != nil {
					return 0, err
				}
			}
			board = boardDoc{}
			d.api.docs = nil
			err := d.api.get(ctx, at("deliveries", townDelivery, "board"), nil, &board)
			return count(), err
		}
	}
	items := len(baseline(""))
	for _, step := range []struct {
		what  string
		want  int
		count func() int
	}{
		{"Enrolled", d.cmd.Devices, func() int {
			t := board.Totals
			return t["enrolled"] + t["profiles"] + t["apps"] + t["ready"] + onTheWay(board)
		}},
		{"Profiles and apps observed", items * d.cmd.Devices, func() (n int) {
			for _, t := range board.Tiles {
				n += t.ProfilesDone + t.AppsDone
			}
			return n
		}},
		{"Ready", d.cmd.Devices, func() int { return board.Totals["ready"] }},
	} {
		if err := d.until(ctx, step.what, step.want, look(step.count)); err != nil {
			for _, t := range board.Tiles {
				if t.State != "ready" && t.Reason != nil {
					d.say("%s: %s: %s", t.Name, t.State, t.Reason.TextEN)
				}
			}
			return err
		}
	}
	return nil
}

// onTheWay are those that are stuck for the moment and have enrolled.
func onTheWay(board boardDoc) (n int) {
	for _, t := range board.Tiles {
		if t.State == "stuck" && t.ProfilesWanted > 0 {
			n++
		}
	}
	return n
}

// prove asks the iPads themselves, past the server: what do they have, and are
// they out of Setup Assistant?
func (d *schoolDemo) prove(ctx context.Context) error {
	tablets, err := d.fleet.snapshot(ctx)
	if err != nil {
		return err
	}
	site := map[string]string{}
	for i, serial := range d.serials {
		site[serial] = d.places[i].site
	}
	for _, t := range tablets {
		whole := !t.Awaiting && len(t.Profiles) >= len(townFiles())+1
		for _, a := range townApps() {
			whole = whole && t.has(site[t.Serial]+"-Paed", a.bundle)
		}
		if whole {
			d.result.Observed++
		}
	}
	return nil
}

// packUp checks each cart before it leaves, and prints what goes with it.
func (d *schoolDemo) packUp(ctx context.Context) error {
	carts := map[string][]string{}
	for i, p := range d.places {
		carts[p.cart] = append(carts[p.cart], d.tags[i])
	}
	done := 0
	for cart, tags := range carts {
		var doc packDoc
		d.api.docs = nil
		if err := d.api.post(ctx, at("carts", cart, "pack"), map[string]any{"texts": tags}, &doc); err != nil {
			return err
		}
		if !doc.Complete {
			return failedf("The cart %s is not complete: %d missing.", cart, len(doc.Missing))
		}
		if _, err := d.api.ask(ctx, "GET", at("carts", cart, "handover.pdf"), nil); err != nil {
			return err
		}
		done++
	}
	d.say("%d carts are packed, checked and have their papers.", done)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
