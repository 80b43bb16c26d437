package certs_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"ranzen/certs"
	"ranzen/internal/apple/ade"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

// serverToken is what is inside of a .p7m.
func serverToken(access string, end time.Time) []byte {
	doc := fmt.Sprintf(`{"consumer_key":"CK_1","consumer_secret":"CS_1","access_token":%q,"access_secret":"AS_1","access_token_expiry":%q}`, access, end.Format(time.RFC3339))
	return []byte("Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN MESSAGE-----\n" + doc[:40] + "\n" + doc[40:] + "\n-----END MESSAGE-----\n")
}

// p7m encrypts as Apple School Manager does.
func p7m(t testing.TB, certPEM, content []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.Envelope(content, cert)
	if err != nil {
		t.Fatal(err)
	}
	return smime(der)
}

func smime(der []byte) []byte {
	var b bytes.Buffer
	b.WriteString("Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(der)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

type custody struct {
	t  testing.TB
	db *sqldb.DB
	r  *certs.Room
}

func (c custody) key(tenant, name string) (tok certs.ADEToken, cert []byte) {
	c.t.Helper()
	do(c.t, c.db, func(tx *sqldb.Tx) (err error) {
		tok, cert, err = c.r.NewADEKey(c.t.Context(), tx, "user:anna", tenant, name)
		return err
	})
	return tok, cert
}

func (c custody) take(file []byte, a ade.Account) (certs.ADEToken, error) {
	c.t.Helper()
	tok, secrets, err := c.r.OpenP7M(c.t.Context(), c.db, "", "", file)
	if err != nil {
		return tok, err
	}
	err = try(c.t, c.db, func(tx *sqldb.Tx) (err error) {
		tok, err = c.r.ImportADE(c.t.Context(), tx, "user:anna", tok.ID, secrets, a)
		return err
	})
	return tok, err
}

func wantFault(t testing.TB, err error, code string) {
	t.Helper()
	if got := fault.CodeOf(err); got != code {
		t.Errorf("got fault %q (%v), want %q", got, err, code)
	}
}

func musterdorf() ade.Account {
	return ade.Account{ServerUUID: "U1", ServerName: "Ranzen", OrgID: "O1", OrgName: "Musterdorf"}
}

func TestServerTokens(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(now())
		c := custody{t, db, open(t, db, clk, certs.P256)}
		ctx := context.WithoutCancel(t.Context())
		tok, cert := c.key(sqldbtest.Tenant, "musterdorf")
		c.key(sqldbtest.Tenant, "another") // its key is tried and does not fit

		t.Run("the same name gives the same certificate", func(t *testing.T) {
			again, same := c.key(sqldbtest.Tenant, " musterdorf ")
			if again.ID != tok.ID || !bytes.Equal(cert, same) {
				t.Error("another certificate: a token for the first could not be read")
			}
			_, _, err := c.r.ADESecrets(ctx, db, tok.ID)
			wantFault(t, err, "ade.no-token")
		})
		first := p7m(t, cert, serverToken("AT_1", now().AddDate(1, 0, 0)))
		t.Run("the first import pins server and organization", func(t *testing.T) {
			got, err := c.take(first, musterdorf())
			if err != nil || got.ID != tok.ID || got.Version != 1 || got.OrgName != "Musterdorf" || !got.ExpiresAt.Equal(now().AddDate(1, 0, 0)) {
				t.Fatalf("got %+v, %v", got, err)
			}
			_, secrets, err := c.r.ADESecrets(ctx, db, tok.ID)
			if err != nil || secrets.AccessToken.Open() != "AT_1" || secrets.ConsumerSecret.Open() != "CS_1" || !secrets.Expiry.Equal(got.ExpiresAt) {
				t.Errorf("got %v, %v", secrets, err)
			}
			if again, err := c.take(first, musterdorf()); err != nil || again.Version != 1 {
				t.Errorf("twice is not the same as once: %+v, %v", again, err)
			}
		})
		t.Run("another organization's token is refused by name", func(t *testing.T) {
			other := musterdorf()
			other.OrgID, other.OrgName, other.ServerUUID = "O2", "Nachbarstadt", "U2"
			_, err := c.take(p7m(t, cert, serverToken("AT_2", now().AddDate(2, 0, 0))), other)
			wantFault(t, err, "ade.other-organization")
			if err == nil || !strings.Contains(err.Error(), `This token belongs to "Nachbarstadt"; expected "Musterdorf"`) {
				t.Errorf("got %v", err)
			}
		})
		t.Run("another server's too", func(t *testing.T) {
			other := musterdorf()
			other.ServerUUID, other.ServerName = "U2", "Old MDM"
			_, err := c.take(p7m(t, cert, serverToken("AT_2", now().AddDate(2, 0, 0))), other)
			wantFault(t, err, "ade.other-server")
		})
		t.Run("one that ends sooner is last year's file", func(t *testing.T) {
			_, err := c.take(p7m(t, cert, serverToken("AT_0", now().AddDate(0, 6, 0))), musterdorf())
			wantFault(t, err, "ade.older")
			_, err = c.take(p7m(t, cert, serverToken("AT_0", now().Add(-time.Second))), musterdorf())
			wantFault(t, err, "ade.expired")
		})
		t.Run("one server has one row", func(t *testing.T) {
			_, cert := c.key(sqldbtest.Tenant, "twice")
			_, err := c.take(p7m(t, cert, serverToken("AT_3", now().AddDate(1, 0, 0))), musterdorf())
			wantFault(t, err, "ade.server-taken")
		})
		t.Run("a renewal is another version, also of a renamed server and organization", func(t *testing.T) {
			a := musterdorf()
			a.OrgName, a.ServerName = "Gemeinde Musterdorf", "Ranzen 2"
			got, err := c.take(p7m(t, cert, serverToken("AT_4", now().AddDate(1, 1, 0))), a)
			if err != nil || got.Version != 2 || got.OrgName != a.OrgName || got.Key() == tok.Key() {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("a token for a key that is not here", func(t *testing.T) {
			d := newTablet(t, 2048)
			_, err := c.take(p7m(t, pemOf(d.self), serverToken("AT", now().AddDate(1, 0, 0))), musterdorf())
			wantFault(t, err, "ade.other-key")
			_, _, err = c.r.OpenP7M(ctx, db, "", "nobody", first)
			wantFault(t, err, "ade.unknown")
			_, _, err = c.r.OpenP7M(ctx, db, sqldbtest.Tenant, "another", first)
			wantFault(t, err, "ade.other-key")
			_, _, err = c.r.OpenP7M(ctx, db, "another tenant", "", first)
			wantFault(t, err, "ade.no-key")
		})
		t.Run("what is inside must be a token", func(t *testing.T) {
			for _, inside := range []string{"", "{}", "x", `{"consumer_key":"a","consumer_secret":"b","access_token":"c","access_secret":"d","access_token_expiry":"soon"}`} {
				_, err := c.take(p7m(t, cert, []byte(inside)), musterdorf())
				wantFault(t, err, "ade.damaged")
			}
		})
		t.Run("a removed one is gone, and its name free", func(t *testing.T) {
			do(t, db, func(tx *sqldb.Tx) error { return c.r.RemoveADE(ctx, tx, "user:anna", tok.ID) })
			_, _, err := c.r.ADESecrets(ctx, db, tok.ID)
			wantFault(t, err, "ade.unknown")
			fresh, _ := c.key(sqldbtest.Tenant, "musterdorf")
			if fresh.ID == tok.ID {
				t.Error("it came back")
			}
			_, err = c.r.ADETokenByRef(ctx, db, "", "")
			wantFault(t, err, "ade.ambiguous")
		})
	})
}

func TestAWrongFileInPlaceOfAServerTokenIsNamed(t *testing.T) {
	db := sqldbtest.SQLite(t)
	c := custody{t, db, open(t, db, clock.At(now()), certs.P256)}
	_, own := c.key(sqldbtest.Tenant, "musterdorf")
	d := newTablet(t, 2048)
	block, _ := pem.Decode(own)
	content, err := json.Marshal(map[string]string{"expDate": "2027-01-01T00:00:00+0000", "token": "secret", "orgName": "Musterdorf"})
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":              {nil, "empty"},
		"content token":        {[]byte(base64.StdEncoding.EncodeToString(content)), "a content token of Apps and Books"},
		"push certificate":     {apple(t, &d.key.PublicKey, topicA, "APSP:1", -day, 365*day), "the MDM push certificate"},
		"our certificate":      {own, "uploaded to Apple School Manager"},
		"our certificate, DER": {block.Bytes, "uploaded to Apple School Manager"},
		"a certificate":        {d.self.Raw, "a certificate"},
		"a key":                {pemKey(t, d.key), "a private key"},
		"a table":              {[]byte("Seriennummer;Modell;Klasse\nRZ1;iPad;3b\n"), "a table (CSV)"},
		"an Excel file":        {append([]byte("PK\x03\x04"), make([]byte, 100)...), "an Excel file"},
		"a large ZIP":          {append([]byte("PK\x03\x04"), make([]byte, 100_000)...), "an Excel file"},
		"a profile":            {[]byte(`<?xml version="1.0"?><plist version="1.0"><dict/></plist>`), "a configuration profile"},
		"a signed profile":     {sign(t, d, d.self, []byte("<plist/>"), pkcs7.OIDDigestAlgorithmSHA256, false), "a signed file"},
		"an opened token":      {serverToken("AT", now().AddDate(1, 0, 0)), "decrypted already"},
		"a web page":           {[]byte("<!DOCTYPE html><html><title>Sign in</title>"), "a web page"},
		"a PDF":                {[]byte("%PDF-1.7 ..."), "a PDF"},
		"a broken download":    {[]byte("Content-Type: application/pkcs7-mime\r\n\r\nMII§§"), "damaged"},
		"noise":                {[]byte{0x30, 0x03, 1, 2, 3}, "binary file"},
		"words":                {[]byte("hello"), "neither S/MIME nor DER"},
	} {
		_, err := c.take(tt.file, musterdorf())
		wantFault(t, err, "ade.wrong-file")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", what, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "AS_1")) {
			t.Errorf("%s: a secret is in the error", what)
		}
	}
}

// FuzzP7M: whatever file is given as a server token, it is named and refused, or
// it is one.
func FuzzP7M(f *testing.F) {
	db := sqldbtest.SQLite(f)
	c := custody{f, db, open(f, db, clock.At(now()), certs.P256)}
	_, cert := c.key(sqldbtest.Tenant, "musterdorf")
	good := p7m(f, cert, serverToken("AT", now().AddDate(1, 0, 0)))
	f.Add(good, serverToken("AT", now().AddDate(1, 0, 0)))
	f.Add(bytes.ReplaceAll(good, []byte("\r\n"), []byte("\n")), []byte("{}"))
	_, body, _ := bytes.Cut(good, []byte("\r\n\r\n"))
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(body), "\r\n", ""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der, []byte(nil))
	f.Add(indefinite(f, der, 3), []byte("}{"))
	f.Add(smime(indefinite(f, der, 4)), []byte(`{"access_token_expiry":"2030-01-01T00:00:00Z"}`))
	f.Add([]byte{0x30, 0x80, 0, 0}, []byte("\xff"))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}), []byte("{\n"))
	f.Fuzz(func(t *testing.T, file, inside []byte) {
		for _, b := range [][]byte{file, p7m(t, cert, inside)} {
			_, secrets, err := c.r.OpenP7M(t.Context(), db, "", "", b)
			if k := fault.KindOf(err); err != nil && k != fault.Invalid {
				t.Errorf("%v", err)
			}
			if err == nil && (secrets.AccessSecret == "" || !secrets.Expiry.After(now())) {
				t.Error("what is no token is taken for one")
			}
		}
	})
}
