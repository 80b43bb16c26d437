package console

import _ "embed"

//go:embed conflicts.html
var conflictsHTML string

//go:embed conflicts.js
var conflictsJS string

// conflictsTexts are the words of the page that tells what profiles disagree
// about. How one conflict is told the page of one iPad needs too: commonTexts. Of
// two texts with a | between them the first is that for one.
func conflictsTexts(lang string) (page, script map[string]string) {
	if lang == "en" {
		return map[string]string{
				"Title": "Conflicts", "AllHelp": "Empty: all iPads.", "More": "Show more",
			}, map[string]string{
				"found": "1 conflict on the enrolled iPads.|{n} conflicts on the enrolled iPads.", "foundFirst": "The first {n} conflicts on the enrolled iPads, those first that concern most iPads.",
				"foundOn": "1 conflict on the iPad|{n} conflicts on the iPad", "none": "✓ No profiles disagree. This is about what is assigned to enrolled iPads.", "noneOn": "✓ No profiles disagree on the iPad",
				"beyond": "There are more conflicts, which are not listed here: resolve some of these first.",
			}
	}
	return map[string]string{
			"Title": "Widersprüche", "AllHelp": "Leer: alle iPads.", "More": "Mehr zeigen",
		}, map[string]string{
			"found": "1 Widerspruch auf den angemeldeten iPads.|{n} Widersprüche auf den angemeldeten iPads.", "foundFirst": "Die ersten {n} Widersprüche auf den angemeldeten iPads, zuerst die, die am meisten iPads betreffen.",
			"foundOn": "1 Widerspruch auf dem iPad|{n} Widersprüche auf dem iPad", "none": "✓ Keine Profile widersprechen sich. Angesehen ist, was angemeldeten iPads zugewiesen ist.", "noneOn": "✓ Keine Profile widersprechen sich auf dem iPad",
			"beyond": "Es gibt noch mehr Widersprüche, die hier nicht stehen: Lösen Sie zuerst einige von diesen.",
		}
}
