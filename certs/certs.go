package certs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/provisioner"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Config is what an operator decides about the CA. It is the same for every
// process that serves one database.
type Config struct {
	PublicURL string       // "https://mdm.example.org": devices find /scep and /crl below it
	KeyKind   string       // P256 or RSA2048, of the CA's keys; counts at first start only
	Log       *slog.Logger // what a SCEP or CRL request could not tell its sender; nil is silence
	// DeviceRoots, PEM, take the place of Apple's authority of device identities;
	// empty: Apple's.
	DeviceRoots []byte
}

// Kinds of CA keys. The RSA pair for SCEP's envelope is there in either
// case: iPads do SCEP with RSA only.
const (
	P256    = "p256"
	RSA2048 = "rsa2048"
)

// Purpose says what a challenge was made for. It is what tells a new life of a
// device from a renewed identity: on the wire both look alike.
type Purpose string

// Purposes.
const (
	Enroll Purpose = "enroll" // a new generation begins
	Renew  Purpose = "renew"  // everything stays

	// Network is a certificate by which a device joins a network (EAP-TLS). It
	// is no identity of a device to this server.
	Network Purpose = "network"
)

// Grant is whom a challenge is for. For Enroll, EnrollmentID is a fresh
// identifier reserved for a device not yet known, and Generation is 0.
type Grant struct {
	Purpose      Purpose
	EnrollmentID string
	Generation   int64
	LinkID       string
	TTL          time.Duration
}

// State is what became of an identity certificate.
type State string

// States.
const (
	Issued  State = "issued"  // not seen yet
	Pinned  State = "pinned"  // the one identity of its enrollment
	Retired State = "retired" // replaced, or its enrollment has ended
	Revoked State = "revoked" // withdrawn, and on the revocation list
)

// Identity is an issued identity certificate and whose it is.
type Identity struct {
	Hash         string // hex SHA-256 of the DER
	Serial       string // decimal
	EnrollmentID string
	LinkID       string
	Generation   int64
	Purpose      Purpose
	State        State
	NotAfter     time.Time
	CreatedAt    time.Time
	EndedAt      time.Time // retired or revoked
	Reason       string
}

// Presented is a certificate whose owner has just proven to hold its key. Whose
// identity it is, if anybody's, is Lookup's matter.
type Presented struct {
	Hash string // hex SHA-256 of the DER
}

// Room issues identities and keeps what must be kept secret. It is safe for use
// by many goroutines.
type Room struct {
	db    *sqldb.DB
	clock clock.Clock
	vault *Vault
	log   *audit.Log
	slog  *slog.Logger
	cfg   Config

	root, inter, ra keyPair
	signer          atomic.Pointer[keyPair] // of profiles; renewed before it ends
	step            *authority.Authority
	provisioner     *provisioner.SCEP
	deviceRoots     []*x509.Certificate // of Apple's device identities

	verified remembered[verdict]           // who signed this header over this body
	signers  remembered[[sha256.Size]byte] // keys, by their certificate
	refused  refusalCounter
	push     atomic.Pointer[loadedPush]
}

// New opens the CA of a database. At first start it creates it; when several
// processes do so at once, all of them get the same one.
func New(ctx context.Context, db *sqldb.DB, clk clock.Clock, vault *Vault, log *audit.Log, cfg Config) (*Room, error) {
	u, err := url.Parse(cfg.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fault.New(fault.Invalid, "url.public",
			"%q is not an address that devices could reach; it must look like https://mdm.example.org.", cfg.PublicURL)
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	if cfg.KeyKind == "" {
		cfg.KeyKind = P256
	}
	if cfg.KeyKind != P256 && cfg.KeyKind != RSA2048 {
		return nil, fault.New(fault.Invalid, "ca.key-kind", "%q is no kind of CA key; choose %s or %s.", cfg.KeyKind, P256, RSA2048)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	roots, err := parseDeviceRoots(cfg.DeviceRoots)
	if err != nil {
		return nil, err
	}
	r := &Room{deviceRoots: roots, db: db, clock: clk, vault: vault, log: log, slog: cfg.Log, cfg: cfg}
	if err := r.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare the CA: %w", err)
	}
	if err := r.openStep(ctx); err != nil {
		return nil, fmt.Errorf("open the CA: %w", err)
	}
	return r, nil
}

// prepare makes the rows that every later statement finds: the placeholder
// topic and the first revocation list.
func (r *Room) prepare(ctx context.Context) error {
	if err := r.ensureTopic(ctx); err != nil {
		return err
	}
	if err := r.renewSigner(ctx); err != nil {
		return err
	}
	_, err := r.currentCRL(ctx)
	return err
}

// Chain is the CA's certificates, root first.
func (r *Room) Chain() []*x509.Certificate {
	return []*x509.Certificate{r.root.cert, r.inter.cert}
}

// Root is the certificate that devices trust.
func (r *Room) Root() *x509.Certificate { return r.root.cert }

// SCEPURL is where devices ask for certificates.
func (r *Room) SCEPURL() string { return r.cfg.PublicURL + "/scep" }

// RootPEM is Root as a file for people and programs.
func (r *Room) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.root.cert.Raw})
}

// Sweep is a loop step, hourly: it renews the certificate that signs profiles
// and forgets what nobody will ask for again.
func (r *Room) Sweep(ctx context.Context) error {
	if err := r.renewSigner(ctx); err != nil {
		return err
	}
	return r.forget(ctx)
}
