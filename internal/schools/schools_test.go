package schools_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/clock"
	"ranzen/internal/fault"
	"ranzen/internal/schools"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

const admin = audit.Actor("user:admin")

type world struct {
	t    testing.TB
	db   *sqldb.DB
	clk  clock.Clock
	room *schools.Room
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clk := clock.At(time.Date(2026, 9, 7, 7, 45, 0, 0, time.UTC))
		f(t, &world{t: t, db: db, clk: clk, room: schools.New(clk, audit.New(db, clk))})
	})
}

func (w *world) try(fn func(ctx context.Context, tx *sqldb.Tx) error) error {
	w.t.Helper()
	return w.db.Do(w.t.Context(), func(tx *sqldb.Tx) error { return fn(w.t.Context(), tx) })
}

func (w *world) do(fn func(ctx context.Context, tx *sqldb.Tx) error) {
	w.t.Helper()
	if err := w.try(fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) device(serial string) (d schools.Device) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *sqldb.Tx) (err error) {
		d, err = w.room.Ensure(ctx, tx, admin, "tenant-1", serial, "")
		return err
	})
	return d
}

func (w *world) group(name string) (g schools.Group) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *sqldb.Tx) (err error) {
		g, err = w.room.CreateGroup(ctx, tx, admin, "", name)
		return err
	})
	return g
}

func (w *world) add(g schools.Group, ids ...string) error {
	return w.try(func(ctx context.Context, tx *sqldb.Tx) error { return w.room.AddToGroup(ctx, tx, admin, g.ID, ids...) })
}

func (w *world) drop(g schools.Group, ids ...string) error {
	return w.try(func(ctx context.Context, tx *sqldb.Tx) error {
		return w.room.DropFromGroup(ctx, tx, admin, g.ID, ids...)
	})
}

func (w *world) in(g schools.Group) []string {
	w.t.Helper()
	ids, err := w.room.DevicesIn(w.t.Context(), w.db, g.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func (w *world) events(subject string) []string {
	w.t.Helper()
	var list []string
	if err := w.db.Select(w.t.Context(), &list, `SELECT action FROM audit_events WHERE subject = ? ORDER BY id`, subject); err != nil {
		w.t.Fatal(err)
	}
	return list
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if got := fault.CodeOf(err); got != code {
		t.Errorf("got fault %q (%v), want %q", got, err, code)
	}
}

func wantList(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestASerialNumberIsOneDeviceHoweverItIsTyped(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device("DMQX1234ABCD")
		for _, typed := range []string{"dmqx1234abcd", " DMQX1234ABCD\n", "DmQx1234AbCd"} {
			if again := w.device(typed); again.ID != d.ID {
				t.Errorf("%q is another device", typed)
			}
		}
		for _, bad := range []string{"", "  ", "A B", "A\x00", "Ä123", "\xff", strings.Repeat("A", 65), "A';--"} {
			err := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := w.room.Ensure(ctx, tx, admin, "tenant-1", bad, "")
				return err
			})
			wantCode(t, err, "device.serial")
		}
		wantList(t, "audit trail", w.events("device:"+d.ID), "device.add")
	})
}

func TestAModelIsFilledInOnceAndNotOverwritten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.device("A1").ID
		for _, model := range []string{"iPad13,18", "iPad1,1", ""} {
			w.do(func(ctx context.Context, tx *sqldb.Tx) error {
				d, err := w.room.Ensure(ctx, tx, admin, "tenant-1", "A1", model)
				if d.Model != "iPad13,18" {
					t.Errorf("told %q, kept %q", model, d.Model)
				}
				return err
			})
		}
		d, err := w.room.Find(t.Context(), w.db, id)
		if err != nil || d.Model != "iPad13,18" {
			t.Errorf("got %+v, %v", d, err)
		}
	})
}

func TestManyRequestsThatBringOneSerialMakeOneDevice(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for n := range 5 {
			serial := fmt.Sprintf("TWIN%d", n)
			ids := make([]string, 8)
			var wg sync.WaitGroup
			for i := range ids {
				wg.Go(func() {
					err := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
						d, err := w.room.Ensure(ctx, tx, admin, "tenant-1", serial, "iPad13,18")
						ids[i] = d.ID
						return err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(slices.Compact(ids)) != 1 {
				t.Errorf("%d devices", len(slices.Compact(ids)))
			}
		}
	})
}

func TestADeviceIsFoundByWhateverNamesIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d, other := w.device("DMQX1"), w.device("DMQX2")
		w.do(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE devices SET asset_tag = ? WHERE id = ?`, "7-031", d.ID)
			if err == nil { // a sticker that reads like another's serial number
				_, err = tx.Exec(ctx, `UPDATE devices SET asset_tag = ? WHERE id = ?`, "DMQX1", other.ID)
			}
			return err
		})
		for _, ref := range []string{d.ID, "DMQX1", "dmqx1", " DMQX1 ", "7-031"} {
			if got, err := w.room.Find(t.Context(), w.db, ref); err != nil || got.ID != d.ID {
				t.Errorf("%q: got %+v, %v", ref, got, err)
			}
		}
		for _, ref := range []string{"", " ", "DMQX9", "a\x00b", "\xff\xfe", strings.Repeat("x", 10_000), "%"} {
			_, err := w.room.Find(t.Context(), w.db, ref)
			wantCode(t, err, "device.unknown")
		}
		known, err := w.room.Devices(t.Context(), w.db, []string{d.ID, other.ID, d.ID, "nobody"})
		if err != nil || len(known) != 2 || known[d.ID].AssetTag != "7-031" {
			t.Errorf("got %+v, %v", known, err)
		}
	})
}

func TestADeviceIsRenamed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		d := w.device("A1")
		rename := func(id, name string) error {
			return w.try(func(ctx context.Context, tx *sqldb.Tx) error { return w.room.Rename(ctx, tx, admin, id, name) })
		}
		if err := rename(d.ID, "  7-031 Größe ✏️ "); err != nil {
			t.Fatal(err)
		}
		if got, err := w.room.Find(t.Context(), w.db, d.ID); err != nil || got.Name != "7-031 Größe ✏️" {
			t.Errorf("got %+v, %v", got, err)
		}
		for name, code := range map[string]string{
			"": "name.empty", " \t": "name.empty", "a\nb": "name.characters", "a\x00b": "name.characters", "\xff": "name.characters",
			strings.Repeat("ä", 101): "name.long",
		} {
			wantCode(t, rename(d.ID, name), code)
		}
		wantCode(t, rename("nobody", "x"), "device.unknown")
		wantList(t, "audit trail", w.events("device:"+d.ID), "device.add", "device.rename")
	})
}

func TestAGroupTakesAndGivesBackDevices(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b, c := w.device("A").ID, w.device("B").ID, w.device("C").ID
		g, other := w.group("3b"), w.group("4a")
		for range 2 { // twice is the same as once
			if err := w.add(g, a, b, a); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.add(other, b); err != nil {
			t.Fatal(err)
		}
		wantList(t, "3b", w.in(g), a, b)
		of, err := w.room.GroupsOf(t.Context(), w.db, []string{a, b, c, "nobody"})
		if err != nil || len(of) != 2 {
			t.Fatalf("got %v, %v", of, err)
		}
		wantList(t, "groups of a", of[a], g.ID)
		wantList(t, "groups of b", of[b], g.ID, other.ID)
		for range 2 {
			if err := w.drop(g, a, c, "nobody"); err != nil {
				t.Fatal(err)
			}
		}
		wantList(t, "3b", w.in(g), b)
		wantList(t, "audit trail", w.events("group:"+g.ID), "group.create", "group.add", "group.drop")
		groups, err := w.room.Groups(t.Context(), w.db, "")
		if err != nil || len(groups) != 2 || groups[0].Name != "3b" || groups[0].Devices != 1 {
			t.Errorf("got %+v, %v", groups, err)
		}
	})
}

func TestWhatAGroupRefuses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.device("A").ID
		g := w.group("3b")
		wantCode(t, w.add(g, a, "nobody"), "device.unknown")
		wantList(t, "3b after a refusal", w.in(g))
		nowhere := schools.Group{ID: "nowhere"}
		wantCode(t, w.add(nowhere, a), "group.unknown")
		wantCode(t, w.drop(nowhere, a), "group.unknown")
		// Its name is no id: what is stored is the id.
		wantCode(t, w.add(schools.Group{ID: "3b"}, a), "group.unknown")
		_, err := w.room.DevicesIn(t.Context(), w.db, "nowhere")
		wantCode(t, err, "group.unknown")
		for name, code := range map[string]string{"3b": "group.exists", " 3b ": "group.exists", "": "name.empty", "a\x00": "name.characters"} {
			wantCode(t, w.try(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := w.room.CreateGroup(ctx, tx, admin, "", name)
				return err
			}), code)
		}
		for _, ref := range []string{"", "9z", "\xff", "a\x00", strings.Repeat("x", 9_999)} {
			_, err := w.room.GroupByName(t.Context(), w.db, "", ref)
			wantCode(t, err, "group.unknown")
		}
		for _, ref := range []string{"3b", g.ID} {
			if got, err := w.room.GroupByName(t.Context(), w.db, "", ref); err != nil || got.ID != g.ID {
				t.Errorf("%q: got %+v, %v", ref, got, err)
			}
		}
	})
}

func TestARemovedGroupLeavesItsDevices(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.device("A").ID
		g := w.group("3b")
		if err := w.add(g, a); err != nil {
			t.Fatal(err)
		}
		remove := func(ctx context.Context, tx *sqldb.Tx) error { return w.room.RemoveGroup(ctx, tx, admin, g.ID) }
		t.Run("not while an enrollment link names it", func(t *testing.T) {
			w.do(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO links (id, tenant_id, name, code_hash, code_sealed, group_id, created_by, created_at, expires_at)
					VALUES ('l', 'tenant-1', 'l', 'h', ?, ?, 'x', 0, 0)`, []byte{1}, g.ID)
				return err
			})
			wantCode(t, w.try(remove), "group.in-use")
			wantList(t, "3b", w.in(g), a)
			w.do(func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM links`)
				return err
			})
		})
		w.do(remove)
		if _, err := w.room.Find(t.Context(), w.db, a); err != nil {
			t.Error(err)
		}
		wantCode(t, w.try(remove), "group.unknown")
	})
}

func TestThousandsOfDevicesAreAddedInOneGo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		g := w.group("all of them")
		ids := make([]string, 0, 1_201)
		w.do(func(ctx context.Context, tx *sqldb.Tx) error {
			for i := range cap(ids) {
				d, err := w.room.Ensure(ctx, tx, admin, "tenant-1", fmt.Sprintf("S%05d", i), "")
				if err != nil {
					return err
				}
				ids = append(ids, d.ID)
			}
			return w.room.AddToGroup(ctx, tx, admin, g.ID, ids...)
		})
		if got := w.in(g); len(got) != len(ids) {
			t.Errorf("%d in the group, want %d", len(got), len(ids))
		}
		of, err := w.room.GroupsOf(t.Context(), w.db, ids)
		if err != nil || len(of) != len(ids) {
			t.Errorf("%d devices have groups, %v", len(of), err)
		}
		if err := w.drop(g, ids...); err != nil || len(w.in(g)) != 0 {
			t.Errorf("%d left, %v", len(w.in(g)), err)
		}
	})
}
