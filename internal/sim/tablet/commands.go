package tablet

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// handler executes a command: extra keys of the answer, or an error, or notNow.
// It is called without t.mu.
type handler func(t *Tablet, ctx context.Context, c *Command) (extra map[string]any, bad *chain)

// notNow is no error but an answer; handlers return it as one.
const notNowDomain = "NotNow"

func notNow() *chain { return refuse(notNowDomain, 0, "not now") }

// handlerOf finds what executes a command. The others of Apple's commands are
// acknowledged without effect.
func handlerOf(request string) handler {
	switch request {
	case "InstallProfile":
		return (*Tablet).installProfile
	case "RemoveProfile":
		return (*Tablet).removeProfile
	case "ProfileList":
		return (*Tablet).profileList
	case "InstallApplication":
		return (*Tablet).installApplication
	case "RemoveApplication":
		return (*Tablet).removeApplication
	case "ManagedApplicationList":
		return (*Tablet).managedApplicationList
	case "InstalledApplicationList":
		return (*Tablet).installedApplicationList
	case "DeviceInformation":
		return (*Tablet).deviceInformation
	case "SecurityInfo":
		return (*Tablet).securityInfo
	case "CertificateList":
		return (*Tablet).certificateList
	case "Settings":
		return (*Tablet).settings
	case "EnableLostMode":
		return (*Tablet).enableLostMode
	case "DisableLostMode":
		return (*Tablet).disableLostMode
	case "DeviceLocation":
		return (*Tablet).deviceLocation
	case "PlayLostModeSound":
		return (*Tablet).playLostModeSound
	case "EraseDevice":
		return (*Tablet).eraseDevice
	case "ClearPasscode":
		return (*Tablet).clearPasscode
	case "ActivationLockBypassCode":
		return (*Tablet).activationLockBypassCode
	case "DeviceLock":
		return (*Tablet).deviceLock
	case "DeviceConfigured":
		return (*Tablet).deviceConfigured
	case "Restrictions":
		return (*Tablet).restrictions
	default:
		return (*Tablet).nothing
	}
}

// inLostMode are the commands a tablet takes in Lost Mode; all others get 12078.
// Apple names none; this is the least that Lost Mode needs.
func inLostMode(request string) bool {
	return slices.Contains([]string{
		"EnableLostMode", "DisableLostMode", "DeviceLocation", "PlayLostModeSound", "EraseDevice", "DeviceInformation",
		"SecurityInfo", "ShutDownDevice", "RestartDevice",
	}, request)
}

// whenLocked are the commands a locked tablet puts off
// (https://developer.apple.com/forums/thread/747460).
func whenLocked(request string) bool {
	return slices.Contains([]string{"InstallProfile", "SecurityInfo", "InstallProvisioningProfile"}, request)
}

// right is the access right a command needs, of those the server uses.
//
// Apple, Device Management, MDM > AccessRights.
func right(request string) int64 {
	switch request {
	case "ProfileList":
		return 1
	case "InstallProfile", "RemoveProfile":
		return 2
	case "DeviceLock", "ClearPasscode":
		return 4
	case "EraseDevice":
		return 8
	case "DeviceInformation":
		return 16
	case "InstalledApplicationList":
		return 256
	case "SecurityInfo":
		return 1024
	case "Settings":
		return 2048
	case "InstallApplication", "RemoveApplication", "ManagedApplicationList":
		return 4096
	}
	return 0
}

// execute does a command and makes the answer to it.
func (t *Tablet) execute(ctx context.Context, c *Command) Report {
	r := Report{UUID: c.UUID, Status: "Acknowledged"}
	extra, bad := t.gate(ctx, c)
	switch {
	case bad == nil:
		r.Extra = extra
	case bad.items[0].domain == notNowDomain:
		r.Status = "NotNow"
	default:
		r.Status = "Error"
		if bad.items[0].code == 12008 {
			r.Status = "CommandFormatError"
		}
		r.Extra = maps.Clone(extra)
		if r.Extra == nil {
			r.Extra = map[string]any{}
		}
		r.Extra["ErrorChain"] = bad.plist()
	}
	return r
}

// gate refuses what a tablet refuses before it looks at a command's meaning.
func (t *Tablet) gate(ctx context.Context, c *Command) (map[string]any, *chain) {
	s, known := t.rules["command "+c.RequestType]
	t.mu.Lock()
	// In Setup Assistant there is no screen that is locked.
	lost, locked, rights := t.lost != nil, (t.locked && t.hasCode || t.drowsy) && !t.awaiting, t.mgmt.rights
	t.mu.Unlock()
	switch {
	case !known, s.supervised && !t.cfg.Supervised:
		// So an unsupervised iPad says it (micromdm #970).
		return nil, refuse(mdmDomain, 12021, "“%s” is not a valid request type.", c.RequestType)
	case right(c.RequestType)&^rights != 0:
		return nil, refuse(mdmDomain, 12007, "The MDM server is not authorized to do “%s”.", c.RequestType)
	case lost && !inLostMode(c.RequestType):
		return nil, refuse(mdmDomain, 12078, "“%s” is not a valid request type in MDM Lost Mode.", c.RequestType)
	case locked && whenLocked(c.RequestType):
		return nil, notNow()
	}
	body := maps.Clone(c.Body)
	delete(body, "RequestType")
	if b := check(body, s.keys...); b != nil {
		return nil, refuse(mdmDomain, 12008, "The command “%s” is malformed: %v", c.RequestType, b)
	}
	return handlerOf(c.RequestType)(t, ctx, c)
}

func (t *Tablet) nothing(context.Context, *Command) (map[string]any, *chain) { return nil, nil }

func (t *Tablet) profileList(_ context.Context, c *Command) (map[string]any, *chain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []any{}
	for _, p := range t.profiles {
		if flag(c.Body, "ManagedOnly") && !p.managed {
			continue
		}
		out = append(out, p.listed())
	}
	return map[string]any{"ProfileList": out}, nil
}

// listed is the profile as ProfileList shows it: no payload's content.
func (p *installed) listed() map[string]any {
	out := pick(p.top, "PayloadIdentifier", "PayloadUUID", "PayloadDisplayName", "PayloadDescription", "PayloadOrganization", "PayloadVersion")
	out["HasRemovalPasscode"], out["IsEncrypted"], out["IsManaged"] = flag(p.top, "HasRemovalPasscode"), false, p.managed
	out["PayloadRemovalDisallowed"] = flag(p.top, "PayloadRemovalDisallowed")
	content := []any{}
	for _, c := range p.payloads {
		content = append(content, pick(c, "PayloadIdentifier", "PayloadUUID", "PayloadType", "PayloadDisplayName",
			"PayloadDescription", "PayloadOrganization", "PayloadVersion"))
	}
	out["PayloadContent"] = content
	if len(p.signers) > 0 {
		signers := []any{}
		for _, s := range p.signers {
			signers = append(signers, s)
		}
		out["SignerCertificates"] = signers
	}
	return out
}

func pick(m map[string]any, keys ...string) map[string]any {
	out := map[string]any{}
	for _, k := range keys {
		if v, ok := m[k]; ok {
			out[k] = v
		}
	}
	return out
}

func (t *Tablet) certificateList(_ context.Context, c *Command) (map[string]any, *chain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []any{}
	for _, p := range t.profiles {
		certs, _ := p.roots() // they were checked when the profile was installed
		for _, cert := range certs {
			out = append(out, map[string]any{"CommonName": cert.Subject.CommonName, "Data": cert.Raw, "IsIdentity": false})
		}
	}
	if id := t.mgmt.identity; id != nil {
		out = append(out, map[string]any{"CommonName": id.Cert.Subject.CommonName, "Data": id.Cert.Raw, "IsIdentity": true})
	}
	return map[string]any{"CertificateList": out}, nil
}

// settings answers each item for itself; the whole is Acknowledged all the same.
func (t *Tablet) settings(_ context.Context, c *Command) (map[string]any, *chain) {
	results := []any{}
	for _, v := range list(c.Body, "Settings") {
		item, _ := v.(map[string]any)
		name := text(item, "Item")
		result := map[string]any{"Item": name, "Status": "Acknowledged"}
		if id := text(item, "Identifier"); id != "" {
			result["Identifier"] = id
		}
		if bad := t.setting(name, item); bad != nil {
			result["Status"], result["ErrorChain"] = "Error", bad.plist()
		}
		results = append(results, result)
	}
	return map[string]any{"Settings": results}, nil
}

func (t *Tablet) setting(name string, item map[string]any) *chain {
	s, known := t.rules["setting "+name]
	if !known || s.supervised && !t.cfg.Supervised {
		return refuse(mdmDomain, 12021, "“%s” is not a valid setting for this device.", name)
	}
	if b := check(item, s.keys...); b != nil {
		return refuse(mdmDomain, 12008, "The setting “%s” is malformed: %v", name, b)
	}
	t.mu.Lock()
	t.options[name] = withoutCommon(item)
	renamed := name == "DeviceName"
	if renamed {
		t.name = text(item, "DeviceName")
	}
	t.mu.Unlock()
	if renamed {
		t.emit(Event{Event: "renamed", Name: text(item, "DeviceName")})
	}
	return nil
}

func (t *Tablet) enableLostMode(_ context.Context, c *Command) (map[string]any, *chain) {
	l := &Lost{Message: text(c.Body, "Message"), Phone: text(c.Body, "PhoneNumber"), Footnote: text(c.Body, "Footnote")}
	if l.Message == "" && l.Phone == "" {
		return nil, refuse(mdmDomain, 12066, "Lost Mode could not be enabled: a message or a phone number is required.")
	}
	t.mu.Lock()
	if t.lost != nil {
		l.Sounds = t.lost.Sounds
	}
	t.lost = l
	t.mu.Unlock()
	t.emit(Event{Event: "lost", Message: l.Message, Phone: l.Phone})
	return nil, nil
}

func notLost() *chain {
	return refuse(mdmDomain, 12067, "The device is not in MDM Lost Mode.")
}

func (t *Tablet) disableLostMode(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	was := t.lost != nil
	t.lost = nil
	t.mu.Unlock()
	if !was {
		return nil, notLost()
	}
	t.emit(Event{Event: "found"})
	return nil, nil
}

func (t *Tablet) deviceLocation(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	lost, where := t.lost != nil, t.location
	t.mu.Unlock()
	if !lost {
		return nil, notLost()
	}
	t.emit(Event{Event: "located"})
	return map[string]any{
		"Latitude": where[0], "Longitude": where[1], "HorizontalAccuracy": 12.5, "Altitude": -1.5, "VerticalAccuracy": -1.5,
		"Speed": -1.5, "Course": -1.5, "Timestamp": t.cfg.Clock.Now().Format("2006-01-02T15:04:05Z"),
	}, nil
}

func (t *Tablet) playLostModeSound(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	lost := t.lost
	if lost != nil {
		lost.Sounds++
	}
	t.mu.Unlock()
	if lost == nil {
		return nil, notLost()
	}
	t.emit(Event{Event: "sounded"})
	return nil, nil
}

// eraseDevice checks the order; the tablet erases itself after it has answered.
func (t *Tablet) eraseDevice(_ context.Context, c *Command) (map[string]any, *chain) {
	order := &eraseOrder{}
	if back := dict(c.Body, "ReturnToService"); back != nil && flag(back, "Enabled") {
		order.again = true
		order.profile, _ = back["MDMProfileData"].([]byte)
		order.wifi, _ = back["WiFiProfileData"].([]byte)
		// One that Apple knows asks the server that Apple names.
		if order.profile == nil && t.cfg.Activation == "" {
			return nil, refuse(mdmDomain, 12008, "Return to Service needs MDMProfileData on this device.")
		}
		if order.profile != nil {
			p, bad := t.rules.readProfile(order.profile)
			if bad != nil {
				return nil, bad.under(mdmDomain, 12008, "MDMProfileData is unusable.")
			}
			if p.payload("com.apple.mdm") == nil {
				return nil, refuse(mdmDomain, 12008, "MDMProfileData has no MDM payload.")
			}
		}
		if order.wifi != nil {
			if w, bad := t.rules.readProfile(order.wifi); bad != nil {
				return nil, bad.under(mdmDomain, 12008, "WiFiProfileData is unusable.")
			} else if w.payload("com.apple.wifi.managed") == nil {
				return nil, refuse(mdmDomain, 12008, "WiFiProfileData has no Wi-Fi payload.")
			}
		}
	}
	t.mu.Lock()
	t.erasePending = order
	t.mu.Unlock()
	return nil, nil
}

func (t *Tablet) clearPasscode(_ context.Context, c *Command) (map[string]any, *chain) {
	token, _ := c.Body["UnlockToken"].([]byte)
	t.mu.Lock()
	defer t.mu.Unlock()
	if string(token) != string(t.mgmt.unlockToken) {
		return nil, refuse(passcodeDomain, 5013, "The passcode cannot be cleared: the unlock token is not this device's.")
	}
	t.hasCode, t.locked = false, false
	return nil, nil
}

func (t *Tablet) activationLockBypassCode(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]any{"ActivationLockBypassCode": t.bypass}, nil
}

func (t *Tablet) deviceLock(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	result := "Success"
	if !t.hasCode {
		result = "SuccessNoPasscodeSet"
	}
	t.locked = true
	return map[string]any{"MessageResult": result}, nil
}

func (t *Tablet) deviceConfigured(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.awaiting {
		// Apple names no code for it; a Mac says as much (fleet #46550).
		return nil, refuse(mdmDomain, 12021, "“DeviceConfigured” is not a valid request type: the device does not await its configuration.")
	}
	t.awaiting, t.configured, t.setup, t.hasCode = false, true, setupReleased, t.cfg.Code
	return nil, nil
}

func (t *Tablet) restrictions(context.Context, *Command) (map[string]any, *chain) {
	s := t.State()
	yesNo := map[string]any{}
	for k, v := range s.Restrictions {
		if b, ok := v.(bool); ok {
			yesNo[k] = map[string]any{"value": b}
		}
	}
	return map[string]any{"GlobalRestrictions": map[string]any{"restrictedBool": yesNo}}, nil
}

// appName is what the App Store calls an app.
func (t *Tablet) appName(adam int64) string {
	if t.cfg.AppName != nil {
		if id := t.cfg.AppName(adam); id != "" {
			return id
		}
	}
	if id := t.cfg.Store[adam]; id != "" {
		return id
	}
	return fmt.Sprintf("com.example.app%d", adam)
}
