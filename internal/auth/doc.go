// Package auth knows the people and programs that may talk to the admin
// listener: users with a role, and their bearer tokens.
//
// It owns the tables users and tokens; nothing else writes them. No device ever
// meets it.
//
// Promises, each held by a test on both databases:
//
//   - A token is 32 random bytes and is shown once; the database keeps its
//     SHA-256 only.
//   - A token works until it is revoked, expires, or its user is removed, and
//     not a moment longer: nothing is cached.
//   - A wrong, ended or foreign token gets the same answer: who asks learns
//     nothing about which tokens exist.
//   - The last administrator can be neither removed nor made a viewer.
//   - Every change of users and tokens is in the audit log, in the same
//     transaction.
package auth
