package apple

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

func (s *School) details(w http.ResponseWriter, sv *mdmServer, r request) {
	var in struct {
		Devices []string `json:"devices"`
	}
	if json.Unmarshal(r.body, &in) != nil || len(in.Devices) == 0 {
		word(w, http.StatusBadRequest, "DEVICE_ID_REQUIRED")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	docs := map[string]any{}
	for _, serial := range in.Devices {
		d := s.owned[serial]
		if d == nil || d.server != sv.name {
			docs[serial] = map[string]any{"serial_number": serial, "response_status": "NOT_ACCESSIBLE"}
			continue
		}
		doc := d.doc(r.version)
		doc["response_status"] = "SUCCESS"
		docs[serial] = doc
	}
	answer(w, map[string]any{"devices": docs})
}

func (s *School) define(w http.ResponseWriter, sv *mdmServer, r request) {
	var in map[string]any
	if json.Unmarshal(r.body, &in) != nil {
		word(w, http.StatusBadRequest, "MALFORMED_REQUEST_BODY")
		return
	}
	name, _ := in["profile_name"].(string)
	url, _ := in["url"].(string)
	supervised, _ := in["is_supervised"].(bool)
	removable, says := in["is_mdm_removable"].(bool)
	switch {
	case name == "" || len(name) > 125:
		word(w, http.StatusBadRequest, "CONFIG_NAME_REQUIRED")
		return
	case !strings.HasPrefix(url, "https://"):
		word(w, http.StatusBadRequest, "CONFIG_URL_REQUIRED")
		return
	case says && !removable && !supervised:
		word(w, http.StatusBadRequest, "FLAGS_INVALID")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	uuid := s.hex(16)
	delete(in, "devices")
	s.profiles[uuid] = &storedProfile{sv.name, in}
	s.counts.Defined++
	answer(w, map[string]any{"profile_uuid": uuid, "devices": map[string]any{}})
}

func (s *School) profile(w http.ResponseWriter, sv *mdmServer, r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.profiles[r.URL.Query().Get("profile_uuid")]
	if p == nil || p.server != sv.name {
		word(w, http.StatusNotFound, "NOT_FOUND")
		return
	}
	answer(w, p.body)
}

type assignRequest struct {
	UUID    string   `json:"profile_uuid"`
	Devices []string `json:"devices"`
}

func (s *School) assign(w http.ResponseWriter, sv *mdmServer, r request) {
	var in assignRequest
	if json.Unmarshal(r.body, &in) != nil || len(in.Devices) == 0 || len(in.Devices) > 1000 {
		word(w, http.StatusBadRequest, "MALFORMED_REQUEST_BODY")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.profiles[in.UUID]; p == nil || p.server != sv.name {
		word(w, http.StatusNotFound, "NOT_FOUND")
		return
	}
	results, throttled := map[string]string{}, false
	for _, serial := range in.Devices {
		d := s.owned[serial]
		if d == nil || d.server != sv.name {
			results[serial] = "NOT_ACCESSIBLE"
			continue
		}
		x := s.draw("assign " + serial)
		switch f := s.opts.Faults; {
		case x < f.Throttled && r.version >= 9:
			results[serial], throttled = "THROTTLED", true
			s.counts.Throttled++
		case x < f.Throttled+f.Failed:
			results[serial] = "FAILED"
			s.counts.Failed++
		default:
			results[serial] = "SUCCESS"
			s.counts.Assigned++
			d.profile, d.status, d.profiled, d.pushed = in.UUID, "assigned", s.now(), time.Time{}
			s.tell(sv.name, serial, "modified")
		}
	}
	doc := map[string]any{"profile_uuid": in.UUID, "devices": results}
	if throttled && r.version >= 10 {
		doc["retry_after_seconds"] = s.opts.Faults.retryAfter()
	}
	answer(w, doc)
}

func (s *School) unassign(w http.ResponseWriter, sv *mdmServer, r request) {
	var in assignRequest
	if json.Unmarshal(r.body, &in) != nil || len(in.Devices) == 0 {
		word(w, http.StatusBadRequest, "MALFORMED_REQUEST_BODY")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	results := map[string]string{}
	for _, serial := range in.Devices {
		d := s.owned[serial]
		if d == nil || d.server != sv.name {
			results[serial] = "NOT_ACCESSIBLE"
			continue
		}
		results[serial] = "SUCCESS"
		d.profile, d.status = "", "removed"
		s.tell(sv.name, serial, "modified")
	}
	answer(w, map[string]any{"devices": results})
}

func (s *School) replacement(w http.ResponseWriter, sv *mdmServer, r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.owned[r.URL.Query().Get("serial_number")]
	if d == nil || d.server != sv.name || d.replaces == "" {
		word(w, http.StatusNotFound, "DEVICE_NOT_FOUND")
		return
	}
	answer(w, map[string]any{"original_device_serial_number": d.replaces, "replacement_date": d.assigned.Format(time.RFC3339)})
}
