package device

import (
	"log/slog"
	"net/http"
	"net/netip"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
)

// Deps is what the tablets' door needs. PublicURL and the rooms are required.
type Deps struct {
	DB           *sqldb.DB
	Clock        clock.Clock
	Log          *slog.Logger
	Certs        *certs.Room
	Queue        *commands.Queue
	Enroll       *enroll.Room
	PublicURL    string
	Organization string
	// TrustedProxies may name a client certificate in the header CertHeader.
	TrustedProxies []netip.Prefix
	CertHeader     string
	// Observe is told about each finished request, for the metrics. May be nil.
	Observe func(route string, status int, seconds float64)
}

// New is the handler of the device listener.
func New(d Deps) http.Handler { return http.NotFoundHandler() }
