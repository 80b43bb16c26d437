package mdm

import "fmt"

// MachineInfo is what a tablet tells of itself in Setup Assistant, before it is
// enrolled (Apple, Device Management, "MachineInfo"). Telephone identities and
// the language are not read: nothing hangs on them.
type MachineInfo struct {
	UDID      string `plist:"UDID"`
	Serial    string `plist:"SERIAL"`
	Product   string `plist:"PRODUCT"`    // "iPad13,18"
	Version   string `plist:"VERSION"`    // the build: "22B83"
	OSVersion string `plist:"OS_VERSION"` // "18.1"
	// CanUpdate: it takes com.apple.softwareupdate.required for an answer (17).
	CanUpdate bool   `plist:"MDM_CAN_REQUEST_SOFTWARE_UPDATE"`
	UpdateID  string `plist:"SOFTWARE_UPDATE_DEVICE_ID"`
}

// maxMachineText bounds each value: the longest, the UDID, has 25 or 40
// characters.
const maxMachineText = 128

// ParseMachineInfo reads the content of a signed machine info.
func ParseMachineInfo(b []byte) (MachineInfo, error) {
	var m MachineInfo
	if err := Decode(b, &m); err != nil {
		return m, fmt.Errorf("read a machine info: %w", err)
	}
	for _, s := range []*string{&m.UDID, &m.Serial, &m.Product, &m.Version, &m.OSVersion, &m.UpdateID} {
		if *s = Clean(*s); len(*s) > maxMachineText {
			return m, fmt.Errorf("a machine info with a value that no device has: %w", ErrSyntax)
		}
	}
	if m.UDID == "" || m.Serial == "" {
		return m, fmt.Errorf("a machine info without UDID or SERIAL: %w", ErrSyntax)
	}
	return m, nil
}
