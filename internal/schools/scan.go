package schools

import (
	"context"
	"fmt"
	"slices"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// ScanResult is what became of scanned texts.
type ScanResult struct {
	ScanID     string // "" while nothing was written
	DeviceID   string // "" while it is not known
	Serial     string
	Tag        string
	Slot       string   // "SAT-K03-07"
	Kinds      []string // for each text "tag", "serial", "slot" or "unknown"
	Complete   bool     // tag and serial number were there, and are kept
	WaitingFor string   // "tag" or "serial", "" when complete
	Warnings   []ScanWarning
	Next       string // next free slot of that cart, "" for none
}

// ScanWarning is something to look at that stops nothing.
type ScanWarning struct{ Code, Text string }

// Scan takes what a scanner read since the last complete device, in any order:
// asset tag, serial number, and maybe a slot. It remembers nothing in between:
// the caller sends all texts again with the next one. With tag and serial number
// the device is the delivery's tenant's, bears the tag, is inventoried and, with
// a slot, in it; before that nothing is written. The same again is fine and
// changes nothing.
//
// Faults: scan.other-tenant, scan.tag-taken, scan.slot-taken, tag.check,
// scan.two-tags, scan.two-serials, scan.two-slots, scan.slot-unknown,
// scan.slot-site, scan.unclear, scan.texts, scan.text, delivery.closed,
// asset.forbidden.
func (r *Room) Scan(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deliveryID string, texts []string) (ScanResult, error) {
	delivery, err := r.openDelivery(ctx, tx, deliveryID)
	if err != nil {
		return ScanResult{}, err
	}
	if texts, err = scanned(texts, maxScanTexts); err != nil {
		return ScanResult{}, err
	}
	k, err := r.know(ctx, tx, delivery.TenantID, delivery.ID, delivery.SiteID, texts)
	if err != nil {
		return ScanResult{}, err
	}
	tenant, err := tenantByID(ctx, tx, delivery.TenantID)
	if err != nil {
		return ScanResult{}, err
	}
	k.prefix = tenant.TagPrefix
	read, err := recognise(texts, k)
	if err != nil {
		return ScanResult{}, err
	}
	if d, ok := k.serials[read.serial]; ok && d.TenantID != delivery.TenantID {
		return ScanResult{}, foreignScan(read.serial)
	}
	res := ScanResult{Serial: read.serial, Tag: read.tag, Kinds: read.kinds, Warnings: read.warnings, DeviceID: k.serials[read.serial].ID}
	if read.slot != nil {
		res.Slot = read.slot.name()
	}
	switch {
	case read.tag == "":
		res.WaitingFor = KindTag
		return res, nil
	case read.serial == "":
		res.WaitingFor = KindSerial
		return res, nil
	}
	if err := r.keepScan(ctx, tx, actor, delivery, read, &res); err != nil {
		return ScanResult{}, asScan(err, read.serial)
	}
	if read.slot != nil {
		res.Next, err = nextSlot(ctx, tx, *read.slot)
	}
	return res, err
}

// keepScan writes a complete scan and what it changed.
func (r *Room) keepScan(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, delivery Delivery, read reading, res *ScanResult) error {
	d, created, err := r.ensure(ctx, tx, actor, delivery.TenantID, read.serial, "", Delivered)
	if err != nil {
		return err
	}
	if !d.AssetState.scannable() {
		return forbidden(d, Inventoried)
	}
	res.DeviceID, res.Complete = d.ID, true
	scannedOn, unlisted, err := scannedAt(ctx, tx, delivery.ID, d.Serial)
	if err != nil {
		return err
	}
	before := snapshot(d, scannedOn)
	position := d.Position
	if read.slot != nil && (d.CartID != read.slot.cart.ID || d.Slot != read.slot.slot) {
		position = Position{CartID: read.slot.cart.ID, Slot: read.slot.slot, ClassID: d.ClassID}
	}
	if !created && d.AssetTag == read.tag && d.Position == position && !scannedOn.IsZero() && d.AssetState != Ordered && d.AssetState != Delivered {
		res.warn("scan.duplicate", "%s was scanned with this tag already.", d.label())
		res.ScanID, err = lastScan(ctx, tx, d.ID)
		return err
	}
	remark(d, unlisted, delivery, read, res)
	if d, err = r.inventory(ctx, tx, actor, d); err != nil {
		return err
	}
	if d, err = r.tag(ctx, tx, actor, d, read.tag); err != nil {
		return err
	}
	if d, err = r.put(ctx, tx, actor, d, position); err != nil {
		return err
	}
	if d, err = r.comesFrom(ctx, tx, d, delivery); err != nil {
		return err
	}
	now := sqldb.At(r.clock.Now())
	if scannedOn.IsZero() {
		scannedOn = now
		if err := setScanned(ctx, tx, delivery.ID, d.Serial, now); err != nil {
			return err
		}
	}
	res.ScanID = sqldb.NewID()
	if err := insertScan(ctx, tx, res.ScanID, delivery.ID, d.ID, change{before, snapshot(d, scannedOn)}.text(), string(actor), now.Time); err != nil {
		return err
	}
	return r.onDevice(ctx, tx, actor, "device.scan", d.ID, map[string]any{"delivery": delivery.ID, "scan": res.ScanID, "tag": read.tag, "slot": res.Slot})
}

// scannable: a device in this state can be in a technician's hands without
// anybody wondering. One that is missing or sold is no delivery's.
func (s AssetState) scannable() bool {
	return !s.gone() && s != Missing && s != Stolen
}

// inventory takes a device that came to the state in which it bears a tag. One
// that is further on stays there.
func (r *Room) inventory(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, d Device) (Device, error) {
	var err error
	if d.AssetState == Ordered {
		if d, err = r.move(ctx, tx, actor, d, Delivered, Evidence{}); err != nil {
			return d, err
		}
	}
	if d.AssetState == Delivered {
		return r.move(ctx, tx, actor, d, Inventoried, Evidence{})
	}
	return d, nil
}

// comesFrom gives a device what its delivery knows and it does not.
func (r *Room) comesFrom(ctx context.Context, tx *sqldb.Tx, d Device, delivery Delivery) (Device, error) {
	was := d
	for dst, value := range map[*string]string{&d.DeliveryID: delivery.ID, &d.OrderNo: delivery.OrderNo, &d.Funding: delivery.Funding, &d.BindingUntil: delivery.BindingUntil} {
		if *dst == "" {
			*dst = value
		}
	}
	if d == was {
		return d, nil
	}
	return d, setOrigin(ctx, tx, d, r.clock.Now())
}

// remark warns of what a person would want to know.
func remark(d Device, unlisted bool, delivery Delivery, read reading, res *ScanResult) {
	if unlisted {
		res.warn("scan.not-listed", "%s is not in the file of this delivery.", d.Serial)
	}
	if d.AssetTag != "" && d.AssetTag != read.tag {
		res.warn("scan.retagged", "%s had the tag %s. Take the old sticker off.", d.Serial, d.AssetTag)
	}
	if read.slot != nil && d.Slot != 0 && (d.CartID != read.slot.cart.ID || d.Slot != read.slot.slot) {
		res.warn("scan.moved", "%s was in another slot, %s.", d.Serial, d.Name)
	}
	if d.DeliveryID != "" && d.DeliveryID != delivery.ID {
		res.warn("scan.other-delivery", "%s came with another delivery.", d.Serial)
	}
	switch d.AssetState {
	case Ordered, Delivered, Inventoried:
	default:
		res.warn("scan.state", "%s is %s already and stays so.", d.Serial, d.AssetState)
	}
}

func (res *ScanResult) warn(code, format string, args ...any) {
	res.Warnings = append(res.Warnings, ScanWarning{code, fmt.Sprintf(format, args...)})
}

// asScan says in a scanner's words what another path says in its own.
func asScan(err error, serial string) error {
	f, ok := fault.Of(err)
	if !ok {
		return err
	}
	switch f.Code {
	case "device.other-tenant":
		return foreignScan(serial)
	case "tag.taken":
		return fault.New(fault.Conflict, "scan.tag-taken", "%s", f.Text).On("texts").With(f.Err)
	case "slot.taken":
		return fault.New(fault.Conflict, "scan.slot-taken", "%s", f.Text).On("texts").With(f.Err)
	}
	return err
}

func foreignScan(serial string) *fault.Fault {
	return fault.New(fault.Denied, "scan.other-tenant", "%s belongs to another tenant. Put it aside and ask whose it is.", serial).On("texts")
}

// openDelivery gives a delivery that takes scans.
func (r *Room) openDelivery(ctx context.Context, q sqldb.Queryer, id string) (Delivery, error) {
	all, err := list[Delivery, deliveryRow](ctx, q, "deliveries", selectDelivery, "", ` AND x.id = ?`, id)
	delivery, err := only(all, err, unknownDelivery(id), ambiguousDelivery(id))
	if err == nil && delivery.State != "open" {
		return delivery, fault.New(fault.Conflict, "delivery.closed", "The delivery %s is %s. Open it again to scan.", delivery.Code, delivery.State)
	}
	return delivery, err
}

// nextSlot is the free slot that follows in the cart, from its end on at its
// beginning.
func nextSlot(ctx context.Context, q sqldb.Queryer, s slotRef) (string, error) {
	taken, err := slotsIn(ctx, q, s.cart.ID)
	if err != nil {
		return "", err
	}
	for i := range s.cart.Slots {
		if n := (s.slot+i)%s.cart.Slots + 1; n != s.slot && !slices.Contains(taken, n) {
			return NameOf(s.site, s.cart, n), nil
		}
	}
	return "", nil
}
