package schools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Device is a tablet as a thing. Empty texts are not known or not given; days
// are "2026-09-01".
type Device struct {
	ID         string
	TenantID   string // whose it is; never changes
	Serial     string
	AssetTag   string // the number on the school's sticker
	Name       string // the name we want it to have; never a person's
	Model      string // Apple's identifier: "iPad13,18", or the words of a file
	AssetState AssetState
	StateAt    time.Time // since when
	DeliveryID string
	Position

	Capacity      string // "128 GB"
	Color         string
	PartNo        string
	OrderNo       string
	DeliveryNote  string
	Box           string
	BoughtOn      string
	PriceCents    *int64 // net, euro
	Funding       string
	BindingUntil  string // last day on which the funding binds it
	WarrantyUntil string
	LoanType      string
	Pseudonym     string // never a name
	Note          string
	ReplacedBy    string // id of the exchange device
	CreatedAt     time.Time
}

// Group is a set of devices: those that people put in, or those that a rule takes.
type Group struct {
	ID        string
	TenantID  string // whose it is; "": the provider's, for devices of all tenants
	Name      string
	Rule      string // who is in it; "": who was put in
	Devices   int64  // how many are in it
	Unknown   int64  // of how many nobody knows whether its rule takes them in
	CreatedAt time.Time
}

// Room keeps devices and groups.
type Room struct {
	clock clock.Clock
	audit *audit.Log
}

// New makes the room.
func New(clk clock.Clock, log *audit.Log) *Room { return &Room{clock: clk, audit: log} }

// maxName bounds names in characters. Ours; Apple names no limit for DeviceName,
// and what is longer fits on no sticker and in no list.
const maxName = 100

// NormalSerial is a serial number as we keep it: without spaces around it and in
// capitals, as Apple prints it. Anything that could not be one is a fault.
func NormalSerial(s string) (string, error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if s == "" || len(s) > 64 {
		return "", badSerial()
	}
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", badSerial()
		}
	}
	return s, nil
}

func badSerial() *fault.Fault {
	return fault.New(fault.Invalid, "device.serial",
		"This is no serial number: it must be 1 to 64 letters and digits, as in Settings > General > About.").On("serial")
}

// cleanName refuses what no device or group could be called.
func cleanName(field, name string) (string, error) {
	name = strings.TrimSpace(name)
	n := utf8.RuneCountInString(name)
	switch {
	case n == 0:
		return "", fault.New(fault.Invalid, "name.empty", "Say a name.").On(field)
	case n > maxName:
		return "", fault.New(fault.Invalid, "name.long", "The name has %d characters; at most %d are possible.", n, maxName).On(field)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", fault.New(fault.Invalid, "name.characters", "The name holds characters that cannot be shown, such as a line break.").On(field)
	}
	return name, nil
}

// Ensure gives the device with this serial number, which it creates for the
// tenant if there is none. The row is held until the commit. A model that is not
// known yet is filled in. A device of another tenant is a fault; without a
// tenant, so is one that is not known.
func (r *Room) Ensure(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, serial, model string) (Device, error) {
	serial, err := NormalSerial(serial)
	if err != nil {
		return Device{}, err
	}
	d, _, err := r.ensure(ctx, tx, actor, tenantID, serial, model, Inventoried)
	return d, err
}

// ensure is Ensure for a device that is in the given state when it is new.
func (r *Room) ensure(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, serial, model string, state AssetState) (d Device, created bool, err error) {
	if tenantID != "" {
		if created, err = insertDevice(ctx, tx, sqldb.NewID(), tenantID, serial, model, state, r.clock.Now()); err != nil {
			return Device{}, false, err
		}
	}
	d, err = lockBySerial(ctx, tx, serial)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Device{}, false, unknownDevice(serial)
	}
	if err != nil {
		return Device{}, false, err
	}
	if tenantID != "" && d.TenantID != tenantID {
		return Device{}, false, otherTenant(serial)
	}
	if d.Model == "" && model != "" {
		if err := setModel(ctx, tx, d.ID, model, r.clock.Now()); err != nil {
			return Device{}, false, err
		}
		d.Model = model
	}
	if created {
		err = r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "device.add", Subject: "device:" + d.ID, Detail: map[string]any{"serial": serial}})
	}
	return d, created, err
}

func otherTenant(serial string) *fault.Fault {
	return fault.New(fault.Denied, "device.other-tenant",
		"The serial number %s belongs to another tenant. Ask its administrators to release it first.", serial).On("serial")
}

// BySerial gives the device with this serial number among those of a tenant; ""
// is all tenants.
func (r *Room) BySerial(ctx context.Context, q sqldb.Queryer, tenantID, serial string) (Device, error) {
	serial, err := NormalSerial(serial)
	if err != nil {
		return Device{}, err
	}
	d, err := deviceBySerial(ctx, q, serial)
	switch {
	case errors.Is(err, sqldb.ErrNoRows) || err == nil && tenantID != "" && d.TenantID != tenantID:
		return Device{}, unknownDevice(serial)
	case err != nil:
		return Device{}, fmt.Errorf("find device: %w", err)
	}
	return d, nil
}

// Rename says what a device shall be called. Two devices may bear one name.
func (r *Room) Rename(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, id, name string) error {
	name, err := cleanName("name", name)
	if err != nil {
		return err
	}
	n, err := setName(ctx, tx, id, name, r.clock.Now())
	if err != nil {
		return err
	}
	if n == 0 {
		return unknownDevice(id)
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "device.rename", Subject: "device:" + id, Detail: map[string]any{"name": name}})
}

// Find gives the device that ref names: its id, serial number or asset tag. What
// is typed by hand is found in small letters too.
func (r *Room) Find(ctx context.Context, q sqldb.Queryer, ref string) (Device, error) {
	ref = strings.TrimSpace(ref)
	if ref == "" || len(ref) > 255 || !utf8.ValidString(ref) || strings.ContainsRune(ref, 0) {
		return Device{}, unknownDevice(ref)
	}
	d, err := findDevice(ctx, q, ref, tagOf(ref))
	if errors.Is(err, sqldb.ErrNoRows) {
		return Device{}, unknownDevice(ref)
	}
	if err != nil {
		return Device{}, fmt.Errorf("find device: %w", err)
	}
	return d, nil
}

// Devices gives the devices with these ids; ids of none are missing from it.
func (r *Room) Devices(ctx context.Context, q sqldb.Queryer, ids []string) (map[string]Device, error) {
	out := make(map[string]Device, len(ids))
	for part := range chunks(ids) {
		rows, err := devicesByID(ctx, q, part)
		if err != nil {
			return nil, fmt.Errorf("read devices: %w", err)
		}
		for _, row := range rows {
			out[row.ID] = row.device()
		}
	}
	return out, nil
}

func unknownDevice(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "device.unknown",
		"There is no device %q. Say its serial number, asset tag or id.", strings.ToValidUTF8(ref, "?")).On("device")
}
