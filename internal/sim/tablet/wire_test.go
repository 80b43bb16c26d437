package tablet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
)

var someIdentity = sync.OnceValues(func() (*Identity, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(0x80), Subject: pkix.Name{CommonName: "identity"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	return &Identity{Cert: cert, Key: key}, err
})

func identity(t testing.TB) *Identity {
	t.Helper()
	id, err := someIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestOpenSSLVerifiesEverySignature(t *testing.T) {
	body := []byte("<plist>the message</plist>\n\x00 with odd bytes")
	for name, s := range map[string]Signature{
		"as iPads": {}, "DER": {DER: true}, "SHA-1": {SHA1: true}, "no attributes": {NoAttributes: true}, "all": {true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			signature, err := s.sign(body, identity(t), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for file, b := range map[string][]byte{"body": body, "sig": signature} {
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			verify := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-inform", "DER", "-in", "sig", "-content", "body",
				"-binary", "-noverify", "-out", "out")
			verify.Dir = dir
			if out, err := verify.CombinedOutput(); err != nil {
				t.Errorf("openssl: %v %s", err, out)
			}
			if indefinite := signature[1] == 0x80; indefinite == s.DER {
				t.Errorf("indefinite length %v", indefinite)
			}
			// It is detached: the body is not in it.
			if bytes.Contains(signature, body[:10]) {
				t.Error("the body is inside the signature")
			}
		})
	}
}

func TestWhatIsEnvelopedCanBeOpened(t *testing.T) {
	id := identity(t)
	for _, size := range []int{0, 1, aes.BlockSize - 1, aes.BlockSize, 70000} {
		for _, withAES := range []bool{true, false} {
			content := bytes.Repeat([]byte{7}, size)
			sealed, err := envelop(content, id.Cert, withAES)
			if err != nil {
				t.Fatal(err)
			}
			p, err := pkcs7.Parse(sealed)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.Decrypt(id.Cert, id.Key); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, AES %v: %v", size, withAES, err)
			}
		}
	}
}

func TestAPKCS12IdentityServesAsWell(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=tablet", "-days", "2"},
		{
			"pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-out", "id.p12", "-passout", "pass:secret",
			"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1",
		},
	} {
		c := exec.CommandContext(t.Context(), "openssl", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v %s", args, err, out)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "id.p12"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := New(Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for password, good := range map[string]bool{"secret": true, "wrong": false} {
		p := &installed{payloads: []map[string]any{{
			"PayloadType": "com.apple.security.pkcs12", "PayloadUUID": "U", "PayloadContent": raw, "Password": password,
		}}}
		id, err := x.identity(t.Context(), p, "U", nil)
		if (err == nil) != good || good && id.Cert.Subject.CommonName != "tablet" {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

func TestASubjectIsReadAsAppleWritesIt(t *testing.T) {
	pair := func(a ...any) any { return []any{a} }
	got, err := readSubject([]any{pair("C", "DE"), pair("CN", "x y"), pair("1.2.5.3", "z")})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := asn1.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &back); err != nil || back.String() != got.String() || len(back) != 3 {
		t.Errorf("%v %v", back, err)
	}
	for name, subject := range map[string][]any{
		"no pair": {pair("CN")}, "no list": {"CN=x"}, "an unknown name": {pair("XX", "x")}, "a name with a hole": {pair("1..2", "x")},
	} {
		got, err := readSubject(subject)
		if err == nil && len(got[0]) > 0 {
			t.Errorf("%s: read as %v", name, got)
		}
	}
}

func TestTheSchemaIsReadWhole(t *testing.T) {
	r := readRules(schemaText)
	for _, name := range []string{
		"common", "toplevel", "payload com.apple.mdm", "payload com.apple.wifi.managed", "payload com.apple.applicationaccess",
		"payload com.apple.webClip.managed", "command InstallProfile", "command EraseDevice", "setting DeviceName",
	} {
		if len(r[name].keys) == 0 {
			t.Errorf("%s has no keys", name)
		}
	}
	if !r["command EnableLostMode"].supervised || r["command EraseDevice"].supervised || !r["setting DeviceName"].supervised {
		t.Error("supervision is read wrongly")
	}
	scep := r["payload com.apple.security.scep"].keys[0]
	bad := checkAt("", map[string]any{"Key Type": "RSA", "URL": "x", "Keysize": uint64(2048), "KeyUsage": uint64(5)}, scep.sub)
	if bad == nil || bad.what != unknownField || bad.path != "KeyUsage" {
		t.Errorf("a space forgotten: %v", bad)
	}
}

func TestSCEPAnswersThatAreNotForThisRequestAreRefused(t *testing.T) {
	id := identity(t)
	c := &scepClient{certs: []*x509.Certificate{id.Cert}}
	answer := func(change func(a map[int]any)) []byte {
		a := map[int]any{messageType: "3", pkiStatus: "0", recipientNonc: []byte("nonce"), transactionID: "txn"}
		change(a)
		sd, err := pkcs7.NewSignedData([]byte("no envelope"))
		if err != nil {
			t.Fatal(err)
		}
		var attributes []pkcs7.Attribute
		for n, v := range a {
			attributes = append(attributes, pkcs7.Attribute{Type: scepOID(n), Value: v})
		}
		if err := sd.AddSigner(id.Cert, id.Key, pkcs7.SignerInfoConfig{ExtraSignedAttributes: attributes}); err != nil {
			t.Fatal(err)
		}
		b, err := sd.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, x := range []struct {
		name   string
		change func(a map[int]any)
		says   string
	}{
		{"another nonce", func(a map[int]any) { a[recipientNonc] = []byte("other") }, "another nonce"},
		{"another transaction", func(a map[int]any) { a[transactionID] = "other" }, "another transaction"},
		{"a request instead of an answer", func(a map[int]any) { a[messageType] = "19" }, "not CertRep"},
		{"a refusal", func(a map[int]any) { a[pkiStatus], a[failInfo] = "2", "2" }, `failInfo "2"`},
		{"no status", func(a map[int]any) { delete(a, pkiStatus) }, "attribute 3"},
		{"nothing inside", func(map[int]any) {}, "envelope"},
	} {
		_, err := c.open(answer(x.change), id.Cert, id.Key, []byte("nonce"), "txn")
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	c.certs = nil
	if _, err := c.open(answer(func(map[int]any) {}), id.Cert, id.Key, []byte("nonce"), "txn"); err == nil || !strings.Contains(err.Error(), "GetCACert") {
		t.Errorf("a foreign signer: %v", err)
	}
}

func TestKeysComeFromTheSupplyFirst(t *testing.T) {
	calls := 0
	k, err := MakeKeys(t.Context(), 2, 2, func(done, total int) { calls++ })
	if err != nil || calls != 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	seen := map[*rsa.PrivateKey]bool{}
	for range 3 { // the third is made on the spot
		key, err := k.Take()
		if err != nil || seen[key] {
			t.Fatalf("the same key twice, %v", err)
		}
		seen[key] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := MakeKeys(ctx, 1000, 1, nil); err == nil {
		t.Error("making keys goes on after its context ended")
	}
}

func FuzzReadProfile(f *testing.F) {
	r := readRules(schemaText)
	for _, seed := range []string{
		"", "0", "bplist00", "<plist><dict></dict></plist>",
		`<plist version="1.0"><dict><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.wifi.managed</string></dict></array>` +
			`<key>PayloadIdentifier</key><string>a</string><key>PayloadType</key><string>Configuration</string>` +
			`<key>PayloadUUID</key><string>b</string><key>PayloadVersion</key><integer>1</integer></dict></plist>`,
		`<plist><array/></plist>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bytes.HasPrefix(bytes.TrimSpace(raw), []byte{tagSequence}) {
			return // pkcs7 reads it, and open BER lengths keep that busy for hours
		}
		p, bad := r.readProfile(raw)
		if (p == nil) == (bad == nil) {
			t.Errorf("profile %v and error %v", p, bad)
		}
		if p != nil {
			_ = p.summary()
			_ = p.listed()
		}
	})
}

func BenchmarkSignature(b *testing.B) {
	id, body := identity(b), bytes.Repeat([]byte("x"), 500)
	for name, s := range map[string]Signature{"iPad": {}, "DER SHA-1": {DER: true, SHA1: true}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.sign(body, id, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestHashesAreThere(t *testing.T) {
	for _, h := range []crypto.Hash{crypto.MD5, crypto.SHA1, crypto.SHA256} {
		if len(sum(h, nil)) != h.Size() {
			t.Error(h)
		}
	}
}
