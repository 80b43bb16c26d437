package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/server/device"
)

// operation is one row of the route table.
type operation struct {
	method, path string
	id           string
	right        auth.Right
	summary      string
	tag          string
	// secret: the answer holds something that is kept nowhere, so a repeated
	// write with the same key cannot have it again.
	secret bool
}

// apiPrefix is where the API lives.
const apiPrefix = "/api/v1"

// newAPI makes the API's router.
func (s *Server) newAPI(root *mux.Router) huma.API {
	cfg := huma.DefaultConfig("Ranzen", "v1")
	cfg.Info.Description = "MDM for school iPads. Lists are Paged by cursor: pass `next` as `after`. " +
		"Writes take an `Idempotency-Key`. Errors are RFC 9457 problems with a stable `code`. Times are RFC 3339 in UTC."
	cfg.Servers = []*huma.Server{{URL: apiPrefix}}
	cfg.DocsPath, cfg.SchemasPath = "", "" // the built-in pages load scripts from elsewhere
	cfg.CreateHooks = nil                  // no $schema links in answers
	cfg.OpenAPIPath = ""                   // served by us, without a token
	cfg.RejectUnknownQueryParameters = true
	cfg.Transformers = []huma.Transformer{fromHuma}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	cfg.Security = []map[string][]string{{"token": {}}}
	return humamux.New(root, cfg)
}

// document describes an operation for the framework.
func (s *Server) document(op operation) huma.Operation {
	s.rights[op.id] = op.right
	h := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Tags: []string{op.tag},
		MaxBodyBytes: mostOf(op.path) + 1, // bounded before, in checked
		Extensions:   map[string]any{"x-right": string(op.right)},
		Responses: map[string]*huma.Response{"default": {
			Description: "What went wrong",
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
		}},
	}
	h.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		device.LineOf(ctx.Context()).Route = apiPrefix + op.path
		if err := s.admit(ctx.Context(), ctx.Header("Authorization"), op.right); err != nil {
			r, w := humamux.Unwrap(ctx)
			fail(w, r, err)
			return
		}
		next(ctx)
	}}
	return h
}

// body wraps an answer for the framework.
type body[O any] struct{ Body O }

// nothing is the answer that says no more than that it was done: 204.
type nothing struct{}

// read registers an operation that changes nothing.
func read[I, O any](s *Server, api huma.API, op operation, do func(ctx context.Context, in *I) (O, error)) {
	huma.Register(api, s.document(op), func(ctx context.Context, in *I) (*body[O], error) {
		v, err := do(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return &body[O]{v}, nil
	})
}

// keyed is how a write's idempotency key is documented; it is read in checked.
type keyed struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"The write is done once for a key; its answer is repeated for a day" maxLength:"255"`
}

// write registers an operation that changes something: rights before, then one
// transaction with the change, its audit entry and the remembered answer.
func write[I, O any](s *Server, api huma.API, op operation, do func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *I) (O, error)) {
	writeAfter(s, api, op, func(context.Context, *I) (struct{}, error) { return struct{}{}, nil },
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *I, _ struct{}) (O, error) {
			return do(ctx, tx, by, in)
		})
}

// writeAfter is write with something to find out before the transaction, which
// others may take their time for: what somebody else's server says.
func writeAfter[I, P, O any](s *Server, api huma.API, op operation, before func(ctx context.Context, in *I) (P, error),
	do func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *I, known P) (O, error)) {
	h := s.document(op)
	h.Parameters = append(h.Parameters, &huma.Param{
		Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string"},
		Description: "The write is done once for a key; its answer is repeated for a day",
	})
	run := func(ctx context.Context, in *I) (v O, err error) {
		a := askedOf(ctx)
		known, err := before(ctx, in)
		if err != nil {
			return v, problemOf(ctx, err)
		}
		err = s.DB.Do(ctx, func(tx *sqldb.Tx) error {
			return s.once(ctx, tx, a, op, &v, func() (err error) {
				v, err = do(ctx, tx, a.person.Actor(), in, known)
				return err
			})
		})
		if a.leftover != nil {
			if lerr := a.leftover(); lerr != nil {
				return v, problemOf(ctx, errors.Join(err, lerr))
			}
		}
		if err != nil && !errors.Is(err, errTried) {
			return v, problemOf(ctx, err)
		}
		return v, nil
	}
	if _, silent := any(*new(O)).(nothing); silent {
		h.DefaultStatus = http.StatusNoContent
		huma.Register(api, h, func(ctx context.Context, in *I) (*struct{}, error) {
			_, err := run(ctx, in)
			return nil, err
		})
		return
	}
	huma.Register(api, h, func(ctx context.Context, in *I) (*body[O], error) {
		v, err := run(ctx, in)
		if err != nil {
			return nil, err
		}
		return &body[O]{v}, nil
	})
}

// keepAnswers is how long a write's answer is remembered for its key.
const keepAnswers = 24 // hours

// once runs do, or repeats the answer it had under the same key. The key is
// taken before the work, so that of two requests at once one waits for the
// other; a failed one leaves no key behind.
func (s *Server) once(ctx context.Context, tx *sqldb.Tx, a *asked, op operation, v any, do func() error) error {
	if a.key == "" {
		return do()
	}
	taken, err := takeKey(ctx, tx, a.person.ID, a.key, a.hash, s.Clock.Now())
	if err != nil {
		return fmt.Errorf("take an idempotency key: %w", err)
	}
	if !taken {
		return s.repeat(ctx, tx, a, op, v)
	}
	if err := do(); err != nil {
		return err
	}
	kept := ""
	if !op.secret {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("remember an answer: %w", err)
		}
		// Sealed: it may hold the code of an enrollment link.
		sealed, err := s.Vault.Seal(answerPurpose(a), b)
		if err != nil {
			return fmt.Errorf("remember an answer: %w", err)
		}
		kept = base64.StdEncoding.EncodeToString(sealed)
	}
	if err := keepAnswer(ctx, tx, a.person.ID, a.key, kept); err != nil {
		return fmt.Errorf("remember an answer: %w", err)
	}
	return nil
}

func answerPurpose(a *asked) string { return "server.idempotency:" + a.person.ID + ":" + a.key }

func (s *Server) repeat(ctx context.Context, tx *sqldb.Tx, a *asked, op operation, v any) error {
	row, err := answerOf(ctx, tx, a.person.ID, a.key)
	if err != nil {
		return fmt.Errorf("repeat an answer: %w", err)
	}
	switch {
	case row.Request != a.hash:
		return fault.New(fault.Conflict, "idempotency.other", "This Idempotency-Key was used for another request. Take a new key for each request.")
	case op.secret:
		return fault.New(fault.Conflict, "idempotency.secret", "This request was carried out before, and its answer held a secret that is kept nowhere. Revoke what it made and make a new one with another key.")
	}
	raw, err := base64.StdEncoding.DecodeString(row.Body)
	if err != nil {
		return fmt.Errorf("repeat an answer: %w", err)
	}
	plain, err := s.Vault.Open(answerPurpose(a), raw)
	if err != nil {
		return fmt.Errorf("repeat an answer: %w", err)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("repeat an answer: %w", err)
	}
	return nil
}

// list is every list's shape.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next" doc:"Pass as after for the next page; empty on the last"`
}

func all[T any](items []T) list[T] {
	if items == nil {
		items = []T{}
	}
	return list[T]{Items: items}
}

func mapped[A, B any](items []A, f func(A) B) []B {
	out := make([]B, len(items))
	for i, it := range items {
		out[i] = f(it)
	}
	return out
}

// Paged is the query of a paged list.
type Paged struct {
	After string `query:"after" doc:"Cursor: next of the page before" maxLength:"1024"`
	Limit int    `query:"limit" doc:"At most this many" minimum:"1" maximum:"500" default:"100"`
}

// few is a page of a list that is short by nature and read whole. key is what
// the cursor names.
func few[T any](p *Paged, items []T, key func(T) string) list[T] {
	if p.After != "" {
		for i, it := range items {
			if key(it) == p.After {
				items = items[i+1:]
				break
			}
		}
	}
	out := all(items)
	if len(out.Items) > p.Limit {
		out.Items = out.Items[:p.Limit]
		out.Next = key(out.Items[p.Limit-1])
	}
	return out
}

func (p Paged) page() views.Page { return views.Page{After: p.After, Limit: p.Limit} }

// named is a name or id in the path. The router matches the address as it was
// sent, so that a name may hold a slash ("class 5/6" as class%205%2F6).
type named struct{ text string }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *named) UnmarshalText(b []byte) error {
	text, err := url.PathUnescape(string(b))
	if err != nil || !isText(text) || len(text) > 255 {
		return errors.New("not a name")
	}
	n.text = text
	return nil
}
