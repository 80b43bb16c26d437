package commands

import (
	"encoding/json"
	"fmt"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// open is written as in the partial indexes: SQLite uses one only for a query
// that has the very same term.
const open = `state IN ('queued', 'sent', 'deferred')`

const columns = `id, enrollment_id, generation, kind, request_type, dedupe_key, lane, origin, item, args, state, attempts,
	not_before, deadline, created_at, sent_at, answered_at, finished_at, status, reason, errors`

type row struct {
	ID           string     `db:"id"`
	EnrollmentID string     `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	Kind         string     `db:"kind"`
	RequestType  string     `db:"request_type"`
	DedupeKey    string     `db:"dedupe_key"`
	Lane         int64      `db:"lane"`
	Origin       string     `db:"origin"`
	Item         string     `db:"item"`
	Args         []byte     `db:"args"`
	State        string     `db:"state"`
	Attempts     int        `db:"attempts"`
	NotBefore    sqldb.Time `db:"not_before"`
	Deadline     sqldb.Time `db:"deadline"`
	CreatedAt    sqldb.Time `db:"created_at"`
	SentAt       sqldb.Time `db:"sent_at"`
	AnsweredAt   sqldb.Time `db:"answered_at"`
	FinishedAt   sqldb.Time `db:"finished_at"`
	Status       string     `db:"status"`
	Reason       string     `db:"reason"`
	Errors       string     `db:"errors"`
	Held         bool       `db:"held"`
}

// Lanes.
const (
	urgent = 0
	normal = 1
)

// command is r with its Args opened.
func (q *Queue) command(r row) (Command, error) {
	c := Command{
		ID: r.ID, EnrollmentID: r.EnrollmentID, Generation: r.Generation, Kind: r.Kind, RequestType: r.RequestType,
		DedupeKey: r.DedupeKey, Urgent: r.Lane == urgent, Origin: audit.Actor(r.Origin), Item: r.Item,
		NotBefore: r.NotBefore.Time, Deadline: r.Deadline.Time, State: State(r.State), Attempts: r.Attempts,
		CreatedAt: r.CreatedAt.Time, SentAt: r.SentAt.Time, AnsweredAt: r.AnsweredAt.Time, FinishedAt: r.FinishedAt.Time,
		Status: r.Status, Reason: r.Reason,
	}
	if len(r.Args) > 0 {
		var err error
		if c.Args, err = q.vault.Open(argsPurpose(r.ID), r.Args); err != nil {
			return Command{}, fmt.Errorf("command %s: %w", r.ID, err)
		}
	}
	if r.Errors != "" {
		if err := json.Unmarshal([]byte(r.Errors), &c.Errors); err != nil {
			return Command{}, fmt.Errorf("read the errors of command %s: %w", r.ID, err)
		}
	}
	return c, nil
}

func argsPurpose(id string) string   { return "commands.args:" + id }
func answerPurpose(id string) string { return "commands.answer:" + id }
func magicPurpose(id string) string  { return "commands.magic:" + id }
