package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ranzen/internal/sim/apple"
)

// What the demo wishes onto its iPads.
const (
	demoWiFi = "School Wi-Fi"
	demoSSID = "Sandtal-Schule"
	demoApp  = "Lesen lernen"
	demoAdam = "1234567890"
	demoID   = "com.example.app1234567890" // as the simulated App Store calls it
)

// demoResult is the last line of `ranzen demo --once`.
type demoResult struct {
	Devices  int     `json:"devices"`
	Observed int     `json:"observed"` // have Wi-Fi and app by their own lists and in their own memory
	Lost     int     `json:"lost"`
	Erased   int     `json:"erased"`
	Seconds  float64 `json:"seconds"`
}

// demo is a real server in this process, Apple's push service as a stand-in, and
// simulated iPads in a process of their own.
type demo struct {
	env
	cmd    *DemoCmd
	dir    string
	cfg    Config
	apns   *apple.APNs
	school *apple.School // Apple School Manager; nil where the story has none
	api    *client
	fleet  *fleet
	begun  time.Time
	result demoResult
	stop   context.CancelFunc
	served chan error
}

func runDemo(ctx context.Context, c *DemoCmd, e env) error {
	if c.Devices == 0 {
		if c.Devices = 30; c.School {
			c.Devices = townDevices
		}
	}
	if c.Devices < 1 || c.Devices > 20_000 {
		return usagef("--devices is 1 to 20000.")
	}
	if c.Data == "" && c.Keep {
		return usagef("Say with --data DIR where the data directory is to be kept.")
	}
	d := &demo{env: e, cmd: c, begun: e.clock.Now(), result: demoResult{Devices: c.Devices}}
	ctx, d.stop = context.WithCancel(ctx)
	story := d.steps
	if c.School {
		story = (&schoolDemo{demo: d}).steps
	}
	err := d.tell(ctx, story())
	if err == nil && !c.Once {
		<-ctx.Done() // until Ctrl-C
	}
	return errors.Join(d.close(), err)
}

// steps are the story.
func (d *demo) steps() []func(context.Context) error {
	return []func(context.Context) error{d.open, d.prepare, d.enroll, d.deliver, d.lose, d.erase}
}

// tell goes through a story.
func (d *demo) tell(ctx context.Context, steps []func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.result.Seconds = d.clock.Now().Sub(d.begun).Round(10 * time.Millisecond).Seconds()
	if !d.cmd.Once {
		d.say("\nThe server stays until Ctrl-C.\n  admin  %s\n  token  in %s\n  try    ranzen devices --data %s", d.admin(), filepath.Join(d.dir, adminTokFile), d.dir)
		return nil
	}
	line, err := json.Marshal(d.result)
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	fmt.Fprintf(d.stdout, "%s\n", line) //nolint:errcheck // as with every print
	if d.result.Observed != d.cmd.Devices || d.result.Lost != 1 || d.result.Erased != 1 {
		return failedf("Not every step was observed on the iPads.")
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.stdout, format+"\n", args...) //nolint:errcheck // as with every print
}

func (d *demo) admin() string {
	b, _ := os.ReadFile(d.cfg.Path(adminURLFile)) // written by ourselves a moment ago
	return string(b[:max(len(b)-1, 0)])
}

// open prepares a data directory and starts server and push service.
func (d *demo) open(ctx context.Context) (err error) {
	// The port is in the address that iPads keep, so it is chosen first.
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	address := probe.Addr().String()
	if err := probe.Close(); err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	if err := d.makeDir(ctx, address); err != nil {
		return err
	}
	if d.apns, err = apple.NewAPNs(apple.Options{Seed: d.cmd.Seed, Clock: d.clock}); err != nil {
		return fmt.Errorf("start the simulated push service: %w", err)
	}
	trusted, adeURL := d.apns.RootPEM(), ""
	if d.school != nil {
		trusted, adeURL = append(trusted, d.school.RootPEM()...), d.school.URL()
	}
	roots := filepath.Join(d.dir, "demo-apple.pem")
	if err := writeWhole(roots, trusted, 0o644); err != nil {
		return err
	}
	at, err := appleAt(d.apns.URL(), adeURL, roots)
	if err != nil {
		return err
	}
	cfg := d.cfg
	cfg.AdminListen, cfg.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	log := slog.New(slog.NewJSONHandler(d.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	d.served = make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		d.served <- serve(ctx, d.env, cfg, at, log, func(*listeners) { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-d.served:
		d.served <- nil
		return err
	}
	if d.api, err = (&Remote{Data: d.dir}).open(d.env); err != nil {
		return err
	}
	d.api.json = true // nothing is printed by it
	return nil
}

func (d *demo) makeDir(ctx context.Context, address string) (err error) {
	d.dir = d.cmd.Data
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "ranzen-demo-"); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
	}
	dir, err := makeDir(d.dir)
	if err != nil {
		return err
	}
	defer dir.abandon()
	d.cfg = Config{
		URL: "https://" + address, Organization: "Grundschule Sandtal", DB: "sqlite", TLS: tlsInternal, CAKey: "p256",
		DeviceListen: address, AdminListen: defaultAdmin, MetricsListen: defaultMetrics, dir: dir.stage,
	}
	if err := prepare(ctx, d.env, d.cfg, "admin"); err != nil {
		return err
	}
	if err := dir.keep(); err != nil {
		return err
	}
	d.cfg, err = loadConfig(d.dir)
	return err
}

// close stops everything and leaves nothing behind that was not asked for.
func (d *demo) close() error {
	var errs []error
	if d.fleet != nil {
		errs = append(errs, d.fleet.close())
	}
	d.stop()
	if d.served != nil {
		if err := <-d.served; !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if d.apns != nil {
		_ = d.apns.Close() // its clients are gone
	}
	if d.school != nil {
		_ = d.school.Close() // as above
	}
	if !d.cmd.Keep && d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// prepare does what a technician does once: push certificate, link, Wi-Fi, app.
func (d *demo) prepare(ctx context.Context) error {
	cert, key := d.apns.PushCertificate()
	if err := d.api.post(ctx, "/push-certificate", map[string]any{"certificate": string(cert), "key": string(key)}, nil); err != nil {
		return err
	}
	var link linkDoc
	if err := d.api.post(ctx, "/links", map[string]any{"name": "Demo", "expires_in": 3600}, &link); err != nil {
		return err
	}
	wifi := map[string]any{"name": demoWiFi, "ssid": demoSSID, "password": "correct horse battery", "security": "auto"}
	if err := d.api.post(ctx, "/profiles/wifi", wifi, nil); err != nil {
		return err
	}
	if err := d.api.post(ctx, "/apps", map[string]any{"name": demoApp, "adam_id": demoAdam, "bundle_id": demoID}, nil); err != nil {
		return err
	}
	d.say("A server with its own certificate authority, Apple's push service (simulated) and %d iPads (simulated).", d.cmd.Devices)
	d.say("Enrollment link: %s\n", link.URL)
	var err error
	supervised := "0.67"
	if d.cmd.Devices < 4 {
		supervised = "1" // somebody must be able to get lost
	}
	d.fleet, err = startFleet(ctx, d, "--url", link.ProfileURL, "--devices", strconv.Itoa(d.cmd.Devices), "--supervised", supervised)
	return err
}

// demoDevice is what the story looks at of a device.
type demoDevice struct {
	ID         string `json:"id"`
	Serial     string `json:"serial"`
	State      string `json:"enrollment_state"`
	Supervised *bool  `json:"supervised"`
	Items      []struct {
		Name       string     `json:"name"`
		State      string     `json:"state"`
		Reason     string     `json:"reason"`
		ObservedAt *time.Time `json:"observed_at"`
	} `json:"items"`
}

// shown counts the items that the iPad's own list showed.
func (d demoDevice) shown() (n int) {
	for _, it := range d.Items {
		if it.State == "installed" && it.ObservedAt != nil {
			n++
		}
	}
	return n
}

func (d *demo) devices(ctx context.Context) ([]demoDevice, error) {
	d.api.docs = nil
	list, _, err := listing[demoDevice](ctx, d.api, "/devices", nil, 0)
	return list, err
}

// until waits for what done counts to reach want, and draws it.
func (d *demo) until(ctx context.Context, what string, want int, done func() (int, error)) error {
	bar := d.bar(what, want)
	patience := d.clock.Now().Add(90*time.Second + time.Duration(d.cmd.Devices)*600*time.Millisecond)
	for {
		n, err := done()
		if err != nil {
			return err
		}
		bar.show(n)
		if n >= want {
			bar.end()
			return nil
		}
		if d.clock.Now().After(patience) {
			bar.end()
			return failedf("%s: only %d of %d came so far. The demo gives up.", what, n, want)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-d.gone():
			return failedf("The simulated iPads stopped: %v.", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// gone tells when the iPads' process ends; before it begins, never.
func (d *demo) gone() chan error {
	if d.fleet == nil {
		return nil
	}
	return d.fleet.ended
}

// enroll takes all iPads in.
func (d *demo) enroll(ctx context.Context) error {
	if err := d.until(ctx, "Keys made", d.cmd.Devices, func() (int, error) { return d.fleet.keys(), nil }); err != nil {
		return err
	}
	if err := d.fleet.do(map[string]any{"do": "enroll", "id": "enroll"}); err != nil {
		return err
	}
	return d.until(ctx, "Enrolled", d.cmd.Devices, func() (int, error) {
		list, err := d.devices(ctx)
		n := 0
		for _, dev := range list {
			if dev.State == "enrolled" {
				n++
			}
		}
		return n, err
	})
}

// deliver wishes Wi-Fi and an app onto all, and believes only what the iPads
// show.
func (d *demo) deliver(ctx context.Context) error {
	wish := map[string]any{"names": []string{demoWiFi, demoApp}, "to": "all"}
	if err := d.api.post(ctx, "/assignments?rollout=now", wish, nil); err != nil {
		return err
	}
	const items = 2
	err := d.until(ctx, "Wi-Fi and app observed", items*d.cmd.Devices, func() (int, error) {
		list, err := d.devices(ctx)
		n := 0
		for _, dev := range list {
			n += dev.shown()
		}
		return n, err
	})
	if err != nil {
		return err
	}
	tablets, err := d.fleet.snapshot(ctx)
	if err != nil {
		return err
	}
	for _, t := range tablets {
		if t.has(demoSSID, demoID) {
			d.result.Observed++
		}
	}
	return nil
}

// pick chooses the iPads that get lost and wiped, and one that cannot be lost.
func (d *demo) pick(ctx context.Context) (lost, wiped, plain *demoDevice, err error) {
	list, err := d.devices(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	for i := range list {
		switch dev := &list[i]; {
		case dev.Supervised == nil || !*dev.Supervised:
			if plain == nil {
				plain = dev
			}
		case lost == nil:
			lost = dev
		case wiped == nil:
			wiped = dev
		}
	}
	if lost == nil {
		return nil, nil, nil, failedf("No iPad of the demo says that it is supervised.")
	}
	if wiped == nil {
		wiped = lost
	}
	return lost, wiped, plain, nil
}

// lose marks an iPad as lost. One that was not prepared refuses, as in life.
func (d *demo) lose(ctx context.Context) error {
	lost, _, plain, err := d.pick(ctx)
	if err != nil {
		return err
	}
	screen := map[string]any{"message": "Bitte im Sekretariat abgeben", "phone": "+49 6831 000000"}
	if plain != nil {
		err := d.api.post(ctx, at("devices", plain.ID, "lost"), screen, nil)
		if codeOf(err) != "device.not-supervised" {
			return failedf("An iPad that is not supervised should refuse Lost Mode, and did not: %v.", err)
		}
		d.say("%s cannot be marked as lost: %v", plain.Serial, err)
	}
	if err := d.api.post(ctx, at("devices", lost.ID, "lost"), screen, nil); err != nil {
		return err
	}
	err = d.until(ctx, "Lost Mode observed on "+lost.Serial, 1, func() (int, error) { return d.agreed(ctx, lost, "lost", "lost") })
	if err == nil {
		d.result.Lost++
	}
	return err
}

// erase wipes an iPad.
func (d *demo) erase(ctx context.Context) error {
	_, wiped, _, err := d.pick(ctx)
	if err != nil {
		return err
	}
	if err := d.api.post(ctx, at("devices", wiped.ID, "erase"), map[string]any{"reason": "demo"}, nil); err != nil {
		return err
	}
	err = d.until(ctx, "Wipe observed on "+wiped.Serial, 1, func() (int, error) { return d.agreed(ctx, wiped, "erased", "erased") })
	if err == nil {
		d.result.Erased++
	}
	return err
}

// agreed is 1 when server and iPad say the same.
func (d *demo) agreed(ctx context.Context, dev *demoDevice, state, event string) (int, error) {
	var now demoDevice
	d.api.docs = nil
	if err := d.api.get(ctx, at("devices", dev.ID), nil, &now); err != nil {
		return 0, err
	}
	if now.State == state && d.fleet.happened(event, dev.Serial) {
		return 1, nil
	}
	return 0, nil
}
