package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/apple/ade"
	"ranzen/internal/apple/push"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
	"ranzen/server"
)

// house is all rooms on one database: the only place where their types meet.
type house struct {
	db       *sqldb.DB
	certs    *certs.Room
	queue    *commands.Queue
	enroll   *enroll.Room
	profiles *profiles.Room
	server   *server.Server
}

// appleServices is where Apple's services are. Empty: where Apple runs them.
type appleServices struct {
	pushURL string
	adeURL  string
	roots   *x509.CertPool
	rootPEM []byte // the same, for the identities of iPads; nil: Apple's
}

// openHouse opens the database of cfg, brings its schema up to date and puts
// the rooms together. It starts nothing.
func openHouse(ctx context.Context, clk clock.Clock, cfg Config, at appleServices, log *slog.Logger) (*house, error) {
	key, err := cfg.SealKey()
	if err != nil {
		return nil, err
	}
	vault, err := certs.NewVault(key)
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, cfg.DSN())
	if err != nil {
		return nil, unreachable(err)
	}
	h := &house{db: db}
	if err := h.furnish(ctx, clk, cfg, vault, at, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return h, nil
}

func (h *house) furnish(ctx context.Context, clk clock.Clock, cfg Config, vault *certs.Vault, at appleServices, log *slog.Logger) (err error) {
	if err := h.db.Migrate(ctx); err != nil {
		return fmt.Errorf("bring the database up to date: %w", err)
	}
	trail := audit.New(h.db, clk)
	if h.certs, err = certs.New(ctx, h.db, clk, vault, trail, certs.Config{PublicURL: cfg.URL, KeyKind: cfg.CAKey, DeviceRoots: at.rootPEM}); err != nil {
		return err
	}
	devices := schools.New(clk, trail)
	h.queue = commands.New(h.db, clk, vault, trail, log)
	h.queue.SetWaker(push.WakerFor[commands.Target](push.New(push.Config{
		URL: at.pushURL, Roots: at.roots, Clock: clk, Log: log, Certificate: h.pushCertificate,
	})))
	h.enroll, err = enroll.New(enroll.Deps{
		DB: h.db, Clock: clk, Vault: vault, Certs: h.certs, Queue: h.queue, Schools: devices, Audit: trail, Log: log,
		Marker:    enroll.MarkerFunc(h.mark), // profiles comes after enroll and is its marker
		PublicURL: cfg.URL, Organization: cfg.Organization,
		Apple: ade.New(ade.Config{URL: at.adeURL, Roots: at.roots, Clock: clk}), Anchors: h.anchors(cfg),
	})
	if err != nil {
		return err
	}
	h.profiles = profiles.New(profiles.Deps{
		DB: h.db, Clock: clk, Vault: vault, Certs: h.certs, Queue: h.queue, Schools: devices, Audit: trail, Log: log,
		Facts: facts{h.enroll}, PublicURL: cfg.URL,
	})
	h.queue.Handle(h.enroll.Specs()...)
	h.queue.Handle(h.profiles.Specs()...)
	h.server = server.New(server.Deps{
		DB: h.db, Clock: clk, Log: log, Audit: trail, Auth: auth.New(h.db, clk, trail), Schools: devices, Vault: vault,
		Certs: h.certs, Queue: h.queue, Enroll: h.enroll, Profiles: h.profiles,
		Config: server.Config{
			PublicURL: cfg.URL, Organization: cfg.Organization, Version: programVersion(),
			TrustedProxies: cfg.Trusted(), CertHeader: cfg.CertHeader,
		},
	})
	return nil
}

// anchors are what iPads need beyond their built-in roots to trust the device
// listener, already in Setup Assistant.
func (h *house) anchors(cfg Config) [][]byte {
	if cfg.TLS != tlsInternal {
		return nil
	}
	return [][]byte{h.certs.Root().Raw}
}

func (h *house) mark(ctx context.Context, tx *sqldb.Tx, enrollmentIDs ...string) error {
	return h.profiles.Mark(ctx, tx, enrollmentIDs...)
}

// pushCertificate is what the push client signs in with. It asks at each new
// connection, so that a renewed certificate needs no restart.
func (h *house) pushCertificate(ctx context.Context) (cert tls.Certificate, topic string, version int64, err error) {
	cert, info, err := h.certs.Push(ctx, h.db)
	if fault.CodeOf(err) == "push-cert.none" {
		return cert, "", 0, push.ErrNoCertificate
	}
	return cert, info.Topic, info.Serial, err
}

// facts is package enroll as package profiles sees it.
type facts struct{ *enroll.Room }

func (f facts) Facts(ctx context.Context, q sqldb.Queryer, enrollmentIDs []string) (map[string]profiles.DeviceFacts, error) {
	known, err := f.Room.Facts(ctx, q, enrollmentIDs)
	return planned(known), err
}

func (f facts) OfDevices(ctx context.Context, q sqldb.Queryer, deviceIDs []string) (map[string]profiles.DeviceFacts, error) {
	known, err := f.FactsOf(ctx, q, deviceIDs)
	return planned(known), err
}

// planned are facts by the same keys, as planning takes them.
func planned(known map[string]enroll.Facts) map[string]profiles.DeviceFacts {
	out := make(map[string]profiles.DeviceFacts, len(known))
	for id, k := range known {
		out[id] = profiles.DeviceFacts{
			EnrollmentID: k.EnrollmentID, DeviceID: k.DeviceID, Serial: k.Serial, Generation: k.Generation, Active: k.State == enroll.Enrolled,
			OSVersion: k.OSVersion, Supervised: k.Supervised, LostMode: k.LostMode, Model: k.Model, State: string(k.State), LastSeen: k.LastSeen,
		}
	}
	return out
}

func (f facts) InScope(ctx context.Context, q sqldb.Queryer, s profiles.Scope) ([]string, error) {
	return f.ActiveIn(ctx, q, s.Kind, s.ID)
}

func (f facts) AwayIn(ctx context.Context, q sqldb.Queryer, s profiles.Scope) (map[string]profiles.DeviceFacts, error) {
	known, err := f.Room.AwayIn(ctx, q, s.Kind, s.ID)
	return planned(known), err
}

// appleAt reads the roots that take the place of the system's.
func appleAt(pushURL, adeURL, rootsFile string) (appleServices, error) {
	at := appleServices{pushURL: pushURL, adeURL: adeURL}
	if rootsFile == "" {
		return at, nil
	}
	b, err := os.ReadFile(rootsFile) //nolint:gosec // the operator named it
	if err != nil {
		return appleServices{}, usagef("%s cannot be read: %s.", rootsFile, reasonOf(err))
	}
	at.roots, at.rootPEM = x509.NewCertPool(), b
	if !at.roots.AppendCertsFromPEM(b) {
		return appleServices{}, usagef("%s holds no certificate in PEM.", rootsFile)
	}
	return at, nil
}
