package device

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"ranzen/certs"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

// Apple, Device Management, "Implementing Device Management": check-in messages
// and results come as PUT with one of these types.
const (
	typeCheckIn = "application/x-apple-aspen-mdm-checkin"
	typeCommand = "application/x-apple-aspen-mdm"
)

type kind int

const (
	checkIn kind = iota
	command
)

// kindOf tells what a request carries. Both addresses take both kinds, by the
// content type's prefix, so that a server may be moved behind one address; a
// type that is missing is what the address says.
func kindOf(contentType string, address kind) (kind, bool) {
	ct := strings.ToLower(strings.TrimSpace(contentType))
	switch {
	case ct == "":
		return address, true
	case strings.HasPrefix(ct, typeCheckIn):
		return checkIn, true
	case strings.HasPrefix(ct, typeCommand):
		return command, true
	}
	return address, false
}

// answer is what goes back to a tablet.
type answer struct {
	status      int
	contentType string
	body        []byte
}

func ok(contentType string, body []byte) answer { return answer{http.StatusOK, contentType, body} }

// message handles both MDM addresses: read, identify, one SELECT, decide, at
// most one transaction, answer.
func (h *door) message(address kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		line := LineOf(r.Context())
		k, fits := kindOf(r.Header.Get("Content-Type"), address)
		if !fits {
			line.Reason = "content-type"
			empty(w, http.StatusUnsupportedMediaType)
			return
		}
		body, err := readBody(r)
		if err != nil {
			line.Reason = "body"
			status := http.StatusBadRequest
			if _, big := errors.AsType[*http.MaxBytesError](err); big {
				status = http.StatusRequestEntityTooLarge
			}
			empty(w, status)
			return
		}
		a, err := h.respond(r, k, body)
		if err != nil {
			h.turnAway(w, r, err)
			return
		}
		if len(a.body) == 0 {
			empty(w, a.status)
			return
		}
		w.Header().Set("Content-Type", a.contentType)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) // a tablet that hangs up asks again
	}
}

// readBody reads it whole; most say how long they are.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > 0 && r.ContentLength <= maxBody {
		b := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, b)
		return b, err
	}
	return io.ReadAll(r.Body)
}

// turnAway answers what went wrong, counts what was refused, and tells the log.
func (h *door) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	line := LineOf(r.Context())
	if ref, is := errors.AsType[*refusal](err); is {
		line.Reason = ref.reason
		h.Certs.Refuse(ref.reason, ref.hash, ref.enrollment)
		empty(w, http.StatusBadRequest)
		return
	}
	status := fallBack(err)
	if r.Context().Err() != nil {
		// The tablet hung up or time ran out; nobody reads this.
		line.Reason, status = "gone", http.StatusServiceUnavailable
	} else if code := fault.CodeOf(err); code != "" {
		line.Reason = code
	}
	if status == http.StatusInternalServerError {
		line.Err = err
	}
	empty(w, status)
}

// gone is Apple's order to a tablet to end its management (Device Management,
// "Unrecognized device", iOS 17).
func gone() answer {
	return answer{http.StatusForbidden, "application/json", []byte(`{"code":"com.apple.unrecognized.device"}`)}
}

func (h *door) respond(r *http.Request, k kind, body []byte) (answer, error) {
	ctx := r.Context()
	p, err := h.present(r, body)
	if err != nil {
		return answer{}, err
	}
	d, err := views.OpenDoor(ctx, h.DB, p.Hash, h.Clock.Now())
	if fault.KindOf(err) == fault.NotFound {
		return answer{}, &refusal{reason: "foreign", hash: p.Hash}
	}
	if err != nil {
		return answer{}, err
	}
	enrollment := d.Identity.EnrollmentID
	LineOf(ctx).Enrollment = enrollment
	adm, reason := admit(d, h.Clock.Now())
	if adm == refused {
		return answer{}, &refusal{reason, p.Hash, enrollment}
	}
	m := visit{door: h, Door: d, adm: adm}
	if k == checkIn {
		return m.checkIn(ctx, body)
	}
	return m.command(ctx, body)
}

// visit is one request of a tablet that was let in.
type visit struct {
	door *door
	views.Door
	adm admission
}

func (v *visit) refuse(reason string) error {
	return &refusal{reason, v.Identity.Hash, v.Identity.EnrollmentID}
}

// settle pins a renewed certificate that is seen for the first time, in the
// transaction of its first message.
func (v *visit) settle(ctx context.Context, tx *sqldb.Tx) (certs.Identity, error) {
	id := v.Identity
	if v.adm != renewed {
		return id, nil
	}
	if err := v.door.Enroll.PinRenewed(ctx, tx, id); err != nil {
		return id, err
	}
	id.State = certs.Pinned
	return id, nil
}

// command is a report, and the next command in answer.
func (v *visit) command(ctx context.Context, body []byte) (answer, error) {
	rep, err := mdm.ParseReport(body)
	if err != nil {
		return answer{}, fault.New(fault.Invalid, "report.bad", "The report cannot be read.").With(err)
	}
	switch {
	case v.adm == mayEnter:
		return answer{}, v.refuse("not-enrolled")
	case v.adm != dismiss && rep.UDID != v.UDID:
		return answer{}, v.refuse("other-device")
	case v.adm == dismiss:
		return v.dismissed(ctx, rep.UDID)
	case rep.UserID != "" || rep.NotOnConsole:
		// The user channel of a Shared iPad: nothing is managed on it.
		return ok("", nil), nil
	}
	v.door.Enroll.Seen(v.Identity.EnrollmentID)
	if rep.Status == "Idle" && !v.Waiting && v.adm != renewed {
		return ok("", nil), nil
	}
	var next *commands.HandOver
	err = v.door.DB.Do(ctx, func(tx *sqldb.Tx) (err error) {
		if _, err = v.settle(ctx, tx); err != nil {
			return err
		}
		s := commands.Session{EnrollmentID: v.Identity.EnrollmentID, Generation: v.Generation, LostMode: v.LostMode, Expired: v.adm == expired}
		next, err = v.door.Queue.Exchange(ctx, tx, s, rep)
		return err
	})
	if err != nil || next == nil {
		return ok("", nil), err
	}
	return ok("application/xml; charset=utf-8", next.Body), nil
}

// checkIn is one of Apple's check-in messages.
func (v *visit) checkIn(ctx context.Context, body []byte) (answer, error) {
	m, err := mdm.ParseCheckIn(body)
	if err != nil {
		return answer{}, fault.New(fault.Invalid, "checkin.bad", "The check-in message cannot be read.").With(err)
	}
	switch v.adm {
	case mayEnter:
		if m.MessageType != "Authenticate" {
			return answer{}, v.refuse("not-enrolled")
		}
	case dismiss:
		return v.dismissed(ctx, m.UDID)
	case expired:
		if !harmless(m.MessageType) {
			return answer{}, v.refuse("expired")
		}
		fallthrough
	default:
		if m.UDID != v.UDID {
			return answer{}, v.refuse("other-device")
		}
	}
	var reply []byte
	err = v.door.DB.Do(ctx, func(tx *sqldb.Tx) (err error) {
		id := v.Identity
		// An Authenticate with a renewed certificate is enroll's to judge.
		if m.MessageType != "Authenticate" {
			if id, err = v.settle(ctx, tx); err != nil {
				return err
			}
		}
		reply, err = v.door.Enroll.CheckIn(ctx, tx, id, m)
		return err
	})
	if err != nil {
		if c := fault.CodeOf(err); c != "" && fallBack(err) == http.StatusBadRequest {
			return answer{}, errors.Join(v.refuse(c), err)
		}
		return answer{}, err
	}
	if v.adm != mayEnter {
		v.door.Enroll.Seen(v.Identity.EnrollmentID)
	}
	if m.MessageType == "DeclarativeManagement" {
		return ok("application/json", reply), nil
	}
	return ok("application/xml; charset=utf-8", reply), nil
}

// harmless messages give nothing away and are taken from an expired identity:
// how to wake the tablet, and that it leaves.
func harmless(messageType string) bool {
	return messageType == "TokenUpdate" || messageType == "CheckOut"
}

// dismissed ends a tablet's management on an administrator's order. The
// enrollment ends in the transaction before the answer; a lost answer is given
// again to the next question.
func (v *visit) dismissed(ctx context.Context, udid string) (answer, error) {
	if udid != v.UDID {
		return answer{}, v.refuse("other-device")
	}
	LineOf(ctx).Reason = "unmanaged"
	if live(v.State) {
		err := v.door.DB.Do(ctx, func(tx *sqldb.Tx) error { return v.door.Enroll.Unmanaged(ctx, tx, v.Identity.EnrollmentID) })
		if err != nil {
			return answer{}, err
		}
	}
	return gone(), nil
}
