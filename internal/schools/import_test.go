package schools_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/schools"
	"ranzen/internal/sheet"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

func table(t testing.TB, text string) *sheet.Table {
	t.Helper()
	tab, err := sheet.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func spec() schools.ImportSpec { return schools.ImportSpec{TenantID: sqldbtest.Tenant} }

// apply takes a file in and gives its report.
func (w *world) apply(s schools.ImportSpec, text string) (rep schools.ImportReport) {
	w.t.Helper()
	tab := table(w.t, text)
	w.do(func(ctx context.Context, tx *sqldb.Tx) (err error) {
		rep, _, err = w.room.ApplyImport(ctx, tx, admin, s, tab)
		return err
	})
	return rep
}

func numbers(r schools.ImportReport) string {
	return fmt.Sprintf("%d new %d changed %d unchanged %d errors", r.New, r.Changed, r.Unchanged, len(r.Errors))
}

// furnish makes a school with two carts.
func (w *world) furnish() {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *sqldb.Tx) error {
		school, err := w.room.AddSchool(ctx, tx, admin, schools.School{TenantID: sqldbtest.Tenant, Code: "GSS", Name: "Grundschule Saartal"})
		if err != nil {
			return err
		}
		site, err := w.room.AddSite(ctx, tx, admin, schools.Site{TenantID: sqldbtest.Tenant, SchoolID: school.ID, Code: "SAT", Name: "Saartal"})
		if err != nil {
			return err
		}
		for _, code := range []string{"K01", "K02"} {
			if _, err := w.room.AddCart(ctx, tx, admin, schools.Cart{TenantID: sqldbtest.Tenant, SiteID: site.ID, Code: code, Label: "Koffer " + code, Slots: 20}); err != nil {
				return err
			}
		}
		if _, err := w.room.AddPlace(ctx, tx, admin, schools.Place{TenantID: sqldbtest.Tenant, SiteID: site.ID, Name: "Aula"}); err != nil {
			return err
		}
		_, err = w.room.AddClass(ctx, tx, admin, schools.Class{TenantID: sqldbtest.Tenant, SchoolID: school.ID, Name: "3b", Year: "2026/27"})
		return err
	})
}

const german = "\xef\xbb\xbfSeriennummer;Inventarnummer;Koffer;Platz;Klasse;Preis_netto;Garantie_bis;Zweckbindung bis;Kommentar;Farbwunsch\r\n" +
	"RZAAAA0001;;SAT-K01;1;3b;389,00 €;31.07.2028;2030-07-31;\"neu;\nund gut\";rot\r\n" +
	"rzaaaa0002;;K01;2;3b;1.389,5;1.8.28;;;\r\n\r\n"

func TestAGermanFileIsTakenInAndAgainChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.furnish()
		file := strings.ReplaceAll(german, "\"neu;\nund gut\"", "\"neu; und gut\"")
		rep := w.apply(spec(), file)
		if numbers(rep) != "2 new 0 changed 0 unchanged 0 errors" || !rep.Applied || len(rep.Ignored) != 1 || rep.Ignored[0] != "Farbwunsch" {
			t.Fatalf("got %s, %+v", numbers(rep), rep)
		}
		d, err := w.room.BySerial(t.Context(), w.db, sqldbtest.Tenant, "RZAAAA0002")
		if err != nil || d.Name != "SAT-K01-02" || *d.PriceCents != 138950 || d.WarrantyUntil != "2028-08-01" || d.Slot != 2 || d.AssetState != schools.Delivered {
			t.Errorf("got %+v, %v", d, err)
		}
		if rep = w.apply(spec(), file); numbers(rep) != "0 new 0 changed 2 unchanged 0 errors" {
			t.Errorf("again: %s %+v", numbers(rep), rep.Rows)
		}
		// Two tablets swap their slots, and one gets a word.
		rep = w.apply(spec(), "serial,slot,note\nRZAAAA0001,SAT-K01-02,=1+1\nRZAAAA0002,SAT-K01-01,\n")
		if numbers(rep) != "0 new 2 changed 0 unchanged 0 errors" {
			t.Fatalf("swap: %s %+v", numbers(rep), rep.Errors)
		}
		d, _ = w.room.BySerial(t.Context(), w.db, sqldbtest.Tenant, "RZAAAA0001")
		if d.Slot != 2 || d.Name != "SAT-K01-02" || d.Note != "=1+1" {
			t.Errorf("after the swap: %+v", d)
		}
		w.roundTrip()
		var ids []string
		w.do(func(ctx context.Context, tx *sqldb.Tx) (err error) {
			ids, err = w.room.UndoImport(ctx, tx, admin, sqldbtest.Tenant, rep.ImportID)
			return err
		})
		d, _ = w.room.BySerial(t.Context(), w.db, sqldbtest.Tenant, "RZAAAA0001")
		if len(ids) != 2 || d.Slot != 1 || d.Note != "neu; und gut" {
			t.Errorf("after the undo: %v %+v", ids, d)
		}
	})
}

// roundTrip writes the list and takes it in again, in both formats.
func (w *world) roundTrip() {
	w.t.Helper()
	header, rows, err := w.room.ExportDevices(w.t.Context(), w.db, sqldbtest.Tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"csv":  func(b *bytes.Buffer) error { return sheet.WriteCSV(b, header, rows) },
		"xlsx": func(b *bytes.Buffer) error { return sheet.WriteXLSX(b, header, rows) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			w.t.Fatal(err)
		}
		tab, err := sheet.Read(b.Bytes())
		if err != nil {
			w.t.Fatal(err)
		}
		rep, err := w.room.PlanImport(w.t.Context(), w.db, spec(), tab)
		if err != nil || rep.New+rep.Changed+len(rep.Errors)+len(rep.Ignored) > 0 || rep.Unchanged != len(rows) {
			w.t.Errorf("%s: an export taken in again gives %s, ignores %v, %v, %+v", name, numbers(rep), rep.Ignored, err, rep.Errors)
		}
	}
}

func TestAFileWithNamesOfPersonsIsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, file := range []string{
			"Seriennummer;Vorname\nRZAAAA0001;Lena\n", "Serial Number,Username\nRZAAAA0001,lena.beispiel\n",
			"serial\tChecked Out To: First Name\nRZAAAA0001\tLena\n", "SerialNumber,AssignToUser\nRZAAAA0001,x\n", "Seriennummer;Name des Kindes\nRZAAAA0001;Lena\n",
			"person_id,first_name,last_name,email_address\n1,Lena,Beispiel,l@example.org\n", "Serial;E-Mail\nRZAAAA0001;l@example.org\n", "Serial;Schüler\nRZAAAA0001;Lena\n",
		} {
			rep := w.apply(spec(), file)
			if len(rep.Errors) == 0 || rep.Errors[0].Code != "import.persons" || rep.Applied || rep.New > 0 {
				t.Errorf("%q: %+v", file, rep)
			}
			for _, e := range rep.Errors {
				if strings.Contains(e.Reason, "Lena") {
					t.Errorf("the reason repeats the name: %s", e.Reason)
				}
			}
		}
		if rep := w.apply(spec(), "Seriennummer;Vorname\nRZAAAA0001;\n"); numbers(rep) != "1 new 0 changed 0 unchanged 0 errors" {
			t.Errorf("an empty column: %+v", rep)
		}
	})
}

func TestBadLinesAreNamedAndNothingIsWritten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.furnish()
		w.apply(spec(), "serial;asset_tag;cart;slot\nRZAAAA0009;X-1;SAT-K02;9\n")
		rep := w.apply(spec(), "serial;asset_tag;cart;slot;Garantie bis;Zustand;site\n"+
			"RZAAAA0001;RV-26-000001-0;;;;;\n"+ // wrong check character
			"RZAAAA0002;;SAT-K01;21;;;\n"+ // no such slot
			"RZAAAA0003;;SAT-K01;3;;;\n"+
			"RZAAAA0004;;SAT-K01;3;;;\n"+ // two for one slot
			"RZAAAA0005;;SAT-K02;9;;;\n"+ // taken
			"RZAAAA0006;X-1;;;;;\n"+ // taken
			"RZAAAA0007;;;;31.02.2028;;\n"+ // no day
			"RZAAAA0008;;;;;kaputt;\n"+ // no state
			"RZAAAA0010;;;;;ausgemustert;\n"+ // not for a new one
			"RZAAAA0011;;;;;;Nirgendwo\n"+ // no site
			"RZ Ü;;;;;;\n"+ // no serial
			"RZAAAA0003;;;;;;\n") // twice
		codes := map[string]int{}
		for _, e := range rep.Errors {
			codes[e.Code] = e.Line
		}
		for code, line := range map[string]int{
			"tag.check": 2, "slot.range": 3, "import.slot-twice": 5, "slot.taken": 6, "tag.taken": 7, "import.day": 8, "asset.state": 9, "import.state": 10,
			"import.site": 11, "device.serial": 12, "import.double": 13,
		} {
			if codes[code] != line {
				t.Errorf("%s: line %d, want %d", code, codes[code], line)
			}
		}
		if rep.Applied {
			t.Error("it was applied")
		}
		if _, err := w.room.BySerial(t.Context(), w.db, sqldbtest.Tenant, "RZAAAA0003"); err == nil {
			t.Error("a good line was written beside bad ones")
		}
	})
}

func BenchmarkImport(b *testing.B) {
	for _, n := range []int{1_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sqldbtest.EachB(b, func(b *testing.B, db *sqldb.DB) {
				var file strings.Builder
				file.WriteString("Seriennummer;Inventarnummer;Modell;Preis;Bemerkung\n")
				for i := range n {
					fmt.Fprintf(&file, "RZ%08d;T-%06d;iPad (A16);389,00;Lieferung\n", i, i)
				}
				w := newBenchWorld(b, db)
				b.ResetTimer()
				for range b.N {
					tab, err := sheet.Read([]byte(file.String()))
					if err != nil {
						b.Fatal(err)
					}
					err = db.Do(b.Context(), func(tx *sqldb.Tx) error {
						_, _, err := w.ApplyImport(b.Context(), tx, admin, spec(), tab)
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func newBenchWorld(_ testing.TB, db *sqldb.DB) *schools.Room {
	return schools.New(clock.System(), audit.New(db, clock.System()))
}
