// Package server is the door: HTTP and nothing else. It holds no SQL of other
// rooms and no rule; it decodes, asks who may do what, calls a room inside a
// transaction, and encodes what comes back.
//
// It owns the tables idempotency and leases; nothing else writes them.
//
// Three listeners with nothing in common: [Server.Devices] is all that tablets
// meet and has no admin code behind it (package server/device), [Server.Admin]
// has the API for people and programs, [Server.Metrics] has numbers only.
//
// Promises, each held by a test:
//
//   - Every operation of the API names the right it needs; without a token
//     nothing answers but the status page and the two health addresses.
//   - Every error is RFC 9457 with a stable code and a ref that is also in the
//     log; what is not a fault is a bare 500.
//   - A write with an Idempotency-Key is done once; its answer is repeated, and
//     the same key for another request is refused.
//   - openapi.yaml is what the handlers do.
//   - No text a client sends makes a database refuse it: it is a 422 before.
//   - Link codes, tokens and names are in no log line.
package server
