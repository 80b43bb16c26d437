package device

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"ranzen/certs"
	"ranzen/internal/fault"
	"ranzen/internal/views"
)

// refusal is a request whose certificate or body does not go with what we know.
// It is answered 400 with an empty body and counted: certs shows it to people.
type refusal struct {
	reason     string // stable: "retired"
	hash       string // of the certificate, "" if there was none
	enrollment string
}

func (r *refusal) Error() string { return "refused: " + r.reason }

// present finds the certificate a request comes with. The signature over the
// body stands above all: it works behind every proxy and cannot be moved to
// another body. A signature that is wrong is refused, whatever else is there.
func (h *door) present(r *http.Request, body []byte) (certs.Presented, error) {
	if sig := r.Header.Get("Mdm-Signature"); sig != "" {
		p, err := h.Certs.VerifySignature(sig, body)
		if err != nil {
			return p, errors.Join(&refusal{reason: "signature"}, err)
		}
		return p, nil
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return certs.PresentedOf(r.TLS.PeerCertificates[0]), nil
	}
	if h.CertHeader != "" && h.trusted(r.RemoteAddr) {
		if v := r.Header.Get(h.CertHeader); v != "" {
			cert, err := certs.ParseHeader(v)
			if err != nil {
				return certs.Presented{}, errors.Join(&refusal{reason: "proxy-header"}, err)
			}
			return certs.PresentedOf(cert), nil
		}
	}
	return certs.Presented{}, &refusal{reason: "none"}
}

// trusted tells whether the peer of the connection itself, not what a header
// says of it, is one of the named proxies.
func (h *door) trusted(remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range h.TrustedProxies {
		if p.Contains(ap.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// admission is what a certificate may do now.
type admission int

const (
	refused  admission = iota
	mayEnter           // a fresh certificate of an enrollment link: Authenticate, nothing else
	renewed            // a fresh certificate of a renewal, seen for the first time: pin it, then go on
	known              // the enrollment's own
	expired            // the enrollment's own, too old: its renewal and nothing else
	dismiss            // an administrator ordered the end of management
)

// admit decides by the certificate alone; the body's UDID is checked after it.
// Its reasons are the words people see in the list of refusals.
func admit(d views.Door, now time.Time) (admission, string) {
	id := d.Identity
	late := !now.Before(id.NotAfter)
	mine := d.Known && id.Generation == d.Generation
	switch {
	case id.State == certs.Revoked:
		return refused, "revoked"
	case d.Unmanage && mine && (id.State == certs.Pinned || id.State == certs.Retired):
		// Repeated as long as the tablet asks: the first answer may be lost, and
		// its certificate is retired by then.
		return dismiss, ""
	case id.State == certs.Retired:
		return refused, "retired"
	case id.State == certs.Issued && late:
		return refused, "expired"
	case id.State == certs.Issued && id.Purpose == certs.Enroll:
		return mayEnter, ""
	case id.State == certs.Issued && id.Purpose == certs.Renew:
		if !mine || !live(d.State) {
			return refused, "earlier-life"
		}
		return renewed, ""
	case id.State != certs.Pinned:
		return refused, "state"
	case !d.Known:
		return refused, "no-enrollment"
	case !mine:
		return refused, "earlier-life"
	case !live(d.State):
		return refused, "ended"
	case late:
		return expired, ""
	}
	return known, ""
}

// live tells whether an enrollment may speak. A held one may: it is asked about
// itself until a person decides.
func live(state string) bool { return state == "enrolling" || state == "enrolled" || state == "held" }

// fallBack is the answer to a tablet when something went wrong. There is no 401
// in it, and no 403.
func fallBack(err error) int {
	switch fault.CodeOf(err) {
	case "checkin.gone":
		return http.StatusGone
	case "ddm.unknown":
		return http.StatusNotFound
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.SignIn, fault.Denied:
		return http.StatusBadRequest
	case fault.Upstream:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
