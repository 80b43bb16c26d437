package enroll_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"ranzen/certs"
	"ranzen/enroll"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
)

var errUndo = errors.New("undo")

// FuzzCheckIn gives the room messages of any content, under an identity that is
// pinned and one that was only issued. Whatever they say, the answer is a reply
// or a fault that the door can turn into a 4xx; never a 500.
func FuzzCheckIn(f *testing.F) {
	w := newWorld(f, sqldbtest.SQLite(f))
	d, _ := w.enrolled(1)
	fresh := w.tablet(2)
	fresh.fetch(w.link(enroll.LinkSpec{}))
	ids := make([]certs.Identity, 0, 2)
	for _, x := range []*tablet{d, fresh} {
		id, err := w.certs.Lookup(f.Context(), w.db, x.hash)
		if err != nil {
			f.Fatal(err)
		}
		ids = append(ids, id)
	}
	seed := func(m *mdm.CheckIn) {
		for _, pinned := range []bool{true, false} {
			f.Add(pinned, m.MessageType, m.UDID, m.UserID, m.SerialNumber, m.Topic, m.OSVersion, m.Model, m.Endpoint, m.PushMagic, m.Token, m.AwaitingConfiguration)
		}
	}
	for _, x := range []*tablet{d, fresh} {
		seed(x.authenticate())
		seed(x.tokenUpdate())
		seed(x.checkOut())
		for _, kind := range []string{"SetBootstrapToken", "GetBootstrapToken", "ReturnToService", "GetToken", "UserAuthenticate"} {
			seed(&mdm.CheckIn{MessageType: kind, UDID: x.udid})
		}
		seed(&mdm.CheckIn{MessageType: "DeclarativeManagement", UDID: x.udid, Endpoint: "declaration/asset/\xff"})
	}
	seed(&mdm.CheckIn{MessageType: "Authenticate", UDID: "a\x00b", SerialNumber: "\xff\xfe", Topic: d.topic(), OSVersion: "\x00"})
	seed(&mdm.CheckIn{MessageType: "Authenticate", UDID: "new", SerialNumber: "NEW1", Topic: d.topic(), OSVersion: "1\xc3\x28", Model: "\x00"})
	f.Fuzz(func(t *testing.T, pinned bool, kind, udid, user, serial, topic, version, model, endpoint, magic string, token []byte, awaiting bool) {
		m := &mdm.CheckIn{
			MessageType: kind, UDID: udid, UserID: user, SerialNumber: serial, Topic: topic, OSVersion: version, BuildVersion: model,
			Model: model, ProductName: version, DeviceName: "iPad von Lena Beispiel", Endpoint: endpoint, PushMagic: magic, Token: token,
			UnlockToken: token, BootstrapToken: token, AwaitingConfiguration: awaiting,
		}
		id := ids[1]
		if pinned {
			id = ids[0]
		}
		err := w.db.Do(t.Context(), func(tx *sqldb.Tx) error {
			reply, err := w.enroll.CheckIn(t.Context(), tx, id, m)
			if err != nil {
				return err
			}
			if bytes.HasPrefix(reply, []byte("{")) && !json.Valid(reply) {
				t.Errorf("the reply is no JSON: %s", reply)
			}
			return errUndo
		})
		if f, is := fault.Of(err); !errors.Is(err, errUndo) && (!is || f.Kind == fault.Internal || f.Kind == fault.Upstream || f.Kind == fault.SignIn) {
			t.Errorf("%+v: %v", m, err)
		}
	})
}
