package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// ConflictsCmd is `ranzen conflicts`.
type ConflictsCmd struct {
	Remote
	ForTenant
	Device string `placeholder:"ID" help:"Only of one device: serial number, asset tag, UDID or id."`
}

type conflictDoc struct {
	Code  string `json:"code"`
	Key   string `json:"key"`
	Items []struct {
		Item  string          `json:"item"`
		Value json.RawMessage `json:"value"`
	} `json:"items"`
	Effective json.RawMessage `json:"effective"`
	Undefined bool            `json:"undefined"`
	Devices   int64           `json:"devices"`
	Serials   []string        `json:"serials"`
}

// mostConflicts is how many different ones the server tells of a fleet.
const mostConflicts = 1000

// Run prints what disagrees, and what holds then.
func (c *ConflictsCmd) Run(ctx context.Context, e env) error {
	path, query := "/conflicts", c.query()
	if c.Device != "" {
		path, query = at("devices", c.Device, "conflicts"), nil
	}
	var list []conflictDoc
	return c.do(e, func(api *client) (err error) {
		if c.Device == "" {
			list, _, err = listing[conflictDoc](ctx, api, path, query, 0)
			return err
		}
		var doc struct {
			Items []conflictDoc `json:"items"`
		}
		err = api.get(ctx, path, query, &doc)
		list = doc.Items
		return err
	}, func(api *client) {
		t := newTable("ABOUT", "KEY", "DISAGREE", "HOLDS", "DEVICES", "ON")
		for _, x := range list {
			var who []string
			for _, it := range x.Items {
				if value := spoken(it.Value); value != "" {
					it.Item += " (" + value + ")"
				}
				who = append(who, it.Item)
			}
			holds := spoken(x.Effective)
			if x.Undefined {
				holds = "undefined, mostly the last one"
			}
			devices, on := fmt.Sprint(x.Devices), strings.Join(x.Serials, " ")
			if c.Device != "" {
				devices, on = "1", c.Device
			}
			t.add(x.Code, x.Key, strings.Join(who, ", "), holds, devices, on)
		}
		api.print(t, "Nothing that is assigned disagrees.")
		if len(list) >= mostConflicts {
			api.hint("There may be more than these %d.", len(list))
		}
	})
}

// spoken is a value as people read it; "" where there is none.
func spoken(v json.RawMessage) string {
	var list []string
	switch {
	case len(v) == 0 || string(v) == "null":
		return ""
	case json.Unmarshal(v, &list) != nil:
		return strings.Trim(string(v), `"`)
	case len(list) == 0:
		return "nothing"
	case len(list) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
	}
	return strings.Join(list, ", ")
}
