// Package certs is who a tablet is: it issues identities, tells whose a
// certificate is, and keeps in custody what must stay secret.
//
// It owns the tables ca_keys, certificates, challenges, crl, refusals,
// push_certificates and ade_tokens; nothing else writes them. The CA is smallstep's step CA,
// embedded; no step type leaves this package. All state is in the database, so
// any number of processes may issue at once and a backup of the database holds
// the CA. Private keys rest sealed with a key that is outside the database.
//
// Promises, each held by a test on both databases:
//
//   - A challenge yields one certificate, for the enrollment it was made for,
//     whatever the request says about itself; seen by someone else it yields
//     nothing. The key that spent it may ask again for ten minutes, because its
//     answer may have been lost, and gets the same certificate.
//   - A challenge is kept as a hash only, expires, and can be voided.
//   - Purpose, enrollment and generation of the challenge stay with the
//     certificate for ever.
//   - One certificate at a time is pinned to an enrollment; pinning the next one
//     retires it and everything that an earlier generation was still owed.
//   - What is revoked or retired never comes back, is never issued again, and
//     what is revoked is on the next revocation list that anybody fetches.
//   - Two processes that start on an empty database agree on one CA.
//   - Whatever is sent to SCEP is answered by a certificate, a signed failure, or
//     400; never by 401 and never by a crash.
//   - What a stranger sends to be read costs time in proportion to its length, and
//     leaves nothing behind but a count.
//   - A signature that is in order is accepted although its certificate has
//     expired or the clock of its owner is wrong: what an expired identity may
//     do is the caller's decision, and it must be known to decide it.
//   - The topic of the push certificate is pinned by the first import; another is
//     refused. So are organization and server of Apple's server tokens.
package certs
