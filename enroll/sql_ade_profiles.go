package enroll

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

type adeProfileRow struct {
	ID           string     `db:"id"`
	TenantID     string     `db:"tenant_id"`
	Name         string     `db:"name"`
	Definition   string     `db:"definition"`
	Hash         string     `db:"hash"`
	Baseline     string     `db:"baseline"`
	MinOS        string     `db:"min_os"`
	ReleaseAfter int64      `db:"release_after"`
	CreatedAt    sqldb.Time `db:"created_at"`
	UpdatedAt    sqldb.Time `db:"updated_at"`
}

func (row adeProfileRow) profile() (ADEProfile, error) {
	p := ADEProfile{
		ID: row.ID, TenantID: row.TenantID, Name: row.Name, MinOS: row.MinOS, ReleaseAfter: time.Duration(row.ReleaseAfter) * time.Second,
		CreatedAt: row.CreatedAt.Time, UpdatedAt: row.UpdatedAt.Time, hash: row.Hash,
	}
	if err := json.Unmarshal([]byte(row.Definition), &p.Definition); err != nil {
		return ADEProfile{}, fmt.Errorf("read enrollment profile %s: %w", row.ID, err)
	}
	if err := json.Unmarshal([]byte(row.Baseline), &p.Baseline); err != nil {
		return ADEProfile{}, fmt.Errorf("read the baseline of enrollment profile %s: %w", row.ID, err)
	}
	return p, nil
}

const adeProfileSelect = `
	SELECT p.id, p.tenant_id, p.name, p.definition, p.hash, p.baseline, p.min_os, p.release_after, p.created_at, p.updated_at
	FROM ade_profiles p`

// adeProfiles lists those that a tenant may use, its own and the provider's; ""
// is all.
func adeProfiles(ctx context.Context, q sqldb.Queryer, tenantID string) ([]ADEProfile, error) {
	var rows []adeProfileRow
	err := q.Select(ctx, &rows, adeProfileSelect+` WHERE p.removed_at IS NULL AND (? = '' OR p.tenant_id IN (?, '')) ORDER BY p.name, p.tenant_id`,
		tenantID, tenantID)
	if err != nil {
		return nil, fmt.Errorf("read enrollment profiles: %w", err)
	}
	out := make([]ADEProfile, len(rows))
	for i, row := range rows {
		if out[i], err = row.profile(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// adeProfileByID gives a profile, also one that was removed: iPads may still come
// with it.
func adeProfileByID(ctx context.Context, q sqldb.Queryer, id string) (adeProfileRow, error) {
	var row adeProfileRow
	err := q.Get(ctx, &row, adeProfileSelect+` WHERE p.id = ?`, id)
	return row, err
}

func insertADEProfile(ctx context.Context, tx *sqldb.Tx, r adeProfileRow) (int64, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO ade_profiles (id, tenant_id, name, definition, hash, baseline, min_os, release_after, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, name) DO NOTHING`,
		r.ID, r.TenantID, r.Name, r.Definition, r.Hash, r.Baseline, r.MinOS, r.ReleaseAfter, r.CreatedAt, r.UpdatedAt)
	if err != nil {
		return 0, fmt.Errorf("store an enrollment profile: %w", err)
	}
	return n, nil
}

func updateADEProfile(ctx context.Context, tx *sqldb.Tx, r adeProfileRow) error {
	_, err := tx.Exec(ctx, `UPDATE ade_profiles SET definition = ?, hash = ?, baseline = ?, min_os = ?, release_after = ?, updated_at = ? WHERE id = ?`,
		r.Definition, r.Hash, r.Baseline, r.MinOS, r.ReleaseAfter, r.UpdatedAt, r.ID)
	if err != nil {
		return fmt.Errorf("store an enrollment profile: %w", err)
	}
	return nil
}

// removeADEProfile keeps the row, which visits name, under a name that is
// nobody's.
func removeADEProfile(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE ade_profiles SET removed_at = ?, updated_at = ?, name = name || ' ' || id WHERE id = ?`, sqldb.At(now), sqldb.At(now), id)
	if err != nil {
		return fmt.Errorf("remove an enrollment profile: %w", err)
	}
	return nil
}

type adeWishRow struct {
	Kind      string     `db:"scope_kind"`
	ScopeID   string     `db:"scope_id"`
	ProfileID string     `db:"profile_id"`
	By        string     `db:"by_actor"`
	At        sqldb.Time `db:"at"`
}

// adeWishes lists the wishes for a profile; "" is all.
func adeWishes(ctx context.Context, q sqldb.Queryer, profileID string) ([]ADEWish, error) {
	var rows []adeWishRow
	err := q.Select(ctx, &rows, `
		SELECT w.scope_kind, w.scope_id, w.profile_id, w.by_actor, w.at FROM ade_wishes w
		WHERE ? = '' OR w.profile_id = ? ORDER BY w.profile_id, w.scope_kind, w.scope_id`, profileID, profileID)
	if err != nil {
		return nil, fmt.Errorf("read who gets which enrollment profile: %w", err)
	}
	out := make([]ADEWish, len(rows))
	for i, row := range rows {
		out[i] = ADEWish{Kind: row.Kind, ScopeID: row.ScopeID, ProfileID: row.ProfileID, By: row.By, At: row.At.Time}
	}
	return out, nil
}

func upsertADEWish(ctx context.Context, tx *sqldb.Tx, w ADEWish) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO ade_wishes (scope_kind, scope_id, profile_id, by_actor, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (scope_kind, scope_id) DO UPDATE SET profile_id = excluded.profile_id, by_actor = excluded.by_actor, at = excluded.at`,
		w.Kind, w.ScopeID, w.ProfileID, w.By, sqldb.At(w.At))
	if err != nil {
		return fmt.Errorf("store who gets which enrollment profile: %w", err)
	}
	return nil
}

func deleteADEWish(ctx context.Context, tx *sqldb.Tx, kind, scopeID, profileID string) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM ade_wishes WHERE scope_kind = ? AND scope_id = ? AND profile_id = ?`, kind, scopeID, profileID)
	if err != nil {
		return 0, fmt.Errorf("take an enrollment profile back: %w", err)
	}
	return n, nil
}
