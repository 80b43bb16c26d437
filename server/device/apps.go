package device

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/profiles"
)

// downloadPause is how long a download may stand still. A whole one may take hours.
const downloadPause = 2 * time.Minute

// manifest tells an iPad where an in-house app is, and how to check it.
func (h *door) manifest(w http.ResponseWriter, r *http.Request) {
	f, ok := h.appFile(w, r)
	if !ok {
		return
	}
	b, err := h.Profiles.Manifest(r.Context(), f)
	if err != nil {
		h.noApp(w, r, err)
		return
	}
	serve(w, r, "text/xml; charset=utf-8", f.SHA256+"-manifest", bytes.NewReader(b))
}

// ipa is the app itself, whole or in part.
func (h *door) ipa(w http.ResponseWriter, r *http.Request) {
	f, ok := h.appFile(w, r)
	if !ok {
		return
	}
	line := http.NewResponseController(w)
	content := &onItsWay{from: f.Content, line: line, log: LineOf(r.Context())}
	serve(w, r, "application/octet-stream", f.SHA256, io.NewSectionReader(content, 0, f.Size))
}

func (h *door) appFile(w http.ResponseWriter, r *http.Request) (profiles.AppFile, bool) {
	f, err := h.Profiles.FileByToken(r.Context(), mux.Vars(r)["token"])
	if err != nil {
		h.noApp(w, r, err)
		return f, false
	}
	return f, true
}

// noApp says so, and never 401, which a tablet may take as the end of its
// management.
func (h *door) noApp(w http.ResponseWriter, r *http.Request, err error) {
	if fault.KindOf(err) == fault.NotFound {
		LineOf(r.Context()).Reason = fault.CodeOf(err)
		http.Error(w, "There is no app at this address.", http.StatusNotFound)
		return
	}
	LineOf(r.Context()).Err = err
	empty(w, http.StatusInternalServerError)
}

// serve answers with what never changes at its address.
func serve(w http.ResponseWriter, r *http.Request, contentType, tag string, content io.ReadSeeker) {
	head := w.Header()
	head.Set("Content-Type", contentType)
	head.Set("Cache-Control", "public, max-age=31536000, immutable")
	head.Set("ETag", `"`+tag+`"`)
	head.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, content)
}

// onItsWay moves the limit of the connection on as long as the iPad takes what
// is read, and tells the log what could not be read.
type onItsWay struct {
	from io.ReaderAt
	line *http.ResponseController
	log  *Line
}

// ReadAt implements io.ReaderAt.
func (o *onItsWay) ReadAt(b []byte, off int64) (int, error) {
	_ = o.line.SetWriteDeadline(clock.System().Now().Add(downloadPause)) // of the machine; where there is none there is no limit
	n, err := o.from.ReadAt(b, off)
	if err != nil && err != io.EOF { //nolint:errorlint // as io.ReaderAt gives it
		o.log.Err = err
	}
	return n, err
}
