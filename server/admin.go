package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"

	"ranzen/internal/fault"
	"ranzen/server/console"
	"ranzen/server/device"
)

// newAdmin is the handler of the admin listener.
func (s *Server) newAdmin() http.Handler {
	root := mux.NewRouter().UseEncodedPath() // a name may hold a slash
	root.HandleFunc("/healthz", s.healthz).Methods(http.MethodGet, http.MethodHead)
	root.HandleFunc("/readyz", s.readyz).Methods(http.MethodGet, http.MethodHead)
	root.Handle("/", s.statusPage()).Methods(http.MethodGet, http.MethodHead)
	for _, p := range console.Pages() {
		root.Handle(p.Path, routed(p.Path, p.Handler)).Methods(http.MethodGet, http.MethodHead)
	}
	api := s.newAPI(root.PathPrefix(apiPrefix).Subrouter())
	s.operations(api)
	root.HandleFunc(apiPrefix+"/openapi.json", openAPI(api)).Methods(http.MethodGet, http.MethodHead)
	root.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, fault.New(fault.NotFound, "address.unknown", "There is nothing at this address. The API is described at %s/openapi.json.", apiPrefix))
	})
	root.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := problemOf(r.Context(), fault.New(fault.Invalid, "method.unknown", "This address does not take %s.", r.Method))
		p.Status = http.StatusMethodNotAllowed
		writeProblem(w, p)
	})
	guarded := http.NewCrossOriginProtection().Handler(sealed(checked(root)))
	return device.Edge{
		Listener: "admin", Log: s.Log, Clock: s.Clock, Observe: s.metrics.observe,
		Fail: func(w http.ResponseWriter, r *http.Request) { fail(w, r, fault.New(fault.Internal, "internal", "")) },
	}.Wrap(guarded)
}

// soon is when the end of the push certificate becomes a warning.
const soon = 30 * 24 * time.Hour

// statusPage says what runs and what is amiss.
func (s *Server) statusPage() http.Handler {
	page := console.New(func(ctx context.Context) console.Status {
		st := console.Status{Version: s.Config.Version, Database: s.DB.Ping(ctx) == nil}
		_, push, err := s.Certs.Push(ctx, s.DB)
		st.Push = err == nil
		st.PushKnown = err == nil || fault.CodeOf(err) == "push-cert.none"
		st.PushEnds, st.PushEndSoon = push.NotAfter, st.Push && push.NotAfter.Sub(s.Clock.Now()) < soon
		return st
	})
	return routed("/", page)
}

// routed names the route in the request's line of the log.
func routed(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		device.LineOf(r.Context()).Route = route
		next.ServeHTTP(w, r)
	})
}

// operations registers all of the API.
func (s *Server) operations(api huma.API) {
	s.apiDevices(api)
	s.apiWhy(api)
	s.apiConflicts(api)
	s.apiWho(api)
	s.apiLinks(api)
	s.apiProfiles(api)
	s.apiGroups(api)
	s.apiQueue(api)
	s.apiCertificates(api)
	s.apiPeople(api)
	s.apiWorld(api)
	s.apiImport(api)
	s.apiDeliveries(api)
	s.apiADE(api)
	s.apiArrivals(api)
}

func openAPI(api huma.API) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		device.LineOf(r.Context()).Route = apiPrefix + "/openapi.json"
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.OpenAPI()) // a client that hangs up reads no error
	}
}

// healthz says that the process lives.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	device.LineOf(r.Context()).Route = "/healthz"
	say(w, http.StatusOK, "ok")
}

// readyz says whether requests can be answered: the database is there and has
// the tables this program needs.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	device.LineOf(r.Context()).Route = "/readyz"
	var one int64
	if err := s.DB.Get(r.Context(), &one, `SELECT COUNT(*) FROM leases`); err != nil {
		device.LineOf(r.Context()).Err = err
		say(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	say(w, http.StatusOK, "ready")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // as above
}
