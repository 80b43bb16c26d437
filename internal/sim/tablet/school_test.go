package tablet_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/kit/log"
	"github.com/micromdm/nanomdm/cryptoutil"
	"github.com/micromdm/plist"
	scepserver "github.com/micromdm/scep/v2/server"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"ranzen/internal/clock"
	"ranzen/internal/sim/tablet"
)

const topic = "com.apple.mgmt.External.0d0f3a5c-1b1d-4d2e-9e0f-000000000001"

// school is an MDM server made of what others wrote: micromdm's SCEP server and
// NanoMDM's check of Mdm-Signature.
type school struct {
	*httptest.Server
	ca  *x509.Certificate
	key *rsa.PrivateKey

	mu        sync.Mutex
	challenge string
	queue     map[string][]command // by UDID
	messages  []map[string]any     // check-ins and reports, in order
	signers   []string             // who signed each of them
	answer    func(w http.ResponseWriter, r *http.Request, m map[string]any) bool
	signed    bool
	change    func(profile map[string]any)
}

type command struct {
	uuid string
	body map[string]any
}

func newSchool(t *testing.T) *school {
	t.Helper()
	key, err := schoolKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &school{key: key, challenge: "secret", queue: map[string][]command{}, signed: true}
	s.ca = s.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "School CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}, nil, key.Public())
	svc, err := scepserver.NewService(s.ca, key, scepserver.CSRSignerContextFunc(s.issue))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/scep", scepserver.MakeHTTPHandler(scepserver.MakeServerEndpoints(svc), svc, log.NewNopLogger()))
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-apple-aspen-config")
		if _, err := w.Write(s.profile(t)); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("PUT /mdm/{what}", func(w http.ResponseWriter, r *http.Request) { s.mdm(t, w, r) })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *school) sign(t *testing.T, c, parent *x509.Certificate, public any) *x509.Certificate {
	t.Helper()
	cert, err := s.certificate(c, parent, public)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (s *school) certificate(c, parent *x509.Certificate, public any) (*x509.Certificate, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, err
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = n, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, s.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (s *school) issue(_ context.Context, m *scep.CSRReqMessage) (*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.ChallengePassword != s.challenge {
		return nil, fmt.Errorf("wrong challenge %q", m.ChallengePassword)
	}
	return s.certificate(&x509.Certificate{
		Subject: m.CSR.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}, s.ca, m.CSR.PublicKey)
}

// payload is a payload with what all have; the identifier is the UUID too.
func payload(kind, id string, more map[string]any) map[string]any {
	p := map[string]any{
		"PayloadType": kind, "PayloadIdentifier": id, "PayloadUUID": uuid(id), "PayloadVersion": 1, "PayloadDisplayName": id,
	}
	maps.Copy(p, more)
	return p
}

func uuid(s string) string {
	h := sha256.Sum256([]byte(s))
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

func profile(t *testing.T, id string, payloads ...any) []byte {
	t.Helper()
	b, err := plist.Marshal(payload("Configuration", id, map[string]any{"PayloadContent": payloads}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wifi(t *testing.T, id, ssid string) []byte {
	t.Helper()
	return profile(t, id, payload("com.apple.wifi.managed", id+".wifi", map[string]any{
		"SSID_STR": ssid, "EncryptionType": "WPA2", "Password": "correct horse", "AutoJoin": true, "HIDDEN_NETWORK": false,
	}))
}

// profile is the school's enrollment profile; change alters it before it is signed.
func (s *school) profile(t *testing.T) []byte {
	t.Helper()
	p := map[string]any{
		"PayloadType": "Configuration", "PayloadIdentifier": "school.enroll", "PayloadUUID": uuid("school.enroll"), "PayloadVersion": 1,
		"PayloadContent": []any{
			payload("com.apple.security.root", "school.root", map[string]any{"PayloadContent": s.ca.Raw}),
			payload("com.apple.security.scep", "school.scep", map[string]any{"PayloadContent": map[string]any{
				"URL": s.URL + "/scep", "Keysize": 2048, "Key Type": "RSA", "Key Usage": 5, "Challenge": s.challenge,
				"Subject": []any{[]any{[]any{"O", "School"}}, []any{[]any{"CN", "identity"}}, []any{[]any{"2.5.4.5", "1"}}},
			}}),
			payload("com.apple.mdm", "school.mdm", map[string]any{
				"IdentityCertificateUUID": uuid("school.scep"), "Topic": topic, "ServerURL": s.URL + "/mdm/server",
				"CheckInURL": s.URL + "/mdm/checkin", "SignMessage": true, "AccessRights": 8191, "CheckOutWhenRemoved": true,
				"ServerCapabilities": []any{"com.apple.mdm.bootstraptoken"},
			}),
		},
	}
	if s.change != nil {
		s.change(p)
	}
	b, err := plist.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if !s.signed {
		return b
	}
	sd, err := pkcs7.NewSignedData(b)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := sd.AddSigner(s.ca, s.key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	if b, err = sd.Finish(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *school) mdm(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var m map[string]any
	if err := plist.Unmarshal(body, &m); err != nil {
		t.Errorf("the tablet's message: %v", err)
	}
	signer := ""
	if h := r.Header.Get("Mdm-Signature"); h != "" {
		cert, err := cryptoutil.VerifyMdmSignature(h, body)
		if err != nil {
			t.Errorf("Mdm-Signature: %v", err)
			return
		}
		sum := sha256.Sum256(cert.Raw)
		signer = hex.EncodeToString(sum[:])
	}
	want := map[string]string{"checkin": "application/x-apple-aspen-mdm-checkin", "server": "application/x-apple-aspen-mdm"}
	if got := r.Header.Get("Content-Type"); got != want[r.PathValue("what")] {
		t.Errorf("content type %q at %s", got, r.URL.Path)
	}
	s.mu.Lock()
	s.messages, s.signers = append(s.messages, m), append(s.signers, signer)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil && answer(w, r, m) {
		return
	}
	if r.PathValue("what") == "checkin" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	udid, _ := m["UDID"].(string)
	if len(s.queue[udid]) == 0 {
		return
	}
	next := s.queue[udid][0]
	s.queue[udid] = s.queue[udid][1:]
	b, err := plist.Marshal(map[string]any{"CommandUUID": next.uuid, "Command": next.body})
	if err != nil {
		t.Error(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Error(err)
	}
}

// order queues a command and gives its UUID.
func (s *school) order(x *tablet.Tablet, request string, args map[string]any) string {
	body := map[string]any{"RequestType": request}
	maps.Copy(body, args)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("%s-%d", request, len(s.messages)*100+len(s.queue[x.UDID()]))
	s.queue[x.UDID()] = append(s.queue[x.UDID()], command{id, body})
	return id
}

// said is the tablet's last message about a command.
func (s *school) said(t *testing.T, uuid string) map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.messages) {
		if m["CommandUUID"] == uuid {
			return m
		}
	}
	t.Fatalf("nothing was said about %s", uuid)
	return nil
}

// kinds are the messages so far: check-ins by name, reports by status.
func (s *school) kinds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.messages {
		if k, ok := m["MessageType"].(string); ok {
			out = append(out, k)
		} else {
			out = append(out, fmt.Sprint(m["Status"]))
		}
	}
	return out
}

// do orders a command, lets the tablet connect and gives its answer.
func (s *school) do(t *testing.T, x *tablet.Tablet, request string, args map[string]any) map[string]any {
	t.Helper()
	id := s.order(x, request, args)
	if err := x.Poll(t.Context()); err != nil {
		t.Fatalf("poll: %v", err)
	}
	return s.said(t, id)
}

// oneKey is made once for all tests: it costs more than all the rest.
var oneKey = sync.OnceValues(func() (*tablet.Keys, error) { return tablet.ShareKeys(context.Background(), 1, 1, nil) })

var schoolKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func keys(t *testing.T) *tablet.Keys {
	t.Helper()
	k, err := oneKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func start() time.Time { return time.Now().UTC().Truncate(time.Second) }

// enrolled is a supervised tablet that enrolled at the school.
func enrolled(t *testing.T, s *school, change func(*tablet.Config)) *tablet.Tablet {
	t.Helper()
	x := boxed(t, change)
	if err := x.Enroll(t.Context(), s.URL+"/profile"); err != nil {
		t.Fatalf("enroll: %v", err)
	}
	return x
}

// boxed is a supervised tablet that knows nothing yet.
func boxed(t *testing.T, change func(*tablet.Config)) *tablet.Tablet {
	t.Helper()
	c := tablet.Config{Seed: 7, Supervised: true, Clock: clock.At(start()), Keys: keys(t)}
	if change != nil {
		change(&c)
	}
	x, err := tablet.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// errorOf is the code and the text of the last error of an answer.
func errorOf(t *testing.T, m map[string]any) (code int, said string) {
	t.Helper()
	chain, _ := m["ErrorChain"].([]any)
	if len(chain) == 0 {
		t.Fatalf("the answer has no ErrorChain: %v", m)
	}
	last, _ := chain[len(chain)-1].(map[string]any)
	n, err := fmt.Sscan(fmt.Sprint(last["ErrorCode"]), &code)
	if n != 1 || err != nil {
		t.Fatalf("ErrorCode is %v", last["ErrorCode"])
	}
	return code, fmt.Sprint(last["LocalizedDescription"])
}
