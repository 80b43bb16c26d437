package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Kinds of commands that this room renders.
const (
	renewal      = "identity.renew"
	information  = "device.information"
	security     = "device.security"
	certificates = "device.certificates"
	rename       = "device.rename"
	restart      = "device.restart"
	configured   = "device.configured"
	erase        = "device.erase"
	lostOn       = "lost.enable"
	lostOff      = "lost.disable"
	locate       = "lost.locate"
	sound        = "lost.sound"
	passcode     = "passcode.clear"
	bypass       = "activation.bypass"
	raw          = "raw"
)

// requestType is Apple's name of what a kind asks for.
func requestType(kind string) string {
	switch kind {
	case renewal:
		return "InstallProfile"
	case information:
		return "DeviceInformation"
	case security:
		return "SecurityInfo"
	case certificates:
		return "CertificateList"
	case rename:
		return "Settings"
	case restart:
		return "RestartDevice"
	case configured:
		return "DeviceConfigured"
	case erase:
		return "EraseDevice"
	case lostOn:
		return "EnableLostMode"
	case lostOff:
		return "DisableLostMode"
	case locate:
		return "DeviceLocation"
	case sound:
		return "PlayLostModeSound"
	case passcode:
		return "ClearPasscode"
	case bypass:
		return "ActivationLockBypassCode"
	}
	return ""
}

// patience is how long an order waits for a tablet that does not come: what
// somebody wanted at once is a nuisance next week. Zero is for ever.
func patience(kind string) time.Duration {
	switch kind {
	case sound:
		return time.Hour
	case restart, locate, passcode:
		return 24 * time.Hour
	case raw:
		return 7 * 24 * time.Hour
	}
	return 0
}

// order is a command for one enrollment. Lost Mode on and off share a key, so
// that the newer order replaces the older one that still waits.
func (r *Room) order(e Enrollment, kind string, actor audit.Actor) commands.Command {
	c := commands.Command{
		EnrollmentID: e.ID, Generation: e.Generation, Kind: kind, RequestType: requestType(kind), DedupeKey: kind, Origin: actor,
	}
	if kind == lostOn || kind == lostOff {
		c.DedupeKey = "lost"
	}
	if d := patience(kind); d > 0 {
		c.Deadline = r.Clock.Now().Add(d)
	}
	return c
}

// questions are what a tablet is asked about itself.
func (r *Room) questions(e Enrollment, actor audit.Actor) []commands.Command {
	return []commands.Command{r.order(e, information, actor), r.order(e, security, actor), r.order(e, certificates, actor)}
}

type (
	renderFunc func(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command) (map[string]any, error)
	doneFunc   func(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, res commands.Result) error
)

// renderer makes one kind's body at hand-over and takes its answer. A body that
// never changes needs no look at the enrollment: the queue hands nothing to
// another generation.
type renderer struct {
	room   *Room
	static map[string]any
	render renderFunc
	done   doneFunc // called for Acknowledged only; nil: nothing follows
	failed doneFunc // called for every other last word; nil: nothing follows
	ended  func(ctx context.Context, tx *sqldb.Tx, e Enrollment) error
}

// Render implements commands.Renderer.
func (d renderer) Render(ctx context.Context, tx *sqldb.Tx, c commands.Command) (map[string]any, error) {
	if d.render == nil {
		return d.static, nil
	}
	e, err := d.room.current(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	return d.render(ctx, tx, e, c)
}

// Done implements commands.Renderer.
func (d renderer) Done(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	next := d.done
	if res.Status != "Acknowledged" {
		next = d.failed
	}
	if next == nil {
		return nil
	}
	e, err := d.room.current(ctx, tx, c)
	if fault.KindOf(err) == fault.Conflict {
		return nil // the answer came after that life was over
	}
	if err != nil {
		return err
	}
	return next(ctx, tx, e, c, res)
}

// Ended implements commands.Ender.
func (d renderer) Ended(ctx context.Context, tx *sqldb.Tx, c commands.Command) error {
	if d.ended == nil {
		return nil
	}
	e, err := d.room.current(ctx, tx, c)
	if fault.KindOf(err) == fault.Conflict {
		return nil
	}
	if err != nil {
		return err
	}
	return d.ended(ctx, tx, e)
}

// current is the enrollment a command is for, if it still lives the same life.
func (r *Room) current(ctx context.Context, tx *sqldb.Tx, c commands.Command) (Enrollment, error) {
	e, err := lockEnrollment(ctx, tx, c.EnrollmentID)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return e, fmt.Errorf("read the enrollment of %s %s: %w", c.Kind, c.ID, err)
	}
	if err != nil || e.Generation != c.Generation || !e.State.live() && e.State != Held {
		return e, fault.New(fault.Conflict, "enrollment.over", "The enrollment it was meant for is over.")
	}
	return e, nil
}

// Specs are the kinds of this room for the queue.
func (r *Room) Specs() []commands.Spec {
	none := map[string]any{}
	of := func(kind string, d renderer) commands.Spec {
		d.room = r
		return commands.Spec{Kind: kind, RequestType: requestType(kind), Renderer: d}
	}
	list := []commands.Spec{
		of(renewal, renderer{render: r.renderRenewal}),
		of(information, renderer{static: informationBody(), done: r.informed}),
		of(security, renderer{static: none, done: r.secured}),
		// Certificates that a person installed may bear the person's name.
		of(certificates, renderer{static: map[string]any{"ManagedOnly": true}, done: r.certified}),
		of(rename, renderer{render: r.renderRename, done: r.renamed}),
		of(restart, renderer{static: none}),
		of(configured, renderer{render: r.renderConfigured, done: r.wasConfigured}),
		of(erase, renderer{render: r.renderErase, done: r.erased, failed: r.notErased, ended: r.forgetReturn}),
		of(lostOn, renderer{render: r.renderLost, done: r.lostIsOn}),
		of(lostOff, renderer{render: r.renderFound, done: r.lostIsOff}),
		of(locate, renderer{render: onlyLost(none), done: r.located}),
		of(sound, renderer{render: onlyLost(none)}),
		of(passcode, renderer{render: r.renderPasscode}),
		of(bypass, renderer{static: none, done: r.bypassed}),
		of(raw, renderer{render: renderRaw, done: rawDone}),
	}
	for i, s := range list {
		list[i].Once = s.Kind == erase
		list[i].WhenExpired = s.Kind == renewal
		list[i].KeepAnswer = s.Kind == raw
		switch s.Kind {
		case information, erase, lostOn, lostOff, locate, sound, passcode, renewal:
			list[i].InLostMode = true
		}
	}
	return list
}

func unreadable(err error) error {
	return fault.New(fault.Invalid, "answer.unreadable", "The tablet's answer cannot be read.").With(err)
}
