package mdm

// owned are the commands that are not sent as they are, because the desired state
// or the gate before dangerous things decides about them.
func owned(requestType string) (instead string, is bool) {
	switch requestType {
	case "InstallProfile", "RemoveProfile":
		return "Use `ranzen profile add` and `ranzen assign`, or `ranzen unassign`", true
	case "InstallApplication", "RemoveApplication":
		return "Use `ranzen app add` and `ranzen assign`, or `ranzen unassign`", true
	case "EraseDevice":
		return "Use `ranzen device erase`", true
	case "EnableLostMode":
		return "Use `ranzen device lost`", true
	case "DisableLostMode":
		return "Use `ranzen device found`", true
	case "DeviceLocation":
		return "Use `ranzen device locate`", true
	case "PlayLostModeSound":
		return "Use `ranzen device sound`", true
	case "ClearPasscode":
		return "Use `ranzen device clear-passcode`", true
	case "ActivationLockBypassCode":
		return "The server asks for the code by itself and keeps it sealed", true
	case "DeviceConfigured":
		return "The server sends it by itself when everything is in place", true
	case "DeclarativeManagement":
		return "The server sends it by itself where it declares something", true
	}
	return "", false
}
