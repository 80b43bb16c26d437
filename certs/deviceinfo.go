package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/smallstep/pkcs7"

	"ranzen/internal/fault"
)

// Apple's authority of device identities, as in Apple, "Over-the-Air Profile
// Delivery and Configuration", listing 2-1. It ended in 2014 and goes on signing.
//
//go:embed apple_iphone_device_ca.pem
var appleDeviceCA []byte

// maxMachineInfo bounds what a tablet in Setup Assistant may send: Apple's is
// some kilobytes, mostly certificates.
const maxMachineInfo = 64 << 10

// maxDeviceChain bounds the certificates between a device and a root.
const maxDeviceChain = 4

// parseDeviceRoots reads roots that take the place of Apple's; none: Apple's.
func parseDeviceRoots(pemBytes []byte) ([]*x509.Certificate, error) {
	if len(pemBytes) == 0 {
		pemBytes = appleDeviceCA
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(pemBytes); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the roots of device identities: %w", err)
		}
		out = append(out, cert)
	}
	return out, nil
}

// MachineInfo is a signed machine info whose signature is in order.
type MachineInfo struct {
	Content []byte // the property list
	Hash    string // of the whole message, to know it again by
	// Timed: the moment of signing is part of it, so that the same bytes are never
	// made twice. Without it a tablet that is set up again signs the same.
	Timed bool
}

// OpenMachineInfo checks what a tablet sends from Setup Assistant (Apple, Device
// Management, "MachineInfo"): a CMS message around a property list, signed by the
// device's identity from Apple.
//
// Dates are not asked for: Apple's chain has been over since 2014, and a tablet
// in Setup Assistant may not know the day. A good signature says that some device
// of Apple's wrote this, and not that it is the device it names.
//
// Faults: machine-info.size, machine-info.unreadable, machine-info.signature,
// machine-info.chain.
func (r *Room) OpenMachineInfo(signed []byte) (MachineInfo, error) {
	if len(signed) > maxMachineInfo {
		return MachineInfo{}, fault.New(fault.Invalid, "machine-info.size", "The machine info is longer than any device's.")
	}
	m, err := parseSigned(signed)
	if err != nil || len(m.content) == 0 {
		return MachineInfo{}, fault.New(fault.Invalid, "machine-info.unreadable", "This is no signed machine info.").With(err)
	}
	der, err := m.signer()
	if err != nil {
		return MachineInfo{}, fault.New(fault.Invalid, "machine-info.unreadable", "The machine info does not say who signed it.").With(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return MachineInfo{}, fault.New(fault.Invalid, "machine-info.unreadable", "The device's certificate cannot be read.").With(err)
	}
	if err := m.verify(m.content, leaf.PublicKey); err != nil {
		return MachineInfo{}, fault.New(fault.Denied, "machine-info.signature", "The machine info is not as it was signed.").With(err)
	}
	if !r.ofApple(leaf, m.certs) {
		return MachineInfo{}, fault.New(fault.Denied, "machine-info.chain", "The machine info was not signed by a device of Apple's.")
	}
	sum := sha256.Sum256(signed)
	return MachineInfo{m.content, hex.EncodeToString(sum[:]), m.signed && m.attribute(pkcs7.OIDAttributeSigningTime) != nil}, nil
}

// ofApple follows issuers from a certificate up to one of the roots.
func (r *Room) ofApple(cert *x509.Certificate, brought [][]byte) bool {
	for range maxDeviceChain {
		for _, root := range r.deviceRoots {
			if issued(root, cert) {
				return true
			}
		}
		parent := parentAmong(brought, cert)
		if parent == nil {
			return false
		}
		cert = parent
	}
	return false
}

func parentAmong(brought [][]byte, child *x509.Certificate) *x509.Certificate {
	for _, der := range brought {
		if len(der) > 8<<10 || bytes.Equal(der, child.Raw) {
			continue
		}
		cert, err := x509.ParseCertificate(der)
		if err == nil && issued(cert, child) {
			return cert
		}
	}
	return nil
}

// issued tells whether an authority signed a certificate. The standard library
// no longer checks SHA-1, which is all that Apple's authority writes.
func issued(by, cert *x509.Certificate) bool {
	if !by.IsCA || !bytes.Equal(by.RawSubject, cert.RawIssuer) {
		return false
	}
	h, known := map[x509.SignatureAlgorithm]crypto.Hash{
		x509.SHA1WithRSA: crypto.SHA1, x509.SHA256WithRSA: crypto.SHA256, x509.SHA384WithRSA: crypto.SHA384, x509.SHA512WithRSA: crypto.SHA512,
		x509.ECDSAWithSHA256: crypto.SHA256, x509.ECDSAWithSHA384: crypto.SHA384, x509.ECDSAWithSHA512: crypto.SHA512,
	}[cert.SignatureAlgorithm]
	if !known {
		return false
	}
	m := signedMessage{digest: h, signature: cert.Signature}
	return m.check(digest(h, cert.RawTBSCertificate), by.PublicKey) == nil
}
