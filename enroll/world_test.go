package enroll_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/plist"
	"github.com/micromdm/scep/v2/cryptoutil/x509util"
	"github.com/smallstep/scep"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

const admin = audit.Actor("user:admin")

func monday() time.Time { return time.Date(2026, 9, 7, 7, 45, 0, 0, time.UTC) }

// world is real rooms on a real database.
type world struct {
	t       testing.TB
	db      *sqldb.DB
	clk     clock.Clock
	certs   *certs.Room
	queue   *commands.Queue
	schools *schools.Room
	audit   *audit.Log
	enroll  *enroll.Room
	deps    enroll.Deps

	mu     sync.Mutex
	marked []string
}

// newWorld may be given roots of device identities.
func newWorld(t testing.TB, db *sqldb.DB, roots ...byte) *world {
	t.Helper()
	w := &world{t: t, db: db, clk: clock.At(monday())}
	vault, err := certs.NewVault(bytes.Repeat([]byte{7}, certs.SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	w.audit = audit.New(db, w.clk)
	w.certs, err = certs.New(t.Context(), db, w.clk, vault, w.audit, certs.Config{PublicURL: publicURL, KeyKind: certs.P256, DeviceRoots: roots})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w.queue = commands.New(db, w.clk, vault, w.audit, log)
	w.schools = schools.New(w.clk, w.audit)
	w.deps = enroll.Deps{
		DB: db, Clock: w.clk, Vault: vault, Certs: w.certs, Queue: w.queue, Schools: w.schools, Audit: w.audit, Log: log,
		PublicURL: publicURL, Organization: "Gymnasium Musterstadt", Marker: enroll.MarkerFunc(w.mark),
	}
	w.enroll, err = enroll.New(w.deps)
	if err != nil {
		t.Fatal(err)
	}
	w.queue.Handle(w.enroll.Specs()...)
	return w
}

const publicURL = "https://mdm.example.org"

func (w *world) mark(_ context.Context, _ *sqldb.Tx, ids ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marked = append(w.marked, ids...)
	return nil
}

// marks gives the marks since the last call.
func (w *world) marks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.marked
	w.marked = nil
	return m
}

func (w *world) do(fn func(tx *sqldb.Tx) error) {
	w.t.Helper()
	if err := w.try(fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(fn func(tx *sqldb.Tx) error) error {
	w.t.Helper()
	return w.db.Do(w.t.Context(), fn)
}

func (w *world) link(spec enroll.LinkSpec) enroll.Link {
	w.t.Helper()
	var l enroll.Link
	if spec.Name == "" {
		spec.Name = "class 3b"
	}
	w.do(func(tx *sqldb.Tx) (err error) {
		l, err = w.enroll.CreateLink(w.t.Context(), tx, admin, spec)
		return err
	})
	return l
}

// profile is what a fetch of a link's profile gives.
func (w *world) profile(l enroll.Link) (signed []byte) {
	w.t.Helper()
	w.do(func(tx *sqldb.Tx) (err error) {
		signed, err = w.enroll.Profile(w.t.Context(), tx, l.Code)
		return err
	})
	return signed
}

// importPush imports a push certificate and gives its topic.
func (w *world) importPush() string {
	w.t.Helper()
	const topic = "com.apple.mgmt.External.11111111-2222-3333-4444-555555555555"
	var request []byte
	w.do(func(tx *sqldb.Tx) (err error) {
		request, err = w.certs.PushRequest(w.t.Context(), tx, admin, "Ranzen")
		return err
	})
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	key, _ := keyPair()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: w.clk.Now().Add(-time.Hour), NotAfter: w.clk.Now().Add(365 * 24 * time.Hour),
		Subject: pkix.Name{CommonName: "APSP", ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: topic}, // userId
		}},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Apple Application Integration 2 Certification Authority"}}, csr.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.do(func(tx *sqldb.Tx) error {
		_, err := w.certs.ImportPush(w.t.Context(), tx, admin, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil)
		return err
	})
	return topic
}

// topLevel is as much of a profile as tests read.
type topLevel struct {
	PayloadIdentifier, PayloadUUID string
	PayloadContent                 []struct {
		PayloadType, PayloadIdentifier, PayloadUUID string
		IdentityCertificateUUID                     string
		Topic, ServerURL, CheckInURL                string
		AccessRights                                int
		SignMessage, CheckOutWhenRemoved            bool
		ServerCapabilities                          []string
		PayloadContent                              any
	}
}

func (w *world) read(signed []byte) topLevel {
	w.t.Helper()
	plain, ok, err := certs.UnwrapCMS(signed)
	if err != nil || !ok {
		w.t.Fatalf("the profile is not signed: %v", err)
	}
	var p topLevel
	if err := plist.Unmarshal(plain, &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (p topLevel) challenge(t testing.TB) string {
	t.Helper()
	for _, c := range p.PayloadContent {
		if c.PayloadType == "com.apple.security.scep" {
			return c.PayloadContent.(map[string]any)["Challenge"].(string)
		}
	}
	t.Fatal("the profile has no SCEP payload")
	return ""
}

// keyPair is one RSA key for all tablets: what they are told apart by is their
// certificates, and a key costs a second.
var keyPair = sync.OnceValues(func() (*rsa.PrivateKey, *x509.Certificate) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "self"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	self, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key, self
})

// scep gets a certificate for a challenge, and gives its hash.
func (w *world) scep(challenge string) (string, error) {
	w.t.Helper()
	key, self := keyPair()
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{Subject: pkix.Name{CommonName: "Device identity"}}, ChallengePassword: challenge,
	}, key)
	if err != nil {
		w.t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		w.t.Fatal(err)
	}
	h := w.certs.SCEP()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/scep?operation=GetCACert", nil))
	ca, err := scep.CACerts(rec.Body.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{MessageType: scep.PKCSReq, Recipients: ca, SignerKey: key, SignerCert: self},
		scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
	if err != nil {
		w.t.Fatal(err)
	}
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("POST", "/scep?operation=PKIOperation", bytes.NewReader(msg.Raw)))
	answer, err := scep.ParsePKIMessage(rec.Body.Bytes(), scep.WithCACerts(ca))
	if err != nil {
		return "", fmt.Errorf("status %d: %w", rec.Code, err)
	}
	if answer.PKIStatus != scep.SUCCESS {
		return "", fmt.Errorf("the CA refused: %s", answer.FailInfo)
	}
	if err := answer.DecryptPKIEnvelope(self, key); err != nil {
		return "", err
	}
	sum := sha256.Sum256(answer.CertRepMessage.Certificate.Raw)
	return hex.EncodeToString(sum[:]), nil
}

// events are the actions of the audit trail about a subject, oldest first.
func (w *world) events(subject string) []string {
	w.t.Helper()
	var list []string
	err := w.db.Select(w.t.Context(), &list, `SELECT action FROM audit_events WHERE subject = ? ORDER BY id`, subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// open are the kinds that wait for an enrollment, in the order of the queue.
func (w *world) open(e enroll.Enrollment) []string {
	w.t.Helper()
	kinds := []string{}
	err := w.db.Select(w.t.Context(), &kinds, `SELECT kind FROM commands WHERE enrollment_id = ? AND state IN ('queued', 'sent', 'deferred')
		ORDER BY lane, not_before, id`, e.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return kinds
}

func (w *world) commandState(id string) (state, reason string) {
	w.t.Helper()
	var row struct {
		State  string `db:"state"`
		Reason string `db:"reason"`
	}
	if err := w.db.Get(w.t.Context(), &row, `SELECT state, reason FROM commands WHERE id = ?`, id); err != nil {
		w.t.Fatal(err)
	}
	return row.State, row.Reason
}

func (w *world) order(fn func(ctx context.Context, tx *sqldb.Tx) (string, error)) (id string, err error) {
	w.t.Helper()
	err = w.try(func(tx *sqldb.Tx) (err error) {
		id, err = fn(w.t.Context(), tx)
		return err
	})
	return id, err
}

func (w *world) mustOrder(fn func(ctx context.Context, tx *sqldb.Tx) (string, error)) string {
	w.t.Helper()
	id, err := w.order(fn)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if got := fault.CodeOf(err); got != code {
		t.Errorf("got fault %q (%v), want %q", got, err, code)
	}
}

func wantList(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
