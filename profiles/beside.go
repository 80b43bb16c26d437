package profiles

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// A new version of a profile takes the place of the former at once. Where it has
// quite another Wi-Fi network, the iPad would lose the one that it uses in the
// moment in which it gets one that may be wrong. So it gets the new version with
// the former networks beside first, and without them when its own list has shown
// that.

// besideRender is the render of a version with the networks of a former one.
func besideRender(old int64, render string) string {
	return "beside:" + strconv.FormatInt(old, 10) + ":" + render
}

func besideOf(render string) (old int64, is bool) {
	rest, is := strings.CutPrefix(render, "beside:")
	number, _, _ := strings.Cut(rest, ":")
	old, err := strconv.ParseInt(number, 10, 64)
	return old, is && err == nil
}

// beside tells whether the former networks are to go yet.
func (r itemRow) beside() bool {
	_, is := besideOf(r.Render)
	return is
}

// rendering is how a tablet shall have a version by now.
func (p *planner) rendering(th thing, w wanted) string {
	r := p.t.has[th]
	if r.Observed == nil || *r.Observed == w.Version || w.Traits == nil || len(w.Traits.SSIDs) == 0 {
		return w.Render
	}
	old := *r.Observed
	if k, is := besideOf(r.SeenRender); is {
		old = k // the network that let it in; the one that came beside it may be what was wrong
	}
	had := p.t.older[th.ID][old]
	if had == nil || len(had.SSIDs) == 0 || slices.Contains(had.Vars, varChallenge) { // a certificate for a network is not made twice
		return w.Render
	}
	if slices.ContainsFunc(had.SSIDs, func(ssid string) bool { return slices.Contains(w.Traits.SSIDs, ssid) }) {
		return w.Render
	}
	return besideRender(old, w.Render)
}

// gatherOlder reads the networks that tablets have by versions that are not
// wished any more.
func (r *Room) gatherOlder(ctx context.Context, q sqldb.Queryer, out map[string]tablet) error {
	met := map[string]bool{}
	for _, t := range out {
		for th, row := range t.has {
			if w, wished := t.wish[th]; wished && t.nets[th.ID] && row.Observed != nil && *row.Observed != w.Version {
				met[th.ID] = true
			}
		}
	}
	if len(met) == 0 {
		return nil
	}
	older, err := traitsOfVersions(ctx, q, sorted(met))
	if err != nil {
		return fmt.Errorf("read the networks of former versions: %w", err)
	}
	for id, t := range out {
		t.older = older
		out[id] = t
	}
	return nil
}

// addNetworks puts the Wi-Fi networks of a former version into a profile, unless
// it has them, and tells which variables stand in them.
func (r *Room) addNetworks(ctx context.Context, tx *sqldb.Tx, doc map[string]any, profileID string, version int64) ([]string, error) {
	v, err := selectVersion(ctx, tx, profileID, version)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", profileID, err)
	}
	content, err := r.Vault.Open(contentPurpose(profileID, version), v.Content)
	if err != nil {
		return nil, err
	}
	var old map[string]any
	if err := mdm.Decode(content, &old); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", profileID, err)
	}
	list, _ := doc["PayloadContent"].([]any)
	has := traitsOf(doc).SSIDs
	former, _ := old["PayloadContent"].([]any)
	var added []any
	for _, one := range former {
		p, _ := one.(map[string]any)
		kind, _ := p["PayloadType"].(string)
		ssid, _ := p["SSID_STR"].(string)
		if kind != "com.apple.wifi.managed" && !strings.HasPrefix(kind, "com.apple.security.") || ssid != "" && slices.Contains(has, mdm.Clean(ssid)) {
			continue
		}
		if kind == "com.apple.wifi.managed" { // certificates keep their names, by which networks ask for them
			id, _ := p["PayloadIdentifier"].(string)
			u, _ := p["PayloadUUID"].(string)
			p["PayloadIdentifier"], p["PayloadUUID"] = id+".former", strings.ToUpper(uuid.NewSHA1(uuid.NameSpaceOID, []byte(u+".former")).String())
		} else if slices.ContainsFunc(list, func(other any) bool { return samePayload(other, p) }) {
			continue
		}
		added = append(added, p)
	}
	doc["PayloadContent"] = append(list, added...)
	return variablesIn(map[string]any{"PayloadContent": added}), nil
}

func samePayload(a any, p map[string]any) bool {
	m, _ := a.(map[string]any)
	return m["PayloadUUID"] == p["PayloadUUID"] || m["PayloadIdentifier"] == p["PayloadIdentifier"]
}
