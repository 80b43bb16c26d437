package profiles

import (
	"encoding/json"
	"slices"
	"strings"

	"ranzen/internal/catalogue"
)

// rule is how an iPad makes one value of several, in the words of Apple's schema
// of declarations; "" where Apple does not say it.
type rule string

const (
	boolAnd      rule = "boolean-and"
	boolOr       rule = "boolean-or"
	numberMin    rule = "number-min"
	numberMax    rule = "number-max"
	setUnion     rule = "set-union"
	intersection rule = "set-intersection"
)

// passcodeKey is the key of the declaration com.apple.configuration.passcode.settings
// that says what a key of the older payload says.
func passcodeKey(key string) string {
	switch key {
	case "forcePIN":
		return "RequirePasscode"
	case "requireAlphanumeric":
		return "RequireAlphanumericPasscode"
	case "allowSimple": // the other way round
		return "RequireComplexPasscode"
	case "minLength":
		return "MinimumLength"
	case "minComplexChars":
		return "MinimumComplexCharacters"
	case "maxFailedAttempts":
		return "MaximumFailedAttempts"
	case "maxGracePeriod":
		return "MaximumGracePeriodInMinutes"
	case "maxInactivity":
		return "MaximumInactivityInMinutes"
	case "maxPINAgeInDays":
		return "MaximumPasscodeAgeInDays"
	case "pinHistory":
		return "PasscodeReuseLimit"
	}
	return ""
}

func ruleOf(payloadType, key string) rule {
	switch payloadType {
	case passcodeType:
		d, _ := catalogue.Find(catalogue.Declaration, "com.apple.configuration.passcode.settings")
		k, known := d.Key(passcodeKey(key))
		switch {
		case !known:
			return ""
		case key == "allowSimple" && rule(k.Combine) == boolOr:
			return boolAnd
		}
		return rule(k.Combine)
	case restrictionsType:
		return restrictionRule(key)
	}
	return ""
}

// restrictionRule is the stricter value of a restriction.
//
// Apple, Platform Deployment, "Payload best practices": of restrictions that
// conflict on an iPad the more restrictive wins. Which of two lists that is, is
// told only of apps (com.apple.configuration.app.settings > Allowed), and how long
// updates wait in softwareupdate.settings > Deferrals.
func restrictionRule(key string) rule {
	switch key {
	case "allowListedAppBundleIDs", "whitelistedAppBundleIDs":
		return intersection
	case "blockedAppBundleIDs", "blacklistedAppBundleIDs":
		return setUnion
	case "ratingApps", "ratingMovies", "ratingTVShows", "safariAcceptCookies":
		return numberMin
	case "enforcedSoftwareUpdateDelay":
		return numberMax
	case "requireManagedPasteboard":
		return boolOr
	}
	e, _ := catalogue.FindPayload(restrictionsType)
	if k, known := e.Key(key); known && k.Type != "boolean" {
		return ""
	}
	switch {
	case strings.HasPrefix(key, "allow"), strings.HasPrefix(key, "safariAllow"):
		return boolAnd
	case strings.HasPrefix(key, "force"), strings.HasPrefix(key, "safariForce"):
		return boolOr
	}
	return ""
}

// combine makes one value of several, whatever their order; false where Apple does
// not say what comes of them, or where they are not what the rule is about.
func combine(how rule, values []json.RawMessage) (json.RawMessage, bool) {
	if len(values) == 0 {
		return nil, false
	}
	out := values[0]
	for _, v := range values[1:] {
		ok := false
		if out, ok = two(how, out, v); !ok {
			return nil, false
		}
	}
	_, ok := two(how, out, out) // one value of the wrong type is no value either
	return out, ok
}

func two(how rule, a, b json.RawMessage) (json.RawMessage, bool) {
	switch how {
	case boolAnd, boolOr:
		var x, y bool
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return nil, false
		}
		if x == (how == boolOr) {
			return a, true
		}
		return b, true
	case numberMin, numberMax:
		var x, y float64
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return nil, false
		}
		if x < y == (how == numberMin) {
			return a, true
		}
		return b, true
	case setUnion, intersection:
		var x, y []string
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			return nil, false
		}
		if how == setUnion {
			return set(append(x, y...)), true
		}
		return set(slices.DeleteFunc(x, func(s string) bool { return !slices.Contains(y, s) })), true
	}
	return nil, false
}
