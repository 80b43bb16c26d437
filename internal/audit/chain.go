package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

type row struct {
	ID      string     `db:"id"`
	At      sqldb.Time `db:"at"`
	Actor   string     `db:"actor"`
	Action  string     `db:"action"`
	Subject string     `db:"subject"`
	Detail  string     `db:"detail"`
	Seq     *int64     `db:"seq"`
	Hash    []byte     `db:"hash"`
}

const columns = `id, at, actor, action, subject, detail, seq, hash`

// link is the hash of an event at its place in the chain: over the hash before
// it and every field, each with its length so that no two events look alike.
func link(before []byte, seq int64, r row) []byte {
	h := sha256.New()
	h.Write(before)
	var n [8]byte
	number := func(v int64) {
		binary.BigEndian.PutUint64(n[:], uint64(v))
		h.Write(n[:])
	}
	number(seq)
	number(r.At.UnixMilli())
	for _, s := range []string{r.ID, r.Actor, r.Action, r.Subject, r.Detail} {
		number(int64(len(s)))
		h.Write([]byte(s))
	}
	return h.Sum(nil)
}

// chainBatch is how many events one statement chains.
const chainBatch = 100

// head is the end of the chain, in a row of its own: so that the last event
// cannot vanish unnoticed, and as what chainers wait for each other at.
type head struct {
	Seq  int64  `db:"seq"`
	Hash string `db:"hash"`
}

// Chain gives the events their places that have none yet. It is called every
// few seconds; any number of processes may do so at once.
func (l *Log) Chain(ctx context.Context) error {
	for {
		n, err := l.chainSome(ctx)
		if err != nil {
			return fmt.Errorf("chain events: %w", err)
		}
		if n < chainBatch {
			return nil
		}
	}
}

const waitingSQL = `SELECT ` + columns + ` FROM audit_events WHERE seq IS NULL ORDER BY id LIMIT ?`

func (l *Log) chainSome(ctx context.Context) (n int, err error) {
	// Mostly there is nothing, which must not cost a write transaction.
	var one int
	err = l.db.Get(ctx, &one, `SELECT 1 FROM audit_events WHERE seq IS NULL LIMIT 1`)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = l.db.Do(ctx, func(tx *sqldb.Tx) error {
		h, err := lockHead(ctx, tx)
		if err != nil {
			return err
		}
		before, err := hex.DecodeString(h.Hash)
		if err != nil {
			return fmt.Errorf("read the head: %w", err)
		}
		var rows []row
		if err := tx.Select(ctx, &rows, waitingSQL, chainBatch); err != nil {
			return err
		}
		if n = len(rows); n == 0 {
			return nil
		}
		var seqs, hashes strings.Builder
		var seqArgs, hashArgs, ids []any
		for _, r := range rows {
			h.Seq++
			before = link(before, h.Seq, r)
			seqs.WriteString(` WHEN ? THEN ?`)
			hashes.WriteString(` WHEN ? THEN ?`)
			seqArgs = append(seqArgs, r.ID, h.Seq)
			hashArgs = append(hashArgs, r.ID, before)
			ids = append(ids, r.ID)
		}
		// ELSE gives PostgreSQL the type of the values.
		text := `UPDATE audit_events SET seq = CASE id` + seqs.String() + ` ELSE seq END, hash = CASE id` + hashes.String() +
			` ELSE hash END WHERE id IN (?` + strings.Repeat(`, ?`, len(ids)-1) + `)`
		if _, err := tx.Exec(ctx, text, append(append(seqArgs, hashArgs...), ids...)...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE audit_head SET seq = ?, hash = ? WHERE name = 'head'`, h.Seq, hex.EncodeToString(before))
		return err
	})
	return n, err
}

// lockHead reads the end of the chain and holds it until the commit.
func lockHead(ctx context.Context, tx *sqldb.Tx) (head, error) {
	const text = `SELECT seq, hash FROM audit_head WHERE name = 'head'`
	var h head
	err := tx.Get(ctx, &h, text+tx.ForUpdate())
	if !errors.Is(err, sqldb.ErrNoRows) {
		return h, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO audit_head (name, seq, hash) VALUES ('head', 0, '') ON CONFLICT (name) DO NOTHING`); err != nil {
		return h, err
	}
	return h, tx.Get(ctx, &h, text+tx.ForUpdate())
}

// verifyPage is how many events are read at a time: the log may be long.
const verifyPage = 1000

// Verify checks the whole chain, on one snapshot of the database.
func (l *Log) Verify(ctx context.Context) (VerifyResult, error) {
	var v VerifyResult
	err := l.db.Read(ctx, func(q sqldb.Queryer) error {
		v = VerifyResult{}
		var h head
		err := q.Get(ctx, &h, `SELECT seq, hash FROM audit_head WHERE name = 'head'`)
		if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		if err := q.Get(ctx, &v.Waiting, `SELECT COUNT(*) FROM audit_events WHERE seq IS NULL`); err != nil {
			return err
		}
		var before []byte
		for {
			var rows []row
			err := q.Select(ctx, &rows, `SELECT `+columns+` FROM audit_events WHERE seq > ? ORDER BY seq LIMIT ?`, v.Events, verifyPage)
			if err != nil {
				return err
			}
			if !v.follow(&before, rows) {
				return nil
			}
			if len(rows) < verifyPage {
				break
			}
		}
		v.Head = hex.EncodeToString(before)
		switch {
		case v.Events < h.Seq:
			v.Seq, v.Reason = v.Events+1, "The last events were removed."
		case v.Events > h.Seq || v.Head != h.Hash:
			v.Seq, v.Reason = v.Events, "The end of the chain is not the one that was noted."
		default:
			// Sequence numbers begin with 1: what stands before was slipped in.
			var odd int64
			if err := q.Get(ctx, &odd, `SELECT COUNT(*) FROM audit_events WHERE seq < 1 OR (seq IS NULL AND hash IS NOT NULL)`); err != nil {
				return err
			}
			if v.OK = odd == 0; !v.OK {
				v.Reason = "There are events beside the chain that claim a place in it."
			}
		}
		return nil
	})
	if err != nil {
		return VerifyResult{}, fmt.Errorf("verify the audit log: %w", err)
	}
	return v, nil
}

// follow checks the next rows; false when the chain breaks.
func (v *VerifyResult) follow(before *[]byte, rows []row) bool {
	for _, r := range rows {
		want := v.Events + 1
		switch {
		case *r.Seq != want:
			v.Seq, v.Reason = want, "An event was removed."
			return false
		case string(r.Hash) != string(link(*before, want, r)):
			v.Seq, v.Reason = want, "An event was altered or slipped in."
			return false
		}
		*before = r.Hash
		v.Events = want
	}
	return true
}

// List lists entries, newest first.
func (l *Log) List(ctx context.Context, q sqldb.Queryer, f Filter) ([]Entry, error) {
	if f.Limit < 0 || f.Limit > 500 {
		return nil, fault.New(fault.Invalid, "audit.limit", "Ask for 1 to 500 events at a time, not %d.", f.Limit).On("limit")
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	text, args := `SELECT `+columns+` FROM audit_events WHERE TRUE`, []any{}
	for _, c := range []struct{ value, cond string }{
		{f.Subject, ` AND subject = ?`}, {f.Action, ` AND action = ?`}, {f.After, ` AND id < ?`},
	} {
		if c.value != "" {
			text, args = text+c.cond, append(args, storable(c.value))
		}
	}
	var rows []row
	if err := q.Select(ctx, &rows, text+` ORDER BY id DESC LIMIT ?`, append(args, f.Limit)...); err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	list := make([]Entry, 0, len(rows))
	for _, r := range rows {
		e := Entry{
			Event: Event{Actor: Actor(r.Actor), Action: r.Action, Subject: r.Subject},
			ID:    r.ID, At: r.At.Time, Hash: hex.EncodeToString(r.Hash),
		}
		if r.Seq != nil {
			e.Seq = *r.Seq
		}
		if err := json.Unmarshal([]byte(r.Detail), &e.Detail); err != nil {
			return nil, fmt.Errorf("read event %s: %w", r.ID, err)
		}
		list = append(list, e)
	}
	return list, nil
}
