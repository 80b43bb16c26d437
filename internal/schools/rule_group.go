package schools

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// CreateRuleGroup makes a group of a tenant, or of the provider for "", that takes
// in whom its rule takes. Nobody is in it yet: package profiles knows the facts.
//
// Faults: rule.syntax, rule.group, rule.cycle, group.exists.
func (r *Room) CreateRuleGroup(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name, rule string) (Group, error) {
	parsed, err := ParseRule(rule)
	if err != nil {
		return Group{}, err
	}
	g, err := r.createGroup(ctx, tx, actor, tenantID, name, parsed.String())
	if err != nil {
		return Group{}, err
	}
	return g, r.checkRule(ctx, tx, g, parsed)
}

// SetRule gives a rule group another rule.
//
// Faults: group.unknown, group.static, rule.syntax, rule.group, rule.cycle.
func (r *Room) SetRule(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, g Group, rule string) error {
	parsed, err := ParseRule(rule)
	if err != nil {
		return err
	}
	if g.Rule == "" {
		return fault.New(fault.Conflict, "group.static", "People put devices into the group %s; it has no rule. Make another group with one: ranzen group create NAME --rule RULE.", g.Name).On("group")
	}
	if err := r.checkRule(ctx, tx, g, parsed); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE device_groups SET rule = ? WHERE id = ?`, parsed.String(), g.ID); err != nil {
		return fmt.Errorf("set a rule: %w", err)
	}
	return r.append(ctx, tx, actor, "group.rule", g.ID, map[string]any{"rule": parsed.String(), "from": g.Rule})
}

// checkRule refuses groups that there are not, and groups that would wait for
// each other.
func (r *Room) checkRule(ctx context.Context, q sqldb.Queryer, g Group, rule Rule) error {
	seen := map[string]bool{}
	var follow func(of Group, rule Rule) error
	follow = func(of Group, rule Rule) error {
		_, names := rule.Names()
		for _, name := range names {
			other, err := r.ruleGroup(ctx, q, of.TenantID, name)
			if err != nil {
				return err
			}
			if other.ID == g.ID {
				return fault.New(fault.Conflict, "rule.cycle", "The rule of %s would ask, by way of %s, whether a device is in %s. Leave one of them out.", g.Name, of.Name, g.Name).On("rule")
			}
			if seen[other.ID] || other.Rule == "" {
				continue
			}
			seen[other.ID] = true
			inner, err := ParseRule(other.Rule)
			if err != nil {
				return err
			}
			if err := follow(other, inner); err != nil {
				return err
			}
		}
		return nil
	}
	return follow(g, rule)
}

// ruleGroup finds a group that a rule names: one of its tenant's or the
// provider's. A rule of the provider's speaks of the provider's groups.
func (r *Room) ruleGroup(ctx context.Context, q sqldb.Queryer, tenantID, name string) (Group, error) {
	rows, err := findGroups(ctx, q, tenantID, name)
	if err != nil {
		return Group{}, fmt.Errorf("find group: %w", err)
	}
	var found *groupRow
	for i, row := range rows {
		if row.Name == name && (row.TenantID == tenantID || row.TenantID == "" && found == nil) {
			found = &rows[i]
		}
	}
	if found == nil {
		return Group{}, fault.New(fault.Invalid, "rule.group", "The rule names the group %q, which there is not. See `ranzen group list`.", name).On("rule")
	}
	return found.group(), nil
}

// mustBeStatic refuses to put devices by hand where a rule decides.
func (r *Room) mustBeStatic(ctx context.Context, q sqldb.Queryer, id string) error {
	if err := r.mustBeGroup(ctx, q, id); err != nil {
		return err
	}
	var rule string
	if err := q.Get(ctx, &rule, `SELECT g.rule FROM device_groups g WHERE g.id = ?`, id); err != nil {
		return fmt.Errorf("find group: %w", err)
	}
	if rule != "" {
		return fault.New(fault.Conflict, "group.rule", "A rule says who is in this group: %s. Change the rule (ranzen group rule), or use a group without.", rule).On("group")
	}
	return nil
}

// notInRules refuses to remove a group that a rule asks for.
func (r *Room) notInRules(ctx context.Context, q sqldb.Queryer, id string) error {
	groups, err := r.RuleGroups(ctx, q)
	if err != nil {
		return err
	}
	for _, g := range groups {
		rule, err := ParseRule(g.Rule)
		if err != nil {
			return err
		}
		_, names := rule.Names()
		for _, name := range names {
			if other, err := r.ruleGroup(ctx, q, g.TenantID, name); err == nil && other.ID == id && g.ID != id {
				return fault.New(fault.Conflict, "group.in-use", "The rule of the group %s asks for this group. Change that rule first.", g.Name)
			}
		}
	}
	return nil
}

// RuleGroups are all groups with a rule, those before that others ask for.
func (r *Room) RuleGroups(ctx context.Context, q sqldb.Queryer) ([]Group, error) {
	var rows []groupRow
	err := q.Select(ctx, &rows, `SELECT g.id, g.tenant_id, g.name, g.rule, g.created_at, 0 AS unknown, 0 AS devices FROM device_groups g WHERE g.rule <> '' ORDER BY g.created_at, g.id`)
	if err != nil {
		return nil, fmt.Errorf("list groups with rules: %w", err)
	}
	var out []Group
	done := map[string]bool{}
	for len(rows) > 0 {
		var later []groupRow
		for _, row := range rows {
			rule, err := ParseRule(row.Rule)
			if err != nil {
				return nil, fmt.Errorf("read the rule of group %s: %w", row.ID, err)
			}
			_, names := rule.Names()
			waits := slices.ContainsFunc(rows, func(o groupRow) bool {
				return o.ID != row.ID && !done[o.ID] && slices.Contains(names, o.Name) && (o.TenantID == row.TenantID || o.TenantID == "")
			})
			if waits {
				later = append(later, row)
				continue
			}
			done[row.ID] = true
			out = append(out, row.group())
		}
		if len(later) == len(rows) { // names may fit two groups: the order is then as they were made
			for _, row := range later {
				out = append(out, row.group())
			}
			return out, nil
		}
		rows = later
	}
	return out, nil
}

// RuleFacts is what this room knows of devices for rules, set-wise.
func (r *Room) RuleFacts(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string]Facts, error) {
	devices, err := r.Devices(ctx, q, deviceIDs)
	if err != nil {
		return nil, err
	}
	in, err := r.ScopesOf(ctx, q, deviceIDs)
	if err != nil {
		return nil, err
	}
	all := map[Scope]bool{}
	for _, list := range in {
		for _, s := range list {
			if s.Kind != "device" {
				all[s] = true
			}
		}
	}
	called, err := r.Called(ctx, q, slices.Collect(maps.Keys(all)))
	if err != nil {
		return nil, err
	}
	doubtful, err := doubts(ctx, q, deviceIDs)
	if err != nil {
		return nil, fmt.Errorf("read what rules do not know: %w", err)
	}
	out := make(map[string]Facts, len(devices))
	for id, d := range devices {
		f := Facts{Model: d.Model, State: "known", Doubtful: doubtful[id]}
		for _, s := range in[id] {
			name := called[s].Name
			switch s.Kind {
			case "site":
				f.Sites = append(f.Sites, name)
			case "school":
				f.Schools = append(f.Schools, name)
			case "class":
				f.Classes = append(f.Classes, name)
			case "cart":
				f.Carts = append(f.Carts, name)
			case "group":
				f.Groups = append(f.Groups, name)
			}
		}
		out[id] = f
	}
	return out, nil
}

// Members are who is in a group by its rule, and who may be.
type Members struct {
	In      map[string]bool
	Unknown map[string]string // device id -> the missing fact
}

// MembersOf are who of some devices is in a group now, and who may be.
func (r *Room) MembersOf(ctx context.Context, q sqldb.Queryer, groupID string, deviceIDs []string) (Members, error) {
	m := Members{In: map[string]bool{}, Unknown: map[string]string{}}
	for part := range chunks(deviceIDs) {
		var ids []string
		if err := q.Select(ctx, &ids, `SELECT m.device_id FROM device_group_members m WHERE m.group_id = ? AND m.device_id IN (?)`, groupID, part); err != nil {
			return m, fmt.Errorf("list the devices of a group: %w", err)
		}
		for _, id := range ids {
			m.In[id] = true
		}
		var rows []unknownRow
		if err := q.Select(ctx, &rows, `SELECT u.device_id, u.missing, '' AS name FROM group_unknown u WHERE u.group_id = ? AND u.device_id IN (?)`, groupID, part); err != nil {
			return m, fmt.Errorf("list what a rule does not know: %w", err)
		}
		for _, u := range rows {
			m.Unknown[u.DeviceID] = u.Missing
		}
	}
	return m, nil
}

// Doubt is a device of which nobody knows whether a rule takes it in.
type Doubt struct {
	DeviceID, Serial string
	Missing          string // the fact
	In               bool   // it stays in until somebody knows
}

// Doubts lists them for a group, those of one tenant or of all for "".
func (r *Room) Doubts(ctx context.Context, q sqldb.Queryer, groupID, tenantID string) ([]Doubt, error) {
	var rows []struct {
		DeviceID string `db:"device_id"`
		Serial   string `db:"serial"`
		Missing  string `db:"missing"`
		In       bool   `db:"member"`
	}
	err := q.Select(ctx, &rows, `SELECT u.device_id, d.serial, u.missing, EXISTS (SELECT 1 FROM device_group_members m WHERE m.group_id = u.group_id AND m.device_id = u.device_id) AS member
		FROM group_unknown u JOIN devices d ON d.id = u.device_id
		WHERE u.group_id = ? AND (CAST(? AS TEXT) = '' OR d.tenant_id = ?) ORDER BY d.serial LIMIT 1000`, groupID, tenantID, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list what a rule does not know: %w", err)
	}
	out := make([]Doubt, 0, len(rows))
	for _, d := range rows {
		out = append(out, Doubt(d))
	}
	return out, nil
}

// Regroup writes who came into a rule group, who left it, and of whom among
// deviceIDs nobody knows. It tells who changed.
func (r *Room) Regroup(ctx context.Context, tx *sqldb.Tx, groupID string, deviceIDs []string, now Members) ([]string, error) {
	was, err := r.MembersOf(ctx, tx, groupID, deviceIDs)
	if err != nil {
		return nil, err
	}
	var in, out []string
	for _, id := range deviceIDs {
		switch {
		case now.In[id] && !was.In[id]:
			in = append(in, id)
		case was.In[id] && !now.In[id]:
			out = append(out, id)
		}
	}
	for part := range chunks(in) {
		if _, err := insertMembers(ctx, tx, groupID, part, r.clock.Now()); err != nil {
			return nil, err
		}
	}
	for part := range chunks(out) {
		if _, err := deleteMembers(ctx, tx, groupID, part); err != nil {
			return nil, err
		}
	}
	if !maps.Equal(was.Unknown, now.Unknown) {
		if err := setUnknown(ctx, tx, groupID, deviceIDs, now.Unknown); err != nil {
			return nil, err
		}
	}
	changed := append(in, out...)
	if len(changed) == 0 {
		return nil, nil
	}
	for part := range chunks(changed) {
		if err := touchDevices(ctx, tx, part, r.clock.Now()); err != nil {
			return nil, err
		}
	}
	detail := map[string]any{"in": len(in), "out": len(out), "devices": changed[:min(len(changed), 50)]}
	return changed, r.append(ctx, tx, audit.System, "group.regroup", groupID, detail)
}

// Reach lists the devices that a group may have: its tenant's, or all. since zero
// is all of them, else those that changed since.
func (r *Room) Reach(ctx context.Context, q sqldb.Queryer, tenantID string, since time.Time) (ids []string, err error) {
	err = q.Select(ctx, &ids, `SELECT d.id FROM devices d WHERE (CAST(? AS TEXT) = '' OR d.tenant_id = ?) AND d.updated_at >= ? ORDER BY d.id`, tenantID, tenantID, stamp(since))
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return ids, nil
}

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}

type unknownRow struct {
	DeviceID string `db:"device_id"`
	Missing  string `db:"missing"`
	Name     string `db:"name"`
}

// doubts are the names of the groups of which nobody knows whether devices are in.
func doubts(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string][]string, error) {
	out := map[string][]string{}
	for part := range chunks(deviceIDs) {
		var rows []unknownRow
		if err := q.Select(ctx, &rows, `SELECT u.device_id, u.missing, g.name FROM group_unknown u JOIN device_groups g ON g.id = u.group_id WHERE u.device_id IN (?)`, part); err != nil {
			return nil, err
		}
		for _, u := range rows {
			out[u.DeviceID] = append(out[u.DeviceID], u.Name)
		}
	}
	return out, nil
}

func setUnknown(ctx context.Context, tx *sqldb.Tx, groupID string, deviceIDs []string, unknown map[string]string) error {
	for part := range chunks(deviceIDs) {
		if _, err := tx.Exec(ctx, `DELETE FROM group_unknown WHERE group_id = ? AND device_id IN (?)`, groupID, part); err != nil {
			return fmt.Errorf("write what a rule does not know: %w", err)
		}
	}
	for part := range chunks(slices.Sorted(maps.Keys(unknown))) {
		args := make([]any, 0, 3*len(part))
		for _, id := range part {
			args = append(args, groupID, id, unknown[id])
		}
		_, err := tx.Exec(ctx, `INSERT INTO group_unknown (group_id, device_id, missing) VALUES (?, ?, ?)`+strings.Repeat(`, (?, ?, ?)`, len(part)-1)+`
			ON CONFLICT (group_id, device_id) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("write what a rule does not know: %w", err)
		}
	}
	return nil
}
