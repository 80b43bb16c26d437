package profiles

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"

	"ranzen/internal/catalogue"
	"ranzen/internal/mdm"
)

// Traits is what planning must know of a version's content, so that nobody opens
// what is sealed to compare wishes. It holds no secret.
type Traits struct {
	Types  []string         `json:"types"`               // PayloadType of each payload
	SSIDs  []string         `json:"ssids,omitempty"`     // networks it lets a tablet join
	Needs  []catalogue.Need `json:"needs,omitempty"`     // of versions stored before there was a catalogue: few or none
	Vars   []string         `json:"variables,omitempty"` // that stand in it, sorted
	Digest string           `json:"digest,omitempty"`    // of the content without its PayloadUUID: the same content, the same plan

	// What two profiles on one tablet may disagree about. Versions stored before it
	// was kept have none of it, and nothing is claimed of them.
	Restrictions settings          `json:"restrictions,omitempty"`
	Passcode     settings          `json:"passcode,omitempty"`
	Networks     map[string]string `json:"networks,omitempty"` // keyed digest of the payload by SSID: it holds a password
	Singles      map[string]string `json:"singles,omitempty"`  // and by PayloadType, of those of which an iPad takes one
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
	f.Vars = variablesIn(doc)
	plain := maps.Clone(doc)
	delete(plain, "PayloadUUID")
	content, err := mdm.Encode(plain)
	if err != nil {
		return "", err
	}
	f.Digest = r.Vault.Digest("profiles.digest", content)
	if err := r.rivalTraits(&f, doc); err != nil {
		return "", err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("write the traits of a profile: %w", err)
	}
	return string(text), nil
}

// traitsOf gathers them from a profile that was checked.
func traitsOf(doc map[string]any) Traits {
	f := Traits{Types: payloadTypes(doc), Needs: catalogue.NeedsOf(doc)}
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		kind, _ := p["PayloadType"].(string)
		if ssid, _ := p["SSID_STR"].(string); ssid != "" && kind == "com.apple.wifi.managed" {
			f.SSIDs = append(f.SSIDs, mdm.Clean(ssid))
		}
	}
	sort.Strings(f.SSIDs)
	f.SSIDs = slices.Compact(f.SSIDs)
	return f
}
