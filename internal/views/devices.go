package views

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// SilentAfter is how long an enrolled tablet may say nothing before people are
// told that nobody knows. Ours: a cart stands still over a holiday week.
const SilentAfter = 7 * 24 * time.Hour

// MaxPage is the most rows a list gives at once; also the most values we bind
// in one IN.
const MaxPage = 500

// DefaultPage is what a list gives when nobody says how many.
const DefaultPage = 100

// Room reads.
type Room struct {
	db  *sqldb.DB
	clk clock.Clock
}

// New makes the room.
func New(db *sqldb.DB, clk clock.Clock) *Room { return &Room{db: db, clk: clk} }

// states are all values of enrollment_state.
func states() []string {
	return []string{"known", "enrolling", "enrolled", "held", "lost", "erase_requested", "erase_uncertain", "erased", "unenrolled", "silent"}
}

// Device is a tablet as people and scripts see it.
type Device struct {
	ID           string     `json:"id"`
	Serial       string     `json:"serial"`
	AssetTag     string     `json:"asset_tag,omitempty"`
	UDID         string     `json:"udid"`
	Tenant       string     `json:"tenant" doc:"Code of whose it is"`
	Name         string     `json:"name" doc:"The name it shall have"`
	Model        string     `json:"model" example:"iPad13,18"`
	OSVersion    string     `json:"os_version"`
	Supervised   *bool      `json:"supervised" doc:"null: not known yet"`
	State        string     `json:"enrollment_state" enum:"known,enrolling,enrolled,held,lost,erase_requested,erase_uncertain,erased,unenrolled,silent"`
	EnrollmentID string     `json:"enrollment_id,omitempty"`
	Generation   int64      `json:"generation" doc:"Counts the tablet's lives: an erase begins a new one"`
	AssetState   string     `json:"asset_state" doc:"What it is as a thing: ordered, inventoried, ready, in_use, …"`
	Delivery     string     `json:"delivery" doc:"Code of the delivery it came with"`
	Site         string     `json:"site" doc:"Code of the site it is at"`
	Cart         string     `json:"cart" example:"SAT-K03" doc:"The cart it belongs in"`
	Slot         int64      `json:"slot" doc:"Its slot there; 0: none"`
	Class        string     `json:"class" example:"3b"`
	EnrolledAt   *time.Time `json:"enrolled_at"`
	LastSeen     *time.Time `json:"last_seen"`
	Groups       []string   `json:"groups"`
	Items        []Item     `json:"items"`
}

// Item is one profile or app on one tablet.
type Item struct {
	ID             string      `json:"-"`
	RetryAt        *time.Time  `json:"-"` // when a failed one is tried again
	Undone         []time.Time `json:"-"` // when the tablet undid it, of the last times
	Kind           string      `json:"kind" enum:"profile,app"`
	Name           string      `json:"name"`
	Version        int64       `json:"version" doc:"The version wished for, or the one still there when it shall go"`
	Observed       *int64      `json:"observed" doc:"The version seen in the tablet's own list; null: not there; 0: there, version unknown"`
	Desired        bool        `json:"desired"`
	SentAt         *time.Time  `json:"sent_at"`
	AcknowledgedAt *time.Time  `json:"acknowledged_at"`
	ObservedAt     *time.Time  `json:"observed_at"`
	State          string      `json:"state" enum:"pending,sent,acknowledged,installed,removing,removed,failed,blocked"`
	Reason         string      `json:"reason"`
}

type deviceRow struct {
	ID           string     `db:"id"`
	Serial       string     `db:"serial"`
	AssetTag     string     `db:"asset_tag"`
	UDID         string     `db:"udid"`
	Name         string     `db:"name"`
	Model        string     `db:"model"`
	OSVersion    string     `db:"os_version"`
	Supervised   *bool      `db:"supervised"`
	State        string     `db:"enrollment_state"`
	EnrollmentID string     `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	TenantID     string     `db:"tenant_id"`
	AssetState   string     `db:"asset_state"`
	DeliveryID   string     `db:"delivery_id"`
	SiteID       string     `db:"site_id"`
	CartID       string     `db:"cart_id"`
	Slot         int64      `db:"slot"`
	ClassID      string     `db:"class_id"`
	EnrolledAt   sqldb.Time `db:"enrolled_at"`
	LastSeen     sqldb.Time `db:"last_seen"`
}

func (r deviceRow) device() Device {
	return Device{
		ID: r.ID, Serial: r.Serial, AssetTag: r.AssetTag, UDID: r.UDID, Name: r.Name, Model: r.Model,
		OSVersion: r.OSVersion, Supervised: r.Supervised, State: r.State, EnrollmentID: r.EnrollmentID,
		Generation: r.Generation, AssetState: r.AssetState, Slot: r.Slot, EnrolledAt: when(r.EnrolledAt), LastSeen: when(r.LastSeen),
		Groups: []string{}, Items: []Item{},
	}
}

// deviceBase is one row a tablet, its state derived. A tablet that came back
// under another UDID has several enrollments: the live one counts, else one
// that is held, else the newest. The conditions on commands are written as in the index
// commands_erase, or SQLite would not see that it serves. One argument: the
// moment before which a last contact means silence.
const deviceBase = `
	SELECT d.id, d.tenant_id, d.serial, COALESCE(d.asset_tag, '') AS asset_tag, d.name, d.asset_state,
		COALESCE(d.delivery_id, '') AS delivery_id, COALESCE(d.site_id, '') AS site_id, COALESCE(d.cart_id, '') AS cart_id,
		COALESCE(d.slot, 0) AS slot, COALESCE(d.class_id, '') AS class_id,
		COALESCE(NULLIF(e.model, ''), d.model) AS model,
		COALESCE(e.udid, '') AS udid, COALESCE(e.os_version, '') AS os_version, e.supervised,
		COALESCE(e.id, '') AS enrollment_id, COALESCE(e.generation, 0) AS generation,
		e.enrolled_at, c.last_seen,
		CASE WHEN e.id IS NULL THEN 'known'
			WHEN e.state <> 'enrolled' THEN e.state
			WHEN EXISTS (SELECT 1 FROM commands k WHERE k.enrollment_id = e.id AND k.generation = e.generation
				AND k.once AND k.state IN ('queued', 'sent', 'deferred', 'uncertain')
				AND k.kind = 'device.erase' AND k.state = 'uncertain') THEN 'erase_uncertain'
			WHEN EXISTS (SELECT 1 FROM commands k WHERE k.enrollment_id = e.id AND k.generation = e.generation
				AND k.once AND k.state IN ('queued', 'sent', 'deferred', 'uncertain')
				AND k.kind = 'device.erase') THEN 'erase_requested'
			WHEN e.lost_mode THEN 'lost'
			WHEN COALESCE(c.last_seen, e.enrolled_at, e.updated_at) < ? THEN 'silent'
			ELSE 'enrolled' END AS enrollment_state
	FROM devices d
	LEFT JOIN enrollments e ON e.id = (SELECT x.id FROM enrollments x WHERE x.device_id = d.id
		ORDER BY CASE x.state WHEN 'enrolling' THEN 0 WHEN 'enrolled' THEN 0 WHEN 'held' THEN 1 ELSE 2 END, x.updated_at DESC, x.id DESC LIMIT 1)
	LEFT JOIN contacts c ON c.enrollment_id = e.id`

const deviceColumns = `v.id, v.serial, v.asset_tag, v.udid, v.name, v.model, v.os_version, v.supervised,
	v.enrollment_state, v.enrollment_id, v.generation, v.enrolled_at, v.last_seen,
	v.tenant_id, v.asset_state, v.delivery_id, v.site_id, v.cart_id, v.slot, v.class_id`

// Page says which part of a list.
type Page struct {
	After string // cursor of the page before, "" for the first
	Limit int    // 0: DefaultPage
}

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultPage
	}
	return min(p.Limit, MaxPage)
}

// cursor makes an opaque mark of the last row given, for one kind of list.
func cursor(list string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "\n" + strings.Join(parts, "\n")))
}

// at reads a cursor; no cursor is nil.
func (p Page) at(list string, parts int) ([]string, error) {
	if p.After == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil || len(raw) > 512 || strings.ToValidUTF8(string(raw), "") != string(raw) || strings.ContainsRune(string(raw), 0) {
		return nil, badCursor()
	}
	got := strings.Split(string(raw), "\n")
	if len(got) != parts+1 || got[0] != list {
		return nil, badCursor()
	}
	return got[1:], nil
}

func badCursor() *fault.Fault {
	return fault.New(fault.Invalid, "cursor.bad", "The cursor does not belong to this list. Begin without one.").On("after")
}

func (r *Room) silentBefore() sqldb.Time { return sqldb.At(r.clk.Now().Add(-SilentAfter)) }

// of is the condition that a device is one of a tenant's; "" sees all.
func of(tenantID string) (cond string, args []any) {
	if tenantID == "" {
		return "", nil
	}
	return " AND v.tenant_id = ?", []any{tenantID}
}

// Devices lists tablets by serial number, with their groups and items: those of
// one tenant, or of all for "".
func (r *Room) Devices(ctx context.Context, tenantID, filter string, p Page) (list []Device, next string, err error) {
	terms, err := parseFilter(filter)
	if err != nil {
		return nil, "", err
	}
	cond, condArgs, err := where(terms)
	if err != nil {
		return nil, "", err
	}
	at, err := p.at("devices", 1)
	if err != nil {
		return nil, "", err
	}
	after := ""
	if at != nil {
		after = at[0]
	}
	ours, oursArgs := of(tenantID)
	cond += ours
	args := append(append([]any{r.silentBefore(), after}, condArgs...), oursArgs...)
	args = append(args, p.limit()+1)
	err = r.db.Read(ctx, func(q sqldb.Queryer) error {
		var rows []deviceRow
		err := q.Select(ctx, &rows, `SELECT `+deviceColumns+` FROM (`+deviceBase+`) v WHERE v.serial > ?`+cond+` ORDER BY v.serial LIMIT ?`, args...)
		if err != nil {
			return err
		}
		if len(rows) > p.limit() {
			rows = rows[:p.limit()]
			next = cursor("devices", rows[len(rows)-1].Serial)
		}
		list, err = fill(ctx, q, rows)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list devices: %w", err)
	}
	return list, next, nil
}

// fill adds groups and items, one statement each for all rows.
func fill(ctx context.Context, q sqldb.Queryer, rows []deviceRow) ([]Device, error) {
	list := make([]Device, len(rows))
	if len(rows) == 0 {
		return list, nil
	}
	byDevice, byEnrollment := map[string]*Device{}, map[string]*Device{}
	var ids, enrollments []string
	for i, row := range rows {
		list[i] = row.device()
		byDevice[row.ID] = &list[i]
		ids = append(ids, row.ID)
		if row.EnrollmentID != "" {
			byEnrollment[row.EnrollmentID] = &list[i]
			enrollments = append(enrollments, row.EnrollmentID)
		}
	}
	var members []struct {
		DeviceID string `db:"device_id"`
		Name     string `db:"name"`
	}
	err := q.Select(ctx, &members, `
		SELECT m.device_id, g.name FROM device_group_members m JOIN device_groups g ON g.id = m.group_id
		WHERE m.device_id IN (?) ORDER BY g.name`, ids)
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	for _, m := range members {
		byDevice[m.DeviceID].Groups = append(byDevice[m.DeviceID].Groups, m.Name)
	}
	if err := place(ctx, q, rows, list); err != nil {
		return nil, err
	}
	if len(enrollments) == 0 {
		return list, nil
	}
	items, err := itemsOf(ctx, q, enrollments)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if d := byEnrollment[it.EnrollmentID]; d.Generation == it.Generation {
			d.Items = append(d.Items, it.item().after(d.State))
		}
	}
	return list, nil
}

const placesSQL = `
	SELECT t.id, t.code AS name FROM tenants t WHERE t.id IN (?)
	UNION ALL SELECT l.id, l.code FROM deliveries l WHERE l.id IN (?)
	UNION ALL SELECT s.id, s.code FROM sites s WHERE s.id IN (?)
	UNION ALL SELECT c.id, s.code || '-' || c.code FROM carts c JOIN sites s ON s.id = c.site_id WHERE c.id IN (?)
	UNION ALL SELECT k.id, k.name FROM classes k WHERE k.id IN (?)`

// place adds whose the devices are and where, as people call it.
func place(ctx context.Context, q sqldb.Queryer, rows []deviceRow, list []Device) error {
	sets := make([]map[string]bool, 5)
	for i := range sets {
		sets[i] = map[string]bool{"": true} // IN () is no SQL
	}
	for _, row := range rows {
		for i, id := range []string{row.TenantID, row.DeliveryID, row.SiteID, row.CartID, row.ClassID} {
			sets[i][id] = true
		}
	}
	args := make([]any, len(sets))
	for i, set := range sets {
		args[i] = slices.Sorted(maps.Keys(set))
	}
	var names []struct {
		ID   string `db:"id"`
		Name string `db:"name"`
	}
	if err := q.Select(ctx, &names, placesSQL, args...); err != nil {
		return fmt.Errorf("places: %w", err)
	}
	called := map[string]string{}
	for _, n := range names {
		called[n.ID] = n.Name
	}
	for i, row := range rows {
		d := &list[i]
		d.Tenant, d.Delivery, d.Site, d.Cart, d.Class = called[row.TenantID], called[row.DeliveryID], called[row.SiteID], called[row.CartID], called[row.ClassID]
	}
	return nil
}

type itemRow struct {
	EnrollmentID   string     `db:"enrollment_id"`
	Generation     int64      `db:"generation"`
	Kind           string     `db:"item_kind"`
	Name           string     `db:"name"`
	Desired        *int64     `db:"desired"`
	Sent           *int64     `db:"sent"`
	SentAt         sqldb.Time `db:"sent_at"`
	AcknowledgedAt sqldb.Time `db:"acknowledged_at"`
	Observed       *int64     `db:"observed"`
	ObservedAt     sqldb.Time `db:"observed_at"`
	State          string     `db:"state"`
	Reason         string     `db:"reason"`
	ItemID         string     `db:"item_id"`
	RetryAt        sqldb.Time `db:"retry_at"`
	Undone         string     `db:"undone"`
}

func (r itemRow) item() Item {
	it := Item{
		ID: r.ItemID, RetryAt: when(r.RetryAt), Kind: r.Kind, Name: r.Name, Observed: r.Observed, Desired: r.Desired != nil,
		SentAt: when(r.SentAt), AcknowledgedAt: when(r.AcknowledgedAt), ObservedAt: when(r.ObservedAt),
		State: r.State, Reason: r.Reason,
	}
	for part := range strings.SplitSeq(r.Undone, ",") {
		if ms, err := strconv.ParseInt(part, 10, 64); err == nil {
			it.Undone = append(it.Undone, time.UnixMilli(ms).UTC())
		}
	}
	switch {
	case r.Desired != nil:
		it.Version = *r.Desired
	case r.Observed != nil:
		it.Version = *r.Observed
	default:
		it.Version = deref(r.Sent)
	}
	return it
}

// after is an item as it is when the life of the tablet has ended in which it was
// there: what was erased is not shown as present.
func (it Item) after(state string) Item {
	if !ended(state) {
		return it
	}
	out := Item{ID: it.ID, Kind: it.Kind, Name: it.Name, Desired: it.Desired, State: "removed"}
	if it.Desired {
		out.Version, out.State, out.Reason = it.Version, "pending", itErased
		if state == "unenrolled" {
			out.Reason = itLeft
		}
	}
	return out
}

const (
	itErased = "The iPad was erased since. It comes back when the iPad is set up again."
	itLeft   = "The management was removed from the iPad since. It comes back when the iPad is set up again."
)

// ended tells whether nothing is known any more of what is on a tablet.
func ended(state string) bool { return state == "erased" || state == "unenrolled" }

func itemsOf(ctx context.Context, q sqldb.Queryer, enrollments []string) ([]itemRow, error) {
	var rows []itemRow
	err := q.Select(ctx, &rows, `
		SELECT i.enrollment_id, i.generation, i.item_kind, COALESCE(p.name, a.name, i.item_id) AS name,
			i.desired, i.sent, i.sent_at, i.acknowledged_at, i.observed, i.observed_at, i.state, i.reason, i.item_id, i.retry_at, i.undone
		FROM device_items i
		LEFT JOIN profiles p ON i.item_kind = 'profile' AND p.id = i.item_id
		LEFT JOIN apps a ON i.item_kind = 'app' AND a.id = i.item_id
		WHERE i.enrollment_id IN (?) ORDER BY i.item_kind DESC, name`, enrollments)
	if err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	return rows, nil
}
