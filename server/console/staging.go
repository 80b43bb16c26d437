package console

import _ "embed"

//go:embed staging.html
var stagingHTML string

//go:embed staging.css
var stagingCSS string

//go:embed staging.js
var stagingJS string

// stagingTexts are the words of the live board, and those its script uses.
func stagingTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Title": "Staging board", "Delivery": "Delivery", "OnlyTrouble": "only those that need a person", "Ready": "Ready", "Devices": "iPads",
			}, map[string]string{
				"summary": "{ready} of {all} ready, {busy} under way, {trouble} need a person", "lost": "The connection is interrupted. What you see is from {at}; trying again.",
				"none": "There are no deliveries yet. Make one with: ranzen delivery create", "profiles": "profiles", "apps": "apps", "slot": "slot", "battery": "battery",
				"known": "○ not switched on", "profile_confirmed": "◔ may be switched on", "enrolled": "◑ enrolled", "profiles_state": "◑ profiles", "apps_state": "◕ apps", "ready": "✓ ready", "stuck": "! stuck", "held": "✋ held",
			}
	}
	return map[string]string{
			"Title": "Inbetriebnahme", "Delivery": "Lieferung", "OnlyTrouble": "nur die, die jemanden brauchen", "Ready": "Fertig", "Devices": "iPads",
		}, map[string]string{
			"summary": "{ready} von {all} fertig, {busy} unterwegs, {trouble} brauchen jemanden", "lost": "Die Verbindung ist unterbrochen. Was Sie sehen, ist von {at}; neuer Versuch läuft.",
			"none": "Es gibt noch keine Lieferung. Legen Sie eine an mit: ranzen delivery create", "profiles": "Profile", "apps": "Apps", "slot": "Platz", "battery": "Akku",
			"known": "○ nicht eingeschaltet", "profile_confirmed": "◔ darf eingeschaltet werden", "enrolled": "◑ angemeldet", "profiles_state": "◑ Profile", "apps_state": "◕ Apps", "ready": "✓ fertig", "stuck": "! hängt", "held": "✋ angehalten",
		}
}
