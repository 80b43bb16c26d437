package apple

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// service is the device assignment service (Apple, Device Management, "Device
// assignment").
func (s *School) service() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /session", s.session)
	for pattern, do := range map[string]func(http.ResponseWriter, *mdmServer, request){
		"GET /account": s.account, "POST /server/devices": s.fetch, "POST /devices/sync": s.sync, "POST /devices": s.details,
		"POST /profile": s.define, "GET /profile": s.profile, "POST /profile/devices": s.assign, "PUT /profile/devices": s.assign,
		"DELETE /profile/devices": s.unassign, "GET /device/replacementDetails": s.replacement,
	} {
		mux.HandleFunc(pattern, s.admitted(pattern, do))
	}
	return mux
}

// request is what the service reads of one.
type request struct {
	*http.Request
	body    []byte
	version int // of the protocol; 0: not said
}

// admitted checks the session, is awkward if it is time, and hands on.
func (s *School) admitted(pattern string, do func(http.ResponseWriter, *mdmServer, request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
		if err != nil {
			word(w, http.StatusBadRequest, "MALFORMED_REQUEST_BODY")
			return
		}
		s.mu.Lock()
		var sv *mdmServer
		for _, one := range s.servers {
			if one.sessions[r.Header.Get("X-ADM-Auth-Session")] {
				sv = one
			}
		}
		unsigned := sv != nil && s.unsigned[sv.org]
		f := SchoolFault("")
		if sv != nil && !unsigned {
			f = s.fault(pattern)
		}
		delay := s.opts.Faults.Delay
		s.mu.Unlock()
		switch {
		case sv == nil:
			s.refused()
			word(w, http.StatusUnauthorized, "UNAUTHORIZED")
		case unsigned:
			s.refused()
			word(w, http.StatusForbidden, "T_C_NOT_SIGNED")
		default:
			listing := pattern == "POST /server/devices" || pattern == "POST /devices/sync"
			if s.misbehave(w, f, sv, listing) {
				return
			}
			if f == SchoolSlow {
				select {
				case <-time.After(max(delay, 100*time.Millisecond)):
				case <-r.Context().Done():
					return
				}
			}
			if f == SchoolEmptyPage && listing {
				s.emptyPage(w, sv, body)
				return
			}
			version, _ := strconv.Atoi(r.Header.Get("X-Server-Protocol-Version"))
			do(w, sv, request{r, body, version})
		}
	}
}

func (s *School) refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Refused++
}

func answer(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF8")
	_ = json.NewEncoder(w).Encode(doc) // a client that hangs up reads no error
}

func (s *School) account(w http.ResponseWriter, sv *mdmServer, _ request) {
	answer(w, map[string]any{
		"server_name": sv.name, "server_uuid": sv.uuid, "org_name": sv.org, "org_id": "ORG" + sv.org, "org_type": "edu", "org_version": "v2",
		"admin_id": "erika.mustermann@example.org", "facilitator_id": "erika.mustermann@example.org", "org_email": "leitung@example.org",
		"org_phone": "+49 6831 000000", "org_address": "Musterdorf",
	})
}

type listRequest struct {
	Cursor string `json:"cursor"`
	Limit  int    `json:"limit"`
}

func (r request) list() (l listRequest, ok bool) {
	if json.Unmarshal(r.body, &l) != nil || l.Limit < 0 {
		return l, false
	}
	if l.Limit == 0 {
		l.Limit = 100
	}
	l.Limit = min(l.Limit, 1000)
	return l, true
}

// keep makes a cursor; s.mu is held.
func (s *School) keep(p place) string {
	p.created = s.now()
	id := s.hex(16)
	s.cursors[id] = &p
	return id
}

// find gives a cursor's place, or Apple's word why not; s.mu is held.
func (s *School) find(sv *mdmServer, id string) (*place, string) {
	p := s.cursors[id]
	switch {
	case p == nil || p.server != sv.name:
		return nil, "INVALID_CURSOR"
	case s.now().Sub(p.created) > 7*24*time.Hour:
		return nil, "EXPIRED_CURSOR"
	}
	return p, ""
}

func (s *School) fetch(w http.ResponseWriter, sv *mdmServer, r request) {
	in, ok := r.list()
	if !ok {
		word(w, http.StatusBadRequest, "MALFORMED_REQUEST_BODY")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Fetches++
	p := &place{server: sv.name, fetch: []string{}, events: len(sv.events)}
	if in.Cursor != "" {
		var why string
		if p, why = s.find(sv, in.Cursor); why != "" {
			word(w, http.StatusBadRequest, why)
			return
		}
		if p.fetch == nil || p.at >= len(p.fetch) {
			word(w, http.StatusBadRequest, "EXHAUSTED_CURSOR")
			return
		}
	} else if !s.emptied {
		for serial, d := range s.owned {
			if d.server == sv.name {
				p.fetch = append(p.fetch, serial)
			}
		}
		slices.Sort(p.fetch)
	}
	to := min(p.at+in.Limit, len(p.fetch))
	docs := []map[string]any{}
	for _, serial := range p.fetch[p.at:to] {
		if d := s.owned[serial]; d != nil && d.server == sv.name { // it may have left since
			docs = append(docs, d.doc(r.version))
		}
	}
	next := *p
	next.at = to
	answer(w, map[string]any{"devices": docs, "cursor": s.keep(next), "more_to_follow": to < len(p.fetch), "fetched_until": s.now().Format(time.RFC3339)})
}

func (s *School) sync(w http.ResponseWriter, sv *mdmServer, r request) {
	in, ok := r.list()
	if !ok {
		word(w, http.StatusBadRequest, "MALFORMED_REQUEST_BODY")
		return
	}
	if in.Cursor == "" {
		word(w, http.StatusBadRequest, "CURSOR_REQUIRED")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Syncs++
	p, why := s.find(sv, in.Cursor)
	if why != "" {
		word(w, http.StatusBadRequest, why)
		return
	}
	to := min(p.events+in.Limit, len(sv.events))
	docs := []map[string]any{}
	for _, e := range sv.events[p.events:to] {
		doc := s.owned[e.serial].doc(r.version)
		doc["op_type"], doc["op_date"] = e.op, e.at.Format(time.RFC3339)
		docs = append(docs, doc)
		if s.opts.Faults.Doubled > 0 && s.draw("doubled") < s.opts.Faults.Doubled {
			docs = append(docs, doc)
		}
	}
	if s.opts.Faults.Shuffled > 0 && s.draw("shuffled") < s.opts.Faults.Shuffled {
		rand.New(rand.NewPCG(s.opts.Seed, uint64(s.asked["shuffled"]))).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] }) //nolint:gosec // a game
	}
	answer(w, map[string]any{
		"devices": docs, "cursor": s.keep(place{server: sv.name, events: to}), "more_to_follow": to < len(sv.events),
		"fetched_until": s.now().Format(time.RFC3339),
	})
}

// emptyPage tells of nothing and stays where the cursor was.
func (s *School) emptyPage(w http.ResponseWriter, sv *mdmServer, body []byte) {
	in, ok := request{body: body}.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, why := s.find(sv, in.Cursor)
	if in.Cursor == "" {
		p, why = &place{server: sv.name, events: len(sv.events), fetch: []string{}}, ""
		for serial, d := range s.owned {
			if d.server == sv.name && !s.emptied {
				p.fetch = append(p.fetch, serial)
			}
		}
		slices.Sort(p.fetch)
	}
	if !ok || why != "" {
		word(w, http.StatusBadRequest, "INVALID_CURSOR")
		return
	}
	if p.fetch != nil && p.at >= len(p.fetch) {
		word(w, http.StatusBadRequest, "EXHAUSTED_CURSOR")
		return
	}
	answer(w, map[string]any{"devices": []any{}, "cursor": s.keep(*p), "more_to_follow": true, "fetched_until": s.now().Format(time.RFC3339)})
}

// doc is a device as the service tells of it.
func (d *owned) doc(version int) map[string]any {
	m := map[string]any{
		"serial_number": d.serial, "model": d.model, "description": strings.ToUpper(d.model + " WI-FI " + d.capacity), "color": d.color,
		"device_family": "iPad", "os": "iPadOS", "profile_status": d.status,
		"device_assigned_date": d.assigned.Format(time.RFC3339), "device_assigned_by": "erika.mustermann@example.org",
	}
	if d.profile != "" {
		m["profile_uuid"], m["profile_assign_time"] = d.profile, d.profiled.Format(time.RFC3339)
	}
	if !d.pushed.IsZero() {
		m["profile_push_time"] = d.pushed.Format(time.RFC3339)
	}
	if version >= 10 {
		m["is_replacement_device"] = d.replaces != ""
	}
	return m
}
