package tablet

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ranzen/internal/clock"
)

func TestBatteriesGoDownAndAreCharged(t *testing.T) {
	seen := map[float64]bool{}
	now := time.Date(2026, 9, 7, 7, 0, 0, 0, time.UTC)
	with := func(index int, low float64) *Tablet {
		x, err := New(Config{Seed: 7, Index: index, LowBattery: low, Clock: clock.At(now)})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for i := range 20 {
		x := with(i, 0)
		down, up, last := false, false, x.battery(now)
		seen[last] = true
		for k := range 24 {
			level := x.battery(now.Add(time.Duration(k+1) * 30 * time.Minute))
			if level < 0.5 || level > 1 {
				t.Fatalf("tablet %d is at %v", i, level)
			}
			down, up, last = down || level < last, up || level > last, level
		}
		if !down || !up || x.battery(now) != with(i, 0).battery(now) {
			t.Errorf("tablet %d: down %v, up %v", i, down, up)
		}
	}
	if len(seen) < 10 {
		t.Errorf("they are at %v", seen)
	}
	low := 0
	for i := range 100 {
		if x := with(i, 0.2); x.battery(now) < 0.5 {
			low++
			if got := x.battery(now); got < 0.3 {
				t.Errorf("tablet %d is at %v", i, got)
			}
			if hour, night := x.battery(now.Add(time.Hour)), x.battery(now.Add(8*time.Hour)); hour < 0.5 || night != 1 {
				t.Errorf("on its charger tablet %d is at %v and %v", i, hour, night)
			}
		}
	}
	if low < 10 || low > 30 {
		t.Errorf("%d of 100 are low, want about 20", low)
	}
}

func TestVersionsAreComparedByTheirNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"17.10", "17.9", true}, {"17.9", "17.10", false}, {"18", "17.7.2", true}, {"18.0", "18", false}, {"18.0.1", "18", true},
		{"26.1", "18.6", true}, {"16.1 (a)", "16.1", false}, {"", "18.1", false}, {"x.y", "0", false}, {"1.2.3.4", "1.2.3", false},
	} {
		if got := newer(c.a, c.b); got != c.want {
			t.Errorf("%q is newer than %q: %v", c.a, c.b, got)
		}
	}
	for version, want := range map[string]string{"18.1": "22B83", "17.5.1": "21F84", "26.0": "23A83", "27.1": "24B83"} {
		if got := buildOf(version); got != want {
			t.Errorf("the build of %s is %s, want %s", version, got, want)
		}
	}
}

func TestOpenSSLVerifiesTheMachineInfo(t *testing.T) {
	id := identity(t)
	key, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	var a activation
	a.Identity.CertPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Cert.Raw}))
	a.Identity.KeyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	content := []byte("<plist>the machine info</plist>\n")
	signed, err := a.sign(content, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "info"), signed, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-inform", "DER", "-in", "info", "-noverify", "-binary", "-out", "out")
	verify.Dir = dir
	if out, err := verify.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v %s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(got) != string(content) {
		t.Errorf("the content is %q, %v", got, err)
	}
}
