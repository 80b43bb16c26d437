package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"ranzen/internal/catalogue"
	"ranzen/profiles"
)

// findingDoc is something odd in a profile.
type findingDoc struct {
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Line     int    `json:"line"`
	Text     string `json:"text"`
}

// warnings go to standard error: the profile was taken.
func (c *client) warnings(of string, list []findingDoc) {
	for _, f := range list {
		c.hint("%s", plain("warning: "+of+lineOf(f.Line)+": "+f.Text))
	}
}

func lineOf(n int) string {
	if n == 0 {
		return ""
	}
	return ", line " + strconv.Itoa(n)
}

// ProfileCheckCmd is `ranzen profile check`. It needs no server.
type ProfileCheckCmd struct {
	File string   `arg:"" help:"A .mobileconfig: XML or binary, signed or not. - is standard input."`
	OS   []string `name:"os" default:"16,17,18,26,27" placeholder:"16,17" help:"Versions of iPadOS to check for."`
	JSON bool     `name:"json" help:"Print one JSON document instead of lines."`
}

// unmetDoc is a part of a profile that does nothing in a version of iPadOS.
type unmetDoc struct {
	OS    string   `json:"os"`
	Why   string   `json:"why"`
	Path  string   `json:"path"`
	Keys  []string `json:"keys,omitempty"`
	Since string   `json:"since,omitempty"`
}

// Run tells what is wrong with a profile and what it needs. The exit status is 1
// if iPads would refuse it.
func (c *ProfileCheckCmd) Run(e env) error {
	raw, err := e.readFile(c.File)
	if err != nil {
		return err
	}
	versions := make([]string, 0, len(c.OS))
	for _, v := range c.OS {
		if n, err := strconv.ParseFloat(v, 64); err != nil || n < 1 || n > 999 {
			return usagef("--os takes versions of iPadOS such as 17 or 17.4, not %q.", v)
		}
		versions = append(versions, v)
	}
	found, err := profiles.Check(raw)
	if err != nil {
		return err
	}
	unmet := []unmetDoc{}
	for _, v := range versions {
		for _, n := range found.Needs {
			if why := n.Lacks(v, nil); why != "" {
				unmet = append(unmet, unmetDoc{v, why, n.Path, n.Keys, n.Since})
			}
		}
	}
	errors := 0
	for _, f := range found.Findings {
		if f.Severity == catalogue.Error {
			errors++
		}
	}
	if c.JSON {
		err = (&client{env: e}).document(struct {
			profiles.Checked
			Unmet []unmetDoc `json:"unmet"`
		}{found, unmet})
	} else {
		tellChecked(e.printer(), c.File, versions, found, unmet)
	}
	if err == nil && errors > 0 {
		err = &exitError{status: exitFailed, text: fmt.Sprintf("iPads would refuse %s: %s.", c.File, count(int64(errors), "error"))}
	}
	return err
}

func tellChecked(p *printer, file string, versions []string, found profiles.Checked, unmet []unmetDoc) {
	for _, f := range found.Findings {
		where := file
		if f.Line > 0 {
			where += ":" + strconv.Itoa(f.Line)
		}
		p.line("%s: %s: %s", where, f.Severity, f.Text)
	}
	if len(found.Findings) == 0 {
		p.line("%s: nothing is wrong with it. Payloads: %s.", file, strings.Join(found.Payloads, ", "))
	}
	for _, n := range found.Needs {
		if n.Supervised {
			p.line("Needs supervision: %s", whatOf(n.Path, n.Keys))
		}
	}
	for _, v := range versions {
		for _, u := range unmet {
			switch {
			case u.OS != v:
			case u.Why == catalogue.TooOld:
				p.line("iPadOS %s does nothing with what is there from %s on: %s", v, u.Since, whatOf(u.Path, u.Keys))
			default:
				p.line("iPadOS %s has it no more: %s", v, whatOf(u.Path, u.Keys))
			}
		}
	}
	if len(found.Unshared) > 0 {
		p.line("Does nothing on Shared iPads: %s", strings.Join(found.Unshared, ", "))
	}
}

func whatOf(path string, keys []string) string {
	if len(keys) == 0 {
		return path
	}
	return path + " " + strings.Join(keys, ", ")
}

// ProfileBuildCmd is `ranzen profile build`.
type ProfileBuildCmd struct {
	Remote
	ForTenant
	Versioning
	Type string   `arg:"" help:"Apple's name of the payload: com.apple.dnsSettings.managed."`
	Keys []string `arg:"" optional:"" placeholder:"KEY=VALUE" help:"Apple's keys; those of inner dictionaries with dots: DNSSettings.DNSProtocol=HTTPS. Lists with commas or as JSON, data as base64. Secrets go into --file."`
	Name string   `required:"" placeholder:"N" help:"Name to assign it by."`
	File string   `placeholder:"FILE" help:"More keys as one JSON object; - is standard input."`
}

// Run makes the profile. Values that are typed are text, to which the server gives
// the types that Apple wants.
func (c *ProfileBuildCmd) Run(ctx context.Context, e env) error {
	keys := map[string]any{}
	if c.File != "" {
		b, err := e.readFile(c.File)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &keys); err != nil || keys == nil {
			return usagef("%s is not one JSON object of keys.", c.File)
		}
	}
	for _, pair := range c.Keys {
		k, v, is := strings.Cut(pair, "=")
		if !is || k == "" {
			return usagef("%q is not KEY=VALUE.", pair)
		}
		if _, twice := keys[k]; twice {
			return usagef("The key %s is given twice.", k)
		}
		keys[k] = v
	}
	var p savedDoc
	body := map[string]any{"name": c.Name, "payloads": []any{map[string]any{"type": c.Type, "keys": keys}}}
	return c.do(e, func(api *client) error {
		return api.post(ctx, withQuery("/profiles/build", c.versioning()), c.into(body), &p)
	}, tellProfile(c.Versioning, &p))
}
