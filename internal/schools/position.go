package schools

import (
	"context"
	"fmt"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Position is where a device belongs. Empty is nowhere; Slot counts from 1.
type Position struct {
	SiteID  string
	PlaceID string
	CartID  string
	Slot    int
	ClassID string
}

// NameOf is what the device in a slot is called: "SAT-K03-07". Never a class,
// which changes every year, and never a child.
func NameOf(site Site, cart Cart, slot int) string {
	return fmt.Sprintf("%s-%s-%02d", site.Code, cart.Code, slot)
}

// Put says where a device belongs, all of it: what p leaves empty is taken away.
// In a cart it is at the cart's site. With a slot it gets the name of the slot;
// it loses that name with the slot.
//
// Faults: slot.taken (who is there is named), slot.range, position.slot,
// position.site, position.place, position.gone, and unknown for what is not
// there or of another tenant.
func (r *Room) Put(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string, p Position) error {
	d, err := lockDevice(ctx, tx, deviceID)
	if err != nil {
		return err
	}
	_, err = r.put(ctx, tx, actor, d, p)
	return err
}

// put is the one way to another position. The device's row is held; the cart's
// is until the commit, so that two never see one slot free.
func (r *Room) put(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, d Device, p Position) (Device, error) {
	if d.AssetState.gone() && p != (Position{}) {
		return d, fault.New(fault.Conflict, "position.gone", "%s is %s and has no place any more.", d.Serial, d.AssetState)
	}
	name, err := r.nameWithout(ctx, tx, d, p)
	if err != nil {
		return d, err
	}
	if p.CartID != "" {
		if p, name, err = r.intoCart(ctx, tx, d, p, name); err != nil {
			return d, err
		}
	} else if p.Slot != 0 {
		return d, fault.New(fault.Invalid, "position.slot", "A slot is in a cart: say which.").On("cart")
	}
	if p, err = r.checkPosition(ctx, tx, d.TenantID, p); err != nil {
		return d, err
	}
	if p == d.Position && name == d.Name {
		return d, nil
	}
	if err := setPosition(ctx, tx, d.ID, p, name, r.clock.Now()); err != nil {
		if sqldb.IsUnique(err) {
			return d, fault.New(fault.Conflict, "slot.taken", "Another device came into slot %d of the cart in this moment.", p.Slot).On("slot").With(err)
		}
		return d, err
	}
	d.Position, d.Name = p, name
	return d, r.onDevice(ctx, tx, actor, "device.place", d.ID, map[string]any{
		"site": p.SiteID, "room": p.PlaceID, "cart": p.CartID, "slot": p.Slot, "class": p.ClassID, "name": name})
}

// intoCart checks cart and slot and gives the name that belongs to them.
func (r *Room) intoCart(ctx context.Context, tx *sqldb.Tx, d Device, p Position, name string) (Position, string, error) {
	cart, err := lockCart(ctx, tx, d.TenantID, p.CartID)
	if err != nil {
		return p, "", err
	}
	if p.SiteID != "" && p.SiteID != cart.SiteID {
		return p, "", fault.New(fault.Invalid, "position.site", "The cart %s is at another site. Leave the site out.", cart.Code).On("site")
	}
	p.SiteID = cart.SiteID
	if p.Slot == 0 {
		return p, name, nil
	}
	if p.Slot < 1 || p.Slot > cart.Slots {
		return p, "", fault.New(fault.Invalid, "slot.range", "The cart %s has the slots 1 to %d.", cart.Code, cart.Slots).On("slot")
	}
	site, err := siteByID(ctx, tx, d.TenantID, cart.SiteID)
	if err != nil {
		return p, "", err
	}
	other, taken, err := inSlot(ctx, tx, cart.ID, p.Slot)
	if err != nil {
		return p, "", err
	}
	if taken && other.ID != d.ID {
		return p, "", fault.New(fault.Conflict, "slot.taken", "Slot %s holds %s already. Take that one out first.",
			NameOf(site, cart, p.Slot), other.label()).On("slot")
	}
	return p, NameOf(site, cart, p.Slot), nil
}

// checkPosition refuses what is not the tenant's, or not at the same site.
func (r *Room) checkPosition(ctx context.Context, q sqldb.Queryer, tenantID string, p Position) (Position, error) {
	if p.PlaceID != "" {
		place, err := placeByID(ctx, q, tenantID, p.PlaceID)
		if err != nil {
			return p, err
		}
		if p.SiteID != "" && p.SiteID != place.SiteID {
			return p, fault.New(fault.Invalid, "position.place", "The room %q is at another site.", place.Name).On("room")
		}
		p.SiteID = place.SiteID
	}
	if p.SiteID != "" {
		if _, err := siteByID(ctx, q, tenantID, p.SiteID); err != nil {
			return p, err
		}
	}
	if p.ClassID != "" {
		if _, err := classByID(ctx, q, tenantID, p.ClassID); err != nil {
			return p, err
		}
	}
	return p, nil
}

// nameWithout is a device's name when it leaves its slot: one that was the
// slot's is given up, or two would bear it.
func (r *Room) nameWithout(ctx context.Context, q sqldb.Queryer, d Device, p Position) (string, error) {
	if d.Name == "" || d.Slot == 0 || p.CartID == d.CartID && p.Slot == d.Slot {
		return d.Name, nil
	}
	cart, err := cartByID(ctx, q, d.TenantID, d.CartID)
	if err != nil {
		return "", err
	}
	site, err := siteByID(ctx, q, d.TenantID, cart.SiteID)
	if err != nil {
		return "", err
	}
	if d.Name == NameOf(site, cart, d.Slot) {
		return "", nil
	}
	return d.Name, nil
}

// label is how people find a device in their hands: by its tag, or else by its
// serial number.
func (d Device) label() string {
	if d.AssetTag != "" {
		return d.AssetTag + " (" + d.Serial + ")"
	}
	return d.Serial
}
