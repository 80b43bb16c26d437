package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// ADEProfile is an enrollment profile as people want it. Apple's are immutable:
// a change here is another one there, and takes effect on an iPad when it is
// erased the next time.
type ADEProfile struct {
	ID           string
	TenantID     string // "": the provider's, which every tenant may use
	Name         string
	Definition   map[string]any // Apple's keys, as far as people set them
	Baseline     []string       // names of profiles and apps that must be observed before the iPad is released
	MinOS        string         // older iPads update themselves first; "" is any
	ReleaseAfter time.Duration  // after this a person may release without the baseline
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Warnings     []string // of the change that was just made

	hash string // of what is sent
}

// ADEProfileSpec says what of an enrollment profile is set; nil stays as it is.
type ADEProfileSpec struct {
	Definition   []byte    // JSON object of Apple's keys
	Skip         *[]string // panes of Setup Assistant to leave out; "all" is SkipAll
	Baseline     *[]string
	MinOS        *string
	ReleaseAfter *time.Duration
}

// DefaultRelease is how long an iPad waits for its baseline before a person may
// release it without. Ours: nine apps over a school's line take about ten minutes.
const DefaultRelease = 30 * time.Minute

const (
	minRelease   = time.Minute
	maxRelease   = 24 * time.Hour
	maxBaseline  = 100
	maxADEName   = 60
	definedShort = 12
)

var osForm = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){0,2}$`)

func cleanADEName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxADEName || !storableText(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "ade-profile.name", "Say a name of 1 to %d characters for the enrollment profile.", maxADEName).On("name")
	}
	return name, nil
}

// change lays a spec over a profile.
func (p *ADEProfile) change(s ADEProfileSpec) error {
	if s.Definition != nil {
		keys, warnings, err := readDefinition(s.Definition)
		if err != nil {
			return err
		}
		p.Definition, p.Warnings = keys, warnings
	}
	if s.Skip != nil {
		panes := slices.Clone(*s.Skip)
		if slices.Contains(panes, "all") {
			panes = SkipAll()
		}
		raw, err := json.Marshal(map[string]any{"skip_setup_items": panes})
		if err != nil {
			return fmt.Errorf("read panes: %w", err)
		}
		keys, warnings, err := readDefinition(raw)
		if err != nil {
			return err
		}
		p.Definition["skip_setup_items"] = keys["skip_setup_items"]
		p.Warnings = append(p.Warnings, warnings...)
	}
	if s.Baseline != nil {
		p.Baseline = slices.Compact(slices.Sorted(slices.Values(*s.Baseline)))
	}
	if s.MinOS != nil {
		p.MinOS = strings.TrimSpace(*s.MinOS)
	}
	if s.ReleaseAfter != nil {
		p.ReleaseAfter = *s.ReleaseAfter
	}
	switch {
	case len(p.Baseline) > maxBaseline:
		return fault.New(fault.Invalid, "ade-profile.baseline", "A baseline names at most %d profiles and apps.", maxBaseline).On("baseline")
	case p.MinOS != "" && !osForm.MatchString(p.MinOS):
		return fault.New(fault.Invalid, "ade-profile.min-os", "%q is no iPadOS version: write 17.7 or 18.5.1.", short(p.MinOS)).On("min_os")
	case p.ReleaseAfter < minRelease || p.ReleaseAfter > maxRelease:
		return fault.New(fault.Invalid, "ade-profile.release-after", "An iPad waits for its baseline between %s and %s.", minRelease, maxRelease).On("release_after")
	}
	return nil
}

// definition is what is sent to Apple for a profile, and its hash.
func (r *Room) definition(p ADEProfile) (raw []byte, hash string, err error) {
	raw, err = definitionFor(p.Definition, p.Name, r.PublicURL, r.Anchors)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(raw)
	return raw, hex.EncodeToString(sum[:]), nil
}

func (r *Room) adeRowOf(p ADEProfile) (adeProfileRow, error) {
	_, hash, err := r.definition(p)
	if err != nil {
		return adeProfileRow{}, err
	}
	definition, err := json.Marshal(p.Definition)
	if err != nil {
		return adeProfileRow{}, fmt.Errorf("store an enrollment profile: %w", err)
	}
	if p.Baseline == nil {
		p.Baseline = []string{}
	}
	baseline, err := json.Marshal(p.Baseline)
	if err != nil {
		return adeProfileRow{}, fmt.Errorf("store an enrollment profile: %w", err)
	}
	return adeProfileRow{
		ID: p.ID, TenantID: p.TenantID, Name: p.Name, Definition: string(definition), Hash: hash, Baseline: string(baseline), MinOS: p.MinOS,
		ReleaseAfter: int64(p.ReleaseAfter / time.Second), CreatedAt: sqldb.At(p.CreatedAt), UpdatedAt: sqldb.At(p.UpdatedAt),
	}, nil
}

// AddADEProfile makes an enrollment profile. It is defined at Apple once it is
// wished for somebody.
func (r *Room) AddADEProfile(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, name string, s ADEProfileSpec) (ADEProfile, error) {
	name, err := cleanADEName(name)
	if err != nil {
		return ADEProfile{}, err
	}
	now := r.Clock.Now()
	p := ADEProfile{
		ID: sqldb.NewID(), TenantID: tenantID, Name: name, Definition: map[string]any{}, ReleaseAfter: DefaultRelease, CreatedAt: now, UpdatedAt: now,
	}
	if err := p.change(s); err != nil {
		return ADEProfile{}, err
	}
	row, err := r.adeRowOf(p)
	if err != nil {
		return ADEProfile{}, err
	}
	n, err := insertADEProfile(ctx, tx, row)
	if err != nil {
		return ADEProfile{}, err
	}
	if n == 0 {
		return ADEProfile{}, fault.New(fault.Conflict, "ade-profile.exists",
			"There is an enrollment profile %q already. Change it with `ranzen ade profile set`, or choose another name.", name).On("name")
	}
	return p, r.record(ctx, tx, actor, "ade-profile.add", "ade-profile:"+p.ID, map[string]any{"name": name})
}

// SetADEProfile changes an enrollment profile. iPads that have it at Apple are
// given the new one by the next turns of AssignADE.
func (r *Room) SetADEProfile(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, ref string, s ADEProfileSpec) (ADEProfile, error) {
	p, err := r.changeable(ctx, tx, tenantID, ref)
	if err != nil {
		return ADEProfile{}, err
	}
	if err := p.change(s); err != nil {
		return ADEProfile{}, err
	}
	p.UpdatedAt = r.Clock.Now()
	row, err := r.adeRowOf(p)
	if err != nil {
		return ADEProfile{}, err
	}
	if err := updateADEProfile(ctx, tx, row); err != nil {
		return ADEProfile{}, err
	}
	return p, r.record(ctx, tx, actor, "ade-profile.set", "ade-profile:"+p.ID, map[string]any{"hash": row.Hash[:definedShort]})
}

func (r *Room) changeable(ctx context.Context, tx *sqldb.Tx, tenantID, ref string) (ADEProfile, error) {
	p, err := r.ADEProfileByRef(ctx, tx, tenantID, ref)
	if err != nil {
		return ADEProfile{}, err
	}
	return p, schools.MayChange(tenantID, p.TenantID)
}

// RemoveADEProfile removes an enrollment profile that nobody is to get. Apple
// keeps what it has; iPads that come with it are still known.
func (r *Room) RemoveADEProfile(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, tenantID, ref string) error {
	p, err := r.changeable(ctx, tx, tenantID, ref)
	if err != nil {
		return err
	}
	wishes, err := adeWishes(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	if len(wishes) > 0 {
		return fault.New(fault.Conflict, "ade-profile.in-use",
			"The enrollment profile %q is what %d scopes get. Assign them another one first.", p.Name, len(wishes))
	}
	if err := removeADEProfile(ctx, tx, p.ID, r.Clock.Now()); err != nil {
		return err
	}
	return r.record(ctx, tx, actor, "ade-profile.remove", "ade-profile:"+p.ID, map[string]any{"name": p.Name})
}

// ADEProfiles lists the enrollment profiles that a tenant may use; "" is all.
func (r *Room) ADEProfiles(ctx context.Context, q sqldb.Queryer, tenantID string) ([]ADEProfile, error) {
	return adeProfiles(ctx, q, tenantID)
}

// ADEProfileByRef gives an enrollment profile by its id or name, as a tenant
// speaks of it.
func (r *Room) ADEProfileByRef(ctx context.Context, q sqldb.Queryer, tenantID, ref string) (ADEProfile, error) {
	all, err := adeProfiles(ctx, q, tenantID)
	if err != nil {
		return ADEProfile{}, err
	}
	var fit []ADEProfile
	for _, p := range all {
		if p.ID == ref {
			return p, nil
		}
		if p.Name == ref {
			fit = append(fit, p)
		}
	}
	p, n := schools.Choose(tenantID, fit, func(p ADEProfile) string { return p.TenantID })
	switch n {
	case 0:
		return ADEProfile{}, fault.New(fault.NotFound, "ade-profile.unknown",
			"There is no such enrollment profile. `ranzen ade profile list` shows those there are.").On("profile")
	case 1:
		return p, nil
	}
	return ADEProfile{}, fault.New(fault.Conflict, "ade-profile.ambiguous", "Several tenants have an enrollment profile of that name. Say which tenant with --tenant, or the profile's id.").On("profile")
}

// ADEProfileByID gives an enrollment profile, also one that was removed since.
func (r *Room) ADEProfileByID(ctx context.Context, q sqldb.Queryer, id string) (ADEProfile, error) {
	row, err := adeProfileByID(ctx, q, id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return ADEProfile{}, fault.New(fault.NotFound, "ade-profile.unknown", "There is no such enrollment profile.")
	}
	if err != nil {
		return ADEProfile{}, fmt.Errorf("read an enrollment profile: %w", err)
	}
	return row.profile()
}
