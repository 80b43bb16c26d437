package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/commands"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// The questions of DeviceInformation (Apple, Device Management, "Device
// Information", Queries), all known to the newest iPadOS; an older one leaves
// out what it does not know. Not among them are what Apple removed (IMEI,
// carrier), what only tells of a person (the Apple Account's hash, a phone
// number), and what nobody here reads.
func queries() []string {
	return []string{
		"UDID", "SerialNumber", "DeviceName", "OSVersion", "SupplementalOSVersionExtra", "BuildVersion", "SupplementalBuildVersion",
		"ModelName", "Model", "ModelNumber", "ProductName", "DeviceCapacity", "AvailableDeviceCapacity", "BatteryLevel", "IsSupervised",
		"IsMultiUser", "AwaitingConfiguration", "IsMDMLostModeEnabled", "IsActivationLockEnabled", "IsDeviceLocatorServiceEnabled",
		"IsCloudBackupEnabled", "LastCloudBackupDate", "CellularTechnology", "WiFiMAC", "BluetoothMAC", "TimeZone",
	}
}

func informationBody() map[string]any { return map[string]any{"Queries": queries()} }

// kept are the answers that go into the inventory as they are: the questions
// without the name, which may be a person's.
func kept(answers map[string]any) map[string]any {
	out := make(map[string]any, len(answers))
	for _, key := range queries() {
		v, ok := answers[key]
		if !ok || key == "DeviceName" {
			continue
		}
		out[key] = plain(v)
	}
	return out
}

// plain is a value as JSON can hold it and a database will take it.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		return mdm.Clean(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case bool, int, int64, uint64:
		return v
	case float64:
		if v != v || v > 1e300 || v < -1e300 {
			return nil // JSON has no NaN and no infinity
		}
		return v
	}
	return nil // none of our questions is answered by a dictionary
}

func text(answers map[string]any, key string) string {
	s, _ := answers[key].(string)
	return mdm.Clean(s)
}

// informed takes a DeviceInformation: the inventory, and the few facts that
// others plan by.
func (r *Room) informed(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command, res commands.Result) error {
	answers, err := mdm.ParseDeviceInformation(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	devices, err := r.Schools.Devices(ctx, tx, []string{e.DeviceID})
	if err != nil {
		return err
	}
	device := devices[e.DeviceID]
	body := kept(answers)
	if name, told := answers["DeviceName"].(string); told && device.Name != "" {
		body["NameAsWished"] = name == device.Name
	}
	if err := r.keepInventory(ctx, tx, e, information, body); err != nil {
		return err
	}
	if err := r.otherIdentity(ctx, tx, e, device.Serial, answers); err != nil {
		return err
	}
	now := e
	now.learn(answers)
	if err := r.writeFacts(ctx, tx, now, answers); err != nil {
		return err
	}
	return r.follow(ctx, tx, e, now)
}

// learn takes over what a tablet tells of itself; what it does not tell stays.
func (e *Enrollment) learn(answers map[string]any) {
	for key, to := range map[string]*string{"OSVersion": &e.OSVersion, "BuildVersion": &e.BuildVersion, "ProductName": &e.Model} {
		if s := text(answers, key); s != "" {
			*to = s
		}
	}
	if yes, told := answers["IsSupervised"].(bool); told {
		e.Supervised = &yes
	}
	if yes, told := answers["IsMDMLostModeEnabled"].(bool); told {
		e.LostMode = yes
	}
	if yes, told := answers["AwaitingConfiguration"].(bool); told {
		e.Awaiting = yes
	}
}

func (r *Room) writeFacts(ctx context.Context, tx *sqldb.Tx, e Enrollment, answers map[string]any) error {
	set := `os_version = ?, build_version = ?, model = ?, supervised = ?, lost_mode = ?, awaiting = ?`
	args := []any{e.OSVersion, e.BuildVersion, e.Model, nil, e.LostMode, e.Awaiting}
	if e.Supervised != nil {
		args[3] = *e.Supervised
	}
	now := r.Clock.Now()
	if _, told := answers["IsMDMLostModeEnabled"].(bool); told {
		set, args = set+`, lost_observed_at = ?`, append(args, sqldb.At(now))
	}
	return change(ctx, tx, "write the facts of", e.ID, now, set, args...)
}

// follow does what a change of facts sets off.
func (r *Room) follow(ctx context.Context, tx *sqldb.Tx, before, now Enrollment) error {
	if now.State == Held {
		return nil
	}
	var list []commands.Command
	if now.supervised() && !now.HasBypassCode && !before.supervised() {
		list = append(list, r.order(now, bypass, "system"))
	}
	if now.supervised() && now.Awaiting && now.ADEProfileID == "" {
		list = append(list, r.order(now, configured, "system"))
	}
	if len(list) > 0 {
		if _, err := r.Queue.Add(ctx, tx, list...); err != nil {
			return err
		}
	}
	same := before.OSVersion == now.OSVersion && before.Model == now.Model && before.LostMode == now.LostMode &&
		before.supervised() == now.supervised() && before.unsupervised() == now.unsupervised()
	if same {
		return nil
	}
	if err := r.Marker.Mark(ctx, tx, now.ID); err != nil {
		return fmt.Errorf("mark changed facts: %w", err)
	}
	return nil
}

// otherIdentity records that a tablet calls itself differently than at its
// Authenticate. It is not believed: the certificate is what it is known by.
func (r *Room) otherIdentity(ctx context.Context, tx *sqldb.Tx, e Enrollment, serial string, answers map[string]any) error {
	detail := map[string]any{}
	if s := text(answers, "SerialNumber"); s != "" && !strings.EqualFold(s, serial) {
		detail["serial"] = s
	}
	if s := text(answers, "UDID"); s != "" && s != e.UDID {
		detail["udid"] = s
	}
	if len(detail) == 0 {
		return nil
	}
	return r.record(ctx, tx, e.device(), "inventory.other-identity", e.subject(), detail)
}

func (r *Room) keepInventory(ctx context.Context, tx *sqldb.Tx, e Enrollment, kind string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return unreadable(err)
	}
	return upsertInventory(ctx, tx, e, kind, string(b), r.Clock.Now())
}

// secured takes a SecurityInfo. Only what an iPad has is kept; a Mac's answer
// would hold a recovery key.
func (r *Room) secured(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command, res commands.Result) error {
	answers, err := mdm.ParseSecurityInfo(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	body := map[string]any{}
	for _, key := range []string{
		"HardwareEncryptionCaps", "PasscodePresent", "PasscodeCompliant", "PasscodeCompliantWithProfiles",
		"PasscodeLockGracePeriod", "PasscodeLockGracePeriodEnforced", "AutoLockTime",
	} {
		if v, ok := answers[key]; ok {
			body[key] = plain(v)
		}
	}
	if status, ok := answers["ManagementStatus"].(map[string]any); ok {
		for _, key := range []string{"EnrolledViaDEP", "UserApprovedEnrollment", "IsUserEnrollment", "IsActivationLockManageable"} {
			if v, ok := status[key]; ok {
				body[key] = plain(v)
			}
		}
	}
	return r.keepInventory(ctx, tx, e, security, body)
}

// maxCertificates bounds the inventory of one tablet.
const maxCertificates = 200

// certified takes a CertificateList: names and fingerprints, which is enough to
// see that an identity has arrived.
func (r *Room) certified(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command, res commands.Result) error {
	list, err := mdm.ParseCertificateList(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	type certificate struct {
		CommonName string `json:"CommonName"`
		IsIdentity bool   `json:"IsIdentity"`
		SHA256     string `json:"SHA256"`
	}
	out := make([]certificate, 0, min(len(list), maxCertificates))
	for _, c := range list[:min(len(list), maxCertificates)] {
		sum := sha256.Sum256(c.Data)
		out = append(out, certificate{mdm.Clean(c.CommonName), c.IsIdentity, hex.EncodeToString(sum[:])})
	}
	return r.keepInventory(ctx, tx, e, certificates, map[string]any{"Count": len(list), "Certificates": out})
}

// Intervals of the inventory. Ours: once a school day is enough for people, and
// a tablet that was not here for two hours is not asked at all, so that weeks in
// a drawer do not fill the queue (pain 5).
const (
	inventoryEvery = 24 * time.Hour
	seenLately     = 2 * time.Hour
	inventoryBatch = maxValues
)

// QueueInventory is a loop step, each minute: it asks tablets that are here about
// themselves once a day, some hundred at a time, and forgets old locations.
func (r *Room) QueueInventory(ctx context.Context) error {
	now := r.Clock.Now()
	err := r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		due, err := inventoryDue(ctx, tx, now.Add(-inventoryEvery), now.Add(-seenLately), inventoryBatch)
		if err != nil || len(due) == 0 {
			return err
		}
		var list []commands.Command
		ids := make([]string, 0, len(due))
		for _, e := range due {
			ids = append(ids, e.ID)
			list = append(list, r.questions(e, "system")...)
		}
		if err := asked(ctx, tx, `inventory_at`, ids, now); err != nil {
			return err
		}
		_, err = r.Queue.Add(ctx, tx, list...)
		return err
	})
	if err != nil {
		return fmt.Errorf("queue inventory: %w", err)
	}
	err = r.DB.Do(ctx, func(tx *sqldb.Tx) error { return forgetPlaces(ctx, tx, now.Add(-keepPlaces)) })
	if err != nil {
		return fmt.Errorf("forget old locations: %w", err)
	}
	return nil
}
