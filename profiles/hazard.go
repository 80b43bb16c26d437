package profiles

import (
	"fmt"
	"slices"
)

// hazardSerials is how many tablets a hazard names.
const hazardSerials = 10

func (w *weigher) warn(code, serial string) { tally(w.hazards, code, serial) }

func tally(into map[string]*Hazard, code, serial string) {
	h := into[code]
	if h == nil {
		h = &Hazard{Code: code, Serials: []string{}}
		into[code] = h
	}
	h.Devices++
	if len(h.Serials) < hazardSerials {
		h.Serials = append(h.Serials, serial)
	}
}

// counted is a sentence about one iPad, or about as many as it says.
func counted(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(more, n)
}

// weighNetworks looks at what a change leaves a tablet to connect with.
func (w *weigher) weighNetworks(f DeviceFacts, before, after map[thing]wanted, c *collector) {
	had, keeps := networks(before), networks(after)
	if len(had) == 0 {
		return
	}
	switch {
	case len(keeps) == 0:
		w.warn("only-wifi", f.Serial)
		return
	case !slices.ContainsFunc(had, func(ssid string) bool { return slices.Contains(keeps, ssid) }):
		w.warn("other-wifi", f.Serial)
	}
	for th, old := range before {
		now, is := after[th]
		if !is || old.Traits == nil || now.Traits == nil || old.Version == now.Version || len(old.Traits.SSIDs) == 0 {
			continue
		}
		if slices.Equal(old.Traits.SSIDs, now.Traits.SSIDs) && old.Traits.Digest != now.Traits.Digest {
			w.warn("wifi-changed", f.Serial)
			return
		}
	}
}

func networks(wish map[thing]wanted) (ssids []string) {
	for _, w := range wish {
		if w.Traits != nil && w.Blocked == "" {
			ssids = append(ssids, w.Traits.SSIDs...)
		}
	}
	return ssids
}

// finish counts, and says hazards in words.
func (w *weigher) finish() {
	w.plan.Devices, w.plan.Limits = len(w.touched), w.limited()
	texts := map[string][2]string{
		"only-wifi": {"1 iPad loses the only Wi-Fi network that it knows from here. Without another network it cannot be reached any more.",
			"%d iPads lose the only Wi-Fi network that they know from here. Without another network they cannot be reached any more."},
		"other-wifi": {"1 iPad changes to another Wi-Fi network. If its settings are wrong, it cannot be reached any more.",
			"%d iPads change to another Wi-Fi network. If its settings are wrong, they cannot be reached any more."},
		"wifi-changed": {"1 iPad gets other settings for the Wi-Fi network it uses. If these are wrong, it cannot be reached any more.",
			"%d iPads get other settings for the Wi-Fi network they use. If these are wrong, they cannot be reached any more."},
		"data-lost": {"On 1 iPad an app would go together with what was made with it. It stays there until somebody confirms the removal by the number of devices: ranzen removal confirm.",
			"On %d iPads an app would go together with what was made with it. It stays there until somebody confirms the removal by the number of devices: ranzen removal confirm."},
	}
	for _, code := range []string{"only-wifi", "other-wifi", "wifi-changed", "data-lost"} {
		if h := w.hazards[code]; h != nil {
			h.Text = counted(h.Devices, texts[code][0], texts[code][1])
			w.plan.Hazards = append(w.plan.Hazards, *h)
		}
	}
	w.plan.Hazards = append(w.plan.Hazards, w.brings.hazards()...)
}

// warnOfMany tells of a change that reaches many tablets at once.
func (p *Plan) warnOfMany(may bool) {
	if p.Devices < ManyDevices {
		return
	}
	text := fmt.Sprintf("It touches %d iPads, all of them at once.", p.Devices)
	if may {
		text += " Let it reach some first, and the others when these are well: --rollout rings."
	}
	p.Hazards = append([]Hazard{{Code: "many", Devices: p.Devices, Serials: []string{}, Text: text}}, p.Hazards...)
}
