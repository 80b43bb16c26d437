package tablet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"ranzen/internal/clock"
)

// Errors that callers tell apart. ErrOffline is a tablet that sleeps or waits for
// its first unlock after a restart; ErrUnenrolled one that has no management.
var (
	ErrOffline    = errors.New("the tablet is not on the network")
	ErrUnenrolled = errors.New("the tablet is not enrolled")
	ErrEnrolled   = errors.New("the tablet is enrolled already")
)

// Config is one tablet. Zero values are filled from Seed and Index.
type Config struct {
	Seed  uint64
	Index int // its number in a fleet; with Seed it decides all that is random

	Serial, UDID              string
	DeviceName                string
	Model, ModelName, Product string // A2696, iPad, iPad13,18
	OSVersion, BuildVersion   string
	Supervised                bool

	Clock clock.Clock
	Roots *x509.CertPool // what TLS trusts besides root payloads; nil is the system's
	// Client makes the HTTP client for the trusted roots; nil makes one of the
	// tablet's own. identity is nil before there is one.
	Client func(roots *x509.CertPool, identity *Identity) *http.Client
	Keys   *Keys // nil makes a key whenever one is needed
	// PresentIdentity offers the identity as TLS client certificate too.
	PresentIdentity bool
	Signature       Signature

	Unlicensed []int64       // adam IDs that the App Store refuses for want of a licence
	AppTime    time.Duration // how long an app takes, on average; 0: at once
	Awkward    float64       // 0 to 1: NotNow, answers given twice, answers given late
	// LateBy is how long a late answer waits; 0 is 50 ms. Only with Awkward.
	LateBy time.Duration

	// Store is what the App Store has, by adam ID; an app that is not in it is
	// called com.example.app<adam ID>.
	Store map[int64]string
	// AppName is asked before Store, if it is set; "" is not found.
	AppName func(adam int64) string
	// RenewQuietly makes a renewed identity show up with the next message instead
	// of with Authenticate and TokenUpdate, as iPads do when only the SCEP payload
	// changed (micromdm #557).
	RenewQuietly bool
	Code         bool // a passcode is set
	// Activation is where Apple tells the tablet who manages it; see SetUp.
	Activation string
	ReEnroll   bool          // erased, it sets itself up again; without it only with Return to Service
	UpdateTime time.Duration // how long it takes to another iPadOS; 0: no time
	EraseTime  time.Duration // how long from an erase until it asks again; 0: no time
	LowBattery float64       // 0 to 1: how likely its battery comes below one half
	// Pause lets such times pass; nil waits for them by the machine's clock.
	Pause func(ctx context.Context, d time.Duration) error

	// Register tells the push service of the tablet's new token, before the server
	// hears of it; nil: there is none.
	Register func(ctx context.Context, token, topic, magic string)

	On func(Event) // told what happens; called from the tablet's goroutine

	book *book // shared by a fleet
}

// Signature is how Mdm-Signature is written. The zero value is what iPads send:
// BER of indefinite length, SHA-256, signed attributes.
type Signature struct {
	SHA1         bool
	DER          bool
	NoAttributes bool // sign the body itself instead of attributes that hold its digest
}

// Event is a line of the fleet's output; doc.go says which field comes when.
type Event struct {
	Event           string    `json:"event"`
	At              time.Time `json:"at,omitzero"`
	ID              string    `json:"id,omitempty"`
	Serial          string    `json:"serial,omitempty"`
	UDID            string    `json:"udid,omitempty"`
	Name            string    `json:"name,omitempty"`
	Supervised      *bool     `json:"supervised,omitempty"`
	Times           int       `json:"times,omitempty"`
	UUID            string    `json:"uuid,omitempty"`
	RequestType     string    `json:"request_type,omitempty"`
	Status          string    `json:"status,omitempty"`
	Identifier      string    `json:"identifier,omitempty"`
	SSIDs           []string  `json:"ssids,omitempty"`
	BundleID        string    `json:"bundle_id,omitempty"`
	AdamID          int64     `json:"adam_id,omitempty"`
	Message         string    `json:"message,omitempty"`
	Phone           string    `json:"phone,omitempty"`
	ReturnToService bool      `json:"return_to_service,omitempty"`
	Error           string    `json:"error,omitempty"`
	Done            int       `json:"done,omitempty"`
	Total           int       `json:"total,omitempty"`
	TabletCount     int       `json:"count,omitempty"`
	SupervisedCount int       `json:"supervised_count,omitempty"`
	Tablets         []State   `json:"tablets,omitempty"`
}

// fill completes a Config from its seed: the same seed and index, the same iPad.
func (c Config) fill() (Config, error) {
	r := rand.New(rand.NewPCG(c.Seed, uint64(c.Index)<<8|1))
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&c.Serial, serial(c.Seed, c.Index))
	set(&c.UDID, fmt.Sprintf("00008120-%016X", r.Uint64()))
	set(&c.DeviceName, "iPad")
	set(&c.Model, "MPQ03FD/A")
	set(&c.ModelName, "iPad")
	set(&c.Product, "iPad13,18")
	set(&c.OSVersion, "18.1")
	set(&c.BuildVersion, buildOf(c.OSVersion))
	if c.Awkward < 0 || c.Awkward > 1 {
		return c, fmt.Errorf("a rate of %v for awkward answers is not between 0 and 1", c.Awkward)
	}
	if c.LowBattery < 0 || c.LowBattery > 1 {
		return c, fmt.Errorf("a rate of %v for low batteries is not between 0 and 1", c.LowBattery)
	}
	if c.LateBy == 0 {
		c.LateBy = 50 * time.Millisecond
	}
	return c, nil
}

// serial is ten letters and digits that no iPad has: they begin with RZ. The
// seed's last four digits of base 32 keep two fleets apart.
func serial(seed uint64, index int) string {
	const digits = "0123456789ABCDEFGHJKLMNPQRTVWXYZ" // as Apple: no I, O, S, U
	var b strings.Builder
	b.WriteString("RZ")
	for _, shift := range []uint{15, 10, 5, 0} {
		b.WriteByte(digits[seed>>shift&31])
	}
	for _, shift := range []uint{15, 10, 5, 0} {
		b.WriteByte(digits[uint64(index)>>shift&31])
	}
	return b.String()
}
