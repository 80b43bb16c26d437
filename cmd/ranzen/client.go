package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Remote says which server a command talks to. A flag counts more than the
// environment: with --data ./trial nobody erases the iPads of RANZEN_URL.
type Remote struct {
	Data      string `placeholder:"DIR" help:"Data directory of the server on this machine: its address, token and certificate are found there. Environment: RANZEN_DATA."`
	Server    string `placeholder:"URL" help:"Address of the server's admin listener. Environment: RANZEN_URL."`
	TokenFile string `placeholder:"FILE" help:"File whose only line is the API token. Environment: RANZEN_TOKEN holds the token itself."`
	CA        string `name:"ca" placeholder:"FILE" help:"Certificates, PEM, that the server is trusted by instead of the system's. Environment: RANZEN_CA."`
	JSON      bool   `name:"json" help:"Print one JSON document instead of columns."`
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// client is the API as the commands use it.
type client struct {
	env
	*printer
	base  string
	token fault.Secret
	http  *http.Client
	json  bool
	docs  []json.RawMessage // answers for --json
	key   string            // of the next write, when it may be sent again; "": a fresh one
}

// open finds the server and how to sign in. It does not connect.
func (r *Remote) open(e env) (*client, error) {
	c := &client{env: e, printer: e.printer(), json: r.JSON}
	base, err := r.address()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usagef("%q is not the address of a server: it looks like http://127.0.0.1:8440.", base)
	}
	if u.Scheme == "http" && !isLoopback(u.Host) {
		return nil, usagef("%s is plain HTTP to another machine, which would show the token to everyone between: use https:// or a tunnel.", base)
	}
	c.base = strings.TrimRight(base, "/") + "/api/v1"
	if c.token, err = r.secret(e); err != nil {
		return nil, err
	}
	roots, err := r.roots(e)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:     (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
	c.http = &http.Client{Transport: t, Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func (r *Remote) address() (string, error) {
	if r.Server != "" {
		return r.Server, nil
	}
	if r.Data == "" {
		if v := os.Getenv("RANZEN_URL"); v != "" {
			return v, nil
		}
	}
	dir := r.dir()
	if dir == "" {
		return "", usagef("Which server? Say --data DIR on the server's machine, or --server URL (RANZEN_URL) with RANZEN_TOKEN.")
	}
	if _, err := loadConfig(dir); err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(dir, adminURLFile)) //nolint:gosec // the person named it
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", failedf("The server of %s has not been started yet. Start it with: ranzen serve --data %s", dir, dir)
	case err != nil:
		return "", usagef("%s cannot be read: %s.", filepath.Join(dir, adminURLFile), reasonOf(err))
	}
	return strings.TrimSpace(string(b)), nil
}

func (r *Remote) dir() string {
	if r.Data != "" {
		return r.Data
	}
	return os.Getenv("RANZEN_DATA")
}

func (r *Remote) secret(e env) (fault.Secret, error) {
	if r.TokenFile != "" {
		return e.readSecret(r.TokenFile)
	}
	if v := os.Getenv("RANZEN_TOKEN"); v != "" && r.Data == "" {
		return fault.Secret(strings.TrimSpace(v)), nil
	}
	dir := r.dir()
	if dir == "" {
		return "", usagef("Which token? Put it into RANZEN_TOKEN, or name a file with --token-file.")
	}
	return e.readSecret(filepath.Join(dir, adminTokFile))
}

// roots are what the server is trusted by; nil: what the system trusts. On the
// server's own machine that is, besides, what lies in its data directory.
func (r *Remote) roots(e env) (*x509.CertPool, error) {
	path := r.CA
	if path == "" {
		path = os.Getenv("RANZEN_CA")
	}
	if path == "" {
		return r.rootsOfDir()
	}
	b, err := e.readFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, usagef("%s holds no certificate in PEM.", path)
	}
	return pool, nil
}

func (r *Remote) rootsOfDir() (*x509.CertPool, error) {
	dir := r.dir()
	if dir == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	cfg, err := loadConfig(dir)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, path := range []string{cfg.Path(rootFile), cfg.AdminTLSCert} {
		if b, err := os.ReadFile(path); err == nil { //nolint:gosec // the operator's; a missing one shows when it is needed
			pool.AppendCertsFromPEM(b)
		}
	}
	return pool, nil
}

// at makes a path of parts, each escaped.
func at(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/" + strings.Join(parts, "/")
}

// upload is a body that is not JSON.
type upload struct {
	kind string
	body []byte
}

// stream is a body that is too large to be held.
type stream struct {
	kind string
	from io.Reader
	size int64
}

func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, into)
}

func (c *client) post(ctx context.Context, path string, body, into any) error {
	return c.call(ctx, http.MethodPost, path, body, into)
}

func (c *client) delete(ctx context.Context, path string) error {
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// call asks the server and keeps its answer for --json.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	raw, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	if len(raw) > 0 {
		c.docs = append(c.docs, raw)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return failedf("The server's answer is not as expected: are this program (%s) and the server of the same version?", programVersion())
	}
	return nil
}

func (c *client) ask(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	kind, content := "", []byte(nil)
	var large *stream
	switch b := body.(type) {
	case nil:
	case stream:
		kind, large = b.kind, &b
	case upload:
		kind, content = b.kind, b.body
	default:
		var err error
		kind = "application/json"
		if content, err = json.Marshal(b); err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	how := c.http
	if large != nil {
		req.Body, req.ContentLength, req.GetBody = io.NopCloser(large.from), large.size, nil
		patient := *c.http
		patient.Timeout, how = 0, &patient // the server gives up on one that stands still
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Open())
	req.Header.Set("User-Agent", "ranzen/"+programVersion())
	req.Header.Set("Accept", "application/json")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if method != http.MethodGet {
		// Go's transport sends a request again when a kept connection had died.
		key := c.key
		if key == "" {
			key = sqldb.NewID()
		}
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := how.Do(req)
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, failedf("The server's answer broke off (%v). Look whether it was done before you repeat it.", err)
	}
	if res.StatusCode/100 != 2 {
		return nil, refusal(res.StatusCode, raw, c.base)
	}
	if res.StatusCode == http.StatusNoContent || len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	return raw, nil
}

// unanswered is why there was no answer.
func (c *client) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return failedf("The server at %s is not trusted (%v). Name its certificate with --ca FILE or in RANZEN_CA.", c.base, cause)
	}
	return failedf("Nobody answers at %s (%v). Is `ranzen serve` running?", strings.TrimSuffix(c.base, "/api/v1"), cause)
}

// apiError is what the server said no to, with its stable code.
type apiError struct {
	*exitError
	code   string
	fields json.RawMessage
}

func (e *apiError) Unwrap() error { return e.exitError }

// refusal makes one sentence of a problem document (RFC 9457).
func refusal(status int, raw []byte, base string) error {
	var p struct {
		Detail string `json:"detail"`
		Code   string `json:"code"`
		Ref    string `json:"ref"`
	}
	e := &apiError{exitError: &exitError{status: exitFailed}, fields: raw}
	if err := json.Unmarshal(raw, &p); err != nil || p.Detail == "" {
		e.text = fmt.Sprintf("%s answered with status %d and no reason: is it a Ranzen server?", base, status)
		return e
	}
	e.code, e.text = p.Code, plain(p.Detail)
	switch {
	case status == http.StatusUnprocessableEntity, status == http.StatusBadRequest,
		status == http.StatusRequestEntityTooLarge, status == http.StatusUnsupportedMediaType:
		e.status = exitUsage
	case status >= 500 && p.Ref != "":
		e.text += " (ref " + plain(p.Ref) + ")"
	}
	return e
}

// codeOf is the stable code of a refusal by the server.
func codeOf(err error) string {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.code
	}
	return ""
}

// answer is the JSON document of a command that made one request, or a list of
// the documents of one that made several.
func (c *client) answer() error {
	var doc any = map[string]any{}
	switch len(c.docs) {
	case 0:
	case 1:
		doc = c.docs[0]
	default:
		doc = map[string]any{"items": c.docs}
	}
	return c.document(doc)
}

func (c *client) document(doc any) error {
	raw, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	b.WriteByte('\n')
	_, err = c.stdout.Write(b.Bytes())
	return err
}

// Limited is how much of a long list is wanted.
type Limited struct {
	Limit int `default:"100" placeholder:"N" help:"At most this many; 0 is all."`
}

// page is one page of a list.
type page struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next"`
}

const pageSize = 500

// listing reads pages until limit (0: all) and decodes the items into a slice.
// It reports whether there is more.
func listing[T any](ctx context.Context, c *client, path string, query url.Values, limit int) (items []T, more bool, err error) {
	if limit < 0 {
		return nil, false, usagef("--limit is 0 or more.")
	}
	if query == nil {
		query = url.Values{}
	}
	whole := page{Items: []json.RawMessage{}}
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(whole.Items))
		}
		query.Set("limit", strconv.Itoa(size))
		raw, err := c.ask(ctx, http.MethodGet, path+"?"+query.Encode(), nil)
		if err != nil {
			return nil, false, err
		}
		var p page
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, false, failedf("The server's answer is not a list: are this program (%s) and the server of the same version?", programVersion())
		}
		whole.Items, whole.Next = append(whole.Items, p.Items...), p.Next
		if p.Next == "" || limit > 0 && len(whole.Items) >= limit {
			break
		}
		query.Set("after", p.Next)
	}
	doc, err := json.Marshal(whole)
	if err != nil {
		return nil, false, fmt.Errorf("put the pages together: %w", err)
	}
	c.docs = append(c.docs, doc)
	for _, raw := range whole.Items {
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return nil, false, failedf("The server's answer is not as expected: are this program (%s) and the server of the same version?", programVersion())
		}
		items = append(items, item)
	}
	return items, whole.Next != "", nil
}

// hint writes a line for the person, never into the document.
func (c *client) hint(format string, args ...any) {
	fmt.Fprintf(c.stderr, format+"\n", args...) //nolint:errcheck // as with every print
}

// do opens the server, asks, and answers as JSON or for people.
func (r *Remote) do(e env, ask func(c *client) error, tell func(c *client)) error {
	c, err := r.open(e)
	if err != nil {
		return err
	}
	if err := ask(c); err != nil {
		return err
	}
	if c.json {
		return c.answer()
	}
	tell(c)
	return nil
}
