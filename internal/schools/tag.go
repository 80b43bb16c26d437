package schools

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Our asset tags are "RV-26-000001-B": the tenant's prefix, two digits of the
// year, a number that starts with 1 every year, and a check character.
//
// The check character is the one of ISO/IEC 7064, MOD 37,36, over the letters
// and digits before it, without the hyphens. The characters 0-9 are worth 0-9,
// A-Z are worth 10-35. Begin with P = 36; for each character add its worth,
// take the sum modulo 36 (0 becomes 36), double it and take that modulo 37. The
// check character is the one with which P plus its worth is 1 modulo 36.
//
// It catches every single wrong character, and of two exchanged neighbours all
// but 1 in 630. [Room.NextTags] passes over the numbers for which an exchange on
// the sticker would go unseen ("000289-J" and "000298-J" in RV-26), so that no
// tag of ours is turned into another one by either.
var ourTag = regexp.MustCompile(`^([A-Z][A-Z0-9]{0,7}-[0-9]{2}-[0-9]{6})(?:-([A-Z0-9]))?$`)

const checkAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checkCharacter of the capital letters and digits in s; all else is passed by.
func checkCharacter(s string) byte {
	p := 36
	for _, c := range s {
		v := strings.IndexRune(checkAlphabet, c)
		if v < 0 {
			continue
		}
		if p = (p + v) % 36; p == 0 {
			p = 36
		}
		p = p * 2 % 37
	}
	return checkAlphabet[(37-p)%36]
}

// exchangeable tells whether two neighbours of a tag of ours can change places
// and give another one with the right check character.
func exchangeable(tag string) bool {
	for i := range len(tag) - 1 {
		if tag[i] == tag[i+1] {
			continue
		}
		m := ourTag.FindStringSubmatch(tag[:i] + tag[i+1:i+2] + tag[i:i+1] + tag[i+2:])
		if m != nil && m[2] == string(checkCharacter(m[1])) {
			return true
		}
	}
	return false
}

// maxTag bounds a tag in characters. Ours: Code 128 of more is wider than a label.
const maxTag = 64

// CheckTag gives a tag as we keep it: in capitals, and one of ours with its
// check character, which is added where it was left out. The warning, "" for
// none, says so, or that the tag is none of ours and typing errors stay unseen.
//
// Faults: tag.check (the check character is wrong), tag.characters.
func CheckTag(s string) (normal, warning string, err error) {
	valid := utf8.ValidString(s)
	s = strings.ToUpper(strings.TrimSpace(s))
	if s == "" || !valid || utf8.RuneCountInString(s) > maxTag ||
		strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", "", fault.New(fault.Invalid, "tag.characters", "An asset tag has 1 to %d printable characters.", maxTag).On("asset_tag")
	}
	m := ourTag.FindStringSubmatch(s)
	if m == nil {
		return s, "not one of our tags: typing errors stay unseen", nil
	}
	check := string(checkCharacter(m[1]))
	switch m[2] {
	case check:
		return s, "", nil
	case "":
		return s + "-" + check, "the check character was missing and was added: " + check, nil
	}
	return "", "", fault.New(fault.Invalid, "tag.check",
		"The asset tag %s has a wrong check character: one of its letters or digits was misread. Scan or type it again.", s).On("asset_tag")
}

// tagOf is ref as a tag would be kept, "" when it could be none.
func tagOf(ref string) string {
	tag, _, err := CheckTag(ref)
	if err != nil {
		return ""
	}
	return tag
}

// maxTags bounds how many labels are printed in one go.
const maxTags = 1000

// NextTags takes the next n numbers of a tenant's tags, 1 to 1000. They are
// never given again; what was taken in from a file is passed over. Tenants with
// one prefix share its numbers.
func (r *Room) NextTags(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenant Tenant, n int) ([]string, error) {
	if n < 1 || n > maxTags {
		return nil, fault.New(fault.Invalid, "tag.count", "Ask for 1 to %d tags at once.", maxTags).On("count")
	}
	year := r.clock.Now().Year() % 100
	next, err := lockTagNumber(ctx, tx, tenant.TagPrefix, year)
	if err != nil {
		return nil, err
	}
	tags := make([]string, 0, n)
	for len(tags) < n {
		var some []string
		for range n - len(tags) {
			body := fmt.Sprintf("%s-%02d-%06d", tenant.TagPrefix, year, next)
			if next++; next > 1_000_000 {
				return nil, fault.New(fault.Conflict, "tag.exhausted", "All 999,999 numbers of this year are taken. Give the tenant another prefix.")
			}
			if tag := body + "-" + string(checkCharacter(body)); !exchangeable(tag) {
				some = append(some, tag)
			}
		}
		if some, err = freeTags(ctx, tx, some); err != nil {
			return nil, err
		}
		tags = append(tags, some...)
	}
	if err := setTagNumber(ctx, tx, tenant.TagPrefix, year, next); err != nil {
		return nil, err
	}
	return tags, r.audit.Append(ctx, tx, audit.Event{Actor: actor, Action: "tag.next", Subject: "tenant:" + tenant.ID,
		Detail: map[string]any{"count": n, "first": tags[0], "last": tags[n-1]}})
}

// SetTag sticks a tag on a device.
//
// Faults: tag.taken, tag.check, tag.characters, device.unknown.
func (r *Room) SetTag(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID, tag string) error {
	d, err := lockDevice(ctx, tx, deviceID)
	if err != nil {
		return err
	}
	if tag, _, err = CheckTag(tag); err != nil {
		return err
	}
	_, err = r.tag(ctx, tx, actor, d, tag)
	return err
}

// tag is the one way to another tag, which is normal, or "" for none. The
// device's row is held.
func (r *Room) tag(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, d Device, tag string) (Device, error) {
	if tag == d.AssetTag {
		return d, nil
	}
	if tag != "" {
		other, taken, err := byTag(ctx, tx, tag)
		if err != nil {
			return d, err
		}
		if taken {
			return d, tagTaken(tag, d.TenantID, other)
		}
	}
	if err := setTag(ctx, tx, d.ID, tag, r.clock.Now()); err != nil {
		if sqldb.IsUnique(err) {
			return d, fault.New(fault.Conflict, "tag.taken", "The asset tag %s was given to another device in this moment.", tag).On("asset_tag").With(err)
		}
		return d, err
	}
	detail := map[string]any{"tag": tag, "before": d.AssetTag}
	d.AssetTag = tag
	return d, r.onDevice(ctx, tx, actor, "device.tag", d.ID, detail)
}

// tagTaken names the other device only to those whose it is.
func tagTaken(tag, tenantID string, other Device) *fault.Fault {
	if other.TenantID != tenantID {
		return fault.New(fault.Conflict, "tag.taken", "The asset tag %s is on another tenant's device.", tag).On("asset_tag")
	}
	return fault.New(fault.Conflict, "tag.taken", "The asset tag %s is on the device %s already.", tag, other.Serial).On("asset_tag")
}
