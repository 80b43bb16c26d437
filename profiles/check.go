package profiles

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// checkProfile holds a profile to what Apple's documentation demands of all.
// Source: Apple, Device Management, "Top-level profile payload keys".
func checkProfile(doc map[string]any) error {
	if t, _ := doc["PayloadType"].(string); t != "Configuration" {
		return notProfile("its PayloadType is not Configuration")
	}
	if doc["EncryptedPayloadContent"] != nil {
		return fault.New(fault.Invalid, "profile.encrypted", "The profile is encrypted for one device. Upload the profile it was made of.")
	}
	if s, _ := doc["PayloadScope"].(string); s == "User" {
		return fault.New(fault.Invalid, "profile.scope", "The profile is for a person (PayloadScope User), which only Shared iPads have. Make it a profile for the device.")
	}
	if doc[builtMark] == nil {
		id, _ := doc["PayloadIdentifier"].(string)
		if strings.TrimSpace(id) == "" || len(id) > 255 || id != mdm.Clean(id) {
			return notProfile("it has no usable PayloadIdentifier")
		}
		if isEnrollment(id) {
			return fault.New(fault.Invalid, "profile.enrollment",
				"The file has the PayloadIdentifier %s, by which iPads know the profile that enrolls them: to take it away would end their management. Give it another identifier.", id).On("identifier")
		}
		if v, there := doc["PayloadDisplayName"]; there {
			if _, is := v.(string); !is {
				return notProfile("its PayloadDisplayName is not text")
			}
		}
	}
	list, ok := doc["PayloadContent"].([]any)
	if !ok || len(list) == 0 {
		return notProfile("it has no payloads (PayloadContent)")
	}
	seen := map[string]bool{}
	for i, v := range list {
		p, ok := v.(map[string]any)
		if !ok {
			return notProfile(fmt.Sprintf("payload %d is not a dictionary", i+1))
		}
		if err := checkPayload(i+1, p, doc[builtMark] != nil, seen); err != nil {
			return err
		}
	}
	return nil
}

// isEnrollment tells whether an iPad would take a profile for the one that enrolls it.
func isEnrollment(identifier string) bool {
	id := strings.ToLower(identifier)
	return id == mdm.EnrollmentIdentifier || strings.HasPrefix(id, mdm.EnrollmentIdentifier+".")
}

func checkPayload(n int, p map[string]any, built bool, seen map[string]bool) error {
	t, _ := p["PayloadType"].(string)
	switch {
	case strings.TrimSpace(t) == "" || t != mdm.Clean(t):
		return notProfile(fmt.Sprintf("payload %d has no PayloadType", n))
	case t == "com.apple.mdm" || t == "com.apple.security.scep" && strings.Contains(fmt.Sprint(p["PayloadIdentifier"]), "enrol"):
		return fault.New(fault.Invalid, "profile.enrollment", "The profile enrolls devices (payload %s). iPads enroll by a link: ranzen link create.", t)
	case built:
		return nil
	}
	if id, _ := p["PayloadIdentifier"].(string); strings.TrimSpace(id) == "" {
		return notProfile(fmt.Sprintf("payload %d (%s) has no PayloadIdentifier", n, t))
	}
	u, _ := p["PayloadUUID"].(string)
	if strings.TrimSpace(u) == "" {
		return notProfile(fmt.Sprintf("payload %d (%s) has no PayloadUUID", n, t))
	}
	if seen[strings.ToUpper(u)] {
		return fault.New(fault.Invalid, "profile.duplicate-uuid", "Two payloads of the profile have the PayloadUUID %s: iPads refuse that. Give each its own.", mdm.Clean(u))
	}
	seen[strings.ToUpper(u)] = true
	return nil
}

func payloadTypes(doc map[string]any) []string {
	out := []string{}
	list, _ := doc["PayloadContent"].([]any)
	for _, v := range list {
		if p, ok := v.(map[string]any); ok {
			t, _ := p["PayloadType"].(string)
			out = append(out, t)
		}
	}
	return out
}

// finishBuilt gives a built profile its identifiers. They are made of the
// profile's id, so that the next version replaces this one.
func finishBuilt(doc map[string]any, id, name string) {
	delete(doc, builtMark)
	doc["PayloadIdentifier"] = "ranzen.profile." + id
	doc["PayloadDisplayName"] = name
	doc["PayloadVersion"] = 1
	list, _ := doc["PayloadContent"].([]any)
	for i, v := range list {
		p, ok := v.(map[string]any)
		if !ok {
			continue
		}
		inner := fmt.Sprintf("ranzen.profile.%s.%d", id, i+1)
		p["PayloadIdentifier"] = inner
		if p["PayloadUUID"] == nil { // else another payload points to it
			p["PayloadUUID"] = strings.ToUpper(uuid.NewSHA1(uuid.NameSpaceURL, []byte(inner)).String())
		}
		p["PayloadVersion"] = 1
		if p["PayloadDisplayName"] == nil {
			p["PayloadDisplayName"] = name
		}
	}
}
