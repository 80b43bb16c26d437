// Package console is the pages for people who run the server. Until there is
// more of it, that is one: what runs, what is amiss, and where the API is. It
// needs no sign-in and so shows nothing of any device.
package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed status.html
var statusHTML string

//go:embed status.css
var statusCSS string

// Status is what the page tells.
type Status struct {
	Database    bool      // it answers
	PushKnown   bool      // whether there is a push certificate could be read
	Push        bool      // there is one
	PushEnds    time.Time // when it ends
	PushEndSoon bool
	Version     string
}

// New is the handler of the status page. look is asked at each request.
func New(look func(ctx context.Context) Status) http.Handler {
	tmpl := template.Must(template.New("status").Parse(statusHTML)) // part of the program: any test finds a mistake in it
	sum := sha256.Sum256([]byte(statusCSS))
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := language(r)
		var b bytes.Buffer
		err := tmpl.Execute(&b, map[string]any{
			"Lang": lang, "Other": map[string]string{"de": "en", "en": "de"}[lang], "T": texts(lang), "S": look(r.Context()),
			"CSS": template.CSS(statusCSS), //nolint:gosec // our own file
		})
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

// language is what the address asks for, else the browser's first of the two,
// else German.
func language(r *http.Request) string {
	switch l := r.URL.Query().Get("lang"); l {
	case "de", "en":
		return l
	}
	accepts := strings.ToLower(r.Header.Get("Accept-Language"))
	de, en := strings.Index(accepts, "de"), strings.Index(accepts, "en")
	if en >= 0 && (de < 0 || en < de) {
		return "en"
	}
	return "de"
}

func texts(lang string) map[string]string {
	if lang == "en" {
		return map[string]string{
			"Title": "Ranzen is running", "Switch": "Deutsch", "SwitchTo": "Diese Seite auf Deutsch",
			"Database": "Database", "Answers": "answers", "Silent": "does not answer. Look at the server's log and at the database.",
			"Push": "Push certificate", "PushNone": "There is none: iPads are not woken, they come by themselves. Make a request with: ranzen push-cert request",
			"PushUnknown": "It cannot be read. Look at the server's log.", "PushUntil": "ends on", "PushSoon": "Renew it with the same Apple account, or all iPads must enroll again.",
			"Version": "Version", "API": "For programs", "APIText": "The API is described in", "CLI": "For people", "CLIText": "On this machine: ranzen help --all",
		}
	}
	return map[string]string{
		"Title": "Ranzen läuft", "Switch": "English", "SwitchTo": "This page in English",
		"Database": "Datenbank", "Answers": "antwortet", "Silent": "antwortet nicht. Sehen Sie im Protokoll des Servers und bei der Datenbank nach.",
		"Push": "Push-Zertifikat", "PushNone": "Es gibt keines: iPads werden nicht geweckt, sie melden sich von selbst. Stellen Sie einen Antrag mit: ranzen push-cert request",
		"PushUnknown": "Es kann nicht gelesen werden. Sehen Sie im Protokoll des Servers nach.", "PushUntil": "läuft ab am", "PushSoon": "Erneuern Sie es mit demselben Apple-Account, sonst müssen alle iPads neu angemeldet werden.",
		"Version": "Version", "API": "Für Programme", "APIText": "Die API ist beschrieben in", "CLI": "Für Menschen", "CLIText": "Auf diesem Rechner: ranzen help --all",
	}
}
