package commands

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

const (
	// maxAnswer is how much of an answer is kept. The longest good ones, lists of
	// apps, are below 100 kB; those are read by their Renderer and not kept.
	maxAnswer = 256 << 10
	// maxBodies is how many answers of one tablet are kept with their bodies; of
	// more only the fact. It bounds what a tablet gone mad can fill the disk with.
	maxBodies = 200
	// maxAnswers is how many are kept at all.
	maxAnswers = 2000
)

// keep stores an answer; its body only where it may teach something, and
// sealed, for it may hold anything.
func (q *Queue) keep(ctx context.Context, tx *sqldb.Tx, s Session, commandID string, rep *mdm.Report, note string, body bool, now time.Time) error {
	var n int
	if err := tx.Get(ctx, &n, `SELECT COUNT(*) FROM answers WHERE enrollment_id = ?`, s.EnrollmentID); err != nil {
		return fmt.Errorf("count answers: %w", err)
	}
	if n >= maxAnswers {
		return nil
	}
	id, sealed := sqldb.NewID(), []byte{}
	if body && n < maxBodies {
		var err error
		if sealed, err = q.vault.Seal(answerPurpose(id), rep.Raw[:min(maxAnswer, len(rep.Raw))]); err != nil {
			return fmt.Errorf("keep an answer: %w", err)
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO answers (id, enrollment_id, generation, command_id, status, note, body, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id, s.EnrollmentID, s.Generation, commandID, clip(mdm.Clean(rep.Status)), note, sealed, sqldb.At(now))
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return nil
}

// Answer is what a tablet said, as it came.
type Answer struct {
	ID           string
	EnrollmentID string
	Generation   int64
	CommandID    string // may name no command of ours
	Status       string
	Note         string // "", "unknown", "repeated", "late", "early", "unreadable"
	Body         []byte // empty where it is not kept
	At           time.Time
}

type answerRow struct {
	ID           string     `db:"id"`
	EnrollmentID string     `db:"enrollment_id"`
	Generation   int64      `db:"generation"`
	CommandID    string     `db:"command_id"`
	Status       string     `db:"status"`
	Note         string     `db:"note"`
	Body         []byte     `db:"body"`
	At           sqldb.Time `db:"at"`
}

// maxShown bounds how many answers are opened for one question.
const maxShown = 20

// Answers are the kept answers to one command, the latest first.
func (q *Queue) Answers(ctx context.Context, qr sqldb.Queryer, commandID string) ([]Answer, error) {
	var rows []answerRow
	err := qr.Select(ctx, &rows, `SELECT id, enrollment_id, generation, command_id, status, note, body, at
		FROM answers WHERE command_id = ? ORDER BY id DESC LIMIT ?`, commandID, maxShown)
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	list := make([]Answer, 0, len(rows))
	for _, r := range rows {
		a := Answer{ID: r.ID, EnrollmentID: r.EnrollmentID, Generation: r.Generation, CommandID: r.CommandID, Status: r.Status, Note: r.Note, At: r.At.Time}
		if len(r.Body) > 0 {
			if a.Body, err = q.vault.Open(answerPurpose(r.ID), r.Body); err != nil {
				return nil, fmt.Errorf("read answer %s: %w", r.ID, err)
			}
		}
		list = append(list, a)
	}
	return list, nil
}
