package enroll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ranzen/certs"
	"ranzen/internal/apple/ade"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Apple's answers to an assignment, and ours when there was none for a serial
// number that was asked for.
const (
	resultSuccess       = "SUCCESS"
	resultNotAccessible = "NOT_ACCESSIBLE"
	resultFailed        = "FAILED"
	resultThrottled     = "THROTTLED"
	resultNone          = "NO_ANSWER"
)

// When an assignment is tried again.
const (
	confirmAfter  = 2 * time.Second  // Apple is asked whether it is so
	confirmAgain  = time.Minute      // and asked again
	successRetry  = 10 * time.Minute // it said SUCCESS, and still does not have it
	failedRetry   = 2 * time.Minute
	failedMost    = 6 * time.Hour
	throttleRetry = time.Hour // it did not say when
	defineRetry   = 5 * time.Minute
)

// assignRounds bounds one turn of one token.
const assignRounds = 50

// AssignADE is a loop step: it defines at Apple the profiles that somebody is to
// get, assigns them where Apple has another, and asks whether it is so. All of it
// is derived from rows, so whatever is lost on the way is done again: at most, a
// profile at Apple that nobody gets is left behind.
func (r *Room) AssignADE(ctx context.Context) error {
	if r.Apple == nil {
		return nil
	}
	if err := r.rehash(ctx); err != nil {
		return err
	}
	ids, err := adeTokensToDo(ctx, r.DB)
	if err != nil {
		return err
	}
	states, err := adeSyncs(ctx, r.DB)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if states[id].AssignAt.After(r.Clock.Now()) {
			continue
		}
		if err := r.assignToken(ctx, id); err != nil && fault.KindOf(err) != fault.Upstream {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// rehash notices that what is sent changed without a person's doing: the server
// trusts another root, or has another address.
func (r *Room) rehash(ctx context.Context) error {
	all, err := adeProfiles(ctx, r.DB, "")
	if err != nil {
		return err
	}
	for _, p := range all {
		_, hash, err := r.definition(p)
		if err != nil {
			return err
		}
		if hash == p.hash {
			continue
		}
		if err := r.DB.Do(ctx, func(tx *sqldb.Tx) error { return setADEHash(ctx, tx, p.ID, p.hash, hash) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *Room) assignToken(ctx context.Context, tokenID string) error {
	define, err := adeToDefine(ctx, r.DB, tokenID, r.Clock.Now())
	if err != nil {
		return err
	}
	assign, err := adeToAssign(ctx, r.DB, tokenID, 1, r.Clock.Now())
	if err != nil {
		return err
	}
	confirm, err := r.toConfirm(ctx, tokenID, 1)
	if err != nil || len(define)+len(assign)+len(confirm) == 0 {
		return err // all of it waits
	}
	tok, secrets, err := r.Certs.ADESecrets(ctx, r.DB, tokenID)
	if fault.KindOf(err) == fault.NotFound {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	for _, d := range define {
		if err := r.define(ctx, tok, secrets, d); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context, certs.ADEToken, ade.Token) (bool, error){r.assignSome, r.confirm} {
		for range assignRounds {
			more, err := step(ctx, tok, secrets)
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// define makes one profile at Apple. If the process dies between the answer and
// its storing, one is left there that nobody gets.
func (r *Room) define(ctx context.Context, tok certs.ADEToken, secrets ade.Token, d toDefine) error {
	p, err := r.ADEProfileByID(ctx, r.DB, d.ProfileID)
	if err != nil {
		return err
	}
	raw, hash, err := r.definition(p)
	if err != nil {
		return err
	}
	uuid, err := r.Apple.DefineProfile(ctx, tok.Key(), secrets, raw)
	problem, retry := "", sqldb.Time{}
	if err != nil {
		word, refused := refusedProfile(err)
		if !refused {
			return r.stumble(ctx, tok, err, false)
		}
		problem, retry = word, sqldb.At(r.Clock.Now().Add(backoff(defineRetry, failedMost, d.Attempts)))
		r.Log.WarnContext(ctx, "Apple refuses an enrollment profile", "profile", p.ID, "token", tok.ID, "reason", word)
	}
	return r.DB.Do(ctx, func(tx *sqldb.Tx) error { return setDefined(ctx, tx, d, hash, uuid, problem, retry, r.Clock.Now()) })
}

// refusedProfile is Apple's word against a profile, rather than against us: it
// would say the same tomorrow.
func refusedProfile(err error) (word string, is bool) {
	e, ok := errors.AsType[*ade.Error](err)
	if !ok || e.Status != 400 || lostCursor(err) {
		return "", false
	}
	if e.Code == "" {
		return "BAD_REQUEST", true
	}
	return e.Code, true
}

// assignSome asks Apple to assign one profile to as many as it takes at once, and
// tells whether there may be more to do.
func (r *Room) assignSome(ctx context.Context, tok certs.ADEToken, secrets ade.Token) (more bool, err error) {
	rows, err := adeToAssign(ctx, r.DB, tok.ID, ade.MaxPage, r.Clock.Now())
	if err != nil || len(rows) == 0 {
		return false, err
	}
	uuid := rows[0].UUID
	rows = slices.DeleteFunc(rows, func(t toAssign) bool { return t.UUID != uuid })
	serials := make([]string, len(rows))
	for i, t := range rows {
		serials[i] = t.Serial
	}
	answer, err := r.Apple.Assign(ctx, tok.Key(), secrets, uuid, serials)
	if ade.IsProfileUnknown(err) {
		return true, r.lost(ctx, tok.ID, uuid)
	}
	if err != nil {
		return false, r.stumble(ctx, tok, err, false)
	}
	return true, r.storeAnswers(ctx, tok.ID, uuid, rows, answer)
}

// lost: the profile was removed at Apple.
func (r *Room) lost(ctx context.Context, tokenID, uuid string) error {
	return r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		n, err := definedAttempts(ctx, tx, tokenID, uuid)
		if err != nil {
			return err
		}
		again := r.Clock.Now()
		if n > 1 { // the first time at once
			again = again.Add(backoff(retryFirst, failedMost, n))
		}
		return lostDefined(ctx, tx, tokenID, uuid, again)
	})
}

// storeAnswers keeps what Apple said, serial number by serial number.
func (r *Room) storeAnswers(ctx context.Context, tokenID, uuid string, rows []toAssign, answer ade.Assigned) error {
	type alike struct {
		result string
		tries  int64
	}
	groups := map[alike][]string{}
	for _, t := range rows {
		result := answer.Results[t.Serial]
		if result == "" {
			result = resultNone
		}
		key := alike{result, t.tries() + 1}
		groups[key] = append(groups[key], t.Serial)
	}
	now := r.Clock.Now()
	return r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		for key, serials := range groups {
			retry := now.Add(retryOf(key.result, key.tries-1, answer.RetryAfter))
			if err := setAsked(ctx, tx, tokenID, uuid, short(key.result), key.tries, serials, retry, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// retryOf is how long to wait after an answer, when so many came before it.
func retryOf(result string, tries int64, after time.Duration) time.Duration {
	switch result {
	case resultSuccess:
		return backoff(successRetry, failedMost, tries)
	case resultThrottled:
		if after > 0 {
			return min(after, maxRetryAfter)
		}
		return throttleRetry
	}
	return backoff(failedRetry, failedMost, tries)
}

func (r *Room) toConfirm(ctx context.Context, tokenID string, limit int) ([]string, error) {
	now := r.Clock.Now()
	return adeToConfirm(ctx, r.DB, tokenID, limit, now.Add(-confirmAfter), now.Add(-confirmAgain))
}

// confirm asks Apple about what it took orders for. Only its own list counts.
func (r *Room) confirm(ctx context.Context, tok certs.ADEToken, secrets ade.Token) (more bool, err error) {
	serials, err := r.toConfirm(ctx, tok.ID, ade.MaxPage)
	if err != nil || len(serials) == 0 {
		return false, err
	}
	details, err := r.Apple.Details(ctx, tok.Key(), secrets, serials)
	if err != nil {
		return false, r.stumble(ctx, tok, err, false)
	}
	return len(serials) == ade.MaxPage, r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		known, err := adeKnown(ctx, tx, tok.ID, serials)
		if err != nil {
			return err
		}
		var changed []adeRow
		for _, serial := range serials {
			row, has := known[serial]
			d, told := details[serial]
			if !has || !told || !row.RemovedAt.IsZero() {
				continue
			}
			before := row
			row.ProfileUUID, row.ProfileState, row.ProfileAt = d.ProfileUUID, d.ProfileState, sqldb.At(d.ProfileAt)
			if row != before {
				changed = append(changed, row)
			}
		}
		if err := upsertADE(ctx, tx, tok.ID, tok.TenantID, changed, r.Clock.Now()); err != nil {
			return fmt.Errorf("confirm assignments: %w", err)
		}
		return seenADE(ctx, tx, tok.ID, serials, r.Clock.Now())
	})
}
