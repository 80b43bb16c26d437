package main

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestForeignClients drives the built server with clients that others wrote:
// micromdm/scep's gets an identity, NanoMDM's tablet uses it, openssl looks at
// what is signed.
func TestForeignClients(t *testing.T) {
	bin := build(t)
	eachDatabase(t, func(t *testing.T, db string) {
		in := install(t, bin, db)
		in.start(t)
		ctx := t.Context()
		var link linkDoc
		if err := in.api.post(ctx, "/links", map[string]any{"name": "foreign"}, &link); err != nil {
			t.Fatal(err)
		}
		signed, err := fetchProfile(ctx, link.ProfileURL, in.devices)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := readProfile(signed)
		if err != nil {
			t.Fatal(err)
		}
		topic := checkEnrolmentProfile(t, p)
		opensslSees(t, in, signed)

		d, err := newForeign(topic)
		if err != nil {
			t.Fatal(err)
		}
		d.at = in.devices
		if err := d.identify(ctx, link.ProfileURL); err != nil {
			t.Fatal(err)
		}
		opensslTrusts(t, in, d.cert)
		if err := d.DoEnroll(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.DoEscrowBootstrapToken(ctx, []byte("the bootstrap token")); err != nil {
			t.Error(err)
		}
		if tok, err := d.DoGetBootstrapToken(ctx); err != nil || tok == nil || len(tok.BootstrapToken) == 0 {
			t.Errorf("the bootstrap token came back as %v, %v", tok, err)
		}
		ref := commandRef{}
		if err := in.api.post(ctx, at("devices", d.SerialNumber(), "send"), map[string]any{"command": "AvailableOSUpdates", "args": map[string]string{}}, &ref); err != nil {
			t.Fatal(err)
		}
		took := takeAll(t, d)
		if !took[ref.Command] {
			t.Errorf("the command %s did not come; these did: %v", ref.Command, took)
		}
		var got struct {
			State string `json:"state"`
		}
		if err := in.api.get(ctx, at("commands", ref.Command), nil, &got); err != nil || got.State != "done" {
			t.Errorf("the command is %q, %v", got.State, err)
		}
		var dev demoDevice
		if err := in.api.get(ctx, at("devices", d.SerialNumber()), nil, &dev); err != nil || dev.State != "enrolled" {
			t.Errorf("the device is %q, %v", dev.State, err)
		}
		in.stop(t)
	})
}

func checkEnrolmentProfile(t *testing.T, p enrolmentProfile) (topic string) {
	t.Helper()
	for _, c := range p.PayloadContent {
		if c.PayloadType != "com.apple.mdm" {
			continue
		}
		if c.ServerURL != publicURL+"/mdm/command" || c.CheckInURL != publicURL+"/mdm/checkin" || c.AccessRights != 8191 || !c.SignMessage || !c.CheckOutWhenRemoved {
			t.Errorf("the MDM payload is %+v", c)
		}
		if len(c.ServerCapabilities) != 1 || c.ServerCapabilities[0] != "com.apple.mdm.bootstraptoken" {
			t.Errorf("capabilities %v", c.ServerCapabilities)
		}
		return c.Topic
	}
	t.Fatal("the profile has no MDM payload")
	return ""
}

// takeAll is one session: Idle, then all commands until there are no more.
func takeAll(t *testing.T, d *foreign) map[string]bool {
	t.Helper()
	took := map[string]bool{}
	c, err := d.report(t.Context(), "", "Idle")
	for range 50 {
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			return took
		}
		if took[c.CommandUUID] {
			t.Errorf("%s came twice in one session", c.Command.RequestType)
		}
		took[c.CommandUUID] = true
		status := "Acknowledged"
		c, err = d.report(t.Context(), c.CommandUUID, status)
	}
	t.Fatal("the session does not end")
	return nil
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	if err != nil {
		t.Errorf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// opensslSees verifies the profile's signature up to our root.
func opensslSees(t *testing.T, in *installation, signed []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "enroll.mobileconfig")
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, "cms", "-verify", "-inform", "DER", "-in", file, "-CAfile", filepath.Join(in.dir, rootFile), "-purpose", "any", "-out", os.DevNull)
}

// opensslTrusts verifies the chain of an identity, and the revocation list.
func opensslTrusts(t *testing.T, in *installation, cert *x509.Certificate) {
	t.Helper()
	dir := t.TempDir()
	leaf, crl, pemCRL, chain := filepath.Join(dir, "leaf.pem"), filepath.Join(dir, "crl.der"), filepath.Join(dir, "crl.pem"), filepath.Join(dir, "chain.pem")
	if err := os.WriteFile(leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, file := range map[string]string{"/crl": crl, "/scep?operation=GetCACert": filepath.Join(dir, "ca.p7")} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.devices+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, res.Status, err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openssl(t, "pkcs7", "-inform", "DER", "-in", filepath.Join(dir, "ca.p7"), "-print_certs", "-out", chain)
	openssl(t, "crl", "-inform", "DER", "-in", crl, "-out", pemCRL)
	openssl(t, "verify", "-CAfile", filepath.Join(in.dir, rootFile), "-untrusted", chain, "-CRLfile", pemCRL, "-crl_check", leaf)
}

// wait is for what a loop does.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}
