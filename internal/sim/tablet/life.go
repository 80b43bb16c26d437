package tablet

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Lock locks the tablet: with a passcode, it answers NotNow to some commands.
func (t *Tablet) Lock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.awaiting {
		return // Setup Assistant has no passcode yet
	}
	t.locked, t.hasCode = true, true
}

// Unlock unlocks it; it will connect by itself if it had put something off.
func (t *Tablet) Unlock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.locked, t.offline, t.drowsy = false, false, false
}

// Sleep takes the tablet off the network; Wake brings it back.
func (t *Tablet) Sleep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asleep = true
}

// Wake ends Sleep.
func (t *Tablet) Wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asleep = false
}

// Asleep tells whether a push would reach it.
func (t *Tablet) Asleep() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asleep || t.offline
}

// Reboot restarts the tablet. With a passcode it has no Wi-Fi until somebody
// unlocks it: what is in its keychain cannot be read before.
func (t *Tablet) Reboot() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.restarts++
	t.locked, t.offline = t.hasCode, t.hasCode
}

// EraseByHand is a person who erases the tablet in Settings: no word to the
// server. See ComesBack.
func (t *Tablet) EraseByHand() {
	t.busy.Lock()
	defer t.busy.Unlock()
	t.mu.Lock()
	t.reset()
	if t.setup != "" && t.cfg.ReEnroll {
		t.back = &comeback{wait: t.cfg.EraseTime}
	}
	t.count.erased++
	t.mu.Unlock()
	t.emit(Event{Event: "erased"})
}

// RemoveProfileByHand is a person who removes a profile in Settings. It fails if
// the profile is not there or may not be removed; of the enrollment profile it is
// RemoveManagement.
func (t *Tablet) RemoveProfileByHand(ctx context.Context, id string) error {
	t.mu.Lock()
	i := t.find(id)
	if i < 0 {
		t.mu.Unlock()
		return fmt.Errorf("the profile %s is not on the tablet", id)
	}
	p := t.profiles[i]
	if p.payload("com.apple.mdm") != nil {
		t.mu.Unlock()
		return t.RemoveManagement(ctx)
	}
	if flag(p.top, "PayloadRemovalDisallowed") {
		t.mu.Unlock()
		return fmt.Errorf("the profile %s may not be removed by hand", id)
	}
	t.profiles = slices.Delete(t.profiles, i, i+1)
	t.mu.Unlock()
	t.emit(Event{Event: "profile-removed", Identifier: id})
	return nil
}

// Backup is what a device backup holds: profiles, apps, settings and, since it
// was made of a tablet's keychain, its identity.
type Backup struct {
	name     string
	profiles []*installed
	apps     map[string]*app
	mgmt     *management
}

// Backup makes one.
func (t *Tablet) Backup() Backup {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := Backup{name: t.name, profiles: slices.Clone(t.profiles), apps: maps.Clone(t.apps)}
	for id, a := range b.apps {
		copied := *a
		b.apps[id] = &copied
	}
	if t.mgmt != nil {
		m := *t.mgmt
		b.mgmt = &m
	}
	return b
}

// Restore plays a backup back, of this tablet or of another. The push token is
// new, serial and UDID are this tablet's; with a management in the backup it
// checks in with the identity from there and connects.
func (t *Tablet) Restore(ctx context.Context, b Backup) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	t.mu.Lock()
	t.reset()
	t.name, t.profiles, t.apps = b.name, slices.Clone(b.profiles), maps.Clone(b.apps)
	if b.mgmt == nil {
		t.mu.Unlock()
		return nil
	}
	m := *b.mgmt
	m.token, m.magic = t.bytes(32), t.uuid()
	t.mu.Unlock()
	t.register(ctx, &m)
	if err := t.checkIn(ctx, &m); err != nil {
		return t.failed("enroll-failed", fmt.Errorf("after the restore: %w", err))
	}
	t.mu.Lock()
	t.mgmt = &m
	if t.setup != "" {
		t.setup, t.hasCode = setupReleased, t.cfg.Code
	}
	t.mu.Unlock()
	return t.session(ctx)
}
