package certs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/apple/ade"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// OpenP7M decrypts a server token as Apple School Manager gives it out, with the
// key it was made for: among all keys of a tenant ("" is all tenants), or only
// the one called name. It writes nothing: whose token it is must be asked of
// Apple before ImportADE.
func (r *Room) OpenP7M(ctx context.Context, q sqldb.Queryer, tenantID, name string, file []byte) (ADEToken, ade.Token, error) {
	envelope, err := readP7M(file)
	if err != nil {
		return ADEToken{}, ade.Token{}, err
	}
	rows, err := adeRows(ctx, q, tenantID)
	if err != nil {
		return ADEToken{}, ade.Token{}, err
	}
	tried := 0
	for _, row := range rows {
		if name != "" && row.Name != name && row.ID != name {
			continue
		}
		tried++
		plain, err := r.openWith(row, envelope)
		if err != nil {
			return ADEToken{}, ade.Token{}, err
		}
		if plain == nil {
			continue
		}
		secrets, err := readToken(plain)
		if err != nil {
			return ADEToken{}, ade.Token{}, err
		}
		if now := r.clock.Now(); !secrets.Expiry.After(now) {
			return ADEToken{}, ade.Token{}, fault.New(fault.Invalid, "ade.expired",
				"This server token ended on %s. Download a new one in Apple School Manager and import that.", secrets.Expiry.Format(time.DateOnly)).On("file")
		}
		return row.token(), secrets, nil
	}
	if tried == 0 && name != "" {
		return ADEToken{}, ade.Token{}, noSuchADE()
	}
	if tried == 0 {
		return ADEToken{}, ade.Token{}, fault.New(fault.Conflict, "ade.no-key",
			"There is no key that a server token could be for. Make one with `ranzen ade key --name N`, upload its certificate in Apple School Manager, and download the token after that.")
	}
	return ADEToken{}, ade.Token{}, fault.New(fault.Invalid, "ade.other-key",
		"This server token was encrypted to another key than ours. In Apple School Manager, upload the certificate of `ranzen ade key` to the MDM server, save, download the token again and import that file.").On("file")
}

// openWith is nil when the envelope is for another key.
func (r *Room) openWith(row adeRow, envelope []byte) ([]byte, error) {
	pair, err := r.adePair(row)
	if err != nil {
		return nil, err
	}
	plain, err := openEnvelope(envelope, pair)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // wrong key and damaged look alike
	}
	return plain, nil
}

// ImportADE takes an opened server token into custody. The first import pins
// Apple's server and organization; a token of another is refused, since the
// devices of the first would be taken for missing. account is what Apple said
// about this very token. Importing the same one twice is the same as once.
func (r *Room) ImportADE(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tokenID string, secrets ade.Token, account ade.Account) (ADEToken, error) {
	row, err := adeByID(ctx, tx, tokenID, tx.ForUpdate())
	if errors.Is(err, sqldb.ErrNoRows) {
		return ADEToken{}, noSuchADE()
	}
	if err != nil {
		return ADEToken{}, fmt.Errorf("read a server token: %w", err)
	}
	if err := sameServer(row, account); err != nil {
		return ADEToken{}, err
	}
	if n, err := otherADE(ctx, tx, account.ServerUUID, row.ID); err != nil || n > 0 {
		if err == nil {
			err = fault.New(fault.Conflict, "ade.server-taken",
				"The token of the server %q at Apple is here already under another name. Renew that one, or make another MDM server in Apple School Manager.", account.ServerName).On("file")
		}
		return ADEToken{}, err
	}
	if row.Version > 0 {
		old, err := r.openADE(row)
		if err != nil {
			return ADEToken{}, err
		}
		if old.AccessToken == secrets.AccessToken {
			return row.token(), nil
		}
		if secrets.Expiry.Before(row.ExpiresAt.Time) {
			return ADEToken{}, fault.New(fault.Conflict, "ade.older",
				"This server token ends on %s, sooner than the one in use, which ends on %s. Import the newer file.",
				secrets.Expiry.Format(time.DateOnly), row.ExpiresAt.Format(time.DateOnly)).On("file")
		}
	}
	if row.TokenSealed, err = r.sealADE(row.ID, secrets); err != nil {
		return ADEToken{}, err
	}
	row.Version++
	row.ServerUUID, row.ServerName, row.OrgID, row.OrgName = account.ServerUUID, account.ServerName, account.OrgID, account.OrgName
	row.ExpiresAt, row.UpdatedAt = sqldb.At(secrets.Expiry.UTC().Truncate(time.Millisecond)), sqldb.At(r.clock.Now())
	if err := updateADE(ctx, tx, row); err != nil {
		return ADEToken{}, err
	}
	return row.token(), r.log.Append(ctx, tx, audit.Event{
		Actor: actor, Action: "ade.import", Subject: "ade-token:" + row.ID,
		Detail: map[string]any{"server": account.ServerName, "organization": account.OrgName, "expires_at": secrets.Expiry.UTC().Format(time.RFC3339)},
	})
}

// sameServer compares with what the first import pinned. An organization that
// renamed itself keeps its identifier; a server may be renamed too.
func sameServer(row adeRow, a ade.Account) error {
	if row.ServerUUID == "" {
		return nil
	}
	otherOrg := row.OrgName != a.OrgName
	if row.OrgID != "" && a.OrgID != "" {
		otherOrg = row.OrgID != a.OrgID
	}
	if otherOrg {
		return fault.New(fault.Conflict, "ade.other-organization",
			"This token belongs to %q; expected %q. Sign in to Apple School Manager as that organization and download the token there.", a.OrgName, row.OrgName).On("file")
	}
	if row.ServerUUID != a.ServerUUID {
		return fault.New(fault.Conflict, "ade.other-server",
			"This token belongs to the MDM server %q; expected %q. Download the token of that server in Apple School Manager; for another server make another key first.",
			a.ServerName, row.ServerName).On("file")
	}
	return nil
}

// RemoveADE forgets a token and its key. What Apple has is not touched.
func (r *Room) RemoveADE(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tokenID string) error {
	row, err := adeByID(ctx, tx, tokenID, tx.ForUpdate())
	if errors.Is(err, sqldb.ErrNoRows) {
		return noSuchADE()
	}
	if err != nil {
		return fmt.Errorf("read a server token: %w", err)
	}
	if err := removeADE(ctx, tx, row.ID, sqldb.At(r.clock.Now())); err != nil {
		return err
	}
	return r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "ade.remove", Subject: "ade-token:" + row.ID, Detail: map[string]any{"name": row.Name}})
}
