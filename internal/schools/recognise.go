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

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// What a text from a scanner was taken for.
const (
	KindTag     = "tag"
	KindSerial  = "serial"
	KindSlot    = "slot"
	KindUnknown = "unknown"
)

// Bounds of what a scanner sends. Ours: a box, a sticker and a slot are three
// texts; a full cart with its boxes is two hundred.
const (
	maxScanTexts = 8
	maxPackTexts = 400
	maxScanText  = 100 // characters
)

// scanned cleans what a scanner sent: capitals, no spaces around.
func scanned(texts []string, most int) ([]string, error) {
	if len(texts) > most {
		return nil, fault.New(fault.Invalid, "scan.texts", "These are %d texts; at most %d are taken at once.", len(texts), most).On("texts")
	}
	out := make([]string, len(texts))
	for i, t := range texts {
		if !utf8.ValidString(t) || utf8.RuneCountInString(t) > maxScanText {
			return nil, badText(i)
		}
		out[i] = strings.ToUpper(strings.TrimSpace(t))
		if strings.ContainsFunc(out[i], unicode.IsControl) {
			return nil, badText(i)
		}
	}
	return out, nil
}

func badText(i int) *fault.Fault {
	return fault.New(fault.Invalid, "scan.text", "Text %d is no scan: it is longer than %d characters or holds some that cannot be shown.", i+1, maxScanText).On("texts")
}

// known is what the database says of scanned texts.
type known struct {
	serials map[string]Device  // by serial number, of any tenant
	listed  map[string]bool    // serial numbers that the delivery's files name
	tags    map[string]Device  // by asset tag, of any tenant
	slots   map[string]slotRef // by the text
	prefix  string             // of the tenant's own tags
}

type slotRef struct {
	site Site
	cart Cart
	slot int
}

func (s slotRef) name() string { return NameOf(s.site, s.cart, s.slot) }

// reading is what the texts say together.
type reading struct {
	kinds    []string
	tag      string
	serial   string
	slot     *slotRef
	warnings []ScanWarning
}

func (k known) isSerial(s string) bool {
	_, device := k.serials[s]
	return device || k.listed[s]
}

var (
	slotName   = regexp.MustCompile(`^([A-Z0-9]{1,12})-([A-Z0-9]{1,12})-([0-9]{1,3})$`)
	slotInCart = regexp.MustCompile(`^([A-Z0-9]{1,12})/([0-9]{1,3})$`)
	// Apple's serial numbers have 12 characters, or 10 since 2021. Longer and
	// all digits are the other codes on the box: EAN, IMEI, EID.
	appleSerial = regexp.MustCompile(`^(?:[A-Z0-9]{10}|[A-Z0-9]{12})$`)
	likeSerial  = regexp.MustCompile(`^[A-Z0-9]{8,14}$`)
	digits      = regexp.MustCompile(`^[0-9]+$`)
)

// serialIn gives the serial number in a text, "" for none. The barcode on
// Apple's box begins with S, the mark of a serial number (ANSI MH10.8.2): it is
// taken off when the rest is known, or when the text is one longer than Apple's
// serial numbers are.
func (k known) serialIn(text string) string {
	rest, marked := strings.CutPrefix(text, "S")
	switch {
	case k.isSerial(text):
		return text
	case marked && k.isSerial(rest):
		return rest
	case marked && appleSerial.MatchString(rest) && hasBoth(rest):
		return rest
	case appleSerial.MatchString(text) && hasBoth(text):
		return text
	}
	return ""
}

// hasBoth: letters and digits, as every serial number of Apple's.
func hasBoth(s string) bool {
	return strings.ContainsAny(s, "0123456789") && strings.ContainsFunc(s, func(r rune) bool { return r >= 'A' && r <= 'Z' })
}

// foreignTag tells whether a text can be a tag of another kind than ours. The
// codes on a box and links must not become one.
func foreignTag(text string) bool {
	return len(text) <= 32 && strings.ContainsAny(text, "0123456789") && !(digits.MatchString(text) && len(text) >= 8) && !strings.ContainsAny(text, "/:") && tagOf(text) != ""
}

// recognise says what each text is. What is certain goes first: a slot, a known
// serial number or tag, a tag of our shape, Apple's shape of serial numbers.
// What is left may be an unusual serial number, or else a tag of another kind.
func recognise(texts []string, k known) (reading, error) {
	r := reading{kinds: make([]string, len(texts))}
	var left []int
	for i, text := range texts {
		r.kinds[i] = KindUnknown
		if text == "" {
			continue
		}
		kind, err := r.certain(text, k)
		if err != nil {
			return r, err
		}
		if kind == "" {
			left = append(left, i)
		} else {
			r.kinds[i] = kind
		}
	}
	return r, r.guess(texts, left)
}

// guess takes what is left, all at once: the order of the texts must not matter.
func (r *reading) guess(texts []string, left []int) error {
	fits := func(is func(string) bool) (out []string) {
		for _, i := range left {
			if text := texts[i]; text != r.serial && is(text) && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
		return out
	}
	if r.serial == "" {
		serials := fits(func(text string) bool { return likeSerial.MatchString(text) && hasBoth(text) })
		if len(serials) > 1 {
			return unclear(serials)
		}
		if len(serials) == 1 {
			r.serial = serials[0]
			r.warn("scan.serial-unusual", "%s is taken for the serial number, which Apple's do not look like.", r.serial)
		}
	}
	if r.tag == "" {
		tags := fits(foreignTag)
		if len(tags) > 1 {
			return unclear(tags)
		}
		if len(tags) == 1 {
			r.tag = tags[0]
			r.warn("scan.tag-foreign", "%s is taken for the asset tag. It is not one of ours: typing errors stay unseen.", r.tag)
		}
	}
	for _, i := range left {
		switch text := texts[i]; text {
		case r.serial:
			r.kinds[i] = KindSerial
		case r.tag:
			r.kinds[i] = KindTag
		default:
			r.warn("scan.unknown", "%s is neither a tag nor a serial number nor a slot. Scan the sticker, and on the box the code marked Serial No.", text)
		}
	}
	return nil
}

func unclear(texts []string) *fault.Fault {
	return fault.New(fault.Conflict, "scan.unclear", "Nobody can tell what is what of %s. Scan the device's own serial number and one tag.", strings.Join(texts, ", ")).On("texts")
}

func (r *reading) warn(code, format string, args ...any) {
	r.warnings = append(r.warnings, ScanWarning{code, fmt.Sprintf(format, args...)})
}

// certain takes in a text whose kind does not hang on the others; "" when it
// does. Two of one kind that differ are two devices in one hand.
func (r *reading) certain(text string, k known) (kind string, err error) {
	if s, ok := k.slots[text]; ok {
		if r.slot != nil && (r.slot.cart.ID != s.cart.ID || r.slot.slot != s.slot) {
			return "", fault.New(fault.Conflict, "scan.two-slots", "Two slots were scanned: %s and %s. Begin again with one.", r.slot.name(), s.name())
		}
		r.slot = &s
		return KindSlot, nil
	}
	tag, warning := "", ""
	if m := ourTag.FindStringSubmatch(text); m != nil || k.prefix != "" && nearlyOurs(text, k.prefix) {
		if m == nil {
			return "", fault.New(fault.Invalid, "tag.check", "%s begins like an asset tag of ours and is none: a character is missing or wrong. Scan it again.", text).On("texts")
		}
		if tag, warning, err = CheckTag(text); err != nil {
			return "", err
		}
	} else if _, ok := k.tags[text]; ok && !k.isSerial(text) {
		tag = text
	}
	if tag != "" {
		if r.tag != "" && r.tag != tag {
			return "", fault.New(fault.Conflict, "scan.two-tags", "Two asset tags were scanned: %s and %s. Begin again with one.", r.tag, tag)
		}
		if r.tag = tag; warning != "" {
			r.warn("scan.tag-no-check", "%s: %s.", text, warning)
		}
		return KindTag, nil
	}
	serial := k.serialIn(text)
	if serial == "" {
		return "", nil
	}
	if r.serial != "" && r.serial != serial {
		return "", fault.New(fault.Conflict, "scan.two-serials", "Two serial numbers were scanned: %s and %s. Does the box belong to the device? Begin again with one.", r.serial, serial)
	}
	r.serial = serial
	return KindSerial, nil
}

// nearlyOurs: the tenant's prefix and a digit behind the hyphen.
func nearlyOurs(text, prefix string) bool {
	rest, ok := strings.CutPrefix(text, prefix+"-")
	return ok && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// know asks the database about scanned texts.
func (r *Room) know(ctx context.Context, q sqldb.Queryer, tenantID, deliveryID, siteID string, texts []string) (known, error) {
	k := known{serials: map[string]Device{}, listed: map[string]bool{}, tags: map[string]Device{}, slots: map[string]slotRef{}}
	var serials, tags []string
	for _, text := range texts {
		if text == "" {
			continue
		}
		serials = append(serials, text)
		if rest, marked := strings.CutPrefix(text, "S"); marked && rest != "" {
			serials = append(serials, rest)
		}
		if tag := tagOf(text); tag != "" {
			tags = append(tags, tag)
		}
		s, is, err := r.slotIn(ctx, q, tenantID, siteID, text)
		if err != nil {
			return k, err
		}
		if is {
			k.slots[text] = s
		}
	}
	return k, k.ask(ctx, q, deliveryID, serials, tags)
}

func (k *known) ask(ctx context.Context, q sqldb.Queryer, deliveryID string, serials, tags []string) error {
	found, err := bySerialOrTag(ctx, q, serials, tags)
	if err != nil {
		return err
	}
	for _, d := range found {
		k.serials[d.Serial] = d
		if d.AssetTag != "" {
			k.tags[d.AssetTag] = d
		}
	}
	if deliveryID == "" {
		return nil
	}
	listed, err := listedAmong(ctx, q, deliveryID, serials)
	for _, s := range listed {
		k.listed[s] = true
	}
	return err
}

// slotIn reads "SAT-K03-07", and "K03/7" at the given site. What begins with a
// site of ours and names no slot is a fault, or it would end up as a tag.
func (r *Room) slotIn(ctx context.Context, q sqldb.Queryer, tenantID, siteID, text string) (slotRef, bool, error) {
	var site Site
	var code, number string
	if m := slotName.FindStringSubmatch(text); m != nil {
		sites, err := list[Site, siteRow](ctx, q, "sites", selectSite, tenantID, ` AND x.code = ?`, m[1])
		if err != nil || len(sites) != 1 {
			return slotRef{}, false, err
		}
		site, code, number = sites[0], m[2], m[3]
	} else if m := slotInCart.FindStringSubmatch(text); m != nil {
		if siteID == "" {
			return slotRef{}, false, fault.New(fault.Invalid, "scan.slot-site", "%s does not say at which site. Scan it whole, as SAT-K03-07, or give the delivery a site.", text).On("texts")
		}
		var err error
		if site, err = siteByID(ctx, q, tenantID, siteID); err != nil {
			return slotRef{}, false, err
		}
		code, number = m[1], m[2]
	} else {
		return slotRef{}, false, nil
	}
	carts, err := list[Cart, cartRow](ctx, q, "carts", selectCart, tenantID, ` AND x.site_id = ? AND x.code = ?`, site.ID, code)
	if err != nil {
		return slotRef{}, false, err
	}
	slot, _ := strconv.Atoi(number)
	if len(carts) == 0 || slot < 1 || slot > carts[0].Slots {
		return slotRef{}, false, fault.New(fault.NotFound, "scan.slot-unknown", "There is no slot %s at the site %s.", text, site.Code).On("texts")
	}
	return slotRef{site, carts[0], slot}, true, nil
}
