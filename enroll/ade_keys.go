package enroll

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"ranzen/internal/fault"
)

// maxDefinition bounds a definition; Apple's longest have a few kB.
const maxDefinition = 64 << 10

// definitionKeys are the keys that people may set, and of which kind they are
// (Apple, Device Management, "Profile" of device assignment; those of iPadOS 26
// last).
func definitionKeys() map[string]string {
	return map[string]string{
		"allow_pairing": "bool", "auto_advance_setup": "bool", "department": "text", "is_multi_user": "bool", "language": "text",
		"org_magic": "text", "profile_name": "text", "region": "text", "skip_setup_items": "items", "supervising_host_certs": "certs",
		"support_email_address": "text", "support_phone_number": "text",
		"is_return_to_service": "bool", "do_not_use_profile_from_backup": "bool",
	}
}

// textMost bounds texts in characters, as Apple does.
func textMost(key string) int {
	switch key {
	case "org_magic":
		return 256
	case "support_email_address":
		return 250
	case "support_phone_number":
		return 50
	case "language", "region":
		return 35
	}
	return 125
}

// forcedFlags are ours in every definition: an iPad of a school is supervised,
// its management is not optional, and Setup Assistant waits for us.
func forcedFlags() map[string]bool {
	return map[string]bool{
		"is_supervised": true, "is_mandatory": true, "is_mdm_removable": false, "await_device_configured": true,
	}
}

// SkipAll are the panes of Setup Assistant that an iPad can be told to leave out
// (Apple, device-management, other/skipkeys.yaml).
func SkipAll() []string {
	return []string{
		"ActionButton", "Android", "Appearance", "AppleID", "AppStore", "Biometric", "CameraButton", "DeviceToDeviceMigration", "Diagnostics",
		"DisplayTone", "EnableLockdownMode", "HomeButtonSensitivity", "iMessageAndFaceTime", "Intelligence", "Keyboard", "Location",
		"MessagingActivationUsingPhoneNumber", "Multitasking", "OnBoarding", "OSShowcase", "Passcode", "Payment", "Privacy", "Restore",
		"RestoreCompleted", "Safety", "SafetyAndHandling", "ScreenTime", "SIMSetup", "Siri", "SoftwareUpdate", "SpokenLanguage",
		"TermsOfAddress", "TOS", "UpdateCompleted", "WatchMigration", "WebContentFiltering", "Welcome", "Zoom",
	}
}

// otherPanes are Apple's of other devices: known, and of no use on an iPad.
func otherPanes() []string {
	return []string{
		"Accessibility", "AdditionalPrivacySettings", "FileVault", "iCloudDiagnostics", "iCloudStorage", "Registration", "ScreenSaver",
		"TapToSetup", "Tips", "TVHomeScreenSync", "TVProviderSignIn", "TVRoom", "UnlockWithWatch", "Wallpaper",
	}
}

var paneForm = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

func badDefinition(code, format string, args ...any) *fault.Fault {
	return fault.New(fault.Invalid, code, format, args...).On("definition")
}

// readDefinition checks what people wish of an enrollment profile: each key by
// its kind, none that is not Apple's, none that is ours with another value. What
// is left are their keys alone. warnings name panes that this program has not
// heard of, which may be newer than it is, or mistyped.
func readDefinition(raw []byte) (keys map[string]any, warnings []string, err error) {
	if len(raw) > maxDefinition {
		return nil, nil, badDefinition("ade-profile.long", "The definition has more than %d kB, which no enrollment profile has.", maxDefinition>>10)
	}
	keys = map[string]any{}
	if len(bytes.TrimSpace(raw)) > 0 {
		dec := json.NewDecoder(bytes.NewReader(raw))
		if err := dec.Decode(&keys); err != nil || keys == nil {
			return nil, nil, badDefinition("ade-profile.json", "The definition is no JSON object of Apple's keys, such as {\"department\": \"IT\"}.")
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, nil, badDefinition("ade-profile.json", "Something follows the definition's JSON object. Leave it out.")
		}
	}
	kinds := definitionKeys()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		v := keys[key]
		if want, ours := forcedFlags()[key]; ours {
			if is, ok := v.(bool); !ok || is != want {
				return nil, nil, forced(key, want)
			}
			delete(keys, key)
			continue
		}
		kind, known := kinds[key]
		if !known {
			return nil, nil, unknownKey(key)
		}
		w, err := checkKey(key, kind, v)
		if err != nil {
			return nil, nil, err
		}
		warnings = append(warnings, w...)
	}
	return keys, warnings, nil
}

func forced(key string, want bool) error {
	why := "the server always sets it so"
	switch key {
	case "is_supervised":
		why = "without supervision Apple refuses is_mdm_removable false (FLAGS_INVALID), and new iPads would silently not get the profile"
	case "is_mdm_removable":
		why = "else whoever holds the iPad could end its management"
	case "await_device_configured":
		why = "else the iPad would be handed out before its profiles are on it"
	}
	return badDefinition("ade-profile.forced", "%s must be %t: %s. Leave it out.", key, want, why)
}

func unknownKey(key string) error {
	switch key {
	case "url", "anchor_certs":
		return badDefinition("ade-profile.forced", "%s is set by the server, which knows its own address and certificates. Leave it out.", key)
	case "configuration_web_url":
		return badDefinition("ade-profile.web", "configuration_web_url would ask for a sign-in on a web page, which this server does not need, and with which Return to Service fails. Leave it out.")
	case "devices":
		return badDefinition("ade-profile.devices", "Which devices get the profile is said with `ranzen ade profile assign`. Leave devices out.")
	}
	return badDefinition("ade-profile.unknown-key", "%q is none of Apple's keys of an enrollment profile. Correct or leave it out.", short(key))
}

func short(s string) string {
	if utf8.RuneCountInString(s) > 60 {
		return string([]rune(s)[:60]) + "…"
	}
	return s
}

func checkKey(key, kind string, v any) (warnings []string, err error) {
	wrong := func(want string) error { return badDefinition("ade-profile.kind", "%s must be %s.", key, want) }
	switch kind {
	case "bool":
		if _, ok := v.(bool); !ok {
			return nil, wrong("true or false")
		}
	case "text":
		s, ok := v.(string)
		if !ok || utf8.RuneCountInString(s) > textMost(key) || !storableText(s) {
			return nil, wrong(fmt.Sprintf("a text of at most %d characters", textMost(key)))
		}
		if key == "profile_name" && s == "" {
			return nil, wrong("a name; left out, it is that of the enrollment profile")
		}
	default:
		list, ok := v.([]any)
		if !ok || len(list) > 100 {
			return nil, wrong("a list of at most 100 texts")
		}
		for _, one := range list {
			s, ok := one.(string)
			if !ok {
				return nil, wrong("a list of at most 100 texts")
			}
			if kind == "certs" {
				if _, err := base64.StdEncoding.DecodeString(s); err != nil || s == "" {
					return nil, wrong("a list of certificates, DER in base64")
				}
				continue
			}
			if !paneForm.MatchString(s) {
				return nil, badDefinition("ade-profile.pane", "%q in skip_setup_items is no name of a pane.", short(s))
			}
			if !slices.Contains(SkipAll(), s) && !slices.Contains(otherPanes(), s) {
				warnings = append(warnings, fmt.Sprintf("skip_setup_items: this version knows no pane %q; iPads ignore it if there is none.", s))
			}
		}
	}
	return warnings, nil
}

func storableText(s string) bool {
	return utf8.ValidString(s) && !bytes.ContainsRune([]byte(s), 0)
}

// definitionFor is what is sent to Apple: people's keys, and ours over them.
// Equal wishes give equal bytes.
func definitionFor(keys map[string]any, name, publicURL string, anchors [][]byte) ([]byte, error) {
	out := map[string]any{"profile_name": name}
	maps.Copy(out, keys)
	for key, v := range forcedFlags() {
		out[key] = v
	}
	out["url"] = publicURL + "/enroll/ade"
	if len(anchors) > 0 {
		list := make([]string, len(anchors))
		for i, der := range anchors {
			list[i] = base64.StdEncoding.EncodeToString(der)
		}
		out["anchor_certs"] = list
	}
	raw, err := json.Marshal(out) // keys in order
	if err != nil {
		return nil, fmt.Errorf("write an enrollment profile: %w", err)
	}
	return raw, nil
}
