package profiles

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// itemsFor gives the rows of one kind on the tablet that answered.
func (r *Room) itemsFor(ctx context.Context, tx *sqldb.Tx, c commands.Command, kind string) ([]itemRow, []string, error) {
	rows, err := itemsOf(ctx, tx, []string{c.EnrollmentID})
	if err != nil {
		return nil, nil, fmt.Errorf("read items: %w", err)
	}
	var mine []itemRow
	var ids []string
	for _, row := range rows {
		if row.Kind == kind && row.Generation == c.Generation {
			mine, ids = append(mine, row), append(ids, row.ItemID)
		}
	}
	return mine, ids, nil
}

// keepList stores what a tablet showed.
func (r *Room) keepList(ctx context.Context, tx *sqldb.Tx, c commands.Command, list any, now time.Time) error {
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("keep a list: %w", err)
	}
	if err := upsertList(ctx, tx, c.EnrollmentID, c.Kind, c.Generation, body, now); err != nil {
		return fmt.Errorf("keep a list: %w", err)
	}
	return nil
}

type seenProfile struct {
	Identifier string `json:"identifier"`
	UUID       string `json:"uuid"`
	Name       string `json:"name,omitempty"`
	Managed    bool   `json:"managed"`
}

// listedProfiles compares a tablet's profiles with what it should have. A list
// that cannot be read is an error of its own and changes nothing.
func (r *Room) listedProfiles(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	if res.Status != acked {
		return r.MarkAt(ctx, tx, res.At.Add(time.Hour), c.EnrollmentID)
	}
	list, err := mdm.ParseProfileList(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	seen := make([]seenProfile, 0, len(list))
	there := map[string]string{}
	for _, p := range list {
		seen = append(seen, seenProfile{mdm.Clean(p.PayloadIdentifier), mdm.Clean(p.PayloadUUID), mdm.Clean(p.PayloadDisplayName), p.IsManaged})
		there[p.PayloadIdentifier] = strings.ToUpper(p.PayloadUUID)
	}
	rows, ids, err := r.itemsFor(ctx, tx, c, kindProfile)
	if err != nil {
		return err
	}
	versions, err := versionsOf(ctx, tx, ids)
	if err != nil {
		return fmt.Errorf("read versions: %w", err)
	}
	identifier, version, of := map[string]string{}, map[[2]string]int64{}, map[string]string{}
	for _, v := range versions {
		identifier[v.ProfileID], of[strings.ToUpper(v.PayloadUUID)] = v.Identifier, v.ProfileID
		version[[2]string{v.ProfileID, strings.ToUpper(v.PayloadUUID)}] = v.Version
	}
	for i := range rows {
		u, is := there[identifier[rows[i].ItemID]]
		if whose := of[u]; whose != "" && whose != rows[i].ItemID {
			is = false // another profile of the same identifier took its place
		}
		var observed *int64
		if is {
			v := version[[2]string{rows[i].ItemID, u}] // 0: there, and not a version of ours
			rows[i].SeenRender = ""
			if v == 0 {
				v, rows[i].SeenRender = rendered(versions, rows[i], u)
			}
			observed = &v
		}
		observe(&rows[i], observed, res.At)
	}
	return r.observed(ctx, tx, c, rows, seen, res.At)
}

// observe takes what a list says of an item into its row.
func observe(row *itemRow, observed *int64, now time.Time) {
	wasThere := row.Observed != nil && row.State == installed
	row.Observed, row.ObservedAt, row.UpdatedAt = observed, sqldb.At(now), sqldb.At(now)
	switch {
	case row.Desired == nil && observed == nil:
		row.end()
	case row.Desired == nil && row.HoldsData && row.State == blocked:
		// It stays until its removal is confirmed: planning says so.
	case row.Desired == nil:
		row.State = removing
	case observed != nil && *observed == *row.Desired && row.SeenRender == row.Render && row.beside():
		row.State, row.Reason, row.RetryAt = acknowledged, "The new Wi-Fi network is there, and the former one goes next.", sqldb.Time{}
	case fulfils(row.Kind, observed, *row.Desired) && row.SeenRender == row.Render:
		row.settle()
	case wasThere:
		row.undo(now)
	case row.State == acknowledged:
		row.Failures++
		row.State, row.RetryAt = failed, sqldb.At(now.Add(backOff(row.Failures)))
		row.Reason = "The iPad acknowledged it, but its own list does not show it. It is tried again."
	}
}

// observedBut writes the rows and keeps the list, where another list of the same
// session has more to say of them.
func (r *Room) observedBut(ctx context.Context, tx *sqldb.Tx, c commands.Command, rows []itemRow, seen any, now time.Time) error {
	if len(rows) > 0 {
		if err := upsertItems(ctx, tx, rows); err != nil {
			return fmt.Errorf("write items: %w", err)
		}
	}
	return r.keepList(ctx, tx, c, seen, now)
}

// observed writes the rows, keeps the list and has the tablet planned.
func (r *Room) observed(ctx context.Context, tx *sqldb.Tx, c commands.Command, rows []itemRow, seen any, now time.Time) error {
	if err := r.observedBut(ctx, tx, c, rows, seen, now); err != nil {
		return err
	}
	for _, row := range rows {
		settled := row.State == installed || row.State == removed || row.State == blocked && row.RetryAt.IsZero()
		if !settled && (row.RetryAt.IsZero() || !row.RetryAt.After(now)) {
			return r.Mark(ctx, tx, c.EnrollmentID)
		}
		if !settled {
			if err := r.MarkAt(ctx, tx, row.RetryAt.Time, c.EnrollmentID); err != nil {
				return err
			}
		}
	}
	return nil
}

func unreadable(err error) error {
	return fault.New(fault.Invalid, "answer.unreadable", "The tablet's answer cannot be read.").With(err)
}

// acceptedApp takes the answer to InstallApplication, which says at best that
// the tablet will try.
func (r *Room) acceptedApp(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	row, err := r.answered(ctx, tx, c)
	if err != nil {
		return unlessStale(err)
	}
	said, err := mdm.ParseAppAnswer(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	if res.Status != acked || said.RejectionReason != "" {
		if state, text := refusal(said.RejectionReason, res.Errors); state != "" {
			return r.fail(ctx, tx, row, state, text, res.At)
		}
	}
	a, err := appByID(ctx, tx, row.ItemID)
	if err != nil {
		return fmt.Errorf("read app %s: %w", row.ItemID, err)
	}
	if said.Identifier != "" && said.Identifier != a.BundleID {
		if a.inHouse() {
			return r.fail(ctx, tx, row, blocked, fmt.Sprintf("The iPad found another app in the file: %s, not %s.", mdm.Clean(said.Identifier), a.BundleID), res.At)
		}
		return r.fail(ctx, tx, row, blocked, fmt.Sprintf("In the App Store the number %s is the app %s, not %s. Add the app again with the right identifier.",
			a.AdamID, mdm.Clean(said.Identifier), a.BundleID), res.At)
	}
	row.AckAt = sqldb.At(res.At)
	if row.State == sent || row.State == pending {
		row.State = acknowledged
	}
	if err := r.save(ctx, tx, row); err != nil {
		return err
	}
	return r.ask(ctx, tx, c, listManaged, res.At)
}

// refusal says in words why a tablet does not install an app; no state: it will.
// Source: Apple, Device Management, "InstallApplication" > RejectionReason.
func refusal(reason string, chain []mdm.ErrorItem) (state, text string) {
	switch reason {
	case "AppAlreadyInstalled", "AppAlreadyQueued":
		return "", ""
	case "CouldNotVerifyAppID":
		return blocked, "The App Store does not know the app, or there is no licence for this iPad (CouldNotVerifyAppID)."
	case "PurchaseMethodNotSupported", "PurchaseMethodNotSupportedInMultiUser":
		return blocked, "The app cannot be licensed to a device (" + reason + ")."
	case "AppStoreDisabled":
		return blocked, "A restriction on the iPad forbids installing apps (AppStoreDisabled)."
	case "ManagementChangeNotSupported":
		return blocked, "The app was installed by hand and this iPad does not hand it over: remove it there, then it is installed again (ManagementChangeNotSupported)."
	case "NotAnApp", "NotSupported":
		return blocked, "The iPad cannot run this app (" + reason + ")."
	}
	for _, e := range chain {
		if isLicence(e) {
			return blocked, "There is no licence of the app for this iPad. " + reasonOf([]mdm.ErrorItem{e})
		}
	}
	if reason != "" {
		return failed, "The iPad refused the app (" + mdm.Clean(reason) + ")."
	}
	return failed, reasonOf(chain)
}

// isLicence knows the errors of a missing licence: MCMDMErrorDomain 12040 and
// 12064 and texts of peers' users; Apple documents no list of codes.
func isLicence(e mdm.ErrorItem) bool {
	text := strings.ToLower(e.English + " " + e.Localized)
	return strings.Contains(text, "license") || strings.Contains(text, "licence") || e.Code == 12064 || e.Code == 12040
}

type seenApp struct {
	BundleID string `json:"bundle_id"`
	Status   string `json:"status,omitempty"`
	Version  string `json:"version,omitempty"`
}

// listedManaged takes the states of the managed apps.
func (r *Room) listedManaged(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	if res.Status != acked {
		return r.MarkAt(ctx, tx, res.At.Add(time.Hour), c.EnrollmentID)
	}
	list, err := mdm.ParseManagedApps(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	seen := make([]seenApp, 0, len(list))
	for id, a := range list {
		seen = append(seen, seenApp{BundleID: mdm.Clean(id), Status: mdm.Clean(a.Status)})
	}
	rows, ids, err := r.itemsFor(ctx, tx, c, kindApp)
	if err != nil {
		return err
	}
	apps, err := appsByID(ctx, tx, ids)
	if err != nil {
		return fmt.Errorf("read apps: %w", err)
	}
	bundle, house := map[string]string{}, map[string]bool{}
	for _, a := range apps {
		bundle[a.ID], house[a.ID] = a.BundleID, a.inHouse()
	}
	var again time.Duration
	unproven := false
	for i := range rows {
		a, listed := list[bundle[rows[i].ItemID]]
		if a.Status == "Managed" && house[rows[i].ItemID] {
			// Which version is there the list of installed apps says.
			unproven = unproven || rows[i].State != installed
			continue
		}
		if wait := observeApp(&rows[i], a.Status, listed, res.At); wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
	}
	if again > 0 {
		if err := r.ask(ctx, tx, c, listManaged, res.At.Add(again)); err != nil {
			return err
		}
	}
	if unproven {
		if err := r.ask(ctx, tx, c, listInstalled, res.At); err != nil {
			return err
		}
		return r.observedBut(ctx, tx, c, rows, seen, res.At)
	}
	return r.observed(ctx, tx, c, rows, seen, res.At)
}

// observeApp takes an app's state into its row. It gives how long to wait before
// asking again, where the app is on its way.
// Source: Apple, Device Management, "ManagedApplicationList" > Status.
func observeApp(row *itemRow, status string, listed bool, now time.Time) time.Duration {
	there := int64(1)
	switch status {
	case "Managed":
		observe(row, &there, now)
		return 0
	case "Queued", "NeedsRedemption", "Redeeming", "Prompting", "PromptingForLogin", "PromptingForManagement", "ValidatingPurchase",
		"PromptingForUpdate", "PromptingForUpdateLogin", "ValidatingUpdate", "Updating", "Installing":
		if row.Desired == nil {
			observe(row, &there, now)
			return 0
		}
		row.Observed, row.ObservedAt, row.UpdatedAt, row.State = nil, sqldb.At(now), sqldb.At(now), acknowledged
		row.Reason = "The iPad is at it: " + status + "."
		return askAgain(now.Sub(row.AckAt.Time))
	case "UserRejected", "UpdateRejected", "ManagementRejected", "Failed":
		if row.Desired == nil {
			observe(row, nil, now)
			return 0
		}
		row.Observed, row.ObservedAt, row.UpdatedAt = nil, sqldb.At(now), sqldb.At(now)
		row.Failures++
		row.State, row.RetryAt = failed, sqldb.At(now.Add(max(backOff(row.Failures), 6*time.Hour)))
		row.Reason = "The person at the iPad refused the app (" + status + "). It is offered again later."
		if status == "Failed" {
			row.RetryAt = sqldb.At(now.Add(backOff(row.Failures)))
			row.Reason = "The iPad could not install the app (Failed). It is tried again."
		}
		return 0
	}
	// UserInstalledApp, ManagedButUninstalled, Unknown, or not in the list: not
	// there as ours.
	if listed && row.State == acknowledged && row.Desired != nil {
		row.State = sent // a state of passage, not the answer of a list that lacks it
	}
	observe(row, nil, now)
	return 0
}

// askAgain is how long to wait before asking a tablet that is at it since then.
func askAgain(since time.Duration) time.Duration {
	switch {
	case since < 20*time.Second:
		return 2 * time.Second
	case since < 2*time.Minute:
		return 15 * time.Second
	case since < showsWithin:
		return time.Minute
	}
	return 15 * time.Minute
}

// showsWithin is how long a tablet may show the version before after it was told of
// the next, until that counts as a failure.
const showsWithin = 15 * time.Minute

// listedInstalled keeps the versions of the apps that are there.
func (r *Room) listedInstalled(ctx context.Context, tx *sqldb.Tx, c commands.Command, res commands.Result) error {
	if res.Status != acked {
		return r.MarkAt(ctx, tx, res.At.Add(time.Hour), c.EnrollmentID)
	}
	list, err := mdm.ParseInstalledApps(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	seen := make([]seenApp, 0, len(list))
	for _, a := range list {
		v := a.ShortVersion
		if v == "" {
			v = a.Version
		}
		seen = append(seen, seenApp{BundleID: mdm.Clean(a.Identifier), Version: mdm.Clean(v)})
	}
	rows, err := r.provenVersions(ctx, tx, c, list, res.At)
	if err != nil {
		return err
	}
	return r.observed(ctx, tx, c, rows, seen, res.At)
}
