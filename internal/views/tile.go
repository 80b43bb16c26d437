package views

import (
	"encoding/json"
	"fmt"
	"time"
)

// StallAfter is how long a device may show no progress before people are told
// that it is stuck. Ours: an app of a gigabyte takes some minutes in a staging
// room, and a person looks at the board now and then.
const StallAfter = 10 * time.Minute

// readyCharge is the battery with which a device may be handed out (0 to 1).
const readyCharge = 0.5

// tile judges one device. It has no other input than the row and the time, so
// that every case can be tried.
func (r boardRow) tile(now time.Time) Tile {
	t := Tile{
		DeviceID: r.DeviceID, Serial: r.Serial, Tag: r.Tag, Name: r.Name, Model: r.Model, OSVersion: r.OSVersion, Battery: r.battery(),
		ProfilesDone: r.items["profile"].done, ProfilesWanted: r.items["profile"].wanted,
		AppsDone: r.items["app"].done, AppsWanted: r.items["app"].wanted, LastSeen: when(r.LastSeen),
	}
	if r.CartCode != "" && r.SlotNo > 0 {
		t.Slot = fmt.Sprintf("%s-%s-%02d", r.SiteCode, r.CartCode, r.SlotNo)
	}
	if at := r.progress(); !at.IsZero() {
		t.Since = &at
	}
	t.State, t.Reason = r.judge(now, t)
	return t
}

func (r boardRow) battery() *float64 {
	if r.Inventory == "" {
		return nil
	}
	var told struct{ BatteryLevel *float64 }
	if json.Unmarshal([]byte(r.Inventory), &told) != nil || told.BatteryLevel == nil || *told.BatteryLevel < 0 {
		return nil // -1 is what iPads say when they do not know
	}
	return told.BatteryLevel
}

// progress is the newest evidence that something went on.
func (r boardRow) progress() time.Time {
	return newest(r.BegunAt.Time, r.EnrolledAt.Time, r.ReleaseAt.Time, r.items["profile"].at, r.items["app"].at)
}

func (r boardRow) judge(now time.Time, t Tile) (string, *Reason) {
	switch {
	case r.Held:
		return "held", say("held", "Ein zweites iPad mit dieser Seriennummer hat sich angemeldet. Entscheiden Sie: ranzen hold list.",
			"A second iPad enrolled with this serial number. Decide: ranzen hold list.")
	case r.State == "enrolled":
		return r.judgeEnrolled(now, t)
	case r.State == "enrolling":
		if now.Sub(r.progress()) > StallAfter {
			return "stuck", say("enrolling", "Die Anmeldung brach ab. Schalten Sie das iPad aus und wieder ein; hilft das nicht, setzen Sie es zurück.",
				"The enrollment broke off. Switch the iPad off and on; if that does not help, erase it.")
		}
		return "enrolled", nil
	case r.State == "unenrolled":
		return "stuck", say("unenrolled", "Die Verwaltung wurde entfernt. Setzen Sie das iPad zurück und richten Sie es neu ein.",
			"The management was removed. Erase the iPad and set it up again.")
	}
	return r.judgeOutside(now)
}

// judgeOutside is about a device that has not enrolled.
func (r boardRow) judgeOutside(now time.Time) (string, *Reason) {
	switch r.event.action {
	case "enrollment.refuse":
		return "stuck", say("refused", "Der Server hat das iPad abgewiesen ("+r.event.reason+"). Steht es in Apple School Manager auf diesem Server?",
			"The server turned the iPad away ("+r.event.reason+"). Is it assigned to this server in Apple School Manager?")
	case "setup.update":
		if now.Sub(r.event.at) > time.Hour {
			return "stuck", say("updating", "Es sollte zuerst auf iPadOS "+r.event.reason+" aktualisieren und hat sich seit einer Stunde nicht gemeldet. Prüfen Sie Strom und WLAN.",
				"It was to update to iPadOS "+r.event.reason+" first and has not come back for an hour. Check power and Wi-Fi.")
		}
		return "profile_confirmed", say("updating", "Es aktualisiert zuerst auf iPadOS "+r.event.reason+".", "It updates to iPadOS "+r.event.reason+" first.")
	case "setup.ask":
		if now.Sub(r.event.at) > StallAfter && r.State != "erased" {
			return "stuck", say("asked", "Es hat um "+clockOf(r.event.at)+" sein Anmeldeprofil geholt und kam nicht wieder. Prüfen Sie das WLAN und schalten Sie es aus und ein.",
				"It fetched its enrollment profile at "+clockOf(r.event.at)+" and did not come back. Check the Wi-Fi, and switch it off and on.")
		}
	}
	switch {
	case !r.AtApple:
		return "known", say("not-at-apple", "Apple kennt es nicht auf diesem Server. Noch nicht einschalten: weisen Sie es in Apple School Manager zu.",
			"Apple does not have it on this server. Do not switch it on yet: assign it in Apple School Manager.")
	case r.ProfileUUID != "" && r.ProfileUUID == r.WantedUUID:
		return "profile_confirmed", nil
	case r.Problem == "ade.terms":
		return "known", say("terms", "Apple verlangt neue Bedingungen. Jemand mit der Rolle Administrator muss sie in Apple School Manager annehmen.",
			"Apple wants new terms accepted. Somebody with the Administrator role must do so in Apple School Manager.")
	case r.Problem != "":
		return "known", say("apple", "Apple antwortet nicht wie erwartet ("+r.Problem+"). Noch nicht einschalten; sehen Sie nach mit: ranzen ade token show.",
			"Apple does not answer as expected ("+r.Problem+"). Do not switch it on yet; see ranzen ade token show.")
	case r.Result == "THROTTLED":
		return "known", say("throttled", "Apple bremst die Zuweisung; nächster Versuch um "+clockOf(r.RetryAt.Time)+". Noch nicht einschalten.",
			"Apple holds the assignment back; next try at "+clockOf(r.RetryAt.Time)+". Do not switch it on yet.")
	case r.Result == "FAILED" || r.Result == "NOT_ACCESSIBLE":
		return "known", say("not-assigned", "Apple hat das Profil nicht zugewiesen ("+r.Result+"). Noch nicht einschalten; es wird weiter versucht.",
			"Apple did not assign the profile ("+r.Result+"). Do not switch it on yet; it is tried again.")
	case r.WantedUUID == "":
		return "known", say("no-profile", "Für dieses iPad ist kein Anmeldeprofil bestimmt. Noch nicht einschalten: ranzen ade profile assign.",
			"No enrollment profile is meant for it. Do not switch it on yet: ranzen ade profile assign.")
	}
	return "known", say("unconfirmed", "Apple hat das Anmeldeprofil noch nicht bestätigt. Noch nicht einschalten.",
		"Apple has not confirmed the enrollment profile yet. Do not switch it on.")
}

// judgeEnrolled is about a device under management.
func (r boardRow) judgeEnrolled(now time.Time, t Tile) (string, *Reason) {
	wanted := t.ProfilesWanted + t.AppsWanted
	all := t.ProfilesDone == t.ProfilesWanted && t.AppsDone == t.AppsWanted
	stalled := now.Sub(r.progress()) > StallAfter
	switch {
	case r.Lost:
		return "stuck", say("lost", "Es ist als verloren gemeldet.", "It is marked as lost.")
	case r.trouble != "":
		return "stuck", say("item", r.trouble, r.trouble)
	case wanted == 0 && stalled:
		return "stuck", say("nothing-wished", "Ihm ist nichts zugewiesen, kein Profil und keine App.", "Nothing is assigned to it, no profile and no app.")
	case wanted == 0:
		return "enrolled", nil
	case all && r.Awaiting && stalled:
		return "stuck", say("awaiting", "Alles ist da, aber es wartet im Einrichtungsassistenten auf die Freigabe. Schalten Sie es ein und prüfen Sie das WLAN.",
			"All is there, but it waits in Setup Assistant for its release. Switch it on and check the Wi-Fi.")
	case all && r.Awaiting:
		return "apps", nil
	case all && t.Battery != nil && *t.Battery < readyCharge:
		return "apps", say("charge", fmt.Sprintf("Akku bei %.0f %%: laden Sie es auf 50 %%.", *t.Battery*100), fmt.Sprintf("Battery at %.0f %%: charge it to 50 %%.", *t.Battery*100))
	case all:
		return "ready", nil
	case stalled:
		return "stuck", r.stall(t)
	case t.ProfilesDone < t.ProfilesWanted:
		return "profiles", r.hindrance()
	}
	return "apps", r.hindrance()
}

// hindrance is what slows a device down that goes on.
func (r boardRow) hindrance() *Reason {
	if r.putOff.IsZero() {
		return nil
	}
	return say("locked", "Es ist gesperrt (seit "+clockOf(r.putOff.Time)+"). Entsperren Sie es.", "It is locked (since "+clockOf(r.putOff.Time)+"). Unlock it.")
}

// stall is why nothing goes on; there always is an answer.
func (r boardRow) stall(t Tile) *Reason {
	if h := r.hindrance(); h != nil {
		return h
	}
	missing := r.items["profile"].missing
	if missing == "" {
		missing = r.items["app"].missing
	}
	since := clockOf(r.progress())
	if t.LastSeen == nil || t.LastSeen.Before(r.progress()) {
		return say("silent", "Es meldet sich nicht mehr (zuletzt "+since+"). Schalten Sie es ein und prüfen Sie das WLAN. Es fehlt: "+missing+".",
			"It no longer speaks (last at "+since+"). Switch it on and check the Wi-Fi. Missing: "+missing+".")
	}
	return say("no-progress", "Seit "+since+" kam nichts hinzu, obwohl es sich meldet. Es fehlt: "+missing+".",
		"Nothing has come since "+since+", although it speaks. Missing: "+missing+".")
}

func say(code, de, en string) *Reason { return &Reason{Code: code, TextDE: de, TextEN: en} }

// clockOf is a time as the people in the room see it on the wall.
func clockOf(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.Local().Format("15:04")
}
