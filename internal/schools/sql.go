package schools

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

// maxValues bounds the values bound in one IN or VALUES.
const maxValues = 500

// chunks cuts ids into what one statement takes, without doubles.
func chunks(ids []string) iter.Seq[[]string] {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	return slices.Chunk(ids, maxValues)
}

func lockBySerial(ctx context.Context, tx *sqldb.Tx, serial string) (Device, error) {
	var row deviceRow
	err := tx.Get(ctx, &row, `SELECT `+deviceColumns+` FROM devices d WHERE d.serial = ?`+tx.ForUpdate(), serial)
	if err != nil {
		return Device{}, fmt.Errorf("read device: %w", err)
	}
	return row.device(), nil
}

// lockDevice holds the row of a device until the commit.
func lockDevice(ctx context.Context, tx *sqldb.Tx, id string) (Device, error) {
	var row deviceRow
	err := tx.Get(ctx, &row, `SELECT `+deviceColumns+` FROM devices d WHERE d.id = ?`+tx.ForUpdate(), id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Device{}, unknownDevice(id)
	}
	if err != nil {
		return Device{}, fmt.Errorf("read device: %w", err)
	}
	return row.device(), nil
}

func deviceBySerial(ctx context.Context, q sqldb.Queryer, serial string) (Device, error) {
	var row deviceRow
	err := q.Get(ctx, &row, `SELECT `+deviceColumns+` FROM devices d WHERE d.serial = ?`, serial)
	return row.device(), err
}

func setModel(ctx context.Context, tx *sqldb.Tx, id, model string, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE devices SET model = ?, updated_at = ? WHERE id = ?`, model, sqldb.At(now), id); err != nil {
		return fmt.Errorf("write the model of a device: %w", err)
	}
	return nil
}

func setName(ctx context.Context, tx *sqldb.Tx, id, name string, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE devices SET name = ?, updated_at = ? WHERE id = ?`, name, sqldb.At(now), id)
	if err != nil {
		return 0, fmt.Errorf("rename device: %w", err)
	}
	return n, nil
}

// findDevice prefers the id over the serial number over the asset tag, should
// one text be several of them.
func findDevice(ctx context.Context, q sqldb.Queryer, ref, tag string) (Device, error) {
	var row deviceRow
	upper := strings.ToUpper(ref)
	err := q.Get(ctx, &row, `
		SELECT `+deviceColumns+` FROM devices d WHERE d.id = ? OR d.serial = ? OR d.asset_tag = ? OR d.asset_tag = ?
		ORDER BY CASE WHEN d.id = ? THEN 0 WHEN d.serial = ? THEN 1 ELSE 2 END LIMIT 1`, ref, upper, ref, tag, ref, upper)
	return row.device(), err
}

func devicesByID(ctx context.Context, q sqldb.Queryer, ids []string) ([]deviceRow, error) {
	var rows []deviceRow
	err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.id IN (?)`, ids)
	return rows, err
}

type groupRow struct {
	ID        string     `db:"id"`
	TenantID  string     `db:"tenant_id"`
	Name      string     `db:"name"`
	Rule      string     `db:"rule"`
	Devices   int64      `db:"devices"`
	Unknown   int64      `db:"unknown"`
	CreatedAt sqldb.Time `db:"created_at"`
}

func (r groupRow) group() Group {
	return Group{ID: r.ID, TenantID: r.TenantID, Name: r.Name, Rule: r.Rule, Devices: r.Devices, Unknown: r.Unknown, CreatedAt: r.CreatedAt.Time}
}

// groupSelect takes a tenant's id twice, and then twice again: its devices are
// counted, its groups and the provider's found. "" sees all.
const groupSelect = `SELECT g.id, g.tenant_id, g.name, g.rule, g.created_at, (SELECT COUNT(*) FROM group_unknown u WHERE u.group_id = g.id) AS unknown,
	(SELECT COUNT(*) FROM device_group_members m JOIN devices d ON d.id = m.device_id
		WHERE m.group_id = g.id AND (CAST(? AS TEXT) = '' OR d.tenant_id = ?)) AS devices
	FROM device_groups g WHERE (CAST(? AS TEXT) = '' OR g.tenant_id IN ('', ?))`

func insertGroup(ctx context.Context, tx *sqldb.Tx, g Group) (int64, error) {
	n, err := tx.Exec(ctx, `INSERT INTO device_groups (id, tenant_id, name, rule, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant_id, name) DO NOTHING`,
		g.ID, g.TenantID, g.Name, g.Rule, sqldb.At(g.CreatedAt))
	if err != nil {
		return 0, fmt.Errorf("create group: %w", err)
	}
	return n, nil
}

func allGroups(ctx context.Context, q sqldb.Queryer, tenantID string) ([]groupRow, error) {
	var rows []groupRow
	err := q.Select(ctx, &rows, groupSelect+` ORDER BY g.name, g.id`, tenantID, tenantID, tenantID, tenantID)
	return rows, err
}

// isGroup takes an id only: a name that looks like one is no reference.
func isGroup(ctx context.Context, q sqldb.Queryer, id string) (bool, error) {
	var n int64
	err := q.Get(ctx, &n, `SELECT COUNT(*) FROM device_groups g WHERE g.id = ?`, id)
	return n == 1, err
}

func findGroups(ctx context.Context, q sqldb.Queryer, tenantID, ref string) ([]groupRow, error) {
	var rows []groupRow
	err := q.Select(ctx, &rows, groupSelect+` AND (g.id = ? OR g.name = ?) ORDER BY g.id LIMIT 1000`, tenantID, tenantID, tenantID, tenantID, ref, ref)
	return rows, err
}

// strangers are the serial numbers of devices that are of another tenant than a
// tenant's group.
func strangers(ctx context.Context, q sqldb.Queryer, groupID string, deviceIDs []string) ([]string, error) {
	var serials []string
	err := q.Select(ctx, &serials, `SELECT d.serial FROM devices d JOIN device_groups g ON g.id = ?
		WHERE d.id IN (?) AND g.tenant_id <> '' AND g.tenant_id <> d.tenant_id ORDER BY d.serial LIMIT 1`, groupID, deviceIDs)
	return serials, err
}

// insertMembers takes the ids from devices: an unknown one adds nothing rather
// than break the transaction, and the caller names it.
func insertMembers(ctx context.Context, tx *sqldb.Tx, groupID string, deviceIDs []string, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO device_group_members (group_id, device_id, added_at)
		SELECT CAST(? AS TEXT), d.id, CAST(? AS BIGINT) FROM devices d WHERE d.id IN (?)
		ON CONFLICT (group_id, device_id) DO NOTHING`, groupID, sqldb.At(now), deviceIDs)
	if err != nil {
		return 0, fmt.Errorf("add devices to a group: %w", err)
	}
	return n, nil
}

// touchDevices notes that facts of devices changed: rules look at them again.
func touchDevices(ctx context.Context, tx *sqldb.Tx, deviceIDs []string, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE devices SET updated_at = ? WHERE id IN (?)`, sqldb.At(now), deviceIDs); err != nil {
		return fmt.Errorf("note that devices changed: %w", err)
	}
	return nil
}

func deleteMembers(ctx context.Context, tx *sqldb.Tx, groupID string, deviceIDs []string) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM device_group_members WHERE group_id = ? AND device_id IN (?)`, groupID, deviceIDs)
	if err != nil {
		return 0, fmt.Errorf("drop devices from a group: %w", err)
	}
	return n, nil
}

func deleteGroup(ctx context.Context, tx *sqldb.Tx, groupID string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM group_unknown WHERE group_id = ?`, groupID); err != nil {
		return fmt.Errorf("empty a group: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM device_group_members WHERE group_id = ?`, groupID); err != nil {
		return fmt.Errorf("empty a group: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM device_groups WHERE id = ?`, groupID); err != nil {
		return fmt.Errorf("remove group: %w", err)
	}
	return nil
}

func memberIDs(ctx context.Context, q sqldb.Queryer, groupID string) ([]string, error) {
	var ids []string
	err := q.Select(ctx, &ids, `SELECT m.device_id FROM device_group_members m WHERE m.group_id = ? ORDER BY m.device_id`, groupID)
	return ids, err
}

type memberRow struct {
	DeviceID string `db:"device_id"`
	GroupID  string `db:"group_id"`
}

func groupsOf(ctx context.Context, q sqldb.Queryer, deviceIDs []string) ([]memberRow, error) {
	var rows []memberRow
	err := q.Select(ctx, &rows, `
		SELECT m.device_id, m.group_id FROM device_group_members m WHERE m.device_id IN (?) ORDER BY m.device_id, m.group_id`, deviceIDs)
	return rows, err
}
