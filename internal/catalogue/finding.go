package catalogue

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Severities of findings.
const (
	Error   = "error"   // iPads refuse it, or do not do what it says
	Warning = "warning" // it may be meant, and known to a newer iPadOS than this table
)

// Finding is what is wrong with a profile, command or declaration. Its texts name
// keys and types, never values, which may be secrets.
type Finding struct {
	Severity string `json:"severity" enum:"error,warning"`
	Code     string `json:"code" example:"key.unknown" doc:"Stable, for programs"`
	Path     string `json:"path" example:"PayloadContent[2].EAPClientConfiguration.AcceptEAPTypes[0]"`
	Line     int    `json:"line,omitempty" doc:"In the XML of the file; none where there is none"`
	Text     string `json:"text"`
	TextDE   string `json:"text_de"`

	within *string // whose line it is, where Path is not there
}

// At is the path whose line is meant: a key that is missing has none of its own.
func (f Finding) At() string {
	if f.within != nil {
		return *f.within
	}
	return f.Path
}

// words of each code, in English and German. The first %s is the path.
func words(code string) (severity, en, de string) {
	switch code {
	case "type.unknown":
		return Warning, "%s: Apple's schema has no payload type %s for iPads, which do nothing with what they do not know.%s", "%s: In Apples Schema gibt es für iPads keinen Payload-Typ %s; Unbekanntes bewirkt auf iPads nichts.%s"
	case "type.elsewhere":
		return Warning, "%s: Apple has the type %s for other devices, and iPads do nothing with it.", "%s: Den Typ %s hat Apple für andere Geräte; auf iPads bewirkt er nichts."
	case "key.unknown":
		return Warning, "%s: Apple's schema has no such key for iPads in %s. It is newer than this program, or mistyped.%s", "%s: In Apples Schema gibt es für iPads keinen solchen Schlüssel in %s. Er ist neuer als dieses Programm oder falsch geschrieben.%s"
	case "key.type":
		return Error, "%s is %s, and must be %s.", "%s ist %s und muss %s sein."
	case "key.kind":
		return Warning, "%s is %s, and Apple's schema says %s. Some versions of iPadOS may not take it.", "%s ist %s, Apples Schema sagt %s. Manche Versionen von iPadOS nehmen das vielleicht nicht an."
	case "key.missing":
		return Error, "%s is missing: %s needs it.", "%s fehlt: %s braucht diesen Schlüssel."
	case "key.absent":
		return Warning, "%s is missing: newer versions of iPadOS may need it in %s.", "%s fehlt: Neuere Versionen von iPadOS brauchen diesen Schlüssel vielleicht in %s."
	case "key.value":
		return Warning, "%s has a value that Apple's schema does not name. It names %s.", "%s hat einen Wert, den Apples Schema nicht nennt. Es nennt %s."
	case "key.range":
		return Warning, "%s is not between %s and %s, as Apple's schema says.", "%s liegt nicht zwischen %s und %s, wie Apples Schema es sagt."
	case "key.format":
		return Warning, "%s does not have the form that Apple's schema says: %s.", "%s hat nicht die Form, die Apples Schema nennt: %s."
	case "payload.twice":
		return Warning, "%s: an iPad takes one payload of the type %s, and this is another.", "%s: Ein iPad nimmt einen Payload des Typs %s, und dies ist ein weiterer."
	case "findings.more":
		return Warning, "%s: there are more findings than %s, which are not listed.", "%s: Es gibt mehr als %s Befunde; die übrigen sind nicht aufgeführt."
	}
	return Error, "%s", "%s"
}

// german of the types and of a hint.
func german(s string) string {
	switch s {
	case "a text":
		return "ein Text"
	case "a whole number":
		return "eine ganze Zahl"
	case "a number":
		return "eine Zahl"
	case "true or false":
		return "ja oder nein (true, false)"
	case "data":
		return "ein Datenblock (data)"
	case "a time":
		return "ein Zeitpunkt (date)"
	case "a list":
		return "eine Liste"
	case "a dictionary":
		return "ein Verzeichnis (dict)"
	case "any length":
		return "beliebig"
	}
	if like, is := strings.CutPrefix(s, " Is "); is {
		return " Ist " + strings.TrimSuffix(like, " meant?") + " gemeint?"
	}
	return s
}

// found makes a finding. Args are what words asks for behind the path.
func found(code, path string, args ...string) Finding {
	severity, en, de := words(code)
	inEnglish, inGerman := []any{short(path)}, []any{short(path)}
	for _, a := range args {
		inEnglish, inGerman = append(inEnglish, a), append(inGerman, german(a))
	}
	return Finding{Severity: severity, Code: code, Path: path, Text: fmt.Sprintf(en, inEnglish...), TextDE: fmt.Sprintf(de, inGerman...)}
}

// short makes a name from outside fit for a sentence.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), 1024)], ""))
	if utf8.RuneCountInString(s) > 200 {
		s = string([]rune(s)[:200]) + "…"
	}
	return s
}

// Nearest is the name that was probably meant, or "".
func Nearest(typed string, names []string) string {
	best, at := "", 3
	if len(typed) > 100 {
		return ""
	}
	lower := strings.ToLower(typed)
	for _, n := range names {
		if strings.EqualFold(n, typed) {
			return n
		}
		if d := distance(lower, strings.ToLower(n), at); d < at && d < len(n)/2 {
			best, at = n, d
		}
	}
	return best
}

// distance is how many letters differ (Levenshtein), as far as it is below most.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
