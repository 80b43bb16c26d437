package schools

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Delivery is what a tenant ordered at once, and what is known of all of it.
type Delivery struct {
	ID, TenantID string
	Code         string // "L-2026-01"
	Expected     int    // how many were ordered
	State        string // "open", "closed", "cancelled"
	SiteID       string // where most of it goes; may be ""
	OrderNo      string
	Supplier     string
	Funding      string
	BindingUntil string // last day on which the funding binds it: "2030-07-31"
	Note         string
	CreatedAt    time.Time
}

// DeliveryChange is what shall be different about a delivery; nil stays.
type DeliveryChange struct {
	Expected                                                      *int
	State, SiteID, OrderNo, Supplier, Funding, BindingUntil, Note *string
}

var deliveryCode = regexp.MustCompile(`^[A-Z0-9][A-Z0-9._-]{0,31}$`)

// maxExpected bounds a delivery. Ours: what a file may hold.
const maxExpected = 50_000

// AddDelivery makes an open delivery of x.TenantID.
func (r *Room) AddDelivery(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, x Delivery) (Delivery, error) {
	x.Code = strings.ToUpper(strings.TrimSpace(x.Code))
	if !deliveryCode.MatchString(x.Code) {
		return Delivery{}, fault.New(fault.Invalid, "delivery.code", `A delivery's code has 1 to 32 letters, digits, dots and hyphens: "L-2026-01".`).On("code")
	}
	if err := mustBeTenant(ctx, tx, x.TenantID); err != nil {
		return Delivery{}, err
	}
	x.ID, x.State, x.CreatedAt = sqldb.NewID(), "open", r.clock.Now()
	if err := r.checkDelivery(ctx, tx, &x); err != nil {
		return Delivery{}, err
	}
	if err := insertDelivery(ctx, tx, x); err != nil {
		return Delivery{}, err
	}
	return x, r.made(ctx, tx, actor, "delivery", x.ID, x.Code)
}

// SetDelivery changes a delivery. A closed one can be opened again; a cancelled
// one is over.
func (r *Room) SetDelivery(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, id string, change DeliveryChange) error {
	x, err := lockDelivery(ctx, tx, id)
	if err != nil {
		return err
	}
	was := x.State
	if change.Expected != nil {
		x.Expected = *change.Expected
	}
	set(&x.State, change.State)
	set(&x.SiteID, change.SiteID)
	set(&x.OrderNo, change.OrderNo)
	set(&x.Supplier, change.Supplier)
	set(&x.Funding, change.Funding)
	set(&x.BindingUntil, change.BindingUntil)
	set(&x.Note, change.Note)
	if !slices.Contains([]string{"open", "closed", "cancelled"}, x.State) {
		return fault.New(fault.Invalid, "delivery.state", "A delivery is open, closed or cancelled.").On("state")
	}
	if was == "cancelled" && x.State != was {
		return fault.New(fault.Conflict, "delivery.cancelled", "The delivery %s was cancelled. Make a new one.", x.Code).On("state")
	}
	if err := r.checkDelivery(ctx, tx, &x); err != nil {
		return err
	}
	if err := updateDelivery(ctx, tx, x, r.clock.Now()); err != nil {
		return err
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "delivery.set", Subject: "delivery:" + id,
		Detail: map[string]any{"state": x.State, "expected": x.Expected, "site": x.SiteID}})
}

func (r *Room) checkDelivery(ctx context.Context, q sqldb.Queryer, x *Delivery) (err error) {
	if x.Expected < 0 || x.Expected > maxExpected {
		return fault.New(fault.Invalid, "delivery.expected", "A delivery holds 0 to %d devices.", maxExpected).On("expected")
	}
	if x.SiteID != "" {
		if _, err := siteByID(ctx, q, x.TenantID, x.SiteID); err != nil {
			return err
		}
	}
	for field, s := range map[string]*string{"order_no": &x.OrderNo, "supplier": &x.Supplier, "funding": &x.Funding} {
		if *s, err = cleanText(field, *s, maxName); err != nil {
			return err
		}
	}
	if x.Note, err = cleanText("note", x.Note, 500); err != nil {
		return err
	}
	if x.BindingUntil = strings.TrimSpace(x.BindingUntil); x.BindingUntil != "" {
		if _, err := time.Parse(time.DateOnly, x.BindingUntil); err != nil {
			return fault.New(fault.Invalid, "delivery.day", `A day is written as "2030-07-31".`).On("binding_until").With(err)
		}
	}
	return nil
}

// Deliveries lists the deliveries of a tenant, the newest first; "" is all tenants.
func (r *Room) Deliveries(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Delivery, error) {
	return list[Delivery, deliveryRow](ctx, q, "deliveries", selectDelivery, tenantID, ` ORDER BY x.created_at DESC, x.id DESC`)
}

// DeliveryByRef gives a delivery by its id or code.
func (r *Room) DeliveryByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (Delivery, error) {
	ref = strings.TrimSpace(ref)
	if !askable(ref) {
		return Delivery{}, unknownDelivery(ref)
	}
	all, err := list[Delivery, deliveryRow](ctx, q, "deliveries", selectDelivery, tenantID, ` AND (x.id = ? OR x.code = ?)`, ref, strings.ToUpper(ref))
	return only(all, err, unknownDelivery(ref), ambiguousDelivery(ref))
}

// List keeps that the reseller's file of a delivery names these serial numbers,
// and that the tenant's devices among them came, or will come, with it. A device
// that is known from another delivery stays with that one. Twice is once.
func (r *Room) List(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deliveryID string, serials []string) error {
	x, err := lockDelivery(ctx, tx, deliveryID)
	if err != nil {
		return err
	}
	normal := make([]string, 0, len(serials))
	for _, s := range serials {
		s, err := NormalSerial(s)
		if err != nil {
			return err
		}
		normal = append(normal, s)
	}
	if len(normal) == 0 {
		return nil
	}
	for part := range chunks(normal) {
		if err := listSerials(ctx, tx, x, part, r.clock.Now()); err != nil {
			return err
		}
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "delivery.list", Subject: "delivery:" + deliveryID,
		Detail: map[string]any{"count": len(normal)}})
}
