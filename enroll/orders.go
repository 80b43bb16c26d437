package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/audit"
	"ranzen/internal/catalogue"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// ready gives the enrollment of a device that takes orders.
func (r *Room) ready(ctx context.Context, tx *sqldb.Tx, deviceID string) (Enrollment, error) {
	e, err := r.lockedOf(ctx, tx, deviceID)
	switch {
	case err != nil:
		return e, err
	case !e.UnmanageAt.IsZero() && e.State.live():
		return e, fault.New(fault.Conflict, "device.leaving", "The end of the device's management is ordered already; it takes no other order.")
	case e.State == Enrolling:
		return e, fault.New(fault.Conflict, "device.enrolling",
			"The device has begun to enroll and not finished. Wait a minute; if it stays so, enroll it again.")
	case e.State == Held:
		return e, fault.New(fault.Conflict, "device.held",
			"This is a second enrollment of the serial number, and held. Decide first: see `ranzen hold list`.")
	case e.State != Enrolled:
		return e, notEnrolled()
	}
	return e, nil
}

// readySupervised refuses what a tablet that is known to be unsupervised would
// answer with an error.
func (r *Room) readySupervised(ctx context.Context, tx *sqldb.Tx, deviceID, what string) (Enrollment, error) {
	e, err := r.ready(ctx, tx, deviceID)
	if err == nil && e.unsupervised() {
		return e, notSupervised(what)
	}
	return e, err
}

func notSupervised(what string) *fault.Fault {
	return fault.New(fault.Conflict, "device.not-supervised",
		"%s works on supervised iPads only, and this one is not supervised. Supervision begins with an erase: through Apple School Manager or Apple Configurator.", what)
}

// send queues one order and writes it to the audit trail.
func (r *Room) send(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, detail map[string]any) (string, error) {
	ids, err := r.Queue.Add(ctx, tx, c)
	if err != nil {
		return "", err
	}
	all := map[string]any{"command": ids[0]}
	for k, v := range detail {
		all[k] = v
	}
	return ids[0], r.record(ctx, tx, c.Origin, "order."+c.Kind, e.subject(), all)
}

// Rename says what the device shall be called, and tells it.
func (r *Room) Rename(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID, name string) (string, error) {
	e, err := r.readySupervised(ctx, tx, deviceID, "Naming")
	if err != nil {
		return "", err
	}
	if err := r.Schools.Rename(ctx, tx, actor, deviceID, name); err != nil {
		return "", err
	}
	return r.send(ctx, tx, e, r.order(e, rename, actor), nil)
}

// The name is read when the command is handed over: of two renamings the tablet
// sees the last only.
func (r *Room) renderRename(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command) (map[string]any, error) {
	devices, err := r.Schools.Devices(ctx, tx, []string{e.DeviceID})
	if err != nil {
		return nil, err
	}
	name := devices[e.DeviceID].Name
	if name == "" {
		return nil, fault.New(fault.Conflict, "device.no-name", "The device has no name to be given.")
	}
	return map[string]any{"Settings": []any{map[string]any{"Item": "DeviceName", "DeviceName": name}}}, nil
}

// renamed reads the result of the one setting: Settings is Acknowledged even
// when the item in it failed. What the tablet is called is proven by its next
// DeviceInformation.
func (r *Room) renamed(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, res commands.Result) error {
	items, err := mdm.ParseSettings(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	for _, it := range items {
		if it.Status == "Error" {
			return fault.New(fault.Denied, "device.rename", "The tablet refused its new name: %s.", firstError(it.ErrorChain))
		}
	}
	_, err = r.Queue.Add(ctx, tx, r.order(e, information, c.Origin))
	return err
}

func firstError(chain []mdm.ErrorItem) string {
	if len(chain) == 0 {
		return "it does not say why"
	}
	text := chain[0].English
	if text == "" {
		text = chain[0].Localized
	}
	return strings.TrimRight(fmt.Sprintf("%s (%s %d)", mdm.Clean(text), mdm.Clean(chain[0].Domain), chain[0].Code), ".")
}

// Restart restarts the device.
func (r *Room) Restart(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string) (string, error) {
	e, err := r.readySupervised(ctx, tx, deviceID, "Restarting")
	if err != nil {
		return "", err
	}
	return r.send(ctx, tx, e, r.order(e, restart, actor), nil)
}

// Refresh asks the device about itself.
func (r *Room) Refresh(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string) (string, error) {
	e, err := r.ready(ctx, tx, deviceID)
	if err != nil {
		return "", err
	}
	list := r.questions(e, actor)
	if _, err := r.Queue.Add(ctx, tx, list[1:]...); err != nil {
		return "", err
	}
	return r.send(ctx, tx, e, list[0], nil)
}

// ClearPasscode takes the passcode off the device.
func (r *Room) ClearPasscode(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string) (string, error) {
	e, err := r.ready(ctx, tx, deviceID)
	if err != nil {
		return "", err
	}
	if !e.HasUnlockToken {
		return "", noUnlockToken()
	}
	c := r.order(e, passcode, actor)
	c.Urgent = true
	return r.send(ctx, tx, e, c, nil)
}

func noUnlockToken() *fault.Fault {
	return fault.New(fault.Conflict, "device.no-unlock-token",
		"The passcode cannot be cleared: the device sent no unlock token when it enrolled, and sends none later. What is left is to erase it.")
}

func (r *Room) renderPasscode(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command) (map[string]any, error) {
	token, err := r.opened(ctx, tx, "unlock_token", "enroll.unlock:"+e.ID, e.ID)
	if err != nil {
		return nil, err
	}
	if token == nil {
		return nil, noUnlockToken()
	}
	return map[string]any{"UnlockToken": token}, nil
}

// Send queues one of Apple's commands that the desired state does not cover. The
// same command with the same arguments waits once.
func (r *Room) Send(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID, requestType string, args map[string]string) (string, error) {
	body, err := mdm.BuildRaw(requestType, args)
	if err != nil {
		return "", err
	}
	e, err := r.ready(ctx, tx, deviceID)
	if err != nil {
		return "", err
	}
	if spec, ok := catalogue.Find(catalogue.Command, requestType); ok && spec.Supervised && e.unsupervised() {
		return "", notSupervised(requestType)
	}
	c := r.order(e, raw, actor)
	c.RequestType = requestType
	if c.Args, err = mdm.Encode(body); err != nil {
		return "", fmt.Errorf("keep the arguments of %s: %w", requestType, err)
	}
	sum := sha256.Sum256(c.Args)
	c.DedupeKey = raw + ":" + requestType + ":" + hex.EncodeToString(sum[:8])
	// Keys only: a value may be a secret.
	keys := make([]string, 0, len(args))
	for k := range args {
		keys = append(keys, k)
	}
	return r.send(ctx, tx, e, c, map[string]any{"request_type": requestType, "keys": keys})
}

func renderRaw(_ context.Context, _ *sqldb.Tx, _ Enrollment, c commands.Command) (map[string]any, error) {
	body := map[string]any{}
	if err := mdm.Decode(c.Args, &body); err != nil {
		return nil, fmt.Errorf("read the arguments of %s: %w", c.RequestType, err)
	}
	return body, nil
}

// rawDone reads the answer to Settings item by item, since the whole is
// Acknowledged even when items of it failed.
func rawDone(_ context.Context, _ *sqldb.Tx, _ Enrollment, c commands.Command, res commands.Result) error {
	if c.RequestType != "Settings" {
		return nil
	}
	items, err := mdm.ParseSettings(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	var bad []string
	for _, it := range items {
		if it.Status == "Error" {
			bad = append(bad, mdm.Clean(it.Item)+": "+firstError(it.ErrorChain))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fault.New(fault.Denied, "device.settings", "The tablet refused %d of %d settings. %s. The others are made.", len(bad), len(items), strings.Join(bad, "; "))
}

func (r *Room) renderConfigured(_ context.Context, _ *sqldb.Tx, e Enrollment, _ commands.Command) (map[string]any, error) {
	if !e.Awaiting {
		return nil, fault.New(fault.Conflict, "device.not-awaiting", "The tablet no longer waits in Setup Assistant.")
	}
	return map[string]any{}, nil
}

func (r *Room) wasConfigured(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command, _ commands.Result) error {
	now := r.Clock.Now()
	return change(ctx, tx, "release", e.ID, now, `awaiting = FALSE, released_at = ?`, sqldb.At(now))
}

// bypassed keeps the code that opens an Activation Lock. The tablet gives it
// only in the first 15 days of its supervision, so it is kept for good (pain 34).
func (r *Room) bypassed(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command, res commands.Result) error {
	var answer struct{ ActivationLockBypassCode string }
	if err := mdm.Decode(res.Raw, &answer); err != nil {
		return unreadable(err)
	}
	if answer.ActivationLockBypassCode == "" {
		return fault.New(fault.Invalid, "answer.unreadable", "The tablet's answer holds no bypass code.")
	}
	sealed, err := r.Vault.Seal("enroll.bypass:"+e.ID, []byte(answer.ActivationLockBypassCode))
	if err != nil {
		return fmt.Errorf("keep a bypass code: %w", err)
	}
	if err := change(ctx, tx, "keep the bypass code of", e.ID, r.Clock.Now(), `bypass_code = ?`, sealed); err != nil {
		return err
	}
	return r.record(ctx, tx, e.device(), "bypass-code.keep", e.subject(), map[string]any{"generation": e.Generation})
}

// words checks a text that a person wrote for a screen or a reason.
func words(field, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\n' }) {
		return "", fault.New(fault.Invalid, "text.characters", "The text holds characters that cannot be shown.").On(field)
	}
	if n := utf8.RuneCountInString(text); n > most {
		return "", fault.New(fault.Invalid, "text.long", "The text has %d characters; at most %d are possible.", n, most).On(field)
	}
	return text, nil
}
