package tablet_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	nanolog "github.com/micromdm/nanolib/log"
	"github.com/micromdm/nanomdm/cryptoutil"
	httpmdm "github.com/micromdm/nanomdm/http/mdm"
	"github.com/micromdm/nanomdm/mdm"
	"github.com/micromdm/nanomdm/service/certauth"
	"github.com/micromdm/nanomdm/service/nanomdm"
	"github.com/micromdm/nanomdm/storage/inmem"
	"github.com/micromdm/plist"

	"ranzen/internal/sim/tablet"
)

// TestATabletLivesWithNanoMDM: a server of others, with one address for both
// kinds of message, its own check of the identity, and an unsigned profile.
func TestATabletLivesWithNanoMDM(t *testing.T) {
	store := inmem.New()
	var handler http.Handler = httpmdm.CheckinAndCommandHandler(certauth.New(nanomdm.New(store), store), nanolog.NopLogger)
	handler = httpmdm.CertExtractMdmSignatureMiddleware(handler, httpmdm.MdmSignatureVerifierFunc(cryptoutil.VerifyMdmSignature))
	nano := httptest.NewServer(handler)
	t.Cleanup(nano.Close)
	s := newSchool(t) // for SCEP and the profile
	s.signed = false
	s.change = func(p map[string]any) {
		m := mdmOf(p)
		m["ServerURL"] = nano.URL + "/mdm"
		delete(m, "CheckInURL")
	}
	x := enrolled(t, s, nil)
	b, err := plist.Marshal(map[string]any{"CommandUUID": "one", "Command": map[string]any{
		"RequestType": "InstallProfile", "Payload": wifi(t, "net", "Schule"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := mdm.DecodeCommand(b)
	if err != nil {
		t.Fatal(err)
	}
	if failed, err := store.EnqueueCommand(t.Context(), []string{x.UDID()}, c); err != nil || len(failed) > 0 {
		t.Fatalf("enqueue: %v %v", failed, err)
	}
	if err := x.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := x.State(); len(got.WiFi) != 1 || len(got.Log) != 1 {
		t.Errorf("state %+v", got)
	}
	if err := x.Poll(t.Context()); err != nil || len(x.State().Log) != 1 {
		t.Errorf("the answered command came again: %v", err)
	}
	// Another tablet with this one's identity is refused, and stays enrolled.
	thief := boxed(t, func(c *tablet.Config) { c.Index = 3 })
	if err := thief.Restore(t.Context(), x.Backup()); err == nil {
		t.Error("another tablet's identity was taken")
	}
	if err := x.RemoveManagement(t.Context()); err != nil {
		t.Error(err)
	}
}
