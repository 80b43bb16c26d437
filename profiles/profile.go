package profiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Profile is a configuration profile in the version tablets should have.
type Profile struct {
	ID, Name   string
	TenantID   string   // whose it is; "": the provider's, for all tenants
	Identifier string   // top-level PayloadIdentifier; the same for all versions
	Version    int64    // the published one; 0: none is, and no tablet gets it
	Draft      int64    // the one that waits to be published; 0: none
	Payloads   []string // PayloadType of each payload
	CreatedAt  time.Time
	UpdatedAt  time.Time

	Warnings []catalogue.Finding // of a version that was just taken
}

// maxProfile bounds an upload; the device listener takes answers no larger.
const maxProfile = 4 << 20

// builtMark tells a profile of a builder from an upload: its identifiers are
// made of its id, and are not in it yet.
const builtMark = "RanzenBuilt"

func contentPurpose(id string, version int64) string {
	return fmt.Sprintf("profiles.content:%s:%d", id, version)
}

// AddProfile takes a .mobileconfig for a tenant, or for "" as one of the
// provider's: XML or binary, signed or not. The same name again is a new version,
// unless nothing changed, and takes the place of a draft. A signature is dropped:
// each version gets a PayloadUUID of its own, by which a tablet's list tells which
// one it has.
func (r *Room) AddProfile(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, raw []byte) (Profile, error) {
	return r.addVersion(ctx, tx, by, tenantID, name, raw, raw, false)
}

// AddDraft is AddProfile for a version that no tablet gets until it is published.
func (r *Room) AddDraft(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, raw []byte) (Profile, error) {
	return r.addVersion(ctx, tx, by, tenantID, name, raw, raw, true)
}

// addVersion takes a profile. source is the file whose lines findings name.
func (r *Room) addVersion(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, raw, source []byte, draft bool) (Profile, error) {
	doc, _, err := parseProfile(raw)
	if err != nil {
		return Profile{}, err
	}
	if name == "" {
		name, _ = doc["PayloadDisplayName"].(string)
	}
	if name, err = cleanName(name); err != nil {
		return Profile{}, err
	}
	p, err := ownProfile(ctx, tx, tenantID, name)
	fresh := errors.Is(err, sqldb.ErrNoRows)
	if err != nil && !fresh {
		return Profile{}, fmt.Errorf("find profile: %w", err)
	}
	if fresh {
		if err := r.freeName(ctx, tx, tenantID, name, kindApp); err != nil {
			return Profile{}, err
		}
		p = profileRow{ID: sqldb.NewID(), TenantID: tenantID, Name: name, CreatedAt: sqldb.At(r.Clock.Now())}
	}
	traits, err := r.traits(doc) // before it gets identifiers of its own: the same content, the same digest
	if err != nil {
		return Profile{}, err
	}
	if doc[builtMark] != nil {
		finishBuilt(doc, p.ID, name)
		source = nil
	}
	if err := r.identify(ctx, tx, &p, doc, fresh); err != nil {
		return Profile{}, err
	}
	if !fresh {
		done, err := r.sameAgain(ctx, tx, by, &p, doc, draft)
		if err != nil || done {
			return p.profile(), err
		}
	}
	warnings, err := sound(name, inspect(doc, unwrapped(source)))
	if err != nil {
		return Profile{}, err
	}
	out, err := r.saveVersion(ctx, tx, by, p, doc, traits, fresh, draft)
	out.Warnings = warnings
	return out, err
}

// identify gives a new profile its identifier, and holds others to theirs.
func (r *Room) identify(ctx context.Context, tx *sqldb.Tx, p *profileRow, doc map[string]any, fresh bool) error {
	identifier, _ := doc["PayloadIdentifier"].(string)
	if !fresh {
		if identifier != p.Identifier {
			return fault.New(fault.Conflict, "profile.identifier",
				"Profile %s has the PayloadIdentifier %s, this file %s: on the iPads it would stand beside the other instead of replacing it. Give it another name, or the same identifier.",
				p.Name, p.Identifier, mdm.Clean(identifier)).On("identifier")
		}
		return nil
	}
	n, err := countSame(ctx, tx, kindProfile, p.TenantID, identifier)
	if err != nil {
		return fmt.Errorf("find profiles of one identifier: %w", err)
	}
	if n > 0 {
		return identifierTaken(identifier)
	}
	p.Identifier = identifier
	return nil
}

// sameAgain tells that a profile has this content already; what waited as a draft
// is published where no draft was meant.
func (r *Room) sameAgain(ctx context.Context, tx *sqldb.Tx, by audit.Actor, p *profileRow, doc map[string]any, draft bool) (bool, error) {
	for _, v := range []int64{p.Draft, p.Version} {
		if v == 0 || draft && v == p.Version && p.Draft > 0 {
			continue // a draft back to what is published is a draft all the same
		}
		same, err := r.unchanged(ctx, tx, p.ID, v, doc)
		if err != nil {
			return false, err
		}
		if same && v == p.Draft && !draft {
			return true, r.publish(ctx, tx, by, p, v)
		}
		if same {
			return true, nil
		}
	}
	return false, nil
}

// saveVersion writes a new version and, unless it is a draft, publishes it.
func (r *Room) saveVersion(ctx context.Context, tx *sqldb.Tx, by audit.Actor, p profileRow, doc map[string]any, traits string, fresh, draft bool) (Profile, error) {
	now := r.Clock.Now()
	version := p.Last + 1
	p.Last, p.UpdatedAt = version, sqldb.At(now)
	from := p.Version
	if p.Draft = 0; draft {
		p.Draft = version
	} else {
		p.Version = version
	}
	payloadUUID := strings.ToUpper(uuid.NewString())
	doc["PayloadUUID"] = payloadUUID
	content, err := mdm.Encode(doc)
	if err != nil {
		return Profile{}, err
	}
	sealed, err := r.Vault.Seal(contentPurpose(p.ID, version), content)
	if err != nil {
		return Profile{}, err
	}
	types := payloadTypes(doc)
	summary, err := json.Marshal(types)
	if err != nil {
		return Profile{}, fmt.Errorf("sum a profile up: %w", err)
	}
	p.Summary = string(summary)
	if err := saveProfile(ctx, tx, p, fresh); err != nil {
		if sqldb.IsUnique(err) {
			return Profile{}, identifierTaken(p.Identifier)
		}
		return Profile{}, err
	}
	if err := insertVersion(ctx, tx, p, version, payloadUUID, traits, sealed, string(by), now); err != nil {
		return Profile{}, err
	}
	if err := r.record(ctx, tx, by, "profile.add", "profile:"+p.ID, map[string]any{"name": p.Name, "version": version, "payloads": types, "draft": draft}); err != nil {
		return Profile{}, err
	}
	if draft {
		return p.profile(), nil
	}
	if err := published(ctx, tx, p.ID, version, string(by), now); err != nil {
		return Profile{}, fmt.Errorf("publish a version: %w", err)
	}
	r.undoable(ctx, undo{Do: "publish", Kind: kindProfile, ItemID: p.ID, Version: from})
	return p.profile(), r.markItem(ctx, tx, kindProfile, p.ID)
}

func identifierTaken(identifier string) *fault.Fault {
	return fault.New(fault.Conflict, "profile.identifier-taken",
		"Another profile has the PayloadIdentifier %s already, and an iPad keeps one of a kind. Upload the file under that profile's name, or change its identifier.",
		mdm.Clean(identifier)).On("identifier")
}

// unchanged tells whether doc says what a version says already.
func (r *Room) unchanged(ctx context.Context, q sqldb.Queryer, id string, version int64, doc map[string]any) (bool, error) {
	content, _, err := r.content(ctx, q, id, version)
	if err != nil {
		return false, err
	}
	var old map[string]any
	if err := mdm.Decode(content, &old); err != nil {
		return false, fmt.Errorf("read profile %s: %w", id, err)
	}
	encoded, err := mdm.Encode(doc) // numbers and texts take the form they have once stored
	if err != nil {
		return false, err
	}
	var now map[string]any
	if err := mdm.Decode(encoded, &now); err != nil {
		return false, err
	}
	delete(old, "PayloadUUID")
	delete(now, "PayloadUUID")
	return reflect.DeepEqual(old, now), nil
}

// content opens one version of a profile and gives its PayloadUUID.
func (r *Room) content(ctx context.Context, q sqldb.Queryer, id string, version int64) ([]byte, string, error) {
	row, err := selectVersion(ctx, q, id, version)
	if err != nil {
		return nil, "", fmt.Errorf("read profile %s: %w", id, err)
	}
	b, err := r.Vault.Open(contentPurpose(id, version), row.Content)
	return b, row.PayloadUUID, err
}

// WiFiPayload is the Wi-Fi profile of this name as a tablet takes it.
func (r *Room) WiFiPayload(ctx context.Context, q sqldb.Queryer, tenantID, name string) ([]byte, error) {
	p, err := r.profileNamed(ctx, q, tenantID, name)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(p.Summary, `"com.apple.wifi.managed"`) {
		return nil, fault.New(fault.Invalid, "profile.no-wifi", "Profile %s holds no Wi-Fi network, so an iPad could not come back with it. Name one that does.", name).On("wifi")
	}
	if p.Version == 0 {
		return nil, fault.New(fault.Conflict, "profile.draft", "Profile %s is a draft, which no iPad gets. Publish it first: ranzen profile publish.", name).On("wifi")
	}
	v, err := selectVersion(ctx, q, p.ID, p.Version)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", p.ID, err)
	}
	if t, err := readTraits(v.Traits); err != nil || len(t.Vars) > 0 {
		return nil, fault.New(fault.Conflict, "profile.variables", "Variables stand in profile %s, which cannot be filled in for an iPad that is erased. Name a Wi-Fi profile without.", name).On("wifi").With(err)
	}
	return r.Vault.Open(contentPurpose(p.ID, p.Version), v.Content)
}

// Profiles lists by name those that a tenant may use, or all for "".
func (r *Room) Profiles(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Profile, error) {
	rows, err := allProfiles(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	out := make([]Profile, 0, len(rows))
	for _, p := range rows {
		out = append(out, p.profile())
	}
	return out, nil
}

// ProfileByName finds one that a tenant may use, as schools.Choose does.
func (r *Room) ProfileByName(ctx context.Context, q sqldb.Queryer, tenantID, name string) (Profile, error) {
	p, err := r.profileNamed(ctx, q, tenantID, name)
	return p.profile(), err
}

func (r *Room) profileNamed(ctx context.Context, q sqldb.Queryer, tenantID, name string) (profileRow, error) {
	it, err := r.itemNamed(ctx, q, tenantID, name, kindProfile)
	if err != nil {
		return profileRow{}, err
	}
	p, err := profileByID(ctx, q, it.ID)
	if err != nil {
		return profileRow{}, fmt.Errorf("find profile: %w", err)
	}
	return p, nil
}

// RemoveProfile removes a profile of a tenant, or of any for "", that is assigned
// to nobody. Tablets that still have it lose it.
func (r *Room) RemoveProfile(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string) error {
	it, err := r.itemNamed(ctx, tx, tenantID, name, kindProfile)
	if err != nil {
		return err
	}
	if err := schools.MayChange(tenantID, it.TenantID); err != nil {
		return err
	}
	p, err := lockProfile(ctx, tx, it.ID) // an assignment made meanwhile waits, or is seen
	if errors.Is(err, sqldb.ErrNoRows) {
		return unknown(kindProfile, name)
	}
	if err != nil {
		return fmt.Errorf("find profile: %w", err)
	}
	if err := r.unassigned(ctx, tx, kindProfile, p.ID, name); err != nil {
		return err
	}
	if err := removeRow(ctx, tx, "profiles", p.ID, r.Clock.Now()); err != nil {
		return err
	}
	return r.record(ctx, tx, by, "profile.remove", "profile:"+p.ID, map[string]any{"name": name})
}

func (r *Room) unassigned(ctx context.Context, tx *sqldb.Tx, kind, id, name string) error {
	n, err := countAssignments(ctx, tx, kind, id)
	if err != nil {
		return err
	}
	if n > 0 {
		return fault.New(fault.Conflict, kind+".assigned",
			"%s is assigned in %d places. Take it back there first (ranzen assignment list, ranzen unassign): then the iPads lose it too.", name, n)
	}
	return nil
}

// cleanName is a name people assign by.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 100 || name != mdm.Clean(name) {
		return "", fault.New(fault.Invalid, "name.invalid", "A name has 1 to 100 characters and no control characters.").On("name")
	}
	return name, nil
}

// freeName keeps profiles and apps from sharing a name: they are assigned by it.
func (r *Room) freeName(ctx context.Context, q sqldb.Queryer, tenantID, name, other string) error {
	n, err := countNamed(ctx, q, other, tenantID, name)
	if err != nil {
		return err
	}
	if n > 0 {
		return fault.New(fault.Conflict, "name.taken", "There is an %s called %s already, and both are assigned by name. Choose another.",
			map[string]string{kindApp: "app", kindProfile: "(other) profile"}[other], name).On("name")
	}
	return nil
}

// parseProfile reads an upload, and what is signed in it, and refuses what no
// tablet would take.
func parseProfile(raw []byte) (doc map[string]any, content []byte, err error) {
	if len(raw) == 0 {
		return nil, nil, notProfile("it is empty")
	}
	if len(raw) > maxProfile {
		return nil, nil, fault.New(fault.Invalid, "profile.large", "The file has more than 4 MB, which no profile has.")
	}
	content, _, err = certs.UnwrapCMS(raw)
	if err != nil {
		return nil, nil, notProfile(guess(raw)).With(err)
	}
	if err := mdm.DecodeUpload(content, &doc); err != nil {
		return nil, nil, notProfile(guess(raw)).With(err)
	}
	return doc, content, checkProfile(doc)
}

// unwrapped is what is signed in a file, or nothing.
func unwrapped(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	content, _, err := certs.UnwrapCMS(raw)
	if err != nil {
		return nil
	}
	return content
}

func notProfile(what string) *fault.Fault {
	return fault.New(fault.Invalid, "profile.unreadable", "The file is not a configuration profile: %s. Upload a .mobileconfig.", what)
}

// guess tells which file somebody took for a profile.
func guess(b []byte) string {
	head := string(b[:min(len(b), 200)])
	switch {
	case strings.Contains(head, "PRIVATE KEY"):
		return "it is a private key; keep it to yourself"
	case strings.Contains(head, "BEGIN CERTIFICATE"):
		return "it is a certificate; make a profile of it with `ranzen profile certificate`"
	case strings.HasPrefix(head, "PK"):
		return "it is an archive or an app"
	case strings.HasPrefix(head, "%PDF"):
		return "it is a PDF"
	case strings.HasPrefix(head, "{"):
		return "it is JSON"
	case strings.HasPrefix(strings.TrimSpace(head), "<!DOCTYPE html"), strings.HasPrefix(strings.TrimSpace(head), "<html"):
		return "it is a web page"
	case strings.HasPrefix(head, "0\x82") || strings.HasPrefix(head, "0\x80"):
		return "it is a certificate, a key store (.p12) or a broken signature"
	}
	return "it is no property list, or a broken one"
}
