package enroll

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// ADEState is what Apple says of a serial number, and what we ask of Apple.
type ADEState struct {
	Serial, TokenID, TenantID string
	DeviceID                  string // "" when it is another tenant's device
	Model, Description, Color string
	Profile                   string // name of the one it is to get
	WantedUUID, AppleUUID     string
	AppleState                string // Apple's word: "empty", "assigned", "pushed", "removed"
	Result                    string // Apple's answer to the last assignment
	Status                    string // one of ADEStatuses
	Problem                   string // Apple's word against the profile, where it is refused
	Replaces                  string
	Attempts                  int64
	AssignedAt, ProfileAt     time.Time
	AskedAt, RetryAt          time.Time
	SeenAt, RemovedAt         time.Time
}

// What can be said of a serial number.
const (
	ADERemoved     = "removed"      // no longer ours at Apple
	ADEOtherTenant = "other_tenant" // the device belongs to another of our tenants and is kept out
	ADEMoved       = "moved"        // another of our servers has it by now
	ADEMissing     = "missing"      // not in the last full list; a person is asked
	ADENoProfile   = "no_profile"   // nobody wishes a profile for it
	ADEConfirmed   = "confirmed"    // Apple says that it has the profile
	ADERefused     = "refused"      // Apple refuses the profile itself
	ADEThrottled   = "throttled"    // Apple wants to be asked later
	ADEFailed      = "failed"       // Apple could not assign it
	ADEAsked       = "asked"        // Apple took the order and has not confirmed it
	ADEWaiting     = "waiting"      // its turn has not come
)

// ADEStatuses are all of them.
func ADEStatuses() []string {
	return []string{ADEConfirmed, ADEAsked, ADEWaiting, ADEThrottled, ADEFailed, ADERefused, ADENoProfile, ADEMissing, ADEMoved, ADEOtherTenant, ADERemoved}
}

const adeStatus = `CASE
	WHEN a.removed_at IS NOT NULL THEN 'removed'
	WHEN d.tenant_id <> a.tenant_id THEN 'other_tenant'
	WHEN EXISTS (` + adeNewer + `) THEN 'moved'
	WHEN y.missing > 0 AND a.run < y.full_run THEN 'missing'
	WHEN p.id IS NULL THEN 'no_profile'
	WHEN ` + adeConfirmed + ` THEN 'confirmed'
	WHEN COALESCE(u.uuid, '') = '' AND COALESCE(u.problem, '') <> '' THEN 'refused'
	WHEN COALESCE(u.uuid, '') = '' OR a.wanted_uuid <> u.uuid THEN CASE WHEN a.result = 'THROTTLED' THEN 'throttled' ELSE 'waiting' END
	WHEN a.result = 'SUCCESS' THEN 'asked'
	WHEN a.result = 'THROTTLED' THEN 'throttled'
	ELSE 'failed' END`

const adeStateFrom = adeWanted + `
	LEFT JOIN ade_sync y ON y.token_id = a.token_id`

// ADEFilter says which serial numbers to list; empty fields do not matter.
type ADEFilter struct {
	TenantID string
	TokenID  string
	Status   string
	Serial   string
	After    string // Next of the page before
	Limit    int
}

type adeStateRow struct {
	Serial      string     `db:"serial"`
	TokenID     string     `db:"token_id"`
	TenantID    string     `db:"tenant_id"`
	DeviceID    string     `db:"device_id"`
	Model       string     `db:"model"`
	Description string     `db:"description"`
	Color       string     `db:"color"`
	Profile     string     `db:"profile"`
	WantedUUID  string     `db:"wanted"`
	AppleUUID   string     `db:"profile_uuid"`
	AppleState  string     `db:"profile_state"`
	Result      string     `db:"result"`
	Status      string     `db:"status"`
	Problem     string     `db:"problem"`
	Replaces    string     `db:"replaces"`
	Attempts    int64      `db:"attempts"`
	AssignedAt  sqldb.Time `db:"assigned_at"`
	ProfileAt   sqldb.Time `db:"profile_at"`
	AskedAt     sqldb.Time `db:"asked_at"`
	RetryAt     sqldb.Time `db:"retry_at"`
	SeenAt      sqldb.Time `db:"seen_at"`
	RemovedAt   sqldb.Time `db:"removed_at"`
}

// ADEStates lists serial numbers by what Apple says of them, a page at a time;
// next is "" on the last.
func (r *Room) ADEStates(ctx context.Context, q sqldb.Queryer, f ADEFilter) (states []ADEState, next string, err error) {
	if f.Status != "" && !slices.Contains(ADEStatuses(), f.Status) {
		return nil, "", fault.New(fault.Invalid, "ade.filter", "There is no state %q; say one of %s.", short(f.Status), strings.Join(ADEStatuses(), ", ")).On("filter")
	}
	where, args := ` WHERE 1 = 1`, []any{}
	and := func(text string, values ...any) { where, args = where+` AND `+text, append(args, values...) }
	if f.TenantID != "" {
		and(`a.tenant_id = ?`, f.TenantID)
	}
	if f.TokenID != "" {
		and(`a.token_id = ?`, f.TokenID)
	}
	if f.Serial != "" {
		and(`a.serial = ?`, strings.ToUpper(strings.TrimSpace(f.Serial)))
	}
	if f.Status != "" {
		and(adeStatus+` = ?`, f.Status)
	}
	if serial, token, ok := strings.Cut(f.After, " "); ok {
		and(`(a.serial > ? OR a.serial = ? AND a.token_id > ?)`, serial, serial, token)
	}
	var rows []adeStateRow
	err = q.Select(ctx, &rows, `
		SELECT a.serial, a.token_id, a.tenant_id, CASE WHEN d.tenant_id = a.tenant_id THEN d.id ELSE '' END AS device_id, a.model, a.description, a.color,
			COALESCE(p.name, '') AS profile, COALESCE(u.uuid, '') AS wanted, a.profile_uuid, a.profile_state, a.result, `+adeStatus+` AS status,
			COALESCE(u.problem, '') AS problem, a.replaces, a.attempts, a.assigned_at, a.profile_at, a.asked_at, a.retry_at, a.seen_at, a.removed_at
		`+adeStateFrom+where+` ORDER BY a.serial, a.token_id LIMIT ?`, append(args, f.Limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list what Apple says: %w", err)
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		next = rows[f.Limit-1].Serial + " " + rows[f.Limit-1].TokenID
	}
	for _, row := range rows {
		states = append(states, row.state())
	}
	return states, next, nil
}

func (row adeStateRow) state() ADEState {
	s := ADEState{
		Serial: row.Serial, TokenID: row.TokenID, TenantID: row.TenantID, DeviceID: row.DeviceID, Model: row.Model, Description: row.Description,
		Color: row.Color, Profile: row.Profile, WantedUUID: row.WantedUUID, AppleUUID: row.AppleUUID, AppleState: row.AppleState, Result: row.Result,
		Status: row.Status, Problem: row.Problem, Replaces: row.Replaces, Attempts: row.Attempts, AssignedAt: row.AssignedAt.Time,
		ProfileAt: row.ProfileAt.Time, AskedAt: row.AskedAt.Time, RetryAt: row.RetryAt.Time, SeenAt: row.SeenAt.Time, RemovedAt: row.RemovedAt.Time,
	}
	if s.Status == ADEOtherTenant { // what another tenant wishes for its device is not for these eyes
		s.Profile, s.WantedUUID, s.Problem = "", "", ""
	}
	return s
}

// ADESyncState is how the reading of a token's list stands.
type ADESyncState struct {
	Counts          map[string]int64 // serial numbers, by status
	Reading         bool             // a full list is being read
	OKAt, FullAt    time.Time
	DueAt, AssignAt time.Time
	Problem         string // code; ADEProblem tells it in words
	ProblemAt       time.Time
	Missing         int64 // a person is asked
	TokenID         string
}

// ADESyncs tells how all tokens of a tenant stand, by token; "" is all tenants.
func (r *Room) ADESyncs(ctx context.Context, q sqldb.Queryer, tenantID string) (map[string]ADESyncState, error) {
	rows, err := adeSyncs(ctx, q)
	if err != nil {
		return nil, err
	}
	out := map[string]ADESyncState{}
	for id, s := range rows {
		out[id] = ADESyncState{
			TokenID: id, Counts: map[string]int64{}, Reading: s.Phase == phaseFetch, OKAt: s.OKAt.Time, FullAt: s.FullAt.Time, DueAt: s.DueAt.Time,
			AssignAt: s.AssignAt.Time, Problem: s.Problem, ProblemAt: s.ProblemAt.Time, Missing: s.Missing,
		}
	}
	var counts []struct {
		TokenID string `db:"token_id"`
		Status  string `db:"status"`
		N       int64  `db:"n"`
	}
	err = q.Select(ctx, &counts, `SELECT x.token_id, x.status, COUNT(*) AS n FROM (
			SELECT a.token_id, `+adeStatus+` AS status `+adeStateFrom+` WHERE ? = '' OR a.tenant_id = ?
		) x GROUP BY x.token_id, x.status`, tenantID, tenantID)
	if err != nil {
		return nil, fmt.Errorf("count what Apple says: %w", err)
	}
	for _, c := range counts {
		if s, has := out[c.TokenID]; has {
			s.Counts[c.Status] = c.N
		}
	}
	return out, nil
}
