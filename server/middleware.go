package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sheet"
	"ranzen/internal/sqldb"
	"ranzen/server/device"
)

// Limits of the admin listener's requests. Profiles are the largest uploads.
const (
	maxJSON   = 1 << 20
	maxUpload = 4 << 20
)

// HTTPServer sets every limit a listener needs. net/http has none by itself: a
// client that sends a byte a minute would hold a connection for ever.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second, // 4 MB over a school's line
		WriteTimeout:      120 * time.Second,
		IdleTimeout:       120 * time.Second, // a full TLS handshake costs more than a poll
		MaxHeaderBytes:    64 << 10,          // Mdm-Signature alone may have 16 kB
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// asked is what the API knows of a request beside its input.
type asked struct {
	person auth.Person
	key    string // Idempotency-Key
	hash   string // of method, address and body

	leftover func() error // gives up what was stored before the transaction and not taken by it
}

// own is the tenant that whoever asks is bound to; "" sees all tenants.
func own(ctx context.Context) string { return askedOf(ctx).person.Tenant }

// tenantFor is the tenant that a request is about: asked for by code or id, or
// the only one.
func (s *Server) tenantFor(ctx context.Context, q sqldb.Queryer, asked string) (schools.Tenant, error) {
	return s.Schools.TenantFor(ctx, q, own(ctx), asked)
}

// asTenant is the tenant whose names a request speaks: that of who asks, or the
// one asked for, by code or id. "" speaks for the provider, who sees all.
func (s *Server) asTenant(ctx context.Context, q sqldb.Queryer, asked string) (string, error) {
	if asked == "" {
		return own(ctx), nil
	}
	t, err := s.tenantFor(ctx, q, asked)
	return t.ID, err
}

// provider refuses people who are bound to a tenant.
func (s *Server) provider(ctx context.Context) error {
	if own(ctx) == "" {
		return nil
	}
	return fault.New(fault.Denied, "auth.provider-only", "This concerns all tenants: only the provider's people may do it. Ask them.")
}

type askedKey struct{}

func askedOf(ctx context.Context) *asked {
	if a, ok := ctx.Value(askedKey{}).(*asked); ok {
		return a
	}
	return &asked{}
}

func badText(where string) *fault.Fault {
	return fault.New(fault.Invalid, "request.text", "The request's %s holds a NUL character or is not valid UTF-8. Send text as UTF-8.", where)
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checked reads the body whole and refuses text that a database would: the one
// place, so that no handler can forget it.
func checked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		for k, vs := range query {
			if !isText(k) || !isText(strings.Join(vs, "")) {
				fail(w, r, badText("address"))
				return
			}
		}
		if !isText(r.URL.Path) {
			fail(w, r, badText("address"))
			return
		}
		key := r.Header.Get("Idempotency-Key")
		if len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
			fail(w, r, fault.New(fault.Invalid, "idempotency.key", "An Idempotency-Key has at most 255 printable ASCII characters without spaces."))
			return
		}
		if r.URL.Path == apiPrefix+ipaPath && r.Method == http.MethodPost { // bounded where it is read
			sum := sha256.Sum256([]byte(r.Method + " " + r.URL.RequestURI()))
			a := &asked{key: key, hash: hex.EncodeToString(sum[:])}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askedKey{}, a)))
			return
		}
		most := mostOf(strings.TrimPrefix(r.URL.Path, apiPrefix))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if _, big := errors.AsType[*http.MaxBytesError](err); big {
			p := problemOf(r.Context(), fault.New(fault.Invalid, "request.too-large", "The request's body has more than %d MB.", most>>20))
			p.Status = http.StatusRequestEntityTooLarge
			writeProblem(w, p)
			return
		}
		if err != nil {
			fail(w, r, fault.New(fault.Invalid, "request.body", "The request's body ended early.").With(err))
			return
		}
		if ct := r.Header.Get("Content-Type"); (ct == "" || strings.Contains(ct, "json")) && !plainJSON(body) {
			fail(w, r, badText("body"))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		sum := sha256.New()
		sum.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n"))
		sum.Write(body)
		a := &asked{key: key, hash: hex.EncodeToString(sum.Sum(nil))}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askedKey{}, a)))
	})
}

// mostOf is how large a body may be at an address of the API.
func mostOf(path string) int64 {
	if path == importPath || path == documentPath {
		return sheet.MaxFile
	}
	return maxUpload
}

// plainJSON tells whether no string in a JSON document can hold a NUL: neither
// the byte nor its escape. An escaped backslash before "u0000" is just text.
func plainJSON(b []byte) bool {
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	for i := 0; i < len(b)-1; i++ {
		if b[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(b[i+1:], []byte("u0000")) {
			return false
		}
		i++ // what is escaped is no backslash
	}
	return true
}

// bearer reads "Authorization: Bearer …".
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// admit identifies who asks and checks the right the operation needs.
func (s *Server) admit(ctx context.Context, header string, right auth.Right) error {
	p, err := s.Auth.Identify(ctx, bearer(header))
	if err != nil {
		return err
	}
	askedOf(ctx).person = p
	device.LineOf(ctx).Person = string(p.Actor())
	if !auth.Can(p.Role, right) {
		return fault.New(fault.Denied, "auth.denied", "A %s may look but not do this. Ask an administrator.", p.Role)
	}
	return nil
}

// sealed keeps browsers honest: nothing of the admin listener belongs in a frame
// or a cache.
func sealed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}
