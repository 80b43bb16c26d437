package views

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/sqldb"
)

// Tile is one device of a delivery on the staging board: one state from what the
// server has evidence of, and if it needs somebody or something, why.
type Tile struct {
	DeviceID       string     `json:"device_id"`
	Serial         string     `json:"serial"`
	Tag            string     `json:"tag"`
	Name           string     `json:"name"`
	Slot           string     `json:"slot" doc:"Where it belongs: SAT-K03-07"`
	Model          string     `json:"model"`
	OSVersion      string     `json:"os_version"`
	Battery        *float64   `json:"battery" doc:"0 to 1; null: not known"`
	State          string     `json:"state" enum:"known,profile_confirmed,enrolled,profiles,apps,ready,stuck,held"`
	ProfilesDone   int        `json:"profiles_done" doc:"Observed on the device"`
	ProfilesWanted int        `json:"profiles_wanted"`
	AppsDone       int        `json:"apps_done"`
	AppsWanted     int        `json:"apps_wanted"`
	Since          *time.Time `json:"since" doc:"Newest evidence of progress"`
	LastSeen       *time.Time `json:"last_seen"`
	Reason         *Reason    `json:"reason" doc:"null: nothing hinders it"`
}

// Reason says in words what hinders a device.
type Reason struct {
	Code   string `json:"code"`
	TextDE string `json:"text_de"`
	TextEN string `json:"text_en"`
}

// BoardTotals counts the tiles by state.
type BoardTotals struct {
	Devices          int `json:"devices"`
	Expected         int `json:"expected" doc:"How many were ordered"`
	Known            int `json:"known"`
	ProfileConfirmed int `json:"profile_confirmed"`
	Enrolled         int `json:"enrolled"`
	Profiles         int `json:"profiles"`
	Apps             int `json:"apps"`
	Ready            int `json:"ready"`
	Stuck            int `json:"stuck"`
	Held             int `json:"held"`
}

// Board is a delivery's.
type Board struct {
	Tiles  []Tile      `json:"tiles"`
	Totals BoardTotals `json:"totals"`
}

// boardRow is all that is known of one device, before it is judged.
type boardRow struct {
	DeviceID  string `db:"id"`
	Serial    string `db:"serial"`
	Tag       string `db:"asset_tag"`
	Name      string `db:"name"`
	SiteCode  string `db:"site_code"`
	CartCode  string `db:"cart_code"`
	SlotNo    int    `db:"slot"`
	Model     string `db:"model"`
	OSVersion string `db:"os_version"`
	// Apple.
	AtApple     bool       `db:"at_apple"`
	ProfileUUID string     `db:"profile_uuid"`
	WantedUUID  string     `db:"wanted_uuid"`
	Result      string     `db:"result"`
	RetryAt     sqldb.Time `db:"retry_at"`
	Problem     string     `db:"problem"`
	// The enrollment.
	EnrollmentID string     `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	State        string     `db:"state"`
	BegunAt      sqldb.Time `db:"begun_at"`
	EnrolledAt   sqldb.Time `db:"enrolled_at"`
	Awaiting     bool       `db:"awaiting"`
	ReleaseAt    sqldb.Time `db:"release_at"`
	Lost         bool       `db:"lost"`
	Held         bool       `db:"held"`
	LastSeen     sqldb.Time `db:"last_seen"`
	Inventory    string     `db:"inventory"`

	items   map[string]itemCount
	trouble string     // reason of an item that failed or is blocked, with its name
	putOff  sqldb.Time // NotNow since
	event   boardEvent // last word on its way in
}

type itemCount struct {
	done, wanted int
	missing      string // one of those not there
	at           time.Time
}

type boardEvent struct {
	action, reason string
	at             time.Time
}

const boardSQL = `
	SELECT d.id, d.serial, COALESCE(d.asset_tag, '') AS asset_tag, d.name, COALESCE(s.code, '') AS site_code, COALESCE(k.code, '') AS cart_code,
		COALESCE(d.slot, 0) AS slot, COALESCE(NULLIF(e.model, ''), d.model) AS model, COALESCE(e.os_version, '') AS os_version,
		a.serial IS NOT NULL AS at_apple, COALESCE(a.profile_uuid, '') AS profile_uuid, COALESCE(a.wanted_uuid, '') AS wanted_uuid,
		COALESCE(a.result, '') AS result, a.retry_at, COALESCE(y.problem, '') AS problem,
		COALESCE(e.id, '') AS enrollment_id, COALESCE(e.generation, 0) AS generation, COALESCE(e.state, '') AS state,
		e.created_at AS begun_at, e.enrolled_at, COALESCE(e.awaiting, FALSE) AS awaiting, e.release_at,
		COALESCE(e.lost_mode, FALSE) OR e.lost_at IS NOT NULL AS lost,
		EXISTS (SELECT 1 FROM holds h WHERE h.device_id = d.id AND h.decided_at IS NULL) AS held,
		c.last_seen, COALESCE(i.body, '') AS inventory
	FROM devices d
	LEFT JOIN sites s ON s.id = d.site_id LEFT JOIN carts k ON k.id = d.cart_id
	LEFT JOIN ade_devices a ON a.serial = d.serial AND a.tenant_id = d.tenant_id AND a.removed_at IS NULL
	LEFT JOIN ade_sync y ON y.token_id = a.token_id
	LEFT JOIN enrollments e ON e.id = (SELECT x.id FROM enrollments x WHERE x.device_id = d.id AND x.state <> 'held'
		ORDER BY CASE WHEN x.state IN ('enrolling', 'enrolled') THEN 0 ELSE 1 END, x.updated_at DESC, x.id DESC LIMIT 1)
	LEFT JOIN contacts c ON c.enrollment_id = e.id
	LEFT JOIN inventory i ON i.enrollment_id = e.id AND i.kind = 'device.information' AND i.generation = e.generation
	WHERE d.delivery_id = ? AND d.asset_state NOT IN ('cancelled', 'complaint', 'replaced', 'retired', 'disposed', 'handed_over', 'written_off')
	ORDER BY d.name, d.serial`

// Board judges all devices of a delivery. It costs five statements and one for
// each 500 devices that are not enrolled.
func (r *Room) Board(ctx context.Context, deliveryID string) (Board, error) {
	b := Board{Tiles: []Tile{}}
	err := r.db.Read(ctx, func(q sqldb.Queryer) error {
		var rows []boardRow
		if err := q.Select(ctx, &rows, boardSQL, deliveryID); err != nil {
			return err
		}
		rows = oncePerDevice(rows)
		if err := fillBoard(ctx, q, deliveryID, rows); err != nil {
			return err
		}
		now := r.clk.Now()
		for _, row := range rows {
			t := row.tile(now)
			b.Totals.count(t.State)
			b.Tiles = append(b.Tiles, t)
		}
		return q.Get(ctx, &b.Totals.Expected, `SELECT y.expected FROM deliveries y WHERE y.id = ?`, deliveryID)
	})
	if err != nil {
		return Board{}, fmt.Errorf("read the board of a delivery: %w", err)
	}
	return b, nil
}

// oncePerDevice keeps of a device that two tokens claim the better known one.
func oncePerDevice(rows []boardRow) []boardRow {
	out := rows[:0]
	for _, row := range rows {
		if n := len(out); n > 0 && out[n-1].DeviceID == row.DeviceID {
			if row.ProfileUUID != "" && row.ProfileUUID == row.WantedUUID {
				out[n-1] = row
			}
			continue
		}
		out = append(out, row)
	}
	return out
}

func (t *BoardTotals) count(state string) {
	t.Devices++
	for s, n := range map[string]*int{
		"known": &t.Known, "profile_confirmed": &t.ProfileConfirmed, "enrolled": &t.Enrolled, "profiles": &t.Profiles, "apps": &t.Apps,
		"ready": &t.Ready, "stuck": &t.Stuck, "held": &t.Held,
	} {
		if s == state {
			*n++
		}
	}
}

func fillBoard(ctx context.Context, q sqldb.Queryer, deliveryID string, rows []boardRow) error {
	byEnrollment, bySubject := map[string]*boardRow{}, map[string]*boardRow{}
	var subjects []string
	for i := range rows {
		row := &rows[i]
		row.items = map[string]itemCount{}
		if row.EnrollmentID != "" {
			byEnrollment[row.EnrollmentID] = row
		}
		if row.State != "enrolled" {
			for _, s := range []string{"serial:" + row.Serial, "device:" + row.DeviceID} {
				bySubject[s] = row
				subjects = append(subjects, s)
			}
		}
	}
	if err := countItems(ctx, q, deliveryID, byEnrollment); err != nil {
		return err
	}
	if err := findTrouble(ctx, q, deliveryID, byEnrollment); err != nil {
		return err
	}
	for len(subjects) > 0 {
		part := subjects[:min(MaxPage, len(subjects))]
		subjects = subjects[len(part):]
		var events []struct {
			Subject string     `db:"subject"`
			Action  string     `db:"action"`
			Detail  string     `db:"detail"`
			At      sqldb.Time `db:"at"`
		}
		err := q.Select(ctx, &events, `SELECT v.subject, v.action, v.detail, v.at FROM audit_events v
			WHERE v.subject IN (?) AND v.action IN ('enrollment.refuse', 'setup.update', 'setup.ask') ORDER BY v.id`, part)
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		for _, e := range events {
			var d struct {
				Reason string `json:"reason"`
				MinOS  string `json:"min_os"`
			}
			_ = json.Unmarshal([]byte(e.Detail), &d) // written by us; shown without rather than not at all
			bySubject[e.Subject].event = boardEvent{e.Action, d.Reason + d.MinOS, e.At.Time}
		}
	}
	return nil
}

// countItems counts what is wished and what of it the devices showed.
func countItems(ctx context.Context, q sqldb.Queryer, deliveryID string, rows map[string]*boardRow) error {
	var counts []struct {
		EnrollmentID string     `db:"enrollment_id"`
		Generation   int64      `db:"generation"`
		Kind         string     `db:"item_kind"`
		Wanted       int        `db:"wanted"`
		Done         int        `db:"done"`
		Missing      string     `db:"missing"`
		Sent         sqldb.Time `db:"sent_at"`
		Acknowledged sqldb.Time `db:"acknowledged_at"`
		Observed     sqldb.Time `db:"observed_at"`
	}
	err := q.Select(ctx, &counts, `
		SELECT i.enrollment_id, i.generation, i.item_kind, COUNT(*) AS wanted,
			SUM(CASE WHEN i.state = 'installed' AND i.observed IS NOT NULL THEN 1 ELSE 0 END) AS done,
			COALESCE(MIN(CASE WHEN i.state = 'installed' AND i.observed IS NOT NULL THEN NULL ELSE COALESCE(p.name, x.name, i.item_id) END), '') AS missing,
			MAX(i.sent_at) AS sent_at, MAX(i.acknowledged_at) AS acknowledged_at, MAX(i.observed_at) AS observed_at
		FROM devices d JOIN enrollments e ON e.device_id = d.id AND e.state = 'enrolled' JOIN device_items i ON i.enrollment_id = e.id
		LEFT JOIN profiles p ON i.item_kind = 'profile' AND p.id = i.item_id
		LEFT JOIN apps x ON i.item_kind = 'app' AND x.id = i.item_id
		WHERE d.delivery_id = ? AND i.desired IS NOT NULL GROUP BY i.enrollment_id, i.generation, i.item_kind`, deliveryID)
	if err != nil {
		return fmt.Errorf("items: %w", err)
	}
	for _, c := range counts {
		if row := rows[c.EnrollmentID]; row != nil && row.Generation == c.Generation {
			row.items[c.Kind] = itemCount{c.Done, c.Wanted, c.Missing, newest(c.Sent.Time, c.Acknowledged.Time, c.Observed.Time)}
		}
	}
	return nil
}

// findTrouble reads what failed or is blocked, and what was put off.
func findTrouble(ctx context.Context, q sqldb.Queryer, deliveryID string, rows map[string]*boardRow) error {
	var bad []struct {
		EnrollmentID string `db:"enrollment_id"`
		Generation   int64  `db:"generation"`
		Name         string `db:"name"`
		Reason       string `db:"reason"`
	}
	err := q.Select(ctx, &bad, `
		SELECT i.enrollment_id, i.generation, COALESCE(p.name, x.name, i.item_id) AS name, i.reason
		FROM devices d JOIN enrollments e ON e.device_id = d.id AND e.state = 'enrolled' JOIN device_items i ON i.enrollment_id = e.id
		LEFT JOIN profiles p ON i.item_kind = 'profile' AND p.id = i.item_id
		LEFT JOIN apps x ON i.item_kind = 'app' AND x.id = i.item_id
		WHERE d.delivery_id = ? AND i.desired IS NOT NULL AND i.state IN ('failed', 'blocked') ORDER BY name DESC`, deliveryID)
	if err != nil {
		return fmt.Errorf("failed items: %w", err)
	}
	for _, b := range bad {
		if row := rows[b.EnrollmentID]; row != nil && row.Generation == b.Generation {
			row.trouble = strings.TrimSuffix(b.Name+": "+b.Reason, ": ")
		}
	}
	var off []struct {
		EnrollmentID string     `db:"enrollment_id"`
		At           sqldb.Time `db:"at"`
	}
	err = q.Select(ctx, &off, `
		SELECT k.enrollment_id, MIN(k.answered_at) AS at FROM devices d JOIN enrollments e ON e.device_id = d.id AND e.state = 'enrolled'
		JOIN commands k ON k.enrollment_id = e.id AND k.generation = e.generation AND k.state IN ('queued', 'sent', 'deferred')
		WHERE d.delivery_id = ? AND k.status = 'NotNow' GROUP BY k.enrollment_id`, deliveryID)
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

func newest(times ...time.Time) (at time.Time) {
	for _, t := range times {
		if t.After(at) {
			at = t
		}
	}
	return at
}
