package profiles_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/micromdm/plist"
)

// ssids has a tablet note the networks of each profile that it is sent.
func (p *pad) ssids() *[][]string {
	seen := &[][]string{}
	p.answer = func(requestType string, c map[string]any) map[string]any {
		if requestType != "InstallProfile" {
			return nil
		}
		var doc struct {
			PayloadContent []struct{ PayloadIdentifier, PayloadUUID, SSID_STR string }
		}
		b, _ := c["Payload"].([]byte)
		p.w.must(plist.Unmarshal(b, &doc))
		var list, ids []string
		for _, c := range doc.PayloadContent {
			if c.SSID_STR != "" {
				list = append(list, c.SSID_STR)
			}
			if ids = append(ids, c.PayloadIdentifier, c.PayloadUUID); len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
				p.w.Errorf("two payloads of one identifier or UUID: %v", ids)
			}
		}
		*seen = append(*seen, list)
		return nil
	}
	return seen
}

func TestAnotherNetworkInOneProfileComesBesideTheFormerFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Old")
		w.assign(all, "Wi-Fi")
		p.settled()
		seen := p.ssids()
		w.addWiFi("Wi-Fi", "New")
		p.settled()
		if len(*seen) != 2 || !slices.Equal((*seen)[0], []string{"New", "Old"}) || !slices.Equal((*seen)[1], []string{"New"}) {
			t.Errorf("it was sent %v", *seen)
		}
		if s, why := w.state(id, "profile"); s != "installed" {
			t.Errorf("it is %s %q", s, why)
		}
		*seen = nil
		w.addWiFiWith("Wi-Fi", "New", "another password")
		p.settled()
		if len(*seen) != 1 {
			t.Errorf("another password of one network was sent %v", *seen)
		}
	})
}

func TestTheFormerNetworkStaysUntilTheListShowsTheNewOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		w.addWiFi("Wi-Fi", "Old")
		w.assign(all, "Wi-Fi")
		p.settled()
		seen := p.ssids()
		note := p.answer
		p.answer = func(requestType string, c map[string]any) map[string]any {
			if note(requestType, c); requestType == "ProfileList" {
				return map[string]any{"Status": "Error"}
			}
			return nil
		}
		w.addWiFi("Wi-Fi", "Wrong")
		for range 4 {
			w.plan()
			p.session()
		}
		if len(*seen) != 1 || !slices.Contains((*seen)[0], "Old") {
			t.Errorf("without a list it was sent %v", *seen)
		}
		// What was wrong is put right: the one that let it in is still beside.
		p.answer = note
		w.addWiFi("Wi-Fi", "Right")
		for range 2 {
			w.plan()
			p.session()
		}
		if len(*seen) < 2 || !slices.Contains((*seen)[1], "Old") {
			t.Errorf("it was sent %v", *seen)
		}
		p.settled()
		if last := strings.Join((*seen)[len(*seen)-1], " "); last != "Right" {
			t.Errorf("in the end it has %s: %v", last, *seen)
		}
	})
}

func TestATabletThatHasNothingYetGetsTheNewNetworkAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.pad(w.enrolled(1)[0])
		seen := p.ssids()
		w.addWiFi("Wi-Fi", "Old")
		w.assign(all, "Wi-Fi")
		w.plan()
		w.addWiFi("Wi-Fi", "New")
		p.settled()
		if len(*seen) != 1 || !slices.Equal((*seen)[0], []string{"New"}) {
			t.Errorf("it was sent %v", *seen)
		}
	})
}
