package main

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

// behind sends what is meant for the public address to the device listener, as
// the proxy there would. While spoil is set, an app comes with a byte changed.
type behind struct {
	devices string
	spoil   atomic.Bool
}

func (b *behind) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := url.Parse(b.devices)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = at.Scheme, at.Host
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && b.spoil.Load() && strings.HasSuffix(r.URL.Path, "/app.ipa") {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		body[len(body)/2] ^= 1
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	return res, err
}

// writeIPA makes an app of a little more than two chunks.
func writeIPA(t *testing.T, bundle, short, version string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	binary, err := z.CreateHeader(&zip.FileHeader{Name: "Payload/Mensa.app/Mensa", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := binary.Write(bytes.Repeat([]byte(version), 2<<20/len(version)+100)); err != nil {
		t.Fatal(err)
	}
	info, err := z.Create("Payload/Mensa.app/Info.plist")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(info, `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>CFBundleIdentifier</key><string>%s</string>
<key>CFBundleShortVersionString</key><string>%s</string><key>CFBundleVersion</key><string>%s</string><key>CFBundleName</key><string>Mensa</string></dict></plist>`, bundle, short, version); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mensa.ipa")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAnInHouseAppComesToAnIPadAndFollowsItsVersions uploads by the command line,
// and a simulated iPad fetches what the device listener serves.
func TestAnInHouseAppComesToAnIPadAndFollowsItsVersions(t *testing.T) {
	bin := build(t)
	eachDatabase(t, func(t *testing.T, db string) {
		in := install(t, bin, db)
		in.start(t)
		var link linkDoc
		if err := in.api.post(t.Context(), "/links", map[string]any{"name": "inhouse"}, &link); err != nil {
			t.Fatal(err)
		}
		way := &behind{devices: in.devices}
		x, err := tablet.New(tablet.Config{
			Seed: 11, Clock: clock.System(), Supervised: true,
			Client: func(*x509.CertPool, *tablet.Identity) *http.Client { return &http.Client{Transport: way} },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Enroll(t.Context(), link.ProfileURL); err != nil {
			t.Fatal(err)
		}
		item := func() (version, observed int64, state, reason string) {
			if err := x.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			var d struct {
				Items []struct {
					Version  int64  `json:"version"`
					Observed *int64 `json:"observed"`
					State    string `json:"state"`
					Reason   string `json:"reason"`
				} `json:"items"`
			}
			if err := in.api.get(t.Context(), at("devices", x.Serial()), nil, &d); err != nil {
				t.Fatal(err)
			}
			if len(d.Items) != 1 {
				return 0, 0, "", ""
			}
			it := d.Items[0]
			if it.Observed != nil {
				observed = *it.Observed
			}
			return it.Version, observed, it.State, it.Reason
		}
		in.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", writeIPA(t, "de.sandtal.mensa", "1.0", "100"))
		in.ranzen(t, "assign", "Mensa", "--to", "all")
		wait(t, "the first version is there", func() bool {
			v, seen, state, _ := item()
			return v == 1 && seen == 1 && state == "installed"
		})
		second := writeIPA(t, "de.sandtal.mensa", "1.1", "110")
		looked := in.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", second, "--dry-run")
		_, hash, found := strings.Cut(looked, "--plan ")
		if v, seen, _, _ := item(); !found || !strings.Contains(looked, "update") || v != 1 || seen != 1 {
			t.Fatalf("a look at the second version: %d %d, %s", v, seen, looked)
		}
		in.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", second, "--plan", strings.TrimSpace(hash))
		wait(t, "the second version is there", func() bool {
			v, seen, state, _ := item()
			return v == 2 && seen == 2 && state == "installed"
		})
		way.spoil.Store(true)
		in.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", writeIPA(t, "de.sandtal.mensa", "1.2", "120"))
		wait(t, "a file with other bytes is refused", func() bool {
			_, seen, state, reason := item()
			return seen != 3 && state == "failed" && strings.Contains(reason, "could not install the app")
		})
		way.spoil.Store(false)
		in.ranzen(t, "device", "retry", x.Serial())
		wait(t, "the third version is there", func() bool {
			v, seen, state, _ := item()
			return v == 3 && seen == 3 && state == "installed"
		})
		if apps := x.State().Apps; len(apps) != 1 || apps[0].BundleID != "de.sandtal.mensa" {
			t.Errorf("on the iPad are %+v", apps)
		}
		in.stop(t)
	})
}
