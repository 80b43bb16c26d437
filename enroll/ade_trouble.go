package enroll

import (
	"context"
	"time"

	"ranzen/certs"
	"ranzen/internal/apple/ade"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Codes of what can be wrong with a token; a token's row carries one, and
// ADEProblem tells it in words.
const (
	adeTerms       = "ade.terms"
	adeRefused     = "ade.refused"
	adeBusy        = "ade.busy"
	adeCursor      = "ade.cursor"
	adeUnreachable = "ade.unreachable"
)

// ADEProblem is a problem of a token in words: what is wrong, and who can do
// something about it.
func ADEProblem(code string) string {
	switch code {
	case "":
		return ""
	case adeTerms:
		return "Apple asks for new terms: somebody with the Administrator role must sign in to Apple School Manager and accept them"
	case adeRefused:
		return "Apple does not take the server token any more: it was replaced or its server was removed in Apple School Manager; download a new token there and import it"
	case adeBusy:
		return "Apple asks to be left alone for a while; it is tried again by itself"
	case adeCursor:
		return "Apple does not know how far its list was read, again and again; it is read from the beginning by itself"
	}
	return "Apple cannot be reached or does not answer as it should; it is tried again by itself"
}

// adeTrouble tells what an error from Apple means, and when to try again after so
// many failures in a row.
func adeTrouble(err error, attempts int64) (code string, wait time.Duration) {
	if ade.IsTerms(err) {
		return adeTerms, humanRetry
	}
	wait = backoff(retryFirst, retryMost, attempts)
	if ade.IsTokenRefused(err) {
		return adeRefused, wait // sessions are lost now and then, so it begins small
	}
	if after, busy := ade.IsThrottled(err); busy {
		return adeBusy, min(max(wait, after), maxRetryAfter)
	}
	if lostCursor(err) {
		return adeCursor, wait
	}
	return adeUnreachable, wait
}

// backoff doubles with each failure, up to most.
func backoff(first, most time.Duration, attempts int64) time.Duration {
	wait := first
	for range min(attempts, 20) {
		if wait *= 2; wait >= most {
			return most
		}
	}
	return wait
}

// stumble writes to a token's row why a turn failed. Syncing waits, or assigning.
func (r *Room) stumble(ctx context.Context, tok certs.ADEToken, cause error, syncing bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	code := ""
	err := r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		now := r.Clock.Now()
		s, err := adeSyncOf(ctx, tx, tok.ID, tx.ForUpdate())
		if err != nil {
			return err
		}
		var wait time.Duration
		code, wait = adeTrouble(cause, s.Attempts)
		again := sqldb.At(now.Add(wait))
		if code == adeTerms || code == adeRefused || !syncing {
			return stumbleADE(ctx, tx, tok.ID, code, dueIf(syncing, again), again, now)
		}
		return stumbleADE(ctx, tx, tok.ID, code, again, sqldb.Time{}, now)
	})
	if err != nil {
		return err
	}
	r.Log.WarnContext(ctx, "Apple's device assignment did not go well and is tried again", "token", tok.ID, "problem", code, "err", cause)
	return fault.New(fault.Upstream, code, "%s.", ADEProblem(code)).With(cause)
}

func dueIf(yes bool, t sqldb.Time) sqldb.Time {
	if yes {
		return t
	}
	return sqldb.Time{}
}

// maxReplacements bounds the questions of one turn.
const maxReplacements = 20

// replacements asks which devices were exchanged for which. Not knowing it holds
// nothing up; it is asked again with the next full list.
func (r *Room) replacements(ctx context.Context, tok certs.ADEToken, secrets ade.Token) error {
	serials, err := askedReplacements(ctx, r.DB, tok.ID, maxReplacements)
	if err != nil {
		return err
	}
	for _, serial := range serials {
		original, err := r.Apple.Replaced(ctx, tok.Key(), secrets, serial)
		if err != nil {
			r.Log.WarnContext(ctx, "Apple did not say which device was exchanged", "token", tok.ID, "err", err)
			return ctx.Err()
		}
		err = r.DB.Do(ctx, func(tx *sqldb.Tx) error { return setReplaces(ctx, tx, tok.ID, serial, original) })
		if err != nil {
			return err
		}
	}
	return nil
}

// ADEForPeople tells whether a problem waits for a person rather than for Apple.
func ADEForPeople(code string) bool { return code == adeTerms || code == adeRefused }
