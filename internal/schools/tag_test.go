package schools_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

const characters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checked is the check character by the words of ISO/IEC 7064, clause 9: the one
// of the 36 with which the whole string gives 1. It is found by trying.
func checked(body string) string {
	for _, c := range characters {
		p := 36
		for _, x := range strings.ReplaceAll(body, "-", "") {
			if p = (p + strings.IndexRune(characters, x)) % 36; p == 0 {
				p = 36
			}
			p = p * 2 % 37
		}
		if (p+strings.IndexRune(characters, c))%36 == 1 {
			return body + "-" + string(c)
		}
	}
	return ""
}

func TestEverySlipOnATagOfOursIsSeen(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		tags := slices.Concat(s.tags(1000), s.tags(1000))
		for _, tag := range tags {
			if normal, warning, err := schools.CheckTag(tag); normal != tag || warning != "" || err != nil || checked(tag[:len(tag)-2]) != tag {
				t.Fatalf("%s: got %q, %q, %v", tag, normal, warning, err)
			}
			for i := range tag {
				if tag[i] == '-' {
					continue
				}
				for _, c := range characters {
					slip := tag[:i] + string(c) + tag[i+1:]
					if normal, warning, err := schools.CheckTag(slip); slip != tag && err == nil && warning == "" {
						t.Fatalf("%s for %s is taken for %s", slip, tag, normal)
					}
				}
				if i+1 < len(tag) && tag[i] != tag[i+1] {
					slip := tag[:i] + tag[i+1:i+2] + tag[i:i+1] + tag[i+2:]
					if normal, warning, err := schools.CheckTag(slip); err == nil && warning == "" {
						t.Fatalf("%s for %s is taken for %s", slip, tag, normal)
					}
				}
			}
		}
		if tags[0] != "RV-26-000001-"+tags[0][13:] || tags[191][:12] != "RV-26-000192" {
			t.Errorf("the first is %s, the 192nd %s", tags[0], tags[191])
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(tags)))); n != len(tags) {
			t.Errorf("%d different tags of %d", n, len(tags))
		}
	})
}

func TestWhatATagCanBe(t *testing.T) {
	ours := checked("RV-26-000001")
	for _, test := range []struct {
		typed, normal, code string
		warned              bool
	}{
		{ours, ours, "", false},
		{" " + strings.ToLower(ours) + "\r\n", ours, "", false},
		{"RV-26-000001", ours, "", true},
		{"rv-26-000001", ours, "", true},
		{"7-031", "7-031", "", true},
		{"inv ä/7", "INV Ä/7", "", true},
		{strings.Repeat("9", 64), strings.Repeat("9", 64), "", true},
		{"", "", "tag.characters", false},
		{" \t", "", "tag.characters", false},
		{"A\x00B", "", "tag.characters", false},
		{"A\nB", "", "tag.characters", false},
		{"\xff", "", "tag.characters", false},
		{strings.Repeat("9", 65), "", "tag.characters", false},
		{"RV-26-000002-" + ours[13:], "", "tag.check", false},
	} {
		normal, warning, err := schools.CheckTag(test.typed)
		wantCode(t, err, test.code)
		if normal != test.normal || (warning != "") != test.warned {
			t.Errorf("%q: got %q, %q", test.typed, normal, warning)
		}
	}
}

func TestTagNumbersAreNeverGivenTwice(t *testing.T) {
	inSchool(t, func(t *testing.T, s *school) {
		a, b := s.device("DMQX0000A1"), s.device("DMQX0000A2")
		taken := checked("RV-26-000002")
		set := func(id, tag string) error {
			return s.try(func(ctx context.Context, tx *sqldb.Tx) error { return s.room.SetTag(ctx, tx, admin, id, tag) })
		}
		if err := set(a.ID, strings.ToLower(taken)); err != nil {
			t.Fatal(err)
		}
		wantList(t, "tags", s.tags(2), checked("RV-26-000001"), checked("RV-26-000003"))
		wantList(t, "tags", s.tags(1), checked("RV-26-000004"))
		wantCode(t, set(b.ID, taken), "tag.taken")
		wantCode(t, set(b.ID, "RV-26-000002"), "tag.taken")
		wantCode(t, set(b.ID, ""), "tag.characters")
		wantCode(t, set("nobody", "x"), "device.unknown")
		if err := set(a.ID, taken); err != nil {
			t.Errorf("the same again: %v", err)
		}
		foreign := s.foreign("DMQXFREMD1")
		err := set(foreign.ID, taken)
		wantCode(t, err, "tag.taken")
		if strings.Contains(err.Error(), a.Serial) {
			t.Errorf("%v names another tenant's device", err)
		}
		if d, err := s.room.Find(t.Context(), s.db, "rv-26-000002"); err != nil || d.ID != a.ID {
			t.Errorf("typed without its check character: got %+v, %v", d, err)
		}
		for _, n := range []int{0, -1, 1001} {
			wantCode(t, s.try(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := s.room.NextTags(ctx, tx, admin, schools.Tenant{TagPrefix: "RV"}, n)
				return err
			}), "tag.count")
		}
		s.do(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE tag_numbers SET next = 999999`)
			return err
		})
		wantCode(t, s.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := s.room.NextTags(ctx, tx, admin, schools.Tenant{ID: tenant, TagPrefix: "RV"}, 2)
			return err
		}), "tag.exhausted")
	})
}
