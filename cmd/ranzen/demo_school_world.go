package main

import (
	"context"
	"embed"
	"fmt"
	"strings"
)

// The sample town. All names are made up.
const (
	townCode     = "default" // the tenant that every server begins with
	townName     = "Gemeinde Musterdorf an der Saar"
	townDelivery = "L-2026-01"
)

//go:embed demo
var townProfiles embed.FS

// townSite is a site and what one cart of it holds.
type townSite struct {
	code, name, school string
	slots              int // of a cart
	share              int // of 170 iPads
	classes            []string
}

func townSites() []townSite {
	return []townSite{
		{"SAT", "Grundschule Saartal", "GSS", 20, 105, []string{"3a", "3b", "3c", "4a", "4b", "4c"}},
		{"BLI", "Grundschule Bliestal", "GSB", 20, 35, []string{"3a", "4a"}},
		{"WIE", "Dependance Wiesental", "GSS", 16, 30, []string{"3d", "4d"}},
	}
}

// townApps are the nine apps of the baseline, by their numbers in the App Store.
func townApps() []struct{ name, adam, bundle string } {
	return []struct{ name, adam, bundle string }{
		{"ANTON", "1180554775", "com.solocode.anton"},
		{"Book Creator", "442378070", "com.redjumper.bookcreator"},
		{"Keynote", "361285480", "com.apple.Keynote"},
		{"Pages", "361309726", "com.apple.Pages"},
		{"Numbers", "361304891", "com.apple.Numbers"},
		{"iMovie", "377298193", "com.apple.iMovie"},
		{"GarageBand", "408709785", "com.apple.mobilegarageband"},
		{"ScratchJr", "895485086", "org.scratchjr.ipad"},
		{"Stop Motion Studio", "441651297", "com.cateater.funapps.stopmotion"},
	}
}

// townFiles are the five profiles that all sites share; the sixth is the site's
// Wi-Fi.
func townFiles() []struct{ name, file string } {
	return []struct{ name, file string }{
		{"Basis-Saar", "basis"}, {"Home-Screen Grundschule", "startbildschirm"}, {"Schulbuchregal", "schulbuch"},
		{"Sperrbildschirm", "sperrbildschirm"}, {"Mitteilungen", "mitteilungen"},
	}
}

// townPlace is where an iPad will live.
type townPlace struct {
	site string
	cart string // "SAT-K03"
	slot int
}

func (p townPlace) String() string { return fmt.Sprintf("%s-%02d", p.cart, p.slot) }

// townPlaces spreads n iPads over the carts of the sites, as the classes need
// them, and tells how many carts each site has.
func townPlaces(n int) (places []townPlace, carts map[string]int) {
	carts = map[string]int{}
	given := 0
	for i, s := range townSites() {
		mine := n * s.share / 170
		if i == len(townSites())-1 {
			mine = n - given
		}
		given += mine
		for k := range mine {
			carts[s.code] = k/s.slots + 1
			places = append(places, townPlace{s.code, fmt.Sprintf("%s-K%02d", s.code, k/s.slots+1), k%s.slots + 1})
		}
	}
	return places, carts
}

// world makes the three tenants, and in the town its schools, sites, classes and
// carts.
func (d *schoolDemo) world(ctx context.Context) error {
	if err := d.api.call(ctx, "PATCH", at("tenants", townCode), map[string]any{"name": townName}, nil); err != nil {
		return err
	}
	for _, t := range []map[string]any{
		{"code": "beispielsberg", "name": "Gemeinde Beispielsberg", "legal": "gdpr"},
		{"code": "bistum", "name": "Bistumsschulen Muster", "legal": "kdg"},
	} {
		if err := d.api.post(ctx, "/tenants", t, nil); err != nil {
			return err
		}
	}
	for _, s := range []map[string]any{{"code": "GSS", "name": "Grundschule Saartal"}, {"code": "GSB", "name": "Grundschule Bliestal"}} {
		s["tenant"] = townCode
		if err := d.api.post(ctx, "/schools", s, nil); err != nil {
			return err
		}
	}
	_, carts := townPlaces(d.cmd.Devices)
	for _, s := range townSites() {
		if err := d.site(ctx, s, carts[s.code]); err != nil {
			return err
		}
	}
	return nil
}

func (d *schoolDemo) site(ctx context.Context, s townSite, carts int) error {
	err := d.api.post(ctx, "/sites", map[string]any{"tenant": townCode, "school": s.school, "code": s.code, "name": s.name}, nil)
	if err != nil {
		return err
	}
	for _, c := range s.classes {
		class := map[string]any{"tenant": townCode, "school": s.school, "name": c, "year": "2026/27"}
		if err := d.api.post(ctx, "/classes", class, nil); err != nil {
			return err
		}
	}
	for k := range carts {
		cart := map[string]any{"tenant": townCode, "site": s.code, "code": fmt.Sprintf("K%02d", k+1), "label": fmt.Sprintf("Koffer %d", k+1), "slots": s.slots}
		if err := d.api.post(ctx, "/carts", cart, nil); err != nil {
			return err
		}
	}
	return nil
}

// wishes says what the iPads of the town should have: six profiles, nine apps.
func (d *schoolDemo) wishes(ctx context.Context) error {
	var names []string
	for _, p := range townFiles() {
		b, err := townProfiles.ReadFile("demo/" + p.file + ".mobileconfig")
		if err != nil {
			return fmt.Errorf("read a profile of the demo: %w", err)
		}
		if err := d.api.post(ctx, "/profiles?name="+strings.ReplaceAll(p.name, " ", "%20"), upload{"application/x-apple-aspen-config", b}, nil); err != nil {
			return err
		}
		names = append(names, p.name)
	}
	for _, a := range townApps() {
		if err := d.api.post(ctx, "/apps", map[string]any{"name": a.name, "adam_id": a.adam, "bundle_id": a.bundle}, nil); err != nil {
			return err
		}
		names = append(names, a.name)
	}
	if err := d.api.post(ctx, "/assignments?rollout=now", map[string]any{"names": names, "to": "tenant:" + townCode}, nil); err != nil {
		return err
	}
	for _, s := range townSites() {
		wifi := map[string]any{"name": wifiOf(s.code), "ssid": s.code + "-Paed", "password": "correct horse battery", "security": "auto"}
		if err := d.api.post(ctx, "/profiles/wifi", wifi, nil); err != nil {
			return err
		}
		if err := d.api.post(ctx, "/assignments?rollout=now", map[string]any{"names": []string{wifiOf(s.code)}, "to": "site:" + s.code}, nil); err != nil {
			return err
		}
	}
	return nil
}

func wifiOf(site string) string { return "WLAN-" + site }

// baseline is what an iPad of a site must show before it leaves Setup Assistant.
func baseline(site string) []string {
	names := []string{wifiOf(site)}
	for _, p := range townFiles() {
		names = append(names, p.name)
	}
	for _, a := range townApps() {
		names = append(names, a.name)
	}
	return names
}
