package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// chunk is how many rows one statement touches: both databases limit the
// number of parameters.
const chunk = 500

// addTries bounds how often Add meets another transaction that adds the same
// keys at the same moment.
const addTries = 5

// Add queues commands in the caller's transaction and marks their tablets to be
// woken. An open command of the same tablet and key is superseded, whether it
// was handed over or not; only a Spec.Once is not: as long as one is open, a
// second is a fault.Conflict that names it. Where one call names a tablet and
// key twice the later counts, and both get its ID.
func (q *Queue) Add(ctx context.Context, tx *sqldb.Tx, cs ...Command) (ids []string, err error) {
	now := q.clk.Now()
	ids = make([]string, len(cs))
	list := make([]Command, 0, len(cs))
	at := make(map[[2]string]int, len(cs)) // tablet and key -> place in list
	place := make([]int, len(cs))
	for i, c := range cs {
		if err := q.complete(&c, now); err != nil {
			return nil, err
		}
		k := [2]string{c.EnrollmentID, c.DedupeKey}
		p, twice := at[k]
		if !twice {
			p = len(list)
			at[k], list = p, append(list, c)
		} else {
			list[p] = c
		}
		place[i] = p
	}
	for i, p := range place {
		ids[i] = list[p].ID
	}
	for rest := list; len(rest) > 0; {
		part := rest[:min(chunk, len(rest))]
		rest = rest[len(part):]
		if err := q.addSome(ctx, tx, part, now); err != nil {
			return nil, err
		}
	}
	return ids, q.due(ctx, tx, list, now)
}

// complete fills in what the caller left out.
func (q *Queue) complete(c *Command, now time.Time) error {
	spec, known := q.specs[c.Kind]
	switch {
	case !known:
		return fmt.Errorf("add command: nobody handles kind %q", c.Kind)
	case c.EnrollmentID == "":
		return fmt.Errorf("add %s: no enrollment", c.Kind)
	}
	if c.RequestType == "" {
		c.RequestType = spec.RequestType
	}
	if c.DedupeKey == "" {
		c.DedupeKey = c.Kind
	}
	if c.NotBefore.Before(now) {
		c.NotBefore = now
	}
	c.ID = sqldb.NewID()
	if len(c.Args) > 0 {
		sealed, err := q.vault.Seal(argsPurpose(c.ID), c.Args)
		if err != nil {
			return fmt.Errorf("add %s: %w", c.Kind, err)
		}
		c.Args = sealed
	}
	return nil
}

// addSome adds up to chunk commands of different tablets or keys.
func (q *Queue) addSome(ctx context.Context, tx *sqldb.Tx, cs []Command, now time.Time) error {
	for range addTries {
		if err := q.refuseSecond(ctx, tx, cs); err != nil {
			return err
		}
		if err := supersede(ctx, tx, cs, now); err != nil {
			return fmt.Errorf("supersede commands: %w", err)
		}
		n, err := q.insert(ctx, tx, cs, now)
		if err != nil {
			return fmt.Errorf("add commands: %w", err)
		}
		if int(n) == len(cs) {
			return nil
		}
		// Somebody else committed the same keys between the two statements.
		// Ours are the newer ones: once more for those that are missing.
		if cs, err = missing(ctx, tx, cs); err != nil {
			return fmt.Errorf("add commands: %w", err)
		}
	}
	return fault.New(fault.Conflict, "command.busy", "Others are changing the same tablets at the same time. Try again.")
}

// refuseSecond keeps a second erase from standing beside the first.
func (q *Queue) refuseSecond(ctx context.Context, tx *sqldb.Tx, cs []Command) error {
	var tablets []string
	wanted := map[[2]string]bool{}
	for _, c := range cs {
		if q.specs[c.Kind].Once {
			tablets = append(tablets, c.EnrollmentID)
			wanted[[2]string{c.EnrollmentID, c.DedupeKey}] = true
		}
	}
	if len(tablets) == 0 {
		return nil
	}
	var rows []row
	err := tx.Select(ctx, &rows, `SELECT id, enrollment_id, dedupe_key, kind, state FROM commands
		WHERE enrollment_id IN (?) AND once AND `+open, tablets)
	if err != nil {
		return fmt.Errorf("look for open commands: %w", err)
	}
	for _, r := range rows {
		if !wanted[[2]string{r.EnrollmentID, r.DedupeKey}] {
			continue
		}
		if State(r.State) == Sent {
			return fault.New(fault.Conflict, "command.open",
				"This is ordered already: command %s (%s) is with the tablet. Wait for its answer; after %d minutes without one it becomes uncertain.",
				r.ID, r.Kind, int(SentTimeout.Minutes()))
		}
		return fault.New(fault.Conflict, "command.open", "This is ordered already: command %s (%s) waits for the tablet. Cancel it first to order it anew.", r.ID, r.Kind)
	}
	return nil
}

const supersededReason = "a newer command took its place"

func supersede(ctx context.Context, tx *sqldb.Tx, cs []Command, now time.Time) error {
	const set = `UPDATE commands SET state = 'superseded', reason = '` + supersededReason + `', finished_at = ? WHERE ` + open + ` AND NOT once AND `
	if key, one := oneKey(cs); one {
		ids := make([]string, len(cs))
		for i, c := range cs {
			ids[i] = c.EnrollmentID
		}
		_, err := tx.Exec(ctx, set+`dedupe_key = ? AND enrollment_id IN (?)`, sqldb.At(now), key, ids)
		return err
	}
	args := make([]any, 0, 1+2*len(cs))
	args = append(args, sqldb.At(now))
	for _, c := range cs {
		args = append(args, c.EnrollmentID, c.DedupeKey)
	}
	_, err := tx.Exec(ctx, set+`(enrollment_id, dedupe_key) IN (VALUES `+repeat(`(?, ?)`, len(cs))+`)`, args...)
	return err
}

// oneKey tells whether all commands have the same key: the shape of a change
// for many tablets.
func oneKey(cs []Command) (string, bool) {
	for _, c := range cs {
		if c.DedupeKey != cs[0].DedupeKey {
			return "", false
		}
	}
	return cs[0].DedupeKey, true
}

func repeat(s string, n int) string { return s + strings.Repeat(", "+s, n-1) }

func (q *Queue) insert(ctx context.Context, tx *sqldb.Tx, cs []Command, now time.Time) (int64, error) {
	args := make([]any, 0, 14*len(cs))
	for _, c := range cs {
		lane := int64(normal)
		if c.Urgent {
			lane = urgent
		}
		args = append(args, c.ID, c.EnrollmentID, c.Generation, c.Kind, c.RequestType, c.DedupeKey, lane,
			q.specs[c.Kind].Once, string(c.Origin), c.Item, c.Args, sqldb.At(c.NotBefore), sqldb.At(c.Deadline), sqldb.At(now))
	}
	return tx.Exec(ctx, `INSERT INTO commands (id, enrollment_id, generation, kind, request_type, dedupe_key, lane,
			once, origin, item, args, not_before, deadline, created_at, state)
		VALUES `+repeat(`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued')`, len(cs))+`
		ON CONFLICT (enrollment_id, dedupe_key) WHERE `+open+` DO NOTHING`, args...)
}

func missing(ctx context.Context, tx *sqldb.Tx, cs []Command) ([]Command, error) {
	ids := make([]string, len(cs))
	for i, c := range cs {
		ids[i] = c.ID
	}
	var there []string
	if err := tx.Select(ctx, &there, `SELECT id FROM commands WHERE id IN (?)`, ids); err != nil {
		return nil, err
	}
	have := make(map[string]bool, len(there))
	for _, id := range there {
		have[id] = true
	}
	rest := make([]Command, 0, len(cs)-len(there))
	for _, c := range cs {
		if !have[c.ID] {
			rest = append(rest, c)
		}
	}
	return rest, nil
}

type connectedKey struct{}

// connected notes that a tablet is talking to us in this context: it need not
// be woken for what its own answer leads to.
func connected(ctx context.Context, enrollmentID string) context.Context {
	return context.WithValue(ctx, connectedKey{}, enrollmentID)
}

// resumeAfter is when a tablet that was connected is woken after all, should it
// have gone before it fetched what its last answer led to.
const resumeAfter = time.Minute

// due marks the tablets of cs to be woken when their commands are due.
func (q *Queue) due(ctx context.Context, tx *sqldb.Tx, cs []Command, now time.Time) error {
	here, _ := ctx.Value(connectedKey{}).(string)
	at := map[time.Time][]string{}
	for _, c := range cs {
		t := c.NotBefore
		if c.EnrollmentID == here && !t.After(now) {
			t = now.Add(resumeAfter)
		}
		at[t] = append(at[t], c.EnrollmentID)
	}
	for t, ids := range at {
		for len(ids) > 0 {
			part := ids[:min(chunk, len(ids))]
			ids = ids[len(part):]
			if err := arm(ctx, tx, t, part...); err != nil {
				return err
			}
		}
		if !t.After(now) {
			tx.AfterCommit(q.poke)
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// arm has tablets woken at t, unless they are woken earlier anyway.
func arm(ctx context.Context, tx *sqldb.Tx, t time.Time, ids ...string) error {
	_, err := tx.Exec(ctx, `UPDATE push_targets SET due_at = ?, attempts = 0 WHERE enrollment_id IN (?) AND (due_at IS NULL OR due_at > ?)`,
		sqldb.At(t), ids, sqldb.At(t))
	if err != nil {
		return fmt.Errorf("mark tablets to be woken: %w", err)
	}
	return nil
}

// poke tells RunWaker that something is due. It never waits: one pending nudge
// stands for any number.
func (q *Queue) poke() {
	select {
	case q.nudge <- struct{}{}:
	default:
	}
}
