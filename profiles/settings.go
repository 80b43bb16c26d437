package profiles

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/catalogue"
	"ranzen/internal/mdm"
)

// settings are the values of a payload by key, as JSON in one form: lists, which
// are sets to iPads, are sorted. The same value is the same text.
type settings map[string]json.RawMessage

// Types of payloads that several profiles may bring, besides restrictionsType.
const (
	passcodeType = "com.apple.mobiledevice.passwordpolicy"
	wifiType     = "com.apple.wifi.managed"
)

// What is kept of one profile is read with every plan.
const (
	maxSettings    = 400
	maxListed      = 500
	maxListedBytes = 16 << 10
)

// single tells whether an iPad takes one payload of a type. A removal password
// belongs to its profile, and each may have one.
func single(payloadType string) bool {
	e, known := catalogue.FindPayload(payloadType)
	return known && e.Single && payloadType != "com.apple.profileRemovalPassword"
}

// rival tells whether two profiles with payloads of this type may disagree.
func rival(payloadType string) bool {
	return payloadType == restrictionsType || payloadType == passcodeType || payloadType == wifiType || single(payloadType)
}

// rivalTraits gathers what a profile may disagree about with others.
func (r *Room) rivalTraits(f *Traits, doc map[string]any) error {
	networks, singles := map[string][]string{}, map[string][]string{}
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		kind, _ := p["PayloadType"].(string)
		switch kind {
		case restrictionsType:
			f.Restrictions = f.Restrictions.with(kind, p)
			continue
		case passcodeType:
			f.Passcode = f.Passcode.with(kind, p)
			continue
		}
		ssid, _ := p["SSID_STR"].(string)
		if kind == wifiType && ssid != "" || single(kind) {
			digest, err := r.payloadDigest(p)
			if err != nil {
				return err
			}
			if kind == wifiType {
				networks[mdm.Clean(ssid)] = append(networks[mdm.Clean(ssid)], digest)
			} else {
				singles[kind] = append(singles[kind], digest)
			}
		}
	}
	f.Networks, f.Singles = r.digests(networks), r.digests(singles)
	return nil
}

// payloadDigest tells payloads apart by what they do. It is keyed, since a short
// password could be guessed from a plain one.
func (r *Room) payloadDigest(p map[string]any) (string, error) {
	does := make(map[string]any, len(p))
	for key, v := range p {
		switch key {
		case "PayloadUUID", "PayloadIdentifier", "PayloadDisplayName", "PayloadDescription", "PayloadOrganization", "PayloadVersion":
		default:
			does[key] = v
		}
	}
	content, err := mdm.Encode(does)
	if err != nil {
		return "", err
	}
	return r.short(content), nil
}

// digests makes one of several payloads of a profile, in whatever order.
func (r *Room) digests(of map[string][]string) map[string]string {
	if len(of) == 0 {
		return nil
	}
	out := make(map[string]string, len(of))
	for key, list := range of {
		slices.Sort(list)
		list = slices.Compact(list)
		if out[key] = list[0]; len(list) > 1 {
			out[key] = r.short([]byte(strings.Join(list, "\n")))
		}
	}
	return out
}

func (r *Room) short(content []byte) string {
	d := r.Vault.Digest("profiles.payload", content)
	return d[:min(32, len(d))]
}

// with adds the values of a payload. Where a profile holds a key twice, it has
// what an iPad makes of them, or nothing is claimed of it.
func (s settings) with(payloadType string, p map[string]any) settings {
	e, known := catalogue.FindPayload(payloadType)
	if !known {
		return s
	}
	keys := make([]string, 0, len(p))
	for key := range p {
		if !strings.HasPrefix(key, "Payload") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		_, known := e.Key(key)
		v, ok := setting(p[key], known)
		if !ok || key != mdm.Clean(key) || len(s) >= maxSettings {
			continue
		}
		if old, twice := s[key]; twice && string(old) != string(v) {
			if v, ok = combine(ruleOf(payloadType, key), []json.RawMessage{old, v}); !ok {
				delete(s, key)
				continue
			}
		}
		if s == nil {
			s = settings{}
		}
		s[key] = v
	}
	return s
}

// setting is a value in its one form. Texts are kept of keys that the catalogue
// knows, of which it is known that they are no secret.
func setting(v any, known bool) (json.RawMessage, bool) {
	switch v := v.(type) {
	case bool, int, int64, uint64, float64, float32:
		b, err := json.Marshal(v) // of what is no number: an error
		return b, err == nil
	case string:
		return quoted(mdm.Clean(v)), known && len(v) <= 255
	case []any:
		list := make([]string, 0, len(v))
		size := 0
		for _, e := range v {
			t, is := e.(string)
			if size += len(t); !is || size > maxListedBytes || len(list) == maxListed {
				return nil, false
			}
			list = append(list, mdm.Clean(t))
		}
		return set(list), known
	}
	return nil, false
}

func quoted(s string) json.RawMessage {
	b, _ := json.Marshal(s) // of a text there is no error
	return b
}

func set(list []string) json.RawMessage {
	slices.Sort(list)
	b, _ := json.Marshal(slices.Compact(list)) // nor of texts
	return b
}

// spoken is a value as people read it.
func spoken(v json.RawMessage) string {
	var list []string
	if json.Unmarshal(v, &list) != nil {
		return strings.Trim(string(v), `"`)
	}
	switch {
	case len(list) == 0:
		return "nothing"
	case len(list) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
	}
	return strings.Join(list, ", ")
}
