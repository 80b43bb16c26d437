package profiles_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"ranzen/internal/sqldb"
)

// What an iPad says of an app leads to one state each, and to another try or none.
// Source: Apple, Device Management, "ManagedApplicationList" > Status.
func TestEveryStateOfAnAppLeadsSomewhere(t *testing.T) {
	states := map[string]string{
		"Managed": "installed",
		"Queued":  "acknowledged", "NeedsRedemption": "acknowledged", "Redeeming": "acknowledged", "Prompting": "acknowledged",
		"PromptingForLogin": "acknowledged", "PromptingForManagement": "acknowledged", "ValidatingPurchase": "acknowledged", "Installing": "acknowledged",
		"PromptingForUpdate": "acknowledged", "PromptingForUpdateLogin": "acknowledged", "ValidatingUpdate": "acknowledged", "Updating": "acknowledged",
		"Failed": "failed", "UserRejected": "failed", "UpdateRejected": "failed", "ManagementRejected": "failed",
		"UserInstalledApp": "sent", "ManagedButUninstalled": "sent", "Unknown": "sent", "SomethingNew": "sent",
	}
	each(t, func(t *testing.T, w *world) {
		w.addApp("Keynote")
		w.assign(all, "Keynote")
		ids := w.enrolled(len(states))
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, ids...) })
		w.plan()
		pads, said := map[string]*pad{}, map[string]string{}
		for _, status := range slices.Sorted(maps.Keys(states)) {
			p := w.pad(ids[len(pads)])
			pads[status], said[status] = p, status
			p.answer = func(requestType string, _ map[string]any) map[string]any {
				if requestType == "ManagedApplicationList" {
					return map[string]any{"ManagedApplicationList": map[string]any{"com.apple.Keynote": map[string]any{"Status": said[status]}}}
				}
				return nil
			}
			p.session()
			if s, why := w.state(p.id, "app"); s != states[status] || s == "failed" && why == "" {
				t.Errorf("%s: it is %s %q, want %s", status, s, why, states[status])
			}
			said[status] = "Managed" // in the end it goes well, whatever it said before
		}
		for range 4 {
			w.clk.Forward(13 * time.Hour)
			w.plan()
			for _, p := range pads {
				p.session()
			}
		}
		for status, p := range pads {
			if s, why := w.state(p.id, "app"); s != "installed" {
				t.Errorf("%s: two days later it is %s %q", status, s, why)
			}
		}
	})
}

// Source: Apple, Device Management, "InstallApplication" > RejectionReason.
func TestEveryRefusalOfAnAppLeadsSomewhere(t *testing.T) {
	refusals := map[string]string{
		"AppAlreadyInstalled": "installed", "AppAlreadyQueued": "installed",
		"CouldNotVerifyAppID": "blocked", "PurchaseMethodNotSupported": "blocked", "PurchaseMethodNotSupportedInMultiUser": "blocked",
		"AppStoreDisabled": "blocked", "ManagementChangeNotSupported": "blocked", "NotAnApp": "blocked", "NotSupported": "blocked",
		"SomethingNew": "failed",
	}
	each(t, func(t *testing.T, w *world) {
		w.addApp("Keynote")
		w.assign(all, "Keynote")
		ids := w.enrolled(len(refusals))
		w.do(func(tx *sqldb.Tx) error { return w.room.Mark(t.Context(), tx, ids...) })
		w.plan()
		pads, refuses := map[string]*pad{}, true
		for _, reason := range slices.Sorted(maps.Keys(refusals)) {
			p, want := w.pad(ids[len(pads)]), refusals[reason]
			pads[reason] = p
			p.answer = func(requestType string, _ map[string]any) map[string]any {
				if requestType != "InstallApplication" || !refuses {
					return nil
				}
				if want != "installed" {
					clear(p.apps)
				}
				return map[string]any{"Status": "Error", "RejectionReason": reason}
			}
			p.session()
			if s, why := w.state(p.id, "app"); s != want || (why == "") != (want == "installed") {
				t.Errorf("%s: it is %s %q, want %s", reason, s, why, want)
			}
		}
		refuses = false
		w.clk.Forward(2 * time.Minute)
		w.plan()
		for reason, p := range pads {
			p.session()
			if s, _ := w.state(p.id, "app"); s != "installed" {
				t.Errorf("%s: tried again it is %s: %v", reason, s, p.took)
			}
		}
	})
}
