package tablet

import (
	"context"
	"errors"
	"fmt"
)

// Command is what the server handed over. Body is the dictionary Command.
type Command struct {
	UUID        string
	RequestType string
	Body        map[string]any
}

// Report is an answer to a command; Extra are keys beside the status.
type Report struct {
	UUID   string
	Status string
	Extra  map[string]any
}

// rounds bounds a session: a server that hands over the same command for ever
// must be noticed.
const rounds = 1000

// Poll connects: Idle, then one command after the other until there is none.
// ErrOffline and ErrUnenrolled tell why it could not; a server that ends the
// management with a 403 is no error.
func (t *Tablet) Poll(ctx context.Context) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	if _, err := t.managed(); err != nil {
		return err
	}
	return t.session(ctx)
}

func (t *Tablet) session(ctx context.Context) error {
	var c *Command
	err := t.repeatToken(ctx)
	if err == nil {
		c, err = t.idle(ctx)
	}
	for n := 0; c != nil && err == nil; n++ {
		if n == rounds {
			err = fmt.Errorf("the server handed over more than %d commands in one session", rounds)
			break
		}
		c, err = t.answer(ctx, c)
	}
	t.tellApps()
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	t.mu.Lock()
	t.putOff = true // it tries again before long
	t.mu.Unlock()
	return t.failed("poll-failed", err)
}

// repeatToken sends the TokenUpdate that did not get through: it is how the
// server hears that the tablet does not wait any more.
func (t *Tablet) repeatToken(ctx context.Context) error {
	t.mu.Lock()
	m, due := t.mgmt, t.tokenDue
	t.mu.Unlock()
	if !due || m == nil {
		return nil
	}
	if err := t.tokenUpdate(ctx, m); err != nil {
		return t.ended(err)
	}
	t.mu.Lock()
	t.tokenDue = false
	t.mu.Unlock()
	return nil
}

// Idle opens a session and gives the first command; nil if there is none.
func (t *Tablet) Idle(ctx context.Context) (*Command, error) {
	t.busy.Lock()
	defer t.busy.Unlock()
	return t.idle(ctx)
}

func (t *Tablet) idle(ctx context.Context) (*Command, error) {
	drowsy := t.chance(t.cfg.Awkward / 2)
	t.mu.Lock()
	t.count.polls++
	t.drowsy = drowsy
	t.mu.Unlock()
	return t.send(ctx, map[string]any{"Status": "Idle"})
}

// Answer executes a command, answers it and gives the next.
func (t *Tablet) Answer(ctx context.Context, c *Command) (*Command, error) {
	t.busy.Lock()
	defer t.busy.Unlock()
	return t.answer(ctx, c)
}

func (t *Tablet) answer(ctx context.Context, c *Command) (*Command, error) {
	if _, err := t.managed(); err != nil {
		return nil, err
	}
	r := t.execute(ctx, c)
	t.record(c, r)
	next, err := t.deliver(ctx, r)
	if r.Status == "Acknowledged" {
		// What was ordered happens, also when the answer did not get through.
		if over, then := t.afterwards(ctx, c); over {
			return nil, errors.Join(err, then)
		}
	}
	return next, err
}

// deliver sends an answer: in time or late, once or twice.
func (t *Tablet) deliver(ctx context.Context, r Report) (*Command, error) {
	if t.chance(t.cfg.Awkward / 10) {
		if err := t.pause(ctx, t.cfg.LateBy); err != nil {
			return nil, err
		}
	}
	next, err := t.report(ctx, r)
	if err != nil || !t.Enrolled() || !t.chance(t.cfg.Awkward/5) {
		return next, err
	}
	// The connection broke before the answer to the answer was read, so the tablet
	// says it again. A command that came with what was lost is lost too, until the
	// server offers it again.
	t.mu.Lock()
	t.putOff = true
	t.mu.Unlock()
	return t.report(ctx, r)
}

// Report sends an answer of the test's making and gives the next command.
func (t *Tablet) Report(ctx context.Context, r Report) (*Command, error) {
	t.busy.Lock()
	defer t.busy.Unlock()
	return t.report(ctx, r)
}

func (t *Tablet) report(ctx context.Context, r Report) (*Command, error) {
	message := map[string]any{"Status": r.Status, "CommandUUID": r.UUID}
	for k, v := range r.Extra {
		message[k] = v
	}
	return t.send(ctx, message)
}

func (t *Tablet) send(ctx context.Context, message map[string]any) (*Command, error) {
	m, err := t.managed()
	if err != nil {
		return nil, err
	}
	message["UDID"] = t.cfg.UDID
	body, err := t.put(ctx, m, m.serverURL, typeCommand, message)
	if err != nil {
		return nil, t.ended(err)
	}
	if len(body) == 0 {
		return nil, nil //nolint:nilnil // no command is no error
	}
	top, err := decode(body)
	if err != nil {
		return nil, err
	}
	c := &Command{UUID: text(top, "CommandUUID"), Body: dict(top, "Command")}
	c.RequestType = text(c.Body, "RequestType")
	switch {
	case c.UUID == "":
		return nil, errors.New("the server's command has no CommandUUID")
	case c.RequestType == "":
		return nil, errors.New("the server's command has no RequestType")
	case len(top) != 2:
		return nil, fmt.Errorf("the server's command has %d keys beside CommandUUID and Command", len(top)-2)
	}
	return c, nil
}

// record keeps and tells what was answered.
func (t *Tablet) record(c *Command, r Report) {
	said := ""
	if items, ok := r.Extra["ErrorChain"].([]any); ok && len(items) > 0 {
		if last, ok := items[len(items)-1].(map[string]any); ok {
			said = text(last, "LocalizedDescription")
		}
	}
	t.mu.Lock()
	t.log = append(t.log, Entry{UUID: c.UUID, RequestType: c.RequestType, Status: r.Status, Error: said, At: t.cfg.Clock.Now()})
	if len(t.log) > LogLength {
		t.log = t.log[len(t.log)-LogLength:]
	}
	if r.Status == "NotNow" {
		t.putOff = true
	}
	t.mu.Unlock()
	t.emit(Event{Event: "command", UUID: c.UUID, RequestType: c.RequestType, Status: r.Status, Error: said})
}

// eraseOrder waits until the answer to EraseDevice is on its way.
type eraseOrder struct {
	profile, wifi []byte
	again         bool // Return to Service
}

// afterwards does what a command does once it is answered; over: the session
// ends with it.
func (t *Tablet) afterwards(ctx context.Context, c *Command) (over bool, err error) {
	t.mu.Lock()
	leaving, m, configured := t.leaving, t.mgmt, t.configured
	t.configured = false
	t.mu.Unlock()
	switch {
	case configured && m != nil:
		t.emit(Event{Event: "released"})
		t.mu.Lock()
		t.tokenDue = true
		t.mu.Unlock()
		if err := t.repeatToken(ctx); err != nil {
			return true, err
		}
		return !t.Enrolled(), nil
	case c.RequestType == "EraseDevice":
		return true, t.eraseNow(ctx)
	case c.RequestType == "RestartDevice":
		t.Reboot()
		t.mu.Lock()
		t.putOff = true // it connects when it is up again
		t.mu.Unlock()
		t.emit(Event{Event: "restarted"})
		return true, nil
	case c.RequestType == "ShutDownDevice":
		t.Sleep()
		return true, nil
	case leaving && m != nil:
		t.sayGoodbye(ctx, m)
		t.unenroll("the server removed the enrollment profile")
		return true, nil
	}
	return false, nil
}

// eraseNow forgets everything; with Return to Service the tablet enrolls again
// by itself. One that asks Apple who manages it asks again.
func (t *Tablet) eraseNow(ctx context.Context) error {
	t.mu.Lock()
	order := t.erasePending
	if order == nil {
		order = &eraseOrder{}
	}
	t.reset()
	back := &comeback{wait: t.cfg.EraseTime, profile: order.profile}
	if ade := t.setup != ""; ade && (order.again || t.cfg.ReEnroll) {
		t.back = back
	}
	comes := t.back != nil
	t.count.erased++
	t.mu.Unlock()
	t.emit(Event{Event: "erased", ReturnToService: order.again})
	if !order.again && !comes {
		return nil
	}
	if order.wifi != nil { // without it, it has to be Ethernet
		p, bad := t.rules.readProfile(order.wifi)
		if bad != nil {
			return t.failed("enroll-failed", fmt.Errorf("return to service: the Wi-Fi profile: %w", bad))
		}
		p.managed = true // the server sent it; Apple does not say whether it may replace it later
		t.mu.Lock()
		t.profiles = append(t.profiles, p)
		t.mu.Unlock()
	}
	if comes {
		return t.setUp(ctx)
	}
	if err := t.pause(ctx, back.wait); err != nil {
		return err
	}
	return t.enrollWith(ctx, order.profile)
}
