package console

import _ "embed"

//go:embed why.html
var whyHTML string

//go:embed why.css
var whyCSS string

//go:embed why.js
var whyJS string

// whyTexts are the words of the page for whoever is on the telephone: what an
// iPad has, lacks and waits for, and why.
func whyTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Title": "Why?",
			}, map[string]string{
				"seen": "Last in contact {at}.", "never": "Never in contact yet.", "bare": "Nothing is assigned to it, and nothing is on it that Ranzen brought.",
				"clashesMore": "And 1 more:|And {n} more:", "evidence": "What is known of it", "when": "When", "what": "What", "source": "Who says so", "detail": "Detail", "kind.profile": "Profile", "kind.app": "App",
				"source.server": "server", "source.device": "iPad", "source.assignment": "assignment",
				"what.assigned": "assigned", "what.queued": "ready to be sent", "what.sent": "sent", "what.not_now": "not now", "what.acknowledged": "accepted", "what.observed": "seen on the iPad",
				"what.absent": "not on the iPad", "what.error": "error", "what.contact": "in contact",
				"state.pending": "◔ waits", "state.sent": "◑ sent", "state.acknowledged": "◑ accepted, not proven", "state.installed": "✓ there", "state.removing": "◔ is removed",
				"state.removed": "✓ removed", "state.failed": "! failed", "state.blocked": "! blocked", "state.draft": "draft", "state.excluded": "excluded", "state.not_assigned": "not assigned",
				"enrollment.known": "not enrolled", "enrollment.enrolling": "is enrolling", "enrollment.enrolled": "enrolled", "enrollment.lost": "lost", "enrollment.erase_requested": "to be erased",
				"enrollment.erase_uncertain": "erase uncertain", "enrollment.erased": "erased", "enrollment.unenrolled": "not managed any more", "enrollment.silent": "silent", "enrollment.held": "held",
			}
	}
	return map[string]string{
			"Title": "Warum?",
		}, map[string]string{
			"seen": "Zuletzt gemeldet: {at}.", "never": "Es hat sich noch nie gemeldet.", "bare": "Ihm ist nichts zugewiesen, und von Ranzen ist nichts darauf.",
			"clashesMore": "Und 1 weiterer:|Und {n} weitere:", "evidence": "Was darüber bekannt ist", "when": "Wann", "what": "Was", "source": "Wer sagt das", "detail": "Einzelheit", "kind.profile": "Profil", "kind.app": "App",
			"source.server": "Server", "source.device": "iPad", "source.assignment": "Zuweisung",
			"what.assigned": "zugewiesen", "what.queued": "zum Senden bereit", "what.sent": "gesendet", "what.not_now": "gerade nicht", "what.acknowledged": "angenommen", "what.observed": "auf dem iPad gesehen",
			"what.absent": "nicht auf dem iPad", "what.error": "Fehler", "what.contact": "gemeldet",
			"state.pending": "◔ wartet", "state.sent": "◑ gesendet", "state.acknowledged": "◑ angenommen, nicht bewiesen", "state.installed": "✓ vorhanden", "state.removing": "◔ wird entfernt",
			"state.removed": "✓ entfernt", "state.failed": "! gescheitert", "state.blocked": "! blockiert", "state.draft": "Entwurf", "state.excluded": "ausgenommen", "state.not_assigned": "nicht zugewiesen",
			"enrollment.known": "nicht angemeldet", "enrollment.enrolling": "meldet sich an", "enrollment.enrolled": "angemeldet", "enrollment.lost": "verloren", "enrollment.erase_requested": "soll gelöscht werden",
			"enrollment.erase_uncertain": "Löschen ungewiss", "enrollment.erased": "gelöscht", "enrollment.unenrolled": "nicht mehr verwaltet", "enrollment.silent": "stumm", "enrollment.held": "angehalten",
		}
}
