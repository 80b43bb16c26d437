package schools

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"ranzen/internal/sqldb"
)

// bySerialOrTag gives the devices, of any tenant, with one of the serial numbers
// or tags.
func bySerialOrTag(ctx context.Context, q sqldb.Queryer, serials, tags []string) ([]Device, error) {
	var out []Device
	for _, ask := range []struct {
		query  string
		values []string
	}{
		{`SELECT ` + deviceColumns + ` FROM devices d WHERE d.serial IN (?)`, serials},
		{`SELECT ` + deviceColumns + ` FROM devices d WHERE d.asset_tag IN (?)`, tags},
	} {
		for part := range chunks(ask.values) {
			var rows []deviceRow
			if err := q.Select(ctx, &rows, ask.query, part); err != nil {
				return nil, fmt.Errorf("look for scanned devices: %w", err)
			}
			for _, row := range rows {
				out = append(out, row.device())
			}
		}
	}
	return out, nil
}

// listedAmong gives those serial numbers that a delivery's files name.
func listedAmong(ctx context.Context, q sqldb.Queryer, deliveryID string, serials []string) ([]string, error) {
	var out []string
	for part := range chunks(serials) {
		var some []string
		if err := q.Select(ctx, &some, `SELECT l.serial FROM delivery_serials l WHERE l.delivery_id = ? AND l.serial IN (?)`, deliveryID, part); err != nil {
			return nil, fmt.Errorf("look for listed serial numbers: %w", err)
		}
		out = append(out, some...)
	}
	return out, nil
}

// scannedAt tells when a serial number was scanned in a delivery, and whether
// the delivery has files that do not name it.
func scannedAt(ctx context.Context, q sqldb.Queryer, deliveryID, serial string) (at sqldb.Time, unlisted bool, err error) {
	var row struct {
		ScannedAt sqldb.Time `db:"scanned_at"`
		Listed    int64      `db:"listed"`
		Files     int64      `db:"files"`
	}
	err = q.Get(ctx, &row, `
		SELECT (SELECT l.scanned_at FROM delivery_serials l WHERE l.delivery_id = x.id AND l.serial = ?) AS scanned_at,
			(SELECT COUNT(*) FROM delivery_serials l WHERE l.delivery_id = x.id AND l.serial = ? AND l.listed_at IS NOT NULL) AS listed,
			(SELECT COUNT(*) FROM (SELECT l.serial FROM delivery_serials l WHERE l.delivery_id = x.id AND l.listed_at IS NOT NULL LIMIT 1) f) AS files
		FROM deliveries x WHERE x.id = ?`, serial, serial, deliveryID)
	if err != nil {
		return sqldb.Time{}, false, fmt.Errorf("look for a scanned serial number: %w", err)
	}
	return row.ScannedAt, row.Files > 0 && row.Listed == 0, nil
}

func setScanned(ctx context.Context, tx *sqldb.Tx, deliveryID, serial string, at sqldb.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO delivery_serials (delivery_id, serial, scanned_at) VALUES (?, ?, ?)
		ON CONFLICT (delivery_id, serial) DO UPDATE SET scanned_at = excluded.scanned_at`, deliveryID, serial, at)
	if err != nil {
		return fmt.Errorf("keep a scanned serial number: %w", err)
	}
	return nil
}

// dropUnlisted forgets a serial number that nobody listed and nobody scanned.
func dropUnlisted(ctx context.Context, tx *sqldb.Tx, deliveryID, serial string) error {
	_, err := tx.Exec(ctx, `DELETE FROM delivery_serials WHERE delivery_id = ? AND serial = ? AND listed_at IS NULL AND scanned_at IS NULL`, deliveryID, serial)
	if err != nil {
		return fmt.Errorf("forget a scanned serial number: %w", err)
	}
	return nil
}

// setOrigin writes what a device has from its delivery.
func setOrigin(ctx context.Context, tx *sqldb.Tx, d Device, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE devices SET delivery_id = NULLIF(?, ''), order_no = ?, funding = ?, binding_until = ?, updated_at = ? WHERE id = ?`,
		d.DeliveryID, d.OrderNo, d.Funding, d.BindingUntil, sqldb.At(now), d.ID)
	if err != nil {
		return fmt.Errorf("write the delivery of a device: %w", err)
	}
	return nil
}

// restoreState is for taking back a scan only; everything else goes by move.
func restoreState(ctx context.Context, tx *sqldb.Tx, id string, state AssetState, since, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE devices SET asset_state = ?, state_at = ?, updated_at = ? WHERE id = ?`, string(state), sqldb.At(since), sqldb.At(now), id)
	if err != nil {
		return fmt.Errorf("restore the state of a device: %w", err)
	}
	return nil
}

type scanRow struct {
	ID       string     `db:"id"`
	DeviceID string     `db:"device_id"`
	Before   string     `db:"before"`
	UndoneAt sqldb.Time `db:"undone_at"`
}

const selectScan = `SELECT s.id, s.device_id, s.before, s.undone_at FROM scans s WHERE s.delivery_id = ?`

func insertScan(ctx context.Context, tx *sqldb.Tx, id, deliveryID, deviceID, before, actor string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO scans (id, delivery_id, device_id, before, by_actor, at) VALUES (?, ?, ?, ?, ?, ?)`,
		id, deliveryID, deviceID, before, actor, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("keep a scan: %w", err)
	}
	return nil
}

// lockScan gives a scan of a delivery by its id, or with "" the actor's last
// one that stands.
func lockScan(ctx context.Context, tx *sqldb.Tx, deliveryID, scanID, actor string) (scanRow, error) {
	query, args := selectScan+` AND s.id = ?`, []any{deliveryID, scanID}
	if scanID == "" {
		query, args = selectScan+` AND s.undone_at IS NULL AND s.by_actor = ? ORDER BY s.id DESC LIMIT 1`, []any{deliveryID, actor}
	}
	var row scanRow
	err := tx.Get(ctx, &row, query+tx.ForUpdate(), args...)
	return row, err
}

// lastScan gives the id of the last scan of a device that stands, "" for none.
func lastScan(ctx context.Context, q sqldb.Queryer, deviceID string) (string, error) {
	var ids []string
	err := q.Select(ctx, &ids, `SELECT s.id FROM scans s WHERE s.device_id = ? AND s.undone_at IS NULL ORDER BY s.id DESC LIMIT 1`, deviceID)
	if err != nil {
		return "", fmt.Errorf("read scans: %w", err)
	}
	if len(ids) == 0 {
		return "", nil
	}
	return ids[0], nil
}

func setUndone(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE scans SET undone_at = ? WHERE id = ?`, sqldb.At(now), id); err != nil {
		return fmt.Errorf("write that a scan is undone: %w", err)
	}
	return nil
}

// slotsIn gives the taken slots of a cart.
func slotsIn(ctx context.Context, q sqldb.Queryer, cartID string) ([]int, error) {
	var out []int
	if err := q.Select(ctx, &out, `SELECT d.slot FROM devices d WHERE d.cart_id = ? AND d.slot IS NOT NULL`, cartID); err != nil {
		return nil, fmt.Errorf("read the slots of a cart: %w", err)
	}
	return out, nil
}

// lockInCart holds the devices of a cart until the commit, in one order.
func lockInCart(ctx context.Context, tx *sqldb.Tx, cartID string) ([]Device, error) {
	var rows []deviceRow
	err := tx.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM devices d WHERE d.cart_id = ? ORDER BY d.id`+tx.ForUpdate(), cartID)
	if err != nil {
		return nil, fmt.Errorf("list the devices of a cart: %w", err)
	}
	out := make([]Device, len(rows))
	for i, row := range rows {
		out[i] = row.device()
	}
	slices.SortStableFunc(out, func(a, b Device) int { return cmp.Compare(a.Slot, b.Slot) })
	return out, nil
}

func insertPack(ctx context.Context, tx *sqldb.Tx, cartID, result string, complete bool, actor string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO pack_checks (id, cart_id, result, complete, by_actor, at) VALUES (?, ?, ?, ?, ?, ?)`,
		sqldb.NewID(), cartID, result, complete, actor, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("keep a pack check: %w", err)
	}
	return nil
}
