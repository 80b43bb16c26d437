package views

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"ranzen/internal/sqldb"
)

// Devices that are no longer the delivery's are not on its board.
const boardSQL = `
	SELECT d.id, d.serial, COALESCE(d.asset_tag, '') AS asset_tag, d.name, COALESCE(s.code, '') AS site_code, COALESCE(k.code, '') AS cart_code,
		COALESCE(d.slot, 0) AS slot, COALESCE(NULLIF(e.model, ''), d.model) AS model, COALESCE(e.os_version, '') AS os_version,
		` + appleStatus + ` AS at_apple, COALESCE(u.problem, '') AS refused, COALESCE(a.result, '') AS result, a.retry_at,
		COALESCE(y.problem, '') AS problem, t.expires_at AS token_ends,
		COALESCE(e.id, '') AS enrollment_id, COALESCE(e.generation, 0) AS generation, COALESCE(e.state, '') AS state,
		e.created_at AS begun_at, e.enrolled_at, e.ended_at, COALESCE(e.placeholder, FALSE) AS placeholder,
		COALESCE(e.awaiting, FALSE) AS awaiting, e.release_at, COALESCE(b.baseline, '[]') AS baseline, COALESCE(b.release_after, 0) AS release_after,
		COALESCE(e.awaiting AND e.release_at IS NOT NULL AND EXISTS (SELECT 1 FROM commands f WHERE f.enrollment_id = e.id
			AND f.generation = e.generation AND f.kind = 'device.configured' AND f.state = 'failed'), FALSE) AS not_released,
		COALESCE(e.lost_mode, FALSE) OR e.lost_at IS NOT NULL AS lost,
		COALESCE(e.unmanage_at IS NOT NULL OR EXISTS (SELECT 1 FROM commands x WHERE x.enrollment_id = e.id AND x.generation = e.generation
			AND x.once AND x.state IN ('queued', 'sent', 'deferred', 'uncertain') AND x.kind = 'device.erase'), FALSE) AS ending,
		d.id IN (SELECT h.device_id FROM holds h CROSS JOIN enrollments g
			WHERE h.decided_at IS NULL AND g.id = h.enrollment_id AND g.state = 'held') AS held,
		c.last_seen, n.refused_at IS NOT NULL AS push_refused, COALESCE(n.last_error, '') AS push_error, COALESCE(i.body, '') AS inventory
	FROM devices d
	LEFT JOIN sites s ON s.id = d.site_id LEFT JOIN carts k ON k.id = d.cart_id` + appleJoin + `
	LEFT JOIN ade_tokens t ON t.id = a.token_id
	LEFT JOIN enrollments e ON e.id = (SELECT x.id FROM enrollments x WHERE x.device_id = d.id AND x.state <> 'held'
		ORDER BY CASE WHEN x.state IN ('enrolling', 'enrolled') THEN 0 ELSE 1 END, x.updated_at DESC, x.id DESC LIMIT 1)
	LEFT JOIN ade_profiles b ON b.id = e.ade_profile_id
	LEFT JOIN contacts c ON c.enrollment_id = e.id
	LEFT JOIN push_targets n ON n.enrollment_id = e.id
	LEFT JOIN inventory i ON i.enrollment_id = e.id AND i.kind = 'device.information' AND i.generation = e.generation
	WHERE d.delivery_id = ? AND d.asset_state NOT IN ('cancelled', 'complaint', 'replaced', 'retired', 'disposed', 'handed_over', 'written_off')
	ORDER BY d.name, d.serial`

// fillBoard adds what is many for each device.
func (r *Room) fillBoard(ctx context.Context, q sqldb.Queryer, deliveryID string, rows []boardRow) error {
	byDevice, byEnrollment := make(map[string]*boardRow, len(rows)), make(map[string]*boardRow, len(rows))
	tokens, err := r.tokensOf(ctx, q, deliveryID)
	if err != nil {
		return err
	}
	for i := range rows {
		row := &rows[i]
		row.items, row.tokens = map[string]itemCount{}, tokens
		byDevice[row.DeviceID] = row
		if row.EnrollmentID != "" {
			byEnrollment[row.EnrollmentID] = row
		}
	}
	for _, fill := range []func(context.Context, sqldb.Queryer, string, map[string]*boardRow) error{countItems, findTrouble, findPutOff, r.findLacks} {
		if err := fill(ctx, q, deliveryID, byEnrollment); err != nil {
			return err
		}
	}
	return findEvents(ctx, q, deliveryID, byDevice)
}

// tokensOf tells how the server tokens of the delivery's tenant are.
func (r *Room) tokensOf(ctx context.Context, q sqldb.Queryer, deliveryID string) (tokenState, error) {
	var tokens []struct {
		Problem string     `db:"problem"`
		Ends    sqldb.Time `db:"expires_at"`
	}
	err := q.Select(ctx, &tokens, `
		SELECT COALESCE(y.problem, '') AS problem, t.expires_at FROM deliveries v JOIN ade_tokens t ON t.tenant_id = v.tenant_id
		LEFT JOIN ade_sync y ON y.token_id = t.id
		WHERE v.id = ? AND t.removed_at IS NULL AND t.token_sealed IS NOT NULL ORDER BY t.id`, deliveryID)
	if err != nil {
		return tokenState{}, fmt.Errorf("server tokens: %w", err)
	}
	s := tokenState{none: len(tokens) == 0}
	for _, t := range tokens {
		expired := !t.Ends.IsZero() && !t.Ends.After(r.clk.Now())
		if !expired && t.Problem == "" {
			return tokenState{}, nil
		}
		s.expired, s.problem = s.expired || expired, t.Problem
	}
	return s, nil
}

// there: the device itself showed the wished version.
const there = `i.state = 'installed' AND i.observed IS NOT NULL`

// wished are the items of a delivery's devices; those of an earlier life are not
// among them. The joins are written as they are to be made: SQLite, which knows
// no numbers, would begin with all enrollments there are.
const wished = `
	FROM devices d CROSS JOIN enrollments e CROSS JOIN device_items i`

const ofDelivery = `
	WHERE d.delivery_id = ? AND e.device_id = d.id AND e.state = 'enrolled'
		AND i.enrollment_id = e.id AND i.generation = e.generation AND i.desired IS NOT NULL`

const named = wished + `
	LEFT JOIN profiles p ON i.item_kind = 'profile' AND p.id = i.item_id LEFT JOIN apps x ON i.item_kind = 'app' AND x.id = i.item_id` + ofDelivery

const countsSQL = `
	SELECT i.enrollment_id, i.item_kind, COUNT(*) AS wanted, SUM(CASE WHEN ` + there + ` THEN 1 ELSE 0 END) AS done,
		COALESCE(MIN(CASE WHEN ` + there + ` THEN NULL ELSE i.item_id END), '') AS missing,
		MAX(i.sent_at) AS sent_at, MAX(i.acknowledged_at) AS acknowledged_at, MAX(i.observed_at) AS observed_at,
		MIN(CASE WHEN ` + there + ` THEN NULL ELSE i.sent_at END) AS waits` + wished + ofDelivery + ` GROUP BY i.enrollment_id, i.item_kind`

const troubleSQL = `
	SELECT i.enrollment_id, i.item_kind, COALESCE(p.name, x.name, i.item_id) AS name, i.state, i.reason, i.retry_at` + named + `
		AND i.state IN ('failed', 'blocked') ORDER BY i.state DESC, name DESC`

const putOffSQL = `
	SELECT k.enrollment_id, MIN(k.answered_at) AS at FROM devices d CROSS JOIN enrollments e CROSS JOIN commands k
	WHERE d.delivery_id = ? AND e.device_id = d.id AND e.state = 'enrolled' AND k.enrollment_id = e.id AND k.generation = e.generation
		AND k.state IN ('queued', 'sent', 'deferred') AND k.status = 'NotNow' GROUP BY k.enrollment_id`

// countItems counts what is wished and what of it the devices showed.
func countItems(ctx context.Context, q sqldb.Queryer, deliveryID string, rows map[string]*boardRow) error {
	var counts []struct {
		EnrollmentID string     `db:"enrollment_id"`
		Kind         string     `db:"item_kind"`
		Wanted       int        `db:"wanted"`
		Done         int        `db:"done"`
		Missing      string     `db:"missing"`
		Sent         sqldb.Time `db:"sent_at"`
		Acknowledged sqldb.Time `db:"acknowledged_at"`
		Observed     sqldb.Time `db:"observed_at"`
		Waits        sqldb.Time `db:"waits"`
	}
	err := q.Select(ctx, &counts, countsSQL, deliveryID)
	if err != nil {
		return fmt.Errorf("items: %w", err)
	}
	missing := map[string]string{}
	for _, c := range counts {
		if c.Missing != "" {
			missing[c.Missing] = c.Missing
		}
	}
	if err := nameItems(ctx, q, missing); err != nil {
		return err
	}
	for _, c := range counts {
		if row := rows[c.EnrollmentID]; row != nil {
			row.items[c.Kind] = itemCount{c.Done, c.Wanted, missing[c.Missing], newest(c.Sent.Time, c.Acknowledged.Time, c.Observed.Time), c.Waits.Time}
		}
	}
	return nil
}

// nameItems gives profiles and apps their names; a whole fleet misses few.
func nameItems(ctx context.Context, q sqldb.Queryer, names map[string]string) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(names)), MaxPage) {
		var rows []struct {
			ID   string `db:"id"`
			Name string `db:"name"`
		}
		err := q.Select(ctx, &rows, `SELECT p.id, p.name FROM profiles p WHERE p.id IN (?) UNION ALL SELECT x.id, x.name FROM apps x WHERE x.id IN (?)`, part, part)
		if err != nil {
			return fmt.Errorf("names of items: %w", err)
		}
		for _, row := range rows {
			names[row.ID] = row.Name
		}
	}
	return nil
}

// findTrouble reads which items failed or are blocked. Of several the worst is
// told: one that does not come by itself.
func findTrouble(ctx context.Context, q sqldb.Queryer, deliveryID string, rows map[string]*boardRow) error {
	var bad []struct {
		EnrollmentID string     `db:"enrollment_id"`
		Kind         string     `db:"item_kind"`
		Name         string     `db:"name"`
		State        string     `db:"state"`
		Reason       string     `db:"reason"`
		RetryAt      sqldb.Time `db:"retry_at"`
	}
	err := q.Select(ctx, &bad, troubleSQL, deliveryID)
	if err != nil {
		return fmt.Errorf("failed items: %w", err)
	}
	for _, b := range bad {
		if row := rows[b.EnrollmentID]; row != nil {
			row.trouble = itemTrouble{b.Kind, b.Name, b.State, b.Reason, b.RetryAt.Time}
		}
	}
	return nil
}

// findPutOff reads since when devices say that it is not now.
func findPutOff(ctx context.Context, q sqldb.Queryer, deliveryID string, rows map[string]*boardRow) error {
	var off []struct {
		EnrollmentID string     `db:"enrollment_id"`
		At           sqldb.Time `db:"at"`
	}
	err := q.Select(ctx, &off, putOffSQL, deliveryID)
	if err != nil {
		return fmt.Errorf("what was put off: %w", err)
	}
	for _, o := range off {
		if row := rows[o.EnrollmentID]; row != nil {
			row.putOff = o.At
		}
	}
	return nil
}

// findLacks looks, where all that is wished is there and the device waits in
// Setup Assistant all the same, what of its baseline nothing brings.
func (r *Room) findLacks(ctx context.Context, q sqldb.Queryer, _ string, rows map[string]*boardRow) error {
	var ids []string
	for id, row := range rows {
		if row.State == "enrolled" && row.Awaiting && row.ReleaseAt.IsZero() && row.Baseline != "[]" && row.all() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, MaxPage) {
		shown, err := r.shown(ctx, q, part)
		if err != nil {
			return err
		}
		for _, id := range part {
			if rows[id].lacks, err = missingOf(rows[id].Baseline, shown[id][rows[id].Generation]); err != nil {
				return err
			}
		}
	}
	return nil
}

// eventsSQL: refusals are told of a serial number, of a device, or of the
// enrollment that it was to become.
const eventsSQL = `
	SELECT w.event, w.device_id, w.action, w.detail, w.at FROM (
		SELECT v.id AS event, d.id AS device_id, v.action, v.detail, v.at FROM devices d CROSS JOIN audit_events v
		WHERE d.delivery_id = ? AND v.subject = 'device:' || d.id
		UNION ALL SELECT v.id, d.id, v.action, v.detail, v.at FROM devices d CROSS JOIN audit_events v
		WHERE d.delivery_id = ? AND v.subject = 'serial:' || d.serial
		UNION ALL SELECT v.id, d.id, v.action, v.detail, v.at FROM devices d CROSS JOIN ade_visits a CROSS JOIN audit_events v
		WHERE d.delivery_id = ? AND a.device_id = d.id AND v.subject = 'enrollment:' || a.enrollment_id
	) w
	WHERE w.action IN ('enrollment.refuse', 'setup.update', 'setup.ask')
		AND NOT EXISTS (SELECT 1 FROM enrollments e WHERE e.device_id = w.device_id AND e.state = 'enrolled') ORDER BY w.at, w.event`

// findEvents reads what became of devices that asked to come in and are not.
func findEvents(ctx context.Context, q sqldb.Queryer, deliveryID string, rows map[string]*boardRow) error {
	var events []struct {
		ID       string     `db:"event"`
		DeviceID string     `db:"device_id"`
		Action   string     `db:"action"`
		Detail   string     `db:"detail"`
		At       sqldb.Time `db:"at"`
	}
	err := q.Select(ctx, &events, eventsSQL, deliveryID, deliveryID, deliveryID)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	for _, e := range events {
		var d struct {
			Reason string `json:"reason"`
			MinOS  string `json:"min_os"`
		}
		_ = json.Unmarshal([]byte(e.Detail), &d) // written by us; shown without rather than not at all
		if row := rows[e.DeviceID]; row != nil {
			row.event = boardEvent{e.Action, d.Reason + d.MinOS, e.At.Time}
		}
	}
	return nil
}

func newest(times ...time.Time) (at time.Time) {
	for _, t := range times {
		if t.After(at) {
			at = t
		}
	}
	return at
}
