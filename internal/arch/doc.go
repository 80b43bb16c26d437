// Package arch holds no code: its test reads the module's source and enforces the
// rules of the house. A rule that must change is changed here in the same commit,
// with the reason; what is listed as allowed and not used any more fails too.
//
//  1. Floors: a package imports lower floors only, and packages of one floor do
//     not know each other. Every package has a floor.
//  2. Owners: every table has one package that writes it. Others read it through
//     internal/views.
//  3. Fences: a foreign package, and the few of the standard library that mean a
//     database, a network or a page, are imported where they are listed only.
//  4. The simulators know nothing of ours but the clock, so that they cannot
//     agree with the server's mistakes; only cmd knows the simulators.
//  5. No time but the clock's, no context from nowhere, no panic, no init, no
//     package-level variable that is not an error, a regexp or an embedded file.
package arch
