package certs

import (
	"crypto/x509"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
)

// Config is what an operator decides about the CA. It is the same for every
// process that serves one database.
type Config struct {
	PublicURL string // "https://mdm.example.org": where devices find /scep and /crl
	KeyKind   string // "p256" or "rsa2048", of root and intermediate; read at first start only
}

// Purpose says what a challenge was made for. It is what tells a new life of a
// device from a renewed identity: on the wire both look alike.
type Purpose string

// Purposes.
const (
	Enroll Purpose = "enroll" // a new generation begins
	Renew  Purpose = "renew"  // everything stays
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
	Revoked State = "revoked" // withdrawn and on the revocation list
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
	Cert *x509.Certificate
}

// Refusal counts how often a certificate was refused for a reason.
type Refusal struct {
	Reason       string
	Hash         string // "" when there was no certificate
	EnrollmentID string // "" when it belongs to nobody
	Count        int64
	FirstAt      time.Time
	LastAt       time.Time
}

// PushInfo describes the MDM push certificate.
type PushInfo struct {
	Topic       string
	NotAfter    time.Time
	Subject     string
	Fingerprint string // hex SHA-256 of the DER
	Serial      int64  // changes with each import
}

// Filter narrows List. Zero fields match everything.
type Filter struct {
	EnrollmentID string
	State        State
	Limit        int // 100 when zero, at most 500
}

// Room issues identities and keeps what must be kept secret.
type Room struct {
	db    *sqldb.DB
	clock clock.Clock
	vault *Vault
	log   *audit.Log
	cfg   Config
}
