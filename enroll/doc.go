// Package enroll is the tablet under management: how it comes in, what it says
// of itself, what people order it to do, and how it goes.
//
// It owns the tables links, enrollments, contacts, inventory, locations, holds and
// those of Automated Device Enrollment but for the tokens; nothing else writes
// them. It decides what a check-in message means and what the commands of its own
// kinds say; when a command is handed over is decided by package commands, and
// whose a certificate is by package certs.
//
// An enrollment is one UDID; its generation counts its lives. A new life and a
// renewed identity look alike on the wire: what decides is the purpose that is
// stored with the presented certificate.
//
// Promises, each held by a test on both databases:
//
//   - A certificate made for a new enrollment begins a new generation: commands,
//     certificates and inventory of the earlier one never reach it.
//   - A certificate made for a renewal changes the certificate and nothing else.
//     If its generation is over, it is refused.
//   - A repeated message clears nothing and does nothing twice.
//   - UnlockToken, bootstrap token and bypass code survive messages that lack
//     them.
//   - ServerURL, CheckInURL, Topic and all identifiers of the enrollment profile
//     stay the same for the server's life and are those a renewal sends again.
//   - A link counts enrollments, not fetches.
//   - Nothing is asked of a tablet that cannot do it: Lost Mode of one that is
//     not supervised, a location of one that is not lost.
//   - A lost tablet that is enrolled again becomes lost again.
//   - A page of Apple's list and the cursor behind it are stored together or not
//     at all, and whatever order its events come in, the newest of a serial number
//     counts. A list that is empty where it was full removes nothing.
//   - Which enrollment profile an iPad gets is derived from rows; that it has it is
//     Apple's word and not that we asked.
//   - No person's name is stored: a DeviceName is compared with the one we set
//     and forgotten.
package enroll
