package schools

import (
	"context"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// AssetState is where a tablet stands as property. People move it; whether it
// is managed and whether it is well are two other questions.
type AssetState string

const (
	Ordered      AssetState = "ordered"
	Cancelled    AssetState = "cancelled" // an end
	Delivered    AssetState = "delivered"
	Complaint    AssetState = "complaint"     // sent back to the reseller; an end
	Inventoried  AssetState = "inventoried"   // bears a tag
	Ready        AssetState = "ready"         // can be given to a class
	InUse        AssetState = "in_use"        // in a packed cart, or lent
	InInspection AssetState = "in_inspection" // came back
	Defective    AssetState = "defective"
	InRepair     AssetState = "in_repair"
	Replaced     AssetState = "replaced" // another one came back for it; an end
	Missing      AssetState = "missing"
	Stolen       AssetState = "stolen"
	WrittenOff   AssetState = "written_off" // never to be seen again; an end
	Retired      AssetState = "retired"
	Disposed     AssetState = "disposed"    // an end
	HandedOver   AssetState = "handed_over" // to another owner; an end
)

// States are all asset states, in the order of a tablet's life.
func States() []AssetState {
	return []AssetState{Ordered, Cancelled, Delivered, Complaint, Inventoried, Ready, InUse, InInspection, Defective, InRepair,
		Replaced, Missing, Stolen, WrittenOff, Retired, Disposed, HandedOver}
}

// Ended tells of a state in which a tablet is not used any more, nor will be.
func (s AssetState) Ended() bool {
	switch s {
	case Cancelled, Complaint, Replaced, WrittenOff, Retired, Disposed, HandedOver:
		return true
	}
	return false
}

// ParseState reads a state as we write it or in the German of people's files,
// in any case, with spaces or hyphens for underscores.
func ParseState(word string) (AssetState, error) {
	w := strings.NewReplacer(" ", "_", "-", "_", "ü", "ue").Replace(strings.ToLower(strings.TrimSpace(word)))
	german := map[string]AssetState{
		"bestellt": Ordered, "storniert": Cancelled, "geliefert": Delivered, "reklamation": Complaint, "inventarisiert": Inventoried,
		"bereit": Ready, "im_einsatz": InUse, "in_pruefung": InInspection, "defekt": Defective, "in_reparatur": InRepair, "ersetzt": Replaced,
		"vermisst": Missing, "gestohlen": Stolen, "abgeschrieben": WrittenOff, "ausgemustert": Retired, "entsorgt": Disposed, "abgegeben": HandedOver,
	}
	if s, ok := german[w]; ok {
		return s, nil
	}
	for _, s := range States() {
		if string(s) == w {
			return s, nil
		}
	}
	return "", fault.New(fault.Invalid, "asset.state", "%q is no asset state. Say one of: %s.", mdm.Clean(word), join(States())).On("asset_state")
}

func join(states []AssetState) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// next says where a tablet may go from a state. What is not here is forbidden:
// a retired one is never used again, a stolen one only by way of inspection.
func (s AssetState) next() []AssetState {
	switch s {
	case Ordered:
		return []AssetState{Delivered, Cancelled}
	case Delivered:
		return []AssetState{Inventoried, Complaint}
	case Inventoried:
		return []AssetState{Ready}
	case Ready:
		return []AssetState{InUse, Defective, Missing, Retired}
	case InUse:
		return []AssetState{InInspection, Defective, Missing}
	case InInspection:
		return []AssetState{Ready, Defective, Retired}
	case Defective:
		return []AssetState{InRepair, Ready, Retired}
	case InRepair:
		return []AssetState{InInspection, Replaced}
	case Missing:
		return []AssetState{Stolen, InInspection, WrittenOff}
	case Stolen:
		return []AssetState{InInspection, WrittenOff}
	case Retired:
		return []AssetState{Disposed, HandedOver}
	}
	return nil
}

// gone tells whether a tablet in this state has no place any more.
func (s AssetState) gone() bool {
	switch s {
	case Cancelled, Complaint, Replaced, WrittenOff, Retired, Disposed, HandedOver:
		return true
	}
	return false
}

// Evidence is what is known when a tablet shall move on; who moves it gathers it.
type Evidence struct {
	Enrolled     bool      // under management now
	Converged    bool      // everything desired was observed
	Battery      *float64  // 0 to 1; nil is not known
	ErasePending bool      // ordered and not proven yet
	ErasedAt     time.Time // the last proven or acknowledged erase
	OpenCase     bool      // a defect, loss or repair that nobody closed
	Police       string    // reference of the report
	Reason       string    // for the audit log; no names
	Receipt      string    // of the disposal or of the new owner
	ReplacedBy   string    // serial number of the exchange device
	Confirmed    bool      // a person was warned and went on
}

// Guards of the transitions.
const (
	MinBattery    = 0.5                 // of a tablet that becomes ready: it must last a school day's start
	WriteOffAfter = 90 * 24 * time.Hour // since the tablet was found missing or stolen
)

// CanMove tells why a device may not go to a state, or nil. It changes nothing.
// To stay where it is a device needs nothing.
//
// Faults: asset.forbidden, asset.not-enrolled, asset.not-converged,
// asset.battery, asset.erase-pending, asset.not-erased, asset.police,
// asset.too-early, asset.receipt, asset.confirm, asset.open-case,
// asset.replaced-by.
func CanMove(d Device, to AssetState, ev Evidence, now time.Time) error {
	if d.AssetState == to {
		return nil
	}
	allowed := false
	for _, s := range d.AssetState.next() {
		allowed = allowed || s == to
	}
	if !allowed {
		return forbidden(d, to)
	}
	switch to {
	case Ready:
		return canBeReady(d, ev)
	case Stolen:
		if said(ev.Police) == "" {
			return fault.New(fault.Conflict, "asset.police", "Say the reference of the police report: without it %s stays missing.", d.Serial)
		}
	case WrittenOff:
		if since := now.Sub(d.StateAt); since < WriteOffAfter {
			return fault.New(fault.Conflict, "asset.too-early", "%s is %s for %d days; it can be written off after %d.",
				d.Serial, d.AssetState, int(since.Hours()/24), int(WriteOffAfter.Hours()/24))
		}
	case Retired:
		if today := now.Format(time.DateOnly); d.BindingUntil != "" && today <= d.BindingUntil && !ev.Confirmed {
			return fault.New(fault.Conflict, "asset.confirm", "The funding binds %s until %s. Confirm that it shall be retired before.", d.Serial, d.BindingUntil)
		}
	case Disposed, HandedOver:
		if said(ev.Receipt) == "" {
			return fault.New(fault.Conflict, "asset.receipt", "Say the number of the receipt: nothing leaves the house without one.")
		}
		if ev.OpenCase {
			return fault.New(fault.Conflict, "asset.open-case", "A case of %s is still open. Close it first.", d.Serial)
		}
	case Replaced:
		if serial, err := NormalSerial(ev.ReplacedBy); err != nil || serial == d.Serial {
			return fault.New(fault.Conflict, "asset.replaced-by", "Say the serial number of the device that came back for %s.", d.Serial)
		}
	}
	return nil
}

// canBeReady: no path leads to ready while an erase may still come.
func canBeReady(d Device, ev Evidence) error {
	switch {
	case ev.ErasePending:
		return fault.New(fault.Conflict, "asset.erase-pending", "An erase of %s is ordered and not proven. Wait for it, or take it back.", d.Serial)
	case d.AssetState != Inventoried:
		// It was in somebody's hands.
		if !ev.ErasedAt.After(d.StateAt) {
			return fault.New(fault.Conflict, "asset.not-erased", "%s was not erased since it is %s. Erase it first.", d.Serial, d.AssetState)
		}
	case !ev.Enrolled:
		return fault.New(fault.Conflict, "asset.not-enrolled", "%s is not under management yet. Switch it on and let it enroll.", d.Serial)
	case !ev.Converged:
		return fault.New(fault.Conflict, "asset.not-converged", "%s does not have all its profiles and apps yet.", d.Serial)
	case ev.Battery == nil || !(*ev.Battery >= MinBattery): // NaN is no charge
		return fault.New(fault.Conflict, "asset.battery", "The battery of %s is below %d percent, or was not told yet. Charge it.", d.Serial, int(MinBattery*100))
	}
	return nil
}

// said is what a person wrote, without what cannot be shown.
func said(s string) string { return strings.TrimSpace(mdm.Clean(s)) }

func forbidden(d Device, to AssetState) *fault.Fault {
	f := fault.New(fault.Conflict, "asset.forbidden", "%s is %s and cannot become %s.", d.Serial, d.AssetState, to)
	if next := d.AssetState.next(); len(next) > 0 {
		f = fault.New(fault.Conflict, "asset.forbidden", "%s is %s and cannot become %s; from there it goes to: %s.", d.Serial, d.AssetState, to, join(next))
	}
	return f.On("asset_state")
}

// Move takes a device to another asset state, if the table and the evidence
// allow it. One that is there already stays. What has no place any more gives
// up its slot.
func (r *Room) Move(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string, to AssetState, ev Evidence) error {
	d, err := lockDevice(ctx, tx, deviceID)
	if err != nil {
		return err
	}
	_, err = r.move(ctx, tx, actor, d, to, ev)
	return err
}

// move is the one way to another state: every path of this package goes here.
// The device's row is held.
func (r *Room) move(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, d Device, to AssetState, ev Evidence) (Device, error) {
	now := r.clock.Now()
	if err := CanMove(d, to, ev, now); err != nil || d.AssetState == to {
		return d, err
	}
	detail := map[string]any{"from": d.AssetState, "to": to}
	if to == Replaced {
		serial, err := NormalSerial(ev.ReplacedBy)
		if err != nil {
			return d, err
		}
		other, _, err := r.ensure(ctx, tx, actor, d.TenantID, serial, d.Model, Delivered)
		if err != nil {
			return d, err
		}
		d.ReplacedBy = other.ID
		detail["replaced_by"] = other.ID
	}
	for key, text := range map[string]string{"police": ev.Police, "receipt": ev.Receipt, "reason": ev.Reason} {
		if text = said(text); text != "" {
			detail[key] = text
		}
	}
	if ev.Confirmed {
		detail["confirmed"] = true
	}
	if err := setState(ctx, tx, d.ID, to, d.ReplacedBy, now); err != nil {
		return d, err
	}
	d.AssetState, d.StateAt = to, now
	if err := r.onDevice(ctx, tx, actor, "device.state", d.ID, detail); err != nil || !to.gone() {
		return d, err
	}
	return r.put(ctx, tx, actor, d, Position{})
}

func (r *Room) onDevice(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, action, id string, detail map[string]any) error {
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: action, Subject: "device:" + id, Detail: detail})
}
