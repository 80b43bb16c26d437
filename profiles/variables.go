package profiles

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Variables that every device has, or lacks. Tenants may define others.
const (
	varDeviceName = "DEVICE_NAME"
	varSerial     = "SERIAL"
	varAssetTag   = "ASSET_TAG"
	varSite       = "SITE"
	varClass      = "CLASS"
	varCart       = "CART"
	varSlot       = "SLOT"
	// varChallenge is a SCEP challenge, good once and for this device alone. The
	// builder of Wi-Fi with certificates writes it.
	varChallenge = "SCEP_CHALLENGE"
)

func ownVariables() []string {
	return []string{varDeviceName, varSerial, varAssetTag, varSite, varClass, varCart, varSlot, varChallenge}
}

// networkLife is how long a certificate for a network is used before the profile
// brings another one; it is good for twice as long, and more.
const networkLife = 180 * 24 * time.Hour

// challengeLife is how long a SCEP challenge in a profile is good: the iPad asks
// at once, or after a repair of its network.
const challengeLife = 24 * time.Hour

var (
	variable      = regexp.MustCompile(`\$(\$|[A-Z][A-Z0-9_]+|\{[A-Z][A-Z0-9_]+\})`)
	wholeVariable = regexp.MustCompile(`^\$[A-Z][A-Z0-9_]+$`)
	variableName  = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)
)

// eachText replaces the texts of a profile in which variables may stand. Secrets
// are left alone unless they are a variable as a whole: a password may hold a $.
func eachText(doc map[string]any, do func(text string) string) {
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		if p, ok := v.(map[string]any); ok {
			t, _ := p["PayloadType"].(string)
			textsIn(t, p, do)
		}
	}
	for _, key := range []string{"PayloadDisplayName", "PayloadDescription", "PayloadOrganization"} {
		if s, ok := doc[key].(string); ok {
			doc[key] = do(s)
		}
	}
}

func textsIn(payloadType string, m map[string]any, do func(string) string) {
	for k, v := range m {
		switch v := v.(type) {
		case string:
			fixed := k == "PayloadType" || k == "PayloadIdentifier" || k == "PayloadUUID"
			if !fixed && (!secretKey(payloadType, k, v) || wholeVariable.MatchString(v)) {
				m[k] = do(v)
			}
		case map[string]any:
			textsIn(payloadType, v, do)
		case []any:
			textsAmong(payloadType, v, do)
		}
	}
}

func textsAmong(payloadType string, list []any, do func(string) string) {
	for i, e := range list {
		switch e := e.(type) {
		case string:
			list[i] = do(e)
		case map[string]any:
			textsIn(payloadType, e, do)
		case []any:
			textsAmong(payloadType, e, do)
		}
	}
}

// variablesIn are the names of the variables in a profile, sorted.
func variablesIn(doc map[string]any) []string {
	met := map[string]bool{}
	eachText(doc, func(text string) string {
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			if m[1] != "$" {
				met[strings.Trim(m[1], "{}")] = true
			}
		}
		return text
	})
	if len(met) == 0 {
		return nil
	}
	return sorted(met)
}

// fill puts values in the place of variables; $$ is a $.
func fill(doc map[string]any, values map[string]string) {
	eachText(doc, func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(m string) string {
			if m == "$$" {
				return "$"
			}
			return values[strings.Trim(m[1:], "{}")]
		})
	})
}

// fillIn works out, set-wise, which values stand in the wished profiles that have
// variables: what misses one is blocked.
func (r *Room) fillIn(ctx context.Context, q sqldb.Queryer, facts map[string]DeviceFacts, scopes map[string][]schools.Scope, wishes map[string]map[thing]wanted) error {
	some := map[string]DeviceFacts{}
	for id, wish := range wishes {
		for _, w := range wish {
			if w.Traits != nil && len(w.Traits.Vars) > 0 {
				some[id] = facts[id]
			}
		}
	}
	if len(some) == 0 {
		return nil
	}
	values, err := r.valuesOf(ctx, q, some, scopes)
	if err != nil {
		return err
	}
	for id := range some {
		for th, w := range wishes[id] {
			if w.Traits == nil || len(w.Traits.Vars) == 0 {
				continue
			}
			render, missing := r.render(th.ID, w.Traits.Vars, values[id])
			if w.Render = render; missing != "" {
				w.Blocked = unresolved(missing)
			}
			wishes[id][th] = w
		}
	}
	return nil
}

func unresolved(name string) string {
	if slices.Contains(ownVariables(), name) {
		return fmt.Sprintf("This iPad has no value, or more than one, for $%s, which stands in the profile. Give it one in its place, tag or name.", name)
	}
	return fmt.Sprintf("Nobody has defined $%s, which stands in the profile. Define it: ranzen variable set %s VALUE.", name, name)
}

// render tells one set of values from another without telling them, and which
// one is missing.
func (r *Room) render(profileID string, names []string, values map[string]string) (render, missing string) {
	var b strings.Builder
	b.WriteString(profileID)
	for _, name := range names {
		v, known := values[name]
		if !known {
			return "", name
		}
		fmt.Fprintf(&b, "\x00%s\x00%s", name, v)
	}
	digest := r.Vault.Digest("profiles.render", []byte(b.String()))
	return digest[:min(32, len(digest))], ""
}

// valuesOf are the values of all variables by enrollment. The value of a SCEP
// challenge is here the half-year in which it is used: it is made when the
// profile is handed over.
func (r *Room) valuesOf(ctx context.Context, q sqldb.Queryer, some map[string]DeviceFacts, scopes map[string][]schools.Scope) (map[string]map[string]string, error) {
	var devices []string
	var in []schools.Scope
	tenants := map[string]bool{"": true}
	for _, f := range some {
		devices = append(devices, f.DeviceID)
		for _, s := range scopes[f.DeviceID] {
			if s.Kind == "site" || s.Kind == "class" || s.Kind == "cart" {
				in = append(in, s)
			}
		}
		tenants[schools.TenantOf(scopes[f.DeviceID])] = true
	}
	slices.Sort(devices)
	known, err := r.Schools.Devices(ctx, q, slices.Compact(devices))
	if err != nil {
		return nil, err
	}
	called, err := r.Schools.Called(ctx, q, in)
	if err != nil {
		return nil, err
	}
	defined, err := r.definedFor(ctx, q, sorted(tenants))
	if err != nil {
		return nil, err
	}
	now := r.Clock.Now()
	out := make(map[string]map[string]string, len(some))
	for id, f := range some {
		v := map[string]string{}
		for _, tenant := range []string{"", schools.TenantOf(scopes[f.DeviceID])} { // a tenant's own is stronger
			for name, value := range defined[tenant] {
				v[name] = value
			}
		}
		d := known[f.DeviceID]
		has := func(name, value string) {
			if value != "" {
				v[name] = value
			}
		}
		has(varDeviceName, d.Name)
		has(varSerial, d.Serial)
		has(varAssetTag, d.AssetTag)
		has(varSite, onlyOne(scopes[f.DeviceID], "site", called))
		has(varClass, schools.ClassName(onlyOne(scopes[f.DeviceID], "class", called)))
		has(varCart, onlyOne(scopes[f.DeviceID], "cart", called))
		if d.Slot > 0 {
			has(varSlot, strconv.Itoa(int(d.Slot)))
		}
		shift := time.Duration(dice("network", id)%uint64(networkLife/time.Second)) * time.Second // not all on one day
		has(varChallenge, strconv.FormatInt(int64(now.Add(shift).Unix())/int64(networkLife/time.Second), 10))
		out[id] = v
	}
	return out, nil
}

// onlyOne is the name of the one scope of a kind that a device is in.
func onlyOne(in []schools.Scope, kind string, called map[schools.Scope]schools.Called) string {
	name := ""
	for _, s := range in {
		if s.Kind != kind {
			continue
		}
		if name != "" && called[s].Name != name {
			return ""
		}
		name = called[s].Name
	}
	return name
}

// contentFor is a version of a profile as one tablet gets it.
func (r *Room) contentFor(ctx context.Context, tx *sqldb.Tx, row itemRow, version int64) (content []byte, render string, err error) {
	v, err := selectVersion(ctx, tx, row.ItemID, version)
	if err != nil {
		return nil, "", fmt.Errorf("read profile %s: %w", row.ItemID, err)
	}
	if content, err = r.Vault.Open(contentPurpose(row.ItemID, version), v.Content); err != nil {
		return nil, "", err
	}
	traits, err := readTraits(v.Traits)
	if err != nil {
		return nil, "", err
	}
	old, beside := besideOf(row.Render)
	if len(traits.Vars) == 0 && !beside {
		return content, "", nil
	}
	var doc map[string]any
	if err := mdm.Decode(content, &doc); err != nil {
		return nil, "", fmt.Errorf("read profile %s: %w", row.ItemID, err)
	}
	if beside {
		more, err := r.addNetworks(ctx, tx, doc, row.ItemID, old)
		if err != nil {
			return nil, "", err
		}
		traits.Vars = append(slices.Clone(traits.Vars), more...)
	}
	if render, err = r.fillFor(ctx, tx, row, traits, doc); err != nil {
		return nil, "", err
	}
	if beside {
		render = besideRender(old, render)
	}
	doc["PayloadUUID"] = renderedUUID(v.PayloadUUID, render)
	content, err = mdm.Encode(doc)
	return content, render, err
}

// fillFor puts a tablet's values in the place of the variables in a profile, and
// gives what tells these values apart from others.
func (r *Room) fillFor(ctx context.Context, tx *sqldb.Tx, row itemRow, traits Traits, doc map[string]any) (string, error) {
	if len(traits.Vars) == 0 {
		return "", nil
	}
	facts, err := r.Facts.Facts(ctx, tx, []string{row.EnrollmentID})
	if err != nil {
		return "", err
	}
	scopes, err := r.Schools.ScopesOf(ctx, tx, []string{facts[row.EnrollmentID].DeviceID})
	if err != nil {
		return "", err
	}
	all, err := r.valuesOf(ctx, tx, facts, scopes)
	if err != nil {
		return "", err
	}
	values := all[row.EnrollmentID]
	render, missing := r.render(row.ItemID, traits.Vars, values)
	if missing != "" {
		return "", fault.New(fault.Conflict, "item.unresolved", "%s", unresolved(missing))
	}
	if slices.Contains(traits.Vars, varChallenge) {
		secret, err := r.Certs.NewChallenge(ctx, tx, certs.Grant{Purpose: certs.Network, EnrollmentID: row.EnrollmentID, Generation: row.Generation, TTL: challengeLife})
		if err != nil {
			return "", err
		}
		values[varChallenge] = secret.Open()
	}
	fill(doc, values)
	return render, nil
}

// renderedUUID is by which a tablet's list tells with which values it has a
// version.
func renderedUUID(payloadUUID, render string) string {
	base, err := uuid.Parse(payloadUUID)
	if err != nil {
		return payloadUUID // as it is stored by us; it is one
	}
	return strings.ToUpper(uuid.NewSHA1(base, []byte(render)).String())
}

// rendered finds which version, with which values, a PayloadUUID in a list is; 0
// is none that we sent.
func rendered(versions []versionName, row itemRow, seen string) (int64, string) {
	for _, v := range versions {
		if v.ProfileID != row.ItemID {
			continue
		}
		for _, render := range []string{row.Render, row.SentRender} {
			if render != "" && renderedUUID(v.PayloadUUID, render) == seen {
				return v.Version, render
			}
		}
	}
	return 0, ""
}

// Variable is one that people defined, without what stands in its place.
type Variable struct {
	ID, TenantID, Name, By string
	UpdatedAt              time.Time
}

func variablePurpose(tenantID, name string) string {
	return "profiles.variable:" + tenantID + ":" + name
}

// SetVariable says what stands in the place of a variable on devices of a tenant,
// or for "" of all that define none. It gives how many devices that concerns.
//
// Faults: variable.name, variable.value.
func (r *Room) SetVariable(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name, value string) error {
	switch {
	case !variableName.MatchString(name):
		return fault.New(fault.Invalid, "variable.name", "The name of a variable has capital letters, digits and underscores, and begins with a letter: SUPPORT_PHONE.").On("name")
	case slices.Contains(ownVariables(), name):
		return fault.New(fault.Invalid, "variable.name", "$%s is what every iPad has of its own; choose another name.", name).On("name")
	case value == "" || len(value) > 4096 || value != mdm.Clean(value):
		return fault.New(fault.Invalid, "variable.value", "A variable stands for 1 to 4096 bytes of text.").On("value")
	}
	row, err := selectVariable(ctx, tx, tenantID, name)
	if isNoRows(err) {
		row = variableRow{ID: sqldb.NewID(), TenantID: tenantID, Name: name}
	} else if err != nil {
		return fmt.Errorf("find a variable: %w", err)
	}
	sealed, err := r.Vault.Seal(variablePurpose(row.TenantID, row.Name), []byte(value))
	if err != nil {
		return err
	}
	row.Sealed, row.By, row.UpdatedAt = sealed, string(by), sqldb.At(r.Clock.Now())
	if err := upsertVariable(ctx, tx, row); err != nil {
		return fmt.Errorf("write a variable: %w", err)
	}
	r.note(ctx, "variable "+name+" "+r.Vault.Digest("profiles.variable", []byte(value)))
	if err := r.record(ctx, tx, by, "variable.set", "variable:"+row.ID, map[string]any{"name": name, "tenant": tenantID}); err != nil {
		return err
	}
	return r.markUsers(ctx, tx, name)
}

// RemoveVariable takes one away; profiles in which it stands are blocked then,
// unless the provider defines it too.
func (r *Room) RemoveVariable(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string) error {
	row, err := selectVariable(ctx, tx, tenantID, name)
	if isNoRows(err) {
		return fault.New(fault.NotFound, "variable.unknown", "There is no variable %s. See `ranzen variable list`.", mdm.Clean(name)).On("name")
	}
	if err != nil {
		return fmt.Errorf("find a variable: %w", err)
	}
	if err := deleteVariable(ctx, tx, row.ID); err != nil {
		return fmt.Errorf("remove a variable: %w", err)
	}
	r.note(ctx, "no variable "+name)
	if err := r.record(ctx, tx, by, "variable.remove", "variable:"+row.ID, map[string]any{"name": name, "tenant": tenantID}); err != nil {
		return err
	}
	return r.markUsers(ctx, tx, name)
}

// markUsers marks the tablets of profiles in which a variable stands.
func (r *Room) markUsers(ctx context.Context, tx *sqldb.Tx, name string) error {
	ids, err := profilesWith(ctx, tx, name)
	if err != nil {
		return fmt.Errorf("find profiles with a variable: %w", err)
	}
	for _, id := range ids {
		if err := r.markItem(ctx, tx, kindProfile, id); err != nil {
			return err
		}
	}
	return nil
}

// Variables lists those that a tenant may use, or all for "".
func (r *Room) Variables(ctx context.Context, q sqldb.Queryer, tenantID string) ([]Variable, error) {
	rows, err := allVariables(ctx, q, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list variables: %w", err)
	}
	out := make([]Variable, 0, len(rows))
	for _, v := range rows {
		out = append(out, Variable{v.ID, v.TenantID, v.Name, v.By, v.UpdatedAt.Time})
	}
	return out, nil
}

// definedFor opens what tenants define, by tenant and name.
func (r *Room) definedFor(ctx context.Context, q sqldb.Queryer, tenants []string) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for part := range slices.Chunk(tenants, chunk) {
		rows, err := variablesOf(ctx, q, part)
		if err != nil {
			return nil, fmt.Errorf("read variables: %w", err)
		}
		for _, row := range rows {
			b, err := r.Vault.Open(variablePurpose(row.TenantID, row.Name), row.Sealed)
			if err != nil {
				return nil, err
			}
			if out[row.TenantID] == nil {
				out[row.TenantID] = map[string]string{}
			}
			out[row.TenantID][row.Name] = string(b)
		}
	}
	return out, nil
}
