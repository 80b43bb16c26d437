package schools

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// School is one school of a tenant.
type School struct {
	ID, TenantID string
	Code, Name   string
}

// Site is a place with an address where a school teaches. Its code begins the
// names of its devices: "SAT".
type Site struct {
	ID, TenantID, SchoolID string
	Code, Name, Address    string
}

// Place is a room of a site.
type Place struct {
	ID, TenantID, SiteID string
	Name                 string
}

// Cart is a cart or case with numbered slots, 1 to Slots. Its code is the second
// part of the names of its devices: "K03".
type Cart struct {
	ID, TenantID, SiteID string
	PlaceID              string // may be ""
	Code, Label          string
	Slots                int
}

// Class is a class in one school year, which begins on 1 August: "2026/27".
type Class struct {
	ID, TenantID, SchoolID string
	Name, Year             string
}

// CartChange is what shall be different about a cart; nil stays.
type CartChange struct {
	PlaceID *string
	Label   *string
	Slots   *int
}

var (
	worldCode  = regexp.MustCompile(`^[A-Z0-9]{1,12}$`)
	schoolYear = regexp.MustCompile(`^(\d{4})/(\d{2})$`)
)

// maxSlots bounds a cart. Ours; the largest on the market hold about forty.
const maxSlots = 100

func normalCode(code string) (string, error) {
	code = strings.ToUpper(strings.TrimSpace(code))
	if !worldCode.MatchString(code) {
		return "", fault.New(fault.Invalid, "code.characters", "A code has 1 to 12 letters A to Z and digits, without hyphens: it becomes part of device names.").On("code")
	}
	return code, nil
}

// AddSchool makes a school of X.TenantID.
func (r *Room) AddSchool(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, x School) (School, error) {
	var err error
	if x.Code, err = normalCode(x.Code); err != nil {
		return School{}, err
	}
	if x.Name, err = cleanName("name", x.Name); err != nil {
		return School{}, err
	}
	if err := mustBeTenant(ctx, tx, x.TenantID); err != nil {
		return School{}, err
	}
	x.ID = sqldb.NewID()
	if err := insertSchool(ctx, tx, x, r.clock.Now()); err != nil {
		return School{}, err
	}
	return x, r.made(ctx, tx, actor, "school", x.ID, x.Code)
}

// AddSite makes a site of a school. Its code is one of a kind in the tenant.
// Without x.TenantID it is the school's tenant's.
func (r *Room) AddSite(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, x Site) (Site, error) {
	var err error
	if x.Code, err = normalCode(x.Code); err != nil {
		return Site{}, err
	}
	if x.Name, err = cleanName("name", x.Name); err != nil {
		return Site{}, err
	}
	if x.Address, err = cleanText("address", x.Address, 200); err != nil {
		return Site{}, err
	}
	school, err := schoolByID(ctx, tx, x.TenantID, x.SchoolID)
	if err != nil {
		return Site{}, err
	}
	x.ID, x.TenantID = sqldb.NewID(), school.TenantID
	if err := insertSite(ctx, tx, x, r.clock.Now()); err != nil {
		return Site{}, err
	}
	return x, r.made(ctx, tx, actor, "site", x.ID, x.Code)
}

// AddPlace makes a room of a site.
func (r *Room) AddPlace(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, x Place) (Place, error) {
	var err error
	if x.Name, err = cleanName("name", x.Name); err != nil {
		return Place{}, err
	}
	site, err := siteByID(ctx, tx, x.TenantID, x.SiteID)
	if err != nil {
		return Place{}, err
	}
	x.ID, x.TenantID = sqldb.NewID(), site.TenantID
	if err := insertPlace(ctx, tx, x, r.clock.Now()); err != nil {
		return Place{}, err
	}
	return x, r.made(ctx, tx, actor, "room", x.ID, x.Name)
}

// AddCart makes an empty cart at a site.
func (r *Room) AddCart(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, x Cart) (Cart, error) {
	var err error
	if x.Code, err = normalCode(x.Code); err != nil {
		return Cart{}, err
	}
	if err := r.checkCart(&x); err != nil {
		return Cart{}, err
	}
	site, err := siteByID(ctx, tx, x.TenantID, x.SiteID)
	if err != nil {
		return Cart{}, err
	}
	x.ID, x.TenantID = sqldb.NewID(), site.TenantID
	if _, err := r.checkPosition(ctx, tx, x.TenantID, Position{SiteID: x.SiteID, PlaceID: x.PlaceID}); err != nil {
		return Cart{}, err
	}
	if err := insertCart(ctx, tx, x, r.clock.Now()); err != nil {
		return Cart{}, err
	}
	return x, r.made(ctx, tx, actor, "cart", x.ID, site.Code+"-"+x.Code)
}

// SetCart changes a cart. It cannot shrink below a slot that holds a device.
func (r *Room) SetCart(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, id string, change CartChange) error {
	x, err := lockCart(ctx, tx, "", id)
	if err != nil {
		return err
	}
	set(&x.PlaceID, change.PlaceID)
	set(&x.Label, change.Label)
	if change.Slots != nil {
		x.Slots = *change.Slots
	}
	if err := r.checkCart(&x); err != nil {
		return err
	}
	if _, err := r.checkPosition(ctx, tx, x.TenantID, Position{SiteID: x.SiteID, PlaceID: x.PlaceID}); err != nil {
		return err
	}
	in, err := inCart(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, d := range in {
		if d.Slot > x.Slots {
			return fault.New(fault.Conflict, "cart.slots-used", "Slot %d holds %s. Take it out first.", d.Slot, d.label()).On("slots")
		}
	}
	if err := updateCart(ctx, tx, x, r.clock.Now()); err != nil {
		return err
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "cart.set", Subject: "cart:" + id,
		Detail: map[string]any{"label": x.Label, "slots": x.Slots, "room": x.PlaceID}})
}

func (r *Room) checkCart(x *Cart) (err error) {
	if x.Label, err = cleanText("label", x.Label, maxName); err != nil {
		return err
	}
	if x.Slots < 1 || x.Slots > maxSlots {
		return fault.New(fault.Invalid, "cart.slots", "A cart has 1 to %d slots.", maxSlots).On("slots")
	}
	return nil
}

// SetCartClasses says which classes use a cart, all of them. They are of its tenant.
func (r *Room) SetCartClasses(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, cartID string, classIDs []string) error {
	cart, err := lockCart(ctx, tx, "", cartID)
	if err != nil {
		return err
	}
	if len(classIDs) > maxSlots {
		return fault.New(fault.Invalid, "cart.classes", "At most %d classes can use a cart.", maxSlots).On("classes")
	}
	known, err := list[Class, classRow](ctx, tx, "classes", selectClass, cart.TenantID, ` AND x.id IN (?)`, append([]string{""}, classIDs...))
	if err != nil {
		return err
	}
	for _, id := range classIDs {
		if !slices.ContainsFunc(known, func(c Class) bool { return c.ID == id }) {
			return unknownClass(id)
		}
	}
	if err := replaceCartClasses(ctx, tx, cartID, classIDs); err != nil {
		return err
	}
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "cart.classes", Subject: "cart:" + cartID, Detail: map[string]any{"classes": classIDs}})
}

// AddClass makes a class of a school in one school year.
func (r *Room) AddClass(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, x Class) (Class, error) {
	var err error
	if x.Name, err = cleanName("name", x.Name); err != nil {
		return Class{}, err
	}
	if strings.Contains(x.Name, "/") || utf8.RuneCountInString(x.Name) > maxClassName {
		return Class{}, fault.New(fault.Invalid, "class.name", `A class is called like "3b", in at most %d characters, without a slash.`, maxClassName).On("name")
	}
	m := schoolYear.FindStringSubmatch(strings.TrimSpace(x.Year))
	if m == nil {
		return Class{}, badYear()
	}
	first, _ := strconv.Atoi(m[1])
	if second, _ := strconv.Atoi(m[2]); (first+1)%100 != second {
		return Class{}, badYear()
	}
	x.Year = m[0]
	school, err := schoolByID(ctx, tx, x.TenantID, x.SchoolID)
	if err != nil {
		return Class{}, err
	}
	x.ID, x.TenantID = sqldb.NewID(), school.TenantID
	if err := insertClass(ctx, tx, x, r.clock.Now()); err != nil {
		return Class{}, err
	}
	return x, r.made(ctx, tx, actor, "class", x.ID, school.Code+"/"+x.Name+"/"+x.Year)
}

const maxClassName = 20

func badYear() *fault.Fault {
	return fault.New(fault.Invalid, "class.year", `A school year is written as "2026/27".`).On("year")
}

func (r *Room) made(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, kind, id, code string) error {
	return r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: kind + ".add", Subject: kind + ":" + id, Detail: map[string]any{"code": code}})
}

// set takes over what shall be different.
func set(dst, change *string) {
	if change != nil {
		*dst = *change
	}
}

// cleanText is a line of text that may be empty.
func cleanText(field, s string, most int) (string, error) {
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n > most {
		return "", fault.New(fault.Invalid, "text.long", "The %s has %d characters; at most %d are possible.", field, n, most).On(field)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "text.characters", "The %s holds characters that cannot be shown, such as a line break.", field).On(field)
	}
	return s, nil
}

func mustBeTenant(ctx context.Context, q sqldb.Queryer, id string) error {
	var n int64
	if err := q.Get(ctx, &n, `SELECT COUNT(*) FROM tenants t WHERE t.id = ?`, id); err != nil {
		return fmt.Errorf("find tenant: %w", err)
	}
	if n == 0 {
		return unknownTenant()
	}
	return nil
}
