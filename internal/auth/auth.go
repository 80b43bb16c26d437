package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// Role is what a person may do, as one word.
type Role string

// Roles.
const (
	Admin  Role = "admin"  // everything
	Viewer Role = "viewer" // look, change nothing
)

// Right is what one operation of the API needs.
type Right string

// Rights. There are two because there are two roles; operations name the one
// they need in one table, so that finer ones can come without touching handlers.
const (
	Look   Right = "look"   // read anything that is no secret
	Change Right = "change" // change wishes, order commands
	People Right = "people" // users and tokens of others, the audit log's check
)

// Can tells whether a role has a right. An unknown role or right has none.
func Can(role Role, right Right) bool {
	switch right {
	case Look:
		return role == Admin || role == Viewer
	case Change, People:
		return role == Admin
	}
	return false
}

// Person is who stands behind a request.
type Person struct {
	ID      string
	Name    string
	Role    Role
	Tenant  string // id of the tenant the person is bound to; "": the provider's, who sees all
	TokenID string
}

// Actor is the person's name in the audit log.
func (p Person) Actor() audit.Actor { return audit.Actor("user:" + p.Name) }

// User is a person or program with an account.
type User struct {
	ID        string
	Name      string
	Role      Role
	TenantID  string // bound to this tenant; "": the provider's
	CreatedAt time.Time
}

// Token is a key to the API, without the key.
type Token struct {
	ID        string
	User      string
	Name      string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	UsedAt    time.Time // late by up to a minute; zero: never used
	RevokedAt time.Time
}

// TokenSpec says which token to make.
type TokenSpec struct {
	TenantID string // the user must be of this tenant; "": of any or none
	User     string
	Name     string
	Expires  time.Duration // 0: never
}

// Room is the one place that knows people.
type Room struct {
	db  *sqldb.DB
	clk clock.Clock
	log *audit.Log

	mu   sync.Mutex
	used map[string]time.Time // token id -> last use not yet written
}

// New makes the room.
func New(db *sqldb.DB, clk clock.Clock, log *audit.Log) *Room {
	return &Room{db: db, clk: clk, log: log, used: map[string]time.Time{}}
}

// prefix marks our tokens, so that scanners of leaked secrets can find them.
const prefix = "rzn_"

var errSignIn = fault.New(fault.SignIn, "auth.sign-in", "This needs a valid API token: send it as \"Authorization: Bearer rzn_…\".")

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Identify tells whose token bearer is. Every refusal is the same fault.
func (r *Room) Identify(ctx context.Context, bearer string) (Person, error) {
	if !strings.HasPrefix(bearer, prefix) || len(bearer) > 128 {
		return Person{}, errSignIn
	}
	row, err := tokenByHash(ctx, r.db, hashOf(bearer))
	if errors.Is(err, sqldb.ErrNoRows) {
		return Person{}, errSignIn
	}
	if err != nil {
		return Person{}, fmt.Errorf("identify: %w", err)
	}
	now := r.clk.Now()
	if !row.ExpiresAt.IsZero() && !now.Before(row.ExpiresAt.Time) {
		return Person{}, errSignIn
	}
	if now.Sub(row.UsedAt.Time) >= time.Minute {
		r.mu.Lock()
		r.used[row.TokenID] = now
		r.mu.Unlock()
	}
	return Person{ID: row.UserID, Name: row.Name, Role: Role(row.Role), Tenant: row.TenantID, TokenID: row.TokenID}, nil
}

// FlushUsed writes when tokens were last used.
func (r *Room) FlushUsed(ctx context.Context) error {
	r.mu.Lock()
	used := r.used
	r.used = map[string]time.Time{}
	r.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	return r.db.Do(ctx, func(tx *sqldb.Tx) error {
		for id, at := range used {
			if err := touchToken(ctx, tx, id, at); err != nil {
				return fmt.Errorf("note the use of a token: %w", err)
			}
		}
		return nil
	})
}

// AddUser makes an account, bound to a tenant or, for "", of the provider's. Names
// are the server's: the audit log tells people by them, so two tenants cannot
// have the same.
func (r *Room) AddUser(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string, role Role) (User, error) {
	if !names.MatchString(name) {
		return User{}, fault.New(fault.Invalid, "user.name", "A user's name has 1 to 64 letters, digits, dots, hyphens, underscores or @, and begins with a letter or digit.").On("name")
	}
	if role != Admin && role != Viewer {
		return User{}, fault.New(fault.Invalid, "user.role", "The role must be admin or viewer.").On("role")
	}
	u := User{ID: sqldb.NewID(), Name: name, Role: role, TenantID: tenantID, CreatedAt: r.clk.Now()}
	if err := insertUser(ctx, tx, u); err != nil {
		if errors.Is(err, errTaken) {
			return User{}, fault.New(fault.Conflict, "user.exists", "There is a user %s already, or there was one: names are not used twice.", name).On("name")
		}
		return User{}, fmt.Errorf("add user: %w", err)
	}
	return u, r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "user.add", Subject: "user:" + u.Name, Detail: map[string]any{"role": string(role), "tenant": tenantID}})
}

// Users lists the accounts by name: those of a tenant, or all for "".
func (r *Room) Users(ctx context.Context, q sqldb.Queryer, tenantID string) ([]User, error) {
	rows, err := listUsers(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return rows, nil
}

func unknownUser(name string) *fault.Fault {
	return fault.New(fault.NotFound, "user.unknown", "There is no user %s.", strings.ToValidUTF8(name, "?"))
}

// SetRole changes what a user of a tenant, or of any for "", may do.
func (r *Room) SetRole(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string, role Role) error {
	if role != Admin && role != Viewer {
		return fault.New(fault.Invalid, "user.role", "The role must be admin or viewer.").On("role")
	}
	u, err := r.user(ctx, tx, tenantID, name)
	if err != nil {
		return err
	}
	if u.Role == role {
		return nil
	}
	if err := r.keepOneAdmin(ctx, tx, u); err != nil {
		return err
	}
	if err := setRole(ctx, tx, u.ID, role); err != nil {
		return fmt.Errorf("change the role of a user: %w", err)
	}
	return r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "user.role", Subject: "user:" + u.Name, Detail: map[string]any{"role": string(role)}})
}

// RemoveUser ends an account of a tenant, or of any for "", and all its tokens.
// The name stays taken: the audit log names people by it.
func (r *Room) RemoveUser(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string) error {
	u, err := r.user(ctx, tx, tenantID, name)
	if err != nil {
		return err
	}
	if err := r.keepOneAdmin(ctx, tx, u); err != nil {
		return err
	}
	if err := removeUser(ctx, tx, u.ID, r.clk.Now()); err != nil {
		return fmt.Errorf("remove user: %w", err)
	}
	return r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "user.remove", Subject: "user:" + u.Name})
}

// keepOneAdmin refuses to take the provider's last administrator away, who alone
// could make others; a tenant's last one can be made anew. The rows are locked,
// so that two removals at once cannot each leave the other's.
func (r *Room) keepOneAdmin(ctx context.Context, tx *sqldb.Tx, u User) error {
	if u.Role != Admin || u.TenantID != "" {
		return nil
	}
	admins, err := lockAdmins(ctx, tx)
	if err != nil {
		return fmt.Errorf("count administrators: %w", err)
	}
	if len(admins) <= 1 {
		return fault.New(fault.Conflict, "user.last-admin", "%s is the last administrator. Make another one first.", u.Name)
	}
	return nil
}

func (r *Room) user(ctx context.Context, q sqldb.Queryer, tenantID, name string) (User, error) {
	if !names.MatchString(name) {
		return User{}, unknownUser(name)
	}
	u, err := userByName(ctx, q, name)
	if errors.Is(err, sqldb.ErrNoRows) || (err == nil && tenantID != "" && u.TenantID != tenantID) {
		return User{}, unknownUser(name)
	}
	if err != nil {
		return User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// CreateToken makes a token. The secret is shown this once.
func (r *Room) CreateToken(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, spec TokenSpec) (Token, fault.Secret, error) {
	if n := len(spec.Name); n == 0 || n > 64 || !names.MatchString(spec.Name) {
		return Token{}, "", fault.New(fault.Invalid, "token.name", "A token's name has 1 to 64 letters, digits, dots, hyphens or underscores: say what it is for.").On("name")
	}
	if spec.Expires < 0 {
		return Token{}, "", fault.New(fault.Invalid, "token.expires", "A token cannot expire in the past.").On("expires")
	}
	u, err := r.user(ctx, tx, spec.TenantID, spec.User)
	if err != nil {
		return Token{}, "", err
	}
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return Token{}, "", fmt.Errorf("make a token: %w", err)
	}
	secret := prefix + base64.RawURLEncoding.EncodeToString(raw[:])
	t := Token{ID: sqldb.NewID(), User: u.Name, Name: spec.Name, CreatedAt: r.clk.Now()}
	if spec.Expires > 0 {
		t.ExpiresAt = t.CreatedAt.Add(spec.Expires)
	}
	if err := insertToken(ctx, tx, t, u.ID, hashOf(secret)); err != nil {
		return Token{}, "", fmt.Errorf("add token: %w", err)
	}
	err = r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "token.create", Subject: "token:" + t.ID, Detail: map[string]any{"user": u.Name, "name": t.Name}})
	return t, fault.Secret(secret), err
}

// Tokens lists the tokens that are not revoked, of all users of a tenant, or of
// all for "".
func (r *Room) Tokens(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Token, error) {
	rows, err := listTokens(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return rows, nil
}

// RevokeToken ends a token of a tenant's user, or of anybody's for "", now.
// Ending it twice is the same as once.
func (r *Room) RevokeToken(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, id string) error {
	n, known, err := revokeToken(ctx, tx, tenantID, id, r.clk.Now())
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	if !known {
		return fault.New(fault.NotFound, "token.unknown", "There is no such token: see `ranzen token list`.")
	}
	if n == 0 {
		return nil
	}
	return r.log.Append(ctx, tx, audit.Event{Actor: actor, Action: "token.revoke", Subject: "token:" + id})
}
