// Package device is the tablets' door: check-in, commands, SCEP, the CRL and
// the enrollment page. It imports neither auth nor the API.
//
// Promises, each held by a test:
//
//   - No request, however broken, is answered 401: a tablet takes it as the end
//     of its management. Bad input and refused certificates are 400 with an
//     empty body, our own trouble is 500 or 503 with an empty body; both make a
//     tablet come back later.
//   - 403 com.apple.unrecognized.device is sent only to a tablet whose end of
//     management an administrator ordered.
//   - An empty poll costs one SELECT and no write; a report and the next command
//     cost that SELECT and one transaction.
//   - A certificate that is foreign, retired or revoked gets nothing and is
//     counted; an expired one gets its renewal and nothing else.
//   - The enrollment page works without script, in German and English, and
//     loads nothing from elsewhere.
package device
