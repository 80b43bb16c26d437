package device

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// maxSetUp bounds a signed machine info; certs refuses what is longer than its
// own bound.
const maxSetUp = 64<<10 + 1

// setUp answers an iPad in Setup Assistant that Apple sent here: its enrollment
// profile, or that it must update first. What is refused gets a status and no
// word: nobody is there to read it, and a stranger learns nothing.
func (h *door) setUp(w http.ResponseWriter, r *http.Request) {
	line := LineOf(r.Context())
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSetUp))
	if err != nil {
		line.Reason = "body"
		empty(w, http.StatusBadRequest)
		return
	}
	var a enroll.SetUpAnswer
	err = h.DB.Do(r.Context(), func(tx *sqldb.Tx) (err error) {
		a, err = h.Enroll.SetUp(r.Context(), tx, body)
		return err
	})
	h.page.headers(w)
	switch {
	case err == nil && a.Update != "":
		line.Reason = "update"
		updateFirst(w, a.Update)
	case err == nil:
		w.Header().Set("Content-Type", "application/x-apple-aspen-config")
		_, _ = w.Write(a.Profile) // an iPad that hangs up asks again
	case r.Context().Err() != nil:
		line.Reason = "gone"
		empty(w, http.StatusServiceUnavailable)
	default:
		h.notSetUp(w, line, err)
	}
}

func (h *door) notSetUp(w http.ResponseWriter, line *Line, err error) {
	f, is := fault.Of(err)
	if !is || f.Kind == fault.Internal {
		line.Err = err
		status := http.StatusInternalServerError
		if errors.Is(err, io.ErrUnexpectedEOF) {
			status = http.StatusBadRequest
		}
		empty(w, status)
		return
	}
	line.Reason = f.Code
	status := http.StatusBadRequest
	if f.Kind == fault.Denied {
		status = http.StatusForbidden
	}
	empty(w, status)
}

// updateFirst tells an iPad to update itself before it enrolls (Apple, Device
// Management, "Software Update Required", iOS 17).
func updateFirst(w http.ResponseWriter, version string) {
	b, err := json.Marshal(map[string]any{
		"code": "com.apple.softwareupdate.required", "description": "An older iPadOS than this server enrolls.",
		"details": map[string]string{"OSVersion": version},
	})
	if err != nil {
		empty(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(b) // as above
}
