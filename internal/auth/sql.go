package auth

import (
	"context"
	"errors"
	"time"

	"ranzen/internal/sqldb"
)

type userRow struct {
	ID        string     `db:"id"`
	Name      string     `db:"name"`
	Role      string     `db:"role"`
	TenantID  string     `db:"tenant_id"`
	CreatedAt sqldb.Time `db:"created_at"`
}

func (u userRow) user() User {
	return User{ID: u.ID, Name: u.Name, Role: Role(u.Role), TenantID: u.TenantID, CreatedAt: u.CreatedAt.Time}
}

type tokenRow struct {
	ID        string     `db:"id"`
	User      string     `db:"user_name"`
	Name      string     `db:"name"`
	CreatedAt sqldb.Time `db:"created_at"`
	ExpiresAt sqldb.Time `db:"expires_at"`
	UsedAt    sqldb.Time `db:"used_at"`
	RevokedAt sqldb.Time `db:"revoked_at"`
}

type bearerRow struct {
	TokenID   string     `db:"token_id"`
	UserID    string     `db:"user_id"`
	Name      string     `db:"name"`
	Role      string     `db:"role"`
	TenantID  string     `db:"tenant_id"`
	ExpiresAt sqldb.Time `db:"expires_at"`
	UsedAt    sqldb.Time `db:"used_at"`
}

func tokenByHash(ctx context.Context, q sqldb.Queryer, hash string) (bearerRow, error) {
	var row bearerRow
	err := q.Get(ctx, &row, `
		SELECT t.id AS token_id, u.id AS user_id, u.name, u.role, u.tenant_id, t.expires_at, t.used_at
		FROM tokens t JOIN users u ON u.id = t.user_id
		WHERE t.hash = ? AND t.revoked_at IS NULL AND u.removed_at IS NULL`, hash)
	return row, err
}

func touchToken(ctx context.Context, tx *sqldb.Tx, id string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE tokens SET used_at = ? WHERE id = ? AND (used_at IS NULL OR used_at < ?)`,
		sqldb.At(at), id, sqldb.At(at))
	return err
}

func insertUser(ctx context.Context, tx *sqldb.Tx, u User) error {
	n, err := tx.Exec(ctx, `INSERT INTO users (id, name, role, tenant_id, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
		u.ID, u.Name, string(u.Role), u.TenantID, sqldb.At(u.CreatedAt))
	if err == nil && n == 0 {
		return errTaken
	}
	return err
}

// errTaken: the name is in use. An INSERT that fails would end PostgreSQL's
// whole transaction, so the conflict is asked for, not provoked.
var errTaken = errors.New("the name is taken")

func listUsers(ctx context.Context, q sqldb.Queryer, tenantID string) ([]User, error) {
	var rows []userRow
	err := q.Select(ctx, &rows, `SELECT id, name, role, tenant_id, created_at FROM users
		WHERE removed_at IS NULL AND (CAST(? AS TEXT) = '' OR tenant_id = ?) ORDER BY name`, tenantID, tenantID)
	users := make([]User, len(rows))
	for i, u := range rows {
		users[i] = u.user()
	}
	return users, err
}

func userByName(ctx context.Context, q sqldb.Queryer, name string) (User, error) {
	var row userRow
	err := q.Get(ctx, &row, `SELECT id, name, role, tenant_id, created_at FROM users WHERE name = ? AND removed_at IS NULL`, name)
	return row.user(), err
}

func setRole(ctx context.Context, tx *sqldb.Tx, id string, role Role) error {
	_, err := tx.Exec(ctx, `UPDATE users SET role = ? WHERE id = ?`, string(role), id)
	return err
}

func removeUser(ctx context.Context, tx *sqldb.Tx, id string, at time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE users SET removed_at = ? WHERE id = ?`, sqldb.At(at), id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL`, sqldb.At(at), id)
	return err
}

func lockAdmins(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	var ids []string
	err := tx.Select(ctx, &ids, `SELECT id FROM users WHERE role = 'admin' AND tenant_id = '' AND removed_at IS NULL ORDER BY id`+tx.ForUpdate())
	return ids, err
}

func insertToken(ctx context.Context, tx *sqldb.Tx, t Token, userID, hash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO tokens (id, user_id, name, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		t.ID, userID, t.Name, hash, sqldb.At(t.CreatedAt), sqldb.At(t.ExpiresAt))
	return err
}

func listTokens(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Token, error) {
	var rows []tokenRow
	err := q.Select(ctx, &rows, `
		SELECT t.id, u.name AS user_name, t.name, t.created_at, t.expires_at, t.used_at, t.revoked_at
		FROM tokens t JOIN users u ON u.id = t.user_id
		WHERE t.revoked_at IS NULL AND (CAST(? AS TEXT) = '' OR u.tenant_id = ?) ORDER BY t.id`, tenantID, tenantID)
	tokens := make([]Token, len(rows))
	for i, t := range rows {
		tokens[i] = Token{ID: t.ID, User: t.User, Name: t.Name, CreatedAt: t.CreatedAt.Time, ExpiresAt: t.ExpiresAt.Time, UsedAt: t.UsedAt.Time, RevokedAt: t.RevokedAt.Time}
	}
	return tokens, err
}

func revokeToken(ctx context.Context, tx *sqldb.Tx, tenantID, id string, at time.Time) (changed int64, known bool, err error) {
	var there []string
	err = tx.Select(ctx, &there, `SELECT t.id FROM tokens t JOIN users u ON u.id = t.user_id
		WHERE t.id = ? AND (CAST(? AS TEXT) = '' OR u.tenant_id = ?)`, id, tenantID, tenantID)
	if err != nil || len(there) == 0 {
		return 0, false, err
	}
	changed, err = tx.Exec(ctx, `UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL`, sqldb.At(at), id)
	return changed, true, err
}
