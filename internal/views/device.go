package views

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Detail is one tablet with all that is known of it.
type Detail struct {
	Device
	CreatedAt      *time.Time             `json:"created_at"`
	Link           string                 `json:"link,omitempty" doc:"The enrollment link it came by"`
	Placeholder    bool                   `json:"must_enroll_again" doc:"It enrolled before there was a push certificate and cannot be woken"`
	LostAt         *time.Time             `json:"lost_at" doc:"When it was marked lost, until it is found"`
	Certificate    *Certificate           `json:"certificate"`
	Push           *Push                  `json:"push"`
	OpenCommands   int64                  `json:"open_commands"`
	UnlockToken    bool                   `json:"unlock_token" doc:"Whether its passcode can be cleared"`
	BootstrapToken bool                   `json:"bootstrap_token"`
	BypassCode     bool                   `json:"bypass_code" doc:"Whether an Activation Lock bypass code is kept"`
	Inventory      map[string]Observation `json:"inventory" doc:"What it told of itself, by kind of question"`
}

// Certificate is the identity a tablet is known by now.
type Certificate struct {
	Serial   string     `json:"serial"`
	NotAfter *time.Time `json:"not_after"`
}

// Push tells whether a tablet can be woken.
type Push struct {
	State     string     `json:"state" enum:"idle,waiting,refused"`
	PushedAt  *time.Time `json:"pushed_at"`
	DueAt     *time.Time `json:"due_at"`
	Attempts  int64      `json:"attempts"`
	LastError string     `json:"last_error"`
}

// Observation is an answer of the tablet and its age.
type Observation struct {
	ObservedAt *time.Time `json:"observed_at"`
	AgeSeconds int64      `json:"age_seconds"`
	Values     any        `json:"values"`
}

func unknownDevice(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "device.unknown", "There is no device %q. Say its serial number, asset tag, UDID or id.", strings.ToValidUTF8(ref, "?")).On("device")
}

const resolveSQL = `SELECT v.id FROM devices v WHERE v.id IN (
	SELECT id FROM devices WHERE id = ?
	UNION SELECT id FROM devices WHERE serial = ?
	UNION SELECT id FROM devices WHERE asset_tag = ?
	UNION SELECT device_id FROM enrollments WHERE udid = ?)`

// Resolve gives the id of the tablet that ref names: by id, serial number,
// asset tag or UDID. They are typed by people: their case does not matter, nor
// does the check character of a tag when it is left out. One of another tenant is as unknown as one that is not there;
// tenantID "" sees all.
func (r *Room) Resolve(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (string, error) {
	ids, err := resolve(ctx, q, tenantID, ref)
	if err != nil {
		return "", err
	}
	return one(ref, ids)
}

func resolve(ctx context.Context, q sqldb.Queryer, tenantID, ref string) ([]string, error) {
	if ref == "" || len(ref) > 255 || strings.ToValidUTF8(ref, "") != ref || strings.ContainsRune(ref, 0) {
		return nil, unknownDevice(ref)
	}
	ours, oursArgs := of(tenantID)
	upper, tag := strings.ToUpper(ref), ref
	if normal, _, err := schools.CheckTag(ref); err == nil {
		tag = normal
	}
	for _, s := range [][2]string{{ref, ref}, {upper, tag}} {
		var ids []string
		if err := q.Select(ctx, &ids, resolveSQL+ours, append([]any{ref, s[0], s[1], s[0]}, oursArgs...)...); err != nil {
			return nil, fmt.Errorf("find device: %w", err)
		}
		if len(ids) > 0 || s == [2]string{upper, tag} {
			return ids, nil
		}
	}
	return nil, nil
}

func one(ref string, ids []string) (string, error) {
	switch len(ids) {
	case 0:
		return "", unknownDevice(ref)
	case 1:
		return ids[0], nil
	}
	return "", fault.New(fault.Conflict, "device.ambiguous", "%q fits %d devices. Say the serial number.", ref, len(ids)).On("device")
}

// Device shows one tablet of a tenant's. Beside what Resolve takes, ref may be
// its name.
func (r *Room) Device(ctx context.Context, tenantID, ref string) (Detail, error) {
	var d Detail
	err := r.db.Read(ctx, func(q sqldb.Queryer) error {
		ids, err := resolve(ctx, q, tenantID, ref)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			ours, args := of(tenantID)
			if err := q.Select(ctx, &ids, `SELECT v.id FROM devices v WHERE v.name = ?`+ours+` ORDER BY v.id LIMIT 50`, append([]any{ref}, args...)...); err != nil {
				return fmt.Errorf("find device by name: %w", err)
			}
		}
		id, err := one(ref, ids)
		if err != nil {
			return err
		}
		d, err = r.detail(ctx, q, id)
		return err
	})
	return d, err
}

// DeviceIn shows the device with this id as the caller's transaction has it.
func (r *Room) DeviceIn(ctx context.Context, q sqldb.Queryer, id string) (Detail, error) {
	return r.detail(ctx, q, id)
}

type detailRow struct {
	CreatedAt   sqldb.Time `db:"created_at"`
	Link        string     `db:"link"`
	Placeholder bool       `db:"placeholder"`
	LostAt      sqldb.Time `db:"lost_at"`
	Unlock      bool       `db:"has_unlock"`
	Bootstrap   bool       `db:"has_bootstrap"`
	Bypass      bool       `db:"has_bypass"`
	CertSerial  *string    `db:"cert_serial"`
	NotAfter    sqldb.Time `db:"not_after"`
	PushTopic   *string    `db:"topic"`
	DueAt       sqldb.Time `db:"due_at"`
	PushedAt    sqldb.Time `db:"pushed_at"`
	RefusedAt   sqldb.Time `db:"refused_at"`
	Attempts    *int64     `db:"attempts"`
	LastError   *string    `db:"last_error"`
	Open        int64      `db:"open_commands"`
}

const detailSQL = `
	SELECT d.created_at, COALESCE(l.name, '') AS link, COALESCE(e.placeholder, FALSE) AS placeholder, e.lost_at,
		e.unlock_token IS NOT NULL AS has_unlock, e.bootstrap_token IS NOT NULL AS has_bootstrap, e.bypass_code IS NOT NULL AS has_bypass,
		c.serial AS cert_serial, c.not_after, t.topic, t.due_at, t.pushed_at, t.refused_at, t.attempts, t.last_error,
		(SELECT COUNT(*) FROM commands k WHERE k.enrollment_id = e.id AND k.generation = e.generation
			AND k.state IN ('queued', 'sent', 'deferred')) AS open_commands
	FROM devices d
	LEFT JOIN enrollments e ON e.id = ?
	LEFT JOIN links l ON l.id = e.link_id
	LEFT JOIN certificates c ON c.enrollment_id = e.id AND c.state = 'pinned'
	LEFT JOIN push_targets t ON t.enrollment_id = e.id
	WHERE d.id = ?`

func (r *Room) detail(ctx context.Context, q sqldb.Queryer, id string) (Detail, error) {
	var base deviceRow
	err := q.Get(ctx, &base, `SELECT `+deviceColumns+` FROM (`+deviceBase+` WHERE d.id = ?) v`, r.silentBefore(), id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Detail{}, unknownDevice(id)
	}
	if err != nil {
		return Detail{}, fmt.Errorf("show device: %w", err)
	}
	list, err := fill(ctx, q, []deviceRow{base})
	if err != nil {
		return Detail{}, fmt.Errorf("show device: %w", err)
	}
	var row detailRow
	if err := q.Get(ctx, &row, detailSQL, base.EnrollmentID, id); err != nil {
		return Detail{}, fmt.Errorf("show device: %w", err)
	}
	d := Detail{
		Device: list[0], CreatedAt: when(row.CreatedAt), Link: row.Link, Placeholder: row.Placeholder, LostAt: when(row.LostAt),
		OpenCommands: row.Open, UnlockToken: row.Unlock, BootstrapToken: row.Bootstrap, BypassCode: row.Bypass,
		Inventory: map[string]Observation{},
	}
	if row.CertSerial != nil {
		d.Certificate = &Certificate{Serial: *row.CertSerial, NotAfter: when(row.NotAfter)}
	}
	if row.PushTopic != nil {
		d.Push = &Push{State: "idle", PushedAt: when(row.PushedAt), DueAt: when(row.DueAt), Attempts: deref(row.Attempts), LastError: deref(row.LastError)}
		switch {
		case !row.RefusedAt.IsZero():
			d.Push.State = "refused"
		case !row.DueAt.IsZero():
			d.Push.State = "waiting"
		}
	}
	return d, r.inventory(ctx, q, &d)
}

// listed are the kinds of lists of what is on a tablet.
func listed() map[string]bool {
	return map[string]bool{"profile.list": true, "app.managed": true, "app.installed": true}
}

func (r *Room) inventory(ctx context.Context, q sqldb.Queryer, d *Detail) error {
	var rows []struct {
		Kind       string     `db:"kind"`
		Body       string     `db:"body"`
		ObservedAt sqldb.Time `db:"observed_at"`
	}
	err := q.Select(ctx, &rows, `
		SELECT kind, body, observed_at FROM inventory WHERE enrollment_id = ? AND generation = ?
		UNION ALL
		SELECT kind, body, observed_at FROM observations WHERE enrollment_id = ? AND generation = ?
		ORDER BY kind`, d.EnrollmentID, d.Generation, d.EnrollmentID, d.Generation)
	if err != nil {
		return fmt.Errorf("show inventory: %w", err)
	}
	now := r.clk.Now()
	for _, row := range rows {
		if ended(d.State) && listed()[row.Kind] {
			continue // what was on it is erased
		}
		o := Observation{ObservedAt: when(row.ObservedAt), AgeSeconds: int64(now.Sub(row.ObservedAt.Time) / time.Second)}
		if err := json.Unmarshal([]byte(row.Body), &o.Values); err != nil {
			return fmt.Errorf("show inventory %s: %w", row.Kind, err)
		}
		d.Inventory[row.Kind] = o
	}
	return nil
}
