package device

import "html/template"

// texts of the enrollment page in one language. HTML is ours: <b> for what
// stands on the iPad's screen, in the words of that language.
type texts struct {
	Title, Lead, Button, Switch, SwitchTo string
	StepsTitle                            string
	Steps                                 []template.HTML
	OtherScreen, OtherScreenText          string
	Address                               string
	HelpTitle                             string
	Help                                  []template.HTML
	Closed                                map[string][2]string // reason: title, what to do
}

func textsIn(lang string) texts {
	if lang == "de" {
		return german()
	}
	return english()
}

func german() texts {
	return texts{
		Title: "iPad anmelden", Lead: "Diese Seite meldet ein iPad bei der Geräteverwaltung der Schule an. Das dauert etwa zwei Minuten. Öffnen Sie sie auf dem iPad selbst, in Safari.",
		Button: "Profil laden", Switch: "English", SwitchTo: "This page in English",
		StepsTitle: "Schritt für Schritt",
		Steps: []template.HTML{
			"Tippen Sie auf <b>Profil laden</b>. Das iPad fragt, ob es ein Konfigurationsprofil laden darf: Tippen Sie auf <b>Zulassen</b>, dann auf <b>Schließen</b>.",
			"Öffnen Sie die App <b>Einstellungen</b>. Oben links steht jetzt <b>Profil geladen</b>: Tippen Sie darauf.",
			"Tippen Sie oben rechts auf <b>Installieren</b>. Wenn das iPad einen Code hat, geben Sie ihn ein. Bestätigen Sie noch zweimal mit <b>Installieren</b> und dann mit <b>Vertrauen</b>.",
			"Tippen Sie auf <b>Fertig</b>. WLAN und Apps kommen in den nächsten Minuten von selbst.",
		},
		OtherScreen: "Noch nicht am iPad?", OtherScreenText: "Zeigen Sie diese Seite auf einem anderen Bildschirm und richten Sie die Kamera des iPads auf dieses Bild.",
		Address: "Oder tippen Sie diese Adresse in Safari ein:", HelpTitle: "Wenn es nicht klappt",
		Help: []template.HTML{
			"„Profil geladen“ ist nicht zu sehen: Es verschwindet nach acht Minuten. Laden Sie das Profil noch einmal.",
			"„Profil konnte nicht installiert werden“: Prüfen Sie Datum und Uhrzeit des iPads und ob es im Internet ist. Laden Sie dann das Profil noch einmal.",
			"Das iPad ist schon angemeldet: Unter <b>Einstellungen › Allgemein › VPN und Geräteverwaltung</b> steht, bei wem.",
		},
		Closed: map[string][2]string{
			"unknown": {"Diesen Link gibt es nicht", "Prüfen Sie die Adresse Zeichen für Zeichen, oder scannen Sie den QR-Code noch einmal. Sonst fragen Sie die Person, von der Sie den Link haben."},
			"expired": {"Dieser Link ist abgelaufen", "Bitten Sie die Person, von der Sie ihn haben, um einen neuen. Auf dem iPad hat sich nichts geändert."},
			"revoked": {"Dieser Link wurde zurückgezogen", "Bitten Sie die Person, von der Sie ihn haben, um einen neuen. Auf dem iPad hat sich nichts geändert."},
			"used-up": {"Dieser Link ist verbraucht", "Mit ihm sind schon so viele iPads angemeldet, wie er erlaubt. Bitten Sie die Person, von der Sie ihn haben, um einen neuen."},
			"broken":  {"Gerade geht es nicht", "Der Fehler liegt bei uns. Versuchen Sie es in einigen Minuten noch einmal."},
		},
	}
}

func english() texts {
	return texts{
		Title: "Enroll an iPad", Lead: "This page enrolls an iPad in the school's device management. It takes about two minutes. Open it on the iPad itself, in Safari.",
		Button: "Download profile", Switch: "Deutsch", SwitchTo: "Diese Seite auf Deutsch",
		StepsTitle: "Step by step",
		Steps: []template.HTML{
			"Tap <b>Download profile</b>. The iPad asks whether it may download a configuration profile: tap <b>Allow</b>, then <b>Close</b>.",
			"Open the app <b>Settings</b>. At the top left it now says <b>Profile Downloaded</b>: tap it.",
			"Tap <b>Install</b> at the top right. If the iPad has a passcode, enter it. Confirm twice more with <b>Install</b>, then with <b>Trust</b>.",
			"Tap <b>Done</b>. Wi-Fi and apps arrive by themselves within minutes.",
		},
		OtherScreen: "Not at the iPad yet?", OtherScreenText: "Show this page on another screen and point the iPad's camera at this picture.",
		Address: "Or type this address into Safari:", HelpTitle: "If it does not work",
		Help: []template.HTML{
			"“Profile Downloaded” is not there: it goes away after eight minutes. Download the profile again.",
			"“Profile Installation Failed”: check the iPad's date and time, and that it is online. Then download the profile again.",
			"The iPad is enrolled already: <b>Settings › General › VPN &amp; Device Management</b> says with whom.",
		},
		Closed: map[string][2]string{
			"unknown": {"There is no such link", "Check the address letter by letter, or scan the QR code again. Otherwise ask the person who gave you the link."},
			"expired": {"This link has expired", "Ask the person who gave it to you for a new one. Nothing has changed on the iPad."},
			"revoked": {"This link was withdrawn", "Ask the person who gave it to you for a new one. Nothing has changed on the iPad."},
			"used-up": {"This link is used up", "As many iPads as it allows have enrolled with it. Ask the person who gave it to you for a new one."},
			"broken":  {"It does not work right now", "The mistake is ours. Try again in a few minutes."},
		},
	}
}
