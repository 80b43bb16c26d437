package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// commandRef is what an order answers: the command that carries it.
type commandRef struct {
	Command string `json:"command"`
}

// order sends one order to each device and tells the commands' ids. All devices
// are looked up before the first order, so that a typing error orders nothing.
func (r *Remote) order(ctx context.Context, e env, ids []string, body any, told string, path ...string) error {
	api, err := r.open(e)
	if err != nil {
		return err
	}
	if len(ids) > 1 {
		for _, id := range ids {
			if _, err := api.ask(ctx, "GET", at("devices", id), nil); err != nil {
				return about(id, err)
			}
		}
	}
	refs := make([]commandRef, len(ids))
	for i, id := range ids {
		if err := api.post(ctx, at(append([]string{"devices", id}, path...)...), body, &refs[i]); err != nil {
			if i > 0 && !api.json {
				api.hint("ranzen: It was ordered for %s before this.", strings.Join(ids[:i], ", "))
			}
			return about(id, err)
		}
	}
	if api.json {
		return api.answer()
	}
	for i, id := range ids {
		api.line("%s: %s (command %s)", id, told, refs[i].Command)
	}
	return nil
}

// about names the device where the sentence does not.
func about(id string, err error) error {
	e, ok := errors.AsType[*apiError](err)
	if !ok || strings.Contains(e.text, id) {
		return err
	}
	return &exitError{e.status, plain(id) + ": " + e.text}
}

// DeviceRenameCmd is `ranzen device rename`.
type DeviceRenameCmd struct {
	Remote
	One
	Name string `arg:"" help:"The new name."`
}

// Run orders the new name; unsupervised devices refuse it.
func (c *DeviceRenameCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, []string{c.ID}, map[string]any{"name": c.Name}, "gets its new name at its next contact", "rename")
}

// DeviceRestartCmd is `ranzen device restart`.
type DeviceRestartCmd struct {
	Remote
	Many
}

// Run orders a restart.
func (c *DeviceRestartCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, c.IDs, nil, "restarts at its next contact", "restart")
}

// DeviceRefreshCmd is `ranzen device refresh`.
type DeviceRefreshCmd struct {
	Remote
	Many
}

// Run asks for all of the inventory.
func (c *DeviceRefreshCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, c.IDs, nil, "is asked at its next contact", "refresh")
}

// DeviceRetryCmd is `ranzen device retry`.
type DeviceRetryCmd struct {
	Remote
	One
	What string `arg:"" optional:"" help:"Name of a profile or app, which is sent once more although it is there. Default: all that failed."`
}

// Run forgets the waits between tries, and what the device undid too often.
func (c *DeviceRetryCmd) Run(ctx context.Context, e env) error {
	api, err := c.open(e)
	if err != nil {
		return err
	}
	var out struct {
		Items []string `json:"items"`
	}
	if err := api.post(ctx, at("devices", c.ID, "retry"), map[string]any{"what": c.What}, &out); err != nil {
		return about(c.ID, err)
	}
	if api.json {
		return api.answer()
	}
	api.line("%s: tried again at its next contact: %s", c.ID, strings.Join(out.Items, ", "))
	return nil
}

// DeviceLostCmd is `ranzen device lost`.
type DeviceLostCmd struct {
	Remote
	One
	Message  string `placeholder:"M" help:"What its screen says: whom to bring it to. A message or a phone number is needed."`
	Phone    string `placeholder:"P" help:"Whom a finder may call."`
	Footnote string `placeholder:"TEXT" help:"A small line below."`
}

// Run orders Lost Mode.
func (c *DeviceLostCmd) Run(ctx context.Context, e env) error {
	if c.Message == "" && c.Phone == "" {
		return usagef("A lost iPad needs something to say: give --message, --phone or both.")
	}
	body := map[string]any{"message": c.Message, "phone": c.Phone, "footnote": c.Footnote}
	return c.order(ctx, e, []string{c.ID}, body, "is locked at its next contact", "lost")
}

// DeviceFoundCmd is `ranzen device found`.
type DeviceFoundCmd struct {
	Remote
	One
}

// Run orders the end of Lost Mode.
func (c *DeviceFoundCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, []string{c.ID}, nil, "is unlocked at its next contact", "found")
}

// DeviceLocateCmd is `ranzen device locate`.
type DeviceLocateCmd struct {
	Remote
	One
	Last bool `help:"Do not ask again, only show where it was last."`
}

type locationDoc struct {
	Latitude           float64   `json:"latitude"`
	Longitude          float64   `json:"longitude"`
	HorizontalAccuracy float64   `json:"horizontal_accuracy"`
	ObservedAt         time.Time `json:"observed_at"`
}

// Run asks, and shows the last known place if there is one.
func (c *DeviceLocateCmd) Run(ctx context.Context, e env) error {
	api, err := c.open(e)
	if err != nil {
		return err
	}
	if !c.Last {
		var ref commandRef
		if err := api.post(ctx, at("devices", c.ID, "locate"), nil, &ref); err != nil {
			return err
		}
		if api.json {
			return api.answer()
		}
		api.line("%s: is asked where it is at its next contact (command %s)", c.ID, ref.Command)
	}
	var l locationDoc
	err = api.get(ctx, at("devices", c.ID, "location"), nil, &l)
	switch {
	case !c.Last && codeOf(err) == "location.none":
		api.line("Look again with: ranzen device locate --last %s", c.ID)
		return nil
	case err != nil:
		return err
	case api.json:
		return api.answer()
	}
	api.line("It was at %s (within %s m) %s.", fmt.Sprintf("%.6f, %.6f", l.Latitude, l.Longitude), fmt.Sprintf("%.0f", l.HorizontalAccuracy), api.ago(l.ObservedAt))
	return nil
}

// DeviceSoundCmd is `ranzen device sound`.
type DeviceSoundCmd struct {
	Remote
	One
}

// Run orders the sound.
func (c *DeviceSoundCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, []string{c.ID}, nil, "plays a sound at its next contact", "sound")
}

// DevicePasscodeCmd is `ranzen device clear-passcode`.
type DevicePasscodeCmd struct {
	Remote
	One
}

// Run orders the passcode's removal.
func (c *DevicePasscodeCmd) Run(ctx context.Context, e env) error {
	told := "loses its passcode at its next contact. If it was restarted and not unlocked since, it has no Wi-Fi until then: give it a wired network (an Ethernet adapter), or erase it"
	return c.order(ctx, e, []string{c.ID}, nil, told, "clear-passcode")
}

// DeviceEraseCmd is `ranzen device erase`.
type DeviceEraseCmd struct {
	Remote
	Many
	Reason          string `required:"" placeholder:"TEXT" help:"Why; it stays in the audit log."`
	ReturnToService bool   `help:"The iPad comes back by itself and enrolls again."`
	WiFi            string `name:"wifi" placeholder:"PROFILE" help:"With --return-to-service: the Wi-Fi profile it comes back with."`
	Yes             bool   `help:"Do not ask for confirmation."`
}

// Run erases after the serial number was typed.
func (c *DeviceEraseCmd) Run(ctx context.Context, e env) error {
	switch {
	case strings.TrimSpace(c.Reason) == "":
		return usagef("Say why with --reason TEXT: it stays in the audit log.")
	case c.WiFi != "" && !c.ReturnToService:
		return usagef("--wifi goes with --return-to-service: an iPad that does not come back by itself needs no Wi-Fi.")
	case c.ReturnToService && c.WiFi == "":
		return usagef("An iPad that comes back by itself needs a network: name a Wi-Fi profile with --wifi PROFILE.")
	}
	if !c.Yes {
		if err := c.ask(ctx, e); err != nil {
			return err
		}
	}
	body := map[string]any{"reason": c.Reason}
	if c.ReturnToService {
		body["return_to_service"], body["wifi"] = true, c.WiFi
	}
	return c.order(ctx, e, c.IDs, body, "is erased at its next contact", "erase")
}

// ask lets the person type what will be gone: the serial number, or how many.
func (c *DeviceEraseCmd) ask(ctx context.Context, e env) error {
	if _, ok := e.terminal(); !ok {
		return usagef("Erasing cannot be undone, and nobody is here to confirm it. Add --yes to do it all the same.")
	}
	api, err := c.open(e)
	if err != nil {
		return err
	}
	var last deviceDoc
	for _, id := range c.IDs {
		last = deviceDoc{}
		if err := api.get(ctx, at("devices", id), nil, &last); err != nil {
			return about(id, err)
		}
		api.hint("%s  %s  %s", plain(last.Serial), plain(last.Name), last.State)
	}
	want, question := last.Serial, "All data on this iPad will be gone. Type its serial number to go on: "
	if len(c.IDs) > 1 {
		want, question = fmt.Sprint(len(c.IDs)), "All data on these iPads will be gone. Type how many they are to go on: "
	}
	return e.confirm(question, want)
}

// DeviceUnmanageCmd is `ranzen device unmanage`.
type DeviceUnmanageCmd struct {
	Remote
	One
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stays in the audit log."`
	Yes    bool   `help:"Do not ask for confirmation."`
}

// Run ends the management at the next contact.
func (c *DeviceUnmanageCmd) Run(ctx context.Context, e env) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usagef("Say why with --reason TEXT: it stays in the audit log.")
	}
	if !c.Yes {
		if err := e.confirm("The iPad loses its profiles and managed apps and must enroll again to come back. Type "+plain(c.ID)+" to go on: ", c.ID); err != nil {
			return err
		}
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, at("devices", c.ID, "unmanage"), map[string]any{"reason": c.Reason}, nil)
	}, func(api *client) { api.line("%s: its management ends at its next contact.", c.ID) })
}

// SendCmd is `ranzen send`.
type SendCmd struct {
	Remote
	Words []string `arg:"" passthrough:"partial" name:"id" help:"ID… COMMAND [--key value …]: devices, one of Apple's commands, and its keys."`
}

// Run sends one command of Apple's to each device.
func (c *SendCmd) Run(ctx context.Context, e env) error {
	ids, name, args, err := c.parse()
	if err != nil {
		return err
	}
	return c.order(ctx, e, ids, map[string]any{"command": name, "args": args}, "gets "+name+" at its next contact", "send")
}

// parse tells our own flags from the command's keys, which nobody but the
// server knows.
func (c *SendCmd) parse() (ids []string, command string, args map[string]string, err error) {
	ours := map[string]*string{"data": &c.Data, "server": &c.Server, "token-file": &c.TokenFile, "ca": &c.CA}
	args = map[string]string{}
	var plainWords []string
	for i := 0; i < len(c.Words); i++ {
		w := c.Words[i]
		if !strings.HasPrefix(w, "--") {
			plainWords = append(plainWords, w)
			continue
		}
		key, value, has := strings.Cut(strings.TrimPrefix(w, "--"), "=")
		switch {
		case key == "":
			return nil, "", nil, usagef("A key is missing after --. See `ranzen send --help`.")
		case key == "json" && !has:
			c.JSON = true
			continue
		case key == "help" && !has:
			return nil, "", nil, usagef("`ranzen help send` explains the command; Apple's documentation explains its keys.")
		case !has && i+1 < len(c.Words) && !strings.HasPrefix(c.Words[i+1], "--"):
			i++
			value = c.Words[i]
		case !has:
			return nil, "", nil, usagef("The key --%s has no value: write --%s VALUE (for yes or no: true, false).", plain(key), plain(key))
		}
		if p, mine := ours[key]; mine {
			*p = value
			continue
		}
		if _, twice := args[key]; twice {
			return nil, "", nil, usagef("The key --%s is there twice.", plain(key))
		}
		args[key] = value
	}
	if len(plainWords) < 2 {
		return nil, "", nil, usagef("Say which devices and which command: ranzen send ID… COMMAND [--key value …].")
	}
	last := len(plainWords) - 1
	return plainWords[:last], plainWords[last], args, nil
}
