package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Bounds on what a tablet leaves with us. Apple names none: a push token has 32
// bytes today and up to 100 are announced, an unlock token some kilobytes. An
// odd length is kept: whether a token is good, APNs says.
const (
	maxToken       = 1 << 10
	maxUnlockToken = 64 << 10
)

// tokenUpdate learns how to wake the tablet. The first of a generation completes
// the enrollment; later ones come at any time and bring new tokens only.
func (r *Room) tokenUpdate(ctx context.Context, tx *sqldb.Tx, e Enrollment, m *mdm.CheckIn) error {
	if n := len(m.Token); n == 0 || n > maxToken || m.PushMagic == "" || len(m.PushMagic) > maxToken || len(m.UnlockToken) > maxUnlockToken {
		return fault.New(fault.Invalid, "checkin.token", "A TokenUpdate must bring a push token and its magic word, and none of a size that no device has.")
	}
	now := r.Clock.Now()
	topic, placeholder, err := r.Certs.Topic(ctx, tx)
	if err != nil {
		return fmt.Errorf("take a TokenUpdate: %w", err)
	}
	switch m.Topic {
	case topic:
		e.Topic, e.Placeholder = topic, placeholder
	case e.Topic: // enrolled under the placeholder, before there was a certificate
	default:
		return r.foreignTopic(e)
	}
	set, args := `topic = ?, placeholder = ?, awaiting = ?, state = ?`, []any{e.Topic, e.Placeholder, m.AwaitingConfiguration, string(Enrolled)}
	if len(m.UnlockToken) > 0 {
		// Only the first TokenUpdate has it; without it a passcode can never be
		// cleared. One that lacks it says nothing about it.
		sealed, err := r.Vault.Seal("enroll.unlock:"+e.ID, m.UnlockToken)
		if err != nil {
			return fmt.Errorf("take a TokenUpdate: %w", err)
		}
		set, args = set+`, unlock_token = ?`, append(args, sealed)
	}
	first := e.EnrolledAt.IsZero()
	if first {
		set, args = set+`, enrolled_at = ?, inventory_at = ?`, append(args, sqldb.At(now), sqldb.At(now))
	}
	if err := change(ctx, tx, "take a TokenUpdate of", e.ID, now, set, args...); err != nil {
		return err
	}
	target := commands.Target{EnrollmentID: e.ID, Token: m.Token, Magic: fault.Secret(m.PushMagic), Topic: e.Topic}
	if err := r.Queue.SetTarget(ctx, tx, target); err != nil {
		return err
	}
	if first {
		return r.welcome(ctx, tx, e)
	}
	if !m.AwaitingConfiguration || e.Awaiting {
		return nil
	}
	if e.ADEProfileID != "" {
		return r.waitsAgain(ctx, tx, e)
	}
	if e.supervised() {
		_, err = r.Queue.Add(ctx, tx, r.order(e, configured, "system"))
	}
	return err
}

// waitsAgain: a tablet that was let out of Setup Assistant is in it again, with
// the same identity: it was restored. It is asked what is left on it, and let go
// once more when its baseline is there.
func (r *Room) waitsAgain(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	if err := change(ctx, tx, "await again", e.ID, r.Clock.Now(), `release_at = NULL, release_by = '', released_at = NULL, supervised = NULL`); err != nil {
		return err
	}
	if _, err := r.Queue.Add(ctx, tx, r.questions(e, audit.System)...); err != nil {
		return err
	}
	if err := r.Marker.Mark(ctx, tx, e.ID); err != nil {
		return fmt.Errorf("mark a restored tablet: %w", err)
	}
	return r.record(ctx, tx, e.device(), "enrollment.restore", e.subject(), map[string]any{"generation": e.Generation})
}

// foreignTopic refuses a push topic that is not ours: a wake-up sent there would
// vanish without a word.
func (r *Room) foreignTopic(e Enrollment) error {
	r.notices.add(r.Clock.Now(), refusal(e.subject(), "topic", ""))
	return fault.New(fault.Invalid, "checkin.topic", "The device came with a push topic that is not this server's.")
}

// welcome is what a new life of a tablet sets off.
func (r *Room) welcome(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	if err := r.joinGroup(ctx, tx, e); err != nil {
		return err
	}
	list := r.questions(e, "system")
	if !e.LostAt.IsZero() {
		// Whoever erases a lost tablet and enrolls it has not found it.
		lost, err := r.lostAgain(ctx, tx, e)
		if err != nil {
			return err
		}
		list = append(list, lost)
	}
	if _, err := r.Queue.Add(ctx, tx, list...); err != nil {
		return err
	}
	if err := r.Marker.Mark(ctx, tx, e.ID); err != nil {
		return fmt.Errorf("mark a new enrollment: %w", err)
	}
	return r.record(ctx, tx, e.device(), "enrollment.complete", e.subject(),
		map[string]any{"generation": e.Generation, "must_enroll_again": e.Placeholder})
}

func (r *Room) joinGroup(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	if e.LinkID == "" {
		return nil
	}
	row, err := linkByID(ctx, tx, e.LinkID)
	if errors.Is(err, sqldb.ErrNoRows) || (err == nil && row.GroupID == "") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the link of an enrollment: %w", err)
	}
	return r.Schools.AddToGroup(ctx, tx, e.device(), row.GroupID, e.DeviceID)
}

// setBootstrapToken keeps the token that lets a tablet return to service with
// its apps. None at all takes the stored one back (Apple, "SetBootstrapToken").
func (r *Room) setBootstrapToken(ctx context.Context, tx *sqldb.Tx, e Enrollment, token []byte) error {
	if len(token) > maxUnlockToken {
		return fault.New(fault.Invalid, "checkin.token", "The bootstrap token is longer than any device's.")
	}
	var sealed any
	if len(token) > 0 {
		b, err := r.Vault.Seal("enroll.bootstrap:"+e.ID, token)
		if err != nil {
			return fmt.Errorf("keep a bootstrap token: %w", err)
		}
		sealed = b
	}
	return change(ctx, tx, "keep the bootstrap token of", e.ID, r.Clock.Now(), `bootstrap_token = ?`, sealed)
}

// bootstrapToken is the stored token, or nil.
func (r *Room) bootstrapToken(ctx context.Context, q sqldb.Queryer, e Enrollment) ([]byte, error) {
	return r.opened(ctx, q, "bootstrap_token", "enroll.bootstrap:"+e.ID, e.ID)
}

// opened reads and unseals one column; nil is none.
func (r *Room) opened(ctx context.Context, q sqldb.Queryer, column, purpose, id string) ([]byte, error) {
	sealed, err := secret(ctx, q, column, id)
	if err != nil || sealed == nil {
		return nil, err
	}
	return r.Vault.Open(purpose, sealed)
}

func (r *Room) getBootstrapToken(ctx context.Context, tx *sqldb.Tx, e Enrollment) ([]byte, error) {
	token, err := r.bootstrapToken(ctx, tx, e)
	if err != nil || token == nil {
		return nil, err // none is an empty 200 (Apple, "GetBootstrapToken")
	}
	return mdm.Encode(struct{ BootstrapToken []byte }{token})
}

// returning is the answer to ReturnToService, and the same dictionary inside an
// EraseDevice. Apple, Device Management, "ReturnToService".
type returning struct {
	Enabled         bool
	WiFiProfileData []byte `plist:",omitempty"`
	MDMProfileData  []byte `plist:",omitempty"`
	BootstrapToken  []byte `plist:",omitempty"`
}

// returnToService answers a tablet that would like to erase itself: no, unless
// an erase with Return to Service is ordered for it anyway.
func (r *Room) returnToService(ctx context.Context, tx *sqldb.Tx, e Enrollment) ([]byte, error) {
	answer, err := r.returning(ctx, tx, e)
	if err != nil {
		return nil, err
	}
	return mdm.Encode(struct{ ReturnToService returning }{answer})
}

// Nothing is declared until declarative management is built: a constant token
// and empty lists, so that a tablet that asks is content and keeps quiet. Apple,
// Device Management, "DeclarativeManagement".
const (
	declaredToken = `ranzen-0`
	declaredAt    = `2026-01-01T00:00:00Z`
)

func declarative(endpoint string) ([]byte, error) {
	switch {
	case endpoint == "tokens":
		return []byte(`{"SyncTokens":{"DeclarationsToken":"` + declaredToken + `","Timestamp":"` + declaredAt + `"}}`), nil
	case endpoint == "declaration-items":
		return []byte(`{"Declarations":{"Activations":[],"Assets":[],"Configurations":[],"Management":[]},"DeclarationsToken":"` + declaredToken + `"}`), nil
	case endpoint == "status":
		return nil, nil
	case strings.HasPrefix(endpoint, "declaration/"):
		return nil, fault.New(fault.NotFound, "ddm.unknown", "There is no such declaration.")
	}
	return nil, fault.New(fault.Invalid, "ddm.endpoint", "There is no such endpoint of declarative management.")
}
