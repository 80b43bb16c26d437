package console

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
)

//go:embed staging.html
var stagingHTML string

//go:embed staging.css
var stagingCSS string

//go:embed staging.js
var stagingJS string

// Staging is the page of the live board. It holds nothing: what it shows its
// script asks of the API, with the token of whoever looks, and as text only. The
// token stays in the tab.
func Staging() http.Handler {
	tmpl := template.Must(template.New("staging").Parse(stagingHTML)) // part of the program: any test finds a mistake in it
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	csp := "default-src 'none'; style-src " + hash(stagingCSS) + "; script-src " + hash(stagingJS) +
		"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := language(r)
		page, words := stagingTexts(lang)
		texts, err := json.Marshal(words)
		var b bytes.Buffer
		if err == nil {
			err = tmpl.Execute(&b, map[string]any{
				"Lang": lang, "Other": map[string]string{"de": "en", "en": "de"}[lang], "T": page, "Texts": template.JS(texts), //nolint:gosec // our own words
				"CSS": template.CSS(stagingCSS), "JS": template.JS(stagingJS), //nolint:gosec // our own files
			})
		}
		if err != nil {
			http.Error(w, "the page cannot be written", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Language", lang)
		h.Set("Content-Security-Policy", csp)
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Accept-Language")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(b.Bytes()) // a browser that left reads no error
	})
}

// stagingTexts are the words of the page, and those its script uses.
func stagingTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Title": "Staging board", "Switch": "Deutsch", "SwitchTo": "Diese Seite auf Deutsch",
				"Token": "API token", "TokenHelp": "As made by “ranzen token create”. It stays in this tab until you sign out or close it.", "SignIn": "Sign in", "SignOut": "Sign out",
				"Delivery": "Delivery", "OnlyTrouble": "only those that need a person", "Ready": "Ready", "Devices": "iPads", "NoScript": "This page needs JavaScript.",
			}, map[string]string{
				"lang": "en", "summary": "{ready} of {all} ready, {busy} under way, {trouble} need a person", "refused": "The server refuses this token: {why}", "lost": "The connection is interrupted. What you see is from {at}; trying again.",
				"none": "There are no deliveries yet. Make one with: ranzen delivery create", "profiles": "profiles", "apps": "apps", "slot": "slot", "battery": "battery",
				"known": "○ not switched on", "profile_confirmed": "◔ may be switched on", "enrolled": "◑ enrolled", "profiles_state": "◑ profiles", "apps_state": "◕ apps", "ready": "✓ ready", "stuck": "! stuck", "held": "✋ held",
			}
	}
	return map[string]string{
			"Title": "Inbetriebnahme", "Switch": "English", "SwitchTo": "This page in English",
			"Token": "API-Token", "TokenHelp": "Angelegt mit „ranzen token create“. Es bleibt in diesem Tab, bis Sie sich abmelden oder ihn schließen.", "SignIn": "Anmelden", "SignOut": "Abmelden",
			"Delivery": "Lieferung", "OnlyTrouble": "nur die, die jemanden brauchen", "Ready": "Fertig", "Devices": "iPads", "NoScript": "Diese Seite braucht JavaScript.",
		}, map[string]string{
			"lang": "de", "summary": "{ready} von {all} fertig, {busy} unterwegs, {trouble} brauchen jemanden", "refused": "Der Server lehnt dieses Token ab: {why}", "lost": "Die Verbindung ist unterbrochen. Was Sie sehen, ist von {at}; neuer Versuch läuft.",
			"none": "Es gibt noch keine Lieferung. Legen Sie eine an mit: ranzen delivery create", "profiles": "Profile", "apps": "Apps", "slot": "Platz", "battery": "Akku",
			"known": "○ nicht eingeschaltet", "profile_confirmed": "◔ darf eingeschaltet werden", "enrolled": "◑ angemeldet", "profiles_state": "◑ Profile", "apps_state": "◕ Apps", "ready": "✓ fertig", "stuck": "! hängt", "held": "✋ angehalten",
		}
}
