package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/catalogue"
)

// fit is what a version of a profile cannot do on iPads of one kind.
type fit struct {
	blocked string // why it cannot be there at all, in words
	lacks   []lack
}

// lack is a part of a profile that does nothing there.
type lack struct {
	need *catalogue.Need // of the version's traits
	code string
}

// fitter works out each version once for each kind of iPad, of which there are
// few in the largest fleet.
type fitter map[fitKey]*fit

type fitKey struct {
	traits     *Traits
	os         string
	supervised string
}

// of is nil where nothing is amiss. What is not known of a tablet does not keep
// anything away.
func (ft fitter) of(t *Traits, f DeviceFacts) *fit {
	if t == nil || len(t.Needs) == 0 {
		return nil
	}
	key := fitKey{traits: t, os: f.OSVersion}
	if f.Supervised != nil {
		key.supervised = fmt.Sprint(*f.Supervised)
	}
	got, met := ft[key]
	if !met {
		got = fitOf(t, f)
		ft[key] = got
	}
	return got
}

func fitOf(t *Traits, f DeviceFacts) *fit {
	out := &fit{}
	for i := range t.Needs {
		n := &t.Needs[i]
		code := n.Lacks(f.OSVersion, f.Supervised)
		switch {
		case code == "":
		case len(n.Keys) > 0:
			out.lacks = append(out.lacks, lack{n, code})
		case out.blocked == "":
			out.blocked = unable(*n, code, f.OSVersion)
		}
	}
	if out.blocked == "" && len(out.lacks) == 0 {
		return nil
	}
	return out
}

// unable tells why a tablet cannot have a payload at all.
func unable(n catalogue.Need, code, os string) string {
	switch code {
	case catalogue.TooOld:
		return fmt.Sprintf("The iPadOS of this iPad is too old: %s needs iPadOS %s, and the iPad has %s. Update it first.", n.Path, n.Since, os)
	case catalogue.Removed:
		return fmt.Sprintf("The iPadOS of this iPad is too new: %s is there no more from iPadOS %s on, and the iPad has %s.", n.Path, n.Removed, os)
	}
	return fmt.Sprintf("The iPad is not supervised, and %s works on supervised ones only. Supervision begins with an erase.", n.Path)
}

// Limit is a part of a profile that does nothing on some tablets; the rest of it
// does.
type Limit struct {
	Code    string   `json:"code" enum:"unsupervised,too-old,removed"`
	ItemID  string   `json:"item_id"`
	Item    string   `json:"item" doc:"Name of the profile"`
	Payload string   `json:"payload"`
	Keys    []string `json:"keys"`
	Text    string   `json:"text"`
	Devices int      `json:"devices"`
	Serials []string `json:"serials" doc:"The first ten of them"`
}

// limit counts what does nothing on a tablet that gets a profile.
func (w *weigher) limit(ch Change, now wanted) {
	if now.Fit == nil {
		return
	}
	for _, l := range now.Fit.lacks {
		got := w.limits[l]
		if got == nil {
			got = &Limit{
				Code: l.code, ItemID: ch.ItemID, Item: ch.Item, Payload: l.need.Path, Keys: slices.Clone(l.need.Keys),
				Text: limitText(l), Serials: []string{},
			}
			w.limits[l] = got
		}
		if got.Devices++; len(got.Serials) < hazardSerials {
			got.Serials = append(got.Serials, ch.Serial)
		}
	}
}

func limitText(l lack) string {
	keys := strings.Join(l.need.Keys[:min(len(l.need.Keys), 5)], ", ")
	if n := len(l.need.Keys) - 5; n > 0 {
		keys += fmt.Sprintf(" and %d more", n)
	}
	switch l.code {
	case catalogue.TooOld:
		return fmt.Sprintf("It does nothing there, since it needs iPadOS %s: %s.", l.need.Since, keys)
	case catalogue.Removed:
		return fmt.Sprintf("It does nothing there, since iPadOS %s has it no more: %s.", l.need.Removed, keys)
	}
	return fmt.Sprintf("It does nothing there, since the iPads are not supervised: %s.", keys)
}

// limited lists the limits, those first that concern most.
func (w *weigher) limited() []Limit {
	out := make([]Limit, 0, len(w.limits))
	for _, l := range w.limits {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Limit) int {
		return cmp.Or(b.Devices-a.Devices, strings.Compare(a.Item, b.Item), strings.Compare(a.ItemID, b.ItemID), strings.Compare(a.Payload, b.Payload), strings.Compare(a.Text, b.Text))
	})
	return out
}
