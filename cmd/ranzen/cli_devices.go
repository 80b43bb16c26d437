package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"
)

type deviceDoc struct {
	ID         string     `json:"id"`
	Serial     string     `json:"serial"`
	AssetTag   string     `json:"asset_tag"`
	UDID       string     `json:"udid"`
	Name       string     `json:"name"`
	Model      string     `json:"model"`
	OSVersion  string     `json:"os_version"`
	Supervised *bool      `json:"supervised"`
	State      string     `json:"enrollment_state"`
	LastSeen   *time.Time `json:"last_seen"`
	Tenant     string     `json:"tenant"`
	AssetState string     `json:"asset_state"`
	Delivery   string     `json:"delivery"`
	Site       string     `json:"site"`
	Cart       string     `json:"cart"`
	Slot       int64      `json:"slot"`
	Class      string     `json:"class"`
	Groups     []string   `json:"groups"`
	Items      []itemDoc  `json:"items"`
}

type itemDoc struct {
	Kind       string     `json:"kind"`
	Name       string     `json:"name"`
	Version    int64      `json:"version"`
	Desired    bool       `json:"desired"`
	ObservedAt *time.Time `json:"observed_at"`
	State      string     `json:"state"`
	Reason     string     `json:"reason"`
}

// DevicesCmd is `ranzen devices`.
type DevicesCmd struct {
	Remote
	ForTenant
	Filter string `placeholder:"EXPR" help:"Only those that fit: state:enrolled group:5a -os:17* library. Fields: state, group, serial, name, model, os, supervised, item, item-state, udid, asset, tenant, site, cart, class, delivery, asset-state."`
}

// Run prints all devices that fit.
func (c *DevicesCmd) Run(ctx context.Context, e env) error {
	q := c.query()
	if c.Filter != "" {
		q.Set("filter", c.Filter)
	}
	var list []deviceDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[deviceDoc](ctx, api, "/devices", q, 0)
		return err
	}, func(api *client) {
		t := newTable("SERIAL", "NAME", "STATE", "MODEL", "OS", "SUPERVISED", "GROUPS", "ITEMS", "LAST SEEN")
		for _, d := range list {
			t.add(d.Serial, d.Name, d.State, d.Model, d.OSVersion, yesNo(d.Supervised), strings.Join(d.Groups, ","), itemsInShort(d.Items), api.agoOf(d.LastSeen))
		}
		api.print(t, "No device fits.")
	})
}

// itemsInShort is "3 of 4 installed" of what is wished for.
func itemsInShort(items []itemDoc) string {
	wanted, there := 0, 0
	for _, i := range items {
		if i.Desired {
			wanted++
			if i.State == "installed" {
				there++
			}
		}
	}
	if wanted == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d installed", there, wanted)
}

// DeviceCmd groups what is done with a device.
type DeviceCmd struct {
	Show          DeviceShowCmd     `cmd:"" help:"Show all that is known of a device."`
	Why           DeviceWhyCmd      `cmd:"" help:"Say why a device has, lacks or waits for a profile or app."`
	Timeline      DeviceTimelineCmd `cmd:"" help:"Tell all that happened to a device, oldest first."`
	Place         DevicePlaceCmd    `cmd:"" help:"Say where a device belongs: cart and slot, site, class."`
	State         DeviceStateCmd    `cmd:"" help:"Take a device on in its life as property: ready, defective, retired."`
	Tag           DeviceTagCmd      `cmd:"" help:"Give a device its asset tag."`
	Rename        DeviceRenameCmd   `cmd:"" help:"Give a device another name."`
	Restart       DeviceRestartCmd  `cmd:"" help:"Restart devices."`
	Refresh       DeviceRefreshCmd  `cmd:"" help:"Ask devices for their inventory now."`
	Retry         DeviceRetryCmd    `cmd:"" help:"Try again at once what failed on a device, or send a profile or app once more."`
	Lost          DeviceLostCmd     `cmd:"" help:"Lock a lost device with a message (supervised ones only)."`
	Found         DeviceFoundCmd    `cmd:"" help:"End Lost Mode."`
	Locate        DeviceLocateCmd   `cmd:"" help:"Ask a lost device where it is; show where it was last."`
	Sound         DeviceSoundCmd    `cmd:"" help:"Let a lost device play a sound."`
	ClearPasscode DevicePasscodeCmd `cmd:"" help:"Remove the passcode of a device."`
	Erase         DeviceEraseCmd    `cmd:"" help:"Erase devices. This cannot be undone."`
	Release       DeviceReleaseCmd  `cmd:"" help:"Let an iPad out of Setup Assistant whose baseline is not there."`
	Unmanage      DeviceUnmanageCmd `cmd:"" help:"End the management of a device at its next contact."`
}

// One names one device.
type One struct {
	ID string `arg:"" help:"Serial number, asset tag, UDID or id."`
}

// Many names devices.
type Many struct {
	IDs []string `arg:"" name:"id" help:"Serial numbers, asset tags, UDIDs or ids."`
}

// DeviceShowCmd is `ranzen device show`.
type DeviceShowCmd struct {
	Remote
	One
}

type detailDoc struct {
	deviceDoc
	Link         string     `json:"link"`
	Again        bool       `json:"must_enroll_again"`
	LostAt       *time.Time `json:"lost_at"`
	OpenCommands int64      `json:"open_commands"`
	Certificate  *struct {
		Serial   string     `json:"serial"`
		NotAfter *time.Time `json:"not_after"`
	} `json:"certificate"`
	Push *struct {
		State     string     `json:"state"`
		PushedAt  *time.Time `json:"pushed_at"`
		LastError string     `json:"last_error"`
	} `json:"push"`
	Inventory map[string]struct {
		ObservedAt *time.Time `json:"observed_at"`
	} `json:"inventory"`
}

// Run prints the device, its items and the age of what it told.
func (c *DeviceShowCmd) Run(ctx context.Context, e env) error {
	var d detailDoc
	return c.do(e, func(api *client) error { return api.get(ctx, at("devices", c.ID), nil, &d) }, func(api *client) { d.tell(api) })
}

func (d *detailDoc) tell(api *client) {
	again, cert, push, open := "", "", "", ""
	if d.Again {
		again = "must enroll again: it enrolled before there was a push certificate"
	}
	if d.Certificate != nil {
		cert = d.Certificate.Serial + ", ends " + momentOf(d.Certificate.NotAfter)
	}
	if d.Push != nil {
		push = strings.TrimSuffix(strings.Join([]string{d.Push.State, d.Push.LastError}, ", "), ", ")
	}
	if d.OpenCommands > 0 {
		open = count(d.OpenCommands, "command")
	}
	api.facts("serial", d.Serial, "asset tag", d.AssetTag, "name", d.Name, "state", d.State, "lost since", momentOf(d.LostAt),
		"tenant", d.Tenant, "asset state", d.AssetState, "site", d.Site, "cart", d.Cart, "slot", d.slot(), "class", d.Class, "delivery", d.Delivery,
		"model", d.Model, "iPadOS", d.OSVersion, "supervised", yesNo(d.Supervised), "groups", strings.Join(d.Groups, ", "),
		"last seen", api.agoOf(d.LastSeen), "waiting", open, "link", d.Link, "note", again,
		"push", push, "certificate", cert, "udid", d.UDID, "id", d.ID)
	if len(d.Items) > 0 {
		api.line("")
		t := newTable("KIND", "NAME", "VERSION", "WANTED", "STATE", "OBSERVED", "REASON")
		for _, i := range d.Items {
			t.add(i.Kind, i.Name, fmt.Sprint(i.Version), yesNo(&i.Desired), i.State, api.agoOf(i.ObservedAt), i.Reason)
		}
		api.print(t, "")
	}
	kinds := []string{}
	for k := range d.Inventory {
		kinds = append(kinds, k)
	}
	if sort.Strings(kinds); len(kinds) > 0 {
		api.line("")
		t := newTable("TOLD BY ITSELF", "WHEN")
		for _, k := range kinds {
			t.add(k, api.agoOf(d.Inventory[k].ObservedAt))
		}
		api.print(t, "")
	}
}

// DeviceTimelineCmd is `ranzen device timeline`.
type DeviceTimelineCmd struct {
	Remote
	One
}

type happeningDoc struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"`
	Actor   string    `json:"actor"`
	Command string    `json:"command"`
	Kind    string    `json:"kind"`
	Item    string    `json:"item"`
	Reason  string    `json:"reason"`
}

// Run prints the story.
func (c *DeviceTimelineCmd) Run(ctx context.Context, e env) error {
	var list []happeningDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[happeningDoc](ctx, api, at("devices", c.ID, "timeline"), nil, 0)
		return err
	}, func(api *client) {
		t := newTable("WHEN", "WHAT", "ABOUT", "BY", "REASON")
		for _, h := range list {
			about := h.Kind
			if h.Item != "" {
				about += " " + h.Item
			}
			t.add(moment(h.At), h.What, strings.TrimSpace(about), h.Actor, h.Reason)
		}
		api.print(t, "Nothing has happened to it.")
	})
}
