package tablet

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// errNoManagement: a profile without a payload of com.apple.mdm.
var errNoManagement = errors.New("the profile has no com.apple.mdm payload")

// management reads the enrollment a profile orders, without its identity, and
// the payload the identity comes from.
func (p *installed) management() (*enrollment, map[string]any, error) {
	var m map[string]any
	for _, payload := range p.payloads {
		if text(payload, "PayloadType") != "com.apple.mdm" {
			continue
		}
		if m != nil {
			return nil, nil, errors.New("the profile has two com.apple.mdm payloads")
		}
		m = payload
	}
	if m == nil {
		return nil, nil, errNoManagement
	}
	e := &enrollment{
		profile: p.Identifier, server: text(m, "ServerURL"), checkIn: text(m, "CheckInURL"), topic: text(m, "Topic"),
		mode: text(m, "EnrollmentMode"), sign: flag(m, "SignMessage"), checkOut: flag(m, "CheckOutWhenRemoved"),
	}
	if e.checkIn == "" {
		e.checkIn = e.server
	}
	for _, v := range list(m, "ServerCapabilities") {
		s, _ := v.(string)
		e.capabilities = append(e.capabilities, s)
	}
	for _, u := range []string{e.server, e.checkIn} {
		if err := address(u); err != nil {
			return nil, nil, err
		}
	}
	if !strings.HasPrefix(e.topic, "com.apple.mgmt.") {
		return nil, nil, fmt.Errorf("the Topic %q does not begin with com.apple.mgmt.", e.topic)
	}
	e.rights = 8191
	if n, ok := whole(m, "AccessRights"); ok {
		e.rights = n
	}
	// Apple, com.apple.mdm: 2 needs 1 and 128 needs 64.
	if r := e.rights; r < 1 || r > 8191 || r&2 != 0 && r&1 == 0 || r&128 != 0 && r&64 == 0 {
		return nil, nil, fmt.Errorf("AccessRights %d is not possible", e.rights)
	}
	id := text(m, "IdentityCertificateUUID")
	source, ok := p.find(id, "com.apple.security.scep", "com.apple.security.pkcs12")
	if !ok {
		return nil, nil, fmt.Errorf("IdentityCertificateUUID %s is no identity of the profile", id)
	}
	return e, source, nil
}

// address wants HTTPS, as an iPad does; on loopback there may be none.
func address(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return fmt.Errorf("the server's address %q is none", s)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("the server's address %q is not HTTPS", s)
}

// mayReplace compares a renewed management profile with the old one: what may not
// change is compared letter by letter (Apple, com.apple.mdm).
func (e *enrollment) mayReplace(next *enrollment) error {
	for _, c := range []struct{ what, old, now string }{
		{"Topic", e.topic, next.topic}, {"ServerURL", e.server, next.server}, {"CheckInURL", e.checkIn, next.checkIn},
		{"EnrollmentMode", e.mode, next.mode},
	} {
		if c.old != c.now {
			return fmt.Errorf("the new profile changes %s, which is not allowed", c.what)
		}
	}
	if next.rights&^e.rights != 0 {
		return errors.New("the new profile asks for more access rights, which is not allowed")
	}
	return nil
}
