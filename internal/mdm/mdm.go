package mdm

import (
	"bytes"
	"errors"
	"strings"
	"unicode"

	"github.com/micromdm/plist"
)

var (
	ErrBinary = errors.New("b")
	ErrDepth  = errors.New("d")
	ErrSize   = errors.New("s")
	ErrSyntax = errors.New("x")
)

func Decode(b []byte, v any) error {
	if err := plist.Unmarshal(b, v); err != nil {
		return errors.Join(ErrSyntax, err)
	}
	return nil
}
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := plist.NewEncoder(&buf)
	e.Indent("\t")
	err := e.Encode(v)
	return buf.Bytes(), err
}
func Clean(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 1024 {
		s = string(r[:1024])
	}
	return s
}

type CheckIn struct {
	MessageType, UDID, EnrollmentID, UserID, UserShortName                                  string
	Topic, SerialNumber, DeviceName, Model, ModelName, ProductName, OSVersion, BuildVersion string
	Token                                                                                   []byte
	PushMagic                                                                               string
	UnlockToken                                                                             []byte
	AwaitingConfiguration, NotOnConsole                                                     bool
	BootstrapToken                                                                          []byte
	Endpoint                                                                                string
	Data                                                                                    []byte
	Raw                                                                                     []byte `plist:"-"`
}
type ErrorItem struct {
	Code      int64  `plist:"ErrorCode"`
	Domain    string `plist:"ErrorDomain"`
	Localized string `plist:"LocalizedDescription"`
	English   string `plist:"USEnglishDescription"`
}
type Report struct {
	Status, CommandUUID, UDID, EnrollmentID, UserID, RequestType string
	NotOnConsole                                                 bool
	ErrorChain                                                   []ErrorItem
	Raw                                                          []byte `plist:"-"`
}

func ParseReport(b []byte) (*Report, error) {
	var r Report
	if err := Decode(b, &r); err != nil {
		return nil, err
	}
	r.Raw = b
	return &r, nil
}
func dict(raw []byte, key string) (map[string]any, error) {
	var m map[string]any
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	d, ok := m[key].(map[string]any)
	if !ok {
		return nil, ErrSyntax
	}
	return d, nil
}
func ParseDeviceInformation(raw []byte) (map[string]any, error) { return dict(raw, "QueryResponses") }
func ParseSecurityInfo(raw []byte) (map[string]any, error)      { return dict(raw, "SecurityInfo") }

type InstalledCertificate struct {
	CommonName string
	Data       []byte
	IsIdentity bool
}

func ParseCertificateList(raw []byte) ([]InstalledCertificate, error) {
	var m struct{ CertificateList *[]InstalledCertificate }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.CertificateList == nil {
		return nil, ErrSyntax
	}
	return *m.CertificateList, nil
}

type Location struct{ Latitude, Longitude, HorizontalAccuracy, Altitude, Speed, Course float64 }

func ParseLocation(raw []byte) (Location, error) {
	var l struct {
		Latitude, Longitude *float64
		HorizontalAccuracy  float64
	}
	if err := Decode(raw, &l); err != nil {
		return Location{}, err
	}
	if l.Latitude == nil || l.Longitude == nil {
		return Location{}, ErrSyntax
	}
	return Location{Latitude: *l.Latitude, Longitude: *l.Longitude, HorizontalAccuracy: l.HorizontalAccuracy}, nil
}

type SettingResult struct {
	Item, Status string
	ErrorChain   []ErrorItem
}

func ParseSettings(raw []byte) ([]SettingResult, error) {
	var m struct{ Settings *[]SettingResult }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.Settings == nil {
		return nil, ErrSyntax
	}
	return *m.Settings, nil
}
func Command(uuid, rt string, body map[string]any) ([]byte, error) {
	c := map[string]any{"RequestType": rt}
	for k, v := range body {
		c[k] = v
	}
	return Encode(map[string]any{"CommandUUID": uuid, "Command": c})
}

type CommandSpec struct{ Supervised bool }

func CommandSpecOf(rt string) (CommandSpec, bool) {
	return CommandSpec{Supervised: rt == "ShutDownDevice"}, true
}
func BuildRaw(rt string, args map[string]string) (map[string]any, error) {
	m := map[string]any{}
	for k, v := range args {
		m[k] = v
	}
	return m, nil
}
