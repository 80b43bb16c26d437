package enroll

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
)

// byADE is who enrolls a tablet that Apple sent here.
const byADE = audit.Actor("ade")

// SetUpAnswer is what a tablet in Setup Assistant gets.
type SetUpAnswer struct {
	Profile []byte // its signed enrollment profile
	Update  string // instead: the iPadOS it must have first, "18.6"
}

// SetUp answers a tablet that Apple sent here (Automated Device Enrollment): it
// gets an enrollment profile whose one-time challenge is bound to its serial
// number and UDID. Only tablets are let in that Apple assigns to one of our
// tenants and that are still ours. What is signed twice is answered once more
// only as long as nobody has come with the first answer.
//
// Faults: machine-info.*, setup.unexpected, setup.replayed, setup.no-push.
func (r *Room) SetUp(ctx context.Context, tx *sqldb.Tx, signed []byte) (SetUpAnswer, error) {
	opened, err := r.Certs.OpenMachineInfo(signed)
	if err != nil {
		return SetUpAnswer{}, r.refuseSetUp("", err)
	}
	info, err := mdm.ParseMachineInfo(opened.Content)
	if err != nil {
		return SetUpAnswer{}, r.refuseSetUp("", fault.New(fault.Invalid, "machine-info.unreadable", "The machine info cannot be read.").With(err))
	}
	d, p, err := r.expected(ctx, tx, info)
	if err != nil {
		return SetUpAnswer{}, r.refuseSetUp(info.Serial, err)
	}
	if p.MinOS != "" && info.CanUpdate && olderOS(info.OSVersion, p.MinOS) {
		detail := map[string]any{"os_version": info.OSVersion, "min_os": p.MinOS}
		return SetUpAnswer{Update: p.MinOS}, r.record(ctx, tx, byADE, "setup.update", "device:"+d.ID, detail)
	}
	if err := r.retry(ctx, tx, opened); err != nil {
		return SetUpAnswer{}, r.refuseSetUp(info.Serial, err)
	}
	topic, placeholder, err := r.Certs.Topic(ctx, tx)
	if err != nil {
		return SetUpAnswer{}, fmt.Errorf("write an enrollment profile: %w", err)
	}
	if placeholder {
		// It could not be woken, would wait in Setup Assistant for ever, and must be
		// erased to come again (pain 16). Turned away, it asks again.
		return SetUpAnswer{}, r.refuseSetUp(info.Serial, fault.New(fault.Conflict, "setup.no-push",
			"There is no push certificate, so the iPad could not be woken. Import one, then let the iPad try again: see `ranzen push-cert request`."))
	}
	v := visit{
		EnrollmentID: sqldb.NewID(), DeviceID: d.ID, ProfileID: p.ID, Serial: d.Serial, UDID: info.UDID, InfoHash: opened.Hash,
		Product: info.Product, OSVersion: info.OSVersion, AskedAt: sqldb.At(r.Clock.Now()),
	}
	if err := insertVisit(ctx, tx, v); err != nil {
		return SetUpAnswer{}, err
	}
	profile, err := r.signedProfile(ctx, tx, topic, certs.Grant{Purpose: certs.Enroll, EnrollmentID: v.EnrollmentID, TTL: fetchTTL})
	if err != nil {
		return SetUpAnswer{}, err
	}
	detail := map[string]any{"product": info.Product, "os_version": info.OSVersion}
	return SetUpAnswer{Profile: profile}, r.record(ctx, tx, byADE, "setup.ask", "device:"+d.ID, detail)
}

// expected gives the device that asks, and the enrollment profile it comes by.
func (r *Room) expected(ctx context.Context, tx *sqldb.Tx, info mdm.MachineInfo) (schools.Device, setupProfile, error) {
	unexpected := fault.New(fault.Denied, "setup.unexpected",
		"No device with this serial number is expected. Is it assigned to this server in Apple School Manager, and has the list been read since?")
	d, err := r.Schools.Ensure(ctx, tx, byADE, "", info.Serial, info.Product)
	if k := fault.KindOf(err); k == fault.NotFound || k == fault.Invalid {
		return d, setupProfile{}, unexpected
	}
	if err != nil {
		return d, setupProfile{}, err
	}
	switch d.AssetState {
	case schools.Cancelled, schools.Replaced, schools.Retired, schools.Disposed, schools.HandedOver:
		return d, setupProfile{}, unexpected
	}
	p, err := setupProfileOf(ctx, tx, d.Serial, d.TenantID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return d, p, unexpected
	}
	if err != nil {
		return d, p, fmt.Errorf("find the enrollment profile of a device: %w", err)
	}
	return d, p, nil
}

// retry makes way for the same message sent again, whose first answer was lost;
// once a tablet has come with that, it is a replay. A message that does not say
// when it was signed is the same again when its tablet is set up again: of that
// one, who is alive is asked at its arrival.
func (r *Room) retry(ctx context.Context, tx *sqldb.Tx, info certs.MachineInfo) error {
	before, err := visitsBy(ctx, tx, info.Hash)
	if err != nil {
		return err
	}
	for _, v := range before {
		if !v.ArrivedAt.IsZero() && !info.Timed {
			continue
		}
		if !v.ArrivedAt.IsZero() {
			return fault.New(fault.Denied, "setup.replayed", "This machine info was used before.")
		}
		if err := r.Certs.VoidChallenges(ctx, tx, v.EnrollmentID); err != nil {
			return err
		}
		if err := deleteVisit(ctx, tx, v.EnrollmentID); err != nil {
			return err
		}
	}
	return nil
}

// refuseSetUp tells people of a tablet that was not let in. The transaction is
// undone, so the event is written a moment later.
func (r *Room) refuseSetUp(serial string, err error) error {
	f, is := fault.Of(err)
	if !is {
		return err
	}
	subject := "setup"
	if s, serr := schools.NormalSerial(serial); serr == nil {
		subject = "serial:" + s
	}
	r.notices.add(r.Clock.Now(), refusal(subject, f.Code, ""))
	return err
}

// olderOS compares versions by their numbers: 17.10 is newer than 17.9. One that
// cannot be read is not older.
func olderOS(have, want string) bool {
	a, b := strings.Split(have, "."), strings.Split(want, ".")
	for i := range max(len(a), len(b)) {
		var x, y int
		var err error
		if i < len(a) {
			if x, err = strconv.Atoi(strings.TrimSpace(a[i])); err != nil {
				return false
			}
		}
		if i < len(b) {
			if y, err = strconv.Atoi(strings.TrimSpace(b[i])); err != nil {
				return false
			}
		}
		if x != y {
			return x < y
		}
	}
	return false
}

// visit is a tablet that asked for its enrollment profile.
type visit struct {
	EnrollmentID string     `db:"enrollment_id"`
	DeviceID     string     `db:"device_id"`
	ProfileID    string     `db:"profile_id"`
	Serial       string     `db:"serial"`
	UDID         string     `db:"udid"`
	InfoHash     string     `db:"info_hash"`
	Product      string     `db:"product"`
	OSVersion    string     `db:"os_version"`
	AskedAt      sqldb.Time `db:"asked_at"`
	ArrivedAt    sqldb.Time `db:"arrived_at"`
}

const visitColumns = `v.enrollment_id, v.device_id, v.profile_id, v.serial, v.udid, v.info_hash, v.product, v.os_version, v.asked_at, v.arrived_at`

func insertVisit(ctx context.Context, tx *sqldb.Tx, v visit) error {
	_, err := tx.Exec(ctx, `INSERT INTO ade_visits (enrollment_id, device_id, profile_id, serial, udid, info_hash, product, os_version, asked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, v.EnrollmentID, v.DeviceID, v.ProfileID, v.Serial, v.UDID, v.InfoHash, v.Product, v.OSVersion, v.AskedAt)
	if err != nil {
		return fmt.Errorf("note a tablet in Setup Assistant: %w", err)
	}
	return nil
}

func visitsBy(ctx context.Context, tx *sqldb.Tx, hash string) (rows []visit, err error) {
	if err := tx.Select(ctx, &rows, `SELECT `+visitColumns+` FROM ade_visits v WHERE v.info_hash = ?`+tx.ForUpdate(), hash); err != nil {
		return nil, fmt.Errorf("look for a tablet in Setup Assistant: %w", err)
	}
	return rows, nil
}

// visitOf gives the visit that an identity was made for; false: it was made for
// something else.
func visitOf(ctx context.Context, tx *sqldb.Tx, enrollmentID string) (v visit, is bool, err error) {
	err = tx.Get(ctx, &v, `SELECT `+visitColumns+` FROM ade_visits v WHERE v.enrollment_id = ?`+tx.ForUpdate(), enrollmentID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return v, false, nil
	}
	if err != nil {
		return v, false, fmt.Errorf("look for a tablet in Setup Assistant: %w", err)
	}
	return v, true, nil
}

func deleteVisit(ctx context.Context, tx *sqldb.Tx, enrollmentID string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM ade_visits WHERE enrollment_id = ?`, enrollmentID); err != nil {
		return fmt.Errorf("forget a tablet in Setup Assistant: %w", err)
	}
	return nil
}

func arrived(ctx context.Context, tx *sqldb.Tx, enrollmentID string, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE ade_visits SET arrived_at = ? WHERE enrollment_id = ?`, sqldb.At(now), enrollmentID); err != nil {
		return fmt.Errorf("note the arrival of a tablet: %w", err)
	}
	return nil
}

// setupProfile is what matters here of an ADE profile.
type setupProfile struct {
	ID    string `db:"id"`
	MinOS string `db:"min_os"`
}

// setupProfileOf gives the profile by which Apple sent a device here: the one
// Apple names, else the one we last asked Apple to assign, whose confirmation we
// may not have read yet, else the one it is to get: this database may be older
// than what Apple was told, after a restore. No row: Apple does not assign the
// device to its tenant, or nobody wishes a profile for it.
func setupProfileOf(ctx context.Context, tx *sqldb.Tx, serial, tenantID string) (p setupProfile, err error) {
	err = tx.Get(ctx, &p, `
		SELECT p.id, p.min_os FROM ade_devices a
		JOIN ade_profile_uuids u ON u.token_id = a.token_id AND u.uuid IN (a.profile_uuid, a.wanted_uuid) AND u.uuid <> ''
		JOIN ade_profiles p ON p.id = u.profile_id
		WHERE a.serial = ? AND a.tenant_id = ? AND a.removed_at IS NULL
		ORDER BY CASE WHEN u.uuid = a.profile_uuid THEN 0 ELSE 1 END, COALESCE(a.assigned_at, 0) DESC, p.id LIMIT 1`, serial, tenantID)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = tx.Get(ctx, &p, `SELECT p.id, p.min_os`+adeWanted+`
			WHERE a.serial = ? AND a.tenant_id = ? AND `+adeOurs+` AND p.id IS NOT NULL ORDER BY a.token_id LIMIT 1`, serial, tenantID)
	}
	return p, err
}

// keepVisits is how long a visit without an arrival counts: the answer is used
// within minutes, or never.
const keepVisits = 24 * time.Hour

// ForgetVisits is a loop step, each hour: it forgets tablets that asked and did
// not come. Those that came are kept, to know what they signed again.
func (r *Room) ForgetVisits(ctx context.Context) error {
	return r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM ade_visits WHERE arrived_at IS NULL AND asked_at < ?`, sqldb.At(r.Clock.Now().Add(-keepVisits)))
		if err != nil {
			return fmt.Errorf("forget tablets that did not come: %w", err)
		}
		return nil
	})
}
