package tablet

import "time"

// State is what a person with the tablet in hand, and a log behind it, would see.
type State struct {
	Serial     string `json:"serial"`
	UDID       string `json:"udid"`
	Name       string `json:"name"`
	Model      string `json:"model"`
	OSVersion  string `json:"os_version"`
	Supervised bool   `json:"supervised"`

	Enrolled    bool   `json:"enrolled"`
	Enrollments int    `json:"enrollments"` // how often it enrolled
	Renewals    int    `json:"renewals"`
	Erased      int    `json:"erased"`
	Restarts    int    `json:"restarts"`
	Identity    string `json:"identity,omitempty"` // hex SHA-256 of its certificate
	Token       string `json:"token,omitempty"`    // hex push token

	Profiles     []Profile      `json:"profiles"`
	WiFi         []string       `json:"wifi"` // SSIDs it knows from profiles
	WebClips     []string       `json:"web_clips"`
	Restrictions map[string]any `json:"restrictions,omitempty"`
	Apps         []App          `json:"apps"`
	Lost         *Lost          `json:"lost,omitempty"`

	// Setup is where it stands in Setup Assistant if it asks Apple who manages it:
	// off, activating, updating, enrolling, awaiting, released, unmanaged.
	Setup    string `json:"setup,omitempty"`
	Awaiting bool   `json:"awaiting"` // in Setup Assistant, for DeviceConfigured

	Locked  bool `json:"locked"` // by its passcode
	Asleep  bool `json:"asleep"`
	Offline bool `json:"offline"` // restarted and not unlocked since
	HasCode bool `json:"has_passcode"`

	Polls       int     `json:"polls"` // Idle messages sent
	Pushes      int     `json:"pushes"`
	WrongPushes int     `json:"wrong_pushes"` // magic not its own
	Log         []Entry `json:"log"`          // the last LogLength commands, oldest first
	LastError   string  `json:"last_error,omitempty"`
}

// LogLength is how many commands State.Log remembers.
const LogLength = 200

// Profile is an installed configuration profile.
type Profile struct {
	Identifier string    `json:"identifier"`
	UUID       string    `json:"uuid"`
	Name       string    `json:"name"`
	Managed    bool      `json:"managed"` // by the MDM server
	Signed     bool      `json:"signed"`
	Payloads   []Payload `json:"payloads"`
}

// Payload is a payload of an installed profile.
type Payload struct {
	Type       string `json:"type"`
	Identifier string `json:"identifier"`
	UUID       string `json:"uuid"`
}

// App is an app on the tablet; State has Apple's words (Queued … Managed).
type App struct {
	BundleID string `json:"bundle_id"`
	AdamID   int64  `json:"adam_id"`
	State    string `json:"state"`
	Managed  bool   `json:"managed"`
}

// Lost is Lost Mode.
type Lost struct {
	Message  string `json:"message"`
	Phone    string `json:"phone"`
	Footnote string `json:"footnote"`
	Sounds   int    `json:"sounds"` // how often it was made to play one
}

// Entry is a command as the tablet saw it.
type Entry struct {
	UUID        string    `json:"uuid"`
	RequestType string    `json:"request_type"`
	Status      string    `json:"status"`
	Error       string    `json:"error,omitempty"`
	At          time.Time `json:"at"`
}
