package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// EraseSpec is what a person decides about an erase.
type EraseSpec struct {
	Reason           string
	ReturnToService  bool   // it enrolls again by itself afterwards
	WiFiProfile      []byte // a .mobileconfig by which it finds the server then
	PreserveDataPlan bool   // keep the eSIM
}

// erasing is the spec as the queue keeps it; the Wi-Fi profile is with the
// enrollment, since the tablet may ask for it by itself.
type erasing struct {
	Return   bool `json:"return,omitempty"`
	Preserve bool `json:"preserve,omitempty"`
}

const maxReason = 500

// Erase orders the device erased. It is handed out at most once; the proof is
// its acknowledgement, or its next enrollment.
func (r *Room) Erase(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string, spec EraseSpec) (string, error) {
	reason, err := words("reason", spec.Reason, maxReason)
	if err != nil {
		return "", err
	}
	e, err := r.ready(ctx, tx, deviceID)
	if err != nil {
		return "", err
	}
	if err := spec.check(e, reason); err != nil {
		return "", err
	}
	c := r.order(e, erase, actor)
	c.Urgent = true
	if c.Args, err = json.Marshal(erasing{Return: spec.ReturnToService, Preserve: spec.PreserveDataPlan}); err != nil {
		return "", fmt.Errorf("write an erase order: %w", err)
	}
	var wifi any
	if spec.ReturnToService {
		if wifi, err = r.Vault.Seal("enroll.return-wifi:"+e.ID, spec.WiFiProfile); err != nil {
			return "", fmt.Errorf("write an erase order: %w", err)
		}
	}
	id, err := r.send(ctx, tx, e, c, map[string]any{"reason": reason, "return_to_service": spec.ReturnToService})
	if err != nil {
		return "", err
	}
	return id, change(ctx, tx, "order the erase of", e.ID, r.Clock.Now(), `return_wifi = ?`, wifi)
}

func (s EraseSpec) check(e Enrollment, reason string) error {
	switch {
	case reason == "":
		return fault.New(fault.Invalid, "erase.reason", "Say why the device is erased; it is kept in the audit trail.").On("reason")
	case s.ReturnToService && len(s.WiFiProfile) == 0:
		return fault.New(fault.Invalid, "erase.wifi",
			"Return to Service needs a Wi-Fi profile: without a network the erased device cannot enroll again. Name one with --wifi.").On("wifi")
	case s.ReturnToService && olderThan17(e.OSVersion):
		return fault.New(fault.Conflict, "erase.os-version",
			"Return to Service needs iPadOS 17; this device has %s. Erase it without.", e.OSVersion)
	}
	return nil
}

// olderThan17 is false where the version is not known.
func olderThan17(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < 17
}

func (r *Room) renderErase(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command) (map[string]any, error) {
	var spec erasing
	if err := json.Unmarshal(c.Args, &spec); err != nil {
		return nil, fmt.Errorf("read an erase order: %w", err)
	}
	body := map[string]any{}
	if spec.Preserve {
		body["PreserveDataPlan"] = true
	}
	if !spec.Return {
		return body, nil
	}
	back, err := r.returning(ctx, tx, e)
	if err != nil {
		return nil, err
	}
	dict := map[string]any{"Enabled": true, "WiFiProfileData": back.WiFiProfileData, "MDMProfileData": back.MDMProfileData}
	if len(back.BootstrapToken) > 0 {
		dict["BootstrapToken"] = back.BootstrapToken
	}
	body["ReturnToService"] = dict
	return body, nil
}

// returning is what a tablet needs to come back by itself: a network, a fresh
// enrollment profile, and the bootstrap token that lets it keep its apps. The
// Wi-Fi profile is there as long as such an erase is ordered; without it the
// answer is no.
func (r *Room) returning(ctx context.Context, tx *sqldb.Tx, e Enrollment) (returning, error) {
	wifi, err := r.opened(ctx, tx, "return_wifi", "enroll.return-wifi:"+e.ID, e.ID)
	if err != nil || wifi == nil {
		return returning{}, err
	}
	profile, err := r.returnProfile(ctx, tx, e)
	if err != nil {
		return returning{}, err
	}
	token, err := r.bootstrapToken(ctx, tx, e)
	return returning{Enabled: true, WiFiProfileData: wifi, MDMProfileData: profile, BootstrapToken: token}, err
}

// erased ends the life of a tablet that acknowledged its erase. What it was sent
// to return with stays good.
func (r *Room) erased(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, _ commands.Result) error {
	if err := r.record(ctx, tx, e.device(), "erase.acknowledge", e.subject(), map[string]any{"command": c.ID}); err != nil {
		return err
	}
	return r.end(ctx, tx, e, Erased, "the tablet was erased", "system")
}

func (r *Room) notErased(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, res commands.Result) error {
	if err := r.forgetReturn(ctx, tx, e); err != nil {
		return err
	}
	return r.record(ctx, tx, e.device(), "erase.fail", e.subject(), map[string]any{"command": c.ID, "reason": firstError(res.Errors)})
}

// forgetReturn keeps no Wi-Fi password for an erase that is not to be.
func (r *Room) forgetReturn(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	return change(ctx, tx, "forget the erase of", e.ID, r.Clock.Now(), `return_wifi = NULL`)
}

// Unmanage orders the end of a device's management: at its next contact it is
// told that this server does not know it, removes the management profile and
// everything that came with it, and keeps its data.
func (r *Room) Unmanage(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID, reason string) error {
	reason, err := words("reason", reason, maxReason)
	if err != nil {
		return err
	}
	if reason == "" {
		return fault.New(fault.Invalid, "unmanage.reason", "Say why the device's management ends; it is kept in the audit trail.").On("reason")
	}
	e, err := r.lockedOf(ctx, tx, deviceID)
	switch {
	case err != nil:
		return err
	case !e.State.live():
		return notEnrolled()
	case !e.UnmanageAt.IsZero():
		return nil
	}
	now := r.Clock.Now()
	if err := change(ctx, tx, "order the end of", e.ID, now, `unmanage_at = ?`, sqldb.At(now)); err != nil {
		return err
	}
	// Nothing is handed over any more; this is only there to wake the tablet.
	wake := r.order(e, information, actor)
	wake.Urgent = true
	if _, err := r.Queue.Add(ctx, tx, wake); err != nil {
		return err
	}
	return r.record(ctx, tx, actor, "unmanage.order", e.subject(), map[string]any{"reason": reason})
}

// Unmanaged ends an enrollment whose tablet is being told so. The order stays
// with it, for a tablet that did not hear the answer. Twice is the same as once.
func (r *Room) Unmanaged(ctx context.Context, tx *sqldb.Tx, enrollmentID string) error {
	e, err := lockEnrollment(ctx, tx, enrollmentID)
	if errors.Is(err, sqldb.ErrNoRows) || (err == nil && (!e.State.live() || e.UnmanageAt.IsZero())) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end an enrollment: %w", err)
	}
	return r.end(ctx, tx, e, Unenrolled, "its management was ended by an administrator", "system")
}
