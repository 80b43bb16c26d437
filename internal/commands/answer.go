package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// lostModeCode is the error of a command that a tablet in Lost Mode does not
// carry out (MCMDMErrorDomain; seen by peers, not in Apple's schema).
const lostModeCode = 12078

// lostModeTries bounds how often a command is put back for error 12078.
const lostModeTries = 10

// verdict is what an answer means for the queue.
type verdict int

const (
	counts   verdict = iota // the answer that was waited for
	unknown                 // no command of this tablet
	repeated                // it was answered before
	tooLate                 // it had ended without an answer
	tooEarly                // it was never handed over
)

func (v verdict) note() string {
	return map[verdict]string{unknown: "unknown", repeated: "repeated", tooLate: "late", tooEarly: "early"}[v]
}

// judge says what an answer with this status means for a command.
func judge(r row, s Session, status string) verdict {
	if r.EnrollmentID != s.EnrollmentID {
		return unknown
	}
	if r.Generation != s.Generation {
		return tooLate
	}
	switch State(r.State) {
	case Sent, Uncertain:
		return counts
	case Deferred:
		if status == statusLater {
			return repeated
		}
		return counts // it did it after all
	case Queued:
		if r.Attempts == 0 {
			return tooEarly
		}
		return counts // answered on another connection than it was offered on
	case Superseded, Expired, Dropped:
		if !r.AnsweredAt.IsZero() && r.AnsweredAt.After(r.FinishedAt.Time) {
			return repeated
		}
		return tooLate
	}
	return repeated
}

func final(status string) bool {
	return status == statusAck || status == statusError || status == statusBad
}

// record takes a tablet's answer.
func (q *Queue) record(ctx context.Context, tx *sqldb.Tx, s Session, rep *mdm.Report, now time.Time) error {
	id := mdm.Clean(rep.CommandUUID)
	var r row
	err := tx.Get(ctx, &r, `SELECT `+columns+` FROM commands WHERE id = ?`+tx.ForUpdate(), id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return q.keep(ctx, tx, s, id, rep, unknown.note(), true, now)
	}
	if err != nil {
		return err
	}
	switch v := judge(r, s, rep.Status); v {
	case counts:
		return q.take(ctx, tx, s, r, rep, now)
	case tooLate:
		return q.hear(ctx, tx, s, r, rep, now)
	default:
		return q.keep(ctx, tx, s, id, rep, v.note(), v == unknown || q.specs[r.Kind].KeepAnswer, now)
	}
}

// hear takes an answer to a command that has ended. What the tablet did it
// did, so the Renderer learns of it; the command's state does not change.
func (q *Queue) hear(ctx context.Context, tx *sqldb.Tx, s Session, r row, rep *mdm.Report, now time.Time) error {
	spec := q.specs[r.Kind]
	if err := q.keep(ctx, tx, s, r.ID, rep, tooLate.note(), rep.Status != statusAck || spec.KeepAnswer, now); err != nil {
		return err
	}
	if r.Generation != s.Generation || r.Attempts == 0 || !final(rep.Status) {
		return nil
	}
	r.Status, r.AnsweredAt = rep.Status, sqldb.At(later(now, r.FinishedAt.Add(time.Millisecond)))
	var err error
	if r.Errors, err = chain(rep.ErrorChain); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE commands SET status = ?, errors = ?, answered_at = ? WHERE id = ?`, r.Status, r.Errors, r.AnsweredAt, r.ID)
	if err != nil {
		return err
	}
	f, err := q.tell(ctx, tx, spec, r, rep, now)
	if f != nil {
		q.log.WarnContext(ctx, "late answer not understood", "command", r.ID, "kind", r.Kind, "code", f.Code)
	}
	return err
}

// take is for the answer that was waited for.
func (q *Queue) take(ctx context.Context, tx *sqldb.Tx, s Session, r row, rep *mdm.Report, now time.Time) error {
	var err error
	if r.Errors, err = chain(rep.ErrorChain); err != nil {
		return err
	}
	r.AnsweredAt, r.Status = sqldb.At(now), clip(mdm.Clean(rep.Status))
	spec, known := q.specs[r.Kind]
	switch {
	case rep.Status == statusLater:
		return q.putOff(ctx, tx, r, now, now, "the tablet said not now at "+now.Format(time.RFC3339)+"; it is offered again in its next session")
	case !final(rep.Status):
		state, reason := Unreadable, "the tablet answered with a status that is not known: "+r.Status
		if spec.Once {
			state = Uncertain
		}
		if err := set(ctx, tx, r, state, reason, now); err != nil {
			return err
		}
		return q.keep(ctx, tx, s, r.ID, rep, "unreadable", true, now)
	case rep.Status != statusAck && inLostMode(rep.ErrorChain) && r.Attempts < lostModeTries:
		return q.putOff(ctx, tx, r, now, now.Add(backOff(r.Attempts-1)), "the tablet is in Lost Mode (error "+strconv.Itoa(lostModeCode)+"); it is offered again")
	}
	state, reason := Done, ""
	if rep.Status != statusAck {
		state, reason = Failed, why(rep)
	}
	if err := set(ctx, tx, r, state, reason, now); err != nil {
		return err
	}
	r.State, r.Reason = string(state), reason
	var f *fault.Fault
	if known {
		if f, err = q.tell(ctx, tx, spec, r, rep, now); err != nil {
			return err
		}
	}
	note := ""
	if f != nil {
		state = Failed
		if f.Kind == fault.Invalid && rep.Status == statusAck {
			state, note = Unreadable, "unreadable"
		}
		if err := set(ctx, tx, r, state, mdm.Clean(f.Text), now); err != nil {
			return err
		}
	}
	if state == Done && !spec.KeepAnswer {
		return nil
	}
	return q.keep(ctx, tx, s, r.ID, rep, note, true, now)
}

// tell hands an answer to the Renderer. A fault comes back apart from errors
// that undo everything.
func (q *Queue) tell(ctx context.Context, tx *sqldb.Tx, spec Spec, r row, rep *mdm.Report, now time.Time) (*fault.Fault, error) {
	if spec.Renderer == nil {
		return nil, nil
	}
	c, err := q.command(r)
	if err != nil {
		return nil, err
	}
	err = spec.Renderer.Done(ctx, tx, c, Result{Status: rep.Status, Errors: rep.ErrorChain, Raw: rep.Raw, At: now})
	if err == nil {
		return nil, nil
	}
	if f, is := fault.Of(err); is && f.Kind != fault.Internal {
		return f, nil
	}
	for _, e := range []error{mdm.ErrSyntax, mdm.ErrSize, mdm.ErrDepth, mdm.ErrBinary} {
		if errors.Is(err, e) {
			return fault.New(fault.Invalid, "command.unreadable", "The tablet's answer cannot be read.").With(err), nil
		}
	}
	return nil, fmt.Errorf("take the answer of %s %s: %w", r.Kind, r.ID, err)
}

// set writes what an answer made of a command. An uncertain one has not
// finished: its proof may still come.
func set(ctx context.Context, tx *sqldb.Tx, r row, state State, reason string, now time.Time) error {
	finished := sqldb.At(now)
	if state == Uncertain {
		finished = sqldb.Time{}
	}
	_, err := tx.Exec(ctx, `UPDATE commands SET state = ?, status = ?, reason = ?, errors = ?, answered_at = ?, finished_at = ? WHERE id = ?`,
		string(state), r.Status, reason, r.Errors, r.AnsweredAt, finished, r.ID)
	return err
}

// putOff keeps a command for a later session, behind those that wait already.
// The tablet comes by itself when it can; should it not, it is woken again.
func (q *Queue) putOff(ctx context.Context, tx *sqldb.Tx, r row, now, until time.Time, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE commands SET state = 'deferred', status = ?, reason = ?, errors = ?, answered_at = ?, not_before = ? WHERE id = ?`,
		r.Status, reason, r.Errors, r.AnsweredAt, sqldb.At(until), r.ID)
	if err != nil {
		return err
	}
	return arm(ctx, tx, later(until, now.Add(backOff(0))), r.EnrollmentID)
}

func inLostMode(chain []mdm.ErrorItem) bool {
	for _, e := range chain {
		if e.Code == lostModeCode {
			return true
		}
	}
	return false
}

// maxErrors is how much of an error chain is kept; Apple's have one to four.
const maxErrors = 16

// chain is an error chain as JSON, "" when there is none.
func chain(items []mdm.ErrorItem) (string, error) {
	if len(items) == 0 {
		return "", nil
	}
	clean := make([]mdm.ErrorItem, 0, len(items))
	for _, e := range items[:min(maxErrors, len(items))] {
		clean = append(clean, mdm.ErrorItem{Code: e.Code, Domain: mdm.Clean(e.Domain), Localized: mdm.Clean(e.Localized), English: mdm.Clean(e.English)})
	}
	b, err := json.Marshal(clean)
	if err != nil {
		return "", fmt.Errorf("keep an error chain: %w", err)
	}
	return string(b), nil
}

// why tells a person what the tablet's error says.
func why(rep *mdm.Report) string {
	if len(rep.ErrorChain) == 0 {
		if rep.Status == statusBad {
			return "the tablet does not understand the command"
		}
		return "the tablet reported an error and did not say which"
	}
	e := rep.ErrorChain[0]
	text := e.English
	if text == "" {
		text = e.Localized
	}
	return mdm.Clean(fmt.Sprintf("the tablet reported error %d (%s): %s", e.Code, e.Domain, text))
}

// clip keeps an unknown status short.
func clip(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
