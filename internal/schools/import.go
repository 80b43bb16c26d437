package schools

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ranzen/internal/audit"
	"ranzen/internal/fault"
	"ranzen/internal/sheet"
	"ranzen/internal/sqldb"
)

// ImportSpec says what a file is taken for.
type ImportSpec struct {
	TenantID   string
	DeliveryID string            // "" for none: a list of what there is
	Mapping    map[string]string // header of the file -> our column, "" to ignore it
}

// ImportReport is what a file would change, or has.
type ImportReport struct {
	ImportID                string // "" unless it was applied and changed something
	New, Changed, Unchanged int
	Rows                    []Verdict
	Errors                  []ImportError // with one of them nothing is written
	Ignored                 []string      // columns that mean nothing to us
	Applied                 bool
}

// Verdict is on one line: "new", "changed", "unchanged" or "error".
type Verdict struct {
	Line     int
	Serial   string
	Verdict  string
	Changes  []FieldChange
	Warnings []string
}

// FieldChange is one field of a device that differs.
type FieldChange struct{ Field, Old, New string }

// ImportError is why a line is not taken. Column is as the file calls it.
type ImportError struct {
	Line         int
	Column       string
	Reason, Code string
}

// imported is a device as a line wants it.
type imported struct {
	line          int
	before, after Device
	fresh         bool
	set           map[string]bool // columns that the line fills
	verdict       int             // its place in the report
}

// importer works on one file.
type importer struct {
	*Room
	spec     ImportSpec
	delivery Delivery
	columns  columns
	atlas    atlas
	report   ImportReport
	devices  []*imported
}

// PlanImport tells what a file would change. It writes nothing.
func (r *Room) PlanImport(ctx context.Context, q sqldb.Queryer, spec ImportSpec, t *sheet.Table) (ImportReport, error) {
	im, err := r.readImport(ctx, q, spec, t, "")
	return im.report, err
}

// ApplyImport takes a file in, all of it or nothing: with an error in one line
// nothing is written. It gives the devices that are new or changed.
func (r *Room) ApplyImport(ctx context.Context, tx *sqldb.Tx, actor audit.Actor, spec ImportSpec, t *sheet.Table) (ImportReport, []string, error) {
	im, err := r.readImport(ctx, tx, spec, t, tx.ForUpdate())
	if err != nil || len(im.report.Errors) > 0 {
		return im.report, nil, err
	}
	ids, err := im.write(ctx, tx, actor)
	if sqldb.IsUnique(err) {
		return im.report, nil, fault.New(fault.Conflict, "import.conflict", "Somebody else changed these devices in this moment. Try again.").With(err)
	}
	im.report.Applied = err == nil
	return im.report, ids, err
}

// readImport judges a table line by line.
func (r *Room) readImport(ctx context.Context, q sqldb.Queryer, spec ImportSpec, t *sheet.Table, lock string) (*importer, error) {
	im := &importer{Room: r, spec: spec, report: ImportReport{Rows: []Verdict{}, Errors: []ImportError{}, Ignored: []string{}}}
	if err := checkMapping(spec.Mapping); err != nil {
		return im, err
	}
	var err error
	if spec.DeliveryID != "" {
		if im.delivery, err = r.openDelivery(ctx, q, spec.DeliveryID); err != nil {
			return im, err
		}
		if im.delivery.TenantID != spec.TenantID {
			return im, unknownDelivery(spec.DeliveryID)
		}
	}
	c, errs := mapColumns(t, spec.Mapping)
	im.columns, im.report.Ignored = c, c.ignored
	if len(errs) > 0 {
		im.report.Errors = errs
		return im, nil
	}
	if im.atlas, err = r.atlasOf(ctx, q, spec.TenantID); err != nil {
		return im, err
	}
	known, err := knownSerials(ctx, q, im.serials(t), lock)
	if err != nil {
		return im, err
	}
	lines := map[string]int{}
	for _, row := range t.Rows {
		im.line(row, known, lines)
	}
	if err := im.clashes(ctx, q); err != nil {
		return im, err
	}
	im.count()
	return im, nil
}

// serials are the serial numbers of a table, as far as they can be ones.
func (im *importer) serials(t *sheet.Table) (out []string) {
	for _, row := range t.Rows {
		if s, err := NormalSerial(im.columns.get(row, colSerial)); err == nil {
			out = append(out, s)
		}
	}
	return out
}

// usualSerial is what Apple's look like; they have no check digit.
var usualSerial = regexp.MustCompile(`^[A-Z0-9]{8,14}$`)

// line judges one line by itself.
func (im *importer) line(row sheet.Row, known map[string]Device, lines map[string]int) {
	v := Verdict{Line: row.Line, Verdict: "error"}
	refuse := func(column string, err error) {
		name, has := im.columns.header[column]
		if !has {
			name = column
		}
		text, code := "This cannot be read.", "import.value"
		if f, is := fault.Of(err); is {
			text, code = f.Text, f.Code
		}
		im.report.Errors = append(im.report.Errors, ImportError{Line: row.Line, Column: name, Reason: text, Code: code})
	}
	serial, err := NormalSerial(im.columns.get(row, colSerial))
	if err != nil {
		refuse(colSerial, err)
		im.report.Rows = append(im.report.Rows, v)
		return
	}
	v.Serial = serial
	if !usualSerial.MatchString(serial) {
		v.Warnings = append(v.Warnings, "The serial number is unusual: Apple's have 8 to 14 letters and digits. Was it misread?")
	}
	if first, twice := lines[serial]; twice {
		refuse(colSerial, fault.New(fault.Invalid, "import.double", "The serial number %s stands in line %d already.", serial, first))
		im.report.Rows = append(im.report.Rows, v)
		return
	}
	lines[serial] = row.Line
	d, have := known[serial]
	if have && d.TenantID != im.spec.TenantID {
		refuse(colSerial, fault.New(fault.Denied, "import.other-tenant", "The serial number %s belongs to another tenant. Ask whose it is before you take it in.", serial))
		im.report.Rows = append(im.report.Rows, v)
		return
	}
	x := &imported{line: row.Line, before: d, after: d, fresh: !have, set: map[string]bool{}}
	if !have {
		x.after = Device{ID: sqldb.NewID(), TenantID: im.spec.TenantID, Serial: serial}
	}
	before := len(im.report.Errors)
	v.Warnings = append(v.Warnings, im.fields(row, x, refuse)...)
	if len(im.report.Errors) == before {
		x.verdict = len(im.report.Rows)
		im.devices = append(im.devices, x)
		v.Verdict = ""
	}
	im.report.Rows = append(im.report.Rows, v)
}

// clashes finds what two lines want at once, or a line and a device that is not
// in the file: one tag, one slot.
func (im *importer) clashes(ctx context.Context, q sqldb.Queryer) error {
	mine, tags, slots := map[string]bool{}, map[string]*imported{}, map[Position]*imported{}
	var wantTags, wantCarts []string
	for _, x := range im.devices {
		mine[x.after.ID] = true
	}
	for _, x := range im.devices {
		if tag := x.after.AssetTag; tag != "" {
			if other := tags[tag]; other != nil {
				im.clash(x, colTag, "import.tag-twice", "The asset tag %s is wanted by line %d too.", tag, other.line)
			}
			tags[tag] = x
			if tag != x.before.AssetTag {
				wantTags = append(wantTags, tag)
			}
		}
		if x.after.Slot > 0 {
			at := Position{CartID: x.after.CartID, Slot: x.after.Slot}
			if other := slots[at]; other != nil {
				im.clash(x, colSlot, "import.slot-twice", "Slot %s is wanted by line %d too.", im.atlas.slotName(at), other.line)
			}
			slots[at] = x
			if x.before.CartID != at.CartID || x.before.Slot != at.Slot {
				wantCarts = append(wantCarts, at.CartID)
			}
		}
	}
	holders, err := holdersOf(ctx, q, wantTags, wantCarts)
	if err != nil {
		return err
	}
	for _, h := range holders {
		if mine[h.ID] {
			continue // it is in the file, and judged with its line
		}
		if x := tags[h.AssetTag]; x != nil && h.AssetTag != "" {
			who := "another device"
			if h.TenantID == im.spec.TenantID {
				who = h.Serial
			}
			im.clash(x, colTag, "tag.taken", "The asset tag %s is on %s already.", h.AssetTag, who)
		}
		at := Position{CartID: h.CartID, Slot: h.Slot}
		if x := slots[at]; x != nil && h.Slot > 0 {
			im.clash(x, colSlot, "slot.taken", "Slot %s holds %s already, which is not in the file.", im.atlas.slotName(at), h.label())
		}
	}
	return nil
}

func (im *importer) clash(x *imported, column, code, format string, args ...any) {
	name, has := im.columns.header[column]
	if !has {
		name = column
	}
	im.report.Errors = append(im.report.Errors, ImportError{Line: x.line, Column: name, Code: code, Reason: fmt.Sprintf(format, args...)})
	im.report.Rows[x.verdict].Verdict = "error"
}

// count says of each line what it does.
func (im *importer) count() {
	for _, x := range im.devices {
		v := &im.report.Rows[x.verdict]
		if v.Verdict == "error" {
			continue
		}
		v.Changes = im.atlas.differences(x.before, x.after)
		switch {
		case x.fresh:
			v.Verdict = "new"
			im.report.New++
		case len(v.Changes) == 0:
			v.Verdict = "unchanged"
			im.report.Unchanged++
		default:
			v.Verdict = "changed"
			im.report.Changed++
		}
	}
	slices.SortStableFunc(im.report.Errors, func(a, b ImportError) int { return cmp.Compare(a.Line, b.Line) })
}

// differences lists the fields of two devices that differ, as people read them.
func (a atlas) differences(before, after Device) (out []FieldChange) {
	was, is := a.cells(before), a.cells(after)
	for _, column := range exportColumns() {
		if was[column] != is[column] && column != colSerial && column != colTenant {
			out = append(out, FieldChange{column, was[column], is[column]})
		}
	}
	return out
}

// lower compares codes and names as people write them.
func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
