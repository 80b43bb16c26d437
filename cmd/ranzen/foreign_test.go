package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	kitlog "github.com/go-kit/kit/log"
	"github.com/micromdm/nanomdm/mdm"
	nanotest "github.com/micromdm/nanomdm/test/enrollment"
	"github.com/micromdm/nanomdm/test/protocol"
	"github.com/micromdm/plist"
	scepclient "github.com/micromdm/scep/v2/client"
	"github.com/micromdm/scep/v2/cryptoutil/x509util"
	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"crypto"
)

// enrolmentProfile is what a tablet reads in an enrollment profile.
type enrolmentProfile struct {
	PayloadContent []enrolmentPayload
}

type enrolmentPayload struct {
	PayloadType             string
	PayloadUUID             string
	ServerURL               string
	CheckInURL              string
	Topic                   string
	AccessRights            int
	SignMessage             bool
	CheckOutWhenRemoved     bool
	ServerCapabilities      []string
	IdentityCertificateUUID string
}

// scepPayload is the part of it that leads to an identity.
type scepPayload struct {
	URL       string
	Challenge string
}

// fetchProfile takes a link's profile as a tablet does. at replaces the public
// address with where the server really listens.
func fetchProfile(ctx context.Context, profileURL, at string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Replace(profileURL, publicURL, at, 1), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the profile was answered with %s", res.Status)
	}
	return body, nil
}

// readProfile opens a signed profile. Whether its signature can be trusted is
// openssl's business.
func readProfile(signed []byte) (p enrolmentProfile, s scepPayload, err error) {
	p7, err := pkcs7.Parse(signed)
	if err != nil {
		return p, s, err
	}
	if err := plist.Unmarshal(p7.Content, &p); err != nil {
		return p, s, err
	}
	// The SCEP payload's PayloadContent is a dictionary, the root's is data.
	var all struct{ PayloadContent []map[string]any }
	if err := plist.Unmarshal(p7.Content, &all); err != nil {
		return p, s, err
	}
	for _, c := range all.PayloadContent {
		if inner, ok := c["PayloadContent"].(map[string]any); ok && c["PayloadType"] == "com.apple.security.scep" {
			s.URL, _ = inner["URL"].(string)
			s.Challenge, _ = inner["Challenge"].(string)
		}
	}
	if s.Challenge == "" {
		return p, s, errors.New("the profile has no SCEP challenge")
	}
	return p, s, nil
}

// scepIdentity gets a certificate with micromdm/scep's client.
func scepIdentity(ctx context.Context, url, challenge string, key *rsa.PrivateKey) (*x509.Certificate, error) {
	client, err := scepclient.New(url, kitlog.NewNopLogger())
	if err != nil {
		return nil, err
	}
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{Subject: pkix.Name{CommonName: "anything"}, SignatureAlgorithm: x509.SHA256WithRSA},
		ChallengePassword:  challenge,
	}, key)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	self, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	raw, n, err := client.GetCACert(ctx, "")
	if err != nil {
		return nil, err
	}
	var cas []*x509.Certificate
	if n > 1 {
		cas, err = scep.CACerts(raw)
	} else {
		cas, err = x509.ParseCertificates(raw)
	}
	if err != nil {
		return nil, err
	}
	msg, err := scep.NewCSRRequest(csr, &scep.PKIMessage{
		MessageType: scep.PKCSReq, Recipients: cas, SignerKey: key, SignerCert: self,
		CSRReqMessage: &scep.CSRReqMessage{ChallengePassword: challenge},
	}, scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
	if err != nil {
		return nil, err
	}
	answer, err := client.PKIOperation(ctx, msg.Raw)
	if err != nil {
		return nil, err
	}
	rep, err := scep.ParsePKIMessage(answer, scep.WithCACerts(cas))
	if err != nil {
		return nil, err
	}
	if rep.PKIStatus != scep.SUCCESS {
		return nil, fmt.Errorf("SCEP failed: %s", rep.FailInfo)
	}
	if err := rep.DecryptPKIEnvelope(self, key); err != nil {
		return nil, err
	}
	return rep.CertRepMessage.Certificate, nil
}

func selfSigned(key *rsa.PrivateKey) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "SCEP SIGNER"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// foreign is a tablet of NanoMDM's test packages with an identity of ours.
type foreign struct {
	*nanotest.Enrollment
	key  *rsa.PrivateKey
	cert *x509.Certificate
	at   string // where the server listens now
}

// newForeign makes the tablet. It has a serial number and no identity yet.
func newForeign(topic string) (*foreign, error) {
	f := &foreign{}
	var err error
	if f.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	f.Enrollment, err = nanotest.NewRandomDeviceEnrollment(f, topic, publicURL+"/mdm/command", publicURL+"/mdm/checkin")
	return f, err
}

// Do signs anew: NanoMDM's tablet signs with a certificate that it made itself
// and offers no way to give it another.
func (f *foreign) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	t := protocol.NewTransport(protocol.WithSignMessage(), protocol.WithIdentityProvider(
		func(context.Context) (*x509.Certificate, crypto.PrivateKey, error) { return f.cert, f.key, nil }))
	sig, err := t.SignMessage(req.Context(), body)
	if err != nil {
		return nil, err
	}
	if _, err := base64.StdEncoding.DecodeString(sig); err != nil {
		return nil, err
	}
	again, err := http.NewRequestWithContext(req.Context(), req.Method, strings.Replace(req.URL.String(), publicURL, f.at, 1), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	again.Header = req.Header.Clone()
	again.Header.Set(protocol.MDMSignatureHeader, sig)
	return http.DefaultClient.Do(again)
}

// identify fetches the link's profile and an identity with its challenge.
func (f *foreign) identify(ctx context.Context, profileURL string) error {
	signed, err := fetchProfile(ctx, profileURL, f.at)
	if err != nil {
		return err
	}
	_, s, err := readProfile(signed)
	if err != nil {
		return err
	}
	f.cert, err = scepIdentity(ctx, strings.Replace(s.URL, publicURL, f.at, 1), s.Challenge, f.key)
	return err
}

// report sends a report and gives the next command; nil: there is none.
func (f *foreign) report(ctx context.Context, uuid, status string) (*mdm.Command, error) {
	b, err := plist.Marshal(&mdm.CommandResults{Enrollment: *f.GetEnrollment(), CommandUUID: uuid, Status: status})
	if err != nil {
		return nil, err
	}
	res, err := f.DoReportAndFetch(ctx, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the report %s was answered with %s", status, res.Status)
	}
	if len(body) == 0 {
		return nil, nil //nolint:nilnil // nothing waits
	}
	return mdm.DecodeCommand(body)
}
