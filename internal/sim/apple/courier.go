package apple

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// courier is the HTTP side that simulated tablets use; doc.go describes it.
func (a *APNs) courier() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /courier/tokens", a.postTokens)
	mux.HandleFunc("POST /courier/unregister", a.postUnregister)
	mux.HandleFunc("GET /courier", a.getCourier)
	return mux
}

// maxList bounds a list of tokens: 100,000 of them are 20 MB.
const maxList = 32 << 20

func (a *APNs) postTokens(w http.ResponseWriter, r *http.Request) {
	var list []struct{ Token, Topic, Magic string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxList)).Decode(&list); err != nil {
		http.Error(w, "The body is a JSON list of tokens.", http.StatusBadRequest)
		return
	}
	client := r.URL.Query().Get("client")
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range list {
		token := strings.ToLower(t.Token)
		next := &registered{client: client, topic: t.Topic, magic: t.Magic}
		if old := a.tokens[token]; old != nil {
			next.seen = old.seen
			if old.waits != nil {
				next.waits = old.waits
				a.enqueue(client, token)
			}
		}
		a.tokens[token] = next
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *APNs) postUnregister(w http.ResponseWriter, r *http.Request) {
	var list []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxList)).Decode(&list); err != nil {
		http.Error(w, "The body is a JSON list of tokens.", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, token := range list {
		if t := a.tokens[strings.ToLower(token)]; t != nil && t.gone.IsZero() {
			t.gone, t.waits = a.clock.Now(), nil
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// accept keeps the push as its token's latest and rings its client.
func (a *APNs) accept(d delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.Accepted++
	t := a.tokens[d.Token]
	if t.magic != "" && t.magic != d.MDM {
		a.counts.WrongMagic++
	}
	if t.waits != nil {
		a.counts.Replaced++
	}
	t.waits = &d
	a.enqueue(t.client, d.Token)
}

// enqueue puts a token in its client's line; a.mu is held.
func (a *APNs) enqueue(client, token string) {
	if !slices.Contains(a.waiting[client], token) {
		a.waiting[client] = append(a.waiting[client], token)
	}
	if bell := a.clients[client]; bell != nil {
		select {
		case bell <- struct{}{}:
		default: // it rings already
		}
		return
	}
	// Nobody listens: apns-expiration 0 means try once and forget.
	if t := a.tokens[token]; t.waits.Expires.Unix() == 0 {
		t.waits = nil
		a.counts.Expired++
	}
}

// collect takes all that waits for a client; a token that changed hands since is
// left to its new client.
func (a *APNs) collect(client string) []delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	var out []delivery
	for _, token := range a.waiting[client] {
		t := a.tokens[token]
		if t == nil || t.waits == nil || t.client != client {
			continue
		}
		d := *t.waits
		t.waits = nil
		if d.Expires.Unix() != 0 && d.Expires.Before(now) {
			a.counts.Expired++
			continue
		}
		a.counts.Delivered++
		out = append(out, d)
	}
	delete(a.waiting, client)
	return out
}

func (a *APNs) getCourier(w http.ResponseWriter, r *http.Request) {
	client := r.URL.Query().Get("client")
	bell := make(chan struct{}, 1)
	a.mu.Lock()
	a.clients[client] = bell // a newer stream of the same client takes over
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.clients[client] == bell {
			delete(a.clients, client)
		}
	}()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	out := json.NewEncoder(w)
	for {
		for _, d := range a.collect(client) {
			if out.Encode(d) != nil {
				return // the client went away
			}
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-bell:
		case <-r.Context().Done():
			return
		}
	}
}
