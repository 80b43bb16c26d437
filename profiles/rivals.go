package profiles

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/sqldb"
)

// withRivals adds the profiles that may disagree with those that are touched.
func (r *Room) withRivals(ctx context.Context, q sqldb.Queryer, things, only map[thing]bool) error {
	if !slices.ContainsFunc(idsOf(things), func(id string) bool { return things[thing{kindProfile, id}] }) {
		return nil
	}
	by, err := rivalTypes(ctx, q)
	if err != nil {
		return err
	}
	for _, ids := range by {
		if slices.ContainsFunc(ids, func(id string) bool { return things[thing{kindProfile, id}] }) {
			for _, id := range ids {
				only[thing{kindProfile, id}] = true
			}
		}
	}
	return nil
}

// rivalTypes are the profiles by the payload types about which they may disagree.
func rivalTypes(ctx context.Context, q sqldb.Queryer) (map[string][]string, error) {
	rows, err := payloadsOf(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("find profiles with the same payloads: %w", err)
	}
	by, is := map[string][]string{}, map[string]bool{}
	for _, row := range rows {
		var types []string
		if err := json.Unmarshal([]byte(row.Summary), &types); row.Summary != "" && err != nil {
			return nil, fmt.Errorf("read the payloads of profile %s: %w", row.ProfileID, err)
		}
		for _, t := range types {
			if _, met := is[t]; !met {
				is[t] = rival(t)
			}
			if ids := by[t]; is[t] && (len(ids) == 0 || ids[len(ids)-1] != row.ProfileID) {
				by[t] = append(ids, row.ProfileID)
			}
		}
	}
	return by, nil
}

// ConflictsOn are those of what is wished of one device, enrolled or not.
func (r *Room) ConflictsOn(ctx context.Context, q sqldb.Queryer, deviceID string) ([]Conflict, error) {
	known, err := r.Facts.OfDevices(ctx, q, []string{deviceID})
	if err != nil {
		return nil, err
	}
	f := known[deviceID]
	f.DeviceID = deviceID
	scopes, err := r.Schools.ScopesOf(ctx, q, []string{deviceID})
	if err != nil {
		return nil, err
	}
	wish, err := r.wishesOf(ctx, q, map[string]DeviceFacts{f.EnrollmentID: f}, scopes, nil)
	if err != nil {
		return nil, err
	}
	return conflicts(wish[f.EnrollmentID]), nil
}

const (
	conflictDevices = 5000 // are looked at together
	maxConflicts    = 1000 // are told of a fleet
)

// Conflicts are those on the managed devices of a tenant, or on all for "", each
// once, those first that concern most devices; more tells that there are others,
// which are left out.
func (r *Room) Conflicts(ctx context.Context, q sqldb.Queryer, tenantID string) (list []Conflict, more bool, err error) {
	by, err := rivalTypes(ctx, q)
	if err != nil {
		return nil, false, err
	}
	only := map[thing]bool{}
	for _, ids := range by {
		for _, id := range ids {
			if len(ids) > 1 {
				only[thing{kindProfile, id}] = true
			}
		}
	}
	if len(only) == 0 {
		return []Conflict{}, false, nil
	}
	scope := Scope{Kind: "all"}
	if tenantID != "" {
		scope = Scope{Kind: "tenant", ID: tenantID}
	}
	ids, err := r.Facts.InScope(ctx, q, scope)
	if err != nil {
		return nil, false, err
	}
	slices.Sort(ids)
	clashes, at := newClasher(), map[string]int{}
	for part := range slices.Chunk(ids, conflictDevices) {
		facts, err := r.Facts.Facts(ctx, q, part)
		if err != nil {
			return nil, false, err
		}
		wish, err := r.wishedOnly(ctx, q, facts, only)
		if err != nil {
			return nil, false, err
		}
		clear(clashes.fits) // they are of one look
		clear(clashes.known)
		for _, id := range part {
			for _, c := range clashes.of(wish[id]) {
				i, met := at[c.id]
				if !met && len(list) == maxConflicts {
					more = true
					continue
				}
				if !met {
					i = len(list)
					at[c.id], list = i, append(list, c)
				}
				if list[i].Devices++; len(list[i].Serials) < hazardSerials {
					list[i].Serials = append(list[i].Serials, facts[id].Serial)
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Conflict) int { return cmp.Or(b.Devices-a.Devices, strings.Compare(a.id, b.id)) })
	return list, more, nil
}

func (r *Room) wishedOnly(ctx context.Context, q sqldb.Queryer, facts map[string]DeviceFacts, only map[thing]bool) (map[string]map[thing]wanted, error) {
	devices := make([]string, 0, len(facts))
	for _, f := range facts {
		devices = append(devices, f.DeviceID)
	}
	slices.Sort(devices)
	scopes, err := r.Schools.ScopesOf(ctx, q, devices)
	if err != nil {
		return nil, err
	}
	return r.wishesOf(ctx, q, facts, scopes, only)
}
