package views

import (
	"context"
	"fmt"
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

// States of a tile.
const (
	known      = "known"             // it is the delivery's, and nothing can happen yet
	confirmed  = "profile_confirmed" // Apple has its enrollment profile: it may be switched on
	enrolled   = "enrolled"
	atProfiles = "profiles"
	atApps     = "apps"
	ready      = "ready"
	stuck      = "stuck" // nothing goes on by itself
	held       = "held"  // a person decides
)

// Reason says in words what hinders a device. Times are told as how long ago: a
// server does not know which clock hangs in the room.
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
	AtApple   string     `db:"at_apple"` // as in appleStatus; "": not there
	Refused   string     `db:"refused"`  // Apple's word against the profile
	Result    string     `db:"result"`   // Apple's word about the assignment
	RetryAt   sqldb.Time `db:"retry_at"` // the next one
	Problem   string     `db:"problem"`  // with the server token: "ade.terms"
	TokenEnds sqldb.Time `db:"token_ends"`
	// The enrollment.
	EnrollmentID string     `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	State        string     `db:"state"`
	BegunAt      sqldb.Time `db:"begun_at"`
	EnrolledAt   sqldb.Time `db:"enrolled_at"`
	EndedAt      sqldb.Time `db:"ended_at"`
	Placeholder  bool       `db:"placeholder"`
	Awaiting     bool       `db:"awaiting"`
	ReleaseAt    sqldb.Time `db:"release_at"`    // ordered
	NotReleased  bool       `db:"not_released"`  // and the device refused
	Baseline     string     `db:"baseline"`      // JSON: names
	ReleaseAfter int64      `db:"release_after"` // seconds
	Lost         bool       `db:"lost"`
	Ending       bool       `db:"ending"` // an erase or the end of its management is ordered
	Held         bool       `db:"held"`
	LastSeen     sqldb.Time `db:"last_seen"`
	PushRefused  bool       `db:"push_refused"`
	PushError    string     `db:"push_error"`
	Inventory    string     `db:"inventory"`

	tokens  tokenState
	items   map[string]itemCount // by kind
	trouble itemTrouble
	lacks   []string   // names of its baseline that nothing brings
	putOff  sqldb.Time // NotNow since
	event   boardEvent // last word on its way in
}

// tokenState is what hinders all server tokens of the tenant; nothing of it: one
// of them is well, so that a device that is assigned at Apple becomes known.
type tokenState struct {
	none, expired bool
	problem       string
}

type itemCount struct {
	done, wanted int
	missing      string    // one of those not there
	at           time.Time // newest evidence
	sent         time.Time // the first of those not there was sent
}

// itemTrouble is a wished item that does not come by itself.
type itemTrouble struct {
	kind, name, state, reason string
	again                     time.Time
}

type boardEvent struct {
	action, reason string
	at             time.Time
}

// Board judges all devices of a delivery. It costs eight statements, however
// many devices there are, and two for each 500 that wait in Setup Assistant
// although all that is wished of them is there.
func (r *Room) Board(ctx context.Context, deliveryID string) (Board, error) {
	b := Board{Tiles: []Tile{}}
	err := r.db.Read(ctx, func(q sqldb.Queryer) error {
		var rows []boardRow
		if err := q.Select(ctx, &rows, boardSQL, deliveryID); err != nil {
			return err
		}
		if err := r.fillBoard(ctx, q, deliveryID, rows); err != nil {
			return err
		}
		now := r.clk.Now()
		b.Tiles = make([]Tile, 0, len(rows))
		for i := range rows {
			t := rows[i].tile(now)
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

func (t *BoardTotals) count(state string) {
	t.Devices++
	switch state {
	case known:
		t.Known++
	case confirmed:
		t.ProfileConfirmed++
	case enrolled:
		t.Enrolled++
	case atProfiles:
		t.Profiles++
	case atApps:
		t.Apps++
	case ready:
		t.Ready++
	case stuck:
		t.Stuck++
	case held:
		t.Held++
	}
}
