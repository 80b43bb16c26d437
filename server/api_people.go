package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

type user struct {
	Name      string    `json:"name"`
	Role      string    `json:"role" enum:"admin,viewer"`
	Tenant    string    `json:"tenant" doc:"Code of the tenant the account is bound to; empty: the provider's, who sees all"`
	CreatedAt time.Time `json:"created_at"`
}

func userOf(u auth.User, codes map[string]string) user {
	return user{u.Name, string(u.Role), codes[u.TenantID], u.CreatedAt}
}

type token struct {
	ID        string     `json:"id"`
	User      string     `json:"user"`
	Name      string     `json:"name" doc:"What it is for"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	UsedAt    *time.Time `json:"used_at"`
	Token     string     `json:"token,omitempty" doc:"The token itself, in the answer that made it and never again"`
}

func tokenOf(t auth.Token) token {
	return token{ID: t.ID, User: t.User, Name: t.Name, CreatedAt: t.CreatedAt, ExpiresAt: when(t.ExpiresAt), UsedAt: when(t.UsedAt)}
}

type event struct {
	ID      string         `json:"id"`
	At      time.Time      `json:"at"`
	Actor   string         `json:"actor" example:"user:admin"`
	Action  string         `json:"action" example:"device.rename"`
	Subject string         `json:"subject" example:"device:018f…"`
	Detail  map[string]any `json:"detail"`
	Seq     int64          `json:"seq" doc:"Place in the chain; 0 while it waits for it"`
	Hash    string         `json:"hash"`
}

func eventOf(e audit.Entry) event {
	return event{e.ID, e.At, string(e.Actor), e.Action, e.Subject, e.Detail, e.Seq, e.Hash}
}

type verified struct {
	OK      bool   `json:"ok"`
	Entries int64  `json:"entries" doc:"Chained entries that were checked"`
	Waiting int64  `json:"waiting" doc:"Not yet chained"`
	Seq     int64  `json:"seq" doc:"The first place where the chain breaks"`
	Reason  string `json:"reason" doc:"What is wrong there"`
	Head    string `json:"head" doc:"Hash of the last entry: worth noting elsewhere"`
}

func (s *Server) apiPeople(api huma.API) {
	read(s, api, operation{http.MethodGet, "/users", "listUsers", auth.People, "List the people", "people", false},
		func(ctx context.Context, in *Paged) (list[user], error) {
			codes, err := views.TenantCodes(ctx, s.DB, own(ctx))
			if err != nil {
				return list[user]{}, err
			}
			us, err := s.Auth.Users(ctx, s.DB, own(ctx))
			one := func(u auth.User) user { return userOf(u, codes) }
			return few(in, mapped(us, one), func(u user) string { return u.Name }), err
		})
	type newUser struct {
		Body struct {
			Name   string `json:"name" maxLength:"255"`
			Role   string `json:"role" enum:"admin,viewer"`
			Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"Code or id of the tenant to bind the account to; the provider's if there is none"`
		}
	}
	write(s, api, operation{http.MethodPost, "/users", "addUser", auth.People, "Add a person or program", "people", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newUser) (user, error) {
			tenant, err := s.asTenant(ctx, tx, in.Body.Tenant)
			if err != nil {
				return user{}, err
			}
			codes, err := views.TenantCodes(ctx, tx, own(ctx))
			if err != nil {
				return user{}, err
			}
			u, err := s.Auth.AddUser(ctx, tx, by, tenant, in.Body.Name, auth.Role(in.Body.Role))
			return userOf(u, codes), err
		})
	type oneUser struct {
		User named `path:"user"`
	}
	write(s, api, operation{http.MethodDelete, "/users/{user}", "removeUser", auth.People, "Remove a person and all of their tokens", "people", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *oneUser) (nothing, error) {
			return nothing{}, s.Auth.RemoveUser(ctx, tx, by, own(ctx), in.User.text)
		})
	read(s, api, operation{http.MethodGet, "/tokens", "listTokens", auth.People, "List the tokens, without the tokens themselves", "people", false},
		func(ctx context.Context, in *Paged) (list[token], error) {
			ts, err := s.Auth.Tokens(ctx, s.DB, own(ctx))
			return few(in, mapped(ts, tokenOf), func(t token) string { return t.ID }), err
		})
	type newToken struct {
		Body struct {
			User      string `json:"user" maxLength:"255"`
			Name      string `json:"name" maxLength:"255" doc:"What it is for"`
			ExpiresIn int64  `json:"expires_in,omitempty" minimum:"0" maximum:"4000000000" doc:"Seconds; 0: never"`
		}
	}
	write(s, api, operation{http.MethodPost, "/tokens", "createToken", auth.People, "Make an API token", "people", true},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *newToken) (token, error) {
			t, secret, err := s.Auth.CreateToken(ctx, tx, by, auth.TokenSpec{TenantID: own(ctx), User: in.Body.User, Name: in.Body.Name, Expires: time.Duration(in.Body.ExpiresIn) * time.Second})
			out := tokenOf(t)
			out.Token = secret.Open()
			return out, err
		})
	type oneToken struct {
		Token named `path:"token"`
	}
	write(s, api, operation{http.MethodDelete, "/tokens/{token}", "revokeToken", auth.People, "End a token", "people", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *oneToken) (nothing, error) {
			return nothing{}, s.Auth.RevokeToken(ctx, tx, by, own(ctx), in.Token.text)
		})
	s.apiAudit(api)
}

func (s *Server) apiAudit(api huma.API) {
	type filter struct {
		Paged
		Subject string `query:"subject" maxLength:"255"`
		Action  string `query:"action" maxLength:"255"`
	}
	read(s, api, operation{http.MethodGet, "/audit", "listAudit", auth.Look, "Who did what, newest first", "audit", false},
		func(ctx context.Context, in *filter) (list[event], error) {
			// An event names no tenant. A tenant's people read the timelines of their devices.
			if err := s.provider(ctx); err != nil {
				return list[event]{}, err
			}
			entries, err := s.Audit.List(ctx, s.DB, audit.Filter{Subject: in.Subject, Action: in.Action, After: in.After, Limit: in.Limit})
			out := all(mapped(entries, eventOf))
			if len(entries) == in.Limit {
				out.Next = entries[len(entries)-1].ID
			}
			return out, err
		})
	read(s, api, operation{http.MethodGet, "/audit/verify", "verifyAudit", auth.People, "Check that nothing of the log was changed or taken away", "audit", false},
		func(ctx context.Context, _ *struct{}) (verified, error) {
			if err := s.provider(ctx); err != nil {
				return verified{}, err
			}
			v, err := s.Audit.Verify(ctx)
			return verified{v.OK, v.Events, v.Waiting, v.Seq, v.Reason, v.Head}, err
		})
}
