package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ranzen/certs"
	"ranzen/internal/audit"
	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

type identity struct {
	Serial       string     `json:"serial"`
	Hash         string     `json:"hash" doc:"SHA-256 of the DER"`
	EnrollmentID string     `json:"enrollment_id"`
	Generation   int64      `json:"generation"`
	Purpose      string     `json:"purpose" enum:"enroll,renew"`
	State        string     `json:"state" enum:"issued,pinned,retired,revoked"`
	NotAfter     time.Time  `json:"not_after"`
	CreatedAt    time.Time  `json:"created_at"`
	EndedAt      *time.Time `json:"ended_at"`
	Reason       string     `json:"reason"`
}

func identityOf(i certs.Identity) identity {
	return identity{i.Serial, i.Hash, i.EnrollmentID, i.Generation, string(i.Purpose), string(i.State), i.NotAfter, i.CreatedAt, when(i.EndedAt), i.Reason}
}

type refusal struct {
	Reason       string    `json:"reason"`
	Hash         string    `json:"hash"`
	EnrollmentID string    `json:"enrollment_id"`
	Count        int64     `json:"count"`
	FirstAt      time.Time `json:"first_at"`
	LastAt       time.Time `json:"last_at"`
}

func refusalOf(r certs.Refusal) refusal {
	return refusal{r.Reason, r.Hash, r.EnrollmentID, r.Count, r.FirstAt, r.LastAt}
}

type pushCertificate struct {
	Topic       string     `json:"topic"`
	Placeholder bool       `json:"placeholder" doc:"There is no certificate yet; the topic stands in for one"`
	NotAfter    *time.Time `json:"not_after"`
	Subject     string     `json:"subject"`
	Fingerprint string     `json:"fingerprint"`
}

func (s *Server) apiCertificates(api huma.API) {
	type filter struct {
		Paged
		State string `query:"state" enum:"issued,pinned,retired,revoked"`
	}
	read(s, api, operation{http.MethodGet, "/certificates", "listCertificates", auth.Look, "List the identity certificates, newest first", "certificates", false},
		func(ctx context.Context, in *filter) (list[identity], error) {
			if err := s.provider(ctx); err != nil {
				return list[identity]{}, err
			}
			ids, err := s.Certs.List(ctx, s.DB, certs.Filter{State: certs.State(in.State), Limit: in.Limit})
			return all(mapped(ids, identityOf)), err
		})
	type revocation struct {
		Serial named `path:"serial"`
		Body   struct {
			Reason string `json:"reason" maxLength:"2000"`
		}
	}
	write(s, api, operation{http.MethodPost, "/certificates/{serial}/revoke", "revokeCertificate", auth.Change, "Revoke a certificate", "certificates", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *revocation) (nothing, error) {
			if err := s.provider(ctx); err != nil {
				return nothing{}, err
			}
			return nothing{}, s.Certs.Revoke(ctx, tx, by, in.Serial.text, in.Body.Reason)
		})
	read(s, api, operation{http.MethodGet, "/refusals", "listRefusals", auth.Look, "Certificates that were shown and refused", "certificates", false},
		func(ctx context.Context, in *Paged) (list[refusal], error) {
			if err := s.provider(ctx); err != nil {
				return list[refusal]{}, err
			}
			rs, err := s.Certs.Refusals(ctx, s.DB, in.Limit)
			return all(mapped(rs, refusalOf)), err
		})
	s.apiPush(api)
}

func (s *Server) apiPush(api huma.API) {
	read(s, api, operation{http.MethodGet, "/push-certificate", "getPushCertificate", auth.Look, "The MDM push certificate", "push", false}, s.getPush)
	type pushRequest struct {
		Body struct {
			CommonName string `json:"common_name,omitempty" maxLength:"64"`
		}
	}
	type requested struct {
		CSR string `json:"csr" doc:"PEM"`
	}
	write(s, api, operation{http.MethodPost, "/push-certificate/request", "requestPushCertificate", auth.Change, "Make a key and a certificate request", "push", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *pushRequest) (requested, error) {
			if err := s.provider(ctx); err != nil {
				return requested{}, err
			}
			csr, err := s.Certs.PushRequest(ctx, tx, by, in.Body.CommonName)
			return requested{string(csr)}, err
		})
	type pushImport struct {
		Body struct {
			Certificate string `json:"certificate" doc:"PEM"`
			Key         string `json:"key,omitempty" doc:"PEM; not needed for a certificate of a request of ours"`
			Confirm     bool   `json:"confirm,omitempty" doc:"Import although devices must enroll again"`
		}
	}
	write(s, api, operation{http.MethodPost, "/push-certificate", "importPushCertificate", auth.Change, "Take the certificate that Apple issued", "push", false},
		func(ctx context.Context, tx *sqldb.Tx, by audit.Actor, in *pushImport) (pushCertificate, error) {
			if err := s.provider(ctx); err != nil {
				return pushCertificate{}, err
			}
			_, placeholder, err := s.Certs.Topic(ctx, tx)
			if err != nil {
				return pushCertificate{}, err
			}
			info, err := s.Certs.ImportPush(ctx, tx, by, []byte(in.Body.Certificate), []byte(in.Body.Key))
			if err != nil {
				return pushCertificate{}, err
			}
			if placeholder && !in.Body.Confirm {
				if err := s.strand(ctx, tx); err != nil {
					return pushCertificate{}, err
				}
			}
			return pushCertificate{Topic: info.Topic, NotAfter: when(info.NotAfter), Subject: info.Subject, Fingerprint: info.Fingerprint}, nil
		})
}

// strand refuses the first import while devices are enrolled that it leaves
// without a wake-up.
func (s *Server) strand(ctx context.Context, q sqldb.Queryer) error {
	stranded, err := s.Enroll.PlaceholderEnrollments(ctx, q)
	if err != nil || len(stranded) == 0 {
		return err
	}
	f := fault.New(fault.Conflict, "push-cert.must-enroll-again",
		"%d devices enrolled before there was a push certificate and must enroll again after the import. Confirm it to import all the same.", len(stranded))
	return &strandedError{Fault: f, devices: stranded}
}

func (s *Server) getPush(ctx context.Context, _ *struct{}) (pushCertificate, error) {
	topic, placeholder, err := s.Certs.Topic(ctx, s.DB)
	if err != nil || placeholder {
		return pushCertificate{Topic: topic, Placeholder: placeholder}, err
	}
	_, info, err := s.Certs.Push(ctx, s.DB)
	return pushCertificate{Topic: info.Topic, NotAfter: when(info.NotAfter), Subject: info.Subject, Fingerprint: info.Fingerprint}, err
}
