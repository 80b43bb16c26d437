package console

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// Page is a page for people who sign in. It holds nothing: what it shows its
// script asks of the API, with the token of whoever looks, and as text only. The
// token stays in the tab.
type Page struct {
	Path    string
	Handler http.Handler
}

// Pages are all of them, in the order in which they name each other.
func Pages() []Page {
	out := []Page{}
	for _, s := range sources() {
		out = append(out, Page{s.path, s.handler()})
	}
	return out
}

// source is what one page has of its own.
type source struct {
	path, html, css, js string
	texts               func(lang string) (page, script map[string]string)
}

func sources() []source {
	return []source{
		{"/staging", stagingHTML, stagingCSS, stagingJS, stagingTexts},
		{"/profiles", profileHTML, profileCSS, profileJS, profileTexts},
		{"/why", whyHTML, whyCSS, whyJS, whyTexts},
		{"/conflicts", conflictsHTML, whyCSS, conflictsJS, conflictsTexts},
	}
}

func (s source) handler() http.Handler {
	tmpl := template.Must(template.Must(template.New("page").Parse(pageHTML)).Parse(s.html)) // part of the program: any test finds a mistake in it
	css := pageCSS + s.css
	js := "\"use strict\";\n(() => {\n" + pageJS + s.js + "})();\n"
	csp := "default-src 'none'; style-src " + hash(css) + "; script-src " + hash(js) +
		"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := language(r)
		own, script := s.texts(lang)
		page, words := commonTexts(lang)
		maps.Copy(page, own)
		maps.Copy(words, script)
		texts, err := json.Marshal(words)
		var b bytes.Buffer
		if err == nil {
			err = tmpl.Execute(&b, map[string]any{
				"Lang": lang, "Other": map[string]string{"de": "en", "en": "de"}[lang], "T": page, "Texts": template.JS(texts), //nolint:gosec // our own words
				"Path": s.path, "Pages": links(lang),
				"CSS": template.CSS(css), "JS": template.JS(js), //nolint:gosec // our own files
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

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

type link struct{ Path, Name string }

func links(lang string) []link {
	out := []link{}
	for _, s := range sources() {
		page, _ := s.texts(lang)
		out = append(out, link{s.path, page["Title"]})
	}
	return out
}

// commonTexts are the words that all pages use.
func commonTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Pages": "Pages", "Switch": "Deutsch", "SwitchTo": "Diese Seite auf Deutsch", "NoScript": "This page needs JavaScript.",
				"Token": "API token", "TokenHelp": "As made by “ranzen token create”. It stays in this tab until you sign out or close it.", "SignIn": "Sign in", "SignOut": "Sign out",
				"Device": "iPad", "DeviceHelp": "Serial number, asset tag, UDID or id.", "Ask": "Look",
			}, map[string]string{
				"lang": "en", "refused": "The server refuses this token: {why}", "offline": "The server does not answer. Check the connection and try again.",
				"yes": "yes", "no": "no", "nothing": "nothing", "others": "{list} and {n} more",
				"about.restriction": "Restriction {key}", "about.passcode": "Passcode rule {key}", "about.wifi-same-ssid": "Wi-Fi network {key}", "about.single-payload": "Payload {key}",
				"whole.wifi-same-ssid": "These profiles have different settings for this network:", "whole.single-payload": "An iPad takes only one of these payloads; each of these profiles holds one, and they differ:",
				"says": "{item} (version {version})", "holds": "What holds on the iPad:", "unsure": "Apple does not say which of them holds on the iPad; mostly it is the one installed last.",
				"meant": "If it is meant so, nothing is to be done.", "otherwise": "Otherwise take one of them back, on the page", "takeBack": "Take one of them back, on the page",
				"on": "On 1 iPad:|On {n} iPads:", "onMore": "and {n} more",
			}
	}
	return map[string]string{
			"Pages": "Seiten", "Switch": "English", "SwitchTo": "This page in English", "NoScript": "Diese Seite braucht JavaScript.",
			"Token": "API-Token", "TokenHelp": "Angelegt mit „ranzen token create“. Es bleibt in diesem Tab, bis Sie sich abmelden oder ihn schließen.", "SignIn": "Anmelden", "SignOut": "Abmelden",
			"Device": "iPad", "DeviceHelp": "Seriennummer, Inventarnummer, UDID oder Kennung.", "Ask": "Nachsehen",
		}, map[string]string{
			"lang": "de", "refused": "Der Server lehnt dieses Token ab: {why}", "offline": "Der Server antwortet nicht. Prüfen Sie die Verbindung und versuchen Sie es noch einmal.",
			"yes": "ja", "no": "nein", "nothing": "nichts", "others": "{list} und {n} weitere",
			"about.restriction": "Einschränkung {key}", "about.passcode": "Code-Regel {key}", "about.wifi-same-ssid": "WLAN {key}", "about.single-payload": "Payload {key}",
			"whole.wifi-same-ssid": "Diese Profile haben verschiedene Einstellungen für dieses WLAN:", "whole.single-payload": "Von diesem Payload nimmt ein iPad nur eines; diese Profile haben je eines, und sie sind verschieden:",
			"says": "{item} (Version {version})", "holds": "Auf dem iPad gilt:", "unsure": "Welches davon auf dem iPad gilt, sagt Apple nicht; meist ist es das zuletzt installierte.",
			"meant": "Ist das so gemeint, ist nichts zu tun.", "otherwise": "Sonst nehmen Sie eines davon zurück, auf der Seite", "takeBack": "Nehmen Sie eines davon zurück, auf der Seite",
			"on": "Auf 1 iPad:|Auf {n} iPads:", "onMore": "und {n} weiteren",
			"problem.auth.sign-in":   "Es ist unbekannt, widerrufen oder abgelaufen.",
			"problem.internal":       "Auf dem Server ist etwas schiefgegangen. Näheres steht in seinem Protokoll.",
			"problem.timeout":        "Der Server wurde nicht rechtzeitig fertig. Versuchen Sie es noch einmal.",
			"problem.device.unknown": "Dieses Gerät gibt es nicht. Nennen Sie Seriennummer, Inventarnummer, UDID oder Kennung.",
		}
}
