package tablet

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// maxApp is the largest app that a simulated tablet takes.
const maxApp = 64 << 20

// installFile installs an app by a manifest, which it reads before it answers; the
// file comes later, and what is wrong with it is told by the app's state.
//
// Apple, Device Management, "InstallApplication" and "ManifestURL".
func (t *Tablet) installFile(ctx context.Context, c *Command, manifest string) (map[string]any, *chain) {
	t.mu.Lock()
	m := t.mgmt
	t.mu.Unlock()
	invalid := func(why error) (map[string]any, *chain) {
		t.emit(Event{Event: "app-refused", Error: why.Error()})
		return rejected("Other"), refuse(mdmDomain, 12024, "The app manifest could not be validated: %v", why)
	}
	raw, err := fetch(ctx, m.http, manifest, maxAnswer)
	if err != nil {
		return invalid(err)
	}
	f, err := readManifest(raw)
	if err != nil {
		return invalid(err)
	}
	got, err := f.download(ctx, m.http)
	if err != nil {
		t.emit(Event{Event: "app-broken", BundleID: f.id, Error: err.Error()})
	}
	return t.begin(c, f.id, 0, got, err != nil), nil
}

// fetch gets a file as an iPad does: over HTTPS only.
func fetch(ctx context.Context, client *http.Client, address string, most int64) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || !secure(u) {
		return nil, fmt.Errorf("%q is no address that begins with https://", address)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch an app: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch an app: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // only read from
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch an app: the server answers %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err == nil && int64(len(b)) > most {
		err = errors.New("it is too large")
	}
	return b, err
}

// appFile is what a manifest promises.
type appFile struct {
	id, version, from string
	part              int64
	sums              []string
}

func readManifest(raw []byte) (f appFile, err error) {
	m, err := decode(raw)
	if err != nil {
		return f, err
	}
	items := list(m, "items")
	if len(items) != 1 {
		return f, fmt.Errorf("it has %d items", len(items))
	}
	item, _ := items[0].(map[string]any)
	about := dict(item, "metadata")
	f.id, f.version = text(about, "bundle-identifier"), text(about, "bundle-version")
	if f.id == "" || f.version == "" || text(about, "kind") != "software" || text(about, "title") == "" {
		return f, fmt.Errorf("its metadata is %v", about)
	}
	for _, v := range list(item, "assets") {
		a, _ := v.(map[string]any)
		if text(a, "kind") != "software-package" {
			continue
		}
		f.from = text(a, "url")
		f.part, _ = whole(a, "sha256-size")
		for _, s := range list(a, "sha256s") {
			sum, _ := s.(string)
			f.sums = append(f.sums, sum)
		}
	}
	if f.from == "" || f.part < 1 || len(f.sums) == 0 {
		return f, errors.New("it has no software package with sums")
	}
	return f, nil
}

// download takes the file only if each part of it has the sum that was promised,
// and the app in it is the one.
func (f appFile) download(ctx context.Context, client *http.Client) (bundle, error) {
	b, err := fetch(ctx, client, f.from, maxApp)
	if err != nil {
		return bundle{}, err
	}
	rest := b
	for i, want := range f.sums {
		part := rest[:min(f.part, int64(len(rest)))]
		rest = rest[len(part):]
		if sum := sha256.Sum256(part); hex.EncodeToString(sum[:]) != want {
			return bundle{}, fmt.Errorf("part %d of the app has another sum", i)
		}
	}
	if len(rest) > 0 {
		return bundle{}, errors.New("the app is longer than its sums")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return bundle{}, fmt.Errorf("unpack the app: %w", err)
	}
	for _, e := range z.File {
		if dir, name := path.Split(e.Name); name != "Info.plist" || path.Dir(path.Clean(dir)) != "Payload" || !strings.HasSuffix(path.Clean(dir), ".app") {
			continue
		}
		return f.inside(e)
	}
	return bundle{}, errors.New("there is no app in it")
}

func (f appFile) inside(e *zip.File) (bundle, error) {
	r, err := e.Open()
	if err != nil {
		return bundle{}, fmt.Errorf("unpack the app: %w", err)
	}
	defer func() { _ = r.Close() }() // only read from
	raw, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	if err != nil {
		return bundle{}, fmt.Errorf("unpack the app: %w", err)
	}
	info, err := decode(raw)
	if err != nil {
		return bundle{}, err
	}
	if id := text(info, "CFBundleIdentifier"); id != f.id {
		return bundle{}, fmt.Errorf("the app is %q, and the manifest promises %q", id, f.id)
	}
	return bundle{text(info, "CFBundleShortVersionString"), text(info, "CFBundleVersion")}, nil
}
