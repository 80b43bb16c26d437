package device

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/gorilla/mux"
	"github.com/skip2/go-qrcode"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// page is the enrollment page: one document, nothing loaded, no script.
type page struct {
	tmpl         *template.Template
	csp          string
	organization string
}

// newPage parses the template. It is part of the program: a mistake in it is
// found by every test, so Must may end the program here.
func newPage(organization string) *page {
	sum := sha256.Sum256([]byte(pageCSS))
	return &page{
		tmpl:         template.Must(template.New("page").Parse(pageHTML)),
		csp:          "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		organization: organization,
	}
}

// sheet is what the template shows.
type sheet struct {
	Lang, OtherLang string
	T               texts
	CSS             template.CSS
	Organization    string
	Name            string
	ProfileURL      string
	URL             string
	QR              template.HTML
	Closed          string // why there is no profile, "" if there is one
}

// language picks German or English: what the address asks for, else what the
// browser prefers, else English.
func language(r *http.Request) string {
	switch r.URL.Query().Get("lang") {
	case "de":
		return "de"
	case "en":
		return "en"
	}
	best, bestQ := "en", -1.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		base, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if base != "de" && base != "en" {
			continue
		}
		if q := quality(params); q > bestQ {
			best, bestQ = base, q
		}
	}
	return best
}

// quality reads "q=0.8" (RFC 9110, 12.4.2); anything odd counts as nothing.
func quality(params string) float64 {
	v, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
	if !found {
		return 1
	}
	var q float64
	if _, err := fmt.Sscanf(v, "%f", &q); err != nil {
		return 0
	}
	return q
}

// headers of everything under /enroll: the address holds a secret, and the page
// belongs in no frame, cache or search engine.
func (p *page) headers(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Content-Security-Policy", p.csp)
}

func (p *page) write(w http.ResponseWriter, r *http.Request, status int, s sheet) {
	s.Lang, s.OtherLang = language(r), "en"
	if s.Lang == "en" {
		s.OtherLang = "de"
	}
	s.T, s.CSS, s.Organization = textsIn(s.Lang), template.CSS(pageCSS), p.organization //nolint:gosec // our own file
	var b bytes.Buffer
	if err := p.tmpl.Execute(&b, s); err != nil {
		LineOf(r.Context()).Err = fmt.Errorf("write the enrollment page: %w", err)
		empty(w, http.StatusInternalServerError)
		return
	}
	p.headers(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", s.Lang)
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // a browser that is closed needs nothing
	}
}

// closed tells people why a link leads nowhere: 404 for one that never was, 410
// for one that is over.
func (h *door) closed(w http.ResponseWriter, r *http.Request, err error) {
	line := LineOf(r.Context())
	code := fault.CodeOf(err)
	line.Reason = code
	switch code {
	case "link.unknown":
		h.page.write(w, r, http.StatusNotFound, sheet{Closed: "unknown"})
	case "link.expired", "link.revoked", "link.used-up":
		h.page.write(w, r, http.StatusGone, sheet{Closed: strings.TrimPrefix(code, "link.")})
	default:
		line.Err = err
		h.page.write(w, r, http.StatusServiceUnavailable, sheet{Closed: "broken"})
	}
}

func codeOf(r *http.Request) string { return mux.Vars(r)["code"] }

// link is the page of an enrollment link. Opening it counts for nothing:
// messengers preview links.
func (h *door) link(w http.ResponseWriter, r *http.Request) {
	l, err := h.Enroll.OpenLink(r.Context(), h.DB, codeOf(r))
	if err != nil {
		h.closed(w, r, err)
		return
	}
	qr, err := qrSVG(l.URL)
	if err != nil {
		h.closed(w, r, fmt.Errorf("draw the code: %w", err))
		return
	}
	h.page.write(w, r, http.StatusOK, sheet{Name: l.Name, ProfileURL: l.ProfileURL, URL: l.URL, QR: qr})
}

// profile is the enrollment profile. Each fetch is personal, with a one-time
// challenge of its own; a HEAD makes none.
func (h *door) profile(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if _, err := h.Enroll.OpenLink(ctx, h.DB, codeOf(r)); err != nil {
		h.closed(w, r, err)
		return
	}
	h.page.headers(w)
	w.Header().Set("Content-Type", "application/x-apple-aspen-config")
	w.Header().Set("Content-Disposition", `attachment; filename="enroll.mobileconfig"`)
	if r.Method == http.MethodHead {
		return
	}
	var signed []byte
	err := h.DB.Do(ctx, func(tx *sqldb.Tx) (err error) {
		signed, err = h.Enroll.Profile(ctx, tx, codeOf(r))
		return err
	})
	if err != nil {
		w.Header().Del("Content-Disposition")
		h.closed(w, r, err)
		return
	}
	_, _ = w.Write(signed) // an iPad that hangs up fetches another
}

// qrSVG draws a code that another screen's camera reads: black on white in both
// colour schemes, with the quiet zone the standard asks for.
func qrSVG(url string) (template.HTML, error) {
	code, err := qrcode.New(url, qrcode.Medium)
	if err != nil {
		return "", err
	}
	bits := code.Bitmap()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" width="240" height="240" role="img" aria-labelledby="qr-title" shape-rendering="crispEdges">`, len(bits), len(bits))
	fmt.Fprintf(&b, `<title id="qr-title">QR</title><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, len(bits), len(bits))
	for y, row := range bits {
		for x := 0; x < len(row); x++ {
			if !row[x] {
				continue
			}
			from := x
			for x < len(row) && row[x] {
				x++
			}
			fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()), nil //nolint:gosec // numbers only; the address is drawn, not written
}
