package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// CertificateCmd groups the identity certificates.
type CertificateCmd struct {
	List   CertificateListCmd   `cmd:"" help:"List the certificates our CA issued."`
	Revoke CertificateRevokeCmd `cmd:"" help:"Revoke a certificate: its device is refused from now on."`

	Refused CertificateRefusedCmd `cmd:"" help:"List certificates that were shown at the door and refused."`
}

type certificateDoc struct {
	Serial       string     `json:"serial"`
	Hash         string     `json:"hash"`
	EnrollmentID string     `json:"enrollment_id"`
	Device       string     `json:"device"`
	Purpose      string     `json:"purpose"`
	State        string     `json:"state"`
	NotAfter     *time.Time `json:"not_after"`
}

// CertificateListCmd is `ranzen certificate list`.
type CertificateListCmd struct {
	Remote
	Limited
	State string `placeholder:"S" help:"Only those in this state: issued, pinned, retired or revoked."`
}

// Run prints the certificates, newest first.
func (c *CertificateListCmd) Run(ctx context.Context, e env) error {
	q := url.Values{}
	if c.State != "" {
		q.Set("state", c.State)
	}
	var list []certificateDoc
	more := false
	return c.do(e, func(api *client) (err error) {
		list, more, err = listing[certificateDoc](ctx, api, "/certificates", q, c.Limit)
		return err
	}, func(api *client) {
		t := newTable("SERIAL", "STATE", "PURPOSE", "ENROLLMENT", "ENDS")
		for _, k := range list {
			t.add(k.Serial, k.State, k.Purpose, k.EnrollmentID, momentOf(k.NotAfter))
		}
		api.print(t, "No certificate fits.")
		if more {
			api.hint("There are more: --limit 0 shows all.")
		}
	})
}

// CertificateRevokeCmd is `ranzen certificate revoke`.
type CertificateRevokeCmd struct {
	Remote
	Serial string `arg:"" help:"The certificate's serial number: see ranzen certificate list."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stays in the audit log."`
	Yes    bool   `help:"Do not ask for confirmation."`
}

// Run revokes the certificate.
func (c *CertificateRevokeCmd) Run(ctx context.Context, e env) error {
	if !c.Yes {
		if err := e.confirm("The iPad with this certificate is refused from now on and must enroll again. Type yes to go on: ", "yes"); err != nil {
			return err
		}
	}
	return c.do(e, func(api *client) error {
		return api.post(ctx, at("certificates", c.Serial, "revoke"), map[string]any{"reason": c.Reason}, nil)
	}, func(api *client) { api.line("Certificate %s is revoked.", c.Serial) })
}

// CertificateRefusedCmd is `ranzen certificate refused`.
type CertificateRefusedCmd struct {
	Remote
	Limited
}

type refusalDoc struct {
	Reason       string    `json:"reason"`
	Hash         string    `json:"hash"`
	EnrollmentID string    `json:"enrollment_id"`
	Count        int64     `json:"count"`
	LastAt       time.Time `json:"last_at"`
}

// Run prints the refusals, the latest first.
func (c *CertificateRefusedCmd) Run(ctx context.Context, e env) error {
	var list []refusalDoc
	more := false
	return c.do(e, func(api *client) (err error) {
		list, more, err = listing[refusalDoc](ctx, api, "/refusals", nil, c.Limit)
		return err
	}, func(api *client) {
		t := newTable("REASON", "TIMES", "LAST", "ENROLLMENT", "CERTIFICATE")
		for _, r := range list {
			t.add(r.Reason, fmt.Sprint(r.Count), api.ago(r.LastAt), r.EnrollmentID, r.Hash)
		}
		api.print(t, "None was refused.")
		if more {
			api.hint("There are more: --limit 0 shows all.")
		}
	})
}

// UserCmd groups the people.
type UserCmd struct {
	Add    UserAddCmd    `cmd:"" help:"Add a person or program."`
	List   UserListCmd   `cmd:"" help:"List the people."`
	Remove UserRemoveCmd `cmd:"" help:"Remove a person and all of their tokens."`
}

type userDoc struct {
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Tenant    string    `json:"tenant"`
	CreatedAt time.Time `json:"created_at"`
}

// UserAddCmd is `ranzen user add`.
type UserAddCmd struct {
	Remote
	Name string `arg:"" help:"Name without spaces."`
	Role string `enum:"admin,viewer" default:"viewer" placeholder:"ROLE" help:"admin (may do everything) or viewer (may look)."`

	Tenant string `placeholder:"T" help:"Code of the tenant to bind the account to: it sees nothing of others. Default: the provider's, who see all."`
}

// Run adds the person.
func (c *UserAddCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error {
		return api.post(ctx, "/users", ForTenant{c.Tenant}.into(map[string]any{"name": c.Name, "role": c.Role}), nil)
	}, func(api *client) {
		api.line("%s is %s. Make a token with: ranzen token create --user %s --name PURPOSE", c.Name, c.Role, c.Name)
	})
}

// UserListCmd is `ranzen user list`.
type UserListCmd struct{ Remote }

// Run prints the people.
func (c *UserListCmd) Run(ctx context.Context, e env) error {
	var list []userDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[userDoc](ctx, api, "/users", nil, 0)
		return err
	}, func(api *client) {
		t := newTable("NAME", "ROLE", "TENANT", "SINCE")
		for _, u := range list {
			t.add(u.Name, u.Role, u.Tenant, moment(u.CreatedAt))
		}
		api.print(t, "There is nobody.")
	})
}

// UserRemoveCmd is `ranzen user remove`.
type UserRemoveCmd struct {
	Remote
	Name string `arg:"" help:"The person's name."`
}

// Run removes the person.
func (c *UserRemoveCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.delete(ctx, at("users", c.Name)) },
		func(api *client) { api.line("%s is removed, and all tokens with them.", c.Name) })
}

// TokenCmd groups the API tokens.
type TokenCmd struct {
	Create TokenCreateCmd `cmd:"" help:"Make an API token; it is shown this once."`
	List   TokenListCmd   `cmd:"" help:"List the tokens, without the tokens themselves."`
	Revoke TokenRevokeCmd `cmd:"" help:"End a token."`
}

type tokenDoc struct {
	ID        string     `json:"id"`
	User      string     `json:"user"`
	Name      string     `json:"name"`
	Token     string     `json:"token"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	UsedAt    *time.Time `json:"used_at"`
}

// TokenCreateCmd is `ranzen token create`.
type TokenCreateCmd struct {
	Remote
	User    string   `required:"" placeholder:"NAME" help:"Whose token it is."`
	Name    string   `required:"" placeholder:"PURPOSE" help:"What it is for."`
	Expires duration `placeholder:"TIME" help:"How long it is good: 72h, 90d. Default: until it is revoked."`
}

// Run prints the token and nothing else, so that it can go into a file.
func (c *TokenCreateCmd) Run(ctx context.Context, e env) error {
	body := map[string]any{"user": c.User, "name": c.Name}
	if c.Expires > 0 {
		body["expires_in"] = int64(time.Duration(c.Expires) / time.Second)
	}
	var doc tokenDoc
	return c.do(e, func(api *client) error { return api.post(ctx, "/tokens", body, &doc) }, func(api *client) {
		api.line("%s", doc.Token)
		api.hint("It is shown this once. Keep it like a password.")
	})
}

// TokenListCmd is `ranzen token list`.
type TokenListCmd struct{ Remote }

// Run prints the tokens.
func (c *TokenListCmd) Run(ctx context.Context, e env) error {
	var list []tokenDoc
	return c.do(e, func(api *client) (err error) {
		list, _, err = listing[tokenDoc](ctx, api, "/tokens", nil, 0)
		return err
	}, func(api *client) {
		t := newTable("ID", "USER", "FOR", "SINCE", "GOOD UNTIL", "LAST USED")
		for _, k := range list {
			t.add(k.ID, k.User, k.Name, moment(k.CreatedAt), momentOf(k.ExpiresAt), api.agoOf(k.UsedAt))
		}
		api.print(t, "There are no tokens.")
	})
}

// TokenRevokeCmd is `ranzen token revoke`.
type TokenRevokeCmd struct {
	Remote
	ID string `arg:"" help:"The token's id: see ranzen token list."`
}

// Run ends the token.
func (c *TokenRevokeCmd) Run(ctx context.Context, e env) error {
	return c.do(e, func(api *client) error { return api.delete(ctx, at("tokens", c.ID)) },
		func(api *client) { api.line("The token is revoked.") })
}

// AuditCmd groups the audit log.
type AuditCmd struct {
	List   AuditListCmd   `cmd:"" help:"List who did what, newest first."`
	Verify AuditVerifyCmd `cmd:"" help:"Check that nothing of the log was changed or taken away."`
}

type auditDoc struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
}

// AuditListCmd is `ranzen audit list`.
type AuditListCmd struct {
	Remote
	Limited
	Subject string `placeholder:"S" help:"Only what concerns this: device:ID, profile:ID, user:NAME."`
	Action  string `placeholder:"A" help:"Only this action: order.device.erase, profile.assign."`
}

// Run prints the log.
func (c *AuditListCmd) Run(ctx context.Context, e env) error {
	q := url.Values{}
	if c.Subject != "" {
		q.Set("subject", c.Subject)
	}
	if c.Action != "" {
		q.Set("action", c.Action)
	}
	var list []auditDoc
	more := false
	return c.do(e, func(api *client) (err error) {
		list, more, err = listing[auditDoc](ctx, api, "/audit", q, c.Limit)
		return err
	}, func(api *client) {
		t := newTable("WHEN", "WHO", "WHAT", "ABOUT")
		for _, a := range list {
			t.add(moment(a.At), a.Actor, a.Action, a.Subject)
		}
		api.print(t, "Nothing fits.")
		if more {
			api.hint("There are more: --limit 0 shows all.")
		}
	})
}

// AuditVerifyCmd is `ranzen audit verify`.
type AuditVerifyCmd struct{ Remote }

type verifyDoc struct {
	OK      bool   `json:"ok"`
	Entries int64  `json:"entries"`
	Seq     int64  `json:"seq"`
	Reason  string `json:"reason"`
	Head    string `json:"head"`
}

// Run fails when the chain is broken, in JSON too.
func (c *AuditVerifyCmd) Run(ctx context.Context, e env) error {
	var doc verifyDoc
	err := c.do(e, func(api *client) error { return api.get(ctx, "/audit/verify", nil, &doc) }, func(api *client) {
		if doc.OK {
			api.line("All %s entries are as they were written. Worth noting elsewhere, the last one's hash:", fmt.Sprint(doc.Entries))
			api.line("%s", doc.Head)
		}
	})
	if err == nil && !doc.OK {
		return failedf("The audit log is not as it was written: at place %d, %s", doc.Seq, plain(doc.Reason))
	}
	return err
}
