package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// Lost is what a lost tablet shows.
type Lost struct {
	Message  string `json:"message,omitempty"`
	Phone    string `json:"phone,omitempty"`
	Footnote string `json:"footnote,omitempty"`
}

const maxLostText = 500

func (l Lost) check() (Lost, error) {
	for _, f := range []struct {
		field string
		text  *string
	}{{"message", &l.Message}, {"phone", &l.Phone}, {"footnote", &l.Footnote}} {
		var err error
		if *f.text, err = words(f.field, *f.text, maxLostText); err != nil {
			return l, err
		}
	}
	if l.Message == "" && l.Phone == "" {
		// Apple, Device Management, "Enable Lost Mode": one of the two is required.
		return l, fault.New(fault.Invalid, "lost.message", "Say a message or a phone number for the lost device's screen.").On("message")
	}
	return l, nil
}

// EnableLost marks the device as lost. It stays so, over an erase and another
// enrollment, until DisableLost.
func (r *Room) EnableLost(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string, l Lost) (string, error) {
	l, err := l.check()
	if err != nil {
		return "", err
	}
	e, err := r.readySupervised(ctx, tx, deviceID, "Lost Mode")
	if err != nil {
		return "", err
	}
	c := r.order(e, lostOn, actor)
	c.Urgent = true
	if c.Args, err = json.Marshal(l); err != nil {
		return "", fmt.Errorf("write a lost order: %w", err)
	}
	sealed, err := r.Vault.Seal("enroll.lost:"+e.ID, c.Args)
	if err != nil {
		return "", fmt.Errorf("write a lost order: %w", err)
	}
	now := r.Clock.Now()
	if err := change(ctx, tx, "mark lost", e.ID, now, `lost_at = COALESCE(lost_at, ?), lost_order = ?`, sqldb.At(now), sealed); err != nil {
		return "", err
	}
	return r.send(ctx, tx, e, c, nil)
}

// DisableLost says that the device was found.
func (r *Room) DisableLost(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string) (string, error) {
	e, err := r.ready(ctx, tx, deviceID)
	if err != nil {
		return "", err
	}
	if e.LostAt.IsZero() && !e.LostMode {
		return "", fault.New(fault.Conflict, "device.not-lost", "The device is not lost, so there is nothing to take back.")
	}
	if err := change(ctx, tx, "mark found", e.ID, r.Clock.Now(), `lost_at = NULL, lost_order = NULL`); err != nil {
		return "", err
	}
	c := r.order(e, lostOff, actor)
	c.Urgent = true
	return r.send(ctx, tx, e, c, nil)
}

// lostAgain is the order for a tablet that was lost in its earlier life.
func (r *Room) lostAgain(ctx context.Context, tx *sqldb.Tx, e Enrollment) (commands.Command, error) {
	c := r.order(e, lostOn, "system")
	c.Urgent = true
	var err error
	if c.Args, err = r.opened(ctx, tx, "lost_order", "enroll.lost:"+e.ID, e.ID); err != nil {
		return c, err
	}
	return c, r.record(ctx, tx, "system", "lost.again", e.subject(), map[string]any{"generation": e.Generation})
}

// inheritLost lets a lost order follow the serial number to the enrollment that
// takes the place of those that are over: whoever sets a lost tablet up under
// another UDID has not found it either.
func (r *Room) inheritLost(ctx context.Context, tx *sqldb.Tx, e Enrollment) error {
	over, err := someEnrollments(ctx, tx, `WHERE e.device_id = ? AND e.id <> ? AND e.lost_at IS NOT NULL
		AND e.state IN ('erased', 'unenrolled') ORDER BY e.lost_at DESC, e.id`+tx.ForUpdate(), e.DeviceID, e.ID)
	if err != nil || len(over) == 0 {
		return err
	}
	now := r.Clock.Now()
	for i, from := range over {
		order, err := r.opened(ctx, tx, "lost_order", "enroll.lost:"+from.ID, from.ID)
		if err != nil {
			return err
		}
		if err := change(ctx, tx, "pass on the loss of", from.ID, now, `lost_at = NULL, lost_order = NULL`); err != nil {
			return err
		}
		if i > 0 || order == nil {
			continue
		}
		sealed, err := r.Vault.Seal("enroll.lost:"+e.ID, order)
		if err != nil {
			return fmt.Errorf("pass on a lost order: %w", err)
		}
		set := `lost_order = COALESCE(lost_order, ?), lost_at = COALESCE(lost_at, ?)`
		if err := change(ctx, tx, "mark lost", e.ID, now, set, sealed, sqldb.At(from.LostAt)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Room) renderLost(_ context.Context, _ *sqldb.Tx, e Enrollment, c commands.Command) (map[string]any, error) {
	if e.LostAt.IsZero() {
		return nil, fault.New(fault.Conflict, "device.not-lost", "The device was found before it heard that it is lost.")
	}
	var l Lost
	if err := json.Unmarshal(c.Args, &l); err != nil {
		return nil, fmt.Errorf("read a lost order: %w", err)
	}
	body := map[string]any{}
	for key, text := range map[string]string{"Message": l.Message, "PhoneNumber": l.Phone, "Footnote": l.Footnote} {
		if text != "" {
			body[key] = text
		}
	}
	return body, nil
}

func (r *Room) renderFound(_ context.Context, _ *sqldb.Tx, e Enrollment, _ commands.Command) (map[string]any, error) {
	if !e.LostAt.IsZero() {
		return nil, fault.New(fault.Conflict, "device.lost", "The device was marked lost again before it heard that it was found.")
	}
	return map[string]any{}, nil
}

func (r *Room) lostIsOn(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, _ commands.Result) error {
	return r.lostIs(ctx, tx, e, c, true)
}

func (r *Room) lostIsOff(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, _ commands.Result) error {
	return r.lostIs(ctx, tx, e, c, false)
}

// lostIs takes an acknowledgement for the time being and asks at once for the
// truth, which is IsMDMLostModeEnabled.
func (r *Room) lostIs(ctx context.Context, tx *sqldb.Tx, e Enrollment, c commands.Command, on bool) error {
	now := r.Clock.Now()
	if err := change(ctx, tx, "note Lost Mode of", e.ID, now, `lost_mode = ?, lost_acknowledged_at = ?`, on, sqldb.At(now)); err != nil {
		return err
	}
	ask := r.order(e, information, c.Origin)
	ask.Urgent = true
	if _, err := r.Queue.Add(ctx, tx, ask); err != nil {
		return err
	}
	action := "lost.off"
	if on {
		action = "lost.on"
	}
	return r.record(ctx, tx, e.device(), action, e.subject(), map[string]any{"command": c.ID})
}

// mustBeLost keeps location and sound to tablets in Lost Mode: Apple answers
// others with an error, and privacy asks for it (pain 32).
func mustBeLost(e Enrollment) error {
	if e.LostMode {
		return nil
	}
	if !e.LostAt.IsZero() {
		return fault.New(fault.Conflict, "device.not-lost-yet",
			"The device is marked lost but has not confirmed Lost Mode; it can be located as soon as it connects.")
	}
	return fault.New(fault.Conflict, "device.not-lost", "Only a device in Lost Mode can be located or made to sound. Mark it lost first: `ranzen device lost`.")
}

func onlyLost(body map[string]any) renderFunc {
	return func(_ context.Context, _ *sqldb.Tx, e Enrollment, _ commands.Command) (map[string]any, error) {
		return body, mustBeLost(e)
	}
}

// Locate asks a lost device where it is.
func (r *Room) Locate(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string) (string, error) {
	return r.whileLost(ctx, tx, actor, deviceID, locate)
}

// Sound makes a lost device sound.
func (r *Room) Sound(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID string) (string, error) {
	return r.whileLost(ctx, tx, actor, deviceID, sound)
}

func (r *Room) whileLost(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, deviceID, kind string) (string, error) {
	e, err := r.readySupervised(ctx, tx, deviceID, "Lost Mode")
	if err != nil {
		return "", err
	}
	if err := mustBeLost(e); err != nil {
		return "", err
	}
	c := r.order(e, kind, actor)
	c.Urgent = true
	return r.send(ctx, tx, e, c, nil)
}

// Place is where a lost tablet was.
type Place struct {
	mdm.Location
	ObservedAt time.Time
}

// keepPlaces is how long a location is kept. Ours: a week of searching; after
// that it is a trace of a person and nothing else.
const keepPlaces = 7 * 24 * time.Hour

func (r *Room) located(ctx context.Context, tx *sqldb.Tx, e Enrollment, _ commands.Command, res commands.Result) error {
	loc, err := mdm.ParseLocation(res.Raw)
	if err != nil {
		return unreadable(err)
	}
	plain, err := json.Marshal(loc)
	if err != nil {
		return unreadable(err) // NaN
	}
	sealed, err := r.Vault.Seal("enroll.location:"+e.ID, plain)
	if err != nil {
		return fmt.Errorf("keep a location: %w", err)
	}
	return upsertPlace(ctx, tx, e, sealed, r.Clock.Now())
}

// Location gives where a device was last, while that is kept.
func (r *Room) Location(ctx context.Context, q sqldb.Queryer, deviceID string) (Place, error) {
	e, err := r.EnrollmentOf(ctx, q, deviceID)
	if err != nil {
		return Place{}, err
	}
	sealed, at, err := selectPlace(ctx, q, e)
	if errors.Is(err, sqldb.ErrNoRows) || (err == nil && r.Clock.Now().Sub(at) >= keepPlaces) {
		return Place{}, fault.New(fault.NotFound, "location.none",
			"No location is known. While the device is in Lost Mode, `ranzen device locate` asks for it; it is kept for 7 days.")
	}
	if err != nil {
		return Place{}, fmt.Errorf("read a location: %w", err)
	}
	plain, err := r.Vault.Open("enroll.location:"+e.ID, sealed)
	if err != nil {
		return Place{}, err
	}
	p := Place{ObservedAt: at}
	if err := json.Unmarshal(plain, &p.Location); err != nil {
		return Place{}, fmt.Errorf("read a location: %w", err)
	}
	return p, nil
}
