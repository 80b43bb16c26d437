package profiles_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/micromdm/plist"

	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

func (w *world) addIPA(name string, file []byte) (a profiles.App, err error) {
	w.Helper()
	u, err := w.room.TakeIPA(w.Context(), bytes.NewReader(file))
	if err != nil {
		return a, err
	}
	err = w.db.Do(w.Context(), func(tx *sqldb.Tx) error {
		a, err = w.room.AddIPA(w.Context(), tx, "user:test", "", name, false, u)
		return err
	})
	return a, err
}

func (w *world) chunks() (n int64) {
	w.Helper()
	w.must(w.db.Get(w.Context(), &n, `SELECT COUNT(*) FROM app_chunks`))
	return n
}

const mensa = "de.sandtal.mensa"

// fetched has a pad fetch what InstallApplication names, and show these versions.
func (p *pad) fetches(short, version *string, urls *[]string) {
	p.answer = func(rt string, body map[string]any) map[string]any {
		switch rt {
		case "InstallApplication":
			url, _ := body["ManifestURL"].(string)
			*urls = append(*urls, url)
			delete(p.apps, "com.apple.Keynote")
			p.apps[mensa] = "Managed"
			return map[string]any{"State": "Queued", "Identifier": mensa}
		case "InstalledApplicationList":
			if p.apps[mensa] == "" {
				return nil
			}
			return map[string]any{"InstalledApplicationList": []any{map[string]any{"Identifier": mensa, "ShortVersion": *short, "Version": *version}}}
		}
		return nil
	}
}

func TestAnInHouseAppIsInstalledWhenBothListsShowItsVersion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.enrolled(1)[0]
		p := w.pad(id)
		short, version := "0.9", "1"
		var urls []string
		p.fetches(&short, &version, &urls)
		one, err := w.addIPA("Mensa", ipaOf(t, mensa, "1.0", "1", "", "one"))
		w.must(err)
		w.assign(all, "Mensa")
		w.plan()
		p.session()
		if s, why := w.state(id, "app"); s != "acknowledged" || !strings.Contains(why, "does not show") {
			t.Errorf("with another version there it is %s %q", s, why)
		}
		short = "1.0"
		w.clk.Forward(3 * time.Second)
		p.session()
		if s, why := w.state(id, "app"); s != "installed" {
			t.Fatalf("it is %s %q after %v", s, why, p.took)
		}
		_, err = w.addIPA("Mensa", ipaOf(t, mensa, "1.1", "2", "", "two"))
		w.must(err)
		three, err := w.addIPA("Mensa", ipaOf(t, mensa, "1.2", "3", "", "three"))
		w.must(err)
		if one.Version != 1 || three.Version != 3 {
			t.Errorf("versions %d and %d", one.Version, three.Version)
		}
		w.plan()
		short, version = "1.2", "3"
		p.session()
		w.plan()
		if s, why := w.state(id, "app"); s != "installed" || len(urls) != 2 || urls[0] == urls[1] {
			t.Errorf("it is %s %q, handed over by %v", s, why, urls)
		}
		if again, err := w.addIPA("Mensa", ipaOf(t, mensa, "1.2", "3", "", "three")); err != nil || again.Version != 3 {
			t.Errorf("the same again: %+v %v", again, err)
		}
		w.plan()
		p.session()
		if count(p.took, "InstallApplication") > 0 {
			t.Errorf("the same file again is sent: %v", p.took)
		}
	})
}

func TestAFileIsServedAsItWasTakenAndNothingElseStays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		large := strings.Repeat("0123456789abcdef", 3<<20/16) + "end"
		var b bytes.Buffer
		b.WriteString(large)
		b.Write(ipaOf(t, mensa, "1.0", "1", "", "x"))
		file := ipaOf(t, mensa, "1.0", "1", "", "x")
		if _, err := w.addIPA("Mensa", b.Bytes()); code(err) != "ipa.unreadable" {
			t.Errorf("an archive behind something else: %v", err)
		}
		a, err := w.addIPA("Mensa", file)
		w.must(err)
		for name, tt := range map[string]struct {
			file []byte
			code string
		}{
			"other app":    {ipaOf(t, "de.sandtal.other", "1.0", "1", "", "x"), "ipa.other-app"},
			"same version": {ipaOf(t, mensa, "1.0", "1", "", "other bytes"), "ipa.same-version"},
		} {
			if _, err := w.addIPA("Mensa", tt.file); code(err) != tt.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		broken := io.MultiReader(strings.NewReader(large), iotest.ErrReader(errors.New("gone")))
		if _, err := w.room.TakeIPA(t.Context(), broken); code(err) != "ipa.broken-off" {
			t.Errorf("broken off: %v", err)
		}
		w.clk.Forward(2 * time.Hour)
		w.must(w.room.SweepUploads(t.Context()))
		if n := w.chunks(); n != 1 {
			t.Errorf("%d chunks are left", n)
		}
		url := w.room.ManifestURL(a)
		token := strings.Split(url, "/")[4]
		f, err := w.room.FileByToken(t.Context(), token)
		w.must(err)
		got, err := io.ReadAll(io.NewSectionReader(f.Content, 0, f.Size))
		w.must(err)
		sum := sha256.Sum256(file)
		if !bytes.Equal(got, file) || f.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes with %s came back", len(got), f.SHA256)
		}
		raw, err := w.room.Manifest(t.Context(), f)
		w.must(err)
		var m struct {
			Items []struct {
				Assets []struct {
					Kind string   `plist:"kind"`
					URL  string   `plist:"url"`
					Size int64    `plist:"sha256-size"`
					Sums []string `plist:"sha256s"`
				} `plist:"assets"`
			} `plist:"items"`
		}
		w.must(plist.Unmarshal(raw, &m))
		if s := m.Items[0].Assets[0]; s.Kind != "software-package" || s.Size != 1<<20 || len(s.Sums) != 1 || s.Sums[0] != f.SHA256 || !strings.HasSuffix(s.URL, token+"/app.ipa") {
			t.Errorf("manifest: %+v", s)
		}
		for _, bad := range []string{"", "x", token + "0", strings.Replace(token, ".1.", ".2.", 1), token[:len(token)-1]} {
			if _, err := w.room.FileByToken(t.Context(), bad); code(err) != "app.no-file" {
				t.Errorf("token %q: %v", bad, err)
			}
		}
		w.do(func(tx *sqldb.Tx) error { return w.room.RemoveApp(t.Context(), tx, "user:test", "", "Mensa") })
		w.must(w.room.SweepUploads(t.Context()))
		if n := w.chunks(); n != 0 {
			t.Errorf("%d chunks of a removed app are left", n)
		}
		if _, err := w.room.FileByToken(t.Context(), token); code(err) != "app.no-file" {
			t.Errorf("the file of a removed app: %v", err)
		}
	})
}

func TestFilesNameAnInHouseAppByTheSumOfItsIPA(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrolled(1)
		_, err := w.addIPA("Mensa", ipaOf(t, mensa, "1.0", "1", "", "one"))
		w.must(err)
		w.assign(all, "Mensa")
		one := w.export()
		_, err = w.addIPA("Mensa", ipaOf(t, mensa, "1.1", "2", "", "two"))
		w.must(err)
		if edits, _, err := w.applying(w.export(), false); err != nil || len(edits) != 0 {
			t.Errorf("what it exports changes %v, %v", edits, err)
		}
		if edits, _, err := w.applying(one, false); err != nil || len(edits) != 1 || w.export().Apps[0].SHA256 != one.Apps[0].SHA256 {
			t.Errorf("the version before: %v, %v", edits, err)
		}
		for _, name := range []string{"Mensa", "Other"} {
			one.Apps[0].Name, one.Apps[0].SHA256 = name, strings.Repeat("0", 64)
			if _, _, err := w.applying(profiles.Document{Apps: one.Apps}, false); code(err) != "document.ipa" {
				t.Errorf("a sum that nobody knows, of %s: %v", name, err)
			}
		}
	})
}

func TestAnAppThatNeedsANewerSystemIsBlockedWithTheReason(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := w.enrolled(2)
		w.tells(ids[0], "os_version", "17.4")
		w.tells(ids[1], "os_version", "18.0")
		_, err := w.addIPA("Mensa", ipaOf(t, mensa, "1.0", "1", "18.0", "x"))
		w.must(err)
		w.assign(all, "Mensa")
		w.plan()
		if s, why := w.state(ids[0], "app"); s != "blocked" || !strings.Contains(why, "Mensa 1.0 needs iPadOS 18.0, and the iPad has 17.4") {
			t.Errorf("on 17.4 it is %s %q", s, why)
		}
		if s, why := w.state(ids[1], "app"); s != "pending" {
			t.Errorf("on 18.0 it is %s %q", s, why)
		}
	})
}
