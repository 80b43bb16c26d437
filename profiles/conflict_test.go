package profiles_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/profiles"
)

// uploadAs makes a profile of a tenant, or of the provider for "", with an identifier.
func (w *world) uploadAs(tenant, name, identifier, label string) {
	w.Helper()
	raw := []byte(strings.NewReplacer("IDENTIFIER", identifier, "LABEL", label).Replace(`<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>IDENTIFIER</string><key>PayloadUUID</key><string>A6A2C4D0-0000-4000-8000-000000000001</string>
<key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.webClip.managed</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>IDENTIFIER.1</string><key>PayloadUUID</key><string>A6A2C4D0-0000-4000-8000-000000000002</string>
<key>Label</key><string>LABEL</string><key>URL</key><string>https://example.org/</string></dict></array></dict></plist>`))
	w.do(func(tx *sqldb.Tx) error {
		_, err := w.room.AddProfile(w.Context(), tx, "user:test", tenant, name, raw)
		return err
	})
}

// settled has a tablet and the planning go on until nothing is sent but lists.
func (p *pad) settled() {
	p.w.Helper()
	for range 8 {
		p.w.plan()
		p.session()
		if !slices.ContainsFunc(p.took, func(r string) bool { return !strings.HasSuffix(r, "List") }) {
			return
		}
	}
	p.w.Fatalf("it goes on for ever: %v", p.took)
}

func (w *world) assignAs(tenant string, names ...string) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error {
		_, err := w.room.Assign(w.Context(), tx, "user:test", tenant, names, profiles.Scope{Kind: "tenant", ID: tenant})
		return err
	})
}

// move gives a device to another tenant.
func (w *world) move(id, tenant string) {
	w.Helper()
	w.do(func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(w.Context(), `UPDATE devices SET tenant_id = ? WHERE id = ?`, tenant, "d"+id); err != nil {
			return err
		}
		return w.room.Mark(w.Context(), tx, id)
	})
}

// twoTenants is a tablet of the first of two tenants, each of which has an own
// profile and an own app that are the same to an iPad.
func twoTenants(w *world) (p *pad, id string) {
	w.Helper()
	id = w.enrolled(1)[0]
	w.do(func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.Context(), `INSERT INTO tenants (id, code, name, created_at, updated_at) VALUES ('tenant-2', 'T2', 'Second', 0, 0)`)
		return err
	})
	for _, tenant := range []string{"tenant-1", "tenant-2"} {
		w.uploadAs(tenant, "base", "org.example.base", tenant)
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.AddApp(w.Context(), tx, "user:test", profiles.App{Name: "Keynote", TenantID: tenant, AdamID: "361285480", BundleID: "com.apple.Keynote"})
			return err
		})
		w.assignAs(tenant, "base", "Keynote")
	}
	p = w.pad(id)
	p.settled()
	return p, id
}

func TestWhatTheNextTenantWishesTooIsReplacedAndNeverRemovedInBetween(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, id := twoTenants(w)
		first := p.profiles["org.example.base"]
		w.move(id, "tenant-2")
		var took []string
		for range 6 {
			w.plan()
			p.session()
			took = append(took, p.took...)
		}
		if second := p.profiles["org.example.base"]; first == "" || second == "" || second == first {
			t.Errorf("the tablet has the profile %q, then %q", first, second)
		}
		if p.apps["com.apple.Keynote"] != "Managed" || slices.Contains(took, "RemoveApplication") || slices.Contains(took, "RemoveProfile") {
			t.Errorf("something was removed that is wished: %v", took)
		}
		p.settled()
	})
}

func TestARemovalOnItsWayIsTakenBackWhenTheSameIsWishedAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, id := twoTenants(w)
		w.do(func(tx *sqldb.Tx) error { // nobody wishes anything there for a moment
			_, err := w.room.Unassign(w.Context(), tx, "user:test", "tenant-1", []string{"base", "Keynote"}, profiles.Scope{Kind: "tenant", ID: "tenant-1"})
			return err
		})
		w.plan() // the removals are queued
		w.move(id, "tenant-2")
		var took []string
		for range 6 {
			w.plan()
			p.session()
			took = append(took, p.took...)
		}
		if slices.Contains(took, "RemoveApplication") || slices.Contains(took, "RemoveProfile") || p.apps["com.apple.Keynote"] == "" {
			t.Errorf("an old removal was handed over: %v", took)
		}
	})
}

func TestDataMadeUnderAnEarlierTenantIsKeptAtTheGateToo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, id := twoTenants(w)
		w.do(func(tx *sqldb.Tx) error {
			return w.room.SetHoldsData(t.Context(), tx, "user:test", "tenant-1", "Keynote", true)
		})
		w.move(id, "tenant-2")
		p.settled()
		second := profiles.Scope{Kind: "tenant", ID: "tenant-2"}
		plan := w.try(func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := w.room.Unassign(ctx, tx, "user:test", "tenant-2", []string{"Keynote"}, second)
			return err
		})
		if got := actions(plan); got["ask Keynote"] != 1 {
			t.Errorf("the plan: %v", got)
		}
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.Unassign(t.Context(), tx, "user:test", "tenant-2", []string{"Keynote"}, second)
			return err
		})
		var took []string
		for range 4 {
			w.plan()
			p.session()
			took = append(took, p.took...)
		}
		if slices.Contains(took, "RemoveApplication") {
			t.Fatalf("what was made with it is lost, and nobody confirmed that: %v", took)
		}
		// The gate knows it, and opens by the number.
		w.do(func(tx *sqldb.Tx) error {
			_, err := w.room.ConfirmRemoval(t.Context(), tx, "user:test", "tenant-2", "Keynote", 1, 0)
			return err
		})
		p.settled()
		if p.apps["com.apple.Keynote"] != "" {
			t.Error("it stays although its removal was confirmed")
		}
	})
}
