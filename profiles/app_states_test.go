package profiles_test

import (
	"slices"
	"testing"
	"time"
)

// What an iPad says of an app leads to one state each, and to another try or none.
// Source: Apple, Device Management, "ManagedApplicationList" > Status.
func TestEveryStateOfAnAppLeadsSomewhere(t *testing.T) {
	for status, want := range map[string]string{
		"Managed": "installed",
		"Queued":  "acknowledged", "NeedsRedemption": "acknowledged", "Redeeming": "acknowledged", "Prompting": "acknowledged",
		"PromptingForLogin": "acknowledged", "PromptingForManagement": "acknowledged", "ValidatingPurchase": "acknowledged", "Installing": "acknowledged",
		"PromptingForUpdate": "acknowledged", "PromptingForUpdateLogin": "acknowledged", "ValidatingUpdate": "acknowledged", "Updating": "acknowledged",
		"Failed": "failed", "UserRejected": "failed", "UpdateRejected": "failed", "ManagementRejected": "failed",
		"UserInstalledApp": "sent", "ManagedButUninstalled": "sent", "Unknown": "sent", "SomethingNew": "sent",
	} {
		t.Run(status, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				id := w.enrolled(1)[0]
				p := w.pad(id)
				w.addApp("Keynote")
				w.assign(all, "Keynote")
				said := status
				p.answer = func(requestType string, _ map[string]any) map[string]any {
					if requestType == "ManagedApplicationList" {
						return map[string]any{"ManagedApplicationList": map[string]any{"com.apple.Keynote": map[string]any{"Status": said}}}
					}
					return nil
				}
				w.plan()
				p.session()
				if s, why := w.state(id, "app"); s != want || (s == "failed") != (why != "" && s != "acknowledged") {
					t.Errorf("it is %s %q, want %s", s, why, want)
				}
				said = "Managed" // in the end it goes well, whatever it said before
				for range 4 {
					w.clk.Forward(13 * time.Hour)
					w.plan()
					p.session()
				}
				if s, why := w.state(id, "app"); s != "installed" {
					t.Errorf("two days later it is %s %q", s, why)
				}
			})
		})
	}
}

// Source: Apple, Device Management, "InstallApplication" > RejectionReason.
func TestEveryRefusalOfAnAppLeadsSomewhere(t *testing.T) {
	for reason, want := range map[string]string{
		"AppAlreadyInstalled": "installed", "AppAlreadyQueued": "installed",
		"CouldNotVerifyAppID": "blocked", "PurchaseMethodNotSupported": "blocked", "PurchaseMethodNotSupportedInMultiUser": "blocked",
		"AppStoreDisabled": "blocked", "ManagementChangeNotSupported": "blocked", "NotAnApp": "blocked", "NotSupported": "blocked",
		"SomethingNew": "failed",
	} {
		t.Run(reason, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				id := w.enrolled(1)[0]
				p := w.pad(id)
				w.addApp("Keynote")
				w.assign(all, "Keynote")
				refuses := true
				p.answer = func(requestType string, _ map[string]any) map[string]any {
					if requestType != "InstallApplication" || !refuses {
						return nil
					}
					if want != "installed" {
						clear(p.apps)
					}
					return map[string]any{"Status": "Error", "RejectionReason": reason}
				}
				w.plan()
				p.session()
				if s, why := w.state(id, "app"); s != want || (why == "") != (want == "installed") {
					t.Errorf("it is %s %q, want %s", s, why, want)
				}
				refuses = false
				w.clk.Forward(2 * time.Minute)
				w.plan()
				p.session()
				if s, _ := w.state(id, "app"); s != "installed" {
					t.Errorf("tried again it is %s: %v", s, slices.Clone(p.took))
				}
			})
		})
	}
}
