package tablet

import (
	"context"
	"fmt"
)

// deviceInformation answers the queries that were asked; an iPad leaves out what
// it does not have.
func (t *Tablet) deviceInformation(_ context.Context, c *Command) (map[string]any, *chain) {
	all := t.information()
	asked := list(c.Body, "Queries")
	if len(asked) == 0 {
		return map[string]any{"QueryResponses": all}, nil
	}
	out := map[string]any{}
	for _, q := range asked {
		if v, ok := all[fmt.Sprint(q)]; ok {
			out[fmt.Sprint(q)] = v
		}
	}
	return map[string]any{"QueryResponses": out}, nil
}

func (t *Tablet) information() map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]any{
		"UDID": t.cfg.UDID, "SerialNumber": t.cfg.Serial, "DeviceName": t.name, "OSVersion": t.cfg.OSVersion,
		"BuildVersion": t.cfg.BuildVersion, "ModelName": t.cfg.ModelName, "Model": t.cfg.Model, "ModelNumber": t.cfg.Model,
		"ProductName": t.cfg.Product, "DeviceCapacity": 64.0, "AvailableDeviceCapacity": 41.25, "BatteryLevel": t.battery(t.cfg.Clock.Now()),
		"CellularTechnology": 0, "WiFiMAC": t.mac(1), "BluetoothMAC": t.mac(2), "IsSupervised": t.cfg.Supervised,
		"IsDeviceLocatorServiceEnabled": false, "IsActivationLockEnabled": false, "IsDoNotDisturbInEffect": false,
		"IsCloudBackupEnabled": false, "IsMDMLostModeEnabled": t.lost != nil, "IsMultiUser": false, "IsRoaming": false,
		"AwaitingConfiguration": t.awaiting, "DiagnosticSubmissionEnabled": false, "AppAnalyticsEnabled": false,
		"SupplementalBuildVersion": t.cfg.BuildVersion, "iTunesStoreAccountIsActive": false, "TimeZone": "Europe/Berlin",
		"IsNetworkTethered": false, "MDMOptions": t.mdmOptions(),
	}
}

func (t *Tablet) mdmOptions() map[string]any {
	if set, ok := t.options["MDMOptions"].(map[string]any); ok {
		return dict(set, "MDMOptions")
	}
	return map[string]any{"ActivationLockAllowedWhileSupervised": false}
}

// mac is made of the UDID; the second half of the first byte says that it is
// locally administered, so that it can be nobody's.
func (t *Tablet) mac(n byte) string {
	u := t.cfg.UDID
	for len(u) < 8 {
		u += "0"
	}
	u = u[len(u)-8:]
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", n, u[0]^u[4], u[1]^u[5], u[2]^u[6], u[3]^u[7])
}

func (t *Tablet) securityInfo(context.Context, *Command) (map[string]any, *chain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]any{"SecurityInfo": map[string]any{
		"HardwareEncryptionCaps": 3, "PasscodePresent": t.hasCode, "PasscodeCompliant": true, "PasscodeCompliantWithProfiles": true,
		"PasscodeLockGracePeriod": 0, "PasscodeLockGracePeriodEnforced": 0,
		"ManagementStatus": map[string]any{"EnrolledViaDEP": t.viaADE, "UserApprovedEnrollment": true, "IsUserEnrollment": false},
	}}, nil
}
