package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/smallstep/pkcs7"

	"ranzen/internal/apple/ade"
	"ranzen/internal/fault"
)

// maxP7M bounds what is looked at; a server token has 3 kB.
const maxP7M = 64 << 10

func (r *Room) adePair(row adeRow) (keyPair, error) {
	cert, err := x509.ParseCertificate(row.CertDER)
	if err != nil {
		return keyPair{}, fmt.Errorf("open the key %s for Apple: %w", row.ID, err)
	}
	plain, err := r.vault.Open("ade.key:"+row.ID, row.KeySealed)
	if err != nil {
		return keyPair{}, err
	}
	key, err := parseKey(plain)
	if err != nil {
		return keyPair{}, fmt.Errorf("open the key %s for Apple: %w", row.ID, err)
	}
	return keyPair{cert, key}, nil
}

// readP7M finds the EnvelopedData in a file: S/MIME as Apple writes it (RFC 8551,
// 3.3), or DER or PEM as mail programs and tools leave it. A file of another kind
// is named.
func readP7M(file []byte) (envelope []byte, err error) {
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimSpace(file)
	switch {
	case len(trimmed) == 0:
		return nil, wrongP7M("empty")
	case len(file) > maxP7M:
		return nil, wrongP7M(describeP7M(file[:4096], "longer than any server token"))
	}
	if block, _ := pem.Decode(trimmed); block != nil {
		if block.Type == "PKCS7" || block.Type == "CMS" {
			return block.Bytes, nil
		}
		return nil, wrongP7M(describePEM(block))
	}
	if trimmed[0] == 0x30 {
		return file, isEnvelope(file)
	}
	head, body, found := bytes.Cut(bytes.ReplaceAll(trimmed, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	if !found || !bytes.Contains(bytes.ToLower(head), []byte("pkcs7-mime")) {
		return nil, wrongP7M(describeP7M(trimmed, "neither S/MIME nor DER"))
	}
	text := strings.Map(func(c rune) rune {
		if c == '\n' || c == '\r' || c == ' ' || c == '\t' {
			return -1
		}
		return c
	}, string(body))
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, wrongP7M("a server token that was damaged on its way; download it again")
	}
	return der, isEnvelope(der)
}

// isEnvelope looks at the outermost kind only.
func isEnvelope(der []byte) error {
	if b, err := definite(der); err == nil {
		der = b
	}
	var outer struct {
		Type asn1.ObjectIdentifier
		Rest asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		if cert, err := x509.ParseCertificate(der); err == nil {
			return wrongP7M(describeCertificate(cert))
		}
		return wrongP7M("a damaged or unknown binary file")
	}
	switch {
	case outer.Type.Equal(pkcs7.OIDEnvelopedData):
		return nil
	case outer.Type.Equal(pkcs7.OIDSignedData):
		return wrongP7M("a signed file, perhaps a configuration profile, but not an encrypted one")
	}
	return wrongP7M("a PKCS #7 file of another kind")
}

func wrongP7M(what string) *fault.Fault {
	return fault.New(fault.Invalid, "ade.wrong-file",
		"The file given as server token is %s. Use the .p7m file that Apple School Manager offers under the MDM server as \"Download Token\".", what).On("file")
}

func describePEM(block *pem.Block) string {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return "a private key"
	case strings.HasSuffix(block.Type, "CERTIFICATE REQUEST"):
		return "a certificate request"
	case block.Type == "CERTIFICATE":
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			return describeCertificate(cert)
		}
		return "a damaged certificate"
	}
	return "a PEM file of another kind"
}

func describeCertificate(cert *x509.Certificate) string {
	if _, err := topicOf(cert); err == nil {
		return "the MDM push certificate, which is imported with `ranzen push-cert import`"
	}
	if !cert.IsCA && strings.HasPrefix(cert.Subject.CommonName, "Ranzen ") && len(cert.Subject.Organization) == 1 && cert.Subject.Organization[0] == "Ranzen" {
		return "the certificate that is uploaded to Apple School Manager; what is needed is the token that is downloaded after that"
	}
	return "a certificate"
}

func describeP7M(b []byte, otherwise string) string {
	head := b[:min(len(b), 4096)]
	first, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "a ZIP archive or an Excel file; unpack it first if the token is inside"
	case bytes.HasPrefix(head, []byte("bplist")) || bytes.Contains(head, []byte("<plist")):
		return "a configuration profile (.mobileconfig) or another property list"
	case bytes.Contains(head, []byte("consumer_secret")):
		return "a server token that was decrypted already; import the .p7m file itself"
	case bytes.HasPrefix(head, []byte("%PDF")):
		return "a PDF document"
	case bytes.Contains(bytes.ToLower(head), []byte("<html")):
		return "a web page, perhaps that of a sign-in"
	}
	if text, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b))); err == nil && json.Valid(text) {
		return "a content token of Apps and Books (.vpptoken)"
	}
	if bytes.Contains(head, []byte(`"orgName"`)) && bytes.Contains(head, []byte(`"token"`)) {
		return "a content token of Apps and Books"
	}
	if utf8.Valid(head) && (bytes.Count(first, []byte(",")) >= 2 || bytes.Count(first, []byte(";")) >= 2 || bytes.Count(first, []byte("\t")) >= 2) {
		return "a table (CSV), perhaps a list of devices, which is imported with `ranzen import devices`"
	}
	return otherwise
}

// readToken reads what was encrypted: a MIME part with the token as JSON between
// two lines of armor (Apple, Device Management, "Authenticating with a device
// assignment server token"). What is wrong with it is never quoted.
func readToken(plain []byte) (ade.Token, error) {
	bad := fault.New(fault.Invalid, "ade.damaged",
		"The server token was decrypted, but what is inside is none. Download it again in Apple School Manager.").On("file")
	begin, end := bytes.IndexByte(plain, '{'), bytes.LastIndexByte(plain, '}')
	if begin < 0 || end < begin {
		return ade.Token{}, bad
	}
	var doc struct {
		ConsumerKey    string `json:"consumer_key"`
		ConsumerSecret string `json:"consumer_secret"`
		AccessToken    string `json:"access_token"`
		AccessSecret   string `json:"access_secret"`
		Expiry         string `json:"access_token_expiry"`
	}
	// Long lines are broken, also inside of strings.
	text := bytes.ReplaceAll(bytes.ReplaceAll(plain[begin:end+1], []byte("\r"), nil), []byte("\n"), nil)
	if json.Unmarshal(text, &doc) != nil {
		return ade.Token{}, bad
	}
	expiry, err := time.Parse(time.RFC3339, doc.Expiry)
	if err != nil || doc.ConsumerKey == "" || doc.ConsumerSecret == "" || doc.AccessToken == "" || doc.AccessSecret == "" {
		return ade.Token{}, bad
	}
	return storedToken{doc.ConsumerKey, doc.ConsumerSecret, doc.AccessToken, doc.AccessSecret, expiry}.token(), nil
}
