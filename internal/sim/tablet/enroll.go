package tablet

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Enroll fetches the enrollment profile, installs it as a person does in
// Settings, and answers the server's first commands.
func (t *Tablet) Enroll(ctx context.Context, profileURL string) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	raw, err := t.fetchProfile(ctx, profileURL)
	if err != nil {
		return t.failed("enroll-failed", err)
	}
	return t.enrollWith(ctx, raw)
}

// EnrollWith is Enroll with a profile that is there already.
func (t *Tablet) EnrollWith(ctx context.Context, profile []byte) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	return t.enrollWith(ctx, profile)
}

// enrollWith installs and goes through a first session; a session that fails
// after TokenUpdate leaves the tablet enrolled.
func (t *Tablet) enrollWith(ctx context.Context, profile []byte) error {
	if err := t.install(ctx, profile); err != nil {
		return t.failed("enroll-failed", err)
	}
	return t.session(ctx)
}

func (t *Tablet) install(ctx context.Context, raw []byte) error {
	p, bad := t.rules.readProfile(raw)
	if bad != nil {
		return fmt.Errorf("the enrollment profile: %w", bad)
	}
	if p.payload("com.apple.mdm") == nil {
		return errors.New("the enrollment profile has no payload com.apple.mdm")
	}
	if t.Enrolled() {
		return ErrEnrolled
	}
	m, err := t.manage(ctx, p)
	if err != nil {
		return err
	}
	t.mu.Lock()
	m.token, m.magic, m.unlockToken = t.bytes(32), t.uuid(), t.bytes(64)
	t.mu.Unlock()
	t.register(ctx, m)
	if err := t.checkIn(ctx, m); err != nil {
		return err
	}
	t.mu.Lock()
	t.mgmt, t.profiles, t.back = m, append(t.profiles, p), nil
	if t.awaiting {
		t.setup = setupAwaiting
	} else if t.setup != "" {
		t.setup, t.hasCode = setupReleased, t.cfg.Code
	}
	t.count.enrollments++
	times, name, supervised := t.count.enrollments, t.name, t.cfg.Supervised
	t.mu.Unlock()
	t.emit(Event{Event: "enrolled", UDID: t.cfg.UDID, Supervised: &supervised, Name: name, Times: times})
	return t.bootstrapToken(ctx, m)
}

// register makes the push service know the token: the server may push as soon as
// it has it.
func (t *Tablet) register(ctx context.Context, m *management) {
	t.mu.Lock()
	t.comes = m.magic
	t.mu.Unlock()
	if t.cfg.Register != nil {
		t.cfg.Register(ctx, hex.EncodeToString(m.token), m.topic, m.magic)
	}
}

// checkIn sends Authenticate and TokenUpdate.
func (t *Tablet) checkIn(ctx context.Context, m *management) error {
	if _, err := t.put(ctx, m, m.checkInURL, typeCheckIn, t.authenticate(m)); err != nil {
		return fmt.Errorf("Authenticate: %w", err)
	}
	return t.tokenUpdate(ctx, m)
}

func (t *Tablet) authenticate(m *management) map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]any{
		"MessageType": "Authenticate", "UDID": t.cfg.UDID, "Topic": m.topic, "SerialNumber": t.cfg.Serial,
		"DeviceName": t.name, "Model": t.cfg.Model, "ModelName": t.cfg.ModelName, "ProductName": t.cfg.Product,
		"OSVersion": t.cfg.OSVersion, "BuildVersion": t.cfg.BuildVersion,
	}
}

func (t *Tablet) tokenUpdate(ctx context.Context, m *management) error {
	message := map[string]any{
		"MessageType": "TokenUpdate", "UDID": t.cfg.UDID, "Topic": m.topic, "Token": bytes.Clone(m.token), "PushMagic": m.magic,
		"AwaitingConfiguration": t.waits(),
	}
	// Only the first TokenUpdate of an enrollment has it, and only with the right
	// to lock the device and remove its passcode (4).
	if !m.unlockSent && m.rights&4 != 0 {
		message["UnlockToken"] = m.unlockToken
	}
	if _, err := t.put(ctx, m, m.checkInURL, typeCheckIn, message); err != nil {
		return fmt.Errorf("TokenUpdate: %w", err)
	}
	m.unlockSent = true
	return nil
}

func (t *Tablet) waits() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.awaiting
}

// bootstrapToken is sent by iPadOS 26 to a server that wants it.
func (t *Tablet) bootstrapToken(ctx context.Context, m *management) error {
	if !t.cfg.Supervised || !slices.Contains(m.capabilities, "com.apple.mdm.bootstraptoken") || major(t.cfg.OSVersion) < 26 {
		return nil
	}
	t.mu.Lock()
	token := t.bytes(48)
	t.mu.Unlock()
	_, err := t.put(ctx, m, m.checkInURL, typeCheckIn, map[string]any{
		"MessageType": "SetBootstrapToken", "UDID": t.cfg.UDID, "BootstrapToken": token,
	})
	if err != nil {
		return fmt.Errorf("SetBootstrapToken: %w", err)
	}
	return nil
}

// CheckIn sends any check-in message, for tests: the tablet adds its UDID.
func (t *Tablet) CheckIn(ctx context.Context, message map[string]any) ([]byte, error) {
	t.busy.Lock()
	defer t.busy.Unlock()
	m, err := t.managed()
	if err != nil {
		return nil, err
	}
	if _, ok := message["UDID"]; !ok {
		message["UDID"] = t.cfg.UDID
	}
	return t.put(ctx, m, m.checkInURL, typeCheckIn, message)
}

// RemoveManagement is a person who removes the management in Settings; that
// fails if Apple was told that nobody may.
func (t *Tablet) RemoveManagement(ctx context.Context) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	m, err := t.managed()
	if err != nil {
		return err
	}
	t.mu.Lock()
	kept := t.kept
	t.mu.Unlock()
	if kept {
		return errors.New("the management cannot be removed by hand: the enrollment profile says so")
	}
	t.sayGoodbye(ctx, m)
	t.unenroll("removed by hand")
	return nil
}

// sayGoodbye sends CheckOut once; that it may not arrive is its nature.
func (t *Tablet) sayGoodbye(ctx context.Context, m *management) {
	if !m.checkOut {
		return
	}
	_, err := t.put(ctx, m, m.checkInURL, typeCheckIn, map[string]any{
		"MessageType": "CheckOut", "UDID": t.cfg.UDID, "Topic": m.topic,
	})
	if err != nil {
		t.mu.Lock()
		t.lastError = "CheckOut: " + err.Error()
		t.mu.Unlock()
	}
}

// unenroll forgets the management and all it brought.
func (t *Tablet) unenroll(why string) {
	t.mu.Lock()
	t.mgmt, t.comes = nil, ""
	t.profiles = slices.DeleteFunc(t.profiles, func(p *installed) bool { return p.managed || p.payload("com.apple.mdm") != nil })
	for id, a := range t.apps {
		if a.managed && a.flags&1 != 0 {
			delete(t.apps, id)
		} else {
			a.managed = false
		}
	}
	t.lost, t.leaving, t.awaiting, t.tokenDue = nil, false, false, false
	if t.setup != "" {
		t.setup = setupUnmanaged
	}
	t.mu.Unlock()
	t.emit(Event{Event: "unenrolled", Error: why})
}

// managed gives the management if the tablet has one and a network.
func (t *Tablet) managed() (*management, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.mgmt == nil:
		return nil, ErrUnenrolled
	case t.asleep || t.offline:
		return nil, ErrOffline
	}
	return t.mgmt, nil
}

// bytes and uuid draw from the tablet's seed; t.mu is held.
func (t *Tablet) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.rand.Uint32())
	}
	return b
}

func (t *Tablet) uuid() string {
	b := t.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// ended handles an answer that ends the management. A 403 with Apple's code is an
// orderly end and no error; a 401 never is meant so.
func (t *Tablet) ended(err error) error {
	h, ok := errors.AsType[*HTTPError](err)
	if !ok || !h.Ends() {
		return err
	}
	t.unenroll(fmt.Sprintf("the server answered %d", h.Status))
	if h.Status == http.StatusForbidden {
		return nil
	}
	return err
}
