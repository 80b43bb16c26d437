// Package audit is the memory of who did what: append-only and hash-chained.
//
// It owns the tables audit_events and audit_head; nothing else writes them.
//
// An event is appended in the transaction of the change it tells of, by one
// INSERT, so there is no change without its event and no event without its
// change. Seconds later a loop gives it its place in the chain: writers never
// wait for each other to know the hash before theirs.
//
// Promises, each held by a test on both databases:
//
//   - Whoever alters, removes or slips in a chained row, the last one included,
//     is found by Verify. The chain has no key: it shows tampering to whoever
//     noted a hash outside, and careless tampering to everybody.
//   - Chaining by several processes at once makes one chain without gaps.
//   - An event that was not yet chained when the server died is chained later.
//   - Text that a database would refuse does not fail the change it tells of.
//
// Details hold no secret and no person's name taken from a tablet.
package audit
