package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/clock"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// ipaPath takes files that are too large to be held: its body is not read before.
const ipaPath = "/apps/ipa"

// uploadPause is how long an upload may stand still. A whole one may take hours.
const uploadPause = time.Minute

// savedApp is an in-house app as it is now, and what its new version does to devices.
type savedApp struct {
	App
	Plan profiles.Plan `json:"plan"`
}

type ipaIn struct {
	OfTenant
	Wanting
	Name      string `query:"name" required:"true" maxLength:"255" doc:"Name to assign it by; of an in-house app there is: a new version of it"`
	HoldsData bool   `query:"holds_data" doc:"Of a new app: removing it loses what was made with it"`
	body      io.Reader
}

// Resolve implements huma.Resolver: the file is read as it comes.
func (in *ipaIn) Resolve(ctx huma.Context) []error {
	r, w := humamux.Unwrap(ctx)
	in.body = &patient{from: r.Body, line: http.NewResponseController(w)}
	return nil
}

// patient moves the limits of a request on as long as something comes.
type patient struct {
	from io.Reader
	line *http.ResponseController
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	now := clock.System().Now()                       // of the machine, as the connection's limits are
	_ = p.line.SetReadDeadline(now.Add(uploadPause))  // where there is none there is no limit
	_ = p.line.SetWriteDeadline(now.Add(uploadPause)) // as above; of the answer
	return p.from.Read(b)
}

func (s *Server) apiInHouse(api huma.API) {
	writeAfter(s, api, operation{http.MethodPost, ipaPath, "addIPA", auth.Change, "Take an .ipa, as the body: a new in-house app, or a new version of one", "apps", false},
		func(ctx context.Context, in *ipaIn) (profiles.Upload, error) {
			if _, err := s.asTenant(ctx, s.DB, in.Tenant); err != nil {
				return profiles.Upload{}, err
			}
			u, err := s.Profiles.TakeIPA(ctx, in.body)
			if err != nil {
				return u, err
			}
			a := askedOf(ctx) // the same key for another file is another request
			sum := sha256.Sum256([]byte(a.hash + u.SHA256))
			a.hash = hex.EncodeToString(sum[:])
			a.leftover = func() error { return s.Profiles.DropUpload(ctx, u) }
			return u, nil
		},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *ipaIn, u profiles.Upload) (out savedApp, err error) {
			tenant, codes, err := s.speaks(ctx, tx, in.Tenant)
			if err != nil {
				return out, err
			}
			p, err := s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
				a, err := s.Profiles.AddIPA(ctx, tx, by, tenant, in.Name, in.HoldsData, u)
				out.App = appOf(a, codes)
				return err
			})
			out.Plan = p.Plan
			return out, err
		})
}
