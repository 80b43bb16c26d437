package certs

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/apple/ade"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// ADEToken is one MDM server in Apple School Manager: our key for it, and the
// server token that Apple encrypted to that key.
type ADEToken struct {
	ID, TenantID, Name     string
	Version                int64 // rises with each import; 0: only the key is there
	ServerUUID, ServerName string
	OrgID, OrgName         string
	ExpiresAt              time.Time
	CreatedAt, UpdatedAt   time.Time
}

// Key names the token's session at Apple: another import is another session.
func (t ADEToken) Key() string { return fmt.Sprintf("%s/%d", t.ID, t.Version) }

// adeKeyLife is how long the certificate lasts that is uploaded to Apple School
// Manager. It carries one encryption a year and proves nothing, so it outlives
// the server rather than fail a renewal.
const adeKeyLife = 20 * 365 * 24 * time.Hour

const maxADEName = 60

func cleanADEName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxADEName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "ade.name", "Say a name of 1 to %d characters for the server token, such as the organization's.", maxADEName).On("name")
	}
	return name, nil
}

// NewADEKey makes the key pair for an MDM server in Apple School Manager. The
// certificate is uploaded there; the key never leaves this server. Asked again
// with the same name it gives the same certificate, so that a token of whichever
// download finds its key.
func (r *Room) NewADEKey(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string) (ADEToken, []byte, error) {
	name, err := cleanADEName(name)
	if err != nil {
		return ADEToken{}, nil, err
	}
	if known, err := adeNamed(ctx, tx, tenantID, name); err != nil || known.ID != "" {
		return known.token(), certPEM(known.CertDER), err
	}
	pair, err := r.makePair(RSA2048, keyPair{}, &x509.Certificate{ // Apple takes RSA only
		Subject:  pkix.Name{CommonName: "Ranzen " + name, Organization: []string{"Ranzen"}},
		NotAfter: r.clock.Now().Add(adeKeyLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	})
	if err != nil {
		return ADEToken{}, nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(pair.key)
	if err != nil {
		return ADEToken{}, nil, fmt.Errorf("make a key for Apple: %w", err)
	}
	row := adeRow{ID: sqldb.NewID(), TenantID: tenantID, Name: name, CertDER: pair.cert.Raw, CreatedAt: sqldb.At(r.clock.Now()), UpdatedAt: sqldb.At(r.clock.Now())}
	if row.KeySealed, err = r.vault.Seal("ade.key:"+row.ID, plain); err != nil {
		return ADEToken{}, nil, err
	}
	n, err := insertADE(ctx, tx, row)
	if err != nil {
		return ADEToken{}, nil, err
	}
	if n == 0 { // another request was first
		known, err := adeNamed(ctx, tx, tenantID, name)
		return known.token(), certPEM(known.CertDER), err
	}
	err = r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "ade.key", Subject: "ade-token:" + row.ID, Detail: map[string]any{"name": name}})
	return row.token(), certPEM(row.CertDER), err
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func adeNamed(ctx context.Context, q sqldb.Queryer, tenantID, name string) (adeRow, error) {
	rows, err := adeRows(ctx, q, tenantID)
	for _, row := range rows {
		if row.TenantID == tenantID && row.Name == name {
			return row, nil
		}
	}
	return adeRow{}, err
}

// ADETokens lists the tokens of a tenant by name; "" is all tenants.
func (r *Room) ADETokens(ctx context.Context, q sqldb.Queryer, tenantID string) ([]ADEToken, error) {
	rows, err := adeRows(ctx, q, tenantID)
	out := make([]ADEToken, len(rows))
	for i, row := range rows {
		out[i] = row.token()
	}
	return out, err
}

// ADETokenByRef gives a token of a tenant by its id or name; "" is all tenants.
// Without a ref it is the only one there is.
func (r *Room) ADETokenByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (ADEToken, error) {
	rows, err := adeRows(ctx, q, tenantID)
	if err != nil {
		return ADEToken{}, err
	}
	var fits []adeRow
	for _, row := range rows {
		if row.ID == ref {
			return row.token(), nil
		}
		if ref == "" || row.Name == ref {
			fits = append(fits, row)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0].token(), nil
	case len(fits) > 1:
		return ADEToken{}, fault.New(fault.Conflict, "ade.ambiguous", "Several server tokens fit. Say the id of one; `ranzen ade token show` lists them.").On("token")
	case ref == "" && len(rows) == 0:
		return ADEToken{}, fault.New(fault.NotFound, "ade.unknown", "There is no server token yet. Begin with `ranzen ade key --name N`.").On("token")
	}
	return ADEToken{}, noSuchADE()
}

func noSuchADE() *fault.Fault {
	return fault.New(fault.NotFound, "ade.unknown", "There is no such server token. `ranzen ade token show` lists those there are.").On("token")
}

// ADESecrets opens a token for use. It gives the token's row as it is now, so
// that a call goes with the version it was opened with.
func (r *Room) ADESecrets(ctx context.Context, q sqldb.Queryer, tokenID string) (ADEToken, ade.Token, error) {
	row, err := adeByID(ctx, q, tokenID, "")
	if errors.Is(err, sqldb.ErrNoRows) {
		return ADEToken{}, ade.Token{}, noSuchADE()
	}
	if err != nil {
		return ADEToken{}, ade.Token{}, fmt.Errorf("read a server token: %w", err)
	}
	if row.Version == 0 {
		return row.token(), ade.Token{}, fault.New(fault.Conflict, "ade.no-token",
			"There is a key for %q, but no server token yet. Upload its certificate in Apple School Manager, download the token there and import it with `ranzen ade token import FILE`.", row.Name)
	}
	secrets, err := r.openADE(row)
	return row.token(), secrets, err
}

// storedToken is a token as it rests under seal.
type storedToken struct {
	ConsumerKey    string    `json:"consumer_key"`
	ConsumerSecret string    `json:"consumer_secret"`
	AccessToken    string    `json:"access_token"`
	AccessSecret   string    `json:"access_secret"`
	Expiry         time.Time `json:"access_token_expiry"`
}

func (s storedToken) token() ade.Token {
	return ade.Token{
		ConsumerKey: fault.Secret(s.ConsumerKey), ConsumerSecret: fault.Secret(s.ConsumerSecret),
		AccessToken: fault.Secret(s.AccessToken), AccessSecret: fault.Secret(s.AccessSecret), Expiry: s.Expiry.UTC(),
	}
}

func (r *Room) openADE(row adeRow) (ade.Token, error) {
	plain, err := r.vault.Open("ade.token:"+row.ID, row.TokenSealed)
	if err != nil {
		return ade.Token{}, err
	}
	var s storedToken
	if err := json.Unmarshal(plain, &s); err != nil {
		return ade.Token{}, errors.New("read a stored server token: it is not as it was written")
	}
	return s.token(), nil
}

func (r *Room) sealADE(id string, t ade.Token) ([]byte, error) {
	plain, err := json.Marshal(storedToken{t.ConsumerKey.Open(), t.ConsumerSecret.Open(), t.AccessToken.Open(), t.AccessSecret.Open(), t.Expiry})
	if err != nil {
		return nil, errors.New("write a server token")
	}
	return r.vault.Seal("ade.token:"+id, plain)
}
