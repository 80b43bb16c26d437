package profiles

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// Education is a class of Apple's Classroom app, by the slots of its cart: no
// child has a name there. The teacher's iPad gets it as the leader, the others as
// members.
type Education struct {
	Organization string `json:"organization" maxLength:"200" doc:"Name of the school"`
	Class        string `json:"class" maxLength:"100"`
	Leader       string `json:"leader" maxLength:"100" doc:"How the teacher is called there"`
	Role         string `json:"role" enum:"leader,member" doc:"Whose iPads get the profile"`
	Slots        int64  `json:"slots" minimum:"1" maximum:"99" doc:"How many slots the cart has: $SLOT of a device says which member it is"`
	Beacon       int64  `json:"beacon,omitempty" minimum:"0" maximum:"65535" doc:"A number of the class that is its own in the school. Default: 1"`
}

// BuildEducation makes a profile of a class. Identities come from the CA of this
// server; leaders trust members by it, and the other way round.
// Source: Apple, Device Management, "EducationConfiguration".
func (r *Room) BuildEducation(e Education) ([]byte, error) {
	for _, f := range []struct {
		field, text string
		most        int
	}{{"organization", e.Organization, 200}, {"class", e.Class, 100}, {"leader", e.Leader, 100}} {
		if !clean(f.text, f.most) || strings.Contains(f.text, "$") {
			return nil, fault.New(fault.Invalid, "education.text", "%s has 1 to %d characters, and no variable.", f.field, f.most).On(f.field)
		}
	}
	switch {
	case e.Role != "leader" && e.Role != "member":
		return nil, fault.New(fault.Invalid, "education.role", "The role is leader or member, not %q.", mdm.Clean(e.Role)).On("role")
	case e.Slots < 1 || e.Slots > 99:
		return nil, fault.New(fault.Invalid, "education.slots", "A class has 1 to 99 slots, not %d.", e.Slots).On("slots")
	case e.Beacon < 0 || e.Beacon > 65535:
		return nil, fault.New(fault.Invalid, "education.beacon", "The number of a class is 1 to 65535.").On("beacon")
	}
	const leader, slot = "leader", "slot-"
	users, members := []any{map[string]any{"Identifier": leader, "Name": e.Leader}}, []any{}
	for n := range e.Slots {
		id := fmt.Sprint(slot, n+1)
		users = append(users, map[string]any{"Identifier": id, "Name": fmt.Sprintf("%02d", n+1)})
		members = append(members, id)
	}
	identity, root := pointer("education "+e.Role), pointer(string(r.Certs.Root().Raw))
	p := map[string]any{
		"PayloadType": "com.apple.education", "OrganizationName": e.Organization, "PayloadCertificateUUID": identity,
		"OrganizationUUID": strings.ToUpper(uuid.NewSHA1(uuid.NameSpaceURL, []byte("ranzen:organization:"+e.Organization)).String()),
		"Users":            users,
		"Groups":           []any{map[string]any{"BeaconID": max(e.Beacon, 1), "Name": e.Class, "LeaderIdentifiers": []any{leader}, "MemberIdentifiers": members}},
	}
	if e.Role == leader {
		p["UserIdentifier"], p["MemberPayloadCertificateAnchorUUID"] = leader, []any{root}
	} else {
		p["UserIdentifier"], p["LeaderPayloadCertificateAnchorUUID"] = slot+"$"+varSlot, []any{root}
	}
	return mdm.Encode(map[string]any{builtMark: true, "PayloadType": "Configuration", "PayloadContent": []any{
		r.identity(identity, e.Role), anchor(root, r.Certs.Root().Raw, "Certificate authority of the class"), p,
	}})
}
