package profiles

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// clean tells whether a text of a person's may stand in a profile: 1 to most
// characters, and none that nobody can read.
func clean(s string, most int) bool {
	return strings.TrimSpace(s) != "" && utf8.RuneCountInString(s) <= most && s == mdm.Clean(s)
}

// webURL tells whether text is an address that a browser opens.
func webURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && text == mdm.Clean(text) && len(text) <= 2000
}

// put adds a value unless it is the zero one, which means that nothing is said.
func put[T comparable](p map[string]any, key string, v T) {
	var zero T
	if v != zero {
		p[key] = v
	}
}

// Passcode is how people unlock an iPad.
type Passcode struct {
	MinLength         int64 `json:"min_length,omitempty" minimum:"0" maximum:"16" doc:"Characters; 0: any length"`
	Alphanumeric      bool  `json:"alphanumeric,omitempty" doc:"Digits alone are not enough"`
	Simple            *bool `json:"simple,omitempty" doc:"1111 and 1234 will do. Default: yes"`
	MaxInactivity     int64 `json:"max_inactivity,omitempty" minimum:"0" maximum:"15" doc:"Minutes until it locks by itself; 0: as people choose"`
	MaxGrace          int64 `json:"max_grace,omitempty" minimum:"0" maximum:"240" doc:"Minutes after locking in which it opens without the passcode"`
	MaxFailedAttempts int64 `json:"max_failed_attempts,omitempty" minimum:"0" maximum:"11" doc:"After so many wrong ones the iPad erases itself; 0: never"`
}

// fewestAttempts is how many wrong passcodes must be allowed before an iPad erases
// itself. Ours: children type wrong ones; Apple would allow 2.
const fewestAttempts = 6

// BuildPasscode makes a profile that demands a passcode. Shared iPads forbid it.
// Source: Apple, Device Management, "Passcode".
func (r *Room) BuildPasscode(c Passcode) ([]byte, error) {
	for _, f := range []struct {
		name       string
		value, max int64
	}{{"min_length", c.MinLength, 16}, {"max_inactivity", c.MaxInactivity, 15}, {"max_grace", c.MaxGrace, 240}, {"max_failed_attempts", c.MaxFailedAttempts, 11}} {
		if f.value < 0 || f.value > f.max {
			return nil, fault.New(fault.Invalid, "passcode.value", "%s is 0 to %d, not %d.", f.name, f.max, f.value).On(f.name)
		}
	}
	if c.MaxFailedAttempts > 0 && c.MaxFailedAttempts < fewestAttempts {
		return nil, fault.New(fault.Invalid, "passcode.attempts",
			"After %d wrong passcodes the iPad would erase itself, and children type wrong ones. Allow %d or more, or leave it out.", c.MaxFailedAttempts, fewestAttempts).On("max_failed_attempts")
	}
	p := map[string]any{"PayloadType": "com.apple.mobiledevice.passwordpolicy", "forcePIN": true, "allowSimple": c.Simple == nil || *c.Simple}
	put(p, "requireAlphanumeric", c.Alphanumeric)
	put(p, "minLength", c.MinLength)
	put(p, "maxInactivity", c.MaxInactivity)
	put(p, "maxGracePeriod", c.MaxGrace)
	put(p, "maxFailedAttempts", c.MaxFailedAttempts)
	return built(p)
}

// LockScreen is what stands on a locked iPad, so that it finds its way back.
type LockScreen struct {
	AssetTag string `json:"asset_tag,omitempty" maxLength:"200" doc:"Variables may stand in it: $ASSET_TAG"`
	Footnote string `json:"footnote,omitempty" maxLength:"500" doc:"Whose it is, and whom to call"`
}

// BuildLockScreen makes a profile with a message for whoever finds an iPad.
// Source: Apple, Device Management, "LockScreenMessage".
func (r *Room) BuildLockScreen(l LockScreen) ([]byte, error) {
	if l.AssetTag == "" && l.Footnote == "" {
		return nil, fault.New(fault.Invalid, "lockscreen.empty", "Say what shall stand there: an asset tag such as $ASSET_TAG, a footnote, or both.").On("footnote")
	}
	p := map[string]any{"PayloadType": "com.apple.shareddeviceconfiguration"}
	for _, f := range []struct {
		field, key, text string
		most             int
	}{{"asset_tag", "AssetTagInformation", l.AssetTag, 200}, {"footnote", "LockScreenFootnote", l.Footnote, 500}} {
		if f.text != "" && !clean(f.text, f.most) {
			return nil, fault.New(fault.Invalid, "lockscreen.text", "The text has 1 to %d characters in one line.", f.most).On(f.field)
		}
		put(p, f.key, f.text)
	}
	return built(p)
}

// DNS is encrypted name resolution.
type DNS struct {
	Protocol  string   `json:"protocol" enum:"https,tls"`
	URL       string   `json:"url,omitempty" maxLength:"2000" doc:"With https: https://dns.example.org/dns-query"`
	Server    string   `json:"server,omitempty" maxLength:"255" doc:"With tls: the name in the server's certificate"`
	Addresses []string `json:"addresses,omitempty" maxItems:"20" doc:"IP addresses of the servers; else they are found by name"`
	Domains   []string `json:"domains,omitempty" maxItems:"100" doc:"Only names below these are asked there"`
	Locked    bool     `json:"locked,omitempty" doc:"People cannot switch it off; on supervised devices"`
}

// BuildDNS makes a profile of encrypted name resolution.
// Source: Apple, Device Management, "DNSSettings".
func (r *Room) BuildDNS(d DNS) ([]byte, error) {
	s := map[string]any{}
	switch d.Protocol {
	case "https":
		if !webURL(d.URL) || !strings.HasPrefix(d.URL, "https://") || d.Server != "" {
			return nil, fault.New(fault.Invalid, "dns.server", "With https the server is an address such as https://dns.example.org/dns-query, and no server name.").On("url")
		}
		s["DNSProtocol"], s["ServerURL"] = "HTTPS", d.URL
	case "tls":
		if !hostName(d.Server) || d.URL != "" {
			return nil, fault.New(fault.Invalid, "dns.server", "With tls the server is a name such as dns.example.org, and no address of the web.").On("server")
		}
		s["DNSProtocol"], s["ServerName"] = "TLS", d.Server
	default:
		return nil, fault.New(fault.Invalid, "dns.protocol", "The protocol is https or tls, not %q.", mdm.Clean(d.Protocol)).On("protocol")
	}
	for _, a := range d.Addresses {
		if _, err := netip.ParseAddr(a); err != nil {
			return nil, fault.New(fault.Invalid, "dns.address", "%q is no IP address.", mdm.Clean(a)).On("addresses")
		}
	}
	for _, n := range d.Domains {
		if !hostName(n) {
			return nil, fault.New(fault.Invalid, "dns.domain", "%q is no domain such as example.org.", mdm.Clean(n)).On("domains")
		}
	}
	putList(s, "ServerAddresses", d.Addresses)
	putList(s, "SupplementalMatchDomains", d.Domains)
	p := map[string]any{"PayloadType": "com.apple.dnsSettings.managed", "DNSSettings": s}
	put(p, "ProhibitDisablement", d.Locked)
	return built(p)
}

func hostName(s string) bool {
	return s != "" && len(s) <= 253 && s == mdm.Clean(s) && !strings.ContainsAny(s, " /:@?#") && !strings.HasPrefix(s, ".")
}

// host tells whether text names a machine, by its name or IP address.
func host(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil || hostName(text)
}

func putList(p map[string]any, key string, list []string) {
	if len(list) == 0 {
		return
	}
	out := make([]any, 0, len(list))
	for _, s := range list {
		out = append(out, s)
	}
	p[key] = out
}

// Proxy is a proxy for all HTTP of an iPad.
type Proxy struct {
	Server       string       `json:"server,omitempty" maxLength:"255"`
	Port         int64        `json:"port,omitempty" minimum:"0" maximum:"65535"`
	Username     string       `json:"username,omitempty" maxLength:"255"`
	Password     fault.Secret `json:"password,omitempty" maxLength:"255"`
	PACURL       string       `json:"pac_url,omitempty" maxLength:"2000" doc:"Instead of a server: where the rules are"`
	PACFallback  bool         `json:"pac_fallback,omitempty" doc:"Without the rules go out directly"`
	CaptiveLogin bool         `json:"captive_login,omitempty" doc:"Sign-in pages of networks go past the proxy"`
}

// BuildProxy makes a profile of a global HTTP proxy.
// Source: Apple, Device Management, "GlobalHTTPProxy".
func (r *Room) BuildProxy(x Proxy) ([]byte, error) {
	p := map[string]any{"PayloadType": "com.apple.proxy.http.global"}
	switch {
	case x.Server != "" && x.PACURL != "", x.Server == "" && x.PACURL == "":
		return nil, fault.New(fault.Invalid, "proxy.server", "A proxy is a server with its port, or the address of a PAC file: one of the two.").On("server")
	case x.PACURL != "":
		if !webURL(x.PACURL) || x.Username != "" || x.Password != "" || x.Port != 0 {
			return nil, fault.New(fault.Invalid, "proxy.pac", "A PAC file has an address that begins with http:// or https://, without user name, password and port beside it.").On("pac_url")
		}
		p["ProxyType"], p["ProxyPACURL"] = "Auto", x.PACURL
		put(p, "ProxyPACFallbackAllowed", x.PACFallback)
	default:
		if !host(x.Server) || x.Port < 1 || x.Port > 65535 || x.PACFallback {
			return nil, fault.New(fault.Invalid, "proxy.server", "The proxy is a name or IP address with a port from 1 to 65535: proxy.example.org, 3128.").On("server")
		}
		if x.Password != "" && x.Username == "" || x.Username != mdm.Clean(x.Username) {
			return nil, fault.New(fault.Invalid, "proxy.user", "A password belongs to a user name.").On("username")
		}
		p["ProxyType"], p["ProxyServer"], p["ProxyServerPort"] = "Manual", x.Server, x.Port
		put(p, "ProxyUsername", x.Username)
		put(p, "ProxyPassword", x.Password.Open())
	}
	put(p, "ProxyCaptiveLoginAllowed", x.CaptiveLogin)
	return built(p)
}

// AirPrint is printers that iPads know without looking for them.
type AirPrint struct {
	Printers []Printer `json:"printers" minItems:"1" maxItems:"100"`
}

// Printer is one of them.
type Printer struct {
	Host string `json:"host" maxLength:"255" doc:"IP address or name"`
	Path string `json:"path" maxLength:"255" example:"ipp/print" doc:"Its resource path"`
	Port int64  `json:"port,omitempty" minimum:"0" maximum:"65535" doc:"Default: 631"`
	TLS  bool   `json:"tls,omitempty"`
}

// BuildAirPrint makes a profile of printers.
// Source: Apple, Device Management, "AirPrint".
func (r *Room) BuildAirPrint(a AirPrint) ([]byte, error) {
	if len(a.Printers) == 0 || len(a.Printers) > 100 {
		return nil, fault.New(fault.Invalid, "airprint.printer", "Say 1 to 100 printers.").On("printers")
	}
	list := []any{}
	for i, x := range a.Printers {
		if !host(x.Host) || !clean(x.Path, 255) || strings.ContainsAny(x.Path, " ?#") || x.Port < 0 || x.Port > 65535 {
			return nil, fault.New(fault.Invalid, "airprint.printer", "Printer %d is a name or IP address, a resource path such as ipp/print, and a port from 1 to 65535 or none.", i+1).On(fmt.Sprintf("printers[%d]", i))
		}
		p := map[string]any{"IPAddress": x.Host, "ResourcePath": x.Path}
		put(p, "Port", x.Port)
		put(p, "ForceTLS", x.TLS)
		list = append(list, p)
	}
	return built(map[string]any{"PayloadType": "com.apple.airprint", "AirPrint": list})
}
