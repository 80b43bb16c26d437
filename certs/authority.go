package certs

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/authority/provisioner"
	stepdb "github.com/smallstep/certificates/db"
	"go.step.sm/crypto/x509util"

	"ranzen/internal/sqldb"
)

// openStep starts the embedded step CA with our keys and our tables. It keeps no
// state of its own: any number of processes may run one on one database.
func (r *Room) openStep(ctx context.Context) error {
	raKey, ok := r.ra.key.(*rsa.PrivateKey)
	if !ok {
		return errors.New("the SCEP key is not an RSA key")
	}
	crl, err := json.Marshal(r.cfg.PublicURL + "/crl")
	if err != nil {
		return fmt.Errorf("describe the revocation list: %w", err)
	}
	life := provisioner.Duration{Duration: leafLife}
	shortest := provisioner.Duration{Duration: backdate}
	longest := provisioner.Duration{Duration: leafLife + 2*backdate}
	scep := &provisioner.SCEP{
		Type: "SCEP", Name: "devices", MinimumPublicKeyLength: minRSABits,
		DecrypterCertificate:          pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.ra.cert.Raw}),
		DecrypterKeyPEM:               pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(raKey)}),
		EncryptionAlgorithmIdentifier: 1, // AES-128-CBC, for whoever asks step itself; 0 would be single DES
		Claims:                        &provisioner.Claims{MinTLSDur: &shortest, MaxTLSDur: &longest, DefaultTLSDur: &life},
		Options: &provisioner.Options{X509: &provisioner.X509Options{Template: `{
			"subject": {{ toJson .Subject }},
			"keyUsage": ["digitalSignature", "keyEncipherment"],
			"extKeyUsage": ["clientAuth"],
			"crlDistributionPoints": [` + string(crl) + `]
		}`}},
	}
	r.provisioner = scep
	r.step, err = authority.NewEmbedded(
		authority.WithConfig(&config.Config{AuthorityConfig: &config.AuthConfig{Provisioners: provisioner.List{scep}}}),
		authority.WithDatabase(&stepTables{ctx: context.WithoutCancel(ctx), q: r.db}),
		authority.WithX509RootCerts(r.root.cert),
		authority.WithX509Signer(r.inter.cert, r.inter.key),
		authority.WithQuietInit(),
	)
	return err
}

// sign has step CA make the identity certificate for csr's key. Of the request
// nothing but the key goes in: the name is the enrollment's.
func (r *Room) sign(ctx context.Context, csr *x509.CertificateRequest, enrollmentID string) (*x509.Certificate, error) {
	data := x509util.NewTemplateData()
	data.SetSubject(x509util.Subject{CommonName: enrollmentID})
	template, err := provisioner.TemplateOptions(r.provisioner.GetOptions(), data)
	if err != nil {
		return nil, fmt.Errorf("sign an identity: %w", err)
	}
	// step would ask the machine's clock; the database's times are ours.
	now := r.clock.Now()
	validity := provisioner.CertificateModifierFunc(func(cert *x509.Certificate, _ provisioner.SignOptions) error {
		cert.NotBefore = now.Add(-backdate)
		cert.NotAfter = now.Add(leafLife)
		if cert.NotAfter.After(r.inter.cert.NotAfter) {
			cert.NotAfter = r.inter.cert.NotAfter
		}
		return nil
	})
	chain, err := r.step.SignWithContext(ctx, csr, provisioner.SignOptions{}, r.provisioner, template, validity)
	if err != nil {
		return nil, fmt.Errorf("sign an identity: %w", err)
	}
	if !bytes.Equal(chain[0].RawIssuer, r.inter.cert.RawSubject) {
		return nil, errors.New("sign an identity: the answer is not of this CA")
	}
	return chain[0], nil
}

// stepTables is what step CA may ask our tables. It has no context of its own to
// hand over, so this one, of the process, stands in.
type stepTables struct {
	ctx context.Context
	q   sqldb.Queryer
}

// IsRevoked tells by serial number. No row is no certificate of ours, and that
// is as bad as a revoked one.
func (s *stepTables) IsRevoked(serial string) (bool, error) {
	row, err := selectBySerial(s.ctx, s.q, serial)
	if errors.Is(err, sqldb.ErrNoRows) {
		return true, nil
	}
	return err == nil && row.State != Issued && row.State != Pinned, err
}

// GetCertificate finds by serial number.
func (s *stepTables) GetCertificate(serial string) (*x509.Certificate, error) {
	der, err := selectDERBySerial(s.ctx, s.q, serial)
	if err != nil {
		return nil, fmt.Errorf("find certificate %s: %w", serial, err)
	}
	return x509.ParseCertificate(der)
}

// StoreCertificateChain leaves it to issue, which writes the certificate in the
// transaction that spends its challenge.
func (s *stepTables) StoreCertificateChain(provisioner.Interface, ...*x509.Certificate) error {
	return nil
}

// Revoke is ours alone: it takes a person and writes an audit event.
func (s *stepTables) Revoke(*stepdb.RevokedCertificateInfo) error { return stepdb.ErrNotImplemented }

// RevokeSSH and what follows belong to parts of step CA that are not in use.
func (s *stepTables) RevokeSSH(*stepdb.RevokedCertificateInfo) error { return stepdb.ErrNotImplemented }

func (s *stepTables) IsSSHRevoked(string) (bool, error)       { return true, nil }
func (s *stepTables) UseToken(string, string) (bool, error)   { return false, nil }
func (s *stepTables) IsSSHHost(string) (bool, error)          { return false, nil }
func (s *stepTables) GetSSHHostPrincipals() ([]string, error) { return nil, nil }
func (s *stepTables) Shutdown() error                         { return nil }
