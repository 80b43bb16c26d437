package schools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// facts are what a scan may change about a device. Comparable on purpose.
type facts struct {
	Tag          string     `json:"tag"`
	Name         string     `json:"name"`
	Position     Position   `json:"position"`
	State        AssetState `json:"state"`
	StateAt      int64      `json:"state_at"` // ms
	DeliveryID   string     `json:"delivery"`
	OrderNo      string     `json:"order_no"`
	Funding      string     `json:"funding"`
	BindingUntil string     `json:"binding_until"`
	ScannedAt    int64      `json:"scanned_at"` // ms, in this delivery; 0 is never
}

// change is kept with a scan, to take it back.
type change struct {
	Before facts `json:"before"`
	After  facts `json:"after"`
}

func (c change) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "" // texts and numbers only
	}
	return string(b)
}

func snapshot(d Device, scannedAt sqldb.Time) facts {
	f := facts{d.AssetTag, d.Name, d.Position, d.AssetState, d.StateAt.UnixMilli(), d.DeliveryID, d.OrderNo, d.Funding, d.BindingUntil, 0}
	if !scannedAt.IsZero() {
		f.ScannedAt = scannedAt.UnixMilli()
	}
	return f
}

// unchanged tells whether the present still holds what a scan changed. What the
// scan left alone may be different.
func (c change) unchanged(now facts) bool {
	same := func(before, after, now any) bool { return before == after || after == now }
	b, a := c.Before, c.After
	return same(b.Tag, a.Tag, now.Tag) && same(b.Position, a.Position, now.Position) && same(b.Name, a.Name, now.Name) &&
		same(b.State, a.State, now.State) && same(b.StateAt, a.StateAt, now.StateAt) && same(b.DeliveryID, a.DeliveryID, now.DeliveryID) &&
		same(b.OrderNo, a.OrderNo, now.OrderNo) && same(b.Funding, a.Funding, now.Funding) &&
		same(b.BindingUntil, a.BindingUntil, now.BindingUntil) && same(b.ScannedAt, a.ScannedAt, now.ScannedAt)
}

// UndoScan takes a scan back: tag, slot, state and delivery are as before. With
// scanID "" it is the actor's last one that stands; two people at two scanners
// take back each their own. A device that the scan made known stays known.
//
// Faults: scan.none (nothing to undo), scan.undone, scan.moved-on (something
// else changed since, or what was before is taken now).
func (r *Room) UndoScan(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deliveryID, scanID string) (deviceID string, err error) {
	delivery, err := r.openDelivery(ctx, tx, deliveryID)
	if err != nil {
		return "", err
	}
	scan, err := lockScan(ctx, tx, delivery.ID, scanID, string(actor))
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return "", fault.New(fault.NotFound, "scan.none", "There is no such scan of yours in this delivery to undo.")
	case err != nil:
		return "", fmt.Errorf("read scan: %w", err)
	case !scan.UndoneAt.IsZero():
		return "", fault.New(fault.Conflict, "scan.undone", "This scan is undone already.")
	}
	var c change
	if err := json.Unmarshal([]byte(scan.Before), &c); err != nil {
		return "", fmt.Errorf("read what a scan changed: %w", err)
	}
	d, err := lockDevice(ctx, tx, scan.DeviceID)
	if err != nil {
		return "", err
	}
	at, _, err := scannedAt(ctx, tx, delivery.ID, d.Serial)
	if err != nil {
		return "", err
	}
	last, err := lastScan(ctx, tx, d.ID)
	if err != nil {
		return "", err
	}
	if last != scan.ID || !c.unchanged(snapshot(d, at)) {
		return "", movedOn(d, nil)
	}
	if err := r.restore(ctx, tx, actor, delivery, d, c); err != nil {
		if _, ok := fault.Of(err); ok {
			return "", movedOn(d, err)
		}
		return "", err
	}
	if err := setUndone(ctx, tx, scan.ID, r.clock.Now()); err != nil {
		return "", err
	}
	return d.ID, r.onDevice(ctx, tx, actor, "device.scan-undo", d.ID, map[string]any{"delivery": delivery.ID, "scan": scan.ID})
}

// restore brings back what a scan changed and nothing else. The state goes back
// by the very step that the scan recorded, which no table of transitions allows
// and only this may do.
func (r *Room) restore(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, delivery Delivery, d Device, c change) error {
	var err error
	now := r.clock.Now()
	b, a := c.Before, c.After
	if b.Tag != a.Tag {
		if d, err = r.tag(ctx, tx, actor, d, b.Tag); err != nil {
			return err
		}
	}
	if b.Position != a.Position {
		if d, err = r.put(ctx, tx, actor, d, b.Position); err != nil {
			return err
		}
	}
	if b.Name != a.Name && d.Name != b.Name {
		if err := setPosition(ctx, tx, d.ID, d.Position, b.Name, now); err != nil {
			return err
		}
	}
	if b.State != a.State {
		if err := restoreState(ctx, tx, d.ID, b.State, time.UnixMilli(b.StateAt), now); err != nil {
			return err
		}
		if err := r.onDevice(ctx, tx, actor, "device.state", d.ID, map[string]any{"from": a.State, "to": b.State, "reason": "scan undone"}); err != nil {
			return err
		}
	}
	if b.DeliveryID != a.DeliveryID {
		d.DeliveryID = b.DeliveryID
	}
	if b.OrderNo != a.OrderNo {
		d.OrderNo = b.OrderNo
	}
	if b.Funding != a.Funding {
		d.Funding = b.Funding
	}
	if b.BindingUntil != a.BindingUntil {
		d.BindingUntil = b.BindingUntil
	}
	if err := setOrigin(ctx, tx, d, now); err != nil {
		return err
	}
	if b.ScannedAt != 0 || a.ScannedAt == 0 {
		return nil
	}
	if err := setScanned(ctx, tx, delivery.ID, d.Serial, sqldb.Time{}); err != nil {
		return err
	}
	return dropUnlisted(ctx, tx, delivery.ID, d.Serial)
}

func movedOn(d Device, why error) *fault.Fault {
	return fault.New(fault.Conflict, "scan.moved-on", "%s was changed since it was scanned, or its former tag or slot is taken now. Change it by hand.", d.label()).With(why)
}
