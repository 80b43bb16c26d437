package schools

import (
	"context"
	"fmt"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// CreateGroup makes an empty group of a tenant, or of the provider for "".
func (r *Room) CreateGroup(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string) (Group, error) {
	return r.createGroup(ctx, tx, actor, tenantID, name, "")
}

func (r *Room) createGroup(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name, rule string) (Group, error) {
	name, err := cleanName("name", name)
	if err != nil {
		return Group{}, err
	}
	g := Group{ID: sqldb.NewID(), TenantID: tenantID, Name: name, Rule: rule, CreatedAt: r.clock.Now()}
	n, err := insertGroup(ctx, tx, g)
	if err != nil {
		return Group{}, err
	}
	if n == 0 {
		return Group{}, fault.New(fault.Conflict, "group.exists", "There is a group %q already. Choose another name.", name).On("name")
	}
	return g, r.append(ctx, tx, actor, "group.create", g.ID, map[string]any{"name": name, "tenant": tenantID, "rule": rule})
}

// Groups lists by name the groups that a tenant may use, with how many of its
// devices are in each; for "" it is all groups and all devices.
func (r *Room) Groups(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Group, error) {
	rows, err := allGroups(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	out := make([]Group, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.group())
	}
	return out, nil
}

// GroupByName gives a group by its name or its id, as Choose does.
func (r *Room) GroupByName(ctx context.Context, q sqldb.Queryer, tenantID, name string) (Group, error) {
	if _, err := cleanName("group", name); err != nil {
		return Group{}, unknownGroup("?")
	}
	rows, err := findGroups(ctx, q, tenantID, name)
	if err != nil {
		return Group{}, fmt.Errorf("find group: %w", err)
	}
	for _, row := range rows {
		if row.ID == name {
			return row.group(), nil
		}
	}
	row, fits := Choose(tenantID, rows, func(g groupRow) string { return g.TenantID })
	switch fits {
	case 0:
		return Group{}, unknownGroup(name)
	case 1:
		return row.group(), nil
	}
	return Group{}, fault.New(fault.Conflict, "group.ambiguous", "%d tenants have a group %q. Say which one with --tenant.", fits, name).On("group")
}

// AddToGroup puts devices into a group. Those that are in it already stay. Into
// a tenant's group only its own devices go.
func (r *Room) AddToGroup(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, groupID string, deviceIDs ...string) error {
	if err := r.mustBeStatic(ctx, tx, groupID); err != nil {
		return err
	}
	if err := r.mustFit(ctx, tx, groupID, deviceIDs); err != nil {
		return err
	}
	var added int64
	for part := range chunks(deviceIDs) {
		n, err := insertMembers(ctx, tx, groupID, part, r.clock.Now())
		if err != nil {
			return err
		}
		if err := touchDevices(ctx, tx, part, r.clock.Now()); err != nil {
			return err
		}
		added += n
	}
	if err := r.allKnown(ctx, tx, deviceIDs); err != nil || added == 0 {
		return err
	}
	return r.append(ctx, tx, actor, "group.add", groupID, membersDetail(added, deviceIDs))
}

// DropFromGroup takes devices out of a group. Those that are not in it are fine.
func (r *Room) DropFromGroup(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, groupID string, deviceIDs ...string) error {
	if err := r.mustBeStatic(ctx, tx, groupID); err != nil {
		return err
	}
	var dropped int64
	for part := range chunks(deviceIDs) {
		n, err := deleteMembers(ctx, tx, groupID, part)
		if err != nil {
			return err
		}
		if err := touchDevices(ctx, tx, part, r.clock.Now()); err != nil {
			return err
		}
		dropped += n
	}
	if dropped == 0 {
		return nil
	}
	return r.append(ctx, tx, actor, "group.drop", groupID, membersDetail(dropped, deviceIDs))
}

// RemoveGroup removes a group; its devices stay. Who removes a group first asks
// the rooms that name it: assignments and enrollment links.
func (r *Room) RemoveGroup(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, groupID string) error {
	if err := r.mustBeGroup(ctx, tx, groupID); err != nil {
		return err
	}
	if err := r.notInRules(ctx, tx, groupID); err != nil {
		return err
	}
	if err := deleteGroup(ctx, tx, groupID); err != nil {
		if sqldb.IsForeignKey(err) {
			return fault.New(fault.Conflict, "group.in-use",
				"The group is still named by an enrollment link. Revoke the link, then remove the group.").With(err)
		}
		return err
	}
	return r.append(ctx, tx, actor, "group.remove", groupID, nil)
}

// DevicesIn gives the ids of a group's devices.
func (r *Room) DevicesIn(ctx context.Context, q sqldb.Queryer, groupID string) ([]string, error) {
	ids, err := memberIDs(ctx, q, groupID)
	if err != nil {
		return nil, fmt.Errorf("list the devices of a group: %w", err)
	}
	if len(ids) == 0 {
		// Empty and unknown look alike in the members; they are not.
		return nil, r.mustBeGroup(ctx, q, groupID)
	}
	return ids, nil
}

// GroupsOf gives the ids of the groups that each device is in. A device in no
// group is missing from it.
func (r *Room) GroupsOf(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string][]string, error) {
	out := make(map[string][]string, len(deviceIDs))
	for part := range chunks(deviceIDs) {
		rows, err := groupsOf(ctx, q, part)
		if err != nil {
			return nil, fmt.Errorf("list the groups of devices: %w", err)
		}
		for _, row := range rows {
			out[row.DeviceID] = append(out[row.DeviceID], row.GroupID)
		}
	}
	return out, nil
}

func (r *Room) mustBeGroup(ctx context.Context, q sqldb.Queryer, id string) error {
	is, err := isGroup(ctx, q, id)
	if err != nil {
		return fmt.Errorf("find group: %w", err)
	}
	if !is {
		return unknownGroup(id)
	}
	return nil
}

// mustFit names the first device that is of another tenant than the group.
func (r *Room) mustFit(ctx context.Context, q sqldb.Queryer, groupID string, deviceIDs []string) error {
	for part := range chunks(deviceIDs) {
		serials, err := strangers(ctx, q, groupID, part)
		if err != nil {
			return fmt.Errorf("compare the tenants of a group and its devices: %w", err)
		}
		if len(serials) > 0 {
			return fault.New(fault.Conflict, "group.other-tenant",
				"The group belongs to another tenant than the device %s. Use a group of the device's tenant, or one of the provider's.", serials[0]).On("devices")
		}
	}
	return nil
}

// allKnown names the first device that is not one.
func (r *Room) allKnown(ctx context.Context, q sqldb.Queryer, ids []string) error {
	known, err := r.Devices(ctx, q, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := known[id]; !ok {
			return unknownDevice(id)
		}
	}
	return nil
}

func (r *Room) append(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, action, groupID string, detail map[string]any) error {
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: action, Subject: "group:" + groupID, Detail: detail})
}

// membersDetail keeps an event about thousands of devices small: how many there
// were, and the first of them.
func membersDetail(count int64, deviceIDs []string) map[string]any {
	return map[string]any{"count": count, "devices": deviceIDs[:min(len(deviceIDs), 50)]}
}

func unknownGroup(name string) *fault.Fault {
	return fault.New(fault.NotFound, "group.unknown", "There is no group %q. `ranzen group list` shows those there are.", name).On("group")
}
