package views

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Happening is one line of a tablet's story.
type Happening struct {
	At      time.Time      `json:"at"`
	What    string         `json:"what" example:"command.sent"`
	Actor   string         `json:"actor" example:"user:admin"`
	Command string         `json:"command,omitempty" doc:"The command it is about"`
	Kind    string         `json:"kind,omitempty" example:"profile.install"`
	Item    string         `json:"item,omitempty" doc:"The profile or app it is about"`
	Reason  string         `json:"reason,omitempty"`
	Detail  map[string]any `json:"detail,omitempty"`
}

type happeningRow struct {
	At     sqldb.Time `db:"at"`
	ID     string     `db:"id"`
	Step   int64      `db:"step"`
	What   string     `db:"what"`
	Actor  string     `db:"actor"`
	Kind   string     `db:"kind"`
	Item   string     `db:"item"`
	Reason string     `db:"reason"`
	Detail string     `db:"detail"`
}

// A command tells up to three things: that it was asked for, handed over, and
// how it ended.
const timelineSQL = `
	SELECT t.at, t.id, t.step, t.what, t.actor, t.kind, t.item, t.reason, t.detail FROM (
		SELECT a.at, a.id, 0 AS step, a.action AS what, a.actor, '' AS kind, '' AS item, '' AS reason, a.detail
		FROM audit_events a WHERE a.subject IN (?)
		UNION ALL
		SELECT k.created_at, k.id, 1, 'command.queued', k.origin, k.kind, k.item, '', ''
		FROM commands k WHERE k.enrollment_id IN (?)
		UNION ALL
		SELECT k.sent_at, k.id, 2, 'command.sent', 'system', k.kind, k.item, '', ''
		FROM commands k WHERE k.enrollment_id IN (?) AND k.sent_at IS NOT NULL
		UNION ALL
		SELECT COALESCE(k.answered_at, k.finished_at), k.id, 3, 'command.' || k.state, 'system', k.kind, k.item, k.reason, ''
		FROM commands k WHERE k.enrollment_id IN (?) AND k.state NOT IN ('queued', 'sent')
			AND COALESCE(k.answered_at, k.finished_at) IS NOT NULL
	) t
	WHERE t.at > ? OR (t.at = ? AND (t.id > ? OR (t.id = ? AND t.step > ?)))
	ORDER BY t.at, t.id, t.step LIMIT ?`

// Timeline tells all that happened to a tablet of a tenant's, oldest first.
func (r *Room) Timeline(ctx context.Context, tenantID, ref string, p Page) (list []Happening, next string, err error) {
	at, err := p.at("timeline", 3)
	if err != nil {
		return nil, "", err
	}
	var ms, step int64 = -1, 0
	id := ""
	if at != nil {
		if ms, err = strconv.ParseInt(at[0], 10, 64); err != nil {
			return nil, "", badCursor()
		}
		id = at[1]
		if step, err = strconv.ParseInt(at[2], 10, 64); err != nil {
			return nil, "", badCursor()
		}
	}
	list = []Happening{}
	err = r.db.Read(ctx, func(q sqldb.Queryer) error {
		device, err := r.Resolve(ctx, q, tenantID, ref)
		if err != nil {
			return err
		}
		var enrollments []string
		if err := q.Select(ctx, &enrollments, `SELECT id FROM enrollments WHERE device_id = ? ORDER BY id`, device); err != nil {
			return fmt.Errorf("find enrollments: %w", err)
		}
		subjects := []string{"device:" + device}
		for _, e := range enrollments {
			subjects = append(subjects, "enrollment:"+e)
		}
		enrollments = append(enrollments, "") // IN () is no SQL
		var rows []happeningRow
		err = q.Select(ctx, &rows, timelineSQL, subjects, enrollments, enrollments, enrollments, ms, ms, id, id, step, p.limit()+1)
		if err != nil {
			return fmt.Errorf("tell what happened: %w", err)
		}
		if len(rows) > p.limit() {
			rows = rows[:p.limit()]
			last := rows[len(rows)-1]
			next = cursor("timeline", strconv.FormatInt(last.At.UnixMilli(), 10), last.ID, strconv.FormatInt(last.Step, 10))
		}
		for _, row := range rows {
			h := Happening{At: row.At.Time, What: row.What, Actor: row.Actor, Kind: row.Kind, Item: row.Item, Reason: row.Reason}
			if row.Step > 0 {
				h.Command = row.ID
			}
			if row.Detail != "" {
				if err := json.Unmarshal([]byte(row.Detail), &h.Detail); err != nil {
					return fmt.Errorf("read event %s: %w", row.ID, err)
				}
			}
			list = append(list, h)
		}
		return nil
	})
	return list, next, err
}

// Command is one line of the queue.
type Command struct {
	ID          string          `json:"id"`
	Device      string          `json:"device" doc:"The device's id"`
	Serial      string          `json:"serial"`
	Kind        string          `json:"kind" example:"profile.install"`
	RequestType string          `json:"request_type" example:"InstallProfile"`
	State       string          `json:"state" enum:"queued,sent,deferred,done,failed,dropped,superseded,expired,uncertain,unreadable"`
	Urgent      bool            `json:"urgent"`
	Origin      string          `json:"origin" doc:"Who asked"`
	Item        string          `json:"item"`
	Attempts    int64           `json:"attempts"`
	NotBefore   *time.Time      `json:"not_before"`
	Deadline    *time.Time      `json:"deadline"`
	CreatedAt   *time.Time      `json:"created_at"`
	SentAt      *time.Time      `json:"sent_at"`
	AnsweredAt  *time.Time      `json:"answered_at"`
	FinishedAt  *time.Time      `json:"finished_at"`
	AgeSeconds  int64           `json:"age_seconds" doc:"How long it waits, or waited"`
	Status      string          `json:"status" doc:"The tablet's last word"`
	Reason      string          `json:"reason" doc:"Why it waits, failed or was taken back"`
	Errors      []mdm.ErrorItem `json:"errors" doc:"Apple's error chain"`
}

type commandRow struct {
	ID          string     `db:"id"`
	Device      string     `db:"device_id"`
	Serial      string     `db:"serial"`
	Kind        string     `db:"kind"`
	RequestType string     `db:"request_type"`
	State       string     `db:"state"`
	Lane        int64      `db:"lane"`
	Origin      string     `db:"origin"`
	Item        string     `db:"item"`
	Attempts    int64      `db:"attempts"`
	NotBefore   sqldb.Time `db:"not_before"`
	Deadline    sqldb.Time `db:"deadline"`
	CreatedAt   sqldb.Time `db:"created_at"`
	SentAt      sqldb.Time `db:"sent_at"`
	AnsweredAt  sqldb.Time `db:"answered_at"`
	FinishedAt  sqldb.Time `db:"finished_at"`
	Status      string     `db:"status"`
	Reason      string     `db:"reason"`
	Errors      string     `db:"errors"`
}

const commandColumns = `
	SELECT k.id, COALESCE(e.device_id, '') AS device_id, COALESCE(d.serial, '') AS serial, k.kind, k.request_type, k.state, k.lane,
		k.origin, k.item, k.attempts, k.not_before, k.deadline, k.created_at, k.sent_at, k.answered_at, k.finished_at,
		k.status, k.reason, k.errors
	FROM commands k
	LEFT JOIN enrollments e ON e.id = k.enrollment_id
	LEFT JOIN devices d ON d.id = e.device_id`

func (r commandRow) command(now time.Time) (Command, error) {
	c := Command{
		ID: r.ID, Device: r.Device, Serial: r.Serial, Kind: r.Kind, RequestType: r.RequestType, State: r.State, Urgent: r.Lane == 0,
		Origin: r.Origin, Item: r.Item, Attempts: r.Attempts, NotBefore: when(r.NotBefore), Deadline: when(r.Deadline),
		CreatedAt: when(r.CreatedAt), SentAt: when(r.SentAt), AnsweredAt: when(r.AnsweredAt), FinishedAt: when(r.FinishedAt),
		Status: r.Status, Reason: r.Reason, Errors: []mdm.ErrorItem{},
	}
	end := now
	if !r.FinishedAt.IsZero() {
		end = r.FinishedAt.Time
	}
	c.AgeSeconds = int64(end.Sub(r.CreatedAt.Time) / time.Second)
	if c.Reason == "" {
		c.Reason = waiting(r, now)
	}
	if r.Errors != "" {
		if err := json.Unmarshal([]byte(r.Errors), &c.Errors); err != nil {
			return c, fmt.Errorf("read the errors of command %s: %w", r.ID, err)
		}
	}
	return c, nil
}

// waiting says why an open command waits when nothing special holds it.
func waiting(r commandRow, now time.Time) string {
	switch r.State {
	case "queued":
		if r.NotBefore.After(now) {
			return "waits until " + r.NotBefore.Format(time.RFC3339)
		}
		return "waits for the tablet to connect"
	case "sent":
		return "waits for the tablet's answer"
	case "deferred":
		return "the tablet said not now; it is offered again when it connects next"
	}
	return ""
}
