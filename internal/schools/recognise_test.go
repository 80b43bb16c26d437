package schools

import (
	"slices"
	"strings"
	"testing"

	"ranzen/internal/fault"
)

func someKnown() known {
	return known{
		serials: map[string]Device{"DMQX0000A1": {Serial: "DMQX0000A1"}, "S12": {Serial: "S12"}, "SDMQX0000AB": {Serial: "SDMQX0000AB"}},
		listed:  map[string]bool{"LISTED9": true},
		tags:    map[string]Device{"INV-7": {Serial: "DMQX0000A1", AssetTag: "INV-7"}, "S12": {Serial: "DMQX0000A2", AssetTag: "S12"}},
		slots:   map[string]slotRef{"SAT-K03-07": {Site{Code: "SAT"}, Cart{ID: "c", Code: "K03", Slots: 20}, 7}},
		prefix:  "RV",
	}
}

func TestWhatAScannedTextIsTakenFor(t *testing.T) {
	ours := "RV-26-000001-" + string(checkCharacter("RV-26-000001"))
	for _, test := range []struct {
		text, kind, as string
	}{
		{ours, KindTag, ours},
		{"RV-26-000001", KindTag, ours},
		{"DMQX0000A1", KindSerial, "DMQX0000A1"},
		{"SDMQX0000A1", KindSerial, "DMQX0000A1"},     // the box of a known one
		{"SDMQX0000A9", KindSerial, "DMQX0000A9"},     // the box of a new one, 10 characters
		{"SDMQX0000A9ZZ", KindSerial, "DMQX0000A9ZZ"}, // and of one with 12
		{"SMQX0000A9", KindSerial, "SMQX0000A9"},      // begins with S by itself
		{"SDMQX0000AB", KindSerial, "SDMQX0000AB"},    // known as a whole
		{"SSDMQX0000AB", KindSerial, "SDMQX0000AB"},
		{"S12", KindSerial, "S12"},
		{"SS12", KindSerial, "S12"},
		{"LISTED9", KindSerial, "LISTED9"},
		{"SLISTED9", KindSerial, "LISTED9"},
		{"INV-7", KindTag, "INV-7"},
		{"7-031", KindTag, "7-031"},
		{"SAT-K03-07", KindSlot, ""},
		{"ABCD12345", KindSerial, "ABCD12345"}, // unusual, and warned of
		{"4012345678901", KindUnknown, ""},     // EAN
		{"353012345678901", KindUnknown, ""},   // IMEI
		{"89049032007108882600152387654321", KindUnknown, ""},
		{"1PMK2K3FD/A", KindUnknown, ""}, // part number
		{"HTTPS://EXAMPLE.ORG/1", KindUnknown, ""},
		{"", KindUnknown, ""},
		{"S", KindUnknown, ""},
	} {
		r, err := recognise([]string{test.text}, someKnown())
		if err != nil || r.kinds[0] != test.kind || r.tag+r.serial != test.as {
			t.Errorf("%q: got %+v, %v, want %s %q", test.text, r, err, test.kind, test.as)
		}
	}
}

// The example of the GRid standard, which uses ISO/IEC 7064 MOD 37,36 too:
// A1-2425G-ABC1234002-M.
func TestTheCheckCharacterIsTheStandards(t *testing.T) {
	if got := checkCharacter("A12425GABC1234002"); got != 'M' {
		t.Errorf("got %c, want M", got)
	}
}

func TestAnUnusualTextYieldsToACertainOne(t *testing.T) {
	// Alone it may be a serial number; beside one it can only be a tag.
	r, err := recognise([]string{"ABCD12345", "DMQX0000A1"}, someKnown())
	if err != nil || r.serial != "DMQX0000A1" || r.tag != "ABCD12345" {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, texts := range [][]string{{"ABCD12345", "EFGH67890X9"}, {"DMQX0000A1", "7-031", "7-032"}} {
		if _, err := recognise(texts, someKnown()); fault.CodeOf(err) != "scan.unclear" {
			t.Errorf("%q: got %v", texts, err)
		}
	}
}

// FuzzRecognise: whatever a scanner sends, in whatever order, it is read the
// same way or refused with a name, and nothing is made up.
func FuzzRecognise(f *testing.F) {
	f.Add("RV-26-000001-B", "SDMQX0000A1", "sat-k03-07")
	f.Add("RV-26-000001", "dmqx0000a1", "K03/7")
	f.Add(" \x00", "\xff", strings.Repeat("S", 101))
	f.Add("4012345678901", "1PMK2K3FD/A", "S")
	f.Add("RV-2-6000001-C", "ſ", "ß-1")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		texts, err := scanned([]string{a, b, c}, maxScanTexts)
		if err != nil {
			if fault.CodeOf(err) == "" {
				t.Fatal(err)
			}
			return
		}
		k := someKnown()
		r, err := recognise(texts, k)
		turned, errTurned := recognise([]string{texts[2], texts[0], texts[1]}, k)
		if (err == nil) != (errTurned == nil) || err == nil && (r.tag != turned.tag || r.serial != turned.serial) {
			t.Fatalf("%q are read as %+v, %v, and in another order as %+v, %v", texts, r, err, turned, errTurned)
		}
		if err != nil {
			if fault.CodeOf(err) == "" {
				t.Fatal(err)
			}
			return
		}
		for i, kind := range r.kinds {
			switch kind {
			case KindSerial:
				if texts[i] != r.serial && texts[i] != "S"+r.serial {
					t.Fatalf("%q is taken for the serial number %q", texts[i], r.serial)
				}
			case KindTag:
				if tagOf(texts[i]) != r.tag {
					t.Fatalf("%q is taken for the tag %q", texts[i], r.tag)
				}
			}
		}
		if r.tag != "" {
			if normal, _, err := CheckTag(r.tag); err != nil || normal != r.tag {
				t.Fatalf("the tag %q would be kept as %q, %v", r.tag, normal, err)
			}
		}
		if r.serial != "" {
			if normal, err := NormalSerial(r.serial); err != nil || normal != r.serial {
				t.Fatalf("the serial number %q would be kept as %q, %v", r.serial, normal, err)
			}
		}
		if (r.slot != nil) != slices.Contains(r.kinds, KindSlot) {
			t.Fatalf("got %+v", r)
		}
	})
}

// FuzzCheckTag: what is accepted is kept the same way ever after, and of ours
// only what bears its right check character.
func FuzzCheckTag(f *testing.F) {
	for _, s := range []string{"RV-26-000001-B", "rv-26-000001", " 7-031 ", "\x00", "\xff", "ß", "ﬁ", strings.Repeat("ß", 64), "A-00-000000-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		normal, _, err := CheckTag(s)
		if err != nil {
			if code := fault.CodeOf(err); code != "tag.check" && code != "tag.characters" {
				t.Fatal(err)
			}
			return
		}
		again, warning, err := CheckTag(normal)
		if err != nil || again != normal {
			t.Fatalf("%q is kept as %q and then as %q, %v", s, normal, again, err)
		}
		if m := ourTag.FindStringSubmatch(normal); m != nil && (warning != "" || m[2] != string(checkCharacter(m[1]))) {
			t.Fatalf("%q is taken for one of ours", normal)
		}
	})
}
