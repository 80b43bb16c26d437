package device

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"ranzen/internal/clock"
)

// Line is what the log and the metrics learn of one request. Handlers fill it;
// it is written once, when the request is over. It never holds a raw address:
// the code of an enrollment link is a secret.
type Line struct {
	Ref        string // request id, also told to people in errors
	Route      string // the template: "/enroll/{code}"
	Enrollment string
	Person     string // user:NAME
	Reason     string // of a refusal, as a stable word
	Err        error  // of ours: makes the line an error
}

type lineKey struct{}

// LineOf is the request's line. Outside a request it is a fresh one that nobody
// reads.
func LineOf(ctx context.Context) *Line {
	if l, ok := ctx.Value(lineKey{}).(*Line); ok {
		return l
	}
	return &Line{}
}

// Edge is what every listener does around its handlers: a request id, one log
// line, numbers for the metrics, and an answer when a handler panics.
type Edge struct {
	Listener string
	Log      *slog.Logger
	Clock    clock.Clock
	// Observe is told about each finished request. May be nil.
	Observe func(listener, route string, status int, seconds float64)
	// Fail answers for a handler that panicked before it wrote anything.
	Fail func(w http.ResponseWriter, r *http.Request)
}

// Wrap puts the edge around next.
func (e Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := e.Clock.Now()
		line := &Line{Ref: newRef(), Route: "other"}
		r = r.WithContext(context.WithValue(r.Context(), lineKey{}, line))
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a sentinel that is panicked with, not wrapped
				line.Err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				if sw.status == 0 {
					e.Fail(sw, r)
				}
			}
			took := e.Clock.Now().Sub(begun)
			e.write(r, line, sw.status, took.Milliseconds())
			if e.Observe != nil {
				e.Observe(e.Listener, line.Route, sw.code(), took.Seconds())
			}
		}()
		next.ServeHTTP(sw, r)
	})
}

func (e Edge) write(r *http.Request, line *Line, status int, ms int64) {
	level := slog.LevelInfo
	switch {
	case line.Err != nil:
		level = slog.LevelError
	case status < 400 && line.Reason == "":
		level = slog.LevelDebug // ten thousand tablets poll; the metrics count them
	}
	if !e.Log.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs, slog.String("listener", e.Listener), slog.String("method", r.Method), slog.String("route", line.Route),
		slog.Int("status", status), slog.Int64("took_ms", ms), slog.String("ref", line.Ref))
	for _, a := range [][2]string{{"enrollment", line.Enrollment}, {"actor", line.Person}, {"reason", line.Reason}} {
		if a[1] != "" {
			attrs = append(attrs, slog.String(a[0], a[1]))
		}
	}
	if line.Err != nil {
		attrs = append(attrs, slog.String("error", line.Err.Error()))
	}
	e.Log.LogAttrs(r.Context(), level, "request answered", attrs...)
}

// newRef is 60 random bits: enough to find one line in a log, short enough to
// be read out on the telephone.
func newRef() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24; a ref of zeros would do no harm
	return base32.StdEncoding.EncodeToString(b[:])[:12]
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader takes the first status. A second one, as huma sets when a client
// has left in the middle of an answer, would reach nobody.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code is what went out: net/http answers 200 for a handler that wrote nothing.
func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
