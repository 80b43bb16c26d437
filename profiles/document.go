package profiles

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/audit"
	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// Document is all that is wished for one tenant, or by the provider, as files
// say it. A section that is nil is not spoken of and stays as it is; one that is
// empty means that there shall be none.
type Document struct {
	Profiles    []DocProfile    `json:"profiles,omitempty"`
	Apps        []DocApp        `json:"apps,omitempty"`
	Groups      []DocGroup      `json:"groups,omitempty"`
	Assignments []DocAssignment `json:"assignments,omitempty"`
}

// DocProfile is a profile by its content: an XML property list in which secrets
// stand as references, "stored:NAME".
type DocProfile struct {
	Name    string `json:"name" maxLength:"255"`
	Content []byte `json:"content" doc:"XML property list, base64"`
}

// DocApp is an app of the App Store by its number, or an in-house one by the
// SHA-256 of its .ipa, which is not in the files.
type DocApp struct {
	Name      string `json:"name" maxLength:"255"`
	AdamID    string `json:"adam_id,omitempty" maxLength:"32"`
	BundleID  string `json:"bundle_id" maxLength:"255"`
	SHA256    string `json:"sha256,omitempty" maxLength:"64" doc:"Of an in-house app's .ipa, which was uploaded before"`
	HoldsData bool   `json:"holds_data,omitempty"`
}

// DocGroup is a group with its rule, or with the serial numbers of its devices.
type DocGroup struct {
	Name    string   `json:"name" maxLength:"255"`
	Rule    string   `json:"rule,omitempty" maxLength:"2000"`
	Devices []string `json:"devices,omitempty" doc:"Serial numbers"`
}

// DocAssignment is one wish.
type DocAssignment struct {
	Item    string `json:"item" maxLength:"255" doc:"Name of a profile or app"`
	To      string `json:"to" maxLength:"300" example:"site:SAT"`
	Exclude bool   `json:"exclude,omitempty"`
}

// Edit is one thing that a document changes in what is wished.
type Edit struct {
	What   string `json:"what" enum:"profile,app,group,assignment"`
	Name   string `json:"name"`
	Action string `json:"action" enum:"add,change,remove"`

	Warnings []catalogue.Finding `json:"warnings,omitempty" doc:"What is odd in a profile; lines are those of its .mobileconfig"`
}

// Scoper reads scopes as people write them, and names them the same way.
type Scoper interface {
	Scope(ctx context.Context, q sqldb.Queryer, tenantID, text string) (Scope, error)
	Text(ctx context.Context, q sqldb.Queryer, scopes []Scope) (map[Scope]string, error)
	Device(ctx context.Context, q sqldb.Queryer, tenantID, serial string) (id string, err error)
	// Moved has devices marked that changed their groups.
	Moved(ctx context.Context, tx *sqldb.Tx, deviceIDs ...string) error
}

// ApplyDocument makes what is wished by a tenant, or by the provider for "", what
// the document says, and tells what that changed. Nothing is left half done: it
// is all in tx. It never widens what was asked: what a section does not name goes,
// what no section names stays.
//
// Faults: document.duplicate, document.empty; those of single changes.
func (r *Room) ApplyDocument(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID string, doc Document, sc Scoper, removeAll bool) ([]Edit, error) {
	now, err := r.ExportDocument(ctx, tx, tenantID, sc)
	if err != nil {
		return nil, err
	}
	if err := doc.check(now, removeAll); err != nil {
		return nil, err
	}
	a := applying{Room: r, tx: tx, by: by, tenant: tenantID, doc: doc, now: now, sc: sc, edits: []Edit{}}
	for _, step := range []func(context.Context) error{a.apps, a.profiles, a.groups, a.assignments, a.removeItems, a.removeGroups, a.nobodyLoses} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a.edits, nil
}

// check refuses what cannot be meant.
func (d Document) check(now Document, removeAll bool) error {
	if d.Profiles == nil && d.Apps == nil && d.Groups == nil && d.Assignments == nil {
		return fault.New(fault.Invalid, "document.empty",
			"The files say nothing: no profiles, apps, groups or assignments. Nothing was changed. Is it the right folder?")
	}
	items, groups, wishes := map[string]bool{}, map[string]bool{}, map[[2]string]bool{}
	for _, name := range append(names(d.Profiles, func(p DocProfile) string { return p.Name }), names(d.Apps, func(a DocApp) string { return a.Name })...) {
		if items[name] {
			return fault.New(fault.Invalid, "document.duplicate", "Two profiles or apps are called %s. Each needs a name of its own.", mdm.Clean(name))
		}
		items[name] = true
	}
	for _, g := range d.Groups {
		if groups[g.Name] {
			return fault.New(fault.Invalid, "document.duplicate", "Two groups are called %s. Each needs a name of its own.", mdm.Clean(g.Name))
		}
		groups[g.Name] = true
	}
	for _, w := range d.Assignments {
		if wishes[[2]string{w.Item, w.To}] {
			return fault.New(fault.Invalid, "document.duplicate", "%s is assigned to %s twice. Say it once.", mdm.Clean(w.Item), mdm.Clean(w.To))
		}
		wishes[[2]string{w.Item, w.To}] = true
	}
	had := len(now.Profiles) + len(now.Apps) + len(now.Groups) + len(now.Assignments)
	if !removeAll && had > 0 && len(d.Profiles)+len(d.Apps)+len(d.Groups)+len(d.Assignments) == 0 {
		return fault.New(fault.Invalid, "document.remove-all",
			"The files would remove everything: %d profiles, %d apps, %d groups and %d assignments. Nothing was changed. If that is meant, say --remove-all.",
			len(now.Profiles), len(now.Apps), len(now.Groups), len(now.Assignments))
	}
	return nil
}

func names[T any](list []T, of func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, of(v))
	}
	return out
}

// applying is one document on its way into the wishes.
type applying struct {
	*Room
	tx     *sqldb.Tx
	by     audit.Actor
	tenant string
	doc    Document
	now    Document
	sc     Scoper
	edits  []Edit

	harmless []itemRow // of apps that held data before, where they are
}

func (a *applying) edit(ctx context.Context, what, name, action string) {
	a.note(ctx, what+" "+action+" "+name)
	a.edits = append(a.edits, Edit{What: what, Name: name, Action: action})
}

// inOrder puts groups before those whose rules ask for them; stuck are those that
// ask for each other.
func inOrder(list []DocGroup) (out, stuck []DocGroup) {
	for left := list; len(left) > 0; {
		var later []DocGroup
		for _, g := range left {
			rule, err := schools.ParseRule(g.Rule)
			_, names := rule.Names()
			waits := g.Rule != "" && err == nil && slices.ContainsFunc(left, func(o DocGroup) bool { return o.Name != g.Name && slices.Contains(names, o.Name) })
			if waits {
				later = append(later, g)
			} else {
				out = append(out, g)
			}
		}
		if len(later) == len(left) {
			return append(out, later...), later
		}
		left = later
	}
	return out, nil
}

func groupName(g DocGroup) string { return g.Name }

func (a *applying) groups(ctx context.Context) error {
	list, stuck := inOrder(a.doc.Groups)
	if len(stuck) > 0 {
		return fault.New(fault.Conflict, "rule.cycle", "The rules of these groups ask for each other: %s. Leave one of them out.", mdm.Clean(strings.Join(names(stuck, groupName), ", "))).On("groups")
	}
	for _, g := range list {
		i := slices.IndexFunc(a.now.Groups, func(o DocGroup) bool { return o.Name == g.Name })
		had := []string{}
		var id string
		if i < 0 {
			create := func() (schools.Group, error) { return a.Schools.CreateGroup(ctx, a.tx, a.by, a.tenant, g.Name) }
			if g.Rule != "" {
				create = func() (schools.Group, error) { return a.CreateRuleGroup(ctx, a.tx, a.by, a.tenant, g.Name, g.Rule) }
			}
			made, err := create()
			if err != nil {
				return err
			}
			id = made.ID
			a.edit(ctx, "group", g.Name, "add")
		} else {
			there, err := a.group(ctx, g.Name)
			if err != nil {
				return err
			}
			if g.Rule != there.Rule {
				if err := a.SetRule(ctx, a.tx, a.by, there, g.Rule); err != nil {
					return err
				}
				a.edit(ctx, "group", g.Name, "change")
			}
			id, had = there.ID, a.now.Groups[i].Devices
		}
		if g.Rule != "" {
			continue
		}
		in, out := without(g.Devices, had), without(had, g.Devices)
		if i >= 0 && len(in)+len(out) > 0 {
			a.edit(ctx, "group", g.Name, "change")
		}
		if err := a.members(ctx, id, in, a.Schools.AddToGroup); err != nil {
			return err
		}
		if err := a.members(ctx, id, out, a.Schools.DropFromGroup); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) group(ctx context.Context, name string) (schools.Group, error) {
	list, err := a.Schools.Groups(ctx, a.tx, a.tenant)
	if err != nil {
		return schools.Group{}, err
	}
	for _, g := range list {
		if g.Name == name && g.TenantID == a.tenant {
			return g, nil
		}
	}
	return schools.Group{}, fault.New(fault.NotFound, "group.unknown", "There is no group %s.", mdm.Clean(name))
}

func (a *applying) members(ctx context.Context, group string, serials []string, do func(context.Context, *sqldb.Tx, audit.Actor, string, ...string) error) error {
	if len(serials) == 0 {
		return nil
	}
	ids := make([]string, 0, len(serials))
	for _, s := range serials {
		id, err := a.sc.Device(ctx, a.tx, a.tenant, s)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := do(ctx, a.tx, a.by, group, ids...); err != nil {
		return err
	}
	return a.sc.Moved(ctx, a.tx, ids...)
}

// without are those of list that are not in other.
func without(list, other []string) (out []string) {
	for _, s := range list {
		if !slices.Contains(other, s) {
			out = append(out, s)
		}
	}
	return out
}

func (a *applying) apps(ctx context.Context) error {
	for _, x := range a.doc.Apps {
		i := slices.IndexFunc(a.now.Apps, func(o DocApp) bool { return o.Name == x.Name })
		switch {
		case i < 0 && x.AdamID == "" && x.SHA256 != "":
			return noSuchIPA(x)
		case i < 0:
			if _, err := a.AddApp(ctx, a.tx, a.by, App{Name: x.Name, TenantID: a.tenant, AdamID: x.AdamID, BundleID: x.BundleID, HoldsData: x.HoldsData}); err != nil {
				return err
			}
			a.edit(ctx, "app", x.Name, "add")
		case a.now.Apps[i].BundleID != x.BundleID || a.now.Apps[i].AdamID != x.AdamID:
			return fault.New(fault.Conflict, "document.app",
				"The app %s is %s (%s) on the server and %s (%s) in the files. Give the other app another name.",
				mdm.Clean(x.Name), a.now.Apps[i].BundleID, a.now.Apps[i].AdamID, mdm.Clean(x.BundleID), mdm.Clean(x.AdamID))
		case a.now.Apps[i].SHA256 != x.SHA256:
			if err := a.useIPA(ctx, x); err != nil {
				return err
			}
			a.edit(ctx, "app", x.Name, "change")
			fallthrough
		default:
			if err := a.holdsData(ctx, x, a.now.Apps[i].HoldsData); err != nil {
				return err
			}
		}
	}
	return nil
}

func noSuchIPA(x DocApp) *fault.Fault {
	return fault.New(fault.Conflict, "document.ipa", "The .ipa of %s with the SHA-256 %s is not on the server. Upload it first: ranzen app add --name N --ipa FILE.", mdm.Clean(x.Name), mdm.Clean(x.SHA256)).On("apps")
}

// useIPA has tablets get the version of an in-house app that a document names.
func (a *applying) useIPA(ctx context.Context, x DocApp) error {
	row, err := ownApp(ctx, a.tx, a.tenant, x.Name)
	if err != nil {
		return fmt.Errorf("find app: %w", err)
	}
	versions, err := appVersions(ctx, a.tx, []string{row.ID})
	if err != nil {
		return fmt.Errorf("read the versions of an app: %w", err)
	}
	for _, v := range versions {
		if v.SHA256 == strings.ToLower(x.SHA256) {
			_, err := a.useVersion(ctx, a.tx, a.by, row, v)
			return err
		}
	}
	return noSuchIPA(x)
}

// holdsData says whether removing an app loses what was made with it.
func (a *applying) holdsData(ctx context.Context, x DocApp, before bool) error {
	if before == x.HoldsData {
		return nil
	}
	app, err := ownApp(ctx, a.tx, a.tenant, x.Name)
	if err != nil {
		return fmt.Errorf("find app: %w", err)
	}
	if before {
		there, err := dataApps(ctx, a.tx, app.ID)
		if err != nil {
			return fmt.Errorf("find tablets that have an app: %w", err)
		}
		a.harmless = append(a.harmless, there...)
	}
	if err := a.SetHoldsData(ctx, a.tx, a.by, a.tenant, x.Name, x.HoldsData); err != nil {
		return err
	}
	a.edit(ctx, "app", x.Name, "change")
	return nil
}

// nobodyLoses refuses to say of an app that nothing is lost with it while it is
// where nobody wishes it, or will not by this document: it would go from there past
// the gate.
func (a *applying) nobodyLoses(ctx context.Context) error {
	left, err := a.unwished(ctx, a.tx, a.harmless)
	if err != nil || len(left) == 0 {
		return err
	}
	called, err := calledOf(ctx, a.tx, []string{left[0].ItemID})
	if err != nil {
		return fmt.Errorf("read the name of an app: %w", err)
	}
	var serials []string
	for _, k := range left {
		if k.ItemID == left[0].ItemID {
			serials = append(serials, k.serial)
		}
	}
	slices.Sort(serials)
	return fault.New(fault.Conflict, "document.holds-data",
		"The files say that nothing is lost with %s, and on %s (%s) nobody wishes it then: it would go from there with what was made with it. Confirm that first (ranzen removal confirm), or assign it there.",
		mdm.Clean(called[left[0].ItemID].Name), counted(len(serials), "1 iPad", "%d iPads"), strings.Join(serials[:min(len(serials), hazardSerials)], ", ")).On("apps")
}

func (a *applying) profiles(ctx context.Context) error {
	for _, p := range a.doc.Profiles {
		raw, err := a.resolve(ctx, a.tx, a.tenant, p)
		if err != nil {
			return err
		}
		before, err := ownProfile(ctx, a.tx, a.tenant, strings.TrimSpace(p.Name))
		fresh := isNoRows(err)
		if err != nil && !fresh {
			return fmt.Errorf("find profile: %w", err)
		}
		after, err := a.addVersion(ctx, a.tx, a.by, a.tenant, p.Name, raw, p.Content, false)
		switch {
		case err != nil:
			return err
		case fresh:
			a.edit(ctx, "profile", after.Name, "add")
		case after.Version != before.Version:
			a.edit(ctx, "profile", after.Name, "change")
		default:
			continue
		}
		a.edits[len(a.edits)-1].Warnings = after.Warnings
	}
	return nil
}

func (a *applying) assignments(ctx context.Context) error {
	if a.doc.Assignments == nil {
		return nil
	}
	for _, w := range a.now.Assignments {
		if slices.Contains(a.doc.Assignments, w) {
			continue
		}
		s, err := a.sc.Scope(ctx, a.tx, a.tenant, w.To)
		if err != nil {
			return err
		}
		if _, err := a.unassign(ctx, a.tx, a.by, a.tenant, []string{w.Item}, s, a.tenant); err != nil {
			return err
		}
		a.edit(ctx, "assignment", w.String(), "remove")
	}
	for _, w := range a.doc.Assignments {
		if slices.Contains(a.now.Assignments, w) {
			continue
		}
		s, err := a.sc.Scope(ctx, a.tx, a.tenant, w.To)
		if err != nil {
			return err
		}
		if _, err := a.assign(ctx, a.tx, a.by, a.tenant, []string{w.Item}, s, w.Exclude); err != nil {
			return err
		}
		a.edit(ctx, "assignment", w.String(), "add")
	}
	return nil
}

// String is how people read it: "wlan -> site:SAT".
func (w DocAssignment) String() string {
	if w.Exclude {
		return w.Item + " -> not " + w.To
	}
	return w.Item + " -> " + w.To
}

func (a *applying) removeItems(ctx context.Context) error {
	if a.doc.Profiles != nil {
		for _, name := range without(names(a.now.Profiles, func(p DocProfile) string { return p.Name }), names(a.doc.Profiles, func(p DocProfile) string { return p.Name })) {
			if err := a.RemoveProfile(ctx, a.tx, a.by, a.tenant, name); err != nil {
				return err
			}
			a.edit(ctx, "profile", name, "remove")
		}
	}
	if a.doc.Apps != nil {
		for _, name := range without(names(a.now.Apps, func(x DocApp) string { return x.Name }), names(a.doc.Apps, func(x DocApp) string { return x.Name })) {
			if err := a.RemoveApp(ctx, a.tx, a.by, a.tenant, name); err != nil {
				return err
			}
			a.edit(ctx, "app", name, "remove")
		}
	}
	return nil
}

func (a *applying) removeGroups(ctx context.Context) error {
	if a.doc.Groups == nil {
		return nil
	}
	list, _ := inOrder(a.now.Groups)
	there := names(list, groupName)
	slices.Reverse(there) // those first that ask for others
	for _, name := range without(there, names(a.doc.Groups, groupName)) {
		g, err := a.group(ctx, name)
		if err != nil {
			return err
		}
		ids, err := a.Schools.DevicesIn(ctx, a.tx, g.ID)
		if err != nil {
			return err
		}
		if err := a.groupIsFree(ctx, g); err != nil {
			return err
		}
		if err := a.Schools.RemoveGroup(ctx, a.tx, a.by, g.ID); err != nil {
			return err
		}
		if err := a.sc.Moved(ctx, a.tx, ids...); err != nil {
			return err
		}
		a.edit(ctx, "group", name, "remove")
	}
	return nil
}

// groupIsFree refuses to remove a group by which something is wished: a wish for
// nobody would be forgotten.
func (a *applying) groupIsFree(ctx context.Context, g schools.Group) error {
	list, err := a.AssignmentsTo(ctx, a.tx, Scope{"group", g.ID})
	if err != nil || len(list) == 0 {
		return err
	}
	return fault.New(fault.Conflict, "group.in-use", "%s is assigned to the group %s, which the files do not have. Take the assignment out of the files too, or leave the group in.", list[0].Name, g.Name)
}
