package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Building is what every builder of profiles is told.
type Building struct {
	Remote
	ForTenant
	Versioning
	Name string `required:"" placeholder:"N" help:"Name to assign it by."`
}

// build posts what a builder was told, and says what became of it.
func (b *Building) build(ctx context.Context, e env, kind string, body map[string]any) error {
	body["name"] = b.Name
	var p savedDoc
	return b.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles/"+kind, b.versioning()), b.into(body), &p)
	}, tellProfile(b.Versioning, &p))
}

// FromFile is what is too much for flags.
type FromFile struct {
	File string `placeholder:"FILE" help:"The whole of it as one JSON object, as the API takes it; flags are added. - is standard input."`
}

func (f FromFile) body(e env) (map[string]any, error) {
	body := map[string]any{}
	if f.File == "" {
		return body, nil
	}
	b, err := e.readFile(f.File)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &body); err != nil {
		return nil, usagef("%s is not one JSON object: %v.", f.File, err)
	}
	return body, nil
}

// more adds to a list of a body.
func more[T any](body map[string]any, key string, list []T) {
	if len(list) == 0 {
		return
	}
	had, _ := body[key].([]any)
	for _, v := range list {
		had = append(had, v)
	}
	body[key] = had
}

// told adds what a flag says, unless it says nothing.
func told[T comparable](body map[string]any, key string, v T) {
	var zero T
	if v != zero {
		body[key] = v
	}
}

// ProfileHomeScreenCmd is `ranzen profile homescreen`.
type ProfileHomeScreenCmd struct {
	Building
	FromFile
	Dock []string `placeholder:"BUNDLE" help:"Apps in the dock, from left to right."`
	Page []string `sep:"none" placeholder:"BUNDLE,…" help:"Apps of a page. May be there many times. Folders and web clips are written in a file."`
}

type iconDoc struct {
	App string `json:"app"`
}

func icons(bundles []string) []any {
	out := []any{}
	for _, b := range bundles {
		if b = strings.TrimSpace(b); b != "" {
			out = append(out, iconDoc{b})
		}
	}
	return out
}

// Run makes the profile.
func (c *ProfileHomeScreenCmd) Run(ctx context.Context, e env) error {
	body, err := c.body(e)
	if err != nil {
		return err
	}
	more(body, "dock", icons(c.Dock))
	for _, p := range c.Page {
		more(body, "pages", [][]any{icons(strings.Split(p, ","))})
	}
	if body["pages"] == nil {
		return usagef("Say what is on the pages: --page com.apple.Keynote,com.apple.Pages, or --file FILE.")
	}
	return c.build(ctx, e, "homescreen", body)
}

// ProfileAppLockCmd is `ranzen profile applock`.
type ProfileAppLockCmd struct {
	Building
	App             string   `required:"" placeholder:"BUNDLE" help:"The app, by its bundle identifier."`
	NoTouch         bool     `help:"The screen takes no touch: for what is only looked at."`
	NoRotation      bool     `help:"The picture does not turn."`
	NoVolumeButtons bool     `help:"The volume buttons do nothing."`
	NoSleepButton   bool     `help:"The top button does nothing."`
	NoAutoLock      bool     `help:"It does not fall asleep."`
	PeopleMay       []string `placeholder:"WHAT" help:"Accessibility that people may switch: VoiceOver, Zoom, InvertColors, AssistiveTouch, VoiceControl."`
}

// Run makes the profile.
func (c *ProfileAppLockCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"app": c.App}
	for key, v := range map[string]bool{
		"no_touch": c.NoTouch, "no_rotation": c.NoRotation, "no_volume_buttons": c.NoVolumeButtons, "no_sleep_button": c.NoSleepButton, "no_auto_lock": c.NoAutoLock,
	} {
		told(body, key, v)
	}
	more(body, "people_may", c.PeopleMay)
	return c.build(ctx, e, "applock", body)
}

// ProfileWebFilterCmd is `ranzen profile webfilter`.
type ProfileWebFilterCmd struct {
	Building
	FromFile
	Auto   bool     `help:"Apple's own filter for adult content."`
	Permit []string `placeholder:"URL" help:"Address that the automatic filter shall not stop. May be there many times."`
	Deny   []string `placeholder:"URL" help:"Address that is never opened. May be there many times."`
	Only   []string `sep:"none" placeholder:"TITLE=URL" help:"Only these pages open, and stand in the bookmarks. May be there many times."`
}

// Run makes the profile.
func (c *ProfileWebFilterCmd) Run(ctx context.Context, e env) error {
	body, err := c.body(e)
	if err != nil {
		return err
	}
	told(body, "auto", c.Auto)
	more(body, "permitted", c.Permit)
	more(body, "denied", c.Deny)
	for _, o := range c.Only {
		title, url, ok := strings.Cut(o, "=")
		if !ok {
			return usagef("--only is a title and an address: --only Schule=https://example.org, not %q.", o)
		}
		more(body, "only", []map[string]string{{"title": title, "url": url}})
	}
	return c.build(ctx, e, "webfilter", body)
}

// ProfilePasscodeCmd is `ranzen profile passcode`.
type ProfilePasscodeCmd struct {
	Building
	MinLength     int64 `placeholder:"N" help:"Characters at least."`
	Alphanumeric  bool  `help:"Digits alone are not enough."`
	Simple        bool  `default:"true" negatable:"" help:"1111 and 1234 will do."`
	MaxInactivity int64 `placeholder:"MINUTES" help:"Until it locks by itself."`
	MaxGrace      int64 `placeholder:"MINUTES" help:"In which it opens without the passcode after locking."`
	MaxFailed     int64 `placeholder:"N" help:"After so many wrong passcodes the iPad ERASES ITSELF; 6 to 11. Default: never."`
}

// Run makes the profile.
func (c *ProfilePasscodeCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"simple": c.Simple}
	for key, v := range map[string]int64{"min_length": c.MinLength, "max_inactivity": c.MaxInactivity, "max_grace": c.MaxGrace, "max_failed_attempts": c.MaxFailed} {
		told(body, key, v)
	}
	told(body, "alphanumeric", c.Alphanumeric)
	return c.build(ctx, e, "passcode", body)
}

// ProfileLockScreenCmd is `ranzen profile lockscreen`.
type ProfileLockScreenCmd struct {
	Building
	AssetTag string `placeholder:"TEXT" default:"$$ASSET_TAG" help:"Variables may stand in it. Default: the device's own asset tag."`
	Footnote string `placeholder:"TEXT" help:"Whose it is, and whom to call."`
}

// Run makes the profile.
func (c *ProfileLockScreenCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{}
	told(body, "asset_tag", c.AssetTag)
	told(body, "footnote", c.Footnote)
	return c.build(ctx, e, "lockscreen", body)
}

// ProfileNotificationsCmd is `ranzen profile notifications`.
type ProfileNotificationsCmd struct {
	Building
	FromFile
	Allow  []string `placeholder:"BUNDLE" help:"App that may say something. May be there many times."`
	Silent []string `placeholder:"BUNDLE" help:"App that may say nothing. May be there many times."`
}

// Run makes the profile.
func (c *ProfileNotificationsCmd) Run(ctx context.Context, e env) error {
	body, err := c.body(e)
	if err != nil {
		return err
	}
	more(body, "apps", icons(c.Allow))
	for _, b := range c.Silent {
		more(body, "apps", []map[string]any{{"app": b, "silent": true}})
	}
	if body["apps"] == nil {
		return usagef("Say which apps: --silent com.example.game, --allow com.apple.classroom, or --file FILE.")
	}
	return c.build(ctx, e, "notifications", body)
}

// ProfileAirPrintCmd is `ranzen profile airprint`.
type ProfileAirPrintCmd struct {
	Building
	FromFile
	Printer []string `placeholder:"URL" help:"A printer: ipp://HOST[:PORT]/PATH, or ipps:// with TLS. May be there many times."`
}

// Run makes the profile.
func (c *ProfileAirPrintCmd) Run(ctx context.Context, e env) error {
	body, err := c.body(e)
	if err != nil {
		return err
	}
	for _, text := range c.Printer {
		p, err := printerOf(text)
		if err != nil {
			return err
		}
		more(body, "printers", []map[string]any{p})
	}
	if body["printers"] == nil {
		return usagef("Say which printers: --printer ipp://192.0.2.9/ipp/print, or --file FILE.")
	}
	return c.build(ctx, e, "airprint", body)
}

func printerOf(text string) (map[string]any, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	host, path, found := strings.Cut(rest, "/")
	if !ok || !found || scheme != "ipp" && scheme != "ipps" {
		return nil, usagef("A printer is written as ipp://HOST[:PORT]/PATH, not %q.", text)
	}
	p := map[string]any{"path": path, "host": host}
	told(p, "tls", scheme == "ipps")
	if i := strings.LastIndex(host, ":"); i > strings.LastIndex(host, "]") {
		port, err := strconv.ParseInt(host[i+1:], 10, 64)
		if err != nil {
			return nil, usagef("%q is no port.", host[i+1:])
		}
		p["host"], p["port"] = host[:i], port
	}
	p["host"] = strings.Trim(fmt.Sprint(p["host"]), "[]")
	return p, nil
}

// ProfileProxyCmd is `ranzen profile proxy`.
type ProfileProxyCmd struct {
	Building
	Host         string `placeholder:"HOST" help:"The proxy."`
	Port         int64  `placeholder:"N" help:"Its port."`
	Username     string `placeholder:"USER" help:"If it asks for one."`
	PasswordFile string `placeholder:"FILE" help:"File whose only line is the password."`
	PACURL       string `name:"pac-url" placeholder:"URL" help:"Instead of a server: where the rules are."`
	PACFallback  bool   `name:"pac-fallback" help:"Without the rules go out directly."`
	CaptiveLogin bool   `help:"Sign-in pages of networks go past the proxy."`
}

// Run makes the profile.
func (c *ProfileProxyCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{}
	for key, v := range map[string]string{"server": c.Host, "username": c.Username, "pac_url": c.PACURL} {
		told(body, key, v)
	}
	told(body, "port", c.Port)
	told(body, "pac_fallback", c.PACFallback)
	told(body, "captive_login", c.CaptiveLogin)
	if c.PasswordFile != "" {
		s, err := e.readSecret(c.PasswordFile)
		if err != nil {
			return err
		}
		body["password"] = s.Open()
	}
	return c.build(ctx, e, "proxy", body)
}

// ProfileDNSCmd is `ranzen profile dns`.
type ProfileDNSCmd struct {
	Building
	URL     string   `name:"url" placeholder:"URL" help:"Server that speaks HTTPS: https://dns.example.org/dns-query."`
	Host    string   `placeholder:"HOST" help:"Server that speaks TLS, by the name in its certificate."`
	Address []string `placeholder:"IP" help:"IP address of the server. May be there many times."`
	Domain  []string `placeholder:"DOMAIN" help:"Only names below it are asked there. May be there many times."`
	Locked  bool     `help:"People cannot switch it off; on supervised devices."`
}

// Run makes the profile.
func (c *ProfileDNSCmd) Run(ctx context.Context, e env) error {
	if (c.URL == "") == (c.Host == "") {
		return usagef("Say one server: --url URL for HTTPS, or --host HOST for TLS.")
	}
	body := map[string]any{"protocol": "https"}
	if c.Host != "" {
		body["protocol"] = "tls"
	}
	told(body, "url", c.URL)
	told(body, "server", c.Host)
	told(body, "locked", c.Locked)
	more(body, "addresses", c.Address)
	more(body, "domains", c.Domain)
	return c.build(ctx, e, "dns", body)
}

// ProfileEducationCmd is `ranzen profile education`.
type ProfileEducationCmd struct {
	Building
	Organization string `required:"" placeholder:"NAME" help:"Name of the school."`
	Class        string `required:"" placeholder:"NAME" help:"Name of the class."`
	Leader       string `default:"Lehrkraft" placeholder:"NAME" help:"How the teacher is called there."`
	Role         string `required:"" enum:"leader,member" placeholder:"leader|member" help:"Whose iPads get it: the teacher's, or the others by their slots."`
	Slots        int64  `required:"" placeholder:"N" help:"How many slots the cart has."`
	Beacon       int64  `placeholder:"N" help:"A number of the class that is its own in the school. Default: 1."`
}

// Run makes the profile.
func (c *ProfileEducationCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"organization": c.Organization, "class": c.Class, "leader": c.Leader, "role": c.Role, "slots": c.Slots}
	told(body, "beacon", c.Beacon)
	return c.build(ctx, e, "education", body)
}

// ProfileFontCmd is `ranzen profile font`.
type ProfileFontCmd struct {
	Building
	Font  string `arg:"" help:"A .ttf or .otf."`
	Label string `placeholder:"TEXT" help:"What people see of it."`
}

// Run makes the profile.
func (c *ProfileFontCmd) Run(ctx context.Context, e env) error {
	b, err := e.readFile(c.Font)
	if err != nil {
		return err
	}
	body := map[string]any{"font": b}
	told(body, "label", c.Label)
	return c.build(ctx, e, "font", body)
}
