package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ranzen/certs"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/profiles"
)

// manifestPath is where devices fetch a version of an app of this installation.
func (in *installation) manifestPath(t *testing.T, name string, version int64) string {
	t.Helper()
	var a struct {
		Items []struct{ ID, Name string }
	}
	if err := in.api.get(t.Context(), "/apps", nil, &a); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(in.dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := cfg.SealKey()
	if err != nil {
		t.Fatal(err)
	}
	vault, err := certs.NewVault(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range a.Items {
		if one.Name == name {
			return strings.TrimPrefix((&profiles.Room{Deps: profiles.Deps{Vault: vault}}).ManifestURL(profiles.App{ID: one.ID, Version: version}), publicURL)
		}
	}
	t.Fatalf("there is no app %s in %+v", name, a)
	return ""
}

func (in *installation) fetch(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.devices+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v", path, res.Status, err)
	}
	return b
}

// served fails unless an app comes as it is in a file, by its manifest.
func (in *installation) served(t *testing.T, name string, version int64, file string) {
	t.Helper()
	want, err := os.ReadFile(file) //nolint:gosec // written by the test
	if err != nil {
		t.Fatal(err)
	}
	path := in.manifestPath(t, name, version)
	ipa := strings.Replace(path, "manifest.plist", "app.ipa", 1)
	if m := in.fetch(t, path); !bytes.Contains(m, []byte(publicURL+ipa)) || bytes.Count(m, []byte("<string>")) < 3 {
		t.Errorf("the manifest of version %d: %s", version, m)
	}
	if got := in.fetch(t, ipa); !bytes.Equal(got, want) {
		t.Errorf("version %d has %d bytes, and %d came", version, len(want), len(got))
	}
}

func TestAnInHouseAppTakenByOneProcessIsServedByAnother(t *testing.T) {
	bin := build(t)
	one := install(t, bin, sqldbtest.PostgresDSN(t))
	one.start(t)
	two := &installation{bin: bin, dir: one.dir}
	t.Cleanup(two.kill)
	two.start(t) // commands go to this one from here on
	files := []string{writeIPA(t, "de.sandtal.mensa", "1.0", "100"), writeIPA(t, "de.sandtal.mensa", "1.1", "110")}
	for i, file := range files {
		two.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", file)
		one.served(t, "Mensa", int64(i+1), file)
	}
	two.kill()
	one.served(t, "Mensa", 2, files[1])
	one.stop(t)
}

func TestAnInHouseAppIsServedAfterABackupCameBack(t *testing.T) {
	bin := build(t)
	t.Setenv("RANZEN_PASSPHRASE", "vier lange zufällige wörter")
	eachDatabase(t, func(t *testing.T, db string) {
		in := install(t, bin, db)
		in.start(t)
		files := []string{writeIPA(t, "de.sandtal.mensa", "1.0", "100"), writeIPA(t, "de.sandtal.mensa", "1.1", "110")}
		for _, file := range files {
			in.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", file)
		}
		path := in.manifestPath(t, "Mensa", 2)
		backup := filepath.Join(t.TempDir(), "backup")
		in.ranzen(t, "backup", backup)
		in.stop(t)
		back := &installation{bin: bin, dir: filepath.Join(t.TempDir(), "back")}
		t.Cleanup(back.kill)
		into := "sqlite"
		if db != "sqlite" {
			into = sqldbtest.PostgresDSN(t)
		}
		back.ranzen(t, "restore", "--db", into, backup)
		back.start(t)
		for i, file := range files {
			back.served(t, "Mensa", int64(i+1), file)
		}
		if back.manifestPath(t, "Mensa", 2) != path {
			t.Error("devices would have to ask at another address")
		}
		third := writeIPA(t, "de.sandtal.mensa", "1.2", "120")
		back.ranzen(t, "app", "add", "--name", "Mensa", "--ipa", third)
		back.served(t, "Mensa", 3, third)
		back.stop(t)
	})
}
