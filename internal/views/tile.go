package views

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// StallAfter is how long a device may show no progress before people are told
// that it is stuck. Ours: an app of a gigabyte takes some minutes in a staging
// room, and a person looks at the board now and then.
const StallAfter = 10 * time.Minute

// slowAfter is how long one item may be on its way, although the device says
// again and again that it is at it.
const slowAfter = 45 * time.Minute

// updateTime is how long a device may take to update before it comes in. Ours:
// some gigabytes to load, and two restarts.
const updateTime = time.Hour

// readyCharge is the battery with which a device may be handed out (0 to 1).
const readyCharge = 0.5

// tile judges one device. It has no other input than the row and the time, so
// that every case can be tried.
func (r *boardRow) tile(now time.Time) Tile {
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
	t.State, t.Reason = r.judge(now, t.Battery)
	return t
}

func (r *boardRow) battery() *float64 {
	if r.Inventory == "" {
		return nil
	}
	var told struct{ BatteryLevel *float64 }
	if json.Unmarshal([]byte(r.Inventory), &told) != nil || told.BatteryLevel == nil || *told.BatteryLevel < 0 {
		return nil // -1 is what iPads say when they do not know
	}
	return told.BatteryLevel
}

// all tells whether the device itself showed all that is wished of it.
func (r *boardRow) all() bool {
	p, a := r.items["profile"], r.items["app"]
	return p.done == p.wanted && a.done == a.wanted
}

// progress is the newest evidence that something went on.
func (r *boardRow) progress() time.Time {
	return newest(r.BegunAt.Time, r.EnrolledAt.Time, r.ReleaseAt.Time, r.items["profile"].at, r.items["app"].at)
}

func (r *boardRow) judge(now time.Time, battery *float64) (string, *Reason) {
	switch {
	case r.Held:
		return held, say("held", "Ein zweites iPad mit dieser Seriennummer hat sich angemeldet. Entscheiden Sie: ranzen hold list.",
			"A second iPad enrolled with this serial number. Decide: ranzen hold list.")
	case r.State == "enrolled":
		return r.judgeEnrolled(now, battery)
	case r.State == "enrolling":
		if now.Sub(r.progress()) > StallAfter {
			return stuck, say("enrolling", "Die Anmeldung brach vor %s ab. Schalten Sie das iPad aus und ein; hilft das nicht, setzen Sie es zurück.",
				"The enrollment broke off %s ago. Switch the iPad off and on; if that does not help, erase it.", span(now, r.progress()))
		}
		return enrolled, nil
	case r.State == "unenrolled" && !r.event.at.After(r.EndedAt.Time):
		return stuck, say("unenrolled", "Die Verwaltung wurde entfernt. Setzen Sie das iPad zurück und richten Sie es neu ein.",
			"The management was removed. Erase the iPad and set it up again.")
	}
	if r.event.at.After(r.EndedAt.Time) {
		if state, why := r.judgeEvent(now); state != "" {
			return state, why
		}
	}
	return r.judgeOutside(now)
}

// judgeEvent is about a device that asked to come in; "" when nothing of it
// matters any more.
func (r *boardRow) judgeEvent(now time.Time) (string, *Reason) {
	since := span(now, r.event.at)
	late := func(after time.Duration) bool { return now.Sub(r.event.at) > after }
	switch r.event.action {
	case "enrollment.refuse":
		if r.event.reason == "setup.unexpected" && r.AtApple != "confirmed" {
			state, why := r.judgeOutside(now)
			if why == nil {
				return state, nil
			}
			return stuck, say("refused", "Vor %s abgewiesen. %s", "Turned away %s ago. %s", since, text{why.TextDE, why.TextEN})
		}
		if r.event.reason == "setup.unexpected" {
			return stuck, say("refused", "Vor %s abgewiesen, weil es nicht erwartet wurde. Inzwischen ist es bekannt: schalten Sie es aus und ein.",
				"Turned away %s ago because it was not expected. It is known by now: switch it off and on.", since)
		}
		if r.event.reason == "setup.no-push" {
			return stuck, say("no-push", "Vor %s abgewiesen, weil es kein Push-Zertifikat gibt. Importieren Sie eines und schalten Sie das iPad aus und ein.",
				"Turned away %s ago because there is no push certificate. Import one, and switch the iPad off and on.", since)
		}
		return stuck, say("refused", "Vor %s abgewiesen: %s Setzen Sie es zurück; kommt das wieder, prüfen Sie, wem das iPad gehört.",
			"Turned away %s ago: %s Erase it; if it comes again, find out whose iPad it is.", since, refusedWords(r.event.reason))
	case "setup.update":
		if late(updateTime) {
			return stuck, say("updating", "Es sollte zuerst auf iPadOS %s aktualisieren und kam seit %s nicht wieder. Prüfen Sie Strom und WLAN.",
				"It was to update to iPadOS %s first and has not come back for %s. Check power and Wi-Fi.", r.event.reason, since)
		}
		return confirmed, say("updating", "Es aktualisiert zuerst auf iPadOS %s.", "It updates to iPadOS %s first.", r.event.reason)
	case "setup.ask":
		if late(StallAfter) {
			return stuck, say("asked", "Es hat vor %s sein Anmeldeprofil geholt und kam nicht wieder. Prüfen Sie das WLAN und schalten Sie es aus und ein.",
				"It fetched its enrollment profile %s ago and did not come back. Check the Wi-Fi, and switch it off and on.", since)
		}
		return confirmed, nil
	}
	return "", nil
}

// refusedWords are why the door turned a device away.
func refusedWords(code string) text {
	switch {
	case code == "setup.replayed":
		return text{"Seine Anfrage wurde schon einmal benutzt.", "Its request was used before."}
	case strings.HasPrefix(code, "machine-info."):
		return text{"Seine Angaben sind nicht von einem Gerät von Apple unterschrieben.", "What it says of itself is not signed by a device of Apple's."}
	case code == "other-device":
		return text{"Es kam mit dem Ausweis eines anderen Geräts.", "It came with the identity of another device."}
	}
	return text{"Es passt nicht zu dem, was erwartet wird.", "It does not fit what is expected."}
}

// judgeOutside is about a device that has not asked to come in: may it be
// switched on?
func (r *boardRow) judgeOutside(now time.Time) (string, *Reason) {
	switch {
	case r.AtApple == "confirmed":
		return confirmed, nil
	case r.AtApple == "missing":
		return known, say("missing", "In Apples letzter Liste steht es nicht mehr. Noch nicht einschalten; prüfen Sie es in Apple School Manager.",
			"Apple's last list does not hold it any more. Do not switch it on yet; look into Apple School Manager.")
	case r.AtApple == "" && r.tokens.none:
		return known, say("no-token", "Es gibt noch kein Server-Token von Apple School Manager: ranzen ade key. Ohne melden Sie das iPad über einen Link an.",
			"There is no server token of Apple School Manager yet: ranzen ade key. Without one, enroll the iPad by a link.")
	case r.AtApple == "" && !r.tokens.expired && r.tokens.problem != "":
		return known, troubleAtApple(r.tokens.problem)
	case r.AtApple == "" && !r.tokens.expired:
		return known, say("not-at-apple", "Apple führt es nicht bei diesem Server. Noch nicht einschalten: weisen Sie es in Apple School Manager zu.",
			"Apple does not have it on this server. Do not switch it on yet: assign it in Apple School Manager.")
	}
	if r.AtApple == "" || !r.TokenEnds.IsZero() && !r.TokenEnds.After(now) {
		return known, say("token-expired", "Das Server-Token ist abgelaufen. Noch nicht einschalten: holen Sie in Apple School Manager ein neues.",
			"The server token has expired. Do not switch it on yet: get a new one in Apple School Manager.")
	}
	switch {
	case r.AtApple == "no_profile":
		return known, say("no-profile", "Für dieses iPad ist kein Anmeldeprofil bestimmt. Noch nicht einschalten: ranzen ade profile assign.",
			"No enrollment profile is meant for it. Do not switch it on yet: ranzen ade profile assign.")
	case r.AtApple == "refused":
		return known, say("profile-refused", "Apple lehnt das Anmeldeprofil ab (%s). Noch nicht einschalten: ändern Sie das Profil.",
			"Apple refuses the enrollment profile (%s). Do not switch it on yet: change the profile.", r.Refused)
	case r.Problem != "":
		return known, troubleAtApple(r.Problem)
	case r.AtApple == "throttled":
		return known, say("throttled", "Apple bremst die Zuweisung; nächster Versuch in %s. Noch nicht einschalten.",
			"Apple holds the assignment back; next try in %s. Do not switch it on yet.", span(r.RetryAt.Time, now))
	case r.AtApple == "failed":
		return known, say("not-assigned", "Apple hat das Profil nicht zugewiesen (%s); nächster Versuch in %s. Noch nicht einschalten.",
			"Apple did not assign the profile (%s); next try in %s. Do not switch it on yet.", r.Result, span(r.RetryAt.Time, now))
	}
	return known, say("unconfirmed", "Apple hat das Anmeldeprofil noch nicht bestätigt. Noch nicht einschalten.",
		"Apple has not confirmed the enrollment profile yet. Do not switch it on.")
}

func troubleAtApple(code string) *Reason {
	switch code {
	case "ade.terms":
		return say("terms", "Apple verlangt neue Bedingungen. Jemand mit der Rolle Administrator muss sie in Apple School Manager annehmen.",
			"Apple wants new terms accepted. Somebody with the Administrator role must do so in Apple School Manager.")
	case "ade.refused":
		return say("token-refused", "Apple nimmt das Server-Token nicht mehr. Holen Sie in Apple School Manager ein neues. Noch nicht einschalten.",
			"Apple does not take the server token any more. Get a new one in Apple School Manager. Do not switch it on yet.")
	}
	return say("apple", "Apple antwortet gerade nicht, wie es soll (%s); es wird weiter versucht. Noch nicht einschalten.",
		"Apple does not answer as it should (%s); it is tried again. Do not switch it on yet.", code)
}

func say(code, de, en string, args ...any) *Reason {
	inGerman, inEnglish := make([]any, len(args)), make([]any, len(args))
	for i, a := range args {
		inGerman[i], inEnglish[i] = a, a
		if t, both := a.(text); both {
			inGerman[i], inEnglish[i] = t.de, t.en
		}
	}
	return &Reason{Code: code, TextDE: fmt.Sprintf(de, inGerman...), TextEN: fmt.Sprintf(en, inEnglish...)}
}

// text is the same in both languages.
type text struct{ de, en string }

// span is how long it is from one moment to a later one, in units that read the
// same in both languages.
func span(later, earlier time.Time) string {
	switch d := later.Sub(earlier); {
	case earlier.IsZero() || later.IsZero():
		return "? min"
	case d < time.Minute:
		return "< 1 min"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
	}
}
