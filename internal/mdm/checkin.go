package mdm

import "fmt"

// CheckIn is any check-in message. Its fields are those of all of them; which
// are there depends on MessageType.
type CheckIn struct {
	MessageType      string
	UDID             string
	EnrollmentID     string // instead of UDID, where a person enrolled their own device
	UserID           string // there: the user channel of a Shared iPad
	UserShortName    string // personal: not to be stored
	EnrollmentUserID string

	Topic        string
	SerialNumber string
	DeviceName   string // may hold a person's name: not to be stored
	Model        string
	ModelName    string
	ProductName  string
	OSVersion    string
	BuildVersion string

	Token                 []byte
	PushMagic             string
	UnlockToken           []byte
	AwaitingConfiguration bool
	NotOnConsole          bool

	BootstrapToken   []byte
	Endpoint         string // DeclarativeManagement
	Data             []byte
	TokenServiceType string // GetToken

	Raw []byte `plist:"-"`
}

// ParseCheckIn reads a check-in message.
func ParseCheckIn(b []byte) (*CheckIn, error) {
	var m CheckIn
	if err := Decode(b, &m); err != nil {
		return nil, fmt.Errorf("read a check-in: %w", err)
	}
	if m.MessageType == "" {
		return nil, fmt.Errorf("a check-in without MessageType: %w", ErrSyntax)
	}
	m.Raw = b
	return &m, nil
}
