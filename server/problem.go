package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/profiles"
	"ranzen/server/device"
)

// problem is an error as people and programs get it (RFC 9457). Code is stable;
// Ref is in the log line of the same request.
type problem struct {
	Type    string          `json:"type" example:"/problems/invalid" doc:"What the caller can do about it"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail" doc:"One English sentence: what happened and what to do"`
	Code    string          `json:"code" example:"device.unknown" doc:"Stable, for programs and translations"`
	Field   string          `json:"field,omitempty" doc:"The request field at fault"`
	Ref     string          `json:"ref" doc:"Names the line in the server's log"`
	Errors  []problemField  `json:"errors,omitempty" doc:"Every field at fault"`
	Devices []problemDevice `json:"devices,omitempty" doc:"The devices it is about"`

	Findings []catalogue.Finding `json:"findings,omitempty" doc:"All that is wrong with a profile, errors first"`
}

// problemField is one bad field. The value is not repeated: it may be a password.
type problemField struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string  { return p.Detail }
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// statusOf is the only place where a Kind meets HTTP for people and programs.
// Tablets have their own table in server/device, and it has no 401.
func statusOf(k fault.Kind) int {
	switch k {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.SignIn:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.Upstream:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

func titleOf(k fault.Kind) string {
	switch k {
	case fault.Invalid:
		return "The request is wrong"
	case fault.NotFound:
		return "Not found"
	case fault.Conflict:
		return "It cannot be done now"
	case fault.SignIn:
		return "Sign in"
	case fault.Denied:
		return "Not allowed"
	case fault.Upstream:
		return "Apple did not answer as it should"
	}
	return "Our mistake"
}

// problemOf turns every error into a problem. What is not a fault is told to
// the log, whole, and to the caller not at all.
func problemOf(ctx context.Context, err error) *problem {
	line := device.LineOf(ctx)
	kind := fault.KindOf(err)
	p := &problem{Type: "/problems/" + string(kind), Title: titleOf(kind), Status: statusOf(kind), Ref: line.Ref}
	f, is := fault.Of(err)
	if is && kind != fault.Internal {
		p.Detail, p.Code, p.Field = f.Text, f.Code, f.Field
		line.Reason = f.Code
		if e, ok := errors.AsType[*strandedError](err); ok {
			for _, d := range e.devices {
				p.Devices = append(p.Devices, problemDevice{ID: d.DeviceID, Serial: d.Serial})
			}
		}
		if flaws, ok := errors.AsType[profiles.Flaws](err); ok {
			p.Findings = findingsOf(flaws)
		}
		return p
	}
	p.Code = "internal"
	p.Detail = "Something went wrong on the server. Its log has the details under this ref."
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		p.Status, p.Code = http.StatusServiceUnavailable, "timeout"
		p.Title, p.Detail = "It took too long", "The server did not finish in time. Try again; a write with an Idempotency-Key is done once."
		line.Reason = p.Code
		return p
	}
	if is {
		p.Code = f.Code
	}
	line.Err = err
	return p
}

// fromHuma turns the framework's own refusals into problems: bad JSON, missing
// fields, bodies that are too large.
func fromHuma(ctx huma.Context, _ string, v any) (any, error) {
	m, is := v.(*huma.ErrorModel)
	if !is {
		return v, nil
	}
	line := device.LineOf(ctx.Context())
	p := &problem{Type: "/problems/invalid", Title: titleOf(fault.Invalid), Status: m.Status, Code: "request.invalid", Ref: line.Ref}
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		p.Code, p.Detail = "request.too-large", "The request's body is too large."
	case http.StatusUnsupportedMediaType:
		p.Code, p.Detail = "request.content-type", "The body's Content-Type is not one this operation takes."
	case http.StatusInternalServerError, http.StatusRequestTimeout:
		p.Type, p.Title, p.Code = "/problems/internal", titleOf(fault.Internal), "internal"
		p.Detail = "The request could not be read whole."
	default:
		for _, e := range m.Errors {
			f := problemField{Field: strings.TrimPrefix(e.Location, "body."), Detail: e.Message}
			if e.Location == "body" {
				f.Field = ""
			}
			p.Errors = append(p.Errors, f)
		}
		p.Detail = "The request does not fit the operation."
		if len(p.Errors) > 0 {
			p.Field = p.Errors[0].Field
			p.Detail = strings.TrimPrefix(p.Field+": ", ": ") + p.Errors[0].Detail + "."
		}
	}
	line.Reason = p.Code
	return p, nil
}

// fail writes a problem outside the framework.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	writeProblem(w, problemOf(r.Context(), err))
}

func writeProblem(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="ranzen"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that hangs up reads no error
}
