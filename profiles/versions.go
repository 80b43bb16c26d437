package profiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Version is one of a profile's history.
type Version struct {
	Version     int64
	State       string   // "draft", "published", "former"; "skipped": never published
	Payloads    []string // PayloadType of each payload
	CreatedBy   string
	CreatedAt   time.Time
	PublishedBy string
	PublishedAt time.Time // the last time; zero: never
}

// Publish has tablets get a version of a profile of a tenant, or of any for "": an
// older one rolls back, 0 is the draft. Tablets move to it at once, whatever they
// had before: what is in between is skipped.
//
// Faults: profile.unknown, profile.no-draft, profile.version-unknown.
func (r *Room) Publish(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, version int64) (Profile, error) {
	p, err := r.lockNamed(ctx, tx, tenantID, name)
	if err != nil {
		return Profile{}, err
	}
	if version == 0 {
		version = p.Draft
	}
	switch {
	case version == 0:
		return Profile{}, fault.New(fault.Conflict, "profile.no-draft",
			"Profile %s has no draft to publish; version %d is published. Its versions are in `ranzen profile history`.", p.Name, p.Version)
	case version < 1 || version > p.Last:
		return Profile{}, noVersion(p.Name, version)
	case version == p.Version:
		return p.profile(), nil
	}
	err = r.publish(ctx, tx, by, &p, version)
	return p.profile(), err
}

func noVersion(name string, version int64) *fault.Fault {
	return fault.New(fault.NotFound, "profile.version-unknown", "Profile %s has no version %d. Its versions are in `ranzen profile history`.", name, version).On("version")
}

// RollBack publishes again what was published before the version that is now.
//
// Faults: profile.unknown, profile.no-former.
func (r *Room) RollBack(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string) (Profile, error) {
	p, err := r.lockNamed(ctx, tx, tenantID, name)
	if err != nil {
		return Profile{}, err
	}
	former, err := r.former(ctx, tx, p)
	if err != nil {
		return Profile{}, err
	}
	if former == 0 {
		return Profile{}, fault.New(fault.Conflict, "profile.no-former", "No other version of profile %s was ever published, so there is nothing to go back to.", p.Name)
	}
	err = r.publish(ctx, tx, by, &p, former)
	return p.profile(), err
}

// former is the version that was published before the one that is; 0 is none.
func (r *Room) former(ctx context.Context, q sqldb.Queryer, p profileRow) (int64, error) {
	rows, err := history(ctx, q, p.ID)
	if err != nil {
		return 0, fmt.Errorf("read the history of a profile: %w", err)
	}
	var best historyRow
	for _, h := range rows {
		if h.Version != p.Version && !h.PublishedAt.IsZero() && (best.Version == 0 || h.PublishedAt.After(best.PublishedAt.Time)) {
			best = h
		}
	}
	return best.Version, nil
}

// lockNamed finds a profile that a tenant may change, and keeps others off it.
func (r *Room) lockNamed(ctx context.Context, tx *sqldb.Tx, tenantID, name string) (profileRow, error) {
	it, err := r.itemNamed(ctx, tx, tenantID, name, kindProfile)
	if err != nil {
		return profileRow{}, err
	}
	if err := schools.MayChange(tenantID, it.TenantID); err != nil {
		return profileRow{}, err
	}
	p, err := lockProfile(ctx, tx, it.ID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return p, unknown(kindProfile, name)
	}
	if err != nil {
		return p, fmt.Errorf("find profile: %w", err)
	}
	return p, nil
}

func (r *Room) publish(ctx context.Context, tx *sqldb.Tx, by audit.Actor, p *profileRow, version int64) error {
	now, from := r.Clock.Now(), p.Version
	if p.Version, p.UpdatedAt = version, sqldb.At(now); p.Draft == version {
		p.Draft = 0
	}
	if err := saveProfile(ctx, tx, *p, false); err != nil {
		return fmt.Errorf("publish a version: %w", err)
	}
	if err := published(ctx, tx, p.ID, version, string(by), now); err != nil {
		return fmt.Errorf("publish a version: %w", err)
	}
	if err := r.record(ctx, tx, by, "profile.publish", "profile:"+p.ID, map[string]any{"name": p.Name, "version": version, "from": from}); err != nil {
		return err
	}
	r.undoable(ctx, undo{Do: "publish", Kind: kindProfile, ItemID: p.ID, Version: from})
	return r.markItem(ctx, tx, kindProfile, p.ID)
}

// History is all versions of a profile that a tenant may use, newest first.
func (r *Room) History(ctx context.Context, q sqldb.Queryer, tenantID, name string) ([]Version, error) {
	p, err := r.profileNamed(ctx, q, tenantID, name)
	if err != nil {
		return nil, err
	}
	rows, err := history(ctx, q, p.ID)
	if err != nil {
		return nil, fmt.Errorf("read the history of a profile: %w", err)
	}
	out := make([]Version, 0, len(rows))
	for _, h := range rows {
		v := Version{Version: h.Version, CreatedBy: h.CreatedBy, CreatedAt: h.CreatedAt.Time, PublishedBy: h.PublishedBy, PublishedAt: h.PublishedAt.Time, Payloads: []string{}}
		_ = json.Unmarshal([]byte(h.Summary), &v.Payloads) // written by us; shown empty rather than not at all
		switch {
		case h.Version == p.Version:
			v.State = "published"
		case h.Version == p.Draft:
			v.State = "draft"
		case h.PublishedAt.IsZero():
			v.State = "skipped"
		default:
			v.State = "former"
		}
		out = append(out, v)
	}
	return out, nil
}

// warnOfDrafts tells which of the touched profiles reach nobody yet.
func (r *Room) warnOfDrafts(ctx context.Context, q sqldb.Queryer, things map[thing]bool, p *Plan) error {
	var ids []string
	for th := range things {
		if th.Kind == kindProfile {
			ids = append(ids, th.ID)
		}
	}
	names, err := unpublished(ctx, q, ids)
	if err != nil {
		return fmt.Errorf("find drafts: %w", err)
	}
	if len(names) > 0 {
		p.Hazards = append(p.Hazards, Hazard{Code: "draft", Serials: []string{},
			Text: fmt.Sprintf("%s: a draft reaches no iPad until it is published (ranzen profile publish).", strings.Join(names, ", "))})
	}
	return nil
}
