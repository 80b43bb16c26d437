package server

import (
	"log/slog"
	"net/http"
	"net/netip"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
	"ranzen/profiles"
	"ranzen/server/device"
)

// Deps is what the server needs. All fields are required.
type Deps struct {
	DB       *sqldb.DB
	Clock    clock.Clock
	Log      *slog.Logger
	Audit    *audit.Log
	Auth     *auth.Room
	Schools  *schools.Room
	Vault    *certs.Vault
	Certs    *certs.Room
	Queue    *commands.Queue
	Enroll   *enroll.Room
	Profiles *profiles.Room
	Config   Config
}

// Config is what an operator decided.
type Config struct {
	PublicURL    string // https://mdm.school.example: what tablets see
	Organization string // shown on the enrollment page; may be empty
	Version      string // of the program
	// TrustedProxies may say in CertHeader which client certificate they saw.
	// Both empty: nobody may.
	TrustedProxies []netip.Prefix
	CertHeader     string
}

// Server has the handlers of the three listeners and the loops behind them.
type Server struct {
	Deps
	views   *views.Room
	rights  map[string]auth.Right // by operation, for the test that none lacks one
	devices http.Handler
	admin   http.Handler
	metrics *metrics
	boards  *boards
	hurried map[string]chan struct{} // loops whose turn people ask for
}

// New puts the server together. It starts nothing.
func New(d Deps) *Server {
	s := &Server{Deps: d, views: views.New(d.DB, d.Clock), rights: map[string]auth.Right{}}
	s.hurried = map[string]chan struct{}{adeSync: make(chan struct{}, 1), adeAssign: make(chan struct{}, 1)}
	s.metrics = s.newMetrics()
	s.boards = newBoards(s.views.Board, d.Log)
	s.devices = device.New(device.Deps{
		DB: d.DB, Clock: d.Clock, Log: d.Log, Certs: d.Certs, Queue: d.Queue, Enroll: d.Enroll, Profiles: d.Profiles,
		PublicURL: d.Config.PublicURL, Organization: d.Config.Organization,
		TrustedProxies: d.Config.TrustedProxies, CertHeader: d.Config.CertHeader,
		Observe: s.metrics.observe,
	})
	s.admin = s.newAdmin()
	return s
}

// Devices answers tablets, and the teacher who holds one.
func (s *Server) Devices() http.Handler { return s.devices }

// Admin answers people and programs that run the server.
func (s *Server) Admin() http.Handler { return s.admin }

// Metrics answers Prometheus.
func (s *Server) Metrics() http.Handler { return s.metrics.handler }
