package tablet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Enroll fetches an enrollment profile, or takes one that is given instead of a
// URL, installs it by hand and connects for the first time.
func (t *Tablet) Enroll(ctx context.Context, profile string) error {
	t.talk.Lock()
	defer t.talk.Unlock()
	if !t.online() {
		return ErrOffline
	}
	if t.enrolled() != nil {
		return ErrEnrolled
	}
	b := []byte(profile)
	if strings.HasPrefix(profile, "http://") || strings.HasPrefix(profile, "https://") {
		var err error
		if b, err = t.fetch(ctx, profile); err != nil {
			return err
		}
	}
	if err := t.enroll(ctx, b); err != nil {
		return err
	}
	return t.session(ctx)
}

// enroll installs a management profile on a tablet that has none.
func (t *Tablet) enroll(ctx context.Context, b []byte) error {
	p, err := t.cfg.schema.readProfile(b)
	if err != nil {
		return fmt.Errorf("read the enrollment profile: %w", err)
	}
	e, source, err := p.management()
	if err != nil {
		return err
	}
	// Its certificates are trusted before the identity is fetched.
	t.with(func() { t.mem.profiles = append(t.mem.profiles, p) })
	undo := func() { t.with(func() { t.drop(p.Identifier) }) }
	if e.id, err = t.identity(ctx, source); err != nil {
		undo()
		return err
	}
	e.token, e.magic = t.random(32), t.uuid()
	if e.rights&4 != 0 {
		e.unlock = t.random(64)
	}
	if err := t.authenticate(ctx, e); err != nil {
		undo()
		return err
	}
	if err := t.tokenUpdate(ctx, e, true); err != nil {
		undo()
		return err
	}
	times := 0
	t.with(func() {
		t.mem.enr = e
		t.state.Enrollments++
		times = t.state.Enrollments
	})
	t.emit(Event{Event: "enrolled", UDID: t.cfg.UDID, Name: t.State().Name, Supervised: &t.cfg.Supervised, Times: times,
		token: hex.EncodeToString(e.token), topic: e.topic, magic: e.magic})
	return nil
}

// identity gets the management identity a profile orders.
func (t *Tablet) identity(ctx context.Context, source map[string]any) (*Identity, error) {
	if text(source, "PayloadType") != "com.apple.security.scep" {
		return nil, errors.New("this tablet takes its identity by SCEP only")
	}
	order, err := readSCEP(source)
	if err != nil {
		return nil, err
	}
	key, err := t.cfg.Keys.Take()
	if err != nil {
		return nil, err
	}
	client, err := t.http(nil)
	if err != nil {
		return nil, err
	}
	c := &scepClient{http: client, url: order.url, now: t.cfg.Clock.Now}
	return c.fetchIdentity(ctx, key, order)
}

func (t *Tablet) checkIn(ctx context.Context, e *enrollment, kind string, more map[string]any) ([]byte, error) {
	m := map[string]any{"MessageType": kind, "UDID": t.cfg.UDID, "Topic": e.topic}
	for k, v := range more {
		m[k] = v
	}
	b, err := t.put(ctx, e, typeCheckIn, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return b, nil
}

// authenticate: Apple, mdm/checkin/authenticate.
func (t *Tablet) authenticate(ctx context.Context, e *enrollment) error {
	name := ""
	t.with(func() { name = t.mem.name })
	_, err := t.checkIn(ctx, e, "Authenticate", map[string]any{
		"BuildVersion": t.cfg.BuildVersion, "DeviceName": name, "Model": t.cfg.Model, "ModelName": t.cfg.ModelName,
		"OSVersion": t.cfg.OSVersion, "ProductName": t.cfg.Product, "SerialNumber": t.cfg.Serial,
	})
	return err
}

// tokenUpdate: Apple, mdm/checkin/tokenupdate. The unlock token is in the first
// one only.
func (t *Tablet) tokenUpdate(ctx context.Context, e *enrollment, first bool) error {
	m := map[string]any{"AwaitingConfiguration": false, "NotOnConsole": false, "PushMagic": e.magic, "Token": e.token}
	if first && e.unlock != nil {
		m["UnlockToken"] = e.unlock
	}
	_, err := t.checkIn(ctx, e, "TokenUpdate", m)
	return err
}

// NewToken lets Apple give the tablet another push token, which it tells the
// server, without the unlock token.
func (t *Tablet) NewToken(ctx context.Context) error {
	t.talk.Lock()
	defer t.talk.Unlock()
	e := t.enrolled()
	if e == nil {
		return ErrUnenrolled
	}
	next := *e
	next.token = t.random(32)
	if err := t.tokenUpdate(ctx, &next, false); err != nil {
		return err
	}
	t.with(func() { t.mem.enr = &next })
	t.emit(Event{Event: "token", token: hex.EncodeToString(next.token), topic: next.topic, magic: next.magic})
	return nil
}

// renew replaces the enrollment by a newer profile of the same identifier: a new
// identity, then Authenticate and TokenUpdate with it.
func (t *Tablet) renew(ctx context.Context, e *enrollment, p *installed) error {
	next, source, err := p.management()
	if err != nil {
		return err
	}
	if err := e.mayReplace(next); err != nil {
		return err
	}
	if next.id, err = t.identity(ctx, source); err != nil {
		return err
	}
	next.token, next.magic, next.unlock = e.token, e.magic, e.unlock
	t.with(func() { t.place(p) })
	if err := t.authenticate(ctx, next); err != nil {
		return err
	}
	if err := t.tokenUpdate(ctx, next, false); err != nil {
		return err
	}
	t.with(func() {
		t.mem.enr = next
		t.state.Renewals++
	})
	t.emit(Event{Event: "renewed"})
	return nil
}

// RemoveManagement removes the management profile by hand.
func (t *Tablet) RemoveManagement(ctx context.Context) error {
	t.talk.Lock()
	defer t.talk.Unlock()
	e := t.enrolled()
	if e == nil {
		return ErrUnenrolled
	}
	if e.checkOut && t.online() {
		_, _ = t.checkIn(ctx, e, "CheckOut", nil) // best effort, as an iPad's
	}
	t.unenroll("the management profile was removed by hand")
	return nil
}

// unenroll takes away all the server put there.
func (t *Tablet) unenroll(why string) {
	token := ""
	t.with(func() {
		if t.mem.enr != nil {
			token = hex.EncodeToString(t.mem.enr.token)
		}
		t.mem.enr, t.mem.lost, t.pending = nil, nil, nil
		t.mem.profiles = slices.DeleteFunc(t.mem.profiles, func(p *installed) bool { return p.Managed || isManagement(p) })
		for id, a := range t.mem.apps {
			if a.Managed {
				delete(t.mem.apps, id)
			}
		}
	})
	t.emit(Event{Event: "unenrolled", Error: why, token: token})
}

func isManagement(p *installed) bool {
	return slices.ContainsFunc(p.Payloads, func(x Payload) bool { return x.Type == "com.apple.mdm" })
}

// drop removes a profile, place installs one in place of its namesake; t.mu is held.
func (t *Tablet) drop(identifier string) bool {
	n := len(t.mem.profiles)
	t.mem.profiles = slices.DeleteFunc(t.mem.profiles, func(p *installed) bool { return p.Identifier == identifier })
	return len(t.mem.profiles) < n
}

func (t *Tablet) place(p *installed) {
	for i, old := range t.mem.profiles {
		if old.Identifier == p.Identifier {
			t.mem.profiles[i] = p
			return
		}
	}
	t.mem.profiles = append(t.mem.profiles, p)
}
