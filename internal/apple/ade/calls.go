package ade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Account is what Apple says of a server token: whose it is, and of which MDM
// server. Persons, their addresses and telephones are left out.
type Account struct {
	ServerUUID, ServerName  string
	OrgID, OrgName, OrgType string
}

// Page is a part of the list of devices.
type Page struct {
	Devices []Device
	Cursor  string
	More    bool
}

// Device is what Apple says of a serial number. Times that Apple did not send or
// wrote oddly are zero.
type Device struct {
	Serial, Model, Description, Color, Family, OS, AssetTag string
	ProfileUUID, ProfileState                               string // state: "empty", "assigned", "pushed", "removed"
	OpType                                                  string // in Sync: "added", "modified", "deleted"
	Replacement                                             bool   // Apple exchanged another device for it; Replaced tells which
	ProfileAt, AssignedAt, OpAt                             time.Time
}

// MaxPage is the most devices that Apple takes or gives at once.
const MaxPage = 1000

type deviceDoc struct {
	Serial        string `json:"serial_number"`
	Model         string `json:"model"`
	Description   string `json:"description"`
	Color         string `json:"color"`
	Family        string `json:"device_family"`
	OS            string `json:"os"`
	AssetTag      string `json:"asset_tag"`
	ProfileUUID   string `json:"profile_uuid"`
	ProfileStatus string `json:"profile_status"`
	AssignTime    string `json:"profile_assign_time"`
	AssignedDate  string `json:"device_assigned_date"`
	Replacement   bool   `json:"is_replacement_device"`
	OpType        string `json:"op_type"`
	OpDate        string `json:"op_date"`
	Response      string `json:"response_status"`
}

// moment reads a time; "" and anything odd is zero.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// clean leaves out what no database takes.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

func (d deviceDoc) device() Device {
	return Device{
		Serial: strings.ToUpper(clean(strings.TrimSpace(d.Serial))), Model: clean(d.Model), Description: clean(d.Description), Color: clean(d.Color),
		Family: clean(d.Family), OS: clean(d.OS), AssetTag: clean(d.AssetTag), ProfileUUID: clean(d.ProfileUUID), ProfileState: clean(d.ProfileStatus),
		OpType: clean(d.OpType), Replacement: d.Replacement, ProfileAt: moment(d.AssignTime), AssignedAt: moment(d.AssignedDate), OpAt: moment(d.OpDate),
	}
}

// Account asks whose the token is. It is the first thing to ask with a new one.
func (c *Client) Account(ctx context.Context, key string, tok Token) (Account, error) {
	var doc struct {
		ServerUUID string `json:"server_uuid"`
		ServerName string `json:"server_name"`
		OrgID      string `json:"org_id"`
		OrgIDHash  string `json:"org_id_hash"`
		OrgName    string `json:"org_name"`
		OrgType    string `json:"org_type"`
	}
	if err := c.call(ctx, key, tok, http.MethodGet, "/account", nil, &doc); err != nil {
		return Account{}, err
	}
	if doc.ServerUUID == "" || doc.OrgName == "" {
		return Account{}, errors.New("Apple's answer names no server and no organization")
	}
	if doc.OrgID == "" {
		doc.OrgID = doc.OrgIDHash
	}
	return Account{clean(doc.ServerUUID), clean(doc.ServerName), clean(doc.OrgID), clean(doc.OrgName), clean(doc.OrgType)}, nil
}

// Fetch reads the whole list from the beginning (cursor "") or goes on. Its end
// is More false, or when asked once more an error that IsExhausted.
func (c *Client) Fetch(ctx context.Context, key string, tok Token, cursor string, limit int) (Page, error) {
	return c.page(ctx, key, tok, "/server/devices", cursor, limit)
}

// Sync reads what happened since a cursor.
func (c *Client) Sync(ctx context.Context, key string, tok Token, cursor string, limit int) (Page, error) {
	return c.page(ctx, key, tok, "/devices/sync", cursor, limit)
}

func (c *Client) page(ctx context.Context, key string, tok Token, path, cursor string, limit int) (Page, error) {
	in := map[string]any{"limit": limit}
	if cursor != "" {
		in["cursor"] = cursor
	}
	var doc struct {
		Devices *[]deviceDoc `json:"devices"`
		Cursor  string       `json:"cursor"`
		More    *bool        `json:"more_to_follow"`
	}
	if err := c.call(ctx, key, tok, http.MethodPost, path, in, &doc); err != nil {
		return Page{}, err
	}
	// A document that is none of a list must not look like the end of one.
	if doc.Cursor == "" || len(doc.Cursor) > 4000 || doc.More == nil {
		return Page{}, errors.New("Apple's answer is no list of devices: it has no cursor or does not say whether more follows")
	}
	p := Page{Cursor: clean(doc.Cursor), More: *doc.More}
	if doc.Devices == nil {
		return p, nil
	}
	for _, d := range *doc.Devices {
		if dev := d.device(); dev.Serial != "" {
			p.Devices = append(p.Devices, dev)
		}
	}
	return p, nil
}

// Details asks of certain serial numbers; those that are not ours are missing
// from the answer.
func (c *Client) Details(ctx context.Context, key string, tok Token, serials []string) (map[string]Device, error) {
	var doc struct {
		Devices map[string]deviceDoc `json:"devices"`
	}
	if err := c.call(ctx, key, tok, http.MethodPost, "/devices", map[string]any{"devices": serials}, &doc); err != nil {
		return nil, err
	}
	if doc.Devices == nil {
		return nil, errors.New("Apple's answer holds no devices")
	}
	out := make(map[string]Device, len(doc.Devices))
	for serial, d := range doc.Devices {
		if d.Response != "" && d.Response != "SUCCESS" {
			continue
		}
		if d.Serial == "" {
			d.Serial = serial
		}
		dev := d.device()
		out[dev.Serial] = dev
	}
	return out, nil
}

// DefineProfile stores an enrollment profile at Apple, which never changes it
// again, and gives its identifier.
func (c *Client) DefineProfile(ctx context.Context, key string, tok Token, definition []byte) (uuid string, err error) {
	var doc struct {
		UUID string `json:"profile_uuid"`
	}
	if err := c.call(ctx, key, tok, http.MethodPost, "/profile", json.RawMessage(definition), &doc); err != nil {
		return "", err
	}
	if doc.UUID == "" {
		return "", errors.New("Apple's answer names no profile")
	}
	return clean(doc.UUID), nil
}

// Profile gives an enrollment profile as Apple has it.
func (c *Client) Profile(ctx context.Context, key string, tok Token, uuid string) ([]byte, error) {
	var doc json.RawMessage
	err := c.call(ctx, key, tok, http.MethodGet, "/profile?profile_uuid="+url.QueryEscape(uuid), nil, &doc)
	return doc, err
}

// Assigned is Apple's answer to an assignment, serial number by serial number:
// "SUCCESS", "NOT_ACCESSIBLE", "FAILED", "THROTTLED".
type Assigned struct {
	Results    map[string]string
	RetryAfter time.Duration // for those THROTTLED; 0: Apple did not say
}

// Assign gives an enrollment profile to devices, at most MaxPage. That Apple says
// SUCCESS means that it took the order: what a device gets is told by Details.
func (c *Client) Assign(ctx context.Context, key string, tok Token, uuid string, serials []string) (Assigned, error) {
	return c.assign(ctx, key, tok, http.MethodPost, map[string]any{"profile_uuid": uuid, "devices": serials})
}

// Unassign takes the enrollment profile away from devices.
func (c *Client) Unassign(ctx context.Context, key string, tok Token, serials []string) (Assigned, error) {
	return c.assign(ctx, key, tok, http.MethodDelete, map[string]any{"devices": serials})
}

func (c *Client) assign(ctx context.Context, key string, tok Token, method string, in map[string]any) (Assigned, error) {
	var doc struct {
		Devices map[string]string `json:"devices"`
		Retry   int64             `json:"retry_after_seconds"`
	}
	if err := c.call(ctx, key, tok, method, "/profile/devices", in, &doc); err != nil {
		return Assigned{}, err
	}
	if doc.Devices == nil {
		return Assigned{}, errors.New("Apple's answer holds no results")
	}
	out := Assigned{Results: make(map[string]string, len(doc.Devices))}
	for serial, result := range doc.Devices {
		out.Results[strings.ToUpper(clean(serial))] = clean(result)
	}
	out.RetryAfter = after(fmt.Sprint(doc.Retry))
	return out, nil
}

// Replaced asks which device an exchanged one takes the place of; "" if Apple
// does not say. Apple publishes the question (Device Management, "Get Replacement
// Details", protocol version 10) but not the keys of its answer, so the one that
// names the original is looked for.
func (c *Client) Replaced(ctx context.Context, key string, tok Token, serial string) (original string, err error) {
	var doc map[string]any
	if err := c.call(ctx, key, tok, http.MethodGet, "/device/replacementDetails?serial_number="+url.QueryEscape(serial), nil, &doc); err != nil {
		if is(err, "DEVICE_NOT_FOUND") {
			return "", nil
		}
		return "", err
	}
	for k, v := range doc {
		if text, ok := v.(string); ok && strings.Contains(k, "original") && strings.Contains(k, "serial") {
			return strings.ToUpper(clean(strings.TrimSpace(text))), nil
		}
	}
	return "", nil
}
