package profiles

import (
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/google/uuid"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// EAPTLS has each iPad join a network with a certificate of its own, from the CA
// of this server.
type EAPTLS struct {
	Anchors     [][]byte // certificates of the RADIUS servers' CAs, PEM or DER; none: our own root
	ServerNames []string // in the certificates of the RADIUS servers
}

// buildEAPTLS makes a profile of the network, the SCEP payload by which each iPad
// gets its certificate, and the anchors that it trusts there.
// Source: Apple, Device Management, "WiFi" > EAPClientConfiguration, "SCEP".
func (r *Room) buildEAPTLS(wifi map[string]any, kind string, e EAPTLS) ([]byte, error) {
	anchors, err := r.anchors(e.Anchors)
	if err != nil {
		return nil, err
	}
	names := []any{}
	for _, n := range e.ServerNames {
		if n == "" || len(n) > 255 || n != mdm.Clean(n) || strings.ContainsAny(n, " /$") {
			return nil, fault.New(fault.Invalid, "wifi.server-name", "The name of a RADIUS server is one such as radius.example.org, as it stands in its certificate.").On("server_names")
		}
		names = append(names, n)
	}
	scep := pointer("scep")
	list := []any{r.identity(scep, "Network certificate")}
	trusted := []any{}
	for _, a := range anchors {
		id := pointer(string(a.Raw))
		trusted = append(trusted, id)
		list = append(list, anchor(id, a.Raw, "Certificate authority of the network"))
	}
	if kind == "WPA" {
		kind = "WPA2" // Apple: it joins WPA3 too, where the network offers both
	}
	eap := map[string]any{"AcceptEAPTypes": []any{13}, "PayloadCertificateAnchorUUID": trusted} // 13: EAP-TLS, RFC 5216
	if len(names) > 0 {
		eap["TLSTrustedServerNames"] = names
	}
	wifi["EncryptionType"], wifi["EAPClientConfiguration"], wifi["PayloadCertificateUUID"] = kind, eap, scep
	return mdm.Encode(map[string]any{builtMark: true, "PayloadType": "Configuration", "PayloadContent": append(list, wifi)})
}

// identity is a payload by which each iPad gets a certificate of its own.
func (r *Room) identity(id, name string) map[string]any {
	return map[string]any{
		"PayloadType": "com.apple.security.scep", "PayloadUUID": id, "PayloadDisplayName": name,
		"PayloadContent": map[string]any{
			"URL": r.Certs.SCEPURL(), "Name": "Ranzen", "Challenge": "$" + varChallenge, "Key Type": "RSA", "Keysize": 2048, "Key Usage": 5,
			"Retries": 5, "RetryDelay": 10, "Subject": []any{[]any{[]any{"CN", name}}},
		},
	}
}

// anchor is a payload by which iPads trust a certificate.
func anchor(id string, der []byte, name string) map[string]any {
	return map[string]any{
		"PayloadType": "com.apple.security.root", "PayloadUUID": id, "PayloadContent": der, "PayloadCertificateFileName": "anchor.cer", "PayloadDisplayName": name,
	}
}

// pointer is the PayloadUUID of a payload that another one names. It is the same
// for the same content, so that building it again is no new version.
func pointer(what string) string {
	return strings.ToUpper(uuid.NewSHA1(uuid.NameSpaceURL, []byte("ranzen:eap-tls:"+what)).String())
}

func (r *Room) anchors(given [][]byte) ([]*x509.Certificate, error) {
	if len(given) == 0 {
		return []*x509.Certificate{r.Certs.Root()}, nil
	}
	var out []*x509.Certificate
	for _, b := range given {
		der := b
		if block, _ := pem.Decode(b); block != nil {
			der = block.Bytes
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fault.New(fault.Invalid, "wifi.anchor", "The certificate of the network's CA cannot be read: give it in PEM or DER, without its key.").On("anchors").With(err)
		}
		out = append(out, cert)
	}
	return out, nil
}
