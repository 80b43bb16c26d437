package enroll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ranzen/certs"
	"ranzen/internal/apple/ade"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// How often Apple is asked. The whole list is read again each day, because sync
// does not tell of everything: deletions and throttled devices go missing in it.
const (
	syncEvery = 5 * time.Minute
	fullEvery = 24 * time.Hour
	// humanRetry is for what a person must put right first.
	humanRetry = time.Hour
	retryFirst = time.Minute
	retryMost  = time.Hour
	// maxRetryAfter bounds how long a word of Apple's keeps us away.
	maxRetryAfter = 24 * time.Hour
)

// maxPages bounds one turn of one token; the next goes on where it ended.
const maxPages = 500

// What may be missing in a full list and is believed to be gone: both bounds
// hold. More looks like a mistake at Apple or in a token, and a person is asked.
const (
	maxMissing        = 10
	maxMissingPercent = 5
)

// errOvertaken: another process stored the page that was just asked for.
var errOvertaken = errors.New("another process was first")

// SyncADE is a loop step: it reads Apple's lists for the tokens whose turn it is.
// A token that has trouble keeps no other waiting; what is wrong is written to
// its row, and shown there until Apple answers again.
func (r *Room) SyncADE(ctx context.Context) error {
	if r.Apple == nil {
		return nil
	}
	tokens, err := r.Certs.ADETokens(ctx, r.DB, "")
	if err != nil {
		return err
	}
	states, err := adeSyncs(ctx, r.DB)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range tokens {
		s, known := states[t.ID]
		if t.Version == 0 || known && s.DueAt.After(r.Clock.Now()) {
			continue
		}
		err := r.SyncToken(ctx, t.ID, false)
		if k := fault.KindOf(err); err != nil && k != fault.Upstream && k != fault.NotFound { // trouble of Apple's is noted; a token may be removed meanwhile
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// SyncToken reads a token's list to its end: all of it when it never was, when a
// day has passed, when Apple no longer knows the cursor, or when full; else what
// happened since. What is wrong at Apple's end is a fault of kind Upstream.
func (r *Room) SyncToken(ctx context.Context, tokenID string, full bool) error {
	tok, secrets, err := r.Certs.ADESecrets(ctx, r.DB, tokenID)
	if err != nil {
		return err
	}
	err = r.DB.Do(ctx, func(tx *sqldb.Tx) error { return insertADESync(ctx, tx, tokenID, r.Clock.Now()) })
	if err != nil {
		return err
	}
	restarted := false
	for range maxPages {
		s, err := adeSyncOf(ctx, r.DB, tokenID, "")
		if err != nil {
			return fmt.Errorf("read how far Apple's list is read: %w", err)
		}
		if s.Phase == phaseSync && (full || !r.Clock.Now().Before(s.FullAt.Add(fullEvery))) {
			full = false
			if err := r.restart(ctx, s); err != nil {
				return overtaken(err)
			}
			continue
		}
		page, err := r.page(ctx, tok, secrets, s)
		if lostCursor(err) && s.Cursor != "" && !restarted {
			restarted = true
			if err := r.restart(ctx, s); err != nil {
				return overtaken(err)
			}
			continue
		}
		if err != nil {
			return r.stumble(ctx, tok, err, true)
		}
		if err := r.store(ctx, tok, s, page); err != nil {
			return overtaken(err)
		}
		if s.Phase == phaseSync && !page.More {
			break
		}
	}
	return r.replacements(ctx, tok, secrets)
}

func overtaken(err error) error {
	if errors.Is(err, errOvertaken) {
		return nil
	}
	return err
}

func lostCursor(err error) bool { return ade.IsExpiredCursor(err) || ade.IsInvalidCursor(err) }

func (r *Room) restart(ctx context.Context, s adeSync) error {
	return r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		n, err := beginADERun(ctx, tx, s, r.Clock.Now())
		if err == nil && n == 0 {
			return errOvertaken
		}
		return err
	})
}

// page asks for the next page. That the list is exhausted is its end.
func (r *Room) page(ctx context.Context, tok certs.ADEToken, secrets ade.Token, s adeSync) (ade.Page, error) {
	if s.Phase == phaseSync {
		return r.Apple.Sync(ctx, tok.Key(), secrets, s.Cursor, ade.MaxPage)
	}
	p, err := r.Apple.Fetch(ctx, tok.Key(), secrets, s.Cursor, ade.MaxPage)
	if ade.IsExhausted(err) && s.Cursor != "" {
		return ade.Page{Cursor: s.Cursor}, nil
	}
	return p, err
}

// store keeps a page and moves the cursor over it, both or neither.
func (r *Room) store(ctx context.Context, tok certs.ADEToken, s adeSync, p ade.Page) error {
	now := r.Clock.Now()
	next := s
	next.Cursor, next.DueAt = p.Cursor, sqldb.At(now)
	complete := s.Phase == phaseFetch && !p.More
	if complete {
		next.Phase, next.FullRun, next.FullAt = phaseSync, s.Run, sqldb.At(now)
	}
	if !p.More {
		next.DueAt = sqldb.At(now.Add(syncEvery))
	}
	return r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		// First, so that of two processes one waits here and finds itself overtaken.
		n, err := moveADECursor(ctx, tx, s, next, now)
		if err != nil {
			return err
		}
		if n == 0 {
			return errOvertaken
		}
		if err := r.storeDevices(ctx, tx, tok, s, p.Devices); err != nil {
			return err
		}
		if complete {
			return r.missed(ctx, tx, tok.ID, s.Run)
		}
		return nil
	})
}

// storeDevices writes what a page says, serial number by serial number.
func (r *Room) storeDevices(ctx context.Context, tx *sqldb.Tx, tok certs.ADEToken, s adeSync, devices []ade.Device) error {
	events := map[string][]ade.Device{}
	for _, d := range devices {
		serial, err := schools.NormalSerial(d.Serial)
		if err != nil {
			r.Log.WarnContext(ctx, "Apple sent a serial number that could be none", "token", tok.ID)
			continue
		}
		events[serial] = append(events[serial], d)
	}
	serials := make([]string, 0, len(events))
	for serial := range events {
		serials = append(serials, serial)
	}
	slices.Sort(serials)
	known, err := adeKnown(ctx, tx, tok.ID, serials)
	if err != nil {
		return err
	}
	now := r.Clock.Now()
	var changed []adeRow
	var touched, there []string
	for _, serial := range serials {
		before, has := known[serial]
		after := before
		if !has {
			after = adeRow{Serial: serial, FirstAt: sqldb.At(now)}
		}
		said := false
		for _, d := range inOrder(events[serial]) {
			said = after.hear(d, s.Phase, now) || said
		}
		if !has && !said {
			continue // it left before we ever knew it
		}
		if after.Run = s.Run; after.RemovedAt.IsZero() {
			there = append(there, serial)
		}
		if before.Run = s.Run; has && after == before {
			touched = append(touched, serial)
		} else {
			changed = append(changed, after)
		}
	}
	if err := r.Schools.EnsureOrdered(ctx, tx, audit.System, tok.TenantID, there); err != nil {
		return err
	}
	if err := touchADE(ctx, tx, tok.ID, touched, s.Run, now); err != nil {
		return err
	}
	return upsertADE(ctx, tx, tok.ID, tok.TenantID, changed, now)
}

// inOrder sorts the events of one serial number by their time: a page may hold
// several, in any order. Of two at the same second, with one a deletion, the
// device is rather believed to be there; the next full list tells.
func inOrder(events []ade.Device) []ade.Device {
	slices.SortStableFunc(events, func(a, b ade.Device) int {
		return cmp.Or(a.OpAt.Compare(b.OpAt), cmp.Compare(presence(a), presence(b)))
	})
	return events
}

func presence(d ade.Device) int {
	if d.OpType == "deleted" {
		return 0
	}
	return 1
}

// hear takes in what Apple says, unless it is older than what is known, and
// tells whether it did.
func (a *adeRow) hear(d ade.Device, phase string, now time.Time) bool {
	event := phase == phaseSync
	deleted := event && d.OpType == "deleted"
	if event && !d.OpAt.IsZero() {
		if d.OpAt.Before(a.OpAt.Time) {
			return false
		}
		a.OpAt = sqldb.At(d.OpAt)
	}
	if deleted {
		if a.RemovedAt.IsZero() {
			a.RemovedAt = sqldb.At(now)
		}
		return a.Run > 0 // what never was here does not begin with its end
	}
	a.RemovedAt = sqldb.Time{}
	a.Model, a.Description, a.Color, a.Family = d.Model, d.Description, d.Color, d.Family
	a.ProfileUUID, a.ProfileState, a.ProfileAt = d.ProfileUUID, d.ProfileState, sqldb.At(d.ProfileAt)
	a.AssignedAt = sqldb.At(d.AssignedAt)
	a.Replacement = d.Replacement && a.Replaces == ""
	return true
}

// missed compares with a list that is complete. A few devices that are not in it
// are believed to be gone; more are not, and a person is asked.
func (r *Room) missed(ctx context.Context, tx *sqldb.Tx, tokenID string, run int64) error {
	missing, all, err := missedADE(ctx, tx, tokenID, run)
	if err != nil {
		return err
	}
	if missing > maxMissing || missing*100 > all*maxMissingPercent {
		if err := setMissing(ctx, tx, tokenID, missing); err != nil {
			return err
		}
		r.Log.WarnContext(ctx, "many devices are missing in Apple's list; a person is asked", "token", tokenID, "missing", missing, "known", all)
		return nil
	}
	if err := setMissing(ctx, tx, tokenID, 0); err != nil || missing == 0 {
		return err
	}
	return r.removeMissed(ctx, tx, audit.System, tokenID, run)
}

func (r *Room) removeMissed(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tokenID string, run int64) error {
	n, err := removeMissedADE(ctx, tx, tokenID, run, r.Clock.Now())
	if err != nil {
		return err
	}
	return r.record(ctx, tx, actor, "ade.missing-removed", "ade-token:"+tokenID, map[string]any{"count": n})
}

// AcceptMissing is a person's word that what was missing in the last full list is
// gone from this server at Apple. The devices stay.
func (r *Room) AcceptMissing(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tokenID string) (int64, error) {
	s, err := adeSyncOf(ctx, tx, tokenID, tx.ForUpdate())
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return 0, fmt.Errorf("read what Apple misses: %w", err)
	}
	if s.Missing == 0 {
		return 0, fault.New(fault.Conflict, "ade.none-missing", "Nothing is missing in Apple's list, so there is nothing to accept.")
	}
	missing, _, err := missedADE(ctx, tx, tokenID, s.FullRun)
	if err != nil {
		return 0, err
	}
	if err := setMissing(ctx, tx, tokenID, 0); err != nil {
		return 0, err
	}
	return missing, r.removeMissed(ctx, tx, actor, tokenID, s.FullRun)
}

// RequestSync makes a token's turn come at once; full reads the whole list again.
func (r *Room) RequestSync(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tokenID string, full bool) error {
	if _, _, err := r.Certs.ADESecrets(ctx, tx, tokenID); err != nil {
		return err
	}
	if err := insertADESync(ctx, tx, tokenID, r.Clock.Now()); err != nil {
		return err
	}
	if _, err := hurryADE(ctx, tx, tokenID, r.Clock.Now()); err != nil {
		return err
	}
	if full {
		s, err := adeSyncOf(ctx, tx, tokenID, tx.ForUpdate())
		if err != nil {
			return fmt.Errorf("read how far Apple's list is read: %w", err)
		}
		if _, err := beginADERun(ctx, tx, s, r.Clock.Now()); err != nil {
			return err
		}
	}
	return r.record(ctx, tx, actor, "ade.sync", "ade-token:"+tokenID, map[string]any{"full": full})
}

// ForgetADE ends what is known by a token that is removed. Its devices stay.
func (r *Room) ForgetADE(ctx context.Context, tx *sqldb.Tx, tokenID string) error {
	return forgetADE(ctx, tx, tokenID, r.Clock.Now())
}
