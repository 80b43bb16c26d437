package enroll

import (
	"context"

	"ranzen/certs"
	"ranzen/internal/apple/ade"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// OpenedToken is a server token that was decrypted, with Apple's word whose it
// is. Nothing of it is stored yet.
type OpenedToken struct {
	token   certs.ADEToken
	secrets ade.Token
	account ade.Account
}

// OpenToken decrypts a server token and asks Apple whose it is, outside of any
// transaction. Nothing stays of it when Apple does not answer.
func (r *Room) OpenToken(ctx context.Context, tenantID, name string, file []byte) (OpenedToken, error) {
	tok, secrets, err := r.Certs.OpenP7M(ctx, r.DB, tenantID, name, file)
	if err != nil {
		return OpenedToken{}, err
	}
	if r.Apple == nil {
		return OpenedToken{}, fault.New(fault.Conflict, "ade.off", "This server does not speak with Apple's device assignment service.")
	}
	// A session of its own: that of the token in use is another's.
	account, err := r.Apple.Account(ctx, tok.ID+"/import/"+sqldb.NewID(), secrets)
	if err != nil {
		return OpenedToken{}, unopened(err)
	}
	return OpenedToken{tok, secrets, account}, nil
}

func unopened(err error) error {
	code, _ := adeTrouble(err, 0)
	switch code {
	case adeTerms:
		return fault.New(fault.Upstream, code, "%s. Then import the token again; nothing was stored.", ADEProblem(code)).With(err)
	case adeRefused:
		return fault.New(fault.Invalid, "ade.token-refused",
			"Apple does not take this server token: a newer one was downloaded since, or its MDM server was removed. Download it again in Apple School Manager and import that file.").On("file").With(err)
	}
	return fault.New(fault.Upstream, code,
		"Apple did not tell whose this server token is, so nothing was stored. See that this server reaches mdmenrollment.apple.com, and import the token again.").With(err)
}

// ImportToken takes an opened token into custody and has its list read at once.
func (r *Room) ImportToken(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, o OpenedToken) (certs.ADEToken, error) {
	tok, err := r.Certs.ImportADE(ctx, tx, actor, o.token.ID, o.secrets, o.account)
	if err != nil {
		return tok, err
	}
	if err := insertADESync(ctx, tx, tok.ID, r.Clock.Now()); err != nil {
		return tok, err
	}
	_, err = hurryADE(ctx, tx, tok.ID, r.Clock.Now())
	return tok, err
}
