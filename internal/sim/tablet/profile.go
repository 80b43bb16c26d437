package tablet

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"

	"github.com/smallstep/pkcs7"
)

// installed is a configuration profile on the tablet.
type installed struct {
	top      map[string]any
	payloads []map[string]any
	managed  bool
	signers  [][]byte // DER
}

func (p *installed) id() string { return text(p.top, "PayloadIdentifier") }

func (p *installed) summary() Profile {
	out := Profile{
		Identifier: p.id(), UUID: text(p.top, "PayloadUUID"), Name: text(p.top, "PayloadDisplayName"),
		Managed: p.managed, Signed: len(p.signers) > 0, Payloads: []Payload{},
	}
	for _, c := range p.payloads {
		out.Payloads = append(out.Payloads, Payload{
			Type: text(c, "PayloadType"), Identifier: text(c, "PayloadIdentifier"), UUID: text(c, "PayloadUUID"),
		})
	}
	return out
}

func (p *installed) ssids() []string {
	var out []string
	for _, c := range p.payloads {
		if text(c, "PayloadType") == "com.apple.wifi.managed" {
			out = append(out, text(c, "SSID_STR"))
		}
	}
	return out
}

// payload finds a payload by type, the first; nil if there is none.
func (p *installed) payload(kind string) map[string]any {
	for _, c := range p.payloads {
		if text(c, "PayloadType") == kind {
			return c
		}
	}
	return nil
}

// byUUID finds a payload; case matters, as on an iPad.
func (p *installed) byUUID(uuid string) map[string]any {
	for _, c := range p.payloads {
		if text(c, "PayloadUUID") == uuid {
			return c
		}
	}
	return nil
}

// roots are the certificates of root payloads.
func (p *installed) roots() ([]*x509.Certificate, *chain) {
	var out []*x509.Certificate
	for _, c := range p.payloads {
		switch text(c, "PayloadType") {
		case "com.apple.security.root", "com.apple.security.pkcs1", "com.apple.security.pem":
		default:
			continue
		}
		raw, _ := c["PayloadContent"].([]byte)
		if block, _ := pem.Decode(raw); block != nil {
			raw = block.Bytes
		}
		cert, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, refuse(certificateDomain, 9005, "The certificate “%s” is malformed.", text(c, "PayloadDisplayName"))
		}
		out = append(out, cert)
	}
	return out, nil
}

// withoutCommon leaves out what every payload has.
func withoutCommon(c map[string]any) map[string]any {
	out := maps.Clone(c)
	for _, k := range []string{
		"PayloadIdentifier", "PayloadUUID", "PayloadType", "PayloadVersion", "PayloadDescription", "PayloadDisplayName", "PayloadOrganization",
	} {
		delete(out, k)
	}
	return out
}

// readProfile takes a profile apart as an iPad does before it asks to install it:
// signature, structure, and each payload against the schema.
func (r rules) readProfile(raw []byte) (*installed, *chain) {
	p := &installed{}
	if raw = bytes.TrimLeft(raw, "\r\n\t "); len(raw) > 0 && raw[0] == tagSequence {
		p7, err := pkcs7.Parse(raw)
		if err != nil {
			return nil, refuse(installDomain, 4000, "The profile is neither a property list nor signed: %v.", err)
		}
		if err := p7.Verify(); err != nil {
			return nil, refuse(profileDomain, 1004, "The profile's signature is bad: %v.", err)
		}
		for _, c := range p7.Certificates {
			p.signers = append(p.signers, c.Raw)
		}
		raw = p7.Content
	}
	top, err := decode(raw)
	if err != nil {
		return nil, refuse(profileDomain, 1000, "The profile is malformed: %v.", err)
	}
	p.top = top
	if b := check(top, r["toplevel"].keys...); b != nil {
		return nil, because(profileDomain, b)
	}
	for i, c := range list(top, "PayloadContent") {
		m, ok := c.(map[string]any)
		if !ok {
			return nil, refuse(profileDomain, 1003, "Payload %d is not a dictionary.", i)
		}
		if bad := r.checkPayload(m); bad != nil {
			return nil, bad
		}
		p.payloads = append(p.payloads, m)
	}
	if len(p.payloads) == 0 {
		return nil, refuse(profileDomain, 1005, "The profile is empty.")
	}
	if bad := p.checkWhole(); bad != nil {
		return nil, bad
	}
	return p, nil
}

func (r rules) checkPayload(m map[string]any) *chain {
	kind := text(m, "PayloadType")
	s, strict := r["payload "+kind]
	if !strict { // a kind this tablet does not act on: only what all have
		s.keys = []*keySpec{{name: "*", kind: "any"}}
	}
	if b := check(m, slices.Concat(r["common"].keys, s.keys)...); b != nil {
		b.path = kind + " " + b.path
		return because(payloadDomain, b)
	}
	return nil
}

// checkWhole is what only shows with all payloads in view.
func (p *installed) checkWhole() *chain {
	uuids, ids := map[string]bool{text(p.top, "PayloadUUID"): true}, map[string]bool{}
	for _, c := range p.payloads {
		uuid, id := text(c, "PayloadUUID"), text(c, "PayloadIdentifier")
		if uuids[uuid] {
			return refuse(profileDomain, 1007, "The UUID “%s” occurs twice.", uuid)
		}
		if ids[id] {
			return refuse(profileDomain, 1008, "The payload identifier “%s” occurs twice.", id)
		}
		uuids[uuid], ids[id] = true, true
		if text(c, "PayloadType") == "com.apple.wifi.managed" {
			if bad := p.checkWiFi(c); bad != nil {
				return bad
			}
		}
	}
	_, bad := p.roots()
	return bad
}

// checkWiFi: a WPA network has a password of 8 to 63 characters (or 64
// hexadecimal digits) or an enterprise configuration. What it refers to must be
// in the same profile.
func (p *installed) checkWiFi(c map[string]any) *chain {
	ssid := text(c, "SSID_STR")
	if ssid == "" && text(c, "DomainName") == "" {
		return because(payloadDomain, &breach{what: missingField, path: "com.apple.wifi.managed SSID_STR"})
	}
	if len(ssid) > 32 {
		return refuse(payloadDomain, 2004, "The SSID “%s” is longer than 32 bytes.", ssid)
	}
	if ref := text(c, "PayloadCertificateUUID"); ref != "" && p.byUUID(ref) == nil {
		return refuse(wifiDomain, 13004, "The profile has no certificate “%s”, which the Wi-Fi network needs.", ref)
	}
	eap := dict(c, "EAPClientConfiguration")
	for _, ref := range list(eap, "PayloadCertificateAnchorUUID") {
		if s, _ := ref.(string); p.byUUID(s) == nil {
			return refuse(wifiDomain, 13004, "The profile has no certificate “%v”, which the Wi-Fi network trusts.", ref)
		}
	}
	if n := len(text(c, "Password")); eap == nil && (n > 0 && n < 8 || n > 64) && text(c, "EncryptionType") != "WEP" {
		return refuse(wifiDomain, 13000, "The Wi-Fi network “%s” could not be installed: its password has %d characters.", ssid, n)
	}
	return nil
}
