package profiles

import (
	"fmt"
	"maps"
	"strings"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// Flaws are why a profile is refused, and what is odd in it besides.
type Flaws []catalogue.Finding

// Error names the codes and paths, which are no secrets.
func (f Flaws) Error() string {
	out := make([]string, 0, len(f))
	for _, one := range f {
		out = append(out, one.Code+" "+mdm.Clean(one.Path))
	}
	return strings.Join(out, ", ")
}

// Checked is what is found in a profile without a server.
type Checked struct {
	Payloads []string            `json:"payloads"`
	Findings []catalogue.Finding `json:"findings"`
	Needs    []catalogue.Need    `json:"needs"`
	Unshared []string            `json:"not_on_shared_ipads"` // payloads
}

// Check holds a .mobileconfig to the catalogue: XML or binary, signed or not.
//
// Faults: those of a file that is no profile that a server takes.
func Check(raw []byte) (Checked, error) {
	doc, xml, err := parseProfile(raw)
	if err != nil {
		return Checked{}, err
	}
	if doc[builtMark] != nil {
		finishBuilt(doc, "check", "check")
		xml = nil
	}
	return Checked{payloadTypes(doc), inspect(doc, xml), notNil(catalogue.NeedsOf(doc)), catalogue.NotOnSharedIPads(doc)}, nil
}

// inspect holds a profile to the catalogue. xml is the file that it was, whose
// lines the findings name; none where nobody wrote it.
func inspect(doc map[string]any, xml []byte) []catalogue.Finding {
	whole := maps.Clone(doc)
	if whole["PayloadUUID"] == nil {
		whole["PayloadUUID"] = "each version gets its own"
	}
	found := catalogue.CheckProfile(whole)
	if len(found) == 0 || len(xml) == 0 {
		return notNil(found)
	}
	paths := make([]string, 0, len(found))
	for _, f := range found {
		paths = append(paths, f.At())
	}
	lines := mdm.Lines(xml, paths...)
	for i := range found {
		found[i].Line = lines[found[i].At()]
	}
	return found
}

// sound refuses a profile for the first error that was found in it; it gives the
// warnings else.
func sound(name string, found []catalogue.Finding) ([]catalogue.Finding, error) {
	errors := 0
	var first catalogue.Finding
	for _, f := range found {
		if f.Severity == catalogue.Error {
			if errors++; errors == 1 {
				first = f
			}
		}
	}
	if errors == 0 {
		return found, nil
	}
	where, more := "", ""
	if first.Line > 0 {
		where = fmt.Sprintf(", line %d", first.Line)
	}
	if errors > 1 {
		more = fmt.Sprintf(" That is one of %d errors in it: `ranzen profile check FILE` lists them.", errors)
	}
	return nil, fault.New(fault.Invalid, "profile.invalid", "Profile %s%s: %s%s", name, where, first.Text, more).With(Flaws(found))
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
