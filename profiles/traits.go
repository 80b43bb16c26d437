package profiles

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"

	"ranzen/internal/mdm"
)

// Traits is what planning must know of a version's content, so that nobody opens
// what is sealed to compare wishes. It holds no secret.
type Traits struct {
	Types        []string       `json:"types"`                  // PayloadType of each payload
	SSIDs        []string       `json:"ssids,omitempty"`        // networks it lets a tablet join
	Variables    []string       `json:"variables,omitempty"`    // names of the values it is filled with
	Restrictions map[string]any `json:"restrictions,omitempty"` // keys of com.apple.applicationaccess
	Needs        []Need         `json:"needs,omitempty"`
	Digest       string         `json:"digest,omitempty"` // of the content without its PayloadUUID: the same content, the same plan
}

// Need is a part of a profile that not every tablet can honour.
type Need struct {
	Path       string `json:"path"` // "com.apple.homescreenlayout" or "com.apple.wifi.managed/EnableIPv6"
	MinOS      string `json:"min_os,omitempty"`
	RemovedOS  string `json:"removed_os,omitempty"` // from this release on it does nothing
	Supervised bool   `json:"supervised,omitempty"`
	Whole      bool   `json:"whole,omitempty"` // the payload cannot work at all, so that the profile is not sent
}

func readTraits(text string) (f Traits, err error) {
	if text == "" {
		return f, nil
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return f, fmt.Errorf("read the traits of a profile: %w", err)
	}
	return f, nil
}

// traits are what is kept of a profile beside its sealed content. Its digest is
// keyed, since a short password could be guessed from a plain one.
func (r *Room) traits(doc map[string]any) (string, error) {
	f := traitsOf(doc)
	plain := maps.Clone(doc)
	delete(plain, "PayloadUUID")
	content, err := mdm.Encode(plain)
	if err != nil {
		return "", err
	}
	f.Digest = r.Vault.Digest("profiles.digest", content)
	text, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("write the traits of a profile: %w", err)
	}
	return string(text), nil
}

// traitsOf gathers them from a profile that was checked.
func traitsOf(doc map[string]any) Traits {
	f := Traits{Types: payloadTypes(doc)}
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		switch p["PayloadType"] {
		case "com.apple.wifi.managed":
			if ssid, _ := p["SSID_STR"].(string); ssid != "" {
				f.SSIDs = append(f.SSIDs, mdm.Clean(ssid))
			}
		case "com.apple.applicationaccess":
			f.Restrictions = restrictionsOf(p, f.Restrictions)
		}
	}
	sort.Strings(f.SSIDs)
	f.SSIDs = slices.Compact(f.SSIDs)
	return f
}

// restrictionsOf takes the plain values of a restrictions payload: no
// restriction of Apple's holds a secret.
func restrictionsOf(p map[string]any, into map[string]any) map[string]any {
	for k, v := range p {
		switch k {
		case "PayloadType", "PayloadIdentifier", "PayloadUUID", "PayloadVersion", "PayloadDisplayName", "PayloadDescription", "PayloadOrganization":
			continue
		}
		if into == nil {
			into = map[string]any{}
		}
		into[mdm.Clean(k)] = v
	}
	return into
}
