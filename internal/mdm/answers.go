package mdm

import (
	"fmt"
	"math"
)

// The answers are read by whoever asked. One that lacks its list is an error,
// never an empty list: tablets would be stripped of what they have.

func lacks(key string) error {
	return fmt.Errorf("the answer has no %s: %w", key, ErrSyntax)
}

// InstalledProfile is a profile that a tablet has.
type InstalledProfile struct {
	PayloadIdentifier        string
	PayloadUUID              string
	PayloadDisplayName       string
	PayloadOrganization      string
	PayloadVersion           int64
	IsManaged                bool
	PayloadRemovalDisallowed bool
}

// ParseProfileList reads the answer to ProfileList.
func ParseProfileList(raw []byte) ([]InstalledProfile, error) {
	var m struct{ ProfileList *[]InstalledProfile }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.ProfileList == nil {
		return nil, lacks("ProfileList")
	}
	return *m.ProfileList, nil
}

// ManagedApp is the state of an app that the server installed.
type ManagedApp struct {
	Status           string // "Managed", "Installing", "UserRejected" …
	ManagementFlags  int64
	IsValidated      bool
	HasConfiguration bool
}

// ParseManagedApps reads the answer to ManagedApplicationList, by bundle ID.
func ParseManagedApps(raw []byte) (map[string]ManagedApp, error) {
	var m struct{ ManagedApplicationList *map[string]ManagedApp }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.ManagedApplicationList == nil {
		return nil, lacks("ManagedApplicationList")
	}
	return *m.ManagedApplicationList, nil
}

// InstalledApp is an app that a tablet has.
type InstalledApp struct {
	Identifier   string
	Name         string
	Version      string
	ShortVersion string
	Installing   bool
}

// ParseInstalledApps reads the answer to InstalledApplicationList.
func ParseInstalledApps(raw []byte) ([]InstalledApp, error) {
	var m struct{ InstalledApplicationList *[]InstalledApp }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.InstalledApplicationList == nil {
		return nil, lacks("InstalledApplicationList")
	}
	return *m.InstalledApplicationList, nil
}

// ParseDeviceInformation reads what was asked for, by Apple's names.
func ParseDeviceInformation(raw []byte) (map[string]any, error) {
	return dictionary(raw, "QueryResponses")
}

// ParseSecurityInfo reads the answer to SecurityInfo, by Apple's names.
func ParseSecurityInfo(raw []byte) (map[string]any, error) { return dictionary(raw, "SecurityInfo") }

func dictionary(raw []byte, key string) (map[string]any, error) {
	var m map[string]any
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	d, ok := m[key].(map[string]any)
	if !ok {
		return nil, lacks(key)
	}
	finite(d)
	return d, nil
}

// finite drops numbers that are none: a property list may hold "nan", JSON not.
func finite(v any) bool {
	switch v := v.(type) {
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case []any:
		for i, e := range v {
			if !finite(e) {
				v[i] = "nan"
			}
		}
	case map[string]any:
		for k, e := range v {
			if !finite(e) {
				delete(v, k)
			}
		}
	}
	return true
}

// InstalledCertificate is a certificate that a tablet has.
type InstalledCertificate struct {
	CommonName string
	Data       []byte // DER
	IsIdentity bool
}

// ParseCertificateList reads the answer to CertificateList.
func ParseCertificateList(raw []byte) ([]InstalledCertificate, error) {
	var m struct{ CertificateList *[]InstalledCertificate }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.CertificateList == nil {
		return nil, lacks("CertificateList")
	}
	return *m.CertificateList, nil
}

// Location is where a lost tablet is. Lengths are in metres, angles in degrees.
type Location struct {
	Latitude, Longitude float64
	HorizontalAccuracy  float64
	Altitude            float64
	VerticalAccuracy    float64
	Speed, Course       float64
	Timestamp           string
}

// ParseLocation reads the answer to DeviceLocation.
func ParseLocation(raw []byte) (Location, error) {
	var m map[string]any
	if err := Decode(raw, &m); err != nil {
		return Location{}, err
	}
	var l Location
	for key, into := range map[string]*float64{
		"Latitude": &l.Latitude, "Longitude": &l.Longitude, "HorizontalAccuracy": &l.HorizontalAccuracy, "Altitude": &l.Altitude,
		"VerticalAccuracy": &l.VerticalAccuracy, "Speed": &l.Speed, "Course": &l.Course,
	} {
		n, is := number(m[key])
		if !is && (key == "Latitude" || key == "Longitude") {
			return Location{}, lacks(key)
		}
		*into = n
	}
	if math.Abs(l.Latitude) > 90 || math.Abs(l.Longitude) > 180 {
		return Location{}, fmt.Errorf("a place that is not on Earth: %w", ErrSyntax)
	}
	text, _ := m["Timestamp"].(string)
	l.Timestamp = Clean(text)
	return l, nil
}

// number is a finite number, whole or not.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		if finite(v) {
			return v, true
		}
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// SettingResult is what became of one item of Settings, which is acknowledged
// even when items failed.
type SettingResult struct {
	Item       string
	Status     string
	ErrorChain []ErrorItem
}

// ParseSettings reads the answer to Settings.
func ParseSettings(raw []byte) ([]SettingResult, error) {
	var m struct{ Settings *[]SettingResult }
	if err := Decode(raw, &m); err != nil {
		return nil, err
	}
	if m.Settings == nil {
		return nil, lacks("Settings")
	}
	return *m.Settings, nil
}

// AppAnswer is what a tablet says to InstallApplication.
type AppAnswer struct {
	Identifier      string // bundle ID of the app that it found
	State           string
	RejectionReason string // "" when it did not refuse
}

// ParseAppAnswer reads the answer to InstallApplication.
func ParseAppAnswer(raw []byte) (AppAnswer, error) {
	var a AppAnswer
	err := Decode(raw, &a)
	return a, err
}
