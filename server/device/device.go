package device

import (
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/gorilla/mux"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/clock"
	"ranzen/internal/commands"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// Deps is what the tablets' door needs. Organization, TrustedProxies with
// CertHeader, and Observe may be empty.
type Deps struct {
	DB           *sqldb.DB
	Clock        clock.Clock
	Log          *slog.Logger
	Certs        *certs.Room
	Queue        *commands.Queue
	Enroll       *enroll.Room
	Profiles     *profiles.Room
	PublicURL    string
	Organization string // shown on the enrollment page
	// TrustedProxies may name a client certificate in the header CertHeader.
	TrustedProxies []netip.Prefix
	CertHeader     string
	// Observe is told about each finished request, for the metrics.
	Observe func(listener, route string, status int, seconds float64)
}

// maxBody bounds every request on this listener. Status reports of declarative
// management are the largest messages of Apple's protocol, some hundred kB.
const maxBody = 4 << 20

type door struct {
	Deps
	page *page
}

// New is the handler of the device listener.
func New(d Deps) http.Handler {
	h := &door{Deps: d, page: newPage(d.Organization)}
	r := mux.NewRouter()
	for _, rt := range []struct {
		path    string
		methods []string
		do      http.HandlerFunc
	}{
		{"/mdm/checkin", []string{http.MethodPut}, h.message(checkIn)},
		{"/mdm/command", []string{http.MethodPut}, h.message(command)},
		{"/scep", []string{http.MethodGet, http.MethodPost}, d.Certs.SCEP().ServeHTTP},
		{"/crl", []string{http.MethodGet, http.MethodHead}, d.Certs.CRL().ServeHTTP},
		{"/enroll/ade", []string{http.MethodPost}, h.setUp}, // before the codes, of which it is none
		{"/apps/{token}/manifest.plist", []string{http.MethodGet, http.MethodHead}, h.manifest},
		{"/apps/{token}/app.ipa", []string{http.MethodGet, http.MethodHead}, h.ipa},
		{"/enroll/{code}", []string{http.MethodGet, http.MethodHead}, h.link},
		{"/enroll/{code}/profile", []string{http.MethodGet, http.MethodHead}, h.profile},
	} {
		r.HandleFunc(rt.path, only(rt.path, rt.methods, rt.do))
	}
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { empty(w, http.StatusNotFound) })
	return Edge{
		Listener: "devices", Log: d.Log, Clock: d.Clock, Observe: d.Observe,
		Fail: func(w http.ResponseWriter, _ *http.Request) { empty(w, http.StatusInternalServerError) },
	}.Wrap(r)
}

// only names the route for the log, bounds the body, and refuses other methods.
// It is not mux's Methods, which would lose the route's name on a refusal.
func only(path string, methods []string, do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		LineOf(r.Context()).Route = path
		for _, m := range methods {
			if r.Method == m {
				r.Body = http.MaxBytesReader(w, r.Body, maxBody)
				do(w, r)
				return
			}
		}
		for _, m := range methods {
			w.Header().Add("Allow", m)
		}
		empty(w, http.StatusMethodNotAllowed)
	}
}

// empty answers with a status and nothing else: a tablet reads nothing into it
// and comes back later.
func empty(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}
