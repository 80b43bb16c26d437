package profiles

import (
	"context"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// storedPrefix begins a reference to a secret that the server keeps.
const storedPrefix = "stored:"

func storedRef(profile, path string) string { return storedPrefix + profile + "/" + path }

// isSecret tells by its name whether a key of a payload holds a secret: Apple's
// schema does not say. Only texts and data count, so that allowPasswordAutoFill
// is none.
func isSecret(payloadType, key string, v any) bool {
	if text, ok := v.(string); ok && wholeVariable.MatchString(text) {
		return false // a variable: what it stands for is kept elsewhere
	}
	return secretKey(payloadType, key, v)
}

func secretKey(payloadType, key string, v any) bool {
	switch v.(type) {
	case string, []byte:
	default:
		return false
	}
	if payloadType == "com.apple.security.pkcs12" && key == "PayloadContent" {
		return true // a private key
	}
	k := strings.ToLower(key)
	for _, end := range []string{"password", "secret", "challenge", "passphrase", "privatekey", "token"} {
		if strings.HasSuffix(k, end) {
			return true
		}
	}
	return false
}

// eachSecret replaces each secret of a profile by what do makes of it; path is
// "1/Password": the payload's number from 1, and the keys.
func eachSecret(doc map[string]any, do func(path string, value any) any) {
	list, _ := doc["PayloadContent"].([]any)
	for i, v := range list {
		if p, ok := v.(map[string]any); ok {
			t, _ := p["PayloadType"].(string)
			secretsIn(t, strconv.Itoa(i+1), p, do)
		}
	}
	if v, ok := doc["RemovalPassword"].(string); ok {
		doc["RemovalPassword"] = do("RemovalPassword", v)
	}
}

func secretsIn(payloadType, path string, m map[string]any, do func(path string, value any) any) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		at := path + "/" + k
		switch v := m[k].(type) {
		case map[string]any:
			secretsIn(payloadType, at, v, do)
		case []any:
			for i, e := range v {
				if inner, ok := e.(map[string]any); ok {
					secretsIn(payloadType, at+"/"+strconv.Itoa(i+1), inner, do)
				}
			}
		default:
			if isSecret(payloadType, k, v) {
				m[k] = do(at, v)
			}
		}
	}
}

// resolve puts secrets in the place of their references: those that people
// stored by name, then what the profile of that name holds now.
//
// Faults: secret.unknown, profile.large, profile.unreadable.
func (r *Room) resolve(ctx context.Context, tx *sqldb.Tx, tenantID string, p DocProfile) ([]byte, error) {
	if len(p.Content) > maxProfile {
		return nil, fault.New(fault.Invalid, "profile.large", "Profile %s has more than 4 MB, which no profile has.", mdm.Clean(p.Name))
	}
	var doc map[string]any
	if err := mdm.DecodeUpload(p.Content, &doc); err != nil {
		return nil, notProfile("the content of " + mdm.Clean(p.Name) + " is no property list").With(err)
	}
	kept := map[string]map[string]any{}
	var failed error
	eachSecret(doc, func(_ string, v any) any {
		text, _ := v.(string)
		name, is := strings.CutPrefix(text, storedPrefix)
		if !is || failed != nil {
			return v
		}
		value, err := r.storedAs(ctx, tx, tenantID, name, kept)
		if err != nil {
			failed = err
			return v
		}
		return value
	})
	if failed != nil {
		return nil, failed
	}
	return mdm.Encode(doc)
}

// storedAs is the secret of a name; kept remembers profiles that were opened.
func (r *Room) storedAs(ctx context.Context, tx *sqldb.Tx, tenantID, name string, kept map[string]map[string]any) (any, error) {
	row, err := selectSecret(ctx, tx, tenantID, stored(name))
	if err == nil {
		b, err := r.Vault.Open(secretPurpose(row.ID), row.Sealed)
		return string(b), err
	}
	if !isNoRows(err) {
		return nil, fmt.Errorf("find a stored secret: %w", err)
	}
	if at := inProfile.FindStringIndex(name); at != nil {
		profile, path := name[:at[0]], name[at[0]+1:]
		if kept[profile] == nil {
			if kept[profile], err = r.secretsOf(ctx, tx, tenantID, profile); err != nil {
				return nil, err
			}
		}
		if v, found := kept[profile][path]; found {
			return v, nil
		}
	}
	return nil, fault.New(fault.Invalid, "secret.unknown",
		"There is no stored secret %s. Store it first, under a name of yours: ranzen secret set NAME --file FILE. Nothing was changed.", mdm.Clean(name)).On("profiles")
}

// secretsOf are those in a profile's published version, by their path; none of a
// profile that is not there.
func (r *Room) secretsOf(ctx context.Context, tx *sqldb.Tx, tenantID, name string) (map[string]any, error) {
	out := map[string]any{}
	p, err := ownProfile(ctx, tx, tenantID, stored(name))
	if isNoRows(err) || err == nil && p.Version == 0 {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find profile: %w", err)
	}
	content, _, err := r.content(ctx, tx, p.ID, p.Version)
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := mdm.Decode(content, &doc); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", p.ID, err)
	}
	eachSecret(doc, func(path string, v any) any {
		out[path] = v
		return v
	})
	return out, nil
}

// inProfile is where the path begins in "wlan/1/Password".
var inProfile = regexp.MustCompile(`/(RemovalPassword|[0-9]+/[^/]+(/[^/]+)*)$`)

func secretPurpose(id string) string { return "profiles.secret:" + id }

var secretName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Secret is a stored secret, without what it is.
type Secret struct {
	ID, TenantID, Name string
	UpdatedAt          time.Time
}

// SetSecret keeps a secret under a name for a tenant, or for "" for the provider.
// Profiles that were made with an older value keep that until they are applied
// again.
func (r *Room) SetSecret(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, value fault.Secret) (Secret, error) {
	if !secretName.MatchString(name) {
		return Secret{}, fault.New(fault.Invalid, "secret.name", "The name of a secret has up to 100 letters, digits, dots, dashes and underscores.").On("name")
	}
	if v := value.Open(); v == "" || len(v) > 64<<10 {
		return Secret{}, fault.New(fault.Invalid, "secret.value", "A secret has 1 to 65536 bytes.").On("value")
	}
	row, err := selectSecret(ctx, tx, tenantID, name)
	fresh := isNoRows(err)
	if err != nil && !fresh {
		return Secret{}, fmt.Errorf("find a stored secret: %w", err)
	}
	if fresh {
		row.ID = sqldb.NewID()
	}
	sealed, err := r.Vault.Seal(secretPurpose(row.ID), []byte(value.Open()))
	if err != nil {
		return Secret{}, err
	}
	if err := saveSecret(ctx, tx, row.ID, tenantID, name, sealed, r.Clock.Now()); err != nil {
		return Secret{}, fmt.Errorf("store a secret: %w", err)
	}
	out := Secret{row.ID, tenantID, name, r.Clock.Now()}
	return out, r.record(ctx, tx, by, "secret.set", "secret:"+row.ID, map[string]any{"name": name})
}

// Secrets lists by name what a tenant stored, or the provider for "".
func (r *Room) Secrets(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Secret, error) {
	rows, err := allSecrets(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list stored secrets: %w", err)
	}
	out := make([]Secret, 0, len(rows))
	for _, row := range rows {
		out = append(out, Secret{row.ID, row.TenantID, row.Name, row.UpdatedAt.Time})
	}
	return out, nil
}

// RemoveSecret forgets a secret; profiles that were made with it keep it.
func (r *Room) RemoveSecret(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string) error {
	rows, err := secretsNamed(ctx, tx, tenantID, stored(name))
	if err != nil {
		return fmt.Errorf("find a stored secret: %w", err)
	}
	row, fits := schools.Choose(tenantID, rows, func(row secretRow) string { return row.TenantID })
	switch {
	case fits == 0:
		return fault.New(fault.NotFound, "secret.unknown", "There is no stored secret %s. See `ranzen secret list`.", mdm.Clean(name))
	case fits > 1:
		return fault.New(fault.Conflict, "secret.ambiguous", "%d tenants have a secret %s. Say which one with --tenant.", fits, row.Name).On("secret")
	}
	if err := schools.MayChange(tenantID, row.TenantID); err != nil {
		return err
	}
	if err := deleteSecret(ctx, tx, row.ID); err != nil {
		return fmt.Errorf("forget a secret: %w", err)
	}
	return r.record(ctx, tx, by, "secret.remove", "secret:"+row.ID, map[string]any{"name": row.Name})
}
