package mdm

// CommandSpec is what Apple's schema says of a command, as far as iPads go. The
// table is generated, see gen. Versions are iPadOS versions.
type CommandSpec struct {
	RequestType string
	Introduced  string
	Deprecated  string
	Removed     string
	Supervised  bool   // only supervised iPads take it
	SharedIPad  string // "required", "forbidden" or, mostly, neither
	Keys        []KeySpec
}

// KeySpec is one key of a command.
type KeySpec struct {
	Name       string
	Type       string // string, integer, real, boolean, date, data, array, dictionary, any
	Required   bool   // where the dictionary that holds it is there
	Introduced string
	Deprecated string
	Removed    string
	Supervised bool
	Values     []string // if not empty, no others are allowed
	// Keys of a dictionary are its keys; those of an array are what its elements
	// may be. A key named ANY stands for any name.
	Keys []KeySpec
}

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
