package apple

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // OAuth 1.0a
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// oauth is what a server token holds.
type oauth struct {
	consumerKey, consumerSecret, accessToken, accessSecret string
	expiry                                                 time.Time
}

// TokenP7M makes a new token for a server, as the button does, encrypted to the
// certificate that was uploaded. The tokens before it end.
func (s *School) TokenP7M(server string, certPEM []byte) ([]byte, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("the uploaded certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the uploaded certificate: %w", err)
	}
	s.mu.Lock()
	sv := s.servers[server]
	if sv == nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("there is no server %q", server)
	}
	sv.token = oauth{"CK_" + s.hex(24), "CS_" + s.hex(20), "AT_" + s.hex(24), "AS_" + s.hex(20), s.now().AddDate(1, 0, 0)}
	clear(sv.sessions)
	t := sv.token
	s.mu.Unlock()
	doc, err := json.Marshal(map[string]any{
		"consumer_key": t.consumerKey, "consumer_secret": t.consumerSecret, "access_token": t.accessToken, "access_secret": t.accessSecret,
		"access_token_expiry": t.expiry.Format(time.RFC3339),
	})
	if err != nil {
		return nil, fmt.Errorf("write a server token: %w", err)
	}
	inner := "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN MESSAGE-----\n" + string(doc) + "\n-----END MESSAGE-----\n"
	der, err := envelop([]byte(inner), cert)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"smime.p7m\"\r\nContent-Description: S/MIME Encrypted Message\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(der)
	for len(text) > 0 {
		n := min(64, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.Bytes(), nil
}

// envelop is CMS EnvelopedData (RFC 5652, 6) with RSA and AES-256-CBC.
func envelop(content []byte, to *x509.Certificate) ([]byte, error) {
	public, ok := to.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("Apple takes RSA certificates only")
	}
	key, iv := make([]byte, 32), make([]byte, 16)
	for _, b := range [][]byte{key, iv} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("draw a key: %w", err)
		}
	}
	sealedKey, err := rsa.EncryptPKCS1v15(rand.Reader, public, key)
	if err != nil {
		return nil, fmt.Errorf("encrypt a token's key: %w", err)
	}
	pad := 16 - len(content)%16
	content = append(slices.Clone(content), bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt a token: %w", err)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(content, content)

	type issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial any
	}
	type recipient struct {
		Version int
		ID      issuerAndSerial
		Alg     pkix.AlgorithmIdentifier
		Key     []byte
	}
	type encrypted struct {
		Type    asn1.ObjectIdentifier
		Alg     pkix.AlgorithmIdentifier
		Content asn1.RawValue
	}
	type enveloped struct {
		Version    int
		Recipients []recipient `asn1:"set"`
		Content    encrypted
	}
	ivDER, err := asn1.Marshal(iv)
	if err != nil {
		return nil, fmt.Errorf("encrypt a token: %w", err)
	}
	body, err := asn1.Marshal(enveloped{
		Recipients: []recipient{{
			ID:  issuerAndSerial{asn1.RawValue{FullBytes: to.RawIssuer}, to.SerialNumber},
			Alg: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}, Key: sealedKey,
		}},
		Content: encrypted{
			Type:    asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1},
			Alg:     pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: asn1.RawValue{FullBytes: ivDER}},
			Content: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: content},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("write a token: %w", err)
	}
	der, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: body}})
	if err != nil {
		return nil, fmt.Errorf("write a token: %w", err)
	}
	return der, nil
}

// session checks an OAuth 1.0a signature (RFC 5849) and gives out a session.
func (s *School) session(w http.ResponseWriter, r *http.Request) {
	params := map[string]string{}
	header, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		word(w, http.StatusBadRequest, "BAD_REQUEST")
		return
	}
	for part := range strings.SplitSeq(header, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		if value, err := url.PathUnescape(strings.Trim(v, `"`)); err == nil {
			params[k] = value
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var sv *mdmServer
	for _, one := range s.servers {
		if one.token.consumerKey != "" && one.token.consumerKey == params["oauth_consumer_key"] && one.token.accessToken == params["oauth_token"] {
			sv = one
		}
	}
	switch {
	case sv == nil:
		s.counts.Refused++
		word(w, http.StatusUnauthorized, "token_rejected")
	case !s.now().Before(sv.token.expiry):
		s.counts.Refused++
		word(w, http.StatusForbidden, "token_expired")
	case !sv.token.signed(r, "https://"+r.Host+r.URL.Path, params):
		s.counts.Refused++
		word(w, http.StatusUnauthorized, "signature_invalid")
	case s.unsigned[sv.org]:
		s.counts.Refused++
		word(w, http.StatusForbidden, "T_C_NOT_SIGNED")
	default:
		id := s.hex(20)
		sv.sessions[id] = true
		s.counts.Sessions++
		answer(w, map[string]any{"auth_session_token": id})
	}
}

func (o oauth) signed(r *http.Request, address string, params map[string]string) bool {
	escape := func(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "+", "%20") }
	var pairs []string
	for k, v := range params {
		if k != "oauth_signature" && k != "realm" {
			pairs = append(pairs, escape(k)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	base := r.Method + "&" + escape(address) + "&" + escape(strings.Join(pairs, "&"))
	mac := hmac.New(sha1.New, []byte(escape(o.consumerSecret)+"&"+escape(o.accessSecret)))
	mac.Write([]byte(base))
	return params["oauth_signature_method"] == "HMAC-SHA1" && hmac.Equal([]byte(params["oauth_signature"]), []byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))))
}
