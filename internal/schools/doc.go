// Package schools is the world of schools, and the tablet as a thing in it:
// whose it is, where it is, what it is called, and where it stands as property.
//
// It owns the tables of tenants, schools, sites, rooms, carts, classes,
// deliveries, devices and groups; nothing else writes them. A Device here is the
// thing on a shelf: it is there before it was ever under management and stays
// when that ends. Whether it is managed is told by package enroll, joined by our
// id; the two are never one struct. A device is never deleted.
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
//   - A device belongs to one tenant, which never changes; another tenant's is
//     refused without saying whose it is (TestWhatAScanRefusesChangesNothing).
//   - No path leads from one asset state to another but the table's, with its
//     guards (TestNoPathLeadsWhereTheTableDoesNot and those beside it).
//   - Two devices are never in one slot and never bear one tag; of several at
//     once one wins and the others are told who is there
//     (TestOfTwoWhoWantOneSlotOneGetsIt).
//   - A scan is read the same way in every order of its texts, and is kept whole
//     or not at all; taken back, it leaves nothing (FuzzRecognise,
//     TestAnUndoneScanLeavesNothingBehind).
//   - A tag number is given once (TestOfTwoWhoPrintTagsNoneGetsTheOthers).
//   - Work on many devices takes one statement per 500 of them.
package schools
