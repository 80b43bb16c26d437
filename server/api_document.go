package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// documentPath takes all that is wished at once.
const documentPath = "/document"

// applied is what a document changes, in what is wished and on devices.
type applied struct {
	Planned
	Edits []profiles.Edit `json:"edits" doc:"What it changes in what is wished"`
}

type secret struct {
	Name      string    `json:"name"`
	UpdatedAt time.Time `json:"updated_at"`
}

// apiDocument is desired state as files say it.
func (s *Server) apiDocument(api huma.API) {
	read(s, api, operation{http.MethodGet, documentPath, "exportDocument", auth.Look, "All that is wished for a tenant, or by the provider; applying it changes nothing", "document", false},
		func(ctx context.Context, in *OfTenant) (doc profiles.Document, err error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return doc, err
			}
			err = s.DB.Read(ctx, func(q sqldb.Queryer) error {
				doc, err = s.Profiles.ExportDocument(ctx, q, tenant, scoper{s})
				return err
			})
			return doc, err
		})
	type whole struct {
		OfTenant
		Wanting
		RemoveAll bool `query:"remove_all" doc:"It is meant that nothing shall be left"`
		Body      profiles.Document
	}
	write(s, api, operation{http.MethodPost, documentPath, "applyDocument", auth.Change, "Make what is wished what the document says: all or nothing", "document", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *whole) (out applied, err error) {
			tenant, err := s.asTenant(ctx, tx, in.Tenant)
			if err != nil {
				return out, err
			}
			out.Planned, err = s.propose(ctx, tx, &in.Wanting, func(ctx context.Context, tx *sqldb.Tx) error {
				out.Edits, err = s.Profiles.ApplyDocument(ctx, tx, by, tenant, in.Body, scoper{s}, in.RemoveAll)
				return err
			})
			return out, err
		})
	read(s, api, operation{http.MethodGet, "/secrets", "listSecrets", auth.Look, "Names of the secrets that files refer to", "document", false},
		func(ctx context.Context, in *PagedOf) (list[secret], error) {
			tenant, err := s.asTenant(ctx, s.DB, in.Tenant)
			if err != nil {
				return list[secret]{}, err
			}
			all, err := s.Profiles.Secrets(ctx, s.DB, tenant)
			one := func(x profiles.Secret) secret { return secret{x.Name, x.UpdatedAt} }
			return few(&in.Paged, mapped(all, one), func(x secret) string { return x.Name }), err
		})
	type keep struct {
		Body struct {
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose it is; the provider's if there is none"`
			Name   string `json:"name" maxLength:"255"`
			Value  string `json:"value" maxLength:"65536"`
		}
	}
	write(s, api, operation{http.MethodPost, "/secrets", "setSecret", auth.Change, "Keep a secret that files refer to as stored:NAME; the same name again takes its place", "document", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *keep) (secret, error) {
			tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
			if err != nil {
				return secret{}, err
			}
			x, err := s.Profiles.SetSecret(ctx, tx, by, tenant, in.Body.Name, fault.Secret(in.Body.Value))
			return secret{x.Name, x.UpdatedAt}, err
		})
	type one struct {
		OfTenant
		Name named `path:"secret"`
	}
	write(s, api, operation{http.MethodDelete, "/secrets/{secret}", "removeSecret", auth.Change, "Forget a secret; profiles that were made with it keep it", "document", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *one) (nothing, error) {
			tenant, err := s.asTenant(ctx, tx, in.Tenant)
			if err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Profiles.RemoveSecret(ctx, tx, by, tenant, in.Name.text)
		})
}

// scoper is how documents name scopes and devices.
type scoper struct{ *Server }

// Scope implements profiles.Scoper.
func (s scoper) Scope(ctx context.Context, q sqldb.Queryer, tenantID, text string) (profiles.Scope, error) {
	return s.scope(ctx, q, tenantID, text)
}

// Text implements profiles.Scoper.
func (s scoper) Text(ctx context.Context, q sqldb.Queryer, scopes []profiles.Scope) (map[profiles.Scope]string, error) {
	asked := make([]schools.Scope, 0, len(scopes))
	for _, one := range scopes {
		asked = append(asked, schools.Scope(one))
	}
	called, err := s.Schools.Called(ctx, q, asked)
	if err != nil {
		return nil, err
	}
	out := map[profiles.Scope]string{{Kind: "all"}: "all"}
	for one, c := range called {
		out[profiles.Scope(one)] = one.Kind + ":" + c.Name
	}
	return out, nil
}

// Device implements profiles.Scoper.
func (s scoper) Device(ctx context.Context, q sqldb.Queryer, tenantID, serial string) (string, error) {
	return s.views.Resolve(ctx, q, tenantID, serial)
}

// Moved implements profiles.Scoper.
func (s scoper) Moved(ctx context.Context, tx *sqldb.Tx, deviceIDs ...string) error {
	return s.moved(ctx, tx, deviceIDs...)
}
