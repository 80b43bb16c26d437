package print

// texts are the words on paper in one language.
type texts struct {
	labels, card, handOver          string
	classes, from, to               string
	count                           string // filled, of slots
	checked, incomplete, notChecked string
	slot, name, tag, serial, model  string
	accessories                     string
	parts                           []string
	gives, takes, printed, moment   string
}

// textsIn gives German, or English for "en".
func textsIn(lang string) texts {
	if lang == "en" {
		return texts{
			labels: "Asset labels", card: "Cart card", handOver: "Hand-over protocol",
			classes: "Classes", from: "From", to: "To",
			count:   "%d iPads in %d slots.",
			checked: "Pack check of %s: complete.", incomplete: "Pack check of %s: NOT complete.", notChecked: "No pack check was made.",
			slot: "Slot", name: "Name", tag: "Asset tag", serial: "Serial number", model: "Model",
			accessories: "Handed over with it", parts: []string{"Power cable of the cart", "Keys of the cart: ____", "Charging cables: ____", "Cases: ____", "Pens: ____", "Other: ____________"},
			gives: "Place, date, signature: hands over", takes: "Place, date, signature: takes over", printed: "Printed", moment: "2 January 2006, 15:04",
		}
	}
	return texts{
		labels: "Inventaretiketten", card: "Kofferkarte", handOver: "Übergabeprotokoll",
		classes: "Klassen", from: "Von", to: "An",
		count:   "%d iPads auf %d Plätzen.",
		checked: "Packkontrolle vom %s: vollständig.", incomplete: "Packkontrolle vom %s: NICHT vollständig.", notChecked: "Es gab keine Packkontrolle.",
		slot: "Platz", name: "Name", tag: "Inventarnummer", serial: "Seriennummer", model: "Modell",
		accessories: "Mit übergeben", parts: []string{"Netzkabel des Koffers", "Schlüssel des Koffers: ____", "Ladekabel: ____", "Hüllen: ____", "Stifte: ____", "Sonstiges: ____________"},
		gives: "Ort, Datum, Unterschrift: übergibt", takes: "Ort, Datum, Unterschrift: übernimmt", printed: "Gedruckt am", moment: "02.01.2006, 15:04",
	}
}
