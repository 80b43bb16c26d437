package enroll_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/micromdm/plist"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/catalogue"
	"ranzen/internal/commands"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// tablet is an iPad as the server sees it.
type tablet struct {
	w            *world
	udid, serial string
	hash         string // of its certificate
	token        byte
}

func (w *world) tablet(n int) *tablet {
	return &tablet{w: w, udid: fmt.Sprintf("00008120-%012d", n), serial: fmt.Sprintf("DMQX%06d", n), token: byte(n)}
}

// fetch loads the enrollment profile of a link and gets a certificate by it.
func (d *tablet) fetch(l enroll.Link) {
	d.w.t.Helper()
	d.install(d.w.profile(l))
}

func (d *tablet) install(signed []byte) {
	d.w.t.Helper()
	hash, err := d.w.scep(d.w.read(signed).challenge(d.w.t))
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.hash = hash
}

// send is what the tablets' door does with a check-in message.
func (d *tablet) send(m *mdm.CheckIn) ([]byte, error) {
	d.w.t.Helper()
	ctx := d.w.t.Context()
	if m.UDID == "" {
		m.UDID = d.udid
	}
	id, err := d.w.certs.Lookup(ctx, d.w.db, d.hash)
	if err != nil {
		return nil, err
	}
	var reply []byte
	err = d.w.try(func(tx *sqldb.Tx) error {
		if m.MessageType != "Authenticate" && id.State == certs.Issued && id.Purpose == certs.Renew {
			if err := d.w.enroll.PinRenewed(ctx, tx, id); err != nil {
				return err
			}
			id.State = certs.Pinned
		}
		reply, err = d.w.enroll.CheckIn(ctx, tx, id, m)
		return err
	})
	return reply, err
}

func (d *tablet) must(m *mdm.CheckIn) []byte {
	d.w.t.Helper()
	reply, err := d.send(m)
	if err != nil {
		d.w.t.Fatalf("%s: %v", m.MessageType, err)
	}
	return reply
}

func (d *tablet) topic() string {
	d.w.t.Helper()
	topic, _, err := d.w.certs.Topic(d.w.t.Context(), d.w.db)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return topic
}

func (d *tablet) authenticate() *mdm.CheckIn {
	return &mdm.CheckIn{
		MessageType: "Authenticate", UDID: d.udid, SerialNumber: d.serial, Topic: d.topic(),
		OSVersion: "18.6", BuildVersion: "22G86", ProductName: "iPad13,18", Model: "MPQ03FD/A", DeviceName: "iPad von Lena Beispiel",
	}
}

func (d *tablet) tokenUpdate() *mdm.CheckIn {
	return &mdm.CheckIn{
		MessageType: "TokenUpdate", UDID: d.udid, Topic: d.topic(), Token: bytes.Repeat([]byte{d.token + 1}, 32), PushMagic: "magic-" + d.serial,
	}
}

func (d *tablet) checkOut() *mdm.CheckIn { return &mdm.CheckIn{MessageType: "CheckOut", UDID: d.udid} }

// enrolls is the whole way in.
func (d *tablet) enrolls(l enroll.Link) enroll.Enrollment {
	d.w.t.Helper()
	d.fetch(l)
	d.must(d.authenticate())
	m := d.tokenUpdate()
	m.UnlockToken = []byte("unlock-" + d.serial)
	d.must(m)
	return d.enrollment()
}

func (w *world) enrolled(n int) (*tablet, enroll.Enrollment) {
	w.t.Helper()
	d := w.tablet(n)
	return d, d.enrolls(w.link(enroll.LinkSpec{}))
}

func (d *tablet) device() schools.Device {
	d.w.t.Helper()
	dev, err := d.w.schools.Find(d.w.t.Context(), d.w.db, d.serial)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return dev
}

func (d *tablet) enrollment() enroll.Enrollment {
	d.w.t.Helper()
	e, err := d.w.enroll.EnrollmentOf(d.w.t.Context(), d.w.db, d.device().ID)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return e
}

func (d *tablet) state() certs.State {
	d.w.t.Helper()
	id, err := d.w.certs.Lookup(d.w.t.Context(), d.w.db, d.hash)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return id.State
}

// report is one exchange at the command address; nil is Idle.
func (d *tablet) report(status, id, inner string) *commands.HandOver {
	d.w.t.Helper()
	e := d.enrollment()
	raw := `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>Status</key><string>` + status + `</string>`
	if id != "" {
		raw += `<key>CommandUUID</key><string>` + id + `</string>`
	}
	raw += `<key>UDID</key><string>` + d.udid + `</string>` + inner + `</dict></plist>`
	rep, err := mdm.ParseReport([]byte(raw))
	if err != nil {
		d.w.t.Fatal(err)
	}
	var next *commands.HandOver
	d.w.do(func(tx *sqldb.Tx) (err error) {
		next, err = d.w.queue.Exchange(d.w.t.Context(), tx,
			commands.Session{EnrollmentID: e.ID, Generation: e.Generation, LostMode: e.LostMode}, rep)
		return err
	})
	if next != nil {
		d.sane(next)
	}
	return next
}

// sane holds what is handed over, and a profile in it, to the catalogue, for every
// iPadOS from 16 on; what needs a newer one is not sent to an older.
func (d *tablet) sane(h *commands.HandOver) {
	d.w.t.Helper()
	command := carried(d.w.t, h)
	var c struct{ Command map[string]any }
	if err := mdm.Decode(h.Body, &c); err != nil {
		d.w.t.Fatal(err)
	}
	delete(c.Command, "RequestType")
	found, needs := catalogue.CheckCommand(h.RequestType, c.Command), catalogue.CommandNeeds(h.RequestType, c.Command)
	if payload, is := command["Payload"].([]byte); is {
		content, _, err := certs.UnwrapCMS(payload)
		if err != nil {
			d.w.t.Fatal(err)
		}
		var doc map[string]any
		if err := mdm.Decode(content, &doc); err != nil {
			d.w.t.Fatal(err)
		}
		found, needs = append(found, catalogue.CheckProfile(doc)...), append(needs, catalogue.NeedsOf(doc)...)
	}
	if len(found) > 0 {
		d.w.t.Errorf("the catalogue says of %s: %+v", h.Kind, found)
	}
	supervised := true
	for _, n := range needs {
		if h.Kind == "device.erase" && n.Since != "" {
			continue // ReturnToService is refused below 17, and only 26 gives a bootstrap token
		}
		for _, os := range []string{"16.0", "17.0", "18.0", "26.0"} {
			if lacks := n.Lacks(os, &supervised); lacks != "" && h.Kind != "raw" {
				d.w.t.Errorf("%s on %s: %+v is %s", h.Kind, os, n, lacks)
			}
		}
	}
}

func (d *tablet) idle() *commands.HandOver { d.w.t.Helper(); return d.report("Idle", "", "") }

// answers is what a tablet says to a kind of command; "" is a plain yes.
type answers map[string]string

// works takes commands until there are none, and gives their kinds.
func (d *tablet) works(a answers) []string {
	d.w.t.Helper()
	var kinds []string
	next := d.idle()
	for next != nil {
		if len(kinds) > 50 {
			d.w.t.Fatalf("there is no end to the commands: %v", kinds)
		}
		kinds = append(kinds, next.Kind)
		inner, told := a[next.Kind]
		if !told {
			inner = yes(next.Kind)
		}
		if status, rest, is := strings.Cut(inner, "|"); is {
			next = d.report(status, next.ID, rest)
			continue
		}
		next = d.report("Acknowledged", next.ID, inner)
	}
	return kinds
}

// yes is the least a tablet must say to a kind.
func yes(kind string) string {
	switch kind {
	case "device.information":
		return information(`<key>OSVersion</key><string>18.6</string>`)
	case "device.security":
		return `<key>SecurityInfo</key><dict><key>PasscodePresent</key><true/></dict>`
	case "device.certificates":
		return `<key>CertificateList</key><array/>`
	case "activation.bypass":
		return `<key>ActivationLockBypassCode</key><string>0AB1C-D2EF3</string>`
	case "device.rename":
		return `<key>Settings</key><array><dict><key>Item</key><string>DeviceName</string><key>Status</key><string>Acknowledged</string></dict></array>`
	case "lost.locate":
		return `<key>Latitude</key><real>53.55</real><key>Longitude</key><real>9.99</real><key>HorizontalAccuracy</key><real>12</real>`
	}
	return ""
}

func information(inner string) string { return `<key>QueryResponses</key><dict>` + inner + `</dict>` }

const (
	isSupervised = `<key>IsSupervised</key><true/>`
	unsupervised = `<key>IsSupervised</key><false/>`
	inLostMode   = `<key>IsMDMLostModeEnabled</key><true/>`
	notLost      = `<key>IsMDMLostModeEnabled</key><false/>`
)

// carried is the command that a hand-over carries to the tablet.
func carried(t testing.TB, h *commands.HandOver) map[string]any {
	t.Helper()
	var body struct{ Command map[string]any }
	if h == nil {
		t.Fatal("nothing was handed over")
	}
	if err := plist.Unmarshal(h.Body, &body); err != nil {
		t.Fatal(err)
	}
	return body.Command
}

// payloadOf is the profile in an InstallProfile.
func payloadOf(t testing.TB, h *commands.HandOver) []byte {
	t.Helper()
	payload, _ := carried(t, h)["Payload"].([]byte)
	if len(payload) == 0 {
		t.Fatalf("%s carries no profile", h.Kind)
	}
	return payload
}

// next works until a command of this kind is handed over, and gives it
// unanswered.
func (d *tablet) next(kind string) *commands.HandOver {
	d.w.t.Helper()
	next := d.idle()
	for range 50 {
		if next == nil {
			d.w.t.Fatalf("no %s was handed over", kind)
		}
		if next.Kind == kind {
			return next
		}
		next = d.report("Acknowledged", next.ID, yes(next.Kind))
	}
	d.w.t.Fatalf("%s does not come", kind)
	return nil
}
