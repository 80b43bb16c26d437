package tablet_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"

	depclient "github.com/micromdm/nanodep/client"
	"github.com/micromdm/nanodep/godep"
	"github.com/micromdm/nanodep/tokenpki"

	"ranzen/internal/clock"
	"ranzen/internal/sim/apple"
	"ranzen/internal/sim/tablet"
)

// served is micromdm/nanodep's view of an MDM server at Apple.
type served struct {
	token *depclient.OAuth1Tokens
	url   string
}

func (s served) RetrieveAuthTokens(context.Context, string) (*depclient.OAuth1Tokens, error) {
	return s.token, nil
}

func (s served) RetrieveConfig(context.Context, string) (*depclient.Config, error) {
	return &depclient.Config{BaseURL: s.url}, nil
}

// client is nanodep's, with the token of a server at the fake.
func client(t *testing.T, s *apple.School, server string) *godep.Client {
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
	p7m, err := s.TokenP7M(server, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := tokenpki.DecryptTokenJSON(p7m, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var token depclient.OAuth1Tokens
	if err := json.Unmarshal(doc, &token); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.RootPEM())
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig.RootCAs = pool
	return godep.NewClient(served{&token, s.URL()}, godep.WithClient(&http.Client{Transport: tr}))
}

// TestADeliverySetsItselfUp lets somebody else's client define and assign the
// enrollment profile at the simulated Apple School Manager.
func TestADeliverySetsItselfUp(t *testing.T) {
	school, err := apple.NewSchool(apple.SchoolOptions{Seed: 3, Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = school.Close() })
	r := newReception(t)
	school.AddServer("Gemeinde Musterdorf", "Ranzen")
	boxes := school.Order("Ranzen", 5, apple.Devices{})
	dep := client(t, school, "Ranzen")
	p, err := dep.DefineProfile(t.Context(), "x", &godep.ProfileJson{
		ProfileName: new("Basis"), Url: new(r.door.URL + "/enroll/ade"), IsSupervised: new(true), AwaitDeviceConfigured: new(true),
		AnchorCerts: []string{base64.StdEncoding.EncodeToString(r.door.Certificate().Raw)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dep.AssignProfile(t.Context(), "x", *p.ProfileUuid, boxes[:4]...); err != nil {
		t.Fatal(err)
	}

	o := r.options(0)
	o.Activation, o.Serials = school.TabletURL(), boxes
	fleet := run(t, o)
	for range boxes {
		fleet.until(func(e tablet.Event) bool { return e.Event == "enrolled" || e.Event == "unmanaged-setup" })
	}
	for i, x := range fleet.snapshot() {
		want := map[bool]string{true: "awaiting", false: "unmanaged"}[i < 4]
		if x.Serial != boxes[i] || x.Setup != want || x.Supervised != (i < 4) {
			t.Errorf("%s: %+v, want %s", boxes[i], x, want)
		}
		if _, status := school.ProfileOf(x.Serial); i < 4 && status != "pushed" {
			t.Errorf("Apple says %s of %s", status, x.Serial)
		}
	}
	if _, err := dep.AssignProfile(t.Context(), "x", *p.ProfileUuid, boxes[4]); err != nil {
		t.Fatal(err)
	}
	if e := fleet.ask(`{"do":"retry"}`); e.Event != "done" {
		t.Errorf("retry: %+v", e)
	}
	if got := fleet.states()[boxes[4]]; got != "awaiting" || len(r.infos) != 5 || school.Counts().Activations != 6 {
		t.Errorf("the last is %s, %d machine infos, %+v", got, len(r.infos), school.Counts())
	}
}
