package apple

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Fault is a way to fail a push.
type Fault string

// What can go wrong with a good push.
const (
	TooMany      Fault = "too-many"     // 429 with Retry-After
	Unavailable  Fault = "unavailable"  // 503 with Retry-After
	ServerError  Fault = "server-error" // 500
	Unregistered Fault = "unregistered" // 410, although the token is good
	BadToken     Fault = "bad-token"    // 400, although the token is good
	GoAway       Fault = "go-away"      // answered, then the connection takes no more streams
	Disconnect   Fault = "disconnect"   // the connection is cut without an answer
	Slow         Fault = "slow"         // answered after Faults.Delay
	Drop         Fault = "drop"         // answered 200 and forgotten, as Apple may for a wrong topic
)

// Faults are rates, 0 to 1, drawn by seed for each good push; together at most 1.
type Faults struct {
	TooMany, Unavailable, ServerError, Unregistered, BadToken, GoAway, Disconnect, Slow, Drop float64

	RetryAfter time.Duration // of 429 and 503; whole seconds, 0 is one
	Delay      time.Duration // of Slow; 0 is 100 ms
}

func (f Faults) draw(x float64) Fault {
	for _, r := range []struct {
		rate float64
		is   Fault
	}{
		{f.TooMany, TooMany}, {f.Unavailable, Unavailable}, {f.ServerError, ServerError},
		{f.Unregistered, Unregistered}, {f.BadToken, BadToken}, {f.GoAway, GoAway},
		{f.Disconnect, Disconnect}, {f.Slow, Slow}, {f.Drop, Drop},
	} {
		if x < r.rate {
			return r.is
		}
		x -= r.rate
	}
	return ""
}

// fault chooses how this push fails: what Fail ordered, else by seed, token and
// how many pushes the token had, so that the order among tablets is no matter.
func (a *APNs) fault(token string) Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[token]
	t.seen++
	if len(a.next) > 0 {
		f := a.next[0]
		a.next = a.next[1:]
		return f
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", token, t.seen)
	return a.opts.Faults.draw(rand.New(rand.NewPCG(a.opts.Seed, h.Sum64())).Float64())
}

// misbehave fails a push if it is this push's turn; true: it is answered.
func (a *APNs) misbehave(w http.ResponseWriter, r *http.Request, token string) bool {
	after := max(1, int(a.opts.Faults.RetryAfter/time.Second))
	switch a.fault(token) {
	case TooMany:
		w.Header().Set("Retry-After", strconv.Itoa(after))
		a.refuse(w, refusal{status: http.StatusTooManyRequests, reason: "TooManyRequests"})
	case Unavailable:
		w.Header().Set("Retry-After", strconv.Itoa(after))
		a.refuse(w, refusal{status: http.StatusServiceUnavailable, reason: "ServiceUnavailable"})
	case ServerError:
		a.refuse(w, refusal{status: http.StatusInternalServerError, reason: "InternalServerError"})
	case Unregistered:
		a.refuse(w, refusal{status: http.StatusGone, reason: "Unregistered", gone: a.clock.Now()})
	case BadToken:
		a.refuse(w, refusal{status: http.StatusBadRequest, reason: "BadDeviceToken"})
	case GoAway:
		a.count(func(c *Counts) { c.Disconnected++ })
		w.Header().Set("Connection", "close") // HTTP/2: net/http sends GOAWAY and finishes the streams
		return false
	case Disconnect:
		a.count(func(c *Counts) { c.Disconnected++ })
		if c, ok := r.Context().Value(connKey{}).(interface{ Close() error }); ok {
			_ = c.Close() // it is being cut on purpose
		}
		return true
	case Slow:
		delay := a.opts.Faults.Delay
		if delay == 0 {
			delay = 100 * time.Millisecond
		}
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
		return false
	case Drop:
		a.count(func(c *Counts) { c.Accepted++; c.Dropped++ })
		w.WriteHeader(http.StatusOK)
	default:
		return false
	}
	return true
}

// connKey finds a request's connection in its context.
type connKey struct{}
