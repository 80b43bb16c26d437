package tablet

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrNoProfile is a tablet that Apple assigns no enrollment profile: in life it
// goes on without management, and only an erase brings it back.
var ErrNoProfile = errors.New("Apple assigns no enrollment profile to the tablet")

// Where a tablet stands that asks Apple who manages it (State.Setup).
const (
	setupOff        = "off"        // as it comes out of its box, or after an erase
	setupActivating = "activating" // it asks Apple
	setupUpdating   = "updating"   // to the iPadOS that the server wants first
	setupEnrolling  = "enrolling"  // it asks the server
	setupAwaiting   = "awaiting"   // enrolled; in Setup Assistant until DeviceConfigured
	setupReleased   = "released"   // out of Setup Assistant
	setupUnmanaged  = "unmanaged"  // out of Setup Assistant and nobody's
)

// activation is what Apple tells a tablet that was just switched on.
type activation struct {
	Profile  map[string]any `json:"profile"`
	Identity struct {
		CertPEM string `json:"cert_pem"` // the chain, leaf first
		KeyPEM  string `json:"key_pem"`
	} `json:"identity"`
}

// comeback is a tablet that was erased and sets itself up again.
type comeback struct {
	wait    time.Duration // until it is up again
	profile []byte        // MDMProfileData; nil: it asks the server
}

// SetUp switches a tablet on that is fresh: it asks Apple who manages it, enrolls
// there without a person, and stays in Setup Assistant if it shall (Automated
// Device Enrollment). It tries once; who sets up an iPad tries again.
func (t *Tablet) SetUp(ctx context.Context) error {
	t.busy.Lock()
	defer t.busy.Unlock()
	if t.Enrolled() {
		return ErrEnrolled
	}
	return t.setUp(ctx)
}

func (t *Tablet) setUp(ctx context.Context) error {
	t.mu.Lock()
	back := t.back
	t.mu.Unlock()
	var ready []byte
	if back != nil {
		if err := t.pause(ctx, back.wait); err != nil {
			return err
		}
		back.wait, ready = 0, back.profile
	}
	t.enter(setupActivating)
	a, err := t.activate(ctx)
	if err != nil {
		return t.failed("setup-failed", err)
	}
	if a.Profile == nil {
		t.leave(setupUnmanaged)
		return t.failed("unmanaged-setup", ErrNoProfile)
	}
	if err := t.obeyApple(a); err != nil {
		return t.failed("setup-failed", err)
	}
	// What Return to Service brought is taken instead of what the server would
	// give (Apple, EraseDevice, ReturnToService > MDMProfileData).
	raw := ready
	if raw == nil {
		if raw, err = t.askForProfile(ctx, a); err != nil {
			return t.failed("setup-failed", err)
		}
	}
	return t.enrollWith(ctx, raw)
}

// enter goes one step on in Setup Assistant.
func (t *Tablet) enter(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setup, t.awaiting = step, false
}

// leave ends Setup Assistant: only then the person in front of it sets a passcode.
func (t *Tablet) leave(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setup, t.awaiting, t.back, t.hasCode = step, false, nil, t.cfg.Code
}

// ComesBack tells whether the tablet was erased and is to set itself up again.
func (t *Tablet) ComesBack() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.back != nil && t.mgmt == nil
}

// activate asks Apple.
func (t *Tablet) activate(ctx context.Context) (a activation, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(t.cfg.Activation, "/")+"/activation/"+t.cfg.Serial, nil)
	if err != nil {
		return a, fmt.Errorf("activate: %w", err)
	}
	body, err := answer(t.client(t.cfg.Roots, nil), req)
	if err != nil {
		return a, fmt.Errorf("activate: %w", err)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("activate: Apple's answer: %w", err)
	}
	return a, nil
}

// obeyApple takes what the enrollment profile at Apple says of the tablet itself.
//
// Apple, Device Management, "Define a Profile": await_device_configured is ignored
// without is_supervised; anchor_certs are base64 of DER.
func (t *Tablet) obeyApple(a activation) error {
	var anchors []*x509.Certificate
	for _, v := range list(a.Profile, "anchor_certs") {
		der, err := base64.StdEncoding.DecodeString(fmt.Sprint(v))
		if err != nil {
			return fmt.Errorf("the enrollment profile's anchor_certs: %w", err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("the enrollment profile's anchor_certs: %w", err)
		}
		anchors = append(anchors, c)
	}
	if text(a.Profile, "configuration_web_url") != "" {
		return errors.New("the enrollment profile wants a person to sign in on a web page; there is none")
	}
	kept, said := a.Profile["is_mdm_removable"].(bool)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.anchors, t.kept, t.viaADE = anchors, said && !kept, true
	t.cfg.Supervised = flag(a.Profile, "is_supervised")
	t.setup, t.awaiting = setupEnrolling, flag(a.Profile, "await_device_configured") && t.cfg.Supervised
	return nil
}

// refusal is the event of a set-up that came to nothing; an answer of Apple or
// the server has its status.
func refusal(event string, err error) Event {
	e := Event{Event: event, Error: err.Error()}
	if h, ok := errors.AsType[*HTTPError](err); ok && event == "setup-failed" {
		e.Status = strconv.Itoa(h.Status)
	}
	return e
}

// stay gives up to come back: it waits for a person.
func (t *Tablet) stay() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.back = nil
}
