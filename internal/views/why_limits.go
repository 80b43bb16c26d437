package views

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/catalogue"
	"ranzen/internal/sqldb"
)

// WhyLimit is a part of a profile that does nothing on the device.
type WhyLimit struct {
	Code    string   `json:"code" enum:"unsupervised,too-old,removed"`
	Payload string   `json:"payload"`
	Keys    []string `json:"keys"`
	Text    string   `json:"text"`
}

// whyNeeds finds what the published versions of profiles ask of a device.
func (r *Room) whyNeeds(ctx context.Context, q sqldb.Queryer, list []*whyCase) error {
	by := map[string]*whyCase{}
	var ids []string
	for _, c := range list {
		if c.kind == "profile" && c.version > 0 {
			by[c.id] = c
			ids = append(ids, c.id)
		}
	}
	for part := range slices.Chunk(ids, 500) {
		var rows []struct {
			ID     string `db:"profile_id"`
			Traits string `db:"traits"`
		}
		err := q.Select(ctx, &rows, `SELECT v.profile_id, v.traits FROM profile_versions v JOIN profiles p ON p.id = v.profile_id AND p.version = v.version
			WHERE v.profile_id IN (?)`, part)
		if err != nil {
			return fmt.Errorf("why: %w", err)
		}
		for _, row := range rows {
			var t struct {
				Needs []catalogue.Need `json:"needs"`
			}
			if row.Traits != "" && json.Unmarshal([]byte(row.Traits), &t) == nil { // written by us; shown without rather than not at all
				by[row.ID].needs = t.Needs
			}
		}
	}
	return nil
}

// limits are what of a profile does nothing on the device, while it is there or
// on its way. A payload that it cannot have at all blocks, and is no limit.
func (c *whyCase) limits(state, lang string) []WhyLimit {
	out := []WhyLimit{}
	if state != "installed" && state != "pending" && state != "sent" && state != "acknowledged" {
		return out
	}
	for _, n := range c.needs {
		code := n.Lacks(c.device.OSVersion, c.device.Supervised)
		if code == "" || len(n.Keys) == 0 {
			continue
		}
		keys := strings.Join(n.Keys, ", ")
		t := text{"Ohne Wirkung, weil das iPad nicht betreut ist: " + keys + ".", "Without effect, since the iPad is not supervised: " + keys + "."}
		switch code {
		case catalogue.TooOld:
			t = text{
				fmt.Sprintf("Ohne Wirkung, weil iPadOS %s nötig ist und das iPad %s hat: %s.", n.Since, c.device.OSVersion, keys),
				fmt.Sprintf("Without effect, since iPadOS %s is needed and the iPad has %s: %s.", n.Since, c.device.OSVersion, keys),
			}
		case catalogue.Removed:
			t = text{
				fmt.Sprintf("Ohne Wirkung, weil es das ab iPadOS %s nicht mehr gibt: %s.", n.Removed, keys),
				fmt.Sprintf("Without effect, since iPadOS %s has it no more: %s.", n.Removed, keys),
			}
		}
		l := WhyLimit{Code: code, Payload: n.Path, Keys: n.Keys, Text: t.en}
		if lang == "de" {
			l.Text = t.de
		}
		out = append(out, l)
	}
	return out
}
