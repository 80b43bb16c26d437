package console

import _ "embed"

//go:embed profile.html
var profileHTML string

//go:embed profile.css
var profileCSS string

//go:embed profile.js
var profileJS string

// profileTexts are the words of the page on which a profile is built from a form,
// and a change is looked at before it is made. Of two texts with a | between them
// the first is that for one iPad.
func profileTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Title": "Profiles", "Build": "Build a profile", "Name": "Name", "Type": "Payload", "Find": "Find a setting", "Preview": "Preview", "Draft": "Save as draft", "Publish": "Publish",
				"Assign": "Assign", "Item": "Profile or app", "To": "To", "ToHelp": "all, tenant:T, school:S, site:S, class:C, cart:K, group:G or device:SERIAL", "How": "How",
				"Give": "shall have it", "Except": "are excluded", "Take": "take the wish back", "Apply": "Do just this",
			}, map[string]string{
				"required": "required", "supervised": "supervised iPads only", "since": "from iPadOS {os} on", "removed": "until before iPadOS {os}", "range": "{min} to {max}", "default": "otherwise {value}",
				"unsaid": "– not said –", "add": "Add one", "lines": "one a line", "open": "not all of its settings are known",
				"touches": "iPads touched: {n}. Nothing has been changed yet.", "touchesNone": "No iPad is touched. Nothing has been changed yet.", "rings": "It would reach them ring by ring, one of each site first.",
				"drafted": "{name} is saved; version {version} is a draft, which no iPad gets.", "published": "{name} is there in version {version}.", "done": "Done.", "rolling": "It reaches the iPads ring by ring: ranzen rollout show {id}",
				"act.install": "{item} is installed on {n}.", "act.update": "{item} is updated on {n}.", "act.remove": "{item} is removed from {n}.", "act.ask": "{item} stays on {n} with what was made with it, until its removal is confirmed.",
				"act.withdraw": "{item} does not come to {n} any more.", "act.none": "{item} is there already on {n}.", "act.blocked": "{item} cannot be on {n}:",
				"wait.silent":          "1 iPad has said nothing for a week or longer: it reaches it when it connects again.|{n} iPads have said nothing for a week or longer: it reaches them when they connect again.",
				"wait.erase_requested": "1 iPad is to be erased: it reaches it when it is set up again.|{n} iPads are to be erased: it reaches them when they are set up again.",
				"wait.erase_uncertain": "1 iPad was given the order to erase itself and has not answered: it reaches it when it connects, or when it is set up again.|{n} iPads were given the order to erase themselves and have not answered: it reaches them when they connect, or when they are set up again.",
				"wait.lost":            "1 iPad is in Lost Mode: it reaches it when that ends.|{n} iPads are in Lost Mode: it reaches them when that ends.",
				"wait.known":           "1 iPad is not enrolled yet: it reaches it when it enrolls.|{n} iPads are not enrolled yet: it reaches them when they enroll.",
				"wait.enrolling":       "1 iPad is enrolling just now: it reaches it when that is complete.|{n} iPads are enrolling just now: it reaches them when that is complete.",
				"wait.held":            "1 iPad waits for a decision about a second enrollment.|{n} iPads wait for a decision about a second enrollment.",
				"wait.erased":          "1 iPad was erased: it reaches it when it is set up again.|{n} iPads were erased: it reaches them when they are set up again.",
				"wait.unenrolled":      "From 1 iPad the management was removed: it reaches it when it enrolls again.|From {n} iPads the management was removed: it reaches them when they enroll again.",
				"hazard.only-wifi":     "1 iPad loses the only Wi-Fi network that it knows from here, and cannot be reached without another one.|{n} iPads lose the only Wi-Fi network that they know from here, and cannot be reached without another one.",
				"hazard.other-wifi":    "1 iPad changes to another Wi-Fi network. If its settings are wrong, it cannot be reached any more.|{n} iPads change to another Wi-Fi network. If its settings are wrong, they cannot be reached any more.",
				"hazard.wifi-changed":  "1 iPad gets other settings for the Wi-Fi network it uses. If these are wrong, it cannot be reached any more.|{n} iPads get other settings for the Wi-Fi network they use. If these are wrong, they cannot be reached any more.",
				"hazard.data-lost":     "On 1 iPad an app would go together with what was made with it. It stays until somebody confirms that: ranzen removal confirm.|On {n} iPads an app would go together with what was made with it. It stays until somebody confirms that: ranzen removal confirm.",
				"hazard.conflict":      "On 1 iPad profiles will disagree.|On {n} iPads profiles will disagree.",
				"conflictsSay":         "Once it is done, what about and what holds is told on the page",
				"hazard.many":          "It touches {n} iPads, all of them at once.",
				"limit.unsupervised":   "{item}: on iPads that are not supervised ({n}) this does nothing: {keys}.", "limit.too-old": "{item}: on iPads whose iPadOS is too old ({n}) this does nothing: {keys}.",
				"limit.removed": "{item}: on iPads whose iPadOS has it no more ({n}) this does nothing: {keys}.",
			}
	}
	return map[string]string{
			"Title": "Profile", "Build": "Profil bauen", "Name": "Name", "Type": "Payload", "Find": "Einstellung suchen", "Preview": "Vorschau", "Draft": "Als Entwurf speichern", "Publish": "Veröffentlichen",
			"Assign": "Zuweisen", "Item": "Profil oder App", "To": "An", "ToHelp": "all (alle), tenant:T (Träger), school:S (Schule), site:S (Standort), class:C (Klasse), cart:K (Koffer), group:G (Gruppe) oder device:SERIENNUMMER", "How": "Wie",
			"Give": "sollen es haben", "Except": "sind ausgenommen", "Take": "Wunsch zurücknehmen", "Apply": "Genau das tun",
		}, map[string]string{
			"required": "Pflicht", "supervised": "nur auf betreuten iPads", "since": "ab iPadOS {os}", "removed": "bis vor iPadOS {os}", "range": "{min} bis {max}", "default": "sonst {value}",
			"unsaid": "– nicht gesagt –", "add": "Hinzufügen", "lines": "eines je Zeile", "open": "nicht alle Einstellungen sind bekannt",
			"touches": "Betroffene iPads: {n}. Noch ist nichts geändert.", "touchesNone": "Kein iPad ist betroffen. Noch ist nichts geändert.", "rings": "Es käme in Ringen zu ihnen, zuerst zu einem je Standort.",
			"drafted": "{name} ist gespeichert; Version {version} ist ein Entwurf, den kein iPad bekommt.", "published": "{name} ist da, in Version {version}.", "done": "Getan.", "rolling": "Es kommt in Ringen zu den iPads: ranzen rollout show {id}",
			"act.install": "{item} wird auf {n} installiert.", "act.update": "{item} wird auf {n} aktualisiert.", "act.remove": "{item} wird von {n} entfernt.", "act.ask": "{item} bleibt auf {n} mit dem, was damit gemacht wurde, bis jemand das Entfernen bestätigt.",
			"act.withdraw": "{item} kommt nicht mehr auf {n}.", "act.none": "{item} ist auf {n} schon da.", "act.blocked": "{item} kann auf {n} nicht sein:",
			"wait.silent":          "1 iPad meldet sich seit einer Woche oder länger nicht: es kommt, wenn es wieder da ist.|{n} iPads melden sich seit einer Woche oder länger nicht: es kommt, wenn sie wieder da sind.",
			"wait.erase_requested": "1 iPad soll gelöscht werden: es kommt, wenn es neu eingerichtet wird.|{n} iPads sollen gelöscht werden: es kommt, wenn sie neu eingerichtet werden.",
			"wait.erase_uncertain": "Bei 1 iPad ist ungewiss, ob es gelöscht ist: es kommt, wenn es sich meldet oder neu eingerichtet wird.|Bei {n} iPads ist ungewiss, ob sie gelöscht sind: es kommt, wenn sie sich melden oder neu eingerichtet werden.",
			"wait.lost":            "1 iPad ist im Modus „Verloren“: es kommt, wenn das endet.|{n} iPads sind im Modus „Verloren“: es kommt, wenn das endet.",
			"wait.known":           "1 iPad ist noch nicht angemeldet: es kommt bei der Anmeldung.|{n} iPads sind noch nicht angemeldet: es kommt bei der Anmeldung.",
			"wait.enrolling":       "1 iPad meldet sich gerade an: es kommt, wenn das abgeschlossen ist.|{n} iPads melden sich gerade an: es kommt, wenn das abgeschlossen ist.",
			"wait.held":            "1 iPad wartet auf eine Entscheidung über eine zweite Anmeldung.|{n} iPads warten auf eine Entscheidung über eine zweite Anmeldung.",
			"wait.erased":          "1 iPad wurde gelöscht: es kommt, wenn es neu eingerichtet wird.|{n} iPads wurden gelöscht: es kommt, wenn sie neu eingerichtet werden.",
			"wait.unenrolled":      "Von 1 iPad wurde die Verwaltung entfernt: es kommt, wenn es sich neu anmeldet.|Von {n} iPads wurde die Verwaltung entfernt: es kommt, wenn sie sich neu anmelden.",
			"hazard.only-wifi":     "1 iPad verliert das einzige WLAN, das es von hier kennt, und ist ohne ein anderes nicht mehr erreichbar.|{n} iPads verlieren das einzige WLAN, das sie von hier kennen, und sind ohne ein anderes nicht mehr erreichbar.",
			"hazard.other-wifi":    "1 iPad wechselt in ein anderes WLAN. Sind dessen Angaben falsch, ist es nicht mehr erreichbar.|{n} iPads wechseln in ein anderes WLAN. Sind dessen Angaben falsch, sind sie nicht mehr erreichbar.",
			"hazard.wifi-changed":  "1 iPad bekommt andere Angaben für das WLAN, in dem es ist. Sind sie falsch, ist es nicht mehr erreichbar.|{n} iPads bekommen andere Angaben für das WLAN, in dem sie sind. Sind sie falsch, sind sie nicht mehr erreichbar.",
			"hazard.data-lost":     "Auf 1 iPad ginge eine App mit dem, was damit gemacht wurde. Sie bleibt, bis jemand das bestätigt: ranzen removal confirm.|Auf {n} iPads ginge eine App mit dem, was damit gemacht wurde. Sie bleibt, bis jemand das bestätigt: ranzen removal confirm.",
			"hazard.conflict":      "Auf 1 iPad widersprechen sich dann Profile.|Auf {n} iPads widersprechen sich dann Profile.",
			"conflictsSay":         "Worum es geht und was gilt, steht nach der Änderung auf der Seite",
			"hazard.many":          "Es betrifft {n} iPads, alle auf einmal.",
			"limit.unsupervised":   "{item}: auf iPads, die nicht betreut sind ({n}), bewirkt das nichts: {keys}.", "limit.too-old": "{item}: auf iPads mit zu altem iPadOS ({n}) bewirkt das nichts: {keys}.",
			"limit.removed":           "{item}: auf iPads, deren iPadOS es nicht mehr hat ({n}), bewirkt das nichts: {keys}.",
			"problem.profile.name":    "Ein Profil braucht einen Namen.",
			"problem.plan.moved":      "Seit der Vorschau hat sich etwas geändert. Nichts wurde getan: sehen Sie die neue Vorschau an.",
			"problem.scope.unknown":   "Dieses Ziel gibt es nicht. Schreiben Sie all, tenant:T, school:S, site:S, class:C, cart:K, group:G oder device:SERIENNUMMER.",
			"problem.item.unknown":    "Es gibt kein Profil und keine App mit diesem Namen.",
			"problem.group.unknown":   "Diese Gruppe gibt es nicht.",
			"problem.auth.denied":     "Dazu fehlt Ihnen das Recht.",
			"problem.build.missing":   "Eine Pflichtangabe fehlt:",
			"problem.build.key":       "Diese Einstellung gibt es nicht:",
			"problem.build.value":     "Dieser Wert passt nicht:",
			"problem.profile.invalid": "iPads nähmen dieses Profil nicht an:",
		}
}
