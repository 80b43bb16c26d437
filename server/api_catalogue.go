package server

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// supports is who understands a payload, command or key.
type supports struct {
	Since      string `json:"since,omitempty" doc:"First iPadOS"`
	Deprecated string `json:"deprecated,omitempty" doc:"The iPadOS from which on Apple advises against it"`
	Removed    string `json:"removed,omitempty" doc:"The iPadOS that has it no more"`
	Supervised bool   `json:"supervised" doc:"Only supervised devices do what it says"`
	SharedIPad string `json:"shared_ipad,omitempty" enum:"allowed,required,forbidden,ignored"`
}

func supportsOf(s catalogue.Support) supports {
	return supports{s.Since, s.Deprecated, s.Removed, s.Supervised, s.SharedIPad}
}

// CatalogueEntry is a payload type or a command.
type CatalogueEntry struct {
	Type string `json:"type" example:"com.apple.wifi.managed"`
	supports
	Multiple bool `json:"multiple" doc:"A device takes more than one"`
	Open     bool `json:"open" doc:"Not all of its keys are known"`
}

// CatalogueKey is a key, or what an element of an array may be.
type CatalogueKey struct {
	Name     string   `json:"name" doc:"ANY stands for any name"`
	Type     string   `json:"type" enum:"string,integer,real,boolean,date,data,array,dictionary,any"`
	Required bool     `json:"required" doc:"Where the dictionary that holds it is there"`
	Values   []string `json:"values,omitempty" doc:"That Apple names; not always all"`
	Min      string   `json:"min,omitempty"`
	Max      string   `json:"max,omitempty"`
	Format   string   `json:"format,omitempty" doc:"Regular expression"`
	Default  string   `json:"default,omitempty"`
	supports
	Keys   []CatalogueKey `json:"keys,omitempty" doc:"Of a dictionary its keys, of an array what its elements may be"`
	KeysOf string         `json:"keys_of,omitempty" doc:"Path of the key above whose keys it has too: a folder holds what a home screen holds"`
}

// described is an entry with all its keys.
type described struct {
	CatalogueEntry
	Keys []CatalogueKey `json:"keys"`
}

func entryOf(e *catalogue.Entry) CatalogueEntry {
	return CatalogueEntry{e.Name, supportsOf(e.Support), !e.Single, e.Open}
}

func describedAs(e *catalogue.Entry) described {
	return described{entryOf(e), keysOf(e.Keys, "", map[*catalogue.Key]string{})}
}

// keysOf draws the keys as a tree; one that holds itself names the path of what it
// is like.
func keysOf(keys []*catalogue.Key, path string, above map[*catalogue.Key]string) []CatalogueKey {
	out := make([]CatalogueKey, 0, len(keys))
	for _, k := range keys {
		c := CatalogueKey{
			Name: k.Name, Type: k.Type, Required: k.Required, Values: k.Values, Min: k.Min, Max: k.Max, Format: k.Format, Default: k.Default,
			supports: supportsOf(k.Support),
		}
		here := strings.TrimPrefix(path+"."+k.Name, ".")
		above[k] = here
		if like := k.SameAs(); like != nil {
			c.KeysOf = above[like]
		} else {
			c.Keys = keysOf(k.Keys(), here, above)
		}
		out = append(out, c)
	}
	return out
}

// apiCatalogue is what Apple publishes of payloads and commands, enough to draw
// forms.
func (s *Server) apiCatalogue(api huma.API) {
	type one struct {
		Type named `path:"type" doc:"Apple's name of it"`
	}
	lists := func(path, id, what string, names func() []string, find func(string) (*catalogue.Entry, bool)) {
		read(s, api, operation{http.MethodGet, "/catalogue/" + path, "list" + id + "s", auth.Look, "List the " + what + "s of Apple that iPads have", "catalogue", false},
			func(_ context.Context, in *Paged) (list[CatalogueEntry], error) {
				entries := make([]CatalogueEntry, 0, 100)
				for _, n := range names() {
					if e, ok := find(n); ok {
						entries = append(entries, entryOf(e))
					}
				}
				return few(in, entries, func(e CatalogueEntry) string { return e.Type }), nil
			})
		read(s, api, operation{http.MethodGet, "/catalogue/" + path + "/{type}", "get" + id, auth.Look, "Show a " + what + " with its keys", "catalogue", false},
			func(_ context.Context, in *one) (described, error) {
				e, ok := find(in.Type.text)
				if !ok {
					return described{}, fault.New(fault.NotFound, "catalogue.unknown", "Apple's schema has nothing called %s for iPads.", mdm.Clean(in.Type.text))
				}
				return describedAs(e), nil
			})
	}
	lists("payloads", "PayloadType", "payload type", catalogue.Payloads, catalogue.FindPayload)
	lists("commands", "CommandType", "command", func() []string { return catalogue.Names(catalogue.Command) },
		func(name string) (*catalogue.Entry, bool) { return catalogue.Find(catalogue.Command, name) })
	s.apiBuild(api)
}

// apiBuild makes profiles of any payloads.
func (s *Server) apiBuild(api huma.API) {
	type payload struct {
		Type string         `json:"type" maxLength:"255" example:"com.apple.dnsSettings.managed"`
		Keys map[string]any `json:"keys" doc:"Apple's keys; those of inner dictionaries may be written with dots. Times are RFC 3339, data is base64"`
	}
	type build struct {
		Versioning
		Body struct {
			Name     string    `json:"name" maxLength:"255"`
			Tenant   string    `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			Payloads []payload `json:"payloads" maxItems:"100"`
		}
	}
	write(s, api, operation{http.MethodPost, "/profiles/build", "buildProfile", auth.Change, "Make a profile of payloads by Apple's keys", "profiles", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *build) (saved, error) {
			list := make([]profiles.Payload, 0, len(in.Body.Payloads))
			for _, p := range in.Body.Payloads {
				list = append(list, profiles.Payload{Type: p.Type, Keys: p.Keys})
			}
			raw, err := s.Profiles.BuildPayloads(list)
			return s.addProfile(ctx, tx, by, &in.Versioning, in.Body.Tenant, in.Body.Name, raw, err)
		})
}

// findingsOf are those of a profile that was refused, errors first.
func findingsOf(found profiles.Flaws) []catalogue.Finding {
	out := slices.Clone(found)
	slices.SortStableFunc(out, func(a, b catalogue.Finding) int { return strings.Compare(a.Severity, b.Severity) })
	return out
}
