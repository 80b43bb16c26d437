package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// CheckIn does what a check-in message says and gives the answer's body; nil is
// an empty 200. The identity is the certificate that signed the message, as it
// was when the request came in; what has happened since is looked up here.
//
// Faults: Invalid and Denied are 400 with an empty body; checkin.gone is 410,
// ddm.unknown 404.
func (r *Room) CheckIn(ctx context.Context, tx *sqldb.Tx, id certs.Identity, m *mdm.CheckIn) ([]byte, error) {
	if m.MessageType == "UserAuthenticate" {
		// Apple, Device Management, "UserAuthenticate": 410 says that there is no
		// user channel here.
		return nil, fault.New(fault.Denied, "checkin.gone", "This server manages devices, not the users of a Shared iPad.")
	}
	if m.UDID == "" || len(m.UDID) > 128 || mdm.Clean(m.UDID) != m.UDID {
		return nil, fault.New(fault.Invalid, "checkin.udid", "The message names no device.")
	}
	if m.UserID != "" {
		// The user channel of a Shared iPad, which no profile of ours asks for.
		return nil, nil
	}
	if m.MessageType == "Authenticate" {
		return nil, r.authenticate(ctx, tx, id, m)
	}
	e, err := lockEnrollment(ctx, tx, id.EnrollmentID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, fault.New(fault.Invalid, "checkin.not-enrolled", "The first message of a device must be Authenticate.")
	}
	if err != nil {
		return nil, fmt.Errorf("read the enrollment of a check-in: %w", err)
	}
	switch {
	case e.UDID != m.UDID:
		return nil, otherDevice()
	case m.MessageType == "CheckOut" && !e.State.live():
		return nil, nil // it said so before
	case id.State != certs.Pinned || id.Generation != e.Generation || !e.State.live() && e.State != Held:
		return nil, earlierLife()
	case e.State == Held && m.MessageType != "ReturnToService" && m.MessageType != "DeclarativeManagement":
		// Those two get the answer that there is nothing for it.
		return nil, r.heldSays(ctx, tx, e, m)
	}
	switch m.MessageType {
	case "TokenUpdate":
		return nil, r.tokenUpdate(ctx, tx, e, m)
	case "CheckOut":
		return nil, r.checkOut(ctx, tx, e)
	case "SetBootstrapToken":
		return nil, r.setBootstrapToken(ctx, tx, e, m.BootstrapToken)
	case "GetBootstrapToken":
		return r.getBootstrapToken(ctx, tx, e)
	case "ReturnToService":
		return r.returnToService(ctx, tx, e)
	case "DeclarativeManagement":
		return declarative(m.Endpoint)
	case "GetToken":
		// Only with the capability com.apple.mdm.token, which we do not announce.
		return nil, fault.New(fault.Invalid, "checkin.get-token", "This server gives out no service tokens.")
	}
	return nil, fault.New(fault.Invalid, "checkin.unknown", "The message type %q is none that this server knows.", mdm.Clean(m.MessageType))
}

func earlierLife() *fault.Fault {
	return fault.New(fault.Invalid, "certificate.earlier-life",
		"The certificate belongs to an enrollment that is over. The device must be enrolled again.")
}

// arrival is what an Authenticate tells, checked and cleaned.
type arrival struct {
	udid, serial, topic        string
	osVersion, buildVer, model string
}

func arrivalOf(m *mdm.CheckIn) arrival {
	a := arrival{
		udid: m.UDID, serial: m.SerialNumber, topic: mdm.Clean(m.Topic),
		osVersion: mdm.Clean(m.OSVersion), buildVer: mdm.Clean(m.BuildVersion), model: mdm.Clean(m.ProductName),
	}
	if a.model == "" {
		a.model = mdm.Clean(m.Model)
	}
	return a
}

// authenticate tells three messages apart that look alike on the wire: a repeat,
// a renewed identity and a new life. What decides is the certificate: whether it
// is pinned already, and what its challenge was made for.
//
// The device's row is held from here on, so that the same message sent twice at
// once is told apart too: whoever comes second finds the certificate pinned.
func (r *Room) authenticate(ctx context.Context, tx *sqldb.Tx, id certs.Identity, m *mdm.CheckIn) error {
	a := arrivalOf(m)
	actor := audit.Actor("link:" + id.LinkID)
	if id.LinkID == "" {
		actor = audit.System
	}
	tenantID := "" // without a link the device must be known
	if id.LinkID != "" {
		l, err := linkByID(ctx, tx, id.LinkID)
		if err != nil {
			return fmt.Errorf("read the link of an Authenticate: %w", err)
		}
		tenantID = l.TenantID
	}
	d, err := r.Schools.Ensure(ctx, tx, actor, tenantID, a.serial, a.model)
	if f, is := fault.Of(err); is && f.Kind == fault.NotFound {
		// As before there were tenants: a renewal or a return that names another device.
		return r.refuse(id, "other-device", otherDevice())
	}
	if err != nil {
		return err
	}
	if id, err = r.Certs.Lookup(ctx, tx, id.Hash); err != nil {
		return err
	}
	e, err := lockByUDID(ctx, tx, a.udid)
	if id.State == certs.Pinned {
		// Whose it is, is known; a UDID may be claimed by a held one too.
		e, err = lockEnrollment(ctx, tx, id.EnrollmentID)
	}
	known := err == nil
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return fmt.Errorf("read the enrollment of an Authenticate: %w", err)
	}
	switch {
	case id.State == certs.Pinned:
		if !known || id.EnrollmentID != e.ID || d.ID != e.DeviceID || a.udid != e.UDID {
			// A backup restored to another iPad, or a stolen key.
			return r.refuse(id, "other-device", otherDevice())
		}
		if id.Generation != e.Generation || !e.State.live() && e.State != Held {
			return earlierLife()
		}
		return r.repeat(ctx, tx, e, a)
	case id.State == certs.Issued && id.Purpose == certs.Renew:
		if !known || id.EnrollmentID != e.ID || d.ID != e.DeviceID {
			return r.refuse(id, "other-device", otherDevice())
		}
		if err := r.PinRenewed(ctx, tx, id); err != nil {
			return err
		}
		return setVersions(ctx, tx, e.ID, a.osVersion, a.buildVer, a.model, r.Clock.Now())
	case id.State == certs.Issued && id.Purpose == certs.Enroll:
		return r.arrive(ctx, tx, id, e, known, d.ID, a)
	}
	return fault.New(fault.Invalid, "certificate."+string(id.State), "The certificate is %s. The device must be enrolled again.", id.State)
}

// repeat is the Authenticate of an identity that is pinned already: the answer
// to the first was lost, or the iPad came back from a backup of itself. Nothing
// is cleared.
func (r *Room) repeat(ctx context.Context, tx *sqldb.Tx, e Enrollment, a arrival) error {
	if err := setVersions(ctx, tx, e.ID, a.osVersion, a.buildVer, a.model, r.Clock.Now()); err != nil {
		return err
	}
	return r.record(ctx, tx, e.device(), "enrollment.repeat", e.subject(), map[string]any{"generation": e.Generation})
}

// arrive begins a life: the first of a tablet, or its next one.
func (r *Room) arrive(ctx context.Context, tx *sqldb.Tx, id certs.Identity, old Enrollment, known bool, deviceID string, a arrival) error {
	v, err := r.mayArrive(ctx, tx, id, old, known, a)
	if err != nil {
		return err
	}
	topic, placeholder, err := r.Certs.Topic(ctx, tx)
	if err != nil {
		return fmt.Errorf("begin an enrollment: %w", err)
	}
	if a.topic != topic {
		return r.refuse(id, "topic", fault.New(fault.Invalid, "checkin.topic",
			"The device came with another push topic than the server has now. Load the enrollment profile again."))
	}
	e := Enrollment{
		ID: id.EnrollmentID, DeviceID: deviceID, UDID: a.udid, Generation: 1, State: Enrolling, Topic: topic, Placeholder: placeholder,
		LinkID: id.LinkID, ADEProfileID: v.ProfileID, OSVersion: a.osVersion, BuildVersion: a.buildVer, Model: a.model,
	}
	if err := r.forgetHeld(ctx, tx, e); err != nil {
		return err
	}
	if v.EnrollmentID != "" {
		if held, err := r.holdOrReplace(ctx, tx, id, e, v); held || err != nil {
			return err
		}
	} else if err := r.replaceOther(ctx, tx, id, deviceID, a.udid); err != nil {
		return err
	}
	if v.EnrollmentID == "" && id.LinkID == "" {
		e.ADEProfileID = old.ADEProfileID // it was sent to return, and waits for the same as before
	}
	detail := map[string]any{}
	if known {
		e.ID, e.Generation = old.ID, old.Generation+1
		if old.DeviceID != deviceID {
			detail["former_device"] = old.DeviceID // a repair gave it another serial number
		}
		if detail["erase_proven"], err = r.endLife(ctx, tx, old); err != nil {
			return err
		}
		err = rebirth(ctx, tx, e, r.Clock.Now())
	} else {
		err = insertEnrollment(ctx, tx, e, r.Clock.Now())
	}
	if err != nil {
		return err
	}
	if err := r.inheritLost(ctx, tx, e); err != nil {
		return err
	}
	if err := r.Certs.Pin(ctx, tx, id.Hash, e.ID, e.Generation); err != nil {
		return err
	}
	detail["generation"] = e.Generation
	if id.LinkID != "" {
		detail["link"] = id.LinkID
	}
	return r.record(ctx, tx, e.device(), "enrollment.begin", e.subject(), detail)
}

// mayArrive checks the certificate's errand and counts the use of its link. A
// tablet from Setup Assistant has a visit.
func (r *Room) mayArrive(ctx context.Context, tx *sqldb.Tx, id certs.Identity, old Enrollment, known bool, a arrival) (v visit, err error) {
	// A certificate for a tablet we know by name (Return to Service) enrolls that
	// tablet and no other.
	bound, err := lockEnrollment(ctx, tx, id.EnrollmentID)
	switch {
	case err == nil && bound.UDID != a.udid:
		return v, r.refuse(id, "other-device", otherDevice())
	case err != nil && !errors.Is(err, sqldb.ErrNoRows):
		return v, fmt.Errorf("begin an enrollment: %w", err)
	case err == nil && id.Generation != bound.Generation:
		return v, earlierLife()
	case err == nil && bound.State == Held:
		return v, earlierLife() // it has come already, with its one certificate
	}
	returns := err == nil
	if id.LinkID == "" {
		v, asked, err := visitOf(ctx, tx, id.EnrollmentID)
		switch {
		case err != nil:
			return v, err
		case asked && (v.UDID != a.udid || !strings.EqualFold(v.Serial, a.serial)):
			return v, r.refuse(id, "other-device", otherDevice())
		case asked:
			return v, arrived(ctx, tx, v.EnrollmentID, r.Clock.Now())
		case !returns:
			// That the device is known does not help: a visit that was replaced by a
			// later one, or forgotten, must not come in unasked.
			return v, fault.New(fault.Invalid, "checkin.no-link", "The certificate was made for no enrollment link and no known device.")
		}
		return v, nil
	}
	// One that broke off after its Authenticate and begins again by the same link
	// is still the same one enrollment.
	again := known && old.State == Enrolling && old.LinkID == id.LinkID
	err = r.use(ctx, tx, id.LinkID, again)
	if f, is := fault.Of(err); is {
		return v, r.refuseFor("link:"+id.LinkID, id, f.Code, f)
	}
	return v, err
}

// replaceOther refuses a serial number that another live UDID holds: one of the
// two lies, and whoever is there first must not be pushed out. A person who
// knows that the board was swapped orders the end of the old one; then the new
// one takes its place.
func (r *Room) replaceOther(ctx context.Context, tx *sqldb.Tx, id certs.Identity, deviceID, udid string) error {
	other, err := otherLive(ctx, tx, deviceID, udid)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find another enrollment of the device: %w", err)
	}
	if other.UnmanageAt.IsZero() {
		f := fault.New(fault.Invalid, "enroll.duplicate-serial",
			"Another device with this serial number is under management. If its board was swapped, run `ranzen device unmanage` for it, then enroll again.")
		return r.refuseFor(other.subject(), id, "duplicate-serial", f)
	}
	return r.end(ctx, tx, other, Unenrolled, "replaced by another device with its serial number", "system")
}

// endLife clears what the earlier life of a tablet left open.
func (r *Room) endLife(ctx context.Context, tx *sqldb.Tx, old Enrollment) (proven bool, err error) {
	if proven, err = r.Queue.ProveErased(ctx, tx, old.ID); err != nil {
		return false, err
	}
	if proven {
		if err := r.record(ctx, tx, old.device(), "erase.proven", old.subject(), map[string]any{"generation": old.Generation}); err != nil {
			return false, err
		}
	}
	if err := r.Queue.Clear(ctx, tx, old.ID, "the tablet was enrolled anew"); err != nil {
		return false, err
	}
	return proven, r.Queue.DropTarget(ctx, tx, old.ID)
}

// PinRenewed makes a renewed certificate, seen for the first time on any
// message, the identity of its enrollment. Everything else stays: it is the same
// life.
func (r *Room) PinRenewed(ctx context.Context, tx *sqldb.Tx, id certs.Identity) error {
	e, err := lockEnrollment(ctx, tx, id.EnrollmentID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return earlierLife()
	}
	if err != nil {
		return fmt.Errorf("read the enrollment of a renewed identity: %w", err)
	}
	if id, err = r.Certs.Lookup(ctx, tx, id.Hash); err != nil {
		return err
	}
	switch {
	case id.State == certs.Pinned && id.Generation == e.Generation && e.State.live():
		return nil // another request was first
	case id.State != certs.Issued || id.Purpose != certs.Renew || id.Generation != e.Generation || !e.State.live():
		return earlierLife()
	}
	if err := r.Certs.Pin(ctx, tx, id.Hash, e.ID, e.Generation); err != nil {
		return err
	}
	return r.record(ctx, tx, e.device(), "enrollment.renew", e.subject(),
		map[string]any{"generation": e.Generation, "certificate": id.Serial, "not_after": id.NotAfter.Format("2006-01-02")})
}

// end closes a life: its certificates, its open commands, its push target. The
// challenges go too, so that nothing half fetched brings the tablet back
// unasked; only an erased one keeps what it was sent to return with.
func (r *Room) end(ctx context.Context, tx *sqldb.Tx, e Enrollment, to State, why string, actor audit.Actor) error {
	now := r.Clock.Now()
	if err := change(ctx, tx, "end", e.ID, now, `state = ?, ended_at = ?, return_wifi = NULL`, string(to), sqldb.At(now)); err != nil {
		return err
	}
	if err := r.Certs.RetireAll(ctx, tx, e.ID, why); err != nil {
		return err
	}
	if to != Erased {
		if err := r.Certs.VoidChallenges(ctx, tx, e.ID); err != nil {
			return err
		}
	}
	if err := r.Queue.Clear(ctx, tx, e.ID, why); err != nil {
		return err
	}
	if err := r.Queue.DropTarget(ctx, tx, e.ID); err != nil {
		return err
	}
	return r.record(ctx, tx, actor, "enrollment.end", e.subject(),
		map[string]any{"generation": e.Generation, "state": string(to), "reason": why})
}

// checkOut is the tablet's last word (Apple: best effort).
func (r *Room) checkOut(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	return r.end(ctx, tx, e, Unenrolled, "the management profile was removed on the tablet", e.device())
}

// refuse tells people about a refusal that they should know of: the transaction
// is undone, so the event is kept in memory and written a second later.
func (r *Room) refuse(id certs.Identity, why string, f *fault.Fault) error {
	return r.refuseFor("enrollment:"+id.EnrollmentID, id, why, f)
}

func (r *Room) refuseFor(subject string, id certs.Identity, why string, f *fault.Fault) error {
	r.notices.add(r.Clock.Now(), refusal(subject, why, id.Serial))
	return f
}
