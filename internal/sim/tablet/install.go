package tablet

import (
	"context"
	"fmt"
	"slices"
)

// installProfile installs or replaces a profile that the server sent. Same
// PayloadIdentifier replaces, another one adds.
func (t *Tablet) installProfile(ctx context.Context, c *Command) (map[string]any, *chain) {
	raw, _ := c.Body["Payload"].([]byte)
	p, bad := t.rules.readProfile(raw)
	if bad != nil {
		return nil, bad.under(installDomain, 4001, "The profile could not be installed.")
	}
	p.managed = true
	if p.payload("com.apple.mdm") != nil {
		if bad := t.renew(ctx, p); bad != nil {
			return nil, bad.under(installDomain, 4001, fmt.Sprintf("The profile “%s” could not be installed.", p.id()))
		}
		return nil, nil
	}
	t.mu.Lock()
	if i := t.find(p.id()); i >= 0 {
		if old := t.profiles[i]; !old.managed || old.payload("com.apple.mdm") != nil {
			t.mu.Unlock()
			return nil, refuse(mdmDomain, 12009, "The profile “%s” cannot be replaced: the MDM server did not install it.", p.id())
		}
		t.profiles[i] = p
	} else {
		t.profiles = append(t.profiles, p)
	}
	t.mu.Unlock()
	t.emit(Event{Event: "profile-installed", Identifier: p.id(), Name: text(p.top, "PayloadDisplayName"), SSIDs: p.ssids()})
	return nil, nil
}

// find is the index of a profile by identifier, or -1; t.mu is held.
func (t *Tablet) find(id string) int {
	return slices.IndexFunc(t.profiles, func(p *installed) bool { return p.id() == id })
}

// renew replaces the enrollment profile: a new identity for the same management.
//
// Apple, com.apple.mdm.yaml: the addresses and the topic may not change, the
// rights may not grow, per-user connections neither come nor go.
func (t *Tablet) renew(ctx context.Context, p *installed) *chain {
	t.mu.Lock()
	old := t.mgmt
	t.mu.Unlock()
	if p.id() != old.profileID {
		return refuse(mdmDomain, 12001, "There is an MDM profile on the device already, “%s”.", old.profileID)
	}
	if bad := mismatch(p.payload("com.apple.mdm"), old); bad != nil {
		return bad
	}
	m, err := t.manage(ctx, p)
	if err != nil {
		return refuse(mdmDomain, 12002, "The new identity could not be fetched: %v", err)
	}
	m.token, m.magic, m.unlockToken, m.unlockSent = old.token, old.magic, old.unlockToken, old.unlockSent
	if !t.cfg.RenewQuietly {
		if err := t.checkIn(ctx, m); err != nil {
			return refuse(mdmDomain, 12002, "The server refused the check-in with the new identity: %v", err)
		}
	}
	t.mu.Lock()
	t.mgmt = m
	if i := t.find(p.id()); i >= 0 {
		p.managed = t.profiles[i].managed
		t.profiles[i] = p
	}
	t.count.renewals++
	t.mu.Unlock()
	t.emit(Event{Event: "renewed"})
	return nil
}

func mismatch(c map[string]any, old *management) *chain {
	rights, _ := whole(c, "AccessRights")
	checkIn := text(c, "CheckInURL")
	if checkIn == "" {
		checkIn = text(c, "ServerURL")
	}
	what := ""
	switch {
	case text(c, "ServerURL") != old.serverURL:
		what = "ServerURL"
	case checkIn != old.checkInURL:
		what = "CheckInURL"
	case text(c, "Topic") != old.topic:
		what = "Topic"
	case rights&^old.rights != 0:
		what = "AccessRights"
	case perUser(c) != slices.Contains(old.capabilities, "com.apple.mdm.per-user-connections"):
		what = "ServerCapabilities"
	default:
		return nil
	}
	return refuse(mdmDomain, 12012, "The new MDM payload does not match the old payload: %s.", what)
}

func perUser(c map[string]any) bool {
	return slices.Contains(list(c, "ServerCapabilities"), any("com.apple.mdm.per-user-connections"))
}

func (t *Tablet) removeProfile(_ context.Context, c *Command) (map[string]any, *chain) {
	id := text(c.Body, "Identifier")
	t.mu.Lock()
	i := t.find(id)
	switch {
	case i < 0:
		t.mu.Unlock()
		return nil, refuse(mdmDomain, 12075, "The profile “%s” is not installed.", id)
	case id == t.mgmt.profileID:
		t.leaving = true // done when this is answered
		t.mu.Unlock()
		return nil, nil
	case !t.profiles[i].managed:
		t.mu.Unlock()
		return nil, refuse(mdmDomain, 12013, "The profile “%s” is not managed by MDM.", id)
	}
	t.profiles = slices.Delete(t.profiles, i, i+1)
	t.mu.Unlock()
	t.emit(Event{Event: "profile-removed", Identifier: id})
	return nil, nil
}
