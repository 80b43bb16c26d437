package print_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/print"
)

var at = time.Date(2026, 9, 7, 8, 41, 0, 0, time.UTC)

func pages(pdf []byte) int { return bytes.Count(pdf, []byte("/Type /Page\n")) }

func labels(n int) []print.Label {
	out := make([]print.Label, n)
	for i := range out {
		out[i] = print.Label{Tag: fmt.Sprintf("RV-26-%06d-K", i+1), Owner: "Gemeinde Musterdorf an der Saar"}
	}
	return out
}

func TestLabelsComeInTheThreeFormatsPeopleHavePaperFor(t *testing.T) {
	for name, want := range map[string]struct {
		box   string
		pages int
	}{
		"62x29": {"/MediaBox [0 0 175.75 82.20]", 25}, "50x25": {"/MediaBox [0 0 141.73 70.87]", 25}, "a4": {"/MediaBox [0 0 595.28 841.89]", 2},
	} {
		var b bytes.Buffer
		if err := print.Labels(&b, "de", name, at, labels(25)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := pages(b.Bytes()); got != want.pages {
			t.Errorf("%s: %d pages, want %d", name, got, want.pages)
		}
		if !strings.Contains(b.String(), want.box) {
			t.Errorf("%s: the page is not %s", name, want.box)
		}
	}
}

func TestTheSameLabelsAreTheSameFile(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := print.Labels(w, "en", "62x29", at, labels(2)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two prints of the same differ")
	}
}

func TestWhatCannotBePrintedIsSaid(t *testing.T) {
	for code, try := range map[string]func() error{
		"label.format": func() error { return print.Labels(&bytes.Buffer{}, "de", "62X30", at, labels(1)) },
		"label.none":   func() error { return print.Labels(&bytes.Buffer{}, "de", "a4", at, nil) },
	} {
		if got := fault.CodeOf(try()); got != code {
			t.Errorf("got %q, want %q", got, code)
		}
	}
}

func card(slots int) print.Card {
	c := print.Card{
		Owner: "Gemeinde Musterdorf an der Saar", School: "Grundschule Saartal", Site: "Saartal", Address: "Hauptstraße 1, 66000 Musterdorf",
		Cart: "SAT-K03", Label: "Koffer 3", Classes: []string{"3a", "3b"}, At: at,
	}
	for i := range slots {
		c.Slots = append(c.Slots, print.Slot{Number: i + 1, Name: fmt.Sprintf("SAT-K03-%02d", i+1), Tag: fmt.Sprintf("RV-26-%06d-K", i), Serial: "RZ00000001", Model: "iPad (A16)"})
	}
	return c
}

func TestACartCardFitsOnePageUntilTheCartIsHuge(t *testing.T) {
	for slots, want := range map[int]int{0: 1, 16: 1, 20: 1, 30: 1, 100: 3} {
		var b bytes.Buffer
		if err := print.CartCard(&b, "de", card(slots)); err != nil {
			t.Fatal(err)
		}
		if got := pages(b.Bytes()); got != want {
			t.Errorf("%d slots: %d pages, want %d", slots, got, want)
		}
	}
}

func TestAHandOverProtocolKeepsItsSignaturesOnAPage(t *testing.T) {
	for slots, want := range map[int]int{0: 1, 16: 1, 20: 1, 28: 2, 40: 2} {
		for _, lang := range []string{"de", "en"} {
			var b bytes.Buffer
			h := print.HandOver{Card: card(slots), Delivery: "L-2026-01", PackCheckAt: at, Complete: true}
			if err := print.HandOverProtocol(&b, lang, h); err != nil {
				t.Fatal(err)
			}
			if got := pages(b.Bytes()); got != want {
				t.Errorf("%s, %d slots: %d pages, want %d", lang, slots, got, want)
			}
		}
	}
}

// Whatever people name things, paper comes out and nothing breaks.
func TestOddNamesArePrinted(t *testing.T) {
	for _, odd := range []string{"", "Şule Öğretmen İlkokulu", "École n° 5 «été»", "\x00\x01\xff", "🎒 Klasse", strings.Repeat("lang ", 200), "‮rtl", "日本"} {
		c := card(2)
		c.School, c.Label, c.Slots[0].Name, c.Owner = odd, odd, odd, odd
		if err := print.CartCard(&bytes.Buffer{}, "de", c); err != nil {
			t.Errorf("%q: %v", odd, err)
		}
		if err := print.HandOverProtocol(&bytes.Buffer{}, "en", print.HandOver{Card: c}); err != nil {
			t.Errorf("%q: %v", odd, err)
		}
	}
}
