package apple

import (
	"net/http"
	"strconv"
	"time"
)

// SchoolFault is a way for Apple School Manager to be awkward.
type SchoolFault string

// What can go wrong with a good request.
const (
	SchoolTooMany     SchoolFault = "too-many"    // 429 with Retry-After
	SchoolUnavailable SchoolFault = "unavailable" // 503
	SchoolGateway     SchoolFault = "gateway"     // 502 with a proxy's page
	SchoolSession     SchoolFault = "session"     // the session is forgotten: 401
	SchoolForbidden   SchoolFault = "forbidden"   // the session is forgotten: 403 FORBIDDEN
	SchoolExpired     SchoolFault = "expired"     // 400 EXPIRED_CURSOR
	SchoolInvalid     SchoolFault = "invalid"     // 400 INVALID_CURSOR
	SchoolEmptyPage   SchoolFault = "empty-page"  // a page without devices; more follows
	SchoolTruncated   SchoolFault = "truncated"   // half a document
	SchoolNothing     SchoolFault = "nothing"     // 200 and no body
	SchoolSlow        SchoolFault = "slow"        // answered after SchoolFaults.Delay
)

// SchoolFaults are rates, 0 to 1, drawn by seed.
type SchoolFaults struct {
	Broken    float64 // of requests: one of the faults above, evenly
	Throttled float64 // of assignments, for each device
	Failed    float64 // of assignments, for each device
	Doubled   float64 // of events: told twice
	Shuffled  float64 // of pages of events: not in their order

	RetryAfter time.Duration // of 429 and of throttled devices; 0 is one second
	Delay      time.Duration // of SchoolSlow; 0 is 100 ms
}

func (f SchoolFaults) retryAfter() int { return max(1, int(f.RetryAfter/time.Second)) }

// Fail makes the next requests fail in order, before rates are drawn.
func (s *School) Fail(faults ...SchoolFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, faults...)
}

// fault chooses how a request fails; s.mu is held.
func (s *School) fault(what string) SchoolFault {
	if len(s.next) > 0 {
		f := s.next[0]
		s.next = s.next[1:]
		return f
	}
	all := []SchoolFault{SchoolTooMany, SchoolUnavailable, SchoolGateway, SchoolSession, SchoolForbidden, SchoolExpired, SchoolInvalid, SchoolEmptyPage, SchoolTruncated, SchoolNothing, SchoolSlow}
	x := s.draw("fault " + what)
	if s.opts.Faults.Broken <= 0 || x >= s.opts.Faults.Broken {
		return ""
	}
	return all[int(x/s.opts.Faults.Broken*float64(len(all)))%len(all)]
}

// misbehave answers a request in place of the service; true: it is answered.
func (s *School) misbehave(w http.ResponseWriter, f SchoolFault, sv *mdmServer, listing bool) bool {
	switch f {
	case SchoolTooMany:
		w.Header().Set("Retry-After", strconv.Itoa(s.opts.Faults.retryAfter()))
		word(w, http.StatusTooManyRequests, "TOO_MANY_REQUESTS")
	case SchoolUnavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case SchoolGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html><body>BAD_GATEWAY upstream_error</body></html>")) // nobody cares
	case SchoolSession, SchoolForbidden:
		s.mu.Lock()
		clear(sv.sessions)
		s.mu.Unlock()
		if f == SchoolForbidden {
			word(w, http.StatusForbidden, "FORBIDDEN")
		} else {
			word(w, http.StatusUnauthorized, "UNAUTHORIZED")
		}
	case SchoolExpired, SchoolInvalid:
		if !listing {
			return false
		}
		word(w, http.StatusBadRequest, map[SchoolFault]string{SchoolExpired: "EXPIRED_CURSOR", SchoolInvalid: "INVALID_CURSOR"}[f])
	case SchoolTruncated:
		_, _ = w.Write([]byte(`{"devices":[{"serial_number":"RZ`)) // as if the line were cut
	case SchoolNothing:
		w.WriteHeader(http.StatusOK)
	default:
		return false
	}
	return true
}

// word is how Apple refuses: a word in the body.
func word(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/plain;charset=UTF8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(code)) // a client that hangs up reads no error
}
