package enroll

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ranzen/certs"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// accessRights is all of Apple's: 1 to 4096. A renewed profile may have fewer,
// never more (Apple, Device Management, MDM > AccessRights), so it begins with
// all.
const accessRights = 8191

// Identifiers of the enrollment profile and its payloads. An iPad replaces what
// has the same identifier and refuses an update with another one, so they never
// change: not with a release, not with the organization's name.
const (
	profileIdentifier = mdm.EnrollmentIdentifier
	rootIdentifier    = profileIdentifier + ".root"
	scepIdentifier    = profileIdentifier + ".scep"
	mdmIdentifier     = profileIdentifier + ".mdm"
)

// plan is what is the same in every enrollment profile of a server.
type plan struct {
	publicURL, organization                  string
	profileUUID, rootUUID, scepUUID, mdmUUID string
}

// newPlan derives the UUIDs from the public address, which never changes either:
// another process, or this one after a restore, makes the same.
func newPlan(publicURL, organization string) plan {
	id := func(name string) string {
		return uuid.NewSHA1(uuid.NameSpaceURL, []byte(publicURL+"#"+name)).String()
	}
	return plan{
		publicURL: publicURL, organization: organization,
		profileUUID: id(profileIdentifier), rootUUID: id(rootIdentifier), scepUUID: id(scepIdentifier), mdmUUID: id(mdmIdentifier),
	}
}

// The structs below are Apple's payloads: Device Management, "Profiles", TopLevel,
// MDM, SCEP and CertificateRoot. The order of their fields is that of the golden
// file.
type profilePayload struct {
	PayloadContent      []any
	PayloadDescription  string
	PayloadDisplayName  string
	PayloadIdentifier   string
	PayloadOrganization string `plist:",omitempty"`
	PayloadScope        string
	PayloadType         string
	PayloadUUID         string
	PayloadVersion      int
}

type rootPayload struct {
	PayloadCertificateFileName string
	PayloadContent             []byte
	PayloadDescription         string
	PayloadDisplayName         string
	PayloadIdentifier          string
	PayloadType                string
	PayloadUUID                string
	PayloadVersion             int
}

type scepPayload struct {
	PayloadContent     scepContent
	PayloadDescription string
	PayloadDisplayName string
	PayloadIdentifier  string
	PayloadType        string
	PayloadUUID        string
	PayloadVersion     int
}

// scepContent leaves out CAFingerprint: GetCACert gives several certificates,
// Apple does not say which of them is meant, and a wrong guess ends every
// enrollment. TLS protects the answer.
type scepContent struct {
	Challenge  string
	KeyType    string `plist:"Key Type"`
	KeyUsage   int    `plist:"Key Usage"`
	Keysize    int
	Name       string
	Retries    int
	RetryDelay int
	Subject    [][][]string
	URL        string
}

type mdmPayload struct {
	AccessRights            int
	CheckInURL              string
	CheckOutWhenRemoved     bool
	IdentityCertificateUUID string
	PayloadDescription      string
	PayloadDisplayName      string
	PayloadIdentifier       string
	PayloadType             string
	PayloadUUID             string
	PayloadVersion          int
	ServerCapabilities      []string
	ServerURL               string
	SignMessage             bool
	Topic                   string
}

// profile writes the enrollment profile. Only the challenge differs between two
// of them. ServerURL and CheckInURL carry no query: an iPad compares them letter
// by letter when a renewal comes, and refuses it when they differ (pain 13).
func (p plan) profile(root []byte, topic, challenge string) ([]byte, error) {
	title := "Device management"
	if p.organization != "" {
		title = "Device management, " + p.organization
	}
	return mdm.Encode(profilePayload{
		PayloadContent: []any{
			rootPayload{
				PayloadCertificateFileName: "root.cer", PayloadContent: root,
				PayloadDescription: "Lets the device trust its management server.", PayloadDisplayName: "Certificate authority",
				PayloadIdentifier: rootIdentifier, PayloadType: "com.apple.security.root", PayloadUUID: p.rootUUID, PayloadVersion: 1,
			},
			scepPayload{
				PayloadContent: scepContent{
					// Sign and encipher; iPads do SCEP with RSA keys only.
					Challenge: challenge, KeyType: "RSA", KeyUsage: 5, Keysize: 2048, Name: "Ranzen",
					Retries: 5, RetryDelay: 10, URL: p.publicURL + "/scep",
					// The CA writes its own subject; this one is for the key chain until then.
					Subject: [][][]string{{{"CN", "Device identity"}}},
				},
				PayloadDescription: "Gives the device its identity.", PayloadDisplayName: "Device identity",
				PayloadIdentifier: scepIdentifier, PayloadType: "com.apple.security.scep", PayloadUUID: p.scepUUID, PayloadVersion: 1,
			},
			mdmPayload{
				AccessRights: accessRights, CheckInURL: p.publicURL + "/mdm/checkin", CheckOutWhenRemoved: true,
				IdentityCertificateUUID: p.scepUUID,
				PayloadDescription:      "Lets the school manage the device.", PayloadDisplayName: "Management",
				PayloadIdentifier: mdmIdentifier, PayloadType: "com.apple.mdm", PayloadUUID: p.mdmUUID, PayloadVersion: 1,
				ServerCapabilities: []string{"com.apple.mdm.bootstraptoken"}, ServerURL: p.publicURL + "/mdm/command",
				SignMessage: true, Topic: topic,
			},
		},
		PayloadDescription: "Puts this device under the management of the school.", PayloadDisplayName: title,
		PayloadIdentifier: profileIdentifier, PayloadOrganization: p.organization, PayloadScope: "System",
		PayloadType: "Configuration", PayloadUUID: p.profileUUID, PayloadVersion: 1,
	})
}

// Profile gives the enrollment profile of a link, signed, with a challenge of
// its own. It counts for nothing until the tablet has enrolled.
func (r *Room) Profile(ctx context.Context, tx *sqldb.Tx, code string) ([]byte, error) {
	l, err := r.OpenLink(ctx, tx, code)
	if err != nil {
		return nil, err
	}
	topic, _, err := r.Certs.Topic(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("write an enrollment profile: %w", err)
	}
	return r.signedProfile(ctx, tx, topic, certs.Grant{
		Purpose: certs.Enroll, EnrollmentID: sqldb.NewID(), LinkID: l.ID, TTL: fetchTTL,
	})
}

func (r *Room) signedProfile(ctx context.Context, tx *sqldb.Tx, topic string, g certs.Grant) ([]byte, error) {
	challenge, err := r.Certs.NewChallenge(ctx, tx, g)
	if err != nil {
		return nil, fmt.Errorf("write an enrollment profile: %w", err)
	}
	plain, err := r.plan.profile(r.Certs.Root().Raw, topic, challenge.Open())
	if err != nil {
		return nil, fmt.Errorf("write an enrollment profile: %w", err)
	}
	signed, err := r.Certs.SignCMS(plain)
	if err != nil {
		return nil, fmt.Errorf("sign an enrollment profile: %w", err)
	}
	return signed, nil
}

// returnTTL is how long the profile inside an erase order works: the tablet
// erases itself at once, but may wait for a Wi-Fi that is off over a weekend.
const returnTTL = 72 * time.Hour

// returnProfile is the enrollment profile that a tablet installs by itself after
// it was erased. Its challenge is bound to this enrollment, so that the profile
// enrolls no other tablet.
func (r *Room) returnProfile(ctx context.Context, tx *sqldb.Tx, e Enrollment) ([]byte, error) {
	topic, _, err := r.Certs.Topic(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("write an enrollment profile: %w", err)
	}
	return r.signedProfile(ctx, tx, topic, certs.Grant{
		Purpose: certs.Enroll, EnrollmentID: e.ID, Generation: e.Generation, TTL: returnTTL,
	})
}

func otherDevice() *fault.Fault {
	return fault.New(fault.Invalid, "checkin.other-device", "The certificate belongs to another device.")
}
