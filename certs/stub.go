package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

type Vault struct{}

func NewVault(key []byte) (*Vault, error)                           { panic("not written") }
func (v *Vault) Seal(purpose string, plain []byte) ([]byte, error)  { panic("not written") }
func (v *Vault) Open(purpose string, sealed []byte) ([]byte, error) { panic("not written") }
func New(ctx context.Context, db *sqldb.DB, clk clock.Clock, vault *Vault, log *audit.Log, cfg Config) (*Room, error) {
	panic("not written")
}
func (r *Room) NewChallenge(ctx context.Context, tx *sqldb.Tx, g Grant) (fault.Secret, error) {
	panic("not written")
}
func (r *Room) VoidChallenges(ctx context.Context, tx *sqldb.Tx, enrollmentID string) error {
	panic("not written")
}
func (r *Room) SCEP() http.Handler      { panic("not written") }
func (r *Room) CRL() http.Handler       { panic("not written") }
func (r *Room) RootPEM() []byte         { panic("not written") }
func (r *Room) Root() *x509.Certificate { panic("not written") }
func (r *Room) ServerCertificate(host string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	panic("not written")
}
func (r *Room) SignCMS(content []byte) ([]byte, error)                        { panic("not written") }
func UnwrapCMS(b []byte) (content []byte, signed bool, err error)             { panic("not written") }
func (r *Room) VerifySignature(header string, body []byte) (Presented, error) { panic("not written") }
func PresentedOf(cert *x509.Certificate) Presented                            { panic("not written") }
func ParseHeader(value string) (*x509.Certificate, error)                     { panic("not written") }
func (r *Room) Lookup(ctx context.Context, q sqldb.Queryer, hash string) (Identity, error) {
	panic("not written")
}
func (r *Room) Pin(ctx context.Context, tx *sqldb.Tx, hash, enrollmentID string, generation int64) error {
	panic("not written")
}
func (r *Room) RetireAll(ctx context.Context, tx *sqldb.Tx, enrollmentID, reason string) error {
	panic("not written")
}
func (r *Room) Revoke(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, serial, reason string) error {
	panic("not written")
}
func (r *Room) List(ctx context.Context, q sqldb.Queryer, f Filter) ([]Identity, error) {
	panic("not written")
}
func (r *Room) Due(ctx context.Context, q sqldb.Queryer, before time.Time, limit int) ([]Identity, error) {
	panic("not written")
}
func (r *Room) Refuse(reason, hash, enrollmentID string) { panic("not written") }
func (r *Room) FlushRefusals(ctx context.Context) error  { panic("not written") }
func (r *Room) Refusals(ctx context.Context, q sqldb.Queryer, limit int) ([]Refusal, error) {
	panic("not written")
}
func (r *Room) RefusalCounts() map[string]int64 { panic("not written") }
func (r *Room) Sweep(ctx context.Context) error { panic("not written") }
func (r *Room) Topic(ctx context.Context, q sqldb.Queryer) (topic string, placeholder bool, err error) {
	panic("not written")
}
func (r *Room) PushRequest(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, commonName string) (csrPEM []byte, err error) {
	panic("not written")
}
func (r *Room) ImportPush(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, certPEM, keyPEM []byte) (PushInfo, error) {
	panic("not written")
}
func (r *Room) Push(ctx context.Context, q sqldb.Queryer) (tls.Certificate, PushInfo, error) {
	panic("not written")
}
