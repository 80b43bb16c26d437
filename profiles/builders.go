package profiles

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"unicode/utf8"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// WiFi is a network with one password for all, or a certificate for each.
type WiFi struct {
	SSID                    string
	Password                fault.Secret
	Security                string // auto (WPA2 or WPA3), wpa2, wpa3, none; "" is auto
	Hidden                  bool
	AutoJoin                bool
	DisableMACRandomization bool // for networks that know devices by hardware address
	EAPTLS                  *EAPTLS
}

func built(payload map[string]any) ([]byte, error) {
	return mdm.Encode(map[string]any{builtMark: true, "PayloadType": "Configuration", "PayloadContent": []any{payload}})
}

// BuildWiFi makes a profile of a network.
// Source: Apple, Device Management, "WiFi".
func (r *Room) BuildWiFi(w WiFi) ([]byte, error) {
	if n := len(w.SSID); n == 0 || n > 32 || !utf8.ValidString(w.SSID) || w.SSID != mdm.Clean(w.SSID) {
		return nil, fault.New(fault.Invalid, "wifi.ssid", "The name of a network has 1 to 32 bytes; this has %d.", n).On("ssid")
	}
	kind, ok := map[string]string{"": "WPA2", "auto": "WPA2", "wpa2": "WPA2", "wpa3": "WPA3", "none": "None"}[w.Security]
	if !ok {
		return nil, fault.New(fault.Invalid, "wifi.security", "The security of a network is auto, wpa2, wpa3 or none, not %q.", mdm.Clean(w.Security)).On("security")
	}
	if w.Security == "" || w.Security == "auto" {
		kind = "WPA" // Apple: WPA, WPA2 and WPA3 join any of the personal kinds that the network offers
	}
	p := map[string]any{"PayloadType": "com.apple.wifi.managed", "SSID_STR": w.SSID, "HIDDEN_NETWORK": w.Hidden, "AutoJoin": w.AutoJoin, "EncryptionType": kind}
	if w.DisableMACRandomization {
		p["DisableAssociationMACRandomization"] = true
	}
	pass := w.Password.Open()
	if w.EAPTLS != nil {
		if pass != "" || kind == "None" {
			return nil, fault.New(fault.Invalid, "wifi.password", "With EAP-TLS each iPad has a certificate: leave the password out, and choose wpa2, wpa3 or auto.").On("password")
		}
		return r.buildEAPTLS(p, kind, *w.EAPTLS)
	}
	switch {
	case kind == "None" && pass != "":
		return nil, fault.New(fault.Invalid, "wifi.password", "A network without security has no password. Leave it out.").On("password")
	case kind == "None":
	case !passphrase(pass):
		return nil, fault.New(fault.Invalid, "wifi.password", "A Wi-Fi password has 8 to 63 characters of ASCII, or is a key of 64 hexadecimal digits.").On("password")
	default:
		p["Password"] = pass
	}
	return built(p)
}

// passphrase is IEEE 802.11, annex J.4: 8 to 63 printable ASCII characters; a
// key of 256 bits is 64 digits.
func passphrase(s string) bool {
	if _, err := hex.DecodeString(s); err == nil && len(s) == 64 {
		return true
	}
	if len(s) < 8 || len(s) > 63 {
		return false
	}
	for _, c := range []byte(s) {
		if c < 32 || c > 126 {
			return false
		}
	}
	return true
}

// WebClip is a web address on the home screen.
type WebClip struct {
	Label, URL            string
	Icon                  []byte // PNG; empty: the page's
	FullScreen, Removable bool
}

// BuildWebClip makes a profile of a web clip.
// Source: Apple, Device Management, "WebClip".
func (r *Room) BuildWebClip(c WebClip) ([]byte, error) {
	if c.Label == "" || utf8.RuneCountInString(c.Label) > 100 || c.Label != mdm.Clean(c.Label) {
		return nil, fault.New(fault.Invalid, "webclip.label", "The label below the icon has 1 to 100 characters.").On("label")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || c.URL != mdm.Clean(c.URL) {
		return nil, fault.New(fault.Invalid, "webclip.url", "The address of a web clip begins with https:// or http://.").On("url")
	}
	if len(c.Icon) > 0 && !bytes.HasPrefix(c.Icon, []byte("\x89PNG\r\n\x1a\n")) {
		return nil, fault.New(fault.Invalid, "webclip.icon", "The icon of a web clip is a PNG picture.").On("icon")
	}
	p := map[string]any{"PayloadType": "com.apple.webClip.managed", "Label": c.Label, "URL": c.URL, "FullScreen": c.FullScreen, "IsRemovable": c.Removable}
	if len(c.Icon) > 0 {
		p["Icon"] = c.Icon
	}
	return built(p)
}

// BuildCertificate makes a profile by which iPads trust or know a certificate.
// Source: Apple, Device Management, "CertificateRoot" and "CertificatePKCS1".
func (r *Room) BuildCertificate(b []byte) ([]byte, error) {
	der := b
	if block, rest := pem.Decode(b); block != nil {
		if block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.Invalid, "certificate.unreadable", "The file holds a %s, not a certificate. A private key belongs on no iPad by this way.", strings.ToLower(mdm.Clean(block.Type))).On("certificate")
		}
		if next, _ := pem.Decode(rest); next != nil {
			return nil, fault.New(fault.Invalid, "certificate.many", "The file holds more than one certificate. Make a profile of each.").On("certificate")
		}
		der = block.Bytes
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "certificate.unreadable", "The file is no certificate in PEM or DER. A key store (.p12) must be unpacked first.").On("certificate").With(err)
	}
	kind := "com.apple.security.pkcs1"
	if cert.IsCA && bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		kind = "com.apple.security.root"
	}
	return built(map[string]any{"PayloadType": kind, "PayloadContent": cert.Raw, "PayloadCertificateFileName": "certificate.cer"})
}
