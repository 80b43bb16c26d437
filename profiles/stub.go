package profiles

import (
	"context"
	"log/slog"
	"time"

	"ranzen/internal/fault"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

type Scope struct{ Kind, ID string }
type DeviceFacts struct {
	EnrollmentID, DeviceID string
	Generation             int64
	Active                 bool
	OSVersion              string
	Supervised             *bool
	LostMode               bool
}
type Facts interface {
	Facts(ctx context.Context, q sqldb.Queryer, ids []string) (map[string]DeviceFacts, error)
	InScope(ctx context.Context, q sqldb.Queryer, s Scope) ([]string, error)
}
type Deps struct {
	DB      *sqldb.DB
	Clock   clock.Clock
	Vault   *certs.Vault
	Certs   *certs.Room
	Queue   *commands.Queue
	Schools *schools.Room
	Audit   *audit.Log
	Log     *slog.Logger
	Facts   Facts
}
type Room struct{ Deps }

func New(d Deps) *Room                                                      { return &Room{d} }
func (r *Room) Specs() []commands.Spec                                      { return nil }
func (r *Room) Mark(ctx context.Context, tx *sqldb.Tx, ids ...string) error { return nil }

type Profile struct {
	ID, Name, Identifier string
	Version              int64
	Payloads             []string
	CreatedAt, UpdatedAt time.Time
}
type WiFi struct {
	SSID                                      string
	Password                                  fault.Secret
	Security                                  string
	Hidden, AutoJoin, DisableMACRandomization bool
}
type WebClip struct {
	Label, URL            string
	Icon                  []byte
	FullScreen, Removable bool
}
type App struct{ ID, Name, AdamID, BundleID string }
type Assignment struct {
	Kind, Name, CreatedBy string
	Scope                 Scope
	CreatedAt             time.Time
}

var errStub = fault.New(fault.Internal, "stub", "stub")

func (r *Room) AddProfile(ctx context.Context, tx *sqldb.Tx, by audit.Actor, name string, raw []byte) (Profile, error) {
	return Profile{}, errStub
}
func (r *Room) BuildWiFi(WiFi) ([]byte, error)                                   { return nil, errStub }
func (r *Room) BuildRestrictions(map[string]any) ([]byte, error)                 { return nil, errStub }
func (r *Room) BuildWebClip(WebClip) ([]byte, error)                             { return nil, errStub }
func (r *Room) BuildCertificate([]byte) ([]byte, error)                          { return nil, errStub }
func (r *Room) Profiles(ctx context.Context, q sqldb.Queryer) ([]Profile, error) { return nil, nil }
func (r *Room) ProfileByName(ctx context.Context, q sqldb.Queryer, n string) (Profile, error) {
	return Profile{}, errStub
}
func (r *Room) RemoveProfile(ctx context.Context, tx *sqldb.Tx, by audit.Actor, n string) error {
	return errStub
}
func (r *Room) RemoveApp(ctx context.Context, tx *sqldb.Tx, by audit.Actor, n string) error {
	return errStub
}
func (r *Room) AddApp(ctx context.Context, tx *sqldb.Tx, by audit.Actor, a App) (App, error) {
	return a, errStub
}
func (r *Room) Apps(ctx context.Context, q sqldb.Queryer) ([]App, error) { return nil, nil }
func (r *Room) Assignments(ctx context.Context, q sqldb.Queryer) ([]Assignment, error) {
	return nil, nil
}
func (r *Room) Assign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, n []string, s Scope) (int, error) {
	return 0, errStub
}
func (r *Room) Unassign(ctx context.Context, tx *sqldb.Tx, by audit.Actor, n []string, s Scope) (int, error) {
	return 0, errStub
}
func (r *Room) WiFiPayload(ctx context.Context, q sqldb.Queryer, n string) ([]byte, error) {
	return nil, errStub
}
