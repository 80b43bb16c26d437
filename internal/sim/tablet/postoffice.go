package tablet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// postOffice is the fleet's line to the courier of the simulated push service.
type postOffice struct {
	base, client string
	http         *http.Client
	deliver      func(*member, string)

	mu      sync.Mutex
	members map[string]*member      // by token
	known   map[string]registration // what the courier has to know
	changes []change                // not told yet, in order
	bell    chan struct{}
}

type registration struct {
	Token string `json:"token"`
	Topic string `json:"topic"`
	Magic string `json:"magic"`
}

type change struct {
	gone string       // a token that is no more
	new  registration // or one that is new
}

func newPostOffice(base string, seed uint64, deliver func(*member, string)) *postOffice {
	return &postOffice{
		base: base, client: "fleet-" + strconv.FormatUint(seed, 10), http: &http.Client{}, deliver: deliver,
		members: map[string]*member{}, known: map[string]registration{}, bell: make(chan struct{}, 1),
	}
}

// add tells the courier of a new token and waits until it knows. If it cannot be
// told it will be later; until then pushes to the token are refused.
func (p *postOffice) add(ctx context.Context, m *member, r registration) {
	p.mu.Lock()
	p.members[r.Token], p.known[r.Token] = m, r
	p.mu.Unlock()
	if p.send(ctx, "tokens", []registration{r}) != nil {
		p.later(change{new: r})
	}
}

// gone notes that a token is no more: the tablet was erased or has another.
func (p *postOffice) gone(token string) {
	p.mu.Lock()
	delete(p.members, token)
	delete(p.known, token)
	p.mu.Unlock()
	p.later(change{gone: token})
}

func (p *postOffice) later(c ...change) {
	p.mu.Lock()
	p.changes = append(p.changes, c...)
	p.mu.Unlock()
	select {
	case p.bell <- struct{}{}:
	default: // it rings already
	}
}

// retry is how long the fleet waits before it calls a courier again that broke
// off.
const retry = 500 * time.Millisecond

func (p *postOffice) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			// A stream that broke: the courier may be a new one that knows nothing.
			p.listen(ctx)
			p.tellAll()
			if pause(ctx, retry) != nil {
				return
			}
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-p.bell:
			case <-ctx.Done():
				return
			}
			for p.tell(ctx) != nil {
				if pause(ctx, retry) != nil {
					return
				}
			}
		}
	})
	wg.Wait()
}

// tellAll makes the next call tell the courier of all tokens again.
func (p *postOffice) tellAll() {
	p.mu.Lock()
	var all []change
	for _, r := range p.known {
		all = append(all, change{new: r})
	}
	p.mu.Unlock()
	p.later(all...)
}

// tell tells what changed since it was last told; what could not be told stays.
func (p *postOffice) tell(ctx context.Context) error {
	p.mu.Lock()
	todo := p.changes
	p.changes = nil
	p.mu.Unlock()
	gone, fresh := []string{}, []registration{}
	for _, c := range todo {
		if c.gone != "" {
			gone = append(gone, c.gone)
		} else {
			fresh = append(fresh, c.new)
		}
	}
	var err error
	if len(gone) > 0 {
		err = p.send(ctx, "unregister", gone)
	}
	if len(fresh) > 0 && err == nil {
		err = p.send(ctx, "tokens", fresh)
	}
	if err != nil {
		p.mu.Lock()
		p.changes = append(todo, p.changes...)
		p.mu.Unlock()
	}
	return err
}

func (p *postOffice) address(path string) string {
	return p.base + "/courier" + path + "?client=" + url.QueryEscape(p.client)
}

func (p *postOffice) send(ctx context.Context, what string, list any) error {
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("tell the courier: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address("/"+what), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("tell the courier: %w", err)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("tell the courier: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // only read from
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("tell the courier: %w", err)
	}
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("tell the courier: it answered %s", res.Status)
	}
	return nil
}

// listen takes pushes until the stream ends.
func (p *postOffice) listen(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address(""), nil)
	if err != nil {
		return
	}
	res, err := p.http.Do(req)
	if err != nil {
		return // run calls again
	}
	defer func() { _ = res.Body.Close() }() // only read from
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		var d struct{ Token, MDM string }
		if json.Unmarshal(lines.Bytes(), &d) != nil {
			continue
		}
		p.mu.Lock()
		m := p.members[d.Token]
		p.mu.Unlock()
		if m != nil {
			p.deliver(m, d.MDM)
		}
	}
}
