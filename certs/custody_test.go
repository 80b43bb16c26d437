package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"ranzen/certs"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

const (
	topicA = "com.apple.mgmt.External.11111111-2222-3333-4444-555555555555"
	topicB = "com.apple.mgmt.External.66666666-2222-3333-4444-555555555555"
)

// apple issues what Apple's portals issue.
func apple(t testing.TB, public crypto.PublicKey, uid, name string, from, to time.Duration) []byte {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: name}
	if uid != "" {
		subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: uid}}
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now().Add(from), NotAfter: now().Add(to)}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "Apple Application Integration 2 Certification Authority"}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, ca)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestPushCertificate(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		r := open(t, db, clk, certs.P256)
		ctx := t.Context()
		key := newTablet(t, 2048).key
		load := func(cert, key []byte) (info certs.PushInfo, err error) {
			err = try(t, db, func(tx *sqldb.Tx) (err error) {
				info, err = r.ImportPush(ctx, tx, "user:anna", cert, key)
				return err
			})
			return info, err
		}
		request := func(name string) (csr []byte) {
			do(t, db, func(tx *sqldb.Tx) (err error) {
				csr, err = r.PushRequest(ctx, tx, "user:anna", name)
				return err
			})
			return csr
		}

		t.Run("before the first import there is a placeholder that stays the same", func(t *testing.T) {
			topic, placeholder, err := r.Topic(ctx, db)
			if err != nil || !placeholder || !strings.HasPrefix(topic, "com.apple.mgmt.External.") {
				t.Fatalf("%s %v %v", topic, placeholder, err)
			}
			if again, _, _ := open(t, db, clk, certs.P256).Topic(ctx, db); again != topic {
				t.Errorf("another placeholder after a restart: %s", again)
			}
			if _, _, err := r.Push(ctx, db); fault.CodeOf(err) != "push-cert.none" {
				t.Error(err)
			}
		})
		t.Run("wrong, mismatched and expired files are refused by name and change nothing", func(t *testing.T) {
			good := apple(t, &key.PublicKey, topicA, "APSP:1", -day, 365*day)
			other := newTablet(t, 2048).key
			encrypted, err := openssl(t, map[string][]byte{"k": pemKey(t, key)}, "pkey", "-in", "k", "-aes256", "-passout", "pass:x")
			if err != nil {
				t.Fatal(encrypted)
			}
			for _, tt := range []struct {
				name      string
				cert, key []byte
				code, say string
			}{
				{"an expired certificate", apple(t, &key.PublicKey, topicA, "APSP:1", -400*day, -day), pemKey(t, key), "push-cert.expired", "2026-08-31"},
				{"one from the future", apple(t, &key.PublicKey, topicA, "APSP:1", 40*day, 400*day), pemKey(t, key), "push-cert.early", "clock"},
				{"a key of another", good, pemKey(t, other), "push-cert.key-mismatch", ""},
				{"no key", good, nil, "push-cert.key-missing", ""},
				{"a certificate as key", good, good, "push-cert.wrong-key", "a certificate"},
				{"an encrypted key", good, []byte(encrypted), "push-cert.wrong-key", "password"},
				{"a text as key", good, []byte("hello"), "push-cert.wrong-key", "no private key"},
				{"an app's certificate", apple(t, &key.PublicKey, "org.example.app", "Apple Push Services", -day, day), pemKey(t, key), "push-cert.wrong-file", "of an app"},
				{"a vendor certificate", apple(t, &key.PublicKey, "", "MDM Vendor: Example", -day, day), pemKey(t, key), "push-cert.wrong-file", "vendor"},
				{"a web certificate", apple(t, &key.PublicKey, "", "mdm.example.org", -day, day), pemKey(t, key), "push-cert.wrong-file", "not one for MDM"},
				{"a topic with a line break", apple(t, &key.PublicKey, topicA+"\n", "APSP:1", -day, day), pemKey(t, key), "push-cert.wrong-file", ""},
				{"a key as certificate", pemKey(t, key), pemKey(t, key), "push-cert.wrong-file", "private key"},
				{"a request", request("school"), nil, "push-cert.wrong-file", "certificate request"},
				{"a server token", []byte("Content-Type: application/pkcs7-mime; name=\"smime.p7m\"\n\nMIIB"), nil, "push-cert.wrong-file", "server token"},
				{"a signed request", []byte(base64.StdEncoding.EncodeToString([]byte("<plist><dict/></plist>"))), nil, "push-cert.wrong-file", "uploaded to identity.apple.com"},
				{"a content token", []byte(base64.StdEncoding.EncodeToString([]byte(`{"token":"x"}`))), nil, "push-cert.wrong-file", "Apps and Books"},
				{"a PKCS #12 file", pkcs12(t, good, pemKey(t, key)), nil, "push-cert.wrong-file", "openssl pkcs12"},
				{"nothing", nil, nil, "push-cert.wrong-file", "empty"},
				{"noise", []byte{0, 1, 2}, nil, "push-cert.wrong-file", "neither"},
				{"a damaged one", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil, "push-cert.wrong-file", "damaged"},
			} {
				_, err := load(tt.cert, tt.key)
				if fault.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.say) {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
			if _, placeholder, _ := r.Topic(ctx, db); !placeholder {
				t.Error("a refused file pinned a topic")
			}
		})
		t.Run("the first import pins the topic", func(t *testing.T) {
			cert := apple(t, &key.PublicKey, topicA, "APSP:1", -day, 300*day)
			info, err := load(cert, pemKey(t, key))
			if err != nil || info.Topic != topicA || info.Serial != 1 {
				t.Fatalf("%+v %v", info, err)
			}
			if topic, placeholder, _ := r.Topic(ctx, db); topic != topicA || placeholder {
				t.Errorf("%s %v", topic, placeholder)
			}
			pair, got, err := r.Push(ctx, db)
			if err != nil || got != info || !pair.PrivateKey.(*rsa.PrivateKey).Equal(key) {
				t.Errorf("%+v %v", got, err)
			}
			if again, err := load(cert, pemKey(t, key)); err != nil || again != info {
				t.Errorf("the same again: %+v %v", again, err)
			}
			var sealed struct {
				Key []byte `db:"key_sealed"`
			}
			if err := db.Get(ctx, &sealed, `SELECT key_sealed FROM push_certificates WHERE id = 'current'`); err != nil {
				t.Fatal(err)
			}
			der, _ := x509.MarshalPKCS8PrivateKey(key)
			if bytes.Contains(sealed.Key, der[40:80]) {
				t.Error("the key rests in the open")
			}
		})
		t.Run("another topic is refused and both are named", func(t *testing.T) {
			_, err := load(apple(t, &key.PublicKey, topicB, "APSP:2", -day, 365*day), pemKey(t, key))
			if fault.CodeOf(err) != "push-cert.other-topic" || !strings.Contains(err.Error(), topicA) || !strings.Contains(err.Error(), topicB) {
				t.Error(err)
			}
		})
		t.Run("last year's file is refused", func(t *testing.T) {
			if _, err := load(apple(t, &key.PublicKey, topicA, "APSP:1", -day, 200*day), pemKey(t, key)); fault.CodeOf(err) != "push-cert.older" {
				t.Error(err)
			}
		})
		t.Run("a renewal of the same key needs no key, and readers see it at once", func(t *testing.T) {
			other := open(t, db, clk, certs.P256)
			if _, info, err := other.Push(ctx, db); err != nil || info.Serial != 1 {
				t.Fatal(info, err)
			}
			info, err := load(apple(t, &key.PublicKey, topicA, "APSP:1", -day, 400*day), nil)
			if err != nil || info.Serial != 2 {
				t.Fatalf("%+v %v", info, err)
			}
			for _, room := range []*certs.Room{r, other} {
				if pair, got, err := room.Push(ctx, db); err != nil || got != info || !pair.Leaf.NotAfter.Equal(now().Add(400*day)) {
					t.Errorf("%+v %v", got, err)
				}
			}
		})
		t.Run("a certificate finds the key of its request, whichever it was", func(t *testing.T) {
			first, second := request("school"), request("school 2027")
			if !bytes.Equal(first, request("school")) || bytes.Equal(first, second) {
				t.Error("the same name must give the same request")
			}
			block, _ := pem.Decode(first)
			csr, err := x509.ParseCertificateRequest(block.Bytes)
			if err != nil || csr.CheckSignature() != nil || csr.PublicKey.(*rsa.PublicKey).N.BitLen() != 2048 {
				t.Fatal(err)
			}
			info, err := load(apple(t, csr.PublicKey, topicA, "APSP:1", -day, 500*day), nil)
			if err != nil || info.Serial != 3 {
				t.Fatalf("%+v %v", info, err)
			}
			if pair, _, err := r.Push(ctx, db); err != nil || !pair.PrivateKey.(*rsa.PrivateKey).PublicKey.Equal(csr.PublicKey) {
				t.Error(err)
			}
			if bytes.Equal(first, request("school")) {
				t.Error("a request that was answered is offered again")
			}
			// The other one may lie at Apple still.
			block, _ = pem.Decode(second)
			if csr, err = x509.ParseCertificateRequest(block.Bytes); err != nil {
				t.Fatal(err)
			}
			if info, err := load(apple(t, csr.PublicKey, topicA, "APSP:1", -day, 600*day), nil); err != nil || info.Serial != 4 {
				t.Errorf("the other request was forgotten: %+v %v", info, err)
			}
		})
		t.Run("a request needs a name", func(t *testing.T) {
			err := try(t, db, func(tx *sqldb.Tx) error {
				_, err := r.PushRequest(ctx, tx, "user:anna", "")
				return err
			})
			if fault.CodeOf(err) != "push-cert.name" {
				t.Error(err)
			}
		})
	})
}

func pkcs12(t testing.TB, cert, key []byte) []byte {
	t.Helper()
	out, err := openssl(t, map[string][]byte{"c": cert, "k": key}, "pkcs12", "-export", "-in", "c", "-inkey", "k", "-passout", "pass:x")
	if err != nil {
		t.Fatal(out)
	}
	return []byte(out)
}

func TestVault(t *testing.T) {
	v := vault(t)
	sealed, err := v.Seal("enroll.unlock:1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := v.Seal("enroll.unlock:1", []byte("secret"))
	if bytes.Equal(sealed, again) || bytes.Contains(sealed, []byte("secret")) {
		t.Error("not sealed, or with a repeated nonce")
	}
	if got, err := v.Open("enroll.unlock:1", sealed); err != nil || string(got) != "secret" {
		t.Errorf("%q %v", got, err)
	}
	if empty, err := v.Seal("p", nil); err != nil {
		t.Error(err)
	} else if got, err := v.Open("p", empty); err != nil || len(got) != 0 {
		t.Errorf("%q %v", got, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	version := bytes.Clone(sealed)
	version[0] = 9
	for name, tt := range map[string]struct {
		purpose string
		sealed  []byte
	}{
		"another row":     {"enroll.unlock:2", sealed},
		"a flipped bit":   {"enroll.unlock:1", flipped},
		"a cut":           {"enroll.unlock:1", sealed[:20]},
		"nothing":         {"enroll.unlock:1", nil},
		"another version": {"enroll.unlock:1", version},
	} {
		if got, err := v.Open(tt.purpose, tt.sealed); err == nil {
			t.Errorf("%s opened: %q", name, got)
		}
	}
}
