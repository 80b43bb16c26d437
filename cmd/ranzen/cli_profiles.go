package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ProfileCmd groups the configuration profiles.
type ProfileCmd struct {
	Add           ProfileAddCmd           `cmd:"" help:"Take a .mobileconfig; the same name again is a new version."`
	Wifi          ProfileWiFiCmd          `cmd:"" name:"wifi" help:"Make a Wi-Fi profile: with a password, or with a certificate for each device."`
	Restrictions  ProfileRestrictionsCmd  `cmd:"" help:"Make a profile of restrictions."`
	Webclip       ProfileWebClipCmd       `cmd:"" name:"webclip" help:"Make a profile that puts a web address on the home screen."`
	Certificate   ProfileCertificateCmd   `cmd:"" help:"Make a profile that lets iPads trust a certificate."`
	Build         ProfileBuildCmd         `cmd:"" help:"Make a profile of a payload by Apple's keys."`
	Check         ProfileCheckCmd         `cmd:"" help:"Look for mistakes in a .mobileconfig, and say what it needs, without a server."`
	HomeScreen    ProfileHomeScreenCmd    `cmd:"" name:"homescreen" help:"Make a profile of a home screen."`
	AppLock       ProfileAppLockCmd       `cmd:"" name:"applock" help:"Make a profile that keeps iPads in one app."`
	WebFilter     ProfileWebFilterCmd     `cmd:"" name:"webfilter" help:"Make a profile of the filter that iPads have built in."`
	Passcode      ProfilePasscodeCmd      `cmd:"" help:"Make a profile that demands a passcode."`
	LockScreen    ProfileLockScreenCmd    `cmd:"" name:"lockscreen" help:"Make a profile with a message for whoever finds an iPad."`
	Notifications ProfileNotificationsCmd `cmd:"" help:"Make a profile of which apps may say something."`
	AirPrint      ProfileAirPrintCmd      `cmd:"" name:"airprint" help:"Make a profile of printers."`
	Proxy         ProfileProxyCmd         `cmd:"" help:"Make a profile of a proxy for all HTTP."`
	DNS           ProfileDNSCmd           `cmd:"" name:"dns" help:"Make a profile of encrypted name resolution."`
	Education     ProfileEducationCmd     `cmd:"" help:"Make a profile of a class for Apple's Classroom app."`
	Font          ProfileFontCmd          `cmd:"" help:"Make a profile of a font."`
	List          ProfileListCmd          `cmd:"" help:"List the profiles."`
	Show          ProfileShowCmd          `cmd:"" help:"Show a profile."`
	Publish       ProfilePublishCmd       `cmd:"" help:"Have devices get the draft, or another version."`
	Rollback      ProfileRollbackCmd      `cmd:"" help:"Publish again what was published before."`
	History       ProfileHistoryCmd       `cmd:"" help:"List the versions of a profile."`
	Diff          ProfileDiffCmd          `cmd:"" help:"Show what differs between two versions."`
	Remove        ProfileRemoveCmd        `cmd:"" help:"Remove a profile that is assigned to nobody."`
}

type profileDoc struct {
	ID         string    `json:"id"`
	Tenant     string    `json:"tenant"`
	Name       string    `json:"name"`
	Identifier string    `json:"identifier"`
	Version    int64     `json:"version"`
	Draft      int64     `json:"draft"`
	Payloads   []string  `json:"payloads"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// versions tells what is published, and what waits.
func (p profileDoc) versions() string {
	switch {
	case p.Draft == 0:
		return fmt.Sprint(p.Version)
	case p.Version == 0:
		return fmt.Sprintf("draft %d, none published", p.Draft)
	}
	return fmt.Sprintf("%d, draft %d", p.Version, p.Draft)
}

// savedDoc is a profile, and what its new version does.
type savedDoc struct {
	profileDoc
	Plan planDoc `json:"plan"`

	Warnings []findingDoc `json:"warnings"`
}

func tellProfile(asked Versioning, p *savedDoc) func(api *client) {
	return func(api *client) {
		api.warnings(p.Name, p.Warnings)
		if asked.DryRun {
			api.plan(p.Plan)
			return
		}
		if asked.Draft && p.Draft > 0 {
			api.line("Profile %s: version %s is a draft, which no device gets until it is published: ranzen profile publish.", p.Name, fmt.Sprint(p.Draft))
			return
		}
		api.line("Profile %s is there in version %s.", p.Name, fmt.Sprint(p.Version))
		api.planned(p.Plan)
	}
}

// ProfileAddCmd is `ranzen profile add`.
type ProfileAddCmd struct {
	Remote
	ForTenant
	Versioning
	File string `arg:"" help:"A .mobileconfig: XML or binary, signed or not. - is standard input."`
	Name string `placeholder:"N" help:"Name to assign it by. Default: its PayloadDisplayName."`
}

// Run uploads the file as it is.
func (c *ProfileAddCmd) Run(ctx context.Context, e env) error {
	b, err := e.readFile(c.File)
	if err != nil {
		return err
	}
	q := c.query()
	if c.Name != "" {
		q.Set("name", c.Name)
	}
	for k, v := range c.versioning() {
		q[k] = v
	}
	var p savedDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles", q), upload{"application/x-apple-aspen-config", b}, &p)
	}, tellProfile(c.Versioning, &p))
}

// ProfileWiFiCmd is `ranzen profile wifi`.
type ProfileWiFiCmd struct {
	Remote
	ForTenant
	Versioning
	Name         string `required:"" placeholder:"N" help:"Name to assign it by."`
	SSID         string `required:"" name:"ssid" placeholder:"S" help:"Name of the network."`
	PasswordFile string `placeholder:"F" help:"File whose only line is the password; - is standard input. Else it is asked for."`
	Security     string `enum:"auto,wpa2,wpa3,none" default:"auto" placeholder:"KIND" help:"auto (WPA2 or WPA3), wpa2, wpa3, or none."`
	Hidden       bool   `help:"The network does not show its name."`
	AutoJoin     bool   `default:"true" negatable:"" help:"Join by itself."`
	NoMACRandom  bool   `name:"fixed-mac" help:"Show the network the same hardware address always."`

	EAPTLS     bool     `name:"eap-tls" help:"Each device joins with a certificate of its own from Ranzen's CA (WPA2 or WPA3 Enterprise)."`
	RadiusCA   []string `name:"radius-ca" placeholder:"FILE" help:"With --eap-tls: certificate of the CA of the RADIUS servers. May be there many times. Default: Ranzen's own root."`
	RadiusName []string `name:"radius-name" placeholder:"NAME" help:"With --eap-tls: name in the certificate of a RADIUS server. May be there many times."`
}

// Run makes the profile. The password is never on the command line, where
// others on the machine could read it.
func (c *ProfileWiFiCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{
		"name": c.Name, "ssid": c.SSID, "security": c.Security, "hidden": c.Hidden, "auto_join": c.AutoJoin,
		"disable_mac_randomization": c.NoMACRandom,
	}
	if !c.EAPTLS && len(c.RadiusCA)+len(c.RadiusName) > 0 {
		return usagef("--radius-ca and --radius-name go with --eap-tls.")
	}
	if c.EAPTLS {
		if c.PasswordFile != "" || c.Security == "none" {
			return usagef("With --eap-tls each device has a certificate: leave --password-file and --security none out.")
		}
		anchors := [][]byte{}
		for _, file := range c.RadiusCA {
			b, err := e.readFile(file)
			if err != nil {
				return err
			}
			anchors = append(anchors, b)
		}
		body["eap_tls"] = map[string]any{"anchors": anchors, "server_names": append([]string{}, c.RadiusName...)}
	} else if c.Security == "none" {
		if c.PasswordFile != "" {
			return usagef("A network without security has no password: leave --password-file out.")
		}
	} else {
		var err error
		pass, err := e.password(c.PasswordFile)
		if err != nil {
			return err
		}
		body["password"] = pass
	}
	var p savedDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles/wifi", c.versioning()), c.into(body), &p)
	}, tellProfile(c.Versioning, &p))
}

func (e env) password(file string) (string, error) {
	if file != "" {
		s, err := e.readSecret(file)
		return s.Open(), err
	}
	s, err := e.askSecret("Password of the network", "Give the password with --password-file FILE.", true)
	return s.Open(), err
}

// ProfileRestrictionsCmd is `ranzen profile restrictions`.
type ProfileRestrictionsCmd struct {
	Remote
	ForTenant
	Versioning
	Name string            `required:"" placeholder:"N" help:"Name to assign it by."`
	Set  map[string]string `placeholder:"KEY=VALUE" help:"One of Apple's restriction keys: allowCamera=false. May be there many times."`
	File string            `placeholder:"FILE" help:"Restrictions as one JSON object."`
}

// Run makes the profile.
func (c *ProfileRestrictionsCmd) Run(ctx context.Context, e env) error {
	keys := map[string]any{}
	if c.File != "" {
		b, err := e.readFile(c.File)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &keys); err != nil {
			return usagef("%s is not one JSON object of restrictions: %v.", c.File, err)
		}
	}
	for k, v := range c.Set {
		keys[k] = v // the server gives it its type
	}
	if len(keys) == 0 {
		return usagef("Say what is restricted: --set allowCamera=false, or --file FILE.")
	}
	var p savedDoc
	body := map[string]any{"name": c.Name, "restrictions": keys}
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles/restrictions", c.versioning()), c.into(body), &p)
	}, tellProfile(c.Versioning, &p))
}

// ProfileWebClipCmd is `ranzen profile webclip`.
type ProfileWebClipCmd struct {
	Remote
	ForTenant
	Versioning
	Name      string `required:"" placeholder:"N" help:"Name to assign it by."`
	Label     string `required:"" placeholder:"TEXT" help:"What stands below the icon."`
	URL       string `required:"" name:"url" placeholder:"URL" help:"The address it opens."`
	Icon      string `placeholder:"PNG" help:"Picture of the icon."`
	Full      bool   `name:"full-screen" help:"Open without the browser's bars."`
	Removable bool   `default:"true" negatable:"" help:"People may remove it."`
}

// Run makes the profile.
func (c *ProfileWebClipCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"name": c.Name, "label": c.Label, "url": c.URL, "full_screen": c.Full, "removable": c.Removable}
	if c.Icon != "" {
		b, err := e.readFile(c.Icon)
		if err != nil {
			return err
		}
		body["icon"] = b
	}
	var p savedDoc
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles/webclip", c.versioning()), c.into(body), &p)
	}, tellProfile(c.Versioning, &p))
}

// ProfileCertificateCmd is `ranzen profile certificate`.
type ProfileCertificateCmd struct {
	Remote
	ForTenant
	Versioning
	Name string `required:"" placeholder:"N" help:"Name to assign it by."`
	File string `arg:"" help:"The certificate, PEM or DER."`
}

// Run makes the profile.
func (c *ProfileCertificateCmd) Run(ctx context.Context, e env) error {
	b, err := e.readFile(c.File)
	if err != nil {
		return err
	}
	var p savedDoc
	body := map[string]any{"name": c.Name, "certificate": b}
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles/certificate", c.versioning()), c.into(body), &p)
	}, tellProfile(c.Versioning, &p))
}

// ProfileListCmd is `ranzen profile list`.
type ProfileListCmd struct {
	Remote
	ForTenant
}

// Run prints the profiles.
func (c *ProfileListCmd) Run(ctx context.Context, e env) error {
	var list []profileDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[profileDoc](ctx, api, "/profiles", c.query(), 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "TENANT", "VERSION", "PAYLOADS", "IDENTIFIER", "CHANGED")
		for _, p := range list {
			t.add(p.Name, p.Tenant, p.versions(), strings.Join(p.Payloads, ","), p.Identifier, api.ago(p.UpdatedAt))
		}
		api.print(t, "There are no profiles.")
	})
}

// ProfileShowCmd is `ranzen profile show`.
type ProfileShowCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The profile's name."`
}

// Run prints the profile without its secrets.
func (c *ProfileShowCmd) Run(ctx context.Context, e env) error {
	var p profileDoc
	return c.do(e, func(api *client) error { return api.get(ctx, at("profiles", c.Name), c.query(), &p) }, func(api *client) {
		api.facts("name", p.Name, "version", p.versions(), "identifier", p.Identifier, "payloads", strings.Join(p.Payloads, ", "), "changed", moment(p.UpdatedAt), "id", p.ID)
	})
}

// ProfileRemoveCmd is `ranzen profile remove`.
type ProfileRemoveCmd struct {
	Remote
	ForTenant
	Name string `arg:"" help:"The profile's name."`
}

// Run removes the profile.
func (c *ProfileRemoveCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.delete(ctx, withQuery(at("profiles", c.Name), c.query())) },
		func(api *client) { api.line("Profile %s is removed.", c.Name) })
}
