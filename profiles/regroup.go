package profiles

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// CreateRuleGroup makes a group of a tenant, or of the provider for "", and puts
// in whom its rule takes.
//
// Faults: those of schools.CreateRuleGroup; item.unknown, item.ambiguous.
func (r *Room) CreateRuleGroup(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name, rule string) (schools.Group, error) {
	g, err := r.Schools.CreateRuleGroup(ctx, tx, by, tenantID, name, rule)
	if err != nil {
		return g, err
	}
	return g, r.regroupAll(ctx, tx, g)
}

// SetRule gives a rule group another rule, and moves devices as it says.
//
// Faults: those of schools.SetRule; item.unknown, item.ambiguous.
func (r *Room) SetRule(ctx context.Context, tx *sqldb.Tx, by audit.Actor, g schools.Group, rule string) error {
	if err := r.Schools.SetRule(ctx, tx, by, g, rule); err != nil {
		return err
	}
	r.note(ctx, "rule "+g.ID+" "+rule)
	g.Rule = rule
	return r.regroupAll(ctx, tx, g)
}

// regroupAll works a group out anew.
func (r *Room) regroupAll(ctx context.Context, tx *sqldb.Tx, g schools.Group) error {
	rule, err := schools.ParseRule(g.Rule)
	if err != nil {
		return err
	}
	items, _ := rule.Names()
	for _, name := range items {
		if _, err := r.itemNamed(ctx, tx, g.TenantID, name, ""); err != nil {
			return err
		}
	}
	ids, err := r.Schools.Reach(ctx, tx, g.TenantID, time.Time{})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, chunk) {
		if err := r.regroup(ctx, tx, g, rule, part); err != nil {
			return err
		}
	}
	return nil
}

// regroup works out for some devices whether they are in a group. What nobody
// knows changes nothing.
func (r *Room) regroup(ctx context.Context, tx *sqldb.Tx, g schools.Group, rule schools.Rule, deviceIDs []string) error {
	known, enrolled, err := r.ruleFacts(ctx, tx, g, rule, deviceIDs)
	if err != nil {
		return err
	}
	was, err := r.Schools.MembersOf(ctx, tx, g.ID, deviceIDs)
	if err != nil {
		return err
	}
	now := schools.Members{In: map[string]bool{}, Unknown: map[string]string{}}
	at := r.Clock.Now()
	for _, id := range deviceIDs {
		switch t, missing := rule.Eval(known[id], at); t {
		case schools.Yes:
			now.In[id] = true
		case schools.Unknown:
			now.Unknown[id] = missing
			if was.In[id] {
				now.In[id] = true
			}
		}
	}
	changed, err := r.Schools.Regroup(ctx, tx, g.ID, deviceIDs, now)
	if err != nil {
		return err
	}
	var ids []string
	for _, id := range changed {
		if f, is := enrolled[id]; is && f.Active {
			ids = append(ids, f.EnrollmentID)
		}
	}
	if c := collecting(ctx); c != nil {
		c.whole = true // whoever moves or not: this is no change of single items
	}
	return r.Mark(ctx, tx, ids...)
}

// ruleFacts gathers what a rule may ask of some devices, set-wise.
func (r *Room) ruleFacts(ctx context.Context, q sqldb.Queryer, g schools.Group, rule schools.Rule, deviceIDs []string) (map[string]schools.Facts, map[string]DeviceFacts, error) {
	out, err := r.Schools.RuleFacts(ctx, q, deviceIDs)
	if err != nil {
		return nil, nil, err
	}
	enrolled, err := r.Facts.OfDevices(ctx, q, deviceIDs)
	if err != nil {
		return nil, nil, err
	}
	has, err := r.hasItems(ctx, q, g, rule, enrolled)
	if err != nil {
		return nil, nil, err
	}
	for id, f := range out {
		e, is := enrolled[id]
		if is {
			f.OSVersion, f.Supervised, f.State, f.LastSeen, f.Has = e.OSVersion, e.Supervised, e.State, e.LastSeen, has[e.EnrollmentID]
			if e.Model != "" {
				f.Model = e.Model
			}
		}
		out[id] = f
	}
	return out, enrolled, nil
}

// hasItems tells by enrollment and name which of the items that a rule names are
// there; where no list of its kind came yet, nobody knows.
func (r *Room) hasItems(ctx context.Context, q sqldb.Queryer, g schools.Group, rule schools.Rule, enrolled map[string]DeviceFacts) (map[string]map[string]bool, error) {
	names, _ := rule.Names()
	out := map[string]map[string]bool{}
	if len(names) == 0 || len(enrolled) == 0 {
		return out, nil
	}
	called := map[thing]string{}
	for _, name := range names {
		it, err := r.itemNamed(ctx, q, g.TenantID, name, "")
		if err != nil {
			continue // it was removed since: nobody knows who has it
		}
		called[thing{it.Kind, it.ID}] = name
	}
	var ids []string
	generation := map[string]int64{}
	for _, e := range enrolled {
		if e.Active {
			ids, generation[e.EnrollmentID] = append(ids, e.EnrollmentID), e.Generation
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		return out, nil
	}
	lists, err := listsOf(ctx, q, ids)
	if err != nil {
		return nil, fmt.Errorf("read lists: %w", err)
	}
	for _, l := range lists {
		if l.Generation != generation[l.EnrollmentID] {
			continue
		}
		if out[l.EnrollmentID] == nil {
			out[l.EnrollmentID] = map[string]bool{}
		}
		for th, name := range called {
			if th.list() == l.Kind {
				out[l.EnrollmentID][name] = false
			}
		}
	}
	rows, err := itemsOf(ctx, q, ids)
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	for _, row := range rows {
		if name, asked := called[row.thing()]; asked && row.Generation == generation[row.EnrollmentID] && row.Observed != nil && out[row.EnrollmentID] != nil {
			out[row.EnrollmentID][name] = true
		}
	}
	return out, nil
}

// regrouper keeps rule groups up to date: what changed every quarter of a minute,
// and all of them now and then, for what time alone changes.
type regrouper struct {
	room *Room
	seen time.Time // all changes before are worked in
	all  time.Time // when all devices were last looked at
}

const (
	regroupEvery = 15 * time.Second
	regroupAll   = 10 * time.Minute
	regroupSlack = time.Minute // that a transaction may take from its clock to its commit
)

func (g *regrouper) tick(ctx context.Context) error {
	now := g.room.Clock.Now()
	if now.Sub(g.seen) < regroupEvery {
		return nil
	}
	since := g.seen.Add(-regroupSlack)
	if now.Sub(g.all) >= regroupAll {
		since = time.Time{}
	}
	if err := g.room.RegroupSince(ctx, since); err != nil {
		return err
	}
	if g.seen = now; since.IsZero() {
		g.all = now
	}
	return nil
}

// RegroupSince works out anew who is in groups with rules, among the devices that
// changed since then; zero is all.
func (r *Room) RegroupSince(ctx context.Context, since time.Time) error {
	groups, err := r.Schools.RuleGroups(ctx, r.DB)
	if err != nil || len(groups) == 0 {
		return err
	}
	var changed []string // beside what schools sees
	if !since.IsZero() {
		if changed, err = r.changedSince(ctx, since); err != nil {
			return err
		}
	}
	for _, g := range groups {
		rule, err := schools.ParseRule(g.Rule)
		if err != nil {
			return err
		}
		ids, err := r.Schools.Reach(ctx, r.DB, g.TenantID, since)
		if err != nil {
			return err
		}
		if len(changed) > 0 {
			if ids, err = r.alsoIn(ctx, g, ids, changed); err != nil {
				return err
			}
		}
		for part := range slices.Chunk(ids, chunk) {
			if err := r.DB.Do(ctx, func(tx *sqldb.Tx) error { return r.regroup(ctx, tx, g, rule, part) }); err != nil {
				return fmt.Errorf("work out who is in group %s: %w", g.ID, err)
			}
		}
	}
	return nil
}

func (r *Room) changedSince(ctx context.Context, since time.Time) ([]string, error) {
	ids, err := r.Facts.ChangedSince(ctx, r.DB, since)
	if err != nil {
		return nil, err
	}
	enrollments, err := itemsChanged(ctx, r.DB, since)
	if err != nil {
		return nil, fmt.Errorf("list items that changed: %w", err)
	}
	for part := range slices.Chunk(enrollments, chunk) {
		known, err := r.Facts.Facts(ctx, r.DB, part)
		if err != nil {
			return nil, err
		}
		for _, f := range known {
			ids = append(ids, f.DeviceID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// alsoIn adds the changed devices that a group may have.
func (r *Room) alsoIn(ctx context.Context, g schools.Group, ids, changed []string) ([]string, error) {
	known, err := r.Schools.Devices(ctx, r.DB, changed)
	if err != nil {
		return nil, err
	}
	for _, id := range changed {
		if d, is := known[id]; is && (g.TenantID == "" || d.TenantID == g.TenantID) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
