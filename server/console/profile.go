package console

import _ "embed"

//go:embed profile.html
var profileHTML string

//go:embed profile.css
var profileCSS string

//go:embed profile.js
var profileJS string

// profileTexts are the words of the page on which a profile is built from a form,
// and a change is looked at before it is made.
func profileTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Title": "Profiles", "Build": "Build a profile", "Name": "Name", "Type": "Payload", "Find": "Find a setting", "Preview": "Preview", "Draft": "Save as draft", "Publish": "Publish",
				"Assign": "Assign", "Item": "Profile or app", "To": "To", "ToHelp": "all, tenant:T, school:S, site:S, class:C, cart:K, group:G or device:SERIAL", "How": "How",
				"Give": "shall have it", "Except": "are excluded", "Take": "take the wish back", "Apply": "Do just this",
			}, map[string]string{
				"required": "required", "supervised": "supervised iPads only", "since": "from iPadOS {os} on", "removed": "until before iPadOS {os}", "range": "{min} to {max}", "default": "otherwise {value}",
				"unsaid": "– not said –", "yes": "yes", "no": "no", "add": "Add one", "lines": "one a line", "open": "not all of its settings are known",
				"touches": "iPads touched: {n}. Nothing has been changed yet.", "touchesNone": "No iPad is touched. Nothing has been changed yet.", "rings": "It would reach them ring by ring, one of each site first.",
				"drafted": "{name} is saved; version {version} is a draft, which no iPad gets.", "published": "{name} is there in version {version}.", "done": "Done.", "rolling": "It reaches the iPads ring by ring: ranzen rollout show {id}",
				"act.install": "{item} is installed on {n}.", "act.update": "{item} is updated on {n}.", "act.remove": "{item} is removed from {n}.", "act.ask": "{item} stays on {n} with what was made with it, until its removal is confirmed.",
				"act.withdraw": "{item} does not come to {n} any more.", "act.none": "{item} is there already on {n}.", "act.blocked": "{item} cannot be on {n}:",
				"wait.silent":         "{n} iPads have said nothing for a week or longer: it reaches them when they connect again.",
				"wait.lost":           "{n} iPads are in Lost Mode: it reaches them when that ends.",
				"wait.known":          "{n} iPads are not enrolled yet: it reaches them when they enroll.",
				"wait.enrolling":      "{n} iPads are enrolling just now: it reaches them when that is complete.",
				"wait.held":           "{n} iPads wait for a decision about a second enrollment.",
				"wait.erased":         "{n} iPads were erased: it reaches them when they are set up again.",
				"wait.unenrolled":     "From {n} iPads the management was removed: it reaches them when they enroll again.",
				"hazard.only-wifi":    "{n} iPads lose the only Wi-Fi network that they know from here, and cannot be reached without another one.",
				"hazard.other-wifi":   "{n} iPads change to another Wi-Fi network. If its settings are wrong, they cannot be reached any more.",
				"hazard.wifi-changed": "{n} iPads get other settings for the Wi-Fi network they use. If these are wrong, they cannot be reached any more.",
				"hazard.data-lost":    "On {n} iPads an app would go together with what was made with it. It stays until somebody confirms that: ranzen removal confirm.",
				"hazard.conflict":     "On {n} iPads profiles disagree; what holds says: ranzen conflicts.",
				"hazard.many":         "It touches {n} iPads, all of them at once.",
				"limit.unsupervised":  "{item}: on iPads that are not supervised ({n}) this does nothing: {keys}.", "limit.too-old": "{item}: on iPads whose iPadOS is too old ({n}) this does nothing: {keys}.",
				"limit.removed": "{item}: on iPads whose iPadOS has it no more ({n}) this does nothing: {keys}.",
			}
	}
	return map[string]string{
			"Title": "Profile", "Build": "Profil bauen", "Name": "Name", "Type": "Payload", "Find": "Einstellung suchen", "Preview": "Vorschau", "Draft": "Als Entwurf speichern", "Publish": "Veröffentlichen",
			"Assign": "Zuweisen", "Item": "Profil oder App", "To": "An", "ToHelp": "all (alle), tenant:T (Träger), school:S (Schule), site:S (Standort), class:C (Klasse), cart:K (Koffer), group:G (Gruppe) oder device:SERIENNUMMER", "How": "Wie",
			"Give": "sollen es haben", "Except": "sind ausgenommen", "Take": "Wunsch zurücknehmen", "Apply": "Genau das tun",
		}, map[string]string{
			"required": "Pflicht", "supervised": "nur auf betreuten iPads", "since": "ab iPadOS {os}", "removed": "bis vor iPadOS {os}", "range": "{min} bis {max}", "default": "sonst {value}",
			"unsaid": "– nicht gesagt –", "yes": "ja", "no": "nein", "add": "Hinzufügen", "lines": "eines je Zeile", "open": "nicht alle Einstellungen sind bekannt",
			"touches": "Betroffene iPads: {n}. Noch ist nichts geändert.", "touchesNone": "Kein iPad ist betroffen. Noch ist nichts geändert.", "rings": "Es käme in Ringen zu ihnen, zuerst zu einem je Standort.",
			"drafted": "{name} ist gespeichert; Version {version} ist ein Entwurf, den kein iPad bekommt.", "published": "{name} ist da, in Version {version}.", "done": "Getan.", "rolling": "Es kommt in Ringen zu den iPads: ranzen rollout show {id}",
			"act.install": "{item} wird auf {n} installiert.", "act.update": "{item} wird auf {n} aktualisiert.", "act.remove": "{item} wird von {n} entfernt.", "act.ask": "{item} bleibt auf {n} mit dem, was damit gemacht wurde, bis jemand das Entfernen bestätigt.",
			"act.withdraw": "{item} kommt nicht mehr auf {n}.", "act.none": "{item} ist auf {n} schon da.", "act.blocked": "{item} kann auf {n} nicht sein:",
			"wait.silent":         "{n} iPads melden sich seit einer Woche oder länger nicht: es kommt, wenn sie wieder da sind.",
			"wait.lost":           "{n} iPads sind im Modus „Verloren“: es kommt, wenn das endet.",
			"wait.known":          "{n} iPads sind noch nicht angemeldet: es kommt bei der Anmeldung.",
			"wait.enrolling":      "{n} iPads melden sich gerade an: es kommt, wenn das abgeschlossen ist.",
			"wait.held":           "{n} iPads warten auf eine Entscheidung über eine zweite Anmeldung.",
			"wait.erased":         "{n} iPads wurden gelöscht: es kommt, wenn sie neu eingerichtet werden.",
			"wait.unenrolled":     "Von {n} iPads wurde die Verwaltung entfernt: es kommt, wenn sie sich neu anmelden.",
			"hazard.only-wifi":    "{n} iPads verlieren das einzige WLAN, das sie von hier kennen, und sind ohne ein anderes nicht mehr erreichbar.",
			"hazard.other-wifi":   "{n} iPads wechseln in ein anderes WLAN. Sind dessen Angaben falsch, sind sie nicht mehr erreichbar.",
			"hazard.wifi-changed": "{n} iPads bekommen andere Angaben für das WLAN, in dem sie sind. Sind sie falsch, sind sie nicht mehr erreichbar.",
			"hazard.data-lost":    "Auf {n} iPads ginge eine App mit dem, was damit gemacht wurde. Sie bleibt, bis jemand das bestätigt: ranzen removal confirm.",
			"hazard.conflict":     "Auf {n} iPads widersprechen sich Profile; was dann gilt, sagt: ranzen conflicts.",
			"hazard.many":         "Es betrifft {n} iPads, alle auf einmal.",
			"limit.unsupervised":  "{item}: auf iPads, die nicht betreut sind ({n}), bewirkt das nichts: {keys}.", "limit.too-old": "{item}: auf iPads mit zu altem iPadOS ({n}) bewirkt das nichts: {keys}.",
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
