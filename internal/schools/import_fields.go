package schools

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sheet"
)

// dash is what a cell holds to empty a field; an empty cell leaves it as it is.
const dash = "-"

var (
	schemeName    = regexp.MustCompile(`^[A-Z0-9]{1,12}-[A-Z0-9]{1,12}-[0-9]{2,3}$`)
	pseudonymForm = regexp.MustCompile(`^P-[0-9A-Z]{2,12}$`)
)

// fields reads a line into the device it is about. What cannot be read is told to
// refuse, column by column.
func (im *importer) fields(row sheet.Row, x *imported, refuse func(string, error)) (warnings []string) {
	cell := func(column string) string { return im.columns.get(row, column) }
	if tenant := cell(colTenant); tenant != "" && lower(tenant) != lower(im.atlas.tenant.Code) && lower(tenant) != lower(im.atlas.tenant.Name) {
		refuse(colTenant, fault.New(fault.Invalid, "import.tenant", "The line is for %q, and the file is taken in for %s. Take each tenant's lines in for itself.", tenant, im.atlas.tenant.Code))
	}
	d := &x.after
	if tag := cell(colTag); tag == dash && d.AssetTag != dash {
		d.AssetTag = ""
	} else if tag != "" && tag != d.AssetTag {
		normal, warning, err := CheckTag(tag)
		if err != nil {
			refuse(colTag, err)
		} else if d.AssetTag = normal; warning != "" {
			warnings = append(warnings, "Asset tag "+normal+": "+warning)
		}
	}
	for column, most := range plainTexts() {
		value := cell(column)
		field := d.text(column)
		switch {
		case value == "" || value == *field:
		case value == dash:
			*field = ""
		default:
			text, err := cleanText(column, value, most)
			if err != nil {
				refuse(column, err)
				continue
			}
			*field = text
		}
	}
	im.days(d, cell, refuse)
	if p := cell(colPseudonym); p == dash {
		d.Pseudonym = ""
	} else if p != "" && p != d.Pseudonym {
		if p = strings.ToUpper(p); !pseudonymForm.MatchString(p) {
			refuse(colPseudonym, fault.New(fault.Invalid, "import.pseudonym", `A pseudonym looks like "P-7K4M2Q". A name does not belong here.`))
		} else {
			d.Pseudonym = p
		}
	}
	im.place(x, cell, refuse)
	warnings = append(warnings, im.called(x, cell(colName), refuse)...)
	im.state(x, cell(colState), refuse)
	return warnings
}

// text is where a plain column is kept.
func (d *Device) text(column string) *string {
	return map[string]*string{
		colModel: &d.Model, colCapacity: &d.Capacity, colColor: &d.Color, colPart: &d.PartNo, colOrder: &d.OrderNo, colNote2: &d.DeliveryNote,
		colBox: &d.Box, colFunding: &d.Funding, colLoan: &d.LoanType, colNote: &d.Note,
	}[column]
}

// days reads days and the price.
func (im *importer) days(d *Device, cell func(string) string, refuse func(string, error)) {
	for column, field := range map[string]*string{colBought: &d.BoughtOn, colBinding: &d.BindingUntil, colWarranty: &d.WarrantyUntil} {
		switch value := cell(column); value {
		case "", *field:
		case dash:
			*field = ""
		default:
			day, err := parseDay(value)
			if err != nil {
				refuse(column, err)
				continue
			}
			*field = day
		}
	}
	switch value := cell(colPrice); value {
	case "", priceText(d.PriceCents):
	case dash:
		d.PriceCents = nil
	default:
		cents, err := parsePrice(value)
		if err != nil {
			refuse(colPrice, err)
			return
		}
		d.PriceCents = &cents
	}
}

// parseDay reads 31.07.2030, 31.7.30 and 2030-07-31, also with a time behind it.
func parseDay(s string) (string, error) {
	s, _, _ = strings.Cut(strings.ReplaceAll(s, "T", " "), " ")
	for _, form := range []string{time.DateOnly, "02.01.2006", "2.1.2006", "02.01.06", "2.1.06"} {
		if t, err := time.Parse(form, s); err == nil {
			if y := t.Year(); y < 2000 || y > 2100 {
				break
			}
			return t.Format(time.DateOnly), nil
		}
	}
	return "", fault.New(fault.Invalid, "import.day", `%q is no day. Write it as 31.07.2030 or 2030-07-31.`, s)
}

// parsePrice reads 389,00 and 389.00, with thousands and the currency.
func parsePrice(s string) (cents int64, err error) {
	bad := fault.New(fault.Invalid, "import.price", `%q is no price. Write it as 389,00.`, s)
	t := strings.TrimSpace(strings.NewReplacer("€", "", "EUR", "", "\u00a0", "", " ", "").Replace(strings.ToUpper(s)))
	// The last of the two is the decimal mark, the other one parts thousands.
	comma, dot := strings.LastIndexByte(t, ','), strings.LastIndexByte(t, '.')
	switch {
	case comma > dot:
		t = strings.ReplaceAll(t, ".", "")
		t = strings.Replace(t, ",", ".", 1)
	case dot > comma && comma >= 0:
		t = strings.ReplaceAll(t, ",", "")
	case dot >= 0 && len(t)-dot == 4: // 1.389: thousands, as nobody pays tenths of a cent
		t = strings.ReplaceAll(t, ".", "")
	}
	whole, part, _ := strings.Cut(t, ".")
	part = strings.TrimRight(part, "-–")
	if len(part) > 2 || whole == "" {
		return 0, bad
	}
	euro, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || euro < 0 || euro > 1_000_000 {
		return 0, bad
	}
	cents = euro * 100
	if part != "" {
		n, err := strconv.ParseUint((part + "0")[:2], 10, 8)
		if err != nil {
			return 0, bad
		}
		cents += int64(n) //nolint:gosec // below 100
	}
	return cents, nil
}

func priceText(cents *int64) string {
	if cents == nil {
		return ""
	}
	c := strconv.FormatInt(*cents%100, 10)
	if len(c) == 1 {
		c = "0" + c
	}
	return strconv.FormatInt(*cents/100, 10) + "," + c
}

// called gives the device its name: what the line says, else that of its slot.
func (im *importer) called(x *imported, name string, refuse func(string, error)) (warnings []string) {
	d := &x.after
	moved := d.Position.CartID != x.before.CartID || d.Slot != x.before.Slot
	switch {
	case name == dash && d.Name != dash:
		d.Name = ""
	case name != "" && name != d.Name:
		clean, err := cleanName(colName, name)
		if err != nil {
			refuse(colName, err)
			return nil
		}
		if d.Name = clean; !schemeName.MatchString(clean) {
			warnings = append(warnings, "The name "+clean+` does not follow the scheme "SAT-K03-07". A device is never called after a class or a person.`)
		}
	case name != "": // as it is
	case moved && d.Slot > 0:
		d.Name = im.atlas.slotName(Position{CartID: d.CartID, Slot: d.Slot})
	case moved && x.before.Slot > 0 && d.Name == im.atlas.slotName(Position{CartID: x.before.CartID, Slot: x.before.Slot}):
		d.Name = ""
	}
	return warnings
}

// state moves the device as the line says. A new one may begin in any state of a
// tablet that is there, for that is what taking stock of a school means; one that
// is known goes only where its life allows, and what needs evidence (ready) or a
// paper (stolen, disposed) is no matter of a file.
func (im *importer) state(x *imported, word string, refuse func(string, error)) {
	d := &x.after
	if word == "" {
		switch {
		case x.fresh && d.AssetTag != "" && im.spec.DeliveryID == "":
			d.AssetState = Inventoried
		case x.fresh, im.spec.DeliveryID != "" && d.AssetState == Ordered:
			d.AssetState = Delivered
		}
		return
	}
	to, err := ParseState(word)
	if err != nil {
		refuse(colState, err)
		return
	}
	if x.fresh {
		if to.gone() {
			refuse(colState, fault.New(fault.Invalid, "import.state", "A device that is not known cannot begin as %s. Leave the line out.", to))
			return
		}
		d.AssetState = to
		return
	}
	if err := CanMove(x.before, to, Evidence{}, im.clock.Now()); err != nil {
		refuse(colState, err)
		return
	}
	d.AssetState = to
}

// place reads where a device belongs.
func (im *importer) place(x *imported, cell func(string) string, refuse func(string, error)) {
	d, a := &x.after, im.atlas
	before := d.Position
	no := func(column, code, value string) {
		refuse(column, fault.New(fault.Invalid, code, "There is no %s %q here. Make it first, or correct the line.", column, value))
	}
	if value := cell(colSite); value == dash {
		d.Position = Position{ClassID: d.ClassID}
	} else if value != "" {
		site, ok := a.site(value)
		if !ok {
			no(colSite, "import.site", value)
			return
		}
		if site.ID != d.SiteID {
			d.SiteID, d.PlaceID, d.CartID, d.Slot = site.ID, "", "", 0
		}
	}
	if value := cell(colSchool); value != "" {
		school, ok := a.school(value)
		if !ok {
			no(colSchool, "import.school", value)
		} else if site := a.sites[d.SiteID]; site.ID != "" && site.SchoolID != school.ID {
			refuse(colSchool, fault.New(fault.Invalid, "import.school-site", "The site %s belongs to another school than %s.", site.Code, value))
		}
	}
	im.cart(x, cell, refuse, no)
	if value := cell(colRoom); value == dash {
		d.PlaceID = ""
	} else if value != "" {
		place, ok := a.place(d.SiteID, value)
		if !ok {
			no(colRoom, "import.room", value)
		} else {
			d.PlaceID = place.ID
		}
	}
	if value := cell(colClass); value == dash {
		d.ClassID = ""
	} else if value != "" && value != a.className(d.ClassID) {
		class, ok := a.class(a.sites[d.SiteID].SchoolID, value)
		if !ok {
			no(colClass, "import.class", value)
		} else {
			d.ClassID = class.ID
		}
	}
	if d.AssetState.gone() && d.Position != before && d.Position != (Position{}) {
		refuse(colSite, fault.New(fault.Conflict, "position.gone", "%s is %s and has no place any more.", d.Serial, d.AssetState))
	}
}

// cart reads cart and slot.
func (im *importer) cart(x *imported, cell func(string) string, refuse func(string, error), no func(column, code, value string)) {
	d, a := &x.after, im.atlas
	cartText, slotText := cell(colCart), cell(colSlot)
	if at := strings.LastIndexByte(slotText, '-'); at > 0 { // "SAT-K03-07" stands for both
		if cartText == "" {
			cartText = slotText[:at]
		}
		slotText = slotText[at+1:]
	}
	switch {
	case cartText == dash:
		d.CartID, d.Slot = "", 0
	case cartText != "":
		cart, ok := a.cart(d.SiteID, cartText)
		if !ok {
			no(colCart, "import.cart", cartText)
			return
		}
		if d.SiteID != "" && cart.SiteID != d.SiteID && cell(colSite) != "" {
			refuse(colCart, fault.New(fault.Invalid, "position.site", "The cart %s is at another site than %s.", cartText, cell(colSite)))
			return
		}
		if cart.ID != d.CartID {
			d.Slot = 0
		}
		d.SiteID, d.CartID = cart.SiteID, cart.ID
	}
	switch slotText {
	case "":
	case dash:
		d.Slot = 0
	default:
		n, err := strconv.Atoi(slotText)
		cart := a.carts[d.CartID]
		switch {
		case err != nil || cart.ID == "":
			refuse(colSlot, fault.New(fault.Invalid, "position.slot", "A slot is a number, and in a cart: say which."))
		case n < 1 || n > cart.Slots:
			refuse(colSlot, fault.New(fault.Invalid, "slot.range", "The cart %s has the slots 1 to %d.", cart.Code, cart.Slots))
		default:
			d.Slot = n
		}
	}
}
