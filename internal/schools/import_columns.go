package schools

import (
	"strings"

	"ranzen/internal/fault"
	"ranzen/internal/sheet"
)

// Columns of the device list, in the order in which it is written.
const (
	colSerial    = "serial"
	colTag       = "asset_tag"
	colName      = "name"
	colTenant    = "tenant"
	colSchool    = "school"
	colSite      = "site"
	colRoom      = "room"
	colCart      = "cart"
	colSlot      = "slot"
	colClass     = "class"
	colState     = "asset_state"
	colLoan      = "loan_type"
	colPseudonym = "pseudonym"
	colModel     = "model"
	colCapacity  = "capacity"
	colColor     = "color"
	colPart      = "part_no"
	colOrder     = "order_no"
	colNote2     = "delivery_note"
	colBox       = "box"
	colBought    = "bought_on"
	colPrice     = "price"
	colFunding   = "funding"
	colBinding   = "binding_until"
	colWarranty  = "warranty_until"
	colNote      = "note"
)

// exportColumns is the device list as it is written and taken in again.
func exportColumns() []string {
	return []string{colTag, colSerial, colName, colTenant, colSchool, colSite, colRoom, colCart, colSlot, colClass, colState, colLoan, colPseudonym,
		colModel, colCapacity, colColor, colPart, colOrder, colNote2, colBox, colBought, colPrice, colFunding, colBinding, colWarranty, colNote}
}

// plainTexts are columns that are kept as they come, with their longest length in
// characters.
func plainTexts() map[string]int {
	return map[string]int{colModel: 100, colCapacity: 40, colColor: 40, colPart: 60, colOrder: 60, colNote2: 60, colBox: 60, colFunding: 100, colLoan: 40, colNote: 500}
}

// synonyms are what people and other programs call our columns, as headerKey
// writes them: resellers, Jamf School's placeholders, Jamf Pro's inventory
// preload, Snipe-IT, and plain German and English.
func synonyms() map[string]string {
	out := map[string]string{}
	for column, words := range map[string]string{
		colSerial:    "serial serialnumber serialno serialnr seriennummer seriennr sn snr",
		colTag:       "assettag tag inventarnummer inventarnr invnr inventar anlagennummer etikett",
		colName:      "name devicename geraetename assetname",
		colTenant:    "tenant traeger schultraeger company mandant",
		colSchool:    "school schule",
		colSite:      "site standort building gebaeude location",
		colRoom:      "room raum",
		colCart:      "cart koffer wagen ipadkoffer koffernummer koffernr",
		colSlot:      "slot platz platznummer platznr",
		colClass:     "class klasse",
		colState:     "assetstate zustand bestand status",
		colLoan:      "loantype leihart leihtyp checkouttype",
		colPseudonym: "pseudonym",
		colModel:     "model modell modelnumber geraet artikel artikelbezeichnung bezeichnung modelname",
		colCapacity:  "capacity speicher kapazitaet speichergroesse storage",
		colColor:     "color colour farbe",
		colPart:      "partno partnumber artikelnummer artikelnr artnr mpn teilenummer",
		colOrder:     "orderno ordernumber ponumber po bestellnummer bestellnr auftragsnummer auftragsnr",
		colNote2:     "deliverynote lieferschein lieferscheinnummer lieferscheinnr",
		colBox:       "box karton kartonnummer kartonnr palette",
		colBought:    "boughton purchasedate podate kaufdatum rechnungsdatum lieferdatum",
		colPrice:     "price purchaseprice purchasecost preis preisnetto nettopreis stueckpreis",
		colFunding:   "funding foerderquelle foerderung foerdermittel",
		colBinding:   "bindinguntil zweckbindungbis zweckbindung",
		colWarranty:  "warrantyuntil warrantyexpiration garantiebis gewaehrleistungbis",
		colNote:      "note notes bemerkung bemerkungen notiz assetnotes kommentar",
	} {
		for w := range strings.FieldsSeq(words) {
			out[w] = column
		}
	}
	return out
}

// headerKey makes headers that mean the same look the same: "Förder-Quelle" is
// "foerderquelle".
func headerKey(h string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(h) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == 'ä':
			b.WriteString("ae")
		case r == 'ö':
			b.WriteString("oe")
		case r == 'ü':
			b.WriteString("ue")
		case r == 'ß':
			b.WriteString("ss")
		}
	}
	return b.String()
}

// personal tells whether a column holds what names or finds a person.
func personal(key string) bool {
	switch key {
	case "user", "users", "benutzer", "nutzer", "kind", "kinder", "child", "person", "owner", "besitzer", "familienname", "surname", "givenname", "mail",
		"assigntouser", "assigneduser", "assignedto", "zugewiesenan", "fullname", "realname", "rufname", "lehrer", "lehrerin", "geburtstag", "geburtsdatum",
		"telefon", "phone", "handy", "mobil", "position", "department":
		return key != "position" && key != "department"
	}
	for _, part := range []string{"vorname", "nachname", "zuname", "firstname", "lastname", "middlename", "schueler", "student", "pupil", "eltern", "parent", "guardian",
		"erziehungs", "checkedoutto", "username", "email", "emailaddress", "benutzername", "lehrkraft", "teacher", "namedes", "nameder", "birth", "personid"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// columns maps the columns of a file to ours. A header that means nothing to us
// is ignored, and told.
type columns struct {
	at      map[string]int    // our column -> place in the file
	header  map[string]string // our column -> as the file calls it
	ignored []string
}

// mapColumns finds our columns in a table. mapping, by header, comes first: it
// names our column, or "" to ignore one.
func mapColumns(t *sheet.Table, mapping map[string]string) (columns, []ImportError) {
	c := columns{at: map[string]int{}, header: map[string]string{}, ignored: []string{}}
	known, ours := synonyms(), map[string]bool{}
	for _, column := range exportColumns() {
		ours[column] = true
	}
	chosen := map[string]string{}
	for header, column := range mapping {
		chosen[headerKey(header)] = column
	}
	var errs []ImportError
	for i, header := range t.Header {
		key := headerKey(header)
		if personal(key) {
			if line := firstFilled(t, i); line > 0 {
				errs = append(errs, ImportError{Line: line, Column: header, Code: "import.persons", Reason: "This column names or finds persons, and it is filled. " +
					"Ranzen never needs the name of a child or teacher, so the file is not taken. Delete the column and try again."})
			}
			continue
		}
		column, decided := chosen[key]
		if !decided {
			if column = known[key]; column == "" && ours[strings.ToLower(header)] {
				column = strings.ToLower(header)
			}
		}
		switch _, twice := c.at[column]; {
		case column == "":
			if header != "" {
				c.ignored = append(c.ignored, header)
			}
		case !ours[column]:
			errs = append(errs, ImportError{Line: 1, Column: header, Code: "import.mapping", Reason: "The mapping names the column \"" + column + "\", which does not exist."})
		case twice:
			errs = append(errs, ImportError{Line: 1, Column: header, Code: "import.twice",
				Reason: "The columns \"" + c.header[column] + "\" and \"" + header + "\" mean the same. Delete one, or map it to nothing."})
		default:
			c.at[column], c.header[column] = i, header
		}
	}
	if _, has := c.at[colSerial]; !has && len(errs) == 0 {
		errs = append(errs, ImportError{Line: 1, Column: "", Code: "import.no-serial", Reason: "No column holds serial numbers. Call it \"Seriennummer\" or \"serial\"."})
	}
	return c, errs
}

// firstFilled is the first line with something in a column; 0: none.
func firstFilled(t *sheet.Table, column int) int {
	for _, r := range t.Rows {
		if strings.TrimSpace(r.Cells[column]) != "" {
			return r.Line
		}
	}
	return 0
}

// get gives a cell; "" where the file has no such column.
func (c columns) get(r sheet.Row, column string) string {
	i, has := c.at[column]
	if !has {
		return ""
	}
	return strings.TrimSpace(sheet.Plain(strings.TrimSpace(r.Cells[i])))
}

// SaveMappingColumns refuses a mapping to columns that do not exist.
func checkMapping(mapping map[string]string) error {
	ours := map[string]bool{"": true}
	for _, column := range exportColumns() {
		ours[column] = true
	}
	for header, column := range mapping {
		if headerKey(header) == "" || !ours[column] || len(header) > 200 {
			return fault.New(fault.Invalid, "import.mapping", "A mapping leads from a header of the file to one of: %s; or to nothing, to ignore it.",
				strings.Join(exportColumns(), ", ")).On("columns")
		}
	}
	return nil
}
