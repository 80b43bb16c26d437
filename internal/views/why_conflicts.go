package views

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Clash is what profiles on one device disagree about, as package profiles finds
// it.
type Clash struct {
	Code, Key string
	Items     []Clashing
	Effective json.RawMessage
	Undefined bool
}

// Clashing is one of them.
type Clashing struct{ ItemID, Item string }

// WhyConflict is what a profile and others on the device disagree about.
type WhyConflict struct {
	Code      string          `json:"code" enum:"wifi-same-ssid,restriction,passcode,single-payload"`
	Key       string          `json:"key"`
	With      []string        `json:"with" doc:"Names of the others"`
	Effective json.RawMessage `json:"effective" doc:"The value that holds; null where that is undefined, and for a whole payload"`
	Undefined bool            `json:"undefined"`
	Text      string          `json:"text"`
}

// conflicts are those of one item.
func (c *whyCase) conflicts(lang string) []WhyConflict {
	out := []WhyConflict{}
	for _, x := range c.clashes {
		var with []string
		for _, it := range x.Items {
			if it.ItemID != c.id {
				with = append(with, it.Item)
			}
		}
		if c.kind != "profile" || len(with) == len(x.Items) {
			continue
		}
		t := x.say(with)
		w := WhyConflict{Code: x.Code, Key: x.Key, With: with, Effective: x.Effective, Undefined: x.Undefined, Text: t.en}
		if lang == "de" {
			w.Text = t.de
		}
		out = append(out, w)
	}
	return out
}

func (x Clash) say(with []string) text {
	names := strings.Join(with, ", ")
	about := text{x.Key, x.Key}
	switch x.Code {
	case "wifi-same-ssid":
		about = text{"dem WLAN " + x.Key, "the Wi-Fi network " + x.Key}
	case "single-payload":
		about = text{x.Key + ", wovon ein iPad nur eines nimmt", x.Key + ", of which an iPad takes one"}
	}
	if x.Undefined {
		return text{
			fmt.Sprintf("Es widerspricht %s bei %s. Was gilt, sagt Apple nicht, meist das zuletzt installierte: Nehmen Sie eines zurück.", names, about.de),
			fmt.Sprintf("It disagrees with %s on %s. Apple does not say which holds, mostly the one installed last: take one of them back.", names, about.en),
		}
	}
	de, en := spokenValue(x.Effective)
	return text{
		fmt.Sprintf("Es widerspricht %s bei %s: auf dem iPad gilt %s.", names, about.de, de),
		fmt.Sprintf("It disagrees with %s on %s: on the iPad %s holds.", names, about.en, en),
	}
}

// spokenValue is a value as people read it.
func spokenValue(v json.RawMessage) (de, en string) {
	var list []string
	if json.Unmarshal(v, &list) != nil {
		s := strings.Trim(string(v), `"`)
		return s, s
	}
	if len(list) == 0 {
		return "nichts", "nothing"
	}
	s := strings.Join(list[:min(3, len(list))], ", ")
	if n := len(list) - 3; n > 0 {
		return fmt.Sprintf("%s und %d weitere", s, n), fmt.Sprintf("%s and %d more", s, n)
	}
	return s, s
}

// mostConflicts is how many the whole text tells of; the list has them all.
const mostConflicts = 3

func sentences(list []WhyConflict, lang string) []string {
	var out []string
	for _, c := range list[:min(mostConflicts, len(list))] {
		out = append(out, c.Text)
	}
	if n := len(list) - mostConflicts; n > 0 && lang == "de" {
		out = append(out, fmt.Sprintf("Und %d weitere Widersprüche: ranzen conflicts --device.", n))
	} else if n > 0 {
		out = append(out, fmt.Sprintf("And %d more conflicts: ranzen conflicts --device.", n))
	}
	return out
}
