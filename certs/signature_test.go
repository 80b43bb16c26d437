package certs_test

import (
	"bytes"
	sha256sum "crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/micromdm/nanomdm/cryptoutil"
	"github.com/smallstep/pkcs7"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb/sqldbtest"
)

// sign makes a detached signature as a tablet does.
func sign(t testing.TB, d *tablet, cert *x509.Certificate, body []byte, digest asn1.ObjectIdentifier, attributes bool) []byte {
	t.Helper()
	sd, err := pkcs7.NewSignedData(body)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(digest)
	if attributes {
		err = sd.AddSigner(cert, d.key, pkcs7.SignerInfoConfig{})
	} else {
		err = sd.SignWithoutAttr(cert, d.key, pkcs7.SignerInfoConfig{})
	}
	if err != nil {
		t.Fatal(err)
	}
	sd.Detach()
	out, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// indefinite rewrites the outer layers of a DER message with indefinite lengths,
// as iPads send them.
func indefinite(t testing.TB, der []byte, levels int) []byte {
	t.Helper()
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	if levels == 0 || !v.IsCompound || len(v.Bytes) == 0 {
		return der
	}
	out := []byte{der[0], 0x80}
	for rest := v.Bytes; len(rest) > 0; {
		var inner asn1.RawValue
		next, err := asn1.Unmarshal(rest, &inner)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, indefinite(t, inner.FullBytes, levels-1)...)
		rest = next
	}
	return append(out, 0, 0)
}

var idle = []byte(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>Status</key><string>Idle</string></dict></plist>`)

func TestVerifySignature(t *testing.T) {
	db := sqldbtest.SQLite(t)
	clk := clock.At(now())
	r := open(t, db, clk, certs.P256)
	d := newTablet(t, 2048)
	cert, err := d.enroll(t, r.SCEP(), challenge(t, db, r, certs.Grant{Purpose: certs.Enroll, EnrollmentID: "s"}))
	if err != nil {
		t.Fatal(err)
	}
	hash := certs.PresentedOf(cert).Hash
	sha1, sha256 := pkcs7.OIDDigestAlgorithmSHA1, pkcs7.OIDDigestAlgorithmSHA256

	good := map[string][]byte{
		"SHA-256 with attributes":    sign(t, d, cert, idle, sha256, true),
		"SHA-256 without attributes": sign(t, d, cert, idle, sha256, false),
		"SHA-1 with attributes":      sign(t, d, cert, idle, sha1, true),
		"SHA-1 without attributes":   sign(t, d, cert, idle, sha1, false),
		"SHA-512":                    sign(t, d, cert, idle, pkcs7.OIDDigestAlgorithmSHA512, true),
	}
	for _, levels := range []int{1, 2, 3, 4} {
		good["indefinite length "+strings.Repeat("I", levels)] = indefinite(t, good["SHA-256 with attributes"], levels)
	}
	for name, b := range good {
		for _, time := range []string{"first", "again"} {
			p, err := r.VerifySignature(base64.StdEncoding.EncodeToString(b), idle)
			if err != nil || p.Hash != hash {
				t.Errorf("%s, %s: %v", name, time, err)
			}
		}
	}

	t.Run("openssl's signatures are accepted", func(t *testing.T) {
		dir := t.TempDir()
		key := pemKey(t, d.key)
		for _, md := range []string{"sha256", "sha1"} {
			for _, more := range [][]string{nil, {"-noattr"}, {"-indef"}, {"-nosmimecap"}} {
				args := append([]string{"cms", "-sign", "-binary", "-in", "body", "-signer", "cert", "-inkey", "key", "-outform", "DER", "-out", filepath.Join(dir, "sig"), "-md", md}, more...)
				if out, err := openssl(t, map[string][]byte{"body": idle, "cert": pemOf(cert), "key": key}, args...); err != nil {
					t.Fatal(out)
				}
				sig, err := os.ReadFile(filepath.Join(dir, "sig"))
				if err != nil {
					t.Fatal(err)
				}
				if p, err := r.VerifySignature(base64.StdEncoding.EncodeToString(sig), idle); err != nil || p.Hash != hash {
					t.Errorf("%s %v: %v", md, more, err)
				}
			}
		}
	})
	t.Run("nanomdm's own check agrees", func(t *testing.T) {
		got, err := cryptoutil.VerifyMdmSignature(base64.StdEncoding.EncodeToString(good["SHA-256 with attributes"]), idle)
		if err != nil || !got.Equal(cert) {
			t.Error(err)
		}
	})
	t.Run("an expired certificate still proves whose key it is", func(t *testing.T) {
		old := *d.self // its year is long over, and the signing time is now
		d := newTablet(t, 2048)
		expired := resign(t, &old, d, -2*365*day, -365*day)
		p, err := r.VerifySignature(base64.StdEncoding.EncodeToString(sign(t, d, expired, idle, sha256, true)), idle)
		if err != nil || p.Hash != certs.PresentedOf(expired).Hash {
			t.Errorf("%v", err)
		}
	})

	b64 := base64.StdEncoding.EncodeToString
	der := good["SHA-256 with attributes"]
	flipped := bytes.Clone(der)
	flipped[len(flipped)-20] ^= 1
	other := newTablet(t, 2048)
	tests := []struct {
		name, header string
		body         []byte
		code         string
	}{
		{"no header", "", idle, "signature.missing"},
		{"no base64", "%%%", idle, "signature.unreadable"},
		{"not CMS", b64([]byte("hello")), idle, "signature.unreadable"},
		{"only half of it", b64(der[:len(der)/2]), idle, "signature.unreadable"},
		{"too long", strings.Repeat("A", 17<<10), idle, "signature.size"},
		{"nested deeply", b64(bytes.Repeat([]byte{0x30, 0x80}, 5000)), idle, "signature.unreadable"},
		{"another body", b64(der), append(bytes.Clone(idle), ' '), "signature.wrong"},
		{"no body", b64(der), nil, "signature.wrong"},
		{"a flipped bit", b64(flipped), idle, "signature.wrong"},
		{"another's key under this certificate", b64(sign(t, other, cert, idle, sha256, true)), idle, "signature.wrong"},
		{"the same without attributes", b64(sign(t, other, cert, idle, sha1, false)), idle, "signature.wrong"},
		{"no signer", b64(bare(t, cert)), idle, "signature.wrong"},
		{"two signers", b64(twoSigners(t, d, cert, idle)), idle, "signature.wrong"},
		{"MD5", b64(bytes.ReplaceAll(der, oidSHA256, oidMD5)), idle, "signature.wrong"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" is refused", func(t *testing.T) {
			for range 2 {
				if _, err := r.VerifySignature(tt.header, tt.body); fault.CodeOf(err) != tt.code {
					t.Errorf("%v", err)
				}
			}
		})
	}
	t.Run("a stranger's own certificate is verified and foreign", func(t *testing.T) {
		p, err := r.VerifySignature(b64(sign(t, other, other.self, idle, sha256, true)), idle)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Lookup(t.Context(), db, p.Hash); fault.CodeOf(err) != "certificate.foreign" {
			t.Error(err)
		}
	})
	t.Run("messages made by hand", func(t *testing.T) {
		attr := func(kind asn1.ObjectIdentifier, value any) []byte { return attribute(t, kind, value) }
		sum := func(b []byte) []byte { s := sha256sum.Sum256(b); return s[:] }
		data, own := attr(pkcs7.OIDAttributeContentType, pkcs7.OIDData), attr(pkcs7.OIDAttributeMessageDigest, sum(idle))
		odd := attr(asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 9, 1}, []byte{1})
		unsorted := [][]byte{odd, own, data}
		for _, tt := range []struct {
			name string
			msg  handmade
			code string // "" is accepted
		}{
			{"by key identifier", handmade{attrs: [][]byte{data, own}, keyID: cert.SubjectKeyId}, ""},
			{"by another's key identifier", handmade{attrs: [][]byte{data, own}, keyID: []byte{1, 2, 3}}, "signature.wrong"},
			{"attributes out of order, signed in order", handmade{attrs: unsorted, inOrder: true}, ""},
			{"attributes out of order, signed as they are", handmade{attrs: unsorted}, ""},
			{"unknown attributes", handmade{attrs: [][]byte{data, odd, own}}, ""},
			{"the chain beside it", handmade{attrs: [][]byte{data, own}, more: [][]byte{r.Chain()[1].Raw, r.Chain()[0].Raw}}, ""},
			{"no digest among the attributes", handmade{attrs: [][]byte{data}}, "signature.wrong"},
			{"no attributes but the place for them", handmade{attrs: [][]byte{}}, "signature.wrong"},
			{"two digests, one of them right", handmade{attrs: [][]byte{attr(pkcs7.OIDAttributeMessageDigest, sum(nil)), own, data}}, "signature.wrong"},
			{"the digest of another body", handmade{attrs: [][]byte{data, attr(pkcs7.OIDAttributeMessageDigest, sum(nil))}}, "signature.wrong"},
			{"half a digest", handmade{attrs: [][]byte{data, attr(pkcs7.OIDAttributeMessageDigest, sum(idle)[:16])}}, "signature.wrong"},
			{"a digest that is a number", handmade{attrs: [][]byte{data, attr(pkcs7.OIDAttributeMessageDigest, 5)}}, "signature.wrong"},
		} {
			_, err := r.VerifySignature(b64(tt.msg.sign(t, d, cert, idle)), idle)
			if fault.CodeOf(err) != tt.code && (err != nil || tt.code != "") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
	t.Run("attributes do not pass for a body", func(t *testing.T) {
		// A signature over attributes, shown as one over a body of the same bytes.
		sum := sha256sum.Sum256(idle)
		attrs := [][]byte{attribute(t, pkcs7.OIDAttributeContentType, pkcs7.OIDData), attribute(t, pkcs7.OIDAttributeMessageDigest, sum[:])}
		m := handmade{attrs: attrs, hideAttrs: true}
		if _, err := r.VerifySignature(b64(m.sign(t, d, cert, idle)), idle); fault.CodeOf(err) != "signature.wrong" {
			t.Error(err)
		}
	})
	t.Run("strangers are not remembered, and devices within a bound", func(t *testing.T) {
		r := open(t, db, clk, certs.P256)
		for i := range 20 {
			body := append(bytes.Clone(idle), byte('a'+i))
			for _, p := range []struct {
				d    *tablet
				cert *x509.Certificate
			}{{other, other.self}, {d, cert}} {
				if _, err := r.VerifySignature(b64(sign(t, p.d, p.cert, body, sha256, true)), body); err != nil {
					t.Fatal(err)
				}
			}
		}
		if signers, verdicts := r.Remembered(); signers != 1 || verdicts != 20 {
			t.Errorf("%d signers, %d verdicts", signers, verdicts)
		}
		header := b64(der)
		for i := range 2*certs.RememberedSigners + 500 { // spaces are no part of the signature, but of what is remembered
			if i%97 == 0 {
				header = b64(der) + strings.Repeat(" ", i/97)
			}
			if _, err := r.VerifySignature(header+strings.Repeat("\t", i%97), idle); err != nil {
				t.Fatal(err)
			}
		}
		if signers, verdicts := r.Remembered(); signers != 1 || verdicts > 2*certs.RememberedSigners {
			t.Errorf("%d signers, %d verdicts", signers, verdicts)
		}
	})
	t.Run("a stranger's certificate with the same issuer and serial is not ours", func(t *testing.T) {
		forged := resign(t, cert, other, -day, day)
		if forged.SerialNumber.Cmp(cert.SerialNumber) != 0 {
			t.Fatal("the forgery is not one")
		}
		p, err := r.VerifySignature(b64(sign(t, other, forged, idle, sha256, true)), idle)
		if err == nil && p.Hash == hash {
			t.Error("taken for the real one")
		}
	})
}

func TestParseHeader(t *testing.T) {
	cert := newTablet(t, 2048).self
	text := string(pemOf(cert))
	b64 := base64.StdEncoding.EncodeToString(cert.Raw)
	for name, value := range map[string]string{
		"RFC 9440":              ":" + b64 + ":",
		"nginx, escaped PEM":    strings.ReplaceAll(url.QueryEscape(text), "+", "%20"),
		"nginx, path escapes":   url.PathEscape(text),
		"Apache, spaces":        strings.ReplaceAll(text, "\n", " "),
		"HAProxy, bare DER":     b64,
		"Traefik, with chain":   b64 + "," + b64,
		"Traefik, escaped":      url.QueryEscape(b64),
		"tabs instead of lines": strings.ReplaceAll(text, "\n", "\n\t"),
	} {
		got, err := certs.ParseHeader(value)
		if err != nil || !got.Equal(cert) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, value := range map[string]string{
		"empty": "", "text": "hello", "half": b64[:100], "bad escape": "%zz", "only PEM lines": "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
		"too long": strings.Repeat("A", 20_000), "swapped PEM lines": "-----END CERTIFICATE-----" + b64 + "-----BEGIN CERTIFICATE-----",
	} {
		if _, err := certs.ParseHeader(value); fault.CodeOf(err) != "certificate.header" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignedProfiles(t *testing.T) {
	for _, kind := range []string{certs.P256, certs.RSA2048} {
		r := open(t, sqldbtest.SQLite(t), clock.At(now()), kind)
		profile := bytes.Repeat(idle, 50)
		signed, err := r.SignCMS(profile)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{"p": signed, "root": r.RootPEM()}
		out, err := openssl(t, files, "cms", "-verify", "-inform", "DER", "-in", "p", "-CAfile", "root", "-purpose", "any", "-attime", at(0))
		if err != nil || !strings.Contains(out, string(profile[:60])) {
			t.Errorf("%s, openssl: %s", kind, out)
		}
		if out, _ := openssl(t, files, "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", "p"); strings.Contains(out, "sha1") {
			t.Errorf("%s: signed with SHA-1", kind)
		}

		got, was, err := certs.UnwrapCMS(signed)
		if err != nil || !was || !bytes.Equal(got, profile) {
			t.Errorf("%s: %v %v", kind, was, err)
		}
		if got, was, err := certs.UnwrapCMS(indefinite(t, signed, 3)); err != nil || !was || !bytes.Equal(got, profile) {
			t.Errorf("%s, indefinite: %v %v", kind, was, err)
		}
		bad := bytes.Replace(signed, []byte("Idle"), []byte("Evil"), 1)
		if _, _, err := certs.UnwrapCMS(bad); fault.CodeOf(err) != "cms.signature" {
			t.Errorf("%s, tampered: %v", kind, err)
		}
	}
	for name, tt := range map[string]struct {
		in   []byte
		code string
	}{
		"a sequence of nothing": {[]byte{0x30, 0}, "cms.unreadable"},
		"cut off":               {[]byte{0x30, 0x82, 1, 1, 6}, "cms.unreadable"},
		"nested deeply":         {bytes.Repeat([]byte{0x30, 0x80}, 500_000), "cms.unreadable"},
		"detached": {func() []byte {
			d := newTablet(t, 2048)
			return sign(t, d, d.self, idle, pkcs7.OIDDigestAlgorithmSHA256, true)
		}(), "cms.empty"},
	} {
		if _, _, err := certs.UnwrapCMS(tt.in); fault.CodeOf(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, plain := range [][]byte{idle, []byte("bplist00"), nil, []byte("hello")} {
		if got, was, err := certs.UnwrapCMS(plain); err != nil || was || !bytes.Equal(got, plain) {
			t.Errorf("%q: %v %v", plain, was, err)
		}
	}
}
