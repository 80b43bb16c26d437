// Package schools is whose a tablet is, where it is, and what it is called.
//
// It owns the tables devices, device_groups and device_group_members; nothing
// else writes them. A Device here is the thing on a shelf: it is there before
// it was ever under management and stays when that ends. Whether it is managed
// is told by package enroll, joined by our id; the two are never one struct.
//
// Promises, each held by a test on both databases:
//
//   - A serial number is one device, however it is typed and however many
//     requests bring it at once; Ensure holds its row until the commit, so that
//     what is decided about one device is decided by one at a time.
//   - A name here is the one we want the tablet to have, never one that the
//     tablet or a person told.
//   - Adding a device to a group twice is the same as once, and so is dropping
//     it; a group that is not there is an error, not an empty group.
//   - Work on many devices takes one statement per 500 of them.
package schools
