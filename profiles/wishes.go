package profiles

import (
	"context"
	"fmt"
	"slices"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// wanted is an item as it is wished on one tablet.
type wanted struct {
	Version   int64
	Name      string
	Owner     string  // tenant whose it is; "": the provider's
	Place     string  // what it is to an iPad, which has one of a place: PayloadIdentifier, bundle identifier
	Traits    *Traits // of the version; shared, not to be changed
	HoldsData bool    // an app whose removal loses what was made with it
	Render    string  // which values of variables stand in it on this tablet; "": it has none
	Blocked   string  // why it cannot be there, in words
	Fit       *fit    // what of it cannot be there; nil: nothing. Shared, not to be changed
}

// wishesOf tells what is wished of tablets, set-wise: included by an assignment,
// and excluded by none; where a
// roll-out has not opened its ring yet, what was wished before. only limits it to some items, nil is all. Tablets that
// facts does not know have no entry: nothing wished is not the same as not known.
func (r *Room) wishesOf(ctx context.Context, q sqldb.Queryer, facts map[string]DeviceFacts, scopes map[string][]schools.Scope, only map[thing]bool) (map[string]map[thing]wanted, error) {
	rows, err := r.wishRows(ctx, q, scopes, only)
	if err != nil {
		return nil, fmt.Errorf("read wishes: %w", err)
	}
	byScope, known, err := sortWishes(rows)
	if err != nil {
		return nil, err
	}
	out := make(map[string]map[thing]wanted, len(facts))
	for id, f := range facts {
		out[id] = wishedIn(scopes[f.DeviceID], byScope, known)
	}
	if err := r.overlay(ctx, q, out, only); err != nil {
		return nil, err
	}
	if err := r.fillIn(ctx, q, facts, scopes, out); err != nil {
		return nil, err
	}
	fits := fitter{}
	for id, wish := range out {
		for th, w := range wish {
			if w.Fit = fits.of(w.Traits, facts[id]); w.Fit == nil {
				continue
			}
			if w.Blocked == "" {
				w.Blocked = w.Fit.blocked
			}
			wish[th] = w
		}
	}
	return out, nil
}

func (r *Room) wishRows(ctx context.Context, q sqldb.Queryer, scopes map[string][]schools.Scope, only map[thing]bool) ([]wishRow, error) {
	if only == nil {
		return wishes(ctx, q, scopes)
	}
	return wishesFor(ctx, q, idsOf(only))
}

// known items by what they are, as their published version has them.
type items map[thing]wanted

func sortWishes(rows []wishRow) (map[Scope][]wishRow, items, error) {
	byScope, known := map[Scope][]wishRow{}, items{}
	for _, w := range rows {
		s, th := Scope{w.ScopeKind, w.ScopeID}, thing{w.Kind, w.ItemID}
		byScope[s] = append(byScope[s], w)
		if _, met := known[th]; met {
			continue
		}
		t, err := readTraits(w.Traits)
		if err != nil {
			return nil, nil, err
		}
		known[th] = wanted{Version: w.Version, Name: w.Name, Owner: w.TenantID, Place: w.Place, Traits: &t, HoldsData: w.HoldsData}
	}
	return byScope, known, nil
}

// wishedIn is what assignments say for a device in these scopes. Whatever wishes
// an item, an exclusion is stronger: that is how people take one class out.
func wishedIn(in []schools.Scope, byScope map[Scope][]wishRow, known items) map[thing]wanted {
	wish, not := map[thing]wanted{}, map[thing]bool{}
	tenant := schools.TenantOf(in)
	for _, s := range append(slices.Clone(in), schools.Scope{Kind: "all"}) {
		for _, w := range byScope[Scope(s)] {
			th := thing{w.Kind, w.ItemID}
			switch {
			case w.TenantID != "" && w.TenantID != tenant: // a tenant's profile never reaches another's tablets
			case w.Exclude:
				not[th] = true
			case known[th].Version > 0: // else nothing of it is published
				wish[th] = known[th]
			}
		}
	}
	for th := range not {
		delete(wish, th)
	}
	return wish
}
