// Package commands is the queue between what we want and what a tablet does.
//
// It owns the tables commands, answers and push_targets; nothing else writes
// them. It decides when a command may be handed over, not what it says: the
// body is made by a [Renderer] at the moment of hand-over and kept nowhere, so
// no Wi-Fi password rests in the queue. What a renderer needs to remember goes
// into a command's Args, which are sealed.
//
// Promises, each held by a test on both databases:
//
//   - One open command a tablet and dedupe key; the newer supersedes the older.
//   - Order is first in, first out in each lane, the urgent one first, except
//     that NotNow and what was never answered go behind.
//   - NotNow is offered again in the tablet's next session and never twice in
//     one. An Idle report opens a session.
//   - A command that was not answered is offered again with the same
//     CommandUUID, save a Spec.Once: that becomes uncertain when the tablet comes
//     back or after SentTimeout, and is proven by ProveErased.
//   - A late, repeated, early, unknown or undecodable answer is recorded, and
//     the queue goes on. It never touches another tablet's command.
//   - A command never reaches another generation of its tablet.
//   - In Lost Mode, and with an expired identity, only kinds made for it are
//     handed over; error 12078 puts a command back instead of burning it.
//   - Every waiting command has a reason.
//   - Pushes are derived from rows: losing one costs time, never a command.
//
// One call of [Queue.Exchange] is the whole write transaction of a request: for
// a report one SELECT and one UPDATE (and an INSERT where the answer is worth
// keeping), for the next command one SELECT and one UPDATE; opening a session
// that has held-back commands takes one UPDATE more.
package commands
