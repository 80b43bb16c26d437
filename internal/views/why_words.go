package views

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"ranzen/internal/mdm"
)

// reason is the first sentence: who wishes it, or that nobody does.
func (c *whyCase) reason(state string) text {
	wished, kept := c.wished()
	what := text{"Das Profil " + c.name, "The profile " + c.name}
	if c.kind == "app" {
		what = text{"Die App " + c.name, "The app " + c.name}
	}
	var de, en []string
	for _, w := range c.wishes {
		if w.Exclude != kept && kept {
			continue // what keeps it away is stronger
		}
		day := w.At.UTC().Format("2006-01-02")
		de = append(de, fmt.Sprintf("%s (Zuweisung vom %s durch %s)", cmp.Or(map[string]string{"all": "alle"}[w.ScopeKind], c.scope(w)), w.At.UTC().Format("02.01.2006"), w.By))
		en = append(en, fmt.Sprintf("%s (assigned on %s by %s)", c.scope(w), day, w.By))
	}
	switch {
	case kept:
		return text{what.de + " ist ausgenommen für " + strings.Join(de, ", ") + ".", what.en + " is excluded for " + strings.Join(en, ", ") + "."}
	case state == "installed" && !wished:
		return text{what.de + " ist noch da.", what.en + " is still there."}
	case state == "installed":
		return text{what.de + " ist da, gewünscht für " + strings.Join(de, ", ") + ".", what.en + " is there, wished for " + strings.Join(en, ", ") + "."}
	case wished:
		return text{what.de + " ist gewünscht für " + strings.Join(de, ", ") + ".", what.en + " is wished for " + strings.Join(en, ", ") + "."}
	}
	return text{what.de + " ist diesem iPad nicht zugewiesen.", what.en + " is not assigned to this iPad."}
}

// waits is what is between the wish and the device, and what to do about it. The
// order is that of the chain: what stops all comes before what stops this item.
func (c *whyCase) waits(now time.Time, state string) (*Reason, text) {
	if c.held != nil {
		if why, next := c.outside(now); why != nil {
			return why, next
		}
		return c.turn()
	}
	switch state {
	case "installed", "removed":
		return nil, text{}
	case "excluded", "not_assigned":
		return nil, c.howToWish(state)
	case "draft":
		return say("draft", "Es ist ein Entwurf, den noch kein iPad bekommt.", "It is a draft, which no iPad gets yet."),
			text{"Veröffentlichen Sie ihn: ranzen profile publish.", "Publish it: ranzen profile publish."}
	}
	if why, next := c.outside(now); why != nil {
		return why, next
	}
	switch {
	case state == "blocked" && c.row != nil && !c.row.Desired:
		return say("kept", "Es bleibt, weil mit ihm auch das verloren ginge, was damit gemacht wurde.", "It stays, since what was made with it would be lost with it."),
			text{"Bestätigen Sie das Entfernen (ranzen removal confirm), oder weisen Sie es wieder zu.", "Confirm its removal (ranzen removal confirm), or assign it again."}
	case state == "blocked":
		return say("blocked", "%s", "%s", inBoth(c.row.Reason)), text{"Beheben Sie diesen Grund; es geht dann von selbst weiter.", "Remove that cause; it goes on by itself then."}
	case state == "failed":
		return c.failure(now)
	}
	if c.device.Push != nil && c.device.Push.State == "refused" {
		return say("push-refused", "Apple weckt dieses iPad nicht mehr (%s).", "Apple does not wake this iPad any more (%s).", c.device.Push.LastError),
			text{"Setzen Sie es zurück und richten Sie es neu ein.", "Erase it and set it up again."}
	}
	return c.underWay(now, state)
}

// turn is what a device waits for whose ring of a roll-out is closed.
func (c *whyCase) turn() (*Reason, text) {
	h := c.held
	look := text{"Nichts: warten Sie, bis sein Ring an der Reihe ist (ranzen rollout show " + h.ID + ").", "Nothing: wait until it is its ring's turn (ranzen rollout show " + h.ID + ")."}
	const de, en = "Eine Verteilung in Ringen ändert das erst später: dieses iPad ist im Ring %d, offen ist Ring %d.", "A roll-out in rings changes that later: this iPad is in ring %d, and ring %d is open."
	switch h.State {
	case "halted":
		return say("rollout-halted", de+" Sie ist angehalten: %s", en+" It has halted: %s", h.Ring, h.Open, inBoth(h.Reason)),
			text{"Sehen Sie nach, was den iPads des offenen Rings fehlt: ranzen rollout show " + h.ID + ".", "Look what is amiss with the iPads of the open ring: ranzen rollout show " + h.ID + "."}
	case "paused":
		return say("rollout-paused", de+" Jemand hat sie unterbrochen.", en+" Somebody has paused it.", h.Ring, h.Open),
			text{"Setzen Sie sie fort (ranzen rollout resume " + h.ID + "), wenn nichts mehr dagegen spricht.", "Let it go on (ranzen rollout resume " + h.ID + ") when nothing speaks against it any more."}
	}
	return say("rollout", de, en, h.Ring, h.Open), look
}

func (c *whyCase) howToWish(state string) text {
	if state == "excluded" {
		return text{"Soll es das doch bekommen, nehmen Sie die Ausnahme zurück: ranzen unassign.", "If it shall have it, take the exclusion back: ranzen unassign."}
	}
	return text{"Soll es das bekommen, weisen Sie es zu: ranzen assign.", "If it shall have it, assign it: ranzen assign."}
}

// outside is what stops everything on this device.
func (c *whyCase) outside(now time.Time) (*Reason, text) {
	again := text{"Setzen Sie es zurück und richten Sie es neu ein.", "Erase it and set it up again."}
	switch d := c.device; d.State {
	case "known":
		return say("not-enrolled", "Das iPad ist noch nicht angemeldet.", "The iPad is not enrolled yet."), text{"Schalten Sie es ein und richten Sie es ein.", "Switch it on and set it up."}
	case "enrolling":
		return say("enrolling", "Die Anmeldung ist nicht abgeschlossen.", "Its enrollment is not complete."), text{"Schalten Sie es aus und ein.", "Switch it off and on."}
	case "held":
		return say("held", "Ein zweites iPad mit dieser Seriennummer hat sich angemeldet.", "A second iPad enrolled with this serial number."), text{"Entscheiden Sie: ranzen hold list.", "Decide: ranzen hold list."}
	case "erased":
		return say("erased", "Das iPad wurde gelöscht.", "The iPad was erased."), text{"Richten Sie es neu ein.", "Set it up again."}
	case "erase_requested", "erase_uncertain":
		return say("ending", "Sein Löschen ist angeordnet.", "Its erase is ordered."), text{"Nehmen Sie das zurück, oder warten Sie, bis es neu eingerichtet wird.", "Take that back, or wait until it is set up again."}
	case "unenrolled":
		return say("unenrolled", "Die Verwaltung wurde vom iPad entfernt.", "The management was removed from the iPad."), again
	case "lost":
		return say("lost", "Es ist als verloren gemeldet und im Modus „Verloren“.", "It is marked as lost, and in Lost Mode."), text{"Beenden Sie das, wenn es wieder da ist: ranzen device found.", "End that when it is back: ranzen device found."}
	case "silent":
		wake := text{"Schalten Sie es ein, entsperren Sie es und prüfen Sie das WLAN.", "Switch it on, unlock it and check the Wi-Fi."}
		if d.LastSeen == nil {
			never := c.seen(now)
			return say("silent", never.de, never.en), wake
		}
		return say("silent", "Es meldet sich seit %s nicht.", "It has said nothing for %s.", span(now, *d.LastSeen)), wake
	}
	return nil, text{}
}

// seen says when it was in contact last.
func (c *whyCase) seen(now time.Time) text {
	if c.device.LastSeen == nil {
		return text{"Es hat sich noch nie gemeldet.", "It was never in contact."}
	}
	ago := span(now, *c.device.LastSeen)
	return text{"Zuletzt gesehen vor " + ago + ".", "Last seen " + ago + " ago."}
}

func (c *whyCase) failure(now time.Time) (*Reason, text) {
	what, again := inBoth(c.row.Reason), text{}
	for _, e := range c.errors() {
		if de, en := appleError(e, "de"), appleError(e, "en"); de != en {
			what = text{de, en}
			break
		}
	}
	if c.row.RetryAt != nil && c.row.RetryAt.After(now) {
		in := span(*c.row.RetryAt, now)
		again = text{" Nächster Versuch in " + in + ".", " Next try in " + in + "."}
	}
	return say("failed", "%s%s", "%s%s", what, again),
		text{"Warten Sie den nächsten Versuch ab; scheitert er wieder, prüfen Sie das Genannte.", "Wait for the next try; if it fails again, look into what is named."}
}

// underWay is what an item waits for that nothing stops.
func (c *whyCase) underWay(now time.Time, state string) (*Reason, text) {
	unlock := text{"Entsperren Sie es.", "Unlock it."}
	on := text{"Schalten Sie es ein und prüfen Sie das WLAN.", "Switch it on and check the Wi-Fi."}
	nothing := text{"Nichts: warten Sie einen Moment.", "Nothing: wait a moment."}
	k := c.command
	switch {
	case state == "removing" && c.row.Reason != "":
		return say("stays", "%s", "%s", inBoth(c.row.Reason)), nothing
	case state == "acknowledged" && c.row.Reason != "":
		return say("installing", "%s", "%s", inBoth(c.row.Reason)), nothing
	case state == "acknowledged":
		return say("unproven", "Das iPad hat es angenommen; seine Liste, die es beweist, fehlt noch.", "The iPad has accepted it; its list, which proves it, has not come yet."), nothing
	case k != nil && k.State == "deferred":
		return say("not-now", "Vor %s sagte das iPad, dass es gerade nicht kann (NotNow): meist ist es gesperrt. %s",
			"%s ago the iPad said that it cannot just now (NotNow): mostly it is locked. %s", span(now, k.AnsweredAt.Time), c.seen(now)), unlock
	case k != nil && k.State == "sent":
		return say("answer", "Seit %s ist es beim iPad, und die Antwort steht aus. %s",
			"It has been with the iPad for %s, and the answer is missing. %s", span(now, k.SentAt.Time), c.seen(now)), on
	case k != nil && k.State == "queued" && k.NotBefore.After(now):
		return say("later", "Es wird in %s gesendet.", "It is sent in %s.", span(k.NotBefore.Time, now)), nothing
	case k != nil && k.State == "queued" && c.device.Push != nil && c.device.Push.LastError != "":
		return say("push", "Es lässt sich nicht wecken, Apples Push-Dienst antwortet: %s. %s",
				"It cannot be woken, Apple's push service answers: %s. %s", c.device.Push.LastError, c.seen(now)),
			text{"Prüfen Sie, ob der Server Apple erreicht (TCP 443, 2197).", "Check whether the server reaches Apple (TCP 443, 2197)."}
	case k != nil && k.State == "queued":
		return say("contact", "Es liegt seit %s bereit, bis das iPad sich meldet. %s",
			"It has been ready for %s until the iPad connects. %s", span(now, k.CreatedAt.Time), c.seen(now)), on
	}
	return say("planning", "Es wird gerade geplant.", "It is being planned just now."), nothing
}

// appleError is one error of Apple's chain in words where its meaning is known,
// and as the iPad said it. Sources: Apple, Device Management; for the App Store's
// numbers, which Apple does not list, threads of other servers' users.
func appleError(e mdm.ErrorItem, lang string) string {
	said := strings.TrimSpace(mdm.Clean(e.English))
	if said == "" {
		said = strings.TrimSpace(mdm.Clean(e.Localized))
	}
	said = strings.TrimSpace(fmt.Sprintf("%s (%s %d)", said, mdm.Clean(e.Domain), e.Code))
	for _, k := range appleErrors() {
		if k.code == e.Code && k.domain == e.Domain {
			if lang == "de" {
				return k.de + " [" + said + "]"
			}
			return k.en + " [" + said + "]"
		}
	}
	return said
}

type knownError struct {
	domain string
	code   int64
	text
}

func appleErrors() []knownError {
	return []knownError{
		{"MCProfileErrorDomain", 1000, text{"Das Profil ist fehlerhaft aufgebaut.", "The profile is malformed."}},
		{"MCInstallationErrorDomain", 4001, text{"Das iPad konnte das Profil nicht installieren.", "The iPad could not install the profile."}},
		{"MCMDMErrorDomain", 12040, text{"Für dieses iPad gibt es keine Lizenz der App.", "There is no licence of the app for this iPad."}},
		{"MCMDMErrorDomain", 12064, text{"Für dieses iPad gibt es keine Lizenz der App.", "There is no licence of the app for this iPad."}},
		{"ASDServerErrorDomain", 9610, text{"Der App Store findet noch keine Lizenz der App für dieses iPad; oft geht es beim nächsten Versuch.",
			"The App Store finds no licence of the app for this iPad yet; often the next try works."}},
		{"ASDErrorDomain", 506, text{"Der App Store hat den Auftrag gerade nicht angenommen; oft geht es beim nächsten Versuch.", "The App Store did not take the order just now; often the next try works."}},
		{"SSErrorDomain", 2605, text{"Der App Store war nicht erreichbar oder überlastet; oft geht es beim nächsten Versuch.", "The App Store could not be reached, or was busy; often the next try works."}},
	}
}
