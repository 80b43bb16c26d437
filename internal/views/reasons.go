package views

import (
	"regexp"
	"strings"
)

const noLicence = "There is no licence of the app for this iPad."

// german is the beginning of a sentence that package profiles writes, and what it
// is in German. %s in it is what follows the beginning, up to the word until.
type german struct {
	de, en string
	until  string
}

// germanOf are those sentences; a test finds each of them there, and none there
// that is not among them.
func germanOf() []german {
	return []german{
		{de: "Für dieses iPad gibt es keine Lizenz der App.", en: noLicence},
		{de: "Der App Store kennt die App nicht, oder für dieses iPad gibt es keine Lizenz.", en: "The App Store does not know the app, or there is no licence for this iPad"},
		{de: "Die App lässt sich nicht an ein Gerät lizenzieren.", en: "The app cannot be licensed to a device"},
		{de: "Eine Einschränkung auf dem iPad verbietet es, Apps zu installieren.", en: "A restriction on the iPad forbids installing apps"},
		{de: "Die App wurde von Hand installiert. Entfernen Sie sie dort, dann wird sie neu installiert.", en: "The app was installed by hand"},
		{de: "Dieses iPad kann die App nicht ausführen.", en: "The iPad cannot run this app"},
		{de: "Das iPad hat es angenommen, zeigt es aber nicht in seiner Liste.", en: "The iPad acknowledged it, but its own list does not show it."},
		{de: "Das iPad ist nicht betreut, und das Profil wirkt nur auf betreuten.", en: "The iPad is not supervised"},
		{de: "Das iPadOS dieses iPads ist zu alt dafür. Aktualisieren Sie es.", en: "The iPadOS of this iPad is too old:"},
		{de: "Das iPadOS dieses iPads ist zu neu für das Profil: Apple hat entfernt, was es einstellt.", en: "The iPadOS of this iPad is too new:"},
		{de: "Das iPad ist dabei, die App zu installieren.", en: "The iPad is at it:"},
		{de: "Die Person am iPad hat die App abgelehnt. Sie wird später wieder angeboten.", en: "The person at the iPad refused the app"},
		{de: "Das iPad konnte die App nicht installieren. Es wird wieder versucht.", en: "The iPad could not install the app"},
		{de: "Das iPad hat die App abgelehnt.", en: "The iPad refused the app"},
		{de: "Das iPad meldet einen Fehler und sagt nicht, welchen.", en: "The iPad reported an error and did not say which."},
		{de: "Das neue WLAN ist da, und das frühere geht als Nächstes.", en: "The new Wi-Fi network is there, and the former one goes next."},
		{de: "Eine spätere Version ist schon auf dem iPad, und iPadOS geht bei einer App nicht auf eine frühere zurück.", en: "A later version is on the iPad already, and iPadOS does not go back to an earlier one of an app."},
		{de: "Es wurde auf dem iPad entfernt und wird wieder installiert.", en: "It was removed on the iPad and is installed again."},
		{de: "In Ruhe gelassen bis %s: auf dem iPad wurde es an einem Tag fünfmal entfernt. Finden Sie heraus, von wem, dann: ranzen device retry.",
			en: "Left alone until ", until: ": the iPad undid it"},
		{de: "In der Datei fand das iPad eine andere App. Laden Sie die richtige unter einem eigenen Namen hoch.", en: "The iPad found another app in the file"},
		{de: "Nummer und Kennung der App passen im App Store nicht zusammen. Legen Sie die App mit der richtigen Kennung neu an.", en: "In the App Store the number "},
		{de: "Es geht, sobald das neue WLAN da ist, damit das iPad nicht abgeschnitten wird: %s.", en: "It goes once the new Wi-Fi network is there, so that the iPad is not cut off: ", until: "."},
		{de: "Es geht, sobald %s seinen Platz eingenommen hat.", en: "It goes as soon as this has taken its place: ", until: "."},
		{de: "Niemand wünscht es mehr. Es bleibt, weil mit ihm auch das verloren ginge, was damit gemacht wurde, bis das jemand bestätigt: ranzen removal confirm.",
			en: "Nobody wishes it any more. It stays"},
		{de: "Niemand wünscht es mehr. Wie bestätigt, geht es samt dem, was damit gemacht wurde, am %s. Weisen Sie es wieder zu, oder nehmen Sie das zurück: ranzen removal cancel.",
			en: "Nobody wishes it any more. It is removed with what was made with it on ", until: ", as was confirmed"},
		{de: "Im Profil steht %s, und dieses iPad hat keinen Wert dafür, oder mehr als einen. Geben Sie ihm einen: Platz, Inventarnummer oder Name.",
			en: "This iPad has no value, or more than one, for ", until: ","},
		{de: "Im Profil steht %s, und niemand hat das festgelegt: ranzen variable set.", en: "Nobody has defined ", until: ","},
		{de: "Es hat sich nicht gemeldet, seit es das bekam.", en: "It has said nothing since it was given it."},
		{de: "Sie hatten es und melden sich seither nicht: vielleicht haben sie ihr Netz verloren.", en: "They had it and have said nothing since"},
	}
}

// ofSome is how the reason of a halted roll-out begins.
var ofSome = regexp.MustCompile(`^(\d+ iPads? \([^)]*\): )(.+)$`)

// inBoth gives a sentence of package profiles in both languages; what the iPad
// itself said stays as it said it.
func inBoth(english string) text {
	if english == "" {
		return text{"Das iPad sagt nicht, warum.", "The iPad does not say why."}
	}
	if m := ofSome.FindStringSubmatch(english); m != nil {
		return text{m[1] + inBoth(m[2]).de, english}
	}
	if said, ok := strings.CutPrefix(english, "The iPad reported: "); ok {
		return text{"Das iPad meldet: " + said + ".", english + "."}
	}
	for _, t := range germanOf() {
		if rest, is := strings.CutPrefix(english, t.en); is {
			rest, _, _ = strings.Cut(rest, t.until)
			return text{strings.Replace(t.de, "%s", rest, 1), english}
		}
	}
	return text{english, english}
}
