package tablet

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/smallstep/pkcs7"
)

// installed is a profile with what it does.
type installed struct {
	Profile
	doc          map[string]any
	payloads     []map[string]any
	roots        []*x509.Certificate
	ssids, clips []string
	restrictions map[string]any
	signers      []*x509.Certificate
	locked       bool // PayloadRemovalDisallowed
}

// readProfile takes a .mobileconfig apart and refuses what Apple's schema does
// not know. A signature must fit; by whom it is, an iPad only shows.
func (s schema) readProfile(b []byte) (*installed, error) {
	p := &installed{}
	if content, signers, err := unwrap(b); err != nil {
		return nil, err
	} else if content != nil {
		b, p.signers, p.Signed = content, signers, true
	}
	doc, err := decode(b)
	if err != nil {
		return nil, err
	}
	if b := check(doc, s["toplevel"].keys...); b != nil {
		return nil, b
	}
	p.doc, p.Identifier, p.UUID = doc, text(doc, "PayloadIdentifier"), text(doc, "PayloadUUID")
	p.Name, p.locked = text(doc, "PayloadDisplayName"), flag(doc, "PayloadRemovalDisallowed")
	if p.Identifier == "" || p.UUID == "" {
		return nil, errors.New("the profile's PayloadIdentifier or PayloadUUID is empty")
	}
	seen := map[string]bool{p.UUID: true}
	for i, v := range list(doc, "PayloadContent") {
		payload, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("payload %d is not a dictionary", i)
		}
		if err := s.checkPayload(payload); err != nil {
			return nil, fmt.Errorf("payload %d (%s): %w", i, text(payload, "PayloadType"), err)
		}
		id := text(payload, "PayloadUUID")
		if seen[id] {
			return nil, fmt.Errorf("payload %d: the PayloadUUID %s is there twice", i, id)
		}
		seen[id] = true
		p.payloads = append(p.payloads, payload)
		p.Payloads = append(p.Payloads, Payload{Type: text(payload, "PayloadType"), Identifier: text(payload, "PayloadIdentifier"), UUID: id})
	}
	for i, payload := range p.payloads {
		if err := p.use(payload); err != nil {
			return nil, fmt.Errorf("payload %d (%s): %w", i, text(payload, "PayloadType"), err)
		}
	}
	return p, nil
}

// unwrap opens a signed profile; nil content means that it is not signed.
func unwrap(b []byte) (content []byte, signers []*x509.Certificate, err error) {
	if len(b) == 0 || b[0] != tagSequence {
		return nil, nil, nil
	}
	p7, err := pkcs7.Parse(b)
	if err != nil {
		return nil, nil, fmt.Errorf("read the profile's signature: %w", err)
	}
	if err := p7.Verify(); err != nil {
		return nil, nil, fmt.Errorf("check the profile's signature: %w", err)
	}
	if len(p7.Content) == 0 {
		return nil, nil, errors.New("the profile's signature holds no profile")
	}
	return p7.Content, p7.Certificates, nil
}

func (s schema) checkPayload(m map[string]any) error {
	keys := slices.Clone(s["common"].keys)
	kind, known := s["payload "+text(m, "PayloadType")]
	if known {
		keys = append(keys, kind.keys...)
	} else {
		keys = append(keys, &keySpec{name: "*", kind: "any"}) // a payload this iPad does nothing with
	}
	if b := check(m, keys...); b != nil {
		return b
	}
	if text(m, "PayloadIdentifier") == "" || text(m, "PayloadUUID") == "" {
		return errors.New("PayloadIdentifier or PayloadUUID is empty")
	}
	return nil
}

// find is the payload of a UUID in the profile: references hold only inside one.
func (p *installed) find(uuid string, types ...string) (map[string]any, bool) {
	for _, m := range p.payloads {
		if text(m, "PayloadUUID") == uuid && slices.Contains(types, text(m, "PayloadType")) {
			return m, true
		}
	}
	return nil, false
}

// use reads out of a payload what the tablet does with it.
func (p *installed) use(m map[string]any) error {
	switch text(m, "PayloadType") {
	case "com.apple.security.root", "com.apple.security.pkcs1", "com.apple.security.pem":
		b, _ := m["PayloadContent"].([]byte)
		c, err := readCertificate(b)
		if err != nil {
			return err
		}
		p.roots = append(p.roots, c)
	case "com.apple.wifi.managed":
		return p.useWiFi(m)
	case "com.apple.applicationaccess":
		p.restrictions = map[string]any{}
		for k, v := range m {
			if !strings.HasPrefix(k, "Payload") {
				p.restrictions[k] = v
			}
		}
	case "com.apple.webClip.managed":
		u, err := url.Parse(text(m, "URL"))
		if err != nil || u.Scheme == "" {
			return fmt.Errorf("the web clip's URL %q is none", text(m, "URL"))
		}
		p.clips = append(p.clips, text(m, "Label"))
	case "com.apple.security.scep":
		_, err := readSCEP(m)
		return err
	}
	return nil
}

func readCertificate(b []byte) (*x509.Certificate, error) {
	if block, _ := pem.Decode(bytes.TrimSpace(b)); block != nil {
		b = block.Bytes
	}
	c, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, fmt.Errorf("its certificate cannot be read: %w", err)
	}
	return c, nil
}

func (p *installed) useWiFi(m map[string]any) error {
	ssid := text(m, "SSID_STR")
	if ssid == "" && !flag(m, "IsHotspot") && text(m, "DomainName") == "" {
		return errors.New("the Wi-Fi payload has no SSID_STR")
	}
	if len(ssid) > 32 {
		return fmt.Errorf("the SSID has %d bytes, at most 32 are possible", len(ssid))
	}
	eap := dict(m, "EAPClientConfiguration")
	switch kind := text(m, "EncryptionType"); {
	case eap != nil:
		if id := text(m, "PayloadCertificateUUID"); id != "" {
			if _, ok := p.find(id, "com.apple.security.scep", "com.apple.security.pkcs12", "com.apple.security.acme"); !ok {
				return fmt.Errorf("PayloadCertificateUUID %s is no identity of this profile", id)
			}
		}
		for _, v := range list(eap, "PayloadCertificateAnchorUUID") {
			id, _ := v.(string)
			if _, ok := p.find(id, "com.apple.security.root", "com.apple.security.pkcs1", "com.apple.security.pem"); !ok {
				return fmt.Errorf("PayloadCertificateAnchorUUID %s is no certificate of this profile", id)
			}
		}
	case kind == "None":
	case strings.HasPrefix(kind, "WPA"):
		if n := len(text(m, "Password")); n < 8 || n > 64 {
			return fmt.Errorf("a %s password has 8 to 63 characters, this one %d", kind, n)
		}
	}
	if ssid != "" {
		p.ssids = append(p.ssids, ssid)
	}
	return nil
}
