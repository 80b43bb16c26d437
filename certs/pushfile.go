package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"regexp"
	"strings"

	"ranzen/internal/fault"
)

// topicPrefix begins every topic of an MDM push certificate.
const topicPrefix = "com.apple.mgmt.External."

var topicForm = regexp.MustCompile(`^com\.apple\.mgmt\.External\.[0-9A-Za-z-]{1,64}$`)

// maxPushFile bounds what is looked at; a certificate with its chain has 6 kB.
const maxPushFile = 256 << 10

// topicOf reads the topic: the UID in the certificate's subject (Apple, Device
// Management, Setting up push notifications).
func topicOf(leaf *x509.Certificate) (string, error) {
	uid := ""
	for _, n := range leaf.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}) {
			uid = s
		}
	}
	switch {
	case topicForm.MatchString(uid):
		return uid, nil
	case strings.HasPrefix(leaf.Subject.CommonName, "MDM Vendor"):
		return "", wrongFile("an MDM vendor certificate, which signs requests for push certificates")
	case uid != "":
		return "", wrongFile("the push certificate of an app, not of an MDM server")
	case leaf.IsCA:
		return "", wrongFile("the certificate of an authority")
	}
	return "", wrongFile("a certificate, but not one for MDM push: its subject has no UID com.apple.mgmt.External.…")
}

func wrongFile(what string) *fault.Fault {
	return fault.New(fault.Invalid, "push-cert.wrong-file",
		"The file given as push certificate is %s. Use the file that identity.apple.com offers for download, MDM_….pem.", what).On("cert")
}

// readPushCertificate reads PEM or DER. The certificate comes first; more may
// follow as its chain. A wrong file is named, since all of Apple's portals give
// out files that look alike.
func readPushCertificate(b []byte) (leaf *x509.Certificate, chainPEM []byte, err error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil, wrongFile("empty")
	}
	if len(b) > maxPushFile {
		return nil, nil, wrongFile("too long to be a certificate")
	}
	if leaf, err := x509.ParseCertificate(b); err == nil {
		return leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}), nil
	}
	other := ""
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = block.Type
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, wrongFile("a damaged certificate").With(err)
		}
		if leaf == nil {
			leaf = cert
		}
		chainPEM = append(chainPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})...)
	}
	if leaf == nil {
		return nil, nil, wrongFile(describe(b, other))
	}
	return leaf, chainPEM, nil
}

// describe says what a file is that holds no certificate.
func describe(b []byte, pemType string) string {
	switch {
	case strings.HasSuffix(pemType, "PRIVATE KEY"):
		return "a private key; give it as the key, and the certificate as the certificate"
	case strings.HasSuffix(pemType, "CERTIFICATE REQUEST"):
		return "a certificate request, which Apple answers with the certificate once an MDM vendor has signed it"
	case pemType == "PKCS7" || pemType == "CMS":
		return "a PKCS #7 file"
	case pemType == "PUBLIC KEY":
		return "a public key"
	case pemType != "":
		return "a PEM file without a certificate in it"
	}
	head := b[:min(len(b), 4096)]
	var pfx struct {
		Version int
		Rest    asn1.RawValue
		Mac     asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(b, &pfx); err == nil && pfx.Version == 3 {
		return "a PKCS #12 file (.p12, .pfx); convert it with: openssl pkcs12 -in FILE -nodes -out push.pem"
	}
	if _, err := x509.ParseCertificateRequest(b); err == nil {
		return "a certificate request, which Apple answers with the certificate once an MDM vendor has signed it"
	}
	switch {
	case bytes.Contains(head, []byte("application/pkcs7-mime")) || bytes.Contains(head, []byte("BEGIN MESSAGE")):
		return "a server token of Apple School Manager (.p7m), which belongs to automated enrollment"
	case bytes.Contains(head, []byte("consumer_secret")):
		return "a decrypted server token of Apple School Manager, which belongs to automated enrollment"
	case bytes.Contains(head, []byte("<plist")) || bytes.HasPrefix(head, []byte("bplist")):
		return "a property list, perhaps the signed request that is uploaded to identity.apple.com"
	}
	text, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
	switch {
	case err != nil:
		return "neither PEM nor DER"
	case bytes.Contains(text, []byte("<plist")):
		return "the signed request that is uploaded to identity.apple.com; what is needed is the certificate that comes back"
	case json.Valid(text):
		return "a content token of Apps and Books"
	}
	return "neither PEM nor DER"
}

// readPushKey reads an unencrypted private key: PKCS #8, PKCS #1 or SEC 1.
func readPushKey(b []byte) (crypto.Signer, error) {
	bad := func(what string) *fault.Fault {
		return fault.New(fault.Invalid, "push-cert.wrong-key", "The file given as the push certificate's key is %s.", what).On("key")
	}
	if len(b) > maxPushFile {
		return nil, bad("too long to be a key")
	}
	other := ""
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, bad("protected with a password; take it off with: openssl pkey -in FILE -out push.key")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			key, err := anyKey(block.Bytes)
			if err != nil {
				return nil, bad("damaged or of an unknown kind")
			}
			return key, nil
		}
		other = block.Type
	}
	if key, err := anyKey(b); err == nil {
		return key, nil
	}
	if other == "CERTIFICATE" {
		return nil, bad("a certificate; give the private key that belongs to it")
	}
	return nil, bad("no private key in PEM")
}

// anyKey never says why it fails: parsers quote what they read.
func anyKey(der []byte) (crypto.Signer, error) {
	if key, err := parseKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errMalformed
}
