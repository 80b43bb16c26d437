package apple_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	depclient "github.com/micromdm/nanodep/client"
	"github.com/micromdm/nanodep/godep"
	"github.com/micromdm/nanodep/tokenpki"

	"ranzen/internal/clock"
	"ranzen/internal/sim/apple"
)

// foreign is micromdm/nanodep's client: somebody else's reading of Apple.
type foreign struct {
	token *depclient.OAuth1Tokens
	url   string
}

func (f foreign) RetrieveAuthTokens(context.Context, string) (*depclient.OAuth1Tokens, error) {
	return f.token, nil
}

func (f foreign) RetrieveConfig(context.Context, string) (*depclient.Config, error) {
	return &depclient.Config{BaseURL: f.url}, nil
}

func keyPair(t testing.TB) (*rsa.PrivateKey, *x509.Certificate, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mdm"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newSchool(t testing.TB, o apple.SchoolOptions) *apple.School {
	t.Helper()
	s, err := apple.NewSchool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func connect(t testing.TB, s *apple.School, server string) *godep.Client {
	t.Helper()
	key, cert, certPEM := keyPair(t)
	p7m, err := s.TokenP7M(server, certPEM)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := tokenpki.DecryptTokenJSON(p7m, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var token depclient.OAuth1Tokens
	if err := json.Unmarshal(doc, &token); err != nil || !token.Valid() {
		t.Fatalf("the token is %v, %v", token.Valid(), err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.RootPEM())
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig.RootCAs = pool
	return godep.NewClient(foreign{&token, s.URL()}, godep.WithClient(&http.Client{Transport: tr}))
}

// TestAForeignClientGetsAlong lets nanodep read, define and assign through a
// whole story.
func TestAForeignClientGetsAlong(t *testing.T) {
	clk := clock.At(time.Date(2026, 9, 7, 7, 0, 0, 0, time.UTC))
	s := newSchool(t, apple.SchoolOptions{Seed: 3, Clock: clk})
	s.AddServer("Gemeinde Musterdorf", "Ranzen")
	s.AddServer("Gemeinde Beispielsberg", "Other")
	serials := s.Order("Ranzen", 250, apple.Devices{Order: "PO-1"})
	theirs := s.Order("Other", 3, apple.Devices{})
	c, ctx := connect(t, s, "Ranzen"), t.Context()

	account, err := c.AccountDetail(ctx, "x")
	if err != nil || *account.OrgName != "Gemeinde Musterdorf" {
		t.Fatalf("the account is %+v, %v", account, err)
	}
	var got []string
	cursor := ""
	for {
		page, err := c.FetchDevices(ctx, "x", godep.WithCursor(cursor), godep.WithLimit(100))
		if godep.IsCursorExhausted(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.Devices {
			got = append(got, d.SerialNumber)
		}
		cursor = page.Cursor
	}
	slices.Sort(got)
	slices.Sort(serials)
	if !slices.Equal(got, serials) {
		t.Errorf("%d devices came, want %d", len(got), len(serials))
	}
	profile, err := c.DefineProfile(ctx, "x", &godep.ProfileJson{ProfileName: new("Basis"), Url: new("https://mdm.example.org/enroll/ade"), IsSupervised: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.AssignProfile(ctx, "x", *profile.ProfileUuid, serials[0], theirs[0])
	if err != nil || result.Devices[serials[0]] != "SUCCESS" || result.Devices[theirs[0]] != "NOT_ACCESSIBLE" {
		t.Fatalf("the result is %+v, %v", result, err)
	}
	s.Move(serials[1], "")
	news, err := c.SyncDevices(ctx, "x", godep.WithCursor(cursor))
	if err != nil || len(news.Devices) != 2 || *news.Devices[0].OpType != "modified" || *news.Devices[1].OpType != "deleted" {
		t.Fatalf("the news are %+v, %v", news, err)
	}
	if uuid, status := s.ProfileOf(serials[0]); uuid != *profile.ProfileUuid || status != "assigned" {
		t.Errorf("Apple has %q, %q", uuid, status)
	}
	clk.Forward(8 * 24 * time.Hour)
	if _, err := c.SyncDevices(ctx, "x", godep.WithCursor(news.Cursor)); !godep.IsCursorExpired(err) {
		t.Errorf("an old cursor gives %v", err)
	}
	if _, err := c.SyncDevices(ctx, "x", godep.WithCursor("NONE")); !godep.IsCursorInvalid(err) {
		t.Errorf("no cursor gives %v", err)
	}
	s.SignTerms("Gemeinde Musterdorf", false)
	if _, err := c.AccountDetail(ctx, "x"); err == nil || !strings.Contains(fmt.Sprint(err), "T_C_NOT_SIGNED") {
		t.Errorf("unsigned terms give %v", err)
	}
}
