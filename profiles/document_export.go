package profiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

func isNoRows(err error) bool { return errors.Is(err, sqldb.ErrNoRows) }

// ExportDocument is all that is wished by a tenant, or by the provider for "".
// Applying it changes nothing. Secrets stand in it as references.
func (r *Room) ExportDocument(ctx context.Context, q sqldb.Queryer, tenantID string, sc Scoper) (Document, error) {
	d := Document{Profiles: []DocProfile{}, Apps: []DocApp{}, Groups: []DocGroup{}, Assignments: []DocAssignment{}}
	ps, err := r.Profiles(ctx, q, tenantID)
	if err != nil {
		return d, err
	}
	for _, p := range ps {
		if p.TenantID != tenantID || p.Version == 0 {
			continue // a draft is not wished yet
		}
		content, _, err := r.content(ctx, q, p.ID, p.Version)
		if err != nil {
			return d, err
		}
		doc, err := portable(p, content)
		if err != nil {
			return d, err
		}
		d.Profiles = append(d.Profiles, DocProfile{p.Name, doc})
	}
	as, err := r.Apps(ctx, q, tenantID)
	if err != nil {
		return d, err
	}
	for _, a := range as {
		if a.TenantID == tenantID {
			d.Apps = append(d.Apps, DocApp{Name: a.Name, AdamID: a.AdamID, BundleID: a.BundleID, SHA256: a.SHA256, HoldsData: a.HoldsData})
		}
	}
	if d.Groups, err = r.exportGroups(ctx, q, tenantID); err != nil {
		return d, err
	}
	d.Assignments, err = r.exportAssignments(ctx, q, tenantID, sc)
	return d, err
}

func (r *Room) exportGroups(ctx context.Context, q sqldb.Queryer, tenantID string) ([]DocGroup, error) {
	out := []DocGroup{}
	groups, err := r.Schools.Groups(ctx, q, tenantID)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g.TenantID != tenantID {
			continue
		}
		if g.Rule != "" {
			out = append(out, DocGroup{Name: g.Name, Rule: g.Rule})
			continue
		}
		ids, err := r.Schools.DevicesIn(ctx, q, g.ID)
		if err != nil {
			return nil, err
		}
		known, err := r.Schools.Devices(ctx, q, ids)
		if err != nil {
			return nil, err
		}
		one := DocGroup{Name: g.Name, Devices: []string{}}
		for _, id := range ids {
			one.Devices = append(one.Devices, known[id].Serial)
		}
		slices.Sort(one.Devices)
		out = append(out, one)
	}
	return out, nil
}

func (r *Room) exportAssignments(ctx context.Context, q sqldb.Queryer, tenantID string, sc Scoper) ([]DocAssignment, error) {
	out := []DocAssignment{}
	list, err := r.Assignments(ctx, q, "")
	if err != nil {
		return nil, err
	}
	drafts, err := allUnpublished(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("find drafts: %w", err)
	}
	list = slices.DeleteFunc(list, func(a Assignment) bool { return a.TenantID != tenantID || slices.Contains(drafts, a.ItemID) })
	scopes := make([]Scope, 0, len(list))
	for _, a := range list {
		scopes = append(scopes, a.Scope)
	}
	texts, err := sc.Text(ctx, q, scopes)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		text, known := texts[a.Scope]
		if !known {
			continue // its class or cart is gone, and nobody is in it
		}
		out = append(out, DocAssignment{Item: a.Name, To: text, Exclude: a.Exclude})
	}
	slices.SortFunc(out, func(a, b DocAssignment) int { return strings.Compare(a.String(), b.String()) })
	return out, nil
}

// portable is a profile's content as it can be kept in files and given to another
// server: without what is made anew for each version, and without secrets.
func portable(p Profile, content []byte) ([]byte, error) {
	var doc map[string]any
	if err := mdm.Decode(content, &doc); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", p.ID, err)
	}
	delete(doc, "PayloadUUID")
	if identifier, _ := doc["PayloadIdentifier"].(string); strings.HasPrefix(identifier, builtPrefix) {
		unfinish(doc, p.Name)
	}
	eachSecret(doc, func(path string, value any) any { return storedRef(p.Name, path) })
	return mdm.Encode(doc)
}

// builtPrefix begins the identifiers of profiles that were built here.
const builtPrefix = "ranzen.profile."

// unfinish takes away what finishBuilt gave.
func unfinish(doc map[string]any, name string) {
	for _, k := range []string{"PayloadIdentifier", "PayloadDisplayName", "PayloadVersion"} {
		delete(doc, k)
	}
	doc[builtMark] = true
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		delete(p, "PayloadIdentifier")
		delete(p, "PayloadVersion")
		if u, _ := p["PayloadUUID"].(string); u != "" && !referenced(list, p, u) {
			delete(p, "PayloadUUID")
		}
		if p["PayloadDisplayName"] == name {
			delete(p, "PayloadDisplayName")
		}
	}
}

// referenced tells whether another payload points to this one by its UUID.
func referenced(list []any, p map[string]any, u string) bool {
	for _, v := range list {
		other, _ := v.(map[string]any)
		if other["PayloadUUID"] != p["PayloadUUID"] && mentions(other, u) {
			return true
		}
	}
	return false
}

func mentions(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return strings.EqualFold(v, text)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return mentions(e, text) })
	case map[string]any:
		for _, e := range v {
			if mentions(e, text) {
				return true
			}
		}
	}
	return false
}
