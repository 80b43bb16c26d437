package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
)

// adeToken is a server token without what is secret in it.
type adeToken struct {
	ID           string           `json:"id"`
	Tenant       string           `json:"tenant" doc:"Code of whose devices it brings"`
	Name         string           `json:"name"`
	Imported     bool             `json:"imported" doc:"false: only the key is there, and its certificate waits to be uploaded"`
	ServerName   string           `json:"server_name" doc:"What the MDM server is called in Apple School Manager"`
	Organization string           `json:"organization"`
	ExpiresAt    *time.Time       `json:"expires_at"`
	SyncedAt     *time.Time       `json:"synced_at" doc:"When Apple last answered well"`
	FullAt       *time.Time       `json:"full_at" doc:"When the whole list was last read"`
	DueAt        *time.Time       `json:"due_at" doc:"When Apple is asked next"`
	Reading      bool             `json:"reading" doc:"The whole list is being read"`
	Problem      string           `json:"problem" example:"ade.terms" doc:"Code of what is wrong; empty: nothing"`
	ProblemText  string           `json:"problem_text" doc:"What is wrong, and who can do something about it"`
	ProblemAt    *time.Time       `json:"problem_at" doc:"Since when"`
	Missing      int64            `json:"missing" doc:"So many were missing in the last whole list; nothing was removed, and a person is asked"`
	Counts       map[string]int64 `json:"counts" doc:"Serial numbers by status"`
}

func adeTokenOf(t certs.ADEToken, y enroll.ADESyncState, codes map[string]string) adeToken {
	counts := y.Counts
	if counts == nil {
		counts = map[string]int64{}
	}
	return adeToken{
		ID: t.ID, Tenant: codes[t.TenantID], Name: t.Name, Imported: t.Version > 0, ServerName: t.ServerName, Organization: t.OrgName,
		ExpiresAt: when(t.ExpiresAt), SyncedAt: when(y.OKAt), FullAt: when(y.FullAt), DueAt: when(y.DueAt), Reading: y.Reading,
		Problem: y.Problem, ProblemText: enroll.ADEProblem(y.Problem), ProblemAt: when(y.ProblemAt), Missing: y.Missing, Counts: counts,
	}
}

type adeKey struct {
	Token       adeToken `json:"token"`
	Certificate string   `json:"certificate" doc:"PEM, to be uploaded to the MDM server in Apple School Manager"`
}

// OneADEToken names a server token in the address.
type OneADEToken struct {
	Token named `path:"token" doc:"The server token's name or id"`
	OfTenant
}

// adeRef finds a token among those that whoever asks may see.
func (s *Server) adeRef(ctx context.Context, q sqldb.Queryer, in OneADEToken) (certs.ADEToken, map[string]string, error) {
	tenant, codes, err := s.speaks(ctx, q, in.Tenant)
	if err != nil {
		return certs.ADEToken{}, nil, err
	}
	t, err := s.Certs.ADETokenByRef(ctx, q, tenant, in.Token.text)
	return t, codes, err
}

// apiADE is Automated Device Enrollment.
func (s *Server) apiADE(api huma.API) {
	read(s, api, operation{http.MethodGet, "/ade/tokens", "listADETokens", auth.Look, "List the server tokens of Apple School Manager, and how reading their lists goes", "ade", false}, s.listADETokens)
	type newKey struct {
		Body struct {
			Name   string `json:"name" maxLength:"255" doc:"Such as the organization's"`
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant whose devices it brings"`
		}
	}
	write(s, api, operation{http.MethodPost, "/ade/tokens", "createADEKey", auth.Change, "Make a key for an MDM server in Apple School Manager; the same name gives the same certificate again", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newKey) (adeKey, error) {
			tenant, err := s.tenantFor(ctx, tx, in.Body.Tenant)
			if err != nil {
				return adeKey{}, err
			}
			t, pem, err := s.Certs.NewADEKey(ctx, tx, by, tenant.ID, in.Body.Name)
			return adeKey{adeTokenOf(t, enroll.ADESyncState{}, map[string]string{tenant.ID: tenant.Code}), string(pem)}, err
		})
	s.apiADEImport(api)
	type syncToken struct {
		OneADEToken
		Body struct {
			Full bool `json:"full,omitempty" doc:"Read the whole list again"`
		}
	}
	write(s, api, operation{http.MethodPost, "/ade/tokens/{token}/sync", "syncADEToken", auth.Change, "Have Apple asked at once", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *syncToken) (nothing, error) {
			t, _, err := s.adeRef(ctx, tx, in.OneADEToken)
			if err != nil {
				return nothing{}, err
			}
			tx.AfterCommit(func() { s.hurry(adeSync) })
			return nothing{}, s.Enroll.RequestSync(ctx, tx, by, t.ID, in.Body.Full)
		})
	type accepted struct {
		Removed int64 `json:"removed" doc:"So many are no longer counted as this server's at Apple; the devices stay"`
	}
	write(s, api, operation{http.MethodPost, "/ade/tokens/{token}/accept-missing", "acceptMissingADE", auth.Change, "Believe that what was missing in Apple's last list is gone from there", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *OneADEToken) (accepted, error) {
			t, _, err := s.adeRef(ctx, tx, *in)
			if err != nil {
				return accepted{}, err
			}
			n, err := s.Enroll.AcceptMissing(ctx, tx, by, t.ID)
			return accepted{n}, err
		})
	write(s, api, operation{http.MethodDelete, "/ade/tokens/{token}", "removeADEToken", auth.Change, "Forget a server token and its key; nothing changes at Apple", "ade", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *OneADEToken) (nothing, error) {
			t, _, err := s.adeRef(ctx, tx, *in)
			if err != nil {
				return nothing{}, err
			}
			if err := s.Enroll.ForgetADE(ctx, tx, t.ID); err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Certs.RemoveADE(ctx, tx, by, t.ID)
		})
	read(s, api, operation{http.MethodGet, "/ade/devices", "listADEDevices", auth.Look, "List serial numbers by what Apple says of them, and what is asked of Apple", "ade", false}, s.listADEDevices)
	s.apiADEProfiles(api)
}

// apiADEImport is the one write that asks Apple first.
func (s *Server) apiADEImport(api huma.API) {
	type file struct {
		OfTenant
		Name    string `query:"name" maxLength:"255" doc:"Of the key it was made for; without it all keys are tried"`
		RawBody []byte `contentType:"application/pkcs7-mime"`
	}
	open := func(ctx context.Context, asked, name string, b []byte) (enroll.OpenedToken, error) {
		tenant, err := s.asTenant(ctx, s.DB, asked)
		if err != nil {
			return enroll.OpenedToken{}, err
		}
		return s.Enroll.OpenToken(ctx, tenant, name, b)
	}
	keep := func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, asked string, o enroll.OpenedToken) (adeToken, error) {
		_, codes, err := s.speaks(ctx, tx, asked)
		if err != nil {
			return adeToken{}, err
		}
		tx.AfterCommit(func() { s.hurry(adeSync) })
		t, err := s.Enroll.ImportToken(ctx, tx, by, o)
		return adeTokenOf(t, enroll.ADESyncState{}, codes), err
	}
	writeAfter(s, api, operation{http.MethodPost, "/ade/tokens/import", "importADEToken", auth.Change, "Take a server token (.p7m) that Apple School Manager gave out", "ade", false},
		func(ctx context.Context, in *file) (enroll.OpenedToken, error) {
			return open(ctx, in.Tenant, in.Name, in.RawBody)
		},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *file, o enroll.OpenedToken) (adeToken, error) {
			return keep(ctx, tx, by, in.Tenant, o)
		})
	type fileFor struct {
		OneADEToken
		RawBody []byte `contentType:"application/pkcs7-mime"`
	}
	writeAfter(s, api, operation{http.MethodPost, "/ade/tokens/{token}/import", "renewADEToken", auth.Change, "Take a server token (.p7m) for a certain key", "ade", false},
		func(ctx context.Context, in *fileFor) (enroll.OpenedToken, error) {
			return open(ctx, in.Tenant, in.Token.text, in.RawBody)
		},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *fileFor, o enroll.OpenedToken) (adeToken, error) {
			return keep(ctx, tx, by, in.Tenant, o)
		})
}

func (s *Server) listADETokens(ctx context.Context, in *PagedOf) (list[adeToken], error) {
	tenant, codes, err := s.speaks(ctx, s.DB, in.Tenant)
	if err != nil {
		return list[adeToken]{}, err
	}
	tokens, err := s.Certs.ADETokens(ctx, s.DB, tenant)
	if err != nil {
		return list[adeToken]{}, err
	}
	states, err := s.Enroll.ADESyncs(ctx, s.DB, tenant)
	one := func(t certs.ADEToken) adeToken { return adeTokenOf(t, states[t.ID], codes) }
	return few(&in.Paged, mapped(tokens, one), func(t adeToken) string { return t.ID }), err
}
